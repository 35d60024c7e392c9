/* The writing half of header.h: a block that SMTP servers take. */
#include "mail/header.h"

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/address.h"
#include "mail/encoded_word.h"
#include "mail/utf8.h"

/* Fields whose value is a list of addresses. */
static const char *const address_fields[] = { "From", "Sender", "Reply-To",
	"To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-Reply-To",
	"Resent-To", "Resent-Cc", "Errors-To", "Mail-Followup-To",
	"Mail-Reply-To", "Disposition-Notification-To", "Return-Receipt-To" };
/* Those that are for people to read: for no address in them shall a message
 * need SMTPUTF8, which not all servers behind the first have. */
static const char *const note_fields[] = { "X-Original-From",
	"X-Original-Sender" };
/* Fields whose value ends in parameters. */
static const char *const parameter_fields[] = { "Content-Type",
	"Content-Disposition" };
#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

static bool
is_one_of(
    const struct header *h, size_t i, const char *const *names, size_t count)
{
	for (size_t n = 0; n < count; n++)
		if (header_is(h, i, names[n]))
			return true;
	return false;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
has_8bit(const char *text)
{
	return text != NULL && utf8_has_8bit(text, strlen(text));
}

/* Are there bytes over 127 in an address itself? Only SMTPUTF8 carries it. */
static bool
encode_mailbox(void *arg, const struct mailbox *m, struct buf *out)
{
	bool *in_address = arg;

	if (has_8bit(m->local) || has_8bit(m->domain))
		*in_address = true;
	if (!has_8bit(m->display) && !m->idn)
		return false;
	mailbox_format(m, out);
	return true;
}

/* Text of a comment up to a parenthesis or backslash; how much it was. */
static size_t
encode_comment(struct buf *out, const char *text, size_t *column)
{
	size_t len = strcspn(text, "()\\"), before = out->len;
	const char *line;

	encoded_word_text(out, text, len, *column);
	line = memrchr(out->data + before, '\n', out->len - before);
	*column = line == NULL ? *column + out->len - before
			       : (size_t)(out->data + out->len - line) - 1;
	return len;
}

/* Raw 8-bit in comments becomes encoded words, RFC 2047 section 5 (2). */
static void
encode_comments(struct buf *value, size_t from)
{
	size_t column = from;
	bool quoted = false;
	unsigned depth = 0;
	struct buf out;

	buf_init(&out, HEADER_OUT_MAX);
	for (size_t at = from, n; at < value->len; at += n) {
		char c = value->data[at];

		n = c == '\\' && at + 1 < value->len ? 2 : 1;
		if (c == '"' && depth == 0)
			quoted = !quoted;
		else if (c == '(' && !quoted)
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth > 0 && c != '\\') {
			n = encode_comment(&out, value->data + at, &column);
			continue;
		}
		(void)buf_add(&out, value->data + at, n);
		column = c == '\n' ? 0 : column + n;
	}
	(void)buf_splice(value, from, value->len - from, out.data, out.len);
	buf_release(&out);
}

/* What no encoding reached: broken addresses. */
static void
replace_8bit(struct buf *b, size_t from)
{
	for (; from < b->len; from++)
		if (((unsigned char)b->data[from] & 0x80) != 0)
			b->data[from] = '?';
}

/* The out buffer gets the value; its name stands there already. */
static void
encode_addresses(struct buf *out, const char *value, size_t len, bool note)
{
	bool in_address = false;
	size_t from = out->len;

	if (address_map(out, value, len, encode_mailbox, &in_address, NULL) ==
		-1 ||
	    (note && in_address)) {
		(void)buf_splice(out, from, out->len - from, NULL, 0);
		encoded_word_text(out, value, len, from);
		in_address = false;
	} else if (utf8_has_8bit(out->data + from, out->len - from))
		encode_comments(out, from);
	if (!in_address || !utf8_valid(out->data + from, out->len - from))
		replace_8bit(out, from);
}

/* The end of a parameter's value: a token or quoted string, or what passes
 * for one. */
static size_t
parameter_end(const char *value, size_t len, size_t at)
{
	if (at < len && value[at] == '"') {
		for (at++; at < len && value[at] != '"'; at++)
			if (value[at] == '\\' && at + 1 < len)
				at++;
		return at < len ? at + 1 : at;
	}
	while (at < len && strchr("; \t\r\n", value[at]) == NULL)
		at++;
	return at;
}

