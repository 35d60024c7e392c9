#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "account/config.h"
#include "base/error.h"
#include "queue/state.h"

static void
each_kind_and_mailbox_has_a_file_of_its_own(void **state)
{
	struct config config = { .state_dir = (char[]){ "/var/lib/outpost" } };
	struct account a = { .mailbox = (char[]){ "Alerts@contoso.com" } };
	struct account b = { .mailbox = (char[]){ "../x@contoso.com" } };
	char *path;

	(void)state;
	path = state_path(&config, &a, "ledger");
	assert_string_equal(
	    path, "/var/lib/outpost/state/alerts@contoso.com=ledger");
	free(path);
	path = state_path(&config, &b, "hold");
	assert_null(strstr(path, ".."));
	free(path);
}

static void
the_folder_is_made_for_its_owner_alone(void **state)
{
	char folder[] = "/tmp/outpost-state-XXXXXX", path[64], command[80];
	struct config config = { .state_dir = folder };
	struct stat status;
	struct error err;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(state_make_folder(&config, &err), 0);
	assert_int_equal(state_make_folder(&config, &err), 0);
	snprintf(path, sizeof(path), "%s/state", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	config.state_dir = (char[]){ "/proc/nowhere" };
	assert_int_equal(state_make_folder(&config, &err), -1);
	assert_int_equal(err.exit_code, EX_CANTCREAT);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_and_mailbox_has_a_file_of_its_own),
		cmocka_unit_test(the_folder_is_made_for_its_owner_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
