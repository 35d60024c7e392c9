#include "outpost/status.h"

#include <stdarg.h>
#include <stdlib.h>

#include "auth/store.h"
#include "base/xalloc.h"

static struct status_finding *find(struct status *, enum status_level,
    const char *, ...) __attribute__((format(printf, 3, 4)));

static struct status_finding *
find(struct status *s, enum status_level level, const char *format, ...)
{
	struct status_finding *f;
	va_list ap;

	s->findings = xreallocarray(
	    s->findings, s->finding_count + 1, sizeof(*s->findings));
	f = &s->findings[s->finding_count++];
	*f = (struct status_finding){ .level = level };
	va_start(ap, format);
	(void)vsnprintf(f->text, sizeof(f->text), format, ap);
	va_end(ap);
	return f;
}

static void
hint(struct status_finding *f, const char *text)
{
	strlcpy(f->hint, text, sizeof(f->hint));
}

static void
hint_login(struct status_finding *f, const char *mailbox)
{
	(void)snprintf(
	    f->hint, sizeof(f->hint), "run 'outpost login %s'", mailbox);
}

static void
judge_sign_in(struct status *s, const struct status_account *a)
{
	const char *mailbox = a->account->mailbox;
	long long days = (s->now - a->secrets.last_used) / STATUS_DAY;

	if (a->secrets.sign_in == STATUS_UNSEEN)
		hint(find(s, STATUS_UNKNOWN, "cannot see the sign-in of '%s'",
			 mailbox),
		    "run this as root");
	else if (a->secrets.sign_in == STATUS_BAD)
		hint(find(s, STATUS_CRITICAL, "%s", a->secrets.why.text),
		    a->secrets.why.hint);
	else if (a->secrets.sign_in == STATUS_GOOD &&
		 days >= STORE_SIGN_IN_DAYS)
		hint_login(find(s, STATUS_CRITICAL,
			       "the sign-in of '%s' was not used for %lld "
			       "days: Microsoft drops it after %d",
			       mailbox, days, STORE_SIGN_IN_DAYS),
		    mailbox);
	else if (a->secrets.sign_in == STATUS_GOOD &&
		 days >= STORE_SIGN_IN_WARN)
		hint(find(s, STATUS_WARNING,
			 "the sign-in of '%s' was not used for %lld days: "
			 "Microsoft drops it after %d",
			 mailbox, days, STORE_SIGN_IN_DAYS),
		    "run 'sendmail -q' from a timer, which keeps it in use");
}

static void
judge_certificate(struct status *s, const struct status_account *a)
{
	static const char renew[] =
	    "make another one, add it to the application in Entra, and put it "
	    "into the file of 'certificate'";
	const char *mailbox = a->account->mailbox;
	long long days = (a->secrets.expires - s->now) / STATUS_DAY;

	if (a->secrets.certificate == STATUS_UNSEEN)
		hint(find(s, STATUS_UNKNOWN,
			 "cannot see the certificate of '%s'", mailbox),
		    "run this as root");
	else if (a->secrets.certificate == STATUS_BAD)
		hint(find(s, STATUS_CRITICAL, "%s", a->secrets.why.text),
		    a->secrets.why.hint);
	else if (a->secrets.certificate == STATUS_GOOD &&
		 a->secrets.expires <= s->now)
		hint(find(s, STATUS_CRITICAL,
			 "the certificate of '%s' has expired", mailbox),
		    renew);
	else if (a->secrets.certificate == STATUS_GOOD &&
		 days < STATUS_CERTIFICATE_WARN)
		hint(find(s, STATUS_WARNING,
			 "the certificate of '%s' expires in %lld days",
			 mailbox, days),
		    renew);
}

