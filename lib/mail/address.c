#include "mail/address.h"

#include <stdint.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address_syntax.h"
#include "mail/encoded_word.h"
#include "mail/idn.h"
#include "mail/utf8.h"

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void
mailbox_init(struct mailbox *m)
{
	*m = (struct mailbox){ .local = NULL };
}

void
mailbox_release(struct mailbox *m)
{
	free(m->display);
	free(m->local);
	free(m->domain);
	mailbox_init(m);
}

void
mailbox_list_init(struct mailbox_list *list)
{
	*list = (struct mailbox_list){ .items = NULL };
}

void
mailbox_list_cut(struct mailbox_list *list, size_t count)
{
	while (list->count > count)
		mailbox_release(&list->items[--list->count]);
}

void
mailbox_list_release(struct mailbox_list *list)
{
	mailbox_list_cut(list, 0);
	free(list->items);
	mailbox_list_init(list);
}

void
mailbox_list_add(struct mailbox_list *list, struct mailbox *m)
{
	if (list->count == list->room) {
		list->room = list->room == 0 ? 8 : list->room * 2;
		list->items = xreallocarray(
		    list->items, list->room, sizeof(*list->items));
	}
	list->items[list->count++] = *m;
	mailbox_init(m);
}

bool
mailbox_is_null(const struct mailbox *m)
{
	return m->domain == NULL &&
	       (m->local[0] == '\0' ||
		   strcasecmp(m->local, "MAILER-DAEMON") == 0);
}

/* A Dot-string of RFC 5321 section 4.1.2, or does it need quotes? */
static bool
is_dot_string(const char *text, size_t len)
{
	bool word = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.' ? !word : !is_atext(text[i]))
			return false;
		word = text[i] != '.';
	}
	return word;
}

static void
add_quoted(struct buf *out, const char *text)
{
	(void)buf_addc(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			(void)buf_addc(out, '\\');
		(void)buf_addc(out, *text);
	}
	(void)buf_addc(out, '"');
}

char *
mailbox_address(const struct mailbox *m)
{
	struct buf b;

	buf_init(&b, 4 * ADDRESS_TEXT_MAX);
	if (m->local[0] == '\0' || is_dot_string(m->local, strlen(m->local)))
		(void)buf_adds(&b, m->local);
	else
		add_quoted(&b, m->local);
	if (m->domain != NULL)
		(void)buf_addf(&b, "@%s", m->domain);
	return buf_steal(&b);
}

/* How much of the last line in 'out' is used; more than a line is alike. One
 * of blanks alone counts as empty: a break there would leave it so. */
static size_t
column_of(const struct buf *out)
{
	size_t n = 0;
	bool text = false;

	for (; n < 100 && n < out->len; n++) {
		char c = out->data[out->len - 1 - n];

		if (c == '\n')
			break;
		text = text || !is_blank(c);
	}
	return text ? n : 0;
}

static bool
is_bare_phrase(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text != ' ' && !is_atext(*text))
			return false;
	return true;
}

char *
address_take_trimmed(struct buf *b)
{
	size_t from = 0, to = b->len;
	char *text = NULL;

	while (from < to && b->data[from] == ' ')
		from++;
	while (to > from && b->data[to - 1] == ' ')
		to--;
	if (to > from)
		text = xstrndup(b->data + from, to - from);
	buf_release(b);
	return text;
}

/* The name without controls, so that it cannot begin another field. */
static char *
clean_name(const char *name)
{
	struct buf b;

	buf_init(&b, ADDRESS_TEXT_MAX);
	for (; *name != '\0'; name++)
		if (buf_addc(&b, is_control(*name) ? ' ' : *name) == -1)
			break;
	return address_take_trimmed(&b);
}

static void
add_name(struct buf *out, const char *name)
{
	size_t len = strlen(name);

	if (utf8_has_8bit(name, len))
		encoded_word_phrase(out, name, len, column_of(out));
	else if (is_bare_phrase(name))
		(void)buf_adds(out, name);
	else
		add_quoted(out, name);
}

void
address_format(struct buf *out, const char *name, const char *address)
{
	char *clean = name == NULL ? NULL : clean_name(name);

	if (clean != NULL) {
		add_name(out, clean);
		/* An encoded name may have filled the line. */
		if (column_of(out) + strlen(address) + 3 > 78 &&
		    utf8_has_8bit(clean, strlen(clean)))
			(void)buf_adds(out, "\r\n");
		(void)buf_addc(out, ' ');
	}
	(void)buf_addf(out, "<%s>", address);
	free(clean);
}

void
mailbox_format(const struct mailbox *m, struct buf *out)
{
	char *address = mailbox_address(m);

	address_format(out, m->display, address);
	free(address);
}

