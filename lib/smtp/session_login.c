/* The steps of a session up to AUTH: banner, EHLO, STARTTLS, EHLO, AUTH. */
#include <sysexits.h>

#include "base/xalloc.h"
#include "smtp/session_machine.h"

enum state
login_on_banner(struct smtp_session *s)
{
	size_t name = strcspn(s->reply.text.data, " ");

	if (s->reply.code != 220)
		return s->reply.code >= 400
			   ? machine_hang_up_by_reply(s, SMTP_STAGE_CONNECT)
			   : machine_hang_up_by_nonsense(s);
	strlcpy(s->server, s->reply.text.data,
	    name < sizeof(s->server) ? name + 1 : sizeof(s->server));
	return EHLO;
}

enum state
login_send_ehlo(struct smtp_session *s)
{
	char line[300];

	snprintf(line, sizeof(line), "EHLO %s",
	    s->options.helo != NULL && *s->options.helo != '\0'
		? s->options.helo
		: "localhost");
	return machine_say(s, s->state, line);
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
		machine_hang_up_by_reply(s, SMTP_STAGE_EHLO);
	else
		machine_hang_up_by_nonsense(s);
	return -1;
}

enum state
login_on_ehlo(struct smtp_session *s)
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
	error_class_set(&why, ERROR_HOLD, SMTP_PROBE_SECONDS);
	error_hint(&why,
	    "check 'host' and 'port' in outpost.conf (587), and whether a "
	    "firewall that inspects SMTP removes STARTTLS");
	return machine_hang_up(s, &why);
}

enum state
login_send_starttls(struct smtp_session *s)
{
	return machine_say(s, STARTTLS, "STARTTLS");
}

enum state
login_on_starttls(struct smtp_session *s)
{
	if (s->reply.code == 220)
		return TLS;
	return s->reply.code >= 400
		   ? machine_hang_up_by_reply(s, SMTP_STAGE_STARTTLS)
		   : machine_hang_up_by_nonsense(s);
}

void
session_tls_started(struct smtp_session *s)
{
	if (s->state != TLS)
		return;
	/* RFC 3207 section 4.2: what was offered before does not count. */
	s->capabilities = (struct capabilities){ .size = 0 };
	machine_go(s, EHLO_TLS);
}

enum state
login_on_ehlo_tls(struct smtp_session *s)
{
	return take_capabilities(s) == -1 ? CLOSED : READY;
}

static void
refuse_server(struct smtp_session *s, const char *what)
{
	struct error why;

	error_set(
	    &why, EX_CONFIG, "5.7.4", "the server %s %s", s->server, what);
	error_class_set(&why, ERROR_HOLD, SMTP_PROBE_SECONDS);
	error_hint(&why,
	    "check 'host' and 'port' in outpost.conf: Microsoft's servers "
	    "offer AUTH XOAUTH2 on port 587 once TLS runs");
	(void)machine_fail(s, &why);
}

void
session_auth(struct smtp_session *s, const char *user, const char *token)
{
	struct error why;

	if (!machine_begin(s))
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
		(void)machine_fail(s, &why);
		return;
	}
	machine_go(s, s->needs_two_step ? AUTH_START : AUTH);
}

enum state
login_send_auth(struct smtp_session *s)
{
	struct buf line;
	int result;

	buf_init(&line, SESSION_AUTH_ROOM);
	(void)buf_addf(&line, "AUTH XOAUTH2 %s", s->auth.data);
	result = machine_put_line(s, AUTH, 0, line.data, "AUTH XOAUTH2 ***");
	buf_release(&line);
	return result == -1 ? CLOSED : AUTH;
}

enum state
login_send_auth_start(struct smtp_session *s)
{
	return machine_say(s, AUTH_START, "AUTH XOAUTH2");
}

enum state
login_send_auth_token(struct smtp_session *s)
{
	return machine_put_line(s, AUTH_TOKEN, 0, s->auth.data, "***") == -1
		   ? CLOSED
		   : AUTH_TOKEN;
}

/* What Google does and Exchange may: the refusal's reason is a challenge,
 * which an empty line answers to get the refusal itself. */
enum state
login_send_empty(struct smtp_session *s)
{
	return machine_say(s, AUTH_REFUSED, "");
}

static enum state
refuse_auth(struct smtp_session *s)
{
	const struct verdict_row *row;
	struct error why;

	if (s->reply.code < 400)
		return machine_hang_up_by_nonsense(s);
	(void)verdict_judge(&s->reply, SMTP_STAGE_AUTH, s->user, &row, &why);
	s->token_rejected = row->token_rejected;
	if (s->challenge[0] != '\0') {
		strlcat(why.text, " (", sizeof(why.text));
		strlcat(why.text, s->challenge, sizeof(why.text));
		strlcat(why.text, ")", sizeof(why.text));
	}
	buf_clear(&s->auth);
	return machine_fail(s, &why);
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

enum state
login_on_auth(struct smtp_session *s)
{
	if (machine_is_positive(s))
		return accept_auth(s);
	if (s->reply.code == 334)
		return take_challenge(s);
	return is_line_refused(&s->reply) ? AUTH_START : refuse_auth(s);
}

enum state
login_on_auth_start(struct smtp_session *s)
{
	if (s->reply.code != 334)
		return refuse_auth(s);
	s->needs_two_step = true;
	return AUTH_TOKEN;
}

enum state
login_on_auth_token(struct smtp_session *s)
{
	if (machine_is_positive(s))
		return accept_auth(s);
	return s->reply.code == 334 ? take_challenge(s) : refuse_auth(s);
}

enum state
login_on_auth_refused(struct smtp_session *s)
{
	return machine_is_positive(s) ? accept_auth(s) : refuse_auth(s);
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
