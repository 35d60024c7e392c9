#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/account.h"
#include "base/error.h"

#define KEYS "tenant = t\nclient_id = c\n"

typedef int grouplist(const char *, gid_t, gid_t *, int *);

static bool no_memory;

/* The C library's, until it is to find no memory. */
int
getgrouplist(const char *user, gid_t group, gid_t *groups, int *count)
{
	grouplist *real;

	if (no_memory)
		return -1;
	*(void **)&real = dlsym(RTLD_NEXT, "getgrouplist");
	return real(user, group, groups, count);
}

/* Three accounts, none of them the default. */
static const char three[] =
    "[alerts@contoso.com]\n" KEYS "senders = *@web.contoso.com, www-data\n"
    "send_as = noreply@contoso.com, *@news.contoso.com\n"
    "users = alice, bob\n"
    "[Sales@Contoso.com]\n" KEYS "senders = *@contoso.com\n"
    "users = alice\n"
    "[root@fabrikam.com]\n" KEYS "users =\n";

static void
load(struct config *c, const char *head, const char *text)
{
	char whole[4096];
	struct error err;

	(void)snprintf(whole, sizeof(whole), "%s%s", head, text);
	config_init(c);
	if (config_parse(c, "/etc/outpost/outpost.conf", whole, strlen(whole),
		&err) == -1)
		fail_msg("%s", err.text);
}

static const struct account_caller root = { 0, true, "root" };
static const struct account_caller alice = { 1001, true, "alice" };
static const struct account_caller bob = { 1002, true, "bob" };
static const struct account_caller mallory = { 1003, true, "mallory" };
static const struct account_caller nameless = { 4711, true, NULL };

/* "account as sender", or "exit code". */
static const char *
choice(const struct config *c, const struct account_caller *caller,
    const char *first, const char *second, const char *third)
{
	static char text[300];
	const char *candidates[3] = { first, second, third };
	struct account_choice choice = { NULL, NULL };
	struct error err;
	size_t count = 0;

	while (count < 3 && candidates[count] != NULL)
		count++;
	if (account_choose(c, caller, candidates, count, &choice, &err) == 0)
		(void)snprintf(text, sizeof(text), "%s as %s",
		    choice.account->mailbox, choice.sender);
	else {
		assert_null(choice.account);
		(void)snprintf(text, sizeof(text), "%d", err.exit_code);
	}
	return text;
}

#define CHOSEN(want, caller, first, second, third)                             \
	assert_string_equal(choice(&c, caller, first, second, third), want)

static void
own_address_chooses_the_account(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	CHOSEN("alerts@contoso.com as alerts@contoso.com", &alice,
	    "alerts@contoso.com", NULL, NULL);
	CHOSEN("Sales@Contoso.com as Sales@Contoso.com", &alice,
	    "SALES@contoso.COM", NULL, NULL);
	config_release(&c);
}

static void
first_candidate_that_matches_decides(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	CHOSEN("Sales@Contoso.com as Sales@Contoso.com", &alice,
	    "x@contoso.com", "alerts@contoso.com", "www-data");
	CHOSEN("alerts@contoso.com as alerts@contoso.com", &alice,
	    "x@elsewhere.example", "y@web.contoso.com", "alice");
	CHOSEN("alerts@contoso.com as alerts@contoso.com", &alice,
	    "x@y.example", "z", "www-data");
	config_release(&c);
}

static void
tag_is_no_other_mailbox(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	CHOSEN("alerts@contoso.com as alerts@contoso.com", &bob,
	    "alerts+web1@contoso.com", NULL, NULL);
	config_release(&c);
}

static void
pattern_does_not_match_beyond_its_domain(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	CHOSEN("78", &alice, "x@contoso.com.evil.example", NULL, NULL);
	CHOSEN("78", &alice, "x@notcontoso.com", NULL, NULL);
	CHOSEN("78", &alice, "www-data@elsewhere.example", NULL, NULL);
	CHOSEN("78", &alice, "contoso.com", NULL, NULL);
	CHOSEN("78", &alice, "", NULL, NULL);
	config_release(&c);
}

