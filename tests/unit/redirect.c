/* What a browser or a person brings back: which bytes are the sign-in's end,
 * and which are not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>

#include "auth/redirect.h"
#include "base/error.h"
#include "base/xalloc.h"

#define HOST "localhost:1234"
#define STATE "0123456789abcdefABCDEF-_0123456789abcdefABCDE"
#define OTHER_STATE "0123456789abcdefABCDEF-_0123456789abcdefABCDF"
#define END " HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define BOX "alerts@contoso.com"

static enum redirect_verdict
verdict_of(const char *head)
{
	enum redirect_verdict verdict;
	struct redirect r;

	redirect_init(&r);
	verdict = redirect_request(&r, head, strlen(head), HOST, STATE);
	if (verdict != REDIRECT_ANSWER) {
		assert_int_equal(r.code.len, 0);
		assert_string_equal(r.error, "");
	}
	redirect_release(&r);
	return verdict;
}

static void
code_is_taken_and_decoded(void **state)
{
	static const char head[] = "GET /?code=1.AXEA_a%2Bb-%24c&state=" STATE
				   "&session_state=x HTTP/1.1\r\nhost:\t" HOST
				   "\r\nCookie: a=b; \xc3\xa9\r\n\r\n";
	struct redirect r;

	(void)state;
	redirect_init(&r);
	assert_int_equal(redirect_request(&r, head, strlen(head), HOST, STATE),
	    REDIRECT_ANSWER);
	assert_string_equal(r.code.data, "1.AXEA_a+b-$c");
	assert_string_equal(r.error, "");
	redirect_release(&r);
}

static void
error_is_taken_with_the_first_line_of_its_text(void **state)
{
	static const char head[] =
	    "GET /?error=access_denied&error_description=AADSTS65004%3a+User"
	    "+declined.%0d%0aTrace+ID%3a+1&state=" STATE END;
	struct redirect r;

	(void)state;
	redirect_init(&r);
	assert_int_equal(redirect_request(&r, head, strlen(head), HOST, STATE),
	    REDIRECT_ANSWER);
	assert_string_equal(r.error, "access_denied");
	assert_string_equal(r.description, "AADSTS65004: User declined.");
	assert_int_equal(r.code.len, 0);
	redirect_release(&r);
}

/* clang-format off */
static const struct {
	enum redirect_verdict verdict;
	const char *head;
} heads[] = {
	{ REDIRECT_PARTIAL, "" },
	{ REDIRECT_PARTIAL, "GET /?code=x&state=" STATE " HTTP/1.1\r\n" },
	{ REDIRECT_PARTIAL, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\n" },
	{ REDIRECT_ANSWER, "GET /?state=" STATE "&code=x" END },
	{ REDIRECT_ANSWER, "GET /?&a&=b&code=x&state=" STATE "&" END },
	/* Not this sign-in's. */
	{ REDIRECT_STRANGER, "GET /" END },
	{ REDIRECT_STRANGER, "GET /?" END },
	{ REDIRECT_STRANGER, "GET /?code=x" END },
	{ REDIRECT_STRANGER, "GET /?code=x&state=" END },
	{ REDIRECT_STRANGER, "GET /?code=x&state=" STATE "x" END },
	{ REDIRECT_STRANGER, "GET /?code=x&state=x" STATE END },
	{ REDIRECT_STRANGER, "GET /?code=x&state=" OTHER_STATE END },
	{ REDIRECT_STRANGER, "GET /?error=x&state=no" END },
	{ REDIRECT_NO_PAGE, "GET /favicon.ico" END },
	{ REDIRECT_NO_PAGE, "GET //?code=x&state=" STATE END },
	{ REDIRECT_NO_PAGE, "GET /%3fcode=x&state=" STATE END },
	{ REDIRECT_NO_METHOD, "POST /?code=x&state=" STATE END },
	{ REDIRECT_NO_METHOD, "HEAD /?code=x&state=" STATE END },
	/* Neither, both, twice, or what is no code. */
	{ REDIRECT_MALFORMED, "GET /?state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=x&error=y&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=x&code=y&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE "&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=a+b&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=a%0ab&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=%00&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=%e2%82&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?state=" STATE "&code=%4" END },
	{ REDIRECT_MALFORMED, "GET /?state=" STATE "&code=%" END },
	{ REDIRECT_MALFORMED, "GET /?code=%g0&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?error=A-B&state=" STATE END },
	/* Not what a browser sends. */
	{ REDIRECT_MALFORMED, "GET  /?code=x&state=" STATE END },
	{ REDIRECT_MALFORMED, " GET /?code=x&state=" STATE END },
	{ REDIRECT_MALFORMED, "get /?code=x&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET" END },
	{ REDIRECT_MALFORMED, "GET " END },
	{ REDIRECT_MALFORMED, "/?code=x&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET ?code=x&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET http://" HOST "/?code=x&state=" STATE END },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE "#a" END },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.0\r\nHost: " HOST "\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE "\r\nHost: " HOST "\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: evil\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: localhost\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\nHost: " HOST "\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\n folded\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\nno colon\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\n: none\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\nA: b\nC: d\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\nA: b\rC\r\n\r\n" },
	{ REDIRECT_MALFORMED, "GET /?code=x&state=" STATE " HTTP/1.1\r\nHost: " HOST "\r\nA: \x01\r\n\r\n" },
	{ REDIRECT_MALFORMED, "\r\n\r\n" },
};
/* clang-format on */

