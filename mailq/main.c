/* mailq: shows the queue and works on it.
 *
 * It runs set-id as the user who owns the queue. Users see and touch their
 * own messages, root and that user all.
 */
#include "mailq/mailq.h"

#include <errno.h>
#include <getopt.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#define HELP 1 /* has no letter: -h is --hold */

/* clang-format off */
static const struct option long_options[] = {
	{ "count",        no_argument, NULL, 'n' },
	{ "failed",       no_argument, NULL, 'f' },
	{ "help",         no_argument, NULL, HELP },
	{ "hold",         no_argument, NULL, 'h' },
	{ "json",         no_argument, NULL, 'j' },
	{ "release",      no_argument, NULL, 'H' },
	{ "remove",       no_argument, NULL, 'd' },
	{ "retry",        no_argument, NULL, 'r' },
	{ "retry-failed", no_argument, NULL, 'F' },
	{ "show",         no_argument, NULL, 's' },
	{ "verbose",      no_argument, NULL, 'v' },
	{ NULL,           0,           NULL, 0 },
};

static const struct {
	char letter;
	enum mailq_action action;
} actions[] = {
	{ 'n', MAILQ_COUNT },
	{ 's', MAILQ_SHOW },
	{ 'r', MAILQ_RETRY },
	{ 'h', MAILQ_HOLD },
	{ 'H', MAILQ_RELEASE },
	{ 'd', MAILQ_REMOVE },
	{ 'F', MAILQ_RETRY_FAILED },
};
/* clang-format on */

static const char help[] =
    "usage: mailq [-fjnv] [-C file] [what ...]\n"
    "       mailq -d | -F | -H | -h | -r | -s [-fv] [-C file] what ...\n"
    "\n"
    "Lists the messages that wait to be sent. What is a message's name, an\n"
    "account's mailbox, or ALL.\n"
    "\n"
    "  -f, --failed        messages that failed, not those that wait\n"
    "  -v, --verbose       also how often tried, when next, and what to do\n"
    "  -j, --json          for programs\n"
    "  -n, --count         how many there are\n"
    "\n"
    "  -s, --show          show messages whole\n"
    "  -r, --retry         try them now\n"
    "  -h, --hold          do not try them until they are released\n"
    "  -H, --release       let held messages be sent again\n"
    "  -d, --remove        remove them for good\n"
    "  -F, --retry-failed  put messages that failed back, and try them now\n"
    "\n"
    "  -C file             read this configuration\n"
    "      --help          show this\n";

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

void
mailq_complain(const struct error *err)
{
	char clean[ERROR_HINT_SIZE * 4];

	(void)fprintf(
	    stderr, "mailq: %s\n", log_clean(clean, sizeof(clean), err->text));
	if (err->hint[0] != '\0')
		(void)fprintf(stderr, "  hint: %s\n",
		    log_clean(clean, sizeof(clean), err->hint));
}

bool
mailq_is_allowed(const struct mailq *m, const struct entry *e)
{
	return !m->filter.own || e->uid == m->filter.uid;
}

bool
mailq_is_meant(const struct mailq *m, const struct entry *e)
{
	for (size_t i = 0; i < m->word_count; i++)
		if (strcmp(m->words[i], "ALL") == 0 ||
		    strcmp(m->words[i], e->id) == 0 ||
		    (e->envelope.account != NULL &&
			strcasecmp(m->words[i], e->envelope.account) == 0))
			return true;
	return false;
}

int
mailq_no_message(const char *id, struct error *err)
{
	if (id != NULL)
		error_set(err, EX_UNAVAILABLE, "5.3.0",
		    "there is no message %s in the queue", id);
	else
		error_set(err, EX_UNAVAILABLE, "5.3.0",
		    "there are no such messages in the queue");
	return error_hint(
	    err, "'mailq' lists what waits, 'mailq --failed' what failed");
}

static int
usage(struct error *err)
{
	return error_hint(err, "'mailq --help' shows them all");
}

