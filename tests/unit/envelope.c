#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/record.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "mail/xtext.h"

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
nobody_is_added_twice(void **state)
{
	struct envelope e;
	struct error err;

	(void)state;
	envelope_init(&e);
	assert_int_equal(envelope_add(&e, "a@b.org", &err), 0);
	assert_int_equal(envelope_add(&e, "a@B.ORG", &err), 0);
	assert_int_equal(e.count, 1);
	assert_int_equal(envelope_add(&e, "A@b.org", &err), 0);
	assert_int_equal(envelope_add(&e, "root", &err), 0);
	assert_int_equal(e.count, 3);
	assert_string_equal(e.recipients[0].address, "a@b.org");
	envelope_release(&e);
	envelope_release(&e);
}

static void
the_most_recipients_are_added_quickly(void **state)
{
	struct envelope e;
	struct error err;
	char address[40];
	double start = seconds();

	(void)state;
	envelope_init(&e);
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < ENVELOPE_RECIPIENTS_MAX; i++) {
			(void)snprintf(
			    address, sizeof(address), "u%u@example.org", i);
			assert_int_equal(envelope_add(&e, address, &err), 0);
		}
	assert_int_equal(e.count, ENVELOPE_RECIPIENTS_MAX);
	assert_int_equal(envelope_add(&e, "one@more.org", &err), -1);
	assert_int_equal(err.exit_code, EX_DATAERR);
	assert_true(seconds() - start < 1.0);
	envelope_release(&e);
}

static void
who_is_cut_out_can_be_added_again(void **state)
{
	struct envelope e;
	struct error err;
	char address[40];

	(void)state;
	envelope_init(&e);
	envelope_cut(&e, 0);
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 100; i++) {
			(void)snprintf(
			    address, sizeof(address), "u%u@example.org", i);
			assert_int_equal(envelope_add(&e, address, &err), 0);
		}
		assert_int_equal(e.count, 100);
		envelope_cut(&e, 100);
		envelope_cut(&e, 40);
		assert_int_equal(e.count, 40);
		assert_string_equal(
		    e.recipients[39].address, "u39@example.org");
	}
	envelope_cut(&e, 0);
	assert_int_equal(e.count, 0);
	envelope_release(&e);
}

static void
verdicts_settle_recipients(void **state)
{
	struct envelope e;
	struct error err, verdict;

	(void)state;
	envelope_init(&e);
	envelope_add(&e, "a@b.org", &err);
	envelope_add(&e, "c@d.org", &err);
	envelope_add(&e, "e@f.org", &err);
	error_set(&verdict, EX_TEMPFAIL, "4.3.2", "busy");
	envelope_verdict(&e, 0, &verdict);
	envelope_verdict(&e, 1, &verdict);
	assert_int_equal(envelope_count_state(&e, RECIPIENT_PENDING), 3);
	assert_string_equal(e.recipients[0].error->text, "busy");
	error_set(&verdict, EX_NOUSER, "5.1.1", "unknown");
	envelope_verdict(&e, 0, &verdict);
	envelope_verdict(&e, 1, NULL);
	assert_int_equal(e.recipients[0].state, RECIPIENT_REFUSED);
	assert_string_equal(e.recipients[0].error->text, "unknown");
	assert_int_equal(e.recipients[1].state, RECIPIENT_SENT);
	assert_null(e.recipients[1].error);
	assert_int_equal(envelope_count_state(&e, RECIPIENT_PENDING), 1);
	envelope_release(&e);
}

static void
fill(struct envelope *e)
{
	struct error err, verdict;

	envelope_init(e);
	e->account = xstrdup("alerts@contoso.com");
	e->sender = xstrdup("noreply@contoso.com");
	e->notify = xstrdup("SUCCESS,FAILURE");
	e->ret = xstrdup("HDRS");
	e->envid = xstrdup("a+2Bb");
	e->report_to = xstrdup("ada@contoso.com");
	e->smtputf8 = true;
	for (int i = 0; i < 5; i++) {
		char address[] = "u0@b\xc3\xbc.org";

		address[1] = (char)('0' + i);
		assert_int_equal(envelope_add(e, address, &err), 0);
	}
	e->recipients[4].original = dsn_orcpt("root@web 1");
	e->recipients[1].notify = xstrdup("NEVER");
	error_set(&verdict, EX_TEMPFAIL, "4.3.2", "busy: try later");
	error_hint(&verdict, "wait");
	error_class_set(&verdict, ERROR_THROTTLED, 90);
	verdict.uncertain = true;
	envelope_verdict(e, 0, &verdict);
	envelope_verdict(e, 2, &verdict);
	error_set(&verdict, EX_NOUSER, "5.1.1", "%s", "");
	envelope_verdict(e, 3, &verdict);
	envelope_verdict(e, 4, NULL);
}

