#include "submit/runner.h"

#include <stdint.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/startup.h"
#include "base/xalloc.h"
#include "queue/learned.h"
#include "queue/list.h"
#include "queue/pattern.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "submit/notify.h"
#include "submit/settle.h"
#include "submit/standing.h"
#include "submit/submit.h"
#include "token/token.h"

/* The messages of one account, in the order in which they are sent. */
struct share {
	const struct run *run;
	char *account; /* mailbox as the messages name it */
	struct list ids;
	/* Those that drew a hold, which may be at fault themselves: none of
	 * them is to find out whether it is over while there are others. */
	struct list last;
	time_t started;
	char seen[ID_SIZE]; /* later messages were not looked at */
	struct submission submission;
	/* While a worker works on it: */
	struct submit *session;
	unsigned tried;       /* messages since it last looked at the queue */
	unsigned lost;        /* connections, one after the other */
	struct error failure; /* of the last message … */
	time_t put_off_to;    /* … and when it is tried again */
};

/* All accounts' shares. */
struct shares {
	struct share *items;
	size_t count;
	char seen[ID_SIZE];
};

static int collect(
    struct shares *, const struct run *, const char *after, struct error *);
static void release_shares(struct shares *);

static const char *
queue_dir(const struct run *run)
{
	return run->config->queue_dir;
}

static void
progress(
    const struct run *run, const char *id, const char *what, const char *why)
{
	char *line;

	if (run->progress == NULL)
		return;
	line = xasprintf("%s: %s%s%s", id, what, why != NULL ? ": " : "",
	    why != NULL ? why : "");
	run->progress(run->progress_arg, line);
	free(line);
}

static bool
is_chosen(const struct run *run, const struct entry *e)
{
	if (e->held != 0 || (run->own && e->uid != run->uid))
		return false;
	for (size_t i = 0; i < run->pattern_count; i++)
		if (!pattern_matches(run->patterns[i], e))
			return false;
	return true;
}

static bool
is_forced(const struct run *run)
{
	return run->force || run->pattern_count > 0 || run->id_count > 0;
}

/* Is it to be tried by us, now that we hold its lock? */
static bool
is_turn(const struct share *s, const struct entry *e)
{
	time_t now = time(NULL);

	if (!is_chosen(s->run, e))
		return false;
	/* Another worker of this run was faster. */
	if (is_forced(s->run))
		return e->tried <= s->started || e->tried > now;
	return entry_due(e->next, now) <= now;
}

/* One message. */

static bool
on_wait(void *arg)
{
	const struct run *run = arg;

	return *run->signalled == 0;
}

struct saving {
	const struct run *run;
	struct entry *entry;
};

static void
save(void *arg)
{
	const struct saving *s = arg;
	struct error trouble;

	if (queue_save(queue_dir(s->run), s->entry, &trouble) == -1)
		log_line(LOG_ERR, "%s: its state could not be saved: %s",
		    s->entry->id, trouble.text);
}

/* Where the attempt leaves the share. */
enum after {
	GO_ON,
	PUT_OFF, /* the account failed: the others would meet the same */
	END,     /* a signal, or connection after connection is lost */
};

static void
report(const struct run *run, const struct entry *e, enum settled settled,
    const struct error *why)
{
	progress(run, e->id,
	    settled == SETTLED_SENT     ? "sent"
	    : settled == SETTLED_FAILED ? "failed"
					: "deferred",
	    settled == SETTLED_SENT ? NULL : why->text);
}

static void
settle_entry(struct share *s, struct entry *e, const struct error *why)
{
	const struct settle about = {
		.config = s->run->config,
		.host = s->run->host,
		.now = time(NULL),
	};
	enum settled settled;
	struct error trouble;

	/* It is in the queue already, so that this cannot fail. */
	if (settle(&about, e, NULL, why, &settled, &trouble) == 0)
		report(s->run, e, settled, why);
}

/* The attempt was broken off before the server could have the message. */
static void
put_back(struct share *s, struct entry *e)
{
	struct saving saving = { s->run, e };

	e->next = time(NULL);
	save(&saving);
}

static int
open_session(struct share *s, struct error *err)
{
	double patience = (double)s->run->config->patience;

	if (s->session != NULL && submit_usable(s->session))
		return 0;
	submit_close(s->session);
	s->session = NULL;
	if (s->submission.account == NULL) {
		error_set(err, EX_CONFIG, "4.3.5",
		    "there is no account '%s' in '%s' any more", s->account,
		    s->run->config->path);
		error_hint(err, "put it back, or remove its messages with "
				"mailq");
		return error_class_set(err, ERROR_HOLD, SCHEDULE_LONGEST);
	}
	s->session = submit_open(&s->submission, file_now() + patience, err);
	return s->session == NULL ? -1 : 0;
}

