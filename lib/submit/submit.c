#include "submit/submit.h"

#include <sysexits.h>
#include <syslog.h>
#include <time.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "mail/from_policy.h"
#include "queue/learned.h"
#include "smtp/wait.h"
#include "submit/standing.h"
#include "token/token.h"

/* Longer than that a connection is not kept waiting for its turn. */
#define IDLE_SECONDS 55.0
/* A server that had less time than that is not called out of reach: ours was
 * spent waiting for our turn. */
#define FAIR_SECONDS 10.0

struct submit {
	const struct submission *submission;
	struct smtp_client *client;
	struct throttle throttle;
	struct standing standing;
	double deadline; /* of what comes before a message */
	bool two_step;   /* AUTH in the two-step form */
	double end;      /* no transaction begins later */
};

static bool
on_wait(void *arg)
{
	const struct submit *s = arg;

	return s->submission->waiting(s->submission->waiting_arg) ||
	       smtp_client_in_doubt(s->client);
}

static int
get_token(struct submit *s, struct token *token, const char *rejected,
    double deadline, struct error *err)
{
	const struct submission *about = s->submission;
	const struct waiter waiter = {
		.call = about->waiting != NULL ? on_wait : NULL,
		.arg = s,
	};

	return token_get(token, about->config, about->account, about->libexec,
	    rejected, deadline, &waiter, err);
}

/* Log in; a server that will not have the token gets another one, once. */
static int
login(struct submit *s, struct token *token, double deadline, struct error *err)
{
	const char *mailbox = s->submission->account->mailbox;
	char hash[ENCODE_SHA256_HEX_SIZE];
	struct error refused;

	if (smtp_client_login(s->client, mailbox, token->value.data, err) == 0)
		return 0;
	if (!smtp_client_token_rejected(s->client) ||
	    !smtp_client_usable(s->client))
		return -1;
	token_hash(token, hash);
	if (get_token(s, token, hash, deadline, &refused) == -1)
		return -1;
	return smtp_client_login(s->client, mailbox, token->value.data, err);
}

/* What the account's server is called among what was learned. */
static char *
server_name(const struct account *a)
{
	return xasprintf("%s:%lld", a->host, a->port);
}

/* What the server taught is not kept; a send never fails because of it. */
static void
complain(const struct account *account, const struct error *why)
{
	log_line(LOG_NOTICE, "%s: cannot be remembered: %s", account->mailbox,
	    why->text);
}

static void
note_two_step(const struct submit *s)
{
	const struct submission *about = s->submission;
	struct error err;
	char *server;

	if (s->two_step || !smtp_client_needs_two_step(s->client))
		return;
	server = server_name(about->account);
	if (learned_note(about->config, about->account, LEARNED_TWO_STEP,
		server, time(NULL), &err) == -1)
		complain(about->account, &err);
	free(server);
}

static void
note_denied(const struct submit *s, uid_t uid, const char *sender)
{
	const struct submission *about = s->submission;
	struct error err;

	if (*sender != '\0' &&
	    learned_note_denied(about->config, about->account, uid, sender,
		time(NULL), &err) == -1)
		complain(about->account, &err);
}

/* Exchange blocks mailboxes that repeat a From they may not use. */
static void
learn_denied(const struct submit *s, const struct submit_message *m)
{
	char *from;

	note_denied(s, m->uid, smtp_client_denied_sender(s->client));
	if (!smtp_client_denies_from(s->client))
		return;
	from = from_policy_address(m->content.header, m->content.header_len);
	if (from != NULL)
		note_denied(s, m->uid, from);
	free(from);
}

static bool
knows_two_step(const struct submission *about)
{
	char *server = server_name(about->account);
	bool known = learned_knows(about->config, about->account,
	    LEARNED_TWO_STEP, server, time(NULL));

	free(server);
	return known;
}

static struct smtp_client *
new_client(struct submit *s)
{
	const struct submission *about = s->submission;
	const struct account *a = about->account;
	const struct smtp_options options = {
		.host = a->host,
		.port = (unsigned)a->port,
		.ca_dir = a->ca_dir,
		.ca_file = a->ca_file,
		.helo = about->helo,
		.chunking = a->chunking,
		.two_step_auth = s->two_step,
		.max_recipients = (size_t)a->max_recipients,
		.trace = about->trace,
		.trace_arg = about->trace_arg,
		.waiting = about->waiting != NULL ? on_wait : NULL,
		.waiting_arg = s,
	};

	return smtp_client_new(&options);
}

struct submit *
submit_new(const struct submission *about)
{
	struct submit *s = xcalloc(1, sizeof(*s));

	s->submission = about;
	throttle_init(&s->throttle, about->config, about->account, about->kind);
	if (about->waiting != NULL)
		s->throttle.waiter = (struct waiter){ on_wait, s };
	s->two_step = knows_two_step(about);
	s->client = new_client(s);
	return s;
}

struct smtp_client *
submit_client(struct submit *s)
{
	return s->client;
}

int
submit_take_slot(struct submit *s, double deadline, struct error *err)
{
	s->deadline = deadline;
	return throttle_enter(&s->throttle, deadline, err);
}

