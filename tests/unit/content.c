#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/content.h"
#include "mail/header.h"

/* How the input is given, and what came out. */
struct run {
	bool ignore_dots;
	bool no_header;
	enum content_lines lines;
	size_t chunk; /* 0: all at once */
	struct buf body;
	unsigned begun;
	struct content content;
	int result;
	struct error err;
};

static int
sink(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct run *run = arg;

	(void)err;
	assert_int_equal(run->begun, 1);
	assert_true(len > 0);
	return buf_add(&run->body, bytes, len);
}

static int
begin(void *arg, struct content *c, struct error *err)
{
	struct run *run = arg;

	(void)err;
	assert_int_equal(run->body.len, 0);
	run->begun++;
	c->lines = run->lines;
	return 0;
}

static void
run_through(struct run *run, const char *text, size_t len)
{
	struct content *c = &run->content;
	size_t n;

	buf_init(&run->body, 64 << 20);
	run->begun = 0;
	run->result = 0;
	content_init(c, sink, run);
	c->begin = begin;
	c->ignore_dots = run->ignore_dots;
	c->no_header = run->no_header;
	for (size_t at = 0; at < len && run->result == 0; at += n) {
		n = run->chunk > 0 && run->chunk < len - at ? run->chunk
							    : len - at;
		run->result = content_write(c, text + at, n, &run->err);
	}
	if (run->result == 0)
		run->result = content_finish(c, &run->err);
	if (run->result == 0) {
		assert_int_equal(run->begun, 1);
		assert_int_equal(c->size, run->body.len);
		assert_int_equal(c->read, len);
	}
}

static void
run_release(struct run *run)
{
	content_release(&run->content);
	buf_release(&run->body);
}

/* The same whatever way it is cut. */
static void
expect_bytes(struct run *run, const char *text, size_t len, const char *header,
    const char *body)
{
	static const size_t chunks[] = { 0, 1, 2, 3, 5, 7, 16, 33, 100 };

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		run->chunk = chunks[i];
		run_through(run, text, len);
		assert_int_equal(run->result, 0);
		assert_string_equal(run->content.header.data, header);
		assert_string_equal(run->body.data, body);
		run_release(run);
	}
}

static void
expect(const char *text, const char *header, const char *body)
{
	struct run run = { .lines = CONTENT_BREAK };

	expect_bytes(&run, text, strlen(text), header, body);
}

static void
header_and_body_are_parted(void **state)
{
	(void)state;
	expect(
	    "A: 1\nB: 2\n x\n\nbody\n", "A: 1\r\nB: 2\r\n x\r\n", "body\r\n");
	expect("A: 1\r\n\r\nbody\r\n", "A: 1\r\n", "body\r\n");
	expect("A: 1\r\n\r\n\r\nbody", "A: 1\r\n", "\r\nbody\r\n");
	expect("A: 1\n", "A: 1\r\n", "");
	expect("A: 1", "A: 1\r\n", "");
	expect("", "", "");
	expect("\n", "", "");
	expect("\nA: 1\n", "", "A: 1\r\n");
}

static void
text_without_header_is_all_body(void **state)
{
	struct run run = { .no_header = true };

	(void)state;
	expect("hello world\nA: 1\n", "", "hello world\r\nA: 1\r\n");
	expect("hello", "", "hello\r\n");
	expect(" x\n", "", " x\r\n");
	expect("A: 1\nhello\n\nx", "A: 1\r\n", "hello\r\n\r\nx\r\n");
	expect_bytes(&run, "A: 1\n\nx\n", 8, "", "A: 1\r\n\r\nx\r\n");
}

static void
mbox_lines_are_dropped(void **state)
{
	(void)state;
	expect("From a@b Tue\n>From c\nA: 1\n\nFrom x\n", "A: 1\r\n",
	    "From x\r\n");
}

static void
all_line_ends_become_crlf(void **state)
{
	(void)state;
	expect("A: 1\n\na\r\nb\nc\rd\r\re\n\rf\r\n", "A: 1\r\n",
	    "a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\nf\r\n");
	expect("A: 1\r\rx\r", "A: 1\r\n", "x\r\n");
	expect("A: 1\rB: 2\r\n\rx", "A: 1\r\nB: 2\r\n", "x\r\n");
}

