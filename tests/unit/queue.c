#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "base/error.h"
#include "tests/unit/queue_folder.h"

static void
a_message_that_was_added_can_be_claimed(void **state)
{
	const char *dir = *state;
	struct entry e, back;
	char body[16] = "";

	entry_init(&e);
	entry_init(&back);
	e.uid = 1000;
	assert_int_equal(add_message(dir, &e, "hello\r\n", NULL), 0);
	assert_true(is_there(dir, "active", e.id, ".body"));
	entry_release(&back);
	char id[ID_SIZE];
	strlcpy(id, e.id, sizeof(id));
	entry_release(&e);
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, id, &back, NULL), QUEUE_CLAIMED);
	assert_int_equal(back.uid, 1000);
	assert_int_equal(back.next, 1795495936);
	assert_int_equal(back.size, 7);
	assert_string_equal(back.header.data, "Subject: x\r\n\r\n");
	assert_int_equal(pread(back.body_fd, body, 16, 0), 7);
	assert_string_equal(body, "hello\r\n");
	entry_release(&back);
}

static void
only_its_owner_may_read_it(void **state)
{
	const char *dir = *state;
	static const char *const suffixes[] = { ".body", ".env" };
	struct stat status;
	struct entry e;

	entry_init(&e);
	assert_int_equal(add_message(dir, &e, "x", NULL), 0);
	for (size_t i = 0; i < 2; i++) {
		char *path =
		    xasprintf("%s/active/%s%s", dir, e.id, suffixes[i]);

		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 0777, 0600);
		free(path);
	}
	entry_release(&e);
}

static void
who_adds_holds_the_lock_until_he_lets_go(void **state)
{
	const char *dir = *state;
	struct entry e, other;
	char id[ID_SIZE];

	entry_init(&e);
	entry_init(&other);
	assert_int_equal(add_message(dir, &e, "x", NULL), 0);
	strlcpy(id, e.id, sizeof(id));
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, id, &other, NULL), QUEUE_BUSY);
	entry_release(&e);
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, id, &other, NULL), QUEUE_CLAIMED);
	entry_release(&other);
}

static void
what_was_saved_is_there_with_its_time(void **state)
{
	const char *dir = *state;
	struct entry e, back;

	entry_init(&e);
	entry_init(&back);
	assert_int_equal(add_message(dir, &e, "x", NULL), 0);
	envelope_verdict(&e.envelope, 0, NULL);
	e.next = 1795499999;
	assert_int_equal(queue_save(dir, &e, NULL), 0);
	assert_int_equal(
	    queue_read(dir, ENTRY_ACTIVE, e.id, true, &back, NULL), 0);
	assert_int_equal(back.next, 1795499999);
	assert_int_equal(back.envelope.recipients[0].state, RECIPIENT_SENT);
	assert_int_equal(queue_put_off(dir, e.id, 1795500000), 0);
	assert_int_equal(
	    queue_read(dir, ENTRY_ACTIVE, e.id, true, &back, NULL), 0);
	assert_int_equal(back.next, 1795500000);
	entry_release(&e);
	entry_release(&back);
}

static void
what_was_removed_is_gone(void **state)
{
	const char *dir = *state;
	struct entry e, other;
	struct error err;

	entry_init(&e);
	entry_init(&other);
	assert_int_equal(add_message(dir, &e, "x", NULL), 0);
	assert_int_equal(queue_remove(dir, &e, NULL), 0);
	assert_false(is_there(dir, "active", e.id, ".env"));
	assert_false(is_there(dir, "active", e.id, ".body"));
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, e.id, &other, &err), QUEUE_GONE);
	entry_release(&e);
	entry_release(&other);
}

