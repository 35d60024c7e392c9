#include "auth/store.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/record.h"
#include "base/xalloc.h"
#include "token/token.h"

#define FOLDER "secrets"
#define SIGN_IN_TYPE "sign-in"
#define FAILURE_TYPE "token-failure"
#define CLAIMS_TYPE "claims-challenge"
#define FILE_SIZE_MAX (64u * 1024)

void
store_sign_in_init(struct store_sign_in *sign_in)
{
	*sign_in = (struct store_sign_in){ .obtained = 0 };
	buf_init(&sign_in->refresh_token, STORE_SECRET_MAX);
}

void
store_sign_in_release(struct store_sign_in *sign_in)
{
	buf_release(&sign_in->refresh_token);
	store_sign_in_init(sign_in);
}

static int
hint_writable(struct error *err)
{
	if (err != NULL && err->exit_code == EX_TEMPFAIL)
		return error_hint(err, "try again: it is getting a token");
	return error_hint(err,
	    "uid %ld must be able to write there; 'state_dir' in outpost.conf "
	    "can name another folder",
	    (long)geteuid());
}

static int
make_folder(const struct config *config, struct error *err)
{
	char *folder = xasprintf("%s/" FOLDER, config->state_dir);
	int result = file_make_folder(folder, 0700, err);

	free(folder);
	return result == -1 ? hint_writable(err) : 0;
}

int
store_lock(const struct config *config, const struct account *account,
    double deadline, struct error *err)
{
	char *path = token_path_beside(config, FOLDER, account, "lock");
	int fd = -1;

	if (make_folder(config, err) == 0 &&
	    (fd = file_lock(path, deadline, err)) == -1)
		(void)hint_writable(err);
	free(path);
	return fd;
}

static int
not_signed_in(const struct account *account, struct error *err)
{
	error_set(err, EX_CONFIG, "4.7.0", "'%s' has not signed in",
	    account->mailbox);
	error_hint(err, "run 'outpost login %s'", account->mailbox);
	return error_class_set(err, ERROR_HOLD, 0);
}

static void
hint_owner(bool secret, struct error *err)
{
	if (err->hint[0] == '\0')
		error_hint(err,
		    "the file must be readable for the user that runs the "
		    "token program (outpost-auth on a system installation)%s",
		    secret ? " and for nobody else" : "");
}

static int
broken(const char *path, const struct account *account, const char *why,
    struct error *err)
{
	error_set(err, EX_CONFIG, "4.3.5", "'%s' is broken: %s", path, why);
	error_hint(err, "run 'outpost login %s'", account->mailbox);
	return error_class_set(err, ERROR_HOLD, 0);
}

/* Was the sign-in made with what is configured today? */
static int
check_origin(
    const struct record *r, const struct account *account, struct error *err)
{
	const struct {
		const char *key;
		const char *configured;
	} origin[] = {
		{ "authority", account->authority },
		{ "tenant", account->tenant },
		{ "client_id", account->client_id },
	};

	for (size_t i = 0; i < sizeof(origin) / sizeof(origin[0]); i++) {
		const char *then = record_get(r, origin[i].key);

		if (then != NULL && strcmp(then, origin[i].configured) == 0)
			continue;
		error_set(err, EX_CONFIG, "4.7.0",
		    "the sign-in of '%s' was made with %s = %s, and "
		    "outpost.conf says %s now",
		    account->mailbox, origin[i].key, then == NULL ? "" : then,
		    origin[i].configured);
		error_hint(err,
		    "run 'outpost login %s', or set it back in outpost.conf",
		    account->mailbox);
		return error_class_set(err, ERROR_HOLD, 0);
	}
	return 0;
}

static int
read_sign_in(struct store_sign_in *out, const struct record *r,
    const struct account *account, const char *path, struct error *err)
{
	const char *token = record_get(r, "refresh_token");
	long long obtained, last_used;

	if (token == NULL || *token == '\0' ||
	    record_get_number(r, "obtained", 0, RECORD_TIME_MAX, &obtained) ==
		-1 ||
	    record_get_number(r, "last_used", 0, RECORD_TIME_MAX, &last_used) ==
		-1)
		return broken(path, account, "a field is missing", err);
	if (strlen(token) > STORE_SECRET_MAX)
		return broken(path, account, "the token is too long", err);
	if (check_origin(r, account, err) == -1)
		return -1;
	buf_clear(&out->refresh_token);
	buf_adds(&out->refresh_token, token);
	out->obtained = (time_t)obtained;
	out->last_used = (time_t)last_used;
	return 0;
}

int
store_read(struct store_sign_in *out, const struct config *config,
    const struct account *account, struct error *err)
{
	char *path = token_path(config, FOLDER, account);
	struct record r;
	struct buf text;
	struct error why;
	int result = -1;

	record_init(&r);
	buf_init(&text, FILE_SIZE_MAX);
	errno = 0;
	if (file_read_secret(path, false, &text, &why) == -1) {
		if (errno == ENOENT) {
			not_signed_in(account, err);
		} else if (err != NULL) {
			*err = why;
			hint_owner(true, err);
			error_class_set(err, ERROR_HOLD, 0);
		}
		goto out;
	}
	if (record_parse(&r, SIGN_IN_TYPE, text.data, text.len, &why) == -1)
		broken(path, account, why.text, err);
	else
		result = read_sign_in(out, &r, account, path, err);
out:
	record_release(&r);
	buf_release(&text);
	free(path);
	return result;
}

