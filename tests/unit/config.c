#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"

#define PATH "/etc/outpost/outpost.conf"
/* What an account must have, to be put behind other lines. */
#define REST "tenant = t\nclient_id = c\n"
#define ACCOUNT "[a@contoso.com]\n" REST

static int
parse(struct config *c, const char *text, struct error *err)
{
	error_clear(err);
	config_init(c);
	return config_parse(c, PATH, text, strlen(text), err);
}

static void
accept(struct config *c, const char *text)
{
	struct error err;

	if (parse(c, text, &err) == -1)
		fail_msg("refused: %s (%s)\n%.200s", err.text, err.hint, text);
}

static void
is_accepted(const char *text)
{
	struct config c;

	accept(&c, text);
	config_release(&c);
}

/* Refused at this line, with these words; '*err' is filled for more. */
static void
refuse(const char *text, size_t len, int line, const char *words,
    struct error *err)
{
	char *start = xasprintf("%s:%d: ", PATH, line);
	struct config c;

	error_clear(err);
	config_init(&c);
	if (config_parse(&c, PATH, text, len, err) != -1)
		fail_msg("taken: %.200s", text);
	assert_int_equal(err->exit_code, EX_CONFIG);
	assert_int_equal(err->class, ERROR_HOLD);
	if (strncmp(err->text, start, strlen(start)) != 0 ||
	    strstr(err->text, words) == NULL)
		fail_msg("'%s' is not line %d, '%s'", err->text, line, words);
	assert_int_equal(c.account_count, 0);
	assert_null(c.accounts);
	assert_null(c.path);
	assert_string_not_equal(err->hint, "");
	config_release(&c);
	free(start);
}

static void
is_refused(const char *text, int line, const char *words)
{
	struct error err;

	refuse(text, strlen(text), line, words, &err);
}

static void
hints_at(const char *text, int line, const char *words, const char *hint)
{
	struct error err;

	refuse(text, strlen(text), line, words, &err);
	if (strstr(err.hint, hint) == NULL)
		fail_msg("'%s' does not hint at '%s'", err.hint, hint);
}

static void
list_is(const struct config_list *list, const char *joined)
{
	struct buf out;

	buf_init(&out, 1000);
	for (size_t i = 0; i < list->count; i++)
		buf_addf(&out, "%s%s", i > 0 ? "|" : "", list->items[i]);
	assert_string_equal(out.data, joined);
	buf_release(&out);
}

/* Section 5 of the design, as written there. */
static const char sample[] =
    "[outpost]\n"
    "default  = alerts@contoso.com     ; account for senders that no rule "
    "matches (a lone account is the default)\n"
    "admin    = it@contoso.com         ; mail for local users without alias "
    "(root, www-data …); else the default account's mailbox\n"
    "aliases  = /etc/aliases\n"
    "domains  = contoso.internal       ; also local, besides localhost and "
    "this host's names\n"
    "log      = syslog                 ; syslog | stderr | a file\n"
    "queue_dir = /var/spool/outpost\n"
    "state_dir = /var/lib/outpost      ; secrets/ tokens/ state/ under it\n"
    "patience = 30s\n"
    "give_up  = 5d\n"
    "keep_failed = 30d\n"
    "\n"
    "[alerts@contoso.com]              ; one section an account, named by "
    "its mailbox\n"
    "cloud    = global                 ; global | outlook | gcchigh | dod | "
    "china | hve: presets of host, authority, scope\n"
    "tenant   = contoso.onmicrosoft.com\n"
    "client_id = 00000000-0000-0000-0000-000000000000\n"
    "auth     = login                  ; login | secret | certificate | "
    "managed-identity | workload-identity\n"
    "client_secret_file = /var/lib/outpost/secrets/app-secret     ; auth = "
    "secret\n"
    "certificate = /var/lib/outpost/secrets/app.pem               ; auth = "
    "certificate (PEM; key in it or in key_file)\n"
    "senders  = *@contoso.com          ; senders that choose this account, "
    "besides its own address\n"
    "send_as  = noreply@contoso.com    ; From addresses this mailbox may "
    "use: left as they are\n"
    "foreign_from = rewrite            ; rewrite | reject, for any other "
    "From\n"
    "users    = root, www-data, @staff ; local users (@group) that may use "
    "it; all for the default account, root for any other\n"
    "token_users =                     ; who besides root may have the raw "
    "token (`outpost token`)\n"
    "; overrides; the preset's values are the defaults\n"
    "host = smtp.office365.com\n"
    "port = 587\n"
    "authority = https://login.microsoftonline.com\n"
    "scope = https://outlook.office.com/SMTP.Send offline_access\n"
    "ca_dir = /etc/ssl/certs           ; hashed directory; or ca_file, for "
    "SMTP and HTTPS alike (a bundle where no directory is)\n"
    "proxy =\n"
    "connections = 3\n"
    "rate = 30/1m\n"
    "daily = 10000\n"
    "max_size = 35M\n"
    "max_recipients = 500\n"
    "chunking = no                     ; BDAT saves a round trip; Exchange "
    "has had faults with it\n";

