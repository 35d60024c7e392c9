#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/scope.h"

static void
missing_permission_is_found(void **state)
{
	static const char asked[] =
	    "https://outlook.office.com/SMTP.Send offline_access";
	char out[SCOPE_WORD_SIZE];

	(void)state;
	assert_false(scope_missing(asked, "", out));
	assert_false(scope_missing(
	    asked, "https://outlook.office365.com/smtp.send", out));
	assert_true(scope_missing(
	    asked, "https://outlook.office.com/IMAP.AccessAsUser.All", out));
	assert_string_equal(out, "SMTP.Send");
	assert_false(scope_missing(
	    "https://outlook.office365.com/.default", "anything", out));
}

static void
permission_is_found_whatever_its_case_and_address(void **state)
{
	(void)state;
	assert_true(scope_has("SMTP.Send", "SMTP.Send"));
	assert_true(scope_has("  IMAP.Read  smtp.send ", "SMTP.Send"));
	assert_true(scope_has("https://a.example/SMTP.Send", "SMTP.Send"));
	assert_false(scope_has("", "SMTP.Send"));
	assert_false(scope_has("SMTP.SendAsApp", "SMTP.Send"));
	assert_false(scope_has("XSMTP.Send SMTP.Sen", "SMTP.Send"));
}

static void
resource_is_what_permissions_are_for(void **state)
{
	static const char *const scopes[][2] = {
		{ "https://outlook.office365.com/.default",
		    "https://outlook.office365.com" },
		{ "https://a.example/.default offline_access",
		    "https://a.example" },
		{ "https://a.example", "https://a.example" },
		{ "/.default", "/.default" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		char *resource = scope_resource(scopes[i][0]);

		assert_string_equal(resource, scopes[i][1]);
		free(resource);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_permission_is_found),
		cmocka_unit_test(
		    permission_is_found_whatever_its_case_and_address),
		cmocka_unit_test(resource_is_what_permissions_are_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
