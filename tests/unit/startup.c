#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/record.h"
#include "base/startup.h"
#include "base/xalloc.h"

/* This program copies itself, gives the copy to another user with the set-id
 * bit, and runs it as a third one. The copy calls startup_service() and
 * reports what it then sees, as a record on its standard output or, where
 * that is closed, in a file. */

extern char **environ;

#define OWNER "games"
#define CALLER "www-data"
#define REPORT "--report"
#define EXIT_OF_REPORT 7

/* The reporting side. */

static void
put_ids(struct buf *out)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	char text[100];

	(void)getresuid(&r, &e, &s);
	(void)getresgid(&rg, &eg, &sg);
	(void)snprintf(text, sizeof(text), "%u %u %u", r, e, s);
	record_put(out, "uids", text);
	(void)snprintf(text, sizeof(text), "%u %u %u", rg, eg, sg);
	record_put(out, "gids", text);
	record_put_number(out, "groups", getgroups(0, NULL));
}

static void
put_signals(struct buf *out)
{
	sigset_t mask;
	struct buf blocked, ignored;

	buf_init(&blocked, 1000);
	buf_init(&ignored, 1000);
	(void)sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int i = 1; i < NSIG; i++) {
		struct sigaction action;

		if (sigismember(&mask, i) == 1)
			buf_addf(&blocked, "%d ", i);
		if (sigaction(i, NULL, &action) == 0 &&
		    action.sa_handler == SIG_IGN)
			buf_addf(&ignored, "%d ", i);
	}
	record_put(out, "blocked", blocked.data);
	record_put(out, "ignored", ignored.data);
	buf_release(&blocked);
	buf_release(&ignored);
}

