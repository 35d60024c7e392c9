#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/bounce.h"
#include "mail/envelope.h"

static const char *const to[] = { "alerts@contoso.com", "it@contoso.com" };
static const char original[] = "Subject: invoice\r\nMessage-ID: <1@web>\r\n"
			       "\r\n";
static struct envelope envelope;
static struct buf header, body;

static struct bounce
about(enum bounce_kind kind)
{
	return (struct bounce){
		.letter = {
			.account = to[0],
			.to = to,
			.to_count = 2,
			.host = "web1.contoso.com",
			.date = "Tue, 24 Nov 2026 04:06:00 +0000",
			.unique = "abc.123",
		},
		.kind = kind,
		.id = "0123456789BCDFGH",
		.arrived = "Mon, 23 Nov 2026 04:06:00 +0000",
		.retry_until = "Sat, 28 Nov 2026 04:06:00 +0000",
		.envelope = &envelope,
		.header = original,
		.header_len = sizeof(original) - 1,
	};
}

static int
set_up(void **state)
{
	(void)state;
	envelope_init(&envelope);
	buf_init(&header, 1u << 20);
	buf_init(&body, 16u << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	envelope_release(&envelope);
	buf_release(&header);
	buf_release(&body);
	return 0;
}

static void
refuse(const char *address, const char *text)
{
	struct error why;

	assert_int_equal(envelope_add(&envelope, address, NULL), 0);
	error_set(&why, EX_NOUSER, "5.1.1", "%s", text);
	error_hint(&why, "check the address");
	envelope_verdict(&envelope, envelope.count - 1, &why);
}

/* Every line ends in CR LF and is short enough for any server. */
static void
is_canonical(const struct buf *text)
{
	const char *at = text->data, *end;

	assert_int_equal(strlen(text->data), text->len);
	for (; *at != '\0'; at = end + 2) {
		end = strstr(at, "\r\n");
		assert_non_null(end);
		assert_true((size_t)(end - at) == strcspn(at, "\r\n"));
		assert_true(end - at <= 998);
	}
}

static size_t
times(const char *text, const char *part)
{
	size_t count = 0;

	while ((text = strstr(text, part)) != NULL) {
		text++;
		count++;
	}
	return count;
}

static void
the_refused_who_were_not_told_of_are_named(void **state)
{
	struct bounce b = about(BOUNCE_FAILED);

	(void)state;
	refuse("a@example.org", "550 5.1.1 no such user");
	refuse("b@example.org", "550 5.1.1 no such user");
	envelope.recipients[1].told = true;
	assert_int_equal(envelope_add(&envelope, "c@example.org", NULL), 0);
	assert_true(bounce_concerns(BOUNCE_FAILED, &envelope));
	bounce_format(&b, &header, &body);
	is_canonical(&header);
	is_canonical(&body);
	assert_non_null(strstr(header.data, "report-type=delivery-status"));
	assert_non_null(strstr(header.data, "In-Reply-To: <1@web>\r\n"));
	assert_string_equal(header.data + header.len - 4, "\r\n\r\n");
	assert_non_null(
	    strstr(body.data, "Final-Recipient: rfc822; a@example.org\r\n"));
	assert_non_null(strstr(body.data, "What to do: check the address"));
	assert_null(strstr(body.data, "b@example.org"));
	assert_null(strstr(body.data, "c@example.org"));
	envelope.recipients[0].told = true;
	assert_false(bounce_concerns(BOUNCE_FAILED, &envelope));
	assert_true(bounce_concerns(BOUNCE_DELAYED, &envelope));
}

static void
who_is_not_to_be_told_of_is_not_named(void **state)
{
	struct bounce b = about(BOUNCE_FAILED);

	(void)state;
	refuse("a@example.org", "550 5.1.1 no such user");
	refuse("b@example.org", "550 5.1.1 no such user");
	envelope.recipients[0].notify = xstrdup("NEVER");
	bounce_format(&b, &header, &body);
	assert_null(strstr(body.data, "a@example.org"));
	assert_non_null(strstr(body.data, "b@example.org"));
	/* The envelope's wish is for who has none of their own. */
	envelope.notify = xstrdup("SUCCESS,DELAY");
	assert_false(bounce_concerns(BOUNCE_FAILED, &envelope));
	free(envelope.recipients[0].notify);
	envelope.recipients[0].notify = xstrdup("FAILURE");
	assert_true(bounce_concerns(BOUNCE_FAILED, &envelope));
}

static void
the_pending_are_named_when_it_is_late(void **state)
{
	struct bounce b = about(BOUNCE_DELAYED);

	(void)state;
	refuse("a@example.org", "550 5.1.1 no such user");
	assert_int_equal(envelope_add(&envelope, "c@example.org", NULL), 0);
	envelope.recipients[1].original = xstrdup("rfc822;joe+2Bx@example.org");
	envelope.envid = xstrdup("a+3Db");
	bounce_format(&b, &header, &body);
	assert_non_null(strstr(body.data, "Action: delayed\r\n"));
	assert_non_null(strstr(body.data, "Will-Retry-Until: Sat, 28"));
	assert_non_null(strstr(
	    body.data, "Original-Recipient: rfc822;joe+x@example.org\r\n"));
	assert_non_null(strstr(body.data, "Original-Envelope-Id: a=b\r\n"));
	assert_null(strstr(body.data, "a@example.org"));
}

static void
long_texts_are_folded_and_never_inside_a_character(void **state)
{
	struct bounce b = about(BOUNCE_FAILED);
	char text[ERROR_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 3);
	refuse("a@example.org", text);
	bounce_format(&b, &header, &body);
	is_canonical(&body);
	for (char *at = body.data; (at = strstr(at, "\r\n")) != NULL; at += 2)
		assert_true((at[-1] & 0xff) != 0xc3);
}

static void
a_crowd_is_counted(void **state)
{
	struct bounce b = about(BOUNCE_FAILED);

	(void)state;
	for (unsigned i = 0; i < BOUNCE_RECIPIENTS_MAX + 7; i++) {
		char address[64];

		(void)snprintf(address, sizeof(address), "u%u@example.org", i);
		refuse(address, "550 no");
	}
	bounce_format(&b, &header, &body);
	is_canonical(&body);
	assert_int_equal(
	    times(body.data, "Final-Recipient:"), BOUNCE_RECIPIENTS_MAX);
	assert_non_null(strstr(body.data, "and 7 more."));
}

static void
a_large_header_is_cut_at_a_line(void **state)
{
	struct bounce b = about(BOUNCE_FAILED);
	struct buf large;

	(void)state;
	buf_init(&large, 1u << 20);
	while (large.len < 2 * BOUNCE_HEADER_MAX)
		(void)buf_adds(&large, "X-Line: 0123456789\r\n");
	refuse("a@example.org", "550 no");
	b.header = large.data;
	b.header_len = large.len;
	bounce_format(&b, &header, &body);
	is_canonical(&body);
	assert_true(body.len < BOUNCE_HEADER_MAX + 4096);
	buf_release(&large);
}

static void
a_summary_has_a_line_for_each(void **state)
{
	static const char *const lines[] = { "X failed to <a@example.org>: no",
		"Y late to <b@example.org>: later" };
	struct bounce b = about(BOUNCE_FAILED);

	(void)state;
	bounce_summary(&b.letter, lines, 2, 3, &header, &body);
	is_canonical(&header);
	is_canonical(&body);
	assert_non_null(strstr(body.data, lines[0]));
	assert_non_null(strstr(body.data, lines[1]));
	assert_non_null(strstr(body.data, "and 3 more."));
	assert_non_null(strstr(header.data, "Auto-Submitted: auto-replied"));
}

int
main(void)
{
#define ISOLATED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ISOLATED(the_refused_who_were_not_told_of_are_named),
		ISOLATED(who_is_not_to_be_told_of_is_not_named),
		ISOLATED(the_pending_are_named_when_it_is_late),
		ISOLATED(long_texts_are_folded_and_never_inside_a_character),
		ISOLATED(a_crowd_is_counted),
		ISOLATED(a_large_header_is_cut_at_a_line),
		ISOLATED(a_summary_has_a_line_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
