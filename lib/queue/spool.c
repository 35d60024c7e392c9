#include "queue/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"

#define CHUNK_SIZE (64u * 1024)

void
spool_init(struct spool *s)
{
	*s = (struct spool){ .fd = -1 };
}

void
spool_release(struct spool *s)
{
	if (s->fd != -1)
		close(s->fd);
	spool_init(s);
}

static int
open_in(const char *folder)
{
	char *name;
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd != -1 ||
	    (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	name = xasprintf("%s/spool.XXXXXX", folder);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd != -1)
		(void)unlink(name);
	free(name);
	return fd;
}

int
spool_open(struct spool *s, const char *folder, struct error *err)
{
	int why;

	spool_release(s);
	if ((s->fd = open_in(folder)) != -1)
		return 0;
	why = errno;
	if ((s->fd = open_in(SPOOL_FALLBACK)) != -1)
		return 0;
	error_set(err, EX_CANTCREAT, "4.3.0",
	    "cannot make a file in '%s' (%s) nor in '%s' (%s)", folder,
	    strerror(why), SPOOL_FALLBACK, strerror(errno));
	return error_hint(err, "see that 'queue_dir' exists and that its disk "
			       "is neither full nor read-only");
}

int
spool_write(struct spool *s, const char *bytes, size_t len, struct error *err)
{
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
	if (spool_open(&other, folder, err) == -1 ||
	    copy(s, &content, err) == -1)
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
