/* The server's side of an SMTP session, without a descriptor: bytes that the
 * client sent go in, replies come out; what they are about is decided by
 * callbacks. It is what `sendmail -bs` speaks to local programs: PIPELINING,
 * SIZE, 8BITMIME, DSN, SMTPUTF8, ENHANCEDSTATUSCODES, CHUNKING; no AUTH and
 * no STARTTLS, since the client is who started us.
 *
 *	struct smtp_server *s = server_new(&options);
 *	server_greet(s);
 *	for (;;) {
 *		… write server_output(s), then server_written(s) …
 *		if (server_closed(s)) …
 *		… read; while there are bytes:
 *			used = server_receive(s, bytes, len);
 *			… write the output as above …
 *	}
 *	server_free(s);
 *
 * Line ends: the first line decides whether the client's lines end with CR LF
 * or with LF, and all must be alike, those after DATA too. What an application
 * puts into an address or a body (LF . LF RCPT …) then stays what it is.
 *
 * A transaction ends with 'reset', whatever became of it. Nothing is decided
 * before the end of the content: 'end' is called then and only then, and
 * returns when the message is done.
 *
 * After SERVER_ERRORS_MAX wrong commands without a message between them the
 * session is closed. A session never reads a clock: who waits, tells it with
 * server_idle().
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "smtp/command.h"

struct buf;
struct error;
struct smtp_server;

#define SERVER_ERRORS_MAX	20u
#define SERVER_REPLY_LINE_MAX	510u	/* RFC 5321 section 4.5.3.1.5, without
					 * the line end */
#define SERVER_IDLE_SECONDS	300	/* RFC 5321 section 4.5.3.2.7 */

struct server_options {
	const char *host;		/* our name; kept by reference */
	unsigned long long max_size;	/* octets of a message */
	/* A transaction begins; a recipient is added to it; some of its
	 * content, without dots that were stuffed; its end, when 'text' takes
	 * what the 250 says. -1 is answered by the error, after which 'mail'
	 * has begun nothing and 'rcpt' added nobody. */
	int (*mail)(void *arg, const struct smtp_command *, struct error *);
	int (*rcpt)(void *arg, const struct smtp_command *, struct error *);
	int (*content)(void *arg, const char *bytes, size_t len,
	    struct error *);
	int (*end)(void *arg, struct buf *text, struct error *);
	/* The transaction is over: forget it. */
	void (*reset)(void *arg);
	void *arg;
};

/* The options are copied. */
struct smtp_server *server_new(const struct server_options *);
void	server_free(struct smtp_server *);

/* Say 220; or 554 (421 if time heals it) for a reason why there is no service,
 * and close. */
void	server_greet(struct smtp_server *);
void	server_turn_away(struct smtp_server *, const struct error *why);

/* Take what came, at least a byte, less than 'len' when there is much to be
 * written first. */
size_t	server_receive(struct smtp_server *, const char *bytes, size_t len);
/* Nothing came for SERVER_IDLE_SECONDS: say 421 and close. */
void	server_idle(struct smtp_server *);
/* We cannot go on: say 421 with the reason and close. */
void	server_give_up(struct smtp_server *, const struct error *why);

/* Bytes to be written. In the callback 'end' they are what must be written
 * before it waits. */
const struct buf *server_output(const struct smtp_server *);
void	server_written(struct smtp_server *);
/* No more is read: write the output and hang up. */
bool	server_closed(const struct smtp_server *);
/* Is a transaction open? */
bool	server_in_mail(const struct smtp_server *);

/* 0 when nothing was refused, else the last error that was told. */
int	server_result(const struct smtp_server *, struct error *);

#endif
