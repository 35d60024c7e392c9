#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"

static void
members_and_lists_get_their_commas(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	json_open(&out, '{');
	json_text(&out, "a", "x");
	json_number(&out, "b", -5);
	json_name(&out, "c");
	json_open(&out, '[');
	json_bool(&out, NULL, true);
	json_text(&out, NULL, "");
	json_open(&out, '{');
	json_close(&out, '}');
	json_open(&out, '[');
	json_close(&out, ']');
	json_close(&out, ']');
	json_bool(&out, "d", false);
	json_close(&out, '}');
	assert_string_equal(out.data,
	    "{\"a\":\"x\",\"b\":-5,\"c\":[true,\"\",{},[]],\"d\":false}");
	buf_release(&out);
}

static void
text_cannot_break_out_or_be_no_utf8(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	json_text(&out, NULL, "a\"b\\c\nd\x1b[1m\xff\xc3\xa4{[:");
	assert_string_equal(
	    out.data, "\"a\\\"b\\\\c\\\\nd\\\\033[1m\\\\377\xc3\xa4{[:\"");
	json_number(&out, NULL, 1);
	assert_string_equal(out.data + out.len - 3, "\",1");
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_and_lists_get_their_commas),
		cmocka_unit_test(text_cannot_break_out_or_be_no_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
