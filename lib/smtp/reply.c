#include "smtp/reply.h"

#include <ctype.h>
#include <sysexits.h>

#include "base/error.h"

void
reply_init(struct smtp_reply *r)
{
	*r = (struct smtp_reply){ .code = 0 };
	buf_init(&r->text, REPLY_TOTAL_MAX);
	buf_init(&r->lines, REPLY_TOTAL_MAX);
	buf_init(&r->partial, REPLY_LINE_MAX);
}

void
reply_release(struct smtp_reply *r)
{
	buf_release(&r->text);
	buf_release(&r->lines);
	buf_release(&r->partial);
	reply_init(r);
}

void
reply_clear(struct smtp_reply *r)
{
	buf_clear(&r->text);
	buf_clear(&r->lines);
	buf_clear(&r->partial);
	r->code = 0;
	r->status[0] = r->host[0] = r->session[0] = '\0';
	r->count = r->total = 0;
	r->whole = false;
}

/* Garbage is quoted as far as it is text. */
static int
not_smtp(struct error *err, const char *why, const char *line)
{
	char shown[200];

	strlcpy(shown, line, sizeof(shown));
	for (char *p = shown; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
			*p = '?';
	error_set(err, EX_TEMPFAIL, "4.5.0",
	    "the server sent something that is not SMTP (%s)%s%s", why,
	    *line != '\0' ? ": " : "", shown);
	return error_hint(err,
	    "check 'host' and 'port' in outpost.conf, and whether a proxy or "
	    "firewall answers in the server's place");
}

/* Can a reply's line begin so, as far as it goes? */
static bool
is_beginning(const char *line, size_t len)
{
	for (size_t i = 0; i < len && i < 3; i++)
		if (i == 0 ? line[i] < '2' || line[i] > '5'
			   : !isdigit((unsigned char)line[i]))
			return false;
	return len <= 3 || strchr(" -\r\n", line[3]) != NULL;
}

/* What others say first, or to somebody who speaks SMTP to them. */
static const struct {
	const char *beginning, *name;
} others[] = {
	{ "HTTP/", "a web server" },
	{ "<", "a web server" },
	{ "\x15\x03", "TLS from the first byte, as on port 465" },
	{ "\x16\x03", "TLS from the first byte, as on port 465" },
	{ "SSH-", "an SSH server" },
	{ "* ", "an IMAP server" },
	{ "+OK", "a POP3 server" },
};

/* Whose beginning is it? NULL where a few bytes more would tell. */
static const char *
what_it_is(const char *line, size_t len)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		size_t n = strlen(others[i].beginning);

		if (memcmp(line, others[i].beginning, len < n ? len : n) == 0)
			return len < n ? NULL : others[i].name;
	}
	return "no reply code";
}

size_t
reply_status_length(const char *text)
{
	size_t n = 1;

	if (text[0] != '2' && text[0] != '4' && text[0] != '5')
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;

		if (text[n++] != '.')
			return 0;
		while (digits < 4 && isdigit((unsigned char)text[n + digits]))
			digits++;
		if (digits < 1 || digits > 3)
			return 0;
		n += digits;
	}
	if (isalnum((unsigned char)text[n]) ||
	    (text[n] == '.' && isdigit((unsigned char)text[n + 1])))
		return 0;
	return n;
}

/* The same in a reply, where a blank or nothing follows. */
static size_t
status_length(const char *text)
{
	size_t n = reply_status_length(text);

	return text[n] == '\0' || text[n] == ' ' ? n : 0;
}

/* The text of a line without the status, which is kept from the first line
 * and dropped where a further line repeats it (RFC 2034 section 4). */
static const char *
take_status(struct smtp_reply *r, const char *text)
{
	size_t len = status_length(text);

	if (len == 0)
		return text;
	if (r->count == 0)
		strlcpy(r->status, text,
		    len < sizeof(r->status) ? len + 1 : sizeof(r->status));
	if (strlen(r->status) != len || strncmp(r->status, text, len) != 0)
		return text;
	text += len;
	return text + strspn(text, " ");
}

static void
add_text(struct smtp_reply *r, const char *line)
{
	const char *text = take_status(r, line);

	(void)buf_adds(&r->lines, line);
	(void)buf_addc(&r->lines, '\n');
	if (r->text.len > 0 && *text != '\0')
		(void)buf_addc(&r->text, ' ');
	(void)buf_adds(&r->text, text);
	r->count++;
}

static bool
is_session_id(const char *word, size_t len)
{
	if (len != 16)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)word[i]))
			return false;
	return true;
}

