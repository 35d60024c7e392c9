#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/record.h"

static int
parse(struct record *r, const char *text, struct error *err)
{
	return record_parse(r, "envelope", text, strlen(text), err);
}

static void
refused(const char *text, size_t len, const char *why)
{
	struct record r;
	struct error err;

	record_init(&r);
	error_clear(&err);
	if (record_parse(&r, "envelope", text, len, &err) != -1)
		fail_msg("taken: %.60s", text);
	assert_int_equal(err.exit_code, EX_SOFTWARE);
	if (strstr(err.text, why) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, why);
	assert_int_equal(r.count, 0);
	assert_null(r.fields);
	record_release(&r);
}

static void
is_refused(const char *text, const char *why)
{
	refused(text, strlen(text), why);
}

static void
fields_come_back_as_they_were_put(void **state)
{
	struct record r;
	struct error err;
	struct buf out;
	long long number;

	(void)state;
	buf_init(&out, 10000);
	record_begin(&out, "envelope");
	record_put(&out, "sender", "alerts@contoso.com");
	record_put(&out, "empty", "");
	record_put(&out, "text", " : leading blank, colon, \xc3\xa4 \xff\t ");
	record_put_number(&out, "low", LLONG_MIN);
	record_put_number(&out, "high", LLONG_MAX);
	assert_false(out.full);
	record_init(&r);
	assert_int_equal(
	    record_parse(&r, "envelope", out.data, out.len, &err), 0);
	assert_int_equal(r.count, 5);
	assert_string_equal(record_get(&r, "sender"), "alerts@contoso.com");
	assert_string_equal(record_get(&r, "empty"), "");
	assert_string_equal(record_get(&r, "text"),
	    " : leading blank, colon, \xc3\xa4 \xff\t ");
	assert_null(record_get(&r, "Sender"));
	assert_null(record_get(&r, "send"));
	assert_int_equal(
	    record_get_number(&r, "low", LLONG_MIN, 0, &number), 0);
	assert_true(number == LLONG_MIN);
	assert_int_equal(
	    record_get_number(&r, "high", 0, LLONG_MAX, &number), 0);
	assert_true(number == LLONG_MAX);
	record_release(&r);
	record_release(&r);
	buf_release(&out);
}

static void
file_looks_as_the_manual_shows_it(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	record_begin(&out, "envelope");
	record_put(&out, "recipient", "a@example.org");
	record_put_number(&out, "tries", -3);
	assert_string_equal(out.data,
	    "outpost-envelope 1\nrecipient: a@example.org\ntries: -3\n");
	buf_release(&out);
}

static void
line_ends_in_values_become_blanks(void **state)
{
	struct record r;
	struct error err;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	record_begin(&out, "envelope");
	record_put(&out, "a", "one\r\nb: two\n");
	record_init(&r);
	assert_int_equal(
	    record_parse(&r, "envelope", out.data, out.len, &err), 0);
	assert_int_equal(r.count, 1);
	assert_string_equal(record_get(&r, "a"), "one  b: two ");
	record_release(&r);
	buf_release(&out);
}

static void
buffer_that_is_too_small_tells(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 25);
	record_begin(&out, "envelope");
	assert_false(out.full);
	record_put(&out, "key", "value that is too long");
	assert_true(out.full);
	buf_release(&out);
}

static void
repeated_keys_stay_in_order_and_the_first_is_got(void **state)
{
	struct record r;
	struct error err;

	(void)state;
	record_init(&r);
	assert_int_equal(
	    parse(&r, "outpost-envelope 1\nto: a\nx: 1\nto: b\n", &err), 0);
	assert_int_equal(r.count, 3);
	assert_string_equal(record_get(&r, "to"), "a");
	assert_string_equal(r.fields[2].key, "to");
	assert_string_equal(r.fields[2].value, "b");
	record_release(&r);
}

static void
record_without_fields_is_one(void **state)
{
	struct record r;
	struct error err;

	(void)state;
	record_init(&r);
	assert_int_equal(parse(&r, "outpost-envelope 1\n", &err), 0);
	assert_int_equal(r.count, 0);
	assert_null(record_get(&r, "x"));
	record_release(&r);
}

static void
other_types_and_versions_are_not_guessed_at(void **state)
{
	(void)state;
	is_refused("outpost-token 1\n", "is not an outpost-envelope record");
	is_refused("outpost-envelopes 1\n", "is not an outpost-envelope");
	is_refused("outpost-envelop 1\n", "is not an outpost-envelope");
	is_refused("Outpost-envelope 1\n", "is not an outpost-envelope");
	is_refused("sender: a\n", "is not an outpost-envelope");
	is_refused("\n", "is not an outpost-envelope");
	is_refused("\noutpost-envelope 1\n", "is not an outpost-envelope");
	is_refused("outpost-envelope 2\nx: y\n", "version");
	is_refused("outpost-envelope 11\n", "version");
	is_refused("outpost-envelope 1 \n", "version");
	is_refused("outpost-envelope \n", "version");
}

