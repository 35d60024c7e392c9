/* submit: takes messages from sendmail's pipe and sends or queues them; with
 * -q, runs the queue.
 *
 * It owns the queue and talks to Microsoft, so it runs set-id as the user
 * 'outpost' and trusts nothing that its caller says: account, sender and
 * recipients are checked again here, against the real uid. It parses no mail
 * and never sees a secret, only access tokens.
 *
 * With -t it takes no message: it hands the access token of a mailbox to a
 * caller whom `token_users` permits, since nobody else than its own user can
 * run the token program. The answer is that program's.
 *
 * With -u, which root and the service user alone may say, a run of the queue
 * is for another user, whose rights it has then and no more: mailq runs set-id
 * too.
 *
 *	submit [-C config] [-L tag] [-v]
 *	submit [-C config] [-L tag] -q [-fv] [-u uid]
 *		[-M pattern ...] [id ...]
 *	submit [-C config] -t mailbox
 */
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "account/account.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/startup.h"
#include "base/xalloc.h"
#include "queue/incoming.h"
#include "queue/learned.h"
#include "queue/pattern.h"
#include "queue/queue.h"
#include "queue/spool.h"
#include "smtp/stream.h"
#include "submit/deliver.h"
#include "submit/handoff.h"
#include "submit/runner.h"
#include "submit/submit.h"
#include "token/token.h"

/* A large message on a slow line, and ten minutes for the last reply, fit;
 * what takes longer hangs. */
#define RUN_SECONDS 7200
#define RELAY_SECONDS 60 /* for a token by -t */
#define HOST_SIZE 256
/* A connection without a message is let go after so long. */
#define KEEP_SECONDS 5.0
/* A line for a person waits no longer for whom it is for. */
#define SHOW_SECONDS 2.0
#define PATTERNS_MAX 32

struct job {
	struct startup who;
	const char *config_option; /* -C */
	const char *token_of;      /* -t */
	char tag[LOG_TAG_SIZE];    /* -L, or "" */
	bool verbose;              /* -v, and somebody reads it */
	bool queue_run;            /* -q */
	bool force;                /* -f: also what is not due */
	const char *user;          /* -u: for whom it is run */
	char *patterns[PATTERNS_MAX];
	size_t pattern_count; /* -M */
	char **ids;           /* what stands behind the options */
	size_t id_count;
	char *config_path;
	struct config config;
	char *caller_name;    /* login name, or NULL */
	struct error trouble; /* why no message can be sent at all */
	char host[HOST_SIZE];
	struct deliver_connection connection;
	double last_message; /* file_now() seconds of its end */

	/* The message. */
	const struct account *account;
	struct entry entry;
	struct handoff_end end;
	struct incoming incoming;
	struct spool spool;
};

static volatile sig_atomic_t signalled;

static int
not_by_hand(struct error *err)
{
	return error_set(
	    err, EX_USAGE, "5.3.0", "submit is run by sendmail, not by hand");
}

static int
take_option(struct job *job, int letter, struct error *err)
{
	switch (letter) {
	case 'C':
		job->config_option = optarg;
		return 0;
	case 'f':
		job->force = true;
		return 0;
	case 'L':
		(void)log_tag(job->tag, optarg);
		return 0;
	case 'M':
		if (job->pattern_count == PATTERNS_MAX ||
		    !pattern_valid(optarg))
			return not_by_hand(err);
		job->patterns[job->pattern_count++] = optarg;
		return 0;
	case 'q':
		job->queue_run = true;
		return 0;
	case 't':
		job->token_of = optarg;
		return 0;
	case 'u':
		job->user = optarg;
		return 0;
	case 'v':
		job->verbose = true;
		return 0;
	default:
		return not_by_hand(err);
	}
}

static bool
is_ordinary(uid_t uid)
{
	return uid != 0 && uid != geteuid();
}

/* -u takes rights away and gives none. */
static int
act_for_user(struct job *job, struct error *err)
{
	const char *wrong = NULL;
	long long uid = strtonum(job->user, 0, UINT32_MAX - 1, &wrong);

	if (wrong != NULL || !job->queue_run || is_ordinary(job->who.caller))
		return not_by_hand(err);
	job->who.caller = (uid_t)uid;
	return 0;
}

