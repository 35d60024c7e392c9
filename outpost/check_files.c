#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "account/alias_file.h"
#include "account/config.h"
#include "account/local.h"
#include "auth/store.h"
#include "base/xalloc.h"
#include "outpost/check.h"
#include "outpost/outpost.h"
#include "queue/room.h"
#include "queue/state.h"

/* What a file or folder must be like. */
struct place {
	const char *what;
	const char *path;
	uid_t owner;
	bool root_too;              /* root may own it as well */
	mode_t need;                /* bits that must be there … */
	mode_t forbid;              /* … and that must not */
	mode_t mode;                /* for the advice */
	enum check_verdict missing; /* CHECK_OK: it may be missing */
	enum check_verdict wrong;
};

static const char *
user_name(uid_t uid, char *out, size_t size)
{
	const struct passwd *entry = getpwuid(uid);

	if (entry != NULL)
		strlcpy(out, entry->pw_name, size);
	else
		(void)snprintf(out, size, "%ld", (long)uid);
	return out;
}

static void
report_missing(struct check *c, const struct place *p)
{
	struct finding f = { .verdict = p->missing };
	char owner[64];

	check_put(f.text, "%s '%s' is not there", p->what, p->path);
	user_name(p->owner, owner, sizeof(owner));
	if (S_ISDIR(p->mode))
		check_put(f.hint, "run 'install -d -o %s -m %o %s'", owner,
		    (unsigned)(p->mode & 07777), p->path);
	else
		check_put(f.hint,
		    "write it, or correct its name in outpost.conf; it must "
		    "belong to %s, with mode %o",
		    owner, (unsigned)(p->mode & 07777));
	check_report(c, &f);
}

static void
report_owner(struct check *c, const struct place *p, uid_t uid)
{
	struct finding f = { .verdict = p->wrong };
	char is[64], must[64];

	user_name(uid, is, sizeof(is));
	user_name(p->owner, must, sizeof(must));
	check_put(f.text, "%s '%s' belongs to %s, not %s", p->what, p->path, is,
	    must);
	check_put(f.hint, "run 'chown %s %s'", must, p->path);
	check_report(c, &f);
}

static void
report_mode(struct check *c, const struct place *p, mode_t mode)
{
	struct finding f = { .verdict = p->wrong };

	check_put(f.text, "%s '%s' has mode %o, not %o", p->what, p->path,
	    (unsigned)(mode & 07777), (unsigned)(p->mode & 07777));
	if ((mode & p->forbid) != 0)
		strlcpy(f.cause, "others than its owner can use it",
		    sizeof(f.cause));
	else if ((p->mode & ~mode & S_IRWXU) != 0)
		strlcpy(f.cause, "its owner cannot use it", sizeof(f.cause));
	check_put(
	    f.hint, "run 'chmod %o %s'", (unsigned)(p->mode & 07777), p->path);
	check_report(c, &f);
}

static void
look_at(struct check *c, const struct place *p, size_t *unseen)
{
	struct stat status;

	if (stat(p->path, &status) == -1) {
		if (errno != ENOENT && errno != ENOTDIR) {
			(*unseen)++;
		} else if (p->missing != CHECK_OK)
			report_missing(c, p);
		return;
	}
	if (status.st_uid != p->owner && !(p->root_too && status.st_uid == 0))
		report_owner(c, p, status.st_uid);
	if ((status.st_mode & p->forbid) != 0 ||
	    (status.st_mode & p->need) != p->need)
		report_mode(c, p, status.st_mode);
}

static uid_t
owner_of(const char *path, uid_t otherwise)
{
	struct stat status;

	return stat(path, &status) == 0 ? status.st_uid : otherwise;
}

