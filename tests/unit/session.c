/* What the dialogues of tests/dialogue cannot show: groups, secrets, misuse.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "smtp/session.h"

#define EHLO_REPLY                                                             \
	"250-x\r\n250-SIZE 1000000\r\n250-PIPELINING\r\n"                      \
	"250-AUTH XOAUTH2\r\n250 CHUNKING\r\n"
#define TOKEN "EwBsecretsecretsecret"

static struct buf seen; /* what the trace showed */

static void
show(void *arg, char direction, const char *line)
{
	(void)arg;
	(void)buf_addf(&seen, "%c: %s\n", direction, line);
}

static void
say(struct smtp_session *s, const char *text)
{
	session_receive(s, text, strlen(text));
}

/* A session up to the end of the second EHLO. */
static struct smtp_session *
greet(const struct session_options *options)
{
	struct smtp_session *s = session_new(options);

	say(s, "220 x ready\r\n");
	session_written(s);
	say(s, "250-x\r\n250 STARTTLS\r\n");
	session_written(s);
	say(s, "220 go\r\n");
	assert_int_equal(session_want(s), SESSION_TLS);
	session_tls_started(s);
	session_written(s);
	say(s, EHLO_REPLY);
	assert_int_equal(session_want(s), SESSION_IDLE);
	assert_int_equal(session_result(s, NULL), 0);
	return s;
}

static void
fill(struct envelope *e, size_t count)
{
	envelope_init(e);
	e->sender = xstrdup("alerts@contoso.com");
	for (size_t i = 0; i < count; i++) {
		char *address = xasprintf("somebody-%zu@fabrikam.com", i);

		(void)envelope_add(e, address, NULL);
		free(address);
	}
}

static size_t
count_lines(const char *text, const char *start)
{
	size_t count = 0;

	for (; text != NULL && *text != '\0'; text++) {
		if (strncmp(text, start, strlen(start)) == 0)
			count++;
		text = strchr(text, '\n');
		if (text == NULL)
			break;
	}
	return count;
}

static void
groups_are_bounded_and_data_is_in_the_last(void **state)
{
	const struct session_options options = { .max_recipients = 5000 };
	struct smtp_session *s = greet(&options);
	size_t asked = 0, groups = 0;
	struct envelope e;

	(void)state;
	fill(&e, 5000);
	session_send(s, &e, 1000);
	while (session_want(s) == SESSION_REPLY) {
		const char *output = session_output(s)->data;
		size_t rcpt = count_lines(output, "RCPT ");
		bool first = count_lines(output, "MAIL ") == 1;
		bool data = count_lines(output, "DATA") == 1;

		assert_true(session_output(s)->len < SESSION_GROUP_MAX + 100);
		assert_int_equal(first, groups == 0);
		asked += rcpt;
		assert_int_equal(data, asked == 5000);
		session_written(s);
		groups++;
		if (first)
			say(s, "250 sender\r\n");
		while (rcpt-- > 0)
			say(s, "250 recipient\r\n");
		if (data)
			say(s, "354 go\r\n");
	}
	assert_int_equal(session_want(s), SESSION_BODY);
	assert_true(groups > 5);
	session_body_sent(s);
	say(s, "250 2.0.0 OK <id@x> [Hostname=H.OUTLOOK.COM]\r\n");
	assert_int_equal(session_result(s, NULL), 0);
	assert_int_equal(envelope_count_state(&e, RECIPIENT_SENT), 5000);
	assert_string_equal(session_receipt(s)->message_id, "<id@x>");
	assert_string_equal(session_receipt(s)->host, "H.OUTLOOK.COM");
	assert_string_equal(session_receipt(s)->reply,
	    "250 2.0.0 OK <id@x> [Hostname=H.OUTLOOK.COM]");
	envelope_release(&e);
	session_free(s);
}