static void
a_record_holds_all_of_it(void **state)
{
	struct envelope e, back;
	struct error err;
	struct buf text, again;

	(void)state;
	fill(&e);
	buf_init(&text, RECORD_TEXT_MAX);
	buf_init(&again, RECORD_TEXT_MAX);
	envelope_format(&e, &text);
	envelope_init(&back);
	assert_int_equal(envelope_parse(&back, text.data, text.len, &err), 0);
	envelope_format(&back, &again);
	assert_string_equal(again.data, text.data);
	assert_int_equal(back.count, 5);
	assert_true(back.smtputf8);
	assert_false(back.eight_bit);
	assert_string_equal(back.recipients[4].original, "rfc822;root@web+201");
	assert_string_equal(envelope_notify(&back, 0), "SUCCESS,FAILURE");
	assert_string_equal(envelope_notify(&back, 1), "NEVER");
	assert_string_equal(back.recipients[2].error->text, "busy: try later");
	assert_string_equal(back.recipients[2].error->hint, "wait");
	assert_int_equal(back.recipients[2].error->class, ERROR_THROTTLED);
	assert_int_equal(back.recipients[2].error->retry_after, 90);
	assert_true(back.recipients[2].error->uncertain);
	assert_int_equal(back.recipients[3].state, RECIPIENT_REFUSED);
	assert_string_equal(back.recipients[3].error->text, "");
	/* Dedupe goes on where it was. */
	assert_int_equal(envelope_add(&back, "u0@b\xc3\xbc.ORG", &err), 0);
	assert_int_equal(back.count, 5);
	buf_release(&text);
	buf_release(&again);
	envelope_release(&e);
	envelope_release(&back);
}

static void
a_cut_record_is_refused_or_whole_lines(void **state)
{
	struct envelope e, back;
	struct error err;
	struct buf text;

	(void)state;
	fill(&e);
	buf_init(&text, RECORD_TEXT_MAX);
	envelope_format(&e, &text);
	for (size_t len = 0; len < text.len; len++) {
		envelope_init(&back);
		if (len > 0 && text.data[len - 1] == '\n')
			assert_int_equal(
			    envelope_parse(&back, text.data, len, &err), 0);
		else
			assert_int_equal(
			    envelope_parse(&back, text.data, len, &err), -1);
		envelope_release(&back);
	}
	buf_release(&text);
	envelope_release(&e);
}

static void
hostile_records_are_refused(void **state)
{
	static const char *const bad[] = {
		"recipient: root\n",
		"recipient: a@b.org> NOTIFY=NEVER\n",
		"recipient: \n",
		"recipient: a@b.org\nrecipient: a@B.org\n",
		"sender: \n",
		"sender: a b@c.org\n",
		"sender: a@b.org\nsender: a@b.org\n",
		"account: x\n",
		"notify: ALWAYS\n",
		"notify: NEVER,DELAY\n",
		"notify: NEVER NOTIFY\n",
		"ret: FULL RET\n",
		"envid: a b\n",
		"report-to: ada\n",
		"report-to: ada@x.example>\n",
		"envid: +2\n",
		"envid: \n",
		"eight-bit: 1\n",
		"state: sent\n",
		"original: rfc822;x\n",
		"recipient: a@b.org\noriginal: rfc822;x NOTIFY\n",
		"recipient: a@b.org\noriginal: x\n",
		"recipient-notify: NEVER\n",
		"recipient: a@b.org\nrecipient-notify: NEVER ORCPT\n",
		"recipient: a@b.org\nstate: lost\n",
		"recipient: a@b.org\nerror: same\n",
		"recipient: a@b.org\nerror: 75 retry 0 no\n",
		"recipient: a@b.org\nerror: 75 retry -1 no 4.0.0 x\n",
		"recipient: a@b.org\nerror: 75 maybe 0 no 4.0.0 x\n",
		"recipient: a@b.org\nerror: 75 retry 0 no 4.0.0.0.0.0.0.0 x\n",
		"recipient: a@b.org\nhint: x\n",
		"unknown: x\n",
		"recipient: a@b.org\nunknown: x\n",
	};
	struct envelope e;
	struct error err;
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		envelope_init(&e);
		buf_clear(&text);
		record_begin(&text, "envelope");
		buf_adds(&text, bad[i]);
		if (envelope_parse(&e, text.data, text.len, &err) == 0)
			print_error("taken: %s\n", bad[i]);
		assert_int_equal(e.count, 0);
		assert_null(e.account);
		assert_int_equal(
		    envelope_parse(&e, text.data, text.len, &err), -1);
		assert_int_equal(
		    err.exit_code == EX_DATAERR || err.exit_code == EX_USAGE,
		    1);
		envelope_release(&e);
	}
	buf_release(&text);
}

