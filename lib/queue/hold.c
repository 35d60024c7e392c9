#include "queue/hold.h"

#include <limits.h>
#include <syslog.h>
#include <unistd.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/record.h"
#include "queue/state.h"

#define HOLD_TYPE "hold"
#define PAUSE_TYPE "pause"
#define HOLD_FILE "hold"
#define PAUSE_FILE "pause"
#define LOCK_FILE "hold-lock"
#define LOCK_SECONDS 2.0
#define TEXT_MAX (16u * 1024)

static const char *const source_names[] = {
	[HOLD_FROM_LOGIN] = "login",
	[HOLD_FROM_MESSAGE] = "message",
};

static int
parse_source(const char *name, enum hold_source *source)
{
	for (int i = HOLD_FROM_LOGIN; i <= HOLD_FROM_MESSAGE; i++)
		if (name != NULL && strcmp(name, source_names[i]) == 0) {
			*source = (enum hold_source)i;
			return 0;
		}
	return -1;
}

/* A record of that type, or -1. */
static int
read_record(const struct config *config, const struct account *account,
    const char *file, const char *type, struct record *r)
{
	char *path = state_path(config, account, file);
	struct buf text;
	int result = -1;

	buf_init(&text, TEXT_MAX);
	if (file_read(path, &text, NULL) == 0)
		result = record_parse(r, type, text.data, text.len, NULL);
	buf_release(&text);
	free(path);
	return result;
}

static void
write_record(const struct config *config, const struct account *account,
    const char *file, const struct buf *text)
{
	char *path = state_path(config, account, file);
	struct error why;

	if (state_make_folder(config, &why) == -1 ||
	    file_replace(path, text->data, text->len, 0600, &why) == -1)
		log_line(LOG_WARNING, "%s", why.text);
	free(path);
}

static bool
remove_file(const struct config *config, const struct account *account,
    const char *file)
{
	char *path = state_path(config, account, file);
	bool removed = unlink(path) == 0;

	free(path);
	return removed;
}

/* Times that lie further ahead than any interval come from a clock that has
 * been set back. */
static void
mend_times(struct hold *hold, time_t now)
{
	if (hold->next_probe > now + (time_t)hold->interval)
		hold->next_probe = now;
	if (hold->since > now)
		hold->since = now;
	if (hold->refused > now)
		hold->refused = now;
}

int
hold_read(const struct config *config, const struct account *account,
    time_t now, struct hold *out)
{
	struct hold hold = { .id = "" };
	long long since, refused, next, interval;
	const char *id;
	struct record r;
	int result = -1;

	record_init(&r);
	if (read_record(config, account, HOLD_FILE, HOLD_TYPE, &r) == -1 ||
	    parse_source(record_get(&r, "source"), &hold.source) == -1 ||
	    record_get_number(&r, "since", 0, RECORD_TIME_MAX, &since) == -1 ||
	    record_get_number(&r, "refused", 0, RECORD_TIME_MAX, &refused) ==
		-1 ||
	    record_get_number(&r, "next_probe", 0, RECORD_TIME_MAX, &next) ==
		-1 ||
	    record_get_number(&r, "interval", 1, INT_MAX, &interval) == -1 ||
	    record_get_error(&r, &hold.why) == -1)
		goto out;
	if ((id = record_get(&r, "id")) != NULL)
		strlcpy(hold.id, id, sizeof(hold.id));
	hold.since = (time_t)since;
	hold.refused = (time_t)refused;
	hold.next_probe = (time_t)next;
	hold.interval = (unsigned)interval;
	mend_times(&hold, now);
	*out = hold;
	result = 0;
out:
	record_release(&r);
	return result;
}

static void
write_hold(const struct config *config, const struct account *account,
    const struct hold *hold)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	record_begin(&text, HOLD_TYPE);
	record_put(&text, "source", source_names[hold->source]);
	record_put(&text, "id", hold->id);
	record_put_number(&text, "since", hold->since);
	record_put_number(&text, "refused", hold->refused);
	record_put_number(&text, "next_probe", hold->next_probe);
	record_put_number(&text, "interval", hold->interval);
	record_put_error(&text, &hold->why);
	write_record(config, account, HOLD_FILE, &text);
	buf_release(&text);
}

