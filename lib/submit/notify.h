/* Tells senders what became of their mail when nobody waits for an exit code:
 * a delivery status notification (bounce.h) to the account's mailbox and to
 * `admin`, and to whom the envelope names besides, put into the queue like any
 * message.
 *
 * The sender's wishes (-N) are obeyed, and a notification is never answered
 * by another. Over NOTICES_HOURLY an hour to one sender they are noted in
 * QUEUE/notices (notices.h) and go out as one summary an account when the hour
 * is over: notify_flush().
 * Failures here are logged and stop nothing.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <time.h>

struct config;
struct entry;

struct notify {
	const struct config *config;
	const char *host;
	time_t now;
};

/* About the recipients that were refused and not told of; they are marked. */
void	notify_failed(const struct notify *, struct entry *);
/* About the pending: it takes long. */
void	notify_late(const struct notify *, struct entry *);
/* The summary of an hour that is over. */
void	notify_flush(const struct notify *);

#endif
