#include "account/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/startup.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/idn.h"

/* How a value is read, and what of struct config or account it fills. */
enum kind {
	KIND_TEXT,     /* char * */
	KIND_PATH,     /* char *, starts with a slash */
	KIND_ADDRESS,  /* char *, an address with a domain */
	KIND_URL,      /* char *, https:// without a final slash */
	KIND_PROXY,    /* char *, for libcurl; may be empty */
	KIND_ENDPOINT, /* char *, the same with http:// */
	KIND_LIST,     /* struct config_list, comma-separated */
	KIND_CHOICE,   /* int, an index into choices */
	KIND_NUMBER,   /* long long */
	KIND_DURATION, /* long long, seconds */
	KIND_SIZE,     /* long long, bytes */
	KIND_RATE,     /* two long longs: count and seconds */
	KIND_YES_NO,   /* bool */
	KIND_LOG,      /* log_target and log_file */
	KIND_SECRET,   /* never allowed: says where it belongs */
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *standard; /* default, or NULL */
	long long min, max;
	const char *const *choices;
};

static const char *const auth_names[] = {
	[AUTH_LOGIN] = "login",
	[AUTH_SECRET] = "secret",
	[AUTH_CERTIFICATE] = "certificate",
	[AUTH_MANAGED_IDENTITY] = "managed-identity",
	[AUTH_WORKLOAD_IDENTITY] = "workload-identity",
	NULL,
};
static const char *const identity_names[] = {
	[IDENTITY_AUTO] = "auto",
	[IDENTITY_VM] = "vm",
	[IDENTITY_APP_SERVICE] = "app-service",
	[IDENTITY_MSI] = "msi",
	[IDENTITY_ARC] = "arc",
	NULL,
};
static const char *const foreign_from_names[] = {
	[FOREIGN_FROM_REWRITE] = "rewrite",
	[FOREIGN_FROM_REJECT] = "reject",
	NULL,
};
static const char *const yes_no_names[] = { "no", "yes", NULL };

#define MINUTE 60LL
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MEGA (1024LL * 1024)
#define RATE_COUNT_MAX 1000

/* clang-format off */
#define MAIN(field) offsetof(struct config, field)
static const struct key main_keys[] = {
	{ "default",     KIND_ADDRESS,  MAIN(default_account), NULL, 0, 0, NULL },
	{ "admin",       KIND_ADDRESS,  MAIN(admin), NULL, 0, 0, NULL },
	{ "aliases",     KIND_PATH,     MAIN(aliases), "/etc/aliases", 0, 0, NULL },
	{ "domains",     KIND_LIST,     MAIN(domains), NULL, 0, 0, NULL },
	{ "log",         KIND_LOG,      MAIN(log_target), "syslog", 0, 0, NULL },
	{ "queue_dir",   KIND_PATH,     MAIN(queue_dir), NULL, 0, 0, NULL },
	{ "state_dir",   KIND_PATH,     MAIN(state_dir), NULL, 0, 0, NULL },
	{ "patience",    KIND_DURATION, MAIN(patience), "30s", 1, HOUR, NULL },
	{ "give_up",     KIND_DURATION, MAIN(give_up), "5d", MINUTE, 365 * DAY, NULL },
	{ "keep_failed", KIND_DURATION, MAIN(keep_failed), "30d", 0, 3650 * DAY, NULL },
};

