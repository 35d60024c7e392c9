/* The login message, against Microsoft's own examples. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "smtp/xoauth2.h"

static void
examples_of_microsoft(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, XOAUTH2_MAX);
	assert_int_equal(xoauth2_response(&out, "test@contoso.onmicrosoft.com",
			     "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA", NULL),
	    0);
	assert_string_equal(out.data,
	    "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3"
	    "QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ==");
	buf_clear(&out);
	assert_int_equal(
	    xoauth2_response(&out, "someuser@example.com",
		"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", NULL),
	    0);
	assert_string_equal(out.data,
	    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRm"
	    "dDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==");
	buf_release(&out);
}

static void
fields_cannot_be_added(void **state)
{
	struct error err;
	struct buf out;

	(void)state;
	buf_init(&out, XOAUTH2_MAX);
	assert_int_equal(
	    xoauth2_response(&out, "a@b\001auth=Bearer x", "t", &err), -1);
	assert_int_equal(xoauth2_response(&out, "a@b", "t\nx", &err), -1);
	assert_int_equal(xoauth2_response(&out, "", "t", &err), -1);
	assert_int_equal(xoauth2_response(&out, "a@b", "", &err), -1);
	assert_int_equal(out.len, 0);
	buf_release(&out);
}

static void
error_never_holds_the_token(void **state)
{
	char *token = xmalloc(XOAUTH2_MAX + 1);
	struct error err;
	struct buf out;

	(void)state;
	memset(token, 'T', XOAUTH2_MAX);
	token[XOAUTH2_MAX] = '\0';
	buf_init(&out, XOAUTH2_MAX);
	assert_int_equal(xoauth2_response(&out, "a@b", token, &err), -1);
	assert_null(strstr(err.text, "TTT"));
	token[12 * 1024] = '\0';
	assert_int_equal(xoauth2_response(&out, "a@b", token, &err), 0);
	buf_release(&out);
	free(token);
}

static void
challenges(void **state)
{
	char out[32];

	(void)state;
	xoauth2_challenge(out, sizeof(out), "eyJzdGF0dXMiOiI0MDEifQ==");
	assert_string_equal(out, "{\"status\":\"401\"}");
	xoauth2_challenge(out, sizeof(out), "no base64 at all");
	assert_string_equal(out, "no base64 at all");
	xoauth2_challenge(out, sizeof(out), "");
	assert_string_equal(out, "");
	/* Base64 of control characters stays what it is. */
	xoauth2_challenge(out, sizeof(out), "Gxsb");
	assert_string_equal(out, "Gxsb");
	xoauth2_challenge(out, sizeof(out), "a\033[31m");
	assert_string_equal(out, "a [31m");
	xoauth2_challenge(out, 5, "0123 456789");
	assert_string_equal(out, "0123");
}

/* What is left of a text after a login with that token. */
static void
hidden(const char *text, const char *want)
{
	static const char token[] = "eyJ0eXAiOiJKV1QiLCJub25jZSI6IkFRQUJBQUFB";
	char shown[512];
	struct buf response;

	buf_init(&response, XOAUTH2_MAX);
	assert_int_equal(
	    xoauth2_response(&response, "alerts@contoso.com", token, NULL), 0);
	strlcpy(shown, text, sizeof(shown));
	xoauth2_hide(shown, &response);
	assert_string_equal(shown, want);
	buf_release(&response);
}

static void
echo_of_a_login_is_hidden(void **state)
{
	(void)state;
	hidden("unrecognized: AUTH XOAUTH2 "
	       "dXNlcj1hbGVydHNAY29udG9zby5jb20BYXV0aD1CZWFyZXIgZXlK, sorry",
	    "unrecognized: AUTH XOAUTH2 ***, sorry");
	/* From the middle of it on, wrapped, and more than once. */
	hidden("\"BYXV0aD1CZWFyZXIgZXlK\" \"BYXV0aD1CZWFyZXIg\"",
	    "\"***\" \"***\"");
	/* Decoded. */
	hidden("bad token eyJ0eXAiOiJKV1QiLCJub25jZSI6IkFRQUJBQUFB.",
	    "bad token ***.");
	hidden("eyJ0eXAiOiJKV1QiLCJub25jZSI6IkFRQUJBQUFB", "***");
	/* The mailbox is none of it, nor are words. */
	hidden("alerts@contoso.com may not use auth=Bearer, eyJ0eXAi",
	    "alerts@contoso.com may not use auth=Bearer, eyJ0eXAi");
	hidden("", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_microsoft),
		cmocka_unit_test(fields_cannot_be_added),
		cmocka_unit_test(error_never_holds_the_token),
		cmocka_unit_test(challenges),
		cmocka_unit_test(echo_of_a_login_is_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
