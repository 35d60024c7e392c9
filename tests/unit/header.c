#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/header.h"

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
parse(struct header *h, const char *text)
{
	struct error err;

	header_init(h);
	assert_int_equal(header_parse(h, text, strlen(text), NULL, &err), 0);
}

static char *
formatted(const struct header *h, bool *smtputf8)
{
	struct error err;
	struct buf out;

	buf_init(&out, HEADER_OUT_MAX);
	assert_int_equal(header_format(h, &out, smtputf8, &err), 0);
	return buf_steal(&out);
}

/* What becomes of a block on its way through. */
static void
expect(const char *text, const char *wanted)
{
	struct header h;
	bool smtputf8 = false;
	char *got;

	parse(&h, text);
	got = formatted(&h, &smtputf8);
	assert_string_equal(got, wanted);
	assert_false(smtputf8);
	free(got);
	header_release(&h);
}

static void
expect_body(const char *text, size_t fields, const char *body)
{
	struct error err;
	struct header h;
	size_t at;

	header_init(&h);
	assert_int_equal(header_parse(&h, text, strlen(text), &at, &err), 0);
	assert_int_equal(h.count, fields);
	assert_string_equal(text + at, body);
	header_release(&h);
}

static void
untouched_fields_keep_their_bytes(void **state)
{
	static const char text[] =
	    "Subject:  odd   blanks \t\r\n"
	    "X-Empty:\r\n"
	    "DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=abc\r\n  def\r\n"
	    "to: a@b.org,,(x)c@d.org\r\n";

	(void)state;
	expect(text, text);
}

static void
all_line_ends_are_one(void **state)
{
	(void)state;
	expect("A: 1\nB: 2\n x\n", "A: 1\r\nB: 2\r\n x\r\n");
	expect("A: 1\r\nB: 2\nC: 3\r", "A: 1\r\nB: 2\r\nC: 3\r\n");
	expect("A: 1\r\rB: 2", "A: 1\r\n");
}

static void
the_body_begins_after_the_empty_line(void **state)
{
	(void)state;
	expect_body("A: 1\n\nbody\n", 1, "body\n");
	expect_body("A: 1\r\n\r\nB: 2\r\n", 1, "B: 2\r\n");
	expect_body("A: 1\n", 1, "");
	expect_body("A: 1", 1, "");
	expect_body("\nA: 1\n", 0, "A: 1\n");
	expect_body("", 0, "");
}

static void
text_without_header_is_all_body(void **state)
{
	(void)state;
	expect_body("hello world\nA: 1\n", 0, "hello world\nA: 1\n");
	expect_body(" indented\n", 0, " indented\n");
	expect_body("no colon", 0, "no colon");
	expect_body("two words: x\n", 0, "two words: x\n");
	expect_body(": x\n", 0, ": x\n");
	expect_body("\xc3\xb6: x\n", 0, "\xc3\xb6: x\n");
}

static void
a_line_that_is_no_field_ends_the_header(void **state)
{
	(void)state;
	expect_body("A: 1\nhello\nB: 2\n", 1, "hello\nB: 2\n");
	expect_body("A: 1\nFrom x\n", 1, "From x\n");
}

static void
mbox_lines_are_dropped(void **state)
{
	(void)state;
	expect_body("From a@b Tue Nov 24\nA: 1\n\nx", 1, "x");
	expect_body(">From a@b Tue\n>>From b\nA: 1\n\nx", 1, "x");
	expect("From a@b Tue\nFrom: a@b.org\n", "From: a@b.org\r\n");
}

static void
odd_spellings_are_put_right(void **state)
{
	struct header h;

	(void)state;
	expect("Subject \t: x\n", "Subject: x\r\n");
	expect("Subject: x\n \t \n y\n", "Subject: x\r\n y\r\n");
	parse(&h, "BCC : a@b.org\nbcc:c@d.org\n");
	assert_int_equal(header_count(&h, "Bcc"), 2);
	assert_int_equal(header_remove_all(&h, "Bcc"), 2);
	assert_int_equal(h.count, 0);
	header_release(&h);
}

