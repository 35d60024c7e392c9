#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/redact.h"

static void
tokens_in_a_description_are_cut_out(void **state)
{
	static const char *const secrets[] = {
		"eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQi.c2lnbmF0dXJl",
		"M.C546_BAY.0.U.-Cq5!n*abcDEF$$",
		"0.AXEAPjl_H5fh5yjCglXXFxtU3oQ52uU_VpET",
		"1.AVQAq1-3xyzABCDEFGHIJKLMNOP",
		"EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
		"Zx8Q~abcdefghijklmnopqrstuvwxyz0123456",
		"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9w",
	};
	char text[1024], out[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		snprintf(text, sizeof(text),
		    "AADSTS9002313: bad token '%s' given", secrets[i]);
		redact_line(out, sizeof(out), text, NULL);
		assert_string_equal(
		    out, "AADSTS9002313: bad token '<redacted>' given");
	}
}

static void
echo_of_what_was_sent_is_cut_out(void **state)
{
	char out[256];

	(void)state;
	redact_line(out, sizeof(out), "the secret hunter2! is wrong, hunter2!",
	    "hunter2!");
	assert_null(strstr(out, "hunter2"));
	/* As the form had it. */
	redact_line(out, sizeof(out),
	    "bad body: client_secret=hunter2%21%2f&scope=x", "hunter2!/");
	assert_null(strstr(out, "hunter2"));
	assert_non_null(strstr(out, "scope=x"));
	redact_line(out, sizeof(out), "too short a secret", "o");
	assert_string_equal(out, "too short a secret");
	redact_line(out, sizeof(out), "blanks       stay", "       ");
	assert_non_null(strstr(out, "stay"));
}

static void
words_of_a_description_stay(void **state)
{
	static const char text[] =
	    "AADSTS700016: Application with identifier "
	    "'5c1f7a3e-9d42-4d0b-8a77-0e6b1c2d3f40' was not found in the "
	    "directory 'contoso.onmicrosoft.com'. Visit "
	    "https://login.microsoftonline.com/error?code=700016 or "
	    "https://aka.ms/NewClientSecret, issued on "
	    "2026-07-22T05:15:31.6070000Z.";
	char out[1024];

	(void)state;
	assert_string_equal(redact_line(out, sizeof(out), text, NULL), text);
}

static void
secret_at_the_cut_is_not_half_shown(void **state)
{
	char out[24];

	(void)state;
	redact_line(out, sizeof(out),
	    "token eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQi", NULL);
	assert_string_equal(out, "token <redacted>");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_in_a_description_are_cut_out),
		cmocka_unit_test(echo_of_what_was_sent_is_cut_out),
		cmocka_unit_test(words_of_a_description_stay),
		cmocka_unit_test(secret_at_the_cut_is_not_half_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