static bool
is_of_account(const struct error *why)
{
	return why->class == ERROR_HOLD || why->class == ERROR_THROTTLED;
}

/* Send, or find out that nothing can be sent: what submit_send() says. */
static int
try_entry(struct share *s, const struct submit_message *m, enum after *after,
    struct error *why)
{
	const struct account *account = s->submission.account;
	int result;

	*after = GO_ON;
	if (account != NULL &&
	    (submit_check(account, m, why) == -1 ||
		submit_check_from(&s->submission, m, why) == -1))
		return -1;
	if (open_session(s, why) == -1) {
		*after = PUT_OFF;
		if (*s->run->signalled == 0)
			submit_log_deferred(m, why);
		return -1;
	}
	result = submit_send(s->session, m, why);
	if (result == -1 && is_of_account(why))
		*after = PUT_OFF;
	s->lost = result == -1 && !submit_usable(s->session) ? s->lost + 1 : 0;
	if (s->lost == RUNNER_LOST_MAX)
		*after = END;
	return result;
}

static enum after
send_entry(struct share *s, struct entry *e)
{
	struct saving saving = { s->run, e };
	const struct submit_message message = {
		.id = e->id,
		.uid = e->uid,
		.arrived = (double)e->arrived,
		.envelope = &e->envelope,
		.content = {
			.header = e->header.data,
			.header_len = e->header.len,
			.body_fd = e->body_fd,
			.body_len = (off_t)e->kept,
		},
		.drew_hold = &e->drew_hold,
		.save = save,
		.save_arg = &saving,
	};
	enum after after = GO_ON;
	struct error why;

	error_clear(&why);
	/* Should we be killed, the server may have it. */
	(void)queue_put_off(
	    queue_dir(s->run), e->id, time(NULL) + SCHEDULE_UNDER_WAY);
	startup_deadline(RUNNER_MESSAGE_SECONDS);
	/* Where a crash came between sending and removing nobody is left. */
	if (envelope_count_state(&e->envelope, RECIPIENT_PENDING) > 0 &&
	    try_entry(s, &message, &after, &why) == -1 &&
	    *s->run->signalled != 0 && !why.uncertain) {
		put_back(s, e);
		return END;
	}
	settle_entry(s, e, &why);
	return after;
}

/* Shares. */

/* Claim message i and do 'work' on it if it is its turn. */
static enum after
with_message(struct share *s, size_t i,
    enum after (*work)(struct share *, struct entry *))
{
	enum after after = GO_ON;
	struct entry e;
	struct error err;

	entry_init(&e);
	switch (queue_claim(
	    queue_dir(s->run), ENTRY_ACTIVE, s->ids.names[i], &e, &err)) {
	case QUEUE_CLAIMED:
		if (is_turn(s, &e))
			after = work(s, &e);
		break;
	case QUEUE_CORRUPT:
	case QUEUE_ERROR:
		progress(s->run, s->ids.names[i], "cannot be read", err.text);
		log_line(LOG_ERR, "%s: %s", s->ids.names[i], err.text);
		break;
	case QUEUE_GONE:
	case QUEUE_BUSY:
		break;
	}
	entry_release(&e);
	return after;
}

/* Its account cannot send. It counts as an attempt where something follows
 * from that: where the sender is to be told, or its time is over. */
static enum after
put_off(struct share *s, struct entry *e)
{
	time_t now = time(NULL);

	if (schedule_late(e, now) ||
	    schedule_age(e, now) >= s->run->config->give_up)
		settle_entry(s, e, &s->failure);
	else if (queue_put_off(queue_dir(s->run), e->id, s->put_off_to) == 0)
		progress(s->run, e->id, "put off", s->failure.text);
	return GO_ON;
}

static enum after
send_and_note(struct share *s, struct entry *e)
{
	enum after after = send_entry(s, e);

	s->tried++;
	s->failure = e->why;
	s->put_off_to = e->next;
	return after;
}

/* GO_ON, or PUT_OFF where the account is on hold. */
static enum after
look_at_account(struct share *s)
{
	return standing_on_hold(
		   &s->submission, time(NULL), &s->put_off_to, &s->failure) == 0
		   ? PUT_OFF
		   : GO_ON;
}

static void
list_add_all(struct list *to, const struct list *from, size_t begin)
{
	for (size_t i = begin; i < from->count; i++)
		list_add(to, from->names[i]);
}

/* What came since the queue was read takes its turn among those from 'next'
 * on; nothing is tried twice. Which is next then? */
