/* outpost: signs accounts in and out, and shows what goes on.
 *
 * It has its caller's rights. What needs more is done by programs that have
 * them, or, for root, as the service user whose files are touched.
 */
#include "outpost/outpost.h"

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/xalloc.h"

struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(struct outpost *, int, char **, struct error *);
	bool needs_config;
	const char *details; /* or NULL */
};

static int help_run(struct outpost *, int, char **, struct error *);
static int version_run(struct outpost *, int, char **, struct error *);

/* clang-format off */
static const struct command commands[] = {
	{ "init", "[option ...]",
	  "write a configuration", init_run, false, init_help },
	{ "login", "[--browser | --device | --paste] [account]",
	  "sign in with a browser on this machine or any other", login_run, true,
	  login_help },
	{ "logout", "[account]",
	  "forget the sign-in of an account", logout_run, true, NULL },
	{ "token", "[account]",
	  "print a valid access token", token_run, true, NULL },
	{ "check", "[--send address] [--json] [account]",
	  "try all that sending needs, step by step",
	  check_run, false, check_help },
	{ "status", "[--json | --prometheus]",
	  "how accounts and queue are, for monitoring too",
	  status_run, false, status_help },
	{ "explain", "[--json] text",
	  "what a server's reply or an error means, and what to do",
	  explain_run, false, explain_help },
	{ "help", "[command]",
	  "show this, or one command", help_run, false, NULL },
	{ "version", "",
	  "show the version", version_run, false, NULL },
};
/* clang-format on */

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_command(const struct command *command)
{
	printf("  outpost %s%s%s\n        %s\n", command->name,
	    *command->arguments == '\0' ? "" : " ", command->arguments,
	    command->summary);
}

static void
print_usage(const struct command *command)
{
	print_command(command);
	if (command->details != NULL)
		printf("\n%s", command->details);
}

static const struct command *
find_command(const char *name, struct error *err)
{
	struct nearest nearest = { .word = name };

	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		nearest_try(&nearest, commands[i].name);
	}
	error_set(err, EX_USAGE, "5.3.0", "there is no command '%s'", name);
	if (nearest.name != NULL)
		error_hint(err, "did you mean 'outpost %s'?", nearest.name);
	else
		error_hint(err, "'outpost help' lists them");
	return NULL;
}

static int
help_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	const struct command *command;
	const char *name = NULL;

	(void)o;
	if (outpost_argument(argc, argv, 1, &name, err) == -1)
		return -1;
	if (name != NULL) {
		if ((command = find_command(name, err)) == NULL)
			return -1;
		print_usage(command);
		return 0;
	}
	printf("usage: outpost [-C file] command [argument ...]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		print_command(&commands[i]);
	return 0;
}

static int
version_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	(void)o;
	(void)argv;
	if (argc > 1)
		return error_set(
		    err, EX_USAGE, "5.3.0", "version takes no argument");
	printf("outpost " OUTPOST_VERSION "\n");
	return 0;
}

int
outpost_argument(
    int argc, char **argv, int first, const char **out, struct error *err)
{
	if (argc > first + 1) {
		error_set(err, EX_USAGE, "5.3.0",
		    "%s takes one argument at the most", argv[0]);
		return error_hint(err, "'outpost help %s' tells more", argv[0]);
	}
	if (argc > first && argv[first][0] == '-') {
		error_set(err, EX_USAGE, "5.3.0", "%s has no option '%s'",
		    argv[0], argv[first]);
		return error_hint(err, "'outpost help %s' tells more", argv[0]);
	}
	*out = argc > first ? argv[first] : NULL;
	return 0;
}

static void
hint_accounts(const struct config *config, struct error *err)
{
	struct buf names;

	buf_init(&names, ERROR_HINT_SIZE / 2);
	for (size_t i = 0; i < config->account_count; i++)
		buf_addf(&names, "%s%s", i == 0 ? "" : ", ",
		    config->accounts[i].mailbox);
	error_hint(err, "name one of: %s", names.data);
	buf_release(&names);
}

int
outpost_account(const struct outpost *o, const char *mailbox,
    const struct account **out, struct error *err)
{
	const struct account *account =
	    mailbox != NULL ? config_account(&o->config, mailbox)
			    : config_default_account(&o->config);

	if (account != NULL) {
		*out = account;
		return 0;
	}
	if (o->config.account_count == 0) {
		error_set(err, EX_CONFIG, "5.3.5", "'%s' has no account",
		    o->config.path);
		return error_hint(err, "add a section named by the mailbox, as "
				       "outpost.conf(5) shows");
	}
	if (mailbox != NULL)
		error_set(err, EX_CONFIG, "5.3.5",
		    "there is no account '%s' in '%s'", mailbox,
		    o->config.path);
	else
		error_set(err, EX_USAGE, "5.3.0",
		    "there are several accounts and no default");
	hint_accounts(&o->config, err);
	return -1;
}