#define ACCOUNT(field) offsetof(struct account, field)
static const struct key account_keys[] = {
	{ "cloud",       KIND_TEXT,     ACCOUNT(cloud), NULL, 0, 0, NULL },
	{ "tenant",      KIND_TEXT,     ACCOUNT(tenant), NULL, 0, 0, NULL },
	{ "client_id",   KIND_TEXT,     ACCOUNT(client_id), NULL, 0, 0, NULL },
	{ "auth",        KIND_CHOICE,   ACCOUNT(auth), "login", 0, 0, auth_names },
	{ "client_secret_file", KIND_PATH, ACCOUNT(client_secret_file), NULL, 0, 0, NULL },
	{ "certificate", KIND_PATH,     ACCOUNT(certificate), NULL, 0, 0, NULL },
	{ "key_file",    KIND_PATH,     ACCOUNT(key_file), NULL, 0, 0, NULL },
	{ "federated_token_file", KIND_PATH, ACCOUNT(federated_token_file), NULL, 0, 0, NULL },
	{ "identity",    KIND_CHOICE,   ACCOUNT(identity), "auto", 0, 0, identity_names },
	{ "identity_endpoint", KIND_ENDPOINT, ACCOUNT(identity_endpoint), NULL, 0, 0, NULL },
	{ "identity_header_file", KIND_PATH, ACCOUNT(identity_header_file), NULL, 0, 0, NULL },
	{ "senders",     KIND_LIST,     ACCOUNT(senders), NULL, 0, 0, NULL },
	{ "send_as",     KIND_LIST,     ACCOUNT(send_as), NULL, 0, 0, NULL },
	{ "foreign_from", KIND_CHOICE,  ACCOUNT(foreign_from), "rewrite", 0, 0, foreign_from_names },
	{ "users",       KIND_LIST,     ACCOUNT(users), NULL, 0, 0, NULL },
	{ "token_users", KIND_LIST,     ACCOUNT(token_users), NULL, 0, 0, NULL },
	{ "host",        KIND_TEXT,     ACCOUNT(host), NULL, 0, 0, NULL },
	{ "port",        KIND_NUMBER,   ACCOUNT(port), "587", 1, 65535, NULL },
	{ "authority",   KIND_URL,      ACCOUNT(authority), NULL, 0, 0, NULL },
	{ "scope",       KIND_TEXT,     ACCOUNT(scope), NULL, 0, 0, NULL },
	{ "ca_dir",      KIND_PATH,     ACCOUNT(ca_dir), NULL, 0, 0, NULL },
	{ "ca_file",     KIND_PATH,     ACCOUNT(ca_file), NULL, 0, 0, NULL },
	{ "proxy",       KIND_PROXY,    ACCOUNT(proxy), "", 0, 0, NULL },
	{ "connections", KIND_NUMBER,   ACCOUNT(connections), "3", 1, 100, NULL },
	{ "rate",        KIND_RATE,     ACCOUNT(rate_count), "30/1m", 1, RATE_COUNT_MAX, NULL },
	{ "daily",       KIND_NUMBER,   ACCOUNT(daily), "10000", 1, 100000000, NULL },
	{ "max_size",    KIND_SIZE,     ACCOUNT(max_size), "35M", 1024, 1024 * MEGA, NULL },
	{ "max_recipients", KIND_NUMBER, ACCOUNT(max_recipients), "500", 1, 10000, NULL },
	{ "chunking",    KIND_YES_NO,   ACCOUNT(chunking), "no", 0, 0, yes_no_names },
	{ "client_secret", KIND_SECRET, 0, "client_secret_file", 0, 0, NULL },
	{ "secret",      KIND_SECRET,   0, "client_secret_file", 0, 0, NULL },
	{ "private_key", KIND_SECRET,   0, "key_file", 0, 0, NULL },
	{ "identity_header", KIND_SECRET, 0, "identity_header_file", 0, 0, NULL },
	{ "password",    KIND_SECRET,   0, NULL, 0, 0, NULL },
	{ "refresh_token", KIND_SECRET, 0, NULL, 0, 0, NULL },
	{ "access_token", KIND_SECRET,  0, NULL, 0, 0, NULL },
};

/* Hosts, authorities and scopes of Microsoft's clouds. The scope for a person
 * who signed in differs from the one for an application by itself. */
static const struct preset {
	const char *cloud, *host, *authority, *scope, *app_scope;
} presets[] = {
	{ "global", "smtp.office365.com", "https://login.microsoftonline.com",
	  "https://outlook.office.com/SMTP.Send offline_access",
	  "https://outlook.office365.com/.default" },
	{ "outlook", "smtp-mail.outlook.com", "https://login.microsoftonline.com",
	  "https://outlook.office.com/SMTP.Send offline_access", NULL },
	{ "gcchigh", "smtp.office365.us", "https://login.microsoftonline.us",
	  "https://outlook.office365.us/SMTP.Send offline_access",
	  "https://outlook.office365.us/.default" },
	{ "dod", "outlook-dod.office365.us", "https://login.microsoftonline.us",
	  "https://outlook-dod.office365.us/SMTP.Send offline_access",
	  "https://outlook-dod.office365.us/.default" },
	{ "china", "smtp.partner.outlook.cn", "https://login.partner.microsoftonline.cn",
	  "https://partner.outlook.cn/SMTP.Send offline_access",
	  "https://partner.outlook.cn/.default" },
	{ "hve", "smtp.hve.mx.microsoft", "https://login.microsoftonline.com",
	  "https://outlook.office.com/SMTP.Send offline_access",
	  "https://outlook.office365.com/.default" },
};

/* What the platform tells a workload, and the key that it stands for. */
static const struct variable {
	const char *name, *key;
} workload_variables[] = {
	{ "AZURE_CLIENT_ID", "client_id" },
	{ "AZURE_TENANT_ID", "tenant" },
	{ "AZURE_AUTHORITY_HOST", "authority" },
	{ "AZURE_FEDERATED_TOKEN_FILE", "federated_token_file" },
};

static const char *const consumer_domains[] = {
	"outlook.com", "hotmail.com", "live.com", "msn.com",
};

/* For systems without a hashed folder of certificates. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CA_DIR "/etc/ssl/certs"

/* One reading of a file. */
struct reading {
	struct config *config;
	const char *next; /* what the reader has not read yet */
	const char *end;
	int line;        /* number of the line last read */
	bool in_main;    /* inside [outpost] */
	bool in_account; /* inside the last account's section */
	bool main_seen;
	bool environment; /* counts where keys are missing */
	int default_line; /* where the key `default` stands */
	uint64_t seen;    /* keys of this section, by row */
	bool failed;
	struct error *err;
};