static void
token_is_not_in_the_trace(void **state)
{
	struct session_options options = { .trace = show };
	struct smtp_session *s;
	struct error err;

	(void)state;
	buf_init(&seen, 100000);
	for (int two_step = 0; two_step < 2; two_step++) {
		options.two_step_auth = two_step == 1;
		s = greet(&options);
		session_auth(s, "alerts@contoso.com", TOKEN);
		session_written(s);
		if (two_step == 1) {
			say(s, "334 \r\n");
			session_written(s);
		}
		say(s, "535 5.7.3 Authentication unsuccessful\r\n");
		assert_int_equal(session_result(s, &err), -1);
		assert_null(strstr(err.text, "EwB"));
		session_free(s);
	}
	assert_non_null(strstr(seen.data, "C: AUTH XOAUTH2 ***\n"));
	assert_non_null(strstr(seen.data, "C: ***\n"));
	assert_non_null(strstr(seen.data, "S: 250-PIPELINING\n"));
	assert_null(strstr(seen.data, "EwB"));
	assert_null(strstr(seen.data, "dXNlcj1"));
	buf_release(&seen);
}

static void
nothing_secret_before_tls(void **state)
{
	const struct session_options options = { .helo = "x" };
	struct smtp_session *s = session_new(&options);

	(void)state;
	session_auth(s, "alerts@contoso.com", TOKEN);
	assert_int_equal(session_result(s, NULL), -1);
	assert_int_equal(session_output(s)->len, 0);
	session_free(s);
}

static void
line_ends_in_a_command_are_refused(void **state)
{
	const struct session_options options = { .helo = "x\r\nQUIT" };
	struct smtp_session *s = session_new(&options);
	struct error err;

	(void)state;
	say(s, "220 x\r\n");
	assert_int_equal(session_want(s), SESSION_CLOSED);
	assert_int_equal(session_output(s)->len, 0);
	assert_int_equal(session_result(s, &err), -1);
	assert_int_equal(err.exit_code, EX_SOFTWARE);
	session_free(s);
}

static void
hostile_addresses_never_reach_the_wire(void **state)
{
	static const char *const hostile[] = {
		"a@b\r\nDATA",
		"a@b\nDATA",
		"a@b> SIZE=1",
		"<a@b>",
		"a b@c",
		"",
		"\"a@b",
		"\"a\\",
		"a@\xc3\xa4.example",
		"a\x7f@b",
	};
	const struct session_options options = { .helo = "x" };

	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct smtp_session *s = greet(&options);
		struct envelope e;
		struct error err;

		fill(&e, 1);
		free(e.recipients[0].address);
		e.recipients[0].address = xstrdup(hostile[i]);
		session_send(s, &e, 10);
		assert_int_equal(session_output(s)->len, 0);
		assert_int_equal(session_result(s, &err), -1);
		assert_string_equal(err.status, "5.1.3");
		assert_int_equal(e.recipients[0].state, RECIPIENT_REFUSED);
		envelope_release(&e);
		fill(&e, 1);
		free(e.sender);
		e.sender = xstrdup(hostile[i]);
		session_send(s, &e, 10);
		assert_int_equal(session_output(s)->len, 0);
		assert_int_equal(session_result(s, &err), -1);
		assert_string_equal(err.status, "5.1.7");
		envelope_release(&e);
		session_free(s);
	}
}

static void
the_sender_that_is_denied_is_known_until_the_next_message(void **state)
{
	const struct session_options options = { .helo = "x" };
	struct smtp_session *s = greet(&options);
	struct envelope e;

	(void)state;
	fill(&e, 1);
	session_send(s, &e, 10);
	session_written(s);
	say(s, "550 5.7.60 SMTP; Client does not have permissions to send as "
	       "this sender\r\n");
	assert_string_equal(session_denied_sender(s), e.sender);
	assert_false(session_denies_from(s));
	say(s, "503 5.5.1 no\r\n503 5.5.1 no\r\n");
	assert_int_equal(session_want(s), SESSION_IDLE);
	envelope_release(&e);
	fill(&e, 1);
	session_send(s, &e, 10);
	assert_string_equal(session_denied_sender(s), "");
	session_written(s);
	say(s, "250 ok\r\n250 ok\r\n354 go\r\n");
	session_body_ending(s);
	session_body_sent(s);
	say(s, "554 5.2.252 SendAsDenied; a@x not allowed to send as b@x; "
	       "STOREDRV\r\n");
	assert_string_equal(session_denied_sender(s), "b@x");
	assert_false(session_denies_from(s));
	envelope_release(&e);
	fill(&e, 1);
	session_send(s, &e, 10);
	session_written(s);
	say(s, "250 ok\r\n250 ok\r\n354 go\r\n");
	session_body_ending(s);
	session_body_sent(s);
	say(s, "554 5.7.60 SMTP; Client does not have permissions to send as "
	       "this sender\r\n");
	assert_string_equal(session_denied_sender(s), e.sender);
	assert_true(session_denies_from(s));
	envelope_release(&e);
	session_free(s);
}