/* Whose are the secrets? On a system installation the token program's owner's,
 * whoever may have put their folder there; else that folder's owner's. */
static uid_t
owner_of_secrets(const struct outpost *o)
{
	char *folder = xasprintf("%s/secrets", o->config.state_dir);
	char *program = xasprintf("%s/token", o->libexec);
	struct stat status;
	uid_t owner = geteuid();

	if (stat(o->system ? program : folder, &status) == 0)
		owner = status.st_uid;
	free(folder);
	free(program);
	return owner;
}

static int
become(uid_t owner, const char *whose, struct error *err)
{
	const struct passwd *entry = getpwuid(owner);

	if (entry == NULL)
		return error_set(err, EX_CONFIG, "5.3.5",
		    "uid %ld, which %s belong to, has no name", (long)owner,
		    whose);
	return startup_become(entry->pw_name, err);
}

int
outpost_take_submit(const struct outpost *o, struct error *err)
{
	char *program = xasprintf("%s/submit", o->libexec);
	struct stat status;
	uid_t owner = geteuid();

	if (!o->system)
		owner = owner_of_secrets(o);
	else if (stat(program, &status) == 0)
		owner = status.st_uid;
	free(program);
	if (geteuid() == 0 && owner != 0 &&
	    become(owner, "Outpost's files", err) == -1)
		return -1;
	startup_guard_secrets();
	return 0;
}

static int
become_owner(const struct outpost *o, struct error *err)
{
	uid_t owner = owner_of_secrets(o);

	if (owner == geteuid())
		return 0;
	if (geteuid() != 0) {
		error_set(err, EX_NOPERM, "5.7.0",
		    "the sign-ins in '%s' belong to uid %ld",
		    o->config.state_dir, (long)owner);
		return error_hint(err, "run this as root");
	}
	return become(owner, "the sign-ins", err);
}

int
outpost_take_secrets(const struct outpost *o, struct error *err)
{
	if (become_owner(o, err) == -1)
		return -1;
	startup_guard_secrets();
	return 0;
}

void
outpost_locate(struct outpost *o)
{
	char *path;

	o->libexec = startup_libexec();
	path = xasprintf("%s/token", o->libexec);
	o->system = startup_is_set_id(path);
	free(path);
}

/* On a system installation the programs with rights listen to nobody's
 * configuration but the system's, so neither do we. */
int
outpost_load(struct outpost *o, struct error *err)
{
	char *path;
	int result;

	outpost_locate(o);
	if (o->system && o->config_option != NULL) {
		error_set(err, EX_NOPERM, "5.7.0",
		    "-C is not for a system installation");
		return error_hint(
		    err, "this host's configuration is %s", CONFIG_SYSTEM_PATH);
	}
	path = config_find(o->config_option, o->system);
	result = config_load(&o->config, path, err);
	free(path);
	return result;
}

/* The words that people try first. */
static const char *
command_name(const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return "help";
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		return "version";
	return word;
}

static int
usage(struct error *err, const char *what)
{
	error_set(err, EX_USAGE, "5.3.0", "%s", what);
	return error_hint(err,
	    "usage: outpost [-C file] command; 'outpost help' lists the "
	    "commands");
}

static int
run(struct outpost *o, int argc, char **argv, struct error *err)
{
	const struct command *command;
	int first = 1;

	if (argc > 1 && strcmp(argv[1], "-C") == 0) {
		if (argc < 3)
			return usage(err, "-C needs a file");
		o->config_option = argv[2];
		first = 3;
	}
	if (argc <= first)
		return usage(err, "a command is missing");
	command = find_command(command_name(argv[first]), err);
	if (command == NULL)
		return -1;
	if (argc > first + 1 && command->run != help_run &&
	    strcmp(command_name(argv[first + 1]), "help") == 0) {
		print_usage(command);
		return 0;
	}
	if (command->needs_config && outpost_load(o, err) == -1)
		return -1;
	return command->run(o, argc - first, argv + first, err);
}

int
outpost_flush(struct error *err)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return error_set(err, EX_IOERR, "4.3.0", "cannot write the output%s%s",
	    errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
}

static int
report(const struct error *err)
{
	char clean[ERROR_TEXT_SIZE * 4];

	(void)fprintf(stderr, "outpost: %s\n",
	    log_clean(clean, sizeof(clean), err->text));
	if (err->hint[0] != '\0')
		(void)fprintf(stderr, "  hint: %s\n",
		    log_clean(clean, sizeof(clean), err->hint));
	return err->exit_code;
}

int
main(int argc, char **argv)
{
	struct outpost o = { .config_option = NULL };
	struct error err;
	int code;

	startup_user(&o.who);
	log_open(LOG_TO_STDERR, "outpost", NULL);
	config_init(&o.config);
	if ((code = run(&o, argc, argv, &err)) == -1 ||
	    outpost_flush(&err) == -1)
		code = report(&err);
	config_release(&o.config);
	return code;
}
