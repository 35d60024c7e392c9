/* aliases(5): names of local users to the addresses that their mail goes to.
 *
 * What standard files hold is understood: comments, continued lines, lists,
 * quoted names and values, ":include:/path", a leading backslash (that name is
 * not looked up again), names without regard to case, "name+tag" for "name".
 * Pipes and files are no place to send mail to from here: they are left out
 * with a note, and so is what makes no sense, since one mistake in
 * /etc/aliases must not stop the mail of all others.
 *
 *	struct aliases *a = aliases_new();
 *	aliases_parse(a, path, text, len, &rules);
 *	mailbox_list_init(&targets);
 *	if (aliases_expand(a, "root", &rules, &targets, &err) == -1) …
 *	aliases_free(a);
 *
 * Pure: what an include holds is brought by a callback. It is never quoted: a
 * note tells how much of it was left out.
 */
#ifndef ALIASES_H
#define ALIASES_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;
struct mailbox;
struct mailbox_list;

#define ALIASES_FILE_MAX	(4u * 1024 * 1024)	/* bytes */
#define ALIASES_DEPTH_MAX	50u	/* names behind names */
#define ALIASES_WORK_MAX	((size_t)16 * 1024 * 1024)	/* bytes of
					 * lists looked at for one message */

struct aliases;

/* What the callers decide. All but 'arg' are needed. */
struct aliases_rules {
	/* Is it a user of this host, whose name is to be looked up? */
	bool (*is_local)(void *arg, const struct mailbox *);
	/* Append what the file of an ":include:" holds. Where it cannot, mail
	 * goes to the alias's own name, as if that had no alias, and its
	 * sentence is a note. */
	int (*include)(void *arg, const char *path, struct buf *out,
	    struct error *);
	/* A sentence, "path:line: …", about something left out: by mistake, or
	 * because it is nothing for us. */
	void (*note)(void *arg, bool mistake, const char *sentence);
	size_t *left;			/* bytes of lists that may still be
					 * looked at */
	void *arg;
};

struct aliases *aliases_new(void);
void	aliases_free(struct aliases *);

/* Read the names of a file, once. A name that is there already keeps its first
 * value. 'path' is for notes. Returns how many mistakes were noted. */
size_t	aliases_parse(struct aliases *, const char *path, const char *text,
	    size_t len, const struct aliases_rules *);
/* How many names there are; the bytes of the longest list, and of all names and
 * lists. */
size_t	aliases_count(const struct aliases *);
void	aliases_sizes(const struct aliases *, size_t *longest, size_t *total);

/* Append where mail for a local name goes: addresses that are not local, and
 * local names for which there is no alias, without a domain; that name itself
 * where pipes or files are all there is. A name that stands in its own list is
 * such a local name. A target's display name tells the way to it: "alias
 * www-data, alias root", or NULL. EX_CONFIG for a longer loop, more than
 * ALIASES_DEPTH_MAX names behind one another, more than ADDRESS_COUNT_MAX
 * targets, and when nothing is left of 'left'. An include that leads to one of
 * these is as one that cannot be read. */
int	aliases_expand(const struct aliases *, const char *name,
	    const struct aliases_rules *, struct mailbox_list *targets,
	    struct error *);
/* Look at all lists, in the order of the file, for the notes and errors of an
 * expansion. */
int	aliases_check(const struct aliases *, const struct aliases_rules *,
	    size_t *mistakes, struct error *);

#endif
