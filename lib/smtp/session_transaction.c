/* The steps of a message: MAIL, RCPT, DATA or BDAT, the content, and what
 * became of each recipient. */
#include <sysexits.h>

#include "base/xalloc.h"
#include "mail/envelope.h"
#include "smtp/session_machine.h"

/* A recipient's verdict, NULL for sent. */
static void
settle(struct smtp_session *s, size_t i, const struct error *verdict)
{
	envelope_verdict(s->envelope, i, verdict);
	s->marks[i] = DONE;
}

/* The whole message has met 'why': so have all recipients that are left. */
static void
fail_message(struct smtp_session *s, const struct error *why)
{
	for (size_t i = 0; i < s->marks_count; i++)
		if (s->marks[i] != DONE)
			settle(s, i, why);
	if (s->sent == 0) {
		s->failed = true;
		s->error = *why;
	}
}

/* The content may have arrived, and nobody knows. */
static void
fail_uncertain(struct smtp_session *s, const struct error *why)
{
	struct error doubt = *why;

	error_prefix(&doubt,
	    "the message was sent, but the server's answer to it is missing");
	error_class_set(&doubt, ERROR_RETRY, SESSION_UNCERTAIN_SECONDS);
	error_hint(&doubt,
	    "nothing to do: it is sent again later with the same Message-ID, "
	    "by which a second copy can be told");
	doubt.exit_code = EX_TEMPFAIL;
	strlcpy(doubt.status, "4.4.2", sizeof(doubt.status));
	doubt.uncertain = true;
	for (size_t i = 0; i < s->marks_count; i++)
		if (s->marks[i] == ACCEPTED || s->marks[i] == ASKED)
			settle(s, i, &doubt);
	s->failed = true;
	s->error = doubt;
}

bool
session_in_doubt(const struct smtp_session *s)
{
	return s->ending && !s->failed && s->asked > 0;
}

void
transaction_lost(struct smtp_session *s, const struct error *why)
{
	bool uncertain = session_in_doubt(s);

	s->ending = false;
	s->failed = true;
	s->error = *why;
	if (uncertain)
		fail_uncertain(s, why);
	if (s->envelope == NULL)
		return;
	for (size_t i = 0; i < s->marks_count; i++)
		if (s->marks[i] != DONE)
			settle(s, i, why);
}

/* A parameter's value (RFC 5321 esmtp-value, as xtext is). */
static bool
is_value_safe(const char *value)
{
	if (value == NULL || *value == '\0')
		return false;
	for (; *value != '\0'; value++)
		if (*value <= ' ' || *value >= 0x7f)
			return false;
	return true;
}

/* What this server cannot take at all, found out before asking it. */
static int
check_message(struct smtp_session *s, struct error *err)
{
	const struct capabilities *c = &s->capabilities;
	const struct envelope *e = s->envelope;

	if (!machine_is_address_safe(e->sender, e->smtputf8))
		return error_set(err, EX_DATAERR, "5.1.7",
		    "the sender's address '%s' cannot be used in SMTP",
		    e->sender != NULL ? e->sender : "");
	if (c->size > 0 && s->size > c->size) {
		error_set(err, EX_DATAERR, "5.3.4",
		    "the message has %llu bytes, and %s takes at most %llu",
		    s->size, s->server, c->size);
		return error_hint(err,
		    "send less at once, or put large files where they can be "
		    "fetched");
	}
	if (e->smtputf8 && !c->smtputf8)
		return error_set(err, EX_UNAVAILABLE, "5.6.7",
		    "an address or header needs SMTPUTF8, which %s does not "
		    "offer",
		    s->server);
	if (e->eight_bit && !c->eight_bit_mime)
		return error_set(err, EX_UNAVAILABLE, "5.6.3",
		    "the message has 8-bit text, and %s does not offer "
		    "8BITMIME",
		    s->server);
	return 0;
}

static void
check_recipients(struct smtp_session *s)
{
	struct error why;

	for (size_t i = 0; i < s->envelope->count; i++) {
		const char *address = s->envelope->recipients[i].address;

		if (s->marks[i] == DONE ||
		    machine_is_address_safe(address, s->envelope->smtputf8))
			continue;
		error_set(&why, EX_DATAERR, "5.1.3",
		    "the address '%s' cannot be used in SMTP",
		    address != NULL ? address : "");
		settle(s, i, &why);
		if (s->first.exit_code == 0)
			s->first = why;
	}
}