static void
is_the_sample_account(const struct account *a)
{
	assert_string_equal(a->mailbox, "alerts@contoso.com");
	assert_string_equal(a->cloud, "global");
	assert_string_equal(a->tenant, "contoso.onmicrosoft.com");
	assert_string_equal(
	    a->client_id, "00000000-0000-0000-0000-000000000000");
	assert_int_equal(a->auth, AUTH_LOGIN);
	assert_string_equal(
	    a->client_secret_file, "/var/lib/outpost/secrets/app-secret");
	assert_string_equal(a->certificate, "/var/lib/outpost/secrets/app.pem");
	assert_null(a->key_file);
	list_is(&a->senders, "*@contoso.com");
	list_is(&a->send_as, "noreply@contoso.com");
	assert_int_equal(a->foreign_from, FOREIGN_FROM_REWRITE);
	list_is(&a->users, "root|www-data|@staff");
	assert_true(a->users_given);
	list_is(&a->token_users, "");
	assert_string_equal(a->host, "smtp.office365.com");
	assert_int_equal(a->port, 587);
	assert_string_equal(a->authority, "https://login.microsoftonline.com");
	assert_string_equal(
	    a->scope, "https://outlook.office.com/SMTP.Send offline_access");
	assert_string_equal(a->ca_dir, "/etc/ssl/certs");
	assert_null(a->ca_file);
	assert_string_equal(a->proxy, "");
	assert_int_equal(a->connections, 3);
	assert_int_equal(a->rate_count, 30);
	assert_int_equal(a->rate_seconds, 60);
	assert_int_equal(a->daily, 10000);
	assert_int_equal(a->max_size, 35 * 1024 * 1024);
	assert_int_equal(a->max_recipients, 500);
	assert_false(a->chunking);
	assert_int_equal(a->line, 13);
}

static void
sample_of_the_design_is_read_as_written(void **state)
{
	struct config c;

	(void)state;
	accept(&c, sample);
	assert_string_equal(c.path, PATH);
	assert_string_equal(c.default_account, "alerts@contoso.com");
	assert_string_equal(c.admin, "it@contoso.com");
	assert_string_equal(c.aliases, "/etc/aliases");
	list_is(&c.domains, "contoso.internal");
	assert_int_equal(c.log_target, LOG_TO_SYSLOG);
	assert_null(c.log_file);
	assert_string_equal(c.queue_dir, "/var/spool/outpost");
	assert_string_equal(c.state_dir, "/var/lib/outpost");
	assert_int_equal(c.patience, 30);
	assert_int_equal(c.give_up, 5 * 24 * 3600);
	assert_int_equal(c.keep_failed, 30 * 24 * 3600);
	assert_int_equal(c.account_count, 1);
	is_the_sample_account(&c.accounts[0]);
	config_release(&c);
	config_release(&c);
}

static void
international_domains_are_kept_as_a_labels(void **state)
{
	struct config c;
	const struct account *a;

	(void)state;
	accept(&c, "[outpost]\n"
		   "default = info@b\xc3\xbc.org\n"
		   "domains = l\xc3\xa4n\n"
		   "[info@b\xc3\xbc.org]\n"
		   "client_id = c\n"
		   "tenant = t\n"
		   "send_as = shop@B\xc3\x9c.org\n"
		   "senders = *@*.b\xc3\xbc.org\n"
		   "users = j\xc3\xb6rg, @gr\xc3\xbcn\n");
	a = config_account(&c, "Info@b\xc3\xbc.org");
	assert_non_null(a);
	assert_ptr_equal(config_account(&c, "info@xn--b-eha.org"), a);
	assert_ptr_equal(config_default_account(&c), a);
	assert_string_equal(a->mailbox, "info@xn--b-eha.org");
	assert_string_equal(a->send_as.items[0], "shop@xn--b-eha.org");
	assert_string_equal(a->senders.items[0], "*@*.xn--b-eha.org");
	assert_string_equal(c.domains.items[0], "xn--ln-via");
	assert_string_equal(a->users.items[0], "j\xc3\xb6rg");
	assert_string_equal(a->users.items[1], "@gr\xc3\xbcn");
	config_release(&c);
}

static void
left_out_keys_have_the_same_values(void **state)
{
	struct config c;
	const struct account *a;

	(void)state;
	accept(&c, ACCOUNT);
	a = &c.accounts[0];
	assert_null(c.default_account);
	assert_ptr_equal(config_default_account(&c), a);
	assert_null(c.admin);
	assert_string_equal(c.aliases, "/etc/aliases");
	assert_int_equal(c.domains.count, 0);
	assert_int_equal(c.log_target, LOG_TO_SYSLOG);
	assert_string_equal(c.queue_dir, "/var/spool/outpost");
	assert_string_equal(c.state_dir, "/var/lib/outpost");
	assert_int_equal(c.patience, 30);
	assert_int_equal(c.give_up, 432000);
	assert_int_equal(c.keep_failed, 2592000);
	assert_string_equal(a->cloud, "global");
	assert_int_equal(a->auth, AUTH_LOGIN);
	assert_null(a->client_secret_file);
	assert_false(a->users_given);
	assert_int_equal(a->users.count, 0);
	assert_string_equal(a->host, "smtp.office365.com");
	assert_int_equal(a->port, 587);
	assert_string_equal(a->ca_dir, "/etc/ssl/certs");
	assert_string_equal(a->proxy, "");
	assert_int_equal(a->rate_count, 30);
	assert_int_equal(a->rate_seconds, 60);
	assert_int_equal(a->max_size, 36700160);
	assert_int_equal(a->line, 1);
	config_release(&c);
}

/* "key = VALUE" in a section, with the rest that makes it complete. */
static char *
with(const char *section, const char *key, const char *value)
{
	if (strcmp(section, "outpost") == 0)
		return xasprintf("[outpost]\n%s = %s\n" ACCOUNT, key, value);
	return xasprintf("[a@contoso.com]\n%s = %s\n%s%s", key, value,
	    strcmp(key, "tenant") == 0 ? "" : "tenant = t\n",
	    strcmp(key, "client_id") == 0 ? "" : "client_id = c\n");
}

/* The value is a word that no message may hold. */
static void
value_is_refused(const char *section, const char *key, const char *value)
{
	char *text = with(section, key, value);
	struct error err;

	refuse(text, strlen(text), 2, key, &err);
	if (strlen(value) > 4 && strcmp(value, "https://") != 0 &&
	    (strstr(err.text, value) != NULL ||
		strstr(err.hint, value) != NULL))
		fail_msg("value quoted: %s (%s)", err.text, err.hint);
	free(text);
}

static void
value_is_accepted(const char *section, const char *key, const char *value)
{
	char *text = with(section, key, value);

	is_accepted(text);
	free(text);
}

