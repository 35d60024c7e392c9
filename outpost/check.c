/* outpost check: tries, step by step, all that sending needs, and says of each
 * what was found, what the server said, why, and what to do.
 *
 * It goes the way of a message: with submit's options and submit's login, and
 * for root as the user that submit is. Only --send sends one.
 */
#include "outpost/check.h"

#include <stdarg.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/http.h"
#include "auth/oauth.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/complete.h"
#include "mail/envelope.h"
#include "outpost/outpost.h"
#include "queue/hold.h"
#include "smtp/dial.h"
#include "smtp/stream.h"

#define HTTP_SECONDS 30.0
#define SESSION_SECONDS 90.0 /* for AUTH, and for MAIL */
#define SAID_MAX (64u * 1024)
#define CERTIFICATE_DAYS 7 /* so near its end is worth a warning */

const char check_help[] =
    "Looks, in this order, at files and modes, aliases, the server's address,\n"
    "the TCP connection, banner and STARTTLS, TLS and certificate, AUTH\n"
    "XOAUTH2, the clock, the access token and what it says, the login, and "
    "the\n"
    "sender.\n"
    "Steps that an earlier failure makes senseless are skipped.\n"
    "\n"
    "  --send address   send a short message there in the end\n"
    "  --json           for programs\n"
    "\n"
    "A login that succeeds lifts a hold that a login drew; of one that a\n"
    "message drew only a message can tell (--send).\n"
    "\n"
    "Exits 0 when all is well, 1 with warnings, 2 when a step failed.\n";

enum step {
	STEP_FILES,
	STEP_ALIASES,
	STEP_DNS,
	STEP_TCP,
	STEP_BANNER,
	STEP_TLS,
	STEP_XOAUTH2,
	STEP_CLOCK,
	STEP_TOKEN,
	STEP_CLAIMS,
	STEP_AUTH,
	STEP_SENDER,
	STEP_MESSAGE,
	STEPS,
};

static int find(struct check *, struct finding *, const struct error *,
    const char *, ...) __attribute__((format(printf, 4, 5)));

/* The sentence of an error that a reply made ends in the server's words: these
 * go to a place of their own, as the server said them. */
static void
take_words(const struct check *c, struct finding *f)
{
	const char *line = c->said.data, *end;
	char *words;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		char mark[] = ": 000";

		if (*line != '4' && *line != '5')
			continue;
		memcpy(mark + 2, line, 3);
		words = strstr(f->cause, mark);
		if (words == NULL && strncmp(f->server, line, 3) != 0)
			continue;
		if (words != NULL)
			*words = '\0';
		if (*f->server != '\0')
			strlcat(f->server, " ", sizeof(f->server));
		strlcat(f->server, line, sizeof(f->server));
		f->server[strcspn(f->server, "\n")] = '\0';
	}
}

/* A failure: what failed, the server's words, and the error's own cause and
 * hint. Returns -1. */
static int
find(struct check *c, struct finding *f, const struct error *why,
    const char *format, ...)
{
	va_list ap;

	*f = (struct finding){ .verdict = CHECK_FAILED };
	va_start(ap, format);
	(void)vsnprintf(f->text, CHECK_TEXT_SIZE, format, ap);
	va_end(ap);
	strlcpy(f->cause, why->text, sizeof(f->cause));
	strlcpy(f->hint, why->hint, sizeof(f->hint));
	take_words(c, f);
	return -1;
}

/* The command that shows what the server says and shows by itself. */
static void
hint_openssl(struct finding *f, const struct account *a)
{
	char more[sizeof(f->hint)];

	strlcpy(more, f->hint, sizeof(more));
	check_put(f->hint,
	    "run 'openssl s_client -starttls smtp -connect %s:%lld -servername "
	    "%s </dev/null' to see who answers; %s",
	    a->host, a->port, a->host, more);
}