static int fail(struct reading *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

void
config_init(struct config *c)
{
	*c = (struct config){ .path = NULL };
}

static void
list_release(struct config_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){ .items = NULL };
}

static void
release_keys(void *object, const struct key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *field = (char *)object + keys[i].offset;

		switch (keys[i].kind) {
		case KIND_TEXT:
		case KIND_PATH:
		case KIND_ADDRESS:
		case KIND_URL:
		case KIND_PROXY:
		case KIND_ENDPOINT:
			free(*(char **)(void *)field);
			break;
		case KIND_LIST:
			list_release((struct config_list *)(void *)field);
			break;
		default:
			break;
		}
	}
}

void
config_release(struct config *c)
{
	for (size_t i = 0; i < c->account_count; i++) {
		release_keys(
		    &c->accounts[i], account_keys, COUNT(account_keys));
		free(c->accounts[i].mailbox);
	}
	free(c->accounts);
	release_keys(c, main_keys, COUNT(main_keys));
	free(c->log_file);
	free(c->path);
	config_init(c);
}

static bool
is_address(const char *text)
{
	return address_smtp_safe(text, NULL, NULL) == 0;
}

/* The first error of a file is the one that is told. */
static int
fail(struct reading *r, const char *format, ...)
{
	char what[ERROR_TEXT_SIZE];
	va_list ap;

	if (r->failed)
		return -1;
	r->failed = true;
	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	error_set(r->err, EX_CONFIG, "5.3.5", "%s:%d: %s", r->config->path,
	    r->line, what);
	error_hint(r->err, "see outpost.conf(5)");
	return error_class_set(r->err, ERROR_HOLD, 0);
}

/* A number and one letter of 'units', of which unit i is worth factors[i]. */
static int
parse_amount(const char *value, const char *units, const long long *factors,
    long long *out)
{
	size_t len = strlen(value);
	const char *unit, *why;
	char digits[20];
	long long number, factor = 1;

	if (len == 0 || len >= sizeof(digits))
		return -1;
	strlcpy(digits, value, sizeof(digits));
	if (isalpha((unsigned char)value[len - 1])) {
		unit = strchr(units, tolower((unsigned char)value[len - 1]));
		if (unit == NULL)
			return -1;
		factor = factors[unit - units];
		digits[len - 1] = '\0';
	}
	number = strtonum(digits, 0, INT64_MAX / factor, &why);
	if (why != NULL || !isdigit((unsigned char)digits[0]))
		return -1;
	*out = number * factor;
	return 0;
}

static int
parse_duration(const char *value, long long *out)
{
	static const long long factors[] = { 1, MINUTE, HOUR, DAY, 7 * DAY };

	return parse_amount(value, "smhdw", factors, out);
}

static int
parse_size(const char *value, long long *out)
{
	static const long long factors[] = { 1024, MEGA, 1024 * MEGA };

	return parse_amount(value, "kmg", factors, out);
}

/* "30/1m": out[0] messages in out[1] seconds. */
static int
parse_rate(const char *value, long long out[2])
{
	char *copy = xstrdup(value), *period = copy;
	const char *count = strsep(&period, "/"), *why;
	long long number = strtonum(count, 1, RATE_COUNT_MAX, &why);
	int result = -1;

	if (why == NULL && period != NULL &&
	    parse_duration(period, &out[1]) == 0 && out[1] > 0 &&
	    out[1] <= DAY) {
		out[0] = number;
		result = 0;
	}
	free(copy);
	return result;
}

static void
parse_list(const char *value, struct config_list *out)
{
	char *copy = xstrdup(value), *next = copy, *item;

	while ((item = strsep(&next, ", \t")) != NULL) {
		if (*item == '\0')
			continue;
		out->items = xreallocarray(
		    out->items, out->count + 1, sizeof(*out->items));
		out->items[out->count++] = address_to_ascii(item);
	}
	free(copy);
}

static int
hint_choices(struct reading *r, const char *const *choices)
{
	struct buf names;

	buf_init(&names, ERROR_HINT_SIZE / 2);
	for (size_t i = 0; choices[i] != NULL; i++)
		(void)buf_addf(&names, "%s'%s'",
		    i == 0                   ? ""
		    : choices[i + 1] != NULL ? ", "
					     : " or ",
		    choices[i]);
	error_hint(r->err, "it takes %s", names.data);
	buf_release(&names);
	return -1;
}

static int
set_choice(
    struct reading *r, const struct key *key, const char *value, int *out)
{
	struct nearest nearest = { .word = value };

	for (int i = 0; key->choices[i] != NULL; i++) {
		if (strcasecmp(value, key->choices[i]) == 0) {
			*out = i;
			return 0;
		}
		nearest_try(&nearest, key->choices[i]);
	}
	fail(r, "'%s' does not take this value", key->name);
	if (nearest.name != NULL)
		return error_hint(r->err, "did you mean '%s'?", nearest.name);
	return hint_choices(r, key->choices);
}

