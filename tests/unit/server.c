/* Talks with the server's side of a session: what the client says, whole and
 * byte by byte, what is answered, and what the callbacks were told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "smtp/server.h"

#define TEXT_MAX (4u * 1024 * 1024)
#define MAX_SIZE 1000u

struct talk {
	struct smtp_server *server;
	struct buf said;             /* by the server */
	struct buf events;           /* what the callbacks were told */
	const struct error *verdict; /* of 'end' */
};

static int
on_mail(void *arg, const struct smtp_command *c, struct error *err)
{
	struct talk *t = arg;
	char *address = mailbox_address(&c->address);
	bool refused = strcmp(address, "nobody@b.example") == 0;

	if (!refused)
		(void)buf_addf(&t->events, "mail <%s>\n", address);
	free(address);
	return refused ? error_set(err, EX_NOPERM, "5.7.1", "you may not") : 0;
}

static int
on_rcpt(void *arg, const struct smtp_command *c, struct error *err)
{
	struct talk *t = arg;
	char *address = mailbox_address(&c->address);
	bool refused = strcmp(address, "nobody@b.example") == 0;

	if (!refused)
		(void)buf_addf(&t->events, "rcpt <%s>\n", address);
	free(address);
	return refused ? error_set(err, EX_NOUSER, "5.1.1", "no such user") : 0;
}

static int
on_content(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct talk *t = arg;

	if (len >= 3 && memcmp(bytes, "BAD", 3) == 0)
		return error_set(err, EX_DATAERR, "5.6.0", "bad header");
	return buf_add(&t->events, bytes, len);
}

static int
on_end(void *arg, struct buf *text, struct error *err)
{
	struct talk *t = arg;

	(void)buf_adds(&t->events, "end\n");
	(void)buf_adds(text, "sent");
	if (t->verdict == NULL)
		return 0;
	*err = *t->verdict;
	return -1;
}

static void
on_reset(void *arg)
{
	struct talk *t = arg;

	(void)buf_adds(&t->events, "reset\n");
}

static void
talk_begin(struct talk *t)
{
	const struct server_options options = {
		.host = "web1.example",
		.max_size = MAX_SIZE,
		.mail = on_mail,
		.rcpt = on_rcpt,
		.content = on_content,
		.end = on_end,
		.reset = on_reset,
		.arg = t,
	};

	*t = (struct talk){ .server = server_new(&options) };
	buf_init(&t->said, TEXT_MAX);
	buf_init(&t->events, TEXT_MAX);
}

static void
talk_end(struct talk *t)
{
	server_free(t->server);
	buf_release(&t->said);
	buf_release(&t->events);
}

static void
hear(struct talk *t)
{
	const struct buf *output = server_output(t->server);

	assert_int_equal(buf_add(&t->said, output->data, output->len), 0);
	server_written(t->server);
}

/* The client says it, in pieces of that size. */
static void
say_bytes(struct talk *t, const char *bytes, size_t len, size_t step)
{
	size_t used;

	for (size_t at = 0; at < len; at += used) {
		used = server_receive(
		    t->server, bytes + at, len - at < step ? len - at : step);
		assert_true(used > 0);
		hear(t);
	}
}

static void
say(struct talk *t, const char *text)
{
	say_bytes(t, text, strlen(text), TEXT_MAX);
}

/* All of it, whole and cut: the same is said and done. */
static void
expect(const char *client, const char *said, const char *events)
{
	static const size_t steps[] = { 1, 2, 3, 7, TEXT_MAX };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct talk t;

		talk_begin(&t);
		say_bytes(&t, client, strlen(client), steps[i]);
		assert_string_equal(t.said.data, said);
		assert_string_equal(t.events.data, events);
		talk_end(&t);
	}
}

#define BEGIN                                                                  \
	"MAIL FROM:<a@b.example>\r\n"                                          \
	"RCPT TO:<c@d.example>\r\n"
#define BEGUN                                                                  \
	"250 2.1.0 ok\r\n"                                                     \
	"250 2.1.5 ok\r\n"
#define GO "354 end with a dot on a line by itself\r\n"
#define IS_BEGUN                                                               \
	"mail <a@b.example>\n"                                                 \
	"rcpt <c@d.example>\n"
#define SENT "250 2.0.0 sent\r\n"

