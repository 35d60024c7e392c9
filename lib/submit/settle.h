/* What becomes of a message after an attempt to send it: it is done and
 * leaves the queue, it waits for the next attempt, or it has failed and is
 * kept to be looked at. One place for messages that a caller brings and for
 * those that are in the queue already. Senders are notified of recipients who
 * were refused or given up, unless an exit code is enough.
 */
#ifndef SETTLE_H
#define SETTLE_H

#include <stdbool.h>
#include <time.h>

struct config;
struct entry;
struct error;
struct spool;

enum settled {
	SETTLED_SENT,		/* everybody has it */
	SETTLED_FAILED,		/* somebody will not get it, nobody waits */
	SETTLED_WAITING,	/* it is in the queue */
};

struct settle {
	const struct config *config;
	const char *host;	/* this host's name */
	time_t now;
	bool told_by_exit;	/* a caller waits and sees an exit code, which
				 * is enough */
};

/* 'why' is what submit_send() said, or why there was no attempt; it does not
 * count where all were reached. 'spool' is the body of a message that is not
 * in the queue yet (entry->body_fd is -1), else it is not looked at. -1 when
 * the message should wait, but cannot be put into the queue: it is the
 * caller's again. */
int	settle(const struct settle *, struct entry *, struct spool *,
	    const struct error *why, enum settled *, struct error *);

#endif
