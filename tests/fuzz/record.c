/* Any bytes as a record: what is read and written again is the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record record;
	struct error error;
	struct buf again;

	if (record_parse(
		&record, "envelope", (const char *)data, size, &error) == -1)
		return 0;
	buf_init(&again, RECORD_TEXT_MAX);
	record_begin(&again, "envelope");
	for (size_t i = 0; i < record.count; i++)
		record_put(
		    &again, record.fields[i].key, record.fields[i].value);
	if (again.len != size || memcmp(again.data, data, size) != 0)
		abort();
	buf_release(&again);
	record_release(&record);
	return 0;
}