static void
a_session_of_two_messages(void **state)
{
	(void)state;
	expect("EHLO [127.0.0.1]\r\n" BEGIN "DATA\r\n"
	       "Subject: x\r\n\r\nBody\r\n.\r\n"
	       "MAIL FROM:<>\r\nRCPT TO:<root>\r\nRCPT TO:<c@d.example>\r\n"
	       "DATA\r\n.\r\nQUIT\r\n",
	    "250-web1.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n"
	    "250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
	    "250 SIZE 1000\r\n" BEGUN GO SENT
	    "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n" GO SENT
	    "221 2.0.0 bye\r\n",
	    IS_BEGUN "Subject: x\r\n\r\nBody\r\nend\nreset\n"
		     "mail <>\nrcpt <root>\nrcpt <c@d.example>\nend\nreset\n");
}

static void
dots_at_the_start_of_a_line_are_unstuffed(void **state)
{
	(void)state;
	expect(BEGIN "DATA\r\n..\r\n...a\r\n.b\r\na.\r\n\r\n.\r\n",
	    BEGUN GO SENT, IS_BEGUN ".\r\n..a\r\nb\r\na.\r\n\r\nend\nreset\n");
}

/* Each of these would end the content, and begin a command, if any other
 * line end than CR LF were one. */
static void
only_crlf_dot_crlf_ends_the_content(void **state)
{
	static const char *const ends[] = { "\n.\n", "\n.\r\n", "\r.\r",
		"\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\r\n.\r\r\n", "\n\n.\n\n" };
	/* What is left of them: a dot after CR LF was stuffed. */
	static const char *const lefts[] = { "\n.\n", "\n.\r\n", "\r.\r",
		"\r\n\n", "\r\n\r", "\r.\r\n", "\r\r\n\r\r\n", "\n\n.\n\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *client = xasprintf(BEGIN "DATA\r\n"
					       "x%sMAIL FROM:<e@f.example>"
					       "\r\n.\r\n",
		    ends[i]);
		char *events = xasprintf(IS_BEGUN "x%sMAIL FROM:<e@f.example>"
						  "\r\nend\nreset\n",
		    lefts[i]);

		expect(client, BEGUN GO SENT, events);
		free(client);
		free(events);
	}
}

static void
a_client_that_ends_lines_with_lf_ends_all_of_them_so(void **state)
{
	(void)state;
	expect("HELO web1\nMAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\n"
	       "DATA\nSubject: x\n\n..\nx\r\n.\r\nMAIL FROM:<e@f.example>\r\n"
	       ".\nNOOP\r\nQUIT\n",
	    "250 web1.example\r\n" BEGUN GO SENT
	    "500 5.5.2 a control character, or a line end unlike that of the "
	    "first line\r\n221 2.0.0 bye\r\n",
	    IS_BEGUN "Subject: x\n\n.\nx\r\n\r\nMAIL FROM:<e@f.example>\r\n"
		     "end\nreset\n");
}

static void
a_bare_line_end_within_a_command_begins_no_other(void **state)
{
	(void)state;
	expect("MAIL FROM:<a@b.example>\r\n"
	       "RCPT TO:<c@d.example>\nRCPT TO:<e@f.example>\r\n"
	       "RCPT TO:<c@d.example>\rRCPT TO:<e@f.example>\r\nDATA\r\n",
	    "250 2.1.0 ok\r\n"
	    "500 5.5.2 a control character, or a line end unlike that of the "
	    "first line\r\n"
	    "500 5.5.2 a control character, or a line end unlike that of the "
	    "first line\r\n"
	    "554 5.5.1 the message has no valid recipients\r\n",
	    "mail <a@b.example>\n");
}

static void
commands_out_of_place_are_refused(void **state)
{
	(void)state;
	expect("RCPT TO:<c@d.example>\r\nDATA\r\nMAIL FROM:<a@b.example>\r\n"
	       "MAIL FROM:<a@b.example>\r\nDATA\r\nRSET\r\nDATA\r\n",
	    "503 5.5.1 RCPT comes after MAIL\r\n"
	    "503 5.5.1 MAIL and RCPT come first\r\n250 2.1.0 ok\r\n"
	    "503 5.5.1 a message is begun already\r\n"
	    "554 5.5.1 the message has no valid recipients\r\n"
	    "250 2.0.0 ok\r\n503 5.5.1 MAIL and RCPT come first\r\n",
	    "mail <a@b.example>\nreset\n");
}

static void
a_greeting_forgets_the_transaction(void **state)
{
	(void)state;
	expect(BEGIN "HELO again\r\nDATA\r\n",
	    BEGUN "250 web1.example\r\n503 5.5.1 MAIL and RCPT come first\r\n",
	    IS_BEGUN "reset\n");
}

