/* Which messages are being worked on, found out without touching their
 * locks: a look that took one would make others pass the message by. What
 * /proc does not show, is not known.
 */
#ifndef LOCKS_H
#define LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct entry;

struct locks {
	ino_t *files;		/* sorted */
	size_t count;
};

void	locks_read(struct locks *);
void	locks_release(struct locks *);
bool	locks_hold(const struct locks *, const char *queue_dir,
	    const struct entry *);

#endif
