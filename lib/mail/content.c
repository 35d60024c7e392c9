#include "mail/content.h"

#include <sysexits.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "mail/header.h"

#define WINDOW 16384u       /* looked at as a whole, see feed_body() */
#define QUOTED_LINE_MAX 76u /* RFC 2045 section 6.7 (5) */

/* One vector of bytes, as every machine has it. */
typedef uint8_t vector __attribute__((vector_size(16)));

void
content_init(struct content *c, content_sink *body, void *arg)
{
	*c = (struct content){ .body = body, .arg = arg };
	buf_init(&c->header, HEADER_MAX);
	buf_init(&c->line, HEADER_MAX);
	c->out = xmalloc(CONTENT_OUT_SIZE);
}

void
content_release(struct content *c)
{
	buf_release(&c->header);
	buf_release(&c->line);
	free(c->out);
	c->out = NULL;
}

static int
pass_on(struct content *c, const char *bytes, size_t len, struct error *err)
{
	c->size += len;
	return len == 0 ? 0 : c->body(c->arg, bytes, len, err);
}

static int
flush(struct content *c, struct error *err)
{
	size_t len = c->out_len;

	c->out_len = 0;
	return pass_on(c, c->out, len, err);
}

/* Small pieces are collected, large ones go on as they are. */
static int
emit(struct content *c, const char *bytes, size_t len, struct error *err)
{
	if (len > CONTENT_OUT_SIZE - c->out_len || len >= WINDOW / 2) {
		if (flush(c, err) == -1)
			return -1;
		if (len >= WINDOW / 2)
			return pass_on(c, bytes, len, err);
	}
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
	return 0;
}

/* Octets of a line's text: a soft break needs one for itself. */
static size_t
line_max(const struct content *c)
{
	return CONTENT_LINE_MAX - (c->lines == CONTENT_SOFT ? 1 : 0);
}

/* Octets of the character, or of the quoted-printable escape, that this byte
 * begins, as far as it tells. */
static size_t
lead_length(const struct content *c, char byte)
{
	unsigned char u = (unsigned char)byte;

	if (u == '=' && c->lines == CONTENT_SOFT)
		return 3;
	return u < 0xc0 ? 1 : u < 0xe0 ? 2 : u < 0xf0 ? 3 : 4;
}

/* CR LF blank, or a soft break, before what would pass the limit. */
static int
emit_broken(struct content *c, const char *text, size_t len, struct error *err)
{
	bool soft = c->lines == CONTENT_SOFT;
	size_t room, n;

	while (len > 0) {
		room = line_max(c) - c->out_column;
		if (lead_length(c, *text) > room) {
			if (emit(c, soft ? "=\r\n" : "\r\n ", 3, err) == -1)
				return -1;
			c->out_column = !soft;
			continue;
		}
		/* Near the limit byte by byte, before it all at once. */
		n = room > UTF8_CHAR_MAX ? room - UTF8_CHAR_MAX : 1;
		if (n > len)
			n = len;
		if (emit(c, text, n, err) == -1)
			return -1;
		c->out_column += n;
		text += n;
		len -= n;
	}
	return 0;
}

/* One unit of quoted-printable, with a soft break before it if needed. */
static int
emit_unit(struct content *c, const char *unit, size_t len, struct error *err)
{
	if (c->out_column + len > QUOTED_LINE_MAX - 1) {
		if (emit(c, "=\r\n", 3, err) == -1)
			return -1;
		c->out_column = 0;
	}
	c->out_column += len;
	return emit(c, unit, len, err);
}

static int
emit_escaped(struct content *c, char byte, struct error *err)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char u = (unsigned char)byte;
	char unit[] = { '=', digits[u >> 4], digits[u & 15] };

	return emit_unit(c, unit, sizeof(unit), err);
}

/* Quoted-printable, RFC 2045 section 6.7. A blank is held back until it is
 * known whether it ends its line. */
