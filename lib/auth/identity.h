/* A managed identity: this machine's platform gives tokens to who asks an
 * endpoint of the machine, without any credential of ours (MICROSOFT.md 4.8).
 *
 * identity_find() chooses the endpoint: what the account's keys say; else, in
 * a program without rights, what the platform put into the environment; else
 * Azure Arc, where its agent is installed; else the metadata service of a
 * virtual machine. identity_token() asks it, without a proxy and by http to
 * this machine alone. Where nobody listens, that is said soon, since every
 * other machine in the world has no such endpoint.
 *
 * What the platform calls passing (404, 410, 429, 5xx) is tried again within
 * the deadline.
 *
 *	struct identity identity;
 *	identity_init(&identity);
 *	if (identity_find(&identity, account, &err) == -1 ||
 *	    identity_token(&identity, http, account, deadline, &token, &err) …
 *	identity_release(&identity);
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "base/buf.h"

struct account;
struct error;
struct http;
struct oauth_token;

#define IDENTITY_URL_MAX	2048u
#define IDENTITY_TRIES		6
#define IDENTITY_CONNECT_TRIES	2	/* where nobody listens */

struct identity {
	int kind;		/* enum config_identity, but IDENTITY_AUTO */
	struct buf endpoint;
	struct buf secret;	/* of the request's header; wiped */
};

void	identity_init(struct identity *);
void	identity_release(struct identity *);

/* EX_CONFIG, to be held, where keys contradict or something is missing. */
int	identity_find(struct identity *, const struct account *,
	    struct error *);
/* Until 'deadline' (file_now() seconds). */
int	identity_token(const struct identity *, struct http *,
	    const struct account *, double deadline, struct oauth_token *,
	    struct error *);

/* Seconds to wait before try number 'next' (2 …) after this error, or -1. */
double	identity_pause(int next, const struct error *, double left);

#endif
