#include "mail/xtext.h"

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/utf8.h"

#define ENVID_HINT "1 to 100 letters, digits and signs of ASCII"

static const char hex[] = "0123456789ABCDEF";

/* xchar of RFC 3461 section 4. */
static bool
is_xchar(char c)
{
	return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

/* Append 'text' with '+', '=' and all but printable ASCII as +XX. */
static void
encode(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (is_xchar(*text))
			(void)buf_addc(out, *text);
		else
			(void)buf_addf(out, "+%02X", (unsigned char)*text);
}

static bool
is_xtext(const char *text)
{
	while (*text != '\0') {
		if (is_xchar(*text)) {
			text++;
			continue;
		}
		if (text[0] != '+' || text[1] == '\0' || text[2] == '\0' ||
		    strchr(hex, text[1]) == NULL ||
		    strchr(hex, text[2]) == NULL)
			return false;
		text += 3;
	}
	return true;
}

static unsigned
hex_digit(char c)
{
	return (unsigned)(strchr(hex, c) - hex);
}

void
xtext_decode(struct buf *out, const char *xtext)
{
	while (*xtext != '\0') {
		if (*xtext != '+') {
			(void)buf_addc(out, *xtext++);
			continue;
		}
		(void)buf_addc(out,
		    (char)(hex_digit(xtext[1]) << 4 | hex_digit(xtext[2])));
		xtext += 3;
	}
}

int
dsn_envid(const char *option, char **out, struct error *err)
{
	struct buf b;

	for (const char *p = option; *p != '\0'; p++)
		if (*p < ' ' || *p >= 0x7f) {
			error_set(err, EX_USAGE, "5.5.4",
			    "the envelope id of -V is not printable ASCII");
			return error_hint(err, ENVID_HINT);
		}
	buf_init(&b, XTEXT_ENVID_MAX);
	encode(&b, option);
	if (b.len == 0 || b.full) {
		error_set(err, EX_USAGE, "5.5.4", "the envelope id of -V is %s",
		    b.len == 0 ? "empty" : "too long");
		buf_release(&b);
		return error_hint(err, ENVID_HINT);
	}
	*out = buf_steal(&b);
	return 0;
}

bool
dsn_is_envid(const char *value)
{
	return *value != '\0' && strlen(value) <= XTEXT_ENVID_MAX &&
	       is_xtext(value);
}

bool
dsn_is_orcpt(const char *value)
{
	return strlen(value) <= XTEXT_ORCPT_MAX && strchr(value, ';') != NULL &&
	       is_xtext(value);
}

char *
dsn_orcpt(const char *address)
{
	struct buf b;

	buf_init(&b, XTEXT_ORCPT_MAX);
	(void)buf_adds(&b, "rfc822;");
	encode(&b, address);
	if (b.full || utf8_has_8bit(address, strlen(address))) {
		buf_release(&b);
		return NULL;
	}
	return buf_steal(&b);
}

static const char *
notify_word(const char *word, size_t len)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY",
		"NEVER" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == len &&
		    strncasecmp(words[i], word, len) == 0)
			return words[i];
	return NULL;
}

int
dsn_notify(const char *option, char **out, struct error *err)
{
	const char *at = option, *word;
	struct buf b;
	size_t len;

	buf_init(&b, 64);
	for (;; at += len + 1) {
		at += strspn(at, " ");
		len = strcspn(at, ", ");
		word = notify_word(at, len);
		if (word == NULL || strstr(b.data, word) != NULL)
			break;
		(void)buf_addf(&b, "%s%s", b.len > 0 ? "," : "", word);
		len += strspn(at + len, " ");
		if (at[len] != '\0')
			continue;
		if (strstr(b.data, "NEVER") != NULL &&
		    strcmp(b.data, "NEVER") != 0)
			break;
		*out = buf_steal(&b);
		return 0;
	}
	buf_release(&b);
	error_set(err, EX_USAGE, "5.5.4",
	    "'%.40s' is no wish for notifications (-N)", option);
	return error_hint(
	    err, "use never, or a list of success, failure, delay");
}

int
dsn_ret(const char *option, char **out, struct error *err)
{
	if (strcasecmp(option, "full") == 0)
		*out = xstrdup("FULL");
	else if (strcasecmp(option, "hdrs") == 0)
		*out = xstrdup("HDRS");
	else {
		error_set(err, EX_USAGE, "5.5.4",
		    "'%.40s' is neither full nor hdrs (-R)", option);
		return error_hint(err, "full returns the whole message in a "
				       "notification, hdrs its header");
	}
	return 0;
}
