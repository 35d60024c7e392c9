#include "sendmail/compose.h"

#include <sysexits.h>

#include "account/alias_file.h"
#include "account/local.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/complete.h"
#include "mail/from_policy.h"
#include "mail/utf8.h"
#include "mail/xtext.h"

#define PROGRAM "Outpost " OUTPOST_VERSION
#define CANDIDATES_MAX 3
#define TO_MAX 8192

void
message_init(struct message *m, const struct options *options,
    struct alias_file *aliases, const struct caller *caller)
{
	*m = (struct message){
		.options = options,
		.config = aliases->config,
		.aliases = aliases,
		.caller = caller,
	};
	header_init(&m->header);
	envelope_init(&m->envelope);
	mailbox_init(&m->sender);
	alias_file_begin(aliases);
}

void
message_release(struct message *m)
{
	header_release(&m->header);
	envelope_release(&m->envelope);
	mailbox_release(&m->sender);
	free(m->shown);
	m->shown = NULL;
}

/* Add those that a local one leads to, or none of them; what it was is kept for
 * notifications. */
static int
add_local(struct message *m, const struct mailbox *mailbox, const char *written,
    struct error *err)
{
	struct envelope *e = &m->envelope;
	size_t before = e->count;
	struct mailbox_list targets;
	char *local = mailbox->domain != NULL
			  ? xstrdup(written)
			  : xasprintf("%s@%s", written, m->caller->host);
	int result;

	mailbox_list_init(&targets);
	result = alias_file_expand(m->aliases, mailbox->local, &targets, err);
	for (size_t i = 0; i < targets.count && result == 0; i++) {
		char *address = mailbox_address(&targets.items[i]);

		if (address_smtp_safe(address, &e->smtputf8, err) == -1 ||
		    envelope_add(e, address, err) == -1)
			result = -1;
		free(address);
	}
	if (result == -1)
		envelope_cut(e, before);
	for (size_t i = before; i < e->count; i++)
		e->recipients[i].original = dsn_orcpt(local);
	mailbox_list_release(&targets);
	free(local);
	return result;
}

int
compose_recipient(
    struct message *m, const struct mailbox *mailbox, struct error *err)
{
	char *written = mailbox_address(mailbox);
	int result = -1;

	if (local_is_domain(m->config, m->caller->host, mailbox->domain))
		result = add_local(m, mailbox, written, err);
	else if (address_smtp_safe(written, &m->envelope.smtputf8, err) == 0)
		result = envelope_add(&m->envelope, written, err);
	free(written);
	return result;
}

static int
collect_recipients(struct message *m, struct error *err)
{
	const struct options *o = m->options;
	struct mailbox_list list;
	int result = -1;

	mailbox_list_init(&list);
	for (size_t i = 0; i < o->recipient_count; i++)
		if (address_parse_argument(&list, o->recipients[i], err) == -1)
			goto out;
	if (o->recipients_from_header &&
	    header_recipients(&m->header, &list, err) == -1)
		goto out;
	for (size_t i = 0; i < list.count; i++)
		if (compose_recipient(m, &list.items[i], err) == -1)
			goto out;
	if (m->envelope.count == 0) {
		error_set(
		    err, EX_USAGE, "5.1.3", "the message has no recipients");
		error_hint(
		    err, o->recipients_from_header
			     ? "give it a To, Cc or Bcc field with an address"
			     : "name them after the options, or use -t");
		goto out;
	}
	result = 0;
out:
	mailbox_list_release(&list);
	return result;
}

/* The first address of the header's From, or NULL; to be freed. What is not
 * an address is no candidate: from_policy_apply() replaces it. */
static char *
header_from(const struct header *h)
{
	size_t at = header_find(h, "From", 0), len;
	struct mailbox_list list;
	const char *value;
	char *address = NULL;

	if (at == HEADER_NONE)
		return NULL;
	mailbox_list_init(&list);
	value = header_raw_value(h, at, &len);
	if (address_parse_list(&list, value, len, NULL) == 0 && list.count > 0)
		address = mailbox_address(&list.items[0]);
	mailbox_list_release(&list);
	return address;
}

static int
choose_account(struct message *m, struct error *err)
{
	const char *candidates[CANDIDATES_MAX];
	const struct account_caller caller = caller_for_account(m->caller);
	char *sender = NULL, *from = header_from(&m->header);
	size_t count = 0;
	int result;

	if (m->options->sender != NULL && !m->null_sender)
		candidates[count++] = sender = mailbox_address(&m->sender);
	if (from != NULL && *from != '\0')
		candidates[count++] = from;
	if (m->caller->login != NULL)
		candidates[count++] = m->caller->login;
	result = account_choose(
	    m->config, &caller, candidates, count, &m->choice, err);
	if (result == 0) {
		m->envelope.account = xstrdup(m->choice.account->mailbox);
		m->envelope.sender = xstrdup(m->choice.sender);
		if (address_smtp_safe(
			m->envelope.sender, &m->envelope.smtputf8, err) == -1)
			result = -1;
	}
	free(sender);
	free(from);
	return result;
}

/* -N, -R, -V. */
static int
set_notification(struct message *m, struct error *err)
{
	const struct options *o = m->options;
	struct envelope *e = &m->envelope;

	if (o->notify != NULL && dsn_notify(o->notify, &e->notify, err) == -1)
		return -1;
	if (o->ret != NULL && dsn_ret(o->ret, &e->ret, err) == -1)
		return -1;
	if (o->envid != NULL && dsn_envid(o->envid, &e->envid, err) == -1)
		return -1;
	return 0;
}

