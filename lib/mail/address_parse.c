/* The reading half of address.h: one pass over the text by tokens; what is
 * found is told to a visitor, which keeps it or copies around it. */
#include "mail/address.h"

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address_syntax.h"
#include "mail/encoded_word.h"
#include "mail/idn.h"
#include "mail/utf8.h"

enum token_kind {
	TOKEN_END,
	TOKEN_ATOM,
	TOKEN_QUOTED,  /* with its quotes */
	TOKEN_LITERAL, /* with its brackets */
	TOKEN_ENCODED, /* an encoded word with specials in it */
	TOKEN_SPECIAL,
};

struct token {
	enum token_kind kind;
	char special; /* of TOKEN_SPECIAL */
	bool spaced;  /* a blank or comment is before it */
	size_t at;
	size_t len;
};

/* What is told of each mailbox and each group's name, with its place. */
struct visitor {
	int (*mailbox)(void *arg, struct mailbox *, size_t from, size_t to,
	    struct error *);
	void (*group)(void *arg, size_t from, size_t to);
	void *arg;
};

struct parser {
	const char *text;
	size_t len;
	size_t at;
	struct token token;  /* the one to be looked at */
	size_t token_end;    /* of the one before it */
	size_t comment_at;   /* the last comment of this mailbox … */
	size_t comment_end;  /* … 0 if there was none */
	struct token *words; /* of this mailbox, '.' and '@' too */
	size_t count;
	size_t room;
	size_t found;
	bool in_group;
	bool need_angle; /* the comma before was missing */
	const struct visitor *visitor;
	struct error *err;
};

static int
syntax_error(struct parser *p, size_t at, const char *what)
{
	bool end = at == p->len;
	size_t from = end ? 0 : at;
	size_t len = p->len - from;

	if (len > 60)
		len = 60;
	return error_set(p->err, EX_DATAERR, "5.1.3",
	    "bad address: %s %s '%.*s'", what, end ? "in" : "at", (int)len,
	    p->text + from);
}

/* A line end that folds has a blank after it, RFC 5322 section 2.2.3. */
static bool
is_fold(const struct parser *p, size_t at)
{
	if (p->text[at] == '\r')
		return at + 1 < p->len && p->text[at + 1] == '\n' &&
		       is_fold(p, at + 1);
	return at + 1 < p->len &&
	       (p->text[at + 1] == ' ' || p->text[at + 1] == '\t');
}

/* Is the character here one that may be nowhere: a control, a line end? */
static bool
is_forbidden(const struct parser *p, size_t at)
{
	char c = p->text[at];

	if (c == '\r' || c == '\n')
		return !is_fold(p, at);
	return c != '\t' && is_control(c);
}

static int
skip_comment(struct parser *p)
{
	size_t from = p->at;
	unsigned depth = 0;

	do {
		if (p->at >= p->len)
			return syntax_error(p, from, "unclosed comment");
		if (is_forbidden(p, p->at))
			return syntax_error(p, from, "control character");
		switch (p->text[p->at]) {
		case '\\':
			p->at++;
			break;
		case '(':
			if (++depth > ADDRESS_COMMENT_DEPTH)
				return syntax_error(
				    p, from, "comments nested too deeply");
			break;
		case ')':
			depth--;
			break;
		}
		p->at++;
	} while (depth > 0);
	if (p->at > p->len)
		return syntax_error(p, from, "unclosed comment");
	p->comment_at = from;
	p->comment_end = p->at;
	return 0;
}

/* Find the end of a quoted string or a domain literal. */
static int
scan_delimited(struct parser *p, char close, const char *unclosed)
{
	size_t from = p->at++;

	while (p->at < p->len && p->text[p->at] != close) {
		if (is_forbidden(p, p->at))
			return syntax_error(p, from, "control character");
		if (p->text[p->at] == '\\')
			p->at++;
		p->at++;
	}
	if (p->at >= p->len)
		return syntax_error(p, from, unclosed);
	p->at++;
	return 0;
}

