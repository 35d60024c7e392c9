#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/from_policy.h"
#include "mail/header.h"

static char noreply[] = "noreply@contoso.com", shops[] = "shop-*@contoso.com";
static char *const send_as[] = { noreply, shops };

static bool
is_local(void *arg, const char *domain)
{
	(void)arg;
	return strcasecmp(domain, "localhost") == 0 ||
	       strcasecmp(domain, "web1.contoso.com") == 0 ||
	       strcasecmp(domain, "contoso.internal") == 0;
}

static bool
is_denied(void *arg, const char *address)
{
	(void)arg;
	return strcmp(address, noreply) == 0;
}

static struct from_policy
usual(void)
{
	return (struct from_policy){
		.account = "alerts@contoso.com",
		.send_as = send_as,
		.send_as_count = 2,
		.host = "web1.contoso.com",
		.is_local = is_local,
	};
}

/* Apply it, and again: the second time must change nothing. */
static void
expect_with(const struct from_policy *p, const char *text, const char *wanted)
{
	struct header h;
	struct error err;
	struct buf out;
	bool smtputf8 = false;

	header_init(&h);
	assert_int_equal(header_parse(&h, text, strlen(text), NULL, &err), 0);
	for (int i = 0; i < 2; i++) {
		buf_init(&out, HEADER_OUT_MAX);
		assert_int_equal(from_policy_apply(p, &h, &err), 0);
		assert_int_equal(header_format(&h, &out, &smtputf8, &err), 0);
		assert_string_equal(out.data, wanted);
		buf_release(&out);
	}
	header_release(&h);
}

static void
expect(const char *text, const char *wanted)
{
	struct from_policy p = usual();

	expect_with(&p, text, wanted);
}

static void
what_the_mailbox_may_use_stays_byte_for_byte(void **state)
{
	(void)state;
	expect("From: alerts@contoso.com\n", "From: alerts@contoso.com\r\n");
	expect("From:  \"Web, Shop\"  <ALERTS@contoso.com>\n",
	    "From:  \"Web, Shop\"  <ALERTS@contoso.com>\r\n");
	expect("From: noreply@contoso.com\n", "From: noreply@contoso.com\r\n");
	expect("From: Shop <shop-7@contoso.com>\n",
	    "From: Shop <shop-7@contoso.com>\r\n");
}

static void
obsolete_forms_of_it_are_put_right(void **state)
{
	(void)state;
	expect("From: alerts@contoso.com (Web Alerts)\n",
	    "From: Web Alerts <alerts@contoso.com>\r\n");
	expect("From: alerts@contoso.com <alerts@contoso.com>\n",
	    "From: \"alerts@contoso.com\" <alerts@contoso.com>\r\n");
}

static void
local_users_are_shown_with_their_host(void **state)
{
	(void)state;
	expect("From: root\n", "From: root on web1 <alerts@contoso.com>\r\n"
			       "X-Original-From: root\r\n");
	expect("From: root@localhost\n",
	    "From: root on web1 <alerts@contoso.com>\r\n"
	    "X-Original-From: root@localhost\r\n");
	expect("From: root@web1.contoso.com\n",
	    "From: root on web1 <alerts@contoso.com>\r\n"
	    "X-Original-From: root@web1.contoso.com\r\n");
	expect("From: root (Cron Daemon)\n",
	    "From: Cron Daemon <alerts@contoso.com>\r\n"
	    "X-Original-From: root (Cron Daemon)\r\n");
	expect("From: \"(Cron Daemon)\" <root>\n",
	    "From: \"(Cron Daemon)\" <alerts@contoso.com>\r\n"
	    "X-Original-From: \"(Cron Daemon)\" <root>\r\n");
	expect("From: bob@contoso.internal\n",
	    "From: \"bob@contoso.internal\" <alerts@contoso.com>\r\n"
	    "X-Original-From: bob@contoso.internal\r\n");
}