static int
emit_quoted(struct content *c, const char *text, size_t len, struct error *err)
{
	for (size_t i = 0; i < len; i++) {
		if (c->blank != '\0' && emit_unit(c, &c->blank, 1, err) == -1)
			return -1;
		c->blank = '\0';
		if (text[i] == ' ' || text[i] == '\t')
			c->blank = text[i];
		else if (text[i] > ' ' && text[i] < 0x7f && text[i] != '=') {
			if (emit_unit(c, &text[i], 1, err) == -1)
				return -1;
		} else if (emit_escaped(c, text[i], err) == -1)
			return -1;
	}
	return 0;
}

static int
emit_text(struct content *c, const char *text, size_t len, struct error *err)
{
	switch (c->lines) {
	case CONTENT_BREAK:
	case CONTENT_SOFT:
		return emit_broken(c, text, len, err);
	case CONTENT_QUOTE:
		return emit_quoted(c, text, len, err);
	case CONTENT_KEEP:
		break;
	}
	return emit(c, text, len, err);
}

/* Take bytes of a line: no CR, LF, NUL among them. */
static int
take_text(struct content *c, const char *text, size_t len, struct error *err)
{
	if (len == 0)
		return 0;
	if (c->dot) {
		c->dot = false;
		if (emit_text(c, ".", 1, err) == -1)
			return -1;
	}
	if (utf8_has_8bit(text, len))
		c->has_8bit = true;
	if (c->has_8bit)
		utf8_feed(&c->utf8_state, text, len);
	c->column += len;
	if (c->column == 1 && text[0] == '.' && !c->ignore_dots) {
		c->dot = true;
		return 0;
	}
	return emit_text(c, text, len, err);
}

/* The line is complete. A dot alone ends it all. */
static int
end_line(struct content *c, struct error *err)
{
	char blank = c->blank;

	if (c->dot) {
		c->dot = false;
		c->column = 0;
		c->ended = true;
		return 0;
	}
	if (c->column > c->longest)
		c->longest = c->column;
	if (c->has_8bit)
		utf8_feed(&c->utf8_state, "\n", 1);
	c->blank = '\0';
	if (blank != '\0' && emit_escaped(c, blank, err) == -1)
		return -1;
	c->column = c->out_column = 0;
	return emit(c, "\r\n", 2, err);
}

/* After a CR: is this the LF that belongs to it? */
static bool
completes_cr(struct content *c, char byte)
{
	if (!c->cr)
		return false;
	c->cr = false;
	return byte == '\n';
}

static size_t
plain_run(const char *bytes, size_t len)
{
	size_t n = 0;

	while (
	    n < len && bytes[n] != '\n' && bytes[n] != '\r' && bytes[n] != '\0')
		n++;
	return n;
}

/* The thorough way through a piece of the body. '*used' is less than 'len'
 * if a lone dot ended it. */
static int
feed_slowly(struct content *c, const char *bytes, size_t len, size_t *used,
    struct error *err)
{
	size_t at = 0, run;

	while (at < len && !c->ended) {
		if (completes_cr(c, bytes[at])) {
			at++;
			continue;
		}
		run = plain_run(bytes + at, len - at);
		if (take_text(c, bytes + at, run, err) == -1)
			return -1;
		at += run;
		if (at == len)
			break;
		if (bytes[at] != '\0' && end_line(c, err) == -1)
			return -1;
		c->cr = bytes[at++] == '\r';
	}
	*used = at;
	return 0;
}

/* What a piece of whole lines has in it. */
struct look {
	bool nul;
	bool high; /* bytes over 127 */
	bool cr;
	bool lone; /* a CR or LF without the other */
};

static bool
any(const vector *v)
{
	uint64_t words[sizeof(*v) / sizeof(uint64_t)];

	memcpy(words, v, sizeof(words));
	return (words[0] | words[1]) != 0;
}

