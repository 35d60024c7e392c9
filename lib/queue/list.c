#include "queue/list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "queue/queue.h"

#define LEFT_AGE 3600 /* seconds */

void
list_init(struct list *l)
{
	*l = (struct list){ .names = NULL };
}

void
list_release(struct list *l)
{
	free(l->names);
	list_init(l);
}

void
list_add(struct list *l, const char *name)
{
	if (l->count == l->room) {
		l->room = l->room == 0 ? 64 : l->room * 2;
		l->names = xreallocarray(l->names, l->room, sizeof(*l->names));
	}
	strlcpy(l->names[l->count++], name, sizeof(*l->names));
}

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

void
list_sort(struct list *l)
{
	if (l->count > 1)
		qsort(l->names, l->count, sizeof(*l->names), compare);
}

/* A name, and how many of its user's came before it. */
struct turn {
	uid_t uid;
	size_t before;
	char name[LIST_NAME_SIZE];
};

static int
compare_users(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int
compare_turns(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->before != y->before)
		return x->before < y->before ? -1 : 1;
	return strcmp(x->name, y->name);
}

void
list_take_turns(struct list *l)
{
	struct turn *turns;

	if (l->count < 2)
		return;
	turns = xcalloc(l->count, sizeof(*turns));
	for (size_t i = 0; i < l->count; i++) {
		turns[i].uid = id_uid(l->names[i]);
		strlcpy(turns[i].name, l->names[i], sizeof(turns[i].name));
	}
	qsort(turns, l->count, sizeof(*turns), compare_users);
	for (size_t i = 1; i < l->count; i++)
		if (turns[i].uid == turns[i - 1].uid)
			turns[i].before = turns[i - 1].before + 1;
	qsort(turns, l->count, sizeof(*turns), compare_turns);
	for (size_t i = 0; i < l->count; i++)
		strlcpy(l->names[i], turns[i].name, sizeof(l->names[i]));
	free(turns);
}

/* Is 'name' a message's name with this behind it? It is then in 'id'. */
static bool
is_named(const char *name, const char *suffix, char id[ID_SIZE])
{
	size_t len = strlen(name);

	if (len != ID_SIZE - 1 + strlen(suffix) ||
	    strcmp(name + ID_SIZE - 1, suffix) != 0)
		return false;
	memcpy(id, name, ID_SIZE - 1);
	id[ID_SIZE - 1] = '\0';
	return id_valid(id);
}

static bool
is_wanted(DIR *folder, const char *name, const char *id,
    const struct list_filter *filter)
{
	struct stat status;

	if (filter == NULL)
		return true;
	if (filter->own && id_uid(id) != filter->uid)
		return false;
	if (filter->after != NULL && strcmp(id, filter->after) <= 0)
		return false;
	if (filter->due == 0 && filter->older == 0)
		return true;
	/* What is gone meanwhile is neither. */
	if (fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	return (filter->due == 0 ||
		   entry_due(status.st_mtime, filter->due) <= filter->due) &&
	       (filter->older == 0 || status.st_mtime < filter->older);
}

static DIR *
open_folder(const char *dir, const char *name, struct error *err)
{
	char *path = xasprintf("%s/%s", dir, name);
	DIR *folder = opendir(path);
	int why = errno;

	if (folder == NULL && why != ENOENT) {
		error_set(err, why == EACCES ? EX_NOPERM : EX_IOERR, "4.3.0",
		    "cannot open '%s': %s", path, strerror(why));
		error_hint(err, "%s",
		    why == EACCES ? "the queue is another user's"
				  : "see that 'queue_dir' can be read");
	}
	free(path);
	errno = why;
	return folder;
}

int
list_read(struct list *l, const char *dir, enum entry_folder which,
    const struct list_filter *filter, struct error *err)
{
	DIR *folder = open_folder(dir, queue_folder_name(which), err);
	const struct dirent *file;

	if (folder == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((file = readdir(folder)) != NULL) {
		char id[ID_SIZE];

		if (is_named(file->d_name, ".env", id) &&
		    is_wanted(folder, file->d_name, id, filter))
			list_add(l, id);
	}
	closedir(folder);
	list_sort(l);
	return 0;
}

/* Bodies, which have envelopes or not, and what is neither. */
static bool
is_left(DIR *folder, const char *name, time_t now)
{
	char id[ID_SIZE];
	struct stat status;

	if (name[0] == '.' || strlen(name) >= LIST_NAME_SIZE ||
	    is_named(name, ".env", id))
		return false;
	if (!is_named(name, ".body", id)) {
		strlcpy(id, name, sizeof(id));
		if (!id_valid(id) ||
		    strncmp(name + ID_SIZE - 1, ".env.", 5) != 0)
			return false;
	}
	return fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) ==
		   0 &&
	       status.st_ctime < now - LEFT_AGE;
}

static bool
is_body_of_message(DIR *folder, const char *name)
{
	char id[ID_SIZE], envelope[LIST_NAME_SIZE];
	struct stat status;

	if (!is_named(name, ".body", id))
		return false;
	(void)snprintf(envelope, sizeof(envelope), "%s.env", id);
	return fstatat(dirfd(folder), envelope, &status, AT_SYMLINK_NOFOLLOW) ==
	       0;
}

void
list_read_left(
    struct list *l, const char *dir, enum entry_folder which, time_t now)
{
	struct error ignored;
	DIR *folder = open_folder(dir, queue_folder_name(which), &ignored);
	const struct dirent *file;

	if (folder == NULL)
		return;
	while ((file = readdir(folder)) != NULL)
		if (is_left(folder, file->d_name, now) &&
		    !is_body_of_message(folder, file->d_name))
			list_add(l, file->d_name);
	closedir(folder);
}

size_t
queue_count_corrupt(const char *dir)
{
	struct error ignored;
	DIR *folder = open_folder(dir, "corrupt", &ignored);
	const struct dirent *file;
	size_t count = 0;

	if (folder == NULL)
		return 0;
	while ((file = readdir(folder)) != NULL) {
		char id[ID_SIZE];

		if (is_named(file->d_name, ".env", id))
			count++;
	}
	closedir(folder);
	return count;
}

static void
count_one(const char *dir, const char *id, struct queue_counts *counts)
{
	struct error ignored;
	struct entry e;

	entry_init(&e);
	if (queue_read(dir, ENTRY_ACTIVE, id, true, &e, &ignored) == 0) {
		if (e.held != 0)
			counts->held++;
		else
			counts->deferred++;
		counts->bytes += e.size;
		if (counts->oldest == 0 || e.arrived < counts->oldest)
			counts->oldest = e.arrived;
	}
	entry_release(&e);
}

int
queue_count(const char *dir, const struct list_filter *filter,
    struct queue_counts *out, struct error *err)
{
	struct queue_counts counts = { .deferred = 0 };
	struct list_filter any = { .due = 0 };
	struct list active, failed;
	int result = -1;

	if (filter != NULL)
		any = *filter;
	any.due = 0;
	list_init(&active);
	list_init(&failed);
	if (list_read(&active, dir, ENTRY_ACTIVE, filter, err) == -1 ||
	    list_read(&failed, dir, ENTRY_FAILED, &any, err) == -1)
		goto out;
	for (size_t i = 0; i < active.count; i++)
		count_one(dir, active.names[i], &counts);
	counts.failed = failed.count;
	counts.corrupt = queue_count_corrupt(dir);
	*out = counts;
	result = 0;
out:
	list_release(&active);
	list_release(&failed);
	return result;
}
