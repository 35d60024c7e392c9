/* outpost token: prints a valid access token, for programs that speak to
 * Exchange themselves.
 */
#include "token/token.h"

#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "outpost/outpost.h"

#define TOKEN_SECONDS 60.0

int
outpost_token(const struct outpost *o, const struct account *account,
    struct token *token, struct error *err)
{
	double deadline = file_now() + TOKEN_SECONDS;
	char *program = xasprintf("%s/token", o->libexec);
	bool relayed = o->system && access(program, X_OK) == -1;

	free(program);
	if (relayed)
		return token_get_relayed(
		    token, &o->config, account, o->libexec, deadline, err);
	return token_get(
	    token, &o->config, account, o->libexec, NULL, deadline, NULL, err);
}

int
token_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	const struct account *account;
	const char *mailbox;
	struct token token;
	int result;

	if (outpost_argument(argc, argv, 1, &mailbox, err) == -1 ||
	    outpost_account(o, mailbox, &account, err) == -1)
		return -1;
	startup_guard_secrets();
	token_init(&token);
	result = outpost_token(o, account, &token, err);
	if (result == 0)
		printf("%s\n", token.value.data);
	token_release(&token);
	return result;
}
