#include "smtp/session.h"

#include <stdarg.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "smtp/xoauth2.h"

#define MAX_RECIPIENTS 500
#define PROBE_SECONDS 900 /* before a hold of ours is probed */
#define UNCERTAIN_SECONDS 900
#define AUTH_ROOM (XOAUTH2_MAX + 64)

/* A row of steps[]. Some are entered and speak, some only take a reply that
 * an earlier one asked for, most do both. */
enum state {
	BANNER,
	EHLO,
	STARTTLS,
	TLS,
	EHLO_TLS,
	READY,
	AUTH,
	AUTH_START,
	AUTH_TOKEN,
	AUTH_REFUSED,
	ENVELOPE,
	RSET,
	MAIL,
	RCPT,
	DATA,
	LONE_DOT,
	BODY,
	CHUNK,
	FINAL,
	END,
	CLOSED,
};

/* What has become of a recipient of the current message. */
enum mark {
	UNTRIED,
	ASKED,    /* RCPT written */
	ACCEPTED, /* RCPT answered by 250 */
	DONE,     /* has its verdict */
};

/* What of a transaction is to be written next. */
enum part {
	PART_RSET,
	PART_MAIL,
	PART_RCPT,
	PART_CONTENT,
	PART_NOTHING,
};

struct expected {
	enum state state;
	size_t recipient;
};

struct smtp_session {
	struct session_options options;
	enum state state;
	struct buf output;
	struct smtp_reply reply;
	struct capabilities capabilities;
	char server[REPLY_HOST_SIZE];
	char id[REPLY_SESSION_SIZE];

	/* Replies asked for and not read: a ring would be smaller, but the
	 * list is emptied each time anyway. */
	struct expected *expected;
	size_t expected_count, expected_room, expected_next;
	enum state answered; /* the row that the last reply was for */
	bool has_next;       /* all replies are read; 'next' is to come */
	enum state next;

	/* The piece of work under way, or the last one. */
	bool failed;
	struct error error;
	struct error gone; /* why the session is closed */

	struct buf auth; /* base64, wiped after use */
	char *user;
	bool token_rejected;
	bool needs_two_step;
	char challenge[512];

	struct envelope *envelope;
	unsigned long long size;
	unsigned char *marks; /* enum mark of each recipient */
	size_t marks_count;
	size_t max_recipients;
	enum part part;
	size_t cursor; /* where to look for the next recipient */
	size_t asked, accepted, sent;
	bool mail_ok;
	bool ending;        /* the server may have the whole content */
	bool needs_rset;    /* a transaction is open that is not wanted */
	struct error first; /* verdict of the first refused recipient */
	struct smtp_receipt receipt;
};

static enum state send_ehlo(struct smtp_session *);
static enum state send_starttls(struct smtp_session *);
static enum state send_auth(struct smtp_session *);
static enum state send_auth_start(struct smtp_session *);
static enum state send_auth_token(struct smtp_session *);
static enum state send_empty(struct smtp_session *);
static enum state send_envelope(struct smtp_session *);
static enum state send_lone_dot(struct smtp_session *);
static enum state end_transaction(struct smtp_session *);
static enum state on_banner(struct smtp_session *);
static enum state on_ehlo(struct smtp_session *);
static enum state on_starttls(struct smtp_session *);
static enum state on_ehlo_tls(struct smtp_session *);
static enum state on_auth(struct smtp_session *);
static enum state on_auth_start(struct smtp_session *);
static enum state on_auth_token(struct smtp_session *);
static enum state on_auth_refused(struct smtp_session *);
static enum state on_rset(struct smtp_session *);
static enum state on_mail(struct smtp_session *);
static enum state on_rcpt(struct smtp_session *);
static enum state on_data(struct smtp_session *);
static enum state on_lone_dot(struct smtp_session *);
static enum state on_chunk(struct smtp_session *);
static enum state on_final(struct smtp_session *);

/* The protocol at a glance. 'enter' writes commands and returns the state
 * itself, or another one to go to at once; 'reply' reads an answer and
 * returns the next state, entered when no answer is outstanding. */
struct step {
	const char *name;
	enum smtp_stage stage;
	enum session_want want;
	enum state (*enter)(struct smtp_session *);
	enum state (*reply)(struct smtp_session *);
	bool alone; /* not one byte may follow the reply */
};

