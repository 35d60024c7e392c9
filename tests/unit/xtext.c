#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/xtext.h"

static void
xtext_is_as_rfc_3461_says(void **state)
{
	struct error err;
	struct buf b;
	char *out = NULL;

	(void)state;
	assert_int_equal(dsn_envid("a+b=c d~!", &out, &err), 0);
	assert_string_equal(out, "a+2Bb+3Dc+20d~!");
	assert_true(dsn_is_envid(out));
	buf_init(&b, 200);
	xtext_decode(&b, out);
	assert_string_equal(b.data, "a+b=c d~!");
	buf_release(&b);
	free(out);
	assert_false(dsn_is_envid("a b"));
	assert_false(dsn_is_envid("a=b"));
	assert_false(dsn_is_envid("+2b"));
	assert_false(dsn_is_envid("+2"));
	assert_false(dsn_is_envid("+"));
	assert_false(dsn_is_envid("\xc3\xb6"));
}

static void
notification_options_are_checked(void **state)
{
	char *out = NULL, text[200];
	struct error err;

	(void)state;
	assert_int_equal(dsn_notify("failure, delay", &out, &err), 0);
	assert_string_equal(out, "FAILURE,DELAY");
	free(out);
	assert_int_equal(dsn_notify("Never", &out, &err), 0);
	assert_string_equal(out, "NEVER");
	free(out);
	assert_int_equal(dsn_notify("", &out, &err), -1);
	assert_int_equal(err.exit_code, EX_USAGE);
	assert_int_equal(dsn_notify("delay,", &out, &err), -1);
	assert_int_equal(dsn_notify("delay,delay", &out, &err), -1);
	assert_int_equal(dsn_notify("never,delay", &out, &err), -1);
	assert_int_equal(dsn_notify("delay failure", &out, &err), -1);
	assert_int_equal(dsn_ret("FULL", &out, &err), 0);
	assert_string_equal(out, "FULL");
	free(out);
	assert_int_equal(dsn_ret("", &out, &err), -1);
	assert_int_equal(dsn_envid("x y", &out, &err), 0);
	assert_string_equal(out, "x+20y");
	free(out);
	assert_int_equal(dsn_envid("", &out, &err), -1);
	assert_int_equal(dsn_envid("x\ny", &out, &err), -1);
	memset(text, 'x', sizeof(text));
	text[101] = '\0';
	assert_int_equal(dsn_envid(text, &out, &err), -1);
	text[100] = '\0';
	assert_int_equal(dsn_envid(text, &out, &err), 0);
	free(out);
	assert_null(dsn_orcpt("j\xc3\xb6@b.org"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xtext_is_as_rfc_3461_says),
		cmocka_unit_test(notification_options_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