static struct look
look_at(const char *bytes, size_t len)
{
	vector nul = { 0 }, high = { 0 }, cr = { 0 }, lone = { 0 }, v, next;
	struct look look = { .lone = bytes[0] == '\n' };
	size_t at = 0;

	for (; len - at > sizeof(v); at += sizeof(v)) {
		memcpy(&v, bytes + at, sizeof(v));
		memcpy(&next, bytes + at + 1, sizeof(next));
		nul |= (vector)(v == 0);
		high |= v;
		cr |= (vector)(v == '\r');
		lone |= (vector)((v == '\r') ^ (next == '\n'));
	}
	high &= 0x80;
	look.nul = any(&nul);
	look.high = any(&high);
	look.cr = any(&cr);
	look.lone = look.lone || any(&lone);
	for (; at < len; at++) {
		bool is_cr = bytes[at] == '\r';

		look.nul = look.nul || bytes[at] == '\0';
		look.high = look.high || ((unsigned char)bytes[at] & 0x80);
		look.cr = look.cr || is_cr;
		if (at + 1 < len && is_cr != (bytes[at + 1] == '\n'))
			look.lone = true;
	}
	return look;
}

/* Octets before the LF; there is one. */
static size_t
line_length(const char *bytes, size_t len)
{
	const char *end = memchr(bytes, '\n', len);

	return end == NULL ? len - 1 : (size_t)(end - bytes);
}

/* May a line not go the fast way? */
static bool
is_special_line(const struct content *c, const char *line, size_t len)
{
	if (len == 1 && line[0] == '.')
		return !c->ignore_dots;
	return c->lines != CONTENT_KEEP && len > line_max(c);
}

/* Whole clean lines that end in CR LF: on they go in one piece, up to a
 * special line. */
static int
feed_crlf_lines(struct content *c, const char *bytes, size_t len, size_t *used,
    struct error *err)
{
	size_t at = 0, line;

	while (at < len) {
		line = line_length(bytes + at, len - at);
		if (is_special_line(c, bytes + at, line - 1))
			break;
		if (line - 1 > c->longest)
			c->longest = line - 1;
		at += line + 1;
	}
	*used = at;
	return emit(c, bytes, at, err);
}

/* The same for lines that end in LF. */
static int
feed_lf_lines(struct content *c, const char *bytes, size_t len, size_t *used,
    struct error *err)
{
	size_t at = 0, line;

	while (at < len) {
		line = line_length(bytes + at, len - at);
		if (is_special_line(c, bytes + at, line))
			break;
		if (line > c->longest)
			c->longest = line;
		if (emit(c, bytes + at, line, err) == -1 ||
		    emit(c, "\r\n", 2, err) == -1)
			return -1;
		at += line + 1;
	}
	*used = at;
	return 0;
}

/* Take some of whole lines that begin at a line's start: '*used' of them. */
static int
feed_lines(struct content *c, const char *bytes, size_t len, size_t *used,
    struct error *err)
{
	struct look look = look_at(bytes, len);
	size_t n = 0;
	int result;

	if (look.nul || (look.cr && look.lone))
		return feed_slowly(c, bytes, len, used, err);
	result = look.cr ? feed_crlf_lines(c, bytes, len, &n, err)
			 : feed_lf_lines(c, bytes, len, &n, err);
	if (result == -1)
		return -1;
	if (look.high && utf8_has_8bit(bytes, n)) {
		c->has_8bit = true;
		utf8_feed(&c->utf8_state, bytes, n);
	}
	*used = n;
	if (n == len)
		return 0;
	/* The special line, in its own way. */
	len = line_length(bytes + n, len - n) + 1;
	result = feed_slowly(c, bytes + n, len, &len, err);
	*used += len;
	return result;
}

/* The body goes by windows of whole lines where it can: one look at a window
 * tells whether it is as clean as nearly all mail is. */
static int
feed_body(struct content *c, const char *bytes, size_t len, struct error *err)
{
	size_t window, used = 0;
	const char *last;
	int result;

	for (; len > 0 && !c->ended; bytes += used, len -= used) {
		window = len < WINDOW ? len : WINDOW;
		last = memrchr(bytes, '\n', window);
		if (c->column > 0 || c->cr) {
			last = memchr(bytes, '\n', window);
			if (last != NULL)
				window = (size_t)(last - bytes) + 1;
			last = NULL;
		}
		if (last == NULL || c->lines == CONTENT_QUOTE)
			result = feed_slowly(c, bytes, window, &used, err);
		else
			result = feed_lines(
			    c, bytes, (size_t)(last - bytes) + 1, &used, err);
		if (result == -1)
			return -1;
	}
	if (len > 0 && completes_cr(c, *bytes))
		len--;
	c->dropped += len;
	return 0;
}

