#include "outpost/terminal.h"

#include <stdbool.h>
#include <unistd.h>

static bool
has_colours(FILE *stream)
{
	const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");

	return isatty(fileno(stream)) == 1 && (none == NULL || *none == '\0') &&
	       kind != NULL && *kind != '\0' && strcmp(kind, "dumb") != 0;
}

const char *
terminal_style(FILE *stream, enum terminal_style style)
{
	if (!has_colours(stream))
		return "";
	switch (style) {
	case TERMINAL_BOLD:
		return "\033[1m";
	case TERMINAL_GOOD:
		return "\033[1;32m";
	case TERMINAL_PLAIN:
		break;
	}
	return "\033[0m";
}

void
terminal_waiting(double seconds)
{
	int left = seconds < 0 ? 0 : (int)seconds;

	if (isatty(STDERR_FILENO) == 1)
		(void)fprintf(
		    stderr, "\rwaiting, %d:%02d left ", left / 60, left % 60);
}

void
terminal_waited(void)
{
	if (isatty(STDERR_FILENO) == 1)
		(void)fprintf(stderr, "\r%30s\r", "");
}
