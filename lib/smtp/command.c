#include "smtp/command.h"

#include <stdint.h>
#include <sysexits.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "mail/xtext.h"

/* Takes what follows the verb, without blanks at either end. */
typedef int argument_parser(
    struct smtp_command *, const char *text, struct error *);

static argument_parser take_anything, take_name, take_nothing, take_mail,
    take_rcpt, take_bdat, refuse, refuse_http;

/* clang-format off */
static const struct {
	const char *name;
	enum smtp_verb verb;
	argument_parser *parse;
} verbs[] = {
	{ "HELO",     SMTP_HELO,    take_name },
	{ "EHLO",     SMTP_EHLO,    take_name },
	{ "MAIL",     SMTP_MAIL,    take_mail },
	{ "RCPT",     SMTP_RCPT,    take_rcpt },
	{ "DATA",     SMTP_DATA,    take_nothing },
	{ "BDAT",     SMTP_BDAT,    take_bdat },
	{ "RSET",     SMTP_RSET,    take_nothing },
	{ "NOOP",     SMTP_NOOP,    take_anything },
	{ "VRFY",     SMTP_VRFY,    take_anything },
	{ "HELP",     SMTP_HELP,    take_anything },
	{ "QUIT",     SMTP_QUIT,    take_nothing },
	{ "EXPN",     SMTP_UNKNOWN, refuse },
	{ "AUTH",     SMTP_UNKNOWN, refuse },
	{ "STARTTLS", SMTP_UNKNOWN, refuse },
	{ "GET",      SMTP_HTTP,    refuse_http },
	{ "POST",     SMTP_HTTP,    refuse_http },
	{ "PUT",      SMTP_HTTP,    refuse_http },
	{ "HEAD",     SMTP_HTTP,    refuse_http },
	{ "OPTIONS",  SMTP_HTTP,    refuse_http },
	{ "CONNECT",  SMTP_HTTP,    refuse_http },
};

typedef int value_parser(
    struct smtp_command *, const char *value, struct error *);

static value_parser set_size, set_body, set_smtputf8, set_ret, set_envid,
    set_notify, set_original;

