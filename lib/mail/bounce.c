#include "mail/bounce.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "mail/xtext.h"

#define COLUMNS 76
#define LINE_MAX_BYTES 900 /* where there is no blank to fold at */

/* How long the next word is, or a piece of one that is too long for a line,
 * never ending inside a UTF-8 character. */
static size_t
word_length(const char *text)
{
	size_t len = strcspn(text, " ");

	if (len <= LINE_MAX_BYTES)
		return len;
	len = LINE_MAX_BYTES;
	while (len > 1 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

/* Words in lines, each begun by 'indent'; 'column' is where we stand. */
static void
put_words(struct buf *out, const char *text, const char *indent, size_t column)
{
	bool first = true;

	while (*(text += strspn(text, " ")) != '\0') {
		size_t len = word_length(text);

		if (!first && column + 1 + len > COLUMNS) {
			(void)buf_addf(out, "\r\n%s", indent);
			column = strlen(indent);
		} else if (!first) {
			(void)buf_addc(out, ' ');
			column++;
		}
		(void)buf_add(out, text, len);
		column += len;
		text += len;
		first = false;
	}
	(void)buf_adds(out, "\r\n");
}

/* A paragraph of the letter. */
static void
put_text(struct buf *out, const char *indent, const char *text)
{
	(void)buf_adds(out, indent);
	put_words(out, text, indent, strlen(indent));
}

static void
put_field(struct buf *out, const char *name, const char *value)
{
	(void)buf_addf(out, "%s: ", name);
	put_words(out, value, " ", strlen(name) + 2);
}

static void
put_letter_header(
    const struct bounce_letter *l, const char *subject, struct buf *out)
{
	char *name = xasprintf("Outpost on %s", l->host);

	(void)buf_adds(out, "From: ");
	address_format(out, name, l->account);
	(void)buf_adds(out, "\r\nTo: ");
	for (size_t i = 0; i < l->to_count; i++) {
		(void)buf_adds(out, i == 0 ? "" : ",\r\n ");
		address_format(out, NULL, l->to[i]);
	}
	(void)buf_adds(out, "\r\n");
	put_field(out, "Subject", subject);
	put_field(out, "Date", l->date);
	(void)buf_addf(out, "Message-ID: <%s@%s>\r\n", l->unique, l->host);
	put_field(out, "Auto-Submitted", "auto-replied");
	put_field(out, "X-Auto-Response-Suppress", "All");
	put_field(out, "MIME-Version", "1.0");
	free(name);
}

/* Who writes: the first paragraph of every letter. */
static void
put_opening(const struct bounce_letter *l, struct buf *out)
{
	char *line = xasprintf("This is Outpost on %s, which sends mail as %s.",
	    l->host, l->account);

	put_text(out, "", line);
	free(line);
	(void)buf_adds(out, "\r\n");
}

static void
put_more(struct buf *out, unsigned long long more)
{
	char *line;

	if (more == 0)
		return;
	line = xasprintf("and %llu more.", more);
	put_text(out, "  ", line);
	free(line);
}

/* RFC 3461 section 4.1: NEVER, or the events that are wished to be told. */
static bool
is_concerned(enum bounce_kind kind, const struct envelope *e, size_t i)
{
	const struct recipient *r = &e->recipients[i];
	const char *wishes = envelope_notify(e, i);

	if (wishes != NULL &&
	    strstr(wishes, kind == BOUNCE_DELAYED ? "DELAY" : "FAILURE") ==
		NULL)
		return false;
	if (kind == BOUNCE_DELAYED)
		return r->state == RECIPIENT_PENDING;
	return r->state == RECIPIENT_REFUSED && !r->told;
}

bool
bounce_concerns(enum bounce_kind kind, const struct envelope *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (is_concerned(kind, e, i))
			return true;
	return false;
}

static void
put_recipient_text(struct buf *out, const struct recipient *r)
{
	char *line = xasprintf("<%s>", r->address);

	(void)buf_adds(out, "\r\n");
	put_text(out, "  ", line);
	free(line);
	if (r->error == NULL)
		return;
	put_text(out, "    ", r->error->text);
	if (r->error->hint[0] == '\0')
		return;
	line = xasprintf("What to do: %s", r->error->hint);
	put_text(out, "    ", line);
	free(line);
}

/* "rfc822;" and xtext, as ORCPT has it, decoded. */
static void
put_original(struct buf *out, const char *original)
{
	struct buf text;

	buf_init(&text, XTEXT_ORCPT_MAX + 1);
	xtext_decode(&text, original);
	put_field(out, "Original-Recipient", text.data);
	buf_release(&text);
}

static void
put_recipient_fields(
    struct buf *out, const struct bounce *b, const struct recipient *r)
{
	char *value;

	(void)buf_adds(out, "\r\n");
	if (r->original != NULL)
		put_original(out, r->original);
	value = xasprintf("rfc822; %s", r->address);
	put_field(out, "Final-Recipient", value);
	free(value);
	put_field(
	    out, "Action", b->kind == BOUNCE_FAILED ? "failed" : "delayed");
	put_field(out, "Status",
	    r->error != NULL && r->error->status[0] != '\0' ? r->error->status
	    : b->kind == BOUNCE_FAILED                      ? "5.0.0"
							    : "4.0.0");
	if (r->error != NULL) {
		value = xasprintf("X-Outpost; %s", r->error->text);
		put_field(out, "Diagnostic-Code", value);
		free(value);
	}
	if (b->tried != NULL)
		put_field(out, "Last-Attempt-Date", b->tried);
	if (b->kind == BOUNCE_DELAYED && b->retry_until != NULL)
		put_field(out, "Will-Retry-Until", b->retry_until);
}

/* Each of those concerned, up to the most; how many more there are. */
static size_t
put_recipients(const struct bounce *b, struct buf *out, bool as_fields)
{
	size_t named = 0, more = 0;

	for (size_t i = 0; i < b->envelope->count; i++) {
		const struct recipient *r = &b->envelope->recipients[i];

		if (!is_concerned(b->kind, b->envelope, i))
			continue;
		if (named == BOUNCE_RECIPIENTS_MAX) {
			more++;
			continue;
		}
		named++;
		if (as_fields)
			put_recipient_fields(out, b, r);
		else
			put_recipient_text(out, r);
	}
	return more;
}

static void
put_part(struct buf *out, const char *boundary, const char *type)
{
	(void)buf_addf(out, "--%s\r\nContent-Type: %s\r\n", boundary, type);
	(void)buf_adds(out, "Content-Transfer-Encoding: 8bit\r\n\r\n");
}

static void
put_letter(const struct bounce *b, struct buf *out)
{
	char *line;
	size_t more;

	put_opening(&b->letter, out);
	put_text(out, "",
	    b->kind == BOUNCE_FAILED
		? "A message could not be delivered to these recipients and is "
		  "not tried again:"
		: "A message could not be delivered to these recipients yet. "
		  "Nothing need be done: it is tried again.");
	more = put_recipients(b, out, false);
	(void)buf_adds(out, "\r\n");
	put_more(out, more);
	line = xasprintf("It arrived on %s and has the name %s in the queue "
			 "(mailq). Its header follows.",
	    b->arrived, b->id);
	put_text(out, "", line);
	free(line);
}

static void
put_status(const struct bounce *b, struct buf *out)
{
	char *value = xasprintf("dns; %s", b->letter.host);
	struct buf envid;

	if (b->envelope->envid != NULL) {
		buf_init(&envid, XTEXT_ENVID_MAX + 1);
		xtext_decode(&envid, b->envelope->envid);
		put_field(out, "Original-Envelope-Id", envid.data);
		buf_release(&envid);
	}
	put_field(out, "Reporting-MTA", value);
	put_field(out, "X-Outpost-Queue-ID", b->id);
	put_field(out, "Arrival-Date", b->arrived);
	(void)put_recipients(b, out, true);
	free(value);
}

/* As much of the header as there is room for, in whole lines. */
static void
put_original_header(const struct bounce *b, struct buf *out)
{
	size_t len = b->header_len;

	if (len > BOUNCE_HEADER_MAX) {
		len = BOUNCE_HEADER_MAX;
		while (len > 0 && b->header[len - 1] != '\n')
			len--;
	}
	(void)buf_add(out, b->header, len);
}

/* What the answer belongs to, for readers that show threads. */
static void
put_references(const struct bounce *b, struct buf *out)
{
	struct header header;
	char *id;

	header_init(&header);
	if (header_parse(&header, b->header, b->header_len, NULL, NULL) == 0 &&
	    (id = header_get(&header, "Message-ID")) != NULL) {
		if (strlen(id) < LINE_MAX_BYTES) {
			put_field(out, "In-Reply-To", id);
			put_field(out, "References", id);
		}
		free(id);
	}
	header_release(&header);
}

void
bounce_format(const struct bounce *b, struct buf *header, struct buf *body)
{
	char *boundary = xasprintf("=_%s", b->letter.unique);

	put_letter_header(&b->letter,
	    b->kind == BOUNCE_FAILED ? "Mail could not be delivered"
				     : "Mail is delayed",
	    header);
	put_references(b, header);
	(void)buf_addf(header,
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    " boundary=\"%s\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
	    boundary);
	put_part(body, boundary, "text/plain; charset=utf-8");
	put_letter(b, body);
	(void)buf_adds(body, "\r\n");
	put_part(body, boundary, "message/delivery-status");
	put_status(b, body);
	(void)buf_adds(body, "\r\n");
	put_part(body, boundary, "text/rfc822-headers; charset=utf-8");
	put_original_header(b, body);
	(void)buf_addf(body, "\r\n--%s--\r\n", boundary);
	free(boundary);
}

void
bounce_summary(const struct bounce_letter *l, const char *const *lines,
    size_t count, unsigned long long more, struct buf *header, struct buf *body)
{
	put_letter_header(l, "More mail could not be delivered", header);
	(void)buf_adds(header, "Content-Type: text/plain; charset=utf-8\r\n"
			       "Content-Transfer-Encoding: 8bit\r\n\r\n");
	put_opening(l, body);
	put_text(body, "",
	    "So much mail failed or was late within an hour that this is told "
	    "in one letter. 'mailq --failed' shows what failed.");
	(void)buf_adds(body, "\r\n");
	for (size_t i = 0; i < count; i++)
		put_text(body, "  ", lines[i]);
	put_more(body, more);
}