static void
put_descriptors(struct buf *out)
{
	struct buf open_ones;

	buf_init(&open_ones, 10000);
	for (int fd = 0; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			buf_addf(&open_ones, "%d ", fd);
	record_put(out, "descriptors", open_ones.data);
	buf_release(&open_ones);
}

static void
put_rest(struct buf *out)
{
	struct itimerval timer;
	struct rlimit core, files;
	char folder[4096];
	mode_t mask = umask(0);
	size_t variables = 0;

	umask(mask);
	while (environ != NULL && environ[variables] != NULL)
		variables++;
	(void)getitimer(ITIMER_REAL, &timer);
	(void)getrlimit(RLIMIT_CORE, &core);
	(void)getrlimit(RLIMIT_NOFILE, &files);
	record_put_number(out, "variables", (long long)variables);
	record_put(out, "folder",
	    getcwd(folder, sizeof(folder)) != NULL ? folder : "?");
	record_put_number(out, "umask", mask);
	record_put_number(
	    out, "timer", timer.it_value.tv_sec + timer.it_value.tv_usec > 0);
	record_put_number(out, "core", (long long)core.rlim_cur);
	record_put_number(out, "files", (long long)files.rlim_cur);
	record_put_number(out, "dumpable", prctl(PR_GET_DUMPABLE));
	record_put_number(out, "leader", getsid(0) == getpid());
	record_put_number(out, "pid", getpid());
}

/* argv: REPORT, path of a file or "-", "wait" or "die" or nothing. */
static int
report(int argc, char *argv[])
{
	struct startup who;
	struct error err;
	struct buf out;
	int fd, result;

	error_clear(&err);
	result = startup_service(&who, &err);
	buf_init(&out, 100000);
	record_begin(&out, "report");
	record_put_number(&out, "result", result);
	record_put_error(&out, &err);
	record_put_number(&out, "caller", who.caller);
	record_put_number(&out, "caller_group", who.caller_group);
	record_put_number(&out, "service", who.service);
	record_put_number(&out, "set_id_ignored", who.set_id_ignored);
	put_ids(&out);
	put_signals(&out);
	put_descriptors(&out);
	put_rest(&out);
	fd = strcmp(argv[2], "-") == 0 ? STDOUT_FILENO
				       : open(argv[2], O_WRONLY | O_TRUNC);
	if (fd == -1 || file_write_all(fd, out.data, out.len) == -1)
		_exit(99);
	if (argc > 3 && strcmp(argv[3], "wait") == 0)
		sleep(20);
	if (argc > 3 && strcmp(argv[3], "die") == 0)
		raise(SIGKILL);
	/* exit() would look for leaks, which a traced process cannot. */
	_exit(EXIT_OF_REPORT);
}

/* The testing side. */

struct bench {
	char folder[100];
	char program[200]; /* the copy */
	char file[200];    /* where it may report to */
	uid_t owner, caller;
	gid_t owner_group, caller_group;
	struct record seen;
	int status; /* of the copy, as of waitpid(2) */
};

static bool
bits_work(const char *folder)
{
	struct statvfs status;

	return statvfs(folder, &status) == 0 &&
	       (status.f_flag & (ST_NOSUID | ST_NOEXEC)) == 0 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
}

/* NULL in '*state' where there are no set-id programs to be had. */
static int
set_up(void **state)
{
	const struct passwd *entry;
	struct bench *b;
	const char *tmp = getenv("TMPDIR");
	char command[1000];

	*state = NULL;
	if (getuid() != 0 || (entry = getpwnam(OWNER)) == NULL)
		return 0;
	b = xcalloc(1, sizeof(*b));
	b->owner = entry->pw_uid;
	b->owner_group = entry->pw_gid;
	if ((entry = getpwnam(CALLER)) == NULL)
		goto fail;
	b->caller = entry->pw_uid;
	b->caller_group = entry->pw_gid;
	(void)snprintf(b->folder, sizeof(b->folder),
	    "%s/outpost-startup.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(b->folder) == NULL || !bits_work(b->folder))
		goto fail;
	(void)snprintf(b->program, sizeof(b->program), "%s/copy", b->folder);
	(void)snprintf(b->file, sizeof(b->file), "%s/report", b->folder);
	(void)snprintf(command, sizeof(command),
	    "chmod 755 %s && cp /proc/%ld/exe %s && : >%s && chmod 666 %s",
	    b->folder, (long)getpid(), b->program, b->file, b->file);
	if (system(command) != 0)
		goto fail;
	record_init(&b->seen);
	*state = b;
	return 0;
fail:
	free(b);
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;
	char command[200];

	if (b == NULL)
		return 0;
	record_release(&b->seen);
	(void)snprintf(command, sizeof(command), "rm -rf %s", b->folder);
	free(b);
	*state = NULL;
	return system(command);
}

static void
own(const struct bench *b, mode_t mode)
{
	assert_int_equal(chown(b->program, b->owner, b->owner_group), 0);
	assert_int_equal(chmod(b->program, mode), 0);
}

static void
exec_copy(const struct bench *b, uid_t uid, gid_t gid, const char *to,
    const char *extra, void (*prepare)(void))
{
	char *argv[] = { (char *)(uintptr_t)b->program,
		(char *)(uintptr_t)REPORT, (char *)(uintptr_t)to,
		(char *)(uintptr_t)extra, NULL };
	char *variables[] = { (char *)(uintptr_t) "PATH=/nonexistent",
		(char *)(uintptr_t) "LD_PRELOAD=/nonexistent.so",
		(char *)(uintptr_t) "OUTPOST_CONFIG=/tmp/evil.conf",
		(char *)(uintptr_t) "TZ=:/etc/shadow",
		(char *)(uintptr_t) "IFS=x", NULL };

	/* Without set-id bits LD_PRELOAD would be complained of. */
	if (access("/nonexistent.so", F_OK) == -1 && extra != NULL &&
	    strcmp(extra, "plain") == 0)
		variables[1] = (char *)(uintptr_t) "A=b";
	if (prepare != NULL)
		prepare();
	if (setgroups(1, &gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		_exit(98);
	execve(b->program, argv, variables);
	_exit(97);
}

static void
read_report(struct bench *b, int from)
{
	struct error err;
	struct buf text;
	ssize_t n;
	char *room;

	buf_init(&text, 100000);
	while ((room = buf_room(&text, 1000)) != NULL &&
	       (n = file_read_some(from, room, 1000)) > 0)
		buf_grown(&text, (size_t)n);
	record_release(&b->seen);
	if (record_parse(&b->seen, "report", text.data, text.len, &err) == -1)
		fail_msg("no report: %s (%s), status %x", err.text, text.data,
		    (unsigned)b->status);
	buf_release(&text);
}

/* Run the copy as 'uid', after 'prepare', and read its report. */
static void
run(struct bench *b, uid_t uid, gid_t gid, const char *extra,
    void (*prepare)(void))
{
	int ends[2];
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	if ((child = fork()) == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		exec_copy(b, uid, gid, "-", extra, prepare);
	}
	close(ends[1]);
	assert_int_equal(waitpid(child, &b->status, 0), child);
	read_report(b, ends[0]);
	close(ends[0]);
}

/* The same with a report by file. */
static void
run_to_file(struct bench *b, void (*prepare)(void))
{
	pid_t child = fork();
	int fd;

	if (child == 0)
		exec_copy(
		    b, b->caller, b->caller_group, b->file, NULL, prepare);
	assert_int_equal(waitpid(child, &b->status, 0), child);
	fd = open(b->file, O_RDONLY);
	read_report(b, fd);
	close(fd);
}

static void
saw(const struct bench *b, const char *key, const char *want)
{
	const char *value = record_get(&b->seen, key);

	if (value == NULL || strcmp(value, want) != 0)
		fail_msg("%s is '%s', not '%s'", key,
		    value != NULL ? value : "(none)", want);
}

static void
saw_number(const struct bench *b, const char *key, long long want)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", want);
	saw(b, key, text);
}

static void
saw_ids(const struct bench *b, const char *key, unsigned id)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%u %u %u", id, id, id);
	saw(b, key, text);
}

#define BENCH(b)                                                               \
	struct bench *b = *state;                                              \
	if (b == NULL)                                                         \
	skip()

/* All that does not depend on who started it. */
static void
saw_clean_service(const struct bench *b)
{
	char ignored[32];

	(void)snprintf(ignored, sizeof(ignored), "%d %d ", SIGPIPE, SIGXFSZ);
	saw(b, "result", "0");
	saw(b, "service", "1");
	saw(b, "set_id_ignored", "0");
	saw_ids(b, "uids", b->owner);
	saw(b, "variables", "0");
	saw(b, "folder", "/");
	saw_number(b, "umask", 077);
	saw(b, "descriptors", "0 1 2 ");
	saw(b, "blocked", "");
	saw(b, "ignored", ignored);
	saw(b, "timer", "0");
	saw(b, "core", "0");
	if (!OUTPOST_SANITIZED)
		saw(b, "dumpable", "0");
	saw(b, "leader", "1");
	assert_true(WIFEXITED(b->status));
	assert_int_equal(WEXITSTATUS(b->status), EXIT_OF_REPORT);
}

static void
service_runs_as_its_owner_and_remembers_the_caller(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, b->caller, b->caller_group, NULL, NULL);
	saw_clean_service(b);
	saw_ids(b, "gids", b->caller_group);
	saw_number(b, "caller", b->caller);
	saw_number(b, "caller_group", b->caller_group);
}

static void
set_group_id_bit_gives_the_group(void **state)
{
	BENCH(b);
	own(b, 06755);
	run(b, b->caller, b->caller_group, NULL, NULL);
	saw_clean_service(b);
	saw_ids(b, "gids", b->owner_group);
	saw_number(b, "caller_group", b->caller_group);
}

static void
root_too_becomes_the_owner_and_keeps_no_group(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, 0, 0, NULL, NULL);
	saw_clean_service(b);
	saw_ids(b, "gids", b->owner_group);
	saw(b, "groups", "0");
	saw(b, "caller", "0");
	own(b, 06755);
	run(b, 0, 0, NULL, NULL);
	saw_clean_service(b);
	saw_ids(b, "gids", b->owner_group);
	saw(b, "groups", "0");
}

