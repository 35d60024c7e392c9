#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sysexits.h>

#include "account/msmtprc.h"
#include "base/error.h"

static struct msmtprc rc;
static struct error err;

static int
parse(const char *text)
{
	msmtprc_release(&rc);
	return msmtprc_parse(&rc, "rc", text, strlen(text), &err);
}

static const char *
get(const char *mailbox, const char *command)
{
	const struct msmtprc_account *a = msmtprc_choose(&rc, mailbox);

	assert_non_null(a);
	return msmtprc_get(a, command);
}

static int
set_up(void **state)
{
	(void)state;
	msmtprc_init(&rc);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	msmtprc_release(&rc);
	return 0;
}

static void
an_account_has_the_defaults_before_it_and_its_own(void **state)
{
	(void)state;
	assert_int_equal(parse("# mail\n"
			       "defaults\n"
			       "  tls on\r\n"
			       "port\t587\n"
			       "account office\n"
			       "host smtp.office365.com\n"
			       "user \"alerts@contoso.com\"\n"
			       "port 25\n"),
	    0);
	assert_string_equal(get(NULL, "tls"), "on");
	assert_string_equal(get(NULL, "port"), "25");
	assert_string_equal(get(NULL, "user"), "alerts@contoso.com");
	assert_null(get(NULL, "from"));
}

static void
an_account_has_what_its_bases_say(void **state)
{
	(void)state;
	assert_int_equal(parse("account a\nhost one\nfrom a@x\n"
			       "account b\nport 1\n"
			       "account c : a, b\nfrom c@x\n"
			       "account default : c\n"),
	    0);
	assert_string_equal(get(NULL, "host"), "one");
	assert_string_equal(get(NULL, "port"), "1");
	assert_string_equal(get(NULL, "from"), "c@x");
	assert_string_equal(get("A@X", "from"), "a@x");
}

static void
the_default_is_chosen_or_the_only_one(void **state)
{
	(void)state;
	assert_int_equal(parse("account a\nhost 1\naccount b\nhost 2\n"), 0);
	assert_null(msmtprc_choose(&rc, NULL));
	assert_null(msmtprc_choose(&rc, "nobody@x"));
	assert_int_equal(parse("account a\nhost 1\n"), 0);
	assert_string_equal(get(NULL, "host"), "1");
	assert_int_equal(parse(""), 0);
	assert_null(msmtprc_choose(&rc, NULL));
}

static void
a_password_is_noted_and_its_text_is_gone(void **state)
{
	(void)state;
	assert_int_equal(parse("account a\npassword s3cret\n"
			       "passwordeval echo s3cret\n"),
	    0);
	assert_string_equal(get(NULL, "password"), "");
	assert_string_equal(get(NULL, "passwordeval"), "");
	assert_int_equal(parse("account a\nPassword=s3cret x\n"), 0);
	assert_string_equal(get(NULL, "password"), "");
	assert_null(get(NULL, "Password=s3cret"));
}

static void
a_mistake_is_told_with_its_line_and_not_quoted(void **state)
{
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "\nhost s3cret\n",
		    "rc:2: no account begins before this line" },
		{ "account\n", "rc:1: this account has no name of its own" },
		{ "account : a\n",
		    "rc:1: this account has no name of its own" },
		{ "account a\naccount b : s3cret\n",
		    "rc:2: there is no account of that name before" },
		{ "account a\naccount a\n",
		    "rc:2: an account of that name was before" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].text), -1);
		assert_int_equal(err.exit_code, EX_DATAERR);
		assert_string_equal(err.text, cases[i].sentence);
		assert_true(err.hint[0] != '\0');
	}
	msmtprc_release(&rc);
	assert_int_equal(msmtprc_parse(&rc, "rc", "a\0b", 3, &err), -1);
}

static void
a_file_that_grows_without_end_is_refused(void **state)
{
	char text[16 * 1024] = "account default\n";

	(void)state;
	for (int i = 0; i <= MSMTPRC_COMMANDS_MAX; i++)
		strlcat(text, "host x\n", sizeof(text));
	assert_int_equal(parse(text), -1);
	text[0] = '\0';
	for (int i = 0; i < MSMTPRC_ACCOUNTS_MAX; i++) {
		char line[32];

		snprintf(line, sizeof(line), "account a%d\n", i);
		strlcat(text, line, sizeof(text));
	}
	assert_int_equal(parse(text), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_account_has_the_defaults_before_it_and_its_own),
		cmocka_unit_test(an_account_has_what_its_bases_say),
		cmocka_unit_test(the_default_is_chosen_or_the_only_one),
		cmocka_unit_test(a_password_is_noted_and_its_text_is_gone),
		cmocka_unit_test(
		    a_mistake_is_told_with_its_line_and_not_quoted),
		cmocka_unit_test(a_file_that_grows_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
