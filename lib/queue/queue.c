#include "queue/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "queue/list.h"
#include "queue/room.h"
#include "queue/spool.h"

#define FILE_MODE 0600
#define FOLDER_MODE 0700
#define NAMES_TRIED 20
#define CORRUPT "corrupt"
#define READ_PIECE 4096

static const char *const folder_names[] = {
	[ENTRY_ACTIVE] = "active",
	[ENTRY_FAILED] = "failed",
};

const char *
queue_folder_name(enum entry_folder folder)
{
	return folder_names[folder];
}

static char *
path_of(const char *dir, const char *folder, const char *id, const char *suffix)
{
	return xasprintf("%s/%s/%s%s", dir, folder, id, suffix);
}

static char *
body_path(const char *dir, enum entry_folder folder, const char *id)
{
	return path_of(dir, folder_names[folder], id, ".body");
}

static char *
envelope_path(const char *dir, enum entry_folder folder, const char *id)
{
	return path_of(dir, folder_names[folder], id, ".env");
}

int
queue_prepare(const char *dir, struct error *err)
{
	if (access(dir, F_OK) == 0)
		return 0;
	return file_make_folder(dir, FOLDER_MODE, err);
}

/* A folder in the queue's. */
static int
make_folder(const char *dir, const char *name, struct error *err)
{
	char *path = xasprintf("%s/%s", dir, name);
	int result = 0;

	if (mkdir(path, FOLDER_MODE) == 0)
		result = file_sync_folder(dir);
	else if (errno != EEXIST)
		result = -1;
	if (result == -1)
		error_set(err, EX_CANTCREAT, "4.3.0",
		    "cannot make the folder '%s': %s", path, strerror(errno));
	free(path);
	return result;
}

static int
sync_folder(const char *dir, enum entry_folder folder, struct error *err)
{
	char *path = xasprintf("%s/%s", dir, folder_names[folder]);
	int result = file_sync_folder(path);

	if (result == -1)
		error_set(err, EX_IOERR, "4.3.0", "cannot write '%s': %s", path,
		    strerror(errno));
	free(path);
	return result;
}

/* Give the body its name, and the message its own where it has none. */
static int
link_body(const char *dir, struct entry *e, struct spool *spool, char **path,
    struct error *err)
{
	bool named = e->id[0] != '\0';
	struct timespec now;
	int result;

	for (int tries = 0;; tries++) {
		if (!named) {
			(void)clock_gettime(CLOCK_REALTIME, &now);
			id_make(e->id, &now, e->uid, arc4random());
		}
		*path = body_path(dir, e->folder, e->id);
		result = spool_link(spool, *path);
		if (result == 0 || errno != EEXIST || tries == NAMES_TRIED)
			break;
		/* A name that the log has seen is not worth the message. */
		named = false;
		free(*path);
	}
	if (result == 0)
		return 0;
	error_set(err,
	    errno == ENOSPC || errno == EDQUOT || errno == EIO ? EX_IOERR
							       : EX_CANTCREAT,
	    "4.3.0", "cannot keep the message as '%s': %s", *path,
	    strerror(errno));
	free(*path);
	*path = NULL;
	return -1;
}

int
queue_save(const char *dir, const struct entry *e, struct error *err)
{
	char *path = envelope_path(dir, e->folder, e->id);
	struct buf text;
	int result;

	buf_init(&text, ENTRY_TEXT_MAX);
	entry_format(e, &text);
	if (text.full)
		result = error_set(err, EX_DATAERR, "5.3.4",
		    "the envelope and header are too large to be kept");
	else
		result = file_replace_dated(
		    path, text.data, text.len, FILE_MODE, e->next, err);
	buf_release(&text);
	free(path);
	return result;
}

static int
hint_room(struct error *err)
{
	return error_hint(err, "see that 'queue_dir' can be written and that "
			       "its disk is not full");
}

/* Only the beginning of what failed is worth keeping. */
static int
shorten(struct entry *e, int body_fd, struct error *err)
{
	if (e->folder != ENTRY_FAILED || e->kept <= QUEUE_FAILED_BYTES)
		return 0;
	e->kept = QUEUE_FAILED_BYTES;
	if (ftruncate(body_fd, (off_t)e->kept) == 0)
		return 0;
	return error_set(err, EX_IOERR, "4.3.0",
	    "cannot shorten the message: %s", strerror(errno));
}

int
queue_add(
    const char *dir, struct entry *e, struct spool *spool, struct error *err)
{
	char *path = NULL, *envelope;

	e->size = e->kept = spool->size;
	if (!e->notice &&
	    room_check(dir, e->folder, e->uid, e->size, err) == -1)
		return -1;
	if (shorten(e, spool->fd, err) == -1 ||
	    make_folder(dir, folder_names[e->folder], err) == -1 ||
	    link_body(dir, e, spool, &path, err) == -1)
		return hint_room(err);
	if ((e->body_fd = fcntl(spool->fd, F_DUPFD_CLOEXEC, 3)) == -1) {
		error_set(err, EX_TEMPFAIL, "4.3.0", "cannot keep a lock: %s",
		    strerror(errno));
		goto undo;
	}
	if (queue_save(dir, e, err) == -1)
		goto undo;
	free(path);
	return 0;
undo:
	/* The rename may have been done, and only its fsync not. */
	envelope = envelope_path(dir, e->folder, e->id);
	(void)unlink(envelope);
	spool_unlink(spool, dir, path);
	free(envelope);
	free(path);
	if (e->body_fd != -1)
		close(e->body_fd);
	e->body_fd = -1;
	return hint_room(err);
}

