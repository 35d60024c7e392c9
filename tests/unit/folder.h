/* What a test made for itself, for tests. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdlib.h>

#include "base/xalloc.h"

/* A folder with all that is in it: 0 when it is gone. */
static int
remove_all(const char *folder)
{
	char *command = xasprintf("rm -rf '%s'", folder);
	int result = system(command);

	free(command);
	return result;
}

#endif