/* name*=charset''value, RFC 2231 section 4; 'out' ends in "name=". */
static void
encode_parameter(struct buf *out, const char *value, size_t len)
{
	const char *charset = utf8_valid(value, len) ? "utf-8" : "iso-8859-1";
	size_t from = 0;

	if (value[0] == '"') {
		from = 1;
		len -= len > 1 && value[len - 1] == '"' ? 1 : 0;
	}
	(void)buf_splice(out, out->len - 1, 1, "*=", 2);
	(void)buf_addf(out, "%s''", charset);
	for (; from < len; from++) {
		unsigned char c = (unsigned char)value[from];

		if (c == '\\' && from + 1 < len)
			c = (unsigned char)value[++from];
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '_')
			(void)buf_addc(out, (char)c);
		else
			(void)buf_addf(out, "%%%02X", c);
	}
}

static void
encode_parameters(struct buf *out, const char *value, size_t len)
{
	size_t from = out->len, at = 0, end;

	while (at < len) {
		(void)buf_addc(out, value[at]);
		if (value[at++] != '=')
			continue;
		end = parameter_end(value, len, at);
		if (utf8_has_8bit(value + at, end - at))
			encode_parameter(out, value + at, end - at);
		else
			(void)buf_add(out, value + at, end - at);
		at = end;
	}
	replace_8bit(out, from);
}

static void
encode_field(const struct header *h, size_t i, struct buf *out)
{
	const struct header_field *f = &h->fields[i];
	const char *value = f->text + f->value_at;
	size_t len = f->len - f->value_at;

	(void)buf_add(out, f->text, f->value_at);
	if (is_one_of(h, i, address_fields, LENGTH(address_fields)))
		encode_addresses(out, value, len, false);
	else if (is_one_of(h, i, note_fields, LENGTH(note_fields)))
		encode_addresses(out, value, len, true);
	else if (is_one_of(h, i, parameter_fields, LENGTH(parameter_fields)))
		encode_parameters(out, value, len);
	else
		encoded_word_text(out, value, len, f->value_at);
}

/* Where to break within 'max' octets of a text that goes on: at the last
 * blank, after the last separator, or anywhere but in a UTF-8 character. */
static size_t
break_at(const char *text, size_t max)
{
	size_t at;

	for (at = max; at > 0; at--)
		if (is_blank(text[at]))
			return at;
	for (at = max; at > 1; at--)
		if (strchr(",;>", text[at - 1]) != NULL)
			return at;
	for (at = max; at > max - UTF8_CHAR_MAX; at--)
		if (((unsigned char)text[at] & 0xc0) != 0x80)
			return at;
	return max;
}

static void
skip_blanks(const char **line, size_t *len)
{
	while (*len > 0 && is_blank(**line)) {
		++*line;
		--*len;
	}
}

/* Write a line of over HEADER_LINE_MAX octets as several. A run of blanks at
 * a break becomes one, so that no line is of blanks alone (RFC 5322 section
 * 3.2.2). */
static void
fold_line(struct buf *out, const char *line, size_t len)
{
	size_t room = HEADER_LINE_MAX, cut, end;

	while (len > 0 && is_blank(line[len - 1]))
		len--;
	if (is_blank(*line)) {
		skip_blanks(&line, &len);
		(void)buf_addc(out, ' ');
		room--;
	}
	while (len > room) {
		cut = end = break_at(line, room);
		while (end > 0 && is_blank(line[end - 1]))
			end--;
		(void)buf_add(out, line, end);
		(void)buf_adds(out, "\r\n ");
		line += cut;
		len -= cut;
		skip_blanks(&line, &len);
		room = HEADER_LINE_MAX - 1;
	}
	(void)buf_add(out, line, len);
}

/* A whole field, its lines at most HEADER_LINE_MAX octets each. */
static void
add_folded(struct buf *out, const char *text, size_t len)
{
	const char *end;
	size_t line;

	while (len > 0) {
		end = memchr(text, '\n', len);
		line = end == NULL ? len : (size_t)(end - text) - 1;
		if (line <= HEADER_LINE_MAX)
			(void)buf_add(out, text, line);
		else
			fold_line(out, text, line);
		if (end != NULL)
			(void)buf_adds(out, "\r\n");
		line += end == NULL ? 0 : 2;
		text += line;
		len -= line;
	}
	(void)buf_adds(out, "\r\n");
}

int
header_format(
    const struct header *h, struct buf *out, bool *smtputf8, struct error *err)
{
	struct buf field;

	buf_init(&field, HEADER_OUT_MAX);
	for (size_t i = 0; i < h->count; i++) {
		const struct header_field *f = &h->fields[i];

		if (!utf8_has_8bit(f->text, f->len)) {
			add_folded(out, f->text, f->len);
			continue;
		}
		buf_clear(&field);
		encode_field(h, i, &field);
		if (utf8_has_8bit(field.data, field.len))
			*smtputf8 = true;
		add_folded(out, field.data, field.len);
		out->full = out->full || field.full;
	}
	buf_release(&field);
	if (out->full)
		return error_set(err, EX_DATAERR, "5.6.0",
		    "the message's header is too long");
	return 0;
}
