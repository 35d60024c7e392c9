/* Any bytes as an address list: what is understood can be written and read
 * back, and what may go to the wire is one harmless word. */
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_wire_text(const char *address)
{
	bool quoted = false, smtputf8 = false;

	if (address_smtp_safe(address, &smtputf8, NULL) == -1)
		return;
	for (const char *p = address; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			abort();
		if (*p == '\\' && quoted && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && strchr(" <>", *p) != NULL)
			abort();
	}
	if (quoted || strlen(address) > ADDRESS_MAX)
		abort();
}

static void
check_mailbox(const struct mailbox *m)
{
	char *address = mailbox_address(m), *again;
	struct mailbox back;
	struct buf out;

	check_wire_text(address);
	buf_init(&out, 8 * ADDRESS_TEXT_MAX);
	mailbox_format(m, &out);
	if (address_parse_one(&back, out.data, NULL) == 0) {
		again = mailbox_address(&back);
		if (strcmp(address, again) != 0)
			abort();
		free(again);
		mailbox_release(&back);
	} else if (address_smtp_safe(address, NULL, NULL) == 0 &&
		   strstr(out.data, "\r\n") == NULL)
		abort();
	buf_release(&out);
	free(address);
}

static bool
keep(void *arg, const struct mailbox *m, struct buf *out)
{
	(void)m;
	(void)out;
	++*(size_t *)arg;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mailbox_list list;
	struct buf copy;
	size_t count = 0;
	int parsed;

	mailbox_list_init(&list);
	buf_init(&copy, 8 * ADDRESS_TEXT_MAX);
	parsed = address_parse_list(&list, (const char *)data, size, NULL);
	if (address_map(&copy, (const char *)data, size, keep, &count, NULL) !=
		parsed ||
	    (parsed == 0 && count != list.count))
		abort();
	for (size_t i = 0; i < list.count; i++)
		check_mailbox(&list.items[i]);
	buf_release(&copy);
	mailbox_list_release(&list);
	return 0;
}