static int
parse_arguments(struct job *job, int argc, char **argv, struct error *err)
{
	int letter;

	opterr = 0;
	while ((letter = getopt(argc, argv, "+C:fL:M:qt:u:v")) != -1)
		if (take_option(job, letter, err) == -1)
			return -1;
	job->ids = argv + optind;
	job->id_count = (size_t)(argc - optind);
	if (job->id_count > 0 && !job->queue_run)
		return not_by_hand(err);
	if (job->user != NULL && act_for_user(job, err) == -1)
		return -1;
	if (job->who.service && job->config_option != NULL)
		return error_set(err, EX_NOPERM, "5.7.0",
		    "-C is not for a system installation");
	return 0;
}

/* Set-id bits that do not work matter only where the queue is another's. */
static int
check_queue_is_ours(const struct job *job, struct error *err)
{
	if (!job->who.set_id_ignored ||
	    access(job->config.queue_dir, R_OK | W_OK | X_OK) == 0)
		return 0;
	return startup_ignored_error(err);
}

static int
load_config(struct job *job, struct error *err)
{
	const struct passwd *caller;

	job->config_path = config_find(job->config_option, job->who.service);
	if (config_load(&job->config, job->config_path, err) == -1)
		return -1;
	log_open((enum log_target)job->config.log_target,
	    job->tag[0] != '\0' ? job->tag : "outpost/submit",
	    job->config.log_file);
	(void)gethostname(job->host, sizeof(job->host) - 1);
	if ((caller = getpwuid(job->who.caller)) != NULL)
		job->caller_name = xstrdup(caller->pw_name);
	return check_queue_is_ours(job, err);
}

/* -t, where we run set-id for a caller whom token_users must permit. */
static int
get_token(struct job *job, struct token *token, struct error *err)
{
	const struct account_caller caller = {
		.uid = job->who.caller,
		.name = job->caller_name,
	};
	const struct account *a = config_account(&job->config, job->token_of);

	if (a == NULL)
		return error_set(err, EX_CONFIG, "5.3.5",
		    "there is no account '%s' in '%s'", job->token_of,
		    job->config.path);
	if (job->who.service && account_permits_token(a, &caller, err) == -1)
		return -1;
	startup_deadline(TOKEN_SECONDS_MAX);
	return token_get(token, &job->config, a, startup_libexec(), NULL,
	    file_now() + RELAY_SECONDS, NULL, err);
}

/* As the token program answers, be it a token or an error. */
static void
answer_token(const struct token *token, const struct error *result)
{
	struct buf answer;

	buf_init(&answer, TOKEN_ANSWER_MAX);
	if (result->exit_code == EX_OK)
		token_format(token, &answer);
	else
		token_format_error(result, &answer);
	(void)file_write_all(STDOUT_FILENO, answer.data, answer.len);
	buf_release(&answer);
}

/* Did the server lately refuse the caller's mail from that address? What
 * Exchange refuses it must not be asked again, or it blocks the mailbox. */
static bool
is_denied(void *arg, const char *address)
{
	const struct job *job = arg;

	if (!learned_is_denied(&job->config, job->account, job->who.caller,
		address, time(NULL)))
		return false;
	log_line(LOG_NOTICE,
	    "from=<%s>: goes out as <%s>, since the server refused it within "
	    "the last hour",
	    address, job->account->mailbox);
	return true;
}

/* The next message is long in coming; others may wait for the slot. */
static void
on_idle(void *arg)
{
	struct job *job = arg;

	if (file_now() > job->last_message + KEEP_SECONDS)
		deliver_disconnect(&job->connection);
}

static int
on_envelope(void *arg, struct envelope *envelope, struct error *err)
{
	struct job *job = arg;
	const struct account_caller caller = {
		.uid = job->who.caller,
		.system = job->who.service,
		.name = job->caller_name,
	};

	if (job->trouble.exit_code != EX_OK) {
		*err = job->trouble;
		return -1;
	}
	if (account_authorise(&job->config, &caller, envelope->account,
		envelope->sender, &job->account, err) == -1)
		return -1;
	if (is_denied(job, envelope->sender)) {
		free(envelope->sender);
		envelope->sender = xstrdup(job->account->mailbox);
	}
	/* Where that fails, the spool lies elsewhere, or says why not. */
	(void)queue_prepare(job->config.queue_dir, NULL);
	if (incoming_begin(
		&job->incoming, &job->config, job->who.caller, err) == -1 ||
	    spool_open(&job->spool, job->config.queue_dir, err) == -1)
		return -1;
	job->spool.incoming = &job->incoming;
	return 0;
}

