/* Any bytes as outpost.conf: a configuration that holds what it promises, or
 * an error that names the file. */
#include <stdint.h>
#include <stdlib.h>

#include "account/config.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct config *c)
{
	if (c->account_count == 0 || c->queue_dir == NULL)
		abort();
	for (size_t i = 0; i < c->account_count; i++) {
		const struct account *a = &c->accounts[i];

		if (strchr(a->mailbox, '@') == NULL || a->host == NULL ||
		    a->scope == NULL || a->port < 1 || a->port > 65535 ||
		    a->rate_seconds < 1 ||
		    strncmp(a->authority, "https://", 8) != 0 ||
		    config_account(c, a->mailbox) != a)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	struct error error;

	config_init(&config);
	if (config_parse(
		&config, "outpost.conf", (const char *)data, size, &error) == 0)
		check(&config);
	else if (strncmp(error.text, "outpost.conf:", 13) != 0)
		abort();
	config_release(&config);
	return 0;
}