static void
every_key_takes_good_values_and_refuses_bad_ones(void **state)
{
	static const struct {
		const char *section, *key, *good[6], *bad[9];
	} keys[] = {
		{ "outpost", "default", { "a@contoso.com", "A@Contoso.COM" },
		    { "alice-word", "@", "a@", "@b", "a b@c", "" } },
		{ "outpost", "admin", { "x@y.example" },
		    { "zaphod", "a@b\xff.c", "" } },
		{ "outpost", "aliases", { "/etc/mail/aliases" },
		    { "etc/aliases", "~/aliases", "" } },
		{ "outpost", "domains", { "a.b, c.d", "a", "" }, { NULL } },
		{ "outpost", "log",
		    { "syslog", "stderr", "/var/log/mail.outpost" },
		    { "stdout", "rel/path", "" } },
		{ "outpost", "queue_dir", { "/q" }, { "queue-here", "" } },
		{ "outpost", "state_dir", { "/s" }, { "state-here", "" } },
		{ "outpost", "patience", { "1", "30s", "1m", "1H" },
		    { "0", "2h", "thirty", "1.5m", "-1", "30x", "5 m", "s",
			"" } },
		{ "outpost", "give_up", { "60", "5d", "1w" },
		    { "59s", "366d", "99999999999999999999", "sometime", "" } },
		{ "outpost", "keep_failed", { "0", "10d", "3650d" },
		    { "3651d", "never", "" } },
		{ "account", "cloud",
		    { "global", "gcchigh", "dod", "china", "hve" },
		    { "germany", "GLOBAL!", "" } },
		{ "account", "tenant", { "contoso.com" }, { "" } },
		{ "account", "client_id", { "x-y" }, { "" } },
		{ "account", "auth", { "login", "Login", "managed-identity" },
		    { "basic", "password123", "" } },
		{ "account", "client_secret_file", { "/run/secrets/x" },
		    { "S3cr3t~Value", "" } },
		{ "account", "certificate", { "/c.pem" },
		    { "c.pem-word", "" } },
		{ "account", "key_file", { "/k.pem" }, { "k.pem-word", "" } },
		{ "account", "federated_token_file", { "/t" }, { "t", "" } },
		{ "account", "identity",
		    { "auto", "vm", "app-service", "msi", "arc" },
		    { "imds", "" } },
		{ "account", "identity_endpoint",
		    { "http://localhost:1/x", "http://169.254.1.1/" },
		    { "https://localhost/", "here:1", "http:///x", "" } },
		{ "account", "identity_header_file", { "/h" }, { "h", "" } },
		{ "account", "senders", { "*@x.y, root", "*", "" }, { NULL } },
		{ "account", "send_as", { "b@c, d@e" }, { NULL } },
		{ "account", "foreign_from", { "rewrite", "reject" },
		    { "refuse-all", "" } },
		{ "account", "users", { "root", "@staff, bob", "" }, { NULL } },
		{ "account", "token_users", { "bob", "" }, { NULL } },
		{ "account", "host", { "localhost", "127.0.0.1" }, { "" } },
		{ "account", "port", { "1", "25", "65535" },
		    { "0", "65536", "submission", "-25", "0x10", "" } },
		{ "account", "authority",
		    { "https://x", "https://127.0.0.1:8443/a/" },
		    { "http://plain.example", "https://", "https:///",
			"x.example", "" } },
		{ "account", "scope", { "https://a/.default" }, { "" } },
		{ "account", "ca_dir", { "/certs" }, { "certs-word", "" } },
		{ "account", "ca_file", { "/ca.pem" }, { "ca.pem-word", "" } },
		{ "account", "proxy", { "http://p:3128", "" },
		    { "http://me:secret@p:3128", NULL } },
		{ "account", "connections", { "1", "100" },
		    { "0", "101", "three", "" } },
		{ "account", "rate", { "30/1m", "1/1", "100/1h" },
		    { "30", "30/", "/1m", "0/1m", "30/0", "30/1x", "-1/1m",
			"often", "" } },
		{ "account", "daily", { "1", "10000" },
		    { "0", "all-day", "" } },
		{ "account", "max_size", { "1024", "500K", "35M", "1g" },
		    { "1023", "2G", "104249991374G", "35MB", "big-one", "-1",
			"M", "" } },
		{ "account", "max_recipients", { "1", "1000" },
		    { "0", "10001", "lots-of", "" } },
		{ "account", "chunking", { "yes", "no", "YES" },
		    { "maybe-not", "1", "" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		for (size_t j = 0; j < 6 && keys[i].good[j] != NULL; j++)
			value_is_accepted(
			    keys[i].section, keys[i].key, keys[i].good[j]);
		for (size_t j = 0; j < 9 && keys[i].bad[j] != NULL; j++)
			if (strcmp(keys[i].key, "cloud") != 0 ||
			    *keys[i].bad[j] == '\0')
				value_is_refused(keys[i].section, keys[i].key,
				    keys[i].bad[j]);
	}
}

static void
values_are_what_their_units_say(void **state)
{
	struct config c;

	(void)state;
	accept(&c, "[outpost]\npatience = 2m\ngive_up = 36h\nkeep_failed=1w\n"
		   "log = /var/log/outpost\ndomains = a.b ,c.d\te.f\n" ACCOUNT
		   "rate = 100/1h\nmax_size = 500k\nchunking = yes\n"
		   "authority = https://x.example/y//\nproxy = http://p:1\n"
		   "foreign_from = reject\nca_file = /ca.pem\nusers =\n");
	assert_int_equal(c.patience, 120);
	assert_int_equal(c.give_up, 36 * 3600);
	assert_int_equal(c.keep_failed, 7 * 24 * 3600);
	assert_int_equal(c.log_target, LOG_TO_FILE);
	assert_string_equal(c.log_file, "/var/log/outpost");
	list_is(&c.domains, "a.b|c.d|e.f");
	assert_int_equal(c.accounts[0].rate_count, 100);
	assert_int_equal(c.accounts[0].rate_seconds, 3600);
	assert_int_equal(c.accounts[0].max_size, 500 * 1024);
	assert_true(c.accounts[0].chunking);
	assert_string_equal(c.accounts[0].authority, "https://x.example/y");
	assert_string_equal(c.accounts[0].proxy, "http://p:1");
	assert_int_equal(c.accounts[0].foreign_from, FOREIGN_FROM_REJECT);
	assert_string_equal(c.accounts[0].ca_file, "/ca.pem");
	assert_null(c.accounts[0].ca_dir);
	assert_true(c.accounts[0].users_given);
	assert_int_equal(c.accounts[0].users.count, 0);
	config_release(&c);
}

static void
unknown_words_come_with_the_nearest_known_one(void **state)
{
	(void)state;
	hints_at("[outpost]\n\ndefalt = a@contoso.com\n" ACCOUNT, 3,
	    "unknown key 'defalt'", "did you mean 'default'?");
	hints_at(ACCOUNT "tennant = x\n", 4, "unknown key 'tennant'",
	    "did you mean 'tenant'?");
	hints_at("[outpsot]\n", 1, "[outpsot] is neither",
	    "did you mean [outpost]?");
	hints_at(ACCOUNT "auth = secrets\n", 4, "'auth' does not take",
	    "did you mean 'secret'?");
	hints_at(ACCOUNT "chunking = x\n", 4, "'chunking' does not take",
	    "it takes 'no' or 'yes'");
	hints_at(ACCOUNT "auth = x\n", 4, "'auth' does not take",
	    "it takes 'login', 'secret', 'certificate', 'managed-identity' or "
	    "'workload-identity'");
	hints_at("[a@contoso.com]\ncloud = gcc-high\n" REST, 1, "'cloud'",
	    "did you mean 'gcchigh'?");
	hints_at("[a@contoso.com]\ncloud = x\n" REST, 1, "'cloud'",
	    "global, outlook, gcchigh, dod, china or hve");
	hints_at(ACCOUNT "port = smtp\n", 4,
	    "'port' is not a number from 1 to 65535", "digits");
	hints_at("[outpost]\npatience = 2h\n", 2,
	    "'patience' is not a time from 1 to 3600 seconds", "30s");
	hints_at(ACCOUNT "max_size = 2G\n", 4,
	    "'max_size' is not a size from 1024 to 1073741824 bytes", "35M");
	hints_at(ACCOUNT "rate = 30\n", 4, "'rate' is not a count and a time",
	    "30/1m");
	hints_at("[outpost]\nqueue_dir = var/spool\n", 2,
	    "'queue_dir' is not an absolute path", "beginning with '/'");
	hints_at("[outpost]\nadmin = it\n", 2, "'admin' is not a mail address",
	    "it@contoso.com");
	hints_at(ACCOUNT "authority = login.microsoftonline.com\n", 4,
	    "'authority' is not an https:// address", "https://login.");
	hints_at(ACCOUNT "port = 25\nport = 25\n", 5, "'port' stands twice",
	    "take out all but one");
	hints_at(ACCOUNT "ca_dir = /a\nca_file = /b\n", 1,
	    "has both 'ca_dir' and 'ca_file'", "take one of them out");
	hints_at(ACCOUNT "senders\n", 4, "the line is neither a [section] nor",
	    "outpost.conf(5)");
	hints_at(ACCOUNT "Host = x\n", 4, "unknown key 'Host'",
	    "did you mean 'host'?");
	is_refused(ACCOUNT "zzz = x\n", 4, "unknown key 'zzz'");
	is_refused(
	    "[outpost]\ntenant = x\n" ACCOUNT, 2, "unknown key 'tenant'");
	is_refused(ACCOUNT "patience = 3\n", 4, "unknown key 'patience'");
	is_refused("[accounts]\n", 1, "[accounts] is neither [outpost] nor");
	is_refused("[]\n", 1, "is neither");
	is_refused("[@contoso.com]\n", 1, "is neither");
}

static void
repetitions_are_refused(void **state)
{
	(void)state;
	is_refused(ACCOUNT "port = 25\nport = 25\n", 5, "'port' stands twice");
	is_refused("[outpost]\nlog = syslog\nlog = stderr\n" ACCOUNT, 3,
	    "'log' stands twice");
	is_refused(ACCOUNT ACCOUNT, 4, "[a@contoso.com] stands twice");
	is_refused(ACCOUNT "[A@CONTOSO.COM]\n", 4, "stands twice");
	is_refused(
	    "[outpost]\n" ACCOUNT "[outpost]\n", 5, "[outpost] stands twice");
	is_accepted(ACCOUNT "port = 25\n[b@contoso.com]\n" REST "port = 25\n");
}

static void
secrets_do_not_belong_into_the_file(void **state)
{
	static const char *const keys[] = { "client_secret", "secret",
		"password", "refresh_token", "access_token", "private_key",
		"identity_header" };

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *text =
		    xasprintf(ACCOUNT "%s = hunter2hunter2\n", keys[i]);
		struct error err;

		refuse(text, strlen(text), 4, "is a secret", &err);
		assert_null(strstr(err.text, "hunter2"));
		assert_null(strstr(err.hint, "hunter2"));
		free(text);
	}
	hints_at(ACCOUNT "client_secret = x\n", 4, "is a secret",
	    "'client_secret_file'");
	hints_at(
	    ACCOUNT "refresh_token: x\n", 4, "is a secret", "outpost login");
}

static void
lines_that_inih_would_cut_are_refused(void **state)
{
	char value[300], *text;
	struct config c;

	(void)state;
	memset(value, 'v', sizeof(value));
	text = xasprintf(
	    ACCOUNT "proxy = %.*s\n", (int)CONFIG_LINE_MAX - 8, value);
	accept(&c, text);
	assert_int_equal(strlen(c.accounts[0].proxy), CONFIG_LINE_MAX - 8);
	config_release(&c);
	free(text);
	text = xasprintf(
	    ACCOUNT "proxy = %.*s\n", (int)CONFIG_LINE_MAX - 7, value);
	is_refused(text, 4, "the line is longer than 199 bytes");
	free(text);
	text =
	    xasprintf(ACCOUNT "proxy = %.*s", (int)CONFIG_LINE_MAX - 7, value);
	is_refused(text, 4, "the line is longer than 199 bytes");
	free(text);
	text = xasprintf(ACCOUNT "%*sproxy = %.*s%*s\n", 50, "",
	    (int)CONFIG_LINE_MAX - 8, value, 50, "");
	is_accepted(text);
	free(text);
	text = xasprintf(
	    ACCOUNT "# %.*s password = x\n; %.*s\n", 250, value, 250, value);
	is_accepted(text);
	free(text);
}

static void
section_names_that_inih_would_cut_are_refused(void **state)
{
	char name[100], *text;
	struct config c;

	(void)state;
	memset(name, 'n', sizeof(name));
	text = xasprintf(
	    "[%.*s@contoso.com]\n" REST, (int)CONFIG_SECTION_MAX - 12, name);
	accept(&c, text);
	assert_int_equal(strlen(c.accounts[0].mailbox), CONFIG_SECTION_MAX);
	assert_non_null(strchr(c.accounts[0].mailbox, '@'));
	config_release(&c);
	free(text);
	text = xasprintf(
	    "[%.*s@contoso.com]\n" REST, (int)CONFIG_SECTION_MAX - 11, name);
	is_refused(text, 1, "a section's name is longer than 49 bytes");
	free(text);
}

static void
indentation_means_nothing(void **state)
{
	struct config c;

	(void)state;
	accept(&c, "  [outpost]\n\tlog = stderr\n\t  patience = 5\n"
		   "\t[a@contoso.com]\n    tenant = t\n      client_id = c\n");
	assert_int_equal(c.log_target, LOG_TO_STDERR);
	assert_int_equal(c.patience, 5);
	assert_string_equal(c.accounts[0].tenant, "t");
	assert_string_equal(c.accounts[0].client_id, "c");
	config_release(&c);
}

static void
comments_and_separators_are_those_of_inih(void **state)
{
	struct config c;

	(void)state;
	accept(&c, "; one\n# two\n\n   ; three\n"
		   "[a@contoso.com] ; four\n"
		   "tenant = t ; five = six\nclient_id: c;c # d\n"
		   "host=h\n");
	assert_string_equal(c.accounts[0].tenant, "t");
	assert_string_equal(c.accounts[0].client_id, "c;c # d");
	assert_string_equal(c.accounts[0].host, "h");
	config_release(&c);
}

static void
line_ends_and_marks_of_windows_are_taken(void **state)
{
	struct config c;

	(void)state;
	accept(&c, "\xef\xbb\xbf[outpost]\r\nlog = stderr\r\n\r\n"
		   "[a@contoso.com]\r\ntenant = t\r\nclient_id = c\r\n");
	assert_int_equal(c.log_target, LOG_TO_STDERR);
	assert_string_equal(c.accounts[0].tenant, "t");
	config_release(&c);
	is_accepted("\xef\xbb\xbf" ACCOUNT);
	is_accepted("\xef\xbb\xbf; comment\n" ACCOUNT);
	is_refused("\xef\xbb\xbf\n\xef\xbb\xbf" ACCOUNT, 2, "is neither");
	is_accepted("[a@contoso.com]\ntenant = t\nclient_id = c");
}

static void
broken_lines_are_refused(void **state)
{
	(void)state;
	is_refused(ACCOUNT "port\n", 4, "is neither a [section] nor");
	is_refused(ACCOUNT "= 5\n", 4, "unknown key ''");
	is_refused("tenant = t\n" ACCOUNT, 1, "stands before any [section]");
	is_refused("[a@contoso.com\n" REST, 1, "section without ']'");
	is_refused("[a@contoso.com] tenant = t\n", 1, "text behind");
	is_refused("[a@contoso.com]]\n" REST, 1, "text behind");
	is_refused("[outpost]\rlog = stderr\r" ACCOUNT, 1, "control");
	is_refused(ACCOUNT "host = a\033[2Jb\n", 4, "control character");
}

static void
nul_bytes_are_refused(void **state)
{
	static const char text[] = ACCOUNT "host = a\0b\n";
	struct error err;

	(void)state;
	refuse(text, sizeof(text) - 1, 4, "control character", &err);
	refuse("\0", 1, 1, "control character", &err);
}

static void
nothing_is_no_configuration(void **state)
{
	struct error err;

	(void)state;
	refuse("", 0, 0, "there is no account", &err);
	assert_non_null(strstr(err.hint, "[alerts@contoso.com]"));
	is_refused("[outpost]\nlog = stderr\n", 2, "there is no account");
}

static void
binary_garbage_is_refused(void **state)
{
	uint32_t random = 12345;
	char garbage[4096];

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct config c;
		struct error err;

		for (size_t i = 0; i < sizeof(garbage); i++) {
			random = random * 1664525 + 1013904223;
			garbage[i] = (char)(random >> 24);
		}
		config_init(&c);
		assert_int_equal(
		    config_parse(&c, PATH, garbage, sizeof(garbage), &err), -1);
		assert_int_equal(err.exit_code, EX_CONFIG);
		config_release(&c);
	}
}

