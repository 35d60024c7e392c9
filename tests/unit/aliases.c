#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/address.h"
#include "mail/aliases.h"

static struct aliases *aliases;
static struct buf warnings;
static struct buf result;
static struct error err;
static const char *include_text; /* NULL: it cannot be read */

static bool
is_local(void *arg, const struct mailbox *m)
{
	(void)arg;
	return m->domain == NULL || strcmp(m->domain, "localhost") == 0;
}

static int
include(void *arg, const char *path, struct buf *out, struct error *why)
{
	(void)arg;
	if (include_text == NULL)
		return error_set(
		    why, EX_TEMPFAIL, "4.3.0", "cannot read '%s'", path);
	return buf_adds(out, include_text);
}

static void
note(void *arg, bool mistake, const char *sentence)
{
	(void)arg;
	buf_addf(&warnings, "%s%s\n", mistake ? "mistake: " : "", sentence);
}

static size_t left;
static const struct aliases_rules rules = { is_local, include, note, &left,
	NULL };

static int
start(void **state)
{
	(void)state;
	aliases = aliases_new();
	buf_init(&warnings, 64 * 1024);
	buf_init(&result, 64 * 1024);
	include_text = NULL;
	left = ALIASES_WORK_MAX;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	aliases_free(aliases);
	buf_release(&warnings);
	buf_release(&result);
	return 0;
}

static size_t
parse(const char *text)
{
	return aliases_parse(
	    aliases, "/etc/aliases", text, strlen(text), &rules);
}

/* The targets with blanks between, or NULL on an error. */
static const char *
expand(const char *name)
{
	struct mailbox_list list;
	const char *text = NULL;

	mailbox_list_init(&list);
	buf_clear(&result);
	if (aliases_expand(aliases, name, &rules, &list, &err) == 0) {
		for (size_t i = 0; i < list.count; i++) {
			char *address = mailbox_address(&list.items[i]);

			buf_addf(&result, "%s%s", i > 0 ? " " : "", address);
			free(address);
		}
		text = result.data;
	} else {
		assert_int_equal(list.count, 0);
	}
	mailbox_list_release(&list);
	return text;
}

static void
a_name_leads_to_its_addresses(void **state)
{
	(void)state;
	assert_int_equal(parse("# who reads mail here\n"
			       "root: it@contoso.com, on-call@contoso.com\n"),
	    0);
	assert_string_equal(
	    expand("root"), "it@contoso.com on-call@contoso.com");
	assert_int_equal(warnings.len, 0);
}

static void
names_behind_names_are_followed(void **state)
{
	(void)state;
	parse("mailer-daemon: postmaster\npostmaster: root\n"
	      "root: it@contoso.com\nwww-data: root@localhost\n");
	assert_string_equal(expand("mailer-daemon"), "it@contoso.com");
	assert_string_equal(expand("www-data"), "it@contoso.com");
}

static void
a_name_without_alias_is_itself(void **state)
{
	(void)state;
	parse("root: admin\n");
	assert_string_equal(expand("joe"), "joe");
	assert_string_equal(expand("root"), "admin");
}

static void
case_does_not_matter(void **state)
{
	(void)state;
	parse("Root: it@contoso.com\nPOSTMASTER: rOOT\n");
	assert_string_equal(expand("root"), "it@contoso.com");
	assert_string_equal(expand("Postmaster"), "it@contoso.com");
}

static void
lines_are_continued_by_blanks(void **state)
{
	(void)state;
	parse("root: a@x.example,\r\n\tb@x.example,\r\n"
	      "# between\n\n  c@x.example\njoe: d@x.example");
	assert_string_equal(
	    expand("root"), "a@x.example b@x.example c@x.example");
	assert_string_equal(expand("joe"), "d@x.example");
}

static void
a_tag_is_looked_up_without_it_too(void **state)
{
	(void)state;
	parse("root: it@contoso.com\nroot+raid: disks@contoso.com\n");
	assert_string_equal(expand("root+cron"), "it@contoso.com");
	assert_string_equal(expand("root+raid"), "disks@contoso.com");
	assert_string_equal(expand("+cron"), "+cron");
	assert_string_equal(expand("joe+cron"), "joe+cron");
}

static void
quotes_keep_commas_and_colons(void **state)
{
	(void)state;
	parse("\"a:b\": \"x, y\"@contoso.com, z@contoso.com\n"
	      "prog: \"|/usr/bin/filter --with a, b\", c@contoso.com\n");
	assert_string_equal(
	    expand("a:b"), "\"x, y\"@contoso.com z@contoso.com");
	assert_string_equal(expand("prog"), "c@contoso.com");
}

static void
programs_and_files_are_left_out_with_a_warning(void **state)
{
	(void)state;
	parse("dump: /var/mail/dump\nlist: |/usr/bin/list, a@x.example\n");
	assert_string_equal(expand("dump"), "dump");
	assert_non_null(strstr(
	    warnings.data, "/etc/aliases:1: alias 'dump': left out a file"));
	assert_string_equal(expand("list"), "a@x.example");
	assert_non_null(strstr(warnings.data,
	    "\n/etc/aliases:2: alias 'list': left out a program"));
}

