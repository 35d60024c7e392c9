#include "account/alias_file.h"

#include <errno.h>
#include <stdint.h>
#include <sysexits.h>

#include "account/config.h"
#include "account/local.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/aliases.h"

void
alias_file_init(struct alias_file *f, const struct config *config,
    const char *host, alias_file_note *note, void *arg)
{
	*f = (struct alias_file){
		.config = config,
		.host = host,
		.note = note,
		.arg = arg,
		.missing = true,
		.left = ALIASES_WORK_MAX,
	};
	buf_init(&f->text, ALIASES_FILE_MAX);
}

void
alias_file_release(struct alias_file *f)
{
	buf_release(&f->text);
	aliases_free(f->aliases);
	f->aliases = NULL;
}

void
alias_file_read(struct alias_file *f)
{
	struct error err;

	if (file_read(f->config->aliases, &f->text, &err) == 0)
		f->missing = false;
	else if (errno != ENOENT) {
		f->missing = false;
		f->trouble = err;
	}
}

void
alias_file_begin(struct alias_file *f)
{
	f->left = ALIASES_WORK_MAX;
}

static bool
is_local(void *arg, const struct mailbox *mailbox)
{
	const struct alias_file *f = arg;

	return local_is_domain(f->config, f->host, mailbox->domain);
}

static int
include(void *arg, const char *path, struct buf *out, struct error *err)
{
	(void)arg;
	if (*path != '/')
		return error_set(err, EX_CONFIG, "5.3.5",
		    "an include is not named by an absolute path");
	return file_read_public(path, out, err);
}

static void
note(void *arg, bool mistake, const char *sentence)
{
	const struct alias_file *f = arg;

	f->note(f->arg, mistake, sentence);
}

static void
note_nothing(void *arg, bool mistake, const char *sentence)
{
	(void)arg;
	(void)mistake;
	(void)sentence;
}

/* Those of an expansion that mail is sent by. */
static struct aliases_rules
usual_rules(struct alias_file *f)
{
	return (struct aliases_rules){
		.is_local = is_local,
		.include = include,
		.note = note,
		.left = &f->left,
		.arg = f,
	};
}

/* Where it could not be read it is empty; that is noted once. */
static void
parse(struct alias_file *f, void (*note_line)(void *, bool, const char *))
{
	struct aliases_rules rules = usual_rules(f);
	char sentence[ERROR_TEXT_SIZE + 64];

	if (f->aliases != NULL)
		return;
	rules.note = note_line;
	f->aliases = aliases_new();
	f->mistakes = aliases_parse(
	    f->aliases, f->config->aliases, f->text.data, f->text.len, &rules);
	buf_release(&f->text);
	if (f->trouble.exit_code == EX_OK)
		return;
	(void)snprintf(sentence, sizeof(sentence),
	    "%s; mail goes where that of names without alias goes",
	    f->trouble.text);
	f->note(f->arg, true, sentence);
}

/* Mail for a name without alias. */
static int
resolve(const struct alias_file *f, struct mailbox *mailbox, struct error *err)
{
	const char *target = local_target(f->config);
	const char *way = mailbox->display;
	struct mailbox found;

	if (target == NULL) {
		error_set(err, EX_NOUSER, "5.1.1",
		    "'%s' is a local user, and mail for local users goes "
		    "nowhere",
		    mailbox->local);
		return error_hint(err, "set 'admin' in %s", f->config->path);
	}
	if (address_parse_one(&found, target, err) == -1)
		return -1;
	if (local_is_domain(f->config, f->host, found.domain)) {
		mailbox_release(&found);
		error_set(err, EX_CONFIG, "5.3.5",
		    "'admin' is a user of this host itself: %s", target);
		return error_hint(err, "set it to an address elsewhere, in %s",
		    f->config->path);
	}
	free(found.display);
	found.display =
	    xasprintf("%s%s%s", way != NULL ? way : "", way != NULL ? ", " : "",
		f->config->admin != NULL ? "admin" : "the default account");
	mailbox_release(mailbox);
	*mailbox = found;
	return 0;
}

static int
expand(struct alias_file *f, const char *name,
    const struct aliases_rules *rules, struct mailbox_list *targets,
    struct error *err)
{
	size_t before = targets->count;
	int result = aliases_expand(f->aliases, name, rules, targets, err);

	for (size_t i = before; i < targets->count && result == 0; i++)
		if (targets->items[i].domain == NULL)
			result = resolve(f, &targets->items[i], err);
	if (result == -1)
		mailbox_list_cut(targets, before);
	return result;
}

int
alias_file_expand(struct alias_file *f, const char *name,
    struct mailbox_list *targets, struct error *err)
{
	const struct aliases_rules rules = usual_rules(f);

	parse(f, note_nothing);
	return expand(f, name, &rules, targets, err);
}

static int
shun_include(void *arg, const char *path, struct buf *out, struct error *err)
{
	struct alias_file *f = arg;

	(void)path;
	(void)out;
	f->shunned = true;
	return error_set(err, EX_CONFIG, "5.3.5", "it is not to be shown");
}

char *
alias_file_shown(struct alias_file *f, const char *name)
{
	struct aliases_rules rules = usual_rules(f);
	struct mailbox_list targets;
	char *address = NULL;

	rules.include = shun_include;
	rules.note = note_nothing;
	mailbox_list_init(&targets);
	parse(f, note_nothing);
	f->shunned = false;
	if (expand(f, name, &rules, &targets, NULL) == 0 && !f->shunned &&
	    targets.count == 1)
		address = mailbox_address(&targets.items[0]);
	mailbox_list_release(&targets);
	return address;
}

int
alias_file_check(
    struct alias_file *f, struct alias_file_report *report, struct error *err)
{
	const struct aliases_rules rules = usual_rules(f);
	size_t mistakes;

	if (f->trouble.exit_code != EX_OK) {
		*err = f->trouble;
		return error_hint(err,
		    "until it can be read, mail for local users goes where "
		    "that of names without alias goes");
	}
	*report = (struct alias_file_report){ .count = 0 };
	/* All includes together may be more than one message may look at. */
	f->left = SIZE_MAX;
	parse(f, note);
	report->count = aliases_count(f->aliases);
	report->mistakes = f->mistakes;
	aliases_sizes(f->aliases, &report->longest, &report->total);
	if (aliases_check(f->aliases, &rules, &mistakes, err) == -1)
		return -1;
	report->mistakes += mistakes;
	return 0;
}