static void
incomplete_accounts_are_refused_at_their_head(void **state)
{
	(void)state;
	is_refused("\n[a@contoso.com]\ntenant = t\n\n\n", 2,
	    "[a@contoso.com] has no 'client_id'");
	is_refused("[a@contoso.com]\nclient_id = c\n", 1, "has no 'tenant'");
	is_refused(ACCOUNT "auth = secret\n", 1, "no 'client_secret_file'");
	is_refused(ACCOUNT "auth = certificate\n", 1, "'certificate'");
	is_refused(ACCOUNT "auth = workload-identity\n", 1,
	    "no 'federated_token_file'");
	is_refused(ACCOUNT "ca_dir = /a\nca_file = /b\n", 1,
	    "both 'ca_dir' and 'ca_file'");
	is_accepted("[a@contoso.com]\nauth = managed-identity\n");
}

static void
default_must_have_a_section(void **state)
{
	struct config c;

	(void)state;
	hints_at("[outpost]\nlog = stderr\ndefault = b@contoso.com\n" ACCOUNT,
	    3, "'default' names a mailbox that has no section",
	    "did you mean 'a@contoso.com'?");
	accept(&c, "[outpost]\ndefault = B@Contoso.com\n" ACCOUNT
		   "[b@contoso.com]\n" REST);
	assert_string_equal(
	    config_default_account(&c)->mailbox, "b@contoso.com");
	assert_ptr_equal(config_account(&c, "A@contoso.COM"), &c.accounts[0]);
	assert_null(config_account(&c, "c@contoso.com"));
	config_release(&c);
	accept(&c, ACCOUNT "[b@contoso.com]\n" REST);
	assert_null(config_default_account(&c));
	config_release(&c);
}

