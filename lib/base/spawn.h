/* Another program as a child of ours, with two descriptors of ours as its
 * standard input and output and our standard error. Everything else that we
 * opened is close-on-exec and stays here. Where the descriptors cannot be put
 * into place, nothing is started: a program on the wrong pipe would tell its
 * secrets to the wrong reader.
 *
 *	const char *const argv[] = { "token", "-t", "30", NULL };
 *	why = spawn_program(&pid, path, argv, -1, pipes[1]);
 *
 * The caller closes its descriptors and reaps the child.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <sys/types.h>

/* 'in' is -1 for nothing to read. 0, or an errno value; '*pid' is written
 * only on success. */
int	spawn_program(pid_t *pid, const char *path, const char *const argv[],
	    int in, int out);

#endif
