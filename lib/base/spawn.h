/* Another program as a child of ours, with two descriptors of ours as its
 * standard input and output and our standard error. Everything else that we
 * opened is close-on-exec and stays here. Where the descriptors cannot be put
 * into place, nothing is started: a program on the wrong pipe would tell its
 * secrets to the wrong reader.
 *
 *	const char *const argv[] = { "token", "-t", "30", NULL };
 *	why = spawn_program(&pid, path, argv, -1, pipes[1]);
 *	…
 *	if (spawn_wait(pid, &status, &signalled) == 0) …
 *
 * The caller closes its descriptors and reaps the child.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <signal.h>
#include <sys/types.h>

/* 'in' is -1 for nothing to read. 0, or an errno value; '*pid' is written
 * only on success. */
int	spawn_program(pid_t *pid, const char *path, const char *const argv[],
	    int in, int out);
/* Wait for a child (-1: any) to end: its id, or -1 with errno. 'status' as
 * waitpid(2) tells it, or NULL. Where 'signalled' is given, 0 as soon as what
 * it points to is not 0, which a signal's handler sets: be it before, while
 * we wait, or between the look and the wait. */
pid_t	spawn_wait(pid_t child, int *status,
	    const volatile sig_atomic_t *signalled);

#endif
