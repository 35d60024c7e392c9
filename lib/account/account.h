/* Which account sends a message, as whom, and who may use it (DESIGN section
 * 6, "Sender and account").
 *
 * Candidates are what a message says of its sender, in order: -f, the header
 * From, the caller's login name. Accounts that the caller may not use are
 * skipped; the first whose mailbox or `senders` matches a candidate is
 * taken, else the default account.
 *
 * sendmail chooses; submit, which has the rights, checks the choice again
 * with account_authorise() against the real uid that started it.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "account/config.h"

struct error;

/* Who wants to send. */
struct account_caller {
	uid_t uid;			/* real */
	bool system;			/* a service sends for the caller, so
					 * that unlisted users have no account
					 * but the default */
	const char *name;		/* login name, NULL: none is known */
};

struct account_choice {
	const struct account *account;
	const char *sender;		/* MAIL FROM: of 'candidates', or the
					 * account's mailbox */
};

/* May the caller use the account? `users` says so by name or @group; root
 * may use all. */
bool	account_permits(const struct config *, const struct account *,
	    const struct account_caller *);

/* May the caller have the access token itself? `token_users` says so, by name
 * or @group; root may have all. EX_NOPERM. */
int	account_permits_token(const struct account *,
	    const struct account_caller *, struct error *);

/* Choose. 'candidates' holds addresses or bare names. EX_CONFIG names the
 * accounts there are; EX_NOPERM when only the right was lacking. */
int	account_choose(const struct config *, const struct account_caller *,
	    const char *const *candidates, size_t count,
	    struct account_choice *, struct error *);

/* Check a choice: '*out' is the account of that mailbox. EX_NOPERM. */
int	account_authorise(const struct config *,
	    const struct account_caller *, const char *mailbox,
	    const char *sender, const struct account **out, struct error *);

#endif
