/* The queue: messages on disk that are to be sent yet, or that failed.
 *
 *	DIR/active/ID.body ID.env	waits to be sent
 *	DIR/failed/ID.body ID.env	was refused or given up
 *	DIR/corrupt/...			cannot be read; set aside, never deleted
 *
 * A message is there when its ID.env is (entry.h), and gone when that is
 * gone. It comes in this order: body, fsync, its name; envelope beside,
 * fsync, rename, fsync of the folder. So a crash leaves it whole or leaves a
 * body alone, which was promised to nobody and is swept. It goes the other way
 * round. From one folder to the other the body has both names for a moment.
 * Who works on a message holds its body's lock; locks die with their holder.
 *
 * What a crash left behind, older than an hour and locked by nobody, is
 * removed by queue_sweep().
 *
 *	struct entry e;
 *	entry_init(&e);
 *	switch (queue_claim(dir, ENTRY_ACTIVE, id, &e, &err)) {
 *	case QUEUE_CLAIMED: … queue_save(dir, &e, &err);
 *		or queue_remove(dir, &e, &err); or queue_move(…)
 *	}
 *	entry_release(&e);		drops the lock
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "queue/entry.h"

struct error;
struct spool;

/* Of a body that failed so much is kept. */
#define QUEUE_FAILED_BYTES	(1024u * 1024)

enum queue_claim {
	QUEUE_CLAIMED,		/* it is ours until entry_release() */
	QUEUE_GONE,		/* there is no such message */
	QUEUE_BUSY,		/* somebody else works on it */
	QUEUE_CORRUPT,		/* it was set aside: why is in the error */
	QUEUE_ERROR,		/* it cannot be read now */
};

/* Make the queue's folder where it is missing. */
int	queue_prepare(const char *dir, struct error *);

/* Put a message in, under e->folder. Set are uid, arrived, next, envelope,
 * header and what else is known; e->id too, unless it is empty. The body is
 * what 'spool' holds, which may still be read. Afterwards the entry holds
 * the lock. EX_TEMPFAIL 4.3.1: the user has too much in it already;
 * EX_CANTCREAT, EX_IOERR: disk full, not writable. Then nothing is there. */
int	queue_add(const char *dir, struct entry *, struct spool *,
	    struct error *);

/* Take a message: lock it, then read it. 'e' is one after entry_init(). */
enum queue_claim queue_claim(const char *dir, enum entry_folder,
	    const char *id, struct entry *, struct error *);
/* Read it without the lock; 'brief' as for entry_parse(). EX_IOERR and
 * errno ENOENT: it is not there. EX_SOFTWARE: it is corrupt. */
int	queue_read(const char *dir, enum entry_folder, const char *id,
	    bool brief, struct entry *, struct error *);

/* Write what has changed of a message that is ours. */
int	queue_save(const char *dir, const struct entry *, struct error *);
/* Only the time of the next attempt, without making it durable. */
int	queue_put_off(const char *dir, const char *id, time_t next);
/* Take it out for good. On failure it is still there. */
int	queue_remove(const char *dir, struct entry *, struct error *);
/* Over to the other folder; what has changed is saved with it. To failed/ it
 * goes also where that fails (-1), since what was refused must not be tried
 * again for want of room on a disk. A body in failed/ loses what is over
 * QUEUE_FAILED_BYTES, and then does not come back: EX_DATAERR. */
int	queue_move(const char *dir, struct entry *, enum entry_folder to,
	    struct error *);
void	queue_sweep(const char *dir, time_t now);

const char *queue_folder_name(enum entry_folder);

#endif
