/* What a refusal means, when to try again, and what was granted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>

#include "account/config.h"
#include "auth/oauth.h"
#include "auth/oauth_error.h"
#include "auth/renew.h"
#include "base/error.h"
#include "token/token.h"

#define BOX "alerts@contoso.com"

/* Every number of MICROSOFT.md 4.9, and the device flow's. */
static const long codes[] = { 70008, 700082, 700084, 70043, 50173, 50076, 50079,
	50074, 50072, 50078, 50158, 53000, 53001, 53002, 53003, 53004, 53011,
	530032, 530035, 65001, 65004, 90094, 650052, 650056, 650057, 7000215,
	7000222, 7000218, 70002, 700025, 7000112, 700016, 90002, 50034, 50020,
	50053, 50055, 50057, 50126, 70000, 70001, 9002313, 90014, 900144, 70011,
	500011, 500113, 50011, 700021, 700022, 700023, 700024, 700027, 700030,
	50012, 50013, 70021, 50105, 50196, 90033, 90006, 90012, 90024, 50033,
	50087, 50088, 80005, 90090, 90055, 70016, 70017, 70018, 70019, 70020 };

static struct oauth_failure
failure(const char *error, long code)
{
	struct oauth_failure f = { .code_count = code == 0 ? 0 : 1 };

	strlcpy(f.error, error, sizeof(f.error));
	f.codes[0] = code;
	return f;
}

static void
every_known_code_has_a_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (oauth_error_code(codes[i]) == NULL)
			fail_msg("no row for AADSTS%ld", codes[i]);
}

static void
every_row_has_sentence_hint_and_exit_code(void **state)
{
	const struct oauth_row *row;

	(void)state;
	for (size_t i = 0; (row = oauth_error_row(i)) != NULL; i++) {
		char text[ERROR_HINT_SIZE];
		size_t len = strlen(row->sentence);

		assert_true(len > 0 && row->sentence[len - 1] != '.');
		assert_true(strlen(row->hint) > 0);
		assert_true(
		    row->class != ERROR_NONE && row->class != ERROR_REFUSED);
		assert_int_equal(row->status[0], '4');
		assert_true(row->exit_code == EX_TEMPFAIL ||
			    row->exit_code == EX_NOPERM ||
			    row->exit_code == EX_CONFIG);
		assert_int_equal(
		    row->class == ERROR_HOLD, row->exit_code != EX_TEMPFAIL);
		/* Sentence and hint fit, and the mailbox is put in. */
		error_fill(text, sizeof(text), row->hint, BOX);
		assert_true(strlen(text) < sizeof(text) - 64);
		assert_null(strstr(text, "%s"));
		assert_true(strstr(row->hint, "%s") == NULL ||
			    strstr(text, BOX) != NULL);
	}
	assert_null(oauth_error_row(1000000));
}

static void
no_code_stands_in_two_rows(void **state)
{
	const struct oauth_row *row;

	(void)state;
	for (size_t i = 0; (row = oauth_error_row(i)) != NULL; i++)
		for (size_t c = 0; c < OAUTH_ROW_CODES; c++)
			if (row->codes[c] != 0)
				assert_ptr_equal(
				    oauth_error_code(row->codes[c]), row);
}

static void
expired_sign_in_says_how_to_sign_in_again(void **state)
{
	struct oauth_failure f = failure("invalid_grant", 700082);
	struct error err;

	(void)state;
	strlcpy(f.description, "AADSTS700082: The refresh token has expired.",
	    sizeof(f.description));
	assert_int_equal(
	    -1, oauth_error_judge(&f, 400, 0, BOX, "login.example", &err));
	assert_int_equal(err.class, ERROR_HOLD);
	assert_int_equal(err.exit_code, EX_NOPERM);
	assert_non_null(strstr(err.text, "unused for 90 days"));
	assert_non_null(strstr(err.text, "AADSTS700082"));
	assert_non_null(strstr(err.hint, "outpost login " BOX));
}

static void
particular_code_wins_over_general_one(void **state)
{
	struct oauth_failure f = failure("invalid_grant", 70002);

	(void)state;
	f.codes[1] = 70008;
	f.code_count = 2;
	assert_ptr_equal(oauth_error_find(&f, 400), oauth_error_code(70008));
	f.codes[0] = 70008;
	f.codes[1] = 70002;
	assert_ptr_equal(oauth_error_find(&f, 400), oauth_error_code(70008));
}

static void
error_decides_where_no_code_is_known(void **state)
{
	struct oauth_failure f = failure("temporarily_unavailable", 0);

	(void)state;
	assert_int_equal(oauth_error_find(&f, 503)->class, ERROR_RETRY);
	f = failure("invalid_client", 123456789);
	assert_int_equal(oauth_error_find(&f, 401)->exit_code, EX_CONFIG);
	f = failure("invalid_grant", 123456789);
	strlcpy(f.suberror, "consent_required", sizeof(f.suberror));
	assert_ptr_equal(oauth_error_find(&f, 400), oauth_error_code(65001));
}

static void
unknown_refusal_is_held_and_unknown_outage_is_retried(void **state)
{
	struct oauth_failure f = failure("never_heard_of", 0);

	(void)state;
	assert_int_equal(oauth_error_find(&f, 400)->class, ERROR_HOLD);
	assert_int_equal(oauth_error_find(&f, 503)->class, ERROR_RETRY);
	assert_int_equal(oauth_error_find(&f, 429)->class, ERROR_THROTTLED);
}

