#include "smtp/session.h"

#include <sysexits.h>

#include "base/xalloc.h"
#include "smtp/session_machine.h"
#include "smtp/xoauth2.h"

#define MAX_RECIPIENTS 500

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
#define REPLY SESSION_REPLY
#define STAGE(stage) SMTP_STAGE_##stage
static const struct step steps[] = {
[BANNER]       = { "the banner", STAGE(CONNECT), REPLY,
		   NULL, login_on_banner, false },
[EHLO]         = { "EHLO", STAGE(EHLO), REPLY,
		   login_send_ehlo, login_on_ehlo, false },
[STARTTLS]     = { "STARTTLS", STAGE(STARTTLS), REPLY,
		   login_send_starttls, login_on_starttls, true },
[TLS]          = { "TLS", STAGE(STARTTLS), SESSION_TLS, NULL, NULL, false },
[EHLO_TLS]     = { "EHLO", STAGE(EHLO), REPLY,
		   login_send_ehlo, login_on_ehlo_tls, false },
[READY]        = { "nothing", STAGE(ANY), SESSION_IDLE, NULL, NULL, false },
[AUTH]         = { "AUTH", STAGE(AUTH), REPLY,
		   login_send_auth, login_on_auth, true },
[AUTH_START]   = { "AUTH", STAGE(AUTH), REPLY,
		   login_send_auth_start, login_on_auth_start, true },
[AUTH_TOKEN]   = { "AUTH", STAGE(AUTH), REPLY,
		   login_send_auth_token, login_on_auth_token, true },
[AUTH_REFUSED] = { "AUTH", STAGE(AUTH), REPLY,
		   login_send_empty, login_on_auth_refused, true },
[PROBE]        = { "MAIL", STAGE(MAIL), REPLY,
		   probe_send_mail, probe_on_mail, false },
[PROBE_RSET]   = { "RSET", STAGE(RSET), REPLY,
		   probe_send_rset, probe_on_rset, false },
[ENVELOPE]     = { "MAIL", STAGE(MAIL), REPLY,
		   transaction_send_envelope, NULL, false },
[RSET]         = { "RSET", STAGE(RSET), REPLY,
		   NULL, transaction_on_rset, false },
[MAIL]         = { "MAIL", STAGE(MAIL), REPLY,
		   NULL, transaction_on_mail, false },
[RCPT]         = { "RCPT", STAGE(RCPT), REPLY,
		   NULL, transaction_on_rcpt, false },
[DATA]         = { "DATA", STAGE(DATA), REPLY,
		   NULL, transaction_on_data, false },
[LONE_DOT]     = { "the final dot", STAGE(FINAL), REPLY,
		   transaction_send_lone_dot, transaction_on_lone_dot, false },
[BODY]         = { "the content", STAGE(FINAL), SESSION_BODY,
		   NULL, NULL, false },
[CHUNK]        = { "BDAT", STAGE(FINAL), REPLY,
		   NULL, transaction_on_chunk, false },
[FINAL]        = { "the final dot", STAGE(FINAL), REPLY,
		   NULL, transaction_on_final, false },
[END]          = { "nothing", STAGE(ANY), REPLY,
		   transaction_end, NULL, false },
[CLOSED]       = { "nothing", STAGE(ANY), SESSION_CLOSED, NULL, NULL, false },
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
	buf_init(&s->auth, SESSION_AUTH_ROOM);
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
	free(s->probed);
	free(s->marks);
	free(s);
}

bool
machine_is_waiting(const struct smtp_session *s)
{
	return s->expected_next < s->expected_count;
}

void
machine_expect(struct smtp_session *s, enum state state, size_t recipient)
{
	if (!machine_is_waiting(s))
		s->expected_next = s->expected_count = 0;
	if (s->expected_count == s->expected_room) {
		s->expected_room *= 2;
		s->expected = xreallocarray(
		    s->expected, s->expected_room, sizeof(*s->expected));
	}
	s->expected[s->expected_count++] =
	    (struct expected){ .state = state, .recipient = recipient };
}

enum state
machine_hang_up(struct smtp_session *s, const struct error *why)
{
	s->has_next = false;
	s->expected_next = s->expected_count = 0;
	s->gone = *why;
	if (s->state != READY && s->state != CLOSED)
		transaction_lost(s, why);
	s->state = CLOSED;
	buf_clear(&s->auth);
	return CLOSED;
}

static void
judge(
    const struct smtp_session *s, enum smtp_stage stage, struct error *verdict)
{
	(void)verdict_judge(&s->reply, stage, s->user, NULL, verdict);
}