static void
trace(void *arg, char direction, const char *line)
{
	struct check *c = arg;

	if (direction == 'C') {
		buf_clear(&c->said);
		return;
	}
	if (c->banner[0] == '\0')
		strlcpy(c->banner, line, sizeof(c->banner));
	(void)buf_addf(&c->said, "%s\n", line);
}

static int
step_files(struct check *c)
{
	struct finding f;
	struct error why;

	if (c->account == NULL)
		return -1;
	check_files(c);
	if (outpost_take_submit(c->outpost, &why) == 0)
		return 0;
	find(c, &f, &why, "cannot act as the service does");
	check_report(c, &f);
	return -1;
}

/* Mail goes out with mistakes in it too. */
static int
step_aliases(struct check *c)
{
	check_aliases(c);
	return 0;
}

static int
step_dns(struct check *c)
{
	struct dial_address found[DIAL_ADDRESSES_MAX];
	char text[DIAL_TEXT_SIZE];
	struct buf list;
	struct finding f;
	struct error why;
	size_t count;

	if (dial_look_up(c->account->host, (unsigned)c->account->port,
		file_now() + (double)c->outpost->config.patience, NULL, found,
		&count, &why) == -1) {
		find(c, &f, &why, "'%s' has no address", c->account->host);
		check_put(f.hint, "run 'getent ahosts %s'; %s",
		    c->account->host, why.hint);
		check_report(c, &f);
		return -1;
	}
	buf_init(&list, sizeof(f.text) / 2);
	for (size_t i = 0; i < count; i++)
		(void)buf_addf(&list, "%s%s", i > 0 ? ", " : "",
		    dial_text(&found[i], text));
	check_say(c, CHECK_OK, "%s is %s", c->account->host, list.data);
	buf_release(&list);
	return 0;
}

/* Others than submit's user cannot count with the connections of all. */
static bool
is_submit_user(const struct check *c)
{
	char *program = xasprintf("%s/submit", c->outpost->libexec);
	struct stat status;
	bool is = !c->outpost->system ||
		  (stat(program, &status) == 0 && status.st_uid == geteuid());

	free(program);
	return is;
}

static int
step_tcp(struct check *c)
{
	const struct account *a = c->account;
	double deadline = file_now() + (double)c->outpost->config.patience;
	struct finding f;
	struct error why;

	c->submit = submit_new(&c->submission);
	c->client = submit_client(c->submit);
	if (is_submit_user(c) &&
	    submit_take_slot(c->submit, deadline, &why) == -1) {
		find(c, &f, &why, "no connection is free for a check");
		check_report(c, &f);
		return -1;
	}
	if (smtp_client_connect(c->client, deadline, &why) == 0) {
		check_say(c, CHECK_OK, "%s port %lld",
		    smtp_client_address(c->client), a->port);
		return 0;
	}
	find(c, &f, &why, "no connection to %s port %lld", a->host, a->port);
	check_put(f.hint,
	    "run 'timeout 9 bash -c \"</dev/tcp/%s/%lld\" && echo open'; %s",
	    a->host, a->port, why.hint);
	check_report(c, &f);
	return -1;
}

static int
step_banner(struct check *c)
{
	const struct capabilities *offers;
	struct finding f;
	struct error why;

	if (smtp_client_greet(c->client, &why) == 0) {
		check_say(c, CHECK_OK, "%s", c->banner);
		return 0;
	}
	offers = smtp_client_capabilities(c->client);
	find(c, &f, &why, "%s cannot be spoken to", c->account->host);
	if (*smtp_client_server(c->client) != '\0' && !offers->starttls)
		hint_openssl(&f, c->account);
	if (*f.server == '\0')
		strlcpy(f.server, c->banner, sizeof(f.server));
	check_report(c, &f);
	return -1;
}

