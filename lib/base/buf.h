/* The one growable piece of memory: a byte buffer with a maximum.
 *
 * 'data' is never NULL and always has a NUL after 'len' bytes (which may hold
 * NULs of their own). The maximum is given at init and cannot be passed: an
 * addition that would pass it changes nothing but 'full', and returns -1, so
 * a caller may make many additions and look at 'full' once at the end. Memory
 * is wiped when it is given back, since tokens travel through here.
 *
 *	struct buf b;
 *	buf_init(&b, LIMIT);
 *	buf_adds(&b, "user=");
 *	…
 *	if (b.full) …
 *	buf_release(&b);
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;		/* never NULL; data[len] is NUL */
	size_t len;		/* bytes in use */
	size_t size;		/* bytes allocated, 0 while nothing is */
	size_t max;		/* len never passes this */
	bool full;		/* an addition did not fit */
};

/* An empty buffer for at most 'max' bytes; allocates nothing yet. */
void	buf_init(struct buf *, size_t max);
/* Wipes and frees; leaves an empty buffer with the same maximum. */
void	buf_release(struct buf *);
/* Empties and wipes, keeps the memory; 'full' is taken back. */
void	buf_clear(struct buf *);

/* Append; 0, or -1 and 'full' when the maximum would be passed. */
int	buf_add(struct buf *, const void *bytes, size_t len);
int	buf_adds(struct buf *, const char *text);
int	buf_addc(struct buf *, char c);
int	buf_addf(struct buf *, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

/* Room for 'len' more bytes at data + len, to be filled by read(2) and then
 * taken with buf_grown(). NULL and 'full' when the maximum would be passed. */
char	*buf_room(struct buf *, size_t len);
void	buf_grown(struct buf *, size_t len);

/* Replace 'old_len' bytes at 'at' (at + old_len <= len) by 'bytes', which
 * must lie elsewhere. */
int	buf_splice(struct buf *, size_t at, size_t old_len, const void *bytes,
	    size_t len);
/* Drop the first 'len' bytes (len <= b->len). */
void	buf_consume(struct buf *, size_t len);
/* The text, to be freed by the caller; the buffer is empty afterwards. */
char	*buf_steal(struct buf *);

#endif
