/* Where the browser ends a sign-in: an HTTP server on the loopback interface,
 * for as long as one sign-in lasts (RFC 8252 section 7.3).
 *
 * It listens on 127.0.0.1 and, where there is IPv6, on ::1, on one free port
 * that is the same for both: a browser tries either for "localhost", and
 * neither may be somebody else's. Any process of this machine can connect, so
 * many connections are served at once, each with a cap and a time limit; the
 * oldest goes when there are too many. Requests that are not the sign-in's
 * end get a page that says so, and the wait goes on.
 *
 *	struct listener *l = listener_new(&err);
 *	… a browser, told of listener_uri(l) …
 *	if (listener_wait(l, state, deadline, &waiter, &redirect, &err) == 0) {
 *		… redeem the code …
 *		listener_answer(l, answer);
 *	}
 *	listener_free(l);
 *
 * The connection that brought the answer stays open until then, so that the
 * page tells how it ended; listener_wait() may be called again after an
 * answer that sends the browser elsewhere.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include "auth/redirect.h"

struct buf;
struct error;
struct waiter;

#define LISTENER_CONNECTIONS	16u
#define LISTENER_SECONDS	10.0	/* for a request, and for an answer */
#define LISTENER_TRIES		20	/* for a port that is free on both */

struct listener;

/* EX_TEMPFAIL when nothing can be listened on. Free accepts NULL. */
struct listener *listener_new(struct error *);
void	listener_free(struct listener *);

/* "http://localhost:PORT", the redirect address. */
const char *listener_uri(const struct listener *);

/* Until a redirect with that state came. EX_TEMPFAIL past the deadline
 * (file_now() seconds); 'waiter' may be NULL. */
int	listener_wait(struct listener *, const char *state, double deadline,
	    const struct waiter *, struct redirect *, struct error *);

/* Send this HTTP answer to who brought the redirect, and wait a little until
 * it was taken. Best effort. */
void	listener_answer(struct listener *, const struct buf *answer);

#endif
