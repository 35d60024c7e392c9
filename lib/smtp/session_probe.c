/* The steps that ask whether a server would take a sender: MAIL, then RSET. */
#include <sysexits.h>

#include "base/xalloc.h"
#include "smtp/session_machine.h"

void
session_probe(struct smtp_session *s, const char *sender)
{
	struct error why;

	if (!machine_begin(s))
		return;
	s->envelope = NULL;
	s->mail_ok = false;
	if (!machine_is_address_safe(sender, false)) {
		error_set(&why, EX_DATAERR, "5.1.7",
		    "the sender's address '%s' cannot be used in SMTP", sender);
		(void)machine_fail(s, &why);
		return;
	}
	free(s->probed);
	s->probed = xstrdup(sender);
	machine_go(s, s->needs_rset ? PROBE_RSET : PROBE);
}

enum state
probe_send_mail(struct smtp_session *s)
{
	char *line = xasprintf("MAIL FROM:<%s>", s->probed);
	enum state next = machine_say(s, PROBE, line);

	free(line);
	return next;
}

enum state
probe_on_mail(struct smtp_session *s)
{
	struct error why;

	s->mail_ok = machine_is_positive(s);
	if (s->mail_ok)
		return PROBE_RSET;
	if (s->reply.code < 400)
		return machine_hang_up_by_nonsense(s);
	(void)verdict_judge(&s->reply, SMTP_STAGE_MAIL, s->user, NULL, &why);
	return machine_fail(s, &why);
}

enum state
probe_send_rset(struct smtp_session *s)
{
	return machine_say(s, PROBE_RSET, "RSET");
}

/* The end of the probe, or of a transaction that was left open before it. */
enum state
probe_on_rset(struct smtp_session *s)
{
	bool done = s->mail_ok;

	if (!machine_is_positive(s))
		return machine_hang_up_by_reply(s, SMTP_STAGE_RSET);
	s->needs_rset = s->mail_ok = false;
	return done ? READY : PROBE;
}
