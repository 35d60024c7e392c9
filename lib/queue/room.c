#include "queue/room.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "queue/list.h"
#include "queue/queue.h"

bool
room_is_full(const struct statvfs *disk)
{
	/* Some file systems have no fixed number of files: f_files is 0. */
	return (uint64_t)disk->f_bavail * disk->f_frsize < ROOM_FREE_BYTES ||
	       (disk->f_files != 0 && disk->f_favail < ROOM_FREE_FILES);
}

int
room_hint(struct error *err)
{
	return error_hint(err, "make room on it: %llu MB must be left",
	    ROOM_FREE_BYTES >> 20);
}

int
room_on_disk(const char *dir, struct error *err)
{
	struct statvfs disk;

	if (statvfs(dir, &disk) == -1)
		return error_set(err, EX_TEMPFAIL, "4.3.1",
		    "cannot tell how much room there is in '%s': %s", dir,
		    strerror(errno));
	if (!room_is_full(&disk))
		return 0;
	error_set(err, EX_TEMPFAIL, "4.3.1",
	    "the disk of '%s' is too full to queue mail", dir);
	return room_hint(err);
}

static uint64_t
bytes_of(const char *dir, enum entry_folder folder, const struct list *list)
{
	struct stat status;
	uint64_t bytes = 0;

	for (size_t i = 0; i < list->count; i++) {
		char *path = xasprintf("%s/%s/%s.body", dir,
		    queue_folder_name(folder), list->names[i]);

		if (stat(path, &status) == 0)
			bytes += (uint64_t)status.st_size;
		free(path);
	}
	return bytes;
}

int
room_check(const char *dir, enum entry_folder folder, uid_t uid,
    uint64_t body_size, struct error *err)
{
	const struct list_filter own = { .own = true, .uid = uid };
	struct list list;
	int result = -1;

	list_init(&list);
	if (room_on_disk(dir, err) == -1 ||
	    list_read(&list, dir, folder, &own, err) == -1)
		goto out;
	if (list.count >= ROOM_MESSAGES ||
	    body_size + bytes_of(dir, folder, &list) > ROOM_BYTES) {
		error_set(err, EX_TEMPFAIL, "4.3.1",
		    "user %ld has %zu messages in the queue already, which is "
		    "as much as one user may",
		    (long)uid, list.count);
		error_hint(err, "see what mailq shows, and remove what need "
				"not be sent");
		goto out;
	}
	result = 0;
out:
	list_release(&list);
	return result;
}
