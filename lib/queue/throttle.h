/* Microsoft 365 takes 3 connections at once, 30 messages a minute and 10,000
 * recipients a day from one mailbox. All processes of this host share that
 * allowance through files in STATE_DIR/state: a slot a connection, locked by
 * the process that has it, and a ledger (queue/rate.h). A process that dies
 * frees its slot; one that hangs loses it after THROTTLE_SLOT_SECONDS.
 *
 * A message that somebody waits for reserves a place in the future, so
 * that a hundred processes go one after the other and each knows at once
 * whether its turn comes before the deadline. Queued mail leaves a slot and a
 * third of the rate to these.
 *
 *	throttle_init(&t, config, account, THROTTLE_DIRECT);
 *	throttle_enter(&t, deadline, &err);	place and slot
 *	… connect, log in …
 *	throttle_charge(&t, recipients, deadline, &err);	before each MAIL
 *	throttle_leave(&t);
 *
 * Where the files cannot be used, mail goes without: the log says so.
 */
#ifndef THROTTLE_H
#define THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "smtp/wait.h"

struct account;
struct config;
struct error;

/* Exchange ends a session after 10 minutes: who is not done by then has no
 * connection any more. */
#define THROTTLE_SLOT_SECONDS	660
/* Milliseconds that a window is longer here than there: what goes at its
 * start may arrive a little later. */
#define THROTTLE_SLACK		500

enum throttle_kind {
	THROTTLE_DIRECT,	/* somebody waits for it */
	THROTTLE_QUEUED,
};

struct throttle {
	const struct config *config;
	const struct account *account;
	enum throttle_kind kind;
	struct waiter waiter;	/* called while it waits; set after init */
	int slot;		/* descriptor, -1: none */
	long long place;	/* reserved: ms since 1970; 0: none */
};

/* What has been used, for `outpost status`. */
struct throttle_usage {
	size_t messages;	/* in the last window */
	long long recipients;	/* in the last 24 hours */
	size_t connections;	/* open ones */
};

void	throttle_init(struct throttle *, const struct config *,
	    const struct account *, enum throttle_kind);

/* Wait for a place in the minute and for a slot, until 'deadline'
 * (file_now() seconds). EX_TEMPFAIL, ERROR_THROTTLED and 'untried' with the
 * seconds until there is a place: at once when that is past the deadline. */
int	throttle_enter(struct throttle *, double deadline, struct error *);
/* Wait until a message with so many recipients may go, and enter it in the
 * ledger. Errors as above. */
int	throttle_charge(struct throttle *, size_t recipients, double deadline,
	    struct error *);
/* Are all slots taken, so that somebody may wait for ours? */
bool	throttle_is_crowded(const struct throttle *);
/* Give slot and unused place back; an empty one is fine. */
void	throttle_leave(struct throttle *);

int	throttle_usage(const struct config *, const struct account *,
	    struct throttle_usage *, struct error *);

#endif