static void
first_error_of_a_file_is_told(void **state)
{
	(void)state;
	is_refused(ACCOUNT "port = 0\nhost\nzzz = 1\n", 4, "'port'");
	is_refused(ACCOUNT "zzz = 1\n[x]\n", 4, "'zzz'");
	is_refused(ACCOUNT "[x]\nzzz = 1\n", 4, "[x]");
	is_refused(ACCOUNT "host\nzzz = 1\n", 4, "is neither");
	is_refused(ACCOUNT "host ; = h\nzzz = 1\n", 4, "is neither");
}

static void
number_of_accounts_is_capped(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, CONFIG_FILE_MAX);
	for (unsigned i = 0; i < CONFIG_ACCOUNTS_MAX; i++)
		buf_addf(&text, "[a%u@contoso.com]\n" REST, i);
	is_accepted(text.data);
	buf_adds(&text, "[one-more@contoso.com]\n" REST);
	is_refused(
	    text.data, 3 * CONFIG_ACCOUNTS_MAX + 1, "more than 1000 accounts");
	buf_release(&text);
}

/* MICROSOFT.md 1.1. */
static const struct cloud {
	const char *name, *host, *authority, *login, *app;
} clouds[] = {
	{ "global", "smtp.office365.com", "https://login.microsoftonline.com",
	    "https://outlook.office.com/SMTP.Send offline_access",
	    "https://outlook.office365.com/.default" },
	{ "outlook", "smtp-mail.outlook.com",
	    "https://login.microsoftonline.com",
	    "https://outlook.office.com/SMTP.Send offline_access", NULL },
	{ "gcchigh", "smtp.office365.us", "https://login.microsoftonline.us",
	    "https://outlook.office365.us/SMTP.Send offline_access",
	    "https://outlook.office365.us/.default" },
	{ "dod", "outlook-dod.office365.us", "https://login.microsoftonline.us",
	    "https://outlook-dod.office365.us/SMTP.Send offline_access",
	    "https://outlook-dod.office365.us/.default" },
	{ "china", "smtp.partner.outlook.cn",
	    "https://login.partner.microsoftonline.cn",
	    "https://partner.outlook.cn/SMTP.Send offline_access",
	    "https://partner.outlook.cn/.default" },
	{ "hve", "smtp.hve.mx.microsoft", "https://login.microsoftonline.com",
	    "https://outlook.office.com/SMTP.Send offline_access",
	    "https://outlook.office365.com/.default" },
};
#define CLOUDS (sizeof(clouds) / sizeof(clouds[0]))

