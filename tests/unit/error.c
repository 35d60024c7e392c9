#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/error.h"

static void
every_setter_returns_minus_one(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, EX_CONFIG, "5.3.5", "a"), -1);
	assert_int_equal(error_hint(&err, "b"), -1);
	assert_int_equal(error_class_set(&err, ERROR_HOLD, 7), -1);
	assert_int_equal(error_prefix(&err, "c"), -1);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_string_equal(err.status, "5.3.5");
	assert_string_equal(err.text, "c: a");
	assert_string_equal(err.hint, "b");
	assert_int_equal(err.class, ERROR_HOLD);
	assert_int_equal(err.retry_after, 7);
}

static void
nobody_need_take_the_error(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, EX_CONFIG, "5.3.5", "a"), -1);
	assert_int_equal(error_hint(NULL, "b"), -1);
	assert_int_equal(error_class_set(NULL, ERROR_HOLD, 7), -1);
	assert_int_equal(error_prefix(NULL, "c"), -1);
}

static void
class_follows_from_the_status(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, EX_TEMPFAIL, "4.4.1", "x");
	assert_int_equal(err.class, ERROR_RETRY);
	error_set(&err, EX_TEMPFAIL, "5.4.1", "x");
	assert_int_equal(err.class, ERROR_REFUSED);
	error_set(&err, EX_TEMPFAIL, "", "x");
	assert_int_equal(err.class, ERROR_REFUSED);
	assert_string_equal(err.status, "");
}

static void
new_error_forgets_all_of_the_old_one(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, EX_CONFIG, "5.3.5", "old");
	error_hint(&err, "old hint");
	error_class_set(&err, ERROR_HOLD, 99);
	err.uncertain = true;
	error_set(&err, EX_TEMPFAIL, "4.4.1", "new");
	assert_string_equal(err.hint, "");
	assert_int_equal(err.retry_after, 0);
	assert_false(err.uncertain);
	assert_int_equal(err.class, ERROR_RETRY);
	error_clear(&err);
	assert_int_equal(err.class, ERROR_NONE);
	assert_int_equal(err.exit_code, 0);
	assert_string_equal(err.text, "");
}

static void
old_contents_may_be_arguments_of_the_new(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, EX_TEMPFAIL, "4.4.1", "inner");
	error_hint(&err, "advice");
	error_set(&err, err.exit_code, err.status, "outer: %s", err.text);
	assert_string_equal(err.text, "outer: inner");
	assert_string_equal(err.status, "4.4.1");
	assert_int_equal(err.class, ERROR_RETRY);
	error_hint(&err, "one");
	error_hint(&err, "%s and two", err.hint);
	assert_string_equal(err.hint, "one and two");
	error_prefix(&err, "%s", err.text);
	assert_string_equal(err.text, "outer: inner: outer: inner");
}

static void
control_characters_become_blanks(void **state)
{
	static const char outside[] = "a\033[31mb\r\nc\td\x7f"
				      "e\xc2\x9b"
				      "f\1";
	static const char cleaned[] = "a [31mb  c d e  f ";
	struct error err;

	(void)state;
	error_set(&err, EX_NOHOST, "5.0.0", "%s", outside);
	assert_string_equal(err.text, cleaned);
	error_hint(&err, "%s", outside);
	assert_string_equal(err.hint, cleaned);
	error_set(&err, EX_NOHOST, "5.0.0", "x");
	error_prefix(&err, "%s", outside);
	assert_string_equal(err.text, "a [31mb  c d e  f : x");
}

static void
utf8_stays(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, EX_NOUSER, "5.1.1",
	    "no user 'j\xc3\xb6rg\xe2\x82\xac"
	    "\xf0\x9f\x93\xa7\xc2\xa0' \xff\xfe");
	assert_string_equal(err.text, "no user 'j\xc3\xb6rg\xe2\x82\xac"
				      "\xf0\x9f\x93\xa7\xc2\xa0' \xff\xfe");
}

