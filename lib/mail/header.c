#include "mail/header.h"

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void
header_init(struct header *h)
{
	*h = (struct header){ .fields = NULL };
}

void
header_release(struct header *h)
{
	for (size_t i = 0; i < h->count; i++)
		free(h->fields[i].text);
	free(h->fields);
	header_init(h);
}

/* Length of a field's name, RFC 5322 section 2.2, blanks before the colon
 * apart (section 4.5.3); 0 when the line is no field. */
static size_t
name_length(const char *line, size_t len, size_t *colon)
{
	size_t n = 0, at;

	while (n < len && line[n] > ' ' && line[n] < 0x7f && line[n] != ':')
		n++;
	for (at = n; at < len && is_blank(line[at]); at++)
		;
	if (at == len || line[at] != ':' || n > HEADER_NAME_MAX ||
	    at - n > HEADER_NAME_MAX)
		return 0;
	*colon = at;
	return n;
}

static bool
is_mbox_line(const char *line, size_t len)
{
	while (len > 0 && *line == '>') {
		line++;
		len--;
	}
	return len >= 5 && memcmp(line, "From ", 5) == 0;
}

enum header_line
header_line_kind(const char *line, size_t len, bool first)
{
	size_t colon;

	if (len == 0)
		return HEADER_LINE_END;
	if (is_blank(line[0]))
		return first ? HEADER_LINE_BODY : HEADER_LINE_CONTINUATION;
	if (name_length(line, len, &colon) > 0)
		return HEADER_LINE_FIELD;
	return first && is_mbox_line(line, len) ? HEADER_LINE_MBOX
						: HEADER_LINE_BODY;
}

/* Room for a field at index i. */
static struct header_field *
make_place(struct header *h, size_t i)
{
	if (h->count == h->room) {
		h->room = h->room == 0 ? 32 : h->room * 2;
		h->fields =
		    xreallocarray(h->fields, h->room, sizeof(*h->fields));
	}
	memmove(&h->fields[i + 1], &h->fields[i],
	    (h->count - i) * sizeof(*h->fields));
	h->count++;
	return &h->fields[i];
}

/* Take a whole field's text, "Name : value". */
static void
set_field(struct header_field *f, struct buf *text)
{
	size_t colon = 0;

	f->name_len = name_length(text->data, text->len, &colon);
	(void)buf_splice(text, f->name_len, colon - f->name_len, NULL, 0);
	f->value_at = f->name_len + 1;
	f->len = text->len;
	f->text = buf_steal(text);
}

/* Take one line at '*at', without NUL and line end: CR LF, LF or lone CR. Of
 * an endless one only the beginning, which tells its kind. */
static void
take_line(struct buf *line, const char *text, size_t len, size_t *at)
{
	const char *from = text + *at;
	size_t n = 0, max = len - *at;

	while (n < max && from[n] != '\n' && from[n] != '\r')
		n++;
	buf_clear(line);
	if (n <= line->max && memchr(from, '\0', n) == NULL)
		(void)buf_add(line, from, n);
	else
		for (size_t i = 0; i < n && !line->full; i++)
			if (from[i] != '\0')
				(void)buf_addc(line, from[i]);
	if (n < max && from[n] == '\r')
		n++;
	if (n < max && from[n] == '\n')
		n++;
	*at += n;
}

static int
finish_field(struct header *h, struct buf *field, struct error *err)
{
	if (field->len == 0)
		return 0;
	if (h->count == HEADER_FIELDS_MAX)
		return error_set(err, EX_DATAERR, "5.6.0",
		    "the message's header has more than %u fields",
		    HEADER_FIELDS_MAX);
	set_field(make_place(h, h->count), field);
	return 0;
}

static void
continue_field(struct buf *field, const struct buf *line)
{
	size_t n = 0;

	while (n < line->len && is_blank(line->data[n]))
		n++;
	if (n == line->len)
		return;
	(void)buf_adds(field, "\r\n");
	(void)buf_add(field, line->data, line->len);
}

