#include "mail/encoded_word.h"

#include "base/buf.h"
#include "mail/utf8.h"

#define LINE_MAX_ENCODED 76u /* RFC 2047 section 2 */
#define FRAME 7u             /* what is around charset and text */

/* What may stand in a Q word wherever it is, RFC 2047 section 5 (3). */
static bool
is_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || strchr("!*+-/", c) != NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The byte as it is encoded: blanks are alike, -1 for what is dropped. */
static int
clean_byte(char c)
{
	unsigned char byte = (unsigned char)c;

	if (is_blank(c))
		return ' ';
	return byte < ' ' || byte == 0x7f ? -1 : byte;
}

bool
encoded_word_needed(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' ||
		    (unsigned char)text[i] >= 0x7f)
			return true;
	return false;
}

static size_t
q_cost(const char *text, size_t len)
{
	size_t cost = 0;
	int byte;

	for (size_t i = 0; i < len; i++)
		if ((byte = clean_byte(text[i])) != -1)
			cost += byte == ' ' || is_plain((unsigned char)byte)
				    ? 1
				    : 3;
	return cost;
}

static void
add_q(struct buf *out, const char *text, size_t len)
{
	int byte;

	for (size_t i = 0; i < len; i++) {
		byte = clean_byte(text[i]);
		if (byte == ' ')
			(void)buf_addc(out, '_');
		else if (byte != -1 && is_plain((unsigned char)byte))
			(void)buf_addc(out, (char)byte);
		else if (byte != -1)
			(void)buf_addf(out, "=%02X", (unsigned)byte);
	}
}

/* Base64 without OpenSSL: sendmail does not link it. */
static void
add_b(struct buf *out, const char *text, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, count = 0, bytes = 0;
	int byte;

	for (size_t i = 0; i < len; i++) {
		if ((byte = clean_byte(text[i])) == -1)
			continue;
		bytes++;
		bits = (bits << 8 | (unsigned)byte) & 0xffff;
		for (count += 8; count >= 6; count -= 6)
			(void)buf_addc(out, digits[bits >> (count - 6) & 63]);
	}
	if (count > 0)
		(void)buf_addc(out, digits[bits << (6 - count) & 63]);
	for (; bytes % 3 != 0; bytes++)
		(void)buf_addc(out, '=');
}

/* One writer of words for one text. */
struct writer {
	struct buf *out;
	const char *charset;
	bool utf8;
	bool base64;
	size_t column;
};

static size_t
word_frame(const struct writer *w)
{
	return strlen(w->charset) + FRAME;
}

static size_t
payload_cost(const struct writer *w, const char *text, size_t len)
{
	return w->base64 ? (len + 2) / 3 * 4 : q_cost(text, len);
}

/* How much of the text fits into 'room' octets of payload, whole characters
 * alone. */
static size_t
piece_length(const struct writer *w, const char *text, size_t len, size_t room)
{
	size_t n = 0, step;

	while (n < len) {
		step = w->utf8 ? utf8_char(text + n, len - n) : 1;
		if (step == 0)
			step = 1;
		if (payload_cost(w, text, n + step) > room)
			break;
		n += step;
	}
	return n;
}

static void
write_word(struct writer *w, const char *text, size_t len)
{
	size_t before = w->out->len;

	(void)buf_addf(w->out, "=?%s?%c?", w->charset, w->base64 ? 'B' : 'Q');
	if (w->base64)
		add_b(w->out, text, len);
	else
		add_q(w->out, text, len);
	(void)buf_adds(w->out, "?=");
	w->column += w->out->len - before;
}

static const char *
charset_of(const char *text, size_t len)
{
	if (utf8_valid(text, len))
		return "utf-8";
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] & 0xe0) == 0x80)
			return "unknown-8bit";
	return "iso-8859-1";
}

void
encoded_word_phrase(
    struct buf *out, const char *text, size_t len, size_t column)
{
	struct writer w = { .out = out, .column = column };
	size_t frame, room, piece;
	bool first = true;

	if (q_cost(text, len) == 0)
		return;
	w.utf8 = utf8_valid(text, len);
	w.charset = charset_of(text, len);
	w.base64 = (len + 2) / 3 * 4 < q_cost(text, len);
	frame = word_frame(&w);
	while (len > 0) {
		room = w.column + frame < LINE_MAX_ENCODED
			   ? LINE_MAX_ENCODED - w.column - frame
			   : 0;
		if (room > ENCODED_WORD_MAX - frame)
			room = ENCODED_WORD_MAX - frame;
		piece = piece_length(&w, text, len, room);
		/* A sliver at the end of a line is not worth a word. */
		if (piece < len && (piece == 0 || (first && room < 24)) &&
		    w.column > 1) {
			/* The blank before, if any, joins the fold. */
			(void)buf_adds(out, "\r\n ");
			w.column = 1;
			first = false;
			continue;
		}
		write_word(&w, text, piece);
		text += piece;
		len -= piece;
		first = false;
	}
}

/* The word that begins at 'at', up to the next blank. */
static size_t
word_end(const char *text, size_t len, size_t at)
{
	while (at < len && !is_blank(text[at]))
		at++;
	return at;
}

/* Folds within the run go: the words are folded anew. */
static void
encode_unfolded(struct buf *out, const char *text, size_t len, size_t column)
{
	struct buf flat;

	buf_init(&flat, len);
	for (size_t i = 0; i < len; i++) {
		if (i + 2 < len && text[i] == '\r' && text[i + 1] == '\n' &&
		    (text[i + 2] == ' ' || text[i + 2] == '\t'))
			i++;
		else
			(void)buf_addc(&flat, text[i]);
	}
	encoded_word_phrase(out, flat.data, flat.len, column);
	buf_release(&flat);
}

void
encoded_word_text(struct buf *out, const char *text, size_t len, size_t column)
{
	size_t from = len, to = 0, end, line;
	bool blank = true;

	for (size_t i = 0; i < len; i = end) {
		end = word_end(text, len, i);
		if (end == i) {
			end++;
			continue;
		}
		if (!encoded_word_needed(text + i, end - i))
			continue;
		if (from > i)
			from = i;
		to = end;
	}
	if (from > to) {
		(void)buf_add(out, text, len);
		return;
	}
	for (line = from; line > 0 && text[line - 1] != '\n'; line--)
		blank = blank && is_blank(text[line - 1]);
	if (line > 0)
		column = blank ? 0 : from - line;
	else
		column += from;
	(void)buf_add(out, text, from);
	encode_unfolded(out, text + from, to - from, column);
	(void)buf_add(out, text + to, len - to);
}