static size_t
look_again(struct share *s, size_t next)
{
	struct shares all = { .items = NULL };
	struct error trouble;
	struct list ids;

	s->tried = 0;
	if (collect(&all, s->run, s->seen, &trouble) == -1) {
		log_line(LOG_WARNING, "%s", trouble.text);
		return next;
	}
	list_init(&ids);
	list_add_all(&ids, &s->ids, next);
	for (size_t i = 0; i < all.count; i++)
		if (strcasecmp(all.items[i].account, s->account) == 0) {
			list_add_all(&ids, &all.items[i].ids, 0);
			list_add_all(&s->last, &all.items[i].last, 0);
		}
	list_take_turns(&ids);
	list_release(&s->ids);
	s->ids = ids;
	strlcpy(s->seen, all.seen, sizeof(s->seen));
	release_shares(&all);
	return 0;
}

static enum after
work_on_list(struct share *s, enum after after)
{
	size_t i = 0;

	while (i < s->ids.count && after == GO_ON && *s->run->signalled == 0) {
		after = with_message(s, i++, send_and_note);
		if (s->tried == RUNNER_ROUND && s->run->id_count == 0)
			i = look_again(s, i);
	}
	for (; i < s->ids.count && after == PUT_OFF; i++)
		(void)with_message(s, i, put_off);
	return after;
}

/* A worker: its exit code. */
static int
work_on_share(void *arg)
{
	struct share *s = arg;
	enum after after = work_on_list(s, look_at_account(s));

	list_release(&s->ids);
	s->ids = s->last;
	list_init(&s->last);
	(void)work_on_list(s, after);
	submit_close(s->session);
	s->session = NULL;
	return EX_OK;
}

static struct share *
share_of(struct shares *all, const struct run *run, const char *account)
{
	struct share *s;

	for (size_t i = 0; i < all->count; i++)
		if (strcasecmp(all->items[i].account, account) == 0)
			return &all->items[i];
	all->items =
	    xreallocarray(all->items, all->count + 1, sizeof(*all->items));
	s = &all->items[all->count++];
	*s = (struct share){
		.run = run,
		.account = xstrdup(account),
		.started = time(NULL),
	};
	strlcpy(s->seen, all->seen, sizeof(s->seen));
	s->submission = (struct submission){
		.config = run->config,
		.account = config_account(run->config, account),
		.libexec = run->libexec,
		.helo = run->host,
		.kind = THROTTLE_QUEUED,
		.force = is_forced(run) && !run->own,
		.waiting = on_wait,
		.waiting_arg = (void *)(uintptr_t)run,
	};
	list_init(&s->ids);
	list_init(&s->last);
	return s;
}

static void
release_shares(struct shares *all)
{
	for (size_t i = 0; i < all->count; i++) {
		list_release(&all->items[i].ids);
		list_release(&all->items[i].last);
		free(all->items[i].account);
	}
	free(all->items);
}

/* Put a message into the share of its account, if the run is for it. */
static void
hand_out(struct shares *all, const struct run *run, const char *id)
{
	struct share *s;
	struct entry e;
	struct error err;

	entry_init(&e);
	if (queue_read(queue_dir(run), ENTRY_ACTIVE, id, true, &e, &err) == 0) {
		if (is_chosen(run, &e)) {
			s = share_of(all, run,
			    e.envelope.account != NULL ? e.envelope.account
						       : "");
			list_add(e.drew_hold ? &s->last : &s->ids, id);
		}
	} else if (err.exit_code == EX_SOFTWARE) {
		/* A claim finds out, under the lock, and sets it aside. */
		(void)queue_claim(queue_dir(run), ENTRY_ACTIVE, id, &e, &err);
		progress(run, id, "cannot be read", err.text);
	}
	entry_release(&e);
}

/* 'after' is the message behind which to begin, or NULL. */
static int
collect(struct shares *all, const struct run *run, const char *after,
    struct error *err)
{
	const struct list_filter filter = {
		.own = run->own,
		.uid = run->uid,
		.due = is_forced(run) ? 0 : time(NULL),
		.after = after,
	};
	struct timespec now;
	struct list ids;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	id_make(all->seen, &now, 0, 0);
	list_init(&ids);
	for (size_t i = 0; i < run->id_count; i++)
		if (id_valid(run->ids[i]))
			list_add(&ids, run->ids[i]);
	if (run->id_count > 0)
		list_sort(&ids);
	else if (list_read(&ids, queue_dir(run), ENTRY_ACTIVE, &filter, err) ==
		 -1)
		return -1;
	for (size_t i = 0; i < ids.count; i++)
		hand_out(all, run, ids.names[i]);
	list_release(&ids);
	for (size_t i = 0; i < all->count; i++)
		list_take_turns(&all->items[i].ids);
	return 0;
}