static void
it_moves_to_failed_and_back_under_its_lock(void **state)
{
	const char *dir = *state;
	struct entry e, other;

	entry_init(&e);
	entry_init(&other);
	assert_int_equal(add_message(dir, &e, "hello", NULL), 0);
	e.attempts = 7;
	assert_int_equal(queue_move(dir, &e, ENTRY_FAILED, NULL), 0);
	assert_true(is_there(dir, "failed", e.id, ".env"));
	assert_true(is_there(dir, "failed", e.id, ".body"));
	assert_false(is_there(dir, "active", e.id, ".env"));
	assert_false(is_there(dir, "active", e.id, ".body"));
	assert_int_equal(
	    queue_claim(dir, ENTRY_FAILED, e.id, &other, NULL), QUEUE_BUSY);
	assert_int_equal(queue_move(dir, &e, ENTRY_ACTIVE, NULL), 0);
	assert_int_equal(
	    queue_read(dir, ENTRY_ACTIVE, e.id, false, &other, NULL), 0);
	assert_int_equal(other.attempts, 7);
	assert_false(is_there(dir, "failed", e.id, ".body"));
	entry_release(&e);
	entry_release(&other);
}

static void
what_was_refused_is_set_apart_though_the_disk_takes_no_more(void **state)
{
	const char *dir = *state;
	struct rlimit usual, none;
	struct entry e;
	struct error err;

	entry_init(&e);
	assert_int_equal(add_message(dir, &e, "body", &err), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
	none = usual;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(queue_move(dir, &e, ENTRY_FAILED, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
	assert_int_equal(err.exit_code, EX_IOERR);
	assert_int_equal(e.folder, ENTRY_FAILED);
	assert_true(is_there(dir, "failed", e.id, ".env"));
	assert_true(is_there(dir, "failed", e.id, ".body"));
	assert_false(is_there(dir, "active", e.id, ".env"));
	assert_false(is_there(dir, "active", e.id, ".body"));
	assert_int_equal(queue_remove(dir, &e, &err), 0);
	entry_release(&e);
}

static void
of_a_body_that_failed_a_megabyte_is_kept(void **state)
{
	const char *dir = *state;
	char *body = xmalloc(3u << 20);
	struct entry e, refused, back;
	struct error err;

	memset(body, 'x', 3u << 20);
	body[(3u << 20) - 1] = '\0';
	entry_init(&e);
	entry_init(&refused);
	entry_init(&back);
	assert_int_equal(add_message(dir, &e, body, NULL), 0);
	assert_int_equal(queue_move(dir, &e, ENTRY_FAILED, NULL), 0);
	refused.folder = ENTRY_FAILED;
	assert_int_equal(add_message(dir, &refused, body, NULL), 0);
	for (int i = 0; i < 2; i++) {
		char id[ID_SIZE];

		strlcpy(id, i == 0 ? e.id : refused.id, sizeof(id));
		entry_release(i == 0 ? &e : &refused);
		assert_int_equal(
		    queue_claim(dir, ENTRY_FAILED, id, &back, NULL),
		    QUEUE_CLAIMED);
		assert_int_equal(back.size, (3u << 20) - 1);
		assert_int_equal(back.kept, 1u << 20);
		/* It is not what was sent any more. */
		assert_int_equal(
		    queue_move(dir, &back, ENTRY_ACTIVE, &err), -1);
		assert_int_equal(err.exit_code, EX_DATAERR);
		assert_true(is_there(dir, "failed", id, ".env"));
		entry_release(&back);
	}
	free(body);
}

/* Damage 'suffix' by 'how', claim it, and find it set aside. */
static void
is_set_aside(const char *dir, const char *suffix, const char *how)
{
	struct entry e, other;
	struct error err;
	char id[ID_SIZE];
	char *command;

	entry_init(&e);
	entry_init(&other);
	assert_int_equal(add_message(dir, &e, "hello", NULL), 0);
	strlcpy(id, e.id, sizeof(id));
	entry_release(&e);
	command = xasprintf("cd %s/active && %s %s%s", dir, how, id, suffix);
	assert_int_equal(system(command), 0);
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, id, &other, &err), QUEUE_CORRUPT);
	assert_non_null(strstr(err.text, id));
	assert_true(err.hint[0] != '\0');
	assert_false(is_there(dir, "active", id, ".env"));
	assert_false(is_there(dir, "active", id, ".body"));
	assert_true(is_there(dir, "corrupt", id, ".env"));
	entry_release(&other);
	free(command);
}

static void
corrupt_messages_are_set_aside_and_kept(void **state)
{
	const char *dir = *state;

	is_set_aside(dir, ".env", "truncate -s -3");
	is_set_aside(dir, ".env", "truncate -s 0");
	is_set_aside(dir, ".env", "truncate -s +100");
	is_set_aside(dir, ".env", "sed -i s/^recipient/r3cipient/");
	is_set_aside(dir, ".body", "truncate -s -1");
	is_set_aside(dir, ".body", "truncate -s +1");
	is_set_aside(dir, ".body", "rm");
}

static void
a_name_that_is_taken_is_not_taken_twice(void **state)
{
	const char *dir = *state;
	struct entry e, other;

	entry_init(&e);
	entry_init(&other);
	assert_int_equal(add_message(dir, &e, "one", NULL), 0);
	strlcpy(other.id, e.id, sizeof(other.id));
	assert_int_equal(add_message(dir, &other, "two", NULL), 0);
	assert_string_not_equal(e.id, other.id);
	assert_true(is_there(dir, "active", e.id, ".env"));
	assert_true(is_there(dir, "active", other.id, ".env"));
	entry_release(&e);
	entry_release(&other);
}

static size_t
files_in(const char *dir, const char *folder)
{
	char *path = xasprintf("%s/%s", dir, folder);
	DIR *opened = opendir(path);
	size_t count = 0;

	while (opened != NULL && readdir(opened) != NULL)
		count++;
	if (opened != NULL)
		closedir(opened);
	free(path);
	return count < 2 ? 0 : count - 2;
}

static void
what_cannot_be_written_leaves_nothing(void **state)
{
	char *dir = xasprintf("%s/readonly", (char *)*state);
	struct entry e;
	struct error err;

	assert_int_equal(mkdir(dir, 0700), 0);
	/* A file where the folder should be. */
	char *active = xasprintf("%s/active", dir);
	close(open(active, O_CREAT | O_WRONLY, 0600));
	entry_init(&e);
	assert_int_equal(add_message(dir, &e, "x", &err), -1);
	assert_int_equal(err.exit_code, EX_IOERR);
	assert_int_equal(err.class, ERROR_RETRY);
	assert_true(err.hint[0] != '\0');
	assert_int_equal(files_in(dir, ""), 1);
	entry_release(&e);
	/* An envelope that has no room: its name is a folder's. */
	unlink(active);
	mkdir(active, 0700);
	entry_init(&e);
	strlcpy(e.id, "0123456789BCDFGH", sizeof(e.id));
	char *env = xasprintf("%s/%s.env", active, e.id);
	mkdir(env, 0700);
	char *inside = xasprintf("%s/x", env);
	mkdir(inside, 0700);
	assert_int_equal(add_message(dir, &e, "x", &err), -1);
	assert_int_equal(err.exit_code, EX_IOERR);
	assert_int_equal(files_in(dir, "active"), 1);
	assert_int_equal(e.body_fd, -1);
	entry_release(&e);

	/* When there is room again, the same body can be put in. */
	struct spool spool;

	entry_init(&e);
	(void)envelope_add(&e.envelope, "a@example.org", NULL);
	(void)buf_adds(&e.header, "Subject: x\r\n\r\n");
	strlcpy(e.id, "0123456789BCDFGH", sizeof(e.id));
	spool_init(&spool);
	assert_int_equal(spool_open(&spool, dir, &err), 0);
	assert_int_equal(spool_write(&spool, "body", 4, &err), 0);
	assert_int_equal(queue_add(dir, &e, &spool, &err), -1);
	assert_int_equal(files_in(dir, "active"), 1);
	rmdir(inside);
	rmdir(env);
	assert_int_equal(queue_add(dir, &e, &spool, &err), 0);
	assert_string_equal(e.id, "0123456789BCDFGH");
	spool_release(&spool);
	entry_release(&e);
	assert_int_equal(files_in(dir, "active"), 2);
	assert_int_equal(files_in(dir, ""), 1);
	entry_init(&e);
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, "0123456789BCDFGH", &e, &err),
	    QUEUE_CLAIMED);
	entry_release(&e);
	free(inside);
	free(env);
	free(active);
	free(dir);
}

