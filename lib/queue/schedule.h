/* When a message is tried again, and when it is tried no more. Pure.
 *
 * The first delay is the verdict's own, else a minute; each further attempt
 * doubles it up to the verdict's cap, else an hour (or to the first delay,
 * where that is longer), and up to an eighth is added by chance, so that what
 * failed together does not come back together. A message is given up after so
 * many seconds, and not before SCHEDULE_ATTEMPTS attempts: a machine that slept
 * for a week has tried nothing. Time on hold does not count: while a person
 * holds it, and between two attempts of which the first said ERROR_HOLD.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct entry;
struct error;

#define SCHEDULE_FIRST		60	/* seconds */
#define SCHEDULE_LONGEST	3600
#define SCHEDULE_ATTEMPTS	12
#define SCHEDULE_WARN		(4 * 3600)
/* The next attempt of what is being sent right now: should we die meanwhile,
 * the server may have it. */
#define SCHEDULE_UNDER_WAY	900

/* An attempt failed, with 'why' for the whole: count it, set e->next. What
 * was untried is not counted, and comes again after just its delay. */
void	schedule_failure(struct entry *, const struct error *why, time_t now,
	    uint32_t random);
/* A person holds it, or lets it go again: it is then due at once. */
void	schedule_hold(struct entry *, time_t now);
void	schedule_release(struct entry *, time_t now);
/* Seconds that it has waited, time on hold apart. */
long long schedule_age(const struct entry *, time_t now);
bool	schedule_expired(const struct entry *, time_t now, long long give_up);
/* Is its sender to be told that it is late? Once. */
bool	schedule_late(const struct entry *, time_t now);

#endif