static void
each_head_has_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (verdict_of(heads[i].head) != heads[i].verdict)
			fail_msg("%d for %s", (int)verdict_of(heads[i].head),
			    heads[i].head);
}

static void
caps_hold(void **state)
{
	size_t size = REDIRECT_HEAD_MAX + 100;
	char *head = xmalloc(size);
	struct redirect r;

	(void)state;
	redirect_init(&r);
	memset(head, 'x', size);
	assert_int_equal(
	    redirect_request(&r, head, REDIRECT_HEAD_MAX - 1, HOST, STATE),
	    REDIRECT_PARTIAL);
	assert_int_equal(
	    redirect_request(&r, head, REDIRECT_HEAD_MAX, HOST, STATE),
	    REDIRECT_TOO_LONG);
	memcpy(head + size - 4, "\r\n\r\n", 4);
	assert_int_equal(
	    redirect_request(&r, head, size, HOST, STATE), REDIRECT_TOO_LONG);
	redirect_release(&r);
	free(head);
}

static void
code_up_to_its_cap_is_taken(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t len = OAUTH_TOKEN_MAX + over;
		char *code = xmalloc(len + 1);
		char *head;

		memset(code, 'c', len);
		code[len] = '\0';
		head = xasprintf("GET /?code=%s&state=%s%s", code, STATE, END);
		assert_int_equal(verdict_of(head),
		    over ? REDIRECT_MALFORMED : REDIRECT_ANSWER);
		free(head);
		free(code);
	}
}

/* The code that came out, or NULL with the error. */
static char *
pasted(const char *text, struct error *err)
{
	struct redirect r;
	char *code = NULL;

	redirect_init(&r);
	if (redirect_pasted(&r, text, STATE, err) == 0)
		code = buf_steal(&r.code);
	redirect_release(&r);
	return code;
}

static void
pasted_address_query_and_code_are_taken(void **state)
{
	static const char *const texts[] = {
		"http://localhost/?code=1.AX%2Ba&state=" STATE
		"&session_state=1",
		"  http://localhost:80/?state=" STATE "&code=1.AX%2Ba#_=_ \r\n",
		"https://login.example/common/oauth2/nativeclient?code=1.AX%2Ba"
		"&state=" STATE,
		"localhost/?code=1.AX%2Ba&state=" STATE,
		"code=1.AX%2Ba&state=" STATE,
		"1.AX%2Ba",
		"\t1.AX%2Ba\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err;
		char *code = pasted(texts[i], &err);

		if (code == NULL)
			fail_msg("%s: %s", texts[i], err.text);
		assert_string_equal(code, "1.AX+a");
		free(code);
	}
}

static void
wrong_paste_is_told(void **state)
{
	static const struct {
		const char *text, *words;
	} texts[] = {
		{ "", "nothing" },
		{ " \n", "nothing" },
		{ "http://localhost/", "no code" },
		{ "http://localhost/?state=" STATE, "no code" },
		{ "http://localhost/?code=x", "another sign-in" },
		{ "http://localhost/?code=x&state=", "another sign-in" },
		{ "code=x&state=" OTHER_STATE, "another sign-in" },
		{ "http://localhost/?code=a%20b&state=" STATE, "malformed" },
		{ "http://localhost/?code=x&code=y&state=" STATE, "malformed" },
		{ "http://localhost/?code=%&state=" STATE, "malformed" },
		{ "two words", "no code" },
		{ "caf\xc3\xa9", "no code" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err;
		char *code = pasted(texts[i].text, &err);

		assert_null(code);
		assert_int_equal(err.exit_code, EX_DATAERR);
		if (strstr(err.text, texts[i].words) == NULL)
			fail_msg("%s: %s", texts[i].text, err.text);
		assert_non_null(strstr(err.hint, "http://localhost/?code="));
	}
}

static void
judge(const char *error, const char *description, struct error *err)
{
	struct redirect r;

	redirect_init(&r);
	strlcpy(r.error, error, sizeof(r.error));
	strlcpy(r.description, description, sizeof(r.description));
	assert_int_equal(-1, redirect_judge(&r, BOX, "login.example", err));
	redirect_release(&r);
}

static void
number_in_the_text_says_more_than_the_error(void **state)
{
	struct error err;

	(void)state;
	judge("access_denied", "AADSTS90094: An administrator ...", &err);
	assert_non_null(strstr(err.text, "has to approve"));
	assert_int_equal(err.exit_code, EX_NOPERM);
	judge("access_denied", "AADSTS999999999: never heard of", &err);
	assert_non_null(strstr(err.text, "was declined"));
	judge("access_denied", "AADSTS99999999999999999999: too long", &err);
	assert_non_null(strstr(err.text, "was declined"));
	judge("access_denied", "", &err);
	assert_non_null(strstr(err.text, "was declined"));
	assert_non_null(strstr(err.hint, BOX));
	judge("temporarily_unavailable", "", &err);
	assert_int_equal(err.class, ERROR_RETRY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_is_taken_and_decoded),
		cmocka_unit_test(
		    error_is_taken_with_the_first_line_of_its_text),
		cmocka_unit_test(each_head_has_its_verdict),
		cmocka_unit_test(caps_hold),
		cmocka_unit_test(code_up_to_its_cap_is_taken),
		cmocka_unit_test(pasted_address_query_and_code_are_taken),
		cmocka_unit_test(wrong_paste_is_told),
		cmocka_unit_test(number_in_the_text_says_more_than_the_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
