/* Prints what Outpost knows of Microsoft's replies, as the DIAGNOSTICS of
 * outpost(8): a test compares the two, so that no row is without its entry.
 *
 *	build/rows >rows && edit man/outpost.8
 */
#include <stdio.h>

#include "auth/identity_error.h"
#include "auth/oauth_error.h"
#include "smtp/verdict.h"

#define MAILBOX "MAILBOX"
#define TEXT_SIZE 1024

/* mdoc text: a backslash is its escape, a dot at a line's start a macro. */
static void
print_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		(void)fputs("\\&", stdout);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			(void)fputs("\\e", stdout);
		else
			(void)putchar(*text);
		/* A sentence's end begins a line. */
		if (*text == '.' && text[1] == ' ') {
			(void)putchar('\n');
			text++;
		}
	}
	(void)putchar('\n');
}

static void
print_entry(const char *key, const char *sentence, const char *hint)
{
	char text[TEXT_SIZE];

	(void)printf(".It \"%s\"\n", key);
	print_text(error_fill(text, sizeof(text), sentence, MAILBOX));
	(void)puts(".br");
	print_text(error_fill(text, sizeof(text), hint, MAILBOX));
}

static void
print_reply(const struct verdict_row *row)
{
	char key[VERDICT_KEY_SIZE];

	print_entry(verdict_key(row, key), row->sentence, row->hint);
}

static void
print_token_error(const struct oauth_row *row)
{
	char key[OAUTH_KEY_SIZE];

	print_entry(oauth_error_key(row, key), row->sentence, row->hint);
}

static void
print_identity_error(const struct identity_row *row)
{
	char key[256] = "other";

	if (row->fragment != NULL)
		(void)snprintf(key, sizeof(key), "... %s", row->fragment);
	else if (row->status != 0)
		(void)snprintf(key, sizeof(key),
		    row->status == 500 ? "HTTP 5xx" : "HTTP %ld", row->status);
	print_entry(key, row->sentence, row->hint);
}

int
main(void)
{
	const struct identity_row *identity;
	const struct oauth_row *token;
	const struct verdict_row *reply;

	(void)puts(".Ss Replies of the mail server\n.Bl -tag -width Ds");
	for (size_t i = 0; (reply = verdict_row(i)) != NULL; i++)
		print_reply(reply);
	(void)puts(".El\n.Ss Errors of the token endpoint\n"
		   ".Bl -tag -width Ds");
	for (size_t i = 0; (token = oauth_error_row(i)) != NULL; i++)
		print_token_error(token);
	(void)puts(".El\n.Ss Errors of a managed identity\n"
		   ".Bl -tag -width Ds");
	for (size_t i = 0; (identity = identity_error_row(i)) != NULL; i++)
		print_identity_error(identity);
	(void)puts(".El");
	return 0;
}
