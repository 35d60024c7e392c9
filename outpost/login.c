/* outpost login: signs an account in by a device code (RFC 8628), so that no
 * browser is needed on this machine. Nothing is kept before the sign-in is
 * complete; an interrupt leaves nothing behind.
 */
#include <stdbool.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/http.h"
#include "auth/oauth.h"
#include "auth/renew.h"
#include "base/error.h"
#include "base/file.h"
#include "outpost/outpost.h"

#define REQUEST_SECONDS 60.0

struct login {
	const struct outpost *outpost;
	const struct account *account;
	struct oauth oauth;
	struct oauth_device device;
	struct oauth_token token;
};

static int
parse_arguments(int argc, char **argv, const char **mailbox, struct error *err)
{
	int first = 1;

	/* The only kind of sign-in so far, and named already. */
	if (argc > 1 && strcmp(argv[1], "--device") == 0)
		first = 2;
	return outpost_argument(argc, argv, first, mailbox, err);
}

static int
check_account(const struct account *account, struct error *err)
{
	if (account->auth == AUTH_LOGIN)
		return 0;
	error_set(err, EX_CONFIG, "5.3.5",
	    "'%s' has a credential of its own and needs no sign-in",
	    account->mailbox);
	return error_hint(err,
	    "'outpost token %s' tries it; with auth = login a person signs in",
	    account->mailbox);
}

/* Nobody can enter a code that is not seen: then there is nothing to wait
 * for. */
static int
show_code(const struct login *l, struct error *err)
{
	printf("To sign in %s, with a browser on any machine:\n\n"
	       "  open   %s\n"
	       "  enter  %s\n\n"
	       "Sign in there as %s, or as a user who may send as it.\n"
	       "The code is good for %lld minutes; Ctrl-C gives up.\n",
	    l->account->mailbox, l->device.uri, l->device.user_code,
	    l->account->mailbox, (l->device.expires_in + 59) / 60);
	return outpost_flush(err);
}

/* One line that is written over; for a person, so on a terminal only. */
static void
show_left(double left)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\rwaiting, %d:%02d left ",
		    (int)left / 60, (int)left % 60);
}

static void
show_done(void)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r%30s\r", "");
}

static int
expired(const struct login *l, struct error *err)
{
	error_set(err, EX_NOPERM, "4.7.0",
	    "nobody signed in '%s' before the code expired",
	    l->account->mailbox);
	return error_hint(
	    err, "run 'outpost login %s' again", l->account->mailbox);
}

/* Ask until it is done, refused or expired. Each time that the network fails
 * meanwhile we ask half as often (RFC 8628 section 3.5). */
static int
wait_for_person(struct login *l, struct error *err)
{
	unsigned interval =
	    l->device.interval < 1 ? 1 : (unsigned)l->device.interval;
	double end = file_now() + (double)l->device.expires_in;
	enum oauth_poll state = OAUTH_POLL_PENDING;
	struct error why;
	double left;

	while ((left = end - file_now()) > 0) {
		show_left(left);
		(void)sleep(left < interval ? (unsigned)left + 1 : interval);
		if (oauth_device_poll(&l->oauth, l->device.device_code.data,
			file_now() + REQUEST_SECONDS, &l->token, &state,
			&why) == -1) {
			if (why.class != ERROR_RETRY &&
			    why.class != ERROR_THROTTLED) {
				*err = why;
				return -1;
			}
			interval *= 2;
			if (why.retry_after > interval)
				interval = why.retry_after;
			continue;
		}
		if (state == OAUTH_POLL_DONE)
			return 0;
		if (state == OAUTH_POLL_SLOW_DOWN)
			interval += OAUTH_SLOW_DOWN;
	}
	return expired(l, err);
}

/* The browser may have been signed in as somebody else. That may be meant (a
 * shared mailbox), so it is told and not refused. */
static void
note_user(const struct login *l)
{
	struct oauth_claims claims;
	const struct buf *token = &l->token.access_token;

	if (oauth_response_claims(&claims, token->data, token->len) == -1 ||
	    *claims.user == '\0' ||
	    strcasecmp(claims.user, l->account->mailbox) == 0)
		return;
	(void)fprintf(stderr,
	    "note: the user who signed in is %s, so Exchange lets mail go out "
	    "only if this user may send as %s\n",
	    claims.user, l->account->mailbox);
}

static int
sign_in(struct login *l, struct error *err)
{
	int result;
	time_t now;

	if (oauth_device_start(&l->oauth, file_now() + REQUEST_SECONDS,
		&l->device, err) == -1 ||
	    show_code(l, err) == -1)
		return -1;
	result = wait_for_person(l, err);
	show_done();
	if (result == -1)
		return -1;
	now = time(NULL);
	if (renew_keep(&l->outpost->config, l->account, &l->token, now,
		file_now() + REQUEST_SECONDS, err) == -1)
		return -1;
	note_user(l);
	printf("\n%s is signed in. Send a test message:\n\n"
	       "  printf 'Subject: test\\n\\nIt works.\\n' | "
	       "sendmail -f %s you@example.com\n",
	    l->account->mailbox, l->account->mailbox);
	return 0;
}

int
login_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	struct login l = { .outpost = o };
	struct http_options options;
	const char *mailbox;
	int result;

	if (parse_arguments(argc, argv, &mailbox, err) == -1 ||
	    outpost_account(o, mailbox, &l.account, err) == -1 ||
	    check_account(l.account, err) == -1 ||
	    outpost_take_secrets(o, err) == -1)
		return -1;
	options = (struct http_options){ l.account->ca_dir, l.account->ca_file,
		l.account->proxy };
	l.oauth.account = l.account;
	l.oauth.http = http_new(&options);
	oauth_device_init(&l.device);
	oauth_token_init(&l.token);
	result = sign_in(&l, err);
	oauth_token_release(&l.token);
	oauth_device_release(&l.device);
	http_free(l.oauth.http);
	return result;
}
