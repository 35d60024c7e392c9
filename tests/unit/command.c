/* Command lines of SMTP clients. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "smtp/command.h"

static int
parse(struct smtp_command *c, const char *line, struct error *err)
{
	command_init(c);
	return command_parse(c, line, strlen(line), err);
}

static void
verbs_are_known_in_any_case(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
	} lines[] = {
		{ "HELO web1", SMTP_HELO },
		{ "ehlo [127.0.0.1]", SMTP_EHLO },
		{ "Mail From:<a@b.example>", SMTP_MAIL },
		{ "rcpt to:<a@b.example>", SMTP_RCPT },
		{ "DATA", SMTP_DATA },
		{ "data  ", SMTP_DATA },
		{ "bdat 10", SMTP_BDAT },
		{ "RSET", SMTP_RSET },
		{ "NOOP", SMTP_NOOP },
		{ "NOOP and more", SMTP_NOOP },
		{ "VRFY root", SMTP_VRFY },
		{ "HELP", SMTP_HELP },
		{ "QUIT", SMTP_QUIT },
	};
	struct smtp_command c;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(&c, lines[i].line, &err), 0);
		assert_int_equal(c.verb, lines[i].verb);
		command_release(&c);
	}
}

static void
addresses_are_what_stands_in_the_line(void **state)
{
	static const struct {
		const char *line, *address;
	} lines[] = {
		{ "MAIL FROM:<a@b.example>", "a@b.example" },
		{ "MAIL FROM:<>", "" },
		{ "MAIL FROM: <>", "" },
		{ "MAIL FROM:<root>", "root" },
		{ "RCPT TO:<postmaster>", "postmaster" },
		{ "RCPT TO: <a@b.example>", "a@b.example" },
		{ "RCPT TO:a@b.example", "a@b.example" },
		{ "RCPT TO: a@b.example NOTIFY=NEVER", "a@b.example" },
		{ "RCPT TO:<@x.example,@y.example:a@b.example>",
		    "a@b.example" },
		{ "RCPT TO:<\"a > b\"@b.example>", "\"a > b\"@b.example" },
		{ "RCPT TO:<\"a \\\" b\"@b.example>",
		    "\"a \\\" b\"@b.example" },
		{ "RCPT TO:<\"a,c;\"@b.example>", "\"a,c;\"@b.example" },
		{ "RCPT TO:<a@[192.0.2.1]>", "a@[192.0.2.1]" },
		{ "RCPT TO:<gr\xc3\xbc\xc3\x9f"
		  "e@b.example>",
		    "gr\xc3\xbc\xc3\x9f"
		    "e@b.example" },
		{ "RCPT TO:<o'brien+tag@b.example>", "o'brien+tag@b.example" },
	};
	struct smtp_command c;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *address;

		assert_int_equal(parse(&c, lines[i].line, &err), 0);
		address = mailbox_address(&c.address);
		assert_string_equal(address, lines[i].address);
		free(address);
		command_release(&c);
	}
}

static void
parameters_are_read(void **state)
{
	struct smtp_command c;
	struct error err;

	(void)state;
	assert_int_equal(
	    parse(&c,
		"MAIL FROM:<a@b.example> SIZE=123 body=8bitmime SMTPUTF8 "
		"RET=hdrs  ENVID=QQ+20x ",
		&err),
	    0);
	assert_int_equal(c.size, 123);
	assert_true(c.eight_bit);
	assert_true(c.smtputf8);
	assert_string_equal(c.ret, "HDRS");
	assert_string_equal(c.envid, "QQ+20x");
	command_release(&c);
	assert_int_equal(parse(&c,
			     "RCPT TO:<a@b.example> NOTIFY=success,DELAY "
			     "ORCPT=rfc822;a+2Bb@c.example",
			     &err),
	    0);
	assert_string_equal(c.notify, "SUCCESS,DELAY");
	assert_string_equal(c.original, "rfc822;a+2Bb@c.example");
	command_release(&c);
	assert_int_equal(parse(&c, "BDAT 86 LAST", &err), 0);
	assert_int_equal(c.size, 86);
	assert_true(c.last);
	command_release(&c);
	assert_int_equal(parse(&c, "BDAT 0", &err), 0);
	assert_false(c.last);
	command_release(&c);
}

static void
a_size_beyond_all_numbers_is_the_largest(void **state)
{
	struct smtp_command c;
	struct error err;

	(void)state;
	assert_int_equal(
	    parse(&c, "MAIL FROM:<> SIZE=99999999999999999999", &err), 0);
	assert_true(c.size == UINT64_MAX);
	command_release(&c);
}

/* clang-format off */
static const struct {
	int code;
	const char *status, *line;
} wrong[] = {
	{ 500, "5.5.1", "" },
	{ 500, "5.5.1", "NONSENSE" },
	{ 500, "5.5.1", "MAILFROM:<a@b.example>" },
	{ 500, "5.5.2", "RCPT TO:<a@b.example>\nRCPT TO:<c@d.example>" },
	{ 500, "5.5.2", "RCPT TO:<a\r@b.example>" },
	{ 500, "5.5.2", "NOOP \x7f" },
	{ 501, "5.5.4", "EHLO" },
	{ 501, "5.5.4", "HELO  " },
	{ 501, "5.5.4", "DATA now" },
	{ 501, "5.5.4", "MAIL" },
	{ 501, "5.5.4", "MAIL FROM" },
	{ 501, "5.5.4", "MAIL FROM:" },
	{ 501, "5.5.4", "MAIL TO:<a@b.example>" },
	{ 501, "5.5.4", "RCPT FROM:<a@b.example>" },
	{ 501, "5.5.4", "MAIL FROM:<a@b.example" },
	{ 501, "5.5.4", "MAIL FROM:<a@b.example>SIZE=1" },
	{ 501, "5.5.4", "RCPT TO:<\"a@b.example>" },
	{ 553, "5.1.3", "RCPT TO:<>" },
	{ 553, "5.1.3", "RCPT TO:<a@b@c>" },
	{ 553, "5.1.3", "RCPT TO:<a b@c.example>" },
	{ 553, "5.1.3", "RCPT TO:<a@>" },
	{ 553, "5.1.3", "RCPT TO:<@b.example>" },
	{ 553, "5.1.3", "RCPT TO:<@b.example:>" },
	{ 553, "5.1.3", "RCPT TO:<a@b.example,c@d.example>" },
	{ 555, "5.5.4", "RCPT TO:Name <a@b.example>" },
	{ 501, "5.5.4", "RCPT TO:<Name <a@b.example>>" },
	{ 553, "5.1.3", "RCPT TO:<a@b.example (comment)>" },
	{ 553, "5.1.3", "RCPT TO:<a\xff@b.example>" },
	{ 553, "5.1.7", "MAIL FROM:<a..b@c.example>" },
	{ 501, "5.5.4", "MAIL FROM:<> SIZE" },
	{ 501, "5.5.4", "MAIL FROM:<> SIZE=" },
	{ 501, "5.5.4", "MAIL FROM:<> SIZE=-1" },
	{ 501, "5.5.4", "MAIL FROM:<> SIZE=1k" },
	{ 501, "5.5.4", "MAIL FROM:<> SIZE=1 SIZE=2" },
	{ 501, "5.5.4", "MAIL FROM:<> BODY=BINARYMIME" },
	{ 501, "5.5.4", "MAIL FROM:<> SMTPUTF8=yes" },
	{ 501, "5.5.4", "MAIL FROM:<> RET=some" },
	{ 501, "5.5.4", "MAIL FROM:<> ENVID=" },
	{ 501, "5.5.4", "MAIL FROM:<> ENVID=a=b" },
	{ 555, "5.5.4", "MAIL FROM:<> AUTH=<>" },
	{ 555, "5.5.4", "MAIL FROM:<> NOTIFY=NEVER" },
	{ 555, "5.5.4", "RCPT TO:<a@b.example> SIZE=1" },
	{ 501, "5.5.4", "RCPT TO:<a@b.example> NOTIFY=NEVER,DELAY" },
	{ 501, "5.5.4", "RCPT TO:<a@b.example> ORCPT=a@b.example" },
	{ 501, "5.5.4", "BDAT" },
	{ 501, "5.5.4", "BDAT LAST" },
	{ 501, "5.5.4", "BDAT 1LAST" },
	{ 501, "5.5.4", "BDAT 1 FIRST" },
	{ 501, "5.5.4", "BDAT 99999999999999999999" },
	{ 502, "5.5.1", "AUTH PLAIN AGEAYg==" },
	{ 502, "5.5.1", "STARTTLS" },
	{ 502, "5.5.1", "EXPN staff" },
	{ 421, "4.7.0", "GET / HTTP/1.1" },
	{ 421, "4.7.0", "POST /mail HTTP/1.1" },
};
/* clang-format on */

