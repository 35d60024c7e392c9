#include <stdio.h>

#include "base/buf.h"
#include "base/json.h"
#include "outpost/show.h"
#include "outpost/status.h"

#define JSON_MAX (4u * 1024 * 1024)
#define LABEL_WIDTH 12

static const struct {
	const char *name;
	enum show_colour colour;
} levels[STATUS_LEVELS] = {
	[STATUS_OK] = { "OK", SHOW_GREEN },
	[STATUS_WARNING] = { "WARNING", SHOW_YELLOW },
	[STATUS_CRITICAL] = { "CRITICAL", SHOW_RED },
	[STATUS_UNKNOWN] = { "UNKNOWN", SHOW_YELLOW },
};

const char *
status_level_name(enum status_level level)
{
	return levels[level].name;
}

static void
show_summary(const struct status *s)
{
	printf("OUTPOST ");
	show(levels[s->level].colour, 0, levels[s->level].name);
	printf(": ");
	if (s->finding_count > 0)
		show(SHOW_PLAIN, 0, s->findings[0].text);
	else
		printf("%zu account%s, %zu waiting in the queue",
		    s->config->account_count,
		    s->config->account_count == 1 ? "" : "s",
		    s->queue.deferred);
	if (s->finding_count > 1)
		printf(" (and %zu more)", s->finding_count - 1);
	printf("\n");
}

static void
show_findings(const struct status *s)
{
	for (size_t i = 0; i < s->finding_count; i++) {
		const struct status_finding *f = &s->findings[i];

		printf("  ");
		show(levels[f->level].colour, LABEL_WIDTH,
		    levels[f->level].name);
		show(SHOW_PLAIN, 0, f->text);
		printf("\n");
		if (*f->hint == '\0')
			continue;
		printf("  %*s", LABEL_WIDTH, "");
		show(SHOW_DIM, 0, "hint: ");
		show(SHOW_PLAIN, 0, f->hint);
		printf("\n");
	}
}

static void
label(const char *text)
{
	printf("  ");
	show(SHOW_DIM, LABEL_WIDTH, text);
}

static void
show_secrets(const struct status *s, const struct status_account *a)
{
	char text[SHOW_DURATION_SIZE];

	if (a->secrets.sign_in == STATUS_GOOD) {
		label("sign-in");
		printf("last used %s ago\n",
		    show_duration(s->now - a->secrets.last_used, text));
	}
	if (a->secrets.certificate != STATUS_GOOD)
		return;
	label("certificate");
	if (a->secrets.expires > s->now)
		printf("valid for %s\n",
		    show_duration(a->secrets.expires - s->now, text));
	else
		printf("expired\n");
}

/* A hold that a message drew does not end by a login. */
static void
show_hold(const struct status *s, const struct status_account *a)
{
	const struct hold *hold = &a->hold;
	char text[SHOW_DURATION_SIZE];

	label("on hold");
	printf(
	    "for %s; tried again ", show_duration(s->now - hold->since, text));
	if (a->hold_outdated || hold->next_probe <= s->now)
		printf("with the next message\n");
	else
		printf(
		    "in %s\n", show_duration(hold->next_probe - s->now, text));
	label("");
	printf("'outpost check %s%s' tries now\n",
	    hold->source == HOLD_FROM_MESSAGE ? "--send ADDRESS " : "",
	    a->account->mailbox);
}

static void
show_account(const struct status *s, const struct status_account *a)
{
	const struct account *account = a->account;
	char text[SHOW_DURATION_SIZE];

	printf("\n");
	show(SHOW_BOLD, 0, account->mailbox);
	printf("\n");
	label("token");
	if (!a->token_known)
		printf("unknown\n");
	else if (a->token_expires > s->now)
		printf("valid for %s\n",
		    show_duration(a->token_expires - s->now, text));
	else
		printf("none; it is fetched with the next message\n");
	show_secrets(s, a);
	if (!a->hold_known) {
		label("on hold");
		printf("unknown\n");
	}
	if (a->on_hold)
		show_hold(s, a);
	if (!a->usage_known)
		return;
	label("sent");
	printf("%zu of %lld messages in %s, ", a->usage.messages,
	    account->rate_count, show_duration(account->rate_seconds, text));
	printf("%lld of %lld recipients in 24 h\n", a->usage.recipients,
	    account->daily);
	label("connections");
	printf("%zu of %lld\n", a->usage.connections, account->connections);
}

