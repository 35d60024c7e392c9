#include "auth/authorize.h"

#include <sysexits.h>

#include "account/config.h"
#include "auth/http.h"
#include "auth/oauth.h"
#include "base/encode.h"
#include "base/error.h"

#define SECRET_BYTES 32

void
authorize_init(struct authorize *a)
{
	*a = (struct authorize){ .state = "" };
	buf_init(&a->url, AUTHORIZE_URL_MAX);
}

void
authorize_release(struct authorize *a)
{
	buf_release(&a->url);
	explicit_bzero(a, sizeof(*a));
	authorize_init(a);
}

static void
put_base64url(
    char out[AUTHORIZE_SECRET_SIZE], const unsigned char bytes[SECRET_BYTES])
{
	struct buf text;

	buf_init(&text, AUTHORIZE_SECRET_SIZE * 2);
	(void)encode_base64url(&text, bytes, SECRET_BYTES);
	strlcpy(out, text.data, AUTHORIZE_SECRET_SIZE);
	buf_release(&text);
}

static void
make_secret(char out[AUTHORIZE_SECRET_SIZE])
{
	unsigned char bytes[SECRET_BYTES];

	arc4random_buf(bytes, sizeof(bytes));
	put_base64url(out, bytes);
	explicit_bzero(bytes, sizeof(bytes));
}

/* RFC 7636 section 4.2, S256. */
static void
make_challenge(char out[AUTHORIZE_SECRET_SIZE], const char *verifier)
{
	unsigned char digest[ENCODE_SHA256_SIZE];

	encode_sha256(digest, verifier, strlen(verifier));
	put_base64url(out, digest);
}

static void
add(struct buf *url, const char *name, const char *value)
{
	buf_addc(url, strchr(url->data, '?') == NULL ? '?' : '&');
	buf_addf(url, "%s=", name);
	http_encode(url, value);
}

static void
make_url(struct authorize *a, const struct account *account, const char *claims)
{
	char challenge[AUTHORIZE_SECRET_SIZE];
	struct buf *url = &a->url;

	make_challenge(challenge, a->verifier);
	buf_clear(url);
	oauth_endpoint(url, account, "authorize");
	add(url, "client_id", account->client_id);
	add(url, "response_type", "code");
	add(url, "redirect_uri", a->redirect_uri);
	add(url, "response_mode", "query");
	add(url, "scope", account->scope);
	add(url, "state", a->state);
	add(url, "code_challenge", challenge);
	add(url, "code_challenge_method", "S256");
	/* Who is at the browser may be signed in as somebody else there. */
	add(url, "prompt", "select_account");
	add(url, "login_hint", account->mailbox);
	if (*claims != '\0')
		add(url, "claims", claims);
}

int
authorize_begin(struct authorize *a, const struct account *account,
    const char *redirect_uri, const char *claims, struct error *err)
{
	make_secret(a->state);
	make_secret(a->verifier);
	strlcpy(a->redirect_uri, redirect_uri, sizeof(a->redirect_uri));
	make_url(a, account, claims);
	if (!a->url.full)
		return 0;
	error_set(err, EX_CONFIG, "5.3.5",
	    "the address for the sign-in of '%s' is over %u bytes",
	    account->mailbox, AUTHORIZE_URL_MAX);
	return error_hint(
	    err, "check authority, tenant and scope in outpost.conf");
}