static int
set_number(
    struct reading *r, const struct key *key, const char *value, long long *out)
{
	const char *why = NULL;
	long long number = 0;
	int result = 0;

	if (key->kind == KIND_DURATION)
		result = parse_duration(value, &number);
	else if (key->kind == KIND_SIZE)
		result = parse_size(value, &number);
	else
		number = strtonum(value, key->min, key->max, &why);
	if (result == -1 || why != NULL || number < key->min ||
	    number > key->max) {
		fail(r, "'%s' is not a %s from %lld to %lld%s", key->name,
		    key->kind == KIND_DURATION ? "time"
		    : key->kind == KIND_SIZE   ? "size"
					       : "number",
		    key->min, key->max,
		    key->kind == KIND_DURATION ? " seconds"
		    : key->kind == KIND_SIZE   ? " bytes"
					       : "");
		if (key->kind == KIND_DURATION)
			return error_hint(r->err,
			    "write it in seconds, or "
			    "with a unit: 30s, 5m, 2h, 1d");
		if (key->kind == KIND_SIZE)
			return error_hint(r->err, "write it in bytes, or "
						  "with a unit: 500K, 35M, 1G");
		return error_hint(r->err, "write the digits alone");
	}
	*out = number;
	return 0;
}

/* With a host. */
static bool
is_url(const char *value, const char *scheme)
{
	size_t len = strlen(scheme);

	return strncmp(value, scheme, len) == 0 && value[len] != '/' &&
	       value[len] != '\0';
}

static bool
is_https(const char *value)
{
	return is_url(value, "https://");
}

static bool
is_http(const char *value)
{
	return is_url(value, "http://");
}

static bool
is_path(const char *value)
{
	return *value == '/';
}

static bool
has_no_user(const char *value)
{
	return strchr(value, '@') == NULL;
}

/* What texts of a kind must be, and what is said where they are not. */
static const struct form {
	enum kind kind;
	bool (*fits)(const char *value);
	const char *what, *hint;
} forms[] = {
	{ KIND_PATH, is_path, "is not an absolute path",
	    "write the whole path, beginning with '/'" },
	{ KIND_ADDRESS, is_address, "is not a mail address",
	    "write it with its domain, as in it@contoso.com" },
	{ KIND_URL, is_https, "is not an https:// address",
	    "write it as in https://login.microsoftonline.com" },
	{ KIND_ENDPOINT, is_http, "is not an http:// address",
	    "write it as in http://localhost:42356/msi/token" },
	{ KIND_PROXY, has_no_user,
	    "holds a password, which does not belong into this file",
	    "have the proxy let this machine through by its address, and write "
	    "http://name:port" },
};

static int
check_text(struct reading *r, const struct key *key, const char *value)
{
	for (size_t i = 0; i < COUNT(forms); i++) {
		if (forms[i].kind != key->kind || forms[i].fits(value))
			continue;
		fail(r, "'%s' %s", key->name, forms[i].what);
		return error_hint(r->err, "%s", forms[i].hint);
	}
	return 0;
}

static int
set_text(
    struct reading *r, const struct key *key, const char *value, char **out)
{
	size_t len = strlen(value);

	/* Only what is empty by default may be emptied. */
	if (*value == '\0' && (key->standard == NULL || *key->standard != '\0'))
		return fail(r, "'%s' has no value", key->name);
	if (check_text(r, key, value) == -1)
		return -1;
	if (key->kind == KIND_URL || key->kind == KIND_ENDPOINT)
		while (value[len - 1] == '/')
			len--;
	free(*out);
	*out = key->kind == KIND_ADDRESS ? address_to_ascii(value)
					 : xstrndup(value, len);
	return 0;
}

static int
set_log(struct reading *r, const char *value)
{
	struct config *c = r->config;

	free(c->log_file);
	c->log_file = NULL;
	if (strcmp(value, "syslog") == 0)
		c->log_target = LOG_TO_SYSLOG;
	else if (strcmp(value, "stderr") == 0)
		c->log_target = LOG_TO_STDERR;
	else if (*value == '/') {
		c->log_target = LOG_TO_FILE;
		c->log_file = xstrdup(value);
	} else {
		fail(r, "'log' does not take this value");
		return error_hint(r->err, "it takes 'syslog', 'stderr' or "
					  "the path of a file that exists");
	}
	return 0;
}

static int
set_secret(struct reading *r, const struct key *key)
{
	fail(r, "'%s' is a secret, which does not belong into this file",
	    key->name);
	if (key->standard != NULL)
		return error_hint(r->err,
		    "put it into a file that only "
		    "Outpost reads and name that file with '%s'; then make "
		    "another secret, since this one could be read",
		    key->standard);
	return error_hint(r->err, "take the line out; 'outpost login' gets "
				  "and keeps what is needed");
}

static int
set_key(
    struct reading *r, void *object, const struct key *key, const char *value)
{
	void *field = (char *)object + key->offset;