/* Workers. */

struct workers {
	const struct run *run;
	pid_t running[RUNNER_PROCESSES];
	size_t count;
	bool told; /* of the signal */
};

/* Wait for one to end, and hand a signal on that comes meanwhile. */
static void
wait_for_worker(struct workers *w)
{
	pid_t ended = spawn_wait(-1, NULL, w->told ? NULL : w->run->signalled);

	if (ended == 0) {
		w->told = true;
		for (size_t i = 0; i < w->count; i++)
			(void)kill(w->running[i], SIGTERM);
	}
	if (ended == -1)
		w->count = 0;
	for (size_t i = 0; i < w->count; i++)
		if (w->running[i] == ended)
			w->running[i] = w->running[--w->count];
}

static size_t
workers_of(const struct share *s)
{
	const struct account *a = s->submission.account;
	size_t most =
	    a != NULL && a->connections > 2 ? (size_t)a->connections - 1 : 1;
	size_t wanted =
	    (s->ids.count + s->last.count + RUNNER_PER_CONNECTION - 1) /
	    RUNNER_PER_CONNECTION;

	return wanted < most ? wanted : most;
}

static void
start_workers(struct workers *w, struct share *s)
{
	for (size_t i = workers_of(s); i > 0 && *w->run->signalled == 0; i--) {
		pid_t child;

		while (w->count == RUNNER_PROCESSES)
			wait_for_worker(w);
		child = startup_fork(work_on_share, s);
		if (child != -1) {
			w->running[w->count++] = child;
			continue;
		}
		/* No process to be had: then one after the other. */
		(void)work_on_share(s);
		break;
	}
}

static void
work_on_all(struct shares *all, const struct run *run)
{
	struct workers workers = { .run = run };

	if (all->count == 1 && workers_of(&all->items[0]) == 1) {
		(void)work_on_share(&all->items[0]);
		return;
	}
	for (size_t i = 0; i < all->count; i++)
		start_workers(&workers, &all->items[i]);
	while (workers.count > 0)
		wait_for_worker(&workers);
}

/* Housekeeping. */

static void
remove_failed(const struct run *run, time_t now)
{
	const struct list_filter old = {
		.older = now - (time_t)run->config->keep_failed,
	};
	struct error err;
	struct list ids;

	list_init(&ids);
	if (list_read(&ids, queue_dir(run), ENTRY_FAILED, &old, &err) == -1)
		log_line(LOG_WARNING, "%s", err.text);
	for (size_t i = 0; i < ids.count; i++) {
		struct entry e;

		entry_init(&e);
		if (queue_claim(queue_dir(run), ENTRY_FAILED, ids.names[i], &e,
			&err) == QUEUE_CLAIMED &&
		    queue_remove(queue_dir(run), &e, &err) == 0)
			log_line(LOG_INFO, "%s: removed, kept long enough",
			    ids.names[i]);
		entry_release(&e);
	}
	list_release(&ids);
}

/* A sign-in that is not used is dropped by Microsoft. What goes wrong is tried
 * again a day later, and told by the log and 'outpost status'. */
static void
keep_signed_in(const struct run *run, time_t now)
{
	for (size_t i = 0; i < run->config->account_count; i++) {
		const struct account *a = &run->config->accounts[i];
		struct token token;
		struct error err;

		if (!token_is_idle(run->config, a, now) ||
		    learned_knows(
			run->config, a, LEARNED_NOT_KEPT, a->mailbox, now))
			continue;
		token_init(&token);
		if (token_get(&token, run->config, a, run->libexec, NULL,
			file_now() + (double)run->config->patience, NULL,
			&err) == -1) {
			log_line(LOG_WARNING,
			    "account=<%s>: its sign-in could not be kept in "
			    "use: %s",
			    a->mailbox, err.text);
			(void)learned_note(run->config, a, LEARNED_NOT_KEPT,
			    a->mailbox, now, &err);
		}
		token_release(&token);
	}
}

static void
keep_house(const struct run *run)
{
	const struct notify notify = {
		.config = run->config,
		.host = run->host,
		.now = time(NULL),
	};

	queue_sweep(queue_dir(run), notify.now);
	remove_failed(run, notify.now);
	notify_flush(&notify);
	keep_signed_in(run, notify.now);
}

int
runner_run(const struct run *run, struct error *err)
{
	struct shares all = { .items = NULL };

	if (!run->own)
		keep_house(run);
	if (collect(&all, run, NULL, err) == -1)
		return -1;
	work_on_all(&all, run);
	release_shares(&all);
	return 0;
}
