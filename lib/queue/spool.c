#include "queue/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "queue/incoming.h"

#define CHUNK_SIZE (64u * 1024)
#define NAME_SIZE 32
#define SPOOL_PREFIX "spool."
#define SWEEP_AGE 3600 /* seconds */

void
spool_init(struct spool *s)
{
	*s = (struct spool){ .fd = -1 };
}

void
spool_release(struct spool *s)
{
	if (s->path != NULL)
		(void)unlink(s->path);
	free(s->path);
	if (s->fd != -1)
		close(s->fd);
	spool_init(s);
}

/* The name under which linkat(2) finds a file without one. */
static void
name_of(char out[NAME_SIZE], int fd)
{
	(void)snprintf(out, NAME_SIZE, "/proc/self/fd/%d", fd);
}

static int
open_unnamed(const char *folder)
{
	char name[NAME_SIZE];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1)
		return -1;
	name_of(name, fd);
	if (access(name, F_OK) == 0)
		return fd;
	close(fd);
	errno = EOPNOTSUPP;
	return -1;
}

static int
open_in(struct spool *s, const char *folder)
{
	char *name;
	int fd = open_unnamed(folder);

	if (fd == -1 &&
	    (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		name = xasprintf("%s/" SPOOL_PREFIX "XXXXXX", folder);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			s->path = name;
		else
			free(name);
	}
	s->fd = fd;
	return fd == -1 ? -1 : 0;
}

int
spool_open(struct spool *s, const char *folder, struct error *err)
{
	int why;

	spool_release(s);
	if (open_in(s, folder) == 0) {
		s->queueable = true;
		return 0;
	}
	why = errno;
	if (open_in(s, SPOOL_FALLBACK) == 0) {
		/* No one sweeps there. */
		if (s->path != NULL)
			(void)unlink(s->path);
		free(s->path);
		s->path = NULL;
		return 0;
	}
	error_set(err, EX_CANTCREAT, "4.3.0",
	    "cannot make a file in '%s' (%s) nor in '%s' (%s)", folder,
	    strerror(why), SPOOL_FALLBACK, strerror(errno));
	return error_hint(err, "see that 'queue_dir' exists and that its disk "
			       "is neither full nor read-only");
}

int
spool_write(struct spool *s, const char *bytes, size_t len, struct error *err)
{
	if (s->incoming != NULL &&
	    incoming_grow(s->incoming, s->fd, len, err) == -1)
		return -1;
	if (file_write_all(s->fd, bytes, len) == -1) {
		error_set(err, EX_IOERR, "4.3.1",
		    "cannot keep the message on disk: %s", strerror(errno));
		return error_hint(err, "make room on the disk of 'queue_dir'");
	}
	s->size += len;
	return 0;
}

static int
on_body(void *arg, const char *bytes, size_t len, struct error *err)
{
	return spool_write(arg, bytes, len, err);
}

static int
copy(const struct spool *from, struct content *content, struct error *err)
{
	char *chunk = xmalloc(CHUNK_SIZE);
	uint64_t at = 0;
	int result = -1;

	while (at < from->size) {
		ssize_t n = pread(from->fd, chunk, CHUNK_SIZE, (off_t)at);

		if (n <= 0) {
			error_set(err, EX_IOERR, "4.3.0",
			    "cannot read the message back: %s",
			    n == 0 ? "it was cut" : strerror(errno));
			goto out;
		}
		if (content_write(content, chunk, (size_t)n, err) == -1)
			goto out;
		at += (uint64_t)n;
	}
	result = content_finish(content, err);
out:
	free(chunk);
	return result;
}

int
spool_rewrite(struct spool *s, const char *folder, enum content_lines lines,
    struct error *err)
{
	struct content content;
	struct spool other;
	int result = -1;

	spool_init(&other);
	content_init(&content, on_body, &other);
	content.no_header = true;
	content.ignore_dots = true;
	content.lines = lines;
	if (spool_open(&other, folder, err) == -1)
		goto out;
	other.incoming = s->incoming;
	if (copy(s, &content, err) == -1)
		goto out;
	spool_release(s);
	*s = other;
	spool_init(&other);
	result = 0;
out:
	content_release(&content);
	spool_release(&other);
	return result;
}

int
spool_link(struct spool *s, const char *path)
{
	char name[NAME_SIZE];

	if (!s->queueable) {
		errno = EXDEV;
		return -1;
	}
	if (flock(s->fd, LOCK_EX | LOCK_NB) == -1 || fsync(s->fd) == -1)
		return -1;
	if (s->path != NULL)
		return link(s->path, path);
	name_of(name, s->fd);
	return linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

void
spool_unlink(struct spool *s, const char *folder, const char *path)
{
	char *other;

	if (s->path == NULL) {
		other = xasprintf("%s/" SPOOL_PREFIX "%08x%08x", folder,
		    arc4random(), arc4random());
		if (link(path, other) == 0)
			s->path = other;
		else
			free(other);
	}
	(void)unlink(path);
}

static void
sweep_one(const char *path, time_t now)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1)
		return;
	if (fstat(fd, &status) == 0 && status.st_mtime < now - SWEEP_AGE &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlink(path);
	close(fd);
}

void
spool_sweep(const char *folder, time_t now)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		char *path;

		if (strncmp(entry->d_name, SPOOL_PREFIX,
			sizeof(SPOOL_PREFIX) - 1) != 0)
			continue;
		path = xasprintf("%s/%s", folder, entry->d_name);
		sweep_one(path, now);
		free(path);
	}
	closedir(dir);
}