static void
lines_that_are_no_field_are_refused_by_number(void **state)
{
	(void)state;
	is_refused("outpost-envelope 1\na: b\nnonsense\n", "line 3");
	is_refused("outpost-envelope 1\n\n", "line 2");
	is_refused("outpost-envelope 1\na:b\n", "line 2: has no blank");
	is_refused("outpost-envelope 1\na:\n", "line 2: has no blank");
	is_refused("outpost-envelope 1\n: b\n", "line 2");
	is_refused("outpost-envelope 1\n a: b\n", "line 2");
	is_refused("outpost-envelope 1\na b: c\n", "line 2");
	is_refused("outpost-envelope 1\n\xc3\xa4: c\n", "line 2");
	is_refused("outpost-envelope 1\na: b\n c\n", "line 3");
}

static void
nul_and_cr_are_refused(void **state)
{
	(void)state;
	refused("outpost-envelope 1\na: b\0c\n", 26, "NUL or CR");
	refused("\0", 1, "cut off");
	refused("outpost-envelope 1\n\0\n", 21, "NUL or CR");
	is_refused("outpost-envelope 1\r\na: b\r\n", "NUL or CR");
	is_refused("outpost-envelope 1\na: b\rc\n", "NUL or CR");
}

static void
cut_off_anywhere_inside_a_line_it_is_refused(void **state)
{
	static const char text[] = "outpost-envelope 1\nsender: a@b.example\n"
				   "recipient: c@d.example\nnote: \n";

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		if (len == 0 || text[len - 1] != '\n')
			refused(text, len, "cut off");
}

static void
key_of_64_bytes_is_taken_and_of_65_refused(void **state)
{
	char text[200], key[100];
	struct record r;
	struct error err;

	(void)state;
	memset(key, 'k', sizeof(key));
	(void)snprintf(text, sizeof(text), "outpost-envelope 1\n%.*s: v\n",
	    (int)RECORD_KEY_MAX, key);
	record_init(&r);
	assert_int_equal(parse(&r, text, &err), 0);
	record_release(&r);
	(void)snprintf(text, sizeof(text), "outpost-envelope 1\n%.*s: v\n",
	    (int)RECORD_KEY_MAX + 1, key);
	is_refused(text, "line 2");
}

static void
number_of_fields_is_capped(void **state)
{
	struct record r;
	struct error err;
	struct buf out;

	(void)state;
	buf_init(&out, RECORD_TEXT_MAX);
	record_begin(&out, "envelope");
	for (size_t i = 0; i < RECORD_FIELDS_MAX; i++)
		record_put(&out, "r", "x");
	record_init(&r);
	assert_int_equal(
	    record_parse(&r, "envelope", out.data, out.len, &err), 0);
	assert_int_equal(r.count, RECORD_FIELDS_MAX);
	record_release(&r);
	record_put(&out, "r", "x");
	refused(out.data, out.len, "one too many");
	buf_release(&out);
}

static void
size_of_the_text_is_capped(void **state)
{
	static const char head[] = "outpost-envelope 1\nlong: ";
	char *text = malloc(RECORD_TEXT_MAX + 1);
	struct record r;
	struct error err;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', RECORD_TEXT_MAX + 1);
	memcpy(text, head, sizeof(head) - 1);
	text[RECORD_TEXT_MAX - 1] = '\n';
	record_init(&r);
	assert_int_equal(
	    record_parse(&r, "envelope", text, RECORD_TEXT_MAX, &err), 0);
	assert_int_equal(strlen(record_get(&r, "long")),
	    RECORD_TEXT_MAX - (sizeof(head) - 1) - 1);
	record_release(&r);
	text[RECORD_TEXT_MAX - 1] = 'x';
	text[RECORD_TEXT_MAX] = '\n';
	refused(text, RECORD_TEXT_MAX + 1, "larger than");
	free(text);
}

static void
numbers_are_numbers_in_their_range(void **state)
{
	struct record r;
	struct error err;
	long long number = 42;

	(void)state;
	record_init(&r);
	assert_int_equal(
	    parse(&r,
		"outpost-envelope 1\nfive: 5\nneg: -5\nempty: \nhex: 0x5\n"
		"tail: 5x\nhuge: 99999999999999999999\nfloat: 5.0\n",
		&err),
	    0);
	assert_int_equal(record_get_number(&r, "five", 6, 9, &number), -1);
	assert_int_equal(record_get_number(&r, "five", 1, 4, &number), -1);
	assert_int_equal(record_get_number(&r, "neg", 0, 9, &number), -1);
	assert_int_equal(record_get_number(&r, "empty", 0, 9, &number), -1);
	assert_int_equal(record_get_number(&r, "hex", 0, 9, &number), -1);
	assert_int_equal(record_get_number(&r, "tail", 0, 9, &number), -1);
	assert_int_equal(record_get_number(&r, "float", 0, 9, &number), -1);
	assert_int_equal(
	    record_get_number(&r, "huge", 0, LLONG_MAX, &number), -1);
	assert_int_equal(record_get_number(&r, "none", 0, 9, &number), -1);
	assert_int_equal(number, 42);
	assert_int_equal(record_get_number(&r, "five", 5, 5, &number), 0);
	assert_int_equal(number, 5);
	assert_int_equal(record_get_number(&r, "neg", -5, 0, &number), 0);
	assert_int_equal(number, -5);
	record_release(&r);
}