static void
keep(char *out, size_t size, const char *word, size_t len)
{
	strlcpy(out, word, len < size ? len + 1 : size);
}

/* A host's name has a letter in its last label, an address has none. */
static bool
is_host(const char *word, size_t len)
{
	size_t label = len;

	while (label > 0 && word[label - 1] != '.') {
		unsigned char c = (unsigned char)word[--label];

		if (!isalnum(c) && c != '-')
			return false;
	}
	return label > 0 && label < len && isalpha((unsigned char)word[label]);
}

/* What stands between the brackets: "Hostname=HOST", "HOST", "HOST TIME ID"
 * or "ID". False for anything else, which stays in the text. */
static bool
take_trailer(struct smtp_reply *r, const char *inside, size_t len)
{
	const char *last = inside + len;
	size_t first = strcspn(inside, " ]");

	if (len > 9 && strncasecmp(inside, "Hostname=", 9) == 0) {
		keep(r->host, sizeof(r->host), inside + 9, len - 9);
		return true;
	}
	if (is_session_id(inside, len)) {
		keep(r->session, sizeof(r->session), inside, len);
		return true;
	}
	if (!is_host(inside, first))
		return false;
	while (last > inside && last[-1] != ' ')
		last--;
	if (first < len && !is_session_id(last, len - (size_t)(last - inside)))
		return false;
	keep(r->host, sizeof(r->host), inside, first);
	if (first < len)
		keep(r->session, sizeof(r->session), last, 16);
	return true;
}

static void
split_trailer(struct smtp_reply *r)
{
	size_t open;

	while (r->text.len > 0 && r->text.data[r->text.len - 1] == ' ')
		(void)buf_splice(&r->text, r->text.len - 1, 1, NULL, 0);
	open = r->text.len;
	if (open < 3 || r->text.data[open - 1] != ']')
		return;
	while (open > 0 && r->text.data[open - 1] != '[')
		open--;
	if (open == 0 || (open > 1 && r->text.data[open - 2] != ' '))
		return;
	if (!take_trailer(r, r->text.data + open, r->text.len - 1 - open))
		return;
	open = open > 1 ? open - 2 : 0;
	(void)buf_splice(&r->text, open, r->text.len - open, NULL, 0);
}

/* One line without its end. 1 when it was the last one. */
static int
take_line(struct smtp_reply *r, const char *line, size_t len, struct error *err)
{
	const char *other;
	int code;

	if (memchr(line, '\0', len) != NULL)
		return not_smtp(err, "a NUL", "");
	if (len < 3 || !is_beginning(line, len)) {
		other = what_it_is(line, len);
		return not_smtp(
		    err, other != NULL ? other : "no reply code", line);
	}
	code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
	if (r->count > 0 && code != r->code)
		return not_smtp(err, "two codes in one reply", line);
	if (r->count == REPLY_LINES_MAX)
		return not_smtp(err, "too many lines in a reply", "");
	r->code = code;
	add_text(r, len > 3 ? line + 4 : "");
	if (len > 3 && line[3] == '-')
		return 0;
	split_trailer(r);
	r->whole = true;
	return 1;
}

/* Take one line's bytes, or what there is of it. */
static int
feed_line(struct smtp_reply *r, const char *bytes, size_t len, size_t *taken,
    struct error *err)
{
	const char *end = memchr(bytes, '\n', len), *other;
	size_t n = end != NULL ? (size_t)(end - bytes) + 1 : len;
	int result;

	*taken = n;
	r->total += n;
	if (r->total > REPLY_TOTAL_MAX)
		return not_smtp(err, "a reply too long", "");
	if (buf_add(&r->partial, bytes, n) == -1)
		return not_smtp(err, "a line too long", "");
	if (end == NULL) {
		if (is_beginning(r->partial.data, r->partial.len))
			return 0;
		/* Who speaks another protocol may never end a line. */
		other = what_it_is(r->partial.data, r->partial.len);
		return other == NULL ? 0
				     : not_smtp(err, other, r->partial.data);
	}
	n = r->partial.len - 1;
	if (n > 0 && r->partial.data[n - 1] == '\r')
		n--;
	r->partial.data[n] = '\0';
	result = take_line(r, r->partial.data, n, err);
	buf_clear(&r->partial);
	return result;
}

int
reply_feed(struct smtp_reply *r, const char *bytes, size_t len, size_t *used,
    struct error *err)
{
	size_t at = 0;

	while (at < len && !r->whole) {
		size_t taken;

		if (feed_line(r, bytes + at, len - at, &taken, err) == -1)
			return -1;
		at += taken;
	}
	if (!r->whole)
		return 0;
	*used = at;
	return 1;
}
