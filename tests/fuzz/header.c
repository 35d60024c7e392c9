/* Any bytes as a message: however it is cut into chunks it is taken alike,
 * and after all that is done to its header, what is sent is legal: lines of
 * CR LF, none too long or empty, no Bcc, one From, the account's. */
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/address.h"
#include "mail/complete.h"
#include "mail/content.h"
#include "mail/from_policy.h"
#include "mail/header.h"

#define ACCOUNT "alerts@contoso.com"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
collect(void *arg, const char *bytes, size_t len, struct error *err)
{
	(void)err;
	return buf_add(arg, bytes, len);
}

/* Returns 0 when the header was taken. */
static int
take(struct content *c, struct buf *body, const char *text, size_t len,
    size_t chunk)
{
	size_t n;
	int result = 0;

	buf_init(body, SIZE_MAX / 2);
	content_init(c, collect, body);
	for (size_t at = 0; at < len && result == 0; at += n) {
		n = len - at < chunk ? len - at : chunk;
		result = content_write(c, text + at, n, NULL);
	}
	return result == 0 ? content_finish(c, NULL) : result;
}

static void
check_lines(const struct buf *b, bool eight_bit)
{
	const char *p = b->data, *end;

	if (memchr(p, '\0', b->len) != NULL)
		abort();
	for (; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		if (end == NULL || end - p < 2 || end[-1] != '\r' ||
		    memchr(p, '\r', (size_t)(end - p)) != end - 1 ||
		    end - 1 - p > (long)HEADER_LINE_MAX ||
		    p + strspn(p, " \t") == end - 1)
			abort();
		for (; p < end && !eight_bit; p++)
			if (((unsigned char)*p & 0x80) != 0)
				abort();
	}
}

static void
check_from(const struct header *h)
{
	struct mailbox m;
	char *value, *address;

	if (header_count(h, "From") != 1 || header_has(h, "Bcc"))
		abort();
	value = header_get(h, "From");
	if (address_parse_one(&m, value, NULL) == -1)
		abort();
	address = mailbox_address(&m);
	if (!address_same_mailbox(address, ACCOUNT))
		abort();
	mailbox_release(&m);
	free(address);
	free(value);
}

static void
check_header(struct header *h, const struct content *c)
{
	const struct completion completion = { .now = { .tm_mday = 1 },
		.unique = "1",
		.host = "web1.contoso.com",
		.program = "x",
		.account = ACCOUNT,
		.login = "root",
		.from = "root",
		.body_8bit = c->has_8bit,
		.body_utf8 = c->utf8 };
	const struct from_policy policy = { .account = ACCOUNT,
		.host = "web1" };
	struct header again;
	bool smtputf8 = false;
	struct buf out, out2;
	size_t body;

	if (header_complete(h, &completion, NULL) == -1)
		return;
	if (from_policy_apply(&policy, h, NULL) == -1)
		abort();
	buf_init(&out, HEADER_OUT_MAX);
	buf_init(&out2, 2 * HEADER_OUT_MAX);
	header_init(&again);
	if (header_format(h, &out, &smtputf8, NULL) == 0) {
		check_lines(&out, smtputf8);
		check_from(h);
		if (out.len <= HEADER_MAX &&
		    header_parse(&again, out.data, out.len, &body, NULL) == 0) {
			if (body != out.len || again.count != h->count)
				abort();
			check_from(&again);
			if (header_format(&again, &out2, &smtputf8, NULL) ==
				-1 ||
			    strcmp(out.data, out2.data) != 0)
				abort();
		}
	}
	header_release(&again);
	buf_release(&out);
	buf_release(&out2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t chunk = size > 0 ? data[0] % 32 + 1u : 1;
	struct mailbox_list list;
	struct content whole, cut;
	struct buf body, cut_body;
	struct header h;
	int result;

	header_init(&h);
	mailbox_list_init(&list);
	result = take(&whole, &body, (const char *)data, size, size + 1);
	if (take(&cut, &cut_body, (const char *)data, size, chunk) != result)
		abort();
	if (result == 0) {
		if (strcmp(whole.header.data, cut.header.data) != 0 ||
		    body.len != cut_body.len ||
		    memcmp(body.data, cut_body.data, body.len) != 0 ||
		    whole.longest != cut.longest || whole.utf8 != cut.utf8 ||
		    whole.dropped != cut.dropped)
			abort();
		if (header_parse(&h, whole.header.data, whole.header.len, NULL,
			NULL) == 0) {
			(void)header_recipients(&h, &list, NULL);
			check_header(&h, &whole);
		}
	}
	header_release(&h);
	mailbox_list_release(&list);
	content_release(&whole);
	content_release(&cut);
	buf_release(&body);
	buf_release(&cut_body);
	return 0;
}
