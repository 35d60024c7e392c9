/* The aliases file of this host (`aliases` of the configuration), and where
 * mail for its local users goes: through the aliases, then to `admin`, else to
 * the default account's mailbox (DESIGN section 6, "Recipients").
 *
 * It is read with the rights that the process has, at a time of its choice;
 * what it includes is read when it is needed, and only where all may read it.
 * A file that is not there holds no aliases. Of one that cannot be read, and of
 * an include that cannot, mail is not held back: it goes to `admin`, and a note
 * says why. So nobody loses mail by it, and somebody who can mend it sees it.
 *
 *	alias_file_init(&f, &config, host, on_note, arg);
 *	alias_file_read(&f);
 *	for each message:
 *		alias_file_begin(&f);
 *		alias_file_expand(&f, "root", &targets, &err) …
 *	alias_file_release(&f);
 */
#ifndef ALIAS_FILE_H
#define ALIAS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct aliases;
struct config;
struct mailbox_list;

/* A sentence about something left out: by mistake, or because it is nothing
 * for us. */
typedef void alias_file_note(void *arg, bool mistake, const char *sentence);

struct alias_file {
	const struct config *config;
	const char *host;		/* this host's name */
	alias_file_note *note;
	void *arg;
	bool missing;			/* it is not there */
	struct error trouble;		/* why it could not be read, if so */
	struct buf text;		/* as read */
	struct aliases *aliases;	/* parsed when first needed */
	size_t mistakes;		/* … with so many */
	bool shunned;			/* an include was met, and not read */
	size_t left;			/* see struct aliases_rules */
};

/* What there is to say of it. */
struct alias_file_report {
	size_t count;
	size_t longest, total;		/* bytes: of a list; of all */
	size_t mistakes;
};

/* Config and host are kept by reference. Without alias_file_read() there are
 * no aliases. */
void	alias_file_init(struct alias_file *, const struct config *,
	    const char *host, alias_file_note *, void *arg);
void	alias_file_release(struct alias_file *);
void	alias_file_read(struct alias_file *);

/* A message begins: what may be looked at for it is not used up. */
void	alias_file_begin(struct alias_file *);
/* Append the addresses that mail for a local name goes to, all with a domain.
 * Their display names tell the way: "alias www-data, alias root", with "admin"
 * or "the default account" at its end where it ends there. EX_NOUSER where it
 * goes nowhere; EX_CONFIG for a loop, lists that are too long, and an `admin`
 * who is a local user himself. */
int	alias_file_expand(struct alias_file *, const char *name,
	    struct mailbox_list *targets, struct error *);
/* The one address that mail for that name goes to, to be freed; NULL when
 * there are several, none, or it stands in an include, whose content is not
 * for a message's reader. Notes nothing. */
char	*alias_file_shown(struct alias_file *, const char *name);
/* Look at all of it, noting what is left out. EX_CONFIG when it cannot be
 * read, or has a loop. */
int	alias_file_check(struct alias_file *, struct alias_file_report *,
	    struct error *);

#endif
