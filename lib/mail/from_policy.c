#include "mail/from_policy.h"

#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/complete.h"
#include "mail/header.h"
#include "mail/utf8.h"

#define NAME_MAX_SHOWN 120u /* octets of a broken From shown as name */

static bool
is_listed(const struct from_policy *p, const char *address)
{
	if (address_domain(address) == NULL)
		return false;
	for (size_t i = 0; i < p->send_as_count; i++)
		if (address_matches(address, p->send_as[i]))
			return true;
	return false;
}

static bool
is_denied(const struct from_policy *p, const char *address)
{
	return p->is_denied != NULL && p->is_denied(p->arg, address);
}

bool
from_policy_allows(const struct from_policy *p, const char *address)
{
	if (address_same_mailbox(address, p->account))
		return true;
	return is_listed(p, address) && !is_denied(p, address);
}

static bool
allows_mailbox(const struct from_policy *p, const struct mailbox *m)
{
	char *address = mailbox_address(m);
	bool allowed = from_policy_allows(p, address);

	free(address);
	return allowed;
}

static bool
is_local(const struct from_policy *p, const char *domain)
{
	return p->is_local != NULL && p->is_local(p->arg, domain);
}

/* Is it a user of this very host? */
static bool
is_on_host(const struct from_policy *p, const struct mailbox *m)
{
	return m->domain == NULL ||
	       (is_local(p, m->domain) &&
		   (strchr(m->domain, '.') == NULL ||
		       strcasecmp(m->domain, p->host) == 0));
}

/* Can somebody answer to it from outside? What needs SMTPUTF8 is none: with it
 * the message would reach fewer. */
static bool
is_remote(const struct from_policy *p, const struct mailbox *m)
{
	bool safe, smtputf8 = false;
	char *address;

	if (m->domain == NULL || strchr(m->domain, '.') == NULL ||
	    m->domain[0] == '[' || is_local(p, m->domain))
		return false;
	address = mailbox_address(m);
	safe = address_smtp_safe(address, &smtputf8, NULL) == 0;
	free(address);
	return safe && !smtputf8;
}

/* All that the From fields say. */
struct origin {
	struct mailbox_list mailboxes;
	struct buf text; /* their values, separated by commas */
	size_t fields;
	size_t allowed; /* of the mailboxes … */
	size_t foreign; /* neither that nor users of this host */
	size_t chosen;  /* the first of these, else 0 */
	bool broken;    /* a value cannot be parsed */
};

static void
read_origin(
    struct origin *o, const struct from_policy *p, const struct header *h)
{
	size_t len, i = 0;
	const char *value;

	*o = (struct origin){ .fields = 0 };
	mailbox_list_init(&o->mailboxes);
	buf_init(&o->text, 2 * HEADER_MAX);
	for (; (i = header_find(h, "From", i)) != HEADER_NONE; i++) {
		value = header_raw_value(h, i, &len);
		if (o->fields++ > 0)
			(void)buf_adds(&o->text, ", ");
		(void)buf_add(&o->text, value, len);
		if (address_parse_list(&o->mailboxes, value, len, NULL) == -1)
			o->broken = true;
	}
	for (i = o->mailboxes.count; i-- > 0;)
		if (allows_mailbox(p, &o->mailboxes.items[i])) {
			o->allowed++;
			o->chosen = i;
		} else if (!is_on_host(p, &o->mailboxes.items[i]))
			o->foreign++;
}

static void
origin_release(struct origin *o)
{
	mailbox_list_release(&o->mailboxes);
	buf_release(&o->text);
}

/* A name out of a From that is none: its text, without what looks like an
 * address's brackets. */
static char *
name_of_text(const char *text)
{
	struct buf b;
	size_t step;

	buf_init(&b, NAME_MAX_SHOWN);
	while (*text != '\0') {
		step = utf8_char(text, strlen(text));
		if (step == 0)
			step = 1;
		if (strchr("<>\"\\\r\n", *text) == NULL &&
		    buf_add(&b, text, step) == -1)
			break;
		text += step;
	}
	return buf_steal(&b);
}

/* The name shown with the new From; to be freed, may be NULL. */
static char *
name_for(const struct from_policy *p, const struct origin *o)
{
	const struct mailbox *m;

	if (o->mailboxes.count == 0)
		return name_of_text(o->text.data);
	m = &o->mailboxes.items[o->chosen];
	if (m->display != NULL)
		return xstrdup(m->display);
	if (o->allowed > 0)
		return NULL;
	if (is_on_host(p, m))
		return complete_local_name(m->local, p->host);
	return mailbox_address(m);
}

static void
set_from(struct header *h, const struct from_policy *p, const struct origin *o)
{
	char *name = name_for(p, o), *address = NULL;
	struct buf value;
	size_t first = header_find(h, "From", 0), i;

	if (o->allowed > 0)
		address = mailbox_address(&o->mailboxes.items[o->chosen]);
	buf_init(&value, HEADER_OUT_MAX);
	address_format(&value, name, address != NULL ? address : p->account);
	header_replace(h, first, value.data);
	while ((i = header_find(h, "From", first + 1)) != HEADER_NONE)
		header_remove(h, i);
	buf_release(&value);
	free(name);
	free(address);
}

