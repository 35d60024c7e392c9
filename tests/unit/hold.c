#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "queue/hold.h"
#include "tests/unit/state_folder.h"

#define NOW ((time_t)1800000000)
#define YEAR ((time_t)365 * 86400)

static struct error
reason(unsigned retry_after, unsigned retry_cap)
{
	struct error why;

	error_set(&why, EX_CONFIG, "5.7.139", "SMTP AUTH is switched off");
	error_hint(&why, "switch it on");
	error_class_set(&why, ERROR_HOLD, retry_after);
	why.retry_cap = retry_cap;
	return why;
}

static void
place(unsigned retry_after, unsigned retry_cap, time_t now)
{
	struct error why = reason(retry_after, retry_cap);

	hold_place(&config, &account, HOLD_FROM_MESSAGE, "ABC", &why, now);
}

static bool
held(struct hold *hold, time_t now)
{
	return hold_read(&config, &account, now, hold) == 0;
}

static void
a_hold_is_there_until_it_is_lifted(void **state)
{
	struct hold hold;

	(void)state;
	assert_false(held(&hold, NOW));
	assert_false(hold_lift(&config, &account));
	place(0, 0, NOW);
	assert_true(held(&hold, NOW + 5));
	assert_int_equal(hold.since, NOW);
	assert_int_equal(hold.source, HOLD_FROM_MESSAGE);
	assert_string_equal(hold.id, "ABC");
	assert_string_equal(hold.why.text, "SMTP AUTH is switched off");
	assert_string_equal(hold.why.hint, "switch it on");
	assert_true(hold_lift(&config, &account));
	assert_false(held(&hold, NOW + 5));
}

static void
probes_come_less_and_less_often_up_to_the_cap(void **state)
{
	time_t now = NOW, last = NOW;
	long long gaps[5];

	(void)state;
	place(900, 3600, NOW);
	for (int i = 0; i < 5; last = now, i++) {
		while (!hold_claim_probe(&config, &account, now))
			now += 60;
		gaps[i] = now - last;
	}
	assert_int_equal(gaps[0], 900);
	assert_int_equal(gaps[1], 1800);
	assert_int_equal(gaps[2], 3600);
	assert_int_equal(gaps[3], 3600);
	assert_int_equal(gaps[4], 3600);
}

static void
a_failed_probe_keeps_the_interval_and_tells_the_last_reason(void **state)
{
	struct error why = reason(900, 3600);
	struct hold hold;

	(void)state;
	place(900, 3600, NOW);
	assert_true(hold_claim_probe(&config, &account, NOW + 900));
	error_set(&why, EX_NOPERM, "5.7.3", "other words");
	hold_place(&config, &account, HOLD_FROM_LOGIN, NULL, &why, NOW + 901);
	assert_true(held(&hold, NOW + 902));
	assert_int_equal(hold.since, NOW);
	assert_int_equal(hold.interval, 1800);
	assert_int_equal(hold.source, HOLD_FROM_LOGIN);
	assert_string_equal(hold.id, "");
	assert_string_equal(hold.why.text, "other words");
	assert_false(hold_claim_probe(&config, &account, NOW + 902));
}

static void
one_of_many_processes_probes(void **state)
{
	int probes = 0;

	(void)state;
	place(900, 3600, NOW);
	for (int i = 0; i < 20; i++)
		if (fork() == 0)
			_exit(hold_claim_probe(&config, &account, NOW + 900));
	for (int i = 0; i < 20; i++) {
		int status;

		assert_true(wait(&status) > 0);
		probes += WEXITSTATUS(status);
	}
	assert_int_equal(probes, 1);
}

static void
without_a_hold_there_is_nothing_to_probe(void **state)
{
	(void)state;
	assert_false(hold_claim_probe(&config, &account, NOW));
}

static void
a_clock_that_is_set_does_not_keep_it_from_probing(void **state)
{
	struct hold hold;

	(void)state;
	place(900, 3600, NOW);
	assert_true(held(&hold, NOW - YEAR));
	assert_int_equal(hold.since, NOW - YEAR);
	assert_int_equal(hold.refused, NOW - YEAR);
	assert_true(hold_claim_probe(&config, &account, NOW - YEAR));
	assert_false(hold_claim_probe(&config, &account, NOW - YEAR + 1));
	assert_true(held(&hold, NOW - YEAR + 1));
	assert_int_equal(hold.next_probe, NOW - YEAR + 1800);
	assert_int_equal(hold.refused, NOW - YEAR);
	/* Forward again. */
	assert_true(hold_claim_probe(&config, &account, NOW + YEAR));
	assert_true(held(&hold, NOW + YEAR));
	assert_int_equal(hold.next_probe, NOW + YEAR + 3600);
}

static void
a_damaged_file_is_no_hold(void **state)
{
	struct hold hold;
	FILE *file;

	(void)state;
	place(900, 3600, NOW);
	file = fopen(state_file("hold"), "w");
	assert_non_null(file);
	fputs("outpost-hold 1\nsource: nonsense\n", file);
	fclose(file);
	assert_false(held(&hold, NOW));
}

static void
what_another_process_works_on_is_left_as_it_is(void **state)
{
	struct error why = reason(900, 3600);
	struct hold hold;

	(void)state;
	place(900, 3600, NOW);
	/* Nobody gets a lock on that. */
	assert_int_equal(unlink(state_file("hold-lock")), 0);
	assert_int_equal(mkdir(state_file("hold-lock"), 0700), 0);
	assert_false(hold_lift(&config, &account));
	assert_false(hold_claim_probe(&config, &account, NOW + 900));
	hold_place(&config, &account, HOLD_FROM_LOGIN, NULL, &why, NOW + 900);
	assert_true(held(&hold, NOW + 900));
	assert_int_equal(hold.refused, NOW);
	assert_int_equal(hold.source, HOLD_FROM_MESSAGE);
	assert_int_equal(rmdir(state_file("hold-lock")), 0);
	assert_true(hold_lift(&config, &account));
	assert_false(held(&hold, NOW + 900));
}

static void
a_pause_ends_by_itself(void **state)
{
	struct error why = reason(0, 0), read;

	(void)state;
	assert_int_equal(hold_paused(&config, &account, NOW, &read), -1);
	hold_pause(&config, &account, &why, NOW);
	assert_int_equal(hold_paused(&config, &account, NOW + 20, &read), 0);
	assert_int_equal(read.retry_after, 40);
	assert_string_equal(read.text, why.text);
	assert_int_equal(hold_paused(&config, &account, NOW + 60, &read), -1);
	/* Of a clock that was ahead. */
	assert_int_equal(hold_paused(&config, &account, NOW - 1, &read), -1);
	assert_int_equal(hold_paused(&config, &account, NOW - YEAR, &read), -1);
	assert_int_equal(hold_paused(&config, &account, NOW + YEAR, &read), -1);
	hold_resume(&config, &account);
	assert_int_equal(hold_paused(&config, &account, NOW + 20, &read), -1);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, make_state, remove_state)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hold_is_there_until_it_is_lifted),
		TEST(probes_come_less_and_less_often_up_to_the_cap),
		TEST(
		    a_failed_probe_keeps_the_interval_and_tells_the_last_reason),
		TEST(one_of_many_processes_probes),
		TEST(without_a_hold_there_is_nothing_to_probe),
		TEST(a_clock_that_is_set_does_not_keep_it_from_probing),
		TEST(a_damaged_file_is_no_hold),
		TEST(what_another_process_works_on_is_left_as_it_is),
		TEST(a_pause_ends_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
