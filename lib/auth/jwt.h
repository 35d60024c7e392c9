/* The client assertion that a certificate signs (RFC 7523 section 3;
 * MICROSOFT.md 4.6): header and claims as JSON, base64url, PS256.
 *
 * Pure: the time and the fresh id come from the caller.
 *
 *	const struct jwt_claims claims = { url, client_id, id, time(NULL) };
 *	buf_init(&assertion, JWT_MAX);
 *	if (jwt_assertion(&assertion, certificate, &claims, &err) == -1) …
 */
#ifndef JWT_H
#define JWT_H

#include <time.h>

#include "base/buf.h"

struct certificate;
struct error;

#define JWT_MAX		(16u * 1024)	/* bytes of an assertion */
#define JWT_LIFETIME	600		/* seconds; Entra advises 5 to 10 min */

struct jwt_claims {
	const char *audience;	/* the token endpoint's URL */
	const char *client_id;	/* issuer and subject */
	const char *id;		/* a GUID that was never used before */
	time_t now;
};

/* Append it. EX_SOFTWARE when it cannot be signed or passes out's maximum. */
int	jwt_assertion(struct buf *out, const struct certificate *,
	    const struct jwt_claims *, struct error *);

#endif
