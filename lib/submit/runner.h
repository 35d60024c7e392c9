/* A run through the queue: sends what is due.
 *
 * Due messages are grouped by account and sent many over one connection; a
 * large backlog gets more, in processes of their own, up to one less than
 * `connections`, so that new mail finds one free. The users of an account take
 * turns, and a user's messages go in order of arrival: a backlog of one does
 * not delay the others, also those that come during the run, since a worker
 * looks at the queue again after RUNNER_ROUND messages. Those that drew a hold
 * come last: one that is at fault holds nobody else's. Each message
 * is settled for itself (settle.h). What fails for the account as a whole
 * ends its part of the run: the others are put off with the one that met it,
 * so that one message tries for all.
 *
 * A run also removes what a crash left behind and failed messages that were
 * kept long enough, and sends summaries of notifications.
 *
 * Who runs it must own the queue. Any number may run at once: each message
 * is locked while it is worked on.
 */
#ifndef RUNNER_H
#define RUNNER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config;
struct error;

#define RUNNER_PER_CONNECTION	100u	/* messages; with more, one more */
#define RUNNER_ROUND		100u
#define RUNNER_PROCESSES	20u	/* at once */
#define RUNNER_LOST_MAX		3u	/* connections, one after the other */
#define RUNNER_MESSAGE_SECONDS	7200u	/* after which a message hangs */

struct run {
	const struct config *config;
	const char *libexec;		/* folder of the token program */
	const char *host;		/* this host's name */
	bool own;			/* only messages of 'uid' */
	uid_t uid;
	bool force;			/* also what is not due */
	/* Of pattern.h: all must match, and what they match is tried though
	 * it is not due. */
	char *const *patterns;
	size_t pattern_count;
	char *const *ids;		/* only these, due or not */
	size_t id_count;
	const volatile sig_atomic_t *signalled;
	void (*progress)(void *arg, const char *line);	/* or NULL */
	void *progress_arg;
};

/* -1 when the queue cannot be read. */
int	runner_run(const struct run *, struct error *);

#endif
