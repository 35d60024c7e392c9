/* Replies from any server: the result must not depend on where the bytes are
 * cut, and what is told must be in the caps. */
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "smtp/capabilities.h"
#include "smtp/reply.h"
#include "smtp/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(const struct smtp_reply *r)
{
	struct capabilities c;
	struct error err;

	if (r->code < 200 || r->code > 599 || r->count > REPLY_LINES_MAX ||
	    r->text.len > REPLY_TOTAL_MAX ||
	    memchr(r->text.data, '\n', r->text.len))
		abort();
	capabilities_read(&c, r);
	if (c.auth_xoauth2 && !c.auth)
		abort();
	for (unsigned stage = 0; stage <= SMTP_STAGE_RSET;
	     stage = stage * 2 + !stage)
		if (verdict_judge(r, stage, "a@b", NULL, &err) != -1 ||
		    err.class == ERROR_NONE || err.exit_code == 0)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *text = (const char *)bytes;
	struct smtp_reply whole, cut;
	struct error err;
	size_t used = 0, dummy;
	int result, again = 0;

	reply_init(&whole);
	reply_init(&cut);
	result = reply_feed(&whole, text, len, &used, &err);
	for (size_t i = 0; i < len && again == 0; i++)
		again = reply_feed(&cut, text + i, 1, &dummy, &err);
	if (again != result)
		abort();
	if (result == 1) {
		check(&whole);
		if (used == 0 || used > len || whole.total != cut.total ||
		    strcmp(whole.text.data, cut.text.data) != 0)
			abort();
	}
	reply_release(&whole);
	reply_release(&cut);
	return 0;
}
