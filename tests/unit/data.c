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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_cases_at_every_cut),
		cmocka_unit_test(known_cases_at_every_place),
		cmocka_unit_test(binary_bytes_pass_unchanged),
		cmocka_unit_test(full_buffer_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