void
status_show(const struct status *s)
{
	char text[SHOW_DURATION_SIZE];

	show_summary(s);
	show_findings(s);
	for (size_t i = 0; i < s->config->account_count; i++)
		show_account(s, &s->accounts[i]);
	if (!s->queue_known)
		return;
	printf("\n");
	show(SHOW_BOLD, 0, "queue");
	printf("\n");
	label("waiting");
	printf("%zu", s->queue.deferred);
	if (s->queue.oldest != 0)
		printf(", the oldest for %s",
		    show_duration(s->now - s->queue.oldest, text));
	printf("\n");
	label("held");
	printf("%zu\n", s->queue.held);
	label("failed");
	printf("%zu\n", s->queue.failed);
}

static void
put_account(struct buf *out, const struct status_account *a)
{
	json_open(out, '{');
	json_text(out, "account", a->account->mailbox);
	if (a->token_known)
		json_number(out, "token_expires", a->token_expires);
	if (a->secrets.sign_in == STATUS_GOOD)
		json_number(out, "sign_in_last_used", a->secrets.last_used);
	if (a->secrets.certificate == STATUS_GOOD)
		json_number(out, "certificate_expires", a->secrets.expires);
	if (a->hold_known)
		json_bool(out, "on_hold", a->on_hold);
	if (a->on_hold) {
		json_number(out, "on_hold_since", a->hold.since);
		json_number(out, "next_probe", a->hold.next_probe);
		json_text(out, "reason", a->hold.why.text);
		json_text(out, "hint", a->hold.why.hint);
	}
	if (a->usage_known) {
		json_number(out, "messages", (long long)a->usage.messages);
		json_number(out, "rate", a->account->rate_count);
		json_number(out, "rate_seconds", a->account->rate_seconds);
		json_number(out, "recipients", a->usage.recipients);
		json_number(out, "daily", a->account->daily);
		json_number(
		    out, "connections", (long long)a->usage.connections);
	}
	json_close(out, '}');
}

static void
put_queue(struct buf *out, const struct queue_counts *q)
{
	json_name(out, "queue");
	json_open(out, '{');
	json_number(out, "deferred", (long long)q->deferred);
	json_number(out, "held", (long long)q->held);
	json_number(out, "failed", (long long)q->failed);
	json_number(out, "corrupt", (long long)q->corrupt);
	json_number(out, "bytes", (long long)q->bytes);
	json_number(out, "oldest", q->oldest);
	json_close(out, '}');
}

void
status_json(const struct status *s)
{
	struct buf out;

	buf_init(&out, JSON_MAX);
	json_open(&out, '{');
	json_text(&out, "status", levels[s->level].name);
	json_name(&out, "findings");
	json_open(&out, '[');
	for (size_t i = 0; i < s->finding_count; i++) {
		json_open(&out, '{');
		json_text(&out, "level", levels[s->findings[i].level].name);
		json_text(&out, "text", s->findings[i].text);
		json_text(&out, "hint", s->findings[i].hint);
		json_close(&out, '}');
	}
	json_close(&out, ']');
	json_name(&out, "accounts");
	json_open(&out, '[');
	for (size_t i = 0; i < s->config->account_count; i++)
		put_account(&out, &s->accounts[i]);
	json_close(&out, ']');
	if (s->queue_known)
		put_queue(&out, &s->queue);
	json_close(&out, '}');
	printf("%s\n", out.data);
	buf_release(&out);
}

