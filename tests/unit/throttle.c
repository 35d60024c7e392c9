#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "queue/rate.h"
#include "queue/throttle.h"
#include "tests/unit/state_folder.h"

static struct error err;

static struct throttle
fresh(enum throttle_kind kind)
{
	struct throttle t;

	throttle_init(&t, &config, &account, kind);
	return t;
}

static int
enter(struct throttle *t, double patience)
{
	return throttle_enter(t, file_now() + patience, &err);
}

static int
charge(struct throttle *t, size_t recipients)
{
	return throttle_charge(t, recipients, file_now(), &err);
}

/* Enter, send one message, leave. */
static int
send_one(enum throttle_kind kind)
{
	struct throttle t = fresh(kind);
	int result = enter(&t, 0);

	if (result == 0)
		result = charge(&t, 1);
	throttle_leave(&t);
	return result;
}

static struct throttle_usage
usage(void)
{
	struct throttle_usage u;

	if (throttle_usage(&config, &account, &u, &err) == -1)
		fail_msg("%s", err.text);
	return u;
}

static void
a_fourth_connection_waits_for_a_slot(void **state)
{
	struct throttle t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		t[i] = fresh(THROTTLE_DIRECT);
	for (int i = 0; i < 3; i++)
		assert_int_equal(enter(&t[i], 0), 0);
	assert_int_equal(usage().connections, 3);
	assert_int_equal(enter(&t[3], 0.05), -1);
	assert_int_equal(err.class, ERROR_THROTTLED);
	assert_non_null(strstr(err.text, "3 connections"));
	throttle_leave(&t[1]);
	assert_int_equal(enter(&t[3], 0), 0);
	for (int i = 0; i < 4; i++)
		throttle_leave(&t[i]);
	assert_int_equal(usage().connections, 0);
	/* What was reserved and not used is free again. */
	assert_int_equal(usage().messages, 0);
}

static void
queued_mail_leaves_one_slot(void **state)
{
	struct throttle a = fresh(THROTTLE_QUEUED), b = fresh(THROTTLE_QUEUED),
			c = fresh(THROTTLE_QUEUED), d = fresh(THROTTLE_DIRECT);

	(void)state;
	assert_int_equal(enter(&a, 0), 0);
	assert_int_equal(enter(&b, 0), 0);
	assert_int_equal(enter(&c, 0), -1);
	assert_int_equal(enter(&d, 0), 0);
	throttle_leave(&a);
	throttle_leave(&b);
	throttle_leave(&d);
	account.connections = 1;
	assert_int_equal(enter(&c, 0), 0);
	throttle_leave(&c);
}

