#include "submit/deliver.h"

#include <sysexits.h>
#include <syslog.h>
#include <time.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "queue/spool.h"
#include "submit/handoff.h"
#include "submit/settle.h"
#include "submit/submit.h"

struct work {
	const struct delivery *delivery;
	double started; /* file_now() seconds … */
	double arrived; /* … and those of CLOCK_REALTIME */
	bool linked;    /* or it was tried */
};

static const char *
queue_dir(const struct work *w)
{
	return w->delivery->submission->config->queue_dir;
}

/* Into the queue while it is being sent. */
static int
link_now(struct work *w, struct error *err)
{
	struct entry *e = w->delivery->entry;

	w->linked = true;
	e->next = time(NULL) + SCHEDULE_UNDER_WAY;
	error_set(&e->why, EX_TEMPFAIL, "4.4.0", "it is being sent");
	if (queue_add(queue_dir(w), e, w->delivery->spool, err) == -1)
		return -1;
	log_line(LOG_INFO, "%s: put into the queue while it is sent", e->id);
	return 0;
}

static bool
on_wait(void *arg)
{
	const struct deliver_connection *c = arg;
	struct work *w = c->work;
	struct error trouble;
	bool signalled;

	if (w == NULL)
		return true;
	signalled = *w->delivery->signalled != 0;
	if (!w->linked &&
	    (signalled || file_now() >= w->started + DELIVER_LINK_SECONDS) &&
	    link_now(w, &trouble) == -1)
		log_line(LOG_WARNING, "%s: cannot put it into the queue: %s",
		    w->delivery->entry->id, trouble.text);
	return !signalled;
}

static void
save(void *arg)
{
	struct work *w = arg;
	struct entry *e = w->delivery->entry;
	struct error trouble;
	int result = 0;

	if (e->body_fd != -1)
		result = queue_save(queue_dir(w), e, &trouble);
	else if (!w->linked)
		result = link_now(w, &trouble);
	if (result == -1)
		log_line(LOG_ERR, "%s: its state could not be saved: %s", e->id,
		    trouble.text);
}

/* For the message's account: the connection that is open, or another. */
static int
connect_for(struct work *w, bool *kept, struct error *err)
{
	struct deliver_connection *c = w->delivery->connection;
	const struct submission *about = w->delivery->submission;
	double deadline = w->started + (double)about->config->patience;

	*kept = c->submit != NULL && c->submission.account == about->account &&
		submit_usable(c->submit);
	if (*kept) {
		submit_extend(c->submit, deadline);
		return 0;
	}
	deliver_disconnect(c);
	c->submission = *about;
	c->submission.waiting = on_wait;
	c->submission.waiting_arg = c;
	c->submit = submit_open(&c->submission, deadline, err);
	return c->submit == NULL ? -1 : 0;
}

/* Had the server given a kept connection up, without a word of this message? */
static bool
was_stale(const struct work *w, const struct error *why)
{
	return why->class == ERROR_RETRY && !why->uncertain &&
	       *w->delivery->signalled == 0 &&
	       !submit_usable(w->delivery->connection->submit) &&
	       envelope_count_state(
		   &w->delivery->entry->envelope, RECIPIENT_SENT) == 0;
}

static int
attempt(struct work *w, struct error *err)
{
	const struct delivery *d = w->delivery;
	const struct submit_message message = {
		.id = d->entry->id,
		.uid = d->entry->uid,
		.arrived = w->arrived,
		.envelope = &d->entry->envelope,
		.content = {
			.header = d->entry->header.data,
			.header_len = d->entry->header.len,
			.body_fd = d->spool->fd,
			.body_len = (off_t)d->spool->size,
		},
		.drew_hold = &d->entry->drew_hold,
		.save = save,
		.save_arg = w,
	};
	bool kept;
	int result;

	if (submit_check(d->submission->account, &message, err) == -1)
		return -1;
	do {
		if (connect_for(w, &kept, err) == -1) {
			submit_log_deferred(&message, err);
			return -1;
		}
		result = submit_send(d->connection->submit, &message, err);
	} while (result == -1 && kept && was_stale(w, err));
	return result;
}