static void
set_reply_to(
    struct header *h, const struct from_policy *p, const struct origin *o)
{
	struct buf value;

	if (header_has(h, "Reply-To"))
		return;
	buf_init(&value, HEADER_OUT_MAX);
	for (size_t i = 0; i < o->mailboxes.count; i++) {
		const struct mailbox *m = &o->mailboxes.items[i];

		if (!is_remote(p, m))
			continue;
		if (value.len > 0)
			(void)buf_adds(&value, ",\r\n\t");
		mailbox_format(m, &value);
	}
	if (value.len > 0)
		header_append(h, "Reply-To", value.data);
	buf_release(&value);
}

/* A From as it may be, but written so that strict servers refuse it. */
static void
rewrite_plainly(struct header *h, const struct mailbox *m)
{
	struct buf value;

	buf_init(&value, HEADER_OUT_MAX);
	mailbox_format(m, &value);
	header_replace(h, header_find(h, "From", 0), value.data);
	buf_release(&value);
}

/* Is one of them foreign only because the server refused it? */
static bool
has_denied(const struct from_policy *p, const struct origin *o)
{
	bool denied = false;

	for (size_t i = 0; i < o->mailboxes.count && !denied; i++) {
		char *address = mailbox_address(&o->mailboxes.items[i]);

		denied = is_listed(p, address) && is_denied(p, address);
		free(address);
	}
	return denied;
}

static int
refuse(const struct from_policy *p, const struct origin *o, struct error *err)
{
	error_set(err, EX_NOPERM, "5.7.1",
	    "account '%s' may not send mail from '%.200s'", p->account,
	    o->text.data);
	if (has_denied(p, o))
		return error_hint(err,
		    "the server refused it within the last hour: let an "
		    "administrator run 'Add-RecipientPermission <that address> "
		    "-Trustee %s -AccessRights SendAs', or set "
		    "'foreign_from = rewrite'",
		    p->account);
	return error_hint(err,
	    "list the address in 'send_as' of [%s] if the mailbox has the "
	    "right to it, or set 'foreign_from = rewrite'",
	    p->account);
}

/* Local users are not: their names say nothing of another's domain, and cron
 * knows no other. */
static bool
is_foreign(const struct origin *o)
{
	return o->broken || o->mailboxes.count == 0 || o->foreign > 0;
}

static int
apply_to_from(const struct from_policy *p, struct header *h, struct error *err)
{
	struct origin o;
	bool all_allowed;
	int result = 0;

	read_origin(&o, p, h);
	all_allowed = !o.broken && o.mailboxes.count > 0 &&
		      o.allowed == o.mailboxes.count;
	if (o.fields == 0)
		header_append(h, "From", p->account);
	else if (all_allowed && o.fields == 1 && o.allowed == 1) {
		if (o.mailboxes.items[0].obsolete)
			rewrite_plainly(h, &o.mailboxes.items[0]);
	} else if (p->reject && is_foreign(&o))
		result = refuse(p, &o, err);
	else {
		set_from(h, p, &o);
		set_reply_to(h, p, &o);
		(void)header_remove_all(h, "X-Original-From");
		if (o.text.len > 0)
			header_append(h, "X-Original-From", o.text.data);
	}
	origin_release(&o);
	return result;
}

static bool
is_foreign_sender(const struct from_policy *p, const struct header *h, size_t i)
{
	struct mailbox_list list;
	const char *value;
	bool foreign;
	size_t len;

	mailbox_list_init(&list);
	value = header_raw_value(h, i, &len);
	foreign = address_parse_list(&list, value, len, NULL) == -1 ||
		  list.count != 1 || !allows_mailbox(p, &list.items[0]);
	mailbox_list_release(&list);
	return foreign;
}

static void
apply_to_sender(const struct from_policy *p, struct header *h)
{
	bool kept = false;

	for (size_t i = 0; (i = header_find(h, "Sender", i)) != HEADER_NONE;
	     i++) {
		if (!kept && !is_foreign_sender(p, h, i)) {
			kept = true;
			continue;
		}
		header_rename(h, i, "X-Original-Sender");
	}
}

int
from_policy_apply(
    const struct from_policy *p, struct header *h, struct error *err)
{
	if (apply_to_from(p, h, err) == -1)
		return -1;
	apply_to_sender(p, h);
	return 0;
}

char *
from_policy_address(const char *header, size_t len)
{
	struct mailbox_list list;
	struct header h;
	char *address = NULL;
	const char *value;
	size_t value_len;

	header_init(&h);
	mailbox_list_init(&list);
	if (header_parse(&h, header, len, NULL, NULL) == 0 &&
	    header_count(&h, "From") == 1) {
		value = header_raw_value(
		    &h, header_find(&h, "From", 0), &value_len);
		if (address_parse_list(&list, value, value_len, NULL) == 0 &&
		    list.count == 1 && list.items[0].domain != NULL)
			address = mailbox_address(&list.items[0]);
	}
	mailbox_list_release(&list);
	header_release(&h);
	return address;
}