static void
a_lone_dot_ends_it_unless_told_otherwise(void **state)
{
	struct run run = { .ignore_dots = true };

	(void)state;
	expect("A: 1\n\na\n.\nb\n", "A: 1\r\n", "a\r\n");
	expect("A: 1\n\na\r\n.\r\nb\r\n", "A: 1\r\n", "a\r\n");
	expect("A: 1\n\na\n.", "A: 1\r\n", "a\r\n");
	expect(
	    "A: 1\n\n..\n.x\n. \nx.\n", "A: 1\r\n", "..\r\n.x\r\n. \r\nx.\r\n");
	expect("A: 1\n.\nB: 2\n", "A: 1\r\n", "");
	expect(".\n", "", "");
	expect_bytes(
	    &run, "A: 1\n\n.\n.\r\nb", 12, "A: 1\r\n", ".\r\n.\r\nb\r\n");
	expect_bytes(&run, "A: 1\n.\n", 7, "A: 1\r\n", ".\r\n");
}

static void
what_follows_the_dot_is_counted(void **state)
{
	static const size_t chunks[] = { 0, 1, 2, 3, 5 };
	struct run run = { .lines = CONTENT_BREAK };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		run.chunk = chunks[i];
		run_through(&run, "A: 1\r\n\r\na\r\n.\r\n12345\n", 20);
		assert_true(run.content.ended);
		assert_int_equal(run.content.dropped, 6);
		run_release(&run);
		run_through(&run, "A: 1\r\n.\r\n12345", 14);
		assert_true(run.content.ended);
		assert_int_equal(run.content.dropped, 5);
		run_release(&run);
	}
}

static void
nul_is_dropped(void **state)
{
	static const char text[] = "A:\0 1\n\0\n\0a\0\n.\0\nb";
	struct run run = { .lines = CONTENT_BREAK };

	(void)state;
	expect_bytes(&run, text, sizeof(text) - 1, "A: 1\r\n", "a\r\n");
}

static void
counts_tell_of_the_body(void **state)
{
	static const char text[] =
	    "A: \xff\n\nab\rcd\r\n\xc3\xb6\xe2\x82\xac\nlongest line\n\r";
	struct run run = { .lines = CONTENT_BREAK };

	(void)state;
	for (run.chunk = 0; run.chunk < 20; run.chunk++) {
		run_through(&run, text, sizeof(text) - 1);
		assert_true(run.content.has_8bit);
		assert_true(run.content.utf8);
		assert_int_equal(run.content.longest, 12);
		run_release(&run);
		run_through(&run, "A: 1\n\nx\xc3\n\xb6", 10);
		assert_true(run.content.has_8bit);
		assert_false(run.content.utf8);
		run_release(&run);
		run_through(&run, "A: 1\n\nx\xe2\x82", 9);
		assert_false(run.content.utf8);
		run_release(&run);
		run_through(&run, "A: \xc3\n\nx\n", 9);
		assert_false(run.content.has_8bit);
		assert_true(run.content.utf8);
		run_release(&run);
	}
}

/* Each line at most 998 octets, valid UTF-8 where the input was; without the
 * breaks it is the input again. */
static void
check_broken(const struct buf *body, const char *input)
{
	const char *p = body->data;
	size_t len, at = 0;

	while (*p != '\0') {
		len = strcspn(p, "\r");
		assert_true(len <= CONTENT_LINE_MAX);
		assert_true(utf8_valid(p, len));
		assert_memory_equal(p, input + at, len);
		at += len;
		p += len + 2;
		if (input[at] == '\n')
			at++;
		else if (*p != '\0')
			assert_int_equal(*p++, ' ');
	}
	assert_int_equal(input[at], '\0');
}

