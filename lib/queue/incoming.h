/* Bounds for messages that are still coming in, whose bodies lie in files
 * without a name, so that the queue's own bounds (room.h) do not see them: one
 * user who starts senders that never end must not fill the disk.
 *
 *	incoming_begin(&incoming, config, uid, &err)
 *	incoming_grow(&incoming, fd, len, &err)		before each write
 *	incoming_release(&incoming)
 *
 * A user has INCOMING_PIECES places of INCOMING_PIECE bytes. A message has one
 * from its beginning and takes another each time that it outgrows those it
 * has; it gives them back when it is sent or queued. A place is a lock on a
 * byte of one empty file in STATE_DIR/state, which dies with its holder: there
 * is nothing to count, and nothing to sweep. Where locks cannot be had, the
 * disk alone is looked at.
 *
 * Time is not bounded: a job of cron's may write for days, and what waits for
 * it holds no more than its places.
 */
#ifndef INCOMING_H
#define INCOMING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "queue/room.h"

struct config;
struct error;

#define INCOMING_PIECES	1024u
#define INCOMING_PIECE	(ROOM_BYTES / INCOMING_PIECES)
/* Up to that size a message is taken in whatever is left of the disk, since
 * what can be sent need not be queued. */
#define INCOMING_SMALL	(ROOM_FREE_BYTES / INCOMING_PIECES)

struct incoming {
	int fd;			/* holds the locks; -1: none */
	uid_t uid;
	const char *dir;	/* the queue's folder, the caller's */
	uint64_t bytes;		/* so far */
	uint64_t room;		/* of the places that it has */
	unsigned next;		/* the place to be tried next … */
	unsigned left;		/* … and how many there are from there */
};

void	incoming_init(struct incoming *);
void	incoming_release(struct incoming *);
/* A message of that user begins. EX_TEMPFAIL 4.3.1 when it has no place. */
int	incoming_begin(struct incoming *, const struct config *, uid_t,
	    struct error *);
/* So many bytes more are to be written to 'fd'. EX_TEMPFAIL 4.3.1 when there
 * is no place for them, or too little left of the disk. */
int	incoming_grow(struct incoming *, int fd, size_t len, struct error *);

#endif
