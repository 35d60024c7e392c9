/* What a reply means: a table, keyed on the reply code, the RFC 3463 status
 * and a fragment of the text, and on the command that it answers. The first
 * row that matches is taken; specific rows stand before general ones, and
 * the last ones go by the first digit alone.
 *
 * The first digit is not enough. "554 5.2.0 SubmissionQuotaExceeded" and "550
 * 5.2.252 Sender throttled" heal with time; "430 4.2.0 … Cannot open mailbox"
 * and "451 5.7.3 STARTTLS is required" never do.
 *
 *	verdict_judge(&reply, SMTP_STAGE_AUTH, "alerts@contoso.com", &err);
 *
 * Every row is in outpost(8). Nothing here is owned or freed.
 */
#ifndef VERDICT_H
#define VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct smtp_reply;

/* A hold that no reply asked for, but what we found (no STARTTLS, a bad
 * certificate), is probed after so long. */
#define SMTP_PROBE_SECONDS	900u

/* What a reply answers; may be or-ed in a row. */
enum smtp_stage {
	SMTP_STAGE_ANY = 0,		/* not known: no row for a stage
					 * matches */
	SMTP_STAGE_CONNECT = 1 << 0,	/* the banner */
	SMTP_STAGE_EHLO = 1 << 1,
	SMTP_STAGE_STARTTLS = 1 << 2,
	SMTP_STAGE_AUTH = 1 << 3,
	SMTP_STAGE_MAIL = 1 << 4,
	SMTP_STAGE_RCPT = 1 << 5,
	SMTP_STAGE_DATA = 1 << 6,	/* the command */
	SMTP_STAGE_FINAL = 1 << 7,	/* the end of the content */
	SMTP_STAGE_RSET = 1 << 8,
};

struct verdict_row {
	int code;		/* exact, 4 or 5 for a first digit, 0 any */
	const char *status;	/* "5.7.3", a range of its last number
				 * "5.7.501-513", a subject "5.1.*", or NULL;
				 * "~5.7.3" is seen with it, not asked for */
	const char *fragment;	/* of the text, any case; or NULL */
	unsigned stages;	/* or-ed enum smtp_stage; 0 any */
	enum error_class class;
	unsigned first;		/* seconds to the next try … */
	unsigned cap;		/* … and at most, when doubled; 0: no try */
	int exit_code;		/* sysexits(3) */
	bool token_rejected;	/* another token may help, once */
	const char *sentence;	/* what is wrong, in plain words */
	const char *hint;	/* what to do; %s is the mailbox */
	const char *source;	/* rows of the collected replies: "30", "5,9" */
};

/* The row for a reply. 'status' and 'text' may be empty; the text stands
 * without code, status and the server's trailer. Never NULL. */
const struct verdict_row *verdict_find(int code, const char *status,
	    const char *text, unsigned stage);

/* Fill 'err' from a reply: class, exit code, retry_after, status (the
 * server's, else one made from the code), the sentence with the server's words
 * (diagnostic data left out) and the hint. 'mailbox' may be NULL. Returns -1,
 * and the row in *row unless that is NULL. */
int	verdict_judge(const struct smtp_reply *, enum smtp_stage,
	    const char *mailbox, const struct verdict_row **row,
	    struct error *);

/* Does the row say that the mailbox may not send as the sender it gave? */
bool	verdict_denies_sender(const struct verdict_row *);
/* The sender that such a reply names, "… not allowed to send as ADDRESS; …":
 * at most size - 1 octets, else and where it names none "". Returns 'out'. */
char	*verdict_denied_sender(const char *text, char *out, size_t size);

/* The rows in order; NULL after the last. */
const struct verdict_row *verdict_row(size_t i);

/* For who knows less than a whole reply: could the row be meant? A code of 0,
 * an empty status, an empty text are not known. */
bool	verdict_fits(const struct verdict_row *, int code,
	    const char *status, const char *text);
/* Does the row go by the first digit alone? */
bool	verdict_is_general(const struct verdict_row *);

/* What the row matches, for a person: "535 5.7.139 ... basic authentication is
 * disabled". Returns 'out'. */
#define VERDICT_KEY_SIZE	256
char	*verdict_key(const struct verdict_row *, char out[VERDICT_KEY_SIZE]);

#endif
