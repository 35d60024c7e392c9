/* What a server taught us about an account, kept for the sends to come: a
 * record of dated lessons, one file an account, in the state folder.
 *
 *	if (learned_knows(config, account, LEARNED_TWO_STEP, host, now)) …
 *	learned_note(config, account, LEARNED_TWO_STEP, host, now, &err);
 *
 * A help and no duty: what is missing, broken, out of date or from the future
 * is not known, and when a note cannot be kept the server teaches us again.
 * For the same reason there is no lock: of two notes at one time, one may be
 * lost. A server can make us keep LEARNED_MAX lessons, no more, and a user of
 * this host LEARNED_USER_MAX of these.
 */
#ifndef LEARNED_H
#define LEARNED_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct account;
struct config;
struct error;

#define LEARNED_MAX		64u	/* of an account; the oldest go */
#define LEARNED_USER_MAX	16u	/* denied to a user; likewise */

#define LEARNED_DENIED_SECONDS	3600

enum lesson {
	/* This server ("host:port") finds AUTH with an initial response too
	 * long. For 30 days: the two-step form costs a round trip. */
	LEARNED_TWO_STEP,
	/* The account may not send as an address: for an hour, and for the
	 * user whose message met it, see below. */
	LEARNED_DENIED,
	/* The sign-in of that mailbox could not be kept in use: for a day. */
	LEARNED_NOT_KEPT,
};

/* Without regard to case. */
bool	learned_knows(const struct config *, const struct account *,
	    enum lesson, const char *about, time_t now);
/* EX_CANTCREAT, EX_IOERR. */
int	learned_note(const struct config *, const struct account *,
	    enum lesson, const char *about, time_t now, struct error *);

/* LEARNED_DENIED, of one user of this host: what others brought about must not
 * change whom this user's mail is from. Never the account's own address, in
 * whose place there is no other. */
bool	learned_is_denied(const struct config *, const struct account *, uid_t,
	    const char *from, time_t now);
int	learned_note_denied(const struct config *, const struct account *,
	    uid_t, const char *from, time_t now, struct error *);

#endif
