/* The parts of 'outpost init': what is wanted (init.c), the questions where
 * that is not said (init_ask.c) or what
 * msmtp was told (init_msmtp.c), and how it gets onto the disk (init_write.c).
 *
 * The configuration is the commented sample, etc/outpost.conf, which is built
 * into the program, with what is wanted filled in. It is read back by the
 * configuration's own reader before anything is written; every file is written
 * whole or not at all, the configuration last.
 */
#ifndef INIT_H
#define INIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct error;
struct outpost;

#define INIT_SETTINGS_MAX	64u

/* "key = value", in [outpost] or in the account's section. */
struct init_setting {
	char *key, *value;
	bool main;
};

struct init {
	struct outpost *outpost;	/* its config: what is to be written */
	char *path;			/* where */
	char *mailbox;
	struct init_setting settings[INIT_SETTINGS_MAX];
	size_t count;
	bool force;			/* replace what is there */
	struct buf secret;		/* client secret to be kept, or empty */
};

/* The value that was set, or NULL. */
const char *init_get(const struct init *, const char *key);
/* Set a value in place of an earlier one; NULL changes nothing. */
void	init_set(struct init *, bool main, const char *key,
	    const char *value);
/* The same where there is no value yet. */
void	init_default(struct init *, bool main, const char *key,
	    const char *value);
/* Where this configuration would keep secrets. To be freed. */
char	*init_secrets_folder(const struct init *);

/* What an msmtp configuration says and nothing said yet; what is left out is
 * told on standard error. EX_CONFIG, EX_DATAERR, EX_USAGE. */
int	init_from_msmtp(struct init *, const char *path, struct error *);

/* Ask on the terminal for what is missing. EX_USAGE at its end. */
int	init_ask(struct init *, struct error *);

/* The text that would be written, checked: EX_CONFIG says what is wrong with
 * it. Fills the outpost's config. */
int	init_compose(struct init *, struct buf *out, struct error *);
/* Make folders that are missing, then secret and configuration. EX_CANTCREAT
 * where there is another configuration already. */
int	init_write(struct init *, const struct buf *text, struct error *);

#endif
