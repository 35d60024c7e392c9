/* Sign-in by an authorization code with PKCE, whoever carries it here. Entra
 * may find at the end that the person has to prove more; what it then demands
 * (a claims challenge) is passed on in a second round.
 */
#include "auth/authorize.h"
#include "auth/http.h"
#include "auth/redirect.h"
#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "outpost/login.h"

/* One round. 'more' tells that another one is to follow. */
static int
go_round(struct login *l, struct login_courier *courier, struct authorize *a,
    int round, bool *more, struct error *err)
{
	char before[OAUTH_CLAIMS_SIZE], host[HTTP_HOST_SIZE];
	struct redirect redirect;
	int result = -1;

	strlcpy(before, l->oauth.claims, sizeof(before));
	redirect_init(&redirect);
	courier->send(courier, l, a->url.data, round);
	if (courier->receive(courier, l, a->state, &redirect, err) == -1)
		goto out;
	if (*redirect.error != '\0') {
		http_host(host, l->account->authority);
		redirect_judge(&redirect, l->account->mailbox, host, err);
		goto out;
	}
	result = oauth_code(&l->oauth, redirect.code.data, a->verifier,
	    a->redirect_uri, file_now() + LOGIN_REQUEST_SECONDS, &l->token,
	    err);
	*more = result == -1 && round + 1 < LOGIN_ROUNDS &&
		strcmp(before, l->oauth.claims) != 0;
out:
	redirect_release(&redirect);
	return result;
}

int
login_code(struct login *l, struct login_courier *courier,
    const char *redirect_uri, struct error *err)
{
	struct authorize a;
	struct error why;
	bool more = true;
	int result = -1;

	authorize_init(&a);
	for (int round = 0; more; round++) {
		more = false;
		result = authorize_begin(
		    &a, l->account, redirect_uri, l->oauth.claims, &why);
		if (result == 0)
			result = go_round(l, courier, &a, round, &more, &why);
	}
	authorize_release(&a);
	if (result == 0)
		result = login_keep(l, &why);
	courier->end(courier, l, result == 0 ? NULL : &why);
	if (result == -1)
		*err = why;
	return result;
}
