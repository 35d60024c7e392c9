#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/xalloc.h"
#include "queue/entry.h"

#define HEADER "From: a@contoso.com\r\nSubject: x\r\n\r\n"

static void
fill(struct entry *e)
{
	struct error why;

	entry_init(e);
	e->uid = 1000;
	e->arrived = 1795495936;
	e->tried = 1795495999;
	e->attempts = 3;
	e->on_hold = 77;
	e->held = 1795496000;
	e->warned = e->notice = true;
	e->size = 12345;
	error_set(&e->why, EX_TEMPFAIL, "4.4.1", "cannot connect");
	error_hint(&e->why, "check the network");
	e->why.uncertain = true;
	e->envelope.account = xstrdup("alerts@contoso.com");
	e->envelope.sender = xstrdup("alerts@contoso.com");
	envelope_add(&e->envelope, "a@example.org", NULL);
	envelope_add(&e->envelope, "b@example.org", NULL);
	error_set(&why, EX_NOUSER, "5.1.1", "550 no such user");
	envelope_verdict(&e->envelope, 1, &why);
	buf_adds(&e->header, HEADER);
}

static void
what_is_written_is_read_back(void **state)
{
	struct entry e, back;
	struct buf text;

	(void)state;
	fill(&e);
	entry_init(&back);
	buf_init(&text, ENTRY_TEXT_MAX);
	entry_format(&e, &text);
	assert_int_equal(
	    entry_parse(&back, text.data, text.len, false, NULL), 0);
	assert_int_equal(back.uid, e.uid);
	assert_int_equal(back.arrived, e.arrived);
	assert_int_equal(back.tried, e.tried);
	assert_int_equal(back.attempts, e.attempts);
	assert_int_equal(back.on_hold, e.on_hold);
	assert_int_equal(back.held, e.held);
	assert_true(back.warned && back.notice);
	assert_int_equal(back.size, e.size);
	assert_string_equal(back.why.text, e.why.text);
	assert_string_equal(back.why.hint, e.why.hint);
	assert_true(back.why.uncertain);
	assert_int_equal(back.envelope.count, 2);
	assert_int_equal(back.envelope.recipients[1].state, RECIPIENT_REFUSED);
	assert_string_equal(
	    back.envelope.recipients[1].error->text, "550 no such user");
	assert_string_equal(back.header.data, HEADER);
	entry_release(&e);
	entry_release(&back);
	buf_release(&text);
}

static void
a_file_that_was_cut_is_refused_wherever_it_was(void **state)
{
	struct entry e, back;
	struct error err;
	struct buf text;

	(void)state;
	fill(&e);
	entry_init(&back);
	buf_init(&text, ENTRY_TEXT_MAX);
	entry_format(&e, &text);
	for (size_t len = 0; len < text.len; len++) {
		assert_int_equal(
		    entry_parse(&back, text.data, len, false, &err), -1);
		assert_int_equal(err.exit_code, EX_SOFTWARE);
	}
	buf_adds(&text, "x");
	assert_int_equal(
	    entry_parse(&back, text.data, text.len, false, &err), -1);
	assert_int_equal(back.envelope.count, 0);
	entry_release(&e);
	entry_release(&back);
	buf_release(&text);
}

static void
a_listing_needs_no_header(void **state)
{
	struct entry e, back;
	struct buf text;
	size_t at;

	(void)state;
	fill(&e);
	entry_init(&back);
	buf_init(&text, ENTRY_TEXT_MAX);
	entry_format(&e, &text);
	at = entry_header_at(text.data, text.len);
	assert_string_equal(text.data + at, HEADER);
	assert_int_equal(entry_header_at(text.data, at - 1), 0);
	assert_int_equal(entry_parse(&back, text.data, at, true, NULL), 0);
	assert_int_equal(entry_parse(&back, text.data, at + 5, true, NULL), 0);
	assert_int_equal(entry_parse(&back, text.data, at - 1, true, NULL), -1);
	assert_int_equal(back.envelope.count, 2);
	assert_int_equal(back.header.len, 0);
	entry_release(&e);
	entry_release(&back);
	buf_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(
		    a_file_that_was_cut_is_refused_wherever_it_was),
		cmocka_unit_test(a_listing_needs_no_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