/* clang-format off */
#define STAGE(s) SMTP_STAGE_##s
#define REPLY SESSION_REPLY
static const struct step steps[] = {
[BANNER]   = { "the banner", STAGE(CONNECT), REPLY, NULL, on_banner, false },
[EHLO]     = { "EHLO", STAGE(EHLO), REPLY, send_ehlo, on_ehlo, false },
[STARTTLS] = { "STARTTLS", STAGE(STARTTLS), REPLY, send_starttls, on_starttls, true },
[TLS]      = { "TLS", STAGE(STARTTLS), SESSION_TLS, NULL, NULL, false },
[EHLO_TLS] = { "EHLO", STAGE(EHLO), REPLY, send_ehlo, on_ehlo_tls, false },
[READY]    = { "nothing", STAGE(ANY), SESSION_IDLE, NULL, NULL, false },
[AUTH]     = { "AUTH", STAGE(AUTH), REPLY, send_auth, on_auth, true },
[AUTH_START]   = { "AUTH", STAGE(AUTH), REPLY, send_auth_start, on_auth_start, true },
[AUTH_TOKEN]   = { "AUTH", STAGE(AUTH), REPLY, send_auth_token, on_auth_token, true },
[AUTH_REFUSED] = { "AUTH", STAGE(AUTH), REPLY, send_empty, on_auth_refused, true },
[ENVELOPE] = { "MAIL", STAGE(MAIL), REPLY, send_envelope, NULL, false },
[RSET]     = { "RSET", STAGE(RSET), REPLY, NULL, on_rset, false },
[MAIL]     = { "MAIL", STAGE(MAIL), REPLY, NULL, on_mail, false },
[RCPT]     = { "RCPT", STAGE(RCPT), REPLY, NULL, on_rcpt, false },
[DATA]     = { "DATA", STAGE(DATA), REPLY, NULL, on_data, false },
[LONE_DOT] = { "the final dot", STAGE(FINAL), REPLY, send_lone_dot, on_lone_dot, false },
[BODY]     = { "the content", STAGE(FINAL), SESSION_BODY, NULL, NULL, false },
[CHUNK]    = { "BDAT", STAGE(FINAL), REPLY, NULL, on_chunk, false },
[FINAL]    = { "the final dot", STAGE(FINAL), REPLY, NULL, on_final, false },
[END]      = { "nothing", STAGE(ANY), REPLY, end_transaction, NULL, false },
[CLOSED]   = { "nothing", STAGE(ANY), SESSION_CLOSED, NULL, NULL, false },
};
#undef STAGE
#undef REPLY
/* clang-format on */

struct smtp_session *
session_new(const struct session_options *options)
{
	struct smtp_session *s = xcalloc(1, sizeof(*s));

	s->options = *options;
	s->max_recipients = options->max_recipients > 0
				? options->max_recipients
				: MAX_RECIPIENTS;
	s->needs_two_step = options->two_step_auth;
	buf_init(&s->output, SESSION_OUTPUT_MAX);
	buf_init(&s->auth, AUTH_ROOM);
	reply_init(&s->reply);
	error_clear(&s->error);
	error_clear(&s->gone);
	error_clear(&s->first);
	s->state = BANNER;
	s->expected = xreallocarray(NULL, 1, sizeof(*s->expected));
	s->expected[0] = (struct expected){ .state = BANNER };
	s->expected_count = s->expected_room = 1;
	return s;
}

void
session_free(struct smtp_session *s)
{
	if (s == NULL)
		return;
	buf_release(&s->output);
	buf_release(&s->auth);
	reply_release(&s->reply);
	free(s->expected);
	free(s->user);
	free(s->marks);
	free(s);
}

static bool
is_waiting(const struct smtp_session *s)
{
	return s->expected_next < s->expected_count;
}

static void
expect(struct smtp_session *s, enum state state, size_t recipient)
{
	if (!is_waiting(s))
		s->expected_next = s->expected_count = 0;
	if (s->expected_count == s->expected_room) {
		s->expected_room *= 2;
		s->expected = xreallocarray(
		    s->expected, s->expected_room, sizeof(*s->expected));
	}
	s->expected[s->expected_count++] =
	    (struct expected){ .state = state, .recipient = recipient };
}

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
	error_class_set(&doubt, ERROR_RETRY, UNCERTAIN_SECONDS);
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