static void
nul_is_dropped(void **state)
{
	static const char text[] = "Bc\0c: a\0b\0\n\0\nbody";
	struct error err;
	struct header h;
	size_t body;

	(void)state;
	header_init(&h);
	assert_int_equal(
	    header_parse(&h, text, sizeof(text) - 1, &body, &err), 0);
	assert_int_equal(h.count, 1);
	assert_string_equal(h.fields[0].text, "Bcc: ab");
	assert_string_equal(text + body, "body");
	header_release(&h);
}

static void
values_are_unfolded_and_trimmed(void **state)
{
	struct header h;
	char *value;

	(void)state;
	parse(&h, "A: \n  one\n\ttwo  \nB:\nC: x\n");
	value = header_get(&h, "a");
	assert_string_equal(value, "one\ttwo");
	free(value);
	value = header_get(&h, "B");
	assert_string_equal(value, "");
	free(value);
	assert_null(header_get(&h, "D"));
	assert_int_equal(header_find(&h, "c", 0), 2);
	assert_int_equal(header_find(&h, "A", 1), HEADER_NONE);
	assert_false(header_has(&h, "Ax"));
	header_release(&h);
}

static void
fields_can_be_changed(void **state)
{
	struct header h;
	char *got;

	(void)state;
	parse(&h, "A: 1\nB: 2\nC: 3\n");
	header_prepend(&h, "Top", "t");
	header_append(&h, "Bottom", "folded\r\n\tvalue");
	header_replace(&h, 2, "new");
	header_rename(&h, 3, "X-C");
	header_remove(&h, 1);
	got = formatted(&h, NULL);
	assert_string_equal(got, "Top: t\r\nB: new\r\nX-C: 3\r\n"
				 "Bottom: folded\r\n\tvalue\r\n");
	free(got);
	header_release(&h);
}

static void
no_value_begins_another_field(void **state)
{
	struct header h;
	char *got;

	(void)state;
	header_init(&h);
	header_append(&h, "A", "x\r\nBcc: y\nBcc: z\rBcc: q\x01\x7f");
	got = formatted(&h, NULL);
	assert_string_equal(got, "A: x  Bcc: y Bcc: z Bcc: q  \r\n");
	free(got);
	header_release(&h);
}

static void
raw_text_is_encoded(void **state)
{
	(void)state;
	expect("Subject: Gr\xc3\xbc\xc3\x9f"
	       "e aus K\xc3\xb6ln\n",
	    "Subject: =?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=\r\n");
	expect("To: J\xc3\xb6rg <a@b.org>, \"x\" <c@d.org>\n",
	    "To: =?utf-8?B?SsO2cmc=?= <a@b.org>, \"x\" <c@d.org>\r\n");
	expect("From: a@b.org (J\xc3\xb6rg)\n",
	    "From: =?utf-8?B?SsO2cmc=?= <a@b.org>\r\n");
	expect("To: Ann <a@b.org> (\xc3\xb6 (in \\( \xf6) x), \"(\xc3\xb6\" "
	       "<c@d>,\n"
	       " J\xc3\xb6 <e@f> (desk)\n",
	    "To: Ann <a@b.org> (=?utf-8?B?w7Y=?= (in \\( =?iso-8859-1?Q?=F6?=) "
	    "x)"
	    ", =?utf-8?B?KMO2?= <c@d>,\r\n =?utf-8?B?SsO2?= <e@f> "
	    "(desk)\r\n");
	expect("To: <<\xc3\xb6\n", "To: =?utf-8?B?PDzDtg==?=\r\n");
	expect("To: j\xf6@b.org\n", "To: j?@b.org\r\n");
}

static void
international_domains_become_a_labels(void **state)
{
	(void)state;
	expect("To: Ann <a@b\xc3\xbc.org> (x), Bob <b@c.org> (y)\n",
	    "To: Ann <a@xn--b-eha.org> (x), Bob <b@c.org> (y)\r\n");
	expect("X-Original-From: a@b\xc3\xbc.org\n",
	    "X-Original-From: <a@xn--b-eha.org>\r\n");
}