static int
on_body(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct job *job = arg;

	on_idle(job);
	if (submit_check_size(job->account, job->spool.size + len, err) == -1)
		return -1;
	return spool_write(&job->spool, bytes, len, err);
}

static void
show_line(void *arg, char direction, const char *line)
{
	struct job *job = arg;
	struct buf text;

	if (!job->verbose)
		return;
	buf_init(&text, HANDOFF_PAYLOAD_MAX);
	(void)buf_addf(&text, "%c: %s", direction, line);
	if (handoff_trace(STDOUT_FILENO, text.data) == -1)
		job->verbose = false;
	buf_release(&text);
}

/* A write into a pipe can be foreseen not to block, and so can no other. */
static bool
is_pipe(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* Who does not read the answer keeps no connection open. */
static void
await_reader(struct job *job)
{
	struct pollfd wait = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (job->connection.submit != NULL &&
	    poll(&wait, 1, (int)(KEEP_SECONDS * 1000)) != 1)
		deliver_disconnect(&job->connection);
}

static void
send_note(void *arg, char kind, const char *text)
{
	await_reader(arg);
	if (kind == 'I')
		handoff_hint(STDOUT_FILENO, text);
	else
		handoff_note(STDOUT_FILENO, text);
}

static void
on_signal(int number)
{
	signalled = number;
}

static void
handle_signals(void (*handler)(int))
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action = { .sa_handler = handler };
	sigset_t set;

	sigemptyset(&action.sa_mask);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		(void)sigaction(numbers[i], &action, NULL);
		sigaddset(&set, numbers[i]);
	}
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void
name_entry(struct job *job)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	id_make(job->entry.id, &now, job->who.caller, arc4random());
	job->entry.uid = job->who.caller;
	job->entry.arrived = now.tv_sec;
}

static int
send_message(struct job *job, struct error *err)
{
	const struct submission submission = {
		.config = &job->config,
		.account = job->account,
		.libexec = startup_libexec(),
		.helo = job->host,
		.trace =
		    job->verbose && is_pipe(STDOUT_FILENO) ? show_line : NULL,
		.trace_arg = job,
	};
	const struct delivery delivery = {
		.submission = &submission,
		.connection = &job->connection,
		.entry = &job->entry,
		.spool = &job->spool,
		.queue_only = job->end.queue_only,
		.mail_errors = job->end.mail_errors,
		.signalled = &signalled,
		.note = send_note,
		.note_arg = job,
	};
	int result;

	name_entry(job);
	startup_deadline((unsigned)job->config.patience + RUN_SECONDS);
	result = deliver(&delivery, err);
	job->last_message = file_now();
	return result;
}

/* Where standard error is read by nobody, a message must not wait for it with
 * one of the mailbox's connections in its hands. */
static void
show_progress(void *arg, const char *line)
{
	struct job *job = arg;
	char clean[ERROR_TEXT_SIZE * 4];

	if (!job->verbose)
		return;
	(void)log_clean(clean, sizeof(clean) - 1, line);
	(void)strlcat(clean, "\n", sizeof(clean));
	if (file_write_within(
		STDERR_FILENO, clean, strlen(clean), SHOW_SECONDS) == -1)
		job->verbose = false;
}

/* All messages for root and for who owns the queue, else the caller's. */
static int
run_queue(struct job *job, struct error *err)
{
	const struct run run = {
		.config = &job->config,
		.libexec = startup_libexec(),
		.host = job->host,
		.own = is_ordinary(job->who.caller),
		.uid = job->who.caller,
		.force = job->force,
		.patterns = job->patterns,
		.pattern_count = job->pattern_count,
		.ids = job->ids,
		.id_count = job->id_count,
		.signalled = &signalled,
		.progress = job->verbose ? show_progress : NULL,
		.progress_arg = job,
	};

	handle_signals(on_signal);
	return runner_run(&run, err);
}