/* Some programs leave specials unencoded in an encoded word. */
static void
scan_atom(struct parser *p)
{
	size_t from = p->at;
	size_t encoded = encoded_word_length(p->text + from, p->len - from);

	while (p->at < p->len && is_atext(p->text[p->at]))
		p->at++;
	p->token.kind = TOKEN_ATOM;
	if (p->at - from < encoded) {
		p->token.kind = TOKEN_ENCODED;
		p->at = from + encoded;
	}
}

static int
scan_token(struct parser *p)
{
	char c = p->text[p->at];

	if (c == '"') {
		p->token.kind = TOKEN_QUOTED;
		return scan_delimited(p, '"', "unclosed quote");
	}
	if (c == '[') {
		p->token.kind = TOKEN_LITERAL;
		return scan_delimited(p, ']', "unclosed bracket");
	}
	if (is_atext(c)) {
		scan_atom(p);
		return 0;
	}
	if (is_control(c))
		return syntax_error(p, p->at, "control character");
	if (strchr(")]\\", c) != NULL)
		return syntax_error(p, p->at, "unexpected character");
	p->token.kind = TOKEN_SPECIAL;
	p->token.special = c;
	p->at++;
	return 0;
}

static int
next_token(struct parser *p)
{
	p->token_end = p->token.at + p->token.len;
	p->token = (struct token){ .kind = TOKEN_END };
	while (p->at < p->len) {
		if (p->text[p->at] == '(') {
			if (skip_comment(p) == -1)
				return -1;
		} else if (is_blank(p->text[p->at]) && !is_forbidden(p, p->at))
			p->at++;
		else
			break;
		p->token.spaced = true;
	}
	p->token.at = p->at;
	if (p->at < p->len && scan_token(p) == -1)
		return -1;
	p->token.len = p->at - p->token.at;
	return 0;
}

static bool
is_special(const struct token *t, char c)
{
	return t->kind == TOKEN_SPECIAL && t->special == c;
}

static int
push_word(struct parser *p)
{
	if (p->count == p->room) {
		p->room = p->room == 0 ? 16 : p->room * 2;
		p->words = xreallocarray(p->words, p->room, sizeof(*p->words));
	}
	p->words[p->count++] = p->token;
	return next_token(p);
}

/* Words with the dots and '@' among them, up to another special. */
static int
collect_words(struct parser *p)
{
	while (p->token.kind != TOKEN_END) {
		if (p->token.kind == TOKEN_SPECIAL && p->token.special != '.' &&
		    p->token.special != '@')
			break;
		if (push_word(p) == -1)
			return -1;
	}
	return 0;
}

/* What stands within quotes or parentheses: without folds and backslashes. */
static void
add_unquoted(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\r' || text[i] == '\n')
			continue;
		if (text[i] == '\\' && i + 1 < len)
			i++;
		(void)buf_addc(out, is_control(text[i]) ? ' ' : text[i]);
	}
}

static void
add_token(struct buf *out, const struct parser *p, const struct token *t)
{
	if (t->kind == TOKEN_QUOTED)
		add_unquoted(out, p->text + t->at + 1, t->len - 2);
	else
		(void)buf_add(out, p->text + t->at, t->len);
}

/* The name: 'count' words before '<', or else a comment, which then belongs to
 * the mailbox: it ends at '*end' at least. */
static void
set_display(struct parser *p, struct mailbox *m, size_t count, size_t *end)
{
	struct buf b;

	buf_init(&b, ADDRESS_TEXT_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct token *t = &p->words[i];

		if (i > 0 && t->spaced)
			(void)buf_addc(&b, ' ');
		add_token(&b, p, t);
		if (is_special(t, '@') || t->kind == TOKEN_LITERAL ||
		    t->kind == TOKEN_ENCODED)
			m->obsolete = true;
	}
	if (b.len == 0 && p->comment_end > 0) {
		add_unquoted(&b, p->text + p->comment_at + 1,
		    p->comment_end - p->comment_at - 2);
		m->obsolete = true;
		if (*end < p->comment_end)
			*end = p->comment_end;
	}
	m->display = address_take_trimmed(&b);
}

