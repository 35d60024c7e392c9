/* Any bytes as a configuration of msmtp: read or refused, within its caps. */
#include <stdint.h>
#include <stdlib.h>

#include "account/msmtprc.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msmtprc rc;
	struct error err;

	msmtprc_init(&rc);
	(void)msmtprc_parse(&rc, "f", (const char *)data, size, &err);
	if (rc.count == 0 || rc.count > MSMTPRC_ACCOUNTS_MAX)
		abort();
	for (size_t i = 0; i < rc.count; i++)
		if (rc.accounts[i].count > MSMTPRC_COMMANDS_MAX)
			abort();
	(void)msmtprc_choose(&rc, NULL);
	(void)msmtprc_choose(&rc, "a@b");
	msmtprc_release(&rc);
	return 0;
}