/* Through a record and back. */
static int
round_trip(const struct error *in, struct error *out)
{
	struct record r;
	struct error err;
	struct buf text;
	int result;

	buf_init(&text, 10000);
	record_begin(&text, "envelope");
	record_put_error(&text, in);
	record_init(&r);
	assert_int_equal(
	    record_parse(&r, "envelope", text.data, text.len, &err), 0);
	result = record_get_error(&r, out);
	record_release(&r);
	buf_release(&text);
	return result;
}

static void
errors_come_back_whole(void **state)
{
	struct error in, out;

	(void)state;
	for (int class = ERROR_RETRY; class <= ERROR_REFUSED; class ++) {
		error_set(&in, EX_TEMPFAIL, "5.7.139", "server said '%s'",
		    "535 \xc3\xa4: b");
		error_hint(&in, "see 100%%s: %s", "https://aka.ms/x?a=b");
		error_class_set(&in, (enum error_class) class, UINT_MAX);
		in.retry_cap = 4711;
		in.uncertain = class % 2 == 0;
		in.reply = 535;
		assert_int_equal(round_trip(&in, &out), 0);
		assert_int_equal(out.exit_code, EX_TEMPFAIL);
		assert_int_equal(out.class, class);
		assert_int_equal(out.retry_after, UINT_MAX);
		assert_int_equal(out.retry_cap, 4711);
		assert_int_equal(out.uncertain, in.uncertain);
		assert_int_equal(out.reply, 535);
		assert_string_equal(out.status, in.status);
		assert_string_equal(out.text, in.text);
		assert_string_equal(out.hint, in.hint);
	}
}

static void
empty_error_comes_back_empty(void **state)
{
	struct error in, out;

	(void)state;
	error_clear(&in);
	assert_int_equal(round_trip(&in, &out), 0);
	assert_int_equal(out.class, ERROR_NONE);
	assert_int_equal(out.exit_code, 0);
	assert_string_equal(out.status, "");
	assert_string_equal(out.text, "");
	assert_string_equal(out.hint, "");
}

static void
longest_error_comes_back_whole(void **state)
{
	char huge[ERROR_TEXT_SIZE * 2];
	struct error in, out;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	error_set(&in, 255, "5.999.999", "%s", huge);
	error_hint(&in, "%s", huge);
	assert_int_equal(round_trip(&in, &out), 0);
	assert_string_equal(out.text, in.text);
	assert_string_equal(out.hint, in.hint);
	assert_string_equal(out.status, "5.999.999");
	assert_int_equal(out.exit_code, 255);
}

static void
half_an_error_is_none(void **state)
{
	static const char *const halves[] = {
		"outpost-envelope 1\nexit: 75\ntext: x\n",
		"outpost-envelope 1\nclass: retry\ntext: x\n",
		"outpost-envelope 1\nclass: retry\nexit: 75\n",
		"outpost-envelope 1\nclass: maybe\nexit: 75\ntext: x\n",
		"outpost-envelope 1\nclass: retry\nexit: 256\ntext: x\n",
		"outpost-envelope 1\nclass: retry\nexit: -1\ntext: x\n",
		"outpost-envelope 1\nclass: retry\nexit: 0\ntext: x\n",
		"outpost-envelope 1\nclass: sent\nexit: 75\ntext: x\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
		struct error err, out = { .exit_code = 42 };
		struct record r;

		record_init(&r);
		assert_int_equal(parse(&r, halves[i], &err), 0);
		assert_int_equal(record_get_error(&r, &out), -1);
		assert_int_equal(out.exit_code, 42);
		record_release(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_come_back_as_they_were_put),
		cmocka_unit_test(file_looks_as_the_manual_shows_it),
		cmocka_unit_test(line_ends_in_values_become_blanks),
		cmocka_unit_test(buffer_that_is_too_small_tells),
		cmocka_unit_test(
		    repeated_keys_stay_in_order_and_the_first_is_got),
		cmocka_unit_test(record_without_fields_is_one),
		cmocka_unit_test(other_types_and_versions_are_not_guessed_at),
		cmocka_unit_test(lines_that_are_no_field_are_refused_by_number),
		cmocka_unit_test(nul_and_cr_are_refused),
		cmocka_unit_test(cut_off_anywhere_inside_a_line_it_is_refused),
		cmocka_unit_test(key_of_64_bytes_is_taken_and_of_65_refused),
		cmocka_unit_test(number_of_fields_is_capped),
		cmocka_unit_test(size_of_the_text_is_capped),
		cmocka_unit_test(numbers_are_numbers_in_their_range),
		cmocka_unit_test(errors_come_back_whole),
		cmocka_unit_test(empty_error_comes_back_empty),
		cmocka_unit_test(longest_error_comes_back_whole),
		cmocka_unit_test(half_an_error_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
