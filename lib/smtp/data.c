#include "smtp/data.h"

#include <string.h>

#include "base/buf.h"

/* Bytes that are looked at together; a fixed number, so that the compiler
 * makes vector code of the loop. */
#define BLOCK 64

void
data_init(struct data *d, bool stuff)
{
	*d = (struct data){ .last = '\n', .stuff = stuff };
}

/* May the block go out as it is? bytes[-1] is the byte before it. It may if
 * every LF follows a CR, every CR precedes an LF (one in the last byte is
 * the next block's affair), and no dot starts a line. */
static bool
is_plain(const char *bytes)
{
	unsigned char odd = 0;

	for (int i = 0; i < BLOCK; i++) {
		unsigned char cr = bytes[i - 1] == '\r';
		unsigned char lf = bytes[i] == '\n';
		unsigned char dot = (bytes[i - 1] == '\n') & (bytes[i] == '.');

		odd |= (unsigned char)((cr ^ lf) | dot);
	}
	return odd == 0;
}

/* One byte the careful way. */
static char *
add_byte(struct data *d, char c, char *out)
{
	if (d->last == '\r' && c != '\n') {
		*out++ = '\n';
		d->last = '\n';
	}
	if (c == '\n' && d->last != '\r')
		*out++ = '\r';
	if (c == '.' && d->last == '\n' && d->stuff)
		*out++ = '.';
	*out++ = c;
	d->last = c;
	return out;
}

int
data_add(struct data *d, const char *bytes, size_t len, struct buf *out)
{
	char *start = buf_room(out, 2 * len + 1);
	char *next = start;
	size_t i = 0;

	if (start == NULL)
		return -1;
	while (i < len) {
		size_t run = i;

		while (i > 0 && len - i >= BLOCK && is_plain(bytes + i))
			i += BLOCK;
		if (i > run) {
			memcpy(next, bytes + run, i - run);
			next += i - run;
			d->last = bytes[i - 1];
			continue;
		}
		for (size_t end = len - i > BLOCK ? i + BLOCK : len; i < end;
		     i++)
			next = add_byte(d, bytes[i], next);
	}
	buf_grown(out, (size_t)(next - start));
	return 0;
}

int
data_end(struct data *d, struct buf *out)
{
	if (d->last == '\r')
		(void)buf_addc(out, '\n');
	else if (d->last != '\n')
		(void)buf_adds(out, "\r\n");
	d->last = '\n';
	if (d->stuff)
		(void)buf_adds(out, ".\r\n");
	return out->full ? -1 : 0;
}