static void
describe_certificate(const struct check *c, char *out, size_t size)
{
	struct stream_certificate shown;

	if (smtp_client_certificate(c->client, &shown) == -1) {
		strlcpy(out, "no certificate", size);
		return;
	}
	(void)snprintf(out, size, "certificate for %s by %s, %lld days left",
	    *shown.names != '\0' ? shown.names : shown.subject, shown.issuer,
	    (shown.end - (long long)time(NULL)) / CHECK_DAY);
}

/* Microsoft renews its own; that of a proxy on the way somebody must. */
static void
warn_of_certificate_end(struct check *c)
{
	struct finding f = { .verdict = CHECK_WARNING };
	struct stream_certificate shown;

	if (smtp_client_certificate(c->client, &shown) == -1 ||
	    shown.end - (long long)time(NULL) >= CERTIFICATE_DAYS * CHECK_DAY)
		return;
	check_put(f.text, "the certificate of %s ends within %d days",
	    c->account->host, CERTIFICATE_DAYS);
	strlcpy(f.hint, "if a proxy of yours shows it, renew it there",
	    sizeof(f.hint));
	check_report(c, &f);
}

static int
step_tls(struct check *c)
{
	char certificate[CHECK_TEXT_SIZE];
	struct finding f;
	struct error why;
	int result = smtp_client_secure(c->client, &why);

	describe_certificate(c, certificate, sizeof(certificate));
	if (result == 0) {
		check_say(c, CHECK_OK, "%s, %s", smtp_client_cipher(c->client),
		    certificate);
		warn_of_certificate_end(c);
		return 0;
	}
	if (*smtp_client_cipher(c->client) != '\0')
		find(c, &f, &why, "TLS runs, but not the session in it");
	else
		find(c, &f, &why, "no TLS with %s: %s", c->account->host,
		    certificate);
	if (why.class == ERROR_HOLD)
		hint_openssl(&f, c->account);
	check_report(c, &f);
	return -1;
}

/* The line of the answer to EHLO that speaks of AUTH, as the server wrote
 * it. */
static void
copy_auth_line(const struct check *c, char *out, size_t size)
{
	const char *line = c->said.data, *end;

	out[0] = '\0';
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
		if (strncasecmp(line + 3, "-AUTH", 5) == 0 ||
		    strncasecmp(line + 3, " AUTH", 5) == 0) {
			strlcpy(out, line, size);
			out[strcspn(out, "\n")] = '\0';
			return;
		}
}

static int
step_xoauth2(struct check *c)
{
	const struct capabilities *offers = smtp_client_capabilities(c->client);
	struct finding f = { .verdict = CHECK_FAILED };

	copy_auth_line(c, f.server, sizeof(f.server));
	if (offers->auth_xoauth2) {
		check_say(c, CHECK_OK, "%s", f.server);
		return 0;
	}
	check_put(f.text, "%s does not offer AUTH XOAUTH2",
	    smtp_client_server(c->client));
	strlcpy(f.cause,
	    "this is not Microsoft's submission server, or something on the "
	    "way changes its answers",
	    sizeof(f.cause));
	strlcpy(f.hint, "check 'host' and 'port' in outpost.conf (port 587)",
	    sizeof(f.hint));
	hint_openssl(&f, c->account);
	check_report(c, &f);
	return -1;
}

/* Assertions break where the clock is off; tokens alone bear it. */
static int
judge_clock(struct check *c, const char *host, long long ahead)
{
	struct finding f = { .verdict = CHECK_WARNING };
	bool asserts = c->account->auth == AUTH_CERTIFICATE;

	if (ahead <= OAUTH_CLOCK_TOLERANCE && ahead >= -OAUTH_CLOCK_TOLERANCE) {
		check_say(c, CHECK_OK, "%lld s %s that of %s",
		    ahead < 0 ? -ahead : ahead,
		    ahead < 0 ? "behind" : "ahead of", host);
		return 0;
	}
	if (asserts)
		f.verdict = CHECK_FAILED;
	check_put(f.text, "%lld s %s that of %s", ahead < 0 ? -ahead : ahead,
	    ahead < 0 ? "behind" : "ahead of", host);
	strlcpy(f.cause,
	    asserts ? "Microsoft refuses what is signed with a wrong time"
		    : "tokens are renewed too late or too early",
	    sizeof(f.cause));
	strlcpy(f.hint,
	    "run 'timedatectl set-ntp true', or set this machine's clock",
	    sizeof(f.hint));
	check_report(c, &f);
	return asserts ? -1 : 0;
}