static int
prepare(struct job *job, int argc, char **argv, struct error *err)
{
	if (startup_service(&job->who, err) == -1)
		return -1;
	startup_guard_secrets();
	/* Before the first digest, which would have it read openssl.cnf. */
	stream_library_init();
	return parse_arguments(job, argc, argv, err);
}

static void
message_begin(struct job *job)
{
	job->account = NULL;
	entry_init(&job->entry);
	incoming_init(&job->incoming);
	spool_init(&job->spool);
}

static void
message_end(struct job *job)
{
	startup_deadline(0);
	handle_signals(SIG_DFL);
	spool_release(&job->spool);
	incoming_release(&job->incoming);
	entry_release(&job->entry);
}

/* From the end mark on the message is ours, and is not dropped. */
static int
finish_message(struct job *job, struct error *err)
{
	handle_signals(on_signal);
	if (job->end.lines != CONTENT_KEEP &&
	    spool_rewrite(
		&job->spool, job->config.queue_dir, job->end.lines, err) == -1)
		return -1;
	return send_message(job, err);
}

/* The next message of the pipe. False when there is none, and no more. */
static bool
run_message(struct job *job, struct error *result)
{
	const struct handoff_receiver receiver = {
		.on_envelope = on_envelope,
		.on_body = on_body,
		.is_denied = is_denied,
		.idle = job->connection.submit != NULL ? on_idle : NULL,
		.arg = job,
		.answer_fd = STDOUT_FILENO,
	};
	enum handoff_got got;
	bool failed = true;

	got = handoff_receive(STDIN_FILENO, &job->entry.envelope,
	    &job->entry.header, &job->end, &receiver, result);
	if (got == HANDOFF_CLOSED)
		return false;
	if (got == HANDOFF_DROPPED)
		return true;
	if (got == HANDOFF_MESSAGE) {
		error_clear(result);
		failed = finish_message(job, result) == -1;
	}
	if (failed && result->exit_code == EX_OK)
		error_set(result, EX_SOFTWARE, "4.3.0",
		    "the message failed, and nothing tells why");
	await_reader(job);
	handoff_answer(STDOUT_FILENO, job->entry.id, result);
	return got != HANDOFF_BROKEN && signalled == 0;
}

/* Trouble with the configuration is the answer to each message. */
static void
run_messages(struct job *job, struct error *result)
{
	bool more;

	(void)load_config(job, &job->trouble);
	do {
		message_begin(job);
		more = run_message(job, result);
		message_end(job);
	} while (more);
	deliver_disconnect(&job->connection);
}

static void
run_token(struct job *job, struct error *result)
{
	struct token token;

	token_init(&token);
	if (result->exit_code == EX_OK && load_config(job, result) == 0)
		(void)get_token(job, &token, result);
	answer_token(&token, result);
	token_release(&token);
}

/* A run of the queue has no sendmail that would say it. */
static void
report(const struct error *err)
{
	char clean[ERROR_TEXT_SIZE * 4];

	if (err->exit_code == EX_OK)
		return;
	(void)fprintf(
	    stderr, "%s\n", log_clean(clean, sizeof(clean), err->text));
	if (err->hint[0] != '\0')
		(void)fprintf(stderr, "  hint: %s\n", err->hint);
}

int
main(int argc, char **argv)
{
	struct job job = { .verbose = false };
	struct error result;

	/* In which form to answer, known before anything can fail. */
	if (argc > 2 && strcmp(argv[argc - 2], "-t") == 0)
		job.token_of = argv[argc - 1];
	error_clear(&result);
	error_clear(&job.trouble);
	config_init(&job.config);
	(void)prepare(&job, argc, argv, &result);
	if (job.token_of != NULL)
		run_token(&job, &result);
	else if (job.queue_run) {
		if (result.exit_code == EX_OK &&
		    load_config(&job, &result) == 0)
			(void)run_queue(&job, &result);
		report(&result);
	} else if (result.exit_code != EX_OK)
		handoff_answer(STDOUT_FILENO, "", &result);
	else
		run_messages(&job, &result);
	config_release(&job.config);
	free(job.config_path);
	free(job.caller_name);
	return result.exit_code;
}
