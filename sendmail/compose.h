/* From what a caller wrote to what is sent: recipients, account, envelope,
 * and the completed header (DESIGN section 6).
 *
 * It goes in two steps, since the header must say of the body what is known
 * only when the body has passed:
 *
 *	compose_recipient(&m, …)	SMTP names each (-bs)
 *	compose_envelope(&m, …)		the header is read
 *	… the body goes by …
 *	compose_header(&m, …)		all is read
 */
#ifndef COMPOSE_H
#define COMPOSE_H

#include <stdbool.h>

#include "account/account.h"
#include "base/buf.h"
#include "mail/address.h"
#include "mail/content.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "sendmail/caller.h"
#include "sendmail/options.h"

struct alias_file;
struct error;

struct message {
	const struct options *options;
	const struct config *config;
	const struct caller *caller;
	struct alias_file *aliases;
	char *shown;			/* lent to header_complete() */
	struct header header;
	struct envelope envelope;
	struct account_choice choice;
	struct mailbox sender;		/* -f, as parsed */
	bool null_sender;
	/* See struct from_policy; set by the caller, or NULL. */
	bool (*is_denied)(void *arg, const char *address);
	void *is_denied_arg;
};

/* All are kept by reference; the aliases bring the configuration. */
void	message_init(struct message *, const struct options *,
	    struct alias_file *, const struct caller *);
void	message_release(struct message *);

/* Add a recipient; a local one is whom its aliases lead to, and a second of
 * the same name is none. After an error none is added. EX_DATAERR, EX_NOUSER;
 * EX_CONFIG for aliases that go round. */
int	compose_recipient(struct message *, const struct mailbox *,
	    struct error *);
/* Read the header block, collect the recipients, choose the account: after
 * this the envelope is complete but for its flags. EX_USAGE without
 * recipients, EX_DATAERR for addresses, EX_CONFIG and EX_NOPERM for the
 * account. */
int	compose_envelope(struct message *, const struct buf *block,
	    struct error *);

/* What is to be done to the body's lines, now that all of it is known. */
enum content_lines compose_lines(const struct message *,
	    const struct content *);
/* Complete the header for a body that turned out like this, and append it to
 * 'out' in CR LF with the empty line. The envelope's flags follow. */
int	compose_header(struct message *, const struct content *,
	    struct buf *out, struct error *);

#endif
