/* What the kinds of sign-in share.
 *
 * login.c chooses one and runs it; each gets the account's tokens in its own
 * way (login_device.c; login_code.c with login_browser.c or login_paste.c) and
 * has them kept by login_keep(), which comes last: nothing is on the disk
 * before the sign-in is complete.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include "auth/oauth.h"
#include "outpost/browser.h"
#include "outpost/outpost.h"

struct redirect;

#define LOGIN_REQUEST_SECONDS	60.0	/* for a request, with its retries */
#define LOGIN_SECONDS		900.0	/* for the person */
#define LOGIN_ROUNDS		2	/* one more for a claims challenge */

struct login {
	const struct outpost *outpost;
	const struct account *account;
	struct browser browser;
	struct oauth oauth;
	struct oauth_token token;
	double end;		/* file_now() seconds: the person's time */
};

/* How the address of a sign-in gets to a browser, and what that came back
 * with to us. */
struct login_courier {
	/* Show or forward the address; 'round' counts from 0. */
	void (*send)(struct login_courier *, struct login *, const char *url,
	    int round);
	/* What the browser came back with. */
	int (*receive)(struct login_courier *, struct login *,
	    const char *state, struct redirect *, struct error *);
	/* How it ended; 'failure' is NULL when all is well. */
	void (*end)(struct login_courier *, struct login *,
	    const struct error *failure);
};

int	login_device(struct login *, struct error *);
int	login_browser(struct login *, struct error *);
int	login_paste(struct login *, struct error *);
/* Authorization code with PKCE, by a courier. */
int	login_code(struct login *, struct login_courier *,
	    const char *redirect_uri, struct error *);

/* Keep the tokens. */
int	login_keep(struct login *, struct error *);
/* EX_NOPERM: the person's time is over. Returns -1. */
int	login_too_late(const struct login *, struct error *);
/* "Sign in as …", for every kind. */
void	login_show_whom(const struct login *);

#define LOGIN_NOTE_SIZE	(OAUTH_DESCRIPTION_SIZE + 512)

/* The browser may have been signed in as somebody else. That may be meant (a
 * shared mailbox), so it is told and not refused: the text, "" for nothing. */
char	*login_note(const struct login *, char out[LOGIN_NOTE_SIZE]);

#endif
