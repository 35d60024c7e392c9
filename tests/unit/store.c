#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/oauth_response.h"
#include "auth/renew.h"
#include "auth/store.h"
#include "base/error.h"
#include "base/file.h"
#include "token/token.h"
#include "tests/unit/folder.h"

static char folder[] = "/tmp/outpost-store-XXXXXX";
static char secret_path[64];
static struct config config;
static struct account account = {
	.mailbox = (char[]){ "alerts@contoso.com" },
	.authority = (char[]){ "https://login.example" },
	.tenant = (char[]){ "t" },
	.client_id = (char[]){ "c" },
	.scope = (char[]){ "s" },
	.client_secret_file = secret_path,
};

static int
make_folder(void **state)
{
	(void)state;
	config.state_dir = mkdtemp(folder);
	snprintf(secret_path, sizeof(secret_path), "%s/secret", folder);
	return config.state_dir == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	return remove_all(folder);
}

static void
write_sign_in(const char *refresh_token)
{
	struct store_sign_in sign_in;
	struct error err;

	store_sign_in_init(&sign_in);
	buf_adds(&sign_in.refresh_token, refresh_token);
	sign_in.obtained = 100;
	sign_in.last_used = 200;
	if (store_write(&sign_in, &config, &account, &err) == -1)
		fail_msg("%s", err.text);
	store_sign_in_release(&sign_in);
}

static int
read_sign_in(struct error *err)
{
	struct store_sign_in sign_in;
	int result;

	store_sign_in_init(&sign_in);
	result = store_read(&sign_in, &config, &account, err);
	if (result == 0) {
		assert_string_equal(sign_in.refresh_token.data, "1.AXrefresh");
		assert_int_equal(sign_in.obtained, 100);
		assert_int_equal(sign_in.last_used, 200);
	}
	store_sign_in_release(&sign_in);
	return result;
}

static void
nobody_signed_in_says_how_to(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(-1, read_sign_in(&err));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_int_equal(err.class, ERROR_HOLD);
	assert_non_null(strstr(err.hint, "outpost login alerts@contoso.com"));
}

static void
sign_in_is_kept_for_its_owner_alone(void **state)
{
	char *path = token_path(&config, "secrets", &account);
	struct stat status;
	struct error err;
	char secrets[64];

	(void)state;
	write_sign_in("1.AXrefresh");
	assert_int_equal(0, read_sign_in(&err));
	assert_int_equal(0, stat(path, &status));
	assert_int_equal(status.st_mode & 0777, 0600);
	snprintf(secrets, sizeof(secrets), "%s/secrets", folder);
	assert_int_equal(0, stat(secrets, &status));
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_int_equal(0, chmod(path, 0644));
	assert_int_equal(-1, read_sign_in(&err));
	assert_int_equal(err.class, ERROR_HOLD);
	assert_null(strstr(err.text, "1.AXrefresh"));
	free(path);
	write_sign_in("1.AXrefresh");
}

static void
sign_in_for_another_client_is_refused_and_stays(void **state)
{
	char *before = account.client_id, other[] = "other";
	struct error err;

	(void)state;
	write_sign_in("1.AXrefresh");
	account.client_id = other;
	assert_int_equal(-1, read_sign_in(&err));
	assert_int_equal(err.class, ERROR_HOLD);
	assert_non_null(strstr(err.text, "client_id = c"));
	account.client_id = before;
	assert_int_equal(0, read_sign_in(&err));
}

static void
record_cut_at_any_byte_is_broken_and_never_quoted(void **state)
{
	char *path = token_path(&config, "secrets", &account);
	struct error err;
	struct buf whole;

	(void)state;
	write_sign_in("1.AXrefresh");
	buf_init(&whole, 65536);
	assert_int_equal(0, file_read(path, &whole, &err));
	for (size_t len = 0; len < whole.len; len++) {
		file_replace(path, whole.data, len, 0600, &err);
		assert_int_equal(-1, read_sign_in(&err));
		assert_int_equal(err.class, ERROR_HOLD);
		assert_null(strstr(err.text, "AXref"));
		assert_non_null(strstr(err.hint, "outpost login"));
	}
	buf_release(&whole);
	free(path);
}

static void
write_secret(const char *text, size_t len, mode_t mode)
{
	struct error err;

	if (file_replace(secret_path, text, len, mode, &err) == -1)
		fail_msg("%s", err.text);
}

static void
line_end_is_no_part_of_a_client_secret(void **state)
{
	static const char *const texts[] = { "a secret", "a secret\n",
		"a secret\r\n" };
	struct error err;
	struct buf secret;

	(void)state;
	buf_init(&secret, STORE_SECRET_MAX);
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&secret);
		write_secret(texts[i], strlen(texts[i]), 0600);
		assert_int_equal(0, store_line(&account, secret_path,
					"client secret", true, &secret, &err));
		assert_string_equal(secret.data, "a secret");
	}
	buf_release(&secret);
}

static void
file_without_one_secret_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = { { "", 0 }, { "\n", 1 }, { "a\nb\n", 4 }, { "a\0b", 3 } };
	struct error err;
	struct buf secret;

	(void)state;
	buf_init(&secret, STORE_SECRET_MAX);
	for (size_t i = 0; i < 4; i++) {
		write_secret(cases[i].text, cases[i].len, 0600);
		assert_int_equal(-1, store_line(&account, secret_path,
					 "client secret", true, &secret, &err));
		assert_int_equal(err.exit_code, EX_CONFIG);
		assert_int_equal(err.class, ERROR_HOLD);
	}
	write_secret("readable by all\n", 16, 0644);
	assert_int_equal(-1, store_line(&account, secret_path, "client secret",
				 true, &secret, &err));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_non_null(strstr(err.hint, "chmod 600"));
	unlink(secret_path);
	assert_int_equal(-1, store_line(&account, secret_path, "client secret",
				 true, &secret, &err));
	assert_int_equal(err.class, ERROR_HOLD);
	buf_release(&secret);
}

