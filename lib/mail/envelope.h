/* Who a message goes to, as whom, and what became of each recipient
 * (RFC 5321 section 2.3.1, RFC 3461 for the delivery status wishes).
 *
 * It travels as a record: on the pipe from sendmail to submit, and beside a
 * queued body. The envelope owns all its strings; NULL means not given.
 * Addresses stand without angle brackets, as they go on the wire.
 */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;
struct record;

#define ENVELOPE_RECIPIENTS_MAX	50000u

enum recipient_state {
	RECIPIENT_PENDING,	/* not tried, or deferred: to be sent */
	RECIPIENT_SENT,		/* the server took responsibility */
	RECIPIENT_REFUSED,	/* for good */
};

struct recipient {
	char *address;
	char *original;			/* ORCPT, "rfc822;" and xtext, or NULL */
	char *notify;			/* NOTIFY, or NULL: the envelope's */
	enum recipient_state state;
	struct error *error;		/* the last verdict, or NULL; owned */
	bool told;			/* the sender knows that it is refused */
};

struct envelope_slot;

struct envelope {
	char *account;			/* mailbox that sends */
	char *sender;			/* MAIL FROM */
	struct recipient *recipients;
	size_t count;
	size_t room;
	char *notify;			/* -N: "NEVER" or a list as RFC 3461 */
	char *ret;			/* -R: "FULL" or "HDRS" */
	char *envid;			/* -V, in xtext */
	char *report_to;		/* who else is told of failures */
	bool eight_bit;			/* content has bytes over 127 */
	bool smtputf8;			/* header or addresses need RFC 6531 */
	struct envelope_slot *index;	/* private: finds known recipients */
	size_t index_size;
};

void	envelope_init(struct envelope *);
void	envelope_release(struct envelope *);

/* Add a recipient unless it is there already (domain compared without regard
 * to case). 0; or -1, EX_DATAERR, over ENVELOPE_RECIPIENTS_MAX. Adding
 * n recipients costs O(n log n) or better, not O(n²). */
int	envelope_add(struct envelope *, const char *address,
	    struct error *);
/* Take those out again that came after the first 'count'. */
void	envelope_cut(struct envelope *, size_t count);
/* Remember what became of recipient i: ERROR_NONE in 'verdict' (or NULL) is
 * sent, ERROR_REFUSED is refused, anything else leaves it pending. */
void	envelope_verdict(struct envelope *, size_t i,
	    const struct error *verdict);
/* When the server is to notify the sender of recipient i, or NULL. */
const char *envelope_notify(const struct envelope *, size_t i);
size_t	envelope_count_state(const struct envelope *, enum recipient_state);

/* To and from a record of type "envelope"; verdicts travel too. Reading
 * checks each address as address_smtp_safe() does: EX_DATAERR. */
void	envelope_format(const struct envelope *, struct buf *out);
int	envelope_parse(struct envelope *, const char *text, size_t len,
	    struct error *);

#endif
