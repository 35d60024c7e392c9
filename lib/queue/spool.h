/* A body on disk for as long as it is being sent: a file without a name in
 * the queue's folder, so that a crash leaves nothing behind and a message
 * that must wait need not be copied: spool_link() gives it a name.
 *
 * Where the file system has no unnamed files (O_TMPFILE), or /proc is not
 * there to name them by, the file is "spool.XXXXXX" and locked; spool_sweep()
 * removes what a crash left of these. Where the queue's folder cannot be
 * used, /var/tmp serves: the message is still sent, but cannot be queued.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "mail/content.h"

struct error;
struct incoming;

#define SPOOL_FALLBACK "/var/tmp"

struct spool {
	int fd;			/* read and write; -1: none */
	uint64_t size;		/* bytes written */
	char *path;		/* of a file with a name, or NULL */
	bool queueable;		/* it lies in the queue's folder */
	struct incoming *incoming; /* its bounds, or NULL; the caller's */
};

void	spool_init(struct spool *);
void	spool_release(struct spool *);
/* EX_CANTCREAT when there is no place at all. */
int	spool_open(struct spool *, const char *folder, struct error *);
/* Append. EX_IOERR, 4.3.1: disk full, quota, file size limit; or what
 * incoming_grow() says. */
int	spool_write(struct spool *, const char *bytes, size_t len,
	    struct error *);
/* Write it anew with its long lines treated like that. Rare, so that a body
 * need not be read twice to find out whether it has any. */
int	spool_rewrite(struct spool *, const char *folder, enum content_lines,
	    struct error *);
/* Make it durable, lock it, and give it this name, for good. -1 with errno;
 * EEXIST: there is such a name. */
int	spool_link(struct spool *, const char *path);
/* Take that name back, so that it can be linked again. The file keeps one in
 * 'folder' meanwhile: after its first name it can get no other without. */
void	spool_unlink(struct spool *, const char *folder, const char *path);
/* Remove from 'folder' what is older than an hour and nobody's. */
void	spool_sweep(const char *folder, time_t now);

#endif