const char *
address_domain(const char *address)
{
	const char *at = strrchr(address, '@');

	if (at == NULL || strchr(at, '"') != NULL)
		return NULL;
	return at + 1;
}

/* Length of the local part. */
static size_t
local_length(const char *address)
{
	const char *domain = address_domain(address);

	return domain == NULL ? strlen(address)
			      : (size_t)(domain - 1 - address);
}

bool
address_same(const char *a, const char *b)
{
	size_t local = local_length(a);

	return local_length(b) == local && memcmp(a, b, local) == 0 &&
	       address_same_mailbox(a + local, b + local);
}

bool
address_same_mailbox(const char *a, const char *b)
{
	for (; *a != '\0' && lower(*a) == lower(*b); a++, b++)
		;
	return *a == *b;
}

/* '*' is any run. Only the last star is ever gone back to, so that the time
 * is at most the product of the lengths. */
static bool
glob(const char *text, size_t len, const char *pattern, size_t pattern_len)
{
	size_t t = 0, p = 0, star = SIZE_MAX, resume = 0;

	while (t < len) {
		if (p < pattern_len && pattern[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < pattern_len &&
			   lower(pattern[p]) == lower(text[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else
			return false;
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}

bool
address_matches(const char *address, const char *pattern)
{
	const char *domain = address_domain(address);
	const char *domain_pattern = address_domain(pattern);

	if (strcmp(pattern, "*") == 0)
		return true;
	if ((domain == NULL) != (domain_pattern == NULL))
		return false;
	return glob(address, local_length(address), pattern,
		   local_length(pattern)) &&
	       (domain == NULL || glob(domain, strlen(domain), domain_pattern,
				      strlen(domain_pattern)));
}

char *
address_strip_tag(const char *address)
{
	size_t local = local_length(address);
	const char *plus = memchr(address, '+', local);

	if (plus == NULL || plus == address || address[0] == '"')
		return xstrdup(address);
	return xasprintf(
	    "%.*s%s", (int)(plus - address), address, address + local);
}

char *
address_to_ascii(const char *address)
{
	const char *domain = address_domain(address);
	char *ascii = NULL, *whole;

	if (domain != NULL && domain > address + 1)
		ascii = idn_to_ascii(domain);
	if (ascii == NULL)
		return xstrdup(address);
	whole = xasprintf("%.*s%s", (int)(domain - address), address, ascii);
	free(ascii);
	return whole;
}

/* A Quoted-string of RFC 5321 section 4.1.2. */
static bool
is_quoted_string(const char *text, size_t len)
{
	size_t i = 1;

	if (len < 2 || text[0] != '"' || text[len - 1] != '"')
		return false;
	for (; i < len - 1; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			return false;
	}
	return i == len - 1;
}

static bool
is_alnum(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_label(const char *text, size_t len)
{
	if (len == 0 || len > ADDRESS_LABEL_MAX || text[0] == '-' ||
	    text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_' &&
		    (unsigned char)text[i] < 0x80)
			return false;
	return true;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]", RFC 5321 section 4.1.3. */
static bool
is_literal(const char *text, size_t len)
{
	if (len < 3 || text[len - 1] != ']')
		return false;
	for (size_t i = 1; i < len - 1; i++)
		if (!is_alnum(text[i]) && strchr(".:-", text[i]) == NULL)
			return false;
	return true;
}

static bool
is_domain(const char *text)
{
	size_t len;

	if (text[0] == '[')
		return is_literal(text, strlen(text));
	for (;; text += len + 1) {
		len = strcspn(text, ".");
		if (!is_label(text, len))
			return false;
		if (text[len] == '\0')
			return true;
	}
}

static const char *
what_is_wrong(const char *address)
{
	size_t len = strlen(address), local = local_length(address);
	const char *domain = address_domain(address);

	if (len == 0)
		return "is empty";
	for (size_t i = 0; i < len; i++)
		if (is_control(address[i]))
			return "has a control character";
	if (!utf8_valid(address, len))
		return "is neither ASCII nor UTF-8";
	if (domain == NULL)
		return "has no domain";
	if (len > ADDRESS_MAX || local > ADDRESS_LOCAL_MAX)
		return "is too long";
	if (!is_dot_string(address, local) && !is_quoted_string(address, local))
		return "has a bad local part";
	return is_domain(domain) ? NULL : "has a bad domain";
}

int
address_smtp_safe(const char *address, bool *smtputf8, struct error *err)
{
	const char *wrong = what_is_wrong(address);

	if (wrong != NULL)
		return error_set(err, EX_DATAERR, "5.1.3", "address '%.80s' %s",
		    address, wrong);
	if (smtputf8 != NULL && utf8_has_8bit(address, strlen(address)))
		*smtputf8 = true;
	return 0;
}
