/* The pages that end a sign-in, as bytes on the wire. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/page.h"
#include "base/buf.h"
#include "base/error.h"

static void
make(struct buf *out, const struct page *page)
{
	buf_init(out, PAGE_MAX);
	page_answer(out, page);
	assert_false(out->full);
}

static void
length_is_that_of_the_body(void **state)
{
	struct buf answer;
	const char *body, *length;
	long long said;

	(void)state;
	make(&answer, &(struct page){ 200, true, "Signed in", "Text", "Hint" });
	assert_int_equal(0, strncmp(answer.data, "HTTP/1.1 200 OK\r\n", 17));
	body = strstr(answer.data, "\r\n\r\n") + 4;
	length = strstr(answer.data, "Content-Length: ") + 16;
	said = strtoll(length, NULL, 10);
	assert_int_equal(said, strlen(body));
	assert_non_null(strstr(body, "<h1>Signed in</h1>"));
	assert_non_null(strstr(body, "<p>Text</p>"));
	assert_non_null(strstr(body, "<p class=\"hint\">Hint</p>"));
	buf_release(&answer);
}

static void
text_from_outside_is_no_markup(void **state)
{
	struct buf answer;

	(void)state;
	make(&answer, &(struct page){ 400, false, "<b>",
			  "\"<script>'&\r\n\x1b[0m", "</style>" });
	assert_null(strstr(answer.data, "<script"));
	assert_null(strstr(answer.data, "<b>"));
	assert_null(strchr(answer.data, '\x1b'));
	assert_non_null(strstr(answer.data, "&#34;&#60;script&#62;&#39;&#38;"));
	assert_non_null(strstr(answer.data, "&#60;/style&#62;"));
	buf_release(&answer);
}

static void
longest_error_fits(void **state)
{
	char text[ERROR_TEXT_SIZE * 2], hint[ERROR_HINT_SIZE * 2];
	struct buf answer;

	(void)state;
	memset(text, '<', sizeof(text) - 1);
	memset(hint, '&', sizeof(hint) - 1);
	text[sizeof(text) - 1] = hint[sizeof(hint) - 1] = '\0';
	make(&answer, &(struct page){ 200, false, "T", text, hint });
	assert_string_equal(
	    answer.data + answer.len - strlen("</html>\n"), "</html>\n");
	buf_release(&answer);
}

static void
other_statuses_are_named(void **state)
{
	struct buf answer;

	(void)state;
	make(&answer, &(struct page){ 405, false, "T", "", "" });
	assert_non_null(strstr(answer.data, "405 Method Not Allowed\r\n"));
	assert_non_null(strstr(answer.data, "\r\nAllow: GET\r\n"));
	assert_null(strstr(answer.data, "class=\"hint\""));
	buf_release(&answer);
	page_forward(&answer, "https://login.example/?a=b");
	assert_non_null(strstr(answer.data, "HTTP/1.1 302 Found\r\n"));
	assert_non_null(strstr(
	    answer.data, "\r\nLocation: https://login.example/?a=b\r\n"));
	assert_non_null(strstr(answer.data, "\r\nContent-Length: 0\r\n"));
	buf_release(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(length_is_that_of_the_body),
		cmocka_unit_test(text_from_outside_is_no_markup),
		cmocka_unit_test(longest_error_fits),
		cmocka_unit_test(other_statuses_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