static bool
has_untried(const struct smtp_session *s)
{
	for (size_t i = 0; i < s->marks_count; i++)
		if (s->marks[i] == UNTRIED)
			return true;
	return false;
}

static void
begin_message(
    struct smtp_session *s, struct envelope *e, unsigned long long size)
{
	s->envelope = e;
	s->size = size;
	free(s->marks);
	s->marks = xcalloc(e->count > 0 ? e->count : 1, 1);
	s->marks_count = e->count;
	for (size_t i = 0; i < e->count; i++)
		if (e->recipients[i].state != RECIPIENT_PENDING)
			s->marks[i] = DONE;
}

void
session_send(
    struct smtp_session *s, struct envelope *e, unsigned long long size)
{
	struct error why;
	bool ready = machine_begin(s);

	if (!ready && s->state != CLOSED)
		return;
	s->receipt = (struct smtp_receipt){ .reply = "" };
	s->denied[0] = '\0';
	s->denies_from = false;
	s->asked = s->accepted = s->sent = s->cursor = 0;
	s->mail_ok = s->ending = false;
	error_clear(&s->first);
	if (s->envelope != e || !has_untried(s))
		begin_message(s, e, size);
	if (!ready) {
		why = s->error;
		fail_message(s, &why);
		return;
	}
	if (check_message(s, &why) == -1) {
		fail_message(s, &why);
		return;
	}
	check_recipients(s);
	s->part = s->needs_rset ? PART_RSET : PART_MAIL;
	machine_go(s, has_untried(s) ? ENVELOPE : END);
}

bool
session_more(const struct smtp_session *s)
{
	return s->state == READY && s->envelope != NULL && has_untried(s);
}

static int
send_mail(struct smtp_session *s)
{
	const struct capabilities *c = &s->capabilities;
	const struct envelope *e = s->envelope;
	struct buf line;
	int result;

	buf_init(&line, SESSION_COMMAND_MAX);
	(void)buf_addf(&line, "MAIL FROM:<%s>", e->sender);
	if (c->size_offered)
		(void)buf_addf(&line, " SIZE=%llu", s->size);
	if (e->eight_bit)
		(void)buf_adds(&line, " BODY=8BITMIME");
	if (e->smtputf8)
		(void)buf_adds(&line, " SMTPUTF8");
	if (c->dsn && is_value_safe(e->ret))
		(void)buf_addf(&line, " RET=%s", e->ret);
	if (c->dsn && is_value_safe(e->envid))
		(void)buf_addf(&line, " ENVID=%s", e->envid);
	result = machine_put_line(s, MAIL, 0, line.data, NULL);
	buf_release(&line);
	return result;
}

static int
send_rcpt(struct smtp_session *s, size_t i)
{
	const struct recipient *r = &s->envelope->recipients[i];
	const char *notify = envelope_notify(s->envelope, i);
	struct buf line;
	int result;

	buf_init(&line, SESSION_COMMAND_MAX);
	(void)buf_addf(&line, "RCPT TO:<%s>", r->address);
	if (s->capabilities.dsn && is_value_safe(notify))
		(void)buf_addf(&line, " NOTIFY=%s", notify);
	if (s->capabilities.dsn && is_value_safe(r->original))
		(void)buf_addf(&line, " ORCPT=%s", r->original);
	result = machine_put_line(s, RCPT, i, line.data, NULL);
	buf_release(&line);
	s->marks[i] = ASKED;
	s->asked++;
	return result;
}

/* The next recipient to be asked for, or marks_count when there is none or
 * the transaction is full. */
static size_t
next_recipient(struct smtp_session *s)
{
	if (s->asked == s->max_recipients)
		return s->marks_count;
	while (s->cursor < s->marks_count && s->marks[s->cursor] != UNTRIED)
		s->cursor++;
	return s->cursor;
}

static bool
is_group_full(const struct smtp_session *s)
{
	if (s->capabilities.pipelining)
		return s->output.len >= SESSION_GROUP_MAX;
	return machine_is_waiting(s);
}

/* All RCPTs are written: DATA in the same group, or BDAT with the content
 * behind it. Where all replies are in, there must be somebody to send to. */
