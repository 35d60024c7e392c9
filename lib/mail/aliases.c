#include "mail/aliases.h"

#include <ctype.h>
#include <stdarg.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"

#define INCLUDE ":include:"
#define INCLUDE_COST 4096u /* of looking for it, in bytes looked at */
#define WAY_MAX 1024u
#define PLACE_MAX 256 /* of a sentence: "path:line: " */

/* The value is kept as it is written: a list, looked at when needed. */
struct alias {
	char *name; /* unquoted */
	char *value;
	size_t line;
};

struct aliases {
	char *path;
	struct alias *items; /* by name, once all are there */
	size_t count;
	size_t room;
};

/* One expansion. */
struct expansion {
	const struct aliases *aliases;
	const struct aliases_rules *rules;
	struct mailbox_list *targets;
	size_t targets_before;
	const struct alias *path[ALIASES_DEPTH_MAX]; /* those that led here */
	size_t depth;
	bool *done;          /* by alias: its targets are there already */
	const char *include; /* the file that we are in, or NULL */
	size_t left_out;     /* … how much of it */
	size_t *left;        /* bytes that may still be looked at */
	size_t mistakes;
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
	free(a->path);
	free(a);
}

size_t
aliases_count(const struct aliases *a)
{
	return a->count;
}

void
aliases_sizes(const struct aliases *a, size_t *longest, size_t *total)
{
	*longest = *total = 0;
	for (size_t i = 0; i < a->count; i++) {
		size_t value = strlen(a->items[i].value);

		if (value > *longest)
			*longest = value;
		*total += strlen(a->items[i].name) + value;
	}
}