int
submit_login(
    struct submit *s, struct token *token, double deadline, struct error *err)
{
	int result = login(s, token, deadline, err);

	note_two_step(s);
	return result;
}

/* Connect and log in; what the account as a whole meets on the way there is
 * noted. */
static int
open_session(struct submit *s, struct token *token, struct error *err)
{
	double deadline = s->deadline;
	bool fair;

	if (get_token(s, token, NULL, deadline, err) == -1)
		return standing_refused(&s->standing, NULL, err);
	if (throttle_enter(&s->throttle, deadline, err) == -1)
		return -1;
	fair = deadline - file_now() >= FAIR_SECONDS;
	if (smtp_client_open(s->client, deadline, err) == -1)
		return fair || err->class != ERROR_RETRY
			   ? standing_unreachable(&s->standing, err)
			   : -1;
	if (submit_login(s, token, deadline, err) == -1)
		return standing_refused(&s->standing, NULL, err);
	standing_logged_in(&s->standing);
	return 0;
}

struct submit *
submit_open(const struct submission *about, double deadline, struct error *err)
{
	struct submit *s = submit_new(about);
	struct token token;
	int result;

	s->deadline = deadline;
	token_init(&token);
	result = standing_check(&s->standing, about, err);
	if (result == 0)
		result = open_session(s, &token, err);
	token_release(&token);
	if (result == -1) {
		submit_close(s);
		return NULL;
	}
	s->end = file_now() + SUBMIT_SESSION_SECONDS;
	smtp_client_set_deadline(s->client, s->end);
	return s;
}

void
submit_extend(struct submit *s, double deadline)
{
	s->deadline = deadline;
}

bool
submit_usable(const struct submit *s)
{
	return smtp_client_usable(s->client) && file_now() < s->end;
}

void
submit_close(struct submit *s)
{
	if (s == NULL)
		return;
	if (s->client != NULL && throttle_is_crowded(&s->throttle))
		smtp_client_part(s->client);
	smtp_client_close(s->client);
	throttle_leave(&s->throttle);
	free(s);
}

int
submit_charge(struct submit *s, const struct envelope *e, struct error *err)
{
	size_t pending = envelope_count_state(e, RECIPIENT_PENDING);
	size_t most = (size_t)s->submission->account->max_recipients;
	double deadline = s->deadline;

	if (s->submission->kind == THROTTLE_QUEUED)
		deadline = file_now() + IDLE_SECONDS;
	return throttle_charge(
	    &s->throttle, pending < most ? pending : most, deadline, err);
}

/* What is pending waits for its turn. */
static void
put_off_rest(struct envelope *e, const struct error *why)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->recipients[i].state == RECIPIENT_PENDING)
			envelope_verdict(e, i, why);
}

/* As many transactions as the recipients need. */
static int
send_all(struct submit *s, const struct submit_message *m, struct error *err)
{
	struct error last;
	int result = -1;
	bool more = false;

	do {
		if (more && m->save != NULL)
			m->save(m->save_arg);
		if (submit_charge(s, m->envelope, &last) == -1) {
			put_off_rest(m->envelope, &last);
			if (result == -1)
				*err = last;
			break;
		}
		if (smtp_client_send(
			s->client, m->envelope, &m->content, &last) == 0)
			result = 0;
		else if (result == -1)
			*err = last;
		more = smtp_client_more(s->client);
	} while (more && submit_usable(s));
	return result;
}

/* What is to be said of the whole: the error of a recipient that is left,
 * else, when nobody was reached, that of the first refused. */
static int
judge(const struct envelope *envelope, int result, struct error *err)
{
	size_t sent = envelope_count_state(envelope, RECIPIENT_SENT);

	for (size_t i = 0; i < envelope->count; i++) {
		const struct recipient *r = &envelope->recipients[i];

		if (r->state != RECIPIENT_PENDING)
			continue;
		if (r->error != NULL)
			*err = *r->error;
		else if (result == 0 || err->class == ERROR_REFUSED)
			error_set(err, EX_TEMPFAIL, "4.4.2",
			    "the connection ended before all recipients were "
			    "tried");
		if (sent > 0)
			error_prefix(err, "not yet sent to <%s>", r->address);
		return -1;
	}
	if (sent > 0)
		return 0;
	for (size_t i = 0; i < envelope->count && result == 0; i++)
		if (envelope->recipients[i].error != NULL) {
			*err = *envelope->recipients[i].error;
			return -1;
		}
	return -1;
}

/* Where it went, for the log. */
struct relay {
	const struct account *account; /* NULL: nowhere */
	const struct smtp_client *client;
};

static void
format_relay(char *out, size_t size, const struct relay *relay)
{
	if (relay->account == NULL)
		strlcpy(out, "none", size);
	else
		(void)snprintf(out, size, "%s[%s]:%lld", relay->account->host,
		    smtp_client_address(relay->client), relay->account->port);
}

/* A line for recipient i in Postfix's form, which logwatch, pflogsumm and
 * fail2ban read. */
