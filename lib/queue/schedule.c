#include "queue/schedule.h"

#include "queue/entry.h"

/* Times come from files: none is later than now. */
static long long
since(time_t then, time_t now)
{
	return then == 0 || then > now ? 0 : (long long)(now - then);
}

static long long
delay_of(const struct error *why, long long attempts, uint32_t random)
{
	long long delay =
	    why->retry_after > 0 ? (long long)why->retry_after : SCHEDULE_FIRST;
	long long longest =
	    why->retry_cap > 0 ? (long long)why->retry_cap : SCHEDULE_LONGEST;

	if (longest < delay)
		longest = delay;

	for (long long i = 1; i < attempts && delay < longest; i++)
		delay *= 2;
	if (delay > longest)
		delay = longest;
	if (delay > ENTRY_DELAY_MAX / 2)
		delay = ENTRY_DELAY_MAX / 2;
	return delay + (long long)(random % (uint32_t)(delay / 8 + 1));
}

/* When it was last taken up, or came. */
static time_t
last_seen(const struct entry *e)
{
	return e->tried != 0 ? e->tried : e->arrived;
}

static void
count_hold(struct entry *e, time_t now)
{
	if (e->why.class == ERROR_HOLD && e->held == 0)
		e->on_hold += since(last_seen(e), now);
}

/* Times that a clock was ahead in would count as now again and again, and the
 * message never grow old. No more of its time was on hold than it is here. */
static void
mend_times(struct entry *e, time_t now)
{
	if (e->arrived > now)
		e->arrived = now;
	if (e->tried > now)
		e->tried = now;
	if (e->on_hold > (long long)(now - e->arrived))
		e->on_hold = (long long)(now - e->arrived);
}

void
schedule_failure(
    struct entry *e, const struct error *why, time_t now, uint32_t random)
{
	count_hold(e, now);
	mend_times(e, now);
	if (!why->untried)
		e->attempts++;
	e->tried = now;
	e->why = *why;
	if (!why->untried)
		e->next = now + (time_t)delay_of(why, e->attempts, random);
	else if (why->retry_after < ENTRY_DELAY_MAX)
		e->next = now + (time_t)why->retry_after;
	else
		e->next = now + ENTRY_DELAY_MAX;
}

void
schedule_hold(struct entry *e, time_t now)
{
	if (e->held != 0)
		return;
	count_hold(e, now);
	e->held = now;
}

void
schedule_release(struct entry *e, time_t now)
{
	if (e->held != 0) {
		e->on_hold += since(e->held, now);
		e->held = 0;
		e->tried = now;
	}
	e->next = now;
}

long long
schedule_age(const struct entry *e, time_t now)
{
	long long hold = e->on_hold;

	if (e->held != 0)
		hold += since(e->held, now);
	else if (e->why.class == ERROR_HOLD)
		hold += since(last_seen(e), now);
	return since(e->arrived, now) - hold;
}

bool
schedule_expired(const struct entry *e, time_t now, long long give_up)
{
	return e->held == 0 && e->attempts >= SCHEDULE_ATTEMPTS &&
	       schedule_age(e, now) >= give_up;
}

bool
schedule_late(const struct entry *e, time_t now)
{
	return !e->warned && !e->notice && e->held == 0 &&
	       since(e->arrived, now) >= SCHEDULE_WARN;
}
