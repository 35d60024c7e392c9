/* sendmail: reads a message and has it sent.
 *
 * It runs with its caller's rights and no others, since it reads what
 * strangers write. What needs rights is done by submit, which is started
 * before the message is read and learns of it through a pipe.
 */
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "account/alias_file.h"
#include "account/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/startup.h"
#include "base/xalloc.h"
#include "sendmail/caller.h"
#include "sendmail/intake.h"
#include "sendmail/mailq.h"
#include "sendmail/options.h"
#include "sendmail/queue_run.h"
#include "sendmail/smtpd.h"
#include "sendmail/transfer.h"
#include "sendmail/verify.h"
#include "submit/handoff.h"

#define NOTES_MAX 20 /* about aliases; a file may have a thousand mistakes */

/* What the parts of one run share. */
struct run {
	struct startup who;
	struct options options;
	struct config config;
	struct caller caller;
	struct alias_file aliases;
	unsigned notes;      /* about them */
	const char *libexec; /* folder of submit */
	bool system;         /* submit has rights of its own */
	char *config_path;
	struct handoff handoff;
	bool input_taken; /* standard input has been read to its end */
};

static void
say(const char *text)
{
	char clean[ERROR_TEXT_SIZE * 4];

	(void)fprintf(
	    stderr, "sendmail: %s\n", log_clean(clean, sizeof(clean), text));
}

static void
report(const struct error *err)
{
	char clean[ERROR_HINT_SIZE * 4];

	say(err->text);
	if (err->hint[0] != '\0')
		(void)fprintf(stderr, "  hint: %s\n",
		    log_clean(clean, sizeof(clean), err->hint));
}

/* A line from submit: of the dialogue (-v), of a recipient refused, of a
 * message queued, with a hint. */
static void
on_line(void *arg, char kind, const char *text)
{
	char clean[8192];

	(void)arg;
	if (kind == 'T' || kind == 'I')
		(void)fprintf(stderr, "%s%s\n", kind == 'I' ? "  hint: " : "",
		    log_clean(clean, sizeof(clean), text));
	else
		say(text);
}

static void
open_log(const struct run *r)
{
	const struct options *o = &r->options;

	log_open((enum log_target)r->config.log_target,
	    o->tag[0] != '\0' ? o->tag : "outpost/sendmail",
	    r->config.log_file);
	if (o->ignored_file != NULL)
		log_line(LOG_WARNING,
		    "uid %ld asked for the file '%s' to be opened, "
		    "which is never done",
		    (long)r->who.caller, o->ignored_file);
}

/* On a system installation submit has a set-id bit and listens to nobody's
 * OUTPOST_CONFIG, so neither do we. */
static int
load_config(struct run *r, struct error *err)
{
	char *path = xasprintf("%s/submit", r->libexec);

	r->system = startup_is_set_id(path);
	free(path);
	r->config_path = config_find(NULL, r->system);
	if (config_load(&r->config, r->config_path, err) == -1)
		return -1;
	open_log(r);
	return 0;
}

/* What aliases had left out. Who calls sendmail may not look at standard
 * error, and with -bs nobody does: it is logged too. */
static void
on_note(void *arg, bool mistake, const char *sentence)
{
	struct run *r = arg;
	bool sends =
	    r->options.mode == MODE_MESSAGE || r->options.mode == MODE_SMTP;

	(void)mistake;
	if (r->notes > NOTES_MAX)
		return;
	if (r->notes++ == NOTES_MAX)
		sentence = "there is more of this kind, which is not told";
	if (sends)
		log_line(LOG_WARNING, "%s", sentence);
	if (!sends ||
	    (r->options.mode == MODE_MESSAGE &&
		(enum log_target)r->config.log_target != LOG_TO_STDERR))
		say(sentence);
}

/* The configuration, and what there is to know of this host. The file of
 * aliases may be root's alone to read, like the configuration that names it. */
static int
prepare(struct run *r, struct error *err)
{
	if (load_config(r, err) == -1)
		return -1;
	caller_init(&r->caller, r->who.caller);
	if (!r->options.no_aliases)
		alias_file_read(&r->aliases);
	return 0;
}