static void
lock_is_held_by_one(void **state)
{
	struct error err;
	int fd = store_lock(&config, &account, file_now() + 1, &err);

	(void)state;
	assert_int_not_equal(-1, fd);
	assert_int_equal(
	    -1, store_lock(&config, &account, file_now() + 0.05, &err));
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	close(fd);
	fd = store_lock(&config, &account, file_now() + 1, &err);
	assert_int_not_equal(-1, fd);
	close(fd);
}

static struct error
failure_of(enum error_class class, unsigned retry_after)
{
	struct error err;

	error_set(&err, EX_NOPERM, "4.7.0", "it failed");
	error_class_set(&err, class, retry_after);
	return err;
}

static int
read_failure(
    const char *credential, long long since, long long now, struct error *err)
{
	return store_failure_read(
	    &config, &account, credential, since, now, err);
}

static void
failure_counts_for_who_wanted_it_meanwhile(void **state)
{
	struct error failure = failure_of(ERROR_HOLD, 0), err;

	(void)state;
	store_failure_write(&config, &account, "hash", 5000, &failure);
	assert_int_equal(0, read_failure("hash", 4000, 6000, &err));
	assert_string_equal(err.text, "it failed");
	assert_int_equal(err.class, ERROR_HOLD);
	assert_int_equal(-1, read_failure("hash", 5001, 6000, &err));
	assert_int_equal(-1, read_failure("other", 4000, 6000, &err));
	/* A clock that went back. */
	assert_int_equal(-1, read_failure("hash", 1000, 2000, &err));
	store_failure_clear(&config, &account);
	assert_int_equal(-1, read_failure("hash", 4000, 6000, &err));
}

static void
pause_that_was_asked_for_counts_until_it_is_over(void **state)
{
	struct error failure = failure_of(ERROR_THROTTLED, 60), err;

	(void)state;
	store_failure_write(&config, &account, "hash", 5000, &failure);
	assert_int_equal(0, read_failure("hash", 30000, 35000, &err));
	assert_int_equal(err.retry_after, 30);
	assert_int_equal(-1, read_failure("hash", 70000, 70000, &err));
	store_failure_clear(&config, &account);
}

static void
claims_challenge_is_kept_until_a_login(void **state)
{
	struct oauth_token answer;
	char claims[64];

	(void)state;
	store_claims_read(&config, &account, claims, sizeof(claims));
	assert_string_equal(claims, "");
	store_claims_write(&config, &account, "{\"a\":1}");
	store_claims_read(&config, &account, claims, sizeof(claims));
	assert_string_equal(claims, "{\"a\":1}");
	store_claims_read(&config, &account, claims, 5);
	assert_string_equal(claims, "");

	oauth_token_init(&answer);
	buf_adds(&answer.access_token, "access");
	buf_adds(&answer.refresh_token, "1.AXnew");
	answer.expires_in = 3600;
	assert_int_equal(0,
	    renew_keep(&config, &account, &answer, 5000, file_now() + 1, NULL));
	store_claims_read(&config, &account, claims, sizeof(claims));
	assert_string_equal(claims, "");
	oauth_token_release(&answer);
}

static void
login_keeps_both_tokens_and_logout_forgets_them(void **state)
{
	struct oauth_token answer;
	struct token token;
	struct error err;

	(void)state;
	oauth_token_init(&answer);
	token_init(&token);
	buf_adds(&answer.access_token, "access");
	answer.expires_in = 3600;
	assert_int_equal(-1,
	    renew_keep(&config, &account, &answer, 5000, file_now() + 1, &err));
	assert_non_null(strstr(err.hint, "offline_access"));
	buf_adds(&answer.refresh_token, "1.AXnew");
	assert_int_equal(0,
	    renew_keep(&config, &account, &answer, 5000, file_now() + 1, &err));
	assert_int_equal(0, token_cached(&token, &config, &account, 5000));
	assert_int_equal(
	    0, renew_forget(&config, &account, file_now() + 1, &err));
	assert_int_equal(-1, token_cached(&token, &config, &account, 5000));
	assert_int_equal(-1, read_sign_in(&err));
	assert_non_null(strstr(err.text, "has not signed in"));
	token_release(&token);
	oauth_token_release(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_signed_in_says_how_to),
		cmocka_unit_test(sign_in_is_kept_for_its_owner_alone),
		cmocka_unit_test(
		    sign_in_for_another_client_is_refused_and_stays),
		cmocka_unit_test(
		    record_cut_at_any_byte_is_broken_and_never_quoted),
		cmocka_unit_test(line_end_is_no_part_of_a_client_secret),
		cmocka_unit_test(file_without_one_secret_is_refused),
		cmocka_unit_test(lock_is_held_by_one),
		cmocka_unit_test(failure_counts_for_who_wanted_it_meanwhile),
		cmocka_unit_test(
		    pause_that_was_asked_for_counts_until_it_is_over),
		cmocka_unit_test(claims_challenge_is_kept_until_a_login),
		cmocka_unit_test(
		    login_keeps_both_tokens_and_logout_forgets_them),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
