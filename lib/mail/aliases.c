#include "mail/aliases.h"

#include <ctype.h>
#include <stdarg.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"

#define INCLUDE ":include:"

/* The value is kept as it is written: a list, looked at when needed. */
struct alias {
	char *name; /* unquoted */
	char *value;
};

struct aliases {
	struct alias *items; /* by name */
	size_t count;
	size_t room;
};

/* One expansion, or one reading of a file. */
struct expansion {
	const struct aliases *aliases;
	const struct aliases_rules *rules;
	struct mailbox_list *targets;
	const char *names[ALIASES_DEPTH_MAX]; /* those that led here */
	size_t depth;
	bool *done;    /* by alias: its targets are there already */
	bool included; /* inside an include: no further one */
	struct error *err;
};

static int expand_name(struct expansion *, const char *name);

struct aliases *
aliases_new(void)
{
	return xcalloc(1, sizeof(struct aliases));
}

void
aliases_free(struct aliases *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->count; i++) {
		free(a->items[i].name);
		free(a->items[i].value);
	}
	free(a->items);
	free(a);
}

size_t
aliases_count(const struct aliases *a)
{
	return a->count;
}

static void leave_out(const struct aliases_rules *rules, const char *format,
    ...) __attribute__((format(printf, 2, 3)));

static void
leave_out(const struct aliases_rules *rules, const char *format, ...)
{
	char sentence[ERROR_TEXT_SIZE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	rules->note(rules->arg, sentence);
}

/* Where 'name' is, or where it belongs; '*found' tells. */
static size_t
search(const struct aliases *a, const char *name, bool *found)
{
	size_t low = 0, high = a->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcasecmp(a->items[middle].name, name);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Takes both over. -1 when the name is there. */
static int
insert(struct aliases *a, char *name, char *value)
{
	bool found;
	size_t at = search(a, name, &found);

	if (found) {
		free(name);
		free(value);
		return -1;
	}
	if (a->count == a->room) {
		a->room = a->room == 0 ? 32 : a->room * 2;
		a->items = xreallocarray(a->items, a->room, sizeof(*a->items));
	}
	memmove(a->items + at + 1, a->items + at,
	    (a->count - at) * sizeof(*a->items));
	a->items[at] = (struct alias){ name, value };
	a->count++;
	return 0;
}

/* Copy without quotes and what they quote with backslashes; blanks around
 * are dropped. */
static char *
unquote(const char *text, size_t len)
{
	char *out = xmalloc(len + 1);
	bool quoted = false;
	size_t n = 0;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++) {
		if (n == 0 && !quoted && isspace((unsigned char)text[i]))
			continue;
		if (text[i] == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && text[i] == '\\' && i + 1 < len)
			i++;
		out[n++] = text[i];
	}
	out[n] = '\0';
	return out;
}

/* The first 'mark' outside quotes, or 'len'. */
static size_t
find_unquoted(const char *text, size_t len, char mark)
{
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && text[i] == mark)
			return i;
	}
	return len;
}

static bool
is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isspace((unsigned char)text[i]))
			return false;
	return true;
}

/* "name: value" of a whole entry, its continued lines joined. */
static int
take_entry(struct aliases *a, const char *path, size_t line, const char *entry,
    size_t len, const struct aliases_rules *rules)
{
	size_t colon = find_unquoted(entry, len, ':');
	char *name;

	if (is_blank(entry, len))
		return 0;
	name = unquote(entry, colon);
	if (colon == len || *name == '\0') {
		leave_out(rules, "%s:%zu: is no 'name: value'", path, line);
		free(name);
		return -1;
	}
	if (is_blank(entry + colon + 1, len - colon - 1)) {
		leave_out(rules, "%s:%zu: '%s' goes nowhere", path, line, name);
		free(name);
		return -1;
	}
	if (insert(a, name, xstrndup(entry + colon + 1, len - colon - 1)) ==
	    -1) {
		leave_out(rules, "%s:%zu: its name stood further up already",
		    path, line);
		return -1;
	}
	return 0;
}

/* The next line without its end; '*at' moves behind it. */
static size_t
next_line(const char *text, size_t len, size_t *at)
{
	const char *end = memchr(text + *at, '\n', len - *at);
	size_t start = *at, stop = end == NULL ? len : (size_t)(end - text);

	*at = end == NULL ? len : stop + 1;
	if (stop > start && text[stop - 1] == '\r')
		stop--;
	return stop - start;
}

size_t
aliases_parse(struct aliases *a, const char *path, const char *text, size_t len,
    const struct aliases_rules *rules)
{
	size_t at = 0, line = 0, first = 0, left_out = 0;
	struct buf entry;

	buf_init(&entry, ALIASES_FILE_MAX + 1);
	while (at < len) {
		const char *start = text + at;
		size_t n = next_line(text, len, &at);
		bool continues = n > 0 && (*start == ' ' || *start == '\t');

		line++;
		if (is_blank(start, n) || *start == '#' ||
		    memchr(start, '\0', n) != NULL)
			continue;
		if (!continues) {
			if (take_entry(a, path, first, entry.data, entry.len,
				rules) == -1)
				left_out++;
			buf_clear(&entry);
			first = line;
		}
		(void)buf_add(&entry, start, n);
		(void)buf_addc(&entry, ' ');
	}
	if (take_entry(a, path, first, entry.data, entry.len, rules) == -1)
		left_out++;
	buf_release(&entry);
	return left_out;
}

