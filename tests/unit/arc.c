#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/arc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "tests/unit/folder.h"

#define FOLDER ARC_KEY_FOLDER

static char folder[] = "/tmp/outpost-arc-XXXXXX";

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
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

static void
challenge_of_arc_is_read(void **state)
{
	char name[ARC_KEY_NAME_SIZE];
	struct error err;

	(void)state;
	assert_int_equal(0,
	    arc_challenge(name, "Basic realm=" FOLDER "/3d2f-a.b.key", &err));
	assert_string_equal(name, "3d2f-a.b.key");
	assert_int_equal(
	    0, arc_challenge(name, "basic REALM=\"" FOLDER "/Q.key\"", &err));
	assert_string_equal(name, "Q.key");
}

static void
challenge_that_leaves_the_folder_is_refused(void **state)
{
	static const char *const headers[] = { "", "Basic",
		"Basic realm=", "Bearer realm=" FOLDER "/a.key",
		"Basic realm=a.key", "Basic realm=/etc/shadow",
		"Basic realm=/var/opt/azcmagent/tokenz/a.key",
		"Basic realm=/etc/ssl/a.key", "Basic realm=" FOLDER,
		"Basic realm=" FOLDER "/", "Basic realm=" FOLDER "/.key",
		"Basic realm=" FOLDER "/a.key/", "Basic realm=" FOLDER "/a.pem",
		"Basic realm=" FOLDER "/a.keyx",
		"Basic realm=" FOLDER "/../a.key",
		"Basic realm=" FOLDER "/../../secrets/a.key",
		"Basic realm=" FOLDER "/b/a.key",
		"Basic realm=" FOLDER "x/a.key", "Basic realm=" FOLDER "/..key",
		"Basic realm=" FOLDER "/a\xc3\xa4.key",
		"Basic realm=" FOLDER "/a.key b",
		"Basic realm=" FOLDER "/a b.key",
		"Basic realm=\"" FOLDER "/a.key", "Basic realm=\"",
		"Basic realm=" FOLDER "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"a"
		".key" };
	char name[ARC_KEY_NAME_SIZE] = "untouched";
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (arc_challenge(name, headers[i], &err) != -1)
			fail_msg("taken: %s", headers[i]);
		assert_int_equal(err.exit_code, EX_NOPERM);
		assert_int_equal(err.class, ERROR_HOLD);
		assert_int_not_equal(err.hint[0], '\0');
		assert_string_equal(name, "untouched");
	}
}

static int
read_key(const char *where, const char *name, const char *wanted)
{
	struct buf key;
	struct error err;
	int result;

	buf_init(&key, 2 * ARC_KEY_MAX);
	result = arc_read_key(&key, where, name, &err);
	if (result == 0) {
		assert_string_equal(key.data, wanted);
	} else {
		assert_int_equal(key.len, 0);
		assert_int_equal(err.class, ERROR_HOLD);
		assert_non_null(strstr(err.text, name));
		assert_non_null(strstr(err.hint, "README"));
	}
	buf_release(&key);
	return result;
}

static void
key_is_a_small_regular_file_of_the_folder_itself(void **state)
{
	char path[128], link[128], big[ARC_KEY_MAX + 2];

	(void)state;
	memset(big, 'x', sizeof(big));
	write_file("big.key", big, ARC_KEY_MAX + 1, 0640);
	big[ARC_KEY_MAX] = '\0';
	write_file("a.key", "secret\n", 7, 0640);
	write_file("most.key", big, ARC_KEY_MAX, 0640);
	write_file("empty.key", "", 0, 0640);
	write_file("nul.key", "a\0b", 3, 0640);
	assert_int_equal(0, read_key(folder, "a.key", "secret"));
	assert_int_equal(0, read_key(folder, "most.key", big));
	assert_int_equal(-1, read_key(folder, "big.key", ""));
	assert_int_equal(-1, read_key(folder, "empty.key", ""));
	assert_int_equal(-1, read_key(folder, "nul.key", ""));
	assert_int_equal(-1, read_key(folder, "missing.key", ""));

	snprintf(link, sizeof(link), "%s/link.key", folder);
	assert_int_equal(0, symlink("a.key", link));
	assert_int_equal(-1, read_key(folder, "link.key", ""));
	snprintf(link, sizeof(link), "%s/fifo.key", folder);
	assert_int_equal(0, mkfifo(link, 0600));
	assert_int_equal(-1, read_key(folder, "fifo.key", ""));
	snprintf(path, sizeof(path), "%s/there", folder);
	assert_int_equal(0, symlink(".", path));
	assert_int_equal(-1, read_key(path, "a.key", ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenge_of_arc_is_read),
		cmocka_unit_test(challenge_that_leaves_the_folder_is_refused),
		cmocka_unit_test(
		    key_is_a_small_regular_file_of_the_folder_itself),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