static void
listed_send_as_is_the_sender(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	CHOSEN("alerts@contoso.com as noreply@contoso.com", &bob,
	    "noreply@contoso.com", NULL, NULL);
	CHOSEN("alerts@contoso.com as NoReply@contoso.com", &bob,
	    "NoReply@contoso.com", NULL, NULL);
	CHOSEN("alerts@contoso.com as a@news.contoso.com", &bob,
	    "a@news.contoso.com", NULL, NULL);
	CHOSEN("alerts@contoso.com as alerts@contoso.com", &bob,
	    "a@web.contoso.com", NULL, NULL);
	config_release(&c);
}

static void
candidate_that_matched_is_the_sender_not_the_first(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	CHOSEN("alerts@contoso.com as noreply@contoso.com", &bob, "root@web1",
	    "noreply@contoso.com", "bob");
	config_release(&c);
}

static void
forbidden_accounts_are_skipped(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	/* bob may not use sales, which lists *@contoso.com. */
	CHOSEN("alerts@contoso.com as noreply@contoso.com", &bob,
	    "sales@contoso.com", "noreply@contoso.com", NULL);
	config_release(&c);
	load(&c, "[outpost]\ndefault = alerts@contoso.com\n", three);
	CHOSEN("alerts@contoso.com as alerts@contoso.com", &bob,
	    "sales@contoso.com", NULL, NULL);
	config_release(&c);
}

static void
default_serves_who_matches_nothing(void **state)
{
	struct config c;

	(void)state;
	load(&c, "[outpost]\ndefault = sales@contoso.com\n", three);
	CHOSEN("Sales@Contoso.com as Sales@Contoso.com", &alice, "x@y.example",
	    "root", NULL);
	CHOSEN(
	    "Sales@Contoso.com as Sales@Contoso.com", &alice, NULL, NULL, NULL);
	CHOSEN("77", &bob, "x@y.example", NULL, NULL);
	config_release(&c);
}

static void
no_account_is_78_and_no_right_is_77(void **state)
{
	const char *stranger = "x@y.example", *sales = "sales@contoso.com";
	struct account_choice chosen;
	struct config c;
	struct error err;

	(void)state;
	load(&c, "", three);
	assert_int_equal(
	    account_choose(&c, &alice, &stranger, 1, &chosen, &err), -1);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_int_equal(err.class, ERROR_HOLD);
	assert_string_equal(err.text, "no account sends for 'x@y.example'");
	assert_non_null(strstr(err.hint,
	    "alerts@contoso.com, Sales@Contoso.com, root@fabrikam.com"));
	assert_non_null(strstr(err.hint, "/etc/outpost/outpost.conf"));
	assert_int_equal(
	    account_choose(&c, &mallory, &sales, 1, &chosen, &err), -1);
	assert_int_equal(err.exit_code, EX_NOPERM);
	assert_int_equal(err.class, ERROR_REFUSED);
	assert_string_equal(err.text,
	    "you may not use the account for the sender 'sales@contoso.com'");
	assert_non_null(strstr(err.hint, "'users'"));
	config_release(&c);
}

static void
empty_users_are_nobody_but_root(void **state)
{
	struct config c;

	(void)state;
	load(&c, "[outpost]\ndefault = root@fabrikam.com\n", three);
	CHOSEN("root@fabrikam.com as root@fabrikam.com", &root,
	    "root@fabrikam.com", NULL, NULL);
	CHOSEN("77", &mallory, "root@fabrikam.com", NULL, NULL);
	config_release(&c);
}

static void
users_are_known_by_name_alone(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	assert_true(account_permits(&c, &c.accounts[0], &alice));
	assert_true(account_permits(&c, &c.accounts[0], &bob));
	assert_true(account_permits(&c, &c.accounts[0], &root));
	assert_false(account_permits(&c, &c.accounts[1], &bob));
	assert_false(account_permits(&c, &c.accounts[0], &mallory));
	assert_false(account_permits(&c, &c.accounts[0], &nameless));
	config_release(&c);
}