/* A metric of each account; 'value' says false where it is not known. */
struct metric {
	const char *name, *help;
	bool (*value)(const struct status_account *, long long *out);
};

static bool
value_hold(const struct status_account *a, long long *out)
{
	*out = a->on_hold;
	return a->hold_known;
}

static bool
value_token(const struct status_account *a, long long *out)
{
	*out = a->token_expires;
	return a->token_known;
}

static bool
value_sign_in(const struct status_account *a, long long *out)
{
	*out = a->secrets.last_used;
	return a->secrets.sign_in == STATUS_GOOD;
}

static bool
value_certificate(const struct status_account *a, long long *out)
{
	*out = a->secrets.expires;
	return a->secrets.certificate == STATUS_GOOD;
}

static bool
value_messages(const struct status_account *a, long long *out)
{
	*out = (long long)a->usage.messages;
	return a->usage_known;
}

static bool
value_rate(const struct status_account *a, long long *out)
{
	*out = a->account->rate_count;
	return true;
}

static bool
value_recipients(const struct status_account *a, long long *out)
{
	*out = a->usage.recipients;
	return a->usage_known;
}

static bool
value_daily(const struct status_account *a, long long *out)
{
	*out = a->account->daily;
	return true;
}

static const struct metric metrics[] = {
	{ "outpost_on_hold", "Whether a person must mend the account.",
	    value_hold },
	{ "outpost_token_expires_timestamp_seconds",
	    "End of the cached access token, 0 for none.", value_token },
	{ "outpost_sign_in_last_used_timestamp_seconds",
	    "When the sign-in last gave a token.", value_sign_in },
	{ "outpost_certificate_expires_timestamp_seconds",
	    "End of the application's certificate.", value_certificate },
	{ "outpost_messages_in_window", "Messages sent in the last window.",
	    value_messages },
	{ "outpost_messages_in_window_limit", "The key rate.", value_rate },
	{ "outpost_recipients_in_day", "Recipients in the last 24 hours.",
	    value_recipients },
	{ "outpost_recipients_in_day_limit", "The key daily.", value_daily },
};

static void
print_head(const char *name, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

/* A mailbox's quoted local part may hold what ends a label's value. */
static void
print_label_value(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			(void)putchar('\\');
		(void)putchar(*text);
	}
}

static void
print_metric(const struct status *s, const struct metric *m)
{
	long long value;

	print_head(m->name, m->help);
	for (size_t i = 0; i < s->config->account_count; i++) {
		if (!m->value(&s->accounts[i], &value))
			continue;
		printf("%s{account=\"", m->name);
		print_label_value(s->accounts[i].account->mailbox);
		printf("\"} %lld\n", value);
	}
}

static void
print_queue(const struct queue_counts *q)
{
	static const char messages[] = "outpost_queue_messages";
	static const char oldest[] = "outpost_queue_oldest_timestamp_seconds";

	print_head(messages, "Messages in the queue, by state.");
	printf("%s{state=\"deferred\"} %zu\n", messages, q->deferred);
	printf("%s{state=\"held\"} %zu\n", messages, q->held);
	printf("%s{state=\"failed\"} %zu\n", messages, q->failed);
	printf("%s{state=\"corrupt\"} %zu\n", messages, q->corrupt);
	print_head("outpost_queue_bytes", "Bytes of the bodies that wait.");
	printf("outpost_queue_bytes %llu\n", q->bytes);
	print_head(oldest, "Arrival of the oldest that waits, 0 for none.");
	printf("%s %lld\n", oldest, (long long)q->oldest);
}

void
status_prometheus(const struct status *s)
{
	print_head("outpost_status",
	    "0 OK, 1 warning, 2 critical, 3 unknown; as the exit code.");
	printf("outpost_status %d\n", (int)s->level);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(s, &metrics[i]);
	if (s->queue_known)
		print_queue(&s->queue);
}