static void
forbid_new_privileges(void)
{
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void
root_becomes_the_owner_where_bits_are_ignored(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, 0, 0, "plain", forbid_new_privileges);
	saw_clean_service(b);
	saw_ids(b, "gids", b->owner_group);
	saw(b, "groups", "0");
}

static void
ignored_bits_are_noticed(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, b->caller, b->caller_group, "plain", forbid_new_privileges);
	saw(b, "result", "0");
	saw(b, "service", "0");
	saw(b, "set_id_ignored", "1");
	saw_ids(b, "uids", b->caller);
	saw(b, "variables", "5");
}

static void
owner_itself_is_a_service_where_bits_are_ignored(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, b->owner, b->owner_group, "plain", forbid_new_privileges);
	saw_clean_service(b);
	saw_number(b, "caller", b->owner);
}

static void
open_much(void)
{
	int null = open("/dev/null", O_RDONLY);

	for (int fd = 40; fd < 60; fd++)
		dup2(null, fd);
	dup2(null, 1000);
}

static void
copy_without_bits_leaves_its_user_alone(void **state)
{
	BENCH(b);
	own(b, 0755);
	run(b, b->caller, b->caller_group, "plain", open_much);
	saw(b, "result", "0");
	saw(b, "service", "0");
	saw(b, "set_id_ignored", "0");
	saw_ids(b, "uids", b->caller);
	saw_ids(b, "gids", b->caller_group);
	saw(b, "variables", "5");
	saw(b, "leader", "0");
	saw_number(b, "umask", 077);
	assert_non_null(strstr(record_get(&b->seen, "descriptors"), " 59 "));
	assert_string_not_equal(record_get(&b->seen, "folder"), "/");
}

