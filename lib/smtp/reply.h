/* One SMTP reply, put together from bytes as they come (RFC 5321 section 4.2,
 * RFC 2034 for the status).
 *
 * reply_feed() takes bytes until the reply is whole; what is left over belongs
 * to the next one. What the server said is kept as it said it: the status
 * may contradict the code, and both go to the verdict. Exchange ends most
 * replies with " [HOST]", " [HOST TIME ID]" or " [Hostname=HOST]": that is
 * taken off the text and kept apart, since it is what Microsoft's support
 * asks for and no part of the sentence.
 *
 *	struct smtp_reply r;
 *	reply_init(&r);
 *	while ((n = reply_feed(&r, bytes, len, &used, &err)) == 1) {
 *		… look at r …
 *		reply_clear(&r);
 *		bytes += used;
 *		len -= used;
 *	}
 *	reply_release(&r);
 *
 * What is no SMTP at all is refused (EX_TEMPFAIL, 4.5.0: another server, or
 * a proxy's error page, may be gone tomorrow): a line without a code, codes
 * that differ within a reply, a NUL, more than the caps below. A line that
 * begins as no reply does is refused at once: a server of another protocol may
 * never end it.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct error;

#define REPLY_LINE_MAX		4096u		/* bytes, with the line end */
#define REPLY_TOTAL_MAX		(64u * 1024)	/* bytes in all */
#define REPLY_LINES_MAX		200u
#define REPLY_STATUS_SIZE	12
#define REPLY_HOST_SIZE		256
#define REPLY_SESSION_SIZE	64

struct smtp_reply {
	int code;			/* 200 to 599 */
	char status[REPLY_STATUS_SIZE];	/* "5.7.3", or "" */
	struct buf text;		/* lines joined by a blank, without
					 * code, status and trailer */
	struct buf lines;		/* each line without the code, ended
					 * by LF */
	size_t count;			/* of lines */
	char host[REPLY_HOST_SIZE];	/* from the trailer, or "" */
	char session[REPLY_SESSION_SIZE]; /* likewise: 16 hex digits */
	bool whole;
	struct buf partial;		/* a line that has no end yet */
	size_t total;			/* bytes seen of this reply */
};

void	reply_init(struct smtp_reply *);
void	reply_release(struct smtp_reply *);
/* Ready for the next reply. */
void	reply_clear(struct smtp_reply *);

/* Take bytes. 1: the reply is whole, *used bytes (<= len) belonged to it;
 * 0: all are used, more are needed; -1: this is not SMTP. */
int	reply_feed(struct smtp_reply *, const char *bytes, size_t len,
	    size_t *used, struct error *);

/* Length of the RFC 3463 status that 'text' begins with, or 0. No letter,
 * digit or further number stands behind it. */
size_t	reply_status_length(const char *text);

#endif