/* The local part from word '*i' on: words with dots between. Dots at the ends
 * or in a row are not legal, but some addresses in use have them. */
static int
parse_local(struct parser *p, size_t *i, struct mailbox *m)
{
	struct buf b;
	bool word_before = false;
	size_t n;

	buf_init(&b, ADDRESS_TEXT_MAX);
	for (n = *i; n < p->count; n++) {
		const struct token *t = &p->words[n];
		bool dot = is_special(t, '.');

		if (!dot && (word_before || (t->kind != TOKEN_ATOM &&
						t->kind != TOKEN_QUOTED)))
			break;
		add_token(&b, p, t);
		word_before = !dot;
	}
	if (n == *i) {
		buf_release(&b);
		return syntax_error(
		    p, n < p->count ? p->words[n].at : p->len, "no local part");
	}
	*i = n;
	m->local = buf_steal(&b);
	return 0;
}

/* The domain from word '*i' on: a literal, or atoms with dots between. A dot
 * at the end says that it is absolute, which it is anyway. */
static int
parse_domain(struct parser *p, size_t *i, struct mailbox *m)
{
	size_t n = *i;
	char *ascii;
	struct buf b;

	buf_init(&b, ADDRESS_TEXT_MAX);
	if (n < p->count && p->words[n].kind == TOKEN_LITERAL)
		add_token(&b, p, &p->words[n++]);
	else
		while (n < p->count && p->words[n].kind == TOKEN_ATOM) {
			if (b.len > 0)
				(void)buf_addc(&b, '.');
			add_token(&b, p, &p->words[n++]);
			if (n == p->count || !is_special(&p->words[n], '.'))
				break;
			n++;
		}
	if (b.len == 0) {
		buf_release(&b);
		return syntax_error(p, n < p->count ? p->words[n].at : p->len,
		    "no domain after '@'");
	}
	*i = n;
	m->domain = buf_steal(&b);
	if (utf8_has_8bit(m->domain, strlen(m->domain)) &&
	    (ascii = idn_to_ascii(m->domain)) != NULL) {
		free(m->domain);
		m->domain = ascii;
		m->idn = true;
	}
	return 0;
}

static int
parse_addr_spec(struct parser *p, size_t *i, struct mailbox *m)
{
	if (parse_local(p, i, m) == -1)
		return -1;
	if (*i == p->count || !is_special(&p->words[*i], '@'))
		return 0;
	++*i;
	return parse_domain(p, i, m);
}

/* Tell the visitor, who may take the strings. */
static int
found(struct parser *p, struct mailbox *m, size_t from, size_t to)
{
	int result;

	if (++p->found > ADDRESS_COUNT_MAX) {
		mailbox_release(m);
		return error_set(p->err, EX_DATAERR, "5.5.3",
		    "more than %u addresses in a list", ADDRESS_COUNT_MAX);
	}
	result = p->visitor->mailbox(p->visitor->arg, m, from, to, p->err);
	mailbox_release(m);
	return result;
}

static size_t
words_end(const struct parser *p, size_t count)
{
	const struct token *last = &p->words[count - 1];

	return last->at + last->len;
}

/* Words without '<': one address; or several, each with a domain and a blank
 * before it, for which the commas are missing. */
static int
parse_plain(struct parser *p)
{
	struct mailbox m;
	size_t i = 0, from, end;

	if (p->need_angle)
		return syntax_error(p, p->words[0].at, "missing comma");
	while (i < p->count) {
		mailbox_init(&m);
		from = i;
		if (parse_addr_spec(p, &i, &m) == -1) {
			mailbox_release(&m);
			return -1;
		}
		if ((i < p->count || from > 0) &&
		    (m.domain == NULL ||
			(i < p->count && !p->words[i].spaced))) {
			mailbox_release(&m);
			return syntax_error(p, p->words[from].at,
			    "more than one word in an address");
		}
		end = words_end(p, i);
		if (i == p->count)
			set_display(p, &m, 0, &end);
		if (found(p, &m, p->words[from].at, end) == -1)
			return -1;
	}
	return 0;
}