static void
unlisted_users_have_the_default_account_of_a_system(void **state)
{
	const struct account_caller own = { 1003, false, "mallory" };
	struct config c;

	(void)state;
	load(&c, "[outpost]\ndefault = a@x.example\n",
	    "[a@x.example]\n" KEYS "[b@x.example]\n" KEYS);
	assert_true(account_permits(&c, &c.accounts[0], &mallory));
	assert_true(account_permits(&c, &c.accounts[0], &nameless));
	assert_false(account_permits(&c, &c.accounts[1], &mallory));
	assert_true(account_permits(&c, &c.accounts[1], &root));
	/* A user's own copy serves its user. */
	assert_true(account_permits(&c, &c.accounts[1], &own));
	config_release(&c);
	load(&c, "", "[a@x.example]\n" KEYS);
	assert_true(account_permits(&c, &c.accounts[0], &mallory));
	config_release(&c);
	load(&c, "", "[a@x.example]\n" KEYS "[b@x.example]\n" KEYS);
	assert_false(account_permits(&c, &c.accounts[0], &mallory));
	config_release(&c);
}

/* A user of this system that is in a group besides its own, if any. */
static int
member(char *user, char *group, size_t size)
{
	const struct group *entry;
	int found = -1;

	setgrent();
	while (found == -1 && (entry = getgrent()) != NULL)
		if (entry->gr_mem[0] != NULL) {
			strlcpy(user, entry->gr_mem[0], size);
			strlcpy(group, entry->gr_name, size);
			found = getpwnam(user) != NULL ? 0 : -1;
		}
	endgrent();
	return found;
}

static void
permits(const char *users, const char *name, bool want)
{
	const struct account_caller caller = { 1234, true, name };
	char text[500];
	struct config c;

	(void)snprintf(
	    text, sizeof(text), "[a@x.example]\n" KEYS "users = %s\n", users);
	load(&c, "", text);
	if (account_permits(&c, &c.accounts[0], &caller) != want)
		fail_msg("users = %s, %s", users, name);
	config_release(&c);
}

static void
token_users_alone_and_root_have_the_token(void **state)
{
	struct config c;
	struct error err;

	(void)state;
	load(&c, "",
	    "[a@x.example]\n" KEYS "users = bob\ntoken_users = alice\n"
	    "[b@x.example]\n" KEYS);
	assert_int_equal(
	    account_permits_token(&c.accounts[0], &alice, &err), 0);
	assert_int_equal(account_permits_token(&c.accounts[0], &root, &err), 0);
	assert_int_equal(account_permits_token(&c.accounts[1], &root, &err), 0);
	assert_int_equal(account_permits_token(&c.accounts[0], &bob, &err), -1);
	assert_int_equal(
	    account_permits_token(&c.accounts[1], &alice, &err), -1);
	assert_int_equal(
	    account_permits_token(&c.accounts[0], &nameless, &err), -1);
	assert_int_equal(err.exit_code, EX_NOPERM);
	assert_non_null(strstr(err.hint, "token_users"));
	config_release(&c);
}

static void
primary_groups_count(void **state)
{
	const struct passwd *games = getpwnam("games");
	const struct group *group = NULL;
	char users[100];

	(void)state;
	if (games == NULL || (group = getgrgid(games->pw_gid)) == NULL)
		skip();
	(void)snprintf(
	    users, sizeof(users), "nobody-here, @%s", group->gr_name);
	permits(users, "games", true);
	permits(users, "daemon", false);
	permits(users, "nobody-here-either", false);
	permits("games", "games", true);
	permits("@no-such-group-here", "games", false);
	permits("@", "games", false);
}

static void
groups_that_cannot_be_read_permit_nothing(void **state)
{
	const struct passwd *games = getpwnam("games");
	const struct group *group = NULL;
	char users[200];

	(void)state;
	if (games == NULL || (group = getgrgid(games->pw_gid)) == NULL)
		skip();
	(void)snprintf(users, sizeof(users), "@%s", group->gr_name);
	no_memory = true;
	(void)alarm(10);
	permits(users, "games", false);
	(void)alarm(0);
	no_memory = false;
}

static void
other_groups_count(void **state)
{
	char user[100], group[100], users[200];

	(void)state;
	if (member(user, group, sizeof(user)) == -1)
		skip();
	(void)snprintf(users, sizeof(users), "@%s", group);
	permits(users, user, true);
}

