/* Listings: Postfix's layout to the letter, since monitoring reads it, and
 * the JSON of postqueue -j, with more. */
#include "mailq/mailq.h"

#include <errno.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "mailq/locks.h"
#include "queue/queue.h"

/* Of Postfix's long names: 17 columns for the name and its mark. */
#define HEAD                                                                   \
	"----Queue ID----- --Size-- ---Arrival Time---- "                      \
	"--Sender/Recipient------\n"
#define MESSAGE_FORMAT "%-17s %8llu %19.19s %s\n"
#define RECIPIENT_FORMAT "%-17s %8s %-19s %s\n"
#define REASON_COLUMN 76
#define INDENT 18
#define CLEAN_SIZE (4 * ERROR_TEXT_SIZE)
#define JSON_MAX (64u * 1024) /* of a recipient, or of all but these */

struct listing {
	const struct mailq *mailq;
	struct locks locks;
	size_t count;
	unsigned long long bytes;
};

static unsigned long long
size_of(const struct entry *e)
{
	return e->header_size + e->size;
}

/* Who has not got it: those it is about. */
static bool
is_open(const struct entry *e, const struct recipient *r)
{
	return e->folder == ENTRY_FAILED ? r->state == RECIPIENT_REFUSED
					 : r->state == RECIPIENT_PENDING;
}

static const char *
reason_of(const struct entry *e, const struct recipient *r)
{
	if (r->error != NULL)
		return r->error->text;
	return e->why.class != ERROR_NONE ? e->why.text : "";
}

static const char *
hint_of(const struct entry *e, const struct recipient *r)
{
	return r->error != NULL ? r->error->hint : e->why.hint;
}

static void
print_reason(const char *reason)
{
	char clean[CLEAN_SIZE];
	int len, padding;

	if (*reason == '\0')
		reason = "reason unavailable";
	log_clean(clean, sizeof(clean), reason);
	len = (int)strlen(clean);
	padding = len < REASON_COLUMN ? REASON_COLUMN - len : 0;
	(void)printf("%*s(%s)\n", padding, "", clean);
}

static void
print_time(char *out, size_t size, time_t when)
{
	struct tm local = { .tm_mday = 1 };

	(void)localtime_r(&when, &local);
	(void)strftime(out, size, "%a %b %e %H:%M:%S", &local);
}

/* What -v adds. */
static void
print_more(const struct entry *e)
{
	const char *last = "";
	char when[64], clean[CLEAN_SIZE];

	print_time(when, sizeof(when), e->next);
	(void)printf("%*saccount %s, user %ld, attempts %lld", INDENT, "",
	    e->envelope.account != NULL ? e->envelope.account : "?",
	    (long)e->uid, e->attempts);
	if (e->held != 0)
		(void)printf(", held\n");
	else if (e->folder == ENTRY_FAILED)
		(void)printf(", failed %s\n", when);
	else
		(void)printf(", next %s\n", when);
	for (size_t i = 0; i < e->envelope.count; i++) {
		const struct recipient *r = &e->envelope.recipients[i];
		const char *hint = hint_of(e, r);

		if (!is_open(e, r) || *hint == '\0' || strcmp(hint, last) == 0)
			continue;
		(void)printf("%*shint: %s\n", INDENT, "",
		    log_clean(clean, sizeof(clean), hint));
		last = hint;
	}
}

static void
print_entry(struct listing *l, const struct entry *e)
{
	const char *last = "";
	char name[ID_SIZE + 2], when[64], clean[CLEAN_SIZE];
	const char *mark =
	    e->held != 0                                           ? "!"
	    : locks_hold(&l->locks, l->mailq->config.queue_dir, e) ? "*"
								   : "";

	(void)fputs(l->count == 0 ? HEAD : "\n", stdout);
	(void)snprintf(name, sizeof(name), "%s%s", e->id, mark);
	print_time(when, sizeof(when), e->arrived);
	(void)printf(MESSAGE_FORMAT, name, size_of(e), when,
	    log_clean(clean, sizeof(clean),
		e->envelope.sender != NULL ? e->envelope.sender : ""));
	for (size_t i = 0; i < e->envelope.count; i++) {
		const struct recipient *r = &e->envelope.recipients[i];
		const char *reason = reason_of(e, r);

		if (!is_open(e, r))
			continue;
		if (strcmp(last, reason) != 0)
			print_reason(reason);
		last = reason;
		(void)printf(RECIPIENT_FORMAT, "", "", "",
		    log_clean(clean, sizeof(clean), r->address));
	}
	if (l->mailq->verbose)
		print_more(e);
}