static void
an_include_is_a_list_with_comments(void **state)
{
	(void)state;
	parse("staff: :include:/etc/staff, z@x.example\njoe: j@x.example\n");
	include_text = "# the staff\na@x.example, b@x.example\n\njoe\n"
		       "/etc/passwd\n@@\n";
	assert_string_equal(
	    expand("staff"), "a@x.example b@x.example j@x.example z@x.example");
	assert_string_equal(warnings.data,
	    "/etc/aliases:1: alias 'staff': left out 2 in '/etc/staff' that "
	    "are no addresses\n");
}

static void
an_include_within_an_include_goes_to_the_local_user(void **state)
{
	(void)state;
	parse("staff: :include:/etc/staff\nmore: :include: /etc/more\n");
	include_text = "a@x.example\n:include:/etc/more\nmore\n";
	assert_string_equal(expand("staff"), "a@x.example staff more");
	assert_non_null(strstr(warnings.data, "an include within an include"));
}

static void
an_include_that_cannot_be_read_goes_to_the_local_user(void **state)
{
	(void)state;
	parse("staff: a@x.example, :include:/etc/staff\n");
	assert_string_equal(expand("staff"), "a@x.example staff");
	assert_non_null(strstr(warnings.data,
	    "/etc/aliases:1: alias 'staff': cannot read '/etc/staff'"));
}

/* It may belong to somebody who is not to hold up the mail of others. */
static void
an_include_that_leads_round_or_to_too_many_goes_to_the_local_user(void **state)
{
	struct buf text;

	(void)state;
	parse("root: ops, joe, boss@x.example\n"
	      "ops: joe, :include:/etc/staff, late@x.example\n"
	      "joe: j@x.example\nann: a@x.example\n");
	include_text = "ann, b@x.example\nroot\n";
	assert_string_equal(
	    expand("root"), "j@x.example ops late@x.example boss@x.example");
	assert_non_null(strstr(warnings.data, "/etc/aliases:2: alias 'ops': "));
	assert_non_null(strstr(warnings.data, "leads back to 'root'; "));
	assert_string_equal(expand("ops"), "j@x.example ops late@x.example");
	buf_init(&text, ALIASES_FILE_MAX);
	for (unsigned i = 0; i <= ADDRESS_COUNT_MAX; i++)
		buf_addf(&text, "%u@x.example\n", i);
	include_text = text.data;
	assert_string_equal(
	    expand("root"), "j@x.example ops late@x.example boss@x.example");
	buf_release(&text);
}

/* What it led to before counts again, once it has failed. */
static void
what_a_failed_include_names_is_found_elsewhere(void **state)
{
	(void)state;
	parse("root: :include:/etc/staff, ann\nann: a@x.example\n"
	      "loop: root\n");
	include_text = "ann, loop\n";
	assert_string_equal(expand("root"), "root a@x.example");
}

static void
what_an_include_holds_is_never_quoted(void **state)
{
	(void)state;
	parse("staff: :include:/etc/shadow\n");
	include_text = "root:$y$secret:19000:0:::\n@@@ secret\n";
	assert_non_null(expand("staff"));
	assert_null(strstr(warnings.data, "secret"));
	assert_true(warnings.len > 0);
}

static void
loops_end_with_an_error(void **state)
{
	(void)state;
	parse("a: b\nb: c\nc: a\n");
	assert_null(expand("a"));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_string_equal(
	    err.text, "/etc/aliases:3: alias 'c' leads back to 'a'");
}

static void
a_name_in_its_own_list_is_the_local_user(void **state)
{
	(void)state;
	parse("root: root, it@contoso.com\njoe: \\joe, j@x.example\n"
	      "kim: \\root\nann: \\ann@x.example\n");
	assert_string_equal(expand("root"), "root it@contoso.com");
	assert_string_equal(expand("joe"), "joe j@x.example");
	assert_string_equal(expand("kim"), "root");
	assert_string_equal(expand("ann"), "ann@x.example");
}

static void
a_long_chain_is_followed_and_a_longer_one_is_not(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 64 * 1024);
	for (unsigned i = 0; i < ALIASES_DEPTH_MAX + 5; i++)
		buf_addf(&text, "n%u: n%u\n", i, i + 1);
	parse(text.data);
	assert_string_equal(expand("n5"), "n55");
	assert_null(expand("n0"));
	buf_release(&text);
}

static void
names_that_are_reached_twice_cost_once(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 64 * 1024);
	/* 2 to the 40th ways to the end. */
	for (unsigned i = 0; i < 40; i++)
		buf_addf(&text, "n%u: n%u, n%u@localhost\n", i, i + 1, i + 1);
	buf_adds(&text, "n40: a@x.example\n");
	parse(text.data);
	assert_string_equal(expand("n0"), "a@x.example");
	buf_release(&text);
}

