/* token: prints one valid access token for an account, or why there is none.
 *
 * It alone reads refresh tokens and client secrets, so it runs set-id as the
 * user 'outpost-auth', and only submit's user (and root) may start it; for who
 * is listed in `token_users`, submit does. The answer is a record on standard
 * output (token/token.h) for the program that asked; it is written there and
 * nowhere else.
 *
 *	token [-C config] [-r rejected] [-t seconds] account
 */
#include <pwd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/account.h"
#include "auth/renew.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/startup.h"
#include "token/token.h"

#define SECONDS_DEFAULT 60
/* To word an error after the request's own deadline. */
#define SECONDS_GRACE 10
#define SUBMIT OUTPOST_LIBEXECDIR "/submit"

struct job {
	struct startup who;
	const char *config_option;
	const char *rejected;
	int seconds;
	const char *mailbox;
	struct config config;
	const struct account *account;
};

static int
usage(struct error *err)
{
	error_set(err, EX_USAGE, "5.3.0",
	    "token is run by other programs, not by hand");
	return error_hint(err, "use 'outpost token'");
}

static int
parse_arguments(struct job *job, int argc, char **argv, struct error *err)
{
	const char *bad = NULL;
	int letter;

	job->seconds = SECONDS_DEFAULT;
	opterr = 0;
	while ((letter = getopt(argc, argv, "+C:r:t:")) != -1)
		switch (letter) {
		case 'C':
			job->config_option = optarg;
			break;
		case 'r':
			job->rejected = optarg;
			break;
		case 't':
			job->seconds =
			    (int)strtonum(optarg, 1, TOKEN_SECONDS_MAX, &bad);
			break;
		default:
			return usage(err);
		}
	if (bad != NULL || optind != argc - 1)
		return usage(err);
	job->mailbox = argv[optind];
	if (job->who.service && job->config_option != NULL)
		return error_set(err, EX_NOPERM, "5.7.0",
		    "-C is not for a system installation");
	return 0;
}

/* The file's mode keeps others out already; a mode can be changed. */
static int
check_caller(const struct job *job, struct error *err)
{
	struct account_caller caller = { .uid = job->who.caller };
	const struct passwd *entry;
	struct stat submit;

	if (!job->who.service || job->who.caller == geteuid())
		return 0;
	if (stat(SUBMIT, &submit) == 0 && submit.st_uid == job->who.caller)
		return 0;
	if ((entry = getpwuid(job->who.caller)) != NULL)
		caller.name = entry->pw_name;
	return account_permits_token(job->account, &caller, err);
}

static int
load_config(struct job *job, struct error *err)
{
	char *path = config_find(job->config_option, job->who.service);
	int result = config_load(&job->config, path, err);

	free(path);
	if (result == -1)
		return -1;
	log_open((enum log_target)job->config.log_target, "outpost/token",
	    job->config.log_file);
	job->account = config_account(&job->config, job->mailbox);
	if (job->account == NULL)
		return error_set(err, EX_CONFIG, "5.3.5",
		    "there is no account '%s' in '%s'", job->mailbox,
		    job->config.path);
	return 0;
}

/* Set-id bits that do not work matter only where the secrets are another's. */
static int
check_secrets_are_ours(const struct job *job, struct error *err)
{
	struct stat secrets;
	char path[4096];

	snprintf(path, sizeof(path), "%s/secrets", job->config.state_dir);
	if (!job->who.set_id_ignored || stat(path, &secrets) == -1 ||
	    secrets.st_uid == geteuid())
		return 0;
	return startup_ignored_error(err);
}

static int
run(struct job *job, int argc, char **argv, struct token *token,
    struct error *err)
{
	double started = file_now();

	if (startup_service(&job->who, err) == -1 ||
	    parse_arguments(job, argc, argv, err) == -1)
		return -1;
	startup_guard_secrets();
	startup_deadline((unsigned)job->seconds + SECONDS_GRACE);
	if (load_config(job, err) == -1 || check_caller(job, err) == -1 ||
	    check_secrets_are_ours(job, err) == -1)
		return -1;
	return renew_token(token, &job->config, job->account, job->rejected,
	    started + job->seconds, err);
}

int
main(int argc, char **argv)
{
	struct job job = { .mailbox = NULL };
	struct token token;
	struct error err;
	struct buf answer;
	int code = 0;

	config_init(&job.config);
	token_init(&token);
	buf_init(&answer, TOKEN_ANSWER_MAX);
	if (run(&job, argc, argv, &token, &err) == 0) {
		token_format(&token, &answer);
	} else {
		token_format_error(&err, &answer);
		code = err.exit_code;
	}
	if (file_write_all(STDOUT_FILENO, answer.data, answer.len) == -1)
		code = EX_IOERR;
	buf_release(&answer);
	token_release(&token);
	config_release(&job.config);
	return code;
}
