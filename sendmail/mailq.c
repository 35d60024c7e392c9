#include "sendmail/mailq.h"

#include <errno.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/xalloc.h"
#include "sendmail/options.h"

/* A link by the name of mailq that leads back to us would go round for
 * ever. */
static bool
is_ourselves(const char *path)
{
	struct stat there, here;

	return stat(path, &there) == 0 && stat("/proc/self/exe", &here) == 0 &&
	       there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

int
mailq_replace(char **argv, struct error *err)
{
	const char *folder = getenv("OUTPOST_LIBEXEC");
	char *path = folder != NULL && *folder == '/'
			 ? xasprintf("%s/mailq", folder)
			 : xstrdup(OUTPOST_MAILQ);
	const char *why = "it is a link to sendmail";

	if (!is_ourselves(path)) {
		(void)execv(path, argv);
		why = strerror(errno);
	}
	error_set(err, EX_CONFIG, "4.3.0", "cannot run '%s': %s", path, why);
	free(path);
	return error_hint(err, "is Outpost installed as a whole?");
}

int
mailq_for_options(const struct options *o, struct error *err)
{
	char name[] = "mailq", count[] = "-n", verbose[] = "-v";
	char *argv[] = { name, NULL, NULL };

	if (o->mode == MODE_MAILQ_COUNT)
		argv[1] = count;
	else if (o->verbose)
		argv[1] = verbose;
	return mailq_replace(argv, err);
}
