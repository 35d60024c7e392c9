/* The ledger of one mailbox: when its last messages went, and how many
 * recipients each of the last 25 hours had. From these it tells when the
 * next may go: 30 messages in any 60 seconds and 10,000 recipients in any 24
 * hours are Microsoft's limits.
 *
 * A time may lie ahead: a place that somebody has reserved and waits for.
 * Pure: no file and no clock; times are milliseconds since 1970. The text
 * form has the same size whatever it holds, so that one write replaces it.
 *
 *	rate_init(&rate);
 *	rate_parse(&rate, text, len, now, window, &err);
 *	at = rate_earliest(&rate, messages, window, now, RATE_ALL);
 *	rate_add(&rate, at);
 *	rate_format(&rate, messages, &out);
 */
#ifndef RATE_H
#define RATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;

#define RATE_MESSAGES_MAX	1000u	/* in a window */
/* Those of the window, and as many places reserved in it. */
#define RATE_TIMES_MAX		(2u * RATE_MESSAGES_MAX)
#define RATE_HOURS		25u	/* 24 whole ones and this one */
#define RATE_TEXT_MAX		(64u * 1024)	/* bytes */
#define RATE_ALL		LLONG_MAX

struct rate {
	long long times[RATE_TIMES_MAX];	/* latest first */
	size_t count;
	bool mended;				/* a time or the hour was ahead
						 * and is 'now' */
	long long hour;			/* since 1970: the current one … */
	long long recipients[RATE_HOURS]; /* … is at hour % RATE_HOURS */
};

void	rate_init(struct rate *);
/* As if the window had just been filled: what is assumed where the past
 * cannot be read. */
void	rate_fill(struct rate *, size_t messages, long long now);

/* When a further message may go, 'now' or later, so that no window of that
 * length holds more than 'messages'. Times after 'horizon' do not count. */
long long rate_earliest(const struct rate *, size_t messages,
	    long long window, long long now, long long horizon);
/* How many went, or will go, after 'since'. */
size_t	rate_count(const struct rate *, long long since);
void	rate_add(struct rate *, long long at);
/* Take back one message of that time; what is not there is fine. */
void	rate_remove(struct rate *, long long at);

/* Recipients in the last 24 hours, the part of the 25th included. */
long long rate_day(const struct rate *, long long now);
/* When 'recipients' more fit into 'daily'; they fit into an empty day even
 * when they are more. */
long long rate_day_earliest(const struct rate *, long long daily,
	    long long recipients, long long now);
void	rate_day_add(struct rate *, long long recipients, long long now);

/* Append the record, with room for twice 'messages' times. */
void	rate_format(const struct rate *, size_t messages, struct buf *out);
/* Read it. What lies further ahead than one window counts as 'now', and an
 * hour that is ahead as this one: the clock was set back; 'mended' tells, so
 * that it is written down and does not become the next reader's 'now'.
 * EX_DATAERR. */
int	rate_parse(struct rate *, const char *text, size_t len,
	    long long now, long long window, struct error *);

#endif
