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
	id_make(earlier, &a, UINT32_MAX);
	id_make(later, &b, 0);
	assert_true(strcmp(earlier, later) < 0);
}

static void
two_of_one_microsecond_differ(void **state)
{
	char one[ID_SIZE], two[ID_SIZE];
	struct timespec now = { 1795495936, 5 };

	(void)state;
	id_make(one, &now, 1);
	id_make(two, &now, 2);
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
		id_make(name, &times[i], UINT32_MAX);
		assert_int_equal(strlen(name), ID_SIZE - 1);
		assert_int_equal(
		    strspn(name, "0123456789BCDFGHJKLMNPQRSTVWXYZ"),
		    ID_SIZE - 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_sort_by_time),
		cmocka_unit_test(two_of_one_microsecond_differ),
		cmocka_unit_test(names_are_letters_and_digits_of_one_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
