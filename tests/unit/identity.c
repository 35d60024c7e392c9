#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/identity.h"
#include "auth/identity_error.h"
#include "auth/oauth_response.h"
#include "base/file.h"
#include "tests/unit/folder.h"

#define VM "http://169.254.169.254/metadata/identity/oauth2/token"

static char folder[] = "/tmp/outpost-identity-XXXXXX";
static char header_file[64];
static char mailbox[] = "alerts@contoso.com";

static int
make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(header_file, sizeof(header_file), "%s/header", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	return remove_all(folder);
}

static void
write_file(const char *name, const char *text, size_t len, mode_t mode)
{
	char path[128];
	struct error err;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (file_replace(path, text, len, mode, &err) == -1)
		fail_msg("%s", err.text);
}

static int
clear(void **state)
{
	(void)state;
	unsetenv("IDENTITY_ENDPOINT");
	unsetenv("IDENTITY_HEADER");
	unsetenv("IMDS_ENDPOINT");
	unsetenv("MSI_ENDPOINT");
	unsetenv("MSI_SECRET");
	unsetenv("AZURE_POD_IDENTITY_AUTHORITY_HOST");
	return 0;
}

static struct account
account_with(enum config_identity identity, const char *endpoint)
{
	struct account a = {
		.mailbox = mailbox,
		.identity = identity,
		.identity_endpoint = (char *)(uintptr_t)endpoint,
	};

	return a;
}