/* The connection is of no more use. */
static enum state
hang_up(struct smtp_session *s, const struct error *why)
{
	bool was_doubtful = s->ending && !s->failed && s->asked > 0;

	s->ending = false;
	s->has_next = false;
	s->expected_next = s->expected_count = 0;
	s->gone = *why;
	if (s->state != READY && s->state != CLOSED) {
		s->failed = true;
		s->error = *why;
		if (was_doubtful)
			fail_uncertain(s, why);
		if (s->envelope != NULL)
			for (size_t i = 0; i < s->marks_count; i++)
				if (s->marks[i] != DONE)
					settle(s, i, why);
	}
	s->state = CLOSED;
	buf_clear(&s->auth);
	return CLOSED;
}

static void
judge(struct smtp_session *s, enum smtp_stage stage, struct error *verdict)
{
	(void)verdict_judge(&s->reply, stage, s->user, NULL, verdict);
}

/* The reply refuses and the connection with it. */
static enum state
hang_up_by_reply(struct smtp_session *s, enum smtp_stage stage)
{
	struct error verdict;

	judge(s, stage, &verdict);
	return hang_up(s, &verdict);
}

static enum state
hang_up_by_nonsense(struct smtp_session *s)
{
	struct error why;

	error_set(&why, EX_TEMPFAIL, "4.5.0",
	    "the server answered %s with %d, which makes no sense there",
	    steps[s->answered].name, s->reply.code);
	return hang_up(s, &why);
}

static void
trace(const struct smtp_session *s, char direction, const char *line)
{
	if (s->options.trace != NULL)
		s->options.trace(s->options.trace_arg, direction, line);
}

/* Write a command line and expect a reply to it. 'shown' stands for it in
 * the trace when it is a secret. This is the last place before the wire: what
 * would end the line early is an error of ours. */
static int
put_line(struct smtp_session *s, enum state state, size_t recipient,
    const char *line, const char *shown)
{
	struct error why;

	for (const char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f) {
			error_set(&why, EX_SOFTWARE, "5.5.2",
			    "a control character in a command (%s)",
			    steps[state].name);
			hang_up(s, &why);
			return -1;
		}
	(void)buf_adds(&s->output, line);
	(void)buf_adds(&s->output, "\r\n");
	if (s->output.full) {
		error_set(&why, EX_SOFTWARE, "5.5.2",
		    "a command is too long (%s)", steps[state].name);
		hang_up(s, &why);
		return -1;
	}
	trace(s, 'C', shown != NULL ? shown : line);
	expect(s, state, recipient);
	return 0;
}

static enum state
say(struct smtp_session *s, enum state state, const char *line)
{
	return put_line(s, state, 0, line, NULL) == -1 ? CLOSED : state;
}

/* Go to a state, and on from there while states pass the word on. */
static void
go(struct smtp_session *s, enum state next)
{
	s->has_next = false;
	do {
		s->state = next;
		if (steps[next].enter != NULL)
			next = steps[next].enter(s);
	} while (next != s->state && s->state != CLOSED);
}

static enum state
on_banner(struct smtp_session *s)
{
	size_t name = strcspn(s->reply.text.data, " ");

	if (s->reply.code != 220)
		return s->reply.code >= 400
			   ? hang_up_by_reply(s, SMTP_STAGE_CONNECT)
			   : hang_up_by_nonsense(s);
	strlcpy(s->server, s->reply.text.data,
	    name < sizeof(s->server) ? name + 1 : sizeof(s->server));
	return EHLO;
}

static enum state
send_ehlo(struct smtp_session *s)
{
	char line[300];

	snprintf(line, sizeof(line), "EHLO %s",
	    s->options.helo != NULL && *s->options.helo != '\0'
		? s->options.helo
		: "localhost");
	return say(s, s->state, line);
}

static bool
is_positive(const struct smtp_session *s)
{
	return s->reply.code >= 200 && s->reply.code < 300;
}

/* -1 and CLOSED when the EHLO was refused. */
static int
take_capabilities(struct smtp_session *s)
{
	if (s->reply.code == 250) {
		capabilities_read(&s->capabilities, &s->reply);
		return 0;
	}
	if (s->reply.code >= 400)
		hang_up_by_reply(s, SMTP_STAGE_EHLO);
	else
		hang_up_by_nonsense(s);
	return -1;
}

