/* Twenty notifications an hour for each sender, and what is noted beyond. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/record.h"
#include "submit/notices.h"

#define NOW 1795495936
#define YEAR (365 * 86400)
#define ROOT 0
#define WEB 33
#define ALERTS "alerts@contoso.com"
#define SALES "sales@contoso.com"

static struct notices all;
static struct buf text;
static struct error err;

static int
begin(void **state)
{
	(void)state;
	notices_init(&all, NOW);
	buf_init(&text, RECORD_TEXT_MAX);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	notices_release(&all);
	buf_release(&text);
	return 0;
}

/* Out to the file and back in. */
static void
keep(time_t now)
{
	buf_clear(&text);
	notices_format(&all, &text);
	assert_false(text.full);
	assert_int_equal(
	    notices_parse(&all, text.data, text.len, now, &err), 0);
}

/* So many that fail: how many letters of their own there are. */
static unsigned
letters(const char *account, uid_t uid, unsigned failures)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < failures; i++)
		sent += notices_take(&all, account, uid, "it failed");
	return sent;
}

static size_t
noted(const char *account, unsigned long long *more)
{
	size_t count;

	free(notices_lines(&all, account, &count, more));
	return count;
}

static void
one_senders_failures_take_nothing_from_another(void **state)
{
	unsigned long long more;

	(void)state;
	assert_int_equal(letters(ALERTS, WEB, 100000), NOTICES_HOURLY);
	keep(NOW + 60);
	assert_int_equal(letters("Alerts@Contoso.com", WEB, 3), 0);
	assert_int_equal(letters(ALERTS, ROOT, 1), 1);
	assert_int_equal(letters(SALES, WEB, 1), 1);
	keep(NOW + 120);
	assert_int_equal(letters(ALERTS, ROOT, 30), NOTICES_HOURLY - 1);
	/* Nor does it push another's line out of the summary. */
	assert_int_equal(noted(ALERTS, &more), NOTICES_LINES_MAX + 11);
	assert_int_equal(more, 100000 - NOTICES_HOURLY - NOTICES_LINES_MAX + 3);
	assert_int_equal(noted(SALES, &more), 0);
	assert_null(notices_lines(&all, SALES, &(size_t){ 0 }, &more));
}

static void
the_text_has_a_bound_whatever_fails(void **state)
{
	char line[2000], account[64];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (unsigned i = 0; i < 10 * NOTICES_SENDERS_MAX; i++) {
		snprintf(account, sizeof(account), "%u@contoso.com", i % 7);
		for (unsigned k = 0; k < 2 * NOTICES_HOURLY; k++)
			(void)notices_take(&all, account, 1000 + i, line);
	}
	assert_int_equal(all.count, NOTICES_SENDERS_MAX);
	keep(NOW);
	assert_int_equal(all.count, NOTICES_SENDERS_MAX);
	assert_true(letters("0@contoso.com", 1000, 1) == 0);
}

static void
the_hour_ends_also_when_the_clock_is_set(void **state)
{
	(void)state;
	(void)letters(ALERTS, WEB, NOTICES_HOURLY);
	keep(NOW + NOTICES_SECONDS - 1);
	assert_false(notices_are_over(&all, NOW + NOTICES_SECONDS - 1));
	assert_true(notices_are_over(&all, NOW + NOTICES_SECONDS));
	assert_true(notices_are_over(&all, NOW + YEAR));
	/* Back by a year: what began then begins now, and ends. */
	keep(NOW - YEAR);
	assert_int_equal(all.since, NOW - YEAR);
	assert_true(notices_are_over(&all, NOW - YEAR + NOTICES_SECONDS));
}

static void
what_makes_no_sense_is_left_out(void **state)
{
	static const char bad[] = "outpost-notices 1\n"
				  "since: 1795495000\n"
				  "late: before any\n"
				  "sender: 33 20 0\n"
				  "late: of nobody\n"
				  "sender: 33 x 0 alerts@contoso.com\n"
				  "sender: -1 20 0 alerts@contoso.com\n"
				  "sender: 33 20 0 \n"
				  "sender: 34 20 0 alerts@contoso.com\n"
				  "late: of one\n";
	unsigned long long more;

	(void)state;
	assert_int_equal(
	    notices_parse(&all, bad, sizeof(bad) - 1, NOW, &err), 0);
	assert_int_equal(all.since, 1795495000);
	assert_int_equal(all.count, 1);
	assert_int_equal(noted(ALERTS, &more), 1);
	assert_int_equal(letters(ALERTS, 34, 1), 0);
	assert_int_equal(letters(ALERTS, WEB, 1), 1);
	assert_int_equal(notices_parse(&all, "rubbish\n", 8, NOW, &err), -1);
	assert_int_equal(err.exit_code, EX_SOFTWARE);
	assert_int_equal(all.count, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_senders_failures_take_nothing_from_another),
		TEST(the_text_has_a_bound_whatever_fails),
		TEST(the_hour_ends_also_when_the_clock_is_set),
		TEST(what_makes_no_sense_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