int
store_write(const struct store_sign_in *sign_in, const struct config *config,
    const struct account *account, struct error *err)
{
	char *path = token_path(config, FOLDER, account);
	struct buf text;
	int result = -1;

	buf_init(&text, FILE_SIZE_MAX);
	record_begin(&text, SIGN_IN_TYPE);
	record_put(&text, "authority", account->authority);
	record_put(&text, "tenant", account->tenant);
	record_put(&text, "client_id", account->client_id);
	record_put_number(&text, "obtained", sign_in->obtained);
	record_put_number(&text, "last_used", sign_in->last_used);
	record_put(&text, "refresh_token", sign_in->refresh_token.data);
	if (make_folder(config, err) == -1)
		goto out;
	file_sweep(path);
	result = file_replace(path, text.data, text.len, 0600, err);
out:
	buf_release(&text);
	free(path);
	return result;
}

int
store_remove(const struct config *config, const struct account *account,
    struct error *err)
{
	char *path = token_path(config, FOLDER, account);
	int result = file_remove(path, err);

	free(path);
	return result;
}

int
store_text(const struct account *account, const char *path, const char *what,
    bool secret, struct buf *out, struct error *err)
{
	struct error why;
	int result;

	errno = 0;
	if (secret)
		result = file_read_secret(path, false, out, &why);
	else
		result = file_read(path, out, &why);
	if (result == 0)
		return 0;
	if (errno == ENOENT)
		error_hint(&why, "%s, or correct its name in outpost.conf",
		    secret ? "write it, with mode 600, as the user that runs "
			     "the token program (outpost-auth on a system "
			     "installation)"
			   : "see that the platform writes it");
	error_prefix(&why, "%s of '%s'", what, account->mailbox);
	error_class_set(&why, ERROR_HOLD, 0);
	why.exit_code = EX_CONFIG;
	hint_owner(secret, &why);
	if (err != NULL)
		*err = why;
	return -1;
}

int
store_line(const struct account *account, const char *path, const char *what,
    bool secret, struct buf *out, struct error *err)
{
	struct buf line;
	int result = -1;

	buf_init(&line, STORE_SECRET_MAX);
	if (store_text(account, path, what, secret, &line, err) == -1)
		goto out;
	if (line.len > 0 && line.data[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0 || memchr(line.data, '\0', line.len) != NULL ||
	    memchr(line.data, '\n', line.len) != NULL) {
		error_set(err, EX_CONFIG, "4.3.5", "'%s' does not hold one %s",
		    path, what);
		error_hint(err,
		    "write the %s itself into it, in one line, and "
		    "nothing else",
		    what);
		error_class_set(err, ERROR_HOLD, 0);
		goto out;
	}
	result = buf_add(out, line.data, line.len);
out:
	buf_release(&line);
	return result;
}

int
store_failure_read(const struct config *config, const struct account *account,
    const char *credential, long long since, long long now,
    struct error *failure)
{
	char *path = token_path_beside(config, FOLDER, account, "failed");
	const char *stored;
	struct error read;
	struct record r;
	struct buf text;
	long long at, until;
	int result = -1;

	record_init(&r);
	buf_init(&text, FILE_SIZE_MAX);
	if (file_read_secret(path, false, &text, NULL) == -1 ||
	    record_parse(&r, FAILURE_TYPE, text.data, text.len, NULL) == -1)
		goto out;
	stored = record_get(&r, "credential");
	if (stored == NULL || strcmp(stored, credential) != 0 ||
	    record_get_number(&r, "at", 0, RECORD_TIME_MAX * 1000, &at) == -1 ||
	    record_get_error(&r, &read) == -1 || at > now)
		goto out;
	until = at + read.retry_after * 1000LL;
	if (read.class == ERROR_THROTTLED && until > now)
		read.retry_after = (unsigned)((until - now + 999) / 1000);
	else if (at < since)
		goto out;
	*failure = read;
	result = 0;
out:
	record_release(&r);
	buf_release(&text);
	free(path);
	return result;
}

void
store_failure_write(const struct config *config, const struct account *account,
    const char *credential, long long at, const struct error *failure)
{
	char *path = token_path_beside(config, FOLDER, account, "failed");
	struct buf text;

	buf_init(&text, FILE_SIZE_MAX);
	record_begin(&text, FAILURE_TYPE);
	record_put(&text, "credential", credential);
	record_put_number(&text, "at", at);
	record_put_error(&text, failure);
	file_sweep(path);
	(void)file_replace(path, text.data, text.len, 0600, NULL);
	buf_release(&text);
	free(path);
}

void
store_failure_clear(const struct config *config, const struct account *account)
{
	char *path = token_path_beside(config, FOLDER, account, "failed");

	(void)file_remove(path, NULL);
	free(path);
}

void
store_claims_read(const struct config *config, const struct account *account,
    char *out, size_t size)
{
	char *path = token_path_beside(config, FOLDER, account, "claims");
	const char *stored;
	struct record r;
	struct buf text;

	*out = '\0';
	record_init(&r);
	buf_init(&text, FILE_SIZE_MAX);
	if (file_read_secret(path, false, &text, NULL) == 0 &&
	    record_parse(&r, CLAIMS_TYPE, text.data, text.len, NULL) == 0 &&
	    (stored = record_get(&r, "claims")) != NULL &&
	    strlcpy(out, stored, size) >= size)
		*out = '\0';
	record_release(&r);
	buf_release(&text);
	free(path);
}

void
store_claims_write(const struct config *config, const struct account *account,
    const char *claims)
{
	char *path = token_path_beside(config, FOLDER, account, "claims");
	struct buf text;

	buf_init(&text, FILE_SIZE_MAX);
	if (*claims == '\0') {
		(void)file_remove(path, NULL);
	} else {
		file_sweep(path);
		record_begin(&text, CLAIMS_TYPE);
		record_put(&text, "claims", claims);
		(void)file_replace(path, text.data, text.len, 0600, NULL);
	}
	buf_release(&text);
	free(path);
}
