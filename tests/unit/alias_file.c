#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/alias_file.h"
#include "account/config.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "mail/address.h"

/* Each test has a folder, a configuration and what was noted. */
static char folder[] = "/tmp/outpost-alias-file.XXXXXX";
static char *aliases_path, *list_path;
static struct config config;
static struct alias_file file;
static struct buf notes, shown;
static struct error err;

static void
on_note(void *arg, bool mistake, const char *sentence)
{
	(void)arg;
	buf_addf(&notes, "%s%s\n", mistake ? "mistake: " : "", sentence);
}

static int
enter(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	aliases_path = xasprintf("%s/aliases", folder);
	list_path = xasprintf("%s/list", folder);
	return 0;
}

static int
leave(void **state)
{
	int result = rmdir(folder);

	(void)state;
	free(aliases_path);
	free(list_path);
	return result;
}

static void
configure(const char *main_keys, const char *accounts)
{
	char *text = xasprintf("[outpost]\naliases = %s\n%s\n%s", aliases_path,
	    main_keys, accounts);

	config_init(&config);
	assert_int_equal(
	    config_parse(&config, "outpost.conf", text, strlen(text), &err), 0);
	free(text);
}

static int
start(void **state)
{
	(void)state;
	buf_init(&notes, 64 * 1024);
	buf_init(&shown, 64 * 1024);
	configure("admin = it@contoso.com",
	    "[alerts@contoso.com]\nclient_id = x\ntenant = t\n");
	alias_file_init(&file, &config, "web1.lan", on_note, NULL);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	alias_file_release(&file);
	config_release(&config);
	buf_release(&notes);
	buf_release(&shown);
	(void)unlink(aliases_path);
	(void)unlink(list_path);
	return 0;
}

static void
put(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(file_replace(path, text, strlen(text), mode, &err), 0);
}

/* "address (way) …", or NULL on an error. */
static const char *
expand(const char *name)
{
	struct mailbox_list list;
	int result;

	mailbox_list_init(&list);
	buf_clear(&shown);
	result = alias_file_expand(&file, name, &list, &err);
	assert_true(result == 0 || list.count == 0);
	for (size_t i = 0; i < list.count; i++) {
		char *address = mailbox_address(&list.items[i]);

		buf_addf(&shown, "%s%s (%s)", i > 0 ? " " : "", address,
		    list.items[i].display);
		free(address);
	}
	mailbox_list_release(&list);
	return result == 0 ? shown.data : NULL;
}

static void
names_go_through_the_aliases_and_then_to_admin(void **state)
{
	(void)state;
	put(aliases_path,
	    "root: ann@fabrikam.com, joe@web1\n"
	    "away: root@contoso.com\n",
	    0600);
	alias_file_read(&file);
	assert_string_equal(expand("root"),
	    "ann@fabrikam.com (alias root) it@contoso.com (alias root, admin)");
	assert_string_equal(expand("joe"), "it@contoso.com (admin)");
	/* An account's domain is Microsoft's to deliver to. */
	assert_string_equal(expand("away"), "root@contoso.com (alias away)");
	assert_int_equal(notes.len, 0);
}

static void
without_a_file_or_unread_there_are_no_aliases(void **state)
{
	(void)state;
	put(aliases_path, "root: ann@fabrikam.com\n", 0600);
	assert_string_equal(expand("root"), "it@contoso.com (admin)");
	assert_true(file.missing);
	(void)unlink(aliases_path);
	alias_file_read(&file);
	assert_string_equal(expand("root"), "it@contoso.com (admin)");
	assert_true(file.missing);
	assert_int_equal(notes.len, 0);
}

static void
without_admin_it_is_the_default_account_or_nobody(void **state)
{
	(void)state;
	config_release(&config);
	configure("", "[alerts@contoso.com]\nclient_id = x\ntenant = t\n");
	assert_string_equal(
	    expand("root"), "alerts@contoso.com (the default account)");
	config_release(&config);
	configure("", "[a@contoso.com]\nclient_id = x\ntenant = t\n"
		      "[b@contoso.com]\nclient_id = x\ntenant = t\n");
	assert_null(expand("root"));
	assert_int_equal(err.exit_code, EX_NOUSER);
}

static void
an_admin_of_this_host_is_a_mistake(void **state)
{
	(void)state;
	config_release(&config);
	configure("admin = root@web1.lan",
	    "[alerts@contoso.com]\nclient_id = x\ntenant = t\n");
	assert_null(expand("joe"));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_non_null(strstr(err.hint, "outpost.conf"));
}

