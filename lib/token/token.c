#include "token/token.h"

#include <ctype.h>
#include <stdint.h>
#include <sys/stat.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/record.h"
#include "base/xalloc.h"
#include "token/program.h"

#define FOLDER "tokens"
#define CACHE_TYPE "access-token"
#define ANSWER_TYPE "token-answer"
/* A clock may have been set back a little since the token came. */
#define CLOCK_SLACK 300
#define LIMIT_SIZE 16

void
token_init(struct token *token)
{
	*token = (struct token){ .issued = 0 };
	buf_init(&token->value, TOKEN_MAX);
}

void
token_release(struct token *token)
{
	buf_release(&token->value);
	token_init(token);
}

/* 'from' becomes empty, 'to' loses what it had. */
static void
move_token(struct token *to, struct token *from)
{
	token_release(to);
	*to = *from;
	token_init(from);
}

void
token_hash(const struct token *token, char out[ENCODE_SHA256_HEX_SIZE])
{
	encode_sha256_hex(out, token->value.data, token->value.len);
}

char *
token_path(const struct config *config, const char *folder,
    const struct account *account)
{
	struct buf path;

	buf_init(&path, SIZE_MAX / 2);
	buf_addf(&path, "%s/%s/", config->state_dir, folder);
	for (const char *c = account->mailbox; *c != '\0'; c++) {
		unsigned char byte = (unsigned char)tolower((unsigned char)*c);

		if (isascii(byte) &&
		    (isalnum(byte) || strchr("@_+-", byte) != NULL))
			buf_addc(&path, (char)byte);
		else if (byte == '.' && c != account->mailbox)
			buf_addc(&path, '.');
		else
			buf_addf(&path, "%%%02X", byte);
	}
	return buf_steal(&path);
}

char *
token_path_beside(const struct config *config, const char *folder,
    const struct account *account, const char *what)
{
	char *path = token_path(config, folder, account);
	char *beside = xasprintf("%s=%s", path, what);

	free(path);
	return beside;
}

/* All that decides what a token is good for. A field's end is marked, so that
 * two fields cannot trade characters. */
static void
make_key(char out[ENCODE_SHA256_HEX_SIZE], const struct account *account)
{
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	buf_addf(&text, "%s\n%s\n%s\n%s\n%d\n%s\n", account->mailbox,
	    account->authority, account->tenant == NULL ? "" : account->tenant,
	    account->client_id == NULL ? "" : account->client_id, account->auth,
	    account->scope);
	encode_sha256_hex(out, text.data, text.len);
	buf_release(&text);
}

/* The fields that cache and answer share; a broken record reads as -1. */
static int
read_fields(struct token *token, const struct record *r)
{
	const char *value = record_get(r, "token");
	long long issued, expires, refresh_in;

	if (value == NULL || *value == '\0' ||
	    record_get_number(r, "issued", 0, RECORD_TIME_MAX, &issued) == -1 ||
	    record_get_number(r, "expires", 0, RECORD_TIME_MAX, &expires) ==
		-1 ||
	    record_get_number(
		r, "refresh-in", 0, RECORD_TIME_MAX, &refresh_in) == -1)
		return -1;
	buf_clear(&token->value);
	if (buf_adds(&token->value, value) == -1)
		return -1;
	token->issued = (time_t)issued;
	token->expires = (time_t)expires;
	token->refresh_in = (time_t)refresh_in;
	return 0;
}

static void
put_fields(const struct token *token, struct buf *out)
{
	record_put(out, "token", token->value.data);
	record_put_number(out, "issued", token->issued);
	record_put_number(out, "expires", token->expires);
	record_put_number(out, "refresh-in", token->refresh_in);
}

static bool
is_valid(const struct token *token, time_t now)
{
	time_t life = token->expires - token->issued;
	time_t margin =
	    life / 4 < TOKEN_MARGIN ? life / 4 : (time_t)TOKEN_MARGIN;

	if (life <= 0 || life > TOKEN_LIFE_MAX)
		return false;
	if (token->issued > now + CLOCK_SLACK)
		return false;
	return token->expires > now && token->expires - now >= margin;
}

int
token_cached(struct token *token, const struct config *config,
    const struct account *account, time_t now)
{
	char key[ENCODE_SHA256_HEX_SIZE];
	char *path = token_path(config, FOLDER, account);
	const char *stored;
	struct record r;
	struct token read;
	struct buf text;
	int result = -1;

	record_init(&r);
	token_init(&read);
	buf_init(&text, TOKEN_ANSWER_MAX);
	if (file_read(path, &text, NULL) == -1 ||
	    record_parse(&r, CACHE_TYPE, text.data, text.len, NULL) == -1)
		goto out;
	make_key(key, account);
	stored = record_get(&r, "key");
	if (stored == NULL || strcmp(stored, key) != 0 ||
	    read_fields(&read, &r) == -1 || !is_valid(&read, now))
		goto out;
	move_token(token, &read);
	result = 0;
out:
	buf_release(&text);
	token_release(&read);
	record_release(&r);
	free(path);
	return result;
}

bool
token_is_idle(
    const struct config *config, const struct account *account, time_t now)
{
	char *path = token_path(config, FOLDER, account);
	struct stat status;
	bool idle = account->auth == AUTH_LOGIN && stat(path, &status) == 0 &&
		    status.st_mtime + TOKEN_IDLE <= now;

	free(path);
	return idle;
}