static void
log_recipient(const struct submit_message *m, size_t i,
    const struct relay *relay, const struct error *why)
{
	const struct recipient *r = &m->envelope->recipients[i];
	const struct smtp_receipt nothing = { .reply = "" };
	const struct smtp_receipt *receipt =
	    relay->client != NULL ? smtp_client_receipt(relay->client)
				  : &nothing;
	bool sent = r->state == RECIPIENT_SENT;
	struct timespec now;
	char where[512];

	(void)clock_gettime(CLOCK_REALTIME, &now);
	format_relay(where, sizeof(where), relay);
	if (r->error != NULL)
		why = r->error;
	log_line(sent ? LOG_INFO : LOG_WARNING,
	    "%s: from=<%s>, to=<%s>, relay=%s, delay=%.2f, dsn=%s, status=%s "
	    "(%s), session=%s, message-id=%s",
	    m->id, m->envelope->sender, r->address, where,
	    (double)now.tv_sec + (double)now.tv_nsec / 1e9 - m->arrived,
	    sent ? "2.0.0" : why->status,
	    sent                            ? "sent"
	    : r->state == RECIPIENT_REFUSED ? "bounced"
					    : "deferred",
	    sent ? receipt->reply : why->text,
	    sent                    ? receipt->session
	    : relay->client != NULL ? smtp_client_session(relay->client)
				    : "",
	    sent ? receipt->message_id : "");
}

void
submit_log_deferred(const struct submit_message *m, const struct error *why)
{
	const struct relay nowhere = { .account = NULL };

	for (size_t i = 0; i < m->envelope->count; i++)
		if (m->envelope->recipients[i].state == RECIPIENT_PENDING)
			log_recipient(m, i, &nowhere, why);
}

int
submit_check_size(
    const struct account *a, unsigned long long size, struct error *err)
{
	if (size <= (unsigned long long)a->max_size)
		return 0;
	error_set(err, EX_UNAVAILABLE, "5.3.4",
	    "the message is larger than the %lld bytes that '%s' may send",
	    a->max_size, a->mailbox);
	return error_hint(err,
	    "send a link instead, or raise the mailbox's "
	    "limit (Set-Mailbox %s -MaxSendSize 150MB) and 'max_size'",
	    a->mailbox);
}

static bool
is_denied(const struct submission *about, uid_t uid, const char *address)
{
	return address != NULL && learned_is_denied(about->config,
				      about->account, uid, address, time(NULL));
}

int
submit_check_from(const struct submission *about,
    const struct submit_message *m, struct error *err)
{
	char *from = NULL;
	const char *denied = NULL;

	if (about->force)
		return 0;
	from = from_policy_address(m->content.header, m->content.header_len);
	if (is_denied(about, m->uid, from))
		denied = from;
	else if (is_denied(about, m->uid, m->envelope->sender))
		denied = m->envelope->sender;
	if (denied != NULL) {
		error_set(err, EX_TEMPFAIL, "4.7.1",
		    "the server refused mail from '%s' less than an hour ago",
		    denied);
		error_hint(err,
		    "let an administrator run 'Add-RecipientPermission %s "
		    "-Trustee %s -AccessRights SendAs' in Exchange Online "
		    "PowerShell, then 'sendmail -qf'",
		    denied, about->account->mailbox);
		error_class_set(err, ERROR_RETRY, LEARNED_DENIED_SECONDS);
		submit_log_deferred(m, err);
	}
	free(from);
	return denied != NULL ? -1 : 0;
}

/* The states before an attempt, to know afterwards what it changed. */
static bool *
pending_of(const struct envelope *e)
{
	bool *pending = xcalloc(e->count > 0 ? e->count : 1, sizeof(*pending));

	for (size_t i = 0; i < e->count; i++)
		pending[i] = e->recipients[i].state == RECIPIENT_PENDING;
	return pending;
}

int
submit_check(
    const struct account *a, const struct submit_message *m, struct error *err)
{
	const struct relay nowhere = { .account = NULL };
	struct envelope *e = m->envelope;

	if (submit_check_size(a,
		m->content.header_len + (unsigned long long)m->content.body_len,
		err) == 0)
		return 0;
	for (size_t i = 0; i < e->count; i++)
		if (e->recipients[i].state == RECIPIENT_PENDING) {
			envelope_verdict(e, i, err);
			log_recipient(m, i, &nowhere, err);
		}
	return -1;
}

int
submit_send(struct submit *s, const struct submit_message *m, struct error *err)
{
	const struct relay relay = { s->submission->account, s->client };
	struct envelope *e = m->envelope;
	bool *tried = pending_of(e);
	struct error why;
	int result;

	error_clear(&why);
	result = judge(e, send_all(s, m, &why), &why);
	if (result == 0)
		standing_sent(&s->standing);
	else
		result = standing_message(&s->standing, m, &why);
	learn_denied(s, m);
	for (size_t i = 0; i < e->count; i++)
		if (tried[i])
			log_recipient(m, i, &relay, &why);
	free(tried);
	if (result == -1)
		*err = why;
	return result;
}
