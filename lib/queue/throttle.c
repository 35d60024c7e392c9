#include "queue/throttle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "queue/rate.h"
#include "queue/state.h"

#define SLOT_INTERVAL 20   /* ms between looks at the slots */
#define LEDGER_SECONDS 5.0 /* nobody holds a ledger for longer */

/* The ledger, locked and read. */
struct ledger {
	int fd;
	struct rate rate;
	long long now; /* ms since 1970, when it was read */
};

void
throttle_init(struct throttle *t, const struct config *config,
    const struct account *account, enum throttle_kind kind)
{
	*t = (struct throttle){
		.config = config,
		.account = account,
		.kind = kind,
		.slot = -1,
	};
}

static long long
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* What our own limits say is no attempt. */
static int
limited(struct error *err, unsigned seconds)
{
	if (err != NULL)
		err->untried = true;
	return error_class_set(err, ERROR_THROTTLED, seconds);
}

/* -1 when the waiter wants no more of it. */
static int
sleep_ms(const struct throttle *t, long long ms, struct error *err)
{
	if (wait_poll(&t->waiter, NULL, 0, file_now() + (double)ms / 1000) !=
	    -1)
		return 0;
	error_set(err, EX_TEMPFAIL, "4.3.2",
	    "'%s' waited for its turn, and was told to end",
	    t->account->mailbox);
	return limited(err, 1);
}

static long long
window_of(const struct account *a)
{
	return a->rate_seconds * 1000 + THROTTLE_SLACK;
}

static size_t
messages_of(const struct account *a)
{
	return (size_t)a->rate_count;
}

/* A third of the rate and one slot are left to mail that is waited for. */
static size_t
messages_for(const struct throttle *t)
{
	size_t messages = messages_of(t->account);

	if (t->kind == THROTTLE_QUEUED && messages > 1)
		messages -= (messages + 2) / 3;
	return messages;
}

static long long
slots_for(const struct throttle *t)
{
	long long slots = t->account->connections;

	return t->kind == THROTTLE_QUEUED && slots > 1 ? slots - 1 : slots;
}

static int
read_ledger(int fd, const struct account *account, struct rate *rate,
    long long now, struct error *err)
{
	struct buf text;
	ssize_t n = 0;
	char *room;
	int result = 0;

	rate_init(rate);
	buf_init(&text, RATE_TEXT_MAX);
	while ((room = buf_room(&text, 4096)) != NULL &&
	       (n = pread(fd, room, 4096, (off_t)text.len)) > 0)
		buf_grown(&text, (size_t)n);
	if (n == -1)
		result = error_set(err, EX_IOERR, "4.3.0",
		    "cannot read the ledger of '%s': %s", account->mailbox,
		    strerror(errno));
	else if (room == NULL)
		result = error_set(err, EX_DATAERR, "4.3.0",
		    "the ledger of '%s' is too long", account->mailbox);
	else if (text.len > 0)
		result = rate_parse(
		    rate, text.data, text.len, now, window_of(account), err);
	buf_release(&text);
	return result;
}

static void
close_ledger(struct ledger *l)
{
	if (l->fd != -1)
		close(l->fd);
	l->fd = -1;
}

/* One write of a size that is always the same: a process that is killed
 * leaves the old text or the new one. */
static int
write_ledger(
    const struct ledger *l, const struct account *account, struct error *err)
{
	struct stat status;
	struct buf text;
	int result = 0;

	buf_init(&text, RATE_TEXT_MAX);
	rate_format(&l->rate, messages_of(account), &text);
	if (pwrite(l->fd, text.data, text.len, 0) != (ssize_t)text.len ||
	    fstat(l->fd, &status) == -1 ||
	    (status.st_size != (off_t)text.len &&
		ftruncate(l->fd, (off_t)text.len) == -1))
		result = error_set(err, EX_IOERR, "4.3.0",
		    "cannot write the ledger of '%s': %s", account->mailbox,
		    strerror(errno));
	buf_release(&text);
	return result;
}

/* What cannot be read counts as full for one window. */
static int
open_ledger(struct ledger *l, const struct config *config,
    const struct account *account, struct error *err)
{
	char *path = state_path(config, account, "ledger");
	struct error why;

	l->fd = -1;
	if (state_make_folder(config, err) == 0)
		l->fd = file_lock(path, file_now() + LEDGER_SECONDS, err);
	free(path);
	if (l->fd == -1)
		return -1;
	l->now = now_ms();
	if (read_ledger(l->fd, account, &l->rate, l->now, &why) == -1) {
		log_line(
		    LOG_WARNING, "%s; it counts as full for a while", why.text);
		rate_fill(&l->rate, messages_of(account), l->now);
		l->rate.mended = true;
	}
	/* Else each reader would take its own time for that of the mending. */
	if (l->rate.mended)
		(void)write_ledger(l, account, NULL);
	return 0;
}

static int
without(const struct error *why)
{
	log_line(
	    LOG_WARNING, "%s: sending without regard to the limits", why->text);
	return 0;
}

static unsigned
seconds_until(long long at, long long now)
{
	return at <= now ? 1 : (unsigned)((at - now + 999) / 1000);
}