/* Take the line at '*at'; 1 when the header goes on, 0 when it is over. */
static int
parse_line(struct header *h, struct buf *field, struct buf *line,
    const char *text, size_t len, size_t *at, struct error *err)
{
	size_t next = *at;
	bool first = h->count == 0 && field->len == 0;
	enum header_line kind;

	take_line(line, text, len, &next);
	kind = header_line_kind(line->data, line->len, first);
	if (kind != HEADER_LINE_BODY && next > HEADER_MAX)
		return error_set(err, EX_DATAERR, "5.6.0",
		    "the message's header is over %u bytes", HEADER_MAX);
	switch (kind) {
	case HEADER_LINE_FIELD:
		if (finish_field(h, field, err) == -1)
			return -1;
		(void)buf_add(field, line->data, line->len);
		break;
	case HEADER_LINE_CONTINUATION:
		continue_field(field, line);
		break;
	case HEADER_LINE_MBOX:
		break;
	case HEADER_LINE_END:
		*at = next;
		return 0;
	case HEADER_LINE_BODY:
		return 0;
	}
	*at = next;
	return 1;
}

int
header_parse(struct header *h, const char *text, size_t len, size_t *body_at,
    struct error *err)
{
	struct header parsed;
	struct buf field, line;
	size_t at = 0;
	int more = 1;

	header_init(&parsed);
	buf_init(&field, 2 * HEADER_MAX);
	buf_init(&line, HEADER_MAX);
	while (more == 1 && at < len)
		more = parse_line(&parsed, &field, &line, text, len, &at, err);
	if (more != -1)
		more = finish_field(&parsed, &field, err);
	buf_release(&field);
	buf_release(&line);
	if (more == -1) {
		header_release(&parsed);
		return -1;
	}
	header_release(h);
	*h = parsed;
	if (body_at != NULL)
		*body_at = at;
	return 0;
}

bool
header_is(const struct header *h, size_t i, const char *name)
{
	const struct header_field *f = &h->fields[i];

	return strlen(name) == f->name_len &&
	       strncasecmp(f->text, name, f->name_len) == 0;
}

size_t
header_find(const struct header *h, const char *name, size_t from)
{
	for (size_t i = from; i < h->count; i++)
		if (header_is(h, i, name))
			return i;
	return HEADER_NONE;
}

size_t
header_count(const struct header *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++)
		if (header_is(h, i, name))
			n++;
	return n;
}

bool
header_has(const struct header *h, const char *name)
{
	return header_find(h, name, 0) != HEADER_NONE;
}

const char *
header_raw_value(const struct header *h, size_t i, size_t *len)
{
	const struct header_field *f = &h->fields[i];
	size_t from = f->value_at, to = f->len;

	while (from < to && strchr(" \t\r\n", f->text[from]) != NULL)
		from++;
	while (to > from && strchr(" \t\r\n", f->text[to - 1]) != NULL)
		to--;
	*len = to - from;
	return f->text + from;
}

static char *
unfolded_value(const struct header *h, size_t i)
{
	size_t len, n = 0;
	const char *raw = header_raw_value(h, i, &len);
	char *value = xstrndup(raw, len);

	for (size_t j = 0; j < len; j++)
		if (raw[j] != '\r' && raw[j] != '\n')
			value[n++] = raw[j];
	value[n] = '\0';
	return value;
}

char *
header_get(const struct header *h, const char *name)
{
	size_t i = header_find(h, name, 0);

	return i == HEADER_NONE ? NULL : unfolded_value(h, i);
}

static bool
is_fold(const char *text)
{
	return text[0] == '\r' && text[1] == '\n' && is_blank(text[2]);
}

/* Is there anything to see before the next fold? */
static bool
has_text(const char *text)
{
	while (*text != '\0' && !is_fold(text) &&
	       (is_blank(*text) || is_control(*text)))
		text++;
	return *text != '\0' && !is_fold(text);
}

/* Controls become blanks, but a fold (CR LF blank) may stay, unless its line
 * would be of blanks alone. */
static void
add_clean_value(struct buf *text, const char *value)
{
	for (; *value != '\0'; value++) {
		if (is_fold(value)) {
			if (has_text(value + 2))
				(void)buf_adds(text, "\r\n");
			value++;
		} else
			(void)buf_addc(text,
			    *value != '\t' && is_control(*value) ? ' '
								 : *value);
	}
}