static enum state
on_ehlo(struct smtp_session *s)
{
	struct error why;

	if (take_capabilities(s) == -1)
		return CLOSED;
	if (s->capabilities.starttls)
		return STARTTLS;
	error_set(&why, EX_CONFIG, "5.7.4",
	    "the server %s does not offer STARTTLS, and nothing is sent "
	    "without encryption",
	    s->server);
	error_class_set(&why, ERROR_HOLD, PROBE_SECONDS);
	error_hint(&why,
	    "check 'host' and 'port' in outpost.conf (587), and whether a "
	    "firewall that inspects SMTP removes STARTTLS");
	return hang_up(s, &why);
}

static enum state
send_starttls(struct smtp_session *s)
{
	return say(s, STARTTLS, "STARTTLS");
}

static enum state
on_starttls(struct smtp_session *s)
{
	if (s->reply.code == 220)
		return TLS;
	return s->reply.code >= 400 ? hang_up_by_reply(s, SMTP_STAGE_STARTTLS)
				    : hang_up_by_nonsense(s);
}

void
session_tls_started(struct smtp_session *s)
{
	if (s->state != TLS)
		return;
	/* RFC 3207 section 4.2: what was offered before does not count. */
	s->capabilities = (struct capabilities){ .size = 0 };
	go(s, EHLO_TLS);
}

static enum state
on_ehlo_tls(struct smtp_session *s)
{
	return take_capabilities(s) == -1 ? CLOSED : READY;
}

/* Begin a piece of work. False when the session cannot take one. */
static bool
begin(struct smtp_session *s)
{
	if (s->state == CLOSED) {
		s->failed = true;
		if (s->gone.exit_code == 0)
			error_set(&s->gone, EX_TEMPFAIL, "4.4.2",
			    "the session is over");
		s->error = s->gone;
		return false;
	}
	if (s->state != READY) {
		s->failed = true;
		error_set(&s->error, EX_SOFTWARE, "5.5.1",
		    "the session is busy with %s", steps[s->state].name);
		return false;
	}
	s->failed = false;
	error_clear(&s->error);
	return true;
}

static enum state
fail_work(struct smtp_session *s, const struct error *why)
{
	s->failed = true;
	s->error = *why;
	return READY;
}

static void
refuse_server(struct smtp_session *s, const char *what)
{
	struct error why;

	error_set(
	    &why, EX_CONFIG, "5.7.4", "the server %s %s", s->server, what);
	error_class_set(&why, ERROR_HOLD, PROBE_SECONDS);
	error_hint(&why,
	    "check 'host' and 'port' in outpost.conf: Microsoft's servers "
	    "offer AUTH XOAUTH2 on port 587 once TLS runs");
	(void)fail_work(s, &why);
}

void
session_auth(struct smtp_session *s, const char *user, const char *token)
{
	struct error why;

	if (!begin(s))
		return;
	s->envelope = NULL;
	s->token_rejected = false;
	s->challenge[0] = '\0';
	if (!s->capabilities.auth) {
		refuse_server(s, "does not offer AUTH");
		return;
	}
	if (!s->capabilities.auth_xoauth2) {
		refuse_server(s, "offers AUTH, but not XOAUTH2");
		return;
	}
	free(s->user);
	s->user = xstrdup(user);
	buf_clear(&s->auth);
	if (xoauth2_response(&s->auth, user, token, &why) == -1) {
		(void)fail_work(s, &why);
		return;
	}
	go(s, s->needs_two_step ? AUTH_START : AUTH);
}

static enum state
send_auth(struct smtp_session *s)
{
	struct buf line;
	int result;

	buf_init(&line, AUTH_ROOM);
	(void)buf_addf(&line, "AUTH XOAUTH2 %s", s->auth.data);
	result = put_line(s, AUTH, 0, line.data, "AUTH XOAUTH2 ***");
	buf_release(&line);
	return result == -1 ? CLOSED : AUTH;
}

static enum state
send_auth_start(struct smtp_session *s)
{
	return say(s, AUTH_START, "AUTH XOAUTH2");
}

static enum state
send_auth_token(struct smtp_session *s)
{
	return put_line(s, AUTH_TOKEN, 0, s->auth.data, "***") == -1
		   ? CLOSED
		   : AUTH_TOKEN;
}

/* What Google does and Exchange may: the refusal's reason is a challenge,
 * which an empty line answers to get the refusal itself. */
static enum state
send_empty(struct smtp_session *s)
{
	return say(s, AUTH_REFUSED, "");
}

