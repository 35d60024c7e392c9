/* outpost init --from-msmtp: what an msmtp configuration says already. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "account/config.h"
#include "account/msmtprc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "mail/address.h"
#include "outpost/init.h"

#define CLEAN_SIZE 128
#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"
#define SYSTEM_ALIASES "/etc/aliases"

/* Commands with a counterpart, a place in what we do anyway, or none that
 * matters; for the others 'why' is said where their argument is 'when'. */
static const struct command {
	const char *name, *when, *why;
} commands[] = {
	{ "host", NULL, NULL },
	{ "port", NULL, NULL },
	{ "user", NULL, NULL },
	{ "from", NULL, NULL },
	{ "aliases", NULL, NULL },
	{ "tls_trust_file", NULL, NULL },
	{ "auth", NULL, NULL },
	{ "protocol", "lmtp", "Outpost speaks SMTP" },
	{ "tls", "off", "TLS is always on, and verified" },
	{ "tls_starttls", "off", "Microsoft takes STARTTLS, at port 587" },
	{ "tls_certcheck", "off", "TLS is always on, and verified" },
	{ "password", "",
	    "Microsoft takes none any more; see 'auth' in "
	    "outpost.conf(5)" },
	{ "passwordeval", "", "Outpost gets its tokens itself" },
	{ "syslog", "off", "see 'log' in outpost.conf(5)" },
	{ "timeout", NULL, NULL },
	{ "set_date_header", NULL, NULL },
	{ "set_msgid_header", NULL, NULL },
	{ "set_from_header", NULL, NULL },
	{ "remove_bcc_headers", NULL, NULL },
	{ "undisclosed_recipients", NULL, NULL },
	{ "allow_from_override", NULL, NULL },
};

static void
say(const char *command, const char *why)
{
	char clean[CLEAN_SIZE];

	fprintf(stderr, "outpost: left out: '%s': %s\n",
	    log_clean(clean, sizeof(clean), command), why);
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Once for each command that is not taken over: the last of a name counts. */
static void
say_what_is_left_out(const struct msmtprc_account *a)
{
	for (size_t i = 0; i < a->count; i++) {
		const char *name = a->commands[i].name;
		const char *argument = a->commands[i].argument;
		const struct command *known = find_command(name);

		if (msmtprc_get(a, name) != argument)
			continue;
		if (known == NULL)
			say(name, "it has no counterpart");
		else if (known->when != NULL &&
			 strcmp(known->when, argument) == 0)
			say(name, known->why);
	}
}

static bool
is_address(const char *text)
{
	return text != NULL && text[strcspn(text, "%*")] == '\0' &&
	       address_domain(text) != NULL &&
	       address_smtp_safe(text, NULL, NULL) == 0;
}

/* The mailbox is who logs in; a From that differs is one it may send as. Its
 * domain is one that its organization has, which names that in Entra. */
static void
take_addresses(struct init *init, const struct msmtprc_account *a)
{
	const char *user = msmtprc_get(a, "user");
	const char *from = msmtprc_get(a, "from");

	if (is_address(user))
		init_default(init, false, "mailbox", user);
	if (is_address(from))
		init_default(init, false, "mailbox", from);
	if (init->mailbox == NULL)
		return;
	if (is_address(from) && strcasecmp(from, init->mailbox) != 0)
		init_default(init, false, "send_as", from);
	if (is_address(init->mailbox) && !config_is_consumer(init->mailbox))
		init_default(
		    init, false, "tenant", address_domain(init->mailbox));
}

static void
take_server(struct init *init, const struct msmtprc_account *a)
{
	const char *host = msmtprc_get(a, "host");
	const char *port = msmtprc_get(a, "port");
	const char *bundle = msmtprc_get(a, "tls_trust_file");
	const char *cloud = host != NULL ? config_cloud_of_host(host) : NULL;

	if (host != NULL && cloud == NULL)
		say("host", "it is not one of Microsoft's");
	else if (cloud != NULL && strcmp(cloud, "global") != 0)
		init_default(init, false, "cloud", cloud);
	if (port != NULL && strcmp(port, "25") == 0)
		init_default(init, false, "port", port);
	else if (port != NULL && strcmp(port, "587") != 0)
		say("port", "Microsoft listens at 587");
	if (bundle != NULL && strcmp(bundle, "system") != 0 &&
	    strcmp(bundle, SYSTEM_BUNDLE) != 0)
		init_default(init, false, "ca_file", bundle);
}

static const struct msmtprc_account *
choose(const struct init *init, const struct msmtprc *rc, const char *path,
    struct error *err)
{
	const struct msmtprc_account *a = msmtprc_choose(rc, init->mailbox);

	if (a != NULL)
		return a;
	if (init->mailbox != NULL) {
		error_set(err, EX_USAGE, "5.3.0",
		    "no account in '%s' has the user '%s'", path,
		    init->mailbox);
		(void)error_hint(err, "give --mailbox as it stands there, or "
				      "leave it out");
		return NULL;
	}
	error_set(err, EX_USAGE, "5.3.0",
	    "no account in '%s' is the default one", path);
	(void)error_hint(err, "say with --mailbox which to take, by its user");
	return NULL;
}

int
init_from_msmtp(struct init *init, const char *path, struct error *err)
{
	const struct msmtprc_account *a;
	const char *aliases;
	struct msmtprc rc;
	struct buf text;
	int result = -1;

	msmtprc_init(&rc);
	buf_init(&text, MSMTPRC_MAX);
	if (file_read(path, &text, err) == 0 &&
	    msmtprc_parse(&rc, path, text.data, text.len, err) == 0 &&
	    (a = choose(init, &rc, path, err)) != NULL) {
		take_addresses(init, a);
		take_server(init, a);
		aliases = msmtprc_get(a, "aliases");
		if (aliases != NULL && strcmp(aliases, SYSTEM_ALIASES) != 0)
			init_default(init, true, "aliases", aliases);
		say_what_is_left_out(a);
		result = 0;
	}
	buf_release(&text);
	msmtprc_release(&rc);
	return result;
}
