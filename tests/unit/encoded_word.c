#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/xalloc.h"
#include "mail/encoded_word.h"
#include "mail/utf8.h"

static void
expect_text(const char *text, const char *wanted)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	encoded_word_text(&out, text, strlen(text), 9);
	assert_string_equal(out.data, wanted);
	buf_release(&out);
}

static int
hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

static void
decode_q(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '=') {
			buf_addc(out, (char)(hex_digit(text[i + 1]) * 16 +
					     hex_digit(text[i + 2])));
			i += 2;
		} else
			buf_addc(out, text[i] == '_' ? ' ' : text[i]);
	}
}

/* Decode as a reader would, and check what RFC 2047 section 2 asks of each
 * word on the way. */
static void
decode(struct buf *out, const char *text)
{
	const char *word, *charset, *payload, *end;
	struct buf part;

	while ((word = strstr(text, "=?")) != NULL) {
		charset = word + 2;
		payload = strchr(charset, '?') + 3;
		end = strstr(payload, "?=");
		assert_true(end + 2 - word <= (long)ENCODED_WORD_MAX);
		assert_true(end > payload);
		buf_init(&part, 256);
		if (payload[-2] == 'B')
			assert_int_equal(decode_base64(&part, payload,
					     (size_t)(end - payload)),
			    0);
		else
			decode_q(&part, payload, (size_t)(end - payload));
		if (strncmp(charset, "utf-8?", 6) == 0)
			assert_true(utf8_valid(part.data, part.len));
		buf_add(out, part.data, part.len);
		buf_release(&part);
		text = end + 2;
		if (*text != '\0')
			assert_memory_equal(text, "\r\n =?", 5);
	}
	assert_string_equal(text, "");
}

static void
expect_round_trip(const char *text, size_t column)
{
	struct buf out, back;
	size_t line;

	buf_init(&out, 1 << 20);
	buf_init(&back, 1 << 20);
	encoded_word_phrase(&out, text, strlen(text), column);
	for (const char *p = out.data; *p != '\0'; p += line) {
		line = strcspn(p, "\n");
		assert_true(line <= 77);
		line += p[line] == '\n';
	}
	decode(&back, strstr(out.data, "=?"));
	assert_string_equal(back.data, text);
	buf_release(&out);
	buf_release(&back);
}

static void
ascii_stays_as_it_is(void **state)
{
	(void)state;
	expect_text("Hello, world", "Hello, world");
	expect_text(" two  blanks\r\n folded ", " two  blanks\r\n folded ");
	expect_text("", "");
}

static void
only_the_words_that_need_it_are_encoded(void **state)
{
	(void)state;
	expect_text("Die gr\xc3\xb6\xc3\x9f"
		    "te Sache",
	    "Die =?utf-8?B?Z3LDtsOfdGU=?= Sache");
	expect_text("a \xc3\xb6 b \xc3\xbc c", "a =?utf-8?B?w7YgYiDDvA==?= c");
	expect_text("Subject with one \xe2\x82\xac"
		    "uro-sign-and-much-text",
	    "Subject with one =?utf-8?Q?=E2=82=ACuro-sign-and-much-text?=");
}

static void
folds_inside_the_run_are_dropped(void **state)
{
	(void)state;
	expect_text("aaaaaaaaaaaaa\xc3\xb6\r\n bbbbbbbbbbbbbbb\xc3\xb6 c",
	    "=?utf-8?Q?aaaaaaaaaaaaa=C3=B6_bbbbbbbbbbbbbbb=C3=B6?= c");
}

static void
encoded_words_stay_and_blanks_beside_them_are_kept(void **state)
{
	static const char phrase[] = "=?utf-8?Q?=C3=9F?= \xc3\xb6 =?x?q?a,b?=";
	struct buf out;

	(void)state;
	expect_text("=?utf-8?Q?=C3=9F?=  =?utf-8?B?w6Q=?= a",
	    "=?utf-8?Q?=C3=9F?=  =?utf-8?B?w6Q=?= a");
	expect_text(
	    "a =?utf-8?Q?=C3=9F?= \xc3\xb6 b =?utf-8?B?w6Q=?= =?x?q?,?= c",
	    "a =?utf-8?Q?=C3=9F?= =?utf-8?B?IMO2?= b =?utf-8?B?w6Q=?= "
	    "=?x?q?,?= c");
	expect_text("=?utf-8?Q?=C3=9F?=\r\n \xc3\xb6 =?x?q?,?= \xc3\xb6\tx",
	    "=?utf-8?Q?=C3=9F?= =?utf-8?Q?_=C3=B6_?= =?x?q?,?= "
	    "=?utf-8?B?IMO2?=\tx");
	expect_text("=?x?q?a?= b \xc3\xb6 c =?x?q?a?=",
	    "=?x?q?a?= b =?utf-8?B?w7Y=?= c =?x?q?a?=");
	/* What only looks like one is text. */
	expect_text("=?x?q?\xc3\xb6?= =?a?= =?x?q?a?=",
	    "=?utf-8?B?PT94P3E/w7Y/PQ==?= =?a?= =?x?q?a?=");
	buf_init(&out, 1000);
	encoded_word_phrase(&out, phrase, strlen(phrase), 0);
	assert_string_equal(
	    out.data, "=?utf-8?Q?=C3=9F?= =?utf-8?B?IMO2ID0/eD9xP2EsYj89?=");
	buf_release(&out);
}

