/* Content on its way to the wire. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "smtp/data.h"

#define ROOM (1024u * 1024)

static void
convert(struct buf *out, const char *bytes, size_t len, size_t step, bool stuff)
{
	struct data d;

	buf_clear(out);
	data_init(&d, stuff);
	for (size_t at = 0; at < len; at += step)
		assert_int_equal(data_add(&d, bytes + at,
				     len - at < step ? len - at : step, out),
		    0);
	assert_int_equal(data_end(&d, out), 0);
}

static const struct {
	const char *in, *data, *bdat;
} cases[] = {
	{ "", ".\r\n", "" },
	{ "a", "a\r\n.\r\n", "a\r\n" },
	{ "a\r\n", "a\r\n.\r\n", "a\r\n" },
	{ ".", "..\r\n.\r\n", ".\r\n" },
	{ ".\r\n", "..\r\n.\r\n", ".\r\n" },
	{ "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n" },
	{ "a.b\r\n..c\r\n", "a.b\r\n...c\r\n.\r\n", "a.b\r\n..c\r\n" },
	/* What a smuggler writes. */
	{ "a\n.\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n", "a\r\n.\r\nMAIL\r\n" },
	{ "a\n.\r\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n", "a\r\n.\r\nMAIL\r\n" },
	{ "a\r.\rMAIL", "a\r\n..\r\nMAIL\r\n.\r\n", "a\r\n.\r\nMAIL\r\n" },
	{ "a\r\r\n.b", "a\r\n\r\n..b\r\n.\r\n", "a\r\n\r\n.b\r\n" },
	{ "a\r", "a\r\n.\r\n", "a\r\n" },
	{ "\n\n", "\r\n\r\n.\r\n", "\r\n\r\n" },
};

static void
known_cases_at_every_cut(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, ROOM);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 12; step++) {
			convert(
			    &out, cases[i].in, strlen(cases[i].in), step, true);
			assert_string_equal(out.data, cases[i].data);
			convert(&out, cases[i].in, strlen(cases[i].in), step,
			    false);
			assert_string_equal(out.data, cases[i].bdat);
		}
	buf_release(&out);
}

/* The same case behind n bytes of text, so that it meets every place in the
 * blocks that are looked at together. */
static void
known_cases_at_every_place(void **state)
{
	struct buf out, in, want;

	(void)state;
	buf_init(&out, ROOM);
	buf_init(&in, ROOM);
	buf_init(&want, ROOM);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t n = 0; n < 200; n++) {
			buf_clear(&in);
			for (size_t k = 0; k < n; k++)
				(void)buf_addc(&in, (char)('a' + k % 26));
			(void)buf_adds(&in, "\r\n");
			buf_clear(&want);
			(void)buf_add(&want, in.data, in.len);
			(void)buf_adds(&want, cases[i].data);
			(void)buf_adds(&in, cases[i].in);
			convert(&out, in.data, in.len, ROOM, true);
			assert_int_equal(out.len, want.len);
			assert_memory_equal(out.data, want.data, want.len);
		}
	buf_release(&out);
	buf_release(&in);
	buf_release(&want);
}

static void
binary_bytes_pass_unchanged(void **state)
{
	char bytes[256 * 4];
	struct buf out;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 256 == '\r' || i % 256 == '\n' ? 0 : (char)i;
	buf_init(&out, ROOM);
	convert(&out, bytes, sizeof(bytes), ROOM, true);
	assert_int_equal(out.len, sizeof(bytes) + 5);
	assert_memory_equal(out.data, bytes, sizeof(bytes));
	assert_string_equal(out.data + sizeof(bytes), "\r\n.\r\n");
	buf_release(&out);
}

static void
full_buffer_is_told(void **state)
{
	struct data d;
	struct buf out;

	(void)state;
	buf_init(&out, 10);
	data_init(&d, true);
	assert_int_equal(data_add(&d, "0123456789", 10, &out), -1);
	assert_true(out.full);
	assert_int_equal(out.len, 0);
	buf_release(&out);
}

/* What data_add() stuffs, the reader unstuffs, at every cut. */
static void
what_was_stuffed_is_read_back(void **state)
{
	struct buf wire, back, plain;
	struct data_reader r;

	(void)state;
	buf_init(&wire, ROOM);
	buf_init(&back, ROOM);
	buf_init(&plain, ROOM);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 12; step++) {
			size_t in = strlen(cases[i].in), at, used;

			convert(&wire, cases[i].in, in, step, true);
			convert(&plain, cases[i].in, in, step, false);
			(void)buf_adds(&wire, "RSET\r\n");
			buf_clear(&back);
			data_reader_init(&r, false);
			for (at = 0; r.place != DATA_ENDED; at += used) {
				used = data_read(&r, wire.data + at,
				    wire.len - at < step ? wire.len - at : step,
				    &back);
				assert_true(used > 0);
			}
			assert_string_equal(wire.data + at, "RSET\r\n");
			assert_string_equal(back.data, plain.data);
		}
	buf_release(&wire);
	buf_release(&back);
	buf_release(&plain);
}

static void
lines_of_the_other_kind_do_not_end_the_content(void **state)
{
	static const struct {
		bool bare_lf;
		const char *wire, *content;
	} talks[] = {
		{ false, ".\nx\r\n.\r\n", "\nx\r\n" },
		{ false, "x\n.\r\n\r\n.\r\n", "x\n.\r\n\r\n" },
		{ false, "x\r\n.\r.\r\n.\r\n", "x\r\n\r.\r\n" },
		{ false, ".\r\r\n.\r\n", "\r\r\n" },
		{ true, ".\r\nx\n.\n", "\r\nx\n" },
		{ true, "x\r\n.\r\n.\n", "x\r\n\r\n" },
		{ true, "x\r\n.\n", "x\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++)
		for (size_t step = 1; step < 12; step++) {
			size_t len = strlen(talks[i].wire), at, used;
			struct data_reader r;
			struct buf out;

			buf_init(&out, ROOM);
			data_reader_init(&r, talks[i].bare_lf);
			for (at = 0; at < len; at += used) {
				used = data_read(&r, talks[i].wire + at,
				    len - at < step ? len - at : step, &out);
				assert_true(used > 0);
			}
			assert_int_equal(r.place, DATA_ENDED);
			assert_string_equal(out.data, talks[i].content);
			buf_release(&out);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_cases_at_every_cut),
		cmocka_unit_test(known_cases_at_every_place),
		cmocka_unit_test(binary_bytes_pass_unchanged),
		cmocka_unit_test(full_buffer_is_told),
		cmocka_unit_test(what_was_stuffed_is_read_back),
		cmocka_unit_test(
		    lines_of_the_other_kind_do_not_end_the_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