/* Read ID.env as far as it is needed. */
static int
read_text(int fd, bool brief, struct buf *text, struct error *err)
{
	size_t piece = brief ? READ_PIECE : 16 * READ_PIECE;

	while (!brief || entry_header_at(text->data, text->len) == 0) {
		char *room = buf_room(text, piece);
		ssize_t n;

		if (room == NULL)
			return error_set(err, EX_SOFTWARE, "5.3.4",
			    "the envelope is too large");
		n = file_read_some(fd, room, piece);
		if (n == -1)
			return error_set(
			    err, EX_IOERR, "4.3.0", "%s", strerror(errno));
		if (n == 0)
			break;
		buf_grown(text, (size_t)n);
		if (piece < 1024 * READ_PIECE)
			piece *= 2;
	}
	return 0;
}

int
queue_read(const char *dir, enum entry_folder folder, const char *id,
    bool brief, struct entry *e, struct error *err)
{
	char *path = envelope_path(dir, folder, id);
	struct stat status;
	struct buf text;
	int fd, why = 0, result = -1;

	buf_init(&text, ENTRY_TEXT_MAX);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &status) == -1) {
		why = errno;
		error_set(err, EX_IOERR, "4.3.0", "cannot open '%s': %s", path,
		    strerror(why));
		goto out;
	}
	strlcpy(e->id, id, sizeof(e->id));
	e->folder = folder;
	e->next = status.st_mtime;
	result = read_text(fd, brief, &text, err);
	if (result == 0)
		result = entry_parse(e, text.data, text.len, brief, err);
	if (result == -1)
		error_prefix(err, "'%s'", path);
out:
	if (fd != -1)
		close(fd);
	buf_release(&text);
	free(path);
	errno = why;
	return result;
}

static void
set_aside(const char *dir, enum entry_folder folder, const char *id,
    const char *suffix)
{
	char *from = path_of(dir, folder_names[folder], id, suffix);
	char *to = path_of(dir, CORRUPT, id, suffix);

	if (rename(from, to) == -1 && errno != ENOENT)
		log_line(LOG_ERR, "cannot set '%s' aside: %s", from,
		    strerror(errno));
	free(from);
	free(to);
}

static void
set_corrupt(const char *dir, enum entry_folder folder, const char *id,
    struct error *err)
{
	struct error ignored;

	if (make_folder(dir, CORRUPT, &ignored) == 0) {
		set_aside(dir, folder, id, ".env");
		set_aside(dir, folder, id, ".body");
	}
	error_prefix(
	    err, "message %s is corrupt and was put into %s/" CORRUPT, id, dir);
	error_hint(err, "look at it there; its recipients did not get it");
	log_line(LOG_ERR, "%s: %s", id, err->text);
}

/* The body with its lock; e->body_fd stays -1 where there is none. */
static enum queue_claim
lock_body(const char *dir, struct entry *e, struct error *err)
{
	char *path = body_path(dir, e->folder, e->id);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	enum queue_claim result = QUEUE_CLAIMED;

	if (fd == -1 && errno != ENOENT) {
		error_set(err, EX_IOERR, "4.3.0", "cannot open '%s': %s", path,
		    strerror(errno));
		result = QUEUE_ERROR;
	} else if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		error_set(err, EX_TEMPFAIL, "4.3.0",
		    "message %s is being worked on", e->id);
		close(fd);
		result = QUEUE_BUSY;
	} else
		e->body_fd = fd;
	free(path);
	return result;
}

/* Whole is a body that has all its bytes; of one that failed less is kept. */
static int
check_body(struct entry *e, struct error *err)
{
	struct stat status;

	if (e->body_fd == -1)
		return error_set(
		    err, EX_SOFTWARE, "5.3.5", "its body is missing");
	if (fstat(e->body_fd, &status) == -1 || !S_ISREG(status.st_mode) ||
	    ((uint64_t)status.st_size != e->size && e->folder == ENTRY_ACTIVE))
		return error_set(err, EX_SOFTWARE, "5.3.5",
		    "its body does not have %llu bytes",
		    (unsigned long long)e->size);
	e->kept = (uint64_t)status.st_size;
	return 0;
}

/* Lock, then read: before the lock it could still change. */
static enum queue_claim
take(const char *dir, enum entry_folder folder, const char *id, struct entry *e,
    struct error *err)
{
	enum queue_claim taken;