static void note_line(const struct aliases *, const struct aliases_rules *,
    size_t line, bool mistake, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void
note_line(const struct aliases *a, const struct aliases_rules *rules,
    size_t line, bool mistake, const char *format, ...)
{
	char text[ERROR_TEXT_SIZE - PLACE_MAX], sentence[ERROR_TEXT_SIZE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)snprintf(
	    sentence, sizeof(sentence), "%s:%zu: %s", a->path, line, text);
	rules->note(rules->arg, mistake, sentence);
}

/* The alias in whose list we are. */
static const struct alias *
current(const struct expansion *x)
{
	return x->path[x->depth - 1];
}

/* Of what an include holds is told how much was left out, never what. */
static void
leave_out(struct expansion *x, bool mistake, const char *what)
{
	if (mistake)
		x->mistakes++;
	if (x->include != NULL)
		x->left_out++;
	else
		note_line(x->aliases, x->rules, current(x)->line, mistake,
		    "alias '%s': %s", current(x)->name, what);
}

static int
by_name_and_line(const void *left, const void *right)
{
	const struct alias *a = left, *b = right;
	int order = strcasecmp(a->name, b->name);

	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* NULL when there is none of that name. */
static const struct alias *
search(const struct aliases *a, const char *name)
{
	size_t low = 0, high = a->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcasecmp(a->items[middle].name, name);

		if (order == 0)
			return &a->items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Takes both over. */
static void
add(struct aliases *a, char *name, char *value, size_t line)
{
	if (a->count == a->room) {
		a->room = a->room == 0 ? 32 : a->room * 2;
		a->items = xreallocarray(a->items, a->room, sizeof(*a->items));
	}
	a->items[a->count++] = (struct alias){ name, value, line };
}

/* Put them in order, each name once. Returns how many were left out. */
static size_t
sort(struct aliases *a, const struct aliases_rules *rules)
{
	size_t kept = 0, count = a->count;

	if (count > 1)
		qsort(a->items, count, sizeof(*a->items), by_name_and_line);
	for (size_t i = 0; i < count; i++) {
		struct alias *next = &a->items[i];

		if (kept == 0 ||
		    strcasecmp(a->items[kept - 1].name, next->name) != 0) {
			a->items[kept++] = *next;
			continue;
		}
		note_line(a, rules, next->line, true,
		    "alias '%s' stands in line %zu already", next->name,
		    a->items[kept - 1].line);
		free(next->name);
		free(next->value);
	}
	a->count = kept;
	return count - kept;
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
take_entry(struct aliases *a, size_t line, const char *entry, size_t len,
    const struct aliases_rules *rules)
{
	size_t colon = find_unquoted(entry, len, ':');
	const char *value = entry + colon + 1;
	char *name;

	while (len > 0 && isspace((unsigned char)entry[len - 1]))
		len--;
	if (len == 0)
		return 0;
	name = unquote(entry, colon < len ? colon : len);
	if (colon >= len || *name == '\0') {
		note_line(a, rules, line, true, "this is no 'name: address'");
		free(name);
		return -1;
	}
	if (is_blank(value, (size_t)(entry + len - value))) {
		note_line(
		    a, rules, line, true, "alias '%s' leads nowhere", name);
		free(name);
		return -1;
	}
	while (isspace((unsigned char)*value))
		value++;
	add(a, name, xstrndup(value, (size_t)(entry + len - value)), line);
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

	a->path = xstrdup(path);
	/* Each line ends in a blank here. */
	buf_init(&entry, len + 1);
	while (at < len) {
		const char *start = text + at;
		size_t n = next_line(text, len, &at);
		bool continues = n > 0 && (*start == ' ' || *start == '\t');

		line++;
		if (memchr(start, '\0', n) != NULL) {
			note_line(a, rules, line, true, "this is no text");
			left_out++;
			continue;
		}
		if (is_blank(start, n) || *start == '#')
			continue;
		if (!continues) {
			if (take_entry(
				a, first, entry.data, entry.len, rules) == -1)
				left_out++;
			buf_clear(&entry);
		}
		if (entry.len == 0)
			first = line;
		(void)buf_add(&entry, start, n);
		(void)buf_addc(&entry, ' ');
	}
	if (take_entry(a, first, entry.data, entry.len, rules) == -1)
		left_out++;
	buf_release(&entry);
	return left_out + sort(a, rules);
}

/* "alias www-data, alias root": what led here. */
static char *
way(const struct expansion *x)
{
	struct buf text;

	if (x->depth == 0)
		return NULL;
	buf_init(&text, WAY_MAX);
	for (size_t i = 0; i < x->depth; i++)
		(void)buf_addf(
		    &text, "%salias %s", i > 0 ? ", " : "", x->path[i]->name);
	return buf_steal(&text);
}

static int
add_target(struct expansion *x, struct mailbox *mailbox)
{
	if (x->depth > 0 &&
	    x->targets->count - x->targets_before == ADDRESS_COUNT_MAX) {
		mailbox_release(mailbox);
		error_set(x->err, EX_CONFIG, "5.3.0",
		    "%s:%zu: alias '%s' leads to more than %u addresses",
		    x->aliases->path, x->path[0]->line, x->path[0]->name,
		    ADDRESS_COUNT_MAX);
		return error_hint(x->err, "make it shorter");
	}
	free(mailbox->display);
	mailbox->display = way(x);
	mailbox_list_add(x->targets, mailbox);
	return 0;
}

/* A local name that is not looked up (again). */
static int
add_local(struct expansion *x, const char *name)
{
	struct mailbox mailbox;

	mailbox_init(&mailbox);
	mailbox.local = xstrdup(name);
	return add_target(x, &mailbox);
}

/* The alias for a name, else for what stands before its '+'. */
static const struct alias *
find(const struct aliases *a, const char *name)
{
	const struct alias *found = search(a, name);
	const char *plus = strchr(name, '+');
	char *base;

	if (found == NULL && plus != NULL && plus != name) {
		base = xstrndup(name, (size_t)(plus - name));
		found = search(a, base);
		free(base);
	}
	return found;
}

/* Can mail be sent there? */
static bool
is_sendable(const struct mailbox *mailbox)
{
	char *address = mailbox_address(mailbox);
	bool safe = address_smtp_safe(address, NULL, NULL) == 0;

	free(address);
	return safe;
}

static int
expand_address(struct expansion *x, const char *text)
{
	bool final = *text == '\\';
	struct mailbox mailbox;
	int result = 0;

	if (address_parse_one(&mailbox, text + final, NULL) == -1) {
		leave_out(x, true, "left out what is no address");
		return 0;
	}
	if (!x->rules->is_local(x->rules->arg, &mailbox)) {
		if (is_sendable(&mailbox))
			return add_target(x, &mailbox);
		leave_out(x, true, "left out what is no address");
	} else if (final)
		result = add_local(x, mailbox.local);
	else
		result = expand_name(x, mailbox.local);
	mailbox_release(&mailbox);
	return result;
}

/* Many names in one message may each lead to long lists. */
static int
spend(struct expansion *x, size_t len)
{
	if (len <= *x->left) {
		*x->left -= len;
		return 0;
	}
	error_set(x->err, EX_CONFIG, "5.3.0",
	    "%s: the aliases of one message are more than can be looked at",
	    x->aliases->path);
	return error_hint(x->err,
	    "make lists and includes shorter, or send several messages");
}

static int expand_list(struct expansion *, const char *, size_t);

/* Nobody shall miss mail for a list that cannot be read: it goes where mail
 * of names without alias goes. */
static int
leave_out_include(struct expansion *x, const char *why)
{
	const struct alias *alias = current(x);

	note_line(x->aliases, x->rules, alias->line, false,
	    "alias '%s': %s; its mail goes where that of names without alias "
	    "goes",
	    alias->name, why);
	return add_local(x, alias->name);
}

static int
expand_lines(struct expansion *x, const struct buf *text)
{
	size_t at = 0;

	while (at < text->len) {
		const char *line = text->data + at;
		size_t n = next_line(text->data, text->len, &at);

		if (n > 0 && *line != '#' && expand_list(x, line, n) == -1)
			return -1;
	}
	return 0;
}

/* Whose file it is may be another's than the aliases' owner's, who must not be
 * able to hold mail up: where its lists lead round or to too many, none of them
 * counts. */
static int
expand_included(struct expansion *x, const char *path, const struct buf *text)
{
	size_t before = x->targets->count, names = x->aliases->count;
	bool *done = xmalloc(names + 1);
	struct error why, *err = x->err;
	int result;

	memcpy(done, x->done, names);
	x->include = path;
	x->left_out = 0;
	x->err = &why;
	result = expand_lines(x, text);
	x->err = err;
	x->include = NULL;
	if (result == -1) {
		mailbox_list_cut(x->targets, before);
		memcpy(x->done, done, names);
		result = leave_out_include(x, why.text);
	} else if (x->left_out > 0)
		note_line(x->aliases, x->rules, current(x)->line, false,
		    "alias '%s': left out %zu in '%s' that are no addresses",
		    current(x)->name, x->left_out, path);
	free(done);
	return result;
}

/* Its content is never shown: the file may be one that the reader of an
 * error has no right to. */
static int
expand_include(struct expansion *x, const char *path)
{
	struct buf text;
	struct error why;
	int result;

	if (x->include != NULL)
		return leave_out_include(
		    x, "an include within an include is not read");
	if (spend(x, INCLUDE_COST) == -1)
		return -1;
	buf_init(&text, ALIASES_FILE_MAX);
	if (x->rules->include(x->rules->arg, path, &text, &why) == -1)
		result = leave_out_include(x, why.text);
	else
		result = expand_included(x, path, &text);
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
		leave_out(x, false,
		    *text == '|' ? "left out a program, which mail is not "
				   "delivered to here"
				 : "left out a file, which mail is not "
				   "delivered to here");
	else if (strncasecmp(text, INCLUDE, sizeof(INCLUDE) - 1) == 0)
		result = expand_include(
		    x, text + sizeof(INCLUDE) - 1 +
			   strspn(text + sizeof(INCLUDE) - 1, " \t"));
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
expand_list(struct expansion *x, const char *list, size_t len)
{
	if (spend(x, len) == -1)
		return -1;
	while (len > 0) {
		size_t item = find_unquoted(list, len, ',');

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
loops(struct expansion *x, const struct alias *alias)
{
	error_set(x->err, EX_CONFIG, "5.4.6",
	    "%s:%zu: alias '%s' leads back to '%s'", x->aliases->path,
	    current(x)->line, current(x)->name, alias->name);
	return error_hint(x->err, "let one of them lead to an address");
}

/* Go on to an alias, unless that leads round or on for ever. */
static int
enter(struct expansion *x, const struct alias *alias)
{
	for (size_t i = 0; i < x->depth; i++)
		if (x->path[i] == alias)
			return loops(x, alias);
	if (x->depth < ALIASES_DEPTH_MAX) {
		x->path[x->depth++] = alias;
		return 0;
	}
	error_set(x->err, EX_CONFIG, "5.4.6",
	    "%s:%zu: alias '%s' stands behind %u others", x->aliases->path,
	    alias->line, alias->name, ALIASES_DEPTH_MAX);
	return error_hint(x->err, "let them lead to an address directly");
}

static int
expand_name(struct expansion *x, const char *name)
{
	const struct alias *alias = find(x->aliases, name);
	int result;

	if (alias == NULL || (x->depth > 0 && alias == current(x)))
		return add_local(x, name);
	if (x->done[alias - x->aliases->items])
		return 0;
	if (enter(x, alias) == -1)
		return -1;
	result = expand_list(x, alias->value, strlen(alias->value));
	x->depth--;
	x->done[alias - x->aliases->items] = true;
	return result;
}

static void
expansion_begin(struct expansion *x, const struct aliases *a,
    const struct aliases_rules *rules, struct mailbox_list *targets,
    struct error *err)
{
	*x = (struct expansion){
		.aliases = a,
		.rules = rules,
		.targets = targets,
		.targets_before = targets->count,
		.done = xcalloc(a->count + 1, sizeof(bool)),
		.left = rules->left,
		.err = err,
	};
}

int
aliases_expand(const struct aliases *a, const char *name,
    const struct aliases_rules *rules, struct mailbox_list *targets,
    struct error *err)
{
	struct expansion x;
	int result;

	expansion_begin(&x, a, rules, targets, err);
	result = expand_name(&x, name);
	if (result == 0 && targets->count == x.targets_before)
		result = add_local(&x, name);
	if (result == -1)
		mailbox_list_cut(targets, x.targets_before);
	free(x.done);
	return result;
}

static int
by_line(const void *left, const void *right)
{
	const struct alias *const *a = left, *const *b = right;

	return ((*a)->line > (*b)->line) - ((*a)->line < (*b)->line);
}

int
aliases_check(const struct aliases *a, const struct aliases_rules *rules,
    size_t *mistakes, struct error *err)
{
	const struct alias **order =
	    xcalloc(a->count + 1, sizeof(const struct alias *));
	struct mailbox_list targets;
	struct expansion x;
	int result = 0;

	mailbox_list_init(&targets);
	expansion_begin(&x, a, rules, &targets, err);
	for (size_t i = 0; i < a->count; i++)
		order[i] = &a->items[i];
	if (a->count > 1)
		qsort(order, a->count, sizeof(const struct alias *), by_line);
	for (size_t i = 0; i < a->count && result == 0; i++) {
		result = expand_name(&x, order[i]->name);
		mailbox_list_cut(&targets, 0);
	}
	mailbox_list_release(&targets);
	free(order);
	free(x.done);
	*mistakes = x.mistakes;
	return result;
}