static void
make_field(struct header_field *f, const char *name, size_t name_len,
    const char *value)
{
	struct buf text;

	buf_init(&text, HEADER_OUT_MAX);
	(void)buf_add(&text, name, name_len);
	(void)buf_adds(&text, ": ");
	add_clean_value(&text, value);
	set_field(f, &text);
}

void
header_prepend(struct header *h, const char *name, const char *value)
{
	make_field(make_place(h, 0), name, strlen(name), value);
}

void
header_append(struct header *h, const char *name, const char *value)
{
	make_field(make_place(h, h->count), name, strlen(name), value);
}

void
header_replace(struct header *h, size_t i, const char *value)
{
	struct header_field *f = &h->fields[i];
	char *old = f->text;

	make_field(f, old, f->name_len, value);
	free(old);
}

void
header_rename(struct header *h, size_t i, const char *name)
{
	struct header_field *f = &h->fields[i];
	struct buf text;

	buf_init(&text, HEADER_OUT_MAX);
	(void)buf_adds(&text, name);
	(void)buf_add(&text, f->text + f->name_len, f->len - f->name_len);
	free(f->text);
	set_field(f, &text);
}

void
header_remove(struct header *h, size_t i)
{
	free(h->fields[i].text);
	h->count--;
	memmove(&h->fields[i], &h->fields[i + 1],
	    (h->count - i) * sizeof(*h->fields));
}

size_t
header_remove_all(struct header *h, const char *name)
{
	size_t kept = 0, removed;

	for (size_t i = 0; i < h->count; i++) {
		if (header_is(h, i, name))
			free(h->fields[i].text);
		else
			h->fields[kept++] = h->fields[i];
	}
	removed = h->count - kept;
	h->count = kept;
	return removed;
}

static int
add_recipients(const struct header *h, size_t i, struct mailbox_list *list,
    struct error *err)
{
	size_t len;
	const char *value = header_raw_value(h, i, &len);

	if (address_parse_list(list, value, len, err) == 0)
		return 0;
	return error_prefix(
	    err, "%.*s", (int)h->fields[i].name_len, h->fields[i].text);
}

static const char *const resent_names[] = {
	"Resent-To",
	"Resent-Cc",
	"Resent-Bcc",
	"Resent-From",
	"Resent-Sender",
	"Resent-Date",
	"Resent-Message-ID",
};
#define RESENT_NAMES (sizeof(resent_names) / sizeof(resent_names[0]))
#define RESENT_RECIPIENTS 3u /* the first so many of them */

/* Which of the names field i has; RESENT_NAMES for none. */
static size_t
resent_name(const struct header *h, size_t i)
{
	size_t n = 0;

	while (n < RESENT_NAMES && !header_is(h, i, resent_names[n]))
		n++;
	return n;
}

/* It ends before a trace field, and before a name that was in it already:
 * each is once in a block. */
size_t
header_resent_end(const struct header *h)
{
	bool seen[RESENT_NAMES + 1] = { false };
	size_t end = 0, name;

	for (size_t i = 0; i < h->count; i++) {
		if (end > 0 && header_is(h, i, "Received"))
			break;
		if ((name = resent_name(h, i)) == RESENT_NAMES)
			continue;
		if (seen[name])
			break;
		seen[name] = true;
		end = i + 1;
	}
	return end;
}

int
header_recipients(
    const struct header *h, struct mailbox_list *list, struct error *err)
{
	bool resent = false;
	size_t end;

	for (size_t i = 0; i < h->count && !resent; i++)
		resent = resent_name(h, i) < RESENT_RECIPIENTS;
	end = resent ? header_resent_end(h) : 0;
	for (size_t i = 0; i < end; i++)
		if (resent_name(h, i) < RESENT_RECIPIENTS &&
		    add_recipients(h, i, list, err) == -1)
			return -1;
	for (size_t i = 0; i < h->count && !resent; i++)
		if ((header_is(h, i, "To") || header_is(h, i, "Cc") ||
			header_is(h, i, "Bcc")) &&
		    add_recipients(h, i, list, err) == -1)
			return -1;
	return 0;
}