enum state
machine_hang_up_by_reply(struct smtp_session *s, enum smtp_stage stage)
{
	struct error verdict;

	judge(s, stage, &verdict);
	return machine_hang_up(s, &verdict);
}

static void
hint_server(struct error *why)
{
	error_hint(why,
	    "check 'host' and 'port' in outpost.conf, and whether a proxy or "
	    "firewall answers in the server's place");
}

enum state
machine_hang_up_by_nonsense(struct smtp_session *s)
{
	struct error why;

	error_set(&why, EX_TEMPFAIL, "4.5.0",
	    "the server answered %s with %d, which makes no sense there",
	    steps[s->answered].name, s->reply.code);
	hint_server(&why);
	return machine_hang_up(s, &why);
}

void
machine_trace(const struct smtp_session *s, char direction, const char *line)
{
	if (s->options.trace != NULL)
		s->options.trace(s->options.trace_arg, direction, line);
}

/* The last place before the wire: what would end the line early is an error
 * of ours. */
int
machine_put_line(struct smtp_session *s, enum state state, size_t recipient,
    const char *line, const char *shown)
{
	struct error why;

	for (const char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f) {
			error_set(&why, EX_SOFTWARE, "5.5.2",
			    "a control character in a command (%s)",
			    steps[state].name);
			machine_hang_up(s, &why);
			return -1;
		}
	(void)buf_adds(&s->output, line);
	(void)buf_adds(&s->output, "\r\n");
	if (s->output.full) {
		error_set(&why, EX_SOFTWARE, "5.5.2",
		    "a command is too long (%s)", steps[state].name);
		machine_hang_up(s, &why);
		return -1;
	}
	machine_trace(s, 'C', shown != NULL ? shown : line);
	machine_expect(s, state, recipient);
	return 0;
}

enum state
machine_say(struct smtp_session *s, enum state state, const char *line)
{
	return machine_put_line(s, state, 0, line, NULL) == -1 ? CLOSED : state;
}

void
machine_go(struct smtp_session *s, enum state next)
{
	s->has_next = false;
	do {
		s->state = next;
		if (steps[next].enter != NULL)
			next = steps[next].enter(s);
	} while (next != s->state && s->state != CLOSED);
}

bool
machine_is_positive(const struct smtp_session *s)
{
	return s->reply.code >= 200 && s->reply.code < 300;
}

bool
machine_begin(struct smtp_session *s)
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

bool
machine_is_address_safe(const char *address, bool utf8)
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

enum state
machine_fail(struct smtp_session *s, const struct error *why)
{
	s->failed = true;
	s->error = *why;
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
		machine_trace(s, 'S', shown.data);
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
		s->next = transaction_end(s);
	finished = s->has_next && s->next == READY;
	if (step->alone && !(finished && s->failed)) {
		error_set(&why, EX_CONFIG, "5.7.0",
		    "the server sent data after its reply to %s: somebody may "
		    "be tampering with the connection",
		    step->name);
		error_class_set(&why, ERROR_HOLD, SMTP_PROBE_SECONDS);
		error_hint(&why,
		    "nothing was sent; check the network between here and the "
		    "server, proxies and mail filters first");
	} else if (s->reply.whole && s->reply.code >= 400)
		judge(s, steps[s->state].stage, &why);
	else {
		error_set(&why, EX_TEMPFAIL, "4.5.0",
		    "the server sent a reply that nothing had asked for: "
		    "%d %.200s",
		    s->reply.code, s->reply.text.data);
		hint_server(&why);
	}
	if (s->state == BODY && s->reply.whole && s->reply.code >= 400)
		s->ending = false;
	if (finished && !(step->alone && !s->failed))
		s->state = READY;
	machine_hang_up(s, &why);
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
	if (!machine_is_waiting(s)) {
		take_unexpected(s);
		return;
	}
	s->answered = s->expected[s->expected_next++].state;
	/* RFC 5321 section 3.8: the server closes, whatever was asked. */
	if (s->reply.code == 421) {
		if (s->answered == FINAL || s->answered == CHUNK)
			s->ending = false;
		machine_hang_up_by_reply(s, steps[s->answered].stage);
		return;
	}
	next = steps[s->answered].reply(s);
	if (s->state != CLOSED && !machine_is_waiting(s)) {
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
			machine_hang_up(s, &why);
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
		machine_go(s, s->next);
}

void
session_lost(struct smtp_session *s, const struct error *why)
{
	if (s->state != CLOSED)
		machine_hang_up(s, why);
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

void
session_quit(struct smtp_session *s)
{
	if (s->state == READY && machine_say(s, CLOSED, "QUIT") == CLOSED)
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
	return machine_is_waiting(s)
		   ? steps[s->expected[s->expected_next].state].stage
		   : steps[s->state].stage;
}