	switch (key->kind) {
	case KIND_TEXT:
	case KIND_PATH:
	case KIND_ADDRESS:
	case KIND_URL:
	case KIND_PROXY:
	case KIND_ENDPOINT:
		return set_text(r, key, value, field);
	case KIND_LIST:
		parse_list(value, field);
		return 0;
	case KIND_CHOICE:
		return set_choice(r, key, value, field);
	case KIND_NUMBER:
	case KIND_DURATION:
	case KIND_SIZE:
		return set_number(r, key, value, field);
	case KIND_RATE:
		if (parse_rate(value, field) == 0)
			return 0;
		fail(r, "'%s' is not a count and a time", key->name);
		return error_hint(r->err, "write how many in which time, as in "
					  "30/1m");
	case KIND_YES_NO: {
		int choice = 0;

		if (set_choice(r, key, value, &choice) == -1)
			return -1;
		*(bool *)field = choice == 1;
		return 0;
	}
	case KIND_LOG:
		return set_log(r, value);
	case KIND_SECRET:
		return set_secret(r, key);
	}
	return -1;
}

static int
unknown_key(
    struct reading *r, const char *name, const struct key *keys, size_t count)
{
	struct nearest nearest = { .word = name };

	for (size_t i = 0; i < count; i++)
		if (keys[i].kind != KIND_SECRET)
			nearest_try(&nearest, keys[i].name);
	fail(r, "unknown key '%s'", name);
	if (nearest.name != NULL)
		return error_hint(r->err, "did you mean '%s'?", nearest.name);
	return -1;
}

static int
read_key(struct reading *r, void *object, const struct key *keys, size_t count,
    const char *name, const char *value)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, keys[i].name) != 0)
			continue;
		if ((r->seen >> i & 1) != 0) {
			fail(r, "'%s' stands twice in this section", name);
			return error_hint(
			    r->err, "take out all but one of these lines");
		}
		r->seen |= (uint64_t)1 << i;
		return set_key(r, object, &keys[i], value);
	}
	return unknown_key(r, name, keys, count);
}

_Static_assert(COUNT(main_keys) <= 64 && COUNT(account_keys) <= 64,
    "struct reading keeps a bit a key");

/* inih's handler: 1 to go on, 0 for an error. */
static int
on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	struct config *c = r->config;
	struct account *a;
	int result;

	(void)section;
	if (r->failed)
		return 0;
	if (r->in_main) {
		if (strcmp(name, "default") == 0)
			r->default_line = r->line;
		result =
		    read_key(r, c, main_keys, COUNT(main_keys), name, value);
	} else if (r->in_account) {
		a = &c->accounts[c->account_count - 1];
		if (strcmp(name, "users") == 0)
			a->users_given = true;
		result = read_key(
		    r, a, account_keys, COUNT(account_keys), name, value);
	} else
		result = fail(r, "'%s' stands before any [section]", name);
	return result == 0;
}

static void
set_defaults(
    struct reading *r, void *object, const struct key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].standard != NULL && keys[i].kind != KIND_SECRET)
			(void)set_key(r, object, &keys[i], keys[i].standard);
}

static void
add_account(struct reading *r, const char *name)
{
	struct config *c = r->config;
	struct account *a;

	c->accounts = xreallocarray(
	    c->accounts, c->account_count + 1, sizeof(*c->accounts));
	a = &c->accounts[c->account_count++];
	*a = (struct account){ .mailbox = address_to_ascii(name),
		.line = r->line };
	set_defaults(r, a, account_keys, COUNT(account_keys));
}

static void
start_section(struct reading *r, const char *name)
{
	struct nearest nearest = { .word = name };
	struct config *c = r->config;

	r->seen = 0;
	r->in_main = strcmp(name, "outpost") == 0;
	r->in_account = !r->in_main;
	nearest_try(&nearest, "outpost");
	if (r->in_main && r->main_seen)
		(void)fail(r, "[outpost] stands twice");
	else if (r->in_main)
		r->main_seen = true;
	else if (!is_address(name)) {
		(void)fail(r, "[%s] is neither [outpost] nor a mailbox", name);
		if (nearest.name != NULL)
			(void)error_hint(r->err, "did you mean [outpost]?");
	} else if (config_account(c, name) != NULL)
		(void)fail(r, "[%s] stands twice", name);
	else if (c->account_count == CONFIG_ACCOUNTS_MAX)
		(void)fail(r, "more than %u accounts", CONFIG_ACCOUNTS_MAX);
	else
		add_account(r, name);
}

/* A section's head as inih will read it, found before inih cuts it. */
static void
read_head(struct reading *r, const char *line)
{
	const char *end = strchr(line, ']');
	char *name;

	if (end == NULL) {
		(void)fail(r, "section without ']'");
		return;
	}
	for (const char *p = end + 1; *p != '\0'; p++) {
		if (*p == ';' || *p == '#')
			break;
		if (!isspace((unsigned char)*p)) {
			(void)fail(r, "text behind a section's ']'");
			return;
		}
	}
	if ((size_t)(end - line) - 1 > CONFIG_SECTION_MAX) {
		(void)fail(r, "a section's name is longer than %u bytes",
		    CONFIG_SECTION_MAX);
		return;
	}
	name = xstrndup(line + 1, (size_t)(end - line) - 1);
	start_section(r, name);
	free(name);
}