static void
inherited_descriptors_are_closed(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, b->caller, b->caller_group, NULL, open_much);
	saw_clean_service(b);
}

static void
close_standard(void)
{
	close(0);
	close(1);
	close(2);
}

static void
closed_standard_descriptors_are_opened(void **state)
{
	BENCH(b);
	own(b, 04755);
	run_to_file(b, close_standard);
	saw_clean_service(b);
}

static void
set_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_IGN);
}

static void
blocked_and_ignored_signals_are_reset(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, b->caller, b->caller_group, NULL, set_signals);
	saw_clean_service(b);
}

static void
set_timers(void)
{
	const struct itimerval soon = { { 1, 0 }, { 1, 0 } };

	(void)setitimer(ITIMER_REAL, &soon, NULL);
}

static void
timers_of_the_caller_do_not_end_it(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, b->caller, b->caller_group, NULL, set_timers);
	saw_clean_service(b);
}

static void
lead_a_group(void)
{
	(void)setpgid(0, 0);
}

static void
leader_of_a_group_leaves_by_a_child_and_hands_on_its_end(void **state)
{
	BENCH(b);
	own(b, 04755);
	run(b, b->caller, b->caller_group, NULL, lead_a_group);
	saw_clean_service(b);
	run(b, b->caller, b->caller_group, "die", lead_a_group);
	assert_true(WIFEXITED(b->status));
	assert_int_equal(WEXITSTATUS(b->status), EX_TEMPFAIL);
}

static void
limit_to(int resource, rlim_t soft, rlim_t hard)
{
	const struct rlimit limit = { soft, hard };

	(void)setrlimit((__rlimit_resource_t)resource, &limit);
}

static void
limit_file_size(void)
{
	limit_to(RLIMIT_FSIZE, 0, 0);
}

static void
limit_processor_time(void)
{
	limit_to(RLIMIT_CPU, 100, 100);
}

static void
limit_files(void)
{
	limit_to(RLIMIT_NOFILE, 16, 16);
}

