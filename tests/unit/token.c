#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "token/token.h"
#include "tests/unit/folder.h"

#define NOW 1000000

static char folder[] = "/tmp/outpost-token-XXXXXX";
static struct config config = { .path = (char[]){ "/tmp/outpost.conf" } };
static struct account account = {
	.mailbox = (char[]){ "Alerts@Contoso.com" },
	.authority = (char[]){ "https://login.example" },
	.tenant = (char[]){ "t" },
	.client_id = (char[]){ "c" },
	.scope = (char[]){ "s" },
};

static int
make_folder(void **state)
{
	(void)state;
	config.state_dir = mkdtemp(folder);
	return config.state_dir == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	return remove_all(folder);
}

static struct token
token_of(const char *value, time_t issued, time_t expires)
{
	struct token token;

	token_init(&token);
	buf_adds(&token.value, value);
	token.issued = issued;
	token.expires = expires;
	return token;
}

static void
store(time_t issued, time_t expires)
{
	struct token token = token_of("secret-token", issued, expires);
	struct error err;

	if (token_store(&token, &config, &account, &err) == -1)
		fail_msg("%s", err.text);
	token_release(&token);
}

static bool
is_cached(time_t now)
{
	struct token token;
	bool found;

	token_init(&token);
	found = token_cached(&token, &config, &account, now) == 0;
	if (found)
		assert_string_equal(token.value.data, "secret-token");
	token_release(&token);
	return found;
}

static void
stored_token_is_found_until_its_margin(void **state)
{
	(void)state;
	store(NOW, NOW + 3600);
	assert_true(is_cached(NOW));
	assert_true(is_cached(NOW + 3600 - TOKEN_MARGIN));
	assert_false(is_cached(NOW + 3600 - TOKEN_MARGIN + 1));
	assert_false(is_cached(NOW + 7200));
}

static void
short_lived_token_has_a_smaller_margin(void **state)
{
	(void)state;
	store(NOW, NOW + 600);
	assert_true(is_cached(NOW));
	assert_true(is_cached(NOW + 450));
	assert_false(is_cached(NOW + 451));
}

static void
times_that_cannot_be_are_not_believed(void **state)
{
	(void)state;
	store(NOW + 100000, NOW + 103600);
	assert_false(is_cached(NOW));
	store(NOW, NOW + TOKEN_LIFE_MAX + 1);
	assert_false(is_cached(NOW));
	store(NOW, NOW - 1);
	assert_false(is_cached(NOW));
}

static void
changed_account_makes_the_token_invalid(void **state)
{
	char **const fields[] = { &account.authority, &account.tenant,
		&account.client_id, &account.scope };
	char other[] = "other";

	(void)state;
	store(NOW, NOW + 3600);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char *before = *fields[i];

		*fields[i] = other;
		assert_false(is_cached(NOW));
		*fields[i] = before;
	}
	account.auth = AUTH_SECRET;
	assert_false(is_cached(NOW));
	account.auth = AUTH_LOGIN;
	assert_true(is_cached(NOW));
}

static void
broken_cache_is_no_cache(void **state)
{
	static const char *const texts[] = { "", "x",
		"outpost-access-token 2\n", "outpost-access-token 1\n",
		"outpost-access-token 1\nkey: x",
		"outpost-access-token 1\nkey: x\ntoken: y\n" };
	char *path = token_path(&config, "tokens", &account);
	struct buf whole;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		file_replace(path, texts[i], strlen(texts[i]), 0600, &err);
		assert_false(is_cached(NOW));
	}
	store(NOW, NOW + 3600);
	buf_init(&whole, 65536);
	assert_int_equal(0, file_read(path, &whole, &err));
	for (size_t len = 0; len < whole.len; len++) {
		assert_int_equal(
		    0, file_replace(path, whole.data, len, 0600, &err));
		assert_false(is_cached(NOW));
	}
	buf_release(&whole);
	unlink(path);
	assert_int_equal(0, mkdir(path, 0700));
	assert_false(is_cached(NOW));
	rmdir(path);
	free(path);
}

static void
cache_is_readable_by_a_group_only_where_the_folder_says_so(void **state)
{
	char *path = token_path(&config, "tokens", &account);
	char tokens[128];
	struct stat status;

	(void)state;
	snprintf(tokens, sizeof(tokens), "%s/tokens", folder);
	store(NOW, NOW + 3600);
	assert_int_equal(0, stat(path, &status));
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(0, chmod(tokens, 02750));
	store(NOW, NOW + 3600);
	assert_int_equal(0, stat(path, &status));
	assert_int_equal(status.st_mode & 0777, 0640);
	chmod(tokens, 0700);
	free(path);
}

static void
forgotten_token_is_gone(void **state)
{
	struct error err;

	(void)state;
	store(NOW, NOW + 3600);
	assert_int_equal(0, token_forget(&config, &account, &err));
	assert_false(is_cached(NOW));
	assert_int_equal(0, token_forget(&config, &account, &err));
}