static void
judge_account(struct status *s, const struct status_account *a)
{
	const struct account *account = a->account;

	judge_sign_in(s, a);
	judge_certificate(s, a);
	if (!a->hold_known)
		hint(
		    find(s, STATUS_UNKNOWN,
			"cannot see whether '%s' is on hold", account->mailbox),
		    "run this as root");
	else if (a->hold_outdated)
		(void)snprintf(find(s, STATUS_WARNING,
				   "'%s' was on hold; a token that came since "
				   "is tried with the next message",
				   account->mailbox)
				   ->hint,
		    ERROR_HINT_SIZE, "run 'outpost check %s', which tries it",
		    account->mailbox);
	else if (a->on_hold)
		hint(find(s, STATUS_CRITICAL, "'%s' is on hold: %s",
			 account->mailbox, a->hold.why.text),
		    a->hold.why.hint);
	else if (a->paused)
		hint(find(s, STATUS_WARNING,
			 "the server of '%s' was out of reach just now: %s",
			 account->mailbox, a->pause.text),
		    a->pause.hint);
	if (a->usage_known &&
	    a->usage.recipients * 100 >= account->daily * STATUS_DAILY_WARN)
		hint(find(s, STATUS_WARNING,
			 "'%s' sent to %lld of %lld recipients in 24 hours",
			 account->mailbox, a->usage.recipients, account->daily),
		    "spread bulk mail over more mailboxes");
}

static void
judge_queue(struct status *s)
{
	const struct queue_counts *q = &s->queue;

	if (!s->queue_known) {
		hint(find(s, STATUS_UNKNOWN, "%s", s->queue_error.text),
		    *s->queue_error.hint != '\0' ? s->queue_error.hint
						 : "run this as root");
		return;
	}
	if (q->oldest != 0 && s->now - q->oldest >= STATUS_QUEUE_WARN)
		hint(find(s, STATUS_WARNING,
			 "a message waits in the queue for %lld hours",
			 (long long)(s->now - q->oldest) / 3600),
		    "'mailq -v' tells why");
	if (s->disk_full)
		hint(find(s, STATUS_WARNING, "%s", s->disk_error.text),
		    s->disk_error.hint);
	if (q->corrupt > 0)
		(void)snprintf(find(s, STATUS_WARNING,
				   "%zu messages could not be read and were "
				   "set aside",
				   q->corrupt)
				   ->hint,
		    ERROR_HINT_SIZE, "look at them in '%s/corrupt'",
		    s->config->queue_dir);
}

/* What stops mail comes first; what cannot be seen counts for more than a
 * warning, for it may hide anything. */
static int
gravity(enum status_level level)
{
	static const int order[] = {
		[STATUS_OK] = 0,
		[STATUS_WARNING] = 1,
		[STATUS_UNKNOWN] = 2,
		[STATUS_CRITICAL] = 3,
	};

	return order[level];
}

static int
by_gravity(const void *a, const void *b)
{
	return gravity(((const struct status_finding *)b)->level) -
	       gravity(((const struct status_finding *)a)->level);
}

bool
status_is_blind(const struct status *s)
{
	bool blind = !s->queue_known;

	for (size_t i = 0; i < s->config->account_count; i++) {
		const struct status_account *a = &s->accounts[i];

		if (a->token_known || a->hold_known || a->usage_known ||
		    a->secrets.sign_in == STATUS_GOOD ||
		    a->secrets.certificate == STATUS_GOOD)
			blind = false;
	}
	return blind;
}

void
status_judge(struct status *s)
{
	if (s->config->account_count == 0)
		hint(find(s, STATUS_CRITICAL, "'%s' has no account",
			 s->config->path),
		    "run 'outpost init'");
	for (size_t i = 0; i < s->config->account_count; i++)
		judge_account(s, &s->accounts[i]);
	judge_queue(s);
	if (s->finding_count > 0)
		qsort(s->findings, s->finding_count, sizeof(*s->findings),
		    by_gravity);
	s->level = s->finding_count > 0 ? s->findings[0].level : STATUS_OK;
}
