/* One command line of an SMTP client as a value (RFC 5321 section 4.1, with
 * the parameters of SIZE, 8BITMIME, SMTPUTF8, DSN and CHUNKING).
 *
 * Local programs write these lines, so what does no harm is let pass: blanks
 * after the colon, an address without brackets, a bare local name (root), a
 * source route (which is dropped). Nothing else: an address is what stands in
 * the line, no part of it is guessed, and no control character gets through.
 * A parameter that is not known, is repeated or has a value that it cannot
 * have is an error. AUTH and STARTTLS are known in order to be refused.
 *
 *	struct smtp_command c;
 *	command_init(&c);
 *	if (command_parse(&c, line, len, &err) == -1)
 *		… the reply is c.code err.status err.text …
 *	command_release(&c);
 *
 * Pure. The command owns its strings.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/address.h"

struct error;

/* Octets of a line without its end: 512 of RFC 5321 section 4.5.3.1.4 and
 * what the extensions add to it. */
#define COMMAND_LINE_MAX	2048u

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_HELP,
	SMTP_QUIT,
	SMTP_HTTP,		/* a request of a web client, led here */
};

struct smtp_command {
	enum smtp_verb verb;	/* known also when the rest is wrong */
	int code;		/* of the reply, when it cannot be obeyed */
	struct mailbox address;	/* MAIL, RCPT; MAIL FROM:<> has an empty
				 * local part and no domain */
	unsigned long long size;	/* MAIL SIZE=, 0: not given; BDAT */
	bool eight_bit;		/* MAIL BODY=8BITMIME */
	bool smtputf8;		/* MAIL SMTPUTF8 */
	bool last;		/* BDAT … LAST */
	char *ret;		/* MAIL RET=: "FULL" or "HDRS", or NULL */
	char *envid;		/* MAIL ENVID=, in xtext, or NULL */
	char *notify;		/* RCPT NOTIFY=, as dsn_notify() gives it */
	char *original;		/* RCPT ORCPT=, type and xtext, or NULL */
};

void	command_init(struct smtp_command *);
void	command_release(struct smtp_command *);

/* Read a line, which stands without its line end. EX_USAGE, or EX_DATAERR for
 * an address; 'code' is then set. */
int	command_parse(struct smtp_command *, const char *line, size_t len,
	    struct error *);

#endif
