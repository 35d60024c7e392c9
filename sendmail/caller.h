/* Who called sendmail, from where and when: the facts that a message is
 * completed with. By the real uid, since USER, LOGNAME and HOME may be somebody
 * else's. Each message needs one of its own, with its time.
 */
#ifndef CALLER_H
#define CALLER_H

#include <sys/types.h>
#include <time.h>

#include "account/account.h"

#define CALLER_HOST_SIZE	256
#define CALLER_UNIQUE_SIZE	64

struct caller {
	uid_t uid;
	char *login;			/* NULL: not in the password file */
	char *full_name;		/* GECOS up to a comma, or NULL */
	char host[CALLER_HOST_SIZE];	/* this host's name */
	struct tm now;			/* local time */
	int utc_offset;			/* of it, in seconds */
	char unique[CALLER_UNIQUE_SIZE]; /* no other message has it */
};

void	caller_init(struct caller *, uid_t uid);
void	caller_release(struct caller *);
/* Who it is to the rules of accounts; the name is lent. */
struct account_caller caller_for_account(const struct caller *);

#endif