/* "@a,@b:" before an address, RFC 5322 section 4.4: dropped. */
static int
skip_route(struct parser *p, bool *obsolete)
{
	size_t from = p->token.at;

	if (!is_special(&p->token, '@'))
		return 0;
	while (!is_special(&p->token, ':')) {
		if (p->token.kind == TOKEN_END ||
		    (p->token.kind == TOKEN_SPECIAL &&
			strchr("@,.", p->token.special) == NULL))
			return syntax_error(p, from, "bad route");
		if (next_token(p) == -1)
			return -1;
	}
	*obsolete = true;
	return next_token(p);
}

/* From '<' on; the words before it are the name. */
static int
parse_angle(struct parser *p, size_t from)
{
	size_t names = p->count, i = names, end;
	struct mailbox m;

	mailbox_init(&m);
	if (next_token(p) == -1 || skip_route(p, &m.obsolete) == -1 ||
	    collect_words(p) == -1)
		return -1;
	if (!is_special(&p->token, '>'))
		return syntax_error(p, from, "no '>' after '<'");
	if (p->count > names && parse_addr_spec(p, &i, &m) == -1)
		goto bad;
	if (i < p->count) {
		(void)syntax_error(
		    p, p->words[i].at, "more than one word in an address");
		goto bad;
	}
	if (next_token(p) == -1)
		goto bad;
	p->need_angle = p->token.kind != TOKEN_END &&
			!is_special(&p->token, ',') &&
			!is_special(&p->token, ';');
	if (p->count == names) {
		mailbox_release(&m);
		return 0;
	}
	end = p->token_end;
	set_display(p, &m, names, &end);
	return found(p, &m, from, end);
bad:
	mailbox_release(&m);
	return -1;
}

/* "name:" begins a group, RFC 5322 section 3.4. */
static int
begin_group(struct parser *p, size_t from)
{
	if (p->in_group || p->count == 0 || p->need_angle)
		return syntax_error(p, from, "unexpected ':'");
	for (size_t i = 0; i < p->count; i++)
		if (is_special(&p->words[i], '@'))
			return syntax_error(p, from, "unexpected ':'");
	p->in_group = true;
	if (p->visitor->group != NULL)
		p->visitor->group(
		    p->visitor->arg, from, words_end(p, p->count));
	return next_token(p);
}

static int
parse_entry(struct parser *p)
{
	size_t from = p->token.at;

	p->count = 0;
	p->comment_end = 0;
	if (collect_words(p) == -1)
		return -1;
	if (is_special(&p->token, '<'))
		return parse_angle(p, from);
	if (is_special(&p->token, ':'))
		return begin_group(p, from);
	if (is_special(&p->token, '>'))
		return syntax_error(p, p->token.at, "unexpected '>'");
	return parse_plain(p);
}

static int
parse(const char *text, size_t len, const struct visitor *visitor,
    struct error *err)
{
	struct parser p = {
		.text = text, .len = len, .visitor = visitor, .err = err
	};
	int result = -1;

	if (len > ADDRESS_TEXT_MAX)
		return error_set(err, EX_DATAERR, "5.1.3",
		    "address list of more than %u bytes", ADDRESS_TEXT_MAX);
	if (next_token(&p) == -1)
		goto out;
	while (p.token.kind != TOKEN_END) {
		if (is_special(&p.token, ',') || is_special(&p.token, ';')) {
			if (p.token.special == ';')
				p.in_group = false;
			p.need_angle = false;
			if (next_token(&p) == -1)
				goto out;
		} else if (parse_entry(&p) == -1)
			goto out;
	}
	result = 0;
out:
	free(p.words);
	return result;
}

static int
add_to_list(
    void *arg, struct mailbox *m, size_t from, size_t to, struct error *err)
{
	(void)from;
	(void)to;
	(void)err;
	mailbox_list_add(arg, m);
	return 0;
}

int
address_parse_list(
    struct mailbox_list *list, const char *value, size_t len, struct error *err)
{
	struct visitor visitor = { .mailbox = add_to_list, .arg = list };
	size_t before = list->count;