#define NO_KEY_LINE "the line is neither a [section] nor 'key = value'"

/* Is it blank, a comment, or a key with its separator? inih goes on behind
 * other lines, and would then tell a later error first. */
static bool
is_key_line(const char *line)
{
	if (*line == '\0' || *line == ';' || *line == '#')
		return true;
	for (const char *p = line; *p != '\0'; p++) {
		if (*p == '=' || *p == ':')
			return true;
		if (*p == ';' && p > line && isspace((unsigned char)p[-1]))
			return false;
	}
	return false;
}

static bool
has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]) && text[i] != '\t')
			return true;
	return false;
}

/* inih's reader. It would cut lines at 199 bytes and take the rest as a line
 * of its own, cut names at 49, and take an indented key as a continuation:
 * such lines are refused or stripped here. */
static char *
read_line(char *out, int size, void *stream)
{
	struct reading *r = stream;
	const char *start = r->next, *stop;
	size_t len;

	if (r->failed || r->next == r->end)
		return NULL;
	stop = memchr(start, '\n', (size_t)(r->end - start));
	r->next = stop == NULL ? r->end : stop + 1;
	stop = stop == NULL ? r->end : stop;
	if (r->line++ == 0 && stop - start >= 3 &&
	    memcmp(start, "\xef\xbb\xbf", 3) == 0)
		start += 3; /* a byte order mark */
	while (start < stop && isspace((unsigned char)*start))
		start++;
	while (stop > start && isspace((unsigned char)stop[-1]))
		stop--;
	len = (size_t)(stop - start);
	if (has_control(start, len))
		(void)fail(r, "a control character");
	else if (len > CONFIG_LINE_MAX || len >= (size_t)size) {
		if (*start == '#' || *start == ';')
			len = 0;
		else
			(void)fail(r, "the line is longer than %u bytes",
			    CONFIG_LINE_MAX);
	}
	if (r->failed)
		return NULL;
	memcpy(out, start, len);
	out[len] = '\0';
	if (*out == '[')
		read_head(r, out);
	else if (!is_key_line(out))
		(void)fail(r, NO_KEY_LINE);
	return r->failed ? NULL : out;
}

bool
config_is_consumer(const char *mailbox)
{
	const char *domain = strrchr(mailbox, '@') + 1;

	for (size_t i = 0; i < COUNT(consumer_domains); i++)
		if (strcasecmp(domain, consumer_domains[i]) == 0)
			return true;
	return false;
}

const char *
config_cloud_of_host(const char *host)
{
	for (size_t i = 0; i < COUNT(presets); i++)
		if (strcasecmp(host, presets[i].host) == 0)
			return presets[i].cloud;
	return NULL;
}

static const struct preset *
find_preset(struct reading *r, struct account *a)
{
	struct nearest nearest = { .word = a->cloud };

	if (a->cloud == NULL)
		a->cloud = xstrdup(
		    config_is_consumer(a->mailbox) ? "outlook" : "global");
	for (size_t i = 0; i < COUNT(presets); i++)
		if (strcmp(a->cloud, presets[i].cloud) == 0)
			return &presets[i];
	(void)fail(r, "[%s]: 'cloud' does not take this value", a->mailbox);
	nearest.word = a->cloud;
	for (size_t i = 0; i < COUNT(presets); i++)
		nearest_try(&nearest, presets[i].cloud);
	if (nearest.name != NULL)
		(void)error_hint(r->err, "did you mean '%s'?", nearest.name);
	else
		(void)error_hint(r->err, "it takes global, outlook, gcchigh, "
					 "dod, china or hve");
	return NULL;
}

static void
default_text(char **field, const char *value)
{
	if (*field == NULL && value != NULL)
		*field = xstrdup(value);
}

static const struct key *
find_account_key(const char *name)
{
	for (size_t i = 0; i < COUNT(account_keys); i++)
		if (strcmp(account_keys[i].name, name) == 0)
			return &account_keys[i];
	return NULL;
}

/* A cloud that stands in the file chooses the authority. */
static bool
is_given(const struct account *a, const struct key *key)
{
	const char *const *field =
	    (const void *)((const char *)a + key->offset);

	return *field != NULL ||
	       (key->offset == ACCOUNT(authority) && a->cloud != NULL);
}

static int
take_environment(struct reading *r, struct account *a)
{
	for (size_t i = 0; i < COUNT(workload_variables); i++) {
		const struct variable *variable = &workload_variables[i];
		const struct key *key = find_account_key(variable->key);
		const char *value = startup_variable(variable->name);

		if (key == NULL || value == NULL || is_given(a, key))
			continue;
		if (has_control(value, strlen(value)))
			(void)fail(r, "a control character");
		else
			(void)set_key(r, a, key, value);
		if (r->failed)
			return error_prefix(
			    r->err, "%s in the environment", variable->name);
	}
	return 0;
}

