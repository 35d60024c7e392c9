/* A state folder of its own for one account, for tests. */
#ifndef STATE_FOLDER_H
#define STATE_FOLDER_H

#include <stdio.h>
#include <stdlib.h>

#include "account/config.h"
#include "base/xalloc.h"
#include "tests/unit/folder.h"

static struct config config;
static struct account account;

static int
make_state(void **state)
{
	(void)state;
	config.state_dir = mkdtemp(xstrdup("/tmp/outpost-state-XXXXXX"));
	account = (struct account){
		.mailbox = xstrdup("alerts@contoso.com"),
		.connections = 3,
		.rate_count = 30,
		.rate_seconds = 60,
		.daily = 10000,
	};
	return config.state_dir == NULL ? -1 : 0;
}

static int
remove_state(void **state)
{
	int result = remove_all(config.state_dir);

	(void)state;
	free(config.state_dir);
	free(account.mailbox);
	return result;
}

/* Path of the account's file of that kind. */
static inline const char *
state_file(const char *kind)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/state/%s=%s", config.state_dir,
	    account.mailbox, kind);
	return path;
}

#endif
