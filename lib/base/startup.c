#include "base/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"

#define NOBODY 65534

/* The least that a service needs, whatever its caller left it. */
/* clang-format off */
static const struct {
	int resource;
	const char *name;
	rlim_t least;
} limits[] = {
	{ RLIMIT_FSIZE,  "file size",          RLIM_INFINITY },
	{ RLIMIT_CPU,    "processor time",     RLIM_INFINITY },
	{ RLIMIT_NOFILE, "open files",         32 },
	{ RLIMIT_AS,     "address space",      256u << 20 },
	{ RLIMIT_DATA,   "data size",          64u << 20 },
	{ RLIMIT_STACK,  "stack size",         1u << 20 },
};
/* clang-format on */

/* A library that prints to descriptor 2 must not write into a file or socket
 * that happened to be opened as number 2. */
static void
open_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
			(void)open("/dev/null", fd == 0 ? O_RDONLY : O_RDWR);
}

static void
set_handler(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigemptyset(&action.sa_mask);
	(void)sigaction(number, &action, NULL);
}

static void
reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		set_handler(number, SIG_DFL);
	set_handler(SIGPIPE, SIG_IGN);
	set_handler(SIGXFSZ, SIG_IGN);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
stop_timers(void)
{
	const struct itimerval off = { .it_value = { 0 } };

	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)setitimer(ITIMER_VIRTUAL, &off, NULL);
	(void)setitimer(ITIMER_PROF, &off, NULL);
}

#define LIMITS (sizeof(limits) / sizeof(limits[0]))

/* First of all: without free numbers no descriptor could be opened. */
static void
raise_limits(void)
{
	for (size_t i = 0; i < LIMITS; i++) {
		struct rlimit limit;

		if (getrlimit(limits[i].resource, &limit) == -1)
			continue;
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(limits[i].resource, &limit);
	}
}

static int
check_limits(struct error *err)
{
	for (size_t i = 0; i < LIMITS; i++) {
		struct rlimit limit;

		if (getrlimit(limits[i].resource, &limit) == -1 ||
		    limit.rlim_cur >= limits[i].least)
			continue;
		error_set(err, EX_TEMPFAIL, "4.3.1",
		    "the caller's limit on %s is too low to send mail with",
		    limits[i].name);
		return error_hint(err, "raise it (ulimit) where the "
				       "calling program is started");
	}
	return 0;
}

/* The leader of a process group cannot leave its session: a child can, and
 * the leader hands on how it ended. */
static int
leave_session(struct error *err)
{
	pid_t child;
	int status;

	if (setsid() != -1)
		return 0;
	if ((child = fork()) == -1)
		return error_set(err, EX_TEMPFAIL, "4.3.0", "cannot fork: %s",
		    strerror(errno));
	if (child == 0) {
		(void)setsid();
		return 0;
	}
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		continue;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL);
}

static int
cannot_become(uid_t uid, struct error *err)
{
	int why = errno;

	/* A user namespace that does not know the owner of our file. */
	if (why == EINVAL)
		return startup_ignored_error(err);
	error_set(err, EX_TEMPFAIL, "4.3.0", "cannot become uid %ld: %s",
	    (long)uid, strerror(why));
	return why != EPERM
		   ? -1
		   : error_hint(err,
			 "root lacks CAP_SETUID or CAP_SETGID; in a container "
			 "take the set-id bits from submit, token and mailq");
}

/* -1 with errno, and perhaps with the group changed. */
static int
change_ids(uid_t uid, gid_t gid)
{
	/* Root started a set-id program: only as root can it leave groups. */
	if ((getuid() == 0 && seteuid(0) == -1) ||
	    (geteuid() == 0 && setgroups(0, NULL) == -1) ||
	    setresgid(gid, gid, gid) == -1)
		return -1;
	return setresuid(uid, uid, uid);
}

static int
check_ids(uid_t uid, struct error *err)
{
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) == -1 || real != uid ||
	    effective != uid || saved != uid)
		return error_set(err, EX_TEMPFAIL, "4.3.0",
		    "uid %ld was not taken", (long)uid);
	return 0;
}

static int
take_ids(uid_t uid, gid_t gid, struct error *err)
{
	if (change_ids(uid, gid) == -1)
		return cannot_become(uid, err);
	return check_ids(uid, err);
}

static int
clean_service(uid_t uid, gid_t gid, struct error *err)
{
	raise_limits();
	open_standard_descriptors();
	closefrom(3);
	reset_signals();
	stop_timers();
	(void)clearenv();
	(void)umask(077);
	if (chdir("/") == -1)
		return error_set(err, EX_TEMPFAIL, "4.3.0",
		    "cannot change to '/': %s", strerror(errno));
	if (take_ids(uid, gid, err) == -1)
		return -1;
	startup_guard_secrets();
	if (check_limits(err) == -1)
		return -1;
	return leave_session(err);
}

