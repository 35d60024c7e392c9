/* Holding, releasing, retrying and removing messages. Each is changed under
 * its lock. */
#include "mailq/mailq.h"

#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/xalloc.h"
#include "queue/queue.h"
#include "queue/schedule.h"

#define IDS_AT_ONCE 1000

struct work {
	const struct mailq *mailq;
	enum entry_folder folder;
	struct list retry; /* what submit is to try now */
	size_t done;
	size_t failed;
	struct error first; /* of what could not be done */
};

static const char *
dir_of(const struct work *w)
{
	return w->mailq->config.queue_dir;
}

static void
complain(struct work *w, const struct error *err)
{
	if (w->failed++ == 0)
		w->first = *err;
	else
		mailq_complain(err);
}

static void
log_action(const struct work *w, const struct entry *e, const char *what)
{
	log_line(LOG_INFO, "%s: %s by user %ld", e->id, what,
	    (long)w->mailq->who.caller);
}

static int
hold(struct work *w, struct entry *e, struct error *err)
{
	schedule_hold(e, time(NULL));
	if (queue_save(dir_of(w), e, err) == -1)
		return -1;
	log_action(w, e, "held");
	return 0;
}

static int
release(struct work *w, struct entry *e, struct error *err)
{
	schedule_release(e, time(NULL));
	if (queue_save(dir_of(w), e, err) == -1)
		return -1;
	log_action(w, e, "released");
	return 0;
}

static int
retry(struct work *w, struct entry *e, struct error *err)
{
	if (release(w, e, err) == -1)
		return -1;
	list_add(&w->retry, e->id);
	return 0;
}

static int
remove_entry(struct work *w, struct entry *e, struct error *err)
{
	if (queue_remove(dir_of(w), e, err) == -1)
		return -1;
	log_action(w, e, "removed");
	return 0;
}

/* As if it had come just now, for those who were refused. */
static int
retry_failed(struct work *w, struct entry *e, struct error *err)
{
	for (size_t i = 0; i < e->envelope.count; i++) {
		struct recipient *r = &e->envelope.recipients[i];

		if (r->state != RECIPIENT_REFUSED)
			continue;
		r->state = RECIPIENT_PENDING;
		r->told = false;
		free(r->error);
		r->error = NULL;
	}
	e->arrived = e->next = time(NULL);
	e->attempts = e->on_hold = 0;
	e->tried = e->held = 0;
	e->warned = false;
	error_clear(&e->why);
	if (queue_move(dir_of(w), e, ENTRY_ACTIVE, err) == -1)
		return -1;
	log_action(w, e, "put back into the queue");
	list_add(&w->retry, e->id);
	return 0;
}

static int
change(struct work *w, struct entry *e, struct error *err)
{
	switch (w->mailq->action) {
	case MAILQ_HOLD:
		return hold(w, e, err);
	case MAILQ_RELEASE:
		return release(w, e, err);
	case MAILQ_RETRY:
		return retry(w, e, err);
	case MAILQ_REMOVE:
		return remove_entry(w, e, err);
	default:
		return retry_failed(w, e, err);
	}
}

/* Is it there and the caller's to touch? Then change it, or say why not. */
static bool
act_on(struct work *w, enum entry_folder folder, const char *id)
{
	struct entry e;
	struct error err;
	bool found = false;
	enum queue_claim claim;

	entry_init(&e);
	claim = queue_claim(dir_of(w), folder, id, &e, &err);
	if (claim == QUEUE_CLAIMED) {
		found = mailq_is_allowed(w->mailq, &e) &&
			mailq_is_meant(w->mailq, &e);
		if (found && change(w, &e, &err) == -1)
			complain(w, &err);
		else if (found)
			w->done++;
	} else if (claim != QUEUE_GONE) {
		found = true;
		complain(w, &err);
	}
	entry_release(&e);
	return found;
}

/* Messages that are named by name. */
static void
act_on_name(struct work *w, const char *id)
{
	struct error err;
	bool found;

	/* Whose it is stands in the name, so that a stranger's is not even
	 * locked. */
	found = !w->mailq->filter.own || id_uid(id) == w->mailq->filter.uid;
	found = found && (act_on(w, w->folder, id) ||
			     (w->mailq->action == MAILQ_REMOVE &&
				 act_on(w, ENTRY_FAILED, id)));
	if (found)
		return;
	mailq_no_message(id, &err);
	if (w->mailq->action == MAILQ_RETRY)
		error_hint(&err, "--retry-failed is for messages that failed");
	complain(w, &err);
}

/* All that an account or ALL means; a read tells, before a lock is taken. */
static int
act_on_many(struct work *w, struct error *err)
{
	struct list ids;
	struct entry e;
	struct error ignored;

	list_init(&ids);
	if (list_read(&ids, dir_of(w), w->folder, &w->mailq->filter, err) == -1)
		return -1;
	for (size_t i = 0; i < ids.count; i++) {
		entry_init(&e);
		if (queue_read(dir_of(w), w->folder, ids.names[i], true, &e,
			&ignored) == 0 &&
		    mailq_is_meant(w->mailq, &e))
			(void)act_on(w, w->folder, ids.names[i]);
		entry_release(&e);
	}
	list_release(&ids);
	return 0;
}

/* Have submit try up to IDS_AT_ONCE of them, with the caller's rights, not
 * those that we have; what happens is told by it. */
static int
run_submit(const struct work *w, size_t from, struct error *err)
{
	const struct mailq *m = w->mailq;
	char *path = xasprintf("%s/submit", startup_libexec());
	const char *argv[IDS_AT_ONCE + 7];
	char uid[24];
	size_t n = 0;
	int why;
	pid_t child;

	argv[n++] = path;
	if (!m->who.service) {
		argv[n++] = "-C";
		argv[n++] = m->config_path;
	}
	argv[n++] = "-qv";
	if (m->filter.own) {
		(void)snprintf(
		    uid, sizeof(uid), "-u%lld", (long long)m->filter.uid);
		argv[n++] = uid;
	}
	for (size_t i = from; i < w->retry.count && i < from + IDS_AT_ONCE; i++)
		argv[n++] = w->retry.names[i];
	argv[n] = NULL;
	why = spawn_program(&child, path, argv, -1, STDOUT_FILENO);
	if (why != 0)
		error_set(err, EX_CONFIG, "4.3.0", "cannot run '%s': %s", path,
		    strerror(why));
	else
		(void)spawn_wait(child, NULL, NULL);
	free(path);
	return why == 0 ? 0 : -1;
}

static int
act(struct work *w, struct error *err)
{
	const struct mailq *m = w->mailq;
	bool many = false;

	for (size_t i = 0; i < m->word_count; i++)
		if (id_valid(m->words[i]))
			act_on_name(w, m->words[i]);
		else
			many = true;
	if (many && act_on_many(w, err) == -1)
		return -1;
	list_sort(&w->retry);
	for (size_t i = 0; i < w->retry.count; i += IDS_AT_ONCE)
		if (run_submit(w, i, err) == -1)
			return -1;
	if (w->failed > 0) {
		*err = w->first;
		return -1;
	}
	if (w->done > 0)
		return 0;
	return mailq_no_message(NULL, err);
}

int
mailq_act(const struct mailq *m, struct error *err)
{
	struct work w = {
		.mailq = m,
		.folder =
		    m->action == MAILQ_RETRY_FAILED ? ENTRY_FAILED : m->folder,
	};
	int result;

	list_init(&w.retry);
	result = act(&w, err);
	list_release(&w.retry);
	return result;
}