static void
authorised(const struct config *c, const struct account_caller *caller,
    const char *mailbox, const char *sender, int exit_code)
{
	const struct account *a = NULL;
	struct error err;

	error_clear(&err);
	if (account_authorise(c, caller, mailbox, sender, &a, &err) == 0) {
		assert_int_equal(exit_code, 0);
		assert_ptr_equal(a, config_account(c, mailbox));
	} else {
		assert_int_equal(err.exit_code, exit_code);
		assert_string_not_equal(err.hint, "");
		assert_null(a);
	}
}

static void
service_checks_right_and_sender_again(void **state)
{
	struct config c;

	(void)state;
	load(&c, "", three);
	authorised(&c, &bob, "alerts@contoso.com", "alerts@contoso.com", 0);
	authorised(&c, &bob, "ALERTS@contoso.com", "Alerts@CONTOSO.com", 0);
	authorised(&c, &bob, "alerts@contoso.com", "noreply@contoso.com", 0);
	authorised(&c, &bob, "alerts@contoso.com", "x@news.contoso.com", 0);
	authorised(
	    &c, &bob, "alerts@contoso.com", "x@web.contoso.com", EX_NOPERM);
	authorised(
	    &c, &bob, "alerts@contoso.com", "sales@contoso.com", EX_NOPERM);
	authorised(
	    &c, &bob, "alerts@contoso.com", "alerts+a@contoso.com", EX_NOPERM);
	authorised(&c, &bob, "alerts@contoso.com", "", EX_NOPERM);
	authorised(
	    &c, &bob, "sales@contoso.com", "sales@contoso.com", EX_NOPERM);
	authorised(&c, &mallory, "alerts@contoso.com", "alerts@contoso.com",
	    EX_NOPERM);
	authorised(
	    &c, &root, "alerts@contoso.com", "sales@contoso.com", EX_NOPERM);
	authorised(
	    &c, &root, "none@contoso.com", "none@contoso.com", EX_CONFIG);
	config_release(&c);
}

static void
whatever_is_chosen_is_authorised(void **state)
{
	static const char *const senders[] = { "alerts@contoso.com",
		"alerts+x@contoso.com", "noreply@contoso.com", "root",
		"x@contoso.com", "x@news.contoso.com", "www-data", "",
		"x@y.example" };
	const struct account_caller *const callers[] = { &root, &alice, &bob,
		&mallory, &nameless };
	struct config c;

	(void)state;
	load(&c, "[outpost]\ndefault = alerts@contoso.com\n", three);
	for (size_t i = 0; i < 9; i++)
		for (size_t j = 0; j < 5; j++) {
			struct account_choice chosen;
			struct error err;

			if (account_choose(&c, callers[j], &senders[i], 1,
				&chosen, &err) == 0)
				authorised(&c, callers[j],
				    chosen.account->mailbox, chosen.sender, 0);
		}
	config_release(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_address_chooses_the_account),
		cmocka_unit_test(first_candidate_that_matches_decides),
		cmocka_unit_test(tag_is_no_other_mailbox),
		cmocka_unit_test(pattern_does_not_match_beyond_its_domain),
		cmocka_unit_test(listed_send_as_is_the_sender),
		cmocka_unit_test(
		    candidate_that_matched_is_the_sender_not_the_first),
		cmocka_unit_test(forbidden_accounts_are_skipped),
		cmocka_unit_test(default_serves_who_matches_nothing),
		cmocka_unit_test(no_account_is_78_and_no_right_is_77),
		cmocka_unit_test(empty_users_are_nobody_but_root),
		cmocka_unit_test(users_are_known_by_name_alone),
		cmocka_unit_test(
		    unlisted_users_have_the_default_account_of_a_system),
		cmocka_unit_test(token_users_alone_and_root_have_the_token),
		cmocka_unit_test(primary_groups_count),
		cmocka_unit_test(groups_that_cannot_be_read_permit_nothing),
		cmocka_unit_test(other_groups_count),
		cmocka_unit_test(service_checks_right_and_sender_again),
		cmocka_unit_test(whatever_is_chosen_is_authorised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