static void
a_mistake_leaves_the_other_lines_alone(void **state)
{
	static const char text[] =
	    "  begins with a blank\nno colon here\n: x\n"
	    "empty:\nroot: it@contoso.com\nnul: \0@contoso.com\n"
	    "Root: other@contoso.com\nbad: @@, ok@x.example, a@b..c";

	(void)state;
	assert_int_equal(
	    aliases_parse(aliases, "f", text, sizeof(text) - 1, &rules), 6);
	assert_string_equal(expand("root"), "it@contoso.com");
	assert_string_equal(expand("bad"), "ok@x.example");
	assert_int_equal(aliases_count(aliases), 2);
	assert_string_equal(warnings.data,
	    "mistake: f:1: this is no 'name: address'\n"
	    "mistake: f:2: this is no 'name: address'\n"
	    "mistake: f:3: this is no 'name: address'\n"
	    "mistake: f:4: alias 'empty' leads nowhere\n"
	    "mistake: f:6: this is no text\n"
	    "mistake: f:7: alias 'Root' stands in line 5 already\n"
	    "mistake: f:8: alias 'bad': left out what is no address\n"
	    "mistake: f:8: alias 'bad': left out what is no address\n");
}

static void
the_way_to_a_target_is_told(void **state)
{
	struct mailbox_list list;

	(void)state;
	parse("www-data: root\nroot: Ann <it@contoso.com>, joe\n");
	mailbox_list_init(&list);
	assert_int_equal(
	    aliases_expand(aliases, "www-data+x", &rules, &list, &err), 0);
	assert_int_equal(
	    aliases_expand(aliases, "kim", &rules, &list, &err), 0);
	assert_int_equal(list.count, 3);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(
		    list.items[i].display, "alias www-data, alias root");
	assert_null(list.items[2].display);
	mailbox_list_release(&list);
}

static void
a_check_looks_at_all_lists(void **state)
{
	size_t mistakes, longest, total;

	(void)state;
	parse("z: @@\nlist: |/bin/list, z\n"
	      "staff: :include:/etc/staff\na: ok@x.example ,  \n");
	assert_int_equal(aliases_check(aliases, &rules, &mistakes, &err), 0);
	assert_int_equal(mistakes, 1);
	assert_non_null(strstr(warnings.data, "mistake: /etc/aliases:1: "));
	assert_non_null(strstr(warnings.data, "\n/etc/aliases:2: "));
	assert_non_null(strstr(warnings.data, "\n/etc/aliases:3: "));
	aliases_sizes(aliases, &longest, &total);
	assert_int_equal(longest, strlen(":include:/etc/staff"));
	assert_int_equal(total, strlen("z@@list|/bin/list, zstaff"
				       ":include:/etc/staffaok@x.example ,"));
}

static void
a_check_finds_a_loop(void **state)
{
	size_t mistakes;

	(void)state;
	parse("fine: a@x.example\nz: y\ny: z\n");
	assert_int_equal(aliases_check(aliases, &rules, &mistakes, &err), -1);
	assert_string_equal(
	    err.text, "/etc/aliases:3: alias 'y' leads back to 'z'");
}

static void
one_message_has_only_so_much_looked_at(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 64 * 1024);
	buf_adds(&text, "all: ");
	for (unsigned i = 0; i < 1000; i++)
		buf_addf(&text, "u%u@x.example,", i);
	parse(text.data);
	left = 2 * text.len;
	assert_non_null(expand("all"));
	assert_non_null(expand("all"));
	assert_null(expand("all"));
	assert_int_equal(err.exit_code, EX_CONFIG);
	buf_release(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_leads_to_its_addresses),
		TEST(names_behind_names_are_followed),
		TEST(a_name_without_alias_is_itself),
		TEST(case_does_not_matter),
		TEST(lines_are_continued_by_blanks),
		TEST(a_tag_is_looked_up_without_it_too),
		TEST(quotes_keep_commas_and_colons),
		TEST(programs_and_files_are_left_out_with_a_warning),
		TEST(an_include_is_a_list_with_comments),
		TEST(an_include_within_an_include_goes_to_the_local_user),
		TEST(an_include_that_cannot_be_read_goes_to_the_local_user),
		TEST(
		    an_include_that_leads_round_or_to_too_many_goes_to_the_local_user),
		TEST(what_a_failed_include_names_is_found_elsewhere),
		TEST(what_an_include_holds_is_never_quoted),
		TEST(loops_end_with_an_error),
		TEST(a_name_in_its_own_list_is_the_local_user),
		TEST(a_long_chain_is_followed_and_a_longer_one_is_not),
		TEST(names_that_are_reached_twice_cost_once),
		TEST(a_mistake_leaves_the_other_lines_alone),
		TEST(the_way_to_a_target_is_told),
		TEST(a_check_looks_at_all_lists),
		TEST(a_check_finds_a_loop),
		TEST(one_message_has_only_so_much_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