static void
who_is_refused_does_not_stop_the_others(void **state)
{
	(void)state;
	expect("MAIL FROM:<nobody@b.example>\r\nMAIL FROM:<a@b.example>\r\n"
	       "RCPT TO:<nobody@b.example>\r\nRCPT TO:<c@d.example>\r\n"
	       "DATA\r\n.\r\n",
	    "550 5.7.1 you may not\r\n250 2.1.0 ok\r\n"
	    "550 5.1.1 no such user\r\n250 2.1.5 ok\r\n" GO SENT,
	    IS_BEGUN "end\nreset\n");
}

static void
chunks_are_taken_as_they_are(void **state)
{
	(void)state;
	expect(BEGIN "BDAT 5\r\n.\r\n.\nBDAT 3 LAST\r\nQ\r\nBDAT 2\r\n",
	    BEGUN "250 2.0.0 5 octets so far\r\n" SENT
		  "503 5.5.1 MAIL and RCPT come first\r\n",
	    IS_BEGUN ".\r\n.\nQ\r\nend\nreset\n");
	expect(BEGIN "BDAT 0 LAST\r\nNOOP\r\n", BEGUN SENT "250 2.0.0 ok\r\n",
	    IS_BEGUN "end\nreset\n");
	expect(BEGIN "BDAT 2\r\nab" BEGIN "DATA\r\nBDAT 0 LAST\r\n",
	    BEGUN "250 2.0.0 2 octets so far\r\n"
		  "503 5.5.1 a message is begun already\r\n"
		  "503 5.5.1 RCPT comes after MAIL\r\n"
		  "503 5.5.1 go on with BDAT, or RSET\r\n" SENT,
	    IS_BEGUN "abend\nreset\n");
}

/* RFC 3030 section 2: what follows a chunk that failed is dropped. */
static void
a_chunk_that_cannot_be_taken_is_read_and_dropped(void **state)
{
	(void)state;
	expect("BDAT 6\r\nRSET\r\nNOOP\r\n",
	    "503 5.5.1 MAIL and RCPT come first\r\n250 2.0.0 ok\r\n", "");
	expect("MAIL FROM:<a@b.example>\r\nBDAT 6 LAST\r\nRSET\r\nNOOP\r\n",
	    "250 2.1.0 ok\r\n554 5.5.1 the message has no valid recipients\r\n"
	    "250 2.0.0 ok\r\n",
	    "mail <a@b.example>\nreset\n");
}

static void
a_failed_chunk_fails_the_message(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t);
	say(&t, BEGIN "BDAT 5\r\nBAD\r\nBDAT 6 LAST\r\nRSET\r\nNOOP\r\n");
	assert_string_equal(t.said.data,
	    BEGUN "554 5.6.0 bad header\r\n"
		  "503 5.5.1 MAIL and RCPT come first\r\n250 2.0.0 ok\r\n");
	assert_string_equal(t.events.data, IS_BEGUN "reset\n");
	talk_end(&t);
}

static void
a_count_that_is_none_ends_the_session(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t);
	say(&t, BEGIN "BDAT x LAST\r\nRCPT TO:<e@f.example>\r\n");
	assert_true(server_closed(t.server));
	assert_non_null(strstr(t.said.data, "\r\n421 "));
	assert_string_equal(t.events.data, IS_BEGUN "reset\n");
	talk_end(&t);
}

static void
content_that_fails_is_read_to_its_end(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t);
	say(&t, BEGIN "DATA\r\n");
	say(&t, "BAD\r\n");
	say(&t, "RSET\r\n.\r\nNOOP\r\n");
	assert_string_equal(
	    t.said.data, BEGUN GO "554 5.6.0 bad header\r\n250 2.0.0 ok\r\n");
	assert_string_equal(t.events.data, IS_BEGUN "reset\n");
	talk_end(&t);
}

static void
too_large_a_message_is_refused_at_mail_or_at_its_end(void **state)
{
	static const char refusal[] =
	    "552 5.3.4 the message has more than the 1000 bytes that may be "
	    "sent; hint: send a link instead, or raise 'max_size' in "
	    "outpost.conf\r\n";
	struct talk t;

	(void)state;
	talk_begin(&t);
	say(&t, "MAIL FROM:<a@b.example> SIZE=1001\r\n");
	assert_string_equal(t.said.data, refusal);
	say(&t, "MAIL FROM:<a@b.example> SIZE=1000\r\n"
		"RCPT TO:<c@d.example>\r\nDATA\r\n");
	buf_clear(&t.said);
	for (size_t i = 0; i < MAX_SIZE; i++)
		say(&t, "xxxxxxxx\r\n");
	assert_int_equal(t.said.len, 0);
	say(&t, ".\r\n");
	assert_string_equal(t.said.data, refusal);
	assert_null(strstr(t.events.data, "end"));
	assert_true(t.events.len < MAX_SIZE + 100);
	talk_end(&t);
}