static void
mailbox_is_a_safe_file_name(void **state)
{
	struct account a = account;
	char *path;

	(void)state;
	a.mailbox = (char[]){ "../../etc/PASSWD @\xc3\xa4=%." };
	path = token_path(&config, "tokens", &a);
	assert_string_equal(strstr(path, "/tokens/"),
	    "/tokens/%2E.%2F..%2Fetc%2Fpasswd%20@%C3%A4%3D%25.");
	free(path);
}

static void
touch(const char *base, const char *suffix)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s%s", base, suffix);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_not_equal(-1, fd);
	close(fd);
}

static bool
there(const char *base, const char *suffix)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", base, suffix);
	return access(path, F_OK) == 0;
}

static void
leftovers_are_swept_and_other_accounts_are_not(void **state)
{
	char *path = token_path(&config, "tokens", &account);

	(void)state;
	store(NOW, NOW + 3600);
	touch(path, ".aB3xYz");
	touch(path, ".museum");
	touch(path, ".TooLong7");
	touch(path, "=lock");
	store(NOW, NOW + 3600);
	assert_false(there(path, ".aB3xYz"));
	assert_true(there(path, ".museum"));
	assert_true(there(path, ".TooLong7"));
	assert_true(there(path, "=lock"));
	assert_true(there(path, ""));
	free(path);
}

static void
token_travels_as_an_answer(void **state)
{
	struct token token = token_of("secret-token", NOW, NOW + 3600), read;
	struct error err;
	struct buf answer;

	(void)state;
	token.refresh_in = NOW + 1800;
	token_init(&read);
	buf_init(&answer, TOKEN_ANSWER_MAX);
	token_format(&token, &answer);
	assert_int_equal(
	    0, token_parse_answer(&read, answer.data, answer.len, &err));
	assert_string_equal(read.value.data, "secret-token");
	assert_int_equal(read.issued, NOW);
	assert_int_equal(read.expires, NOW + 3600);
	assert_int_equal(read.refresh_in, NOW + 1800);
	for (size_t len = 0; len < answer.len; len++)
		assert_int_equal(
		    -1, token_parse_answer(&read, answer.data, len, &err));
	token_release(&read);
	token_release(&token);
	buf_release(&answer);
}

static void
error_travels_as_an_answer(void **state)
{
	struct error sent, got;
	struct token token;
	struct buf answer;

	(void)state;
	error_set(&sent, EX_CONFIG, "4.7.0", "the sign-in has expired");
	error_hint(&sent, "sign in\nagain");
	error_class_set(&sent, ERROR_HOLD, 77);
	token_init(&token);
	buf_init(&answer, TOKEN_ANSWER_MAX);
	token_format_error(&sent, &answer);
	assert_int_equal(
	    -1, token_parse_answer(&token, answer.data, answer.len, &got));
	assert_int_equal(got.exit_code, EX_CONFIG);
	assert_int_equal(got.class, ERROR_HOLD);
	assert_int_equal(got.retry_after, 77);
	assert_string_equal(got.status, "4.7.0");
	assert_string_equal(got.text, "the sign-in has expired");
	assert_string_equal(got.hint, "sign in again");
	buf_release(&answer);
}

static void
answer_that_is_none_is_a_temporary_error(void **state)
{
	static const char *const answers[] = { "", "oops\n",
		"outpost-token-answer 1\n",
		"outpost-token-answer 1\nclass: sent\nexit: 1\nstatus: 4\n"
		"retry_after: 0\ntext: x\n",
		"outpost-token-answer 1\nclass: hold\nexit: 0\nstatus: 4\n"
		"retry_after: 0\ntext: passes for success\n",
		"outpost-token-answer 1\ntoken: \nissued: 1\nexpires: 2\n"
		"refresh-in: 0\n" };
	struct token token;
	struct error err;

	(void)state;
	token_init(&token);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		error_clear(&err);
		assert_int_equal(-1, token_parse_answer(&token, answers[i],
					 strlen(answers[i]), &err));
		assert_int_equal(err.exit_code, EX_TEMPFAIL);
		assert_int_equal(err.class, ERROR_RETRY);
	}
}

/* A stand-in for the token program. */
static void
write_program(const char *text)
{
	char path[128];
	struct error err;

	snprintf(path, sizeof(path), "%s/token", folder);
	if (file_replace(path, text, strlen(text), 0700, &err) == -1)
		fail_msg("%s", err.text);
}

static int
get(const char *rejected, double seconds, struct token *token,
    struct error *err)
{
	token_init(token);
	return token_get(token, &config, &account, folder, rejected,
	    file_now() + seconds, NULL, err);
}

static void
program_is_asked_where_nothing_is_cached(void **state)
{
	struct token token;
	struct error err;

	(void)state;
	token_forget(&config, &account, NULL);
	write_program("#!/bin/sh\n"
		      "[ \"$*\" = \"-C /tmp/outpost.conf -t 8 -r h -- "
		      "Alerts@Contoso.com\" ] || exit 9\n"
		      "printf 'outpost-token-answer 1\\ntoken: fresh\\n"
		      "issued: 1\\nexpires: 2\\nrefresh-in: 0\\n'\n");
	if (get("h", 9.5, &token, &err) == -1)
		fail_msg("%s", err.text);
	assert_string_equal(token.value.data, "fresh");
	token_release(&token);
}

