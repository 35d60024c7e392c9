#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "queue/rate.h"

#define MINUTE 60000LL
#define HOUR (60 * MINUTE)
#define YEAR (365 * 24 * HOUR)
#define NOW 1800000000000LL

static struct rate rate;

static int
start(void **state)
{
	(void)state;
	rate_init(&rate);
	return 0;
}

static void
send_at(long long at)
{
	rate_add(&rate, at);
}

static void
an_empty_ledger_lets_a_message_go_at_once(void **state)
{
	(void)state;
	assert_int_equal(rate_earliest(&rate, 30, MINUTE, NOW, RATE_ALL), NOW);
}

static void
no_window_holds_more_than_the_limit(void **state)
{
	long long sent[200];
	size_t n = 0;

	(void)state;
	for (long long now = NOW; n < 200; n++) {
		now = rate_earliest(&rate, 30, MINUTE, now, RATE_ALL);
		send_at(now);
		sent[n] = now;
		if (n >= 30)
			assert_true(sent[n] - sent[n - 30] >= MINUTE);
		now += n % 7 * 100;
	}
}

static void
the_next_goes_the_moment_the_window_lets_it(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		send_at(NOW + i * 100);
	assert_int_equal(rate_earliest(&rate, 30, MINUTE, NOW + 3000, RATE_ALL),
	    NOW + MINUTE);
	assert_int_equal(
	    rate_earliest(&rate, 30, MINUTE, NOW + MINUTE + 5, RATE_ALL),
	    NOW + MINUTE + 5);
}

static void
reserved_places_count_until_the_horizon(void **state)
{
	(void)state;
	send_at(NOW + 5000);
	send_at(NOW - 1000);
	assert_int_equal(rate_earliest(&rate, 2, MINUTE, NOW, RATE_ALL),
	    NOW - 1000 + MINUTE);
	assert_int_equal(rate_earliest(&rate, 2, MINUTE, NOW, NOW), NOW);
	assert_int_equal(rate_count(&rate, NOW), 1);
	assert_int_equal(rate_count(&rate, NOW - MINUTE), 2);
}

static void
a_place_given_back_is_free(void **state)
{
	(void)state;
	send_at(NOW);
	send_at(NOW);
	rate_remove(&rate, NOW);
	assert_int_equal(rate_count(&rate, 0), 1);
	rate_remove(&rate, NOW + 1);
	assert_int_equal(rate_count(&rate, 0), 1);
	rate_remove(&rate, NOW);
	rate_remove(&rate, NOW);
	assert_int_equal(rate_count(&rate, 0), 0);
}

static void
old_times_make_room(void **state)
{
	(void)state;
	for (size_t i = 0; i < RATE_TIMES_MAX + 10; i++)
		send_at(NOW + (long long)i);
	assert_int_equal(rate.count, RATE_TIMES_MAX);
	assert_int_equal(rate.times[0], NOW + RATE_TIMES_MAX + 9);
	/* Older than all that is kept: nothing to remember. */
	send_at(NOW - 1);
	assert_int_equal(rate.times[RATE_TIMES_MAX - 1], NOW + 10);
}

static void
a_filled_ledger_is_full_for_one_window(void **state)
{
	(void)state;
	rate_fill(&rate, 30, NOW);
	assert_int_equal(
	    rate_earliest(&rate, 30, MINUTE, NOW, RATE_ALL), NOW + MINUTE);
}

static void
the_day_counts_recipients_of_24_hours(void **state)
{
	(void)state;
	rate_day_add(&rate, 4000, NOW);
	rate_day_add(&rate, 500, NOW + 3 * HOUR);
	assert_int_equal(rate_day(&rate, NOW + 3 * HOUR), 4500);
	assert_int_equal(rate_day(&rate, NOW + 23 * HOUR), 4500);
	assert_int_equal(rate_day(&rate, NOW + 26 * HOUR), 500);
	assert_int_equal(rate_day(&rate, NOW + 60 * HOUR), 0);
	rate_day_add(&rate, 1, NOW + 60 * HOUR);
	assert_int_equal(rate_day(&rate, NOW + 60 * HOUR), 1);
}

static void
a_full_day_waits_for_the_hour_that_frees_enough(void **state)
{
	long long at;

	(void)state;
	rate_day_add(&rate, 600, NOW);
	rate_day_add(&rate, 300, NOW + HOUR);
	assert_int_equal(
	    rate_day_earliest(&rate, 1000, 100, NOW + HOUR), NOW + HOUR);
	at = rate_day_earliest(&rate, 1000, 101, NOW + HOUR);
	assert_true(at > NOW + 24 * HOUR && at <= NOW + 25 * HOUR);
	assert_true(rate_day(&rate, at - 1) + 101 > 1000);
	assert_true(rate_day(&rate, at) + 101 <= 1000);
	at = rate_day_earliest(&rate, 1000, 800, NOW + HOUR);
	assert_true(at > NOW + 25 * HOUR && at <= NOW + 26 * HOUR);
}

static void
more_than_a_day_allows_goes_on_an_empty_day(void **state)
{
	(void)state;
	assert_int_equal(rate_day_earliest(&rate, 10, 50, NOW), NOW);
	rate_day_add(&rate, 1, NOW);
	assert_true(rate_day_earliest(&rate, 10, 50, NOW) > NOW);
}