static int
enter_body(struct content *c, struct error *err)
{
	c->in_body = true;
	return c->begin == NULL ? 0 : c->begin(c->arg, c, err);
}

static int
header_too_long(struct error *err)
{
	return error_set(err, EX_DATAERR, "5.6.0",
	    "the message's header is over %u bytes", HEADER_MAX);
}

/* The line turned out to be the body's first; 'whole' if it is complete. */
static int
line_into_body(struct content *c, bool whole, struct error *err)
{
	int result;

	if (enter_body(c, err) == -1)
		return -1;
	result = take_text(c, c->line.data, c->line.len, err);
	if (result == 0 && whole)
		result = end_line(c, err);
	buf_release(&c->line);
	return result;
}

static int
take_header_line(struct content *c, struct error *err)
{
	const struct buf *line = &c->line;

	if (line->len == 1 && line->data[0] == '.' && !c->ignore_dots) {
		c->ended = true;
		return enter_body(c, err);
	}
	switch (header_line_kind(line->data, line->len, c->header.len == 0)) {
	case HEADER_LINE_END:
		return enter_body(c, err);
	case HEADER_LINE_BODY:
		return line_into_body(c, true, err);
	case HEADER_LINE_MBOX:
		break;
	case HEADER_LINE_FIELD:
	case HEADER_LINE_CONTINUATION:
		(void)buf_add(&c->header, line->data, line->len);
		if (buf_adds(&c->header, "\r\n") == -1 || c->header.full)
			return header_too_long(err);
		break;
	}
	buf_clear(&c->line);
	return 0;
}

/* Part of a header's line came, its end did not yet. */
static int
add_to_line(struct content *c, const char *bytes, size_t len, struct error *err)
{
	enum header_line kind;

	if (buf_add(&c->line, bytes, len) == -1)
		return header_too_long(err);
	if (c->line.len < HEADER_KIND_MAX)
		return 0;
	kind = header_line_kind(c->line.data, c->line.len, c->header.len == 0);
	return kind == HEADER_LINE_BODY ? line_into_body(c, false, err) : 0;
}

/* Header lines; '*used' bytes until the body began or all. */
static int
feed_header(struct content *c, const char *bytes, size_t len, size_t *used,
    struct error *err)
{
	size_t at = 0, run;

	while (at < len && !c->in_body) {
		if (completes_cr(c, bytes[at])) {
			at++;
			continue;
		}
		run = plain_run(bytes + at, len - at);
		if (run > HEADER_KIND_MAX)
			run = HEADER_KIND_MAX;
		if (run > 0) {
			if (add_to_line(c, bytes + at, run, err) == -1)
				return -1;
			at += run;
			continue;
		}
		if (bytes[at] != '\0' && take_header_line(c, err) == -1)
			return -1;
		c->cr = bytes[at++] == '\r';
	}
	*used = at;
	return 0;
}

int
content_write(
    struct content *c, const char *bytes, size_t len, struct error *err)
{
	size_t used = 0;

	c->read += len;
	if (len == 0)
		return 0;
	if (c->no_header && !c->in_body && enter_body(c, err) == -1)
		return -1;
	if (!c->in_body && feed_header(c, bytes, len, &used, err) == -1)
		return -1;
	return feed_body(c, bytes + used, len - used, err);
}

int
content_finish(struct content *c, struct error *err)
{
	if (!c->in_body && !c->no_header && c->line.len > 0 &&
	    take_header_line(c, err) == -1)
		return -1;
	if (!c->in_body && enter_body(c, err) == -1)
		return -1;
	if ((c->column > 0 || c->dot) && end_line(c, err) == -1)
		return -1;
	c->utf8 = utf8_end(&c->utf8_state);
	return flush(c, err);
}
