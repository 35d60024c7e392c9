#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

static int
prepare(posix_spawn_file_actions_t *actions, int in, int out)
{
	int why;

	if (in == -1)
		why = posix_spawn_file_actions_addopen(
		    actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	else
		why =
		    posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO);
	if (why == 0)
		why = posix_spawn_file_actions_adddup2(
		    actions, out, STDOUT_FILENO);
	return why;
}

int
spawn_program(
    pid_t *pid, const char *path, const char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t child;
	int why = posix_spawn_file_actions_init(&actions);

	if (why != 0)
		return why;
	why = prepare(&actions, in, out);
	if (why == 0)
		why = posix_spawn(&child, path, &actions, NULL,
		    (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (why == 0)
		*pid = child;
	return why;
}

static pid_t
wait_plainly(pid_t child, int *status)
{
	pid_t ended;

	do
		ended = waitpid(child, status, 0);
	while (ended == -1 && errno == EINTR);
	return ended;
}

static void
on_child(int number)
{
	(void)number;
}

pid_t
spawn_wait(pid_t child, int *status, const volatile sig_atomic_t *signalled)
{
	struct sigaction wake = { .sa_handler = on_child }, before;
	sigset_t all, mask, waiting;
	pid_t ended = 0;

	if (signalled == NULL)
		return wait_plainly(child, status);
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &mask);
	/* A child that ends wakes us only where its signal is caught. */
	sigemptyset(&wake.sa_mask);
	(void)sigaction(SIGCHLD, &wake, &before);
	waiting = mask;
	sigdelset(&waiting, SIGCHLD);
	while (
	    *signalled == 0 && (ended = waitpid(child, status, WNOHANG)) == 0)
		(void)sigsuspend(&waiting);
	(void)sigaction(SIGCHLD, &before, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return ended;
}
