/* May an account send now, and what does an outcome say of the next messages?
 * The holds and pauses of queue/hold.h, seen from a send.
 *
 *	if (standing_check(&standing, submission, &err) == -1) …
 *	… token, connection, login …
 *	standing_logged_in(&standing);
 *	… a message …
 *	standing_sent(&standing), or standing_message(&standing, &message, &err)
 *
 * A hold that a login drew is over with the next login that succeeds; one that
 * a message drew, with the next message that does. Who signs in meanwhile need
 * not wait for a probe: the token of that is newer than the refusal. A message
 * that draws one again while others of its account pass is at fault itself, and
 * refused.
 */
#ifndef STANDING_H
#define STANDING_H

#include <stdbool.h>
#include <time.h>

#include "queue/hold.h"

struct error;
struct submission;
struct submit_message;

struct standing {
	const struct submission *about;
	bool on_hold;		/* we are the probe, or a person asks */
	enum hold_source source;
};

/* -1, 'untried', with the reason: on hold, and no probe is due; or the server
 * could not be reached less than a minute ago, and the message is new. */
int	standing_check(struct standing *, const struct submission *,
	    struct error *);
/* How long is the account on hold yet, as far as a run of the queue should
 * care: 0 and the reason, or -1 where it may be tried. 'until' is when to look
 * again. */
int	standing_on_hold(const struct submission *, time_t now, time_t *until,
	    struct error *);

void	standing_logged_in(struct standing *);
void	standing_sent(struct standing *);

/* Note a failure. All return -1, so that they can end a function. */

/* Token or login; 'id' of the message where it was one, or NULL. */
int	standing_refused(struct standing *, const char *id,
	    const struct error *why);
int	standing_unreachable(struct standing *, const struct error *why);
/* Of a message: the error, and the verdicts of its pending recipients, are
 * turned into a refusal where the message is at fault. */
int	standing_message(struct standing *, const struct submit_message *,
	    struct error *why);

#endif
