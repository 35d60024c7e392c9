#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "queue/entry.h"
#include "queue/schedule.h"

#define NOW 1795495936
#define DAY 86400
#define YEAR (365 * DAY)

static struct error
failure(enum error_class class, unsigned retry_after)
{
	struct error why;

	error_set(&why, EX_TEMPFAIL, "4.4.1", "cannot connect");
	error_class_set(&why, class, retry_after);
	return why;
}

static struct entry
arrived(time_t when)
{
	struct entry e;

	entry_init(&e);
	e.arrived = when;
	return e;
}

static void
delays_double_from_a_minute_to_an_hour(void **state)
{
	static const long delays[] = { 60, 120, 240, 480, 960, 1920, 3600, 3600,
		3600 };
	struct error why = failure(ERROR_RETRY, 0);
	struct entry e = arrived(NOW);

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		schedule_failure(&e, &why, NOW, 0);
		assert_int_equal(e.next - NOW, delays[i]);
		assert_int_equal(e.attempts, i + 1);
		assert_int_equal(e.tried, NOW);
		assert_string_equal(e.why.text, "cannot connect");
	}
	entry_release(&e);
}

static void
the_verdicts_own_delay_goes_first(void **state)
{
	struct error why = failure(ERROR_RETRY, 900);
	struct entry e = arrived(NOW);

	(void)state;
	schedule_failure(&e, &why, NOW, 0);
	assert_int_equal(e.next - NOW, 900);
	schedule_failure(&e, &why, NOW, 0);
	assert_int_equal(e.next - NOW, 1800);
	why.retry_after = 2 * 3600;
	schedule_failure(&e, &why, NOW, 0);
	assert_int_equal(e.next - NOW, 2 * 3600);
	why.retry_after = UINT32_MAX;
	schedule_failure(&e, &why, NOW, UINT32_MAX);
	assert_true(e.next - NOW <= ENTRY_DELAY_MAX);
	entry_release(&e);
}

static void
chance_adds_at_most_an_eighth(void **state)
{
	struct error why = failure(ERROR_RETRY, 0);

	(void)state;
	for (uint32_t random = 0; random < 1000; random++) {
		struct entry e = arrived(NOW);

		schedule_failure(&e, &why, NOW, random * 2654435761u);
		assert_in_range(e.next - NOW, 60, 67);
		entry_release(&e);
	}
}

static void
it_is_given_up_after_its_time_and_twelve_attempts(void **state)
{
	struct entry e = arrived(NOW - 6 * DAY);

	(void)state;
	e.attempts = 11;
	assert_false(schedule_expired(&e, NOW, 5 * DAY));
	e.attempts = 12;
	assert_true(schedule_expired(&e, NOW, 5 * DAY));
	assert_false(schedule_expired(&e, NOW, 7 * DAY));
	entry_release(&e);
}

static void
time_on_hold_does_not_count(void **state)
{
	struct error hold = failure(ERROR_HOLD, 3600);
	struct error retry = failure(ERROR_RETRY, 0);
	struct entry e = arrived(NOW);

	(void)state;
	e.attempts = 20;
	schedule_failure(&e, &hold, NOW + 1 * DAY, 0);
	assert_int_equal(schedule_age(&e, NOW + 4 * DAY), DAY);
	schedule_failure(&e, &retry, NOW + 4 * DAY, 0);
	assert_int_equal(schedule_age(&e, NOW + 5 * DAY), 2 * DAY);
	assert_false(schedule_expired(&e, NOW + 5 * DAY, 5 * DAY));

	schedule_hold(&e, NOW + 5 * DAY);
	assert_int_equal(schedule_age(&e, NOW + 30 * DAY), 2 * DAY);
	assert_false(schedule_expired(&e, NOW + 90 * DAY, 5 * DAY));
	schedule_release(&e, NOW + 30 * DAY);
	assert_int_equal(e.next, NOW + 30 * DAY);
	assert_int_equal(schedule_age(&e, NOW + 31 * DAY), 3 * DAY);
	entry_release(&e);
}

static void
a_clock_that_was_ahead_loses_no_message(void **state)
{
	struct entry e = arrived(NOW + 400 * DAY);

	(void)state;
	e.attempts = 50;
	e.tried = NOW + 500 * DAY;
	e.why = failure(ERROR_HOLD, 0);
	assert_int_equal(schedule_age(&e, NOW), 0);
	assert_false(schedule_expired(&e, NOW, 5 * DAY));
	assert_int_equal(entry_due(NOW + 400 * DAY, NOW), NOW);
	assert_int_equal(entry_due(NOW + 3600, NOW), NOW + 3600);
	entry_release(&e);
}

static void
a_message_grows_old_though_the_clock_was_set(void **state)
{
	struct error why = failure(ERROR_RETRY, 0);
	struct entry e = arrived(NOW + YEAR);

	(void)state;
	/* Back by a year. */
	e.attempts = 50;
	e.tried = NOW + YEAR + 60;
	schedule_failure(&e, &why, NOW, 0);
	assert_int_equal(e.next, NOW + 3600);
	assert_false(schedule_expired(&e, NOW + 5 * DAY - 1, 5 * DAY));
	assert_true(schedule_expired(&e, NOW + 5 * DAY, 5 * DAY));
	/* Forward by a year while it was on hold, and back. */
	e.arrived = e.tried = NOW;
	e.why = failure(ERROR_HOLD, 0);
	schedule_failure(&e, &why, NOW + YEAR, 0);
	assert_int_equal(schedule_age(&e, NOW + YEAR), 0);
	schedule_failure(&e, &why, NOW + DAY, 0);
	assert_int_equal(e.next, NOW + DAY + 3600);
	assert_int_equal(schedule_age(&e, NOW + DAY), 0);
	assert_false(schedule_expired(&e, NOW + 6 * DAY - 1, 5 * DAY));
	assert_true(schedule_expired(&e, NOW + 6 * DAY, 5 * DAY));
	/* Forward by a year: no attempts, no giving up. */
	e = arrived(NOW);
	e.next = NOW + 60;
	assert_int_equal(entry_due(e.next, NOW + YEAR), NOW + 60);
	assert_false(schedule_expired(&e, NOW + YEAR, 5 * DAY));
	entry_release(&e);
}

static void
its_sender_is_told_once_that_it_is_late(void **state)
{
	struct entry e = arrived(NOW);

	(void)state;
	assert_false(schedule_late(&e, NOW + 4 * 3600 - 1));
	assert_true(schedule_late(&e, NOW + 4 * 3600));
	e.warned = true;
	assert_false(schedule_late(&e, NOW + 4 * 3600));
	e.warned = false;
	e.notice = true;
	assert_false(schedule_late(&e, NOW + 4 * 3600));
	entry_release(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_double_from_a_minute_to_an_hour),
		cmocka_unit_test(the_verdicts_own_delay_goes_first),
		cmocka_unit_test(chance_adds_at_most_an_eighth),
		cmocka_unit_test(
		    it_is_given_up_after_its_time_and_twelve_attempts),
		cmocka_unit_test(time_on_hold_does_not_count),
		cmocka_unit_test(a_clock_that_was_ahead_loses_no_message),
		cmocka_unit_test(a_message_grows_old_though_the_clock_was_set),
		cmocka_unit_test(its_sender_is_told_once_that_it_is_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
