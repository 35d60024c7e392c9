#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/error.h"
#include "queue/room.h"
#include "tests/unit/queue_folder.h"

/* The files of a message of user 'uid', with a body of that size and no bytes
 * on disk. */
static void
make_files(const char *dir, uid_t uid, uint32_t number, off_t size)
{
	struct timespec now = { 1795495936 + (time_t)number, 0 };
	char id[ID_SIZE], *path;
	int fd;

	id_make(id, &now, uid, 0);
	path = xasprintf("%s/active/%s.env", dir, id);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	free(path);
	path = xasprintf("%s/active/%s.body", dir, id);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	free(path);
}

static void
a_user_may_have_so_many_messages(void **state)
{
	const char *dir = *state;
	struct error err;

	assert_int_equal(room_check(dir, ENTRY_ACTIVE, 33, 1, NULL), 0);
	char *active = xasprintf("%s/active", dir);
	assert_int_equal(mkdir(active, 0700), 0);
	for (uint32_t i = 0; i < ROOM_MESSAGES - 1; i++)
		make_files(dir, 33, i, 1);
	assert_int_equal(room_check(dir, ENTRY_ACTIVE, 33, 1, NULL), 0);
	make_files(dir, 33, ROOM_MESSAGES, 1);
	assert_int_equal(room_check(dir, ENTRY_ACTIVE, 33, 1, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_non_null(strstr(err.text, "10000 messages"));
	/* Others are not touched by it, and what failed is counted apart. */
	assert_int_equal(room_check(dir, ENTRY_ACTIVE, 34, 1, NULL), 0);
	assert_int_equal(room_check(dir, ENTRY_FAILED, 33, 1, NULL), 0);
	/* What is to be queued is refused whole. */
	struct entry e;
	entry_init(&e);
	e.uid = 33;
	assert_int_equal(add_message(dir, &e, "x", &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	/* But for a notification, which is ours. */
	e.notice = true;
	assert_int_equal(add_message(dir, &e, "x", &err), 0);
	entry_release(&e);
	free(active);
}

static void
a_user_may_have_so_many_bytes(void **state)
{
	const char *dir = *state;
	struct error err;

	for (uint32_t i = 0; i < 4; i++)
		make_files(dir, 2000, i, 255 << 20);
	assert_int_equal(room_check(dir, ENTRY_ACTIVE, 2000, 4 << 20, NULL), 0);
	assert_int_equal(
	    room_check(dir, ENTRY_ACTIVE, 2000, (4 << 20) + 1, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
}

static void
no_folder_is_no_room(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(
	    room_check("/nonexistent", ENTRY_ACTIVE, 0, 1, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_may_have_so_many_messages),
		cmocka_unit_test(a_user_may_have_so_many_bytes),
		cmocka_unit_test(no_folder_is_no_room),
	};

	return cmocka_run_group_tests(tests, make_queue, remove_queue);
}