static void
what_is_wrong_is_told_by_code_and_status(void **state)
{
	struct smtp_command c;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (parse(&c, wrong[i].line, &err) != -1)
			fail_msg("taken: %s", wrong[i].line);
		if (c.code != wrong[i].code ||
		    strcmp(err.status, wrong[i].status) != 0)
			fail_msg(
			    "%s: %d %s", wrong[i].line, c.code, err.status);
		command_release(&c);
	}
}

static void
nul_and_too_long_a_line_are_refused(void **state)
{
	char line[COMMAND_LINE_MAX + 1];
	struct smtp_command c;
	struct error err;

	(void)state;
	command_init(&c);
	assert_int_equal(command_parse(&c, "NOOP \0x", 7, &err), -1);
	assert_int_equal(c.code, 500);
	memset(line, 'x', sizeof(line));
	memcpy(line, "NOOP ", 5);
	assert_int_equal(command_parse(&c, line, sizeof(line) - 1, &err), 0);
	assert_int_equal(command_parse(&c, line, sizeof(line), &err), -1);
	assert_int_equal(c.code, 500);
	command_release(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_are_known_in_any_case),
		cmocka_unit_test(addresses_are_what_stands_in_the_line),
		cmocka_unit_test(parameters_are_read),
		cmocka_unit_test(a_size_beyond_all_numbers_is_the_largest),
		cmocka_unit_test(what_is_wrong_is_told_by_code_and_status),
		cmocka_unit_test(nul_and_too_long_a_line_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
