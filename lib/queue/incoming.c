#include "queue/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "queue/state.h"

void
incoming_init(struct incoming *in)
{
	*in = (struct incoming){ .fd = -1 };
}

void
incoming_release(struct incoming *in)
{
	if (in->fd != -1)
		close(in->fd);
	incoming_init(in);
}

static int
open_locks(const struct config *config)
{
	char *folder = xasprintf("%s/" STATE_FOLDER, config->state_dir);
	char *path = xasprintf("%s/incoming", folder);
	int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(path, flags, 0600);

	if (fd == -1 && errno == ENOENT &&
	    file_make_folder(folder, 0700, NULL) == 0)
		fd = open(path, flags, 0600);
	free(folder);
	free(path);
	return fd;
}

/* Lock the next place that is free. False where all are taken. */
static bool
take_place(struct incoming *in)
{
	struct flock place = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_len = 1,
	};

	for (; in->left > 0; in->left--) {
		place.l_start = (off_t)((uint64_t)in->uid * INCOMING_PIECES +
					in->next++ % INCOMING_PIECES);
		if (fcntl(in->fd, F_OFD_SETLK, &place) == 0 ||
		    (errno != EAGAIN && errno != EACCES)) {
			in->left--;
			return true;
		}
	}
	return false;
}

static int
take_room(struct incoming *in, struct error *err)
{
	if (in->fd != -1 && !take_place(in)) {
		error_set(err, EX_TEMPFAIL, "4.3.1",
		    "user %ld is sending as much at once as one user may",
		    (long)in->uid);
		return error_hint(err,
		    "see what runs sendmail and does not end: %u messages and "
		    "%llu MB may be under way at once",
		    INCOMING_PIECES, ROOM_BYTES >> 20);
	}
	in->room += INCOMING_PIECE;
	return 0;
}

int
incoming_begin(struct incoming *in, const struct config *config, uid_t uid,
    struct error *err)
{
	incoming_release(in);
	in->fd = open_locks(config);
	in->dir = config->queue_dir;
	in->uid = uid;
	in->next = arc4random_uniform(INCOMING_PIECES);
	in->left = INCOMING_PIECES;
	return take_room(in, err);
}

static int
check_disk(const struct incoming *in, int fd, struct error *err)
{
	struct statvfs disk;

	if (fstatvfs(fd, &disk) == -1 || !room_is_full(&disk))
		return 0;
	error_set(err, EX_TEMPFAIL, "4.3.1",
	    "the disk of '%s' is too full for this message", in->dir);
	return room_hint(err);
}

int
incoming_grow(struct incoming *in, int fd, size_t len, struct error *err)
{
	in->bytes += len;
	while (in->bytes > in->room)
		if (take_room(in, err) == -1)
			return -1;
	return in->bytes > INCOMING_SMALL ? check_disk(in, fd, err) : 0;
}