static int
check_credential(struct reading *r, const struct account *a)
{
	if (a->auth == AUTH_SECRET && a->client_secret_file == NULL) {
		fail(r, "[%s] has auth = secret and no 'client_secret_file'",
		    a->mailbox);
		return error_hint(r->err, "write the client secret into a "
					  "file and name it");
	}
	if (a->auth == AUTH_CERTIFICATE && a->certificate == NULL) {
		fail(r, "[%s] has auth = certificate and no 'certificate'",
		    a->mailbox);
		return error_hint(r->err, "name the PEM file with certificate "
					  "and key; README shows how to make "
					  "them");
	}
	if (a->auth == AUTH_WORKLOAD_IDENTITY &&
	    a->federated_token_file == NULL) {
		fail(r,
		    "[%s] has auth = workload-identity and no "
		    "'federated_token_file'",
		    a->mailbox);
		return error_hint(r->err,
		    "name the file that the platform keeps the token in; "
		    "without set-id bits AZURE_FEDERATED_TOKEN_FILE may name "
		    "it");
	}
	return 0;
}

static int
check_account(struct reading *r, const struct account *a)
{
	bool identity = a->auth == AUTH_MANAGED_IDENTITY;

	if (a->client_id == NULL && !identity) {
		fail(r, "[%s] has no 'client_id'", a->mailbox);
		return error_hint(r->err, "it is the application's id in "
					  "Entra's app registration");
	}
	if (a->tenant == NULL && !identity) {
		fail(r, "[%s] has no 'tenant'", a->mailbox);
		return error_hint(r->err,
		    "it is the organization's id or "
		    "domain in Entra, as in contoso.onmicrosoft.com");
	}
	if (check_credential(r, a) == -1)
		return -1;
	if (a->scope == NULL) {
		fail(r, "[%s]: personal mailboxes take auth = login alone",
		    a->mailbox);
		return error_hint(r->err, "use auth = login, or name 'scope'");
	}
	if (a->ca_dir != NULL && a->ca_file != NULL) {
		fail(r, "[%s] has both 'ca_dir' and 'ca_file'", a->mailbox);
		return error_hint(r->err, "take one of them out");
	}
	return 0;
}

static int
complete_account(struct reading *r, struct account *a)
{
	const struct preset *preset;

	r->line = a->line;
	if (r->environment && a->auth == AUTH_WORKLOAD_IDENTITY &&
	    take_environment(r, a) == -1)
		return -1;
	if ((preset = find_preset(r, a)) == NULL)
		return -1;
	if (strcmp(preset->cloud, "outlook") == 0)
		default_text(&a->tenant, "consumers");
	default_text(&a->host, preset->host);
	default_text(&a->authority, preset->authority);
	default_text(&a->scope,
	    a->auth == AUTH_LOGIN ? preset->scope : preset->app_scope);
	if (check_account(r, a) == -1)
		return -1;
	if (a->ca_file == NULL)
		default_text(&a->ca_dir, CA_DIR);
	return 0;
}

static int
no_default(struct reading *r)
{
	struct config *c = r->config;
	struct nearest nearest = { .word = c->default_account };

	r->line = r->default_line;
	for (size_t i = 0; i < c->account_count; i++)
		nearest_try(&nearest, c->accounts[i].mailbox);
	fail(r, "'default' names a mailbox that has no section");
	if (nearest.name != NULL)
		return error_hint(r->err, "did you mean '%s'?", nearest.name);
	return -1;
}

/* As the domains of addresses are, which they are compared with. */
static void
domains_to_ascii(struct config_list *domains)
{
	for (size_t i = 0; i < domains->count; i++) {
		char *ascii = idn_to_ascii(domains->items[i]);

		if (ascii == NULL)
			continue;
		free(domains->items[i]);
		domains->items[i] = ascii;
	}
}

static int
complete(struct reading *r)
{
	struct config *c = r->config;

	domains_to_ascii(&c->domains);
	for (size_t i = 0; i < c->account_count; i++)
		if (complete_account(r, &c->accounts[i]) == -1)
			return -1;
	if (c->account_count == 0) {
		fail(r, "there is no account");
		return error_hint(r->err,
		    "add a section named by the mailbox "
		    "that sends, as in [alerts@contoso.com]");
	}
	if (c->default_account != NULL &&
	    config_account(c, c->default_account) == NULL)
		return no_default(r);
	default_text(&c->queue_dir, "/var/spool/outpost");
	default_text(&c->state_dir, "/var/lib/outpost");
	return 0;
}

static int
parse(struct config *out, const char *path, const char *text, size_t len,
    bool environment, struct error *err)
{
	struct config config;
	struct reading r = {
		.next = text,
		.end = text + len,
		.environment = environment,
		.err = err,
	};
	int bad_line;

	config_init(&config);
	config.path = xstrdup(path);
	config.queue_dir = out->queue_dir;
	config.state_dir = out->state_dir;
	r.config = &config;
	set_defaults(&r, &config, main_keys, COUNT(main_keys));
	bad_line = ini_parse_stream(read_line, &r, on_key, &r);
	if (!r.failed && bad_line != 0) {
		r.line = bad_line;
		(void)fail(&r, NO_KEY_LINE);
	}
	if (r.failed || complete(&r) == -1) {
		config_release(&config);
		*out = config;
		return -1;
	}
	*out = config;
	return 0;
}

