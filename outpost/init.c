/* outpost init: writes a configuration, by flags, by what a container's
 * environment says, or by questions on a terminal (init_ask.c).
 */
#include "outpost/init.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "outpost/outpost.h"

#define SECRET_MAX (16u * 1024)
#define CONTAINER_SECRET "/run/secrets/azure_client_secret"

const char init_help[] =
    "Asks for what is needed on a terminal, unless flags say it:\n"
    "\n"
    "  --mailbox address    the mailbox that sends\n"
    "  --auth kind          login, secret, certificate, managed-identity or\n"
    "                       workload-identity\n"
    "  --tenant name        the organization's id or domain in Entra\n"
    "  --client-id id       the application's id in Entra\n"
    "  --secret-file file   for auth = secret: where the client secret is\n"
    "  --certificate file   for auth = certificate: PEM, with the key unless\n"
    "  --key-file file      names it\n"
    "  --federated-token-file file\n"
    "                       for auth = workload-identity: where the platform\n"
    "                       keeps the token\n"
    "  --identity kind, --identity-endpoint url, --identity-header-file file\n"
    "                       for auth = managed-identity, where the platform\n"
    "                       does not say it in the environment\n"
    "  --cloud name         global, outlook, gcchigh, dod, china or hve\n"
    "  --admin address      who gets mail for local users\n"
    "  --state-dir folder   where sign-ins and tokens are kept\n"
    "  --queue-dir folder   where mail waits\n"
    "  --set key=value      any other key of the account, outpost.conf(5)\n"
    "\n"
    "  --from-env           for containers: OUTPOST_MAILBOX, OUTPOST_AUTH,\n"
    "                       OUTPOST_CLOUD, OUTPOST_ADMIN, OUTPOST_STATE_DIR,\n"
    "                       OUTPOST_QUEUE_DIR, AZURE_TENANT_ID,\n"
    "                       AZURE_CLIENT_ID, AZURE_CLIENT_CERTIFICATE_PATH,\n"
    "                       AZURE_FEDERATED_TOKEN_FILE,\n"
    "                       AZURE_AUTHORITY_HOST; AZURE_CLIENT_SECRET,\n"
    "                       AZURE_CLIENT_SECRET_FILE or\n"
    "                       " CONTAINER_SECRET "\n"
    "  --from-msmtp file    what an msmtp configuration says already\n"
    "  --output file        where to write it\n"
    "  --force              replace what is there\n";

/* What a flag and a variable set; "mailbox" names the section. A 'path' may be
 * relative. */
static const struct flag {
	const char *name;
	const char *key;
	const char *variable; /* or NULL */
	bool main;
	bool path;
} flags[] = {
	{ "--mailbox", "mailbox", "OUTPOST_MAILBOX", false, false },
	{ "--auth", "auth", "OUTPOST_AUTH", false, false },
	{ "--tenant", "tenant", "AZURE_TENANT_ID", false, false },
	{ "--client-id", "client_id", "AZURE_CLIENT_ID", false, false },
	{ "--secret-file", "client_secret_file", NULL, false, true },
	{ "--certificate", "certificate", "AZURE_CLIENT_CERTIFICATE_PATH",
	    false, true },
	{ "--key-file", "key_file", NULL, false, true },
	{ "--federated-token-file", "federated_token_file", NULL, false, true },
	{ "--identity", "identity", NULL, false, false },
	{ "--identity-endpoint", "identity_endpoint", NULL, false, false },
	{ "--identity-header-file", "identity_header_file", NULL, false, true },
	{ "--cloud", "cloud", "OUTPOST_CLOUD", false, false },
	{ "--admin", "admin", "OUTPOST_ADMIN", true, false },
	{ "--state-dir", "state_dir", "OUTPOST_STATE_DIR", true, true },
	{ "--queue-dir", "queue_dir", "OUTPOST_QUEUE_DIR", true, true },
	{ NULL, "authority", "AZURE_AUTHORITY_HOST", false, false },
	{ NULL, "aliases", NULL, true, true },
	{ NULL, "ca_file", NULL, false, true },
};

#define FLAGS (sizeof(flags) / sizeof(flags[0]))

