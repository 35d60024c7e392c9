#include "sendmail/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "account/alias_file.h"
#include "account/config.h"
#include "account/local.h"
#include "base/error.h"
#include "base/log.h"
#include "mail/address.h"
#include "sendmail/options.h"

#define LINE_SIZE 4096

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *format, ...)
{
	char text[LINE_SIZE], clean[LINE_SIZE * 4];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)puts(log_clean(clean, sizeof(clean), text));
}

static void
say_missing(const struct alias_file *f)
{
	const char *target = local_target(f->config);

	say("%s: not there, so there are no aliases; mail for local users goes "
	    "%s%s",
	    f->config->aliases, target != NULL ? "to " : "nowhere",
	    target != NULL ? target : "");
}

int
verify_aliases(struct alias_file *f, struct error *err)
{
	struct alias_file_report report;

	if (f->missing) {
		say_missing(f);
		return 0;
	}
	if (alias_file_check(f, &report, err) == -1) {
		err->exit_code = EX_DATAERR;
		return -1;
	}
	say("%s: %zu aliases, longest %zu bytes, %zu bytes total",
	    f->config->aliases, report.count, report.longest, report.total);
	if (report.mistakes == 0)
		return 0;
	error_set(err, EX_DATAERR, "5.3.5", "%s has %zu mistakes",
	    f->config->aliases, report.mistakes);
	return error_hint(err,
	    "mend the lines named above: a line is 'name: address, address'");
}

/* The addresses that one mailbox leads to. */
static int
find_targets(struct alias_file *f, const struct mailbox *mailbox,
    struct mailbox_list *targets, struct error *err)
{
	struct mailbox copy;
	char *address;
	int result;

	if (local_is_domain(f->config, f->host, mailbox->domain))
		return alias_file_expand(f, mailbox->local, targets, err);
	address = mailbox_address(mailbox);
	result = address_smtp_safe(address, NULL, err);
	if (result == 0)
		result = address_parse_one(&copy, address, err);
	if (result == 0)
		mailbox_list_add(targets, &copy);
	free(address);
	return result;
}

static void
say_undeliverable(const char *name, const struct error *why)
{
	say("%s... undeliverable: %s%s%s", name, why->text,
	    why->hint[0] != '\0' ? "; hint: " : "", why->hint);
}

static int
verify_one(struct alias_file *f, const struct mailbox *mailbox)
{
	char *name = mailbox_address(mailbox);
	struct mailbox_list targets;
	struct error why;
	int result;

	mailbox_list_init(&targets);
	alias_file_begin(f);
	result = find_targets(f, mailbox, &targets, &why);
	if (result == -1)
		say_undeliverable(name, &why);
	for (size_t i = 0; i < targets.count; i++) {
		char *address = mailbox_address(&targets.items[i]);
		const char *way = targets.items[i].display;

		say("%s... deliverable: %s%s%s%s", name, address,
		    way != NULL ? " (" : "", way != NULL ? way : "",
		    way != NULL ? ")" : "");
		free(address);
	}
	mailbox_list_release(&targets);
	free(name);
	return result;
}

/* A word of the command line, which may be a list. How many are bad. */
static size_t
verify_word(struct alias_file *f, const char *word)
{
	struct mailbox_list list;
	struct error why;
	size_t bad = 0;

	mailbox_list_init(&list);
	if (address_parse_argument(&list, word, &why) == -1) {
		say_undeliverable(word, &why);
		bad++;
	}
	for (size_t i = 0; i < list.count; i++)
		if (verify_one(f, &list.items[i]) == -1)
			bad++;
	mailbox_list_release(&list);
	return bad;
}

int
verify_addresses(
    const struct options *o, struct alias_file *f, struct error *err)
{
	size_t bad = 0;

	if (o->recipient_count == 0 || o->recipients_from_header) {
		error_set(err, EX_USAGE, "5.1.3",
		    "-bv verifies the addresses that are named, and reads no "
		    "message");
		return error_hint(err, "name them after the options");
	}
	for (size_t i = 0; i < o->recipient_count; i++)
		bad += verify_word(f, o->recipients[i]);
	if (bad == 0)
		return 0;
	error_set(err, EX_NOUSER, "5.1.1",
	    "mail for %zu of these addresses goes nowhere", bad);
	return error_hint(err, "their lines on standard output say why");
}