static enum state
refuse_auth(struct smtp_session *s)
{
	const struct verdict_row *row;
	struct error why;

	if (s->reply.code < 400)
		return hang_up_by_nonsense(s);
	(void)verdict_judge(&s->reply, SMTP_STAGE_AUTH, s->user, &row, &why);
	s->token_rejected = row->token_rejected;
	if (s->challenge[0] != '\0') {
		strlcat(why.text, " (", sizeof(why.text));
		strlcat(why.text, s->challenge, sizeof(why.text));
		strlcat(why.text, ")", sizeof(why.text));
	}
	buf_clear(&s->auth);
	return fail_work(s, &why);
}

static enum state
accept_auth(struct smtp_session *s)
{
	buf_clear(&s->auth);
	return READY;
}

static enum state
take_challenge(struct smtp_session *s)
{
	xoauth2_challenge(
	    s->challenge, sizeof(s->challenge), s->reply.text.data);
	xoauth2_hide(s->challenge, &s->auth);
	return AUTH_REFUSED;
}

/* Does the reply find fault with the command line and not with the token? An
 * AUTH line over 512 bytes need not be taken (RFC 4954 section 4). */
static bool
is_line_refused(const struct smtp_reply *r)
{
	if (r->code == 500 || r->code == 555)
		return true;
	return r->code == 501 && strncmp(r->status, "5.5.12", 6) != 0 &&
	       strncmp(r->status, "5.7.", 4) != 0;
}

static enum state
on_auth(struct smtp_session *s)
{
	if (is_positive(s))
		return accept_auth(s);
	if (s->reply.code == 334)
		return take_challenge(s);
	return is_line_refused(&s->reply) ? AUTH_START : refuse_auth(s);
}

static enum state
on_auth_start(struct smtp_session *s)
{
	if (s->reply.code != 334)
		return refuse_auth(s);
	s->needs_two_step = true;
	return AUTH_TOKEN;
}

static enum state
on_auth_token(struct smtp_session *s)
{
	if (is_positive(s))
		return accept_auth(s);
	return s->reply.code == 334 ? take_challenge(s) : refuse_auth(s);
}

static enum state
on_auth_refused(struct smtp_session *s)
{
	return is_positive(s) ? accept_auth(s) : refuse_auth(s);
}

bool
session_token_rejected(const struct smtp_session *s)
{
	return s->token_rejected;
}

bool
session_needs_two_step(const struct smtp_session *s)
{
	return s->needs_two_step;
}

/* An address that cannot break out of "<…>": brackets and blanks only inside
 * quotes, no control characters, 8-bit only where SMTPUTF8 covers it. */
static bool
is_address_safe(const char *address, bool utf8)
{
	bool quoted = false;

	if (address == NULL || *address == '\0')
		return false;
	for (const char *p = address; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < ' ' || c == 0x7f || (c > 0x7f && !utf8))
			return false;
		if (quoted && c == '\\' && p[1] >= ' ' && p[1] < 0x7f)
			p++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ' ' || c == '<' || c == '>'))
			return false;
	}
	return !quoted;
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

	if (!is_address_safe(e->sender, e->smtputf8))
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
		    is_address_safe(address, s->envelope->smtputf8))
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
	bool ready = begin(s);

	if (!ready && s->state != CLOSED)
		return;
	s->receipt = (struct smtp_receipt){ .reply = "" };
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
	go(s, has_untried(s) ? ENVELOPE : END);
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
	result = put_line(s, MAIL, 0, line.data, NULL);
	buf_release(&line);
	return result;
}

static int
send_rcpt(struct smtp_session *s, size_t i)
{
	const struct recipient *r = &s->envelope->recipients[i];
	struct buf line;
	int result;

	buf_init(&line, SESSION_COMMAND_MAX);
	(void)buf_addf(&line, "RCPT TO:<%s>", r->address);
	if (s->capabilities.dsn && is_value_safe(s->envelope->notify))
		(void)buf_addf(&line, " NOTIFY=%s", s->envelope->notify);
	if (s->capabilities.dsn && is_value_safe(r->original))
		(void)buf_addf(&line, " ORCPT=%s", r->original);
	result = put_line(s, RCPT, i, line.data, NULL);
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
	return is_waiting(s);
}

/* All RCPTs are written: DATA in the same group, or BDAT with the content
 * behind it. Where all replies are in, there must be somebody to send to. */