/* Else a message that is in the queue could not be read out of it. */
static void
the_most_that_can_be_handed_on_comes_back_with_any_verdict(void **state)
{
	struct envelope e, back;
	struct error err, verdict;
	struct buf text;
	char address[80], original[190];
	size_t last = ENVELOPE_RECIPIENTS_MAX - 1;

	(void)state;
	envelope_init(&e);
	envelope_init(&back);
	memset(original, 'x', sizeof(original));
	memcpy(original, "rfc822;", 7);
	original[sizeof(original) - 1] = '\0';
	for (size_t i = 0; i <= last; i++) {
		(void)snprintf(
		    address, sizeof(address), "%060zu@example.org", i);
		envelope_add(&e, address, &err);
		e.recipients[i].original = xstrdup(original);
		e.recipients[i].notify = xstrdup("FAILURE");
		e.recipients[i].told = true;
	}
	buf_init(&text, RECORD_TEXT_MAX);
	envelope_format(&e, &text);
	/* HANDOFF_ENVELOPE_MAX */
	assert_in_range(text.len, 15u << 20, 17u << 20);
	for (size_t i = 0; i <= last; i++) {
		error_set(&verdict, EX_NOUSER, "5.7.520", "%01000zu", i);
		error_hint(&verdict, "%01000zu", i);
		error_class_set(&verdict, ERROR_REFUSED, UINT32_MAX);
		verdict.uncertain = true;
		envelope_verdict(&e, i, &verdict);
	}
	buf_clear(&text);
	envelope_format(&e, &text);
	assert_false(text.full);
	envelope_release(&e);
	assert_int_equal(envelope_parse(&back, text.data, text.len, &err), 0);
	buf_release(&text);
	assert_int_equal(back.count, last + 1);
	assert_int_equal(back.recipients[last].state, RECIPIENT_REFUSED);
	assert_string_equal(back.recipients[last].error->status, "5.7.520");
	assert_string_equal(back.recipients[last].original, original);
	envelope_release(&back);
}

static void
many_recipients_with_one_verdict_fit_into_a_record(void **state)
{
	struct envelope e, back;
	struct error err, verdict;
	struct buf text;
	char address[80];

	(void)state;
	envelope_init(&e);
	envelope_init(&back);
	error_set(&verdict, EX_TEMPFAIL, "4.3.2", "%0500d", 1);
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(address, sizeof(address),
		    "a-rather-long-local-part-%u@example.org", i);
		envelope_add(&e, address, &err);
		envelope_verdict(&e, i, &verdict);
	}
	buf_init(&text, RECORD_TEXT_MAX);
	envelope_format(&e, &text);
	assert_false(text.full);
	assert_true(text.len < 3 << 20);
	assert_int_equal(envelope_parse(&back, text.data, text.len, &err), 0);
	assert_int_equal(back.count, 20000);
	assert_string_equal(back.recipients[19999].error->text, verdict.text);
	buf_release(&text);
	envelope_release(&e);
	envelope_release(&back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_added_twice),
		cmocka_unit_test(the_most_recipients_are_added_quickly),
		cmocka_unit_test(who_is_cut_out_can_be_added_again),
		cmocka_unit_test(verdicts_settle_recipients),
		cmocka_unit_test(a_record_holds_all_of_it),
		cmocka_unit_test(a_cut_record_is_refused_or_whole_lines),
		cmocka_unit_test(hostile_records_are_refused),
		cmocka_unit_test(
		    the_most_that_can_be_handed_on_comes_back_with_any_verdict),
		cmocka_unit_test(
		    many_recipients_with_one_verdict_fit_into_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