/* Is the end of 'text' a whole character of 'character'? */
static void
ends_whole(const char *text, size_t size, const char *character)
{
	size_t len = strlen(text), width = strlen(character);

	assert_true(len < size);
	assert_true(len + width >= size);
	assert_memory_equal(text + len - width, character, width);
}

static void
long_texts_are_cut_between_characters(void **state)
{
	static const char *const characters[] = { "a", "\xc3\xa4",
		"\xe2\x82\xac", "\xf0\x9f\x93\xa7" };
	char huge[5000];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t shift = 0; shift < 4; shift++) {
			size_t width = strlen(characters[i]), at = shift;
			struct error err;

			memset(huge, '-', shift);
			for (; at + width < sizeof(huge); at += width)
				memcpy(huge + at, characters[i], width);
			huge[at] = '\0';
			error_set(&err, EX_DATAERR, "5.0.0", "%s", huge);
			ends_whole(err.text, ERROR_TEXT_SIZE, characters[i]);
			error_hint(&err, "%s", huge);
			ends_whole(err.hint, ERROR_HINT_SIZE, characters[i]);
			error_prefix(&err, "%s", "p");
			ends_whole(err.text, ERROR_TEXT_SIZE, characters[i]);
			assert_memory_equal(err.text, "p: ", 3);
			error_prefix(&err, "%s", huge);
		}
}

static void
garbage_of_continuation_bytes_is_not_swallowed(void **state)
{
	char garbage[3000];
	struct error err;

	(void)state;
	memset(garbage, 0x80, sizeof(garbage) - 1);
	garbage[sizeof(garbage) - 1] = '\0';
	error_set(&err, EX_DATAERR, "5.0.0", "server said %s", garbage);
	assert_int_equal(strlen(err.text), ERROR_TEXT_SIZE - 1);
	assert_memory_equal(err.text, "server said \x80", 13);
}

static void
classes_have_names_and_back(void **state)
{
	static const char *const names[] = { "sent", "retry", "throttled",
		"hold", "refused" };
	enum error_class class;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_string_equal(
		    error_class_name((enum error_class)i), names[i]);
		assert_int_equal(error_class_parse(names[i], &class), 0);
		assert_int_equal(class, i);
	}
	class = ERROR_HOLD;
	assert_int_equal(error_class_parse("", &class), -1);
	assert_int_equal(error_class_parse("RETRY", &class), -1);
	assert_int_equal(error_class_parse("retry ", &class), -1);
	assert_int_equal(class, ERROR_HOLD);
	assert_string_equal(error_class_name((enum error_class)99), "unknown");
}

static void
name_in_a_text_is_only_text_and_is_cut(void **state)
{
	static const char text[] = "a '%s' b '%s' 100 %d";
	char out[128];

	(void)state;
	error_fill(out, sizeof(out), text, "%n%s@x");
	assert_string_equal(out, "a '%n%s@x' b '%n%s@x' 100 %d");
	for (size_t size = 1; size <= strlen(out) + 1; size++) {
		char cut[sizeof(out)];

		assert_ptr_equal(error_fill(cut, size, text, "%n%s@x"), cut);
		assert_int_equal(strlen(cut), size - 1);
		assert_memory_equal(cut, out, strlen(cut));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setter_returns_minus_one),
		cmocka_unit_test(nobody_need_take_the_error),
		cmocka_unit_test(class_follows_from_the_status),
		cmocka_unit_test(new_error_forgets_all_of_the_old_one),
		cmocka_unit_test(old_contents_may_be_arguments_of_the_new),
		cmocka_unit_test(control_characters_become_blanks),
		cmocka_unit_test(utf8_stays),
		cmocka_unit_test(long_texts_are_cut_between_characters),
		cmocka_unit_test(
		    garbage_of_continuation_bytes_is_not_swallowed),
		cmocka_unit_test(name_in_a_text_is_only_text_and_is_cut),
		cmocka_unit_test(classes_have_names_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