static void
long_lines_are_broken_between_characters(void **state)
{
	static const size_t lengths[] = { 990, 994, 995, 996, 997, 998, 999,
		1000, 1994, 1995, 1996, 5000, 40000 };
	static const char *const units[] = { "x", "\xc3\xb6", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80" };
	struct run run = { .no_header = true };
	struct buf text;

	(void)state;
	for (size_t l = 0; l < 13; l++)
		for (size_t u = 0; u < 16; u++) {
			buf_init(&text, 1 << 20);
			for (size_t i = 0; i < u / 4; i++)
				buf_addc(&text, 'a');
			while (text.len < lengths[l])
				buf_adds(&text, units[u % 4]);
			buf_adds(&text, "\nshort\n");
			for (run.chunk = 0; run.chunk < 4000;
			     run.chunk += 997) {
				run_through(&run, text.data, text.len);
				check_broken(&run.body, text.data);
				assert_int_equal(
				    run.content.longest, text.len - 7);
				run_release(&run);
			}
			buf_release(&text);
		}
}

/* Without its soft breaks it is what it was, and none is in an escape. */
static void
check_soft(const struct buf *body, const char *text)
{
	const char *line = body->data, *end;
	struct buf joined;

	buf_init(&joined, 1 << 20);
	for (; *line != '\0'; line = end + 2) {
		end = strstr(line, "\r\n");
		assert_true(end - line <= (long)CONTENT_LINE_MAX);
		if (end[-1] == '=') {
			assert_true(end[-2] != '=' && end[-3] != '=');
			assert_true(end - line > 990);
			(void)buf_add(&joined, line, (size_t)(end - line) - 1);
		} else
			(void)buf_add(&joined, line, (size_t)(end - line) + 2);
	}
	assert_string_equal(joined.data, text);
	buf_release(&joined);
}

static void
quoted_printable_gets_soft_breaks(void **state)
{
	struct run run = { .no_header = true, .lines = CONTENT_SOFT };
	char text[3000];

	(void)state;
	for (size_t at = 985; at < 1000; at++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + at, "=C3=B6", 6);
		strlcpy(text + 1990, "\r\nshort\r\n", sizeof(text) - 1990);
		for (run.chunk = 0; run.chunk < 3000; run.chunk += 997) {
			run_through(&run, text, strlen(text));
			check_soft(&run.body, text);
			run_release(&run);
		}
	}
}

static void
a_line_of_998_is_not_broken(void **state)
{
	char text[1200];
	struct run run = { .no_header = true };

	(void)state;
	memset(text, 'x', sizeof(text));
	text[998] = '\n';
	run_through(&run, text, 999);
	assert_int_equal(run.body.len, 1000);
	run_release(&run);
	run_through(&run, text + 999, 201);
	run_release(&run);
	text[998] = 'x';
	text[999] = '\n';
	run_through(&run, text, 1000);
	assert_memory_equal(run.body.data + 998, "\r\n x\r\n", 6);
	run_release(&run);
}

static void
signed_mail_is_left_alone(void **state)
{
	char text[3000];
	struct run run = { .no_header = true, .lines = CONTENT_KEEP };

	(void)state;
	memset(text, 'x', sizeof(text));
	text[2999] = '\n';
	run_through(&run, text, sizeof(text));
	assert_int_equal(run.body.len, 3001);
	assert_int_equal(run.content.longest, 2999);
	run_release(&run);
}

static void
quoted_printable_is_what_mime_says(void **state)
{
	struct run run = { .lines = CONTENT_QUOTE };
	char text[200];

	(void)state;
	expect_bytes(&run, "A: 1\n\na=b\nx \ny\t\n  z\n\xc3\xb6\x01", 23,
	    "A: 1\r\n", "a=3Db\r\nx=20\r\ny=09\r\n  z\r\n=C3=B6=01\r\n");
	expect_bytes(&run, "A: 1\n\nx\n.\ny", 11, "A: 1\r\n", "x\r\n");
	memset(text, 'x', sizeof(text));
	memcpy(text, "A: 1\n\n", 6);
	text[6 + 76] = ' ';
	text[6 + 160] = '\0';
	expect_bytes(&run, text, 166, "A: 1\r\n",
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxx=\r\n"
	    "x xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxx=\r\nxxxxxxxxxx\r\n");
}