/* In a folder whose set-group-id bit hands files to submit's group, that
 * group may read them; elsewhere only the owner. */
static mode_t
cache_mode(const char *folder)
{
	struct stat status;

	if (stat(folder, &status) == 0 && (status.st_mode & S_ISGID) != 0)
		return 0640;
	return 0600;
}

int
token_store(const struct token *token, const struct config *config,
    const struct account *account, struct error *err)
{
	char key[ENCODE_SHA256_HEX_SIZE];
	char *folder = xasprintf("%s/" FOLDER, config->state_dir);
	char *path = token_path(config, FOLDER, account);
	struct buf text;
	int result = -1;

	buf_init(&text, TOKEN_ANSWER_MAX);
	make_key(key, account);
	record_begin(&text, CACHE_TYPE);
	record_put(&text, "key", key);
	put_fields(token, &text);
	if (file_make_folder(folder, 0700, err) == -1)
		goto out;
	file_sweep(path);
	result =
	    file_replace(path, text.data, text.len, cache_mode(folder), err);
out:
	buf_release(&text);
	free(path);
	free(folder);
	return result;
}

int
token_forget(const struct config *config, const struct account *account,
    struct error *err)
{
	char *path = token_path(config, FOLDER, account);
	int result = file_remove(path, err);

	free(path);
	return result;
}

void
token_format(const struct token *token, struct buf *out)
{
	record_begin(out, ANSWER_TYPE);
	put_fields(token, out);
}

void
token_format_error(const struct error *err, struct buf *out)
{
	record_begin(out, ANSWER_TYPE);
	record_put_error(out, err);
}

int
token_parse_answer(
    struct token *token, const char *text, size_t len, struct error *err)
{
	struct record r;
	struct token read;
	struct error why;
	int result = -1;

	record_init(&r);
	token_init(&read);
	if (len == 0) {
		program_no_answer(err, "it wrote nothing");
	} else if (record_parse(&r, ANSWER_TYPE, text, len, &why) == -1) {
		program_no_answer(err, why.text);
	} else if (record_get(&r, "token") == NULL) {
		if (record_get_error(&r, &why) == -1 || why.class == ERROR_NONE)
			program_no_answer(
			    err, "its record is neither token nor error");
		else if (err != NULL)
			*err = why;
	} else if (read_fields(&read, &r) == -1) {
		program_no_answer(err, "its token is incomplete");
	} else {
		move_token(token, &read);
		result = 0;
	}
	token_release(&read);
	record_release(&r);
	return result;
}

static int
ask(struct token *token, const struct program *p, double deadline,
    const struct waiter *waiter, struct error *err)
{
	struct buf answer;
	int result;

	buf_init(&answer, TOKEN_ANSWER_MAX);
	result = program_ask(p, deadline, waiter, &answer, err);
	if (result == 0)
		result =
		    token_parse_answer(token, answer.data, answer.len, err);
	buf_release(&answer);
	return result;
}

static int
ask_program(struct token *token, const struct config *config,
    const struct account *account, const char *libexec, const char *rejected,
    double deadline, const struct waiter *waiter, struct error *err)
{
	/* A second for its answer to reach us. */
	double seconds = deadline - file_now() - 1;
	char limit[LIMIT_SIZE];
	struct program p;
	int result;

	if (seconds < 1)
		seconds = 1;
	if (seconds > TOKEN_SECONDS_MAX)
		seconds = TOKEN_SECONDS_MAX;
	snprintf(limit, sizeof(limit), "%d", (int)seconds);
	program_init(&p, libexec, "token", config);
	program_add(&p, "-t");
	program_add(&p, limit);
	if (rejected != NULL) {
		program_add(&p, "-r");
		program_add(&p, rejected);
	}
	program_add(&p, "--");
	program_add(&p, account->mailbox);
	result = ask(token, &p, deadline, waiter, err);
	program_release(&p);
	return result;
}

int
token_get_relayed(struct token *token, const struct config *config,
    const struct account *account, const char *libexec, double deadline,
    struct error *err)
{
	struct program p;
	int result;

	program_init(&p, libexec, "submit", config);
	program_add(&p, "-t");
	program_add(&p, account->mailbox);
	result = ask(token, &p, deadline, NULL, err);
	program_release(&p);
	return result;
}

int
token_get(struct token *token, const struct config *config,
    const struct account *account, const char *libexec, const char *rejected,
    double deadline, const struct waiter *waiter, struct error *err)
{
	char hash[ENCODE_SHA256_HEX_SIZE];
	time_t now = time(NULL);
	bool usable, early;
	struct token cached;
	int result;

	token_init(&cached);
	usable = token_cached(&cached, config, account, now) == 0;
	if (usable && rejected != NULL) {
		token_hash(&cached, hash);
		usable = strcmp(hash, rejected) != 0;
	}
	early = usable && cached.refresh_in != 0 && cached.refresh_in <= now;
	if (usable && !early) {
		move_token(token, &cached);
		return 0;
	}
	if (early && deadline > file_now() + TOKEN_EARLY_WAIT)
		deadline = file_now() + TOKEN_EARLY_WAIT;
	result = ask_program(
	    token, config, account, libexec, rejected, deadline, waiter, err);
	if (result == -1 && early) {
		move_token(token, &cached);
		result = 0;
	}
	token_release(&cached);
	return result;
}