/* JSON. Text is cleaned first, so that what is no UTF-8 does not get in. */

static void
put_string(struct buf *out, const char *text)
{
	size_t size = strlen(text) * 4 + 1;
	char *clean = xmalloc(size);

	log_clean(clean, size, text);
	(void)buf_addc(out, '"');
	for (const char *p = clean; *p != '\0'; p++)
		if (*p == '"' || *p == '\\')
			(void)buf_addf(out, "\\%c", *p);
		else if ((unsigned char)*p < ' ')
			(void)buf_addf(out, "\\u%04x", (unsigned char)*p);
		else
			(void)buf_addc(out, *p);
	(void)buf_addc(out, '"');
	free(clean);
}

static void
put_text(struct buf *out, const char *key, const char *text)
{
	(void)buf_addf(out, "\"%s\": ", key);
	put_string(out, text != NULL ? text : "");
}

static void
put_recipient(struct buf *out, const struct entry *e, const struct recipient *r)
{
	(void)buf_addc(out, '{');
	put_text(out, "address", r->address);
	(void)buf_adds(out, ", ");
	put_text(out, "delay_reason", reason_of(e, r));
	(void)buf_adds(out, ", ");
	put_text(
	    out, "status", r->error != NULL ? r->error->status : e->why.status);
	(void)buf_adds(out, ", ");
	put_text(out, "hint", hint_of(e, r));
	(void)buf_addc(out, '}');
}

static const char *
queue_name(struct listing *l, const struct entry *e)
{
	if (e->folder == ENTRY_FAILED)
		return "failed";
	if (e->held != 0)
		return "hold";
	return locks_hold(&l->locks, l->mailq->config.queue_dir, e)
		   ? "active"
		   : "deferred";
}

static void
print_json(struct listing *l, const struct entry *e)
{
	const char *between = "";
	struct buf out;

	buf_init(&out, JSON_MAX);
	(void)buf_addc(&out, '{');
	put_text(&out, "queue_name", queue_name(l, e));
	(void)buf_adds(&out, ", ");
	put_text(&out, "queue_id", e->id);
	(void)buf_addf(&out,
	    ", \"arrival_time\": %lld, \"message_size\": %llu, "
	    "\"forced_expire\": false, ",
	    (long long)e->arrived, size_of(e));
	put_text(&out, "sender", e->envelope.sender);
	(void)buf_adds(&out, ", ");
	put_text(&out, "account", e->envelope.account);
	(void)buf_addf(&out,
	    ", \"uid\": %ld, \"attempts\": %lld, \"next_attempt\": %lld, ",
	    (long)e->uid, e->attempts, (long long)e->next);
	put_text(&out, "class",
	    e->why.class != ERROR_NONE ? error_class_name(e->why.class) : "");
	(void)buf_adds(&out, ", \"recipients\": [");
	for (size_t i = 0; i < e->envelope.count; i++) {
		const struct recipient *r = &e->envelope.recipients[i];

		if (!is_open(e, r))
			continue;
		(void)buf_adds(&out, between);
		put_recipient(&out, e, r);
		between = ", ";
		/* There may be many. */
		(void)fwrite(out.data, 1, out.len, stdout);
		buf_clear(&out);
	}
	(void)buf_adds(&out, "]}\n");
	(void)fwrite(out.data, 1, out.len, stdout);
	buf_release(&out);
}

static void
list_one(struct listing *l, const char *id)
{
	const struct mailq *m = l->mailq;
	struct entry e;
	struct error err;

	entry_init(&e);
	if (queue_read(m->config.queue_dir, m->folder, id, true, &e, &err) ==
	    -1) {
		/* It may have been sent meanwhile. */
		if (errno != ENOENT)
			mailq_complain(&err);
	} else if (mailq_is_allowed(m, &e) &&
		   (m->word_count == 0 || mailq_is_meant(m, &e))) {
		if (m->json)
			print_json(l, &e);
		else
			print_entry(l, &e);
		l->count++;
		l->bytes += size_of(&e);
	}
	entry_release(&e);
}

static void
print_end(const struct listing *l)
{
	if (l->count == 0 && l->mailq->word_count > 0)
		(void)puts(l->mailq->folder == ENTRY_FAILED
			       ? "No such failed messages"
			       : "No such messages in the queue");
	else if (l->count == 0)
		(void)puts(l->mailq->folder == ENTRY_FAILED
			       ? "No failed messages"
			       : "Mail queue is empty");
	else
		(void)printf("\n-- %llu Kbytes in %zu Request%s.\n",
		    l->bytes / 1024, l->count, l->count == 1 ? "" : "s");
}

