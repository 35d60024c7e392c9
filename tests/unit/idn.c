/* Domains with letters beyond ASCII. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "mail/idn.h"

static void
expect(const char *domain, const char *wanted)
{
	char *ascii = idn_to_ascii(domain);

	if (wanted == NULL) {
		assert_null(ascii);
		return;
	}
	assert_non_null(ascii);
	assert_string_equal(ascii, wanted);
	free(ascii);
}

static void
letters_become_a_labels(void **state)
{
	(void)state;
	expect("b\xc3\xbc"
	       "cher.example",
	    "xn--bcher-kva.example");
	expect("mail.B\xc3\x9c"
	       "CHER.example",
	    "mail.xn--bcher-kva.example");
	expect("stra\xc3\x9f"
	       "e.example",
	    "xn--strae-oqa.example");
	expect("\xe4\xbe\x8b\xe3\x81\x88.jp", "xn--r8jz45g.jp");
	/* u and a combining diaeresis; an ideographic full stop. */
	expect("bu\xcc\x88"
	       "cher.example",
	    "xn--bcher-kva.example");
	expect("b\xc3\xbc"
	       "cher\xe3\x80\x82"
	       "example",
	    "xn--bcher-kva.example");
}

static void
what_is_ascii_stays(void **state)
{
	(void)state;
	expect("Contoso.COM", "Contoso.COM");
	expect("xn--bcher-kva.example", "xn--bcher-kva.example");
	expect("*.b\xc3\xbc"
	       "cher.example",
	    "*.xn--bcher-kva.example");
	expect("a_b.b\xc3\xbc"
	       "cher.example",
	    "a_b.xn--bcher-kva.example");
	expect("", "");
}

static void
what_is_no_name_is_left_to_others(void **state)
{
	(void)state;
	expect("b\xc3.example", NULL);          /* not UTF-8 */
	expect("x\xef\xbc\xa0y.example", NULL); /* a wide '@' */
	expect("x\xef\xbc\x9ey.example", NULL); /* a wide '>' */
	expect("\xef\xb8\x92.example", NULL);
	expect("*\xc3\xbc.example", NULL);
	expect("\xd7\x90"
	       "a.example",
	    NULL); /* two directions mixed */
}

static void
a_domain_without_end_is_none(void **state)
{
	char *domain = xmalloc(5001);

	(void)state;
	memset(domain, 'a', 5000);
	domain[5000] = '\0';
	expect(domain, NULL);
	memcpy(domain, "\xc3\xbc", 2);
	expect(domain, NULL);
	free(domain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_become_a_labels),
		cmocka_unit_test(what_is_ascii_stays),
		cmocka_unit_test(what_is_no_name_is_left_to_others),
		cmocka_unit_test(a_domain_without_end_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
