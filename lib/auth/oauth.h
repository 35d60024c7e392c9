/* Tokens from Microsoft Entra: builds the request of each grant, sends it,
 * judges the answer (RFC 6749, RFC 7523, RFC 8628; MICROSOFT.md 4.1 to 4.7).
 *
 * Network failures and what Entra calls temporary are tried OAUTH_TRIES
 * times within the deadline, with growing pauses; a Retry-After is obeyed:
 * waited for where the deadline allows, else returned as ERROR_THROTTLED with
 * the seconds. Nothing here reads or writes a file: credentials come in and
 * tokens go out by value.
 *
 *	struct oauth oauth = { .http = http, .account = account };
 *	if (oauth_refresh(&oauth, refresh_token, deadline, &token, &err) …
 */
#ifndef OAUTH_H
#define OAUTH_H

#include <time.h>

#include "auth/oauth_response.h"

struct account;
struct certificate;
struct error;
struct http;

#define OAUTH_TRIES		3
#define OAUTH_PAUSE		1.0	/* seconds before the second try */
#define OAUTH_TRY_SECONDS	1.0	/* with less left it is not tried: that
					 * would only hide what was said */
#define OAUTH_CLOCK_TOLERANCE	300	/* seconds; assertions break beyond */
#define OAUTH_SLOW_DOWN		5	/* seconds more (RFC 8628 3.5) */

struct oauth {
	struct http *http;
	const struct account *account;
	/* A claims challenge, "" for none: a refusal leaves what it demands of
	 * the next sign-in, and a sign-in passes it on. */
	char claims[OAUTH_CLAIMS_SIZE];
};

enum oauth_poll {
	OAUTH_POLL_DONE,	/* the token is there */
	OAUTH_POLL_PENDING,	/* ask again after the interval */
	OAUTH_POLL_SLOW_DOWN,	/* the same, and the interval grows */
};

/* Grant refresh_token (RFC 6749 section 6). */
int	oauth_refresh(struct oauth *, const char *refresh_token,
	    double deadline, struct oauth_token *, struct error *);
/* Grant client_credentials (section 4.4): with a secret; with an assertion
 * that the certificate signs anew for each try; with an assertion by another
 * issuer whom the application trusts. */
int	oauth_client_secret(struct oauth *, const char *secret,
	    double deadline, struct oauth_token *, struct error *);
int	oauth_certificate(struct oauth *, const struct certificate *,
	    double deadline, struct oauth_token *, struct error *);
int	oauth_assertion(struct oauth *, const char *assertion,
	    double deadline, struct oauth_token *, struct error *);

/* Grant authorization_code with PKCE (section 4.1.3, RFC 7636): what a browser
 * came back with, and the other half of what it set out with. A code is good
 * for one try and some minutes. */
int	oauth_code(struct oauth *, const char *code, const char *verifier,
	    const char *redirect_uri, double deadline, struct oauth_token *,
	    struct error *);

/* Device sign-in (RFC 8628): begin; then one poll at a time, the caller
 * waiting 'interval' seconds between them. oauth_device_poll() says in 'state'
 * how it stands; declined and expired are errors. */
int	oauth_device_start(struct oauth *, double deadline,
	    struct oauth_device *, struct error *);
int	oauth_device_poll(struct oauth *, const char *device_code,
	    double deadline, struct oauth_token *, enum oauth_poll *state,
	    struct error *);

/* Append the URL of one of the tenant's endpoints: "token", "authorize". */
void	oauth_endpoint(struct buf *url, const struct account *,
	    const char *name);

/* What time it is there: the Date of the token endpoint's answer to an empty
 * request, 0 where it names none. */
int	oauth_date(struct oauth *, double deadline, time_t *date,
	    struct error *);

/* Seconds to wait before try number 'next' (2 …) after this error, or -1
 * when it is not to be tried again: too many, another class, or too few of
 * the 'left' seconds would be left. 'random' is 0 … 1. */
double	oauth_pause(int next, const struct error *, double left,
	    double random);

void	oauth_sleep(double seconds);

#endif
