/* Make an access token for an account: what the token program is for.
 *
 * Any number of processes at once cause one request: the account's lock is
 * taken, the cache is read again, and only who still finds no token asks
 * Microsoft. A new refresh token is on the disk before the access token that
 * came with it is cached or handed out. No answer of the server removes a
 * refresh token: only logout and the next login do.
 *
 * One row a kind of `auth` in a table of grants.
 */
#ifndef RENEW_H
#define RENEW_H

#include <time.h>

struct account;
struct config;
struct error;
struct oauth_token;
struct token;

#define RENEW_EARLY_PAUSE	300	/* seconds between early tries */

enum renew_choice {
	RENEW_USE,	/* the cached token is fine */
	RENEW_EARLY,	/* fine, but the server wishes an early renewal */
	RENEW_MAKE,	/* a new one is needed */
	RENEW_REFUSE,	/* the cached one was rejected, and is too young */
};

/* What to do. 'cached' is NULL when there is no valid one, 'rejected' NULL
 * or the hash of a token that the SMTP server refused. */
enum renew_choice renew_choose(const struct token *cached,
	    const char *rejected, time_t now);

/* The token, by all of the above, until 'deadline' (file_now() seconds). */
int	renew_token(struct token *, const struct config *,
	    const struct account *, const char *rejected, double deadline,
	    struct error *);

/* Keep what a sign-in gave: the refresh token, then the access token.
 * EX_CONFIG when it gave no refresh token. */
int	renew_keep(const struct config *, const struct account *,
	    const struct oauth_token *, time_t now, double deadline,
	    struct error *);
/* Forget everything of the account. */
int	renew_forget(const struct config *, const struct account *,
	    double deadline, struct error *);

#endif
