#include "account/msmtprc.h"

#include <stdlib.h>
#include <sysexits.h>

#include "base/error.h"
#include "base/xalloc.h"

#define SPACE " \t\r\v\f"

struct reader {
	struct msmtprc *rc;
	struct msmtprc_account *current; /* NULL until one begins */
	const char *file;
	size_t line;
	struct error *err;
};

void
msmtprc_init(struct msmtprc *rc)
{
	rc->accounts = NULL;
	rc->count = 0;
}

void
msmtprc_release(struct msmtprc *rc)
{
	for (size_t i = 0; i < rc->count; i++) {
		struct msmtprc_account *a = &rc->accounts[i];

		for (size_t j = 0; j < a->count; j++) {
			free(a->commands[j].name);
			free(a->commands[j].argument);
		}
		free(a->commands);
		free(a->name);
	}
	free(rc->accounts);
	msmtprc_init(rc);
}

const char *
msmtprc_get(const struct msmtprc_account *a, const char *command)
{
	for (size_t i = a->count; i > 0; i--)
		if (strcmp(a->commands[i - 1].name, command) == 0)
			return a->commands[i - 1].argument;
	return NULL;
}

static bool
sends_as(const struct msmtprc_account *a, const char *mailbox)
{
	const char *user = msmtprc_get(a, "user");
	const char *from = msmtprc_get(a, "from");

	return (user != NULL && strcasecmp(user, mailbox) == 0) ||
	       (from != NULL && strcasecmp(from, mailbox) == 0);
}

const struct msmtprc_account *
msmtprc_choose(const struct msmtprc *rc, const char *mailbox)
{
	for (size_t i = 1; i < rc->count; i++) {
		const struct msmtprc_account *a = &rc->accounts[i];

		if (mailbox != NULL ? sends_as(a, mailbox)
				    : strcmp(a->name, "default") == 0)
			return a;
	}
	return mailbox == NULL && rc->count == 2 ? &rc->accounts[1] : NULL;
}

static int
fail(struct reader *r, const char *what)
{
	error_set(
	    r->err, EX_DATAERR, "5.3.5", "%s:%zu: %s", r->file, r->line, what);
	return error_hint(r->err, "mend it, or give 'outpost init' the values "
				  "as flags");
}

static struct msmtprc_account *
find(const struct msmtprc *rc, const char *name)
{
	for (size_t i = 0; i < rc->count; i++)
		if (strcmp(rc->accounts[i].name, name) == 0)
			return &rc->accounts[i];
	return NULL;
}

static int
add_command(struct reader *r, struct msmtprc_account *a, const char *name,
    const char *argument)
{
	/* "password=secret", by mistake, is one word. */
	bool secret = strncasecmp(name, "password", strlen("password")) == 0;
	struct msmtprc_command *c;

	if (a->count == MSMTPRC_COMMANDS_MAX)
		return fail(r, "too many commands in one account");
	if (a->commands == NULL)
		a->commands = xcalloc(MSMTPRC_COMMANDS_MAX, sizeof(*c));
	c = &a->commands[a->count++];
	c->name = xstrdup(
	    secret && strcmp(name, "passwordeval") != 0 ? "password" : name);
	c->argument = xstrdup(secret ? "" : argument);
	return 0;
}

static int
inherit(struct reader *r, const struct msmtprc_account *base)
{
	for (size_t i = 0; i < base->count; i++)
		if (add_command(r, r->current, base->commands[i].name,
			base->commands[i].argument) == -1)
			return -1;
	return 0;
}

static int
begin_account(struct reader *r, const char *name)
{
	if (r->rc->count == MSMTPRC_ACCOUNTS_MAX)
		return fail(r, "too many accounts");
	r->current = &r->rc->accounts[r->rc->count++];
	r->current->name = xstrdup(name);
	return inherit(r, &r->rc->accounts[0]);
}

/* "NAME" or "NAME : BASE, BASE"; cuts it up. */
static int
read_account(struct reader *r, char *argument)
{
	char *bases = strchr(argument, ':'), *base;

	if (bases != NULL)
		*bases++ = '\0';
	argument[strcspn(argument, SPACE)] = '\0';
	if (*argument == '\0' || strcmp(argument, "defaults") == 0)
		return fail(r, "this account has no name of its own");
	if (find(r->rc, argument) != NULL)
		return fail(r, "an account of that name was before");
	if (begin_account(r, argument) == -1)
		return -1;
	while ((base = strsep(&bases, "," SPACE)) != NULL) {
		const struct msmtprc_account *found = find(r->rc, base);

		if (*base == '\0')
			continue;
		if (found == NULL || found == r->current)
			return fail(r, "there is no account of that name "
				       "before");
		if (inherit(r, found) == -1)
			return -1;
	}
	return 0;
}

/* Cuts the line up: its command; its argument, without quotes, is behind. */
static char *
split(char *line, char **argument)
{
	size_t len = strlen(line);
	char *rest;

	while (len > 0 && strchr(SPACE, line[len - 1]) != NULL)
		line[--len] = '\0';
	rest = line + strcspn(line, SPACE);
	if (*rest != '\0')
		*rest++ = '\0';
	rest += strspn(rest, SPACE);
	len = strlen(rest);
	if (len >= 2 && rest[0] == '"' && rest[len - 1] == '"') {
		rest[len - 1] = '\0';
		rest++;
	}
	*argument = rest;
	return line;
}

static int
read_line(struct reader *r, char *line)
{
	char *argument, *command;

	line += strspn(line, SPACE);
	if (*line == '\0' || *line == '#')
		return 0;
	command = split(line, &argument);
	if (strcmp(command, "account") == 0)
		return read_account(r, argument);
	if (strcmp(command, "defaults") == 0) {
		r->current = &r->rc->accounts[0];
		return 0;
	}
	if (r->current == NULL)
		return fail(r, "no account begins before this line");
	return add_command(r, r->current, command, argument);
}

int
msmtprc_parse(struct msmtprc *rc, const char *file, const char *text,
    size_t len, struct error *err)
{
	struct reader r = { rc, NULL, file, 0, err };
	char *copy = xmalloc(len + 1), *rest = copy, *line;
	int result = 0;

	memcpy(copy, text, len);
	copy[len] = '\0';
	rc->accounts = xcalloc(MSMTPRC_ACCOUNTS_MAX, sizeof(*rc->accounts));
	rc->accounts[0].name = xstrdup("defaults");
	rc->count = 1;
	if (strlen(copy) != len) {
		r.line = 1;
		result = fail(&r, "this is no text");
	}
	while (result == 0 && (line = strsep(&rest, "\n")) != NULL) {
		r.line++;
		result = read_line(&r, line);
	}
	freezero(copy, len + 1);
	return result;
}
