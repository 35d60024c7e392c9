/* What tokens are made from: the refresh token of each account that signed
 * in, one record a mailbox in STATE_DIR/secrets (folder 0700, files 0600,
 * replaced atomically), and what lies where the configuration points: a client
 * secret, a key, a federated token.
 *
 * A sign-in remembers for which authority, tenant and client it was made; one
 * made for another is refused with advice to sign in again, and stays where it
 * is (the configuration may be wrong, not the sign-in).
 *
 * Beside it lie the claims challenge that the next sign-in has to answer, and
 * the last failure of the token endpoint, so that processes that waited for
 * one another take one answer instead of asking again each.
 *
 *	fd = store_lock(config, account, deadline, &err);
 *	store_read(&sign_in, config, account, &err);
 *	… a request …
 *	store_write(&sign_in, config, account, &err);
 *	close(fd);
 *
 * STATE_DIR/secrets is made when missing: an unprivileged user's first
 * sign-in, or a container's.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"

struct account;
struct config;
struct error;

#define STORE_SECRET_MAX	(16u * 1024)	/* bytes of a token or secret */
#define STORE_SIGN_IN_DAYS	90	/* unused so long, Microsoft drops it */
#define STORE_SIGN_IN_WARN	75	/* days; somebody ought to be told */

struct store_sign_in {
	struct buf refresh_token;
	time_t obtained;		/* when the person signed in */
	time_t last_used;		/* when it last gave a token */
};

void	store_sign_in_init(struct store_sign_in *);
void	store_sign_in_release(struct store_sign_in *);	/* wipes */

/* The account's lock, until 'deadline' (file_now() seconds); a descriptor
 * to be closed, or -1: EX_TEMPFAIL, EX_CANTCREAT. */
int	store_lock(const struct config *, const struct account *,
	    double deadline, struct error *);

/* EX_CONFIG when nobody signed in or for another client, or when the record is
 * broken; all to be held. */
int	store_read(struct store_sign_in *, const struct config *,
	    const struct account *, struct error *);
int	store_write(const struct store_sign_in *, const struct config *,
	    const struct account *, struct error *);
/* Removing what is not there is fine. */
int	store_remove(const struct config *, const struct account *,
	    struct error *);

/* Append what a configured file holds: 'what' names it in messages, as in
 * "client secret". Where it is 'secret', nobody but its owner may read it.
 * store_line() wants one line and leaves its end out. EX_CONFIG, held. */
int	store_text(const struct account *, const char *path, const char *what,
	    bool secret, struct buf *out, struct error *);
int	store_line(const struct account *, const char *path, const char *what,
	    bool secret, struct buf *out, struct error *);

/* What the last refusal demands of the next sign-in: a claims challenge, as
 * oauth.h has it. Best effort both ways; empty, or read where there is none,
 * it is "". */
void	store_claims_read(const struct config *, const struct account *,
	    char *out, size_t size);
void	store_claims_write(const struct config *, const struct account *,
	    const char *claims);

/* The last failure with the credential of that hash, if it still counts: it
 * came after 'since' (that process wanted the same at the same time), or the
 * server asked for a pause that is not over at 'now', of which the rest is in
 * retry_after. 0, or -1. Times are milliseconds since 1970. */
int	store_failure_read(const struct config *, const struct account *,
	    const char *credential, long long since, long long now,
	    struct error *failure);
/* Best effort: where it cannot be written, others ask for themselves. */
void	store_failure_write(const struct config *, const struct account *,
	    const char *credential, long long at, const struct error *failure);
void	store_failure_clear(const struct config *, const struct account *);

#endif