	strlcpy(e->id, id, sizeof(e->id));
	e->folder = folder;
	if ((taken = lock_body(dir, e, err)) != QUEUE_CLAIMED)
		return taken;
	if (queue_read(dir, folder, id, false, e, err) == -1) {
		if (err->exit_code == EX_SOFTWARE)
			return QUEUE_CORRUPT;
		if (errno != ENOENT)
			return QUEUE_ERROR;
		error_set(err, EX_UNAVAILABLE, "5.3.0",
		    "there is no message %s in the queue", id);
		return QUEUE_GONE;
	}
	return check_body(e, err) == 0 ? QUEUE_CLAIMED : QUEUE_CORRUPT;
}

enum queue_claim
queue_claim(const char *dir, enum entry_folder folder, const char *id,
    struct entry *e, struct error *err)
{
	enum queue_claim taken = take(dir, folder, id, e, err);

	/* One that came over from the other folder meanwhile has a body. */
	if (taken == QUEUE_CORRUPT && e->body_fd == -1)
		taken = take(dir, folder, id, e, err);
	if (taken == QUEUE_CORRUPT)
		set_corrupt(dir, folder, id, err);
	return taken;
}

int
queue_put_off(const char *dir, const char *id, time_t next)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = next },
	};
	char *path = envelope_path(dir, ENTRY_ACTIVE, id);
	int result = utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);

	free(path);
	return result;
}

int
queue_remove(const char *dir, struct entry *e, struct error *err)
{
	char *envelope = envelope_path(dir, e->folder, e->id);
	char *body = body_path(dir, e->folder, e->id);
	struct error trouble;
	int result = 0;

	if (unlink(envelope) == -1 && errno != ENOENT) {
		error_set(err, EX_IOERR, "4.3.0", "cannot remove '%s': %s",
		    envelope, strerror(errno));
		result = error_hint(err, "see that 'queue_dir' can be written");
	} else {
		/* Gone it is, though perhaps not after a loss of power. */
		if (sync_folder(dir, e->folder, &trouble) == -1)
			log_line(LOG_WARNING, "%s: %s", e->id, trouble.text);
		(void)unlink(body);
	}
	free(envelope);
	free(body);
	return result;
}

/* The steps of queue_move(): 'paths' are the body's and the envelope's, from
 * and to. */
static int
move_files(char *const paths[4], struct error *err)
{
	struct stat here, there;

	/* An attempt that was cut short may have made the link already. */
	if (link(paths[0], paths[1]) == -1 &&
	    !(errno == EEXIST && stat(paths[0], &here) == 0 &&
		stat(paths[1], &there) == 0 && here.st_ino == there.st_ino))
		return error_set(err, EX_IOERR, "4.3.0", "cannot link '%s': %s",
		    paths[1], strerror(errno));
	if (rename(paths[2], paths[3]) == -1)
		return error_set(err, EX_IOERR, "4.3.0",
		    "cannot rename '%s': %s", paths[2], strerror(errno));
	return 0;
}

int
queue_move(
    const char *dir, struct entry *e, enum entry_folder to, struct error *err)
{
	enum entry_folder from = e->folder;
	char *paths[4] = {
		body_path(dir, from, e->id),
		body_path(dir, to, e->id),
		envelope_path(dir, from, e->id),
		envelope_path(dir, to, e->id),
	};
	int saved = 0, result = make_folder(dir, folder_names[to], err);

	if (result == 0 && to == ENTRY_ACTIVE && e->kept != e->size)
		result = error_set(err, EX_DATAERR, "5.3.4",
		    "only the first %llu of %llu bytes of message %s were kept",
		    (unsigned long long)e->kept, (unsigned long long)e->size,
		    e->id);
	if (result == 0) {
		saved = queue_save(dir, e, err);
		result = saved == 0 || to == ENTRY_FAILED
			     ? move_files(paths, err)
			     : -1;
	}
	if (result == 0) {
		e->folder = to;
		result = sync_folder(dir, to, err);
		(void)unlink(paths[0]);
		if (result == 0)
			result = shorten(e, e->body_fd, err);
	}
	if (saved == -1)
		result = -1;
	for (size_t i = 0; i < 4; i++)
		free(paths[i]);
	return result;
}

/* What a writer of 'path' left behind who was killed, and a body that nothing
 * belongs to. */
static void
sweep_one(const char *dir, enum entry_folder folder, const char *name)
{
	char *path = path_of(dir, folder_names[folder], name, "");
	char *envelope, id[ID_SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	strlcpy(id, name, sizeof(id));
	envelope = envelope_path(dir, folder, id);
	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    (strncmp(name + ID_SIZE - 1, ".body", 5) != 0 ||
		(access(envelope, F_OK) == -1 && errno == ENOENT))) {
		(void)unlink(path);
		log_line(LOG_NOTICE, "%s: removed what a crash left", name);
	}
	if (fd != -1)
		close(fd);
	free(envelope);
	free(path);
}

void
queue_sweep(const char *dir, time_t now)
{
	spool_sweep(dir, now);
	for (size_t i = 0; i < 2; i++) {
		struct list left;

		list_init(&left);
		list_read_left(&left, dir, (enum entry_folder)i, now);
		for (size_t k = 0; k < left.count; k++)
			sweep_one(dir, (enum entry_folder)i, left.names[k]);
		list_release(&left);
	}
}