/* The caller's own mailbox hears of failures, if mail for it goes anywhere. */
static void
set_report(struct message *m)
{
	const char *login = m->caller->login;
	char *address = NULL;

	if (m->options->mail_errors && login != NULL)
		address = alias_file_shown(m->aliases, login);
	if (address == NULL || address_smtp_safe(address, NULL, NULL) == -1) {
		free(address);
		return;
	}
	free(m->envelope.report_to);
	m->envelope.report_to = address;
}

int
compose_envelope(struct message *m, const struct buf *block, struct error *err)
{
	const struct options *o = m->options;

	if (o->sender != NULL) {
		if (address_parse_sender(&m->sender, o->sender, err) == -1)
			return -1;
		m->null_sender = mailbox_is_null(&m->sender);
	}
	if (header_parse(&m->header, block->data, block->len, NULL, err) == -1)
		return -1;
	set_report(m);
	if (set_notification(m, err) == -1 || collect_recipients(m, err) == -1)
		return -1;
	return choose_account(m, err);
}

/* How a local name in To or Cc is shown: as the address it goes to. */
static const char *
shown_as(void *arg, const char *local)
{
	struct message *m = arg;

	free(m->shown);
	m->shown = alias_file_shown(m->aliases, local);
	return m->shown;
}

static bool
is_denied(void *arg, const char *address)
{
	const struct message *m = arg;

	return m->is_denied != NULL && m->is_denied(m->is_denied_arg, address);
}

static bool
is_local(void *arg, const char *domain)
{
	const struct message *m = arg;

	return local_is_domain(m->config, m->caller->host, domain);
}

enum content_lines
compose_lines(const struct message *m, const struct content *body)
{
	if (body->longest <= CONTENT_LINE_MAX)
		return CONTENT_KEEP;
	return header_content_lines(&m->header);
}

/* Do those before name it already? */
static bool
is_named_before(const struct mailbox_list *list, size_t i)
{
	char *address = mailbox_address(&list->items[i]);
	bool named = false;

	for (size_t k = 0; k < i && !named; k++) {
		char *other = mailbox_address(&list->items[k]);

		named = address_same(other, address);
		free(other);
	}
	free(address);
	return named;
}

/* The recipients of the command line, as they stand there: who is behind an
 * alias is not disclosed. */
static int
name_recipients(const struct options *o, struct buf *names)
{
	struct mailbox_list list;
	int result = 0;

	mailbox_list_init(&list);
	for (size_t i = 0; i < o->recipient_count && result == 0; i++)
		result = address_parse_argument(&list, o->recipients[i], NULL);
	for (size_t i = 0; i < list.count && !names->full; i++) {
		char *address = mailbox_address(&list.items[i]);

		if (!is_named_before(&list, i)) {
			(void)buf_adds(names, names->len == 0 ? "" : ",\r\n\t");
			address_format(names, NULL, address);
		}
		free(address);
	}
	mailbox_list_release(&list);
	return result == -1 || names->full ? -1 : 0;
}

/* What To says where the header names nobody, in 'names' if need be. Who is
 * named by Bcc, or would make the field too long, is not disclosed. */
static const char *
no_recipient(const struct message *m, struct buf *names)
{
	buf_init(names, TO_MAX);
	if (m->options->no_recipient == NO_RECIPIENT_NONE)
		return NULL;
	if (m->options->no_recipient != NO_RECIPIENT_TO ||
	    m->options->recipients_from_header || header_has(&m->header, "Bcc"))
		return COMPLETE_UNDISCLOSED;
	return name_recipients(m->options, names) == -1 ? COMPLETE_UNDISCLOSED
							: names->data;
}

static int
complete(struct message *m, const struct content *body, struct error *err)
{
	struct buf names;
	const struct caller *c = m->caller;
	const char *given = m->options->full_name;
	char *from = m->options->sender != NULL && !m->null_sender
			 ? mailbox_address(&m->sender)
			 : NULL;
	const struct completion completion = {
		.now = c->now,
		.utc_offset = c->utc_offset,
		.unique = c->unique,
		.host = c->host,
		.program = PROGRAM,
		.account = m->choice.account->mailbox,
		.login = c->login,
		.full_name = given != NULL ? given : c->full_name,
		.from = m->null_sender ? NULL
			: from != NULL ? from
				       : c->login,
		.uid = (long)c->uid,
		.hops_max = m->options->hops_max,
		.add_nothing = m->options->add_nothing,
		.no_recipient = no_recipient(m, &names),
		.null_sender = m->null_sender,
		.body_8bit = body->has_8bit,
		.body_utf8 = body->utf8,
		.body_quoted = compose_lines(m, body) == CONTENT_QUOTE,
		.shown_as = shown_as,
		.shown_as_arg = m,
	};
	int result = header_complete(&m->header, &completion, err);

	buf_release(&names);
	free(from);
	return result;
}

int
compose_header(struct message *m, const struct content *body, struct buf *out,
    struct error *err)
{
	const struct account *a = m->choice.account;
	const struct from_policy policy = {
		.account = a->mailbox,
		.send_as = a->send_as.items,
		.send_as_count = a->send_as.count,
		.reject = a->foreign_from == FOREIGN_FROM_REJECT,
		.host = m->caller->host,
		.is_local = is_local,
		.is_denied = is_denied,
		.arg = m,
	};
	bool quoted = compose_lines(m, body) == CONTENT_QUOTE;
	struct envelope *e = &m->envelope;

	if (complete(m, body, err) == -1 ||
	    from_policy_apply(&policy, &m->header, err) == -1 ||
	    header_format(&m->header, out, &e->smtputf8, err) == -1)
		return -1;
	if (buf_adds(out, "\r\n") == -1)
		return error_set(
		    err, EX_DATAERR, "5.6.0", "the header is too large");
	if ((body->has_8bit && !quoted) || utf8_has_8bit(out->data, out->len))
		e->eight_bit = true;
	return 0;
}
