#include "sendmail/intake.h"

#include <errno.h>
#include <stdint.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"

#define CHUNK_SIZE (64u * 1024)

int
intake_read(int fd, struct content *content, struct error *err)
{
	char *chunk = xmalloc(CHUNK_SIZE);
	int result = -1;
	ssize_t n;

	while (!content->ended &&
	       (n = file_read_some(fd, chunk, CHUNK_SIZE)) != 0) {
		if (n == -1) {
			error_set(err, EX_IOERR, "4.3.0",
			    "cannot read the message: %s", strerror(errno));
			goto out;
		}
		if (content_write(content, chunk, (size_t)n, err) == -1)
			goto out;
	}
	result = content_finish(content, err);
out:
	free(chunk);
	return result;
}

void
intake_drain(int fd)
{
	char *chunk = xmalloc(CHUNK_SIZE);
	uint64_t left = INTAKE_DRAIN_MAX;
	ssize_t n;

	while (!isatty(fd) && left > 0 &&
	       (n = file_read_some(fd, chunk, CHUNK_SIZE)) > 0)
		left -= left < (uint64_t)n ? left : (uint64_t)n;
	free(chunk);
}