struct arguments {
	bool from_env;
	const char *msmtp;
	const char *output;
};

const char *
init_get(const struct init *init, const char *key)
{
	if (strcmp(key, "mailbox") == 0)
		return init->mailbox;
	for (size_t i = 0; i < init->count; i++)
		if (strcmp(init->settings[i].key, key) == 0)
			return init->settings[i].value;
	return NULL;
}

void
init_set(struct init *init, bool main, const char *key, const char *value)
{
	struct init_setting *s = init->settings;
	size_t i = 0;

	if (value == NULL || *value == '\0')
		return;
	if (strcmp(key, "mailbox") == 0) {
		free(init->mailbox);
		init->mailbox = xstrdup(value);
		return;
	}
	while (i < init->count && strcmp(s[i].key, key) != 0)
		i++;
	if (i == INIT_SETTINGS_MAX)
		return;
	if (i == init->count) {
		s[i].key = xstrdup(key);
		init->count++;
	}
	free(s[i].value);
	s[i].value = xstrdup(value);
	s[i].main = main;
}

/* The same where there is no value yet. */
void
init_default(struct init *init, bool main, const char *key, const char *value)
{
	if (init_get(init, key) == NULL)
		init_set(init, main, key, value);
}

/* A path as people type it: from the folder where we are, or the home folder,
 * which no shell puts in place at a question. To be freed; NULL for errno. */
static char *
absolute(const char *path)
{
	const char *home = getenv("HOME");
	char folder[PATH_MAX];

	if (strncmp(path, "~/", 2) == 0 && home != NULL && *home == '/')
		return xasprintf("%s%s", home, path + 1);
	if (getcwd(folder, sizeof(folder)) == NULL)
		return NULL;
	return xasprintf("%s/%s", folder, path);
}

static int
make_absolute(struct init *init, struct error *err)
{
	for (size_t i = 0; i < FLAGS; i++) {
		const char *value = init_get(init, flags[i].key);
		char *path;

		if (!flags[i].path || value == NULL || *value == '/')
			continue;
		if ((path = absolute(value)) == NULL)
			return error_set(err, EX_IOERR, "4.3.0",
			    "cannot find the folder of '%s': %s", value,
			    strerror(errno));
		init_set(init, flags[i].main, flags[i].key, path);
		free(path);
	}
	return 0;
}

static void
release(struct init *init)
{
	for (size_t i = 0; i < init->count; i++) {
		free(init->settings[i].key);
		free(init->settings[i].value);
	}
	free(init->path);
	free(init->mailbox);
	buf_release(&init->secret);
}

static int
wrong_use(const char *argument, struct error *err)
{
	error_set(err, EX_USAGE, "5.3.0", "init does not take '%s'", argument);
	return error_hint(err, "'outpost help init' tells more");
}

/* "key=value" of --set. */
static int
set_other(struct init *init, const char *argument, struct error *err)
{
	const char *equals = strchr(argument, '=');
	char *key;

	if (equals == NULL || equals == argument || equals[1] == '\0') {
		error_set(err, EX_USAGE, "5.3.0", "--set takes key=value");
		return error_hint(err, "'outpost help init' tells more");
	}
	key = xstrndup(argument, (size_t)(equals - argument));
	init_set(init, false, key, equals + 1);
	free(key);
	return 0;
}

static const struct flag *
find_flag(const char *name)
{
	for (size_t i = 0; i < FLAGS; i++)
		if (flags[i].name != NULL && strcmp(flags[i].name, name) == 0)
			return &flags[i];
	return NULL;
}

static bool
is_known(const char *name)
{
	return find_flag(name) != NULL || strcmp(name, "--output") == 0 ||
	       strcmp(name, "--from-msmtp") == 0 || strcmp(name, "--set") == 0;
}