/* Of several letters in a word it is one, of a long option the word. */
static int
unknown(const char *word, struct error *err)
{
	if (optopt == 'C')
		error_set(err, EX_USAGE, "5.5.4", "-C needs a file");
	else if (optopt != 0 && optopt != HELP)
		error_set(err, EX_USAGE, "5.5.4", "mailq does not know '-%c'",
		    optopt);
	else
		error_set(
		    err, EX_USAGE, "5.5.4", "mailq does not know '%s'", word);
	return usage(err);
}

static int
take_option(struct mailq *m, int letter, const char *word, struct error *err)
{
	for (size_t i = 0; i < ACTIONS; i++)
		if (actions[i].letter == letter) {
			if (m->action != MAILQ_LIST) {
				error_set(err, EX_USAGE, "5.5.4",
				    "only one thing can be done at a time");
				return usage(err);
			}
			m->action = actions[i].action;
			return 0;
		}
	switch (letter) {
	case 'C':
		m->config_option = optarg;
		return 0;
	case 'f':
		m->folder = ENTRY_FAILED;
		return 0;
	case 'j':
		m->json = true;
		return 0;
	case 'v':
		m->verbose = true;
		return 0;
	case HELP:
		m->action = MAILQ_HELP;
		return 0;
	default:
		return unknown(word, err);
	}
}

static int
parse_arguments(struct mailq *m, int argc, char **argv, struct error *err)
{
	int letter;

	opterr = 0;
	while ((letter = getopt_long(
		    argc, argv, "+C:dFfHhjnrsv", long_options, NULL)) != -1)
		if (take_option(m, letter, argv[optind - 1], err) == -1)
			return -1;
	if (m->action == MAILQ_HELP)
		return 0;
	m->words = argv + optind;
	m->word_count = (size_t)(argc - optind);
	if (m->word_count == 0 && m->action > MAILQ_COUNT) {
		error_set(err, EX_USAGE, "5.5.4",
		    "which messages are meant is not said");
		return error_hint(
		    err, "name messages, an account's mailbox, or ALL");
	}
	if (m->who.service && m->config_option != NULL)
		return error_set(err, EX_NOPERM, "5.7.0",
		    "-C is not for a system installation");
	return 0;
}

static int
load(struct mailq *m, struct error *err)
{
	m->config_path = config_find(m->config_option, m->who.service);
	if (config_load(&m->config, m->config_path, err) == -1)
		return -1;
	if (m->who.set_id_ignored &&
	    access(m->config.queue_dir, R_OK | W_OK | X_OK) == -1)
		return startup_ignored_error(err);
	log_open((enum log_target)m->config.log_target, "outpost/mailq",
	    m->config.log_file);
	m->filter.own = m->who.caller != 0 && m->who.caller != geteuid();
	m->filter.uid = m->who.caller;
	return 0;
}

static int
run(struct mailq *m, int argc, char **argv, struct error *err)
{
	if (startup_service(&m->who, err) == -1 ||
	    parse_arguments(m, argc, argv, err) == -1)
		return -1;
	if (m->action == MAILQ_HELP) {
		(void)fputs(help, stdout);
		return 0;
	}
	if (load(m, err) == -1)
		return -1;
	switch (m->action) {
	case MAILQ_LIST:
		return mailq_list(m, err);
	case MAILQ_COUNT:
		return mailq_count(m, err);
	case MAILQ_SHOW:
		return mailq_show(m, err);
	default:
		return mailq_act(m, err);
	}
}

int
main(int argc, char **argv)
{
	struct mailq m = { .action = MAILQ_LIST };
	struct error err;
	int exit_code = EX_OK, result;

	config_init(&m.config);
	result = run(&m, argc, argv, &err);
	if ((fflush(stdout) == EOF || ferror(stdout)) && result == 0)
		result = error_set(&err, EX_IOERR, "4.3.0",
		    "cannot write the output: %s", strerror(errno));
	if (result == -1) {
		mailq_complain(&err);
		exit_code = err.exit_code;
	}
	config_release(&m.config);
	free(m.config_path);
	return exit_code;
}
