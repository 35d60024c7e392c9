#include "base/record.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"

#define VERSION " 1"

void
record_init(struct record *r)
{
	*r = (struct record){ .fields = NULL };
}

void
record_release(struct record *r)
{
	free(r->fields);
	freezero(r->text, r->text_len);
	record_init(r);
}

static void
append(struct record *r, char *key, char *value)
{
	if (r->count == r->room) {
		r->room = r->room == 0 ? 16 : r->room * 2;
		r->fields =
		    xreallocarray(r->fields, r->room, sizeof(*r->fields));
	}
	r->fields[r->count].key = key;
	r->fields[r->count].value = value;
	r->count++;
}

/* RECORD_KEY_MAX letters, digits, '-', '_' or '.'. */
static bool
is_key(const char *key, size_t len)
{
	if (len == 0 || len > RECORD_KEY_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)key[i]) && key[i] != '-' &&
		    key[i] != '_' && key[i] != '.')
			return false;
	return true;
}

static int
bad_line(size_t line, const char *what, struct error *err)
{
	return error_set(
	    err, EX_SOFTWARE, "5.3.5", "record line %zu: %s", line, what);
}

/* 'line' is NUL-ended and may be cut in two. */
static int
parse_field(struct record *r, char *line, size_t number, struct error *err)
{
	char *colon = strchr(line, ':');

	if (colon == NULL || !is_key(line, (size_t)(colon - line)))
		return bad_line(number, "is no 'key: value'", err);
	if (colon[1] != ' ')
		return bad_line(number, "has no blank after its colon", err);
	if (r->count >= RECORD_FIELDS_MAX)
		return bad_line(number, "is one too many", err);
	*colon = '\0';
	append(r, line, colon + 2);
	return 0;
}

static int
parse_first(const char *line, const char *type, struct error *err)
{
	static const char family[] = "outpost-";
	size_t skip = sizeof(family) - 1, len = strlen(type);

	if (strncmp(line, family, skip) != 0 ||
	    strncmp(line + skip, type, len) != 0 || line[skip + len] != ' ')
		return error_set(err, EX_SOFTWARE, "5.3.5",
		    "is not an outpost-%s record", type);
	if (strcmp(line + skip + len, VERSION) != 0)
		return error_set(err, EX_SOFTWARE, "5.3.5",
		    "is an outpost-%s record of a version that this program "
		    "does not know",
		    type);
	return 0;
}

static int
parse_lines(struct record *r, const char *type, struct error *err)
{
	char *next = r->text, *line;
	size_t number = 0;

	while (*next != '\0') {
		line = strsep(&next, "\n");
		number++;
		if (number == 1 ? parse_first(line, type, err) == -1
				: parse_field(r, line, number, err) == -1)
			return -1;
	}
	return 0;
}

int
record_parse(struct record *r, const char *type, const char *text, size_t len,
    struct error *err)
{
	struct record parsed;

	if (len > RECORD_TEXT_MAX)
		return error_set(err, EX_SOFTWARE, "5.3.4",
		    "record is larger than %u bytes", RECORD_TEXT_MAX);
	if (len == 0 || text[len - 1] != '\n')
		return error_set(
		    err, EX_SOFTWARE, "5.3.5", "record is empty or cut off");
	if (memchr(text, '\0', len) != NULL || memchr(text, '\r', len) != NULL)
		return error_set(
		    err, EX_SOFTWARE, "5.3.5", "record has a NUL or CR in it");
	record_init(&parsed);
	parsed.text = xstrndup(text, len);
	parsed.text_len = len;
	if (parse_lines(&parsed, type, err) == -1) {
		record_release(&parsed);
		return -1;
	}
	*r = parsed;
	return 0;
}

const char *
record_get(const struct record *r, const char *key)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->fields[i].key, key) == 0)
			return r->fields[i].value;
	return NULL;
}

int
record_get_number(const struct record *r, const char *key, long long min,
    long long max, long long *out)
{
	const char *value = record_get(r, key), *why;
	long long number;

	if (value == NULL)
		return -1;
	number = strtonum(value, min, max, &why);
	if (why != NULL)
		return -1;
	*out = number;
	return 0;
}

void
record_begin(struct buf *out, const char *type)
{
	(void)buf_addf(out, "outpost-%s" VERSION "\n", type);
}

void
record_put(struct buf *out, const char *key, const char *value)
{
	size_t start;

	(void)buf_addf(out, "%s: ", key);
	start = out->len;
	(void)buf_adds(out, value);
	for (char *p = out->data + start; p < out->data + out->len; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	(void)buf_addc(out, '\n');
}

void
record_put_number(struct buf *out, const char *key, long long value)
{
	char digits[32];

	(void)snprintf(digits, sizeof(digits), "%lld", value);
	record_put(out, key, digits);
}

void
record_put_error(struct buf *out, const struct error *err)
{
	record_put(out, "class", error_class_name(err->class));
	record_put_number(out, "exit", err->exit_code);
	record_put(out, "status", err->status);
	record_put_number(out, "retry_after", err->retry_after);
	record_put_number(out, "retry_cap", err->retry_cap);
	record_put_number(out, "uncertain", err->uncertain);
	record_put_number(out, "reply", err->reply);
	record_put(out, "text", err->text);
	record_put(out, "hint", err->hint);
}

int
record_get_error(const struct record *r, struct error *out)
{
	const char *class = record_get(r, "class");
	const char *status = record_get(r, "status");
	const char *text = record_get(r, "text");
	const char *hint = record_get(r, "hint");
	long long exit_code, retry_after = 0, retry_cap = 0, uncertain = 0;
	long long reply = 0;
	enum error_class parsed;

	if (class == NULL || error_class_parse(class, &parsed) == -1 ||
	    record_get_number(r, "exit", 0, 255, &exit_code) == -1 ||
	    text == NULL || (parsed == ERROR_NONE) != (exit_code == 0))
		return -1;
	(void)record_get_number(r, "retry_after", 0, UINT_MAX, &retry_after);
	(void)record_get_number(r, "retry_cap", 0, UINT_MAX, &retry_cap);
	(void)record_get_number(r, "uncertain", 0, 1, &uncertain);
	(void)record_get_number(r, "reply", 0, 599, &reply);
	error_set(
	    out, (int)exit_code, status != NULL ? status : "", "%s", text);
	error_hint(out, "%s", hint != NULL ? hint : "");
	error_class_set(out, parsed, (unsigned)retry_after);
	out->retry_cap = (unsigned)retry_cap;
	out->uncertain = uncertain == 1;
	out->reply = (int)reply;
	return 0;
}
