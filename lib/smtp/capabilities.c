#include "smtp/capabilities.h"

#include <stddef.h>

#include "smtp/reply.h"

#define BLANKS " \t\r\n"

/* The next word of a line: its start, its length in *len; NULL: none left. */
static const char *
next_word(const char **line, size_t *len)
{
	const char *word = *line;

	while (*word == ' ' || *word == '\t')
		word++;
	*len = strcspn(word, BLANKS);
	*line = word + *len;
	return *len > 0 ? word : NULL;
}

static bool
is_word(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(word, name, len) == 0;
}

static void
read_auth(struct capabilities *c, const char *rest)
{
	const char *word;
	size_t len;

	c->auth = true;
	while ((word = next_word(&rest, &len)) != NULL)
		if (is_word(word, len, "XOAUTH2"))
			c->auth_xoauth2 = true;
}

/* RFC 1870: the number is optional, and 0 means no fixed maximum. */
static void
read_size(struct capabilities *c, const char *rest)
{
	unsigned long long size = 0;

	c->size_offered = true;
	rest += strspn(rest, " \t");
	for (; *rest >= '0' && *rest <= '9'; rest++) {
		if (size > 999999999999999999ull)
			return;
		size = size * 10 + (unsigned)(*rest - '0');
	}
	c->size = size;
}

static void
read_line(struct capabilities *c, const char *line)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "PIPELINING", &c->pipelining },
		{ "STARTTLS", &c->starttls },
		{ "8BITMIME", &c->eight_bit_mime },
		{ "SMTPUTF8", &c->smtputf8 },
		{ "DSN", &c->dsn },
		{ "CHUNKING", &c->chunking },
		{ "ENHANCEDSTATUSCODES", &c->enhanced_status },
	};
	size_t len;
	const char *word = next_word(&line, &len);

	if (word == NULL)
		return;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (is_word(word, len, flags[i].name))
			*flags[i].flag = true;
	if (is_word(word, len, "AUTH"))
		read_auth(c, line);
	else if (len > 5 && strncasecmp(word, "AUTH=", 5) == 0)
		read_auth(c, word + 5);
	else if (is_word(word, len, "SIZE"))
		read_size(c, line);
}

void
capabilities_read(struct capabilities *c, const struct smtp_reply *reply)
{
	const char *line = reply->lines.data;
	const char *end;

	*c = (struct capabilities){ .size = 0 };
	/* The first line is a greeting, not a keyword. */
	for (bool first = true; (end = strchr(line, '\n')) != NULL;
	     first = false) {
		if (!first)
			read_line(c, line);
		line = end + 1;
	}
}
