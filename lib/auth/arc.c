#include "auth/arc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"

static int
not_arc(struct error *err)
{
	error_set(err, EX_NOPERM, "4.7.0",
	    "Azure Arc's endpoint names a file that cannot be its key");
	error_hint(err, "see who listens there: 'ss -ltnp'; it may not be "
			"Azure Arc's agent");
	return error_class_set(err, ERROR_HOLD, 0);
}

/* A name that stays in its folder whatever it is put behind. */
static bool
is_key_name(const char *name, size_t len)
{
	static const char end[] = ".key";
	size_t end_len = sizeof(end) - 1;

	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') ||
			(name[i] >= 'A' && name[i] <= 'Z') ||
			(name[i] >= '0' && name[i] <= '9') || name[i] == '-' ||
			(name[i] == '.' && i > 0)))
			return false;
	return len > end_len && len < ARC_KEY_NAME_SIZE &&
	       memcmp(name + len - end_len, end, end_len) == 0;
}

int
arc_challenge(
    char name[ARC_KEY_NAME_SIZE], const char *header, struct error *err)
{
	static const char start[] = "Basic realm=";
	static const char folder[] = ARC_KEY_FOLDER "/";
	size_t len;

	if (strncasecmp(header, start, sizeof(start) - 1) != 0)
		return not_arc(err);
	header += sizeof(start) - 1;
	len = strlen(header);
	if (len >= 2 && *header == '"' && header[len - 1] == '"') {
		header++;
		len -= 2;
	}
	if (len < sizeof(folder) ||
	    strncmp(header, folder, sizeof(folder) - 1) != 0)
		return not_arc(err);
	header += sizeof(folder) - 1;
	len -= sizeof(folder) - 1;
	if (!is_key_name(header, len))
		return not_arc(err);
	memcpy(name, header, len);
	name[len] = '\0';
	return 0;
}

static int
bad_key(
    const char *folder, const char *name, const char *why, struct error *err)
{
	error_set(err, EX_NOPERM, "4.7.0",
	    "cannot read Azure Arc's key '%s/%s': %s", folder, name, why);
	error_hint(err, "the user that runs the token program must be able to "
			"read Azure Arc's keys: see README, By a managed "
			"identity");
	return error_class_set(err, ERROR_HOLD, 0);
}

int
arc_read_key(
    struct buf *out, const char *folder, const char *name, struct error *err)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = -1, result = -1;
	char key[ARC_KEY_MAX + 1];
	struct stat status;
	ssize_t len;

	if (dir != -1)
		fd = openat(dir, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &status) == -1) {
		(void)bad_key(folder, name, strerror(errno), err);
		goto out;
	}
	if (!S_ISREG(status.st_mode)) {
		(void)bad_key(folder, name, "it is not a regular file", err);
		goto out;
	}
	if ((len = file_read_some(fd, key, sizeof(key))) == -1) {
		(void)bad_key(folder, name, strerror(errno), err);
		goto out;
	}
	if (len > 0 && (size_t)len <= ARC_KEY_MAX && key[len - 1] == '\n')
		len--;
	if (len == 0 || (size_t)len > ARC_KEY_MAX ||
	    memchr(key, '\0', (size_t)len) != NULL) {
		(void)bad_key(
		    folder, name, "it is empty, binary or too long", err);
		goto out;
	}
	result = buf_add(out, key, (size_t)len);
out:
	explicit_bzero(key, sizeof(key));
	if (fd != -1)
		close(fd);
	if (dir != -1)
		close(dir);
	return result;
}
