/* outpost status: how the accounts and the queue are, for people and for
 * monitoring.
 *
 * What it reads belongs to two users (DESIGN: programs, users, files), so for
 * root it reads the secrets' ages in a child that is their owner, and all
 * else as the user that submit is.
 */
#include "outpost/status.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/certificate.h"
#include "auth/store.h"
#include "base/file.h"
#include "base/log.h"
#include "base/startup.h"
#include "base/xalloc.h"
#include "outpost/outpost.h"
#include "queue/room.h"
#include "queue/state.h"
#include "token/token.h"

const char status_help[] =
    "Shows of each account: token, sign-in or certificate, hold, what it "
    "sent;\n"
    "and how much is in the queue. As root it sees all.\n"
    "\n"
    "  --json         for programs\n"
    "  --prometheus   text exposition, for a textfile collector\n"
    "\n"
    "The first line sums up. Exits 0 when all is well, 1 with warnings, 2 "
    "when\n"
    "mail does not go out, 3 when it cannot tell. With --prometheus 0, but 3\n"
    "where nothing can be read.\n";

typedef void status_writer(const struct status *);

static int
parse_arguments(int argc, char **argv, status_writer **write, struct error *err)
{
	*write = status_show;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			*write = status_json;
		else if (strcmp(argv[i], "--prometheus") == 0)
			*write = status_prometheus;
		else {
			error_set(err, EX_USAGE, "5.3.0",
			    "status does not know '%s'", argv[i]);
			return error_hint(
			    err, "'outpost help status' tells more");
		}
	}
	return 0;
}

static void
look_at_sign_in(const struct config *config, const struct account *account,
    struct status_secrets *out)
{
	struct store_sign_in sign_in;

	store_sign_in_init(&sign_in);
	out->sign_in = STATUS_BAD;
	if (store_read(&sign_in, config, account, &out->why) == 0) {
		out->sign_in = STATUS_GOOD;
		out->last_used = sign_in.last_used;
	}
	store_sign_in_release(&sign_in);
}

static void
look_at_certificate(const struct account *account, struct status_secrets *out)
{
	struct certificate *certificate = NULL;

	out->certificate = STATUS_BAD;
	if (certificate_load(&certificate, account, &out->why) == 0) {
		out->certificate = STATUS_GOOD;
		out->expires = certificate_expires(certificate);
	}
	certificate_free(certificate);
}

static void
look_at_secrets(const struct config *config, struct status_secrets *out)
{
	for (size_t i = 0; i < config->account_count; i++) {
		const struct account *a = &config->accounts[i];

		if (a->auth == AUTH_LOGIN)
			look_at_sign_in(config, a, &out[i]);
		else if (a->auth == AUTH_CERTIFICATE)
			look_at_certificate(a, &out[i]);
	}
}

/* Until somebody has looked. */
static struct status_secrets
unseen(const struct account *a)
{
	return (struct status_secrets){
		.sign_in = a->auth == AUTH_LOGIN ? STATUS_UNSEEN : STATUS_NONE,
		.certificate =
		    a->auth == AUTH_CERTIFICATE ? STATUS_UNSEEN : STATUS_NONE,
	};
}

struct looker {
	const struct outpost *outpost;
	struct status_secrets *secrets;
	size_t size; /* bytes */
	int out;
};

/* The child: becomes the secrets' owner, looks, and tells. */
static int
look_and_tell(void *arg)
{
	const struct looker *l = arg;

	if (outpost_take_secrets(l->outpost, NULL) == -1)
		return EX_NOPERM;
	look_at_secrets(&l->outpost->config, l->secrets);
	return file_write_all(l->out, l->secrets, l->size) == 0 ? EX_OK
								: EX_IOERR;
}

static bool
read_whole(int fd, void *bytes, size_t size)
{
	size_t have = 0;
	ssize_t n = 1;

	while (have < size && n > 0) {
		n = file_read_some(fd, (char *)bytes + have, size - have);
		if (n > 0)
			have += (size_t)n;
	}
	return have == size;
}

