/* Messages through one account: token, connection, login, then any number of
 * messages, each with a verdict and a line in the log for each recipient.
 *
 *	struct submit *s = submit_open(&submission, deadline, &err);
 *	if (s == NULL) …			no message was tried
 *	submit_send(s, &message, &err);
 *	if (!submit_usable(s)) …		open another for the next
 *	submit_close(s);
 *
 * The deadline bounds what comes before the first message: token, name
 * service, connection, login. From then on the time-outs of RFC 5321 hold,
 * and no transaction begins later than SUBMIT_SESSION_SECONDS after the login:
 * Exchange ends a session after 10 minutes. A refused token is renewed once.
 * What the server teaches is kept (learned.h).
 *
 * All of it stays within the mailbox's allowance (queue/throttle.h), and what
 * only a person can mend puts the account on hold (submit/standing.h): then
 * submit_open() fails at once, but for a probe now and then.
 */
#ifndef SUBMIT_H
#define SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "queue/throttle.h"
#include "smtp/client.h"

#define SUBMIT_SESSION_SECONDS	540.0

struct account;
struct config;
struct envelope;
struct error;
struct submit;
struct token;

/* What stays the same whatever the message. Kept by reference. */
struct submission {
	const struct config *config;
	const struct account *account;
	const char *libexec;		/* folder of the token program */
	const char *helo;		/* this host's name */
	enum throttle_kind kind;	/* is somebody waiting for it? */
	bool force;			/* a person asks: try it, on hold or
					 * not */
	/* Lines of the dialogue, or NULL: 'direction' is 'S' or 'C'. */
	void (*trace)(void *arg, char direction, const char *line);
	void *trace_arg;
	/* Called each second while something is waited for, and after
	 * signals, or NULL. Where it returns false, the work is given up,
	 * unless the server may have the whole message already. */
	bool (*waiting)(void *arg);
	void *waiting_arg;
};

struct submit_message {
	const char *id;			/* for the log */
	uid_t uid;			/* whose it is */
	double arrived;			/* seconds of CLOCK_REALTIME */
	struct envelope *envelope;
	struct smtp_content content;
	/* It put its account on hold already, and is now doing so again: the
	 * fault is the message's if others went meanwhile. Set by
	 * submit_send(). */
	bool *drew_hold;
	/* Called after each transaction but the last, to save the envelope;
	 * or NULL. */
	void (*save)(void *arg);
	void *save_arg;
};

/* What is known to be refused without asking a server: -1, and all pending
 * recipients are refused, and logged. To be called before submit_send(). */
int	submit_check(const struct account *, const struct submit_message *,
	    struct error *);
/* The same of a message that waited, for what only another time can tell: -1,
 * and logged, where the server refused mail of its user from its From less
 * than an hour ago, which it must not be asked again and again. Not where a
 * person asks. */
int	submit_check_from(const struct submission *,
	    const struct submit_message *, struct error *);
/* NULL when the account cannot send now. Nothing is logged. */
struct submit *submit_open(const struct submission *, double deadline,
	    struct error *);
/* Send to the pending recipients. 0 when none is left pending and not all
 * were refused. -1 otherwise: with a class of ERROR_REFUSED all were; with any
 * other, those that are pending still met that. */
int	submit_send(struct submit *, const struct submit_message *,
	    struct error *);
/* For a further message: until when its turn may be waited for. */
void	submit_extend(struct submit *, double deadline);
/* Another message may be sent through it. */
bool	submit_usable(const struct submit *);
/* NULL is fine. */
void	submit_close(struct submit *);

/* submit_open() in steps, for who wants to see each, as 'outpost check' does:
 * nothing is open yet; its client, to be opened by the caller once it has a
 * slot; the login with a token, which is replaced where the server will not
 * have it; and a message's turn in the minute and the day. */
struct submit *submit_new(const struct submission *);
struct smtp_client *submit_client(struct submit *);
int	submit_take_slot(struct submit *, double deadline, struct error *);
int	submit_charge(struct submit *, const struct envelope *,
	    struct error *);
int	submit_login(struct submit *, struct token *, double deadline,
	    struct error *);

/* May the account send that many bytes? EX_UNAVAILABLE. submit_check() asks
 * it, and who takes a body in asks before each piece, so that no disk is
 * filled with what would not be sent. */
int	submit_check_size(const struct account *, unsigned long long size,
	    struct error *);
/* Log that the pending recipients of a message met 'why' before there was a
 * connection for it. */
void	submit_log_deferred(const struct submit_message *,
	    const struct error *why);

#endif
