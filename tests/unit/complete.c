#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/complete.h"
#include "mail/header.h"

static const char *
to_admin(void *arg, const char *local)
{
	(void)arg;
	return strcmp(local, "root") == 0 ? "it@contoso.com" : NULL;
}

static struct completion
usual(void)
{
	return (struct completion){
		.now = { .tm_year = 126,
		    .tm_mon = 10,
		    .tm_mday = 24,
		    .tm_hour = 4,
		    .tm_min = 6,
		    .tm_sec = 9,
		    .tm_wday = 2 },
		.utc_offset = 3600,
		.unique = "20261124.1.abc",
		.host = "web1.contoso.com",
		.program = "Outpost 1.0",
		.account = "alerts@contoso.com",
		.login = "root",
		.from = "root",
		.uid = 33,
		.body_utf8 = true,
		.shown_as = to_admin,
		.no_recipient = COMPLETE_UNDISCLOSED,
	};
}

static char *
completed(const char *text, const struct completion *c)
{
	struct header h;
	struct error err;
	struct buf out;
	bool smtputf8 = false;

	header_init(&h);
	buf_init(&out, HEADER_OUT_MAX);
	assert_int_equal(header_parse(&h, text, strlen(text), NULL, &err), 0);
	assert_int_equal(header_complete(&h, c, &err), 0);
	assert_int_equal(header_format(&h, &out, &smtputf8, &err), 0);
	header_release(&h);
	return buf_steal(&out);
}

#define RECEIVED                                                               \
	"Received: by web1.contoso.com (Outpost 1.0, from userid 33)\r\n"      \
	"\tid 20261124.1.abc; Tue, 24 Nov 2026 04:06:09 +0100\r\n"
#define DATE "Date: Tue, 24 Nov 2026 04:06:09 +0100\r\n"
#define ID "Message-ID: <20261124.1.abc@contoso.com>\r\n"
#define WHOLE "Date: x\r\nMessage-ID: <x@y>\r\nFrom: a@b.org\r\nTo: c@d.org\r\n"

static void
expect(const char *text, const struct completion *c, const char *wanted)
{
	char *got = completed(text, c);

	assert_string_equal(got, wanted);
	free(got);
}

static void
an_empty_header_gets_all_that_is_needed(void **state)
{
	struct completion c = usual();

	(void)state;
	expect("", &c,
	    RECEIVED DATE ID "From: root on web1 <alerts@contoso.com>\r\n"
			     "To: undisclosed-recipients:;\r\n");
}

static void
a_missing_to_is_what_the_caller_wishes(void **state)
{
	struct completion c = usual();

	(void)state;
	c.no_recipient = "a@example.org, b@example.org";
	expect("", &c,
	    RECEIVED DATE ID "From: root on web1 <alerts@contoso.com>\r\n"
			     "To: a@example.org, b@example.org\r\n");
	c.no_recipient = NULL;
	expect("", &c,
	    RECEIVED DATE ID "From: root on web1 <alerts@contoso.com>\r\n");
}

static void
a_complete_header_gets_only_received(void **state)
{
	struct completion c = usual();

	(void)state;
	expect(WHOLE, &c, RECEIVED WHOLE);
}

static void
cron_mail_reads_well(void **state)
{
	struct completion c = usual();

	(void)state;
	expect("From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1>"
	       " /bin/x\nMIME-Version: 1.0\nContent-Type: text/plain;"
	       " charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
	       "X-Cron-Env: <SHELL=/bin/sh>\n",
	    &c,
	    RECEIVED "From: root (Cron Daemon)\r\n"
		     "To: root <it@contoso.com>\r\n"
		     "Subject: Cron <root@web1> /bin/x\r\n"
		     "MIME-Version: 1.0\r\n"
		     "Content-Type: text/plain; charset=UTF-8\r\n"
		     "Content-Transfer-Encoding: 8bit\r\n"
		     "X-Cron-Env: <SHELL=/bin/sh>\r\n" DATE ID);
}

static void
bcc_never_leaks(void **state)
{
	struct completion c = usual();
	char *got;

	(void)state;
	got = completed("BCC : secret@x.org,\n secret2@x.org\nbcc: secret\n"
			"Resent-Bcc: secret@x.org\nReturn-Path: <secret>\n"
			"Resent-bcc\t: secret\n",
	    &c);
	assert_null(strstr(got, "secret"));
	assert_non_null(strstr(got, "To: undisclosed-recipients:;\r\n"));
	free(got);
	c.add_nothing = true;
	got = completed("Bcc: secret@x.org\nTo: a@b.org\n", &c);
	assert_string_equal(got, RECEIVED "To: a@b.org\r\n");
	free(got);
}

static void
cc_alone_needs_no_to(void **state)
{
	struct completion c = usual();
	char *got = completed("Cc: a@b.org\n", &c);

	(void)state;
	assert_null(strstr(got, "undisclosed"));
	free(got);
}