static void
the_header_has_a_largest_size(void **state)
{
	size_t len = HEADER_MAX + 100;
	char *text = xmalloc(len);
	struct run run = { .chunk = 16384 };

	(void)state;
	memset(text, 'x', len);
	memcpy(text, "Subject: ", 9);
	run_through(&run, text, len);
	assert_int_equal(run.result, -1);
	assert_int_equal(run.err.exit_code, EX_DATAERR);
	assert_string_equal(run.err.status, "5.6.0");
	run_release(&run);
	for (size_t i = 0; i + 10 < len; i += 10)
		memcpy(text + i, "Subject:x\n", 10);
	run_through(&run, text, len);
	assert_int_equal(run.result, -1);
	run_release(&run);
	/* But a body without header and line end may be of any size. */
	memset(text, 'x', len);
	run_through(&run, text, len);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.content.longest, len);
	run_release(&run);
	free(text);
}

static int
full(void *arg, const char *bytes, size_t len, struct error *err)
{
	(void)arg;
	(void)bytes;
	(void)len;
	return error_set(err, EX_IOERR, "4.3.0", "disk full");
}

static void
a_sink_that_fails_ends_it(void **state)
{
	struct content c;
	struct error err;
	char text[100000];

	(void)state;
	memset(text, 'x', sizeof(text));
	content_init(&c, full, NULL);
	assert_int_equal(content_write(&c, text, sizeof(text), &err), -1);
	assert_string_equal(err.text, "disk full");
	content_release(&c);
}

/* The plain way to say what content does to a body, for comparison. */
static void
expected_body(struct buf *out, const char *text, size_t len)
{
	size_t start = out->len;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')
			continue;
		if (text[i] == '\n' || text[i] == '\r')
			buf_adds(out, "\r\n");
		else if (text[i] != '\0')
			buf_addc(out, text[i]);
	}
	if (out->len > start && out->data[out->len - 1] != '\n')
		buf_adds(out, "\r\n");
}

static void
large_bodies_come_out_alike_on_every_path(void **state)
{
	static const char *const ends[] = { "\n", "\r\n", "\r", "\0\n",
		"\n\r\n" };
	static const size_t end_len[] = { 1, 2, 1, 2, 3 };
	struct run run = { .no_header = true, .ignore_dots = true };
	struct buf text, wanted;
	unsigned seed = 1;

	(void)state;
	for (size_t mix = 1; mix < 32; mix++) {
		buf_init(&text, 1 << 20);
		buf_init(&wanted, 1 << 20);
		while (text.len < 100000) {
			size_t k;

			seed = seed * 1103515245 + 12345;
			for (unsigned n = seed >> 16 & 127; n > 0; n--)
				buf_addc(&text, (char)('!' + (n & 63)));
			k = (seed >> 8 & 255) % 5;
			if (mix >> k & 1)
				buf_add(&text, ends[k], end_len[k]);
		}
		expected_body(&wanted, text.data, text.len);
		run.lines = CONTENT_KEEP;
		for (run.chunk = 0; run.chunk < 70000;
		     run.chunk += 16384 + 257) {
			run_through(&run, text.data, text.len);
			assert_int_equal(run.body.len, wanted.len);
			assert_memory_equal(
			    run.body.data, wanted.data, wanted.len);
			run_release(&run);
		}
		buf_release(&text);
		buf_release(&wanted);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_and_body_are_parted),
		cmocka_unit_test(text_without_header_is_all_body),
		cmocka_unit_test(mbox_lines_are_dropped),
		cmocka_unit_test(all_line_ends_become_crlf),
		cmocka_unit_test(a_lone_dot_ends_it_unless_told_otherwise),
		cmocka_unit_test(what_follows_the_dot_is_counted),
		cmocka_unit_test(nul_is_dropped),
		cmocka_unit_test(counts_tell_of_the_body),
		cmocka_unit_test(long_lines_are_broken_between_characters),
		cmocka_unit_test(quoted_printable_gets_soft_breaks),
		cmocka_unit_test(a_line_of_998_is_not_broken),
		cmocka_unit_test(signed_mail_is_left_alone),
		cmocka_unit_test(quoted_printable_is_what_mime_says),
		cmocka_unit_test(the_header_has_a_largest_size),
		cmocka_unit_test(a_sink_that_fails_ends_it),
		cmocka_unit_test(large_bodies_come_out_alike_on_every_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
