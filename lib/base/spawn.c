#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <unistd.h>

static int
prepare(posix_spawn_file_actions_t *actions, int in, int out)
{
	int why;

	if (in == -1)
		why = posix_spawn_file_actions_addopen(
		    actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	else
		why =
		    posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO);
	if (why == 0)
		why = posix_spawn_file_actions_adddup2(
		    actions, out, STDOUT_FILENO);
	return why;
}

int
spawn_program(
    pid_t *pid, const char *path, const char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t child;
	int why = posix_spawn_file_actions_init(&actions);

	if (why != 0)
		return why;
	why = prepare(&actions, in, out);
	if (why == 0)
		why = posix_spawn(&child, path, &actions, NULL,
		    (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (why == 0)
		*pid = child;
	return why;
}