static void
expect_from(const char *from, const char *full_name, const char *wanted)
{
	struct completion c = usual();
	char *got;

	c.from = from;
	c.full_name = full_name;
	got = completed("", &c);
	assert_non_null(strstr(got, wanted));
	free(got);
}

static void
a_missing_from_is_made_of_what_is_known(void **state)
{
	(void)state;
	expect_from("root", "CronDaemon",
	    "\r\nFrom: CronDaemon <alerts@contoso.com>\r\n");
	expect_from(
	    "root", "root", "\r\nFrom: root on web1 <alerts@contoso.com>\r\n");
	expect_from(
	    "bob@x.org", "Bob, B.", "\r\nFrom: \"Bob, B.\" <bob@x.org>\r\n");
	expect_from("bob@x.org", NULL, "\r\nFrom: <bob@x.org>\r\n");
	expect_from(NULL, "Bob", "\r\nFrom: Bob <alerts@contoso.com>\r\n");
	expect_from(NULL, "J\xc3\xb6rg",
	    "\r\nFrom: =?utf-8?B?SsO2cmc=?= <alerts@contoso.com>\r\n");
}

static void
a_full_name_cannot_add_a_field(void **state)
{
	struct completion c = usual();
	char *got;

	(void)state;
	c.full_name = "x\r\nBcc: evil@x.org\r\n\r\nbody";
	got = completed("", &c);
	assert_null(strstr(got, "\nBcc"));
	assert_null(strstr(got, "\r\n\r\n"));
	assert_non_null(
	    strstr(got, "\r\nFrom: \"x  Bcc: evil@x.org    body\" <alerts@"));
	free(got);
}

static void
a_given_from_beats_the_full_name(void **state)
{
	struct completion c = usual();
	char *got;

	(void)state;
	c.full_name = "Other";
	got = completed("From: Ann <a@b.org>\n", &c);
	assert_null(strstr(got, "Other"));
	free(got);
}

static void
local_names_are_shown_with_an_address(void **state)
{
	struct completion c = usual();
	char *got;

	(void)state;
	got = completed("To: root, bob, Ann <a@b.org>\nCc: \"The Admin\" <root>"
			"\nReply-To: www-data\n",
	    &c);
	assert_non_null(strstr(got,
	    "To: root <it@contoso.com>, bob on web1 <alerts@contoso.com>, "
	    "Ann <a@b.org>\r\n"));
	assert_non_null(strstr(got, "Cc: The Admin <it@contoso.com>\r\n"));
	assert_non_null(
	    strstr(got, "Reply-To: www-data on web1 <alerts@contoso.com>\r\n"));
	free(got);
}

static void
eight_bit_text_is_labelled(void **state)
{
	struct completion c = usual();

	(void)state;
	c.body_8bit = true;
	expect(WHOLE, &c,
	    RECEIVED WHOLE "MIME-Version: 1.0\r\n"
			   "Content-Type: text/plain; charset=utf-8\r\n"
			   "Content-Transfer-Encoding: 8bit\r\n");
	c.body_utf8 = false;
	expect(WHOLE, &c,
	    RECEIVED WHOLE "MIME-Version: 1.0\r\n"
			   "Content-Type: text/plain; charset=unknown-8bit\r\n"
			   "Content-Transfer-Encoding: 8bit\r\n");
	expect(WHOLE "MIME-Version: 1.0\r\nContent-Type: text/html\r\n"
		     "Content-Transfer-Encoding: 8bit\r\n",
	    &c,
	    RECEIVED WHOLE "MIME-Version: 1.0\r\nContent-Type: text/html\r\n"
			   "Content-Transfer-Encoding: 8bit\r\n");
}

static void
a_quoted_body_is_labelled(void **state)
{
	struct completion c = usual();

	(void)state;
	c.body_quoted = true;
	expect(WHOLE "Content-Type: text/html\n"
		     "Content-Transfer-Encoding: 8bit\n",
	    &c,
	    RECEIVED WHOLE "Content-Type: text/html\r\nMIME-Version: 1.0\r\n"
			   "Content-Transfer-Encoding: quoted-printable\r\n");
}

static void
mail_from_nobody_is_marked_automatic(void **state)
{
	struct completion c = usual();

	(void)state;
	c.null_sender = true;
	expect(WHOLE, &c,
	    RECEIVED WHOLE "Auto-Submitted: auto-replied\r\n"
			   "X-Auto-Response-Suppress: All\r\n");
	expect(WHOLE "Auto-Submitted: auto-generated\r\n", &c,
	    RECEIVED WHOLE "Auto-Submitted: auto-generated\r\n"
			   "X-Auto-Response-Suppress: All\r\n");
}

