#include "mail/complete.h"

#include <stdio.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/utf8.h"

#define VALUE_MAX 4096u /* octets of a value that is added */

void
complete_date(char out[COMPLETE_DATE_SIZE], const struct tm *tm, int utc_offset)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int minutes = utc_offset / 60 % (24 * 60);
	int size = minutes < 0 ? -minutes : minutes;

	(void)snprintf(out, COMPLETE_DATE_SIZE,
	    "%s, %d %s %d %02d:%02d:%02d %c%02d%02d",
	    days[(unsigned)tm->tm_wday % 7], tm->tm_mday,
	    months[(unsigned)tm->tm_mon % 12], tm->tm_year + 1900, tm->tm_hour,
	    tm->tm_min, tm->tm_sec, minutes < 0 ? '-' : '+', size / 60,
	    size % 60);
}

char *
complete_local_name(const char *local, const char *host)
{
	return xasprintf("%s on %.*s", local, (int)strcspn(host, "."), host);
}

static int
check_hops(
    const struct header *h, const struct completion *c, struct error *err)
{
	size_t max = c->hops_max > 0 ? c->hops_max : COMPLETE_HOPS_MAX;
	size_t hops = header_count(h, "Received");

	if (hops <= max)
		return 0;
	error_set(err, EX_UNAVAILABLE, "5.4.6",
	    "mail loop: the message has passed %zu hosts, more than %zu", hops,
	    max);
	return error_hint(err,
	    "look at its Received fields for what sends it round, such as an "
	    "alias or a forwarding rule");
}

/* The account's domain, for the right side of a Message-ID. */
static const char *
id_domain(const struct completion *c)
{
	const char *domain = address_domain(c->account);

	if (domain == NULL || utf8_has_8bit(domain, strlen(domain)))
		return c->host;
	return domain;
}

static void
add_id(struct header *h, const struct completion *c, const char *name,
    const char *prefix)
{
	char *id = xasprintf("<%s%s@%s>", prefix, c->unique, id_domain(c));

	if (prefix[0] == '\0')
		header_append(h, name, id);
	else
		header_prepend(h, name, id);
	free(id);
}

static void
add_date(struct header *h, const struct completion *c)
{
	char date[COMPLETE_DATE_SIZE];

	if (header_has(h, "Date"))
		return;
	complete_date(date, &c->now, c->utc_offset);
	header_append(h, "Date", date);
}

static bool
is_resent(const struct header *h)
{
	return header_has(h, "Resent-From") || header_has(h, "Resent-To") ||
	       header_has(h, "Resent-Cc");
}

/* RFC 5322 section 3.6.6: a resent block has a date; ours goes on top. */
static void
complete_resent(struct header *h, const struct completion *c)
{
	size_t end = header_resent_end(h);
	bool dated = header_find(h, "Resent-Date", 0) < end;
	char date[COMPLETE_DATE_SIZE];

	if (!is_resent(h))
		return;
	if (header_find(h, "Resent-Message-ID", 0) >= end)
		add_id(h, c, "Resent-Message-ID", "resent.");
	if (!dated) {
		complete_date(date, &c->now, c->utc_offset);
		header_prepend(h, "Resent-Date", date);
	}
}

/* A From for a message without: a local user is shown by name with the
 * account's address. A full name that only repeats the login name says less
 * than the host does. */
static void
add_from(struct header *h, const struct completion *c)
{
	const char *from = c->from, *name = c->full_name;
	char *local = NULL;
	struct buf value;

	if (header_has(h, "From"))
		return;
	if (from != NULL && address_domain(from) == NULL) {
		local = complete_local_name(from, c->host);
		if (name == NULL || *name == '\0' ||
		    address_same_mailbox(name, from))
			name = local;
		from = NULL;
	}
	buf_init(&value, HEADER_MAX);
	address_format(&value, name, from == NULL ? c->account : from);
	header_append(h, "From", value.data);
	buf_release(&value);
	free(local);
}

static const char *
charset_of(const struct completion *c)
{
	if (!c->body_8bit)
		return "us-ascii";
	return c->body_utf8 ? "utf-8" : "unknown-8bit";
}

/* RFC 2045 sections 4 to 6: say what the bytes are, where nothing does. */
static void
add_mime(struct header *h, const struct completion *c)
{
	char *type;

	if (!c->body_8bit && !c->body_quoted)
		return;
	if (!header_has(h, "MIME-Version"))
		header_append(h, "MIME-Version", "1.0");
	if (!header_has(h, "Content-Type")) {
		type = xasprintf("text/plain; charset=%s", charset_of(c));
		header_append(h, "Content-Type", type);
		free(type);
	}
	if (c->body_quoted)
		(void)header_remove_all(h, "Content-Transfer-Encoding");
	if (!header_has(h, "Content-Transfer-Encoding"))
		header_append(h, "Content-Transfer-Encoding",
		    c->body_quoted ? "quoted-printable" : "8bit");
}

/* Replace a mailbox that is a bare local name. */
struct shower {
	const struct completion *completion;
	bool changed;
};

