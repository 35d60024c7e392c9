/* Notifications about mail that could not be delivered, or not yet, as
 * messages: RFC 3464 in a multipart/report (RFC 6522), marked so that no
 * machine answers (RFC 3834). Pure: all texts come in.
 *
 *	struct buf header, body;
 *	bounce_format(&bounce, &header, &body);
 *
 * Both come out with CR LF line ends, the header with the empty line that
 * ends it. Of the message itself the header is returned, up to
 * BOUNCE_HEADER_MAX, and at most BOUNCE_RECIPIENTS_MAX recipients are named.
 */
#ifndef BOUNCE_H
#define BOUNCE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct envelope;

#define BOUNCE_HEADER_MAX	(64u * 1024)
#define BOUNCE_RECIPIENTS_MAX	1000u

enum bounce_kind {
	BOUNCE_FAILED,		/* about the refused who were not told of */
	BOUNCE_DELAYED,		/* about the pending */
};

/* Who writes to whom. Dates are those of complete_date(). */
struct bounce_letter {
	const char *account;		/* the mailbox that sends it */
	const char *const *to;
	size_t to_count;
	const char *host;		/* this host */
	const char *date;		/* now */
	const char *unique;		/* atext that no other message has */
};

struct bounce {
	struct bounce_letter letter;
	enum bounce_kind kind;
	const char *id;			/* in the queue */
	const char *arrived;		/* a date */
	const char *tried;		/* the last attempt's; NULL: none */
	const char *retry_until;	/* for the delayed; NULL: not known */
	const struct envelope *envelope;
	const char *header;		/* of the message */
	size_t header_len;
};

/* Is there anybody to be told of, by the wishes for each recipient? */
bool	bounce_concerns(enum bounce_kind, const struct envelope *);
void	bounce_format(const struct bounce *, struct buf *header,
	    struct buf *body);
/* One letter in place of many: a line for each, and how many more. */
void	bounce_summary(const struct bounce_letter *, const char *const *lines,
	    size_t count, unsigned long long more, struct buf *header,
	    struct buf *body);

#endif