static int
step_clock(struct check *c)
{
	const struct account *a = c->account;
	struct oauth oauth = { .account = a };
	char host[HTTP_HOST_SIZE];
	struct finding f;
	struct error why;
	time_t date = 0;
	int result;

	if (a->auth == AUTH_MANAGED_IDENTITY) {
		check_say(
		    c, CHECK_SKIPPED, "a managed identity asks no authority");
		return 0;
	}
	http_host(host, a->authority);
	oauth.http = http_new(a);
	result = oauth_date(&oauth, file_now() + HTTP_SECONDS, &date, &why);
	http_free(oauth.http);
	if (result == -1) {
		find(c, &f, &why, "%s cannot be asked", host);
		f.server[0] = '\0';
		check_report(c, &f);
		return -1;
	}
	if (date == 0) {
		check_say(c, CHECK_WARNING, "%s does not tell the time", host);
		return 0;
	}
	return judge_clock(c, host, (long long)time(NULL) - (long long)date);
}

static int
step_token(struct check *c)
{
	const struct config *config = &c->outpost->config;
	bool cached =
	    token_cached(&c->token, config, c->account, time(NULL)) == 0;
	struct finding f;
	struct error why;

	if (outpost_token(c->outpost, c->account, &c->token, &why) == 0) {
		check_say(c, CHECK_OK, "%s, %lld minutes left",
		    cached ? "from the cache" : "made now",
		    ((long long)c->token.expires - (long long)time(NULL)) / 60);
		c->has_claims =
		    oauth_response_claims(&c->claims, c->token.value.data,
			c->token.value.len) == 0;
		return 0;
	}
	find(c, &f, &why, "no access token for %s", c->account->mailbox);
	f.server[0] = '\0';
	if (c->outpost->system && geteuid() == c->outpost->who.caller &&
	    geteuid() != 0 && why.exit_code == EX_NOPERM) {
		f.verdict = CHECK_UNSEEN;
		strlcpy(f.hint, "run this as root", sizeof(f.hint));
	}
	check_report(c, &f);
	return -1;
}

static double
give_time(struct check *c)
{
	double deadline = file_now() + SESSION_SECONDS;

	smtp_client_set_deadline(c->client, deadline);
	return deadline;
}

/* What has just succeeded was what others wait for. A message tells more than
 * a login, and of a hold that one drew a login can tell nothing. */
static void
lift_hold(struct check *c, enum hold_source source)
{
	const struct config *config = &c->outpost->config;
	struct finding f = { .verdict = CHECK_WARNING };
	struct hold hold;

	hold_resume(config, c->account);
	if (hold_read(config, c->account, time(NULL), &hold) == -1)
		return;
	if (hold.source == source || source == HOLD_FROM_MESSAGE) {
		if (hold_lift(config, c->account))
			check_say(c, CHECK_OK, "%s is no longer on hold",
			    c->account->mailbox);
		return;
	}
	if (c->send_to != NULL)
		return;
	check_put(f.text, "%s stays on hold, for a message was refused: %s",
	    c->account->mailbox, hold.why.text);
	strlcpy(f.cause, "a login cannot tell whether that is over",
	    sizeof(f.cause));
	check_put(f.hint,
	    "%s%srun 'outpost check --send ADDRESS %s': a message that is "
	    "taken lifts the hold",
	    hold.why.hint, *hold.why.hint != '\0' ? "; then " : "",
	    c->account->mailbox);
	check_report(c, &f);
}

