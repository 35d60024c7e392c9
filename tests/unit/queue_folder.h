/* A queue in a folder of its own, for tests. */
#ifndef QUEUE_FOLDER_H
#define QUEUE_FOLDER_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "queue/queue.h"
#include "queue/spool.h"
#include "tests/unit/folder.h"

static int
make_queue(void **state)
{
	char *folder = xstrdup("/tmp/queue-test-XXXXXX");

	*state = mkdtemp(folder);
	return *state == NULL ? -1 : 0;
}

static int
remove_queue(void **state)
{
	int result = remove_all(*state);

	free(*state);
	return result;
}

/* Is there such a file? */
static inline int
is_there(const char *dir, const char *folder, const char *id,
    const char *suffix)
{
	char *path = xasprintf("%s/%s/%s%s", dir, folder, id, suffix);
	int result = access(path, F_OK) == 0;

	free(path);
	return result;
}

/* A message with this body into e->folder; it stays ours. */
static inline int
add_message(const char *dir, struct entry *e, const char *body,
    struct error *err)
{
	struct spool spool;
	int result;

	spool_init(&spool);
	e->arrived = e->next = 1795495936;
	if (e->envelope.count == 0)
		(void)envelope_add(&e->envelope, "a@example.org", NULL);
	(void)buf_adds(&e->header, "Subject: x\r\n\r\n");
	(void)spool_open(&spool, dir, NULL);
	(void)spool_write(&spool, body, strlen(body), NULL);
	result = queue_add(dir, e, &spool, err);
	spool_release(&spool);
	return result;
}

#endif