static void
foreign_addresses_become_reply_to(void **state)
{
	(void)state;
	expect("From: Bob <bob@fabrikam.com>\n",
	    "From: Bob <alerts@contoso.com>\r\n"
	    "Reply-To: Bob <bob@fabrikam.com>\r\n"
	    "X-Original-From: Bob <bob@fabrikam.com>\r\n");
	expect("From: bob@fabrikam.com\n",
	    "From: \"bob@fabrikam.com\" <alerts@contoso.com>\r\n"
	    "Reply-To: <bob@fabrikam.com>\r\n"
	    "X-Original-From: bob@fabrikam.com\r\n");
	expect("From: Bob <bob@fabrikam.com>\nReply-To: x@y.org\n",
	    "From: Bob <alerts@contoso.com>\r\nReply-To: x@y.org\r\n"
	    "X-Original-From: Bob <bob@fabrikam.com>\r\n");
	/* An answer is not worth the servers that have no SMTPUTF8. */
	expect("From: B\xc3\xb6 <b\xc3\xb6@fabrikam.com>\n",
	    "From: =?utf-8?B?QsO2?= <alerts@contoso.com>\r\n"
	    "X-Original-From: "
	    "=?utf-8?B?QsO2IDxiw7ZAZmFicmlrYW0uY29tPg==?=\r\n");
	expect("From: =?utf-8?Q?B=C3=B6b?= <bob@fabrikam.com>\n",
	    "From: =?utf-8?Q?B=C3=B6b?= <alerts@contoso.com>\r\n"
	    "Reply-To: =?utf-8?Q?B=C3=B6b?= <bob@fabrikam.com>\r\n"
	    "X-Original-From: =?utf-8?Q?B=C3=B6b?= <bob@fabrikam.com>\r\n");
}

static void
raw_names_are_encoded(void **state)
{
	(void)state;
	expect("From: B\xc3\xb6"
	       "b <bob@fabrikam.com>\n",
	    "From: =?utf-8?Q?B=C3=B6b?= <alerts@contoso.com>\r\n"
	    "Reply-To: =?utf-8?Q?B=C3=B6b?= <bob@fabrikam.com>\r\n"
	    "X-Original-From: =?utf-8?Q?B=C3=B6b?= <bob@fabrikam.com>\r\n");
}

static void
several_become_one_and_all_get_replies(void **state)
{
	(void)state;
	expect("From: Ann <a@x.org>, b@y.org, root\n",
	    "From: Ann <alerts@contoso.com>\r\n"
	    "Reply-To: Ann <a@x.org>,\r\n\t<b@y.org>\r\n"
	    "X-Original-From: Ann <a@x.org>, b@y.org, root\r\n");
	expect("From: Ann <a@x.org>\nSubject: s\nFrom: noreply@contoso.com\n",
	    "From: <noreply@contoso.com>\r\nSubject: s\r\n"
	    "Reply-To: Ann <a@x.org>,\r\n\t<noreply@contoso.com>\r\n"
	    "X-Original-From: Ann <a@x.org>, noreply@contoso.com\r\n");
}

static void
nonsense_is_replaced_and_kept(void **state)
{
	(void)state;
	expect("From: My Shop info@shop.example\n",
	    "From: \"My Shop info@shop.example\" <alerts@contoso.com>\r\n"
	    "X-Original-From: My Shop info@shop.example\r\n");
	expect("From: \"x <a@b.org>\r\n\tmore\n",
	    "From: \"x a@b.org more\" <alerts@contoso.com>\r\n"
	    "X-Original-From: \"x <a@b.org>\r\n\tmore\r\n");
	expect("From:\n", "From: <alerts@contoso.com>\r\n");
	expect("From: <>\n",
	    "From: <alerts@contoso.com>\r\nX-Original-From: <>\r\n");
	expect("Subject: x\n", "Subject: x\r\nFrom: alerts@contoso.com\r\n");
}

