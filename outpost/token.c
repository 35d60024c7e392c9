/* outpost token: prints a valid access token, for programs that speak to
 * Exchange themselves. Got as submit gets it, from the cache or from the token
 * program, which decides who may have it.
 */
#include "token/token.h"

#include "base/file.h"
#include "outpost/outpost.h"

#define TOKEN_SECONDS 60.0

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
	result = token_get(&token, &o->config, account, o->libexec, NULL,
	    file_now() + TOKEN_SECONDS, err);
	if (result == 0)
		printf("%s\n", token.value.data);
	token_release(&token);
	return result;
}
