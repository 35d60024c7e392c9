#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "account/local.h"
#include "base/error.h"

static const char text[] = "[outpost]\n"
			   "domains = contoso.internal, shop.example\n"
			   "[alerts@contoso.com]\n"
			   "client_id = x\n"
			   "tenant = t\n"
			   "send_as = noreply@shop.example\n";

static int
load(void **state)
{
	static struct config config;
	struct error err;

	config_init(&config);
	*state = &config;
	return config_parse(&config, "test.conf", text, sizeof(text) - 1, &err);
}

static int
unload(void **state)
{
	config_release(*state);
	return 0;
}

static void
no_domain_and_localhost_are_local(void **state)
{
	assert_true(local_is_domain(*state, "web1", NULL));
	assert_true(local_is_domain(*state, "web1", "LOCALHOST"));
	assert_true(local_is_domain(*state, "web1", "localhost.localdomain"));
}

static void
this_host_is_local_by_its_full_and_its_short_name(void **state)
{
	assert_true(local_is_domain(*state, "web1.lan", "WEB1.lan"));
	assert_true(local_is_domain(*state, "web1.lan", "web1"));
	assert_true(local_is_domain(*state, "web1", "web1"));
	assert_false(local_is_domain(*state, "web1.lan", "web"));
	assert_false(local_is_domain(*state, "web1.lan", "web11"));
	assert_false(local_is_domain(*state, "web1.lan", "lan"));
	assert_false(local_is_domain(*state, "", "x"));
}

static void
the_domains_key_adds_to_them(void **state)
{
	assert_true(local_is_domain(*state, "web1", "Contoso.Internal"));
	assert_false(local_is_domain(*state, "web1", "example.org"));
}

static void
the_domain_of_an_account_never_is(void **state)
{
	assert_false(local_is_domain(*state, "contoso.com", "contoso.com"));
	assert_false(local_is_domain(*state, "web1", "shop.example"));
}

static void
local_mail_goes_to_admin_or_the_default_account(void **state)
{
	struct config *config = *state;
	char admin[] = "it@contoso.com";

	assert_string_equal(local_target(config), "alerts@contoso.com");
	config->admin = admin;
	assert_string_equal(local_target(config), admin);
	config->admin = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_domain_and_localhost_are_local),
		cmocka_unit_test(
		    this_host_is_local_by_its_full_and_its_short_name),
		cmocka_unit_test(the_domains_key_adds_to_them),
		cmocka_unit_test(the_domain_of_an_account_never_is),
		cmocka_unit_test(
		    local_mail_goes_to_admin_or_the_default_account),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
