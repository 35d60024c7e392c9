#include "base/error.h"
#include "queue/entry.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be written, and reads the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct entry e, back;
	struct error err;
	struct buf out;

	entry_init(&e);
	entry_init(&back);
	buf_init(&out, 4 * ENTRY_TEXT_MAX);
	if (entry_parse(&e, text, size, true, &err) == 0 &&
	    entry_parse(&e, text, size, false, &err) == 0) {
		entry_format(&e, &out);
		if (entry_parse(&back, out.data, out.len, false, &err) == -1 ||
		    back.envelope.count != e.envelope.count ||
		    back.header.len != e.header.len)
			__builtin_trap();
	}
	entry_release(&e);
	entry_release(&back);
	buf_release(&out);
	return 0;
}