static void
program_without_an_answer_is_told_of(void **state)
{
	static const struct {
		const char *program;
		const char *text;
	} cases[] = {
		{ "#!/bin/sh\nexit 71\n", "(exit 71)" },
		{ "#!/bin/sh\nkill -SEGV $$\n", "signal 11" },
		{ "#!/bin/sh\nexec sleep 30\n", "too long" },
		{ "#!/bin/sh\nexec cat /dev/zero\n", "too much" },
		{ "#!/bin/sh\nexec 1>&-\nexec sleep 30\n", "signal 9" },
	};
	struct token token;
	struct error err;

	(void)state;
	token_forget(&config, &account, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double start = file_now();

		write_program(cases[i].program);
		error_clear(&err);
		assert_int_equal(-1, get(NULL, 1.5, &token, &err));
		if (strstr(err.text, cases[i].text) == NULL)
			fail_msg("%s: %s", cases[i].program, err.text);
		assert_int_equal(err.exit_code, EX_TEMPFAIL);
		assert_true(file_now() - start < 5);
	}
}

static void
missing_program_is_a_matter_of_installation(void **state)
{
	struct token token;
	struct error err;

	(void)state;
	/* valgrind's fork for vfork keeps the child's failure from us. */
	if (getenv("OUTPOST_MEMCHECK") != NULL)
		skip();
	token_init(&token);
	assert_int_equal(
	    -1, token_get(&token, &config, &account, "/nonexistent", NULL,
		    file_now() + 5, NULL, &err));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_non_null(strstr(err.text, "/nonexistent/token"));
	assert_int_not_equal(err.hint[0], '\0');
}

static int
start(struct error *err)
{
	struct token token;

	token_init(&token);
	return token_get(&token, &config, &account, "/nonexistent", NULL,
	    file_now() + 5, NULL, err);
}

/* A process of its own, since limits count for no root and come back for
 * nobody. */
static void
no_room_for_a_process_is_temporary(void **state)
{
	const struct rlimit none = { 0, 0 };
	struct error err;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		if ((geteuid() == 0 && setuid(65534) == -1) ||
		    setrlimit(RLIMIT_NPROC, &none) == -1)
			_exit(1);
		_exit(start(&err) == -1 && err.exit_code == EX_TEMPFAIL &&
			      err.class == ERROR_RETRY
			  ? 0
			  : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
cached_token_needs_no_program_unless_it_was_rejected(void **state)
{
	char hash[ENCODE_SHA256_HEX_SIZE];
	time_t now = time(NULL);
	struct token token;
	struct error err;

	(void)state;
	write_program("#!/bin/sh\nexit 71\n");
	store(now, now + 3600);
	assert_int_equal(0, get(NULL, 5, &token, &err));
	token_hash(&token, hash);
	token_release(&token);
	assert_int_equal(0, get("another", 5, &token, &err));
	token_release(&token);
	assert_int_equal(-1, get(hash, 5, &token, &err));
	assert_non_null(strstr(err.text, "(exit 71)"));
}

static void
early_renewal_that_fails_leaves_the_token_in_use(void **state)
{
	time_t now = time(NULL);
	struct token token = token_of("old", now - 1800, now + 1800);
	struct error err;

	(void)state;
	token.refresh_in = now - 1;
	assert_int_equal(0, token_store(&token, &config, &account, &err));
	token_release(&token);
	write_program("#!/bin/sh\nexit 71\n");
	assert_int_equal(0, get(NULL, 5, &token, &err));
	assert_string_equal(token.value.data, "old");
	token_release(&token);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_token_is_found_until_its_margin),
		cmocka_unit_test(short_lived_token_has_a_smaller_margin),
		cmocka_unit_test(times_that_cannot_be_are_not_believed),
		cmocka_unit_test(changed_account_makes_the_token_invalid),
		cmocka_unit_test(broken_cache_is_no_cache),
		cmocka_unit_test(
		    cache_is_readable_by_a_group_only_where_the_folder_says_so),
		cmocka_unit_test(forgotten_token_is_gone),
		cmocka_unit_test(mailbox_is_a_safe_file_name),
		cmocka_unit_test(
		    leftovers_are_swept_and_other_accounts_are_not),
		cmocka_unit_test(token_travels_as_an_answer),
		cmocka_unit_test(error_travels_as_an_answer),
		cmocka_unit_test(answer_that_is_none_is_a_temporary_error),
		cmocka_unit_test(program_is_asked_where_nothing_is_cached),
		cmocka_unit_test(program_without_an_answer_is_told_of),
		cmocka_unit_test(missing_program_is_a_matter_of_installation),
		cmocka_unit_test(no_room_for_a_process_is_temporary),
		cmocka_unit_test(
		    cached_token_needs_no_program_unless_it_was_rejected),
		cmocka_unit_test(
		    early_renewal_that_fails_leaves_the_token_in_use),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