static enum state
send_content(struct smtp_session *s)
{
	if (!machine_is_waiting(s) && s->accepted == 0)
		return END;
	if (!session_chunking(s)) {
		s->part = PART_NOTHING;
		return machine_put_line(s, DATA, 0, "DATA", NULL) == -1
			   ? CLOSED
			   : ENVELOPE;
	}
	if (machine_is_waiting(s) && s->size > SESSION_BDAT_AHEAD_MAX)
		return ENVELOPE;
	s->part = PART_NOTHING;
	return BODY;
}

enum state
transaction_send_envelope(struct smtp_session *s)
{
	int result = 0;
	size_t i;

	while (result == 0 && !is_group_full(s))
		switch (s->part) {
		case PART_RSET:
			result = machine_put_line(s, RSET, 0, "RSET", NULL);
			s->part = PART_MAIL;
			break;
		case PART_MAIL:
			result = send_mail(s);
			s->part = PART_RCPT;
			break;
		case PART_RCPT:
			if ((i = next_recipient(s)) < s->marks_count)
				result = send_rcpt(s, i);
			else
				s->part = PART_CONTENT;
			break;
		case PART_CONTENT:
			return send_content(s);
		case PART_NOTHING:
			return ENVELOPE;
		}
	return result == -1 ? CLOSED : ENVELOPE;
}

/* What a reply that refuses means. */
static void
judge(struct smtp_session *s, enum smtp_stage stage, struct error *verdict)
{
	const struct verdict_row *row;

	(void)verdict_judge(&s->reply, stage, s->user, &row, verdict);
	if (!verdict_denies_sender(row))
		return;
	verdict_denied_sender(s->reply.text.data, s->denied, sizeof(s->denied));
	if (s->denied[0] != '\0')
		return;
	strlcpy(s->denied, s->envelope->sender, sizeof(s->denied));
	s->denies_from = stage == SMTP_STAGE_FINAL;
}

enum state
transaction_on_rset(struct smtp_session *s)
{
	if (!machine_is_positive(s))
		return machine_hang_up_by_reply(s, SMTP_STAGE_RSET);
	s->needs_rset = false;
	return ENVELOPE;
}

enum state
transaction_on_mail(struct smtp_session *s)
{
	struct error why;

	s->mail_ok = machine_is_positive(s);
	if (s->mail_ok)
		return ENVELOPE;
	if (s->reply.code < 400)
		return machine_hang_up_by_nonsense(s);
	judge(s, SMTP_STAGE_MAIL, &why);
	fail_message(s, &why);
	return END;
}

/* RFC 5321 section 4.5.3.1.10: some servers say 552 for it. */
static bool
is_too_many(const struct smtp_reply *r)
{
	return (r->code == 452 && strcmp(r->status, "4.5.3") == 0) ||
	       (r->code == 552 && strcmp(r->status, "5.5.3") == 0) ||
	       (r->code == 452 && r->status[0] == '\0' &&
		   strcasestr(r->text.data, "too many recipients") != NULL);
}

enum state
transaction_on_rcpt(struct smtp_session *s)
{
	size_t i = s->expected[s->expected_next - 1].recipient;
	struct error why;

	if (!s->mail_ok)
		return END;
	if (machine_is_positive(s)) {
		s->marks[i] = ACCEPTED;
		s->accepted++;
		return ENVELOPE;
	}
	if (s->reply.code < 400)
		return machine_hang_up_by_nonsense(s);
	if (is_too_many(&s->reply) && s->accepted > 0) {
		/* To be asked for again; and no more than that many, since
		 * Exchange blocks mailboxes that keep trying. */
		s->marks[i] = UNTRIED;
		if (s->max_recipients > s->accepted)
			s->max_recipients = s->accepted;
		s->part = s->part == PART_RCPT ? PART_CONTENT : s->part;
		return ENVELOPE;
	}
	judge(s, SMTP_STAGE_RCPT, &why);
	settle(s, i, &why);
	if (s->first.exit_code == 0)
		s->first = why;
	return ENVELOPE;
}

enum state
transaction_on_data(struct smtp_session *s)
{
	struct error why;

	if (s->reply.code == 354)
		return s->accepted > 0 ? BODY : LONE_DOT;
	if (s->reply.code < 400)
		return machine_hang_up_by_nonsense(s);
	if (s->accepted > 0) {
		judge(s, SMTP_STAGE_DATA, &why);
		fail_message(s, &why);
	}
	return END;
}