/* Every kind of credential that is no person's. */
static const char *const applications[] = {
	"auth = secret\nclient_secret_file = /s\n",
	"auth = certificate\ncertificate = /c\n",
	"auth = workload-identity\nfederated_token_file = /f\n",
	"auth = managed-identity\n",
};
#define APPLICATIONS (sizeof(applications) / sizeof(applications[0]))

static void
has_preset(const struct cloud *cloud, const char *keys, const char *scope)
{
	char *text = xasprintf(
	    "[a@contoso.com]\n" REST "cloud = %s\n%s", cloud->name, keys);
	struct config c;

	accept(&c, text);
	assert_string_equal(c.accounts[0].cloud, cloud->name);
	assert_string_equal(c.accounts[0].host, cloud->host);
	assert_int_equal(c.accounts[0].port, 587);
	assert_string_equal(c.accounts[0].authority, cloud->authority);
	assert_string_equal(c.accounts[0].scope, scope);
	config_release(&c);
	free(text);
}

static void
presets_are_those_of_microsoft(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLOUDS; i++) {
		has_preset(&clouds[i], "", clouds[i].login);
		for (size_t k = 0; k < APPLICATIONS; k++)
			if (clouds[i].app != NULL)
				has_preset(
				    &clouds[i], applications[k], clouds[i].app);
	}
}

static void
each_key_overrides_what_the_cloud_presets(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLOUDS; i++) {
		struct cloud other = clouds[i];
		const char *scope = other.login;

		other.host = "h.example";
		has_preset(&other, "host = h.example\n", scope);
		other = clouds[i];
		other.authority = "https://a.example";
		has_preset(&other, "authority = https://a.example\n", scope);
		has_preset(&clouds[i], "scope = s\n", "s");
		for (size_t k = 0; k < APPLICATIONS; k++) {
			char *keys =
			    xasprintf("%sscope = s\n", applications[k]);

			has_preset(&clouds[i], keys, "s");
			free(keys);
		}
	}
}

