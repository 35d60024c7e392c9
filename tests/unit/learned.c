/* What a server taught, remembered and forgotten. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "queue/learned.h"
#include "tests/unit/folder.h"

#define NOW 1764000000
#define HOUR 3600
#define MONTH (30 * 86400)
#define YEAR (365 * 86400)
#define ROOT 0
#define WEB 33
#define FILE_NAME "/state/alerts@contoso.com=learned"

static struct config config = { .path = NULL };
static struct account account = { .mailbox = (char[]){ "Alerts@Contoso.com" } };
static struct account other = { .mailbox = (char[]){ "sales@contoso.com" } };

static int
make_folder(void **state)
{
	(void)state;
	config.state_dir = xstrdup("/tmp/outpost-learned-XXXXXX");
	return mkdtemp(config.state_dir) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	int result = remove_all(config.state_dir);

	(void)state;
	free(config.state_dir);
	return result;
}

static char *
path(void)
{
	return xasprintf("%s" FILE_NAME, config.state_dir);
}

static void
note(enum lesson lesson, const char *about, time_t now)
{
	struct error err;

	assert_int_equal(
	    learned_note(&config, &account, lesson, about, now, &err), 0);
}

static void
note_denied(uid_t uid, const char *address, time_t now)
{
	struct error err;

	assert_int_equal(
	    learned_note_denied(&config, &account, uid, address, now, &err), 0);
}

static bool
denied_to(uid_t uid, const char *address, time_t now)
{
	return learned_is_denied(&config, &account, uid, address, now);
}

static bool
denied(const char *address, time_t now)
{
	return denied_to(WEB, address, now);
}

static void
write_state(const char *text)
{
	char *name = path();
	struct error err;

	note_denied(WEB, "x@x", NOW);
	assert_int_equal(file_replace(name, text, strlen(text), 0600, &err), 0);
	free(name);
}

static void
a_refused_address_is_known_for_an_hour(void **state)
{
	(void)state;
	assert_false(denied("boss@contoso.com", NOW));
	note_denied(WEB, "boss@contoso.com", NOW);
	assert_true(denied("boss@contoso.com", NOW));
	assert_true(denied("Boss@Contoso.COM", NOW + HOUR - 1));
	assert_false(denied("boss@contoso.com", NOW + HOUR));
	assert_false(denied("boss@contoso.co", NOW));
	assert_false(denied("", NOW));
}

static void
a_server_is_known_for_a_month(void **state)
{
	(void)state;
	note(LEARNED_TWO_STEP, "smtp.example:587", NOW);
	assert_true(learned_knows(&config, &account, LEARNED_TWO_STEP,
	    "smtp.example:587", NOW + MONTH - 1));
	assert_false(learned_knows(&config, &account, LEARNED_TWO_STEP,
	    "smtp.example:587", NOW + MONTH));
	assert_false(learned_knows(
	    &config, &account, LEARNED_TWO_STEP, "smtp.example:25", NOW));
}

static void
lessons_and_accounts_are_kept_apart(void **state)
{
	(void)state;
	note(LEARNED_TWO_STEP, "a", NOW);
	note_denied(WEB, "b", NOW);
	assert_false(denied("a", NOW));
	assert_true(denied("b", NOW));
	assert_true(
	    learned_knows(&config, &account, LEARNED_TWO_STEP, "a", NOW));
	assert_false(learned_is_denied(&config, &other, WEB, "b", NOW));
}

static void
what_one_user_brought_about_is_not_anothers(void **state)
{
	char name[16];

	(void)state;
	note_denied(ROOT, "backup@contoso.com", NOW);
	note_denied(WEB, "boss@contoso.com", NOW);
	assert_false(denied_to(ROOT, "boss@contoso.com", NOW));
	assert_false(denied_to(3, "boss@contoso.com", NOW));
	assert_false(denied_to(333, "boss@contoso.com", NOW));
	/* Nor is another's lesson pushed out. */
	for (unsigned i = 0; i < 2 * LEARNED_MAX; i++) {
		snprintf(name, sizeof(name), "%u@b", i);
		note_denied(WEB, name, NOW);
	}
	assert_true(denied_to(ROOT, "backup@contoso.com", NOW));
	assert_false(denied("boss@contoso.com", NOW));
}