static bool
show_local(void *arg, const struct mailbox *m, struct buf *out)
{
	struct shower *shower = arg;
	const struct completion *c = shower->completion;
	const char *address = NULL;
	char *local = NULL;

	if (m->domain != NULL || mailbox_is_null(m))
		return false;
	if (c->shown_as != NULL)
		address = c->shown_as(c->shown_as_arg, m->local);
	if (address == NULL)
		local = complete_local_name(m->local, c->host);
	address_format(out,
	    m->display != NULL ? m->display
	    : local != NULL    ? local
			       : m->local,
	    address != NULL ? address : c->account);
	free(local);
	shower->changed = true;
	return true;
}

static void
show_local_names(struct header *h, size_t i, const struct completion *c)
{
	struct shower shower = { .completion = c };
	struct buf value;
	const char *raw;
	size_t len;

	raw = header_raw_value(h, i, &len);
	buf_init(&value, HEADER_OUT_MAX);
	if (address_map(&value, raw, len, show_local, &shower, NULL) == 0 &&
	    shower.changed)
		header_replace(h, i, value.data);
	buf_release(&value);
}

static void
show_all_local_names(struct header *h, const struct completion *c)
{
	static const char *const names[] = { "To", "Cc", "Reply-To",
		"Resent-To", "Resent-Cc", "Mail-Followup-To", "Errors-To",
		"Disposition-Notification-To" };

	for (size_t i = 0; i < h->count; i++)
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
			if (header_is(h, i, names[n]))
				show_local_names(h, i, c);
}

/* A message from nobody goes out as the account: no machine shall answer it
 * (RFC 3834 section 5; the second is Exchange's own). */
static void
mark_automatic(struct header *h)
{
	if (!header_has(h, "Auto-Submitted"))
		header_append(h, "Auto-Submitted", "auto-replied");
	if (!header_has(h, "X-Auto-Response-Suppress"))
		header_append(h, "X-Auto-Response-Suppress", "All");
}

static void
add_received(struct header *h, const struct completion *c)
{
	char date[COMPLETE_DATE_SIZE];
	struct buf value;

	complete_date(date, &c->now, c->utc_offset);
	buf_init(&value, VALUE_MAX);
	(void)buf_addf(&value, "by %s (%s, from userid %ld)\r\n\tid %s; %s",
	    c->host, c->program, c->uid, c->unique, date);
	header_prepend(h, "Received", value.data);
	buf_release(&value);
}

static void
add_missing(struct header *h, const struct completion *c)
{
	add_date(h, c);
	if (!header_has(h, "Message-ID"))
		add_id(h, c, "Message-ID", "");
	add_from(h, c);
	if (c->no_recipient != NULL && !header_has(h, "To") &&
	    !header_has(h, "Cc"))
		header_append(h, "To", c->no_recipient);
	show_all_local_names(h, c);
	complete_resent(h, c);
}

int
header_complete(struct header *h, const struct completion *c, struct error *err)
{
	if (check_hops(h, c, err) == -1)
		return -1;
	(void)header_remove_all(h, "Bcc");
	(void)header_remove_all(h, "Resent-Bcc");
	(void)header_remove_all(h, "Return-Path");
	if (!c->add_nothing)
		add_missing(h, c);
	if (!c->add_nothing || c->body_quoted)
		add_mime(h, c);
	if (c->null_sender)
		mark_automatic(h);
	add_received(h, c);
	return 0;
}

/* Is it one of these media types ("text/" is any text)? */
static bool
is_type(const char *value, const char *type)
{
	size_t len = strlen(type);

	return strncasecmp(value, type, len) == 0 &&
	       (type[len - 1] == '/' || strchr("; \t(", value[len]) != NULL);
}

static bool
is_sealed(const char *type)
{
	return is_type(type, "multipart/signed") ||
	       is_type(type, "multipart/encrypted") ||
	       is_type(type, "application/pkcs7-mime") ||
	       is_type(type, "application/x-pkcs7-mime");
}

/* What a single text part needs, by its encoding. */
static enum content_lines
text_lines(const char *encoding)
{
	static const char *const plain[] = { "7bit", "8bit", "binary" };

	if (encoding == NULL)
		return CONTENT_QUOTE;
	if (is_type(encoding, "quoted-printable"))
		return CONTENT_SOFT;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (is_type(encoding, plain[i]))
			return CONTENT_QUOTE;
	return CONTENT_BREAK;
}

enum content_lines
header_content_lines(const struct header *h)
{
	char *type = header_get(h, "Content-Type");
	char *encoding = header_get(h, "Content-Transfer-Encoding");
	enum content_lines lines = CONTENT_BREAK;

	if ((type != NULL && is_sealed(type)) ||
	    header_has(h, "DKIM-Signature"))
		lines = CONTENT_KEEP;
	else if (type == NULL || is_type(type, "text/"))
		lines = text_lines(encoding);
	free(type);
	free(encoding);
	return lines;
}