static void
device_states_are_told_by_error_whatever_the_code(void **state)
{
	struct oauth_failure f = failure("authorization_declined", 70016);

	(void)state;
	assert_string_equal(
	    oauth_error_find(&f, 400)->error, "authorization_declined");
	f = failure("access_denied", 0);
	assert_int_equal(oauth_error_find(&f, 400)->class, ERROR_HOLD);
}

static void
retry_after_is_obeyed(void **state)
{
	struct oauth_failure f = failure("temporarily_unavailable", 90033);
	struct error err;

	(void)state;
	oauth_error_judge(&f, 503, 120, BOX, "h", &err);
	assert_int_equal(err.class, ERROR_THROTTLED);
	assert_int_equal(err.retry_after, 120);
	f = failure("invalid_grant", 700082);
	oauth_error_judge(&f, 400, 120, BOX, "h", &err);
	assert_int_equal(err.class, ERROR_HOLD);
}

static void
request_loop_stops_for_an_hour(void **state)
{
	struct oauth_failure f = failure("invalid_grant", 50196);
	struct error err;

	(void)state;
	oauth_error_judge(&f, 400, 0, BOX, "h", &err);
	assert_int_equal(err.class, ERROR_THROTTLED);
	assert_true(err.retry_after >= 3600);
}

static struct error
error_of(enum error_class class, unsigned retry_after)
{
	struct error err;

	error_set(&err, EX_TEMPFAIL, "4.4.0", "x");
	error_class_set(&err, class, retry_after);
	return err;
}

static void
pauses_double_and_end_after_three_tries(void **state)
{
	struct error err = error_of(ERROR_RETRY, 0);

	(void)state;
	assert_true(oauth_pause(2, &err, 60, 0.5) == 1.0);
	assert_true(oauth_pause(3, &err, 60, 0.5) == 2.0);
	assert_true(oauth_pause(4, &err, 60, 0.5) < 0);
	assert_true(oauth_pause(2, &err, 60, 0) < 1.0);
	assert_true(oauth_pause(2, &err, 60, 1) > 1.0);
}

static void
pause_past_the_deadline_is_none(void **state)
{
	struct error retry = error_of(ERROR_RETRY, 0);
	struct error throttled = error_of(ERROR_THROTTLED, 30);

	(void)state;
	assert_true(oauth_pause(2, &retry, 0.5, 0.5) < 0);
	assert_true(oauth_pause(2, &retry, -5, 0.5) < 0);
	assert_true(oauth_pause(2, &throttled, 20, 0.5) < 0);
	assert_true(oauth_pause(2, &throttled, 40, 0.5) == 30);
	/* A try of a moment finds nothing out. */
	assert_true(oauth_pause(2, &retry, 1.5, 0.5) < 0);
	assert_true(oauth_pause(2, &throttled, 30.5, 0.5) < 0);
}

static void
what_a_person_must_mend_is_not_tried_again(void **state)
{
	struct error hold = error_of(ERROR_HOLD, 0);

	(void)state;
	assert_true(oauth_pause(2, &hold, 60, 0.5) < 0);
}

static struct token
token_of(time_t issued, time_t refresh_in)
{
	struct token token;

	token_init(&token);
	buf_adds(&token.value, "secret");
	token.issued = issued;
	token.expires = issued + 3600;
	token.refresh_in = refresh_in;
	return token;
}

static void
choice_follows_cache_and_rejection(void **state)
{
	struct token token = token_of(1000, 0);
	char hash[ENCODE_SHA256_HEX_SIZE];

	(void)state;
	token_hash(&token, hash);
	assert_int_equal(renew_choose(NULL, NULL, 1000), RENEW_MAKE);
	assert_int_equal(renew_choose(NULL, hash, 1000), RENEW_MAKE);
	assert_int_equal(renew_choose(&token, NULL, 1000), RENEW_USE);
	assert_int_equal(renew_choose(&token, "other", 1000), RENEW_USE);
	assert_int_equal(renew_choose(&token, hash, 1299), RENEW_REFUSE);
	assert_int_equal(renew_choose(&token, hash, 1300), RENEW_MAKE);
	token_release(&token);
}

static void
early_renewal_is_wished_from_its_time_on(void **state)
{
	struct token token = token_of(1000, 2000);

	(void)state;
	assert_int_equal(renew_choose(&token, NULL, 1999), RENEW_USE);
	assert_int_equal(renew_choose(&token, NULL, 2000), RENEW_EARLY);
	token_release(&token);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_known_code_has_a_row),
		cmocka_unit_test(every_row_has_sentence_hint_and_exit_code),
		cmocka_unit_test(no_code_stands_in_two_rows),
		cmocka_unit_test(expired_sign_in_says_how_to_sign_in_again),
		cmocka_unit_test(particular_code_wins_over_general_one),
		cmocka_unit_test(error_decides_where_no_code_is_known),
		cmocka_unit_test(
		    unknown_refusal_is_held_and_unknown_outage_is_retried),
		cmocka_unit_test(
		    device_states_are_told_by_error_whatever_the_code),
		cmocka_unit_test(retry_after_is_obeyed),
		cmocka_unit_test(request_loop_stops_for_an_hour),
		cmocka_unit_test(pauses_double_and_end_after_three_tries),
		cmocka_unit_test(pause_past_the_deadline_is_none),
		cmocka_unit_test(what_a_person_must_mend_is_not_tried_again),
		cmocka_unit_test(choice_follows_cache_and_rejection),
		cmocka_unit_test(early_renewal_is_wished_from_its_time_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
