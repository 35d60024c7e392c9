/* Who called sendmail, from where: the facts that a message is completed
 * with. By the real uid, since USER, LOGNAME and HOME may be somebody
 * else's.
 */
#ifndef CALLER_H
#define CALLER_H

#include <sys/types.h>
#include <time.h>

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

#endif
