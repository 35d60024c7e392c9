#include "submit/notify.h"

#include <syslog.h>
#include <unistd.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/record.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/bounce.h"
#include "mail/complete.h"
#include "queue/queue.h"
#include "queue/spool.h"
#include "submit/notices.h"

#define LOCK_SECONDS 10.0
#define UNIQUE_SIZE 64
#define TO_MAX 3
#define MESSAGE_MAX (16u * 1024 * 1024)
#define LINE_SIZE 600

static void
format_date(char out[COMPLETE_DATE_SIZE], time_t when)
{
	struct tm local = { .tm_mday = 1 };

	(void)localtime_r(&when, &local);
	complete_date(out, &local, (int)local.tm_gmtoff);
}

/* What a letter needs besides its text. */
struct letter {
	struct bounce_letter about;
	const char *to[TO_MAX];
	char date[COMPLETE_DATE_SIZE];
	char unique[UNIQUE_SIZE];
	bool smtputf8;
	struct buf header;
	struct buf body;
};

/* Unless it is NULL or there already. */
static void
add_reader(struct letter *l, size_t *count, const char *address)
{
	if (address == NULL)
		return;
	for (size_t i = 0; i < *count; i++)
		if (address_same_mailbox(address, l->to[i]))
			return;
	if (address_smtp_safe(address, &l->smtputf8, NULL) == 0)
		l->to[(*count)++] = address;
}

/* 'more' reads it besides, or is NULL. */
static void
begin_letter(struct letter *l, const struct notify *n, const char *account,
    const char *more)
{
	size_t count = 0;

	*l = (struct letter){ .smtputf8 = false };
	add_reader(l, &count, account);
	add_reader(l, &count, n->config->admin);
	add_reader(l, &count, more);
	format_date(l->date, n->now);
	(void)snprintf(l->unique, sizeof(l->unique), "%llx.%08x%08x",
	    (unsigned long long)n->now, arc4random(), arc4random());
	l->about = (struct bounce_letter){
		.account = account,
		.to = l->to,
		.to_count = count,
		.host = n->host,
		.date = l->date,
		.unique = l->unique,
	};
	buf_init(&l->header, ENTRY_HEADER_MAX);
	buf_init(&l->body, MESSAGE_MAX);
}

static void
release_letter(struct letter *l)
{
	buf_release(&l->header);
	buf_release(&l->body);
}

static bool
has_8bit(const struct buf *text)
{
	for (size_t i = 0; i < text->len; i++)
		if ((unsigned char)text->data[i] > 127)
			return true;
	return false;
}

static int
fill_entry(struct entry *e, const struct letter *l, const struct notify *n,
    struct error *err)
{
	e->uid = geteuid();
	e->arrived = e->next = n->now;
	e->notice = true;
	e->envelope.account = xstrdup(l->about.account);
	e->envelope.sender = xstrdup(l->about.account);
	e->envelope.notify = xstrdup("NEVER");
	e->envelope.smtputf8 = l->smtputf8;
	e->envelope.eight_bit = has_8bit(&l->body);
	for (size_t i = 0; i < l->about.to_count; i++)
		if (envelope_add(&e->envelope, l->to[i], err) == -1)
			return -1;
	return buf_add(&e->header, l->header.data, l->header.len);
}

/* Put the letter into the queue. 'about' is what it is about, for the log. */
static void
post(const struct letter *l, const struct notify *n, const char *about)
{
	struct entry e;
	struct spool spool;
	struct error err;

	entry_init(&e);
	spool_init(&spool);
	error_clear(&err);
	if (fill_entry(&e, l, n, &err) == -1 ||
	    spool_open(&spool, n->config->queue_dir, &err) == -1 ||
	    spool_write(&spool, l->body.data, l->body.len, &err) == -1 ||
	    queue_add(n->config->queue_dir, &e, &spool, &err) == -1)
		log_line(LOG_ERR, "%s: cannot queue a notification: %s", about,
		    err.text);
	else
		log_line(LOG_INFO, "%s: sender notification: %s", about, e.id);
	spool_release(&spool);
	entry_release(&e);
}

/* The file of this hour's notifications (notices.h). */
static char *
notices_path(const struct notify *n, const char *suffix)
{
	return xasprintf("%s/notices%s", n->config->queue_dir, suffix);
}

/* A file that cannot be read begins another hour. */
static void
read_notices(struct notices *all, const struct notify *n)
{
	char *path = notices_path(n, "");
	struct error ignored;
	struct buf text;

	notices_init(all, n->now);
	buf_init(&text, RECORD_TEXT_MAX);
	if (file_read(path, &text, &ignored) == 0)
		(void)notices_parse(all, text.data, text.len, n->now, &ignored);
	buf_release(&text);
	free(path);
}

static void
write_notices(const struct notices *all, const struct notify *n)
{
	char *path = notices_path(n, "");
	struct error err;
	struct buf text;

	buf_init(&text, RECORD_TEXT_MAX);
	notices_format(all, &text);
	if (file_replace(path, text.data, text.len, 0600, &err) == -1)
		log_line(LOG_WARNING, "%s", err.text);
	buf_release(&text);
	free(path);
}

