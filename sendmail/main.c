/* sendmail: reads a message and has it sent.
 *
 * It runs with its caller's rights and no others, since it reads what
 * strangers write. What needs rights is done by submit, which is started
 * before the message is read and learns of it through a pipe.
 */
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/startup.h"
#include "base/xalloc.h"
#include "mail/content.h"
#include "sendmail/caller.h"
#include "sendmail/compose.h"
#include "sendmail/intake.h"
#include "sendmail/mailq.h"
#include "sendmail/options.h"
#include "sendmail/queue_run.h"
#include "submit/handoff.h"

/* What the parts of one run share. */
struct run {
	struct startup who;
	struct options options;
	struct config config;
	struct caller caller;
	char *libexec; /* folder of submit */
	bool system;   /* submit has rights of its own */
	char *config_path;
	struct message message;
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

/* On a system installation submit has a set-id bit and listens to nobody's
 * OUTPOST_CONFIG, so neither do we. */
static int
load_config(struct run *r, struct error *err)
{
	const char *libexec = getenv("OUTPOST_LIBEXEC");
	char *path;

	r->libexec = xstrdup(
	    libexec != NULL && *libexec == '/' ? libexec : OUTPOST_LIBEXECDIR);
	path = xasprintf("%s/submit", r->libexec);
	r->system = startup_is_set_id(path);
	free(path);
	if (r->system && r->options.config != NULL) {
		error_set(err, EX_NOPERM, "5.7.0",
		    "-C is not for a system installation");
		return error_hint(
		    err, "this host's configuration is %s", CONFIG_SYSTEM_PATH);
	}
	r->config_path = config_find(r->options.config, r->system);
	return config_load(&r->config, r->config_path, err);
}

static void
log_ignored_file(const struct run *r)
{
	if (r->options.ignored_file == NULL)
		return;
	log_open((enum log_target)r->config.log_target, "outpost/sendmail",
	    r->config.log_file);
	log_line(LOG_WARNING,
	    "uid %ld asked for the file '%s' to be opened, "
	    "which is never done",
	    (long)r->who.caller, r->options.ignored_file);
}

static bool
is_denied(void *arg, const char *address)
{
	return handoff_is_denied(arg, address);
}

/* The header is complete: who gets it, and as whom? */
static int
on_header(void *arg, struct content *content, struct error *err)
{
	struct run *r = arg;

	if (compose_envelope(&r->message, &content->header, err) == -1)
		return -1;
	return handoff_envelope(&r->handoff, &r->message.envelope, err);
}

static int
on_body(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct run *r = arg;

	return handoff_body(&r->handoff, bytes, len, err);
}

/* The body is with submit: what is left is the header and the word to go. */
static int
complete_message(
    struct run *r, const struct content *content, struct error *err)
{
	struct handoff_end end = {
		.body_size = content->size,
		.queue_only = r->options.queue_only,
	};
	struct buf header;
	int result = -1;

	buf_init(&header, HANDOFF_HEADER_MAX);
	end.lines = compose_lines(&r->message, content);
	if (compose_header(&r->message, content, &header, err) == -1)
		goto out;
	end.eight_bit = r->message.envelope.eight_bit;
	end.smtputf8 = r->message.envelope.smtputf8;
	if (handoff_header(&r->handoff, header.data, header.len, err) == -1)
		goto out;
	result = handoff_end(&r->handoff, &end, err);
out:
	buf_release(&header);
	return result;
}

static int
send_message(struct run *r, struct error *err)
{
	struct content content;
	int result = -1;

	content_init(&content, on_body, r);
	content.begin = on_header;
	content.ignore_dots = r->options.ignore_dots;
	content.lines = CONTENT_KEEP;
	r->input_taken = true;
	if (intake_read(STDIN_FILENO, &content, err) == 0 &&
	    complete_message(r, &content, err) == 0)
		result = handoff_result(&r->handoff, on_line, NULL, err);
	else
		handoff_abort(&r->handoff);
	if (content.dropped > 0)
		log_line(LOG_WARNING,
		    "%llu octets after a lone dot were "
		    "dropped (use -i)",
		    (unsigned long long)content.dropped);
	content_release(&content);
	return result;
}

/* One message, from the command line to Microsoft's verdict. */
static int
run_message(struct run *r, struct error *err)
{
	if (r->options.recipient_count == 0 &&
	    !r->options.recipients_from_header) {
		error_set(err, EX_USAGE, "5.1.3", "no recipients are named");
		return error_hint(err,
		    "name them after the options, or use "
		    "-t to take them from the message's header");
	}
	if (load_config(r, err) == -1)
		return -1;
	log_ignored_file(r);
	caller_init(&r->caller, r->who.caller);
	message_init(&r->message, &r->options, &r->config, &r->caller);
	r->message.is_denied = is_denied;
	r->message.is_denied_arg = &r->handoff;
	if (handoff_start(&r->handoff, r->libexec,
		r->system ? NULL : r->config_path, r->options.verbose,
		err) == -1)
		return -1;
	if (startup_become_nobody(err) == -1) {
		handoff_abort(&r->handoff);
		return -1;
	}
	return send_message(r, err);
}

static int
run_queue(struct run *r, struct error *err)
{
	if (load_config(r, err) == -1)
		return -1;
	return queue_run(
	    &r->options, r->libexec, r->system ? NULL : r->config_path, err);
}

static int
run(struct run *r, int argc, char **argv, struct error *err)
{
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;

	name = name != NULL ? name + 1 : argc > 0 ? argv[0] : "";
	if (strcmp(name, "newaliases") == 0) {
		error_set(err, EX_USAGE, "5.5.1",
		    "aliases are not supported yet, so there is nothing to "
		    "rebuild");
		return error_hint(err, "mail for local users goes to 'admin'");
	}
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
	case MODE_QUEUE:
		return run_queue(r, err);
	case MODE_MAILQ:
	case MODE_MAILQ_COUNT:
		return mailq_for_options(&r->options, err);
	case MODE_MESSAGE:
		break;
	}
	return run_message(r, err);
}

int
main(int argc, char **argv)
{
	struct run r = { .libexec = NULL };
	struct error err;
	int exit_code = EX_OK;

	startup_user(&r.who);
	config_init(&r.config);
	message_init(&r.message, NULL, NULL, NULL);
	if (run(&r, argc, argv, &err) == -1) {
		if (err.exit_code != EX_USAGE && !r.input_taken &&
		    r.options.mode == MODE_MESSAGE)
			intake_drain(STDIN_FILENO, r.options.ignore_dots);
		report(&err);
		exit_code = err.exit_code;
	}
	message_release(&r.message);
	caller_release(&r.caller);
	config_release(&r.config);
	free(r.libexec);
	free(r.config_path);
	return exit_code;
}