	if (parse(value, len, &visitor, err) == -1) {
		mailbox_list_cut(list, before);
		return -1;
	}
	return 0;
}

int
address_parse_argument(
    struct mailbox_list *list, const char *word, struct error *err)
{
	size_t before = list->count;

	if (strpbrk(word, "\r\n") != NULL)
		return error_set(err, EX_DATAERR, "5.1.3",
		    "bad address '%.60s': line break in it", word);
	if (address_parse_list(list, word, strlen(word), err) == -1)
		return -1;
	if (list->count == before)
		return error_set(
		    err, EX_DATAERR, "5.1.3", "no address in '%.60s'", word);
	return 0;
}

int
address_parse_one(struct mailbox *m, const char *text, struct error *err)
{
	struct mailbox_list list;
	int result = -1;

	mailbox_list_init(&list);
	if (address_parse_argument(&list, text, err) == -1)
		goto out;
	if (list.count != 1) {
		(void)error_set(err, EX_DATAERR, "5.1.3",
		    "more than one address in '%.60s'", text);
		goto out;
	}
	*m = list.items[0];
	mailbox_init(&list.items[0]);
	result = 0;
out:
	mailbox_list_release(&list);
	return result;
}

int
address_parse_sender(struct mailbox *m, const char *word, struct error *err)
{
	const char *text = word + strspn(word, " \t");
	size_t len = strcspn(text, " \t");

	if (text[len + strspn(text + len, " \t")] == '\0' &&
	    (len == 0 || (len == 2 && memcmp(text, "<>", 2) == 0))) {
		mailbox_init(m);
		m->local = xstrdup("");
		return 0;
	}
	return address_parse_one(m, word, err);
}

/* A copy of a value in the making. */
struct map {
	struct buf *out;
	const char *value;
	size_t copied;
	address_replacer *replace;
	void *arg;
};

/* Comments of a mailbox that was replaced, but for one at its very end, which
 * was its name. */
static void
keep_comments(struct map *map, size_t from, size_t to)
{
	struct parser p = { .text = map->value, .len = to, .at = from };

	while (p.at < to) {
		size_t word = encoded_word_length(p.text + p.at, to - p.at);
		char c = p.text[p.at];

		if (c == '"' || c == '[')
			(void)scan_delimited(&p, c == '"' ? '"' : ']', "");
		else if (c != '(')
			p.at += word > 0 ? word : 1;
		else if (skip_comment(&p) == 0 && p.at < to) {
			(void)buf_addc(map->out, ' ');
			(void)buf_add(map->out, p.text + p.comment_at,
			    p.at - p.comment_at);
		}
	}
}

static int
map_mailbox(
    void *arg, struct mailbox *m, size_t from, size_t to, struct error *err)
{
	struct map *map = arg;

	(void)err;
	(void)buf_add(map->out, map->value + map->copied, from - map->copied);
	map->copied = from;
	if (map->replace(map->arg, m, map->out)) {
		keep_comments(map, from, to);
		map->copied = to;
	}
	return 0;
}

static void
map_group(void *arg, size_t from, size_t to)
{
	struct map *map = arg;

	if (!utf8_has_8bit(map->value + from, to - from))
		return;
	(void)buf_add(map->out, map->value + map->copied, from - map->copied);
	encoded_word_phrase(map->out, map->value + from, to - from, 0);
	map->copied = to;
}

int
address_map(struct buf *out, const char *value, size_t len,
    address_replacer *replace, void *arg, struct error *err)
{
	struct map map = {
		.out = out, .value = value, .replace = replace, .arg = arg
	};
	struct visitor visitor = {
		.mailbox = map_mailbox, .group = map_group, .arg = &map
	};
	size_t before = out->len;

	if (parse(value, len, &visitor, err) == -1)
		goto bad;
	(void)buf_add(out, value + map.copied, len - map.copied);
	if (!out->full)
		return 0;
	(void)error_set(err, EX_DATAERR, "5.6.0", "address list too long");
bad:
	(void)buf_splice(out, before, out->len - before, NULL, 0);
	return -1;
}
