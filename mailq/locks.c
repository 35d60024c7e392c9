#include "mailq/locks.h"

#include <sys/stat.h>

#include "base/xalloc.h"
#include "queue/queue.h"

static int
compare(const void *a, const void *b)
{
	const ino_t *one = a, *two = b;

	return *one < *two ? -1 : *one > *two;
}

/* "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF", see proc(5). */
static bool
parse_line(char *line, ino_t *file)
{
	char *colon = strrchr(line, ':'), *end;
	unsigned long long number;

	if (strstr(line, " FLOCK ") == NULL || colon == NULL)
		return false;
	number = strtoull(colon + 1, &end, 10);
	*file = (ino_t)number;
	return *end == ' ';
}

void
locks_read(struct locks *l)
{
	FILE *locks = fopen("/proc/locks", "re");
	char *line = NULL;
	size_t size = 0;
	ino_t file;

	*l = (struct locks){ .files = NULL };
	while (locks != NULL && getline(&line, &size, locks) > 0)
		if (parse_line(line, &file)) {
			l->files = xreallocarray(
			    l->files, l->count + 1, sizeof(*l->files));
			l->files[l->count++] = file;
		}
	if (locks != NULL)
		(void)fclose(locks);
	free(line);
	if (l->count > 1)
		qsort(l->files, l->count, sizeof(*l->files), compare);
}

void
locks_release(struct locks *l)
{
	free(l->files);
}

bool
locks_hold(const struct locks *l, const char *queue_dir, const struct entry *e)
{
	struct stat status;
	char *path;
	bool known;

	if (l->count == 0)
		return false;
	path = xasprintf(
	    "%s/%s/%s.body", queue_dir, queue_folder_name(e->folder), e->id);
	known = stat(path, &status) == 0;
	free(path);
	return known && bsearch(&status.st_ino, l->files, l->count,
			    sizeof(*l->files), compare) != NULL;
}