static void
too_many_errors_close_the_session(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t);
	for (unsigned i = 1; i < SERVER_ERRORS_MAX; i++)
		say(&t, "X\r\n");
	assert_false(server_closed(t.server));
	say(&t, BEGIN "DATA\r\n.\r\n");
	for (unsigned i = 1; i < SERVER_ERRORS_MAX; i++)
		say(&t, "X\r\n");
	assert_false(server_closed(t.server));
	buf_clear(&t.said);
	say(&t, "X\r\n" BEGIN);
	assert_true(server_closed(t.server));
	assert_string_equal(t.said.data,
	    "500 5.5.1 'X' is no command\r\n"
	    "421 4.7.0 too many errors; closing\r\n");
	talk_end(&t);
}

static void
a_web_client_is_sent_away_at_its_first_line(void **state)
{
	(void)state;
	expect("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" BEGIN "DATA\r\n",
	    "421 4.7.0 this is SMTP, not HTTP; closing\r\n", "");
}

static void
a_line_without_end_takes_no_memory(void **state)
{
	struct talk t;
	char *line = xmalloc(1024 * 1024);

	(void)state;
	memset(line, 'x', 1024 * 1024);
	talk_begin(&t);
	say_bytes(&t, line, 1024 * 1024, TEXT_MAX);
	say_bytes(&t, "\r\nNOOP\r\n", 8, TEXT_MAX);
	assert_string_equal(
	    t.said.data, "500 5.5.2 the line is too long\r\n250 2.0.0 ok\r\n");
	talk_end(&t);
	free(line);
}

static void
much_output_is_written_before_more_is_read(void **state)
{
	struct buf lines;
	struct talk t;
	size_t used;

	(void)state;
	buf_init(&lines, TEXT_MAX);
	for (int i = 0; i < 100000; i++)
		(void)buf_adds(&lines, "NOOP\r\n");
	talk_begin(&t);
	used = server_receive(t.server, lines.data, lines.len);
	assert_true(used > 0 && used < lines.len);
	assert_true(server_output(t.server)->len < 64 * 1024);
	hear(&t);
	say_bytes(&t, lines.data + used, lines.len - used, TEXT_MAX);
	assert_int_equal(t.said.len, 100000 * strlen("250 2.0.0 ok\r\n"));
	talk_end(&t);
	buf_release(&lines);
}

static void
an_idle_client_and_one_that_leaves_leave_nothing(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t);
	say(&t, BEGIN "DATA\r\nx\r\n");
	server_idle(t.server);
	hear(&t);
	assert_true(server_closed(t.server));
	assert_string_equal(t.said.data,
	    BEGUN GO "421 4.4.2 nothing came for 300 s; closing\r\n");
	assert_string_equal(t.events.data, IS_BEGUN "x\r\nreset\n");
	talk_end(&t);
	talk_begin(&t);
	say(&t, BEGIN "DATA\r\nx\r\n.\r");
	assert_true(server_in_mail(t.server));
	server_free(t.server);
	t.server = NULL;
	assert_string_equal(t.events.data, IS_BEGUN "x\r\nreset\n");
	talk_end(&t);
}

/* What is answered to the content for an error. */
static void
expect_verdict(const struct error *verdict, const char *reply)
{
	struct talk t;

	talk_begin(&t);
	t.verdict = verdict;
	say(&t, BEGIN "DATA\r\n");
	buf_clear(&t.said);
	say(&t, ".\r\n");
	assert_string_equal(t.said.data, reply);
	talk_end(&t);
}