static void
raw_text_in_parameters_is_encoded(void **state)
{
	(void)state;
	expect("Content-Disposition: attachment; filename=\"\xc3\xbc 1.pdf\";"
	       " size=1\n",
	    "Content-Disposition: attachment; filename*=utf-8''%C3%BC%201.pdf;"
	    " size=1\r\n");
	expect("Content-Type: text/plain; name=\xfc\n",
	    "Content-Type: text/plain; name*=iso-8859-1''%FC\r\n");
	expect("Content-Type: text/plain; name=\"\xc3\xbc",
	    "Content-Type: text/plain; name*=utf-8''%C3%BC\r\n");
	expect("Content-Type: t\xc3\xa4xt; x=", "Content-Type: t?\?xt; x=\r\n");
}

static void
addresses_in_utf8_need_the_extension(void **state)
{
	bool smtputf8 = false;
	struct header h;
	char *got;

	(void)state;
	parse(&h, "To: J\xc3\xb6 <j\xc3\xb6@b.org>\n");
	got = formatted(&h, &smtputf8);
	assert_string_equal(got, "To: =?utf-8?B?SsO2?= <j\xc3\xb6@b.org>\r\n");
	assert_true(smtputf8);
	free(got);
	header_release(&h);
	/* What only tells is not worth it. */
	expect("X-Original-From: J\xc3\xb6 <j\xc3\xb6@b.org> (x)\n",
	    "X-Original-From: =?utf-8?B?SsO2IDxqw7ZAYi5vcmc+?= (x)\r\n");
}

/* All lines legal, none of blanks alone; returns the text without folds. */
static char *
check_lines(const char *text)
{
	struct buf flat;
	size_t len;

	buf_init(&flat, HEADER_OUT_MAX);
	for (; *text != '\0'; text += len + 2) {
		len = strcspn(text, "\r");
		assert_memory_equal(text + len, "\r\n", 2);
		assert_true(len <= HEADER_LINE_MAX);
		assert_true(strspn(text, " \t") < len);
		buf_add(&flat, text, len);
	}
	return buf_steal(&flat);
}

static void
expect_folded(const char *text, const char *flat)
{
	struct header h;
	char *got, *back;

	parse(&h, text);
	got = formatted(&h, NULL);
	back = check_lines(got);
	if (flat != NULL)
		assert_string_equal(back, flat);
	free(got);
	free(back);
	header_release(&h);
}

static void
long_lines_are_folded_at_blanks(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, HEADER_MAX);
	buf_adds(&b, "References:");
	for (int i = 0; i < 3000; i++)
		buf_addf(&b, " <%d@b.org>", i);
	expect_folded(b.data, b.data);
	buf_release(&b);
}

static void
long_lines_without_blanks_are_folded_too(void **state)
{
	size_t len = 500000;
	char *text = xmalloc(len + 1);

	(void)state;
	memset(text, 'x', len);
	text[len] = '\0';
	memcpy(text, "Subject: ", 9);
	expect_folded(text, NULL);
	memcpy(text, "Subject:y", 9);
	expect_folded(text, NULL);
	for (size_t i = 10; i < len; i += 7)
		text[i] = ',';
	expect_folded(text, NULL);
	free(text);
}

static void
long_runs_of_blanks_make_no_blank_line(void **state)
{
	char text[20000];

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, "Subject:", 8);
	text[9000] = 'x';
	text[11000] = 'y';
	text[sizeof(text) - 1] = '\0';
	expect_folded(text, "Subject: x y");
	memcpy(text, "S: a\n    ", 9);
	expect_folded(text, "S: a x y");
}