static void
personal_domains_choose_the_outlook_cloud(void **state)
{
	static const char *const domains[] = { "outlook.com", "hotmail.com",
		"live.com", "msn.com", "Outlook.COM" };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		char *text = xasprintf("[me@%s]\nclient_id = c\n", domains[i]);
		struct config c;

		accept(&c, text);
		assert_string_equal(c.accounts[0].cloud, "outlook");
		assert_string_equal(c.accounts[0].tenant, "consumers");
		assert_string_equal(
		    c.accounts[0].host, "smtp-mail.outlook.com");
		assert_string_equal(c.accounts[0].scope,
		    "https://outlook.office.com/SMTP.Send offline_access");
		config_release(&c);
		free(text);
	}
	is_refused("[me@outlook.com]\nclient_id = c\nauth = secret\n"
		   "client_secret_file = /s\n",
	    1, "personal mailboxes take auth = login alone");
	is_refused("[me@myoutlook.com]\nclient_id = c\n", 1, "no 'tenant'");
}

static void
overrides_win_over_the_preset(void **state)
{
	struct config c;

	(void)state;
	accept(&c, "[me@outlook.com]\nclient_id = c\ncloud = global\n"
		   "tenant = t\nhost = localhost\nscope = s\n"
		   "authority = https://localhost:8443\nport = 2525\n");
	assert_string_equal(c.accounts[0].cloud, "global");
	assert_string_equal(c.accounts[0].tenant, "t");
	assert_string_equal(c.accounts[0].host, "localhost");
	assert_string_equal(c.accounts[0].scope, "s");
	assert_string_equal(c.accounts[0].authority, "https://localhost:8443");
	assert_int_equal(c.accounts[0].port, 2525);
	config_release(&c);
}

/* A file in a folder of its own; its path is to be freed. */
static char *
write_file(const char *text, size_t len)
{
	char *path = xstrdup("/tmp/outpost-config.XXXXXX");
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	assert_int_equal(file_write_all(fd, text, len), 0);
	close(fd);
	return path;
}

static void
file_is_loaded(void **state)
{
	char *path = write_file(sample, sizeof(sample) - 1);
	struct config c;
	struct error err;

	(void)state;
	config_init(&c);
	assert_int_equal(config_load(&c, path, &err), 0);
	assert_string_equal(c.path, path);
	assert_string_equal(c.queue_dir, "/var/spool/outpost");
	assert_int_equal(c.account_count, 1);
	config_release(&c);
	unlink(path);
	free(path);
}

static void
megabyte_is_loaded_and_a_byte_more_is_not(void **state)
{
	char *text = malloc(CONFIG_FILE_MAX + 1), *path;
	size_t len = sizeof(ACCOUNT) - 1;
	struct config c;
	struct error err;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', CONFIG_FILE_MAX + 1);
	memcpy(text + CONFIG_FILE_MAX - len, ACCOUNT, len);
	path = write_file(text, CONFIG_FILE_MAX);
	config_init(&c);
	assert_int_equal(config_load(&c, path, &err), 0);
	assert_int_equal(c.account_count, 1);
	config_release(&c);
	unlink(path);
	free(path);
	path = write_file(text, CONFIG_FILE_MAX + 1);
	assert_int_equal(config_load(&c, path, &err), -1);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_non_null(strstr(err.text, "larger than 1048576 bytes"));
	config_release(&c);
	unlink(path);
	free(path);
	free(text);
}

/* What a cluster's webhook puts into a pod. */
static void
set_workload(const char *authority)
{
	setenv("AZURE_CLIENT_ID", "env-client", 1);
	setenv("AZURE_TENANT_ID", "env-tenant", 1);
	setenv("AZURE_AUTHORITY_HOST", authority, 1);
	setenv("AZURE_FEDERATED_TOKEN_FILE", "/env/token", 1);
}

static void
clear_workload(void)
{
	unsetenv("AZURE_CLIENT_ID");
	unsetenv("AZURE_TENANT_ID");
	unsetenv("AZURE_AUTHORITY_HOST");
	unsetenv("AZURE_FEDERATED_TOKEN_FILE");
}

static int
load(struct config *c, const char *text, struct error *err)
{
	char *path = write_file(text, strlen(text));
	int result;

	config_init(c);
	result = config_load(c, path, err);
	unlink(path);
	free(path);
	return result;
}

#define WORKLOAD "[a@contoso.com]\nauth = workload-identity\n"

static void
workload_may_be_told_by_the_environment(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	set_workload("https://login.example/");
	if (load(&c, WORKLOAD, &err) == -1)
		fail_msg("%s", err.text);
	assert_string_equal(c.accounts[0].client_id, "env-client");
	assert_string_equal(c.accounts[0].tenant, "env-tenant");
	assert_string_equal(c.accounts[0].authority, "https://login.example");
	assert_string_equal(c.accounts[0].federated_token_file, "/env/token");
	config_release(&c);
	is_refused(WORKLOAD, 1, "no 'client_id'");
	assert_int_equal(-1, load(&c, "[a@contoso.com]\nauth = login\n", &err));
	assert_non_null(strstr(err.text, "no 'client_id'"));
	clear_workload();
	assert_int_equal(-1, load(&c, WORKLOAD, &err));
}

static void
keys_win_over_the_environment(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	set_workload("https://login.example/");
	assert_int_equal(0, load(&c,
				WORKLOAD REST "federated_token_file = /f\n"
					      "authority = https://a.example\n",
				&err));
	assert_string_equal(c.accounts[0].client_id, "c");
	assert_string_equal(c.accounts[0].tenant, "t");
	assert_string_equal(c.accounts[0].authority, "https://a.example");
	assert_string_equal(c.accounts[0].federated_token_file, "/f");
	config_release(&c);
	assert_int_equal(0, load(&c, WORKLOAD "cloud = gcchigh\n", &err));
	assert_string_equal(
	    c.accounts[0].authority, "https://login.microsoftonline.us");
	config_release(&c);
	clear_workload();
}

