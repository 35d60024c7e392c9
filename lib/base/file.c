#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"

/* How long a waiter for a lock sleeps between two looks, in nanoseconds. */
#define LOCK_INTERVAL (10L * 1000 * 1000)
#define READ_CHUNK (64u * 1024)
/* Between two knocks at a write that takes too long, in nanoseconds. */
#define KNOCK_INTERVAL (50L * 1000 * 1000)
#define RANDOM_LETTERS "XXXXXX" /* as mkostemp(3) wants them */

double
file_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

ssize_t
file_read_some(int fd, void *bytes, size_t size)
{
	ssize_t n;

	do
		n = read(fd, bytes, size);
	while (n == -1 && errno == EINTR);
	return n;
}

int
file_write_all(int fd, const void *bytes, size_t len)
{
	const char *next = bytes;

	while (len > 0) {
		ssize_t n = write(fd, next, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

static void
on_knock(int number)
{
	(void)number;
}

/* From 'seconds' on a signal comes again and again, in case that the first
 * finds us before the write. */
static int
start_knocking(timer_t *timer, double seconds)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR1,
	};
	struct itimerspec when = {
		.it_value.tv_sec = (time_t)seconds,
		.it_value.tv_nsec = (long)(seconds * 1e9) % 1000000000,
		.it_interval.tv_nsec = KNOCK_INTERVAL,
	};

	if (timer_create(CLOCK_MONOTONIC, &event, timer) == -1)
		return -1;
	return timer_settime(*timer, 0, &when, NULL);
}

static int
write_until(int fd, const char *next, size_t len, double deadline)
{
	while (len > 0) {
		ssize_t n = write(fd, next, len);

		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0) {
			next += n;
			len -= (size_t)n;
		}
		if (len > 0 && file_now() >= deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
	return 0;
}

int
file_write_within(int fd, const void *bytes, size_t len, double seconds)
{
	struct sigaction knock = { .sa_handler = on_knock }, before;
	double deadline = file_now() + seconds;
	sigset_t set, mask;
	timer_t timer;
	int result = -1, why;

	sigemptyset(&knock.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	(void)sigaction(SIGUSR1, &knock, &before);
	(void)sigprocmask(SIG_UNBLOCK, &set, &mask);
	if (start_knocking(&timer, seconds) == 0) {
		result = write_until(fd, bytes, len, deadline);
		why = errno;
		(void)timer_delete(timer);
	} else
		why = errno;
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGUSR1, &before, NULL);
	errno = why;
	return result;
}

static int
read_all(int fd, const char *path, struct buf *out, struct error *err)
{
	for (;;) {
		size_t left = out->max - out->len;
		char *room =
		    buf_room(out, left < READ_CHUNK ? left : READ_CHUNK);
		char more;
		ssize_t n;

		if (left == 0)
			n = file_read_some(fd, &more, 1);
		else
			n = file_read_some(
			    fd, room, left < READ_CHUNK ? left : READ_CHUNK);
		if (n == -1)
			return error_set(err, EX_IOERR, "4.3.0",
			    "cannot read '%s': %s", path, strerror(errno));
		if (n == 0)
			return 0;
		if (left == 0) {
			errno = EFBIG;
			return error_set(err, EX_CONFIG, "5.3.4",
			    "'%s' is larger than %zu bytes", path, out->max);
		}
		buf_grown(out, (size_t)n);
	}
}

/* Append all of it or nothing, and close. */
static int
read_and_close(int fd, const char *path, struct buf *out, struct error *err)
{
	size_t start = out->len;
	int result = read_all(fd, path, out, err), why = errno;

	if (result == -1)
		(void)buf_splice(out, start, out->len - start, NULL, 0);
	close(fd);
	errno = why;
	return result;
}

static int
open_regular(const char *path, struct stat *status, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int why;

	if (fd == -1) {
		why = errno;
		error_set(err, EX_CONFIG, "5.3.5", "cannot open '%s': %s", path,
		    strerror(why));
		errno = why;
		return -1;
	}
	if (fstat(fd, status) == -1 || !S_ISREG(status->st_mode)) {
		close(fd);
		errno = EINVAL;
		return error_set(err, EX_CONFIG, "5.3.5",
		    "'%s' is not a regular file", path);
	}
	return fd;
}

int
file_read(const char *path, struct buf *out, struct error *err)
{
	struct stat status;
	int fd = open_regular(path, &status, err);

	if (fd == -1)
		return -1;
	return read_and_close(fd, path, out, err);
}

int
file_read_public(const char *path, struct buf *out, struct error *err)
{
	struct stat status;
	int fd = open_regular(path, &status, err);

	if (fd == -1)
		return -1;
	if ((status.st_mode & S_IROTH) != 0)
		return read_and_close(fd, path, out, err);
	close(fd);
	errno = EPERM;
	error_set(err, EX_CONFIG, "5.3.5",
	    "'%s' is not for all to read (mode %04o)", path,
	    (unsigned)(status.st_mode & 07777));
	return error_hint(err, "run 'chmod o+r %s'", path);
}

static int
check_secret(const char *path, const struct stat *status, bool group_may_read,
    struct error *err)
{
	mode_t forbidden = group_may_read ? 0037 : 0077;

	if (status->st_uid != geteuid() && status->st_uid != 0) {
		error_set(err, EX_CONFIG, "5.3.5",
		    "'%s' holds a secret and belongs to uid %ld, not to "
		    "uid %ld or root",
		    path, (long)status->st_uid, (long)geteuid());
		return error_hint(err, "chown it to uid %ld", (long)geteuid());
	}
	if ((status->st_mode & forbidden) != 0) {
		error_set(err, EX_CONFIG, "5.3.5",
		    "'%s' holds a secret and others may read it (mode %04o)",
		    path, (unsigned)(status->st_mode & 07777));
		return error_hint(err, "run 'chmod %s %s'",
		    group_may_read ? "640" : "600", path);
	}
	return 0;
}

int
file_read_secret(
    const char *path, bool group_may_read, struct buf *out, struct error *err)
{
	struct stat status;
	int fd = open_regular(path, &status, err);

	if (fd == -1)
		return -1;
	if (check_secret(path, &status, group_may_read, err) == -1) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return read_and_close(fd, path, out, err);
}

/* The folder of 'path', to be freed. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return xstrdup(".");
	return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int
file_sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result, why;

	if (fd == -1)
		return -1;
	result = fsync(fd);
	/* Some file systems have no fsync of folders. */
	if (result == -1 && errno == EINVAL)
		result = 0;
	why = errno;
	close(fd);
	errno = why;
	return result;
}

static int
sync_folder_of(const char *path)
{
	char *folder = folder_of(path);
	int result = file_sync_folder(folder), why = errno;

	free(folder);
	errno = why;
	return result;
}

static int
write_beside(int fd, const void *bytes, size_t len, mode_t mode,
    const struct timespec times[2])
{
	if (fchmod(fd, mode) == -1)
		return -1;
	if (file_write_all(fd, bytes, len) == -1)
		return -1;
	if (times != NULL && futimens(fd, times) == -1)
		return -1;
	return fsync(fd);
}

/* 'times' as futimens(2) takes them, or NULL. */
static int
replace(const char *path, const void *bytes, size_t len, mode_t mode,
    const struct timespec times[2], struct error *err)
{
	char *beside = xasprintf("%s." RANDOM_LETTERS, path);
	int fd = mkostemp(beside, O_CLOEXEC);
	int why, result = -1;

	if (fd == -1) {
		error_set(err, EX_CANTCREAT, "4.3.0", "cannot create '%s': %s",
		    beside, strerror(errno));
		goto out;
	}
	if (write_beside(fd, bytes, len, mode, times) == -1 ||
	    rename(beside, path) == -1) {
		why = errno;
		(void)unlink(beside);
		error_set(err, EX_IOERR, "4.3.0", "cannot write '%s': %s", path,
		    strerror(why));
		goto out;
	}
	if (sync_folder_of(path) == -1) {
		error_set(err, EX_IOERR, "4.3.0",
		    "cannot write the folder of '%s': %s", path,
		    strerror(errno));
		goto out;
	}
	result = 0;
out:
	if (fd != -1)
		close(fd);
	free(beside);
	return result;
}

int
file_replace(const char *path, const void *bytes, size_t len, mode_t mode,
    struct error *err)
{
	return replace(path, bytes, len, mode, NULL, err);
}

int
file_replace_dated(const char *path, const void *bytes, size_t len, mode_t mode,
    time_t modified, struct error *err)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = modified },
	};

	return replace(path, bytes, len, mode, times, err);
}

