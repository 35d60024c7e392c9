/* mailq: shows what waits in the queue.
 *
 * This version of submit keeps no message that it could not send: the caller
 * is told by exit code 75 and keeps it. So what is looked for here is
 * entries that another version left behind, which must not be passed over
 * in silence.
 */
#include <dirent.h>
#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/error.h"
#include "base/startup.h"
#include "base/xalloc.h"

#define ENTRY_SUFFIX ".env"

static int
count_entries(const char *queue_dir, size_t *count, struct error *err)
{
	char *path = xasprintf("%s/active", queue_dir);
	DIR *folder = opendir(path);
	const struct dirent *entry;
	int result = 0;

	*count = 0;
	if (folder == NULL && errno != ENOENT) {
		result = error_set(err, errno == EACCES ? EX_NOPERM : EX_IOERR,
		    "4.3.0", "cannot open '%s': %s", path, strerror(errno));
		error_hint(err, "run mailq as root");
	}
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		size_t len = strlen(entry->d_name);
		size_t suffix = sizeof(ENTRY_SUFFIX) - 1;

		if (len > suffix &&
		    strcmp(entry->d_name + len - suffix, ENTRY_SUFFIX) == 0)
			(*count)++;
	}
	if (folder != NULL)
		closedir(folder);
	free(path);
	return result;
}

static int
run(int argc, char **argv, struct error *err)
{
	struct startup who;
	struct config config;
	size_t count = 0;
	char *path;
	int result;

	if (startup_service(&who, err) == -1)
		return -1;
	opterr = 0;
	if (getopt(argc, argv, "+") != -1 || optind != argc) {
		error_set(err, EX_USAGE, "5.5.4",
		    "mailq takes no options in this version");
		return error_hint(err, "usage: mailq");
	}
	config_init(&config);
	path = config_find(NULL, who.service);
	result = config_load(&config, path, err);
	if (result == 0)
		result = count_entries(config.queue_dir, &count, err);
	if (result == 0 && count > 0) {
		result = error_set(err, EX_UNAVAILABLE, "5.3.5",
		    "'%s' holds %zu messages of a version that this program "
		    "does not know",
		    config.queue_dir, count);
		error_hint(err, "install that version again, and flush its "
				"queue before it is replaced");
	} else if (result == 0 && (puts("Mail queue is empty") == EOF ||
				      fflush(stdout) == EOF))
		result = error_set(err, EX_IOERR, "4.3.0",
		    "cannot write the output: %s", strerror(errno));
	config_release(&config);
	free(path);
	return result;
}

int
main(int argc, char **argv)
{
	struct error err;

	if (run(argc, argv, &err) == 0)
		return EX_OK;
	(void)fprintf(stderr, "mailq: %s\n", err.text);
	if (err.hint[0] != '\0')
		(void)fprintf(stderr, "  hint: %s\n", err.hint);
	return err.exit_code;
}