static void
limits_that_are_too_low_are_told(void **state)
{
	static const struct {
		void (*prepare)(void);
		const char *name;
	} cases[] = {
		{ limit_file_size, "file size" },
		{ limit_processor_time, "processor time" },
		{ limit_files, "open files" },
	};

	BENCH(b);
	own(b, 04755);
	for (size_t i = 0; i < 3; i++) {
		char text[200];

		(void)snprintf(text, sizeof(text),
		    "the caller's limit on %s is too low to send mail with",
		    cases[i].name);
		run(b, b->caller, b->caller_group, NULL, cases[i].prepare);
		saw(b, "result", "-1");
		saw_number(b, "exit", EX_TEMPFAIL);
		saw(b, "class", "retry");
		saw(b, "text", text);
		assert_non_null(strstr(record_get(&b->seen, "hint"), "ulimit"));
		/* Whatever it does next, it does without the caller. */
		saw_ids(b, "uids", b->owner);
		saw(b, "variables", "0");
	}
}

static void
limit_softly(void)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit_to(RLIMIT_NOFILE, 8, limit.rlim_max);
	limit_to(RLIMIT_FSIZE, 0, RLIM_INFINITY);
	limit_to(RLIMIT_CPU, 1, RLIM_INFINITY);
	limit_to(RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY);
}

static void
soft_limits_are_raised(void **state)
{
	struct rlimit limit;

	BENCH(b);
	own(b, 04755);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	run(b, b->caller, b->caller_group, NULL, limit_softly);
	saw_clean_service(b);
	saw_number(b, "files", (long long)limit.rlim_max);
}

/* As the caller: 0 when the process is out of its reach. SIGCONT, which does
 * no harm, may always be sent within a session. */
static int
try_to_reach(const struct bench *b, pid_t target)
{
	static const int signals[] = { 0, SIGTERM, SIGKILL, SIGSTOP, SIGCONT };
	int count = getsid(target) == getsid(0) ? 4 : 5;
	uid_t uid = b->caller;

	if (setgroups(0, NULL) == -1 ||
	    setresgid(b->caller_group, b->caller_group, b->caller_group) ==
		-1 ||
	    setresuid(uid, uid, uid) == -1)
		return 98;
	for (int i = 0; i < count; i++)
		if (kill(target, signals[i]) != -1 || errno != EPERM)
			return i + 1;
	if (ptrace(PTRACE_ATTACH, target, NULL, NULL) != -1)
		return 10;
	return 0;
}

static void
reach_fails(void **state, void (*prepare)(void))
{
	struct bench *b = *state;
	int ends[2], status;
	char text[4000];
	const char *pid;
	pid_t child, target, other;
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	if ((child = fork()) == 0) {
		dup2(ends[1], STDOUT_FILENO);
		exec_copy(b, b->caller, b->caller_group, "-", "wait", prepare);
	}
	n = file_read_some(ends[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	pid = strstr(text, "\npid: ");
	assert_non_null(pid);
	target = (pid_t)strtol(pid + 6, NULL, 10);
	for (int i = 0; i < 2; i++) {
		if ((other = fork()) == 0)
			_exit(try_to_reach(b, i == 0 ? child : target));
		assert_int_equal(waitpid(other, &status, 0), other);
		assert_int_equal(status, 0);
	}
	kill(target, SIGKILL);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(ends[0]);
	close(ends[1]);
}

static void
caller_cannot_signal_or_trace_it(void **state)
{
	BENCH(b);
	own(b, 04755);
	reach_fails(state, NULL);
}

/* Here the one that waits for the child leads a group of the caller's. */
static void
caller_cannot_signal_a_group_leader_either(void **state)
{
	BENCH(b);
	own(b, 04755);
	reach_fails(state, lead_a_group);
}

/* What follows needs no copy: it is tried in children. */

static int
in_child(int (*what)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(what());
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : 1000 + WTERMSIG(status);
}

static int
start_as_user(void)
{
	struct startup who;
	struct stat null, zero;

	close_standard();
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	setenv("KEPT", "yes", 1);
	startup_user(&who);
	if (stat("/dev/null", &null) == -1)
		return 1;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &zero) == -1 || zero.st_rdev != null.st_rdev)
			return 2;
	if (write(2, "x", 1) != 1)
		return 3;
	if (signal(SIGCHLD, SIG_DFL) != SIG_DFL ||
	    signal(SIGPIPE, SIG_DFL) != SIG_IGN ||
	    signal(SIGXFSZ, SIG_DFL) != SIG_IGN)
		return 4;
	if (who.caller != getuid() || who.caller_group != getgid() ||
	    who.service || who.set_id_ignored)
		return 5;
	return getenv("KEPT") != NULL ? 0 : 6;
}