static void
a_huge_broken_from_becomes_a_short_name(void **state)
{
	struct from_policy p = usual();
	struct header h;
	struct error err;
	struct buf b;
	size_t len;

	(void)state;
	buf_init(&b, HEADER_MAX);
	buf_adds(&b, "From: ((((");
	while (b.len < 900000)
		buf_adds(&b, "\xe2\x82\xac");
	header_init(&h);
	assert_int_equal(header_parse(&h, b.data, b.len, NULL, &err), 0);
	assert_int_equal(from_policy_apply(&p, &h, &err), 0);
	(void)header_raw_value(&h, 0, &len);
	assert_true(len < 600);
	buf_clear(&b);
	b.max = HEADER_OUT_MAX;
	assert_int_equal(header_format(&h, &b, NULL, &err), 0);
	buf_release(&b);
	header_release(&h);
}

static void
foreign_senders_are_renamed(void **state)
{
	(void)state;
	expect("From: alerts@contoso.com\nSender: bob@fabrikam.com\n",
	    "From: alerts@contoso.com\r\n"
	    "X-Original-Sender: bob@fabrikam.com\r\n");
	expect("From: alerts@contoso.com\nSender: root\n",
	    "From: alerts@contoso.com\r\nX-Original-Sender: root\r\n");
	expect("From: alerts@contoso.com\nSender: noreply@contoso.com\n",
	    "From: alerts@contoso.com\r\nSender: noreply@contoso.com\r\n");
}

static void
resent_fields_stay(void **state)
{
	(void)state;
	expect("Resent-From: bob@fabrikam.com\nFrom: alerts@contoso.com\n",
	    "Resent-From: bob@fabrikam.com\r\n"
	    "From: alerts@contoso.com\r\n");
}

static void
a_denied_address_is_foreign(void **state)
{
	struct from_policy p = usual();

	(void)state;
	p.is_denied = is_denied;
	expect_with(&p, "From: noreply@contoso.com\n",
	    "From: \"noreply@contoso.com\" <alerts@contoso.com>\r\n"
	    "Reply-To: <noreply@contoso.com>\r\n"
	    "X-Original-From: noreply@contoso.com\r\n");
}

static bool
is_asked_for(void *arg, const char *address)
{
	strlcat(arg, address, 100);
	strlcat(arg, " ", 100);
	return false;
}

static void
only_addresses_of_send_as_are_asked_for(void **state)
{
	struct from_policy p = usual();
	char asked[100] = "";

	(void)state;
	p.is_denied = is_asked_for;
	p.arg = asked;
	assert_true(from_policy_allows(&p, "alerts@contoso.com"));
	assert_false(from_policy_allows(&p, "bob@fabrikam.com"));
	assert_false(from_policy_allows(&p, "root"));
	assert_true(from_policy_allows(&p, "noreply@contoso.com"));
	assert_string_equal(asked, "noreply@contoso.com ");
}

