/* Waiting on descriptors up to a deadline, through EINTR, with a hook.
 *
 * The hook is called about once a second while nothing happens and after
 * every signal, so that a caller who waits for a server can still act (link
 * the message into the queue when it takes long or a signal asks for the
 * end). Where it returns false the wait ends as by ECANCELED. Deadlines are
 * file_now() seconds.
 */
#ifndef WAIT_H
#define WAIT_H

#include <poll.h>
#include <stdbool.h>

#define WAIT_HOOK_INTERVAL	1.0	/* seconds */

struct waiter {
	bool (*call)(void *arg);	/* NULL: no hook */
	void *arg;
};

/* Like poll(2): the number of ready descriptors, 0 when the deadline has
 * passed, -1 with errno. 'waiter' may be NULL. */
int	wait_poll(const struct waiter *, struct pollfd *, nfds_t count,
	    double deadline);

#endif
