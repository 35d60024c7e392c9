#include "outpost/init.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/spawn.h"
#include "base/xalloc.h"
#include "outpost/outpost.h"

#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz_"

static const char *const sample[] = {
#include "sample.h"
};

#define SAMPLE_LINES (sizeof(sample) / sizeof(sample[0]))

/* The setting of which the sample has this line commented out, or NULL;
 * '*pad' is the length of the key with the blanks behind it. */
static const struct init_setting *
find_setting(const struct init *init, const char *line, bool main, size_t *pad)
{
	size_t len = strspn(line + (*line == ';'), KEY_CHARS);

	if (*line != ';' || len == 0)
		return NULL;
	*pad = len + strspn(line + 1 + len, " ");
	if (line[1 + *pad] != '=')
		return NULL;
	for (size_t i = 0; i < init->count; i++) {
		const struct init_setting *s = &init->settings[i];

		if (s->main == main && strlen(s->key) == len &&
		    strncmp(s->key, line + 1, len) == 0)
			return s;
	}
	return NULL;
}

/* Keys that the sample leaves to the manual page. */
static void
add_rare(const struct init *init, bool main, struct buf *out)
{
	for (size_t i = 0; i < init->count; i++) {
		const struct init_setting *s = &init->settings[i];
		bool found = false, in_main = true;
		size_t pad;

		for (size_t n = 0; n < SAMPLE_LINES; n++) {
			if (strncmp(sample[n], ";[", 2) == 0)
				in_main = false;
			if (find_setting(init, sample[n], in_main, &pad) == s)
				found = true;
		}
		if (!found && s->main == main)
			(void)buf_addf(out, "%s = %s\n", s->key, s->value);
	}
}

static void
fill_sample(const struct init *init, struct buf *out)
{
	const struct init_setting *s;
	bool main = true;
	size_t pad;

	for (size_t i = 0; i < SAMPLE_LINES; i++) {
		const char *line = sample[i];

		if (strncmp(line, ";[", 2) == 0) {
			(void)buf_addf(out, "[%s]\n", init->mailbox);
			main = false;
			add_rare(init, main, out);
		} else if ((s = find_setting(init, line, main, &pad)) != NULL)
			(void)buf_addf(
			    out, "%.*s= %s\n", (int)pad, line + 1, s->value);
		else
			(void)buf_addf(out, "%s\n", line);
		if (strcmp(line, "[outpost]") == 0)
			add_rare(init, main, out);
	}
}