/* A service keeps its caller's group where it cannot have another, but not
 * root's. */
static gid_t
service_group(const struct stat *self)
{
	const struct passwd *owner;

	if ((self->st_mode & S_ISGID) != 0)
		return self->st_gid;
	if (getuid() != 0)
		return getegid();
	owner = getpwuid(self->st_uid);
	return owner != NULL ? owner->pw_gid : NOBODY;
}

int
startup_service(struct startup *who, struct error *err)
{
	struct stat self;
	bool known = stat("/proc/self/exe", &self) == 0;
	bool has_bit = known && (self.st_mode & S_ISUID) != 0;
	bool raised = getauxval(AT_SECURE) != 0;

	*who = (struct startup){
		.caller = getuid(),
		.caller_group = getgid(),
		.service = raised,
	};
	if (has_bit && (self.st_uid == geteuid() || geteuid() == 0))
		who->service = true;
	if (who->service && has_bit)
		return clean_service(self.st_uid, service_group(&self), err);
	if (who->service)
		return clean_service(geteuid(), getegid(), err);
	who->set_id_ignored = has_bit;
	open_standard_descriptors();
	set_handler(SIGPIPE, SIG_IGN);
	set_handler(SIGXFSZ, SIG_IGN);
	set_handler(SIGCHLD, SIG_DFL);
	(void)umask(077);
	return 0;
}

void
startup_user(struct startup *who)
{
	*who = (struct startup){
		.caller = getuid(),
		.caller_group = getgid(),
	};
	open_standard_descriptors();
	set_handler(SIGPIPE, SIG_IGN);
	set_handler(SIGXFSZ, SIG_IGN);
	set_handler(SIGCHLD, SIG_DFL);
}

void
startup_guard_secrets(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	/* LeakSanitizer traces its own process. */
	if (!OUTPOST_SANITIZED)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	/* libcurl would write the keys of its sessions into that file. */
	(void)unsetenv("SSLKEYLOGFILE");
}

int
startup_ignored_error(struct error *err)
{
	error_set(err, EX_TEMPFAIL, "4.3.0",
	    "this service runs with NoNewPrivileges, so sendmail cannot "
	    "reach its queue");
	return error_hint(err,
	    "take NoNewPrivileges= (and what implies it, "
	    "such as User= with a syscall filter) out of the unit that "
	    "sends mail, or mount without nosuid");
}

void
startup_deadline(unsigned seconds)
{
	sigset_t alarms;

	/* A caller's ignored or blocked SIGALRM outlives execve(2). */
	set_handler(SIGALRM, SIG_DFL);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &alarms, NULL);
	(void)alarm(seconds);
}

pid_t
startup_fork(int (*work)(void *arg), void *arg)
{
	pid_t child = fork();

	if (child == 0)
		_exit(work(arg));
	return child;
}

int
startup_become(const char *user, struct error *err)
{
	struct passwd *entry = getpwnam(user);

	if (entry == NULL) {
		error_set(
		    err, EX_CONFIG, "5.3.5", "there is no user '%s'", user);
		return error_hint(err, "install the outpost package, which "
				       "makes it");
	}
	if (geteuid() == entry->pw_uid && getuid() == entry->pw_uid)
		return 0;
	if (geteuid() != 0)
		return error_set(
		    err, EX_NOPERM, "5.7.0", "only root may act as '%s'", user);
	if (initgroups(user, entry->pw_gid) == -1)
		return error_set(err, EX_TEMPFAIL, "4.3.0",
		    "cannot take the groups of '%s': %s", user,
		    strerror(errno));
	if (setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) == -1 ||
	    setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) == -1)
		return error_set(err, EX_TEMPFAIL, "4.3.0",
		    "cannot become '%s': %s", user, strerror(errno));
	return 0;
}

int
startup_become_nobody(struct error *err)
{
	if (geteuid() != 0)
		return 0;
	if (change_ids(NOBODY, NOBODY) == 0)
		return check_ids(NOBODY, err);
	/* A container's root that may not change its ids, or knows no others,
	 * is root by name. */
	return errno == EPERM || errno == EINVAL ? 0
						 : cannot_become(NOBODY, err);
}

const char *
startup_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

const char *
startup_libexec(void)
{
	const char *folder = startup_variable("OUTPOST_LIBEXEC");

	return folder != NULL && *folder == '/' ? folder : OUTPOST_LIBEXECDIR;
}

bool
startup_is_set_id(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && (status.st_mode & S_ISUID) != 0;
}
