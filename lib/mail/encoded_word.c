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

/* Must it be encoded: bytes over 127 or control characters? */
static bool
needs_encoding(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' ||
		    (unsigned char)text[i] >= 0x7f)
			return true;
	return false;
}

size_t
encoded_word_length(const char *text, size_t len)
{
	size_t marks = 0, n;

	if (len < 2 || memcmp(text, "=?", 2) != 0)
		return 0;
	for (n = 2; n < len && n < 2 * ENCODED_WORD_MAX; n++) {
		unsigned char c = (unsigned char)text[n];

		if (c <= ' ' || c == 0x7f)
			return 0;
		if (c != '?')
			continue;
		if (++marks == 3)
			return n + 1 < len && text[n + 1] == '=' ? n + 2 : 0;
	}
	return 0;
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

static void
write_fold(struct writer *w)
{
	(void)buf_adds(w->out, "\r\n ");
	w->column = 1;
}

static void
write_blank(struct writer *w)
{
	(void)buf_addc(w->out, ' ');
	w->column++;
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

/* All of it, encoded words or not, as such. */
static void
write_run(struct writer *w, const char *text, size_t len)
{
	size_t frame, room, piece;
	bool first = true;

	w->utf8 = utf8_valid(text, len);
	w->charset = charset_of(text, len);
	w->base64 = (len + 2) / 3 * 4 < q_cost(text, len);
	frame = word_frame(w);
	while (len > 0) {
		room = w->column + frame < LINE_MAX_ENCODED
			   ? LINE_MAX_ENCODED - w->column - frame
			   : 0;
		if (room > ENCODED_WORD_MAX - frame)
			room = ENCODED_WORD_MAX - frame;
		piece = piece_length(w, text, len, room);
		/* A sliver at the end of a line is not worth a word. */
		if (piece < len && (piece == 0 || (first && room < 24)) &&
		    w->column > 1) {
			/* The blank before, if any, joins the fold. */
			write_fold(w);
			first = false;
			continue;
		}
		write_word(w, text, piece);
		text += piece;
		len -= piece;
		first = false;
	}
}

/* A word that is encoded already. */
static void
write_encoded(struct writer *w, const char *word, size_t len)
{
	if (w->column > 1 && w->column + len > LINE_MAX_ENCODED)
		write_fold(w);
	(void)buf_add(w->out, word, len);
	w->column += len;
}

/* The word that begins at 'at', up to the next blank. */
static size_t
word_end(const char *text, size_t len, size_t at)
{
	while (at < len && !is_blank(text[at]))
		at++;
	return at;
}

static size_t
skip_blanks(const char *text, size_t len, size_t at)
{
	while (at < len && is_blank(text[at]))
		at++;
	return at;
}

/* Is it one encoded word, which may stay? Specials may not in a phrase. */
static bool
is_encoded(const char *word, size_t len, bool phrase)
{
	if (encoded_word_length(word, len) != len || needs_encoding(word, len))
		return false;
	for (size_t i = 0; phrase && i < len; i++)
		if (strchr("()<>@,;:\\\"/[].", word[i]) != NULL)
			return false;
	return len > 0;
}

/* The next encoded word at or after 'at', its end in '*end'. */
static size_t
find_encoded(const char *text, size_t len, size_t at, bool phrase, size_t *end)
{
	while ((at = skip_blanks(text, len, at)) < len) {
		*end = word_end(text, len, at);
		if (is_encoded(text + at, *end - at, phrase))
			return at;
		at = *end;
	}
	*end = len;
	return len;
}

/* What is between encoded words is encoded with the blanks around it: a
 * reader drops the one that separates the words. */
static void
write_all(struct writer *w, const char *text, size_t len, bool phrase)
{
	size_t at = 0, word, end;
	bool begun = false;

	for (; at < len; at = end) {
		word = find_encoded(text, len, at, phrase, &end);
		if (skip_blanks(text, word, at) < word) {
			if (begun)
				write_blank(w);
			write_run(w, text + at, word - at);
			begun = true;
		}
		if (word == len)
			break;
		if (begun)
			write_blank(w);
		write_encoded(w, text + word, end - word);
		begun = true;
	}
}

void
encoded_word_phrase(
    struct buf *out, const char *text, size_t len, size_t column)
{
	struct writer w = { .out = out, .column = column };

	if (q_cost(text, len) > 0)
		write_all(&w, text, len, true);
}

/* Folds within the run go: the words are folded anew. */
static void
encode_unfolded(struct buf *out, const char *text, size_t len, size_t column)
{
	struct writer w = { .out = out, .column = column };
	struct buf flat;

	buf_init(&flat, len);
	for (size_t i = 0; i < len; i++) {
		if (i + 2 < len && text[i] == '\r' && text[i + 1] == '\n' &&
		    (text[i + 2] == ' ' || text[i + 2] == '\t'))
			i++;
		else
			(void)buf_addc(&flat, text[i]);
	}
	if (q_cost(flat.data, flat.len) > 0)
		write_all(&w, flat.data, flat.len, false);
	buf_release(&flat);
}

/* The run of words that must be encoded, and of encoded words beside it. */
static void
find_run(const char *text, size_t len, size_t *from, size_t *to)
{
	size_t begin = len, end; /* of a series of such words */
	bool needed = false;     /* one of the series must be encoded */

	*from = *to = len;
	for (size_t i = 0; (i = skip_blanks(text, len, i)) < len; i = end) {
		bool needs;

		end = word_end(text, len, i);
		needs = needs_encoding(text + i, end - i);
		if (!needs && !is_encoded(text + i, end - i, false)) {
			begin = len;
			needed = false;
			continue;
		}
		if (begin == len)
			begin = i;
		needed = needed || needs;
		if (!needed)
			continue;
		if (*from == len)
			*from = begin;
		*to = end;
	}
}

void
encoded_word_text(struct buf *out, const char *text, size_t len, size_t column)
{
	size_t from, to, line;
	bool blank = true;

	find_run(text, len, &from, &to);
	if (from == len) {
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
