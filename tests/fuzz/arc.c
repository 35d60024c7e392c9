/* Any bytes as the challenge of Azure Arc: what is accepted names a file that
 * stays in its folder. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/arc.h"
#include "base/error.h"
#include "base/xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
require(int truth)
{
	if (!truth)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char name[ARC_KEY_NAME_SIZE];
	char *header = xstrndup((const char *)data, len);
	struct error err;

	if (arc_challenge(name, header, &err) == 0) {
		len = strlen(name);
		require(len > 4 && strcmp(name + len - 4, ".key") == 0);
		require(strchr(name, '/') == NULL && *name != '.');
		require(strstr(header, ARC_KEY_FOLDER) != NULL);
	} else {
		require(err.exit_code != 0 && err.class == ERROR_HOLD);
	}
	free(header);
	return 0;
}
