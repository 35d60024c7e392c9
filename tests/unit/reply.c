/* Replies put together from bytes, and what EHLO offers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "smtp/capabilities.h"
#include "smtp/reply.h"

static struct error err;

/* The reply to 'text', fed in pieces of 'step' bytes. */
static int
feed(struct smtp_reply *r, const char *text, size_t len, size_t step)
{
	int result = 0;

	reply_clear(r);
	while (len > 0 && result == 0) {
		size_t n = len < step ? len : step;
		size_t used = 0;

		result = reply_feed(r, text, n, &used, &err);
		if (result == 1)
			assert_int_equal(used, n);
		text += n;
		len -= n;
	}
	return result;
}

static int
feed_text(struct smtp_reply *r, const char *text)
{
	return feed(r, text, strlen(text), strlen(text));
}

static void
one_line(void **state)
{
	struct smtp_reply r;

	(void)state;
	reply_init(&r);
	assert_int_equal(feed_text(&r, "250 2.1.5 Recipient OK\r\n"), 1);
	assert_int_equal(r.code, 250);
	assert_string_equal(r.status, "2.1.5");
	assert_string_equal(r.text.data, "Recipient OK");
	assert_string_equal(r.lines.data, "2.1.5 Recipient OK\n");
	reply_release(&r);
}

static void
same_at_every_cut(void **state)
{
	const char *text = "535-5.7.139 Authentication unsuccessful,\r\n"
			   "535 5.7.139 see below. [A.prod.outlook.com "
			   "2024-02-14T14:50:26.590Z 08DC2D372B4C3DED]\r\n";
	struct smtp_reply r;

	(void)state;
	reply_init(&r);
	for (size_t step = 1; step <= strlen(text); step++) {
		assert_int_equal(feed(&r, text, strlen(text), step), 1);
		assert_int_equal(r.code, 535);
		assert_string_equal(r.status, "5.7.139");
		assert_string_equal(
		    r.text.data, "Authentication unsuccessful, see below.");
		assert_string_equal(r.host, "A.prod.outlook.com");
		assert_string_equal(r.session, "08DC2D372B4C3DED");
		assert_int_equal(r.count, 2);
	}
	reply_release(&r);
}

static void
rest_belongs_to_the_next_reply(void **state)
{
	const char *text = "250 one\r\n250 two\r\n";
	struct smtp_reply r;
	size_t used;

	(void)state;
	reply_init(&r);
	assert_int_equal(reply_feed(&r, text, strlen(text), &used, &err), 1);
	assert_int_equal(used, 9);
	assert_string_equal(r.text.data, "one");
	reply_clear(&r);
	assert_int_equal(
	    reply_feed(&r, text + used, strlen(text) - used, &used, &err), 1);
	assert_string_equal(r.text.data, "two");
	reply_release(&r);
}

static void
trailers(void **state)
{
	static const struct {
		const char *line, *text, *host, *session;
	} cases[] = {
		{ "250 2.0.0 OK <i@x> [Hostname=S.OUTLOOK.COM]\r\n", "OK <i@x>",
		    "S.OUTLOOK.COM", "" },
		{ "504 5.7.4 Unrecognized [A.outlook.com]\r\n", "Unrecognized",
		    "A.outlook.com", "" },
		{ "220 x ready [08DE2A6028D26C22]\r\n", "x ready", "",
		    "08DE2A6028D26C22" },
		{ "250 x Hello [203.0.113.7]\r\n", "x Hello [203.0.113.7]", "",
		    "" },
		{ "451 4.7.500 from [2001:db8::1]\r\n", "from [2001:db8::1]",
		    "", "" },
		{ "550 5.1.1 a list[x.y]\r\n", "a list[x.y]", "", "" },
		{ "550 5.1.1 see [a.b c.d]\r\n", "see [a.b c.d]", "", "" },
		{ "550 []\r\n", "[]", "", "" },
		{ "550 ]\r\n", "]", "", "" },
		{ "550 [a.example]\r\n", "", "a.example", "" },
		{ "554 5.2.0 x [BeginDiagnosticData]1 2[EndDiagnosticData] "
		  "[Hostname=H]\r\n",
		    "x [BeginDiagnosticData]1 2[EndDiagnosticData]", "H", "" },
	};
	struct smtp_reply r;

	(void)state;
	reply_init(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed_text(&r, cases[i].line), 1);
		assert_string_equal(r.text.data, cases[i].text);
		assert_string_equal(r.host, cases[i].host);
		assert_string_equal(r.session, cases[i].session);
	}
	reply_release(&r);
}

static void
status_is_kept_as_the_server_said_it(void **state)
{
	static const struct {
		const char *line, *status, *text;
	} cases[] = {
		{ "451 5.7.3 STARTTLS is required\r\n", "5.7.3",
		    "STARTTLS is required" },
		{ "250 OK\r\n", "", "OK" },
		{ "250\r\n", "", "" },
		{ "250 \r\n", "", "" },
		{ "250 2.0.0\r\n", "2.0.0", "" },
		{ "250 8BITMIME\r\n", "", "8BITMIME" },
		{ "250 2.0 OK\r\n", "", "2.0 OK" },
		{ "250 2.0.0.1 OK\r\n", "", "2.0.0.1 OK" },
		{ "250 2.1234.0 OK\r\n", "", "2.1234.0 OK" },
		{ "250 3.1.0 OK\r\n", "", "3.1.0 OK" },
		{ "550 5.7.513x OK\r\n", "", "5.7.513x OK" },
	};
	struct smtp_reply r;

	(void)state;
	reply_init(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed_text(&r, cases[i].line), 1);
		assert_string_equal(r.status, cases[i].status);
		assert_string_equal(r.text.data, cases[i].text);
	}
	reply_release(&r);
}