static void
add_target(struct expansion *x, struct mailbox *mailbox)
{
	mailbox_list_add(x->targets, mailbox);
}

/* A local name that is not looked up (again). */
static void
add_local(struct expansion *x, const char *name)
{
	struct mailbox mailbox;

	mailbox_init(&mailbox);
	mailbox.local = xstrdup(name);
	add_target(x, &mailbox);
}

/* The alias for a name, else for what stands before its '+'. */
static const struct alias *
find(const struct aliases *a, const char *name)
{
	bool found;
	size_t at = search(a, name, &found);
	const char *plus = strchr(name, '+');
	char *base;

	if (!found && plus != NULL && plus != name) {
		base = xstrndup(name, (size_t)(plus - name));
		at = search(a, base, &found);
		free(base);
	}
	return found ? &a->items[at] : NULL;
}

static int
expand_address(struct expansion *x, const char *text)
{
	struct mailbox mailbox;
	int result = 0;

	if (*text == '\\') {
		add_local(x, text + 1);
		return 0;
	}
	if (address_parse_one(&mailbox, text, NULL) == -1) {
		leave_out(x->rules, "alias '%s': left out what is no address",
		    x->names[0]);
		return 0;
	}
	if (!x->rules->is_local(x->rules->arg, &mailbox)) {
		add_target(x, &mailbox);
		return 0;
	}
	result = expand_name(x, mailbox.local);
	mailbox_release(&mailbox);
	return result;
}

static int expand_list(struct expansion *, const char *, size_t, char mark);

/* Its content is never shown: the file may be one that the reader of an
 * error has no right to. */
static int
expand_include(struct expansion *x, const char *path)
{
	size_t at = 0;
	struct buf text;
	int result = -1;

	if (x->included) {
		leave_out(x->rules,
		    "alias '%s': left out an include within an "
		    "include",
		    x->names[0]);
		return 0;
	}
	buf_init(&text, ALIASES_FILE_MAX);
	if (x->rules->include(x->rules->arg, path, &text, x->err) == -1)
		goto out;
	x->included = true;
	result = 0;
	while (at < text.len && result == 0) {
		const char *line = text.data + at;
		size_t n = next_line(text.data, text.len, &at);

		if (n > 0 && *line != '#')
			result = expand_list(x, line, n, ',');
	}
	x->included = false;
out:
	buf_release(&text);
	return result;
}

/* One member of a list. */
static int
expand_item(struct expansion *x, const char *item, size_t len)
{
	char *text;
	int result = 0;

	while (len > 0 && isspace((unsigned char)*item)) {
		item++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)item[len - 1]))
		len--;
	if (len == 0)
		return 0;
	text = unquote(item, len);
	if (*text == '|' || *text == '/')
		leave_out(x->rules,
		    "alias '%s': left out a %s, which mail is not "
		    "delivered to here",
		    x->names[0], *text == '|' ? "program" : "file");
	else if (strncasecmp(text, INCLUDE, sizeof(INCLUDE) - 1) == 0)
		result = expand_include(x, text + sizeof(INCLUDE) - 1);
	else {
		/* The quotes of an address are its own. */
		free(text);
		text = xstrndup(item, len);
		result = expand_address(x, text);
	}
	free(text);
	return result;
}

static int
expand_list(struct expansion *x, const char *list, size_t len, char mark)
{
	while (len > 0) {
		size_t item = find_unquoted(list, len, mark);

		if (expand_item(x, list, item) == -1)
			return -1;
		if (item == len)
			break;
		list += item + 1;
		len -= item + 1;
	}
	return 0;
}

static int
loops(struct expansion *x, const char *name)
{
	error_set(x->err, EX_CONFIG, "5.4.6",
	    "the aliases of '%s' lead back to '%s'", x->names[0], name);
	return error_hint(x->err, "mend it in the file of aliases");
}

static int
expand_name(struct expansion *x, const char *name)
{
	const struct alias *alias = find(x->aliases, name);
	int result;

	if (alias != NULL && x->done[alias - x->aliases->items])
		return 0;
	if (alias == NULL || (x->depth > 0 && strcasecmp(x->names[x->depth - 1],
						  alias->name) == 0)) {
		add_local(x, name);
		return 0;
	}
	for (size_t i = 0; i < x->depth; i++)
		if (strcasecmp(x->names[i], alias->name) == 0)
			return loops(x, name);
	if (x->depth == ALIASES_DEPTH_MAX)
		return loops(x, name);
	x->names[x->depth++] = alias->name;
	result = expand_list(x, alias->value, strlen(alias->value), ',');
	x->depth--;
	x->done[alias - x->aliases->items] = true;
	return result;
}

int
aliases_expand(const struct aliases *a, const char *name,
    const struct aliases_rules *rules, struct mailbox_list *targets,
    struct error *err)
{
	struct expansion x = {
		.aliases = a,
		.rules = rules,
		.targets = targets,
		.done = xcalloc(a->count + 1, sizeof(bool)),
		.err = err,
	};
	size_t before = targets->count;
	int result = expand_name(&x, name);

	if (result == -1)
		mailbox_list_cut(targets, before);
	free(x.done);
	return result;
}
