#include "submit/settle.h"

#include <sysexits.h>
#include <syslog.h>

#include "account/config.h"
#include "base/error.h"
#include "base/log.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "queue/spool.h"
#include "submit/notify.h"

static bool
is_queued(const struct entry *e)
{
	return e->body_fd != -1;
}

/* Trouble with what is done already stops nothing. */
static void
complain(const struct entry *e, const char *what, const struct error *err)
{
	log_line(LOG_ERR, "%s: %s: %s", e->id, what, err->text);
}

static struct notify
notify_about(const struct settle *s)
{
	return (struct notify){
		.config = s->config,
		.host = s->host,
		.now = s->now,
	};
}

/* Its time is over: what is pending is refused, by us. */
static void
give_up(const struct settle *s, struct entry *e)
{
	struct error last, verdict;

	for (size_t i = 0; i < e->envelope.count; i++) {
		const struct recipient *r = &e->envelope.recipients[i];

		if (r->state != RECIPIENT_PENDING)
			continue;
		last = r->error != NULL ? *r->error : e->why;
		error_set(&verdict, EX_UNAVAILABLE, "4.4.7",
		    "given up after %lld attempts in %lld hours: %s",
		    e->attempts, schedule_age(e, s->now) / 3600, last.text);
		error_hint(&verdict, "%s", last.hint);
		error_class_set(&verdict, ERROR_REFUSED, 0);
		envelope_verdict(&e->envelope, i, &verdict);
		log_line(LOG_WARNING,
		    "%s: from=<%s>, to=<%s>, relay=none, delay=%lld, "
		    "dsn=4.4.7, status=expired (%s)",
		    e->id, e->envelope.sender, r->address,
		    (long long)(s->now - e->arrived), verdict.text);
	}
}

/* Count the attempt. Does it still wait? */
static bool
reschedule(const struct settle *s, struct entry *e, const struct error *why)
{
	const struct notify notify = notify_about(s);

	schedule_failure(e, why, s->now, arc4random());
	if (!is_queued(e))
		return true;
	if (schedule_expired(e, s->now, s->config->give_up)) {
		give_up(s, e);
		return false;
	}
	if (schedule_late(e, s->now))
		notify_late(&notify, e);
	return true;
}

static int
wait_in_queue(const struct settle *s, struct entry *e, struct spool *spool,
    struct error *err)
{
	const struct notify notify = notify_about(s);
	struct error trouble;

	notify_failed(&notify, e);
	if (!is_queued(e))
		return queue_add(s->config->queue_dir, e, spool, err);
	/* It stays as it stands on disk, and is tried again. */
	if (queue_save(s->config->queue_dir, e, &trouble) == -1)
		complain(e, "its state could not be saved", &trouble);
	return 0;
}

static bool
nobody_has_it(const struct envelope *e)
{
	return envelope_count_state(e, RECIPIENT_SENT) == 0;
}

static void
tell_by_exit(struct envelope *e)
{
	for (size_t i = 0; i < e->count; i++)
		e->recipients[i].told = true;
}

static void
keep_failed(const struct settle *s, struct entry *e, struct spool *spool)
{
	const struct notify notify = notify_about(s);
	const char *dir = s->config->queue_dir;
	struct error trouble;
	int result;

	if (s->told_by_exit && nobody_has_it(&e->envelope))
		tell_by_exit(&e->envelope);
	notify_failed(&notify, e);
	e->next = s->now;
	if (s->config->keep_failed == 0) {
		result = is_queued(e) ? queue_remove(dir, e, &trouble) : 0;
	} else if (is_queued(e)) {
		result = queue_move(dir, e, ENTRY_FAILED, &trouble);
	} else {
		e->folder = ENTRY_FAILED;
		result = queue_add(dir, e, spool, &trouble);
	}
	if (result == -1)
		complain(e,
		    is_queued(e) && e->folder == ENTRY_FAILED
			? "is kept as failed, but without what became of it"
			: "cannot be kept as failed",
		    &trouble);
}

static void
leave_queue(const struct settle *s, struct entry *e)
{
	struct error trouble;

	if (!is_queued(e))
		return;
	if (queue_remove(s->config->queue_dir, e, &trouble) == 0) {
		log_line(LOG_INFO, "%s: removed", e->id);
		return;
	}
	complain(e, "was sent, but not removed", &trouble);
	/* With all states on disk it is at least not sent again. */
	(void)queue_save(s->config->queue_dir, e, &trouble);
}

int
settle(const struct settle *s, struct entry *e, struct spool *spool,
    const struct error *why, enum settled *out, struct error *err)
{
	if (envelope_count_state(&e->envelope, RECIPIENT_PENDING) > 0 &&
	    reschedule(s, e, why)) {
		*out = SETTLED_WAITING;
		return wait_in_queue(s, e, spool, err);
	}
	if (envelope_count_state(&e->envelope, RECIPIENT_REFUSED) > 0) {
		*out = SETTLED_FAILED;
		if (why->class == ERROR_REFUSED)
			e->why = *why;
		keep_failed(s, e, spool);
		return 0;
	}
	*out = SETTLED_SENT;
	leave_queue(s, e);
	return 0;
}
