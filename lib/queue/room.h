/* Is there room in the queue for another message of a user? One program gone
 * wild must not keep others' mail out, nor fill the disk to the brim.
 */
#ifndef ROOM_H
#define ROOM_H

#include <stdbool.h>

#include "queue/entry.h"

struct error;
struct statvfs;

/* What a user may keep in one folder, and what is left to others. */
#define ROOM_MESSAGES	10000u
#define ROOM_BYTES	(1024ull * 1024 * 1024)
#define ROOM_FREE_BYTES	(32ull * 1024 * 1024)
#define ROOM_FREE_FILES	100u

/* Of the disk alone. */
int	room_on_disk(const char *dir, struct error *);

/* EX_TEMPFAIL 4.3.1 where there is none, also when it cannot be told. */
int	room_check(const char *dir, enum entry_folder, uid_t,
	    uint64_t body_size, struct error *);
/* Is less left of a disk than there must be? And what to do then; -1. */
bool	room_is_full(const struct statvfs *);
int	room_hint(struct error *);

#endif