static void
a_date_from_a_wrong_clock_does_not_count(void **state)
{
	(void)state;
	note_denied(WEB, "boss@contoso.com", NOW + 10 * HOUR);
	assert_false(denied("boss@contoso.com", NOW));
	assert_false(denied("boss@contoso.com", NOW + 9 * HOUR - 1));
	note_denied(WEB, "boss@contoso.com", NOW);
	assert_false(denied("boss@contoso.com", NOW - YEAR));
	assert_false(denied("boss@contoso.com", NOW + YEAR));
}

static void
a_file_that_is_broken_knows_nothing_and_is_replaced(void **state)
{
	static const char *const texts[] = {
		"",
		"outpost-learned 2\ndenied: 1764000100 33 b@b\n",
		"outpost-learned 1\ndenied: 1764000100 33 b@b",
		"outpost-learned 1\ndenied: 1764000100\n",
		"outpost-learned 1\ndenied: 1764000100 b@b\n",
		"outpost-learned 1\ndenied: b@b\n",
		"outpost-learned 1\ndenied: 99999999999999999999999 33 b@b\n",
		"outpost-learned 1\ndenied: -1764000100 33 b@b\n",
		"outpost-learned 1\nother: 1764000100 33 b@b\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_state(texts[i]);
		assert_false(denied("b@b", NOW));
		note_denied(WEB, "b@b", NOW);
		assert_true(denied("b@b", NOW));
	}
	write_state("outpost-learned 1\ndenied: 1764000100 33 b@b\n");
	assert_true(denied("b@b", NOW));
}

static void
nobody_can_make_us_keep_more_than_the_maximum(void **state)
{
	static const uid_t users[] = { 0, 33, 1000, 1001, 1002, 1003 };
	char name[16];
	unsigned known = 0, of_user = 0;

	(void)state;
	for (unsigned i = 0; i < 3 * LEARNED_MAX; i++) {
		snprintf(name, sizeof(name), "%u@b", i);
		note_denied(users[i % 6], name, NOW);
	}
	for (unsigned i = 0; i < 3 * LEARNED_MAX; i++) {
		snprintf(name, sizeof(name), "%u@b", i);
		known += denied_to(users[i % 6], name, NOW);
		of_user += denied(name, NOW);
	}
	assert_int_equal(known, LEARNED_MAX);
	assert_in_range(of_user, LEARNED_MAX / 6, LEARNED_USER_MAX);
	assert_true(denied_to(users[5], name, NOW));
}

static void
the_same_lesson_is_kept_once_and_old_ones_go(void **state)
{
	struct buf text;
	struct error err;
	char *name = path();

	(void)state;
	note_denied(WEB, "old@b", NOW - HOUR);
	note_denied(WEB, "b@b", NOW - 10);
	note_denied(WEB, "B@b", NOW);
	buf_init(&text, 1000);
	assert_int_equal(file_read(name, &text, &err), 0);
	assert_string_equal(
	    text.data, "outpost-learned 1\ndenied: 1764003600 33 B@b\n");
	buf_release(&text);
	free(name);
}

static void
the_file_is_its_owners_alone(void **state)
{
	char *name = path(), *folder;
	struct stat status;

	(void)state;
	note_denied(WEB, "b@b", NOW);
	assert_int_equal(stat(name, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	folder = xasprintf("%s/state", config.state_dir);
	assert_int_equal(stat(folder, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	free(folder);
	free(name);
}

static void
a_folder_that_cannot_be_made_is_an_error(void **state)
{
	struct config nowhere = { .state_dir = (char[]){ "/dev/null" } };
	struct error err;

	(void)state;
	assert_int_equal(
	    learned_note_denied(&nowhere, &account, WEB, "b@b", NOW, &err), -1);
	assert_int_equal(err.exit_code, EX_CANTCREAT);
	assert_false(learned_is_denied(&nowhere, &account, WEB, "b@b", NOW));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_refused_address_is_known_for_an_hour),
		TEST(a_server_is_known_for_a_month),
		TEST(lessons_and_accounts_are_kept_apart),
		TEST(what_one_user_brought_about_is_not_anothers),
		TEST(a_date_from_a_wrong_clock_does_not_count),
		TEST(a_file_that_is_broken_knows_nothing_and_is_replaced),
		TEST(nobody_can_make_us_keep_more_than_the_maximum),
		TEST(the_same_lesson_is_kept_once_and_old_ones_go),
		TEST(the_file_is_its_owners_alone),
		TEST(a_folder_that_cannot_be_made_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