static int
step_auth(struct check *c)
{
	struct finding f;
	struct error why;

	if (submit_login(c->submit, &c->token, give_time(c), &why) == 0) {
		check_say(c, CHECK_OK, "%.*s", (int)strcspn(c->said.data, "\n"),
		    c->said.data);
		lift_hold(c, HOLD_FROM_LOGIN);
		return 0;
	}
	find(c, &f, &why, "%s is not let in", c->account->mailbox);
	if (smtp_client_token_rejected(c->client) &&
	    strcmp(why.status, "5.7.3") == 0)
		check_explain_refusal(c, &f);
	check_report(c, &f);
	return -1;
}

static int
step_sender(struct check *c)
{
	const char *mailbox = c->account->mailbox;
	struct finding f;
	struct error why;

	(void)give_time(c);
	if (smtp_client_probe(c->client, mailbox, &why) == 0) {
		check_say(c, CHECK_OK,
		    "MAIL FROM:<%s> is taken; who it may send as shows with a "
		    "message alone (--send)",
		    mailbox);
		return 0;
	}
	find(c, &f, &why, "MAIL FROM:<%s> is not taken", mailbox);
	check_report(c, &f);
	return -1;
}

static void
write_message(const struct check *c, struct buf *out)
{
	char date[COMPLETE_DATE_SIZE];
	const char *mailbox = c->account->mailbox;
	time_t now = time(NULL);
	struct tm local;

	(void)localtime_r(&now, &local);
	complete_date(date, &local, (int)local.tm_gmtoff);
	(void)buf_addf(out,
	    "From: <%s>\r\nTo: <%s>\r\nSubject: Test from %s\r\nDate: %s\r\n"
	    "Message-ID: <%lld.%08x@%s>\r\nAuto-Submitted: auto-generated\r\n"
	    "\r\n"
	    "This is a test by 'outpost check' on %s.\r\n"
	    "Mail of %s goes out.\r\n",
	    mailbox, c->send_to, c->host, date, (long long)now, arc4random(),
	    strchr(mailbox, '@') + 1, c->host, mailbox);
}

static int
step_message(struct check *c)
{
	struct smtp_content content = { .body_fd = -1 };
	struct envelope envelope;
	struct buf message;
	struct finding f;
	struct error why;
	int result;

	buf_init(&message, 16384);
	write_message(c, &message);
	content.header = message.data;
	content.header_len = message.len;
	envelope_init(&envelope);
	envelope.sender = xstrdup(c->account->mailbox);
	result = envelope_add(&envelope, c->send_to, &why);
	(void)give_time(c);
	if (result == 0)
		result = submit_charge(c->submit, &envelope, &why);
	if (result == 0)
		result = smtp_client_send(c->client, &envelope, &content, &why);
	if (result == 0) {
		check_say(
		    c, CHECK_OK, "%s", smtp_client_receipt(c->client)->reply);
		lift_hold(c, HOLD_FROM_MESSAGE);
	} else {
		find(c, &f, &why, "the message to %s is not taken", c->send_to);
		check_report(c, &f);
	}
	envelope_release(&envelope);
	buf_release(&message);
	return result;
}

#define AFTER(step) (1u << STEP_##step)