static int
full_minute(
    const struct throttle *t, long long at, long long now, struct error *err)
{
	const struct account *a = t->account;

	error_set(err, EX_TEMPFAIL, "4.4.5",
	    "'%s' may send %lld messages in %lld seconds, and these are taken",
	    a->mailbox, a->rate_count, a->rate_seconds);
	error_hint(err, "nothing to do: it goes out as soon as there is room; "
			"'rate' in outpost.conf is the limit");
	return limited(err, seconds_until(at, now));
}

static int
full_day(
    const struct throttle *t, long long at, long long now, struct error *err)
{
	const struct account *a = t->account;

	error_set(err, EX_TEMPFAIL, "4.4.5",
	    "'%s' may send to %lld recipients in 24 hours, and these are "
	    "taken",
	    a->mailbox, a->daily);
	error_hint(err, "nothing to do: it goes out when older ones are a day "
			"past; spread bulk mail over more mailboxes, or raise "
			"'daily' in outpost.conf if Microsoft allows more");
	return limited(err, seconds_until(at, now));
}

/* Wall-clock time at which 'deadline' is reached. */
static long long
deadline_ms(double deadline, long long now)
{
	double left = deadline - file_now();

	return left <= 0 ? now : now + (long long)(left * 1000);
}

/* Enter a place into the ledger, if there is one before the deadline and
 * within a window from here: so many places there are in the ledger. Else -1,
 * and in '*at' when to come again, or 0 where that is too late. */
static int
take_place(struct throttle *t, struct ledger *l, double deadline, long long *at,
    struct error *err)
{
	long long window = window_of(t->account);
	long long last = deadline_ms(deadline, l->now);

	*at = rate_day_earliest(&l->rate, t->account->daily, 1, l->now);
	if (*at > l->now) {
		full_day(t, *at, l->now, err);
		*at = *at > last ? 0 : *at;
		return -1;
	}
	*at =
	    rate_earliest(&l->rate, messages_for(t), window, l->now, RATE_ALL);
	if (*at > last || *at > l->now + window) {
		full_minute(t, *at, l->now, err);
		*at = *at > last ? 0 : *at - window;
		return -1;
	}
	rate_add(&l->rate, *at);
	t->place = *at;
	return 0;
}

/* Get a place and wait for it. */
static int
reserve(struct throttle *t, double deadline, struct error *err)
{
	struct error why, full;
	struct ledger l;
	long long at;
	int result;

	for (;;) {
		if (open_ledger(&l, t->config, t->account, &why) == -1)
			return without(&why);
		result = take_place(t, &l, deadline, &at, &full);
		if (result == 0 && write_ledger(&l, t->account, &why) == -1)
			(void)without(&why);
		close_ledger(&l);
		if (result == -1 && at == 0) {
			*err = full;
			return -1;
		}
		if (at > l.now && sleep_ms(t, at - l.now, err) == -1)
			return -1;
		if (result == 0)
			return 0;
	}
}

/* Is the file that we have open still the one of that name? */
static bool
is_current(int fd, const char *path, struct stat *status)
{
	struct stat named;

	return fstat(fd, status) == 0 && stat(path, &named) == 0 &&
	       status->st_ino == named.st_ino && status->st_dev == named.st_dev;
}

/* The holder has no connection any more: a file of the same name takes the
 * slot's place. Under the ledger's lock, since two may come to this at once. */
static void
take_over(const struct throttle *t, int fd, const char *path)
{
	struct stat status;
	struct ledger l;

	if (!is_current(fd, path, &status))
		return;
	/* By a clock that has been set back: it was taken now. */
	if (status.st_mtime > time(NULL))
		(void)futimens(fd, NULL);
	if (status.st_mtime + THROTTLE_SLOT_SECONDS > time(NULL) ||
	    open_ledger(&l, t->config, t->account, NULL) == -1)
		return;
	/* Its holder may have ended meanwhile, and another one come. */
	if (is_current(fd, path, &status) &&
	    status.st_mtime + THROTTLE_SLOT_SECONDS <= time(NULL) &&
	    flock(fd, LOCK_EX | LOCK_NB) == -1) {
		log_line(LOG_WARNING,
		    "a connection of '%s' was never given back; its slot is "
		    "free again",
		    t->account->mailbox);
		(void)unlink(path);
	}
	close_ledger(&l);
}

/* -1 with errno, which is EWOULDBLOCK when another process has it. */
static int
try_slot(const struct throttle *t, long long i)
{
	char suffix[32];
	struct stat status;
	char *path;
	int fd;

	snprintf(suffix, sizeof(suffix), "slot%lld", i);
	path = state_path(t->config, t->account, suffix);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		free(path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (is_current(fd, path, &status) && futimens(fd, NULL) == 0)
			goto out;
	} else if (errno == EWOULDBLOCK) {
		take_over(t, fd, path);
	}
	close(fd);
	fd = -1;
	errno = EWOULDBLOCK;
out:
	free(path);
	return fd;
}