static void
a_killed_process_frees_its_slot(void **state)
{
	struct throttle mine = fresh(THROTTLE_DIRECT);
	int ready[2];
	pid_t child;
	char byte;

	(void)state;
	account.connections = 1;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct throttle t = fresh(THROTTLE_DIRECT);

		if (enter(&t, 1) == 0)
			(void)!write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(enter(&mine, 0), -1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(enter(&mine, 1), 0);
	throttle_leave(&mine);
	close(ready[0]);
	close(ready[1]);
}

static void
a_slot_that_is_never_given_back_is_taken_over(void **state)
{
	struct throttle hangs = fresh(THROTTLE_DIRECT),
			waits = fresh(THROTTLE_DIRECT),
			late = fresh(THROTTLE_DIRECT);
	struct timespec times[2] = { 0 };

	(void)state;
	account.connections = 1;
	assert_int_equal(enter(&hangs, 0), 0);
	assert_int_equal(enter(&waits, 0), -1);
	times[0].tv_sec = times[1].tv_sec =
	    time(NULL) - THROTTLE_SLOT_SECONDS - 1;
	assert_int_equal(utimensat(AT_FDCWD, state_file("slot0"), times, 0), 0);
	assert_int_equal(enter(&waits, 1), 0);
	assert_int_equal(enter(&late, 0), -1);
	/* The late end of the first does not free what is the second's. */
	throttle_leave(&hangs);
	assert_int_equal(enter(&late, 0), -1);
	throttle_leave(&waits);
	assert_int_equal(enter(&late, 0), 0);
	throttle_leave(&late);
}

static void
a_slot_of_a_clock_that_was_ahead_is_as_old_as_now(void **state)
{
	struct throttle hangs = fresh(THROTTLE_DIRECT),
			waits = fresh(THROTTLE_DIRECT);
	struct timespec times[2] = { 0 };
	struct stat status;

	(void)state;
	account.connections = 1;
	assert_int_equal(enter(&hangs, 0), 0);
	times[0].tv_sec = times[1].tv_sec = time(NULL) + 365 * 86400;
	assert_int_equal(utimensat(AT_FDCWD, state_file("slot0"), times, 0), 0);
	assert_int_equal(enter(&waits, 0), -1);
	assert_int_equal(stat(state_file("slot0"), &status), 0);
	assert_true(status.st_mtime <= time(NULL));
	throttle_leave(&hangs);
}

static void
a_place_past_the_deadline_is_refused_at_once(void **state)
{
	(void)state;
	account.rate_count = 2;
	assert_int_equal(send_one(THROTTLE_DIRECT), 0);
	assert_int_equal(send_one(THROTTLE_DIRECT), 0);
	assert_int_equal(usage().messages, 2);
	assert_int_equal(send_one(THROTTLE_DIRECT), -1);
	assert_int_equal(err.class, ERROR_THROTTLED);
	assert_in_range(err.retry_after, 55, 62);
	assert_non_null(strstr(err.text, "2 messages in 60 seconds"));
	assert_int_equal(usage().messages, 2);
}

static void
queued_mail_leaves_a_third_of_the_rate(void **state)
{
	int queued = 0, direct = 0;

	(void)state;
	while (send_one(THROTTLE_QUEUED) == 0)
		queued++;
	while (send_one(THROTTLE_DIRECT) == 0)
		direct++;
	assert_int_equal(queued, 20);
	assert_int_equal(direct, 10);
}

static void
further_messages_of_a_connection_are_charged(void **state)
{
	struct throttle t = fresh(THROTTLE_DIRECT);

	(void)state;
	account.rate_count = 3;
	assert_int_equal(enter(&t, 0), 0);
	assert_int_equal(charge(&t, 500), 0);
	assert_int_equal(charge(&t, 500), 0);
	assert_int_equal(charge(&t, 7), 0);
	assert_int_equal(charge(&t, 1), -1);
	throttle_leave(&t);
	assert_int_equal(usage().messages, 3);
	assert_int_equal(usage().recipients, 1007);
}

static void
a_full_day_is_told_before_a_connection_is_made(void **state)
{
	struct throttle t = fresh(THROTTLE_DIRECT);

	(void)state;
	account.daily = 10;
	assert_int_equal(enter(&t, 0), 0);
	assert_int_equal(charge(&t, 10), 0);
	assert_int_equal(charge(&t, 1), -1);
	throttle_leave(&t);
	assert_int_equal(enter(&t, 0), -1);
	assert_int_equal(err.class, ERROR_THROTTLED);
	assert_in_range(err.retry_after, 23 * 3600, 25 * 3600 + 1);
	assert_non_null(strstr(err.text, "10 recipients in 24 hours"));
	assert_int_equal(t.slot, -1);
}

static void
a_damaged_ledger_counts_as_full(void **state)
{
	FILE *file;

	(void)state;
	assert_int_equal(send_one(THROTTLE_DIRECT), 0);
	file = fopen(state_file("ledger"), "w");
	assert_non_null(file);
	fputs("outpost-ledger 1\nrubbish", file);
	fclose(file);
	assert_int_equal(send_one(THROTTLE_DIRECT), -1);
	assert_in_range(err.retry_after, 55, 62);
}

/* Whatever made the ledger full does so for one window, not for each reader
 * anew. */
static void
check_full_for_one_window(const char *ledger)
{
	const struct timespec window = { .tv_sec = 1, .tv_nsec = 600000000 };
	FILE *file;

	account.rate_count = 2;
	account.rate_seconds = 1;
	assert_int_equal(send_one(THROTTLE_DIRECT), 0);
	file = fopen(state_file("ledger"), "w");
	assert_non_null(file);
	fputs(ledger, file);
	fclose(file);
	assert_int_equal(send_one(THROTTLE_DIRECT), -1);
	(void)nanosleep(&window, NULL);
	assert_int_equal(send_one(THROTTLE_DIRECT), 0);
}

static void
a_damaged_ledger_is_full_for_one_window_alone(void **state)
{
	(void)state;
	check_full_for_one_window("junk");
}

static void
times_of_a_clock_that_was_ahead_count_for_one_window_alone(void **state)
{
	struct buf text;
	struct rate rate;

	(void)state;
	rate_init(&rate);
	for (int i = 0; i < 4; i++)
		rate_add(&rate, (time(NULL) + 3600) * 1000LL);
	buf_init(&text, RATE_TEXT_MAX);
	rate_format(&rate, 2, &text);
	check_full_for_one_window(text.data);
	buf_release(&text);
}

static void
without_a_usable_folder_mail_still_goes(void **state)
{
	FILE *file;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/state", config.state_dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(send_one(THROTTLE_DIRECT), 0);
}

struct sent {
	struct timespec from, to;
};

static double
seconds(const struct timespec *t)
{
	return (double)t->tv_sec + (double)t->tv_nsec / 1e9;
}

/* What one of many does: it writes when it had the connection. */
static void
be_one_of_many(int out)
{
	const struct timespec work = { .tv_nsec = 5 * 1000 * 1000 };
	struct throttle t = fresh(THROTTLE_DIRECT);
	struct sent sent;

	if (throttle_enter(&t, file_now() + 30, &err) == -1)
		_exit(1);
	(void)clock_gettime(CLOCK_MONOTONIC, &sent.from);
	if (throttle_charge(&t, 1, file_now() + 30, &err) == -1)
		_exit(2);
	(void)nanosleep(&work, NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &sent.to);
	if (write(out, &sent, sizeof(sent)) != sizeof(sent))
		_exit(3);
	throttle_leave(&t);
	_exit(0);
}

static int
by_start(const void *a, const void *b)
{
	double x = seconds(&((const struct sent *)a)->from);
	double y = seconds(&((const struct sent *)b)->from);

	return x < y ? -1 : x > y;
}

static void
many_processes_stay_within_the_limits_and_all_send(void **state)
{
	enum { MANY = 24, RATE = 10 };
	struct sent sent[MANY];
	int pipes[2];

	(void)state;
	account.rate_count = RATE;
	account.rate_seconds = 1;
	assert_int_equal(pipe(pipes), 0);
	for (int i = 0; i < MANY; i++)
		if (fork() == 0)
			be_one_of_many(pipes[1]);
	for (int i = 0; i < MANY; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(
		    read(pipes[0], &sent[i], sizeof(sent[i])), sizeof(sent[i]));
	qsort(sent, MANY, sizeof(sent[0]), by_start);
	for (int i = 0; i < MANY; i++) {
		int at_once = 0;

		for (int j = 0; j < MANY; j++)
			if (seconds(&sent[j].from) <= seconds(&sent[i].from) &&
			    seconds(&sent[j].to) > seconds(&sent[i].from))
				at_once++;
		assert_in_range(at_once, 1, 3);
		if (i >= RATE)
			assert_true(seconds(&sent[i].to) -
					seconds(&sent[i - RATE].from) >=
				    1.0);
	}
	close(pipes[0]);
	close(pipes[1]);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, make_state, remove_state)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fourth_connection_waits_for_a_slot),
		TEST(queued_mail_leaves_one_slot),
		TEST(a_killed_process_frees_its_slot),
		TEST(a_slot_that_is_never_given_back_is_taken_over),
		TEST(a_slot_of_a_clock_that_was_ahead_is_as_old_as_now),
		TEST(a_place_past_the_deadline_is_refused_at_once),
		TEST(queued_mail_leaves_a_third_of_the_rate),
		TEST(further_messages_of_a_connection_are_charged),
		TEST(a_full_day_is_told_before_a_connection_is_made),
		TEST(a_damaged_ledger_counts_as_full),
		TEST(a_damaged_ledger_is_full_for_one_window_alone),
		TEST(
		    times_of_a_clock_that_was_ahead_count_for_one_window_alone),
		TEST(without_a_usable_folder_mail_still_goes),
		TEST(many_processes_stay_within_the_limits_and_all_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
