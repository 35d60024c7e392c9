#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "queue/incoming.h"
#include "queue/spool.h"
#include "tests/unit/state_folder.h"

#define MB (1024u * 1024)

/* What is left of the disk, as the C library is said to find it. */
static uint64_t left;

int
fstatvfs(int fd, struct statvfs *disk)
{
	(void)fd;
	*disk = (struct statvfs){ .f_bavail = left / 512, .f_frsize = 512 };
	return 0;
}

static int
set_up(void **state)
{
	static char dir[] = "/queue";

	left = 1024 * ROOM_FREE_BYTES;
	config.queue_dir = dir;
	return make_state(state);
}

static int
grow(struct incoming *in, size_t len, struct error *err)
{
	return incoming_grow(in, 0, len, err);
}

static void
a_user_has_so_many_places_and_gets_them_back(void **state)
{
	struct incoming one, large, third, other;
	struct error err;

	(void)state;
	incoming_init(&one);
	incoming_init(&large);
	incoming_init(&third);
	incoming_init(&other);
	assert_int_equal(incoming_begin(&one, &config, 33, &err), 0);
	assert_int_equal(grow(&one, INCOMING_PIECE, &err), 0);
	assert_int_equal(incoming_begin(&large, &config, 33, &err), 0);
	for (unsigned i = 1; i < INCOMING_PIECES; i++)
		assert_int_equal(grow(&large, INCOMING_PIECE, &err), 0);
	/* One has a place, the other all that are left. */
	assert_int_equal(grow(&large, 1, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_string_equal(err.status, "4.3.1");
	assert_non_null(strstr(err.text, "user 33 "));
	assert_int_equal(grow(&one, 1, NULL), -1);
	assert_int_equal(incoming_begin(&third, &config, 33, NULL), -1);
	assert_int_equal(incoming_begin(&other, &config, 34, &err), 0);
	incoming_release(&one);
	assert_int_equal(incoming_begin(&third, &config, 33, &err), 0);
	incoming_release(&large);
	assert_int_equal(grow(&third, 35 * MB, &err), 0);
	incoming_release(&third);
	incoming_release(&other);
}

static void
places_die_with_their_holder(void **state)
{
	struct incoming in;
	struct error err;
	int status;

	(void)state;
	incoming_init(&in);
	if (fork() == 0) {
		if (incoming_begin(&in, &config, 0, &err) == -1)
			_exit(1);
		_exit(grow(&in, ROOM_BYTES, &err) == -1);
	}
	assert_true(wait(&status) > 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(incoming_begin(&in, &config, 0, &err), 0);
	assert_int_equal(grow(&in, ROOM_BYTES, &err), 0);
	incoming_release(&in);
}

static void
a_full_disk_takes_small_messages_alone(void **state)
{
	struct incoming in;
	struct error err;

	(void)state;
	left = ROOM_FREE_BYTES - 512;
	incoming_init(&in);
	assert_int_equal(incoming_begin(&in, &config, 0, &err), 0);
	assert_int_equal(grow(&in, INCOMING_SMALL, &err), 0);
	assert_int_equal(grow(&in, 1, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_non_null(strstr(err.text, "too full"));
	left = ROOM_FREE_BYTES;
	assert_int_equal(grow(&in, 1, &err), 0);
	/* All small ones together are no more than what must be left. */
	assert_true(INCOMING_SMALL * INCOMING_PIECES <= ROOM_FREE_BYTES);
	incoming_release(&in);
}

static void
a_body_that_is_written_anew_is_bounded_too(void **state)
{
	char half[INCOMING_SMALL / 2];
	struct incoming in;
	struct spool spool;
	struct error err;

	(void)state;
	left = 0;
	memset(half, 'x', sizeof(half));
	incoming_init(&in);
	spool_init(&spool);
	assert_int_equal(incoming_begin(&in, &config, 0, &err), 0);
	assert_int_equal(spool_open(&spool, config.state_dir, &err), 0);
	spool.incoming = &in;
	assert_int_equal(spool_write(&spool, half, sizeof(half), &err), 0);
	assert_int_equal(
	    spool_rewrite(&spool, config.state_dir, CONTENT_BREAK, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_int_equal(spool.size, sizeof(half));
	left = ROOM_FREE_BYTES;
	assert_int_equal(
	    spool_rewrite(&spool, config.state_dir, CONTENT_BREAK, &err), 0);
	assert_ptr_equal(spool.incoming, &in);
	spool_release(&spool);
	incoming_release(&in);
}

static void
without_a_state_folder_the_disk_is_looked_at(void **state)
{
	struct config nowhere = config;
	struct incoming in;

	(void)state;
	incoming_init(&in);
	nowhere.state_dir = (char[]){ "/proc/nowhere" };
	assert_int_equal(incoming_begin(&in, &nowhere, 0, NULL), 0);
	assert_int_equal(grow(&in, 2 * ROOM_BYTES, NULL), 0);
	left = 0;
	assert_int_equal(grow(&in, 1, NULL), -1);
	incoming_release(&in);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, remove_state)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_user_has_so_many_places_and_gets_them_back),
		TEST(places_die_with_their_holder),
		TEST(a_full_disk_takes_small_messages_alone),
		TEST(a_body_that_is_written_anew_is_bounded_too),
		TEST(without_a_state_folder_the_disk_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
