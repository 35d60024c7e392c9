#include "outpost/show.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/log.h"
#include "base/startup.h"
#include "base/xalloc.h"

static bool
has_colours(void)
{
	const char *kind = startup_variable("TERM");

	return isatty(STDOUT_FILENO) == 1 &&
	       startup_variable("NO_COLOR") == NULL && kind != NULL &&
	       strcmp(kind, "dumb") != 0;
}

const char *
show_style(enum show_colour colour)
{
	static const char *const codes[] = {
		[SHOW_PLAIN] = "\033[0m",
		[SHOW_BOLD] = "\033[1m",
		[SHOW_GREEN] = "\033[32m",
		[SHOW_YELLOW] = "\033[33m",
		[SHOW_RED] = "\033[1;31m",
		[SHOW_DIM] = "\033[2m",
	};

	return has_colours() ? codes[colour] : "";
}

void
show(enum show_colour colour, int width, const char *text)
{
	bool painted = colour != SHOW_PLAIN;
	size_t size = 4 * strlen(text) + 1;
	char *clean = xcalloc(1, size);

	log_clean(clean, size, text);
	printf("%s%s%s", painted ? show_style(colour) : "", clean,
	    painted ? show_style(SHOW_PLAIN) : "");
	if ((size_t)width > strlen(clean))
		printf("%*s", width - (int)strlen(clean), "");
	free(clean);
}

char *
show_duration(long long seconds, char out[SHOW_DURATION_SIZE])
{
	static const struct {
		long long from, unit;
		const char *name;
	} units[] = {
		{ 2 * 86400, 86400, "days" },
		{ 3600, 3600, "h" },
		{ 120, 60, "min" },
		{ 0, 1, "s" },
	};
	size_t i = 0;

	while (seconds < units[i].from && units[i].from > 0)
		i++;
	(void)snprintf(out, SHOW_DURATION_SIZE, "%lld %s",
	    seconds / units[i].unit, units[i].name);
	return out;
}

void
show_waiting(double seconds)
{
	int left = seconds < 0 ? 0 : (int)seconds;

	if (isatty(STDERR_FILENO) == 1)
		(void)fprintf(
		    stderr, "\rwaiting, %d:%02d left ", left / 60, left % 60);
}

void
show_waited(void)
{
	if (isatty(STDERR_FILENO) == 1)
		(void)fprintf(stderr, "\r%30s\r", "");
}
