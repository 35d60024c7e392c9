#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/nearest.h"

/* What would be suggested for 'word' among these keys, "" for nothing. */
static const char *
suggest(const char *word)
{
	static const char *const names[] = { "log", "tenant", "client_id",
		"client_secret_file", "senders", "sender", "users", "login",
		"a_name_of_more_than_thirty_two_letters" };
	struct nearest nearest = { .word = word };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		nearest_try(&nearest, names[i]);
	return nearest.name != NULL ? nearest.name : "";
}

static void
slips_of_the_fingers_are_understood(void **state)
{
	(void)state;
	assert_string_equal(suggest("tennant"), "tenant");
	assert_string_equal(suggest("tenent"), "tenant");
	assert_string_equal(suggest("tenan"), "tenant");
	assert_string_equal(suggest("etnant"), "tenant");
	assert_string_equal(suggest("clientid"), "client_id");
	assert_string_equal(suggest("lo"), "log");
	assert_string_equal(suggest("logg"), "log");
}

static void
neighbours_that_changed_places_are_one_slip(void **state)
{
	(void)state;
	assert_string_equal(suggest("lgoin"), "login");
	assert_string_equal(suggest("olgin"), "login");
	assert_string_equal(suggest("logni"), "login");
	assert_string_equal(suggest("olg"), "log");
	assert_string_equal(suggest("lgion"), "");
	assert_string_equal(suggest("gol"), "");
}

static void
other_words_have_no_suggestion(void **state)
{
	(void)state;
	assert_string_equal(suggest(""), "");
	assert_string_equal(suggest("password"), "");
	assert_string_equal(suggest("x"), "");
	assert_string_equal(suggest("abc"), "");
}

static void
nearest_of_two_wins_whatever_their_order(void **state)
{
	(void)state;
	assert_string_equal(suggest("senderss"), "senders");
	assert_string_equal(suggest("sendr"), "sender");
	assert_string_equal(suggest("senders"), "senders");
	assert_string_equal(suggest("sender"), "sender");
}

static void
long_words_are_left_alone(void **state)
{
	char word[5000];

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_string_equal(suggest(word), "");
	word[33] = '\0';
	assert_string_equal(suggest(word), "");
	word[32] = '\0';
	assert_string_equal(suggest(word), "");
	assert_string_equal(
	    suggest("a_name_of_more_than_thirty_two_letters"), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slips_of_the_fingers_are_understood),
		cmocka_unit_test(neighbours_that_changed_places_are_one_slip),
		cmocka_unit_test(other_words_have_no_suggestion),
		cmocka_unit_test(nearest_of_two_wins_whatever_their_order),
		cmocka_unit_test(long_words_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