static void
latin_1_is_told_from_the_unknown(void **state)
{
	(void)state;
	expect_text("M\xfcller-Maier", "=?iso-8859-1?Q?M=FCller-Maier?=");
	expect_text("M\x81ller-Maier", "=?unknown-8bit?Q?M=81ller-Maier?=");
}

static void
controls_do_not_pass(void **state)
{
	(void)state;
	expect_text("aaaaaaaa\x07"
		    "bbb",
	    "=?utf-8?Q?aaaaaaaabbb?=");
	expect_text("\x01\x02", "");
}

static void
specials_are_encoded_for_phrases(void **state)
{
	static const char few[] = "aaaaaaaaaaaaaaaaaa\xc3\xb6 <\"(,?_=";
	static const char many[] =
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xb6 <_?";
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	encoded_word_phrase(&out, few, strlen(few), 0);
	assert_string_equal(
	    out.data, "=?utf-8?B?YWFhYWFhYWFhYWFhYWFhYWFhw7YgPCIoLD9fPQ==?=");
	buf_clear(&out);
	encoded_word_phrase(&out, many, strlen(many), 0);
	assert_string_equal(out.data,
	    "=?utf-8?Q?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=C3=B6_=3C=5F=3F?=");
	buf_release(&out);
}

static void
long_text_is_split_between_characters(void **state)
{
	char text[4000];
	size_t n;

	(void)state;
	for (size_t unit = 1; unit <= 9; unit++)
		for (size_t column = 0; column < 80; column += 3) {
			n = 0;
			while (n < 600) {
				memcpy(text + n, "\xf0\x9f\x98\x80", 4);
				n += 4;
				memset(text + n, 'x', unit * unit);
				n += unit * unit;
				memcpy(text + n, "\xc3\xb6\xe2\x82\xac", 5);
				n += 5;
			}
			text[n] = '\0';
			expect_round_trip(text, column);
		}
}

static void
a_megabyte_is_encoded_in_time(void **state)
{
	size_t len = 1 << 20;
	char *text = xmalloc(len + 1);
	struct buf out;

	(void)state;
	memset(text, '\xff', len);
	buf_init(&out, 8 << 20);
	encoded_word_text(&out, text, len, 9);
	assert_false(out.full);
	assert_true(out.len > len);
	buf_release(&out);
	free(text);
}

static void
utf8_is_judged_strictly(void **state)
{
	static const char *const bad[] = { "\x80", "\xc0\xaf", "\xc1\x81",
		"\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82",
		"\xf0\x9f\x98", "\xc3\x28", "a\xe2\x28\xa1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_valid(bad[i], strlen(bad[i])));
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("a\0b", 3));
	assert_true(utf8_valid("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10));
}

static void
utf8_over_chunks_is_judged_alike(void **state)
{
	static const char text[] =
	    "ab\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80 and plain text after";

	(void)state;
	for (size_t a = 0; a <= sizeof(text) - 1; a++)
		for (size_t b = a; b <= sizeof(text) - 1; b++) {
			struct utf8_state s = { .bad = false };

			utf8_feed(&s, text, a);
			utf8_feed(&s, text + a, b - a);
			assert_int_equal(utf8_end(&s), utf8_valid(text, b));
			utf8_feed(&s, text + b, sizeof(text) - 1 - b);
			assert_true(utf8_end(&s));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ascii_stays_as_it_is),
		cmocka_unit_test(only_the_words_that_need_it_are_encoded),
		cmocka_unit_test(folds_inside_the_run_are_dropped),
		cmocka_unit_test(
		    encoded_words_stay_and_blanks_beside_them_are_kept),
		cmocka_unit_test(latin_1_is_told_from_the_unknown),
		cmocka_unit_test(controls_do_not_pass),
		cmocka_unit_test(specials_are_encoded_for_phrases),
		cmocka_unit_test(long_text_is_split_between_characters),
		cmocka_unit_test(a_megabyte_is_encoded_in_time),
		cmocka_unit_test(utf8_is_judged_strictly),
		cmocka_unit_test(utf8_over_chunks_is_judged_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
