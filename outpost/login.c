/* outpost login: signs an account in, with the browser of this machine (RFC
 * 8252), by a device code on any other (RFC 8628), or by an address that is
 * carried there and back by hand. Nothing is kept before the sign-in is
 * complete; an interrupt leaves nothing behind.
 */
#include "outpost/login.h"

#include <sysexits.h>

#include "auth/http.h"
#include "auth/renew.h"
#include "auth/store.h"
#include "base/error.h"
#include "base/file.h"
#include "outpost/show.h"

const char login_help[] =
    "Sign in as the mailbox, or as a user who may send as it.\n"
    "\n"
    "  --browser   opens this machine's browser; where there is a display, "
    "the\n"
    "              default\n"
    "  --device    prints an address and a code for a browser on any machine;\n"
    "              over ssh, without a display and for root the default\n"
    "  --paste     prints an address for a browser on any machine, and takes "
    "the\n"
    "              address where that ends, where device codes are blocked\n";

/* clang-format off */
static const struct method {
	const char *option;
	int (*run)(struct login *, struct error *);
} methods[] = {
	{ "--browser", login_browser },
	{ "--device",  login_device },
	{ "--paste",   login_paste },
};
/* clang-format on */

#define METHODS (sizeof(methods) / sizeof(methods[0]))

static const struct method *
find_method(const char *option)
{
	for (size_t i = 0; i < METHODS; i++)
		if (strcmp(methods[i].option, option) == 0)
			return &methods[i];
	return NULL;
}

/* A browser that we can open needs nothing typed; where there is none, or it
 * is far away, the code goes to another machine. */
static const struct method *
default_method(void)
{
	return find_method(browser_is_near() ? "--browser" : "--device");
}

/* The option stands before or after the account; what else there is moves
 * together. */
static int
parse_arguments(int argc, char **argv, const struct method **method,
    const char **mailbox, struct error *err)
{
	const struct method *given;
	int rest = 1;

	*method = NULL;
	for (int i = 1; i < argc; i++) {
		if ((given = find_method(argv[i])) == NULL) {
			argv[rest++] = argv[i];
			continue;
		}
		if (*method != NULL && *method != given)
			return error_set(err, EX_USAGE, "5.3.0",
			    "%s and %s exclude each other", (*method)->option,
			    given->option);
		*method = given;
	}
	if (*method == NULL)
		*method = default_method();
	return outpost_argument(rest, argv, 1, mailbox, err);
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

void
login_show_whom(const struct login *l)
{
	printf("Sign in there as %s, or as a user who may send as it.\n",
	    l->account->mailbox);
}

int
login_too_late(const struct login *l, struct error *err)
{
	error_set(err, EX_NOPERM, "4.7.0", "nobody signed in '%s' in time",
	    l->account->mailbox);
	return error_hint(
	    err, "run 'outpost login %s' again", l->account->mailbox);
}

int
login_keep(struct login *l, struct error *err)
{
	return renew_keep(&l->outpost->config, l->account, &l->token,
	    time(NULL), file_now() + LOGIN_REQUEST_SECONDS, err);
}

char *
login_note(const struct login *l, char out[LOGIN_NOTE_SIZE])
{
	struct oauth_claims claims;
	const struct buf *token = &l->token.access_token;

	*out = '\0';
	if (oauth_response_claims(&claims, token->data, token->len) == 0 &&
	    *claims.user != '\0' &&
	    strcasecmp(claims.user, l->account->mailbox) != 0)
		snprintf(out, LOGIN_NOTE_SIZE,
		    "the user who signed in is %s, so mail goes out as %s "
		    "only if that is a mailbox which this user may open and "
		    "send as (a shared mailbox, for one)",
		    claims.user, l->account->mailbox);
	return out;
}

static void
show_success(const struct login *l)
{
	char note[LOGIN_NOTE_SIZE];

	if (*login_note(l, note) != '\0')
		(void)fprintf(stderr, "note: %s\n", note);
	printf(
	    "\n%s%s is signed in.%s Send a test message:\n\n"
	    "  printf 'Subject: test\\n\\nIt works.\\n' | "
	    "sendmail -f %s you@example.com\n\n"
	    "What waits for it in the queue goes out by itself; at once by\n\n"
	    "  mailq --retry %s\n",
	    show_style(SHOW_GREEN), l->account->mailbox, show_style(SHOW_PLAIN),
	    l->account->mailbox, l->account->mailbox);
}

static int
sign_in(struct login *l, const struct method *method, struct error *err)
{
	const struct account *account = l->account;
	int result;

	l->oauth.account = account;
	l->oauth.http = http_new(account);
	store_claims_read(&l->outpost->config, account, l->oauth.claims,
	    sizeof(l->oauth.claims));
	oauth_token_init(&l->token);
	l->end = file_now() + LOGIN_SECONDS;
	result = method->run(l, err);
	if (result == 0)
		show_success(l);
	oauth_token_release(&l->token);
	http_free(l->oauth.http);
	return result;
}

int
login_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	struct login l = { .outpost = o,
		.browser = { .pid = -1, .address = -1 } };
	const struct method *method;
	const char *mailbox = NULL;
	int result = -1;

	if (parse_arguments(argc, argv, &method, &mailbox, err) == -1 ||
	    outpost_account(o, mailbox, &l.account, err) == -1 ||
	    check_account(l.account, err) == -1)
		return -1;
	if (method->run == login_browser)
		browser_prepare(&l.browser);
	if (outpost_take_secrets(o, err) == 0)
		result = sign_in(&l, method, err);
	browser_release(&l.browser);
	return result;
}