static void
a_verdict_has_the_servers_code_where_that_is_the_truth(void **state)
{
	struct error err;

	(void)state;
	(void)error_set(&err, EX_NOUSER, "5.1.10", "unknown: 550 5.1.10 x");
	(void)error_hint(&err, "check it");
	err.reply = 553;
	expect_verdict(
	    &err, "553 5.1.10 unknown: 550 5.1.10 x; hint: check it\r\n");
	/* Those of other commands are none for content. */
	(void)error_set(&err, EX_CONFIG, "5.7.139", "switched off");
	(void)error_class_set(&err, ERROR_HOLD, 60);
	err.reply = 535;
	expect_verdict(&err, "550 5.7.139 switched off\r\n");
	(void)error_set(&err, EX_TEMPFAIL, "4.3.2", "closing");
	err.reply = 421;
	expect_verdict(&err, "451 4.3.2 closing\r\n");
	/* The first digit of a code may lie; the class is what is done. */
	(void)error_set(&err, EX_TEMPFAIL, "5.2.0", "too much");
	(void)error_class_set(&err, ERROR_THROTTLED, 60);
	err.reply = 554;
	expect_verdict(&err, "452 4.2.0 too much\r\n");
	(void)error_set(&err, EX_UNAVAILABLE, "4.2.0", "never");
	(void)error_class_set(&err, ERROR_REFUSED, 0);
	err.reply = 430;
	expect_verdict(&err, "552 5.2.0 never\r\n");
}

static void
a_long_reply_takes_several_lines(void **state)
{
	struct error err;
	struct talk t;
	size_t lines = 0;

	(void)state;
	(void)error_set(
	    &err, EX_UNAVAILABLE, "5.7.1", "%0600d %0300d gr\xc3\xbc", 1, 2);
	talk_begin(&t);
	t.verdict = &err;
	say(&t, BEGIN "DATA\r\n");
	buf_clear(&t.said);
	say(&t, ".\r\n");
	for (char *line = t.said.data; *line != '\0'; lines++) {
		char *end = strstr(line, "\r\n");

		assert_non_null(end);
		assert_true((size_t)(end - line) <= SERVER_REPLY_LINE_MAX);
		assert_memory_equal(
		    line, end[2] == '\0' ? "550 5.7.1 " : "550-5.7.1 ", 10);
		line = end + 2;
	}
	assert_int_equal(lines, 2);
	assert_non_null(strstr(t.said.data, "2 gr??\r\n"));
	talk_end(&t);
}

static void
there_may_be_no_service_at_all(void **state)
{
	struct error err;
	struct talk t;

	(void)state;
	talk_begin(&t);
	server_greet(t.server);
	hear(&t);
	assert_string_equal(t.said.data, "220 web1.example ESMTP Outpost\r\n");
	talk_end(&t);
	(void)error_set(&err, EX_CONFIG, "5.3.5", "bad configuration");
	talk_begin(&t);
	server_turn_away(t.server, &err);
	hear(&t);
	assert_string_equal(t.said.data, "554 5.3.5 bad configuration\r\n");
	assert_true(server_closed(t.server));
	talk_end(&t);
	talk_begin(&t);
	server_give_up(t.server, &err);
	hear(&t);
	assert_string_equal(t.said.data, "421 4.3.5 bad configuration\r\n");
	talk_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_of_two_messages),
		cmocka_unit_test(dots_at_the_start_of_a_line_are_unstuffed),
		cmocka_unit_test(only_crlf_dot_crlf_ends_the_content),
		cmocka_unit_test(
		    a_client_that_ends_lines_with_lf_ends_all_of_them_so),
		cmocka_unit_test(
		    a_bare_line_end_within_a_command_begins_no_other),
		cmocka_unit_test(commands_out_of_place_are_refused),
		cmocka_unit_test(a_greeting_forgets_the_transaction),
		cmocka_unit_test(who_is_refused_does_not_stop_the_others),
		cmocka_unit_test(chunks_are_taken_as_they_are),
		cmocka_unit_test(
		    a_chunk_that_cannot_be_taken_is_read_and_dropped),
		cmocka_unit_test(a_failed_chunk_fails_the_message),
		cmocka_unit_test(a_count_that_is_none_ends_the_session),
		cmocka_unit_test(content_that_fails_is_read_to_its_end),
		cmocka_unit_test(
		    too_large_a_message_is_refused_at_mail_or_at_its_end),
		cmocka_unit_test(too_many_errors_close_the_session),
		cmocka_unit_test(a_web_client_is_sent_away_at_its_first_line),
		cmocka_unit_test(a_line_without_end_takes_no_memory),
		cmocka_unit_test(much_output_is_written_before_more_is_read),
		cmocka_unit_test(
		    an_idle_client_and_one_that_leaves_leave_nothing),
		cmocka_unit_test(
		    a_verdict_has_the_servers_code_where_that_is_the_truth),
		cmocka_unit_test(a_long_reply_takes_several_lines),
		cmocka_unit_test(there_may_be_no_service_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