static int
parse_arguments(struct init *init, struct arguments *a, int argc, char **argv,
    struct error *err)
{
	for (int i = 1; i < argc; i++) {
		const struct flag *flag = find_flag(argv[i]);
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--from-env") == 0) {
			a->from_env = true;
			continue;
		}
		if (strcmp(argv[i], "--force") == 0) {
			init->force = true;
			continue;
		}
		if (*value == '\0' && is_known(argv[i])) {
			error_set(err, EX_USAGE, "5.3.0",
			    "'%s' needs a value behind it", argv[i]);
			return error_hint(
			    err, "'outpost help init' tells more");
		}
		if (flag != NULL)
			init_set(init, flag->main, flag->key, value);
		else if (strcmp(argv[i], "--output") == 0)
			a->output = value;
		else if (strcmp(argv[i], "--from-msmtp") == 0)
			a->msmtp = value;
		else if (strcmp(argv[i], "--set") != 0)
			return wrong_use(argv[i], err);
		else if (set_other(init, value, err) == -1)
			return -1;
		i++;
	}
	return 0;
}

/* The client secret of the environment or of a file that the container mounts.
 * A file is used in its place if the token program will take it, else
 * copied. */
static int
take_secret(struct init *init, struct error *err)
{
	const char *value = startup_variable("AZURE_CLIENT_SECRET");
	const char *file = startup_variable("AZURE_CLIENT_SECRET_FILE");
	struct buf *secret = &init->secret;

	if (value != NULL) {
		(void)buf_adds(secret, value);
		(void)buf_addc(secret, '\n');
		return 0;
	}
	if (file == NULL) {
		file = CONTAINER_SECRET;
		if (access(file, F_OK) == -1)
			return 0;
	}
	if (!init->outpost->system &&
	    file_read_secret(file, false, secret, NULL) == 0) {
		buf_clear(secret);
		init_default(init, false, "client_secret_file", file);
		return 0;
	}
	buf_clear(secret);
	return file_read(file, secret, err);
}

/* What no flag says. */
static int
read_environment(struct init *init, struct error *err)
{
	for (size_t i = 0; i < FLAGS; i++)
		if (flags[i].variable != NULL)
			init_default(init, flags[i].main, flags[i].key,
			    getenv(flags[i].variable));
	/* There is no syslog in a container. */
	init_default(init, true, "log", "stderr");
	return take_secret(init, err);
}

/* The keys that one kind of auth alone has. */
static const struct credential {
	const char *key, *auth;
} credentials[] = {
	{ "client_secret_file", "secret" },
	{ "certificate", "certificate" },
	{ "federated_token_file", "workload-identity" },
	{ "identity", "managed-identity" },
	{ "identity_endpoint", "managed-identity" },
	{ "identity_header_file", "managed-identity" },
};

/* What the credential says of the kind, or else the platform. */
static void
infer_auth(struct init *init, bool from_env)
{
	const char *auth = init_get(init, "auth");

	if (auth == NULL && init->secret.len > 0)
		auth = "secret";
	for (size_t i = 0; i < sizeof(credentials) / sizeof(credentials[0]);
	     i++)
		if (auth == NULL && init_get(init, credentials[i].key) != NULL)
			auth = credentials[i].auth;
	if (auth == NULL && from_env &&
	    startup_variable("AZURE_FEDERATED_TOKEN_FILE") != NULL)
		auth = "workload-identity";
	else if (auth == NULL && from_env &&
		 (startup_variable("IDENTITY_ENDPOINT") != NULL ||
		     startup_variable("MSI_ENDPOINT") != NULL))
		auth = "managed-identity";
	init_default(init, false, "auth", auth);
	if (from_env && auth != NULL && strcmp(auth, "workload-identity") == 0)
		init_default(init, false, "federated_token_file",
		    getenv("AZURE_FEDERATED_TOKEN_FILE"));
}

/* Where secrets would be kept by a configuration at that place. */
char *
init_secrets_folder(const struct init *init)
{
	static const char text[] = "[a@b.c]\nclient_id = x\ntenant = x\n";
	const char *named = init_get(init, "state_dir");
	struct config config;
	char *folder = NULL;

	config_init(&config);
	if (named != NULL)
		folder = xasprintf("%s/secrets", named);
	else if (config_take(
		     &config, init->path, text, sizeof(text) - 1, NULL) == 0)
		folder = xasprintf("%s/secrets", config.state_dir);
	config_release(&config);
	return folder;
}