static void
finds(
    const struct account *a, int kind, const char *endpoint, const char *secret)
{
	struct identity found;
	struct error err;

	identity_init(&found);
	if (identity_find(&found, a, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(found.kind, kind);
	assert_string_equal(found.endpoint.data, endpoint);
	assert_string_equal(found.secret.data, secret);
	identity_release(&found);
}

static void
lacks(const struct account *a, const char *what, const char *hint)
{
	struct identity found;
	struct error err;

	identity_init(&found);
	assert_int_equal(-1, identity_find(&found, a, &err));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_int_equal(err.class, ERROR_HOLD);
	if (strstr(err.text, what) == NULL || strstr(err.hint, hint) == NULL)
		fail_msg("%s (%s)", err.text, err.hint);
	identity_release(&found);
}

static void
machine_that_says_nothing_is_a_virtual_one(void **state)
{
	struct account a = account_with(IDENTITY_AUTO, NULL);

	(void)state;
	finds(&a, IDENTITY_VM, VM, "");
	setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:8/", 1);
	finds(&a, IDENTITY_VM,
	    "http://127.0.0.1:8/metadata/identity/oauth2/token", "");
	setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:8", 1);
	finds(&a, IDENTITY_VM,
	    "http://127.0.0.1:8/metadata/identity/oauth2/token", "");
}

/* Each line of what is set adds to the one before, and goes before it. */
static void
environment_chooses_in_the_order_of_microsofts_libraries(void **state)
{
	struct account a = account_with(IDENTITY_AUTO, NULL);

	(void)state;
	setenv("IDENTITY_ENDPOINT", "http://localhost:1/i", 1);
	finds(&a, IDENTITY_VM, VM, "");
	setenv("IMDS_ENDPOINT", "http://localhost:1", 1);
	finds(&a, IDENTITY_ARC, "http://localhost:1/i", "");
	setenv("MSI_ENDPOINT", "http://localhost:2/m", 1);
	finds(&a, IDENTITY_ARC, "http://localhost:1/i", "");
	setenv("MSI_SECRET", "legacy", 1);
	finds(&a, IDENTITY_MSI, "http://localhost:2/m", "legacy");
	setenv("IDENTITY_HEADER", "secret", 1);
	finds(&a, IDENTITY_APP_SERVICE, "http://localhost:1/i", "secret");
}

static void
keys_win_over_the_environment(void **state)
{
	struct account a = account_with(IDENTITY_AUTO, "http://localhost:9/k");

	(void)state;
	setenv("IDENTITY_ENDPOINT", "http://localhost:1/i", 1);
	setenv("IDENTITY_HEADER", "secret", 1);
	finds(&a, IDENTITY_VM, "http://localhost:9/k", "");
	a.identity = IDENTITY_ARC;
	finds(&a, IDENTITY_ARC, "http://localhost:9/k", "");
	a.identity = IDENTITY_APP_SERVICE;
	finds(&a, IDENTITY_APP_SERVICE, "http://localhost:9/k", "secret");
	write_file("header", "by file\n", 8, 0600);
	a.identity_header_file = header_file;
	finds(&a, IDENTITY_APP_SERVICE, "http://localhost:9/k", "by file");
	a.identity = IDENTITY_AUTO;
	finds(&a, IDENTITY_APP_SERVICE, "http://localhost:9/k", "by file");
	a = account_with(IDENTITY_VM, NULL);
	finds(&a, IDENTITY_VM, VM, "");
}

static void
kind_without_an_address_of_its_own_has_a_usual_one(void **state)
{
	struct account a = account_with(IDENTITY_ARC, NULL);

	(void)state;
	finds(&a, IDENTITY_ARC,
	    "http://localhost:40342/metadata/identity/oauth2/token", "");
	a.client_id = (char[]){ "c" };
	lacks(&a, "has a client_id", "remove client_id");
}

static void
app_service_needs_endpoint_and_header(void **state)
{
	struct account a = account_with(IDENTITY_APP_SERVICE, NULL);

	(void)state;
	lacks(&a, "has no endpoint", "identity_endpoint");
	a.identity_endpoint = (char[]){ "http://localhost:9/k" };
	lacks(&a, "has no header", "identity_header_file");
	a.identity = IDENTITY_MSI;
	lacks(&a, "has no header", "MSI_SECRET");
	write_file("header", "readable\n", 9, 0644);
	a.identity_header_file = header_file;
	lacks(&a, "identity header of", "chmod 600");
	write_file("header", "two\nlines\n", 10, 0600);
	lacks(&a, "does not hold one identity header", "one line");
}

static void
pauses_are_those_that_microsoft_advises(void **state)
{
	static const double pauses[] = { 0, 2, 6, 14, 30 };
	struct error err;

	(void)state;
	error_set(&err, EX_TEMPFAIL, "4.4.0", "x");
	for (int i = 0; i < 5; i++)
		assert_true(identity_pause(i + 2, &err, 100) == pauses[i]);
	assert_true(identity_pause(7, &err, 100) == -1);
	assert_true(identity_pause(3, &err, 2.5) == -1);
	error_class_set(&err, ERROR_THROTTLED, 20);
	assert_true(identity_pause(2, &err, 100) == 20);
	assert_true(identity_pause(2, &err, 10) == -1);
	error_class_set(&err, ERROR_HOLD, 0);
	assert_true(identity_pause(2, &err, 100) == -1);
}

static enum error_class
class_of(long status, const char *error, const char *description)
{
	struct oauth_failure failure = { .code_count = 0 };

	strlcpy(failure.error, error, sizeof(failure.error));
	strlcpy(failure.description, description, sizeof(failure.description));
	return identity_error_find(&failure, status)->class;
}

static void
passing_faults_are_retried_and_others_held(void **state)
{
	static const long passing[] = { 404, 410, 429, 500, 502, 503, 504 };
	static const long others[] = { 204, 302, 400, 401, 403, 405, 499 };

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(class_of(passing[i], "", ""), ERROR_RETRY);
		assert_int_equal(class_of(others[i], "", ""), ERROR_HOLD);
	}
	assert_int_equal(
	    class_of(404, "invalid_request", "Identity not found"), ERROR_HOLD);
	assert_int_equal(
	    class_of(500, "", "AADSTS500011: The resource"), ERROR_HOLD);
}

static void
every_row_says_what_to_do(void **state)
{
	const struct identity_row *row;
	size_t i;

	(void)state;
	for (i = 0; (row = identity_error_row(i)) != NULL; i++) {
		assert_int_not_equal(row->exit_code, 0);
		assert_int_equal(row->code[0], '4');
		assert_true(strlen(row->sentence) > 10);
		assert_true(strlen(row->hint) > 10);
	}
	assert_true(i >= 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    machine_that_says_nothing_is_a_virtual_one, clear),
		cmocka_unit_test_setup(
		    environment_chooses_in_the_order_of_microsofts_libraries,
		    clear),
		cmocka_unit_test_setup(keys_win_over_the_environment, clear),
		cmocka_unit_test_setup(
		    kind_without_an_address_of_its_own_has_a_usual_one, clear),
		cmocka_unit_test_setup(
		    app_service_needs_endpoint_and_header, clear),
		cmocka_unit_test(pauses_are_those_that_microsoft_advises),
		cmocka_unit_test(passing_faults_are_retried_and_others_held),
		cmocka_unit_test(every_row_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
