#include "outpost/show.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

static bool
has_colours(void)
{
	const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) == 1 && (none == NULL || *none == '\0') &&
	       terminal != NULL && strcmp(terminal, "dumb") != 0;
}

void
show(enum show_colour colour, int width, const char *text)
{
	static const char *const codes[] = {
		[SHOW_BOLD] = "\033[1m",
		[SHOW_GREEN] = "\033[32m",
		[SHOW_YELLOW] = "\033[33m",
		[SHOW_RED] = "\033[1;31m",
		[SHOW_DIM] = "\033[2m",
	};
	bool painted = colour != SHOW_PLAIN && has_colours();
	size_t size = 4 * strlen(text) + 1;
	char *clean = xcalloc(1, size);

	log_clean(clean, size, text);
	printf("%s%s%s", painted ? codes[colour] : "", clean,
	    painted ? "\033[0m" : "");
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