static void
program_of_its_user_gets_descriptors_and_signals(void **state)
{
	(void)state;
	assert_int_equal(in_child(start_as_user), 0);
}

static int
be_late(void)
{
	startup_deadline(1);
	sleep(10);
	return 1;
}

static int
be_late_with_signals_ignored(void)
{
	set_signals();
	startup_deadline(1);
	for (double start = file_now(); file_now() < start + 10;)
		continue;
	return 1;
}

static void
deadline_ends_it_whatever_the_caller_did_to_signals(void **state)
{
	(void)state;
	assert_int_equal(in_child(be_late), 1000 + SIGALRM);
	assert_int_equal(
	    in_child(be_late_with_signals_ignored), 1000 + SIGALRM);
}

static int
become_owner(void)
{
	struct error err;
	uid_t r, e, s;

	if (startup_become(OWNER, &err) == -1)
		return 1;
	(void)getresuid(&r, &e, &s);
	if (r != e || e != s || r != getpwnam(OWNER)->pw_uid)
		return 2;
	if (getgid() != getpwnam(OWNER)->pw_gid || getegid() != getgid())
		return 3;
	if (setuid(0) != -1 || seteuid(0) != -1)
		return 4;
	if (startup_become(OWNER, &err) == -1)
		return 5;
	if (startup_become("root", &err) != -1 || err.exit_code != EX_NOPERM ||
	    strcmp(err.text, "only root may act as 'root'") != 0)
		return 6;
	return startup_become_nobody(&err) == 0 && getuid() == r ? 0 : 7;
}

static void
user_once_taken_is_kept(void **state)
{
	(void)state;
	if (getuid() != 0 || getpwnam(OWNER) == NULL)
		skip();
	assert_int_equal(in_child(become_owner), 0);
}

static void
unknown_user_cannot_be_taken(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(startup_become("no-such-user-here", &err), -1);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_string_equal(err.text, "there is no user 'no-such-user-here'");
	assert_string_not_equal(err.hint, "");
}

static int
become_nobody(void)
{
	struct error err;
	uid_t r, e, s;

	if (startup_become_nobody(&err) == -1)
		return 1;
	(void)getresuid(&r, &e, &s);
	if (r != 65534 || e != r || s != r || getgid() != 65534 ||
	    getgroups(0, NULL) != 0)
		return 2;
	return setuid(0) == -1 ? 0 : 3;
}

static void
root_can_become_nobody_for_good(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(in_child(become_nobody), 0);
}

static int
guard(void)
{
	struct rlimit core;

	setenv("SSLKEYLOGFILE", "/tmp/keys", 1);
	startup_guard_secrets();
	if (getrlimit(RLIMIT_CORE, &core) == -1 || core.rlim_max != 0)
		return 1;
	if (getenv("SSLKEYLOGFILE") != NULL)
		return 2;
	/* LeakSanitizer must be able to trace. */
	return OUTPOST_SANITIZED || prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
}

static void
who_holds_secrets_leaves_no_core_and_no_keys(void **state)
{
	(void)state;
	assert_int_equal(in_child(guard), 0);
}

