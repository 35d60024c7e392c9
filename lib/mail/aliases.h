/* aliases(5): names of local users to the addresses that their mail goes to.
 *
 * What standard files hold is understood: comments, continued lines, lists,
 * quoted names and values, ":include:/path", a leading backslash (that name is
 * not looked up again), names without regard to case, "name+tag" for "name".
 * Pipes and files are no place to send mail to from here: they are left out
 * with a warning, and so is a line that makes no sense, since one mistake
 * in /etc/aliases must not stop the mail of all others.
 *
 *	struct aliases *a = aliases_new();
 *	aliases_parse(a, path, text, len, &rules);
 *	mailbox_list_init(&targets);
 *	if (aliases_expand(a, "root", &rules, &targets, &err) == -1) …
 *	aliases_free(a);
 *
 * Pure: what an include holds is brought by a callback.
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

struct aliases;

/* What the callers decide. All but 'arg' are needed. */
struct aliases_rules {
	/* Is it a user of this host, whose name is to be looked up? */
	bool (*is_local)(void *arg, const struct mailbox *);
	/* Append what the file of an ":include:" holds. Its error is that of
	 * the expansion. */
	int (*include)(void *arg, const char *path, struct buf *out,
	    struct error *);
	/* A sentence about something left out. */
	void (*note)(void *arg, const char *sentence);
	void *arg;
};

struct aliases *aliases_new(void);
void	aliases_free(struct aliases *);

/* Add the names of a file; a name that is there already is warned of and
 * keeps its first value. 'path' is for warnings. Returns how many lines were
 * left out. */
size_t	aliases_parse(struct aliases *, const char *path, const char *text,
	    size_t len, const struct aliases_rules *);
/* How many names there are. */
size_t	aliases_count(const struct aliases *);

/* Append where mail for a local name goes: addresses that are not local, and
 * local names for which there is no alias, without a domain. Nothing where
 * pipes or files are all there is. A name that stands in its own list is
 * such a local name. EX_CONFIG for a longer loop or more than
 * ALIASES_DEPTH_MAX names behind one another. */
int	aliases_expand(const struct aliases *, const char *name,
	    const struct aliases_rules *, struct mailbox_list *targets,
	    struct error *);

#endif
