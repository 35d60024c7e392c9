#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/id.h"

static void
names_sort_by_time(void **state)
{
	char earlier[ID_SIZE], later[ID_SIZE];
	struct timespec a = { 1795495936, 999999000 };
	struct timespec b = { 1795495937, 0 };

	(void)state;
	id_make(earlier, &a, UINT32_MAX, 3);
	id_make(later, &b, 0, 0);
	assert_true(strcmp(earlier, later) < 0);
}

static void
two_of_one_microsecond_differ(void **state)
{
	char one[ID_SIZE], two[ID_SIZE];
	struct timespec now = { 1795495936, 5 };

	(void)state;
	id_make(one, &now, 0, 1);
	id_make(two, &now, 0, 2);
	assert_string_not_equal(one, two);
}

static void
names_are_letters_and_digits_of_one_length(void **state)
{
	static const struct timespec times[] = { { 0, 0 }, { 1, 999999999 },
		{ 4102444800, 1 } };
	char name[ID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		id_make(name, &times[i], UINT32_MAX, UINT32_MAX);
		assert_int_equal(strlen(name), ID_SIZE - 1);
		assert_int_equal(strspn(name, "0123456789BCDFGHJKLMNPQRSTVWXYZ"
					      "bcdfghjklmnpqrstvwxyz"),
		    ID_SIZE - 1);
		assert_true(id_valid(name));
	}
}

static void
a_name_tells_when_and_from_whom(void **state)
{
	static const uid_t users[] = { 0, 1, 65534, UINT32_MAX };
	struct timespec now = { 1795495936, 999999999 };
	char name[ID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		id_make(name, &now, users[i], (uint32_t)i);
		assert_int_equal(id_time(name), now.tv_sec);
		assert_int_equal(id_uid(name), users[i]);
	}
}

static void
other_words_are_no_names(void **state)
{
	static const char *const words[] = { "", "ALL", "../active/x",
		"a@example.org", "0123456789BCDFG", "0123456789BCDFGHJ",
		"0123456789ABCDFG", "0123456789BCDF.G" };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_false(id_valid(words[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_sort_by_time),
		cmocka_unit_test(two_of_one_microsecond_differ),
		cmocka_unit_test(names_are_letters_and_digits_of_one_length),
		cmocka_unit_test(a_name_tells_when_and_from_whom),
		cmocka_unit_test(other_words_are_no_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