static void
set_id_bit_of_a_file_is_seen(void **state)
{
	BENCH(b);
	own(b, 04755);
	assert_true(startup_is_set_id(b->program));
	own(b, 02755);
	assert_false(startup_is_set_id(b->program));
	own(b, 0755);
	assert_false(startup_is_set_id(b->program));
	assert_false(startup_is_set_id("/nonexistent"));
}

static void
variable_set_to_nothing_is_not_set(void **state)
{
	(void)state;
	assert_int_equal(setenv("OUTPOST_TEST", "", 1), 0);
	assert_null(startup_variable("OUTPOST_TEST"));
	assert_int_equal(setenv("OUTPOST_TEST", "x", 1), 0);
	assert_string_equal(startup_variable("OUTPOST_TEST"), "x");
	assert_int_equal(unsetenv("OUTPOST_TEST"), 0);
	assert_null(startup_variable("OUTPOST_TEST"));
}

static void
folder_of_programs_is_absolute_or_the_installed_one(void **state)
{
	(void)state;
	assert_int_equal(setenv("OUTPOST_LIBEXEC", "build", 1), 0);
	assert_string_equal(startup_libexec(), OUTPOST_LIBEXECDIR);
	assert_int_equal(setenv("OUTPOST_LIBEXEC", "/build", 1), 0);
	assert_string_equal(startup_libexec(), "/build");
	assert_int_equal(unsetenv("OUTPOST_LIBEXEC"), 0);
	assert_string_equal(startup_libexec(), OUTPOST_LIBEXECDIR);
}

static void
ignored_bits_have_a_sentence(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(startup_ignored_error(&err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_int_equal(err.class, ERROR_RETRY);
	assert_string_equal(err.text,
	    "this service runs with NoNewPrivileges, so sendmail cannot "
	    "reach its queue");
	assert_non_null(strstr(err.hint, "NoNewPrivileges="));
}

#define ON_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		ON_BENCH(service_runs_as_its_owner_and_remembers_the_caller),
		ON_BENCH(set_group_id_bit_gives_the_group),
		ON_BENCH(root_too_becomes_the_owner_and_keeps_no_group),
		ON_BENCH(root_becomes_the_owner_where_bits_are_ignored),
		ON_BENCH(ignored_bits_are_noticed),
		ON_BENCH(owner_itself_is_a_service_where_bits_are_ignored),
		ON_BENCH(copy_without_bits_leaves_its_user_alone),
		ON_BENCH(inherited_descriptors_are_closed),
		ON_BENCH(closed_standard_descriptors_are_opened),
		ON_BENCH(blocked_and_ignored_signals_are_reset),
		ON_BENCH(timers_of_the_caller_do_not_end_it),
		ON_BENCH(
		    leader_of_a_group_leaves_by_a_child_and_hands_on_its_end),
		ON_BENCH(limits_that_are_too_low_are_told),
		ON_BENCH(soft_limits_are_raised),
		ON_BENCH(caller_cannot_signal_or_trace_it),
		ON_BENCH(caller_cannot_signal_a_group_leader_either),
		cmocka_unit_test(
		    program_of_its_user_gets_descriptors_and_signals),
		cmocka_unit_test(
		    deadline_ends_it_whatever_the_caller_did_to_signals),
		cmocka_unit_test(user_once_taken_is_kept),
		cmocka_unit_test(unknown_user_cannot_be_taken),
		cmocka_unit_test(root_can_become_nobody_for_good),
		cmocka_unit_test(who_holds_secrets_leaves_no_core_and_no_keys),
		ON_BENCH(set_id_bit_of_a_file_is_seen),
		cmocka_unit_test(variable_set_to_nothing_is_not_set),
		cmocka_unit_test(
		    folder_of_programs_is_absolute_or_the_installed_one),
		cmocka_unit_test(ignored_bits_have_a_sentence),
	};

	if (argc > 2 && strcmp(argv[1], REPORT) == 0)
		return report(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