/* DATA was written before all recipients were refused, and the server wants
 * content: it gets none (RFC 2920 section 3.1). */
enum state
transaction_send_lone_dot(struct smtp_session *s)
{
	return machine_say(s, LONE_DOT, ".");
}

enum state
transaction_on_lone_dot(struct smtp_session *s)
{
	s->mail_ok = false;
	return END;
}

bool
session_chunking(const struct smtp_session *s)
{
	return s->options.chunking && s->capabilities.chunking;
}

void
session_chunk(struct smtp_session *s, size_t len, bool last)
{
	char line[64];

	if (s->state != BODY)
		return;
	snprintf(line, sizeof(line), "BDAT %zu%s", len, last ? " LAST" : "");
	if (last)
		s->ending = true;
	(void)machine_put_line(s, last ? FINAL : CHUNK, 0, line, NULL);
}

void
session_body_ending(struct smtp_session *s)
{
	if (s->state == BODY)
		s->ending = true;
}

void
session_body_sent(struct smtp_session *s)
{
	if (s->state != BODY)
		return;
	s->ending = true;
	if (!session_chunking(s)) {
		machine_trace(s, 'C', ".");
		machine_expect(s, FINAL, 0);
	}
	s->state = FINAL;
}

enum state
transaction_on_chunk(struct smtp_session *s)
{
	struct error why;

	if (machine_is_positive(s) || s->failed || s->accepted == 0)
		return END;
	if (s->reply.code < 400)
		return machine_hang_up_by_nonsense(s);
	judge(s, SMTP_STAGE_FINAL, &why);
	fail_message(s, &why);
	return END;
}

/* "2.0.0 OK <id> [Hostname=…]": what the log wants of it. */
static void
take_receipt(struct smtp_session *s)
{
	const struct smtp_reply *r = &s->reply;
	struct smtp_receipt *receipt = &s->receipt;
	const char *start = strchr(r->text.data, '<');
	const char *end = start != NULL ? strchr(start, '>') : NULL;
	size_t line = strcspn(r->lines.data, "\n");

	if (end != NULL &&
	    (size_t)(end - start) + 2 <= sizeof(receipt->message_id))
		strlcpy(receipt->message_id, start, (size_t)(end - start) + 2);
	strlcpy(receipt->host, r->host, sizeof(receipt->host));
	strlcpy(receipt->session, r->session[0] != '\0' ? r->session : s->id,
	    sizeof(receipt->session));
	snprintf(receipt->reply, sizeof(receipt->reply), "%d %.*s", r->code,
	    (int)(line < 500 ? line : 500), r->lines.data);
}

enum state
transaction_on_final(struct smtp_session *s)
{
	struct error why;

	s->ending = false;
	if (machine_is_positive(s) && !s->failed && s->accepted > 0) {
		for (size_t i = 0; i < s->marks_count; i++)
			if (s->marks[i] == ACCEPTED)
				settle(s, i, NULL);
		s->sent = s->accepted;
		take_receipt(s);
	} else if (!s->failed && s->accepted > 0) {
		if (s->reply.code < 400)
			return machine_hang_up_by_nonsense(s);
		judge(s, SMTP_STAGE_FINAL, &why);
		fail_message(s, &why);
	}
	if (!session_chunking(s) || s->sent > 0)
		s->mail_ok = false;
	return END;
}

/* All replies are in: what is the result? A transaction that was opened and
 * not ended by its content is left to RSET. */
enum state
transaction_end(struct smtp_session *s)
{
	if (s->mail_ok)
		s->needs_rset = true;
	if (s->sent > 0 || s->failed)
		return READY;
	if (s->first.exit_code == 0)
		error_set(&s->first, EX_USAGE, "5.5.4",
		    "the message has no recipient that is left to be tried");
	s->failed = true;
	s->error = s->first;
	/* What is wrong with the account is not the recipients' fault. */
	if (s->first.class == ERROR_HOLD || s->first.class == ERROR_THROTTLED)
		fail_message(s, &s->first);
	return READY;
}

const char *
session_denied_sender(const struct smtp_session *s)
{
	return s->denied;
}

bool
session_denies_from(const struct smtp_session *s)
{
	return s->denies_from;
}

const struct smtp_receipt *
session_receipt(const struct smtp_session *s)
{
	return &s->receipt;
}
