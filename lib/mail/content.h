/* A message from a stream: its header block collected, its body passed on in
 * canonical form, chunk by chunk, in flat memory (RFC 5321 section 2.3.8).
 *
 * CR LF, LF and a lone CR are line ends and become CR LF, NUL is dropped, a
 * missing last line end is added. Without 'ignore_dots' a line that is a lone
 * dot ends the message; what follows is counted and dropped. Dots are not
 * stuffed here. Lines of the body over 998 octets are treated as 'lines'
 * says. Nothing else changes, and a chunk may end anywhere.
 *
 * The header is what header.h calls one: fields, continuations, mbox lines
 * before the first; it ends with an empty line, which belongs to neither
 * part, or before a line that is no header line. It is complete in 'header'
 * from the first call of 'body' on, and after content_finish(). 'begin', if
 * given, is called once when it is complete, before any of the body, and may
 * still set 'lines'.
 *
 *	struct content c;
 *	content_init(&c, sink_body, arg);
 *	c.ignore_dots = options.ignore_dots;
 *	while ((n = read(0, chunk, sizeof(chunk))) > 0)
 *		if (content_write(&c, chunk, (size_t)n, &err) == -1) …
 *		else if (c.ended) break;
 *	if (content_finish(&c, &err) == -1) …
 *	header_parse(&header, c.header.data, c.header.len, NULL, &err);
 *	content_release(&c);
 *
 * Chunks of 16 kB or more are best: clean input goes on without being copied
 * (CR LF) or in large pieces (LF).
 */
#ifndef CONTENT_H
#define CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "mail/utf8.h"

struct error;

#define CONTENT_LINE_MAX	998u	/* octets, RFC 5322 section 2.1.1 */
#define CONTENT_OUT_SIZE	32768u	/* collected before it is passed on */

/* What to do with longer lines of the body. */
enum content_lines {
	CONTENT_BREAK,		/* CR LF blank after 998 octets at most, never
				 * inside a UTF-8 character */
	CONTENT_KEEP,		/* nothing: signed mail */
	CONTENT_SOFT,		/* quoted-printable as it is: a soft break
				 * after 998 octets at most, in no escape */
	CONTENT_QUOTE,		/* write all of the body quoted-printable */
};

/* Takes canonical bytes of the body; 0, or -1 with the error set, which ends
 * content_write() likewise. */
typedef int content_sink(void *arg, const char *bytes, size_t len,
	    struct error *);
/* The header is complete. */
struct content;
typedef int content_begin(void *arg, struct content *, struct error *);

struct content {
	/* Set by the caller after content_init(). */
	content_sink *body;
	content_begin *begin;		/* or NULL */
	void *arg;			/* of both */
	bool ignore_dots;		/* -i */
	bool no_header;			/* all is body */
	enum content_lines lines;	/* CONTENT_BREAK */

	/* Results; complete after content_finish(). */
	struct buf header;		/* CR LF lines, without the empty one;
					 * at most HEADER_MAX */
	bool ended;			/* a lone dot was seen */
	uint64_t dropped;		/* octets after it */
	uint64_t size;			/* octets given to 'body' */
	uint64_t read;			/* octets taken in, all of them */
	bool has_8bit;			/* body, as read: bytes over 127 */
	bool utf8;			/* … and all valid UTF-8 */
	size_t longest;			/* its longest line as read, without
					 * line end, in octets */

	/* Private. */
	struct utf8_state utf8_state;
	char *out;			/* CONTENT_OUT_SIZE bytes */
	size_t out_len;
	struct buf line;		/* header line not yet complete */
	size_t column;			/* octets of the line read so far */
	size_t out_column;		/* … and written */
	bool in_body;
	bool cr;			/* the last byte was CR */
	bool dot;			/* a line that is a dot so far */
	char blank;			/* CONTENT_QUOTE: a blank held back */
};

void	content_init(struct content *, content_sink *, void *arg);
void	content_release(struct content *);

/* Take a chunk. EX_DATAERR 5.6.0 when the header passes its cap, and what the
 * sink says. After 'ended' further chunks are only counted. */
int	content_write(struct content *, const char *bytes, size_t len,
	    struct error *);
/* No more comes: completes the last line and passes on what is left. */
int	content_finish(struct content *, struct error *);

#endif
