#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "base/buf.h"

static void
new_buffer_is_an_empty_string(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
	assert_int_equal(b.size, 0);
	assert_false(b.full);
	buf_clear(&b);
	buf_consume(&b, 0);
	buf_grown(&b, 0);
	assert_string_equal(b.data, "");
	buf_release(&b);
	buf_release(&b);
	assert_int_equal(b.max, 10);
}

static void
maximum_is_reached_and_not_passed(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_int_equal(buf_adds(&b, "abcd"), 0);
	assert_int_equal(buf_addc(&b, 'e'), 0);
	assert_false(b.full);
	assert_int_equal(buf_addc(&b, 'f'), -1);
	assert_true(b.full);
	assert_int_equal(buf_adds(&b, "xyz"), -1);
	assert_int_equal(buf_addf(&b, "%d", 7), -1);
	assert_null(buf_room(&b, 1));
	assert_null(buf_room(&b, SIZE_MAX));
	assert_int_equal(buf_splice(&b, 1, 1, "12", 2), -1);
	assert_string_equal(b.data, "abcde");
	assert_int_equal(b.len, 5);
	assert_int_equal(buf_adds(&b, ""), 0);
	buf_clear(&b);
	assert_false(b.full);
	assert_int_equal(buf_addf(&b, "%s", "12345"), 0);
	assert_string_equal(b.data, "12345");
	buf_release(&b);
}

static void
addition_that_does_not_fit_leaves_nothing_behind(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	buf_adds(&b, "key=");
	assert_int_equal(buf_addf(&b, "%s", "longer"), -1);
	assert_string_equal(b.data, "key=");
	assert_int_equal(buf_adds(&b, "ab"), 0);
	assert_string_equal(b.data, "key=ab");
	assert_true(b.full);
	buf_release(&b);
}

static void
buffer_without_maximum_left_takes_only_nothing(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_int_equal(buf_adds(&b, ""), 0);
	assert_int_equal(buf_addf(&b, "%s", ""), 0);
	assert_int_equal(buf_addc(&b, 'a'), -1);
	assert_string_equal(b.data, "");
	buf_release(&b);
}

static void
nul_bytes_are_bytes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_add(&b, "a\0b", 3), 0);
	assert_int_equal(buf_addc(&b, '\0'), 0);
	assert_int_equal(buf_add(&b, "c", 1), 0);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "a\0b\0c", 6);
	buf_release(&b);
}

static void
grows_to_a_megabyte_byte_by_byte(void **state)
{
	const size_t size = 1024 * 1024;
	struct buf b;

	(void)state;
	buf_init(&b, size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(buf_addc(&b, (char)(i * 7)), 0);
	for (size_t i = 0; i < size; i++)
		if (b.data[i] != (char)(i * 7))
			fail_msg("byte %zu differs", i);
	assert_int_equal(b.data[size], '\0');
	assert_int_equal(buf_addc(&b, 'x'), -1);
	buf_release(&b);
}

static void
clear_wipes_what_was_there(void **state)
{
	struct buf b;
	const char *memory;

	(void)state;
	buf_init(&b, 100);
	buf_adds(&b, "Bearer secret");
	memory = b.data;
	buf_clear(&b);
	assert_ptr_equal(b.data, memory);
	for (size_t i = 0; i < sizeof("Bearer secret"); i++)
		assert_int_equal(memory[i], 0);
	buf_release(&b);
}

static void
bytes_taken_out_are_wiped_too(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_adds(&b, "secret and the rest");
	buf_consume(&b, strlen("secret and the "));
	assert_string_equal(b.data, "rest");
	for (size_t i = b.len; i < sizeof("secret and the rest"); i++)
		assert_int_equal(b.data[i], 0);
	buf_release(&b);
}

static void
splice_replaces_inserts_and_removes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_splice(&b, 0, 0, "bd", 2), 0);
	assert_int_equal(buf_splice(&b, 1, 0, "c", 1), 0);
	assert_int_equal(buf_splice(&b, 0, 0, "a", 1), 0);
	assert_int_equal(buf_splice(&b, 4, 0, "e", 1), 0);
	assert_string_equal(b.data, "abcde");
	assert_int_equal(buf_splice(&b, 1, 3, "-", 1), 0);
	assert_string_equal(b.data, "a-e");
	assert_int_equal(buf_splice(&b, 1, 1, "12345678", 8), 0);
	assert_string_equal(b.data, "a12345678e");
	assert_int_equal(buf_splice(&b, 0, b.len, NULL, 0), 0);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void
splice_moves_long_tails_through_a_new_allocation(void **state)
{
	char tail[1000];
	struct buf b;

	(void)state;
	memset(tail, 't', sizeof(tail));
	buf_init(&b, 2000);
	buf_add(&b, tail, sizeof(tail));
	assert_int_equal(buf_splice(&b, 500, 0, tail, sizeof(tail)), 0);
	assert_int_equal(b.len, 2000);
	for (size_t i = 0; i < b.len; i++)
		assert_int_equal(b.data[i], 't');
	buf_release(&b);
}

static void
room_is_filled_by_hand(void **state)
{
	struct buf b;
	char *room;

	(void)state;
	buf_init(&b, 100);
	buf_adds(&b, "ab");
	room = buf_room(&b, 98);
	assert_non_null(room);
	memcpy(room, "cd", 2);
	buf_grown(&b, 2);
	assert_string_equal(b.data, "abcd");
	assert_null(buf_room(&b, 97));
	assert_true(b.full);
	buf_release(&b);
}

static void
stolen_text_belongs_to_the_caller(void **state)
{
	struct buf b;
	char *text;

	(void)state;
	buf_init(&b, 100);
	buf_adds(&b, "mine");
	text = buf_steal(&b);
	assert_string_equal(text, "mine");
	assert_string_equal(b.data, "");
	assert_int_equal(b.max, 100);
	free(text);
	text = buf_steal(&b);
	assert_string_equal(text, "");
	free(text);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_buffer_is_an_empty_string),
		cmocka_unit_test(maximum_is_reached_and_not_passed),
		cmocka_unit_test(
		    addition_that_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(
		    buffer_without_maximum_left_takes_only_nothing),
		cmocka_unit_test(nul_bytes_are_bytes),
		cmocka_unit_test(grows_to_a_megabyte_byte_by_byte),
		cmocka_unit_test(clear_wipes_what_was_there),
		cmocka_unit_test(bytes_taken_out_are_wiped_too),
		cmocka_unit_test(splice_replaces_inserts_and_removes),
		cmocka_unit_test(
		    splice_moves_long_tails_through_a_new_allocation),
		cmocka_unit_test(room_is_filled_by_hand),
		cmocka_unit_test(stolen_text_belongs_to_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