/* -1 when it cannot be had soon: then the file is left as it is. */
static int
lock(const struct config *config, const struct account *account)
{
	char *path = state_path(config, account, LOCK_FILE);
	int fd = -1;

	if (state_make_folder(config, NULL) == 0)
		fd = file_lock(path, file_now() + LOCK_SECONDS, NULL);
	free(path);
	return fd;
}

void
hold_place(const struct config *config, const struct account *account,
    enum hold_source source, const char *id, const struct error *why,
    time_t now)
{
	int fd = lock(config, account);
	struct hold hold;

	if (fd == -1)
		return;
	if (hold_read(config, account, now, &hold) == -1) {
		hold = (struct hold){ .since = now };
		hold.interval = why->retry_after != 0 ? why->retry_after
						      : HOLD_PROBE_SECONDS;
		hold.next_probe = now + (time_t)hold.interval;
		log_line(LOG_ERR, "account=<%s>: on hold: %s; %s",
		    account->mailbox, why->text, why->hint);
	}
	hold.source = source;
	hold.refused = now;
	hold.why = *why;
	strlcpy(hold.id, id != NULL ? id : "", sizeof(hold.id));
	write_hold(config, account, &hold);
	close(fd);
}

static unsigned
longer(const struct hold *hold)
{
	unsigned cap =
	    hold->why.retry_cap != 0 ? hold->why.retry_cap : HOLD_PROBE_CAP;

	if (hold->interval >= cap)
		return hold->interval;
	return hold->interval > cap / 2 ? cap : hold->interval * 2;
}

bool
hold_is_outdated(const struct hold *hold, time_t issued)
{
	return hold->source == HOLD_FROM_LOGIN && issued > hold->refused;
}

bool
hold_claim_probe(
    const struct config *config, const struct account *account, time_t now)
{
	int fd = lock(config, account);
	struct hold hold;
	bool claimed = false;

	if (fd == -1)
		return false;
	if (hold_read(config, account, now, &hold) == 0 &&
	    hold.next_probe <= now) {
		hold.interval = longer(&hold);
		hold.next_probe = now + (time_t)hold.interval;
		write_hold(config, account, &hold);
		claimed = true;
	}
	close(fd);
	return claimed;
}

bool
hold_lift(const struct config *config, const struct account *account)
{
	bool lifted;
	int fd = lock(config, account);

	if (fd == -1)
		return false;
	lifted = remove_file(config, account, HOLD_FILE);
	close(fd);
	if (lifted)
		log_line(LOG_NOTICE, "account=<%s>: no longer on hold",
		    account->mailbox);
	return lifted;
}

void
hold_pause(const struct config *config, const struct account *account,
    const struct error *why, time_t now)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	record_begin(&text, PAUSE_TYPE);
	record_put_number(&text, "until", now + HOLD_PAUSE_SECONDS);
	record_put_error(&text, why);
	write_record(config, account, PAUSE_FILE, &text);
	buf_release(&text);
}

int
hold_paused(const struct config *config, const struct account *account,
    time_t now, struct error *why)
{
	struct error read;
	struct record r;
	long long until;
	int result = -1;

	record_init(&r);
	if (read_record(config, account, PAUSE_FILE, PAUSE_TYPE, &r) == 0 &&
	    record_get_number(&r, "until", 0, RECORD_TIME_MAX, &until) == 0 &&
	    record_get_error(&r, &read) == 0 && until > now &&
	    until <= now + HOLD_PAUSE_SECONDS) {
		*why = read;
		why->retry_after = (unsigned)(until - now);
		result = 0;
	}
	record_release(&r);
	return result;
}

void
hold_resume(const struct config *config, const struct account *account)
{
	(void)remove_file(config, account, PAUSE_FILE);
}