/* Make a file look so old; its time of change is the kernel's to set, so the
 * sweep is told a later time. */
static void
what_a_crash_left_is_swept_when_it_is_old_and_nobodys(void **state)
{
	char *dir = xasprintf("%s/swept", (char *)*state);
	time_t now = time(NULL);
	struct entry whole, alone, locked;
	struct spool spool;
	char *path;

	assert_int_equal(mkdir(dir, 0700), 0);
	entry_init(&whole);
	entry_init(&alone);
	entry_init(&locked);
	assert_int_equal(add_message(dir, &whole, "x", NULL), 0);
	assert_int_equal(add_message(dir, &alone, "x", NULL), 0);
	assert_int_equal(add_message(dir, &locked, "x", NULL), 0);
	path = xasprintf("%s/active/%s.env", dir, alone.id);
	unlink(path);
	free(path);
	path = xasprintf("%s/active/%s.env", dir, locked.id);
	unlink(path);
	free(path);
	path = xasprintf("%s/active/%s.env.abcdef", dir, whole.id);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	free(path);
	path = xasprintf("%s/spool.abcdef", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	free(path);
	close(alone.body_fd);
	alone.body_fd = -1;
	close(whole.body_fd);
	whole.body_fd = -1;

	queue_sweep(dir, now);
	assert_int_equal(files_in(dir, "active"), 5);
	queue_sweep(dir, now + 2 * 3600);
	assert_int_equal(files_in(dir, "active"), 3);
	assert_true(is_there(dir, "active", whole.id, ".env"));
	assert_true(is_there(dir, "active", whole.id, ".body"));
	assert_true(is_there(dir, "active", locked.id, ".body"));
	assert_false(is_there(dir, ".", "spool.", "abcdef"));

	/* One that is in use has its lock. */
	spool_init(&spool);
	assert_int_equal(spool_open(&spool, dir, NULL), 0);
	queue_sweep(dir, now + 2 * 3600);
	entry_release(&alone);
	entry_init(&alone);
	assert_int_equal(queue_add(dir, &alone, &spool, NULL), 0);
	spool_release(&spool);
	entry_release(&whole);
	entry_release(&alone);
	entry_release(&locked);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_that_was_added_can_be_claimed),
		cmocka_unit_test(only_its_owner_may_read_it),
		cmocka_unit_test(who_adds_holds_the_lock_until_he_lets_go),
		cmocka_unit_test(what_was_saved_is_there_with_its_time),
		cmocka_unit_test(what_was_removed_is_gone),
		cmocka_unit_test(it_moves_to_failed_and_back_under_its_lock),
		cmocka_unit_test(
		    what_was_refused_is_set_apart_though_the_disk_takes_no_more),
		cmocka_unit_test(of_a_body_that_failed_a_megabyte_is_kept),
		cmocka_unit_test(corrupt_messages_are_set_aside_and_kept),
		cmocka_unit_test(a_name_that_is_taken_is_not_taken_twice),
		cmocka_unit_test(what_cannot_be_written_leaves_nothing),
		cmocka_unit_test(
		    what_a_crash_left_is_swept_when_it_is_old_and_nobodys),
	};

	return cmocka_run_group_tests(tests, make_queue, remove_queue);
}
