#include "sendmail/intake.h"

#include <errno.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"

#define CHUNK_SIZE (64u * 1024)

/* Through EINTR, and through what a caller that reads its own end without
 * waiting leaves us: O_NONBLOCK belongs to the pipe, not to a process. */
static ssize_t
read_input(int fd, char *chunk)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while ((n = file_read_some(fd, chunk, CHUNK_SIZE)) == -1 &&
	       errno == EAGAIN)
		(void)poll(&wait, 1, -1);
	return n;
}

static int
drop(void *arg, const char *bytes, size_t len, struct error *err)
{
	(void)arg;
	(void)bytes;
	(void)len;
	(void)err;
	return 0;
}

/* From the 'n' bytes in 'chunk' on, to the end of the message. */
static void
drain(int fd, bool ignore_dots, char *chunk, ssize_t n)
{
	struct content rest;

	content_init(&rest, drop, NULL);
	rest.no_header = true;
	rest.ignore_dots = ignore_dots;
	while (n >= 0) {
		(void)content_write(&rest, chunk, (size_t)n, NULL);
		if (rest.ended || rest.read >= INTAKE_DRAIN_MAX || isatty(fd))
			break;
		n = read_input(fd, chunk);
		if (n == 0)
			break;
	}
	content_release(&rest);
}

int
intake_read(int fd, struct content *content, struct error *err)
{
	char *chunk = xmalloc(CHUNK_SIZE);
	int result = -1;
	ssize_t n;

	while (!content->ended && (n = read_input(fd, chunk)) != 0) {
		if (n == -1) {
			error_set(err, EX_IOERR, "4.3.0",
			    "cannot read the message: %s", strerror(errno));
			goto out;
		}
		if (content_write(content, chunk, (size_t)n, err) == -1) {
			drain(fd, content->ignore_dots, chunk, n);
			goto out;
		}
	}
	result = content_finish(content, err);
out:
	free(chunk);
	return result;
}

void
intake_drain(int fd, bool ignore_dots)
{
	char *chunk = xmalloc(CHUNK_SIZE);

	drain(fd, ignore_dots, chunk, 0);
	free(chunk);
}