static int
find_place(struct init *init, const char *output, struct error *err)
{
	struct outpost *o = init->outpost;
	const char *named = startup_variable("OUTPOST_CONFIG");

	if (output == NULL && !o->system)
		output = o->config_option != NULL ? o->config_option : named;
	if (output != NULL) {
		init->path = xstrdup(output);
		return 0;
	}
	if (o->system && geteuid() != 0) {
		error_set(err, EX_NOPERM, "5.7.0",
		    "on a system installation root alone writes '%s'",
		    CONFIG_SYSTEM_PATH);
		return error_hint(err, "run this as root, or name a file with "
				       "--output");
	}
	init->path = config_own_path();
	return 0;
}

static int
check_mailbox(const struct init *init, struct error *err)
{
	if (init->mailbox == NULL) {
		error_set(err, EX_USAGE, "5.3.0",
		    "init needs the mailbox that sends");
		return error_hint(
		    err, "give --mailbox, or OUTPOST_MAILBOX with --from-env");
	}
	if (address_smtp_safe(init->mailbox, NULL, NULL) == 0)
		return 0;
	return error_set(err, EX_USAGE, "5.1.3", "'%s' is not a mail address",
	    init->mailbox);
}

static bool
is_terminal(void)
{
	return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

static bool
lacks_something(const struct init *init)
{
	const char *auth = init_get(init, "auth");

	return init->mailbox == NULL ||
	       (init_get(init, "client_id") == NULL &&
		   (auth == NULL || strcmp(auth, "managed-identity") != 0));
}

/* All that is to stand in the configuration. */
static int
gather(struct init *init, int argc, char **argv, struct error *err)
{
	struct arguments a = { .from_env = false };
	char *folder, *file;

	if (parse_arguments(init, &a, argc, argv, err) == -1 ||
	    find_place(init, a.output, err) == -1 ||
	    (a.msmtp != NULL && init_from_msmtp(init, a.msmtp, err) == -1) ||
	    (a.from_env && read_environment(init, err) == -1))
		return -1;
	infer_auth(init, a.from_env);
	if (!a.from_env && lacks_something(init) && is_terminal() &&
	    init_ask(init, err) == -1)
		return -1;
	if (check_mailbox(init, err) == -1 || make_absolute(init, err) == -1)
		return -1;
	if (init->secret.len > 0) {
		folder = init_secrets_folder(init);
		file = xasprintf("%s/client-secret", folder);
		init_set(init, false, "client_secret_file", file);
		free(file);
		free(folder);
	}
	return 0;
}

static void
show_secret_command(const struct init *init, const struct account *a)
{
	char *program = xasprintf("%s/token", init->outpost->libexec);
	struct stat status;

	printf("  install -m 600 ");
	if (init->outpost->system && stat(program, &status) == 0)
		printf("-o %ld ", (long)status.st_uid);
	printf(
	    "/dev/stdin %s\n"
	    "  # now type or paste the secret's Value, then Enter and Ctrl-D\n",
	    a->client_secret_file);
	free(program);
}

static void
show_next(const struct init *init)
{
	const struct outpost *o = init->outpost;
	const struct account *a = &o->config.accounts[0];
	char *found = config_find(o->config_option, o->system);

	printf("%s is written. Next:\n\n", init->path);
	if (a->auth == AUTH_SECRET &&
	    access(a->client_secret_file, F_OK) == -1 && errno == ENOENT)
		show_secret_command(init, a);
	printf("  outpost ");
	if (strcmp(found, init->path) != 0)
		printf("-C %s ", init->path);
	printf(
	    "%s %s\n", a->auth == AUTH_LOGIN ? "login" : "check", a->mailbox);
	free(found);
}

int
init_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	struct init init = { .outpost = o };
	struct buf text;
	int result = -1;

	outpost_locate(o);
	buf_init(&init.secret, SECRET_MAX);
	buf_init(&text, CONFIG_FILE_MAX);
	if (gather(&init, argc, argv, err) == 0 &&
	    init_compose(&init, &text, err) == 0 &&
	    init_write(&init, &text, err) == 0) {
		show_next(&init);
		result = 0;
	}
	buf_release(&text);
	release(&init);
	return result;
}