static void
tell_of_corrupt(const struct mailq *m)
{
	size_t corrupt =
	    m->filter.own ? 0 : queue_count_corrupt(m->config.queue_dir);

	if (corrupt > 0)
		(void)fprintf(stderr,
		    "mailq: messages that cannot be read: %zu, in %s/corrupt\n",
		    corrupt, m->config.queue_dir);
}

int
mailq_list(const struct mailq *m, struct error *err)
{
	struct listing l = { .mailq = m };
	struct list ids;

	list_init(&ids);
	if (list_read(&ids, m->config.queue_dir, m->folder, &m->filter, err) ==
	    -1)
		return -1;
	locks_read(&l.locks);
	for (size_t i = 0; i < ids.count && !ferror(stdout); i++)
		list_one(&l, ids.names[i]);
	if (!m->json)
		print_end(&l);
	tell_of_corrupt(m);
	locks_release(&l.locks);
	list_release(&ids);
	return 0;
}

static bool
is_listed(const struct mailq *m, const char *id)
{
	struct entry e;
	struct error ignored;
	bool listed;

	entry_init(&e);
	listed = queue_read(m->config.queue_dir, m->folder, id, true, &e,
		     &ignored) == 0 &&
		 mailq_is_allowed(m, &e) && mailq_is_meant(m, &e);
	entry_release(&e);
	return listed;
}

int
mailq_count(const struct mailq *m, struct error *err)
{
	struct list ids;
	size_t count;

	list_init(&ids);
	if (list_read(&ids, m->config.queue_dir, m->folder, &m->filter, err) ==
	    -1)
		return -1;
	count = ids.count;
	if (m->word_count > 0) {
		count = 0;
		for (size_t i = 0; i < ids.count; i++)
			count += is_listed(m, ids.names[i]);
	}
	(void)printf("%zu\n", count);
	list_release(&ids);
	return 0;
}

/* One message, whole. */

/* With LF for CR LF; for a terminal all but line ends and tabs is cleaned.
 * There is a NUL behind the text. */
static void
print_text(const char *text, size_t len)
{
	bool terminal = isatty(STDOUT_FILENO) == 1;
	char piece[LOG_PIECE_SIZE];

	for (size_t i = 0; i < len;) {
		char c = text[i];

		if (c == '\r' && text[i + 1] == '\n') {
			i++;
		} else if (!terminal || c == '\n' || c == '\t') {
			(void)putchar(c);
			i++;
		} else {
			i += log_clean_piece(piece, text + i);
			(void)fputs(piece, stdout);
		}
	}
}

static int
print_body(const char *dir, const struct entry *e, struct error *err)
{
	char *path = xasprintf(
	    "%s/%s/%s.body", dir, queue_folder_name(e->folder), e->id);
	FILE *body = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	ssize_t len;
	int result = 0;

	if (body == NULL)
		result = error_set(err, EX_IOERR, "4.3.0",
		    "cannot open '%s': %s", path, strerror(errno));
	while (body != NULL && (len = getline(&text, &size, body)) > 0)
		print_text(text, (size_t)len);
	if (body != NULL)
		(void)fclose(body);
	free(text);
	free(path);
	return result;
}

static int
show_one(const struct mailq *m, const char *id, struct error *err)
{
	struct listing l = { .mailq = m };
	const char *dir = m->config.queue_dir;
	struct entry e;
	int result = -1;

	entry_init(&e);
	if (queue_read(dir, ENTRY_ACTIVE, id, false, &e, err) == -1 &&
	    (errno != ENOENT ||
		queue_read(dir, ENTRY_FAILED, id, false, &e, err) == -1) &&
	    errno != ENOENT)
		goto out;
	if (e.id[0] == '\0' || e.envelope.count == 0 ||
	    !mailq_is_allowed(m, &e)) {
		mailq_no_message(id, err);
		goto out;
	}
	locks_read(&l.locks);
	print_entry(&l, &e);
	locks_release(&l.locks);
	if (!m->verbose)
		print_more(&e);
	(void)putchar('\n');
	print_text(e.header.data, e.header.len);
	result = print_body(dir, &e, err);
out:
	entry_release(&e);
	return result;
}

int
mailq_show(const struct mailq *m, struct error *err)
{
	for (size_t i = 0; i < m->word_count; i++) {
		if (!id_valid(m->words[i])) {
			error_set(err, EX_USAGE, "5.5.4",
			    "'%s' is no name of a message", m->words[i]);
			return error_hint(err, "mailq lists the names");
		}
		if (show_one(m, m->words[i], err) == -1)
			return -1;
	}
	return 0;
}
