/* One message on its way to submit: its bytes go into 'content', header and
 * recipients are seen to, the body goes through the pipe as it comes.
 *
 *	struct transfer t;
 *	transfer_init(&t, &options, &aliases, &caller, &handoff);
 *	… content_write(&t.content, …) …, content_finish(&t.content, …)
 *	if (transfer_end(&t, &err) == 0)
 *		handoff_result(&handoff, …)
 *	transfer_release(&t);
 *
 * Without transfer_end() submit does nothing: what was begun is dropped.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "mail/content.h"
#include "sendmail/compose.h"

struct alias_file;
struct error;
struct handoff;

struct transfer {
	struct message message;
	struct content content;		/* its callbacks are ours */
	struct handoff *handoff;
};

/* All but the first are kept by reference; the first must stay where it is. */
void	transfer_init(struct transfer *, const struct options *,
	    struct alias_file *, const struct caller *, struct handoff *);
void	transfer_release(struct transfer *);

/* All of the content has come: complete the header, and let it go. */
int	transfer_end(struct transfer *, struct error *);

#endif