static void
note(const struct delivery *d, char kind, char *text)
{
	d->note(d->note_arg, kind, text);
	free(text);
}

/* Where others got the message, who did not is told of, one line each. */
static void
note_refused(const struct delivery *d)
{
	const struct envelope *e = &d->entry->envelope;

	for (size_t i = 0; i < e->count; i++) {
		const struct recipient *r = &e->recipients[i];

		if (r->state == RECIPIENT_REFUSED && r->error != NULL)
			note(d, 'N',
			    xasprintf("<%s> was refused: %s", r->address,
				r->error->text));
	}
}

static void
note_queued(const struct delivery *d, const struct error *why)
{
	note(d, 'N',
	    xasprintf(HANDOFF_QUEUED "%s: %s", d->entry->id, why->text));
	if (why->hint[0] != '\0')
		note(d, 'I', xstrdup(why->hint));
}

/* Neither sent nor queued. */
static int
fail_both(const struct delivery *d, const struct error *why,
    const struct error *trouble, struct error *err)
{
	if (!d->spool->queueable) {
		*err = *why;
		err->exit_code = EX_TEMPFAIL;
		return error_prefix(err,
		    "the queue in '%s' cannot be used, and the message could "
		    "not be sent",
		    d->submission->config->queue_dir);
	}
	error_set(err, trouble->exit_code, trouble->status,
	    "%s; and it could not be sent: %s", trouble->text, why->text);
	return error_hint(err, "%s", trouble->hint);
}

static void
describe_signal(struct error *why, int number)
{
	const char *name = sigabbrev_np(number);

	error_set(why, EX_TEMPFAIL, "4.3.2", "signal %s stopped the sending",
	    name != NULL ? name : "?");
}

static int
conclude(struct work *w, int result, struct error *why, struct error *err)
{
	const struct delivery *d = w->delivery;
	const struct settle about = {
		.config = w->delivery->submission->config,
		.host = w->delivery->submission->helo,
		.now = time(NULL),
		.told_by_exit = !d->mail_errors,
	};
	size_t sent;
	struct error trouble;
	enum settled settled;

	if (result == -1 && *d->signalled != 0 && !why->uncertain &&
	    envelope_count_state(&d->entry->envelope, RECIPIENT_PENDING) > 0)
		describe_signal(why, *d->signalled);
	if (settle(&about, d->entry, d->spool, why, &settled, &trouble) == -1)
		return fail_both(d, why, &trouble, err);
	sent = envelope_count_state(&d->entry->envelope, RECIPIENT_SENT);
	if (settled == SETTLED_FAILED && sent == 0) {
		*err = *why;
		return -1;
	}
	note_refused(d);
	if (settled == SETTLED_WAITING)
		note_queued(d, why);
	return 0;
}

static int
queue_as_asked(struct work *w, struct error *err)
{
	const struct delivery *d = w->delivery;

	d->entry->next = d->entry->arrived;
	if (queue_add(queue_dir(w), d->entry, d->spool, err) == -1)
		return -1;
	log_line(LOG_INFO, "%s: from=<%s>, size=%llu, nrcpt=%zu (queued)",
	    d->entry->id, d->entry->envelope.sender,
	    (unsigned long long)d->spool->size + d->entry->header.len,
	    d->entry->envelope.count);
	return 0;
}

int
deliver(const struct delivery *d, struct error *err)
{
	struct work w = { .delivery = d, .started = file_now() };
	size_t most = (size_t)d->submission->account->max_recipients;
	struct timespec now;
	struct error why;
	int result;

	error_clear(&why);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	w.arrived = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	if (d->queue_only)
		return queue_as_asked(&w, err);
	if (d->entry->envelope.count > most && link_now(&w, err) == -1)
		return error_prefix(err,
		    "a message to %zu recipients must be queued before it is "
		    "sent",
		    d->entry->envelope.count);
	d->connection->work = &w;
	result = attempt(&w, &why);
	d->connection->work = NULL;
	return conclude(&w, result, &why, err);
}

void
deliver_disconnect(struct deliver_connection *c)
{
	submit_close(c->submit);
	c->submit = NULL;
}