static const struct {
	const char *name;
	enum smtp_verb verb;
	value_parser *parse;	/* the value is NULL where there is none */
} parameters[] = {
	{ "SIZE",     SMTP_MAIL, set_size },
	{ "BODY",     SMTP_MAIL, set_body },
	{ "SMTPUTF8", SMTP_MAIL, set_smtputf8 },
	{ "RET",      SMTP_MAIL, set_ret },
	{ "ENVID",    SMTP_MAIL, set_envid },
	{ "NOTIFY",   SMTP_RCPT, set_notify },
	{ "ORCPT",    SMTP_RCPT, set_original },
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void
command_init(struct smtp_command *c)
{
	*c = (struct smtp_command){ .verb = SMTP_UNKNOWN };
	mailbox_init(&c->address);
}

void
command_release(struct smtp_command *c)
{
	mailbox_release(&c->address);
	free(c->ret);
	free(c->envid);
	free(c->notify);
	free(c->original);
	command_init(c);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int
wrong(struct smtp_command *c, int code, const char *status, const char *text,
    struct error *err)
{
	c->code = code;
	return error_set(err, EX_USAGE, status, "%s", text);
}

static int
take_anything(struct smtp_command *c, const char *text, struct error *err)
{
	(void)c;
	(void)text;
	(void)err;
	return 0;
}

static int
take_name(struct smtp_command *c, const char *text, struct error *err)
{
	if (*text != '\0')
		return 0;
	return wrong(
	    c, 501, "5.5.4", "HELO and EHLO must be followed by a name", err);
}

static int
take_nothing(struct smtp_command *c, const char *text, struct error *err)
{
	if (*text == '\0')
		return 0;
	return wrong(c, 501, "5.5.4", "nothing may follow the command", err);
}

static int
refuse(struct smtp_command *c, const char *text, struct error *err)
{
	(void)text;
	return wrong(
	    c, 502, "5.5.1", "AUTH, STARTTLS and EXPN are not offered", err);
}

static int
refuse_http(struct smtp_command *c, const char *text, struct error *err)
{
	(void)text;
	return wrong(c, 421, "4.7.0", "this is SMTP, not HTTP; closing", err);
}

/* strtonum() alone would take blanks and a sign. */
static bool
is_number(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len > 0 && len <= 20 && text[len] == '\0';
}

static int
set_size(struct smtp_command *c, const char *value, struct error *err)
{
	const char *why;

	if (value == NULL || !is_number(value))
		return wrong(c, 501, "5.5.4", "SIZE= takes a number", err);
	c->size = (unsigned long long)strtonum(value, 0, INT64_MAX, &why);
	if (why != NULL)
		c->size = UINT64_MAX;
	return 0;
}

static int
set_body(struct smtp_command *c, const char *value, struct error *err)
{
	if (value != NULL && strcasecmp(value, "8BITMIME") == 0)
		c->eight_bit = true;
	else if (value == NULL || strcasecmp(value, "7BIT") != 0)
		return wrong(
		    c, 501, "5.5.4", "BODY= takes 7BIT or 8BITMIME", err);
	return 0;
}

static int
set_smtputf8(struct smtp_command *c, const char *value, struct error *err)
{
	if (value != NULL)
		return wrong(c, 501, "5.5.4", "SMTPUTF8 takes no value", err);
	c->smtputf8 = true;
	return 0;
}

static int
set_ret(struct smtp_command *c, const char *value, struct error *err)
{
	if (value == NULL || dsn_ret(value, &c->ret, NULL) == -1)
		return wrong(c, 501, "5.5.4", "RET= takes FULL or HDRS", err);
	return 0;
}

static int
set_envid(struct smtp_command *c, const char *value, struct error *err)
{
	if (value == NULL || !dsn_is_envid(value))
		return wrong(c, 501, "5.5.4",
		    "ENVID= takes up to 100 characters of xtext", err);
	c->envid = xstrdup(value);
	return 0;
}

static int
set_notify(struct smtp_command *c, const char *value, struct error *err)
{
	if (value == NULL || dsn_notify(value, &c->notify, NULL) == -1)
		return wrong(c, 501, "5.5.4",
		    "NOTIFY= takes NEVER, or a list of SUCCESS, FAILURE, DELAY",
		    err);
	return 0;
}

static int
set_original(struct smtp_command *c, const char *value, struct error *err)
{
	if (value == NULL || !dsn_is_orcpt(value))
		return wrong(c, 501, "5.5.4",
		    "ORCPT= takes a type, a semicolon and an address in xtext",
		    err);
	c->original = xstrdup(value);
	return 0;
}

static int
take_parameter(
    struct smtp_command *c, char *word, unsigned *seen, struct error *err)
{
	char *value = strchr(word, '=');

	if (value != NULL)
		*value++ = '\0';
	for (size_t i = 0; i < COUNT(parameters); i++) {
		if (parameters[i].verb != c->verb ||
		    strcasecmp(parameters[i].name, word) != 0)
			continue;
		if ((*seen & 1u << i) != 0)
			return wrong(
			    c, 501, "5.5.4", "a parameter is given twice", err);
		*seen |= 1u << i;
		return parameters[i].parse(c, value, err);
	}
	c->code = 555;
	return error_set(err, EX_USAGE, "5.5.4",
	    "the parameter '%.40s' is not known here", word);
}

/* "SIZE=1000 BODY=8BITMIME" */
static int
take_parameters(struct smtp_command *c, const char *text, struct error *err)
{
	char *copy = xstrdup(text), *rest = copy, *word;
	unsigned seen = 0;
	int result = 0;

	while (result == 0 && (word = strsep(&rest, " \t")) != NULL)
		if (*word != '\0')
			result = take_parameter(c, word, &seen, err);
	free(copy);
	return result;
}

/* Octets up to the bracket that ends the path, or, without brackets, to a
 * blank; neither counts in a quoted string. */
static size_t
path_length(const char *text, bool bracket)
{
	bool quoted = false;
	size_t i = 0;

	for (; text[i] != '\0'; i++) {
		if (quoted && text[i] == '\\' && text[i + 1] != '\0')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted &&
			 (bracket ? text[i] == '>' : is_blank(text[i])))
			break;
	}
	return i;
}

/* May it be written so? A local name is one that could have a domain. */
static int
check_address(const char *address, struct error *err)
{
	char *whole;
	int result;

	if (address_domain(address) != NULL || *address == '\0')
		return address_smtp_safe(address, NULL, err);
	whole = xasprintf("%s@localhost", address);
	result = address_smtp_safe(whole, NULL, NULL);
	free(whole);
	if (result == -1)
		error_set(err, EX_DATAERR, "5.1.3",
		    "address '%.80s' is malformed", address);
	return result;
}

/* The address itself: local@domain, a local name alone, or nothing. */
static int
set_address(struct smtp_command *c, const char *path, struct error *err)
{
	const char *route = *path == '@' ? strchr(path, ':') : NULL;
	const char *address = route != NULL ? route + 1 : path;
	bool null_sender = c->verb == SMTP_MAIL && *path == '\0';

	if ((null_sender || check_address(address, err) == 0) &&
	    address_parse_sender(&c->address, address, err) == 0)
		return 0;
	c->code = 553;
	if (c->verb == SMTP_MAIL)
		strlcpy(err->status, "5.1.7", sizeof(err->status));
	return -1;
}

/* "FROM:<a@b.example> SIZE=1000" */
static int
take_path(struct smtp_command *c, const char *text, const char *word,
    struct error *err)
{
	size_t len = strlen(word);
	bool bracket;
	char *path;
	int result;

	if (strncasecmp(text, word, len) != 0) {
		c->code = 501;
		return error_set(err, EX_USAGE, "5.5.4",
		    "it must be followed by %s<address>", word);
	}
	text += len;
	while (is_blank(*text))
		text++;
	bracket = *text == '<';
	text += bracket;
	len = path_length(text, bracket);
	if (text[len] != '>'
		? bracket || len == 0
		: text[len + 1] != '\0' && !is_blank(text[len + 1]))
		return wrong(c, 501, "5.5.4",
		    "an address in angle brackets is needed", err);
	path = xstrndup(text, len);
	result = set_address(c, path, err);
	free(path);
	if (result == -1)
		return -1;
	return take_parameters(c, text + len + bracket, err);
}

static int
take_mail(struct smtp_command *c, const char *text, struct error *err)
{
	return take_path(c, text, "FROM:", err);
}

static int
take_rcpt(struct smtp_command *c, const char *text, struct error *err)
{
	return take_path(c, text, "TO:", err);
}

static int
take_bdat(struct smtp_command *c, const char *text, struct error *err)
{
	size_t len = strspn(text, "0123456789");
	char *number = xstrndup(text, len);
	const char *why = "empty", *rest = text + len;

	if (is_number(number))
		c->size =
		    (unsigned long long)strtonum(number, 0, INT64_MAX, &why);
	free(number);
	while (is_blank(*rest))
		rest++;
	c->last = strcasecmp(rest, "LAST") == 0;
	if (why != NULL || (*rest != '\0' && !c->last) ||
	    (c->last && !is_blank(text[len])))
		return wrong(c, 501, "5.5.4",
		    "BDAT takes a number of octets, and LAST with the last",
		    err);
	return 0;
}

/* A blank may be a tab, and nothing else below 32 may be there. */
static bool
has_control(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') ||
		    line[i] == 0x7f)
			return true;
	return false;
}

int
command_parse(
    struct smtp_command *c, const char *line, size_t len, struct error *err)
{
	char *copy, *text;
	size_t word;
	int result = -1;

	if (len > COMMAND_LINE_MAX)
		return wrong(c, 500, "5.5.2", "the line is too long", err);
	if (has_control(line, len))
		return wrong(c, 500, "5.5.2",
		    "a control character, or a line end unlike that of the "
		    "first line",
		    err);
	while (len > 0 && is_blank(line[len - 1]))
		len--;
	copy = xstrndup(line, len);
	word = strcspn(copy, " \t");
	text = copy + word + strspn(copy + word, " \t");
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (strlen(verbs[i].name) != word ||
		    strncasecmp(verbs[i].name, copy, word) != 0)
			continue;
		c->verb = verbs[i].verb;
		result = verbs[i].parse(c, text, err);
		goto out;
	}
	c->code = 500;
	error_set(err, EX_USAGE, "5.5.1", "'%.40s' is no command", copy);
out:
	free(copy);
	return result;
}