/* A value that stands on its line as it is: no other line, no comment. */
static int
check_value(const char *key, const char *value, struct error *err)
{
	const char *why = NULL;

	for (const char *c = value; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			why = "a control character";
		else if (*c == ';' && c > value &&
			 isspace((unsigned char)c[-1]))
			why = "a blank and a semicolon, which begin a comment";
	if (*value == '\0' || isspace((unsigned char)*value) ||
	    isspace((unsigned char)value[strlen(value) - 1]))
		why = "no value, or blanks at its ends";
	if (why == NULL)
		return 0;
	error_set(err, EX_USAGE, "5.3.0", "%s has %s", key, why);
	return error_hint(err, "give it in another way");
}

int
init_compose(struct init *init, struct buf *out, struct error *err)
{
	struct config *config = &init->outpost->config;

	for (size_t i = 0; i < init->count; i++)
		if (check_value(init->settings[i].key, init->settings[i].value,
			err) == -1)
			return -1;
	buf_clear(out);
	fill_sample(init, out);
	config_release(config);
	if (config_take(config, init->path, out->data, out->len, err) == -1)
		return error_prefix(err,
		    "nothing is written, for this would be "
		    "wrong in it");
	return 0;
}

/* What is there already: 1 when it is the same, 0 when there is nothing. */
static int
compare(const struct init *init, const struct buf *text, struct error *err)
{
	struct buf there;
	struct error why;
	int result = -1;

	buf_init(&there, CONFIG_FILE_MAX);
	errno = 0;
	if (file_read(init->path, &there, &why) == -1) {
		if (errno == ENOENT || init->force)
			result = 0;
		else
			*err = why;
	} else if (there.len == text->len &&
		   memcmp(there.data, text->data, text->len) == 0)
		result = 1;
	else if (init->force)
		result = 0;
	else {
		error_set(err, EX_CANTCREAT, "5.3.5",
		    "there is a configuration '%s' already", init->path);
		error_hint(err, "edit it, or let --force replace it");
	}
	buf_release(&there);
	return result;
}

/* On a system installation each folder belongs to the user of the program that
 * works in it. */
static int
make_folder(
    const char *path, mode_t mode, uid_t uid, gid_t gid, struct error *err)
{
	if (access(path, F_OK) == 0)
		return 0;
	if (file_make_folder(path, mode & 0777, err) == -1)
		return error_hint(err,
		    "run this as who may, or name folders of your own with "
		    "--state-dir and --queue-dir");
	if ((uid == geteuid() || lchown(path, uid, gid) == 0) &&
	    ((mode & ~(mode_t)0777) == 0 || chmod(path, mode) == 0))
		return 0;
	return error_set(err, EX_CANTCREAT, "4.3.0",
	    "cannot give '%s' to uid %ld: %s", path, (long)uid,
	    strerror(errno));
}

static int
make_folders(const struct outpost *o, struct error *err)
{
	const struct config *config = &o->config;
	char *submit_program = xasprintf("%s/submit", o->libexec);
	char *token_program = xasprintf("%s/token", o->libexec);
	char *secrets = xasprintf("%s/secrets", config->state_dir);
	char *tokens = xasprintf("%s/tokens", config->state_dir);
	char *state = xasprintf("%s/state", config->state_dir);
	struct stat submit = { .st_uid = geteuid(), .st_gid = getegid() };
	struct stat token = submit;
	bool system = o->system && geteuid() == 0;
	int result = -1;

	if (system && (stat(submit_program, &submit) == -1 ||
			  stat(token_program, &token) == -1)) {
		error_set(err, EX_CONFIG, "5.3.5",
		    "there is no submit or token in '%s'", o->libexec);
		goto out;
	}
	if (make_folder(config->state_dir, system ? 0755 : 0700, geteuid(),
		getegid(), err) == 0 &&
	    make_folder(secrets, 0700, token.st_uid, token.st_gid, err) == 0 &&
	    make_folder(tokens, system ? 02750 : 0700, token.st_uid,
		token.st_gid, err) == 0 &&
	    make_folder(state, 0700, submit.st_uid, submit.st_gid, err) == 0 &&
	    make_folder(config->queue_dir, 0700, submit.st_uid, submit.st_gid,
		err) == 0)
		result = 0;
out:
	free(submit_program);
	free(token_program);
	free(secrets);
	free(tokens);
	free(state);
	return result;
}

/* As the user whose the secrets are, in a child: root writes nothing where
 * another user could lay links. */
static int
write_secret_as_owner(const struct init *init, struct error *err)
{
	const char *path = init->outpost->config.accounts[0].client_secret_file;

	if (outpost_take_secrets(init->outpost, err) == -1)
		return -1;
	return file_replace(
	    path, init->secret.data, init->secret.len, 0600, err);
}

static int
write_secret(const struct init *init, struct error *err)
{
	struct error why;
	int pipes[2], result;
	ssize_t n;
	pid_t child;

	if (init->secret.len == 0)
		return 0;
	error_clear(&why);
	if (pipe(pipes) == -1 || (child = fork()) == -1)
		return error_set(err, EX_TEMPFAIL, "4.3.0",
		    "cannot start a child: %s", strerror(errno));
	if (child == 0) {
		result = write_secret_as_owner(init, &why);
		if (file_write_all(pipes[1], &why, sizeof(why)) == -1)
			result = -1;
		_exit(result == 0 ? 0 : 1);
	}
	close(pipes[1]);
	n = file_read_some(pipes[0], &why, sizeof(why));
	close(pipes[0]);
	(void)spawn_wait(child, &result, NULL);
	if (result == 0)
		return 0;
	if (n != (ssize_t)sizeof(why) || why.exit_code == 0)
		error_set(&why, EX_CANTCREAT, "4.3.0",
		    "the client secret could not be written");
	*err = why;
	return -1;
}

static int
write_config(const struct init *init, const struct buf *text, struct error *err)
{
	char *folder = xstrdup(init->path);
	char *slash = strrchr(folder, '/');
	int result = 0;

	if (slash != NULL && slash != folder) {
		*slash = '\0';
		result = file_make_folder(folder, 0755, err);
	}
	if (result == 0)
		result =
		    file_replace(init->path, text->data, text->len, 0644, err);
	free(folder);
	return result;
}

int
init_write(struct init *init, const struct buf *text, struct error *err)
{
	int same = compare(init, text, err);

	if (same == -1 || make_folders(init->outpost, err) == -1 ||
	    write_secret(init, err) == -1)
		return -1;
	return same == 1 ? 0 : write_config(init, text, err);
}
