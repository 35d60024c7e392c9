/* outpost logout: forgets the refresh token and access token of an account.
 * Microsoft is not told: there is no way to revoke one sign-in there.
 */
#include "auth/renew.h"
#include "base/file.h"
#include "outpost/outpost.h"

#define LOCK_SECONDS 60.0

int
logout_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	const struct account *account;
	const char *mailbox;

	if (outpost_argument(argc, argv, 1, &mailbox, err) == -1 ||
	    outpost_account(o, mailbox, &account, err) == -1 ||
	    outpost_take_secrets(o, err) == -1 ||
	    renew_forget(&o->config, account, file_now() + LOCK_SECONDS, err) ==
		-1)
		return -1;
	if (account->auth == AUTH_LOGIN)
		printf("%s is signed out on this machine: its tokens are "
		       "removed.\n"
		       "To end the sign-in at Microsoft too, sign out "
		       "everywhere at https://mysignins.microsoft.com/.\n",
		    account->mailbox);
	else
		printf("the cached access token of %s is removed.\n",
		    account->mailbox);
	return 0;
}