static void
post_summary(
    const struct notices *all, const char *account, const struct notify *n)
{
	unsigned long long more;
	size_t count;
	const char **lines = notices_lines(all, account, &count, &more);
	struct letter letter;

	if (lines == NULL)
		return;
	begin_letter(&letter, n, account, NULL);
	bounce_summary(
	    &letter.about, lines, count, more, &letter.header, &letter.body);
	post(&letter, n, "summary");
	release_letter(&letter);
	free(lines);
}

/* Is sender i the first of its account? */
static bool
is_first_of_account(const struct notices *all, size_t i)
{
	const char *account = all->senders[i].account;

	for (size_t k = 0; k < i; k++)
		if (strcasecmp(all->senders[k].account, account) == 0)
			return false;
	return true;
}

/* The hour is over: say what was not said, and begin another. */
static bool
turn_hour(struct notices *all, const struct notify *n)
{
	if (!notices_are_over(all, n->now))
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (is_first_of_account(all, i))
			post_summary(all, all->senders[i].account, n);
	notices_release(all);
	notices_init(all, n->now);
	return true;
}

static int
lock_notices(const struct notify *n)
{
	char *path = notices_path(n, ".lock");
	struct error ignored;
	int fd = file_lock(path, file_now() + LOCK_SECONDS, &ignored);

	free(path);
	return fd;
}

void
notify_flush(const struct notify *n)
{
	char *path = notices_path(n, "");
	bool none = access(path, F_OK) == -1;
	struct notices all;
	int fd;

	free(path);
	if (none || (fd = lock_notices(n)) == -1)
		return;
	read_notices(&all, n);
	/* Also where the hour began after now, which is mended by reading: it
	 * would begin again each time. */
	if (turn_hour(&all, n) || all.since == n->now)
		write_notices(&all, n);
	notices_release(&all);
	close(fd);
}

/* May a letter of its own be sent? Else 'line' is noted for the summary. */
static bool
take_turn(const struct notify *n, const struct entry *e, const char *line)
{
	int fd = lock_notices(n);
	struct notices all;
	bool allowed;

	if (fd == -1)
		return true;
	read_notices(&all, n);
	(void)turn_hour(&all, n);
	allowed = notices_take(&all, e->envelope.account, e->uid, line);
	write_notices(&all, n);
	notices_release(&all);
	close(fd);
	return allowed;
}

static bool
is_wished(const struct entry *e, enum bounce_kind kind)
{
	return !e->notice && e->envelope.account != NULL &&
	       bounce_concerns(kind, &e->envelope);
}

static void
format_line(char out[LINE_SIZE], const struct entry *e, enum bounce_kind kind)
{
	const struct recipient *r = NULL;

	for (size_t i = 0; i < e->envelope.count && r == NULL; i++)
		if (e->envelope.recipients[i].state ==
		    (kind == BOUNCE_FAILED ? RECIPIENT_REFUSED
					   : RECIPIENT_PENDING))
			r = &e->envelope.recipients[i];
	(void)snprintf(out, LINE_SIZE, "%s %s to <%s>: %.200s", e->id,
	    kind == BOUNCE_FAILED ? "failed" : "late",
	    r != NULL ? r->address : "",
	    r != NULL && r->error != NULL ? r->error->text : e->why.text);
}

static void
tell(const struct notify *n, const struct entry *e, enum bounce_kind kind)
{
	char arrived[COMPLETE_DATE_SIZE], tried[COMPLETE_DATE_SIZE];
	char until[COMPLETE_DATE_SIZE], line[LINE_SIZE];
	struct letter letter;

	format_line(line, e, kind);
	if (!take_turn(n, e, line))
		return;
	begin_letter(&letter, n, e->envelope.account, e->envelope.report_to);
	format_date(arrived, e->arrived);
	format_date(tried, e->tried);
	format_date(
	    until, e->arrived + (time_t)(e->on_hold + n->config->give_up));
	const struct bounce bounce = {
		.letter = letter.about,
		.kind = kind,
		.id = e->id,
		.arrived = arrived,
		.tried = e->tried != 0 ? tried : NULL,
		.retry_until = until,
		.envelope = &e->envelope,
		.header = e->header.data,
		.header_len = e->header.len,
	};
	bounce_format(&bounce, &letter.header, &letter.body);
	post(&letter, n, e->id);
	release_letter(&letter);
}

void
notify_failed(const struct notify *n, struct entry *e)
{
	if (is_wished(e, BOUNCE_FAILED))
		tell(n, e, BOUNCE_FAILED);
	for (size_t i = 0; i < e->envelope.count; i++)
		if (e->envelope.recipients[i].state == RECIPIENT_REFUSED)
			e->envelope.recipients[i].told = true;
}

void
notify_late(const struct notify *n, struct entry *e)
{
	if (is_wished(e, BOUNCE_DELAYED))
		tell(n, e, BOUNCE_DELAYED);
	e->warned = true;
}
