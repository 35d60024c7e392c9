/* Message bytes to the bytes that follow DATA (RFC 5321 section 4.5.2), or
 * BDAT, chunk by chunk; and back.
 *
 * Content should have CRLF line ends already. A bare CR or LF becomes CRLF
 * all the same: this is the last place before the wire, and a server that
 * takes "LF . LF" for the end of the content would let its writer speak SMTP
 * in our session. With dots stuffed, a dot at the start of a line is doubled.
 *
 *	struct data d;
 *	data_init(&d, true);
 *	while (… more …)
 *		data_add(&d, bytes, len, &out);
 *	data_end(&d, &out);
 *
 * A chunk may be cut anywhere. 'out' needs DATA_ROOM(len) bytes of room for a
 * chunk; its 'full' tells if it had not.
 */
#ifndef DATA_H
#define DATA_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

struct data {
	char last;		/* the byte before; LF at the start */
	bool stuff;		/* double dots, end with a lone one */
};

#define DATA_ROOM(len)	(2 * (len) + 8)	/* 'out' for a chunk of len bytes */

/* 'stuff' for DATA, not for BDAT. */
void	data_init(struct data *, bool stuff);
/* Append the chunk as it goes on the wire. -1 when 'out' is full. */
int	data_add(struct data *, const char *bytes, size_t len, struct buf *out);
/* Append what ends the content: a CRLF if the last line has none, and with
 * stuffing the lone dot. */
int	data_end(struct data *, struct buf *out);

/* The other way: what a client sends after DATA, to message bytes.
 *
 * A line ends with CR LF, or, for a client that ended its commands so, with
 * LF, never with either: the end is a dot between two line ends of that one
 * kind. A body with the other kind in it (LF . LF, CR LF . LF) cannot end the
 * message and begin a command. Bare CR and LF pass through as they are.
 */
enum data_place {
	DATA_LINE,		/* at the start of a line */
	DATA_DOT,		/* after a dot there */
	DATA_DOT_CR,		/* … and a CR */
	DATA_TEXT,
	DATA_CR,		/* a CR in the text */
	DATA_ENDED,
};

struct data_reader {
	bool bare_lf;		/* lines end with LF */
	enum data_place place;
};

void	data_reader_init(struct data_reader *, bool bare_lf);
/* Take bytes; 'out' needs as much room as they have, and 3 more. Returns how
 * many were used: all, unless the end came, after which 'place' is
 * DATA_ENDED. */
size_t	data_read(struct data_reader *, const char *bytes, size_t len,
	    struct buf *out);

#endif
