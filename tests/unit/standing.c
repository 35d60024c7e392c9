#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/error.h"
#include "mail/envelope.h"
#include "submit/standing.h"
#include "submit/submit.h"
#include "tests/unit/state_folder.h"

static struct submission about;
static struct standing standing;
static struct error err;

static int
make_submission(void **state)
{
	int result = make_state(state);

	about = (struct submission){ .config = &config, .account = &account };
	return result;
}

static struct error failure(enum error_class class)
{
	struct error why;

	error_set(&why, EX_CONFIG, "5.7.139", "it is switched off");
	error_hint(&why, "switch it on");
	error_class_set(&why, class, 0);
	return why;
}

static bool
may_send(void)
{
	return standing_check(&standing, &about, &err) == 0;
}

/* One attempt whose login ends like that. */
static void log_in_and_meet(enum error_class class)
{
	struct error why = failure(class);

	assert_true(may_send());
	if (class == ERROR_NONE)
		standing_logged_in(&standing);
	else
		assert_int_equal(standing_refused(&standing, NULL, &why), -1);
}

static void
a_login_that_needs_a_person_holds_the_account(void **state)
{
	(void)state;
	log_in_and_meet(ERROR_HOLD);
	assert_false(may_send());
	assert_int_equal(err.class, ERROR_HOLD);
	assert_true(err.untried);
	assert_non_null(strstr(err.text, "'alerts@contoso.com' is on hold"));
	assert_string_equal(err.hint, "switch it on");
	assert_in_range(err.retry_after, 1, 900);
}

static void
what_time_heals_holds_nothing(void **state)
{
	(void)state;
	log_in_and_meet(ERROR_RETRY);
	log_in_and_meet(ERROR_THROTTLED);
	log_in_and_meet(ERROR_REFUSED);
	assert_true(may_send());
}

static void
a_person_who_asks_is_let_through_and_success_lifts_the_hold(void **state)
{
	(void)state;
	log_in_and_meet(ERROR_HOLD);
	about.force = true;
	log_in_and_meet(ERROR_NONE);
	about.force = false;
	assert_true(may_send());
}

static void
a_server_out_of_reach_pauses_new_mail_alone(void **state)
{
	struct error why = failure(ERROR_RETRY);

	(void)state;
	assert_true(may_send());
	standing_unreachable(&standing, &why);
	assert_false(may_send());
	assert_true(err.untried);
	assert_in_range(err.retry_after, 50, 60);
	about.kind = THROTTLE_QUEUED;
	assert_true(may_send());
	standing_logged_in(&standing);
	about.kind = THROTTLE_DIRECT;
	assert_true(may_send());
}

/* A message that meets a hold; true when it is found to be at fault. */
static bool
send_and_meet_hold(bool *drew_hold)
{
	struct envelope envelope;
	const struct submit_message message = {
		.id = "ABC",
		.envelope = &envelope,
		.drew_hold = drew_hold,
	};
	struct error why = failure(ERROR_HOLD);
	bool refused;

	envelope_init(&envelope);
	assert_int_equal(envelope_add(&envelope, "a@x.example", &err), 0);
	assert_int_equal(standing_message(&standing, &message, &why), -1);
	refused = envelope.recipients[0].state == RECIPIENT_REFUSED;
	assert_int_equal(refused, why.class == ERROR_REFUSED);
	envelope_release(&envelope);
	return refused;
}

static void
a_message_draws_a_hold_that_a_login_does_not_lift(void **state)
{
	bool drew_hold = false;
	time_t until;

	(void)state;
	assert_true(may_send());
	assert_false(send_and_meet_hold(&drew_hold));
	assert_true(drew_hold);
	about.force = true;
	log_in_and_meet(ERROR_NONE);
	about.force = false;
	assert_int_equal(standing_on_hold(&about, time(NULL), &until, &err), 0);
	assert_in_range(until - time(NULL), 1, 900);
	standing_sent(&standing);
	assert_int_equal(
	    standing_on_hold(&about, time(NULL), &until, &err), -1);
}

static void
a_message_that_draws_it_twice_while_others_pass_is_refused(void **state)
{
	bool drew_hold = false;

	(void)state;
	assert_true(may_send());
	assert_false(send_and_meet_hold(&drew_hold));
	/* Still on hold: the account may be at fault. */
	about.force = true;
	assert_true(may_send());
	assert_false(send_and_meet_hold(&drew_hold));
	standing_sent(&standing);
	about.force = false;
	assert_true(may_send());
	assert_true(send_and_meet_hold(&drew_hold));
	assert_true(may_send());
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, make_submission, remove_state)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_login_that_needs_a_person_holds_the_account),
		TEST(what_time_heals_holds_nothing),
		TEST(
		    a_person_who_asks_is_let_through_and_success_lifts_the_hold),
		TEST(a_server_out_of_reach_pauses_new_mail_alone),
		TEST(a_message_draws_a_hold_that_a_login_does_not_lift),
		TEST(
		    a_message_that_draws_it_twice_while_others_pass_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
