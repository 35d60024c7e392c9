#include "submit/standing.h"

#include "account/config.h"
#include "base/error.h"
#include "mail/envelope.h"
#include "submit/submit.h"
#include "token/token.h"

/* Who lifts a hold by hand should not wait for long. */
#define LOOK_AGAIN 900

static int
on_hold(const struct account *account, const struct hold *hold, time_t now,
    struct error *err)
{
	time_t left = hold->next_probe > now ? hold->next_probe - now : 1;

	*err = hold->why;
	error_prefix(err, "'%s' is on hold", account->mailbox);
	error_class_set(
	    err, ERROR_HOLD, left < LOOK_AGAIN ? (unsigned)left : LOOK_AGAIN);
	err->untried = true;
	return -1;
}

/* Has somebody signed in since? The token that came with it is in the cache. */
static bool
is_signed_in_anew(
    const struct submission *about, const struct hold *hold, time_t now)
{
	struct token token;
	bool anew = false;

	token_init(&token);
	if (hold->source == HOLD_FROM_LOGIN &&
	    token_cached(&token, about->config, about->account, now) == 0)
		anew = hold_is_outdated(hold, token.issued);
	token_release(&token);
	return anew;
}

int
standing_check(
    struct standing *s, const struct submission *about, struct error *err)
{
	time_t now = time(NULL);
	struct hold hold;

	*s = (struct standing){ .about = about };
	if (hold_read(about->config, about->account, now, &hold) == 0) {
		s->on_hold = true;
		s->source = hold.source;
		if (!about->force && !is_signed_in_anew(about, &hold, now) &&
		    !hold_claim_probe(about->config, about->account, now))
			return on_hold(about->account, &hold, now, err);
	}
	if (about->kind == THROTTLE_DIRECT && !about->force &&
	    hold_paused(about->config, about->account, now, err) == 0) {
		err->untried = true;
		return -1;
	}
	return 0;
}

int
standing_on_hold(const struct submission *about, time_t now, time_t *until,
    struct error *err)
{
	struct hold hold;

	if (about->account == NULL ||
	    hold_read(about->config, about->account, now, &hold) == -1)
		return -1;
	if (about->force || hold.next_probe <= now ||
	    is_signed_in_anew(about, &hold, now))
		return -1;
	(void)on_hold(about->account, &hold, now, err);
	*until = now + (time_t)err->retry_after;
	return 0;
}

static void
lift(struct standing *s)
{
	(void)hold_lift(s->about->config, s->about->account);
	s->on_hold = false;
}

void
standing_logged_in(struct standing *s)
{
	hold_resume(s->about->config, s->about->account);
	if (s->on_hold && s->source == HOLD_FROM_LOGIN)
		lift(s);
}

void
standing_sent(struct standing *s)
{
	if (s->on_hold)
		lift(s);
}

int
standing_refused(struct standing *s, const char *id, const struct error *why)
{
	if (why->class == ERROR_HOLD)
		hold_place(s->about->config, s->about->account,
		    id == NULL ? HOLD_FROM_LOGIN : HOLD_FROM_MESSAGE, id, why,
		    time(NULL));
	return -1;
}

int
standing_unreachable(struct standing *s, const struct error *why)
{
	const struct submission *about = s->about;

	if (about->waiting != NULL && !about->waiting(about->waiting_arg))
		return -1;
	if (why->class == ERROR_RETRY)
		hold_pause(about->config, about->account, why, time(NULL));
	return standing_refused(s, NULL, why);
}

/* The account sends, but not this. */
static void
refuse(struct envelope *e, struct error *why)
{
	why->class = ERROR_REFUSED;
	for (size_t i = 0; i < e->count; i++)
		if (e->recipients[i].state == RECIPIENT_PENDING)
			envelope_verdict(e, i, why);
}

int
standing_message(
    struct standing *s, const struct submit_message *m, struct error *why)
{
	if (why->class != ERROR_HOLD)
		return -1;
	if (*m->drew_hold && !s->on_hold) {
		refuse(m->envelope, why);
		return -1;
	}
	*m->drew_hold = true;
	return standing_refused(s, m->id, why);
}