static void
the_address_of_a_header_that_went_out_is_its_one_from(void **state)
{
	static const struct {
		const char *header;
		const char *address; /* NULL: not known */
	} cases[] = {
		{ "From: Boss <Boss@contoso.com>\r\n\r\n", "Boss@contoso.com" },
		{ "Subject: s\r\nfrom : (x)\r\n boss@contoso.com\r\n\r\n",
		    "boss@contoso.com" },
		{ "Subject: s\r\n\r\n", NULL },
		{ "From: root\r\n\r\n", NULL },
		{ "From: a@x, b@x\r\n\r\n", NULL },
		{ "From: a@x\r\nFrom: a@x\r\n\r\n", NULL },
		{ "From: <\r\n\r\n", NULL },
		{ "From: <>\r\n\r\n", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *address = from_policy_address(
		    cases[i].header, strlen(cases[i].header));

		if (cases[i].address == NULL)
			assert_null(address);
		else
			assert_string_equal(address, cases[i].address);
		free(address);
	}
}

static void
reject_says_that_the_server_refused_it(void **state)
{
	struct from_policy p = usual();
	struct header h;
	struct error err;

	(void)state;
	p.reject = true;
	p.is_denied = is_denied;
	header_init(&h);
	assert_int_equal(
	    header_parse(&h, "From: noreply@contoso.com\n", 26, NULL, &err), 0);
	assert_int_equal(from_policy_apply(&p, &h, &err), -1);
	assert_int_equal(err.exit_code, EX_NOPERM);
	assert_non_null(strstr(err.hint, "Add-RecipientPermission"));
	header_release(&h);
}

static void
reject_refuses_what_is_foreign(void **state)
{
	static const char *const foreign[] = { "From: Bob <bob@x.org>\n",
		"From: root, bob@x.org\n",
		"From: alerts@contoso.com, bob@x.org\n", "From: broken <\n",
		"From: joe@contoso.internal\n" };
	struct from_policy p = usual();
	struct header h;
	struct error err;

	(void)state;
	p.reject = true;
	header_init(&h);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
		assert_int_equal(header_parse(&h, foreign[i],
				     strlen(foreign[i]), NULL, &err),
		    0);
		assert_int_equal(from_policy_apply(&p, &h, &err), -1);
		assert_int_equal(err.exit_code, EX_NOPERM);
		assert_string_equal(err.status, "5.7.1");
		assert_non_null(strstr(err.hint, "send_as"));
		assert_non_null(strstr(err.hint, "foreign_from"));
		assert_int_equal(h.count, 1);
		assert_memory_equal(
		    h.fields[0].text, foreign[i], strlen(foreign[i]) - 1);
	}
	header_release(&h);
	expect_with(
	    &p, "From: noreply@contoso.com\n", "From: noreply@contoso.com\r\n");
}

static void
reject_rewrites_users_of_this_host(void **state)
{
	struct from_policy p = usual();

	(void)state;
	p.reject = true;
	expect_with(&p, "From: root (Cron Daemon)\n",
	    "From: Cron Daemon <alerts@contoso.com>\r\n"
	    "X-Original-From: root (Cron Daemon)\r\n");
	expect_with(&p, "From: www-data@web1.contoso.com\n",
	    "From: www-data on web1 <alerts@contoso.com>\r\n"
	    "X-Original-From: www-data@web1.contoso.com\r\n");
	expect_with(&p, "From: root@localhost\n",
	    "From: root on web1 <alerts@contoso.com>\r\n"
	    "X-Original-From: root@localhost\r\n");
}

static void
only_listed_addresses_may_send(void **state)
{
	struct from_policy p = usual();

	(void)state;
	assert_true(from_policy_allows(&p, "Alerts@Contoso.com"));
	assert_true(from_policy_allows(&p, "shop-1@contoso.com"));
	assert_false(from_policy_allows(&p, "alerts+x@contoso.com"));
	assert_false(from_policy_allows(&p, "root"));
	assert_false(from_policy_allows(&p, "shop-1@contoso.com.evil.org"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_mailbox_may_use_stays_byte_for_byte),
		cmocka_unit_test(obsolete_forms_of_it_are_put_right),
		cmocka_unit_test(local_users_are_shown_with_their_host),
		cmocka_unit_test(foreign_addresses_become_reply_to),
		cmocka_unit_test(raw_names_are_encoded),
		cmocka_unit_test(several_become_one_and_all_get_replies),
		cmocka_unit_test(nonsense_is_replaced_and_kept),
		cmocka_unit_test(a_huge_broken_from_becomes_a_short_name),
		cmocka_unit_test(foreign_senders_are_renamed),
		cmocka_unit_test(resent_fields_stay),
		cmocka_unit_test(a_denied_address_is_foreign),
		cmocka_unit_test(
		    the_address_of_a_header_that_went_out_is_its_one_from),
		cmocka_unit_test(only_addresses_of_send_as_are_asked_for),
		cmocka_unit_test(reject_says_that_the_server_refused_it),
		cmocka_unit_test(reject_refuses_what_is_foreign),
		cmocka_unit_test(reject_rewrites_users_of_this_host),
		cmocka_unit_test(only_listed_addresses_may_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
