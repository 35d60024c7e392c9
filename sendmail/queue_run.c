#include "sendmail/queue_run.h"

#include <signal.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/spawn.h"
#include "base/xalloc.h"
#include "sendmail/options.h"

#define ARGUMENTS_MAX (10 + 2 * OPTIONS_PATTERNS_MAX)

static volatile sig_atomic_t signalled;

static void
on_signal(int number)
{
	signalled = number;
}

static void
catch_signals(sigset_t *caught)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };

	sigemptyset(&action.sa_mask);
	sigemptyset(caught);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(caught, numbers[i]);
		(void)sigaction(numbers[i], &action, NULL);
	}
}

static void
fill_arguments(const char *argv[ARGUMENTS_MAX], const struct options *o,
    const char *path, const char *config_path)
{
	size_t n = 0;

	argv[n++] = path;
	if (config_path != NULL) {
		argv[n++] = "-C";
		argv[n++] = config_path;
	}
	if (o->tag[0] != '\0') {
		argv[n++] = "-L";
		argv[n++] = o->tag;
	}
	argv[n++] = "-q";
	if (o->force)
		argv[n++] = "-f";
	if (o->verbose)
		argv[n++] = "-v";
	for (size_t i = 0; i < o->pattern_count; i++) {
		argv[n++] = "-M";
		argv[n++] = o->patterns[i];
	}
	argv[n] = NULL;
}

/* Its wait status; -1 when it could not be started. */
static int
run_once(const char *path, const char *const *argv, struct error *err)
{
	int why, status = 0;
	pid_t child;

	why = spawn_program(&child, path, argv, -1, STDOUT_FILENO);
	if (why != 0) {
		error_set(err, EX_CONFIG, "4.3.0", "cannot run '%s': %s", path,
		    strerror(why));
		error_hint(err, "is Outpost installed as a whole?");
		return -1;
	}
	if (spawn_wait(child, &status, &signalled) == 0) {
		(void)kill(child, signalled);
		(void)spawn_wait(child, &status, NULL);
	}
	return status;
}

/* What submit itself has said on standard error is not said again. */
static int
judge(int status, struct error *err)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;

	if (code == EX_OK)
		return 0;
	return error_set(err, code, "4.3.0", "the queue was not run");
}

static void
sleep_for(unsigned seconds, const sigset_t *caught)
{
	const struct timespec interval = { .tv_sec = seconds };
	sigset_t before;
	int number;

	/* Blocked, so that none is lost between the look and the sleep. */
	(void)sigprocmask(SIG_BLOCK, caught, &before);
	if (signalled == 0 &&
	    (number = sigtimedwait(caught, NULL, &interval)) > 0)
		signalled = number;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
}

int
queue_run(const struct options *o, const char *libexec, const char *config_path,
    struct error *err)
{
	char *path = xasprintf("%s/submit", libexec);
	const char *argv[ARGUMENTS_MAX];
	int status, result = -1;
	sigset_t caught;

	catch_signals(&caught);
	fill_arguments(argv, o, path, config_path);
	do {
		if ((status = run_once(path, argv, err)) == -1)
			goto out;
		result = judge(status, err);
		if (o->interval > 0 && signalled == 0)
			sleep_for(o->interval, &caught);
	} while (o->interval > 0 && signalled == 0);
	if (signalled != 0)
		result = 0;
out:
	free(path);
	return result;
}