static void
a_file_that_cannot_be_read_is_noted_once(void **state)
{
	(void)state;
	assert_int_equal(mkdir(aliases_path, 0700), 0);
	alias_file_read(&file);
	assert_int_equal(rmdir(aliases_path), 0);
	assert_false(file.missing);
	assert_string_equal(expand("root"), "it@contoso.com (admin)");
	assert_string_equal(expand("joe"), "it@contoso.com (admin)");
	assert_non_null(strstr(notes.data, "is not a regular file; mail goes"));
	assert_ptr_equal(strchr(notes.data, '\n'), notes.data + notes.len - 1);
}

static void
an_include_is_read_where_all_may_read_it(void **state)
{
	char *text =
	    xasprintf("list: :include:%s\nnear: :include:list\n", list_path);

	(void)state;
	put(aliases_path, text, 0600);
	put(list_path, "ann@fabrikam.com\n", 0644);
	alias_file_read(&file);
	assert_string_equal(expand("list"), "ann@fabrikam.com (alias list)");
	assert_int_equal(notes.len, 0);
	put(list_path, "secret@fabrikam.com\n", 0640);
	assert_string_equal(
	    expand("list"), "it@contoso.com (alias list, admin)");
	assert_non_null(strstr(notes.data, "is not for all to read"));
	assert_null(strstr(notes.data, "secret"));
	assert_string_equal(
	    expand("near"), "it@contoso.com (alias near, admin)");
	assert_non_null(strstr(notes.data, "absolute path"));
	free(text);
}

static void
assert_shown(const char *name, const char *address)
{
	char *is = alias_file_shown(&file, name);

	if (address == NULL)
		assert_null(is);
	else
		assert_string_equal(is, address);
	free(is);
}

static void
only_a_single_address_of_the_file_itself_is_shown(void **state)
{
	char *text = xasprintf("one: ann@fabrikam.com\n"
			       "two: ann@fabrikam.com, bob@fabrikam.com\n"
			       "list: :include:%s\npipe: |/bin/false\n"
			       "loop: round\nround: loop\n",
	    list_path);

	(void)state;
	put(aliases_path, text, 0600);
	put(list_path, "secret@fabrikam.com\n", 0644);
	alias_file_read(&file);
	assert_shown("one+tag", "ann@fabrikam.com");
	assert_shown("joe", "it@contoso.com");
	assert_shown("pipe", "it@contoso.com");
	assert_shown("two", NULL);
	assert_shown("list", NULL);
	assert_shown("loop", NULL);
	assert_int_equal(notes.len, 0);
	free(text);
}

static void
a_check_tells_all_mistakes(void **state)
{
	struct alias_file_report report;

	(void)state;
	put(aliases_path, "root: @@, ann@fabrikam.com\nno colon\n", 0600);
	alias_file_read(&file);
	assert_int_equal(alias_file_check(&file, &report, &err), 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.mistakes, 2);
	assert_int_equal(report.longest, strlen("@@, ann@fabrikam.com"));
	assert_non_null(strstr(notes.data, "aliases:1: alias 'root'"));
	assert_non_null(strstr(notes.data, "aliases:2: this is no"));
}

static void
a_check_looks_at_more_than_a_message_may(void **state)
{
	struct alias_file_report report;

	(void)state;
	put(aliases_path, "root: ann@fabrikam.com\n", 0600);
	alias_file_read(&file);
	file.left = 0;
	assert_int_equal(alias_file_check(&file, &report, &err), 0);
}

static void
a_message_may_use_up_what_may_be_looked_at_and_the_next_begins_anew(
    void **state)
{
	(void)state;
	put(aliases_path, "root: ann@fabrikam.com\n", 0600);
	alias_file_read(&file);
	file.left = 0;
	assert_null(expand("root"));
	alias_file_begin(&file);
	assert_non_null(expand("root"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_go_through_the_aliases_and_then_to_admin),
		TEST(without_a_file_or_unread_there_are_no_aliases),
		TEST(without_admin_it_is_the_default_account_or_nobody),
		TEST(an_admin_of_this_host_is_a_mistake),
		TEST(a_file_that_cannot_be_read_is_noted_once),
		TEST(an_include_is_read_where_all_may_read_it),
		TEST(only_a_single_address_of_the_file_itself_is_shown),
		TEST(a_check_tells_all_mistakes),
		TEST(a_check_looks_at_more_than_a_message_may),
		TEST(
		    a_message_may_use_up_what_may_be_looked_at_and_the_next_begins_anew),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