static int
all_slots_taken(const struct throttle *t, struct error *err)
{
	error_set(err, EX_TEMPFAIL, "4.4.5",
	    "'%s' may have %lld connections at once, and these are in use",
	    t->account->mailbox, t->account->connections);
	error_hint(err, "nothing to do: it goes out when one is free; "
			"'connections' in outpost.conf is the limit");
	return limited(err, 1);
}

static int
take_slot(struct throttle *t, double deadline, struct error *err)
{
	long long slots = slots_for(t);
	struct error why;

	if (state_make_folder(t->config, &why) == -1)
		return without(&why);
	for (;;) {
		for (long long i = 0; i < slots; i++) {
			t->slot = try_slot(t, i);
			if (t->slot != -1)
				return 0;
			if (errno == EWOULDBLOCK)
				continue;
			error_set(&why, EX_CANTCREAT, "4.3.0",
			    "cannot use the folder '%s/state': %s",
			    t->config->state_dir, strerror(errno));
			return without(&why);
		}
		if (file_now() >= deadline)
			return all_slots_taken(t, err);
		if (sleep_ms(t, SLOT_INTERVAL, err) == -1)
			return -1;
	}
}

static void
give_place_back(struct throttle *t)
{
	struct ledger l;

	if (t->place == 0)
		return;
	if (open_ledger(&l, t->config, t->account, NULL) == 0) {
		rate_remove(&l.rate, t->place);
		(void)write_ledger(&l, t->account, NULL);
		close_ledger(&l);
	}
	t->place = 0;
}

int
throttle_enter(struct throttle *t, double deadline, struct error *err)
{
	if (t->kind == THROTTLE_DIRECT && t->place == 0 &&
	    reserve(t, deadline, err) == -1) {
		give_place_back(t);
		return -1;
	}
	if (t->slot == -1 && take_slot(t, deadline, err) == -1) {
		give_place_back(t);
		return -1;
	}
	return 0;
}

/* When may it go, by the ledger as it is? Who holds a place counts only
 * what went before; others count all that is reserved too. */
static long long
turn(const struct throttle *t, struct ledger *l, size_t recipients,
    struct error *err)
{
	const struct account *a = t->account;
	long long now = l->now;
	long long at =
	    rate_day_earliest(&l->rate, a->daily, (long long)recipients, now);

	if (at > now) {
		full_day(t, at, now, err);
		return at;
	}
	if (t->place != 0)
		rate_remove(&l->rate, t->place);
	at = rate_earliest(&l->rate, messages_for(t), window_of(a), now,
	    t->place != 0 ? now : RATE_ALL);
	if (at > now)
		full_minute(t, at, now, err);
	return at;
}

int
throttle_charge(
    struct throttle *t, size_t recipients, double deadline, struct error *err)
{
	struct error why;
	struct ledger l;
	long long at;

	for (;;) {
		if (open_ledger(&l, t->config, t->account, &why) == -1)
			return without(&why);
		at = turn(t, &l, recipients, &why);
		if (at <= l.now)
			break;
		close_ledger(&l);
		if (at > deadline_ms(deadline, l.now)) {
			*err = why;
			return -1;
		}
		if (sleep_ms(t, at - l.now, err) == -1)
			return -1;
	}
	rate_add(&l.rate, l.now);
	rate_day_add(&l.rate, (long long)recipients, l.now);
	t->place = 0;
	if (write_ledger(&l, t->account, &why) == -1)
		(void)without(&why);
	close_ledger(&l);
	return 0;
}

static bool
is_locked(
    const struct config *config, const struct account *account, long long i)
{
	char suffix[32];
	char *path;
	int fd;
	bool locked;

	snprintf(suffix, sizeof(suffix), "slot%lld", i);
	path = state_path(config, account, suffix);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	free(path);
	if (fd == -1)
		return false;
	locked = flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
	close(fd);
	return locked;
}

bool
throttle_is_crowded(const struct throttle *t)
{
	if (t->slot == -1)
		return false;
	for (long long i = 0; i < t->account->connections; i++)
		if (!is_locked(t->config, t->account, i))
			return false;
	return true;
}

void
throttle_leave(struct throttle *t)
{
	give_place_back(t);
	if (t->slot != -1)
		close(t->slot);
	t->slot = -1;
}

int
throttle_usage(const struct config *config, const struct account *account,
    struct throttle_usage *out, struct error *err)
{
	char *path = state_path(config, account, "ledger");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct rate rate;
	long long now = now_ms();
	int result = 0;

	*out = (struct throttle_usage){ .messages = 0 };
	rate_init(&rate);
	if (fd == -1 && errno != ENOENT)
		result = error_set(err, EX_IOERR, "4.3.0",
		    "cannot open '%s': %s", path, strerror(errno));
	else if (fd != -1)
		result = read_ledger(fd, account, &rate, now, err);
	if (fd != -1)
		close(fd);
	free(path);
	if (result == -1)
		return -1;
	out->messages = rate_count(&rate, now - account->rate_seconds * 1000);
	out->recipients = rate_day(&rate, now);
	for (long long i = 0; i < account->connections; i++)
		if (is_locked(config, account, i))
			out->connections++;
	return 0;
}
