#include "submit/notices.h"

#include <limits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/record.h"
#include "base/xalloc.h"

#define RECORD_TYPE "notices"
#define SENDER "sender"
#define LINE "late"

void
notices_init(struct notices *n, time_t now)
{
	*n = (struct notices){ .since = now };
}

void
notices_release(struct notices *n)
{
	for (size_t i = 0; i < n->count; i++) {
		for (size_t k = 0; k < n->senders[i].count; k++)
			free(n->senders[i].lines[k]);
		free(n->senders[i].account);
	}
	free(n->senders);
	notices_init(n, n->since);
}

static bool
is_sender(const struct notices_sender *s, const char *account, uid_t uid)
{
	return s->uid == uid && strcasecmp(s->account, account) == 0;
}

static struct notices_sender *
sender_of(struct notices *n, const char *account, uid_t uid)
{
	for (size_t i = 0; i < n->count; i++)
		if (is_sender(&n->senders[i], account, uid))
			return &n->senders[i];
	if (n->count == NOTICES_SENDERS_MAX)
		return &n->senders[n->count - 1];
	n->senders =
	    xreallocarray(n->senders, n->count + 1, sizeof(*n->senders));
	n->senders[n->count] = (struct notices_sender){
		.account = xstrdup(account),
		.uid = uid,
	};
	return &n->senders[n->count++];
}

static void
add_line(struct notices_sender *s, const char *line)
{
	if (s->count < NOTICES_LINES_MAX)
		s->lines[s->count++] = xstrdup(line);
	else if (s->more < LLONG_MAX)
		s->more++;
}

/* A number of a field that holds several, and the blank behind it. */
static int
take_number(const char **text, long long max, long long *out)
{
	char *end;

	*out = strtoll(*text, &end, 10);
	if (end == *text || *end != ' ' || *out < 0 || *out > max)
		return -1;
	*text = end + 1;
	return 0;
}

/* "33 20 0 alerts@contoso.com": who, sent, more, through which account. */
static struct notices_sender *
parse_sender(struct notices *n, const char *value)
{
	struct notices_sender *s;
	long long uid, sent, more;

	if (take_number(&value, UINT_MAX, &uid) == -1 ||
	    take_number(&value, INT_MAX, &sent) == -1 ||
	    take_number(&value, LLONG_MAX, &more) == -1 || *value == '\0')
		return NULL;
	s = sender_of(n, value, (uid_t)uid);
	s->sent = sent;
	s->more = more;
	return s;
}

int
notices_parse(struct notices *n, const char *text, size_t len, time_t now,
    struct error *err)
{
	struct notices_sender *s = NULL;
	long long since = (long long)now;
	struct record record;

	if (record_parse(&record, RECORD_TYPE, text, len, err) == -1)
		return -1;
	notices_release(n);
	(void)record_get_number(&record, "since", 0, (long long)now, &since);
	n->since = (time_t)since;
	for (size_t i = 0; i < record.count; i++) {
		const struct record_field *field = &record.fields[i];

		if (strcmp(field->key, SENDER) == 0)
			s = parse_sender(n, field->value);
		else if (strcmp(field->key, LINE) == 0 && s != NULL)
			add_line(s, field->value);
	}
	record_release(&record);
	return 0;
}

static void
format_sender(const struct notices_sender *s, struct buf *out)
{
	char *value = xasprintf(
	    "%u %lld %lld %s", (unsigned)s->uid, s->sent, s->more, s->account);

	record_put(out, SENDER, value);
	free(value);
	for (size_t i = 0; i < s->count; i++)
		record_put(out, LINE, s->lines[i]);
}

void
notices_format(const struct notices *n, struct buf *out)
{
	record_begin(out, RECORD_TYPE);
	record_put_number(out, "since", (long long)n->since);
	for (size_t i = 0; i < n->count; i++)
		format_sender(&n->senders[i], out);
}

bool
notices_are_over(const struct notices *n, time_t now)
{
	return now - n->since >= NOTICES_SECONDS;
}

bool
notices_take(
    struct notices *n, const char *account, uid_t uid, const char *line)
{
	struct notices_sender *s = sender_of(n, account, uid);

	if (s->sent < NOTICES_HOURLY) {
		s->sent++;
		return true;
	}
	add_line(s, line);
	return false;
}

const char **
notices_lines(const struct notices *n, const char *account, size_t *count,
    unsigned long long *more)
{
	const char **lines = NULL;

	*count = 0;
	*more = 0;
	for (size_t i = 0; i < n->count; i++) {
		const struct notices_sender *s = &n->senders[i];

		if (strcasecmp(s->account, account) != 0 || s->count == 0)
			continue;
		lines = xreallocarray(lines, *count + s->count, sizeof(*lines));
		for (size_t k = 0; k < s->count; k++)
			lines[(*count)++] = s->lines[k];
		*more += (unsigned long long)s->more;
	}
	return lines;
}
