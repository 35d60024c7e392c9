/* What every program does first: find out with whose rights it runs, and
 * leave nothing of the caller's in place that could steer it.
 *
 * startup_service() is for the programs with rights (submit, token, mailq).
 * Where the program's file has a set-id bit, it runs as that file's owner,
 * also when root started it, and then: descriptors 0 to 2 are open and all
 * others closed, signals and mask are reset, SIGPIPE and SIGXFSZ ignored,
 * timers stopped, the environment is empty, umask 077, the folder is /,
 * resource limits are raised or found too low (EX_TEMPFAIL), the session is
 * its own, no core is dumped and nobody but root can trace it, and real,
 * effective and saved ids are all the service user's, so that the caller
 * cannot send it signals. The group is the file's where it has the set-group-id
 * bit, else the service user's if root started it, else the caller's. The
 * caller's real uid is remembered.
 *
 * Started without set-id bits (a user's own copy, a container, a build
 * tree) ids, environment and session stay the caller's.
 *
 * set_id_ignored: the file has the bit, but the kernel did not honour it
 * (no_new_privs, nosuid, a user namespace) and we are not root. Whether that
 * matters depends on whose the queue is: startup_ignored_error() words it.
 */
#ifndef STARTUP_H
#define STARTUP_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct startup {
	uid_t caller;		/* real uid of who started us */
	gid_t caller_group;
	bool service;		/* we run as a service user */
	bool set_id_ignored;
};

/* Hygiene for a program with rights. EX_TEMPFAIL. */
int	startup_service(struct startup *, struct error *);
/* Hygiene for a program that has its caller's rights and no others:
 * descriptors 0 to 2 are open, SIGPIPE and SIGXFSZ are ignored, SIGCHLD is
 * not. */
void	startup_user(struct startup *);

/* Before secrets are read, set-id or not, and after the last change of ids:
 * no core is dumped, only root can trace the process or read its memory, and
 * no environment has TLS keys written. startup_service() does it for set-id
 * programs. A build with AddressSanitizer stays traceable. */
void	startup_guard_secrets(void);

/* EX_TEMPFAIL, the sentence for set_id_ignored. Returns -1. */
int	startup_ignored_error(struct error *);

/* End the process after so many seconds, whatever happens (SIGALRM); 0: never
 * any more. */
void	startup_deadline(unsigned seconds);

/* Do 'work' in a process of its own, which ends with what it returns. Its
 * id, or -1 with errno. */
pid_t	startup_fork(int (*work)(void *arg), void *arg);

/* Become this user for good (groups, gid, uid). As root; otherwise fine when
 * we are that user already, else EX_NOPERM. EX_CONFIG: no such user. */
int	startup_become(const char *user, struct error *);
/* As root: give all rights up for those of nobody. Others, and a container's
 * root that cannot: nothing. */
int	startup_become_nobody(struct error *);

/* An environment variable's value, NULL where it is unset or empty, as all are
 * in a program with rights. */
const char *startup_variable(const char *name);
/* The folder of Outpost's programs with rights: OUTPOST_LIBEXEC, if it is an
 * absolute path, else that of the installation. */
const char *startup_libexec(void);
/* Has the program at 'path' a set-id bit? Then we are on a system
 * installation, and it will not listen to a caller's own configuration. */
bool	startup_is_set_id(const char *path);

#endif