/* clang-format off */
static const struct {
	const char *name;
	unsigned needs;
	int (*run)(struct check *);
} steps[STEPS] = {
	[STEP_FILES]   = { "files",   0, step_files },
	[STEP_ALIASES] = { "aliases", AFTER(FILES), step_aliases },
	[STEP_DNS]     = { "dns",     AFTER(FILES), step_dns },
	[STEP_TCP]     = { "tcp",     AFTER(DNS), step_tcp },
	[STEP_BANNER]  = { "banner",  AFTER(TCP), step_banner },
	[STEP_TLS]     = { "tls",     AFTER(BANNER), step_tls },
	[STEP_XOAUTH2] = { "xoauth2", AFTER(TLS), step_xoauth2 },
	[STEP_CLOCK]   = { "clock",   AFTER(FILES), step_clock },
	[STEP_TOKEN]   = { "token",   AFTER(FILES), step_token },
	[STEP_CLAIMS]  = { "claims",  AFTER(TOKEN), check_claims },
	[STEP_AUTH]    = { "auth",    AFTER(XOAUTH2) | AFTER(TOKEN), step_auth },
	[STEP_SENDER]  = { "sender",  AFTER(AUTH), step_sender },
	[STEP_MESSAGE] = { "message", AFTER(AUTH) | AFTER(SENDER), step_message },
};
/* clang-format on */

static void
run_steps(struct check *c)
{
	unsigned done = 0;

	for (size_t i = 0; i < STEPS; i++) {
		unsigned missing = steps[i].needs & ~done;
		size_t first = 0;

		if (i == STEP_MESSAGE && c->send_to == NULL)
			continue;
		c->step = steps[i].name;
		while (missing != 0 && (missing >> first & 1) == 0)
			first++;
		if (missing != 0)
			check_say(
			    c, CHECK_SKIPPED, "needs '%s'", steps[first].name);
		else if (steps[i].run(c) == 0)
			done |= 1u << i;
	}
}

static int
parse_arguments(struct check *c, int argc, char **argv, struct error *err)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0) {
			c->json = true;
		} else if (strcmp(argv[i], "--send") == 0 && i + 1 < argc) {
			c->send_to = argv[++i];
		} else if (strcmp(argv[i], "--send") == 0) {
			error_set(err, EX_USAGE, "5.3.0",
			    "--send needs an address to send to");
			return error_hint(
			    err, "'outpost help check' tells more");
		} else if (argv[i][0] == '-' || c->mailbox != NULL) {
			error_set(err, EX_USAGE, "5.3.0",
			    "check does not take '%s'", argv[i]);
			return error_hint(
			    err, "'outpost help check' tells more");
		} else
			c->mailbox = argv[i];
	if (c->send_to == NULL ||
	    address_smtp_safe(c->send_to, NULL, NULL) == 0)
		return 0;
	return error_set(err, EX_USAGE, "5.1.3",
	    "--send: '%s' is not a mail address", c->send_to);
}

/* A configuration that cannot be read is a finding like others. */
static int
load(struct check *c, struct error *err)
{
	struct outpost *o = c->outpost;
	struct finding f;
	struct error why;

	c->step = steps[STEP_FILES].name;
	if (outpost_load(o, &why) == -1) {
		if (o->system && o->config_option != NULL) {
			*err = why;
			return -1;
		}
		find(c, &f, &why, "the configuration cannot be used");
		check_report(c, &f);
		return 0;
	}
	return outpost_account(o, c->mailbox, &c->account, err);
}

static void
prepare(struct check *c)
{
	(void)gethostname(c->host, sizeof(c->host) - 1);
	c->submission = (struct submission){
		.config = &c->outpost->config,
		.account = c->account,
		.libexec = c->outpost->libexec,
		.helo = c->host,
		.trace = trace,
		.trace_arg = c,
	};
}

int
check_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	struct check c = { .outpost = o };
	int result = -1;

	if (parse_arguments(&c, argc, argv, err) == -1)
		return -1;
	stream_library_init();
	token_init(&c.token);
	buf_init(&c.said, SAID_MAX);
	check_begin(&c);
	if (load(&c, err) == 0) {
		prepare(&c);
		log_open((enum log_target)o->config.log_target, "outpost",
		    o->config.log_file);
		run_steps(&c);
		result = check_end(&c);
	}
	submit_close(c.submit);
	token_release(&c.token);
	buf_release(&c.said);
	buf_release(&c.out);
	return result;
}
