#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/spawn.h"

typedef int adddup2(posix_spawn_file_actions_t *, int, int);

/* The C library's, until one of its calls is to find no memory. */
static int calls_left;

int
posix_spawn_file_actions_adddup2(
    posix_spawn_file_actions_t *actions, int fd, int as)
{
	adddup2 *real;

	if (calls_left == 0)
		return ENOMEM;
	calls_left--;
	*(void **)&real = dlsym(RTLD_NEXT, "posix_spawn_file_actions_adddup2");
	return real(actions, fd, as);
}

static int
set_up(void **state)
{
	(void)state;
	calls_left = 100;
	return 0;
}

/* What "/bin/sh -c script" writes, with 'input' to read, -1: nothing. */
static void
run(const char *script, int input, char *out, size_t size)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	int pipes[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(
	    spawn_program(&pid, "/bin/sh", argv, input, pipes[1]), 0);
	close(pipes[1]);
	n = file_read_some(pipes[0], out, size - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
a_program_writes_where_it_is_told_and_has_nothing_to_read(void **state)
{
	char out[100];

	(void)state;
	run("read line || echo \"$0 got nothing\"", -1, out, sizeof(out));
	assert_string_equal(out, "sh got nothing\n");
}

static void
a_program_reads_what_it_is_given(void **state)
{
	char out[100];
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(file_write_all(pipes[1], "hello\n", 6), 0);
	close(pipes[1]);
	run("read line; echo \"got $line\"", pipes[0], out, sizeof(out));
	close(pipes[0]);
	assert_string_equal(out, "got hello\n");
}

static void
nothing_starts_where_a_descriptor_cannot_be_put_into_place(void **state)
{
	const char *const argv[] = { "true", NULL };
	pid_t pid = -1;

	(void)state;
	for (int calls = 0; calls < 2; calls++) {
		calls_left = calls;
		assert_int_equal(
		    spawn_program(&pid, "/bin/true", argv, 0, 1), ENOMEM);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
	calls_left = 0;
	assert_int_equal(spawn_program(&pid, "/bin/true", argv, -1, 1), ENOMEM);
	assert_int_equal(pid, -1);
}

static void
a_program_that_is_not_there_is_told(void **state)
{
	const char *const argv[] = { "nothing", NULL };
	pid_t pid = -1;

	(void)state;
	/* valgrind's fork for vfork keeps the child's failure from us. */
	if (getenv("OUTPOST_MEMCHECK") != NULL)
		skip();
	assert_int_equal(
	    spawn_program(&pid, "/nonexistent/program", argv, -1, 1), ENOENT);
	assert_int_equal(pid, -1);
}

static volatile sig_atomic_t signalled;

static void
on_signal(int number)
{
	signalled = number;
}

/* A child that does nothing, or asks us to end; but for its alarm it would
 * never end. */
static pid_t
start_child(int ask)
{
	pid_t child = fork();

	if (child == 0) {
		alarm(60);
		if (ask != 0)
			kill(getppid(), ask);
		for (;;)
			pause();
	}
	return child;
}

static void
a_signal_is_told_whenever_it_comes(void **state)
{
	struct sigaction action = { .sa_handler = on_signal };
	pid_t child;
	int status;

	(void)state;
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	for (int before = 0; before <= 1; before++) {
		signalled = 0;
		child = start_child(before ? 0 : SIGTERM);
		if (before)
			raise(SIGTERM);
		assert_int_equal(spawn_wait(child, &status, &signalled), 0);
		assert_int_equal(signalled, SIGTERM);
		kill(child, SIGKILL);
		assert_int_equal(spawn_wait(child, &status, NULL), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	assert_int_equal(spawn_wait(-1, NULL, NULL), -1);
	assert_int_equal(errno, ECHILD);
}

static void
a_child_that_ends_is_told_also_where_its_signal_is_blocked(void **state)
{
	sigset_t set, after;
	int status;

	(void)state;
	signalled = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (int how = SIG_BLOCK; how <= SIG_UNBLOCK; how++) {
		pid_t child = fork();

		if (child == 0)
			_exit(7);
		assert_int_equal(sigprocmask(how, &set, NULL), 0);
		assert_int_equal(spawn_wait(child, &status, &signalled), child);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &after), 0);
		assert_int_equal(
		    sigismember(&after, SIGCHLD), how == SIG_BLOCK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    a_program_writes_where_it_is_told_and_has_nothing_to_read,
		    set_up),
		cmocka_unit_test_setup(
		    a_program_reads_what_it_is_given, set_up),
		cmocka_unit_test_setup(
		    nothing_starts_where_a_descriptor_cannot_be_put_into_place,
		    set_up),
		cmocka_unit_test_setup(
		    a_program_that_is_not_there_is_told, set_up),
		cmocka_unit_test(a_signal_is_told_whenever_it_comes),
		cmocka_unit_test(
		    a_child_that_ends_is_told_also_where_its_signal_is_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