static void
what_is_no_smtp_is_refused(void **state)
{
	static const char *const cases[] = {
		"\r\n",
		"25\r\n",
		"HTTP/1.1 400 Bad Request\r\n",
		"150 x\r\n",
		"650 x\r\n",
		"2x0 x\r\n",
		"250x\r\n",
		"250-a\r\n251 b\r\n",
		"250-a\r\nb\r\n",
	};
	struct smtp_reply r;

	(void)state;
	reply_init(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed_text(&r, cases[i]), -1);
		assert_string_equal(err.status, "4.5.0");
		assert_int_equal(err.class, ERROR_RETRY);
		assert_non_null(strstr(err.text, "not SMTP"));
	}
	assert_int_equal(feed(&r, "250 a\0b\r\n", 9, 9), -1);
	reply_release(&r);
}

static void
another_protocol_is_known_by_its_first_bytes(void **state)
{
	static const struct {
		const char *bytes, *said;
	} cases[] = {
		{ "HTTP/1.1 400", "(a web server): HTTP/1.1 400" },
		{ "<html>", "(a web server)" },
		{ "\x15\x03\x01\x02\x02P", "(TLS from the first byte" },
		{ "SSH-2.0-OpenSSH", "(an SSH server): SSH-2.0-OpenSSH" },
		{ "* OK IMAP4rev1", "(an IMAP server)" },
		{ "+OK POP3", "(a POP3 server)" },
		{ "x", "(no reply code): x" },
		{ "2x", "(no reply code)" },
		{ "25x", "(no reply code)" },
		{ "250x", "(no reply code)" },
		{ "250-a\r\nb", "(no reply code): b" },
	};
	struct smtp_reply r;

	(void)state;
	reply_init(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* There is no line end, and none is waited for. */
		assert_int_equal(feed_text(&r, cases[i].bytes), -1);
		assert_non_null(strstr(err.text, cases[i].said));
	}
	reply_release(&r);
}

static void
caps_are_kept(void **state)
{
	char *line = xmalloc(REPLY_LINE_MAX + 3);
	struct smtp_reply r;
	int result = 0;

	(void)state;
	reply_init(&r);
	memset(line, 'x', REPLY_LINE_MAX + 2);
	memcpy(line, "250 ", 4);
	memcpy(line + REPLY_LINE_MAX - 2, "\r\n", 3);
	assert_int_equal(feed_text(&r, line), 1);
	memcpy(line + REPLY_LINE_MAX - 2, "x\r\n", 4);
	assert_int_equal(feed_text(&r, line), -1);
	/* No end of a line at all. */
	memset(line, 'x', REPLY_LINE_MAX + 1);
	memcpy(line, "250 ", 4);
	assert_int_equal(feed(&r, line, REPLY_LINE_MAX + 1, 1), -1);
	reply_clear(&r);
	for (size_t i = 0; i <= REPLY_LINES_MAX && result == 0; i++) {
		size_t used;

		result = reply_feed(&r, "250-x\r\n", 7, &used, &err);
		assert_int_equal(result, i < REPLY_LINES_MAX ? 0 : -1);
	}
	reply_clear(&r);
	memset(line, 'x', REPLY_LINE_MAX);
	memcpy(line, "250-", 4);
	memcpy(line + REPLY_LINE_MAX - 2, "\r\n", 3);
	for (size_t i = 0; i <= REPLY_TOTAL_MAX / REPLY_LINE_MAX; i++) {
		size_t used;

		result = reply_feed(&r, line, REPLY_LINE_MAX, &used, &err);
	}
	assert_int_equal(result, -1);
	reply_release(&r);
	free(line);
}

static void
capabilities_in_any_spelling(void **state)
{
	struct capabilities c;
	struct smtp_reply r;

	(void)state;
	reply_init(&r);
	assert_int_equal(
	    feed_text(&r,
		"250-PIPELINING is my name\r\n250-size 157286400\r\n"
		"250-StartTLS\r\n250-AUTH LOGIN xoauth2\r\n250-8bitmime\r\n"
		"250-CHUNKING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n"
		"250-XOAUTH2\r\n250 SMTPUTF8\r\n"),
	    1);
	capabilities_read(&c, &r);
	assert_false(c.pipelining);
	assert_true(c.size_offered && c.size == 157286400);
	assert_true(c.starttls && c.auth && c.auth_xoauth2);
	assert_true(c.eight_bit_mime && c.chunking && c.dsn);
	assert_true(c.enhanced_status && c.smtputf8);
	assert_int_equal(
	    feed_text(&r, "250-x\r\n250-SIZE\r\n250 AUTH=PLAIN XOAUTH2\r\n"),
	    1);
	capabilities_read(&c, &r);
	assert_true(c.size_offered && c.size == 0);
	assert_true(c.auth && c.auth_xoauth2);
	assert_false(c.starttls);
	assert_int_equal(
	    feed_text(&r, "250-x\r\n250-SIZE 99999999999999999999999\r\n"
			  "250-\r\n250-AUTH XOAUTH2X\r\n250 STARTTLSX\r\n"),
	    1);
	capabilities_read(&c, &r);
	assert_true(c.size == 0);
	assert_true(c.auth && !c.auth_xoauth2 && !c.starttls);
	reply_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line),
		cmocka_unit_test(same_at_every_cut),
		cmocka_unit_test(rest_belongs_to_the_next_reply),
		cmocka_unit_test(trailers),
		cmocka_unit_test(status_is_kept_as_the_server_said_it),
		cmocka_unit_test(what_is_no_smtp_is_refused),
		cmocka_unit_test(another_protocol_is_known_by_its_first_bytes),
		cmocka_unit_test(caps_are_kept),
		cmocka_unit_test(capabilities_in_any_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
