#include "submit/settle.h"

#include <sysexits.h>
#include <syslog.h>

#include "account/config.h"
#include "base/error.h"
#include "base/log.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "queue/spool.h"

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

static int
wait_in_queue(const struct settle *s, struct entry *e, struct spool *spool,
    const struct error *why, struct error *err)
{
	struct error trouble;

	schedule_failure(e, why, s->now, arc4random());
	if (!is_queued(e))
		return queue_add(s->config->queue_dir, e, spool, err);
	/* It stays as it stands on disk, and is tried again. */
	if (queue_save(s->config->queue_dir, e, &trouble) == -1)
		complain(e, "its state could not be saved", &trouble);
	return 0;
}

static void
keep_failed(const struct settle *s, struct entry *e, struct spool *spool)
{
	const char *dir = s->config->queue_dir;
	struct error trouble;
	int result;

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
		complain(e, "cannot be kept as failed", &trouble);
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
	if (envelope_count_state(&e->envelope, RECIPIENT_PENDING) > 0) {
		*out = SETTLED_WAITING;
		return wait_in_queue(s, e, spool, why, err);
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
