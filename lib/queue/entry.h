/* A message in the queue, as a value: the envelope with what became of each
 * recipient, the completed header, and what the queue must know of it.
 *
 * On disk this is the file ID.env: a record "message", an empty line, the
 * envelope's record, an empty line, and the header with the empty line that
 * ends it. The file's time of modification is the time of the next attempt.
 * The body is the file ID.body beside it; its lock (flock(2)) is the
 * message's, held in 'body_fd'.
 *
 * The functions here are pure but for entry_release(), which closes the body
 * and with it drops the lock. queue.h reads and writes the files.
 */
#ifndef ENTRY_H
#define ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/envelope.h"
#include "queue/id.h"

#define ENTRY_HEADER_MAX	(8u * 1024 * 1024)
#define ENTRY_RECORD_MAX	(64u * 1024)	/* of "message" */
#define ENTRY_TEXT_MAX		(33u * 1024 * 1024 + ENTRY_HEADER_MAX)
/* No message is put off for longer, whatever a file's time says. */
#define ENTRY_DELAY_MAX		86400

enum entry_folder {
	ENTRY_ACTIVE,		/* waits to be sent */
	ENTRY_FAILED,		/* will not be; kept to be looked at */
};

struct entry {
	char id[ID_SIZE];
	enum entry_folder folder;
	uid_t uid;		/* whose it is */
	time_t arrived;
	time_t next;		/* the next attempt */
	time_t tried;		/* when it was last taken up; 0: not yet */
	long long attempts;
	long long on_hold;	/* seconds that do not count as waiting */
	time_t held;		/* a person holds it since then; 0: nobody */
	bool warned;		/* its sender was told that it is late */
	bool notice;		/* a notification: never answered by one */
	bool drew_hold;		/* it put its account on hold once */
	uint64_t header_size;	/* as read, also where it was not kept */
	uint64_t size;		/* of the body as it came, in bytes */
	uint64_t kept;		/* of ID.body, once opened: less when it
				 * failed */
	struct error why;	/* the last failure of the whole, or none */
	struct envelope envelope;
	struct buf header;
	int body_fd;		/* ID.body, locked; -1: not opened */
};

void	entry_init(struct entry *);
void	entry_release(struct entry *);

/* Append the text of ID.env. */
void	entry_format(const struct entry *, struct buf *out);
/* Read it back, all but id, folder, next, kept and body_fd. EX_SOFTWARE. With
 * 'brief' the text may end anywhere behind the envelope, and no header is
 * kept: for listings. */
int	entry_parse(struct entry *, const char *text, size_t len, bool brief,
	    struct error *);
/* Where the header begins in a text of ID.env that may be cut; 0: not in
 * there yet. */
size_t	entry_header_at(const char *text, size_t len);

/* When it is to be tried next, as of 'now': a time too far ahead, from a clock
 * that was wrong, counts as now. */
time_t	entry_due(time_t next, time_t now);

#endif