static void
encoding_and_cleaning_make_no_blank_line(void **state)
{
	struct header h;
	char *got;

	(void)state;
	/* The encoded word would not fit after the blanks of its line. */
	expect_folded("Cc: Bo <b@x.org>,\n"
		      "                                                        "
		      "                \xc3\xb6<<\n",
	    NULL);
	expect_folded("To: Bo <b@x.org>,\n"
		      "                                                        "
		      "                \xc3\xb6 <a@b.org>\n",
	    NULL);
	/* A control that is dropped leaves a blank behind. */
	header_init(&h);
	header_append(&h, "A", "x\r\n \x01\r\n y\r\n \x02");
	got = formatted(&h, NULL);
	free(check_lines(got));
	free(got);
	header_release(&h);
}

static void
a_line_of_998_stays(void **state)
{
	char text[1100], wanted[1100];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "S: ", 3);
	text[500] = text[997] = ' ';
	text[998] = '\0';
	memcpy(wanted, text, 998);
	memcpy(wanted + 998, "\r\n", 3);
	expect(text, wanted);
}

static void
a_cut_never_parts_a_utf8_character(void **state)
{
	struct header h;
	struct buf b;
	bool smtputf8 = false;
	char *got, *back;

	(void)state;
	buf_init(&b, HEADER_MAX);
	buf_adds(&b, "To: a");
	while (b.len < 5000)
		buf_adds(&b, "\xe2\x82\xac");
	buf_adds(&b, "@b.org");
	parse(&h, b.data);
	got = formatted(&h, &smtputf8);
	assert_true(smtputf8);
	for (const char *p = got; (p = strstr(p, "\r\n ")) != NULL; p += 3)
		assert_int_not_equal((unsigned char)p[3] & 0xc0, 0x80);
	back = check_lines(got);
	free(back);
	free(got);
	header_release(&h);
	buf_release(&b);
}

static void
the_block_has_a_largest_size(void **state)
{
	size_t len = HEADER_MAX + 10;
	char *text = xmalloc(len);
	struct error err;
	struct header h;

	(void)state;
	header_init(&h);
	memset(text, 'x', len);
	memcpy(text, "Subject: ", 9);
	assert_int_equal(header_parse(&h, text, len, NULL, &err), -1);
	assert_int_equal(err.exit_code, EX_DATAERR);
	assert_string_equal(err.status, "5.6.0");
	assert_int_equal(header_parse(&h, text, HEADER_MAX, NULL, &err), 0);
	assert_int_equal(h.count, 1);
	header_release(&h);
	/* A body without line ends is no header, however long. */
	text[7] = 'x';
	assert_int_equal(header_parse(&h, text, len, &len, &err), 0);
	assert_int_equal(len, 0);
	for (size_t i = 0; i + 3 <= HEADER_MAX; i += 3)
		memcpy(text + i, "a:\n", 3);
	assert_int_equal(header_parse(&h, text, HEADER_MAX, NULL, &err), -1);
	assert_int_equal(h.count, 0);
	free(text);
}

static void
expect_recipients(const char *text, const char *wanted)
{
	struct mailbox_list list;
	struct header h;
	struct error err;
	struct buf out;

	parse(&h, text);
	mailbox_list_init(&list);
	buf_init(&out, 4096);
	assert_int_equal(header_recipients(&h, &list, &err), 0);
	for (size_t i = 0; i < list.count; i++) {
		char *address = mailbox_address(&list.items[i]);

		buf_addf(&out, "%s%s", i > 0 ? " " : "", address);
		free(address);
	}
	assert_string_equal(out.data, wanted);
	buf_release(&out);
	mailbox_list_release(&list);
	header_release(&h);
}

static void
recipients_come_from_to_cc_and_bcc(void **state)
{
	(void)state;
	expect_recipients("To: a@b.org, root\nCc: Team: c@d.org;\n"
			  "BCC : e@f.org\nFrom: x@y.org\nTo: g@h.org\n",
	    "a@b.org root c@d.org e@f.org g@h.org");
	expect_recipients("To: undisclosed-recipients:;\n", "");
	expect_recipients("Subject: x\n", "");
}

