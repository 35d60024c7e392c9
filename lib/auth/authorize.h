/* One sign-in in a browser, from our side: the address that the browser opens
 * and the two secrets that tie its end to its beginning (RFC 6749 section
 * 4.1, RFC 7636, RFC 8252).
 *
 * 'state' comes back with the browser and shows that the answer belongs to
 * this sign-in; the verifier never leaves this process until the code is
 * redeemed with it, so that a code is of no use to who sees it. Each has 256
 * random bits. The address holds the state and the verifier's hash only.
 *
 *	struct authorize a;
 *	authorize_init(&a);
 *	if (authorize_begin(&a, account, "http://localhost:1234", claims,
 *		&err) == -1) …
 *	… a.url.data in the browser; a.state and what it came back with …
 *	oauth_code(&oauth, code, a.verifier, a.redirect_uri, …);
 *	authorize_release(&a);
 */
#ifndef AUTHORIZE_H
#define AUTHORIZE_H

#include "base/buf.h"

struct account;
struct error;

#define AUTHORIZE_URL_MAX	8192u	/* bytes; what browsers take is more */
#define AUTHORIZE_SECRET_SIZE	44u	/* 32 bytes as base64url, and the NUL */
#define AUTHORIZE_REDIRECT_SIZE	64u

struct authorize {
	char state[AUTHORIZE_SECRET_SIZE];
	char verifier[AUTHORIZE_SECRET_SIZE];
	char redirect_uri[AUTHORIZE_REDIRECT_SIZE];
	struct buf url;
};

void	authorize_init(struct authorize *);
void	authorize_release(struct authorize *);		/* wipes */

/* New secrets and the address for them. 'claims' is what a refusal demanded
 * of the next sign-in, "" for nothing. EX_CONFIG when the address becomes too
 * long. */
int	authorize_begin(struct authorize *, const struct account *,
	    const char *redirect_uri, const char *claims, struct error *);

#endif
