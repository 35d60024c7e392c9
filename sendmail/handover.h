/* One message on its way to submit: its bytes go into 'content', header and
 * recipients are seen to, the body goes through the pipe as it comes.
 *
 *	struct handover h;
 *	handover_init(&h, &options, &aliases, &caller, &handoff);
 *	… content_write(&h.content, …) …, content_finish(&h.content, …)
 *	if (handover_end(&h, &err) == 0)
 *		handoff_result(&handoff, …)
 *	handover_release(&h);
 *
 * Without handover_end() submit does nothing: what was begun is dropped.
 */
#ifndef HANDOVER_H
#define HANDOVER_H

#include "mail/content.h"
#include "sendmail/compose.h"

struct alias_file;
struct error;
struct handoff;

struct handover {
	struct message message;
	struct content content;		/* its callbacks are ours */
	struct handoff *handoff;
};

/* All but the first are kept by reference; the first must stay where it is. */
void	handover_init(struct handover *, const struct options *,
	    struct alias_file *, const struct caller *, struct handoff *);
void	handover_release(struct handover *);

/* All of the content has come: complete the header, and let it go. */
int	handover_end(struct handover *, struct error *);

#endif
