/* What the parts of mailq share. */
#ifndef MAILQ_H
#define MAILQ_H

#include <stdbool.h>
#include <stddef.h>

#include "account/config.h"
#include "base/startup.h"
#include "queue/list.h"

struct error;

enum mailq_action {
	MAILQ_LIST,
	MAILQ_COUNT,
	MAILQ_SHOW,
	MAILQ_RETRY,
	MAILQ_HOLD,
	MAILQ_RELEASE,
	MAILQ_REMOVE,
	MAILQ_RETRY_FAILED,
	MAILQ_HELP,
};

struct mailq {
	struct startup who;
	const char *config_option;	/* -C */
	char *config_path;
	struct config config;
	enum mailq_action action;
	bool verbose;
	bool json;
	enum entry_folder folder;	/* --failed */
	struct list_filter filter;	/* the caller's own, but for root */
	char **words;			/* ids, accounts, ALL */
	size_t word_count;
};

/* show.c: to standard output. */
int	mailq_list(const struct mailq *, struct error *);
int	mailq_count(const struct mailq *, struct error *);
int	mailq_show(const struct mailq *, struct error *);

/* act.c: each that cannot be done is told of on standard error, the others
 * are done, and the first error is returned. */
int	mailq_act(const struct mailq *, struct error *);

/* Does one of the words name that message? Without words: none does. */
bool	mailq_is_meant(const struct mailq *, const struct entry *);
/* May the caller see and touch it? */
bool	mailq_is_allowed(const struct mailq *, const struct entry *);

/* There is no message 'id', or none that was meant (NULL). */
int	mailq_no_message(const char *id, struct error *);

void	mailq_complain(const struct error *);

#endif