/* The programs with rights, whose owners the folders belong to. */
static void
look_at_programs(struct check *c, const char *submit, uid_t submit_owner,
    const char *token, uid_t token_owner, size_t *unseen)
{
	const struct place places[] = {
		{ "the program", submit, submit_owner, false, S_ISUID, 022,
		    06755, CHECK_FAILED, CHECK_FAILED },
		{ "the program", token, token_owner, false, S_ISUID, 027, 04710,
		    CHECK_FAILED, CHECK_FAILED },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		look_at(c, &places[i], unseen);
}

static void
look_at_secret(struct check *c, const char *what, const char *path, uid_t owner,
    size_t *unseen)
{
	const struct place p = { what, path, owner, false, 0, 077,
		S_IFREG | 0600, CHECK_FAILED, CHECK_FAILED };

	if (path != NULL)
		look_at(c, &p, unseen);
}

/* The file is written each time the sign-in is used. */
static void
look_at_sign_in(struct check *c)
{
	const struct account *a = c->account;
	char *path = token_path(&c->outpost->config, "secrets", a);
	struct finding f = { .verdict = CHECK_WARNING };
	struct stat status;
	long long days;

	if (a->auth == AUTH_LOGIN && stat(path, &status) == 0) {
		days = ((long long)time(NULL) - status.st_mtime) / CHECK_DAY;
		if (days >= STORE_SIGN_IN_WARN) {
			check_put(f.text,
			    "the sign-in was last used %lld days ago; "
			    "Microsoft drops it after %d",
			    days, STORE_SIGN_IN_DAYS);
			check_put(f.hint,
			    "run 'outpost token %s >/dev/null', which uses it",
			    a->mailbox);
			check_report(c, &f);
		}
	}
	free(path);
}

static void
look_at_log(struct check *c)
{
	const struct config *config = &c->outpost->config;
	struct finding f = { .verdict = CHECK_WARNING };

	if (config->log_target != LOG_TO_FILE ||
	    access(config->log_file, F_OK) == 0 || errno != ENOENT)
		return;
	check_put(f.text, "the log '%s' is not there", config->log_file);
	strlcpy(f.cause, "it is not made by itself; syslog is used instead",
	    sizeof(f.cause));
	check_put(f.hint, "run 'touch %s'", config->log_file);
	check_report(c, &f);
}

static void
look_at_disk(struct check *c)
{
	const char *queue = c->outpost->config.queue_dir;
	struct finding f = { .verdict = CHECK_WARNING };
	struct error why;

	/* A folder that is missing is told of, or is made with the first
	 * message. */
	if (access(queue, F_OK) == -1 || room_on_disk(queue, &why) == 0)
		return;
	strlcpy(f.text, why.text, sizeof(f.text));
	strlcpy(f.hint, why.hint, sizeof(f.hint));
	check_report(c, &f);
}

static void
look_at_folders(struct check *c, uid_t submit, uid_t token, size_t *unseen)
{
	const struct config *config = &c->outpost->config;
	bool system = c->outpost->system;
	enum check_verdict missing = system ? CHECK_FAILED : CHECK_OK;
	char *secrets = xasprintf("%s/secrets", config->state_dir);
	char *tokens = xasprintf("%s/tokens", config->state_dir);
	char *state = xasprintf("%s/" STATE_FOLDER, config->state_dir);
	const struct place places[] = {
		{ "the configuration", config->path, system ? 0 : submit, true,
		    0, 022, S_IFREG | 0644, CHECK_FAILED, CHECK_WARNING },
		{ "the file", config->aliases, system ? 0 : submit, true, 0,
		    022, S_IFREG | 0644, CHECK_OK, CHECK_WARNING },
		{ "the folder", secrets, token, false, S_IRWXU, 077,
		    S_IFDIR | 0700, missing, CHECK_WARNING },
		{ "the folder", tokens, token, false, S_IRWXU,
		    system ? 027 : 077, S_IFDIR | (system ? 02750 : 0700),
		    missing, CHECK_WARNING },
		{ "the folder", state, submit, false, S_IRWXU, 077,
		    S_IFDIR | 0700, missing, CHECK_WARNING },
		{ "the folder", config->queue_dir, submit, false, S_IRWXU, 077,
		    S_IFDIR | 0700, missing, CHECK_WARNING },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		look_at(c, &places[i], unseen);
	free(secrets);
	free(tokens);
	free(state);
}

static void
report_unseen(struct check *c, size_t count)
{
	struct finding f = { .verdict = CHECK_UNSEEN };

	check_put(f.text,
	    "you have no right to look at all files: %zu left out", count);
	strlcpy(f.hint, "run this as root", sizeof(f.hint));
	check_report(c, &f);
}

void
check_files(struct check *c)
{
	const struct outpost *o = c->outpost;
	const struct account *a = c->account;
	char *submit_program = xasprintf("%s/submit", o->libexec);
	char *token_program = xasprintf("%s/token", o->libexec);
	size_t unseen = 0;
	size_t before = c->found[CHECK_WARNING] + c->found[CHECK_FAILED];
	uid_t submit, token;

	if (o->system) {
		submit = owner_of(submit_program, 0);
		token = owner_of(token_program, 0);
		look_at_programs(
		    c, submit_program, submit, token_program, token, &unseen);
	} else {
		submit = token = geteuid() == 0
				     ? owner_of(o->config.state_dir, 0)
				     : geteuid();
	}
	look_at_folders(c, submit, token, &unseen);
	if (a->auth == AUTH_SECRET)
		look_at_secret(
		    c, "the file", a->client_secret_file, token, &unseen);
	if (a->auth == AUTH_CERTIFICATE)
		look_at_secret(c, "the file",
		    a->key_file != NULL ? a->key_file : a->certificate, token,
		    &unseen);
	look_at_sign_in(c);
	look_at_log(c);
	look_at_disk(c);
	if (unseen > 0)
		report_unseen(c, unseen);
	else if (before == c->found[CHECK_WARNING] + c->found[CHECK_FAILED])
		check_say(c, CHECK_OK,
		    "%s, and owners and modes of what belongs to it",
		    o->config.path);
	free(submit_program);
	free(token_program);
}

/* The first mistake in the file of aliases. */
static void
note_alias(void *arg, bool mistake, const char *sentence)
{
	struct finding *f = arg;

	if (mistake && f->cause[0] == '\0')
		strlcpy(f->cause, sentence, sizeof(f->cause));
}

static void
judge_aliases(struct alias_file *aliases, struct finding *f)
{
	const struct config *config = aliases->config;
	const char *target = local_target(config);
	struct alias_file_report report;
	struct error why;

	*f = (struct finding){ .verdict = CHECK_OK };
	if (aliases->missing) {
		check_put(f->text,
		    "there is no %s; mail for local users goes %s%s",
		    config->aliases, target != NULL ? "to " : "nowhere",
		    target != NULL ? target : "");
		return;
	}
	if (alias_file_check(aliases, &report, &why) == -1) {
		strlcpy(f->cause, why.text, sizeof(f->cause));
		check_put(
		    f->text, "%s cannot be used as it is", config->aliases);
	} else if (report.mistakes > 0) {
		check_put(f->text, "%s has %zu mistakes", config->aliases,
		    report.mistakes);
	} else {
		check_put(
		    f->text, "%s: %zu aliases", config->aliases, report.count);
		return;
	}
	f->verdict = CHECK_WARNING;
	strlcpy(f->hint, "mend it; 'newaliases' tells all that is wrong",
	    sizeof(f->hint));
}

void
check_aliases(struct check *c)
{
	struct alias_file aliases;
	struct finding f;

	alias_file_init(&aliases, &c->outpost->config, c->host, note_alias, &f);
	alias_file_read(&aliases);
	judge_aliases(&aliases, &f);
	check_report(c, &f);
	alias_file_release(&aliases);
}
