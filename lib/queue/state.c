#include "queue/state.h"

#include <stdlib.h>

#include "account/config.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "token/token.h"

char *
state_path(const struct config *config, const struct account *account,
    const char *kind)
{
	return token_path_beside(config, STATE_FOLDER, account, kind);
}

int
state_make_folder(const struct config *config, struct error *err)
{
	char *folder = xasprintf("%s/" STATE_FOLDER, config->state_dir);
	int result = file_make_folder(folder, 0700, err);

	free(folder);
	return result;
}