int
config_parse(struct config *out, const char *path, const char *text, size_t len,
    struct error *err)
{
	return parse(out, path, text, len, false, err);
}

/* The home folder by the password file: HOME may be somebody else's. */
static char *
home_folder(void)
{
	const struct passwd *entry = getpwuid(getuid());
	const char *home = entry != NULL ? entry->pw_dir : getenv("HOME");

	return xstrdup(home != NULL && *home == '/' ? home : "/nonexistent");
}

static char *
user_path(void)
{
	char *home = home_folder();
	char *path = xasprintf("%s/.config/outpost/outpost.conf", home);

	free(home);
	return path;
}

char *
config_own_path(void)
{
	return getuid() == 0 ? xstrdup(CONFIG_SYSTEM_PATH) : user_path();
}

char *
config_find(const char *option, bool service)
{
	const char *named;
	char *path;

	if (service)
		return xstrdup(CONFIG_SYSTEM_PATH);
	if (option != NULL)
		return xstrdup(option);
	named = startup_variable("OUTPOST_CONFIG");
	if (named != NULL)
		return xstrdup(named);
	/* Root's own counts only where the system has none. */
	if (getuid() == 0 && access(CONFIG_SYSTEM_PATH, F_OK) == 0)
		return xstrdup(CONFIG_SYSTEM_PATH);
	path = user_path();
	if (access(path, F_OK) == 0 ||
	    (getuid() != 0 && access(CONFIG_SYSTEM_PATH, F_OK) == -1))
		return path;
	free(path);
	return xstrdup(CONFIG_SYSTEM_PATH);
}

/* A user's own configuration keeps what it writes in the user's home. */
static void
user_folders(struct config *c, const char *path)
{
	char *own = user_path(), *home;

	if (strcmp(path, own) == 0) {
		home = home_folder();
		c->state_dir = xasprintf("%s/.local/state/outpost", home);
		c->queue_dir = xasprintf("%s/queue", c->state_dir);
		free(home);
	}
	free(own);
}

/* Where the hashed folder is missing, a bundle serves. */
static void
find_bundle(struct account *a)
{
	struct stat status;

	if (a->ca_dir == NULL || strcmp(a->ca_dir, CA_DIR) != 0 ||
	    stat(CA_DIR, &status) == 0)
		return;
	for (size_t i = 0; i < COUNT(bundles); i++)
		if (stat(bundles[i], &status) == 0) {
			free(a->ca_dir);
			a->ca_dir = NULL;
			a->ca_file = xstrdup(bundles[i]);
			return;
		}
}

static int
fail_load(const char *path, int why, struct error *err)
{
	error_prefix(err, "configuration");
	if (err != NULL)
		err->exit_code = EX_CONFIG;
	error_class_set(err, ERROR_HOLD, 0);
	if (why == EACCES)
		return error_hint(err,
		    "let this user read it: it holds no secret, so that its "
		    "mode can be 644; look at the modes of its folders too");
	if (why == ENOENT && strcmp(path, CONFIG_SYSTEM_PATH) != 0)
		return error_hint(err,
		    "run 'outpost init', which writes it, or have root run it "
		    "for all users of this machine (%s)",
		    CONFIG_SYSTEM_PATH);
	return error_hint(err, "run 'outpost init' as root, which writes it");
}

int
config_take(struct config *out, const char *path, const char *text, size_t len,
    struct error *err)
{
	struct config config;

	config_init(&config);
	user_folders(&config, path);
	if (parse(&config, path, text, len, true, err) == -1)
		return -1;
	for (size_t i = 0; i < config.account_count; i++)
		find_bundle(&config.accounts[i]);
	*out = config;
	return 0;
}

int
config_load(struct config *out, const char *path, struct error *err)
{
	struct buf text;
	int result = -1;

	buf_init(&text, CONFIG_FILE_MAX);
	if (file_read(path, &text, err) == -1)
		(void)fail_load(path, errno, err);
	else
		result = config_take(out, path, text.data, text.len, err);
	buf_release(&text);
	return result;
}

const struct account *
config_account(const struct config *c, const char *mailbox)
{
	char *address = address_to_ascii(mailbox);
	const struct account *found = NULL;

	for (size_t i = 0; i < c->account_count && found == NULL; i++)
		if (strcasecmp(c->accounts[i].mailbox, address) == 0)
			found = &c->accounts[i];
	free(address);
	return found;
}

const struct account *
config_default_account(const struct config *c)
{
	if (c->default_account != NULL)
		return config_account(c, c->default_account);
	return c->account_count == 1 ? &c->accounts[0] : NULL;
}
