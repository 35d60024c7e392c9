/* What keeps an account from sending for longer than one message: a hold,
 * which only a person can end, and a pause after a server that could not be
 * reached. Both are one small file an account in STATE_DIR/state, so that
 * all processes know.
 *
 * While an account is on hold, mail is queued at once with the hold's reason.
 * From time to time one process may try (hold_claim_probe()), less and less
 * often up to the verdict's own cap: with the login alone where that drew the
 * hold, with a message where a message did. What succeeds lifts the hold, also
 * in 'outpost check': the login one that a login drew, the message of --send
 * any. After 'outpost login' the next message need not wait for a probe, where
 * a login drew it (submit/standing.h).
 *
 * Best effort: where the files cannot be used, each message finds out for
 * itself.
 */
#ifndef HOLD_H
#define HOLD_H

#include <stdbool.h>
#include <time.h>

#include "base/error.h"
#include "queue/id.h"

struct account;
struct config;

#define HOLD_PROBE_SECONDS	900	/* to the first try, unless told */
#define HOLD_PROBE_CAP		3600	/* and at most, unless told */
#define HOLD_PAUSE_SECONDS	60	/* after a connect that failed */

/* What drew it, and so what can tell that it is over. */
enum hold_source {
	HOLD_FROM_LOGIN,	/* token, connection or AUTH */
	HOLD_FROM_MESSAGE,	/* a message: AUTH is too early to tell */
};

struct hold {
	enum hold_source source;
	char id[ID_SIZE];	/* of the message that drew it, or "" */
	time_t since;
	time_t refused;		/* the last time that it was found so */
	time_t next_probe;
	unsigned interval;	/* seconds between the last probe and that */
	struct error why;
};

/* 0 and the hold where the account is on hold, else -1. */
int	hold_read(const struct config *, const struct account *, time_t now,
	    struct hold *);
/* Put it on hold, or, where it is already, keep since when and how often it
 * is probed. 'id' may be NULL. */
void	hold_place(const struct config *, const struct account *,
	    enum hold_source, const char *id, const struct error *why,
	    time_t now);
/* A token that was issued since the hold was last found so: somebody signed in,
 * or mended what tokens come from. The next message tries. */
bool	hold_is_outdated(const struct hold *, time_t issued);
/* May this process try whether the hold is over? True once each interval,
 * which doubles; among any number of processes one is told so. */
bool	hold_claim_probe(const struct config *, const struct account *,
	    time_t now);
/* True where there was one. As with the others, one that cannot be locked is
 * left as it is. */
bool	hold_lift(const struct config *, const struct account *);

/* The server could not be reached just now. */
void	hold_pause(const struct config *, const struct account *,
	    const struct error *why, time_t now);
/* 0 and why during the pause, retry_after being what is left; else -1. */
int	hold_paused(const struct config *, const struct account *, time_t now,
	    struct error *why);
void	hold_resume(const struct config *, const struct account *);

#endif