static void
closed_session_gives_everyone_the_reason(void **state)
{
	const struct session_options options = { .helo = "x" };
	struct smtp_session *s = greet(&options);
	struct envelope e;
	struct error err;

	(void)state;
	say(s, "421 4.3.2 Service not active\r\n");
	assert_int_equal(session_want(s), SESSION_CLOSED);
	fill(&e, 2);
	session_send(s, &e, 10);
	assert_int_equal(session_result(s, &err), -1);
	assert_string_equal(err.status, "4.3.2");
	assert_int_equal(envelope_count_state(&e, RECIPIENT_PENDING), 2);
	assert_string_equal(e.recipients[1].error->status, "4.3.2");
	assert_false(session_more(s));
	envelope_release(&e);
	session_free(s);
}

/* The last bytes of the content may have arrived though writing them failed;
 * before these, nothing can have been accepted. */
static void
doubt_begins_with_the_last_bytes_of_the_content(void **state)
{
	const struct session_options options = { .helo = "x" };
	struct error lost;

	(void)state;
	error_set(&lost, EX_TEMPFAIL, "4.4.2", "lost");
	for (int ending = 0; ending < 2; ending++) {
		struct smtp_session *s = greet(&options);
		struct envelope e;
		struct error err;

		fill(&e, 1);
		session_send(s, &e, 10);
		session_written(s);
		say(s, "250 a\r\n250 b\r\n354 c\r\n");
		assert_int_equal(session_want(s), SESSION_BODY);
		if (ending == 1)
			session_body_ending(s);
		session_lost(s, &lost);
		assert_int_equal(session_result(s, &err), -1);
		assert_int_equal(err.uncertain, ending == 1);
		assert_int_equal(e.recipients[0].error->uncertain, ending == 1);
		envelope_release(&e);
		session_free(s);
	}
}

static void
left_message_is_not_touched_again(void **state)
{
	const struct session_options options = { .max_recipients = 1 };
	struct smtp_session *s = greet(&options);
	struct envelope e;

	(void)state;
	fill(&e, 2);
	session_send(s, &e, 10);
	session_written(s);
	say(s, "250 a\r\n250 b\r\n354 c\r\n");
	session_body_sent(s);
	say(s, "250 d\r\n");
	assert_true(session_more(s));
	envelope_release(&e);
	/* The caller gave up on the second recipient. */
	session_auth(s, "alerts@contoso.com", TOKEN);
	assert_false(session_more(s));
	say(s, "421 4.3.2 bye\r\n");
	assert_int_equal(session_want(s), SESSION_CLOSED);
	session_free(s);
}

static void
sent_and_refused_recipients_are_not_asked_again(void **state)
{
	const struct session_options options = { .helo = "x" };
	struct smtp_session *s = greet(&options);
	struct envelope e;
	struct error gone;

	(void)state;
	fill(&e, 3);
	envelope_verdict(&e, 0, NULL);
	error_set(&gone, EX_NOUSER, "5.1.1", "gone");
	envelope_verdict(&e, 2, &gone);
	session_send(s, &e, 10);
	assert_string_equal(session_output(s)->data,
	    "MAIL FROM:<alerts@contoso.com> SIZE=10\r\n"
	    "RCPT TO:<somebody-1@fabrikam.com>\r\nDATA\r\n");
	envelope_release(&e);
	session_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_bounded_and_data_is_in_the_last),
		cmocka_unit_test(token_is_not_in_the_trace),
		cmocka_unit_test(nothing_secret_before_tls),
		cmocka_unit_test(line_ends_in_a_command_are_refused),
		cmocka_unit_test(hostile_addresses_never_reach_the_wire),
		cmocka_unit_test(
		    the_sender_that_is_denied_is_known_until_the_next_message),
		cmocka_unit_test(closed_session_gives_everyone_the_reason),
		cmocka_unit_test(
		    doubt_begins_with_the_last_bytes_of_the_content),
		cmocka_unit_test(left_message_is_not_touched_again),
		cmocka_unit_test(
		    sent_and_refused_recipients_are_not_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