static void
environment_is_checked_as_keys_are(void **state)
{
	static const char *const bad[] = { "http://login.example",
		"https://login.example\nx", "https://" };
	struct config c;
	struct error err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		set_workload(bad[i]);
		assert_int_equal(-1, load(&c, WORKLOAD, &err));
		assert_int_equal(err.exit_code, EX_CONFIG);
		assert_non_null(strstr(
		    err.text, "AZURE_AUTHORITY_HOST in the environment"));
	}
	set_workload("");
	assert_int_equal(0, load(&c, WORKLOAD, &err));
	assert_string_equal(
	    c.accounts[0].authority, "https://login.microsoftonline.com");
	config_release(&c);
	clear_workload();
}

static void
file_that_cannot_be_read_is_a_configuration_error(void **state)
{
	static const char *const paths[] = { "/nonexistent/outpost.conf",
		"/tmp", "/dev/null" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct config c;
		struct error err;

		config_init(&c);
		assert_int_equal(config_load(&c, paths[i], &err), -1);
		assert_int_equal(err.exit_code, EX_CONFIG);
		assert_int_equal(err.class, ERROR_HOLD);
		assert_non_null(strstr(err.text, paths[i]));
		assert_non_null(strstr(err.hint, "outpost init"));
		config_release(&c);
	}
}

/* As somebody else in a child: root may read everything. */
static int
hint_for_another(const char *path, const char *words)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct config c;
		struct error err;

		if (getuid() == 0 && setuid(65534) == -1)
			_exit(2);
		config_init(&c);
		_exit(config_load(&c, path, &err) == -1 &&
			      err.exit_code == EX_CONFIG &&
			      strstr(err.hint, words) != NULL
			  ? 0
			  : 1);
	}
	waitpid(child, &status, 0);
	return status;
}

static void
file_that_others_may_not_read_is_not_to_be_written_again(void **state)
{
	char *path = write_file(ACCOUNT, strlen(ACCOUNT));

	(void)state;
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(hint_for_another(path, "let this user read it"), 0);
	unlink(path);
	assert_int_equal(hint_for_another(path, CONFIG_SYSTEM_PATH), 0);
	free(path);
}

static void
finds(const char *option, bool service, const char *path)
{
	char *found = config_find(option, service);

	assert_string_equal(found, path);
	free(found);
}

static void
option_comes_before_environment_before_the_system(void **state)
{
	(void)state;
	unsetenv("OUTPOST_CONFIG");
	finds("/my.conf", false, "/my.conf");
	if (getuid() == 0)
		finds(NULL, false, CONFIG_SYSTEM_PATH);
	setenv("OUTPOST_CONFIG", "/env.conf", 1);
	finds("/my.conf", false, "/my.conf");
	finds(NULL, false, "/env.conf");
	setenv("OUTPOST_CONFIG", "", 1);
	if (getuid() == 0)
		finds(NULL, false, CONFIG_SYSTEM_PATH);
	unsetenv("OUTPOST_CONFIG");
}

/* What is named as missing should be what the reader can write. */
static void
user_without_any_configuration_is_told_of_his_own(void **state)
{
	int status = 0;
	pid_t child;
	char *path;
	bool own;

	(void)state;
	if (access(CONFIG_SYSTEM_PATH, F_OK) == 0)
		skip();
	unsetenv("OUTPOST_CONFIG");
	if ((child = fork()) == 0) {
		if (getuid() == 0 && setuid(65534) == -1)
			_exit(2);
		path = config_find(NULL, false);
		own = strstr(path, "/.config/outpost/outpost.conf") != NULL;
		free(path);
		_exit(own ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void
service_looks_at_the_system_alone(void **state)
{
	(void)state;
	setenv("OUTPOST_CONFIG", "/env.conf", 1);
	finds("/my.conf", true, CONFIG_SYSTEM_PATH);
	finds(NULL, true, CONFIG_SYSTEM_PATH);
	unsetenv("OUTPOST_CONFIG");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_of_the_design_is_read_as_written),
		cmocka_unit_test(international_domains_are_kept_as_a_labels),
		cmocka_unit_test(left_out_keys_have_the_same_values),
		cmocka_unit_test(
		    every_key_takes_good_values_and_refuses_bad_ones),
		cmocka_unit_test(values_are_what_their_units_say),
		cmocka_unit_test(unknown_words_come_with_the_nearest_known_one),
		cmocka_unit_test(repetitions_are_refused),
		cmocka_unit_test(secrets_do_not_belong_into_the_file),
		cmocka_unit_test(lines_that_inih_would_cut_are_refused),
		cmocka_unit_test(section_names_that_inih_would_cut_are_refused),
		cmocka_unit_test(indentation_means_nothing),
		cmocka_unit_test(comments_and_separators_are_those_of_inih),
		cmocka_unit_test(line_ends_and_marks_of_windows_are_taken),
		cmocka_unit_test(broken_lines_are_refused),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(nothing_is_no_configuration),
		cmocka_unit_test(binary_garbage_is_refused),
		cmocka_unit_test(incomplete_accounts_are_refused_at_their_head),
		cmocka_unit_test(default_must_have_a_section),
		cmocka_unit_test(first_error_of_a_file_is_told),
		cmocka_unit_test(number_of_accounts_is_capped),
		cmocka_unit_test(presets_are_those_of_microsoft),
		cmocka_unit_test(each_key_overrides_what_the_cloud_presets),
		cmocka_unit_test(workload_may_be_told_by_the_environment),
		cmocka_unit_test(keys_win_over_the_environment),
		cmocka_unit_test(environment_is_checked_as_keys_are),
		cmocka_unit_test(personal_domains_choose_the_outlook_cloud),
		cmocka_unit_test(overrides_win_over_the_preset),
		cmocka_unit_test(file_is_loaded),
		cmocka_unit_test(megabyte_is_loaded_and_a_byte_more_is_not),
		cmocka_unit_test(
		    file_that_cannot_be_read_is_a_configuration_error),
		cmocka_unit_test(
		    file_that_others_may_not_read_is_not_to_be_written_again),
		cmocka_unit_test(
		    option_comes_before_environment_before_the_system),
		cmocka_unit_test(
		    user_without_any_configuration_is_told_of_his_own),
		cmocka_unit_test(service_looks_at_the_system_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
