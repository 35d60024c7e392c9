/* The client's side of an SMTP session, without a socket: bytes that the
 * server sent go in, bytes to be sent and wishes come out.
 *
 * It speaks submission as Microsoft 365 wants it: EHLO, STARTTLS, EHLO, AUTH
 * XOAUTH2, then any number of messages. TLS cannot be left out: a server that
 * does not offer STARTTLS is an error, and so is a byte after its reply. MAIL,
 * RCPTs and DATA go in one write where PIPELINING is offered, one by one where
 * it is not. What became of each recipient is written into the envelope.
 *
 *	s = session_new(&options);
 *	for (;;) {
 *		… write session_output(s), then session_written(s) …
 *		switch (session_want(s)) {
 *		case SESSION_REPLY:	read, session_receive(s, bytes, len)
 *		case SESSION_TLS:	shake hands, session_tls_started(s)
 *		case SESSION_BODY:	write the content, session_body_sent(s)
 *		case SESSION_IDLE:	session_result(s, &err); then
 *					session_auth(), session_send() or
 *					session_quit()
 *		case SESSION_CLOSED:	session_result(s, &err); hang up
 *		}
 *	}
 *
 * Each piece of work (greeting, auth, send) ends in SESSION_IDLE or
 * SESSION_CLOSED, and session_result() tells how. The envelope given to
 * session_send() is borrowed until the message is done. A session never
 * reads a clock: who waits, tells it with session_lost() that the connection
 * is gone or the time is up.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "smtp/capabilities.h"
#include "smtp/reply.h"
#include "smtp/verdict.h"

struct buf;
struct envelope;
struct error;
struct smtp_session;

/* Commands written before their replies are read, in bytes: two sides that
 * both write and do not read would wait for ever. */
#define SESSION_GROUP_MAX	(32u * 1024)
/* Content up to so many bytes follows BDAT without waiting for RCPT. */
#define SESSION_BDAT_AHEAD_MAX	(1024u * 1024)
#define SESSION_COMMAND_MAX	(40u * 1024)	/* one command line */
#define SESSION_OUTPUT_MAX	(SESSION_GROUP_MAX + SESSION_COMMAND_MAX)

/* When the answer to the content is missing, the next try is after so long. */
#define SESSION_UNCERTAIN_SECONDS	900u

enum session_want {
	SESSION_REPLY,		/* read what the server says */
	SESSION_TLS,		/* start TLS now */
	SESSION_BODY,		/* send the content; see session_chunking() */
	SESSION_IDLE,		/* nothing is under way */
	SESSION_CLOSED,		/* the session is over */
};

struct session_options {
	const char *helo;	/* our name in EHLO; kept by reference */
	bool chunking;		/* BDAT where it is offered */
	bool two_step_auth;	/* no initial response with AUTH */
	size_t max_recipients;	/* in a transaction; 0: 500 */
	/* Each line in ('S') and out ('C'), secrets as "***"; or NULL. */
	void (*trace)(void *arg, char direction, const char *line);
	void *trace_arg;
};

/* What the server said of an accepted message, for the log. */
struct smtp_receipt {
	char message_id[512];			/* "<…>", or "" */
	char host[REPLY_HOST_SIZE];		/* server that took it */
	char session[REPLY_SESSION_SIZE];	/* 16 hex digits, or "" */
	char reply[512];			/* "250 2.0.0 OK …" */
};

struct smtp_session *session_new(const struct session_options *);
void	session_free(struct smtp_session *);		/* wipes */

/* Bytes to be written before anything else is done; empty is fine. */
const struct buf *session_output(const struct smtp_session *);
void	session_written(struct smtp_session *);
enum session_want session_want(const struct smtp_session *);

void	session_receive(struct smtp_session *, const char *bytes, size_t len);
void	session_tls_started(struct smtp_session *);
void	session_body_sent(struct smtp_session *);
/* At SESSION_BODY: the content goes in BDAT chunks. Announce each before it
 * is written; the command is then in session_output(). */
bool	session_chunking(const struct smtp_session *);
void	session_chunk(struct smtp_session *, size_t len, bool last);
/* From here on the server may have the whole content: say it before the
 * last byte is written. */
void	session_body_ending(struct smtp_session *);

/* From then on until the reply is there. */
bool	session_in_doubt(const struct smtp_session *);

/* The connection is gone, or the time is up: why. Recipients of a running
 * message get that verdict, 'uncertain' (retry after
 * SESSION_UNCERTAIN_SECONDS) if the content was sent whole. */
void	session_lost(struct smtp_session *, const struct error *why);

/* 0 when the last piece of work succeeded, -1 and why when not. */
int	session_result(const struct smtp_session *, struct error *);

/* Log in. 'user' and 'token' are copied; the token is wiped after use. */
void	session_auth(struct smtp_session *, const char *user,
	    const char *token);
/* The server refused the token itself; another one may help. */
bool	session_token_rejected(const struct smtp_session *);
/* The initial response was too long for this server, the two-step form
 * was not: to be remembered for 'two_step_auth'. */
bool	session_needs_two_step(const struct smtp_session *);

/* Send a message of 'size' bytes to the next recipients that are pending, at
 * most max_recipients, in one transaction. The result is 0 when the server
 * took it for at least one of them; -1 with the reason for all of them, or
 * that of the first when each was refused for itself. Each recipient's verdict
 * is in the envelope. */
void	session_send(struct smtp_session *, struct envelope *,
	    unsigned long long size);
/* Recipients of this envelope are left that were not tried yet: call
 * session_send() again with the same envelope. What concerns the message or
 * the account as a whole is the verdict of these as well, and then none is
 * left; after a lost connection they stay as they are. */
bool	session_more(const struct smtp_session *);
const struct smtp_receipt *session_receipt(const struct smtp_session *);
/* The address that the mailbox may not send as, when the last message was
 * refused for that; else "". Where the reply names none it is the
 * envelope's … */
const char *session_denied_sender(const struct smtp_session *);
/* … and, when the content had been sent, the header's From may be meant. */
bool	session_denies_from(const struct smtp_session *);

/* Would the server take this sender? MAIL, then RSET: nothing is sent. The
 * result is its answer to MAIL. */
void	session_probe(struct smtp_session *, const char *sender);

/* Say QUIT; the answer is not waited for. */
void	session_quit(struct smtp_session *);

/* What is known of the server: its name from the banner's first word, the
 * session id of the banner or the last reply, its offers after the last
 * EHLO, the reply last read. */
const char *session_server(const struct smtp_session *);
const char *session_id(const struct smtp_session *);
const struct capabilities *session_capabilities(const struct smtp_session *);
/* The stage that the session is in, for messages. */
enum smtp_stage session_stage(const struct smtp_session *);

#endif