static void
a_resent_block_is_dated(void **state)
{
	struct completion c = usual();

	(void)state;
	expect("Resent-From: a@b.org\nResent-To: c@d.org\n" WHOLE, &c,
	    RECEIVED
	    "Resent-" DATE
	    "Resent-Message-ID: <resent.20261124.1.abc@contoso.com>\r\n"
	    "Resent-From: a@b.org\r\nResent-To: c@d.org\r\n" WHOLE);
	/* What an older block has is not this one's. */
	expect("Resent-Message-ID: <2>\r\nResent-To: c@d.org\r\n"
	       "Resent-To: e@f.org\r\nResent-Date: y\r\n" WHOLE,
	    &c,
	    RECEIVED "Resent-" DATE
		     "Resent-Message-ID: <2>\r\nResent-To: c@d.org\r\n"
		     "Resent-To: e@f.org\r\nResent-Date: y\r\n" WHOLE);
}

static void
a_loop_is_stopped(void **state)
{
	struct completion c = usual();
	struct header h;
	struct error err;

	(void)state;
	header_init(&h);
	for (unsigned i = 0; i < COMPLETE_HOPS_MAX; i++)
		header_prepend(&h, "Received", "x");
	assert_int_equal(header_complete(&h, &c, &err), 0);
	assert_int_equal(header_complete(&h, &c, &err), -1);
	assert_int_equal(err.exit_code, EX_UNAVAILABLE);
	assert_string_equal(err.status, "5.4.6");
	assert_true(err.hint[0] != '\0');
	header_release(&h);
	c.hops_max = 2;
	header_prepend(&h, "Received", "x");
	header_prepend(&h, "Received", "x");
	header_prepend(&h, "Received", "x");
	assert_int_equal(header_complete(&h, &c, &err), -1);
	header_release(&h);
}

static void
dates_are_right_in_any_zone(void **state)
{
	struct tm tm = { .tm_year = 99, .tm_mon = 0, .tm_mday = 1 };
	char date[COMPLETE_DATE_SIZE];

	(void)state;
	tm.tm_wday = 5;
	complete_date(date, &tm, -12600);
	assert_string_equal(date, "Fri, 1 Jan 1999 00:00:00 -0330");
	complete_date(date, &tm, 0);
	assert_string_equal(date, "Fri, 1 Jan 1999 00:00:00 +0000");
	complete_date(date, &tm, 50400);
	assert_string_equal(date, "Fri, 1 Jan 1999 00:00:00 +1400");
}

static void
expect_lines(const char *text, enum content_lines wanted)
{
	struct header h;
	struct error err;

	header_init(&h);
	assert_int_equal(header_parse(&h, text, strlen(text), NULL, &err), 0);
	assert_int_equal(header_content_lines(&h), wanted);
	header_release(&h);
}

static void
long_lines_are_treated_by_the_kind_of_mail(void **state)
{
	(void)state;
	expect_lines("", CONTENT_QUOTE);
	expect_lines("Content-Type: TEXT/html; charset=x\n", CONTENT_QUOTE);
	expect_lines("Content-Transfer-Encoding: 8BIT\n", CONTENT_QUOTE);
	expect_lines("Content-Transfer-Encoding: base64\n", CONTENT_BREAK);
	expect_lines(
	    "Content-Transfer-Encoding: quoted-printable\n", CONTENT_SOFT);
	expect_lines("Content-Type: a/b\n"
		     "Content-Transfer-Encoding: quoted-printable\n",
	    CONTENT_BREAK);
	expect_lines(
	    "Content-Type: multipart/mixed; boundary=x\n", CONTENT_BREAK);
	expect_lines(
	    "Content-Type: multipart/signed; boundary=x\n", CONTENT_KEEP);
	expect_lines("Content-Type: application/pkcs7-mime\n", CONTENT_KEEP);
	expect_lines("DKIM-Signature: v=1\n", CONTENT_KEEP);
	expect_lines("Content-Type: multipart/signedx\n", CONTENT_BREAK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_header_gets_all_that_is_needed),
		cmocka_unit_test(a_missing_to_is_what_the_caller_wishes),
		cmocka_unit_test(a_complete_header_gets_only_received),
		cmocka_unit_test(cron_mail_reads_well),
		cmocka_unit_test(bcc_never_leaks),
		cmocka_unit_test(cc_alone_needs_no_to),
		cmocka_unit_test(a_missing_from_is_made_of_what_is_known),
		cmocka_unit_test(a_full_name_cannot_add_a_field),
		cmocka_unit_test(a_given_from_beats_the_full_name),
		cmocka_unit_test(local_names_are_shown_with_an_address),
		cmocka_unit_test(eight_bit_text_is_labelled),
		cmocka_unit_test(a_quoted_body_is_labelled),
		cmocka_unit_test(mail_from_nobody_is_marked_automatic),
		cmocka_unit_test(a_resent_block_is_dated),
		cmocka_unit_test(a_loop_is_stopped),
		cmocka_unit_test(dates_are_right_in_any_zone),
		cmocka_unit_test(long_lines_are_treated_by_the_kind_of_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