static void
gather_secrets(const struct outpost *o, struct status *status)
{
	size_t count = o->config.account_count;
	struct status_secrets *secrets = xcalloc(count, sizeof(*secrets));
	struct looker looker = { .outpost = o,
		.secrets = secrets,
		.size = count * sizeof(*secrets) };
	int pipes[2];
	pid_t child;

	for (size_t i = 0; i < count; i++)
		secrets[i] = unseen(&o->config.accounts[i]);
	for (size_t i = 0; i < count; i++)
		status->accounts[i].secrets = secrets[i];
	if (pipe(pipes) == -1)
		goto out;
	looker.out = pipes[1];
	child = startup_fork(look_and_tell, &looker);
	close(pipes[1]);
	if (child != -1) {
		if (read_whole(pipes[0], secrets, looker.size))
			for (size_t i = 0; i < count; i++)
				status->accounts[i].secrets = secrets[i];
		while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
			continue;
	}
	close(pipes[0]);
out:
	free(secrets);
}

/* Can the file be read, or is it known not to be there? Frees 'path'. */
static bool
is_seen(char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool seen = fd != -1 || errno == ENOENT;

	if (fd != -1)
		close(fd);
	free(path);
	return seen;
}

static void
gather_account(
    const struct config *config, struct status_account *a, time_t now)
{
	struct token token;

	a->token_known = is_seen(token_path(config, "tokens", a->account));
	a->hold_known = is_seen(state_path(config, a->account, "hold"));
	token_init(&token);
	a->on_hold = hold_read(config, a->account, now, &a->hold) == 0;
	if (token_cached(&token, config, a->account, now) == 0) {
		a->token_expires = token.expires;
		a->hold_outdated =
		    a->on_hold && hold_is_outdated(&a->hold, token.issued);
	}
	token_release(&token);
	a->paused = hold_paused(config, a->account, now, &a->pause) == 0;
	a->usage_known =
	    throttle_usage(config, a->account, &a->usage, NULL) == 0;
}

static void
gather_queue(const struct config *config, struct status *status)
{
	status->queue_known = queue_count(config->queue_dir, NULL,
				  &status->queue, &status->queue_error) == 0;
	status->disk_full =
	    status->queue_known && access(config->queue_dir, F_OK) == 0 &&
	    room_on_disk(config->queue_dir, &status->disk_error) == -1;
}

/* A plugin that cannot tell says so in its one line. */
static int
unknown(const struct error *why)
{
	char clean[ERROR_TEXT_SIZE * 4];

	printf("OUTPOST %s: %s\n", status_level_name(STATUS_UNKNOWN),
	    log_clean(clean, sizeof(clean), why->text));
	if (*why->hint != '\0')
		printf(
		    "  hint: %s\n", log_clean(clean, sizeof(clean), why->hint));
	return STATUS_UNKNOWN;
}

static int
gather(struct outpost *o, struct status *status, struct error *err)
{
	const struct config *config = &o->config;

	if (outpost_load(o, err) == -1)
		return -1;
	status->accounts =
	    xcalloc(config->account_count + 1, sizeof(*status->accounts));
	for (size_t i = 0; i < config->account_count; i++)
		status->accounts[i].account = &config->accounts[i];
	gather_secrets(o, status);
	if (outpost_take_submit(o, err) == -1)
		return -1;
	for (size_t i = 0; i < config->account_count; i++)
		gather_account(config, &status->accounts[i], status->now);
	gather_queue(config, status);
	return 0;
}

int
status_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	struct status status = { .config = &o->config, .now = time(NULL) };
	status_writer *write;
	struct error why;
	int code;

	if (parse_arguments(argc, argv, &write, err) == -1)
		return -1;
	if (gather(o, &status, &why) == -1) {
		code = unknown(&why);
	} else {
		status_judge(&status);
		write(&status);
		code = write == status_prometheus && !status_is_blind(&status)
			   ? EX_OK
			   : (int)status.level;
	}
	free(status.findings);
	free(status.accounts);
	return code;
}