static int
send_message(struct run *r, struct error *err)
{
	struct transfer t;
	int result = -1;

	transfer_init(&t, &r->options, &r->aliases, &r->caller, &r->handoff);
	r->input_taken = true;
	if (intake_read(STDIN_FILENO, &t.content, err) == 0 &&
	    transfer_end(&t, err) == 0)
		result = handoff_result(&r->handoff, on_line, NULL, err);
	if (t.content.dropped > 0)
		log_line(LOG_WARNING,
		    "%llu octets after a lone dot were "
		    "dropped (use -i)",
		    (unsigned long long)t.content.dropped);
	transfer_release(&t);
	return result;
}

/* Then root's rights are not needed any more. */
static int
start_submit(struct run *r, struct error *err)
{
	const struct handoff_setup setup = {
		.libexec = r->libexec,
		.config_path = r->system ? NULL : r->config_path,
		.tag = r->options.tag,
		.verbose = r->options.verbose,
	};

	if (handoff_start(&r->handoff, &setup, err) == -1)
		return -1;
	if (startup_become_nobody(err) == 0)
		return 0;
	handoff_close(&r->handoff);
	return -1;
}

/* One message, from the command line to Microsoft's verdict. */
static int
run_message(struct run *r, struct error *err)
{
	int result;

	if (r->options.recipient_count == 0 &&
	    !r->options.recipients_from_header) {
		error_set(err, EX_USAGE, "5.1.3", "no recipients are named");
		return error_hint(err,
		    "name them after the options, or use "
		    "-t to take them from the message's header");
	}
	if (prepare(r, err) == -1 || start_submit(r, err) == -1)
		return -1;
	result = send_message(r, err);
	handoff_close(&r->handoff);
	return result;
}

/* SMTP on standard input and output. Whatever is wrong is told there, since
 * that is all that a client looks at. */
static int
run_smtp(struct run *r, struct error *err)
{
	const struct smtpd_setup setup = {
		.options = &r->options,
		.aliases = &r->aliases,
		.caller = r->who.caller,
		.handoff = &r->handoff,
	};
	int result;

	r->input_taken = true;
	if (prepare(r, err) == -1 || start_submit(r, err) == -1) {
		smtpd_turn_away(&setup, err);
		return -1;
	}
	result = smtpd(&setup, err);
	handoff_close(&r->handoff);
	return result;
}

static int
run_queue(struct run *r, struct error *err)
{
	if (load_config(r, err) == -1)
		return -1;
	return queue_run(
	    &r->options, r->libexec, r->system ? NULL : r->config_path, err);
}

/* As a message would have it: includes are read without root's rights. */
static int
run_verify(struct run *r, struct error *err)
{
	if (prepare(r, err) == -1 || startup_become_nobody(err) == -1)
		return -1;
	return r->options.mode == MODE_ALIASES
		   ? verify_aliases(&r->aliases, err)
		   : verify_addresses(&r->options, &r->aliases, err);
}

static int
run(struct run *r, int argc, char **argv, struct error *err)
{
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;

	name = name != NULL ? name + 1 : argc > 0 ? argv[0] : "";
	if (strcmp(name, "mailq") == 0)
		return mailq_replace(argv, err);
	if (options_parse(&r->options, argc, argv, err) == -1)
		return -1;
	switch (r->options.mode) {
	case MODE_NOTHING:
		return 0;
	case MODE_VERSION:
		(void)printf("Outpost %s\n", OUTPOST_VERSION);
		return 0;
	case MODE_SMTP:
		return run_smtp(r, err);
	case MODE_QUEUE:
		return run_queue(r, err);
	case MODE_MAILQ:
	case MODE_MAILQ_COUNT:
		return mailq_for_options(&r->options, err);
	case MODE_ALIASES:
	case MODE_VERIFY:
		return run_verify(r, err);
	default:
		return run_message(r, err);
	}
}

int
main(int argc, char **argv)
{
	struct run r = { .libexec = startup_libexec() };
	struct error err;
	int exit_code = EX_OK;

	startup_user(&r.who);
	config_init(&r.config);
	alias_file_init(&r.aliases, &r.config, r.caller.host, on_note, &r);
	if (run(&r, argc, argv, &err) == -1) {
		if (err.exit_code != EX_USAGE && !r.input_taken &&
		    r.options.mode == MODE_MESSAGE)
			intake_drain(STDIN_FILENO, r.options.ignore_dots);
		report(&err);
		exit_code = err.exit_code;
	}
	alias_file_release(&r.aliases);
	caller_release(&r.caller);
	config_release(&r.config);
	free(r.config_path);
	return exit_code;
}
