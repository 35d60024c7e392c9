/* Any bytes as a request to the listener and as a pasted address: what is
 * believed had our state in it, and is a code or an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/redirect.h"
#include "base/error.h"
#include "base/xalloc.h"

#define STATE "0123456789-ABCDEF"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
require(int truth)
{
	if (!truth)
		abort();
}

static void
check(const struct redirect *r)
{
	struct error err;

	require((r->code.len > 0) != (*r->error != '\0'));
	require(strlen(r->code.data) == r->code.len);
	for (size_t i = 0; i < r->code.len; i++)
		require(r->code.data[i] > ' ' && r->code.data[i] <= '~');
	require(strpbrk(r->description, "\r\n") == NULL);
	if (*r->error != '\0') {
		redirect_judge(r, "a@b.example", "host", &err);
		require(err.exit_code != 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *bytes = (const char *)data;
	enum redirect_verdict verdict;
	struct redirect r;
	struct error err;
	char *text;

	redirect_init(&r);
	verdict = redirect_request(&r, bytes, len, "localhost:1234", STATE);
	if (verdict == REDIRECT_ANSWER)
		check(&r);
	else
		require(r.code.len == 0 && *r.error == '\0');
	redirect_release(&r);

	text = xstrndup(bytes, len);
	if (redirect_pasted(&r, text, STATE, &err) == 0)
		check(&r);
	else
		require(err.exit_code != 0);
	redirect_release(&r);
	free(text);
	return 0;
}