static void
a_clock_set_back_keeps_the_day(void **state)
{
	(void)state;
	rate_day_add(&rate, 7, NOW);
	assert_int_equal(rate_day(&rate, NOW - 48 * HOUR), 7);
	rate_day_add(&rate, 1, NOW - 48 * HOUR);
	assert_int_equal(rate_day(&rate, NOW - 48 * HOUR), 8);
	assert_int_equal(rate_day(&rate, NOW - 20 * HOUR), 0);
}

static void
format(struct buf *out, size_t messages)
{
	buf_init(out, RATE_TEXT_MAX);
	rate_format(&rate, messages, out);
	assert_false(out->full);
}

static void
the_text_has_one_size_and_reads_back(void **state)
{
	struct rate read;
	struct buf empty, full;
	struct error err;

	(void)state;
	format(&empty, 30);
	for (int i = 0; i < 100; i++)
		send_at(NOW + i);
	rate_day_add(&rate, 12345, NOW);
	format(&full, 30);
	assert_int_equal(empty.len, full.len);
	assert_true(full.len < 4096);
	assert_int_equal(
	    rate_parse(&read, full.data, full.len, NOW, MINUTE, &err), 0);
	assert_int_equal(read.count, 60);
	assert_int_equal(read.times[0], NOW + 99);
	assert_int_equal(read.times[59], NOW + 40);
	assert_int_equal(rate_day(&read, NOW), 12345);
	buf_release(&empty);
	buf_release(&full);
	format(&full, RATE_MESSAGES_MAX);
	buf_release(&full);
}

static void
times_far_ahead_count_as_now(void **state)
{
	struct rate read;
	struct buf text;
	struct error err;

	(void)state;
	send_at(NOW + 3600 * 1000);
	send_at(NOW + MINUTE);
	format(&text, 30);
	assert_int_equal(
	    rate_parse(&read, text.data, text.len, NOW, MINUTE, &err), 0);
	assert_int_equal(read.times[0], NOW + MINUTE);
	assert_int_equal(read.times[1], NOW);
	buf_release(&text);
}

/* As the next process reads it. */
static void
read_at(long long now)
{
	struct buf text;
	struct error err;

	format(&text, 2);
	assert_int_equal(
	    rate_parse(&rate, text.data, text.len, now, MINUTE, &err), 0);
	buf_release(&text);
}

static void
a_full_day_ends_though_the_clock_was_set(void **state)
{
	(void)state;
	rate_day_add(&rate, 10000, NOW + YEAR);
	read_at(NOW);
	assert_true(rate.mended);
	assert_int_equal(rate_day(&rate, NOW), 10000);
	assert_in_range(
	    rate_day_earliest(&rate, 10000, 1, NOW), NOW, NOW + 25 * HOUR);
	read_at(NOW + 25 * HOUR);
	assert_false(rate.mended);
	assert_int_equal(rate_day(&rate, NOW + 25 * HOUR), 0);
	/* Forward by a year. */
	rate_day_add(&rate, 10000, NOW);
	read_at(NOW + YEAR);
	assert_int_equal(rate_day(&rate, NOW + YEAR), 0);
	assert_int_equal(
	    rate_day_earliest(&rate, 10000, 1, NOW + YEAR), NOW + YEAR);
}

static void
damaged_text_is_refused_and_changes_nothing(void **state)
{
	static const char *const edits[] = { "time: -1", "time: x", "other: 1",
		"recipients: 1", "hour: -3" };
	struct rate read;
	struct buf text;
	struct error err;

	(void)state;
	rate_init(&read);
	rate_add(&read, 5);
	format(&text, 2);
	for (size_t cut = 0; cut < text.len; cut++)
		(void)rate_parse(&read, text.data, cut, NOW, MINUTE, &err);
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct buf edited;

		buf_init(&edited, RATE_TEXT_MAX);
		buf_addf(&edited, "%s%s\n", text.data, edits[i]);
		assert_int_equal(rate_parse(&read, edited.data, edited.len, NOW,
				     MINUTE, &err),
		    -1);
		buf_release(&edited);
	}
	assert_int_equal(
	    rate_parse(&read, "outpost-ledger 1\n", 17, NOW, MINUTE, &err), -1);
	buf_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    an_empty_ledger_lets_a_message_go_at_once, start),
		cmocka_unit_test_setup(
		    no_window_holds_more_than_the_limit, start),
		cmocka_unit_test_setup(
		    the_next_goes_the_moment_the_window_lets_it, start),
		cmocka_unit_test_setup(
		    reserved_places_count_until_the_horizon, start),
		cmocka_unit_test_setup(a_place_given_back_is_free, start),
		cmocka_unit_test_setup(old_times_make_room, start),
		cmocka_unit_test_setup(
		    a_filled_ledger_is_full_for_one_window, start),
		cmocka_unit_test_setup(
		    the_day_counts_recipients_of_24_hours, start),
		cmocka_unit_test_setup(
		    a_full_day_waits_for_the_hour_that_frees_enough, start),
		cmocka_unit_test_setup(
		    more_than_a_day_allows_goes_on_an_empty_day, start),
		cmocka_unit_test_setup(a_clock_set_back_keeps_the_day, start),
		cmocka_unit_test_setup(
		    the_text_has_one_size_and_reads_back, start),
		cmocka_unit_test_setup(times_far_ahead_count_as_now, start),
		cmocka_unit_test_setup(
		    a_full_day_ends_though_the_clock_was_set, start),
		cmocka_unit_test_setup(
		    damaged_text_is_refused_and_changes_nothing, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
