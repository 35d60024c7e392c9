#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "queue/list.h"
#include "queue/room.h"
#include "tests/unit/queue_folder.h"

#define NOW 1795500000

/* Three messages: two of user 1000, of which the later is due later. */
static void
fill(const char *dir, char ids[3][ID_SIZE])
{
	static const uid_t users[] = { 1000, 33, 1000 };
	static const time_t next[] = { NOW - 5, NOW, NOW + 60 };

	for (size_t i = 0; i < 3; i++) {
		struct entry e;

		entry_init(&e);
		e.uid = users[i];
		assert_int_equal(add_message(dir, &e, "hello", NULL), 0);
		assert_int_equal(queue_put_off(dir, e.id, next[i]), 0);
		strlcpy(ids[i], e.id, ID_SIZE);
		entry_release(&e);
	}
}

static void
names_come_in_order_of_arrival_and_as_asked(void **state)
{
	const char *dir = *state;
	char ids[3][ID_SIZE];
	struct list list;

	fill(dir, ids);
	list_init(&list);
	assert_int_equal(list_read(&list, dir, ENTRY_ACTIVE, NULL, NULL), 0);
	assert_int_equal(list.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(list.names[i], ids[i]);
	list_release(&list);

	struct list_filter own = { .own = true, .uid = 1000 };
	assert_int_equal(list_read(&list, dir, ENTRY_ACTIVE, &own, NULL), 0);
	assert_int_equal(list.count, 2);
	list_release(&list);

	struct list_filter due = { .due = NOW };
	assert_int_equal(list_read(&list, dir, ENTRY_ACTIVE, &due, NULL), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.names[1], ids[1]);
	list_release(&list);

	struct list_filter later = { .after = ids[1] };
	assert_int_equal(list_read(&list, dir, ENTRY_ACTIVE, &later, NULL), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.names[0], ids[2]);
	list_release(&list);

	/* A time that no clock could have meant is now. */
	assert_int_equal(queue_put_off(dir, ids[2], NOW + 400L * 86400), 0);
	assert_int_equal(list_read(&list, dir, ENTRY_ACTIVE, &due, NULL), 0);
	assert_int_equal(list.count, 3);
	list_release(&list);
	assert_int_equal(list_read(&list, dir, ENTRY_FAILED, NULL, NULL), 0);
	assert_int_equal(list.count, 0);
}

static void
add_name(struct list *list, time_t second, uid_t uid)
{
	const struct timespec when = { .tv_sec = second };
	char id[ID_SIZE];

	id_make(id, &when, uid, 0);
	list_add(list, id);
}

static void
users_take_turns_and_each_goes_in_order_of_arrival(void **state)
{
	static const struct {
		time_t second;
		uid_t uid;
	} turns[] = { { 0, 33 }, { 100, 0 }, { 101, 1000 }, { 1, 33 },
		{ 102, 0 }, { 2, 33 } };
	struct list list;

	(void)state;
	list_init(&list);
	list_take_turns(&list);
	assert_int_equal(list.count, 0);
	for (time_t i = 0; i < 50; i++)
		add_name(&list, NOW + i, 33);
	add_name(&list, NOW + 102, 0);
	add_name(&list, NOW + 101, 1000);
	add_name(&list, NOW + 100, 0);
	list_take_turns(&list);
	assert_int_equal(list.count, 53);
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		assert_int_equal(id_uid(list.names[i]), turns[i].uid);
		assert_int_equal(id_time(list.names[i]) - NOW, turns[i].second);
	}
	for (size_t i = 6; i < 53; i++)
		assert_int_equal(id_time(list.names[i]) - NOW, i - 3);
	list_release(&list);
}

static void
counts_are_of_what_there_is(void **state)
{
	char *dir = xasprintf("%s/counted", (char *)*state);
	struct list_filter own = { .own = true, .uid = 33 };
	struct queue_counts counts;
	char ids[3][ID_SIZE];
	struct entry e;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(queue_count(dir, NULL, &counts, NULL), 0);
	assert_int_equal(counts.deferred + counts.held + counts.failed, 0);
	fill(dir, ids);
	entry_init(&e);
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, ids[0], &e, NULL), QUEUE_CLAIMED);
	e.held = NOW;
	assert_int_equal(queue_save(dir, &e, NULL), 0);
	entry_release(&e);
	assert_int_equal(
	    queue_claim(dir, ENTRY_ACTIVE, ids[2], &e, NULL), QUEUE_CLAIMED);
	assert_int_equal(queue_move(dir, &e, ENTRY_FAILED, NULL), 0);
	entry_release(&e);
	assert_int_equal(queue_count(dir, NULL, &counts, NULL), 0);
	assert_int_equal(counts.deferred, 1);
	assert_int_equal(counts.held, 1);
	assert_int_equal(counts.failed, 1);
	assert_int_equal(counts.bytes, 10);
	assert_int_equal(counts.oldest, 1795495936);
	assert_int_equal(queue_count(dir, &own, &counts, NULL), 0);
	assert_int_equal(counts.deferred, 1);
	assert_int_equal(counts.held + counts.failed, 0);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_in_order_of_arrival_and_as_asked),
		cmocka_unit_test(
		    users_take_turns_and_each_goes_in_order_of_arrival),
		cmocka_unit_test(counts_are_of_what_there_is),
	};

	return cmocka_run_group_tests(tests, make_queue, remove_queue);
}
