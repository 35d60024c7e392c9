/* The address that a browser opens, and its two secrets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>

#include "account/config.h"
#include "auth/authorize.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/xalloc.h"

static struct account account = {
	.mailbox = (char[]){ "a&b@contoso.com" },
	.authority = (char[]){ "https://login.example" },
	.tenant = (char[]){ "con toso/.." },
	.client_id = (char[]){ "c" },
	.scope = (char[]){ "https://x/SMTP.Send offline_access" },
};

/* RFC 7636 appendix B. */
static void
challenge_is_the_hash_of_the_verifier(void **state)
{
	static const char verifier[] =
	    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	unsigned char digest[ENCODE_SHA256_SIZE];
	struct authorize a;
	struct buf text;
	char *expected;

	(void)state;
	buf_init(&text, 100);
	encode_sha256(digest, verifier, strlen(verifier));
	encode_base64url(&text, digest, sizeof(digest));
	assert_string_equal(
	    text.data, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
	buf_clear(&text);

	authorize_init(&a);
	assert_int_equal(
	    0, authorize_begin(&a, &account, "http://localhost:1", "", NULL));
	encode_sha256(digest, a.verifier, strlen(a.verifier));
	encode_base64url(&text, digest, sizeof(digest));
	expected = xasprintf("&code_challenge=%s&", text.data);
	assert_non_null(strstr(a.url.data, expected));
	assert_null(strstr(a.url.data, a.verifier));
	free(expected);
	authorize_release(&a);
	buf_release(&text);
}

static void
address_is_encoded(void **state)
{
	static const char beginning[] =
	    "https://login.example/con%20toso%2F../oauth2/v2.0/authorize"
	    "?client_id=c&response_type=code"
	    "&redirect_uri=http%3A%2F%2Flocalhost%3A1234&";
	struct authorize a;

	(void)state;
	authorize_init(&a);
	assert_int_equal(0, authorize_begin(&a, &account,
				"http://localhost:1234", "{\"a\":1}", NULL));
	assert_memory_equal(a.url.data, beginning, strlen(beginning));
	assert_non_null(strstr(a.url.data, "&login_hint=a%26b%40contoso.com&"));
	assert_non_null(strstr(a.url.data, "&claims=%7B%22a%22%3A1%7D"));
	assert_null(strchr(a.url.data, ' '));
	authorize_release(&a);
}

static void
every_beginning_has_secrets_of_its_own(void **state)
{
	struct authorize first, second;

	(void)state;
	authorize_init(&first);
	authorize_init(&second);
	authorize_begin(&first, &account, "http://localhost:1", "", NULL);
	authorize_begin(&second, &account, "http://localhost:1", "", NULL);
	assert_int_equal(strlen(first.verifier), 43);
	assert_int_equal(strlen(first.state), 43);
	assert_string_not_equal(first.verifier, first.state);
	assert_string_not_equal(first.verifier, second.verifier);
	assert_string_not_equal(first.state, second.state);
	assert_null(strstr(first.url.data, "claims"));
	authorize_release(&first);
	authorize_release(&second);
	assert_string_equal(first.verifier, "");
}

static void
address_that_is_too_long_is_an_error(void **state)
{
	struct account wide = account;
	struct authorize a;
	struct error err;

	(void)state;
	wide.scope = xmalloc(AUTHORIZE_URL_MAX + 1);
	memset(wide.scope, 's', AUTHORIZE_URL_MAX);
	wide.scope[AUTHORIZE_URL_MAX] = '\0';
	authorize_init(&a);
	assert_int_equal(
	    -1, authorize_begin(&a, &wide, "http://localhost:1", "", &err));
	assert_int_equal(err.exit_code, EX_CONFIG);
	authorize_release(&a);
	free(wide.scope);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenge_is_the_hash_of_the_verifier),
		cmocka_unit_test(address_is_encoded),
		cmocka_unit_test(every_beginning_has_secrets_of_its_own),
		cmocka_unit_test(address_that_is_too_long_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
