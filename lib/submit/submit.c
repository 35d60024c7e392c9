#include "submit/submit.h"

#include <sysexits.h>
#include <syslog.h>
#include <time.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "queue/learned.h"
#include "token/token.h"

/* Log in; a server that will not have the token gets another one, once. */
static int
login(const struct submission *s, struct smtp_client *client,
    struct token *token, struct error *err)
{
	char hash[ENCODE_SHA256_HEX_SIZE];
	struct error refused;

	if (smtp_client_login(
		client, s->account->mailbox, token->value.data, err) == 0)
		return 0;
	if (!smtp_client_token_rejected(client) || !smtp_client_usable(client))
		return -1;
	token_hash(token, hash);
	if (token_get(token, s->config, s->account, s->libexec, hash,
		s->deadline, &refused) == -1)
		return -1;
	return smtp_client_login(
	    client, s->account->mailbox, token->value.data, err);
}

/* As many transactions as the recipients need. */
static int
send_all(struct smtp_client *client, struct envelope *envelope,
    const struct smtp_content *content, struct error *err)
{
	struct error last;
	int result = -1;

	smtp_client_set_deadline(client, file_now() + SUBMIT_SESSION_SECONDS);
	do {
		if (smtp_client_send(client, envelope, content, &last) == 0)
			result = 0;
		else if (result == -1)
			*err = last;
	} while (smtp_client_more(client) && smtp_client_usable(client));
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
		else if (result == 0)
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

/* A line a recipient in Postfix's form, which logwatch, pflogsumm and
 * fail2ban read. */
static void
log_recipients(const struct submission *s, const struct envelope *envelope,
    const struct smtp_client *client, double seconds, const struct error *err)
{
	const struct smtp_receipt *receipt = smtp_client_receipt(client);

	for (size_t i = 0; i < envelope->count; i++) {
		const struct recipient *r = &envelope->recipients[i];
		const struct error *why = r->error != NULL ? r->error : err;
		bool sent = r->state == RECIPIENT_SENT;

		log_line(sent ? LOG_INFO : LOG_WARNING,
		    "%s: from=<%s>, to=<%s>, relay=%s[%s]:%lld, delay=%.2f, "
		    "dsn=%s, status=%s (%s), session=%s, message-id=%s",
		    s->id, envelope->sender, r->address, s->account->host,
		    smtp_client_address(client), s->account->port, seconds,
		    sent ? "2.0.0" : why->status,
		    sent                            ? "sent"
		    : r->state == RECIPIENT_REFUSED ? "bounced"
						    : "deferred",
		    sent ? receipt->reply : why->text,
		    sent ? receipt->session : smtp_client_session(client),
		    sent ? receipt->message_id : "");
	}
}

/* What the account's server is called among what was learned. */
static char *
server_name(const struct account *a)
{
	return xasprintf("%s:%lld", a->host, a->port);
}

/* Keep what the server taught; a send never fails because of it. */
static void
note(const struct submission *s, enum lesson lesson, const char *about)
{
	struct error err;

	if (learned_note(
		s->config, s->account, lesson, about, time(NULL), &err) == -1)
		log_line(LOG_NOTICE, "%s: cannot be remembered: %s", s->id,
		    err.text);
}

static void
note_two_step(const struct submission *s, const struct smtp_options *options,
    const struct smtp_client *client)
{
	char *server;

	if (options->two_step_auth || !smtp_client_needs_two_step(client))
		return;
	server = server_name(s->account);
	note(s, LEARNED_TWO_STEP, server);
	free(server);
}

/* Exchange blocks mailboxes that repeat a From they may not use. */
static void
note_denied(const struct submission *s, const struct smtp_client *client)
{
	const char *sender = smtp_client_denied_sender(client);

	if (*sender != '\0' &&
	    !address_same_mailbox(sender, s->account->mailbox))
		note(s, LEARNED_DENIED, sender);
}

static struct smtp_options
client_options(const struct submission *s)
{
	const struct account *a = s->account;
	char *server = server_name(a);
	bool two_step =
	    learned_knows(s->config, a, LEARNED_TWO_STEP, server, time(NULL));

	free(server);
	return (struct smtp_options){
		.host = a->host,
		.port = (unsigned)a->port,
		.ca_dir = a->ca_dir,
		.ca_file = a->ca_file,
		.helo = s->helo,
		.chunking = a->chunking,
		.two_step_auth = two_step,
		.max_recipients = (size_t)a->max_recipients,
		.trace = s->trace,
		.trace_arg = s->trace_arg,
	};
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

int
submit(const struct submission *s, struct envelope *envelope,
    const struct smtp_content *content, struct error *err)
{
	const struct smtp_options options = client_options(s);
	struct smtp_client *client = smtp_client_new(&options);
	double start = file_now();
	struct token token;
	struct error why;
	int result;

	error_clear(&why);
	token_init(&token);
	result = submit_check_size(s->account,
	    content->header_len + (unsigned long long)content->body_len, &why);
	if (result == 0)
		result = token_get(&token, s->config, s->account, s->libexec,
		    NULL, s->deadline, &why);
	if (result == 0)
		result = smtp_client_open(client, s->deadline, &why);
	if (result == 0)
		result = login(s, client, &token, &why);
	note_two_step(s, &options, client);
	token_release(&token);
	if (result == 0)
		result = send_all(client, envelope, content, &why);
	note_denied(s, client);
	result = judge(envelope, result, &why);
	log_recipients(s, envelope, client, file_now() - start, &why);
	smtp_client_close(client);
	if (result == -1)
		*err = why;
	return result;
}