static void
a_resent_block_wins(void **state)
{
	(void)state;
	expect_recipients("Resent-From: r@x.org\nResent-To: new@x.org\n"
			  "Resent-Bcc: hid@x.org\nTo: old@x.org\n",
	    "new@x.org hid@x.org");
	expect_recipients("Resent-To: new@x.org\nResent-From: r@x.org\n"
			  "Resent-To: older@x.org\nTo: old@x.org\n",
	    "new@x.org");
	expect_recipients("Resent-To: new@x.org\nReceived: x\n"
			  "Resent-Cc: older@x.org\nTo: old@x.org\n",
	    "new@x.org");
	expect_recipients("Received: x\nTo: old@x.org\n"
			  "Resent-To: new@x.org\nSubject: x\n"
			  "Resent-Cc: too@x.org\n",
	    "new@x.org too@x.org");
	/* A block without recipients asks for nothing else. */
	expect_recipients("Resent-Date: x\nTo: a@b.org\n", "a@b.org");
}

static void
a_bad_recipient_names_its_field(void **state)
{
	struct mailbox_list list;
	struct header h;
	struct error err;

	(void)state;
	parse(&h, "To: a@b.org\nCc: \"unclosed <a@b.org>\n");
	mailbox_list_init(&list);
	assert_int_equal(header_recipients(&h, &list, &err), -1);
	assert_int_equal(err.exit_code, EX_DATAERR);
	assert_non_null(strstr(err.text, "Cc: "));
	assert_non_null(strstr(err.text, "unclosed quote"));
	mailbox_list_release(&list);
	header_release(&h);
}

static void
ten_thousand_recipients_are_quick(void **state)
{
	struct mailbox_list list;
	struct header h;
	struct error err;
	struct buf b;
	double start;
	char *got;

	(void)state;
	buf_init(&b, HEADER_MAX);
	buf_adds(&b, "To:");
	for (int i = 0; i < 10000; i++)
		buf_addf(&b, "%s \"User %d\" <u%d@example.org>",
		    i > 0 ? "," : "", i, i);
	mailbox_list_init(&list);
	start = seconds();
	parse(&h, b.data);
	assert_int_equal(header_recipients(&h, &list, &err), 0);
	got = formatted(&h, NULL);
	/* 50 ms, and ten times that under the sanitizers. */
	assert_true(seconds() - start < 0.5);
	assert_int_equal(list.count, 10000);
	free(check_lines(got));
	free(got);
	mailbox_list_release(&list);
	header_release(&h);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(untouched_fields_keep_their_bytes),
		cmocka_unit_test(all_line_ends_are_one),
		cmocka_unit_test(the_body_begins_after_the_empty_line),
		cmocka_unit_test(text_without_header_is_all_body),
		cmocka_unit_test(a_line_that_is_no_field_ends_the_header),
		cmocka_unit_test(mbox_lines_are_dropped),
		cmocka_unit_test(odd_spellings_are_put_right),
		cmocka_unit_test(nul_is_dropped),
		cmocka_unit_test(values_are_unfolded_and_trimmed),
		cmocka_unit_test(fields_can_be_changed),
		cmocka_unit_test(no_value_begins_another_field),
		cmocka_unit_test(raw_text_is_encoded),
		cmocka_unit_test(international_domains_become_a_labels),
		cmocka_unit_test(raw_text_in_parameters_is_encoded),
		cmocka_unit_test(addresses_in_utf8_need_the_extension),
		cmocka_unit_test(long_lines_are_folded_at_blanks),
		cmocka_unit_test(long_lines_without_blanks_are_folded_too),
		cmocka_unit_test(long_runs_of_blanks_make_no_blank_line),
		cmocka_unit_test(encoding_and_cleaning_make_no_blank_line),
		cmocka_unit_test(a_line_of_998_stays),
		cmocka_unit_test(a_cut_never_parts_a_utf8_character),
		cmocka_unit_test(the_block_has_a_largest_size),
		cmocka_unit_test(recipients_come_from_to_cc_and_bcc),
		cmocka_unit_test(a_resent_block_wins),
		cmocka_unit_test(a_bad_recipient_names_its_field),
		cmocka_unit_test(ten_thousand_recipients_are_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
