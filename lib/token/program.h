/* The token program, or submit in its place, run for what it answers on its
 * standard output.
 *
 *	struct program program;
 *	program_init(&program, libexec, "token", config);
 *	program_add(&program, mailbox);
 *	result = program_ask(&program, deadline, waiter, &answer, &err);
 *	program_release(&program);
 *
 * Arguments stay the caller's.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stddef.h>

struct buf;
struct config;
struct error;
struct waiter;

#define PROGRAM_ARGUMENTS_MAX	9u	/* with the name */

struct program {
	char *path;
	const char *argv[PROGRAM_ARGUMENTS_MAX + 1];
	size_t argc;
};

/* The program of that name in the folder 'libexec'. It is told the path of the
 * configuration unless it is set-id: then it takes none but the system's. */
void	program_init(struct program *, const char *libexec, const char *name,
	    const struct config *);
void	program_release(struct program *);
void	program_add(struct program *, const char *argument);

/* Run it and append what it writes, until 'deadline' (file_now() seconds),
 * when it is killed, or until 'waiter' (may be NULL) ends the wait, when it is
 * left to finish. EX_CONFIG or EX_NOPERM where it cannot be run, EX_TEMPFAIL
 * where it wrote nothing, too much or not in time. */
int	program_ask(const struct program *, double deadline,
	    const struct waiter *, struct buf *answer, struct error *);

/* EX_TEMPFAIL: it gave no answer; 'how' says what there was. Returns -1. */
int	program_no_answer(struct error *, const char *how);

#endif
