/* What is in the queue: names, in order of arrival, and counts.
 *
 * Reading a folder costs memory for the names alone, ID_SIZE bytes each: who
 * wants to know more reads one message at a time (queue_read()).
 *
 *	struct list list;
 *	list_init(&list);
 *	if (list_read(&list, dir, ENTRY_ACTIVE, &filter, &err) == -1) …
 *	for (size_t i = 0; i < list.count; i++) … list.names[i] …
 *	list_release(&list);
 */
#ifndef LIST_H
#define LIST_H

#include "queue/entry.h"

struct error;

#define LIST_NAME_SIZE 32	/* of a name with what is behind it */

struct list {
	char (*names)[LIST_NAME_SIZE];
	size_t count;
	size_t room;
};

/* Which messages. */
struct list_filter {
	bool own;		/* only those of 'uid' */
	uid_t uid;
	time_t due;		/* only those due then; 0: all */
	time_t older;		/* only those of a time before; 0: all */
	const char *after;	/* only names behind that one; NULL: all */
};

void	list_init(struct list *);
void	list_release(struct list *);

void	list_add(struct list *, const char *name);
void	list_sort(struct list *);
/* Names of messages so that their users take turns, each in order of arrival:
 * the first of each, by arrival, then the second of each … */
void	list_take_turns(struct list *);
/* The messages of a folder; none where there is no folder. 'filter' may be
 * NULL. EX_IOERR, EX_NOPERM. */
int	list_read(struct list *, const char *dir, enum entry_folder,
	    const struct list_filter *, struct error *);
/* The names of files that belong to no message and are old enough to be
 * taken away, if nobody holds them. */
void	list_read_left(struct list *, const char *dir, enum entry_folder,
	    time_t now);

/* How much there is, for status and for listings' ends. */
struct queue_counts {
	size_t deferred;	/* waiting to be sent … */
	size_t held;		/* … until a person releases them */
	size_t failed;
	size_t corrupt;		/* set aside, all users' */
	unsigned long long bytes;	/* of the bodies of the waiting */
	time_t oldest;		/* arrival of the oldest that waits; 0: none */
};

/* Reads every message that waits. 'filter' may be NULL; its 'due' counts for
 * the waiting. */
int	queue_count(const char *dir, const struct list_filter *,
	    struct queue_counts *, struct error *);
/* The number of messages in corrupt/. */
size_t	queue_count_corrupt(const char *dir);

#endif