static bool
is_leftover(const char *entry, const char *name)
{
	size_t len = strlen(name);
	bool capital = false;

	if (strncmp(entry, name, len) != 0 || entry[len] != '.' ||
	    strlen(entry + len + 1) != strlen(RANDOM_LETTERS))
		return false;
	for (const char *c = entry + len + 1; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c))
			return false;
		if (isupper((unsigned char)*c))
			capital = true;
	}
	return capital;
}

void
file_sweep(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	struct dirent *entry;
	DIR *dir;

	if (slash == NULL)
		return;
	folder = xstrndup(path, (size_t)(slash - path) + 1);
	if ((dir = opendir(folder)) != NULL) {
		while ((entry = readdir(dir)) != NULL)
			if (is_leftover(entry->d_name, slash + 1))
				(void)unlinkat(dirfd(dir), entry->d_name, 0);
		(void)closedir(dir);
	}
	free(folder);
}

int
file_remove(const char *path, struct error *err)
{
	file_sweep(path);
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	return error_set(err, EX_IOERR, "4.3.0", "cannot remove '%s': %s", path,
	    strerror(errno));
}

/* mkdir(2) heeds the umask and makes no set-group-id folder. */
static int
make_one(const char *path, mode_t mode)
{
	struct stat status;
	int fd, result;

	if (mkdir(path, 0700) == -1) {
		if (errno == EEXIST && stat(path, &status) == 0 &&
		    !S_ISDIR(status.st_mode))
			errno = ENOTDIR;
		else if (errno == EEXIST)
			return 0;
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	result = fchmod(fd, mode);
	close(fd);
	return result;
}

int
file_make_folder(const char *path, mode_t mode, struct error *err)
{
	char *copy = xstrdup(path);
	char *slash = copy + strspn(copy, "/");
	int why = 0, result = 0;

	while ((slash = strchr(slash, '/')) != NULL) {
		*slash = '\0';
		if (make_one(copy, 0755) == -1) {
			why = errno;
			if (why != EROFS && why != EACCES)
				break;
		}
		*slash++ = '/';
	}
	if (slash != NULL || make_one(path, mode) == -1)
		result = error_set(err, EX_CANTCREAT, "4.3.0",
		    "cannot make the folder '%s': %s", path,
		    strerror(why != 0 && errno == ENOENT ? why : errno));
	free(copy);
	return result;
}

int
file_lock(const char *path, double deadline, struct error *err)
{
	const struct timespec interval = { .tv_nsec = LOCK_INTERVAL };
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return error_set(err, EX_CANTCREAT, "4.3.0",
		    "cannot open the lock '%s': %s", path, strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		int why = errno;

		if (why == EINTR)
			continue;
		if (why != EWOULDBLOCK || file_now() >= deadline) {
			close(fd);
			return error_set(err, EX_TEMPFAIL, "4.3.0",
			    "cannot lock '%s': %s", path,
			    why == EWOULDBLOCK ? "another process holds it"
					       : strerror(why));
		}
		(void)nanosleep(&interval, NULL);
	}
	return fd;
}
