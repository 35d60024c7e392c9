/* One message through one account: token, connection, login, transactions,
 * a verdict for each recipient, a line in the log for each.
 *
 * The deadline bounds what comes before the first message of a session: token,
 * name service, connection, login. From then on the time-outs of RFC 5321
 * hold, within SUBMIT_SESSION_SECONDS. A refused token is renewed once.
 */
#ifndef SUBMIT_H
#define SUBMIT_H

#include <stddef.h>

#include "smtp/client.h"

/* Exchange ends a session after 10 minutes; no transaction begins later. */
#define SUBMIT_SESSION_SECONDS	540.0

struct account;
struct config;
struct envelope;
struct error;

/* What stays the same whatever the message. Kept by reference. */
struct submission {
	const struct config *config;
	const struct account *account;
	const char *libexec;		/* folder of the token program */
	const char *helo;		/* this host's name */
	const char *id;			/* of the message, for the log */
	double deadline;		/* file_now() seconds */
	/* Lines of the dialogue, or NULL: 'direction' is 'S' or 'C'. */
	void (*trace)(void *arg, char direction, const char *line);
	void *trace_arg;
};

/* Send. 0 when every recipient was taken or refused for itself while others
 * were taken: the envelope tells which. -1 otherwise: nobody got it, or, with
 * a status of class 4, some are left pending in the envelope. */
int	submit(const struct submission *, struct envelope *,
	    const struct smtp_content *, struct error *);

/* May the account send that many bytes? EX_UNAVAILABLE. submit() asks it, and
 * who takes a body in asks before each piece, so that no disk is filled with
 * what would not be sent. */
int	submit_check_size(const struct account *, unsigned long long size,
	    struct error *);

#endif