static enum state
send_content(struct smtp_session *s)
{
	if (!is_waiting(s) && s->accepted == 0)
		return END;
	if (!session_chunking(s)) {
		s->part = PART_NOTHING;
		return put_line(s, DATA, 0, "DATA", NULL) == -1 ? CLOSED
								: ENVELOPE;
	}
	if (is_waiting(s) && s->size > SESSION_BDAT_AHEAD_MAX)
		return ENVELOPE;
	s->part = PART_NOTHING;
	return BODY;
}

static enum state
send_envelope(struct smtp_session *s)
{
	int result = 0;
	size_t i;

	while (result == 0 && !is_group_full(s))
		switch (s->part) {
		case PART_RSET:
			result = put_line(s, RSET, 0, "RSET", NULL);
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

static enum state
on_rset(struct smtp_session *s)
{
	if (!is_positive(s))
		return hang_up_by_reply(s, SMTP_STAGE_RSET);
	s->needs_rset = false;
	return ENVELOPE;
}

static enum state
on_mail(struct smtp_session *s)
{
	struct error why;

	s->mail_ok = is_positive(s);
	if (s->mail_ok)
		return ENVELOPE;
	if (s->reply.code < 400)
		return hang_up_by_nonsense(s);
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

static enum state
on_rcpt(struct smtp_session *s)
{
	size_t i = s->expected[s->expected_next - 1].recipient;
	struct error why;

	if (!s->mail_ok)
		return END;
	if (is_positive(s)) {
		s->marks[i] = ACCEPTED;
		s->accepted++;
		return ENVELOPE;
	}
	if (s->reply.code < 400)
		return hang_up_by_nonsense(s);
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

static enum state
on_data(struct smtp_session *s)
{
	struct error why;

	if (s->reply.code == 354)
		return s->accepted > 0 ? BODY : LONE_DOT;
	if (s->reply.code < 400)
		return hang_up_by_nonsense(s);
	if (s->accepted > 0) {
		judge(s, SMTP_STAGE_DATA, &why);
		fail_message(s, &why);
	}
	return END;
}

/* DATA was written before all recipients were refused, and the server wants
 * content: it gets none (RFC 2920 section 3.1). */
static enum state
send_lone_dot(struct smtp_session *s)
{
	return say(s, LONE_DOT, ".");
}

static enum state
on_lone_dot(struct smtp_session *s)
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
	(void)put_line(s, last ? FINAL : CHUNK, 0, line, NULL);
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
		trace(s, 'C', ".");
		expect(s, FINAL, 0);
	}
	s->state = FINAL;
}

static enum state
on_chunk(struct smtp_session *s)
{
	struct error why;

	if (is_positive(s) || s->failed || s->accepted == 0)
		return END;
	if (s->reply.code < 400)
		return hang_up_by_nonsense(s);
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

static enum state
on_final(struct smtp_session *s)
{
	struct error why;

	s->ending = false;
	if (is_positive(s) && !s->failed && s->accepted > 0) {
		for (size_t i = 0; i < s->marks_count; i++)
			if (s->marks[i] == ACCEPTED)
				settle(s, i, NULL);
		s->sent = s->accepted;
		take_receipt(s);
	} else if (!s->failed && s->accepted > 0) {
		if (s->reply.code < 400)
			return hang_up_by_nonsense(s);
		judge(s, SMTP_STAGE_FINAL, &why);
		fail_message(s, &why);
	}
	if (!session_chunking(s) || s->sent > 0)
		s->mail_ok = false;
	return END;
}

/* All replies are in: what is the result? A transaction that was opened and
 * not ended by its content is left to RSET. */
static enum state
end_transaction(struct smtp_session *s)
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

static void
trace_reply(struct smtp_session *s)
{
	const char *line = s->reply.lines.data;
	struct buf shown;
	const char *end;

	if (s->options.trace == NULL)
		return;
	buf_init(&shown, REPLY_LINE_MAX + 16);
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		buf_clear(&shown);
		(void)buf_addf(
		    &shown, "%d%c", s->reply.code, end[1] != '\0' ? '-' : ' ');
		(void)buf_add(&shown, line, (size_t)(end - line));
		trace(s, 'S', shown.data);
	}
	buf_release(&shown);
}

/* Bytes that answer no command. After STARTTLS they are somebody's try to
 * put words into the encrypted session; after a finished piece of work
 * they are a farewell. */
static void
take_unexpected(struct smtp_session *s)
{
	const struct step *step = &steps[s->answered];
	struct error why;
	bool finished;

	if (s->has_next && s->next == END)
		s->next = end_transaction(s);
	finished = s->has_next && s->next == READY;
	if (step->alone && !(finished && s->failed)) {
		error_set(&why, EX_CONFIG, "5.7.0",
		    "the server sent data after its reply to %s: somebody may "
		    "be tampering with the connection",
		    step->name);
		error_class_set(&why, ERROR_HOLD, PROBE_SECONDS);
		error_hint(&why,
		    "nothing was sent; check the network between here and the "
		    "server, proxies and mail filters first");
	} else if (s->reply.whole && s->reply.code >= 400)
		judge(s, steps[s->state].stage, &why);
	else
		error_set(&why, EX_TEMPFAIL, "4.5.0",
		    "the server sent a reply that nothing had asked for: "
		    "%d %.200s",
		    s->reply.code, s->reply.text.data);
	if (s->state == BODY && s->reply.whole && s->reply.code >= 400)
		s->ending = false;
	if (finished && !(step->alone && !s->failed))
		s->state = READY;
	hang_up(s, &why);
}

/* What is said to a login may have it in it. */
static void
hide_login(struct smtp_session *s)
{
	if (s->auth.len == 0)
		return;
	xoauth2_hide(s->reply.text.data, &s->auth);
	s->reply.text.len = strlen(s->reply.text.data);
	xoauth2_hide(s->reply.lines.data, &s->auth);
	s->reply.lines.len = strlen(s->reply.lines.data);
}

static void
take_reply(struct smtp_session *s)
{
	enum state next;

	hide_login(s);
	trace_reply(s);
	if (s->reply.session[0] != '\0')
		strlcpy(s->id, s->reply.session, sizeof(s->id));
	if (!is_waiting(s)) {
		take_unexpected(s);
		return;
	}
	s->answered = s->expected[s->expected_next++].state;
	/* RFC 5321 section 3.8: the server closes, whatever was asked. */
	if (s->reply.code == 421) {
		if (s->answered == FINAL || s->answered == CHUNK)
			s->ending = false;
		hang_up_by_reply(s, steps[s->answered].stage);
		return;
	}
	next = steps[s->answered].reply(s);
	if (s->state != CLOSED && !is_waiting(s)) {
		s->has_next = true;
		s->next = next;
	}
}

void
session_receive(struct smtp_session *s, const char *bytes, size_t len)
{
	struct error why;

	if (len > 0 && s->state == TLS)
		take_unexpected(s);
	while (len > 0 && s->state != CLOSED) {
		size_t used = len;
		int whole;

		if (s->reply.whole)
			reply_clear(&s->reply);
		whole = reply_feed(&s->reply, bytes, len, &used, &why);
		if (whole == -1) {
			xoauth2_hide(why.text, &s->auth);
			hang_up(s, &why);
			return;
		}
		bytes += used;
		len -= used;
		if (whole == 1)
			take_reply(s);
	}
	if (s->state == CLOSED || !s->has_next)
		return;
	if (!s->reply.whole && s->reply.total > 0)
		take_unexpected(s);
	else
		go(s, s->next);
}

void
session_lost(struct smtp_session *s, const struct error *why)
{
	if (s->state != CLOSED)
		hang_up(s, why);
}

const struct buf *
session_output(const struct smtp_session *s)
{
	return &s->output;
}

void
session_written(struct smtp_session *s)
{
	buf_clear(&s->output);
}

enum session_want
session_want(const struct smtp_session *s)
{
	return steps[s->state].want;
}

int
session_result(const struct smtp_session *s, struct error *err)
{
	if (!s->failed)
		return 0;
	if (err != NULL)
		*err = s->error;
	return -1;
}

const struct smtp_receipt *
session_receipt(const struct smtp_session *s)
{
	return &s->receipt;
}

void
session_quit(struct smtp_session *s)
{
	if (s->state == READY && say(s, CLOSED, "QUIT") == CLOSED)
		s->expected_next = s->expected_count = 0;
	s->state = CLOSED;
}

const char *
session_server(const struct smtp_session *s)
{
	return s->server;
}

const char *
session_id(const struct smtp_session *s)
{
	return s->id;
}

const struct capabilities *
session_capabilities(const struct smtp_session *s)
{
	return &s->capabilities;
}

enum smtp_stage
session_stage(const struct smtp_session *s)
{
	return is_waiting(s) ? steps[s->expected[s->expected_next].state].stage
			     : steps[s->state].stage;
}
