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

void
data_reader_init(struct data_reader *r, bool bare_lf)
{
	*r = (struct data_reader){ .bare_lf = bare_lf, .place = DATA_LINE };
}

/* The start of a line, where a dot means something, one byte at a time. */
static void
read_at_line(struct data_reader *r, char c, struct buf *out)
{
	switch (r->place) {
	case DATA_LINE:
		if (c == '.') {
			r->place = DATA_DOT;
			return;
		}
		break;
	case DATA_DOT:
		if (c == '\r' && !r->bare_lf) {
			r->place = DATA_DOT_CR;
			return;
		}
		if (c == '\n' && r->bare_lf) {
			r->place = DATA_ENDED;
			return;
		}
		break;
	case DATA_DOT_CR:
		if (c == '\n') {
			r->place = DATA_ENDED;
			return;
		}
		(void)buf_addc(out, '\r');
		break;
	default:
		break;
	}
	(void)buf_addc(out, c);
	if (c == '\n' && r->bare_lf)
		r->place = DATA_LINE;
	else
		r->place = c == '\r' && !r->bare_lf ? DATA_CR : DATA_TEXT;
}

/* Text up to the end of its line, or of the bytes; how much it was. */
static size_t
read_text(struct data_reader *r, const char *bytes, size_t len)
{
	size_t at = 0;
	const char *lf;

	while ((lf = memchr(bytes + at, '\n', len - at)) != NULL) {
		bool cr = lf == bytes ? r->place == DATA_CR : lf[-1] == '\r';

		at = (size_t)(lf - bytes) + 1;
		r->place = r->bare_lf || cr ? DATA_LINE : DATA_TEXT;
		if (r->place == DATA_LINE && at < len && bytes[at] == '.')
			return at;
	}
	if (at < len)
		r->place =
		    bytes[len - 1] == '\r' && !r->bare_lf ? DATA_CR : DATA_TEXT;
	return len;
}

size_t
data_read(struct data_reader *r, const char *bytes, size_t len, struct buf *out)
{
	size_t at = 0, run;

	while (at < len && r->place != DATA_ENDED) {
		if (r->place != DATA_TEXT && r->place != DATA_CR) {
			read_at_line(r, bytes[at++], out);
			continue;
		}
		run = read_text(r, bytes + at, len - at);
		(void)buf_add(out, bytes + at, run);
		at += run;
	}
	return at;
}
