#include "token/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/spawn.h"
#include "base/startup.h"
#include "base/xalloc.h"
#include "smtp/wait.h"

#define PIECE 4096u /* bytes read at once */

void
program_add(struct program *p, const char *argument)
{
	if (p->argc < PROGRAM_ARGUMENTS_MAX)
		p->argv[p->argc++] = argument;
}

void
program_init(struct program *p, const char *libexec, const char *name,
    const struct config *config)
{
	*p = (struct program){ .path = xasprintf("%s/%s", libexec, name) };
	program_add(p, name);
	if (!startup_is_set_id(p->path)) {
		program_add(p, "-C");
		program_add(p, config->path);
	}
}

void
program_release(struct program *p)
{
	free(p->path);
	*p = (struct program){ .path = NULL };
}

int
program_no_answer(struct error *err, const char *how)
{
	error_set(err, EX_TEMPFAIL, "4.3.0",
	    "the token program gave no answer: %s", how);
	return error_hint(
	    err, "'outpost token' asks it the same; see the log too");
}

static int
cannot_run(const char *path, int why, struct error *err)
{
	if (why == EAGAIN || why == ENOMEM) {
		error_set(err, EX_TEMPFAIL, "4.3.0", "cannot run '%s': %s",
		    path, strerror(why));
		return error_hint(err,
		    "this machine, or its limit for this user, has no room "
		    "for a process");
	}
	error_set(err, EX_CONFIG, "4.3.5", "cannot run '%s': %s", path,
	    strerror(why));
	if (why == EACCES && err != NULL) {
		err->exit_code = EX_NOPERM;
		return error_hint(err,
		    "only root and Outpost's own programs may ask for tokens");
	}
	return error_hint(err,
	    "install Outpost whole, or name the folder of its programs in "
	    "OUTPOST_LIBEXEC");
}

/* Start it with its standard output on a pipe; the pipe's other end goes to
 * '*out'. */
static int
start_program(const struct program *p, pid_t *pid, int *out, struct error *err)
{
	int pipes[2], why;

	if (pipe2(pipes, O_CLOEXEC) == -1)
		return error_set(err, EX_TEMPFAIL, "4.3.0",
		    "cannot make a pipe: %s", strerror(errno));
	why = spawn_program(pid, p->path, p->argv, -1, pipes[1]);
	close(pipes[1]);
	if (why != 0) {
		close(pipes[0]);
		return cannot_run(p->path, why, err);
	}
	*out = pipes[0];
	return 0;
}

/* Read to the end; 1 when the waiter ended it; -1 past the deadline or the cap,
 * with 'how' saying so. */
static int
read_answer(int fd, double deadline, const struct waiter *waiter,
    struct buf *out, const char **how)
{
	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		char *room = buf_room(out, PIECE);
		ssize_t n;
		int ready;

		*how = "it took too long";
		ready = wait_poll(waiter, &wait, 1, deadline);
		if (ready == -1 && errno == ECANCELED)
			return 1;
		if (ready <= 0)
			return -1;
		*how = "it wrote too much";
		if (room == NULL)
			return -1;
		n = file_read_some(fd, room, PIECE);
		if (n == 0)
			return 0;
		*how = "its pipe broke";
		if (n == -1)
			return -1;
		buf_grown(out, (size_t)n);
	}
}

/* Wait for the end until the deadline, then kill. A set-id program cannot be
 * killed by us; it has a deadline of its own, and init takes it. Returns the
 * wait status, or -1 where there is none. */
static int
reap(pid_t pid, double deadline)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };
	int status;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) == 0 &&
	       file_now() < deadline)
		(void)nanosleep(&pause, NULL);
	if (ended == 0) {
		if (kill(pid, SIGKILL) == -1)
			return -1;
		ended = waitpid(pid, &status, 0);
	}
	return ended == pid ? status : -1;
}

/* How a program ended that closed its output without an answer. */
static void
describe_end(char *out, size_t size, int status)
{
	if (status != -1 && WIFSIGNALED(status))
		snprintf(out, size, "signal %d ended it", WTERMSIG(status));
	else if (status != -1 && WIFEXITED(status))
		snprintf(out, size, "it wrote nothing (exit %d)",
		    WEXITSTATUS(status));
	else
		strlcpy(out, "it wrote nothing", size);
}

int
program_ask(const struct program *p, double deadline,
    const struct waiter *waiter, struct buf *answer, struct error *err)
{
	const char *how;
	char end[128];
	int fd = -1, status, result;
	pid_t pid = -1;

	if (start_program(p, &pid, &fd, err) == -1)
		return -1;
	result = read_answer(fd, deadline, waiter, answer, &how);
	close(fd);
	/* It may be about to store a sign-in: it is left to finish. */
	if (result == 1)
		return program_no_answer(err, "it was not waited for");
	status = reap(pid, result == 0 ? deadline : 0);
	if (result == -1)
		return program_no_answer(err, how);
	if (answer->len > 0)
		return 0;
	describe_end(end, sizeof(end), status);
	return program_no_answer(err, end);
}
