/* A message's header as a list of fields that keep their bytes (RFC 5322
 * section 2.2; 4.5 for blanks before the colon).
 *
 * Parsing takes CR LF, LF and lone CR as line ends; NUL, blanks before a
 * colon and continuation lines of blanks alone are dropped. What is not
 * touched is written as it came, but for three things that SMTP forces:
 * lines over 998 octets are folded (at blanks; where there are none, after a
 * separator, else anywhere outside a UTF-8 character), raw 8-bit text becomes
 * encoded words (RFC 2047; in address fields only names, in MIME parameters
 * RFC 2231), and line ends are CR LF. Names compare without regard to case.
 *
 * Mbox lines ("From ", ">From ") before the first field are dropped. A first
 * line that is no field means that there is no header: all is body. A later
 * line that is no field ends the header without an empty line, and is body.
 *
 *	struct header header;
 *	size_t body;
 *	header_init(&header);
 *	if (header_parse(&header, text, len, &body, &err) == -1) …
 *	…
 *	buf_init(&out, HEADER_OUT_MAX);
 *	if (header_format(&header, &out, &smtputf8, &err) == -1) …
 *	header_release(&header);
 *
 * (Who reads from a stream lets content.h separate header and body and
 * parses the block that it collects.)
 */
#ifndef HEADER_H
#define HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;
struct mailbox_list;

#define HEADER_MAX		(1024u * 1024)	/* octets of a block read */
#define HEADER_OUT_MAX		(8u * 1024 * 1024)	/* … and written */
#define HEADER_FIELDS_MAX	20000u
#define HEADER_NAME_MAX		200u		/* octets of a field's name, and
						 * of blanks before the colon */
#define HEADER_KIND_MAX		512u		/* octets that decide what kind
						 * of line a line is */
#define HEADER_LINE_MAX		998u		/* RFC 5322 section 2.1.1 */

struct header_field {
	char *text;		/* whole: "Name: value", folds as CR LF blank,
				 * no line end after it; no NUL within */
	size_t name_len;
	size_t value_at;	/* offset of what follows the colon */
	size_t len;		/* of the text */
};

struct header {
	struct header_field *fields;	/* top to bottom */
	size_t count;
	size_t room;
};

void	header_init(struct header *);
void	header_release(struct header *);

/* Read a block. '*body_at' (may be NULL) is where the body begins: after the
 * empty line, or 'len'. EX_DATAERR 5.6.0 over a cap. */
int	header_parse(struct header *, const char *text, size_t len,
	    size_t *body_at, struct error *);

/* What one line is, without its line end; HEADER_KIND_MAX octets of it are
 * enough. HEADER_LINE_END is the empty line.
 * 'first' says that no field came before. */
enum header_line {
	HEADER_LINE_FIELD,
	HEADER_LINE_CONTINUATION,	/* only when not 'first' */
	HEADER_LINE_MBOX,		/* only when 'first' */
	HEADER_LINE_END,
	HEADER_LINE_BODY,		/* no header line at all */
};
enum header_line header_line_kind(const char *line, size_t len, bool first);

/* The first field of that name at or after 'from', its index; or
 * HEADER_NONE. */
#define HEADER_NONE ((size_t)-1)
size_t	header_find(const struct header *, const char *name, size_t from);
size_t	header_count(const struct header *, const char *name);
bool	header_has(const struct header *, const char *name);
/* Is field i of that name? */
bool	header_is(const struct header *, size_t i, const char *name);
/* The value of the first field of that name, unfolded (line ends dropped, the
 * blanks after them kept) and trimmed; to be freed. NULL if there is none. */
char	*header_get(const struct header *, const char *name);
/* The value of field i as it stands, folds and all, without blanks at either
 * end. */
const char *header_raw_value(const struct header *, size_t i, size_t *len);

/* Put a field at the top, at the bottom, in the place of field i. 'value' may
 * be folded (CR LF blank); any other control character in it becomes a blank,
 * so that no value can begin another field. */
void	header_prepend(struct header *, const char *name, const char *value);
void	header_append(struct header *, const char *name, const char *value);
void	header_replace(struct header *, size_t i, const char *value);
/* Remove field i; remove all of that name (how many were). */
void	header_remove(struct header *, size_t i);
size_t	header_remove_all(struct header *, const char *name);
/* Rename field i, keeping its value's bytes. */
void	header_rename(struct header *, size_t i, const char *name);

/* Append the block in CR LF without the empty line after it, made legal as
 * said above. '*smtputf8' becomes true if bytes over 127 remain (addresses),
 * which needs RFC 6531; else it is left alone. EX_DATAERR when it does not
 * fit into 'out'. */
int	header_format(const struct header *, struct buf *out, bool *smtputf8,
	    struct error *);

/* The topmost resent block, RFC 5322 section 3.6.6: the index after its last
 * field; 0 if there is none. */
size_t	header_resent_end(const struct header *);

/* What -t mails to: append the mailboxes of To, Cc and Bcc; if there is any
 * Resent-To, Resent-Cc or Resent-Bcc, those of the topmost resent block
 * alone. Duplicates are left in. EX_DATAERR names the
 * field that cannot be parsed. Takes time linear in the header's size. */
int	header_recipients(const struct header *, struct mailbox_list *,
	    struct error *);

#endif
