/* What a person at a terminal sees and a file or a pipe does not get: colours,
 * and a line that is written over while something is waited for.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdio.h>

enum terminal_style {
	TERMINAL_PLAIN,
	TERMINAL_BOLD,
	TERMINAL_GOOD,
};

/* The sequence that begins the style; "" unless the stream is a terminal that
 * knows colours and NO_COLOR is not set (https://no-color.org). */
const char *terminal_style(FILE *, enum terminal_style);

/* On standard error: how long we still wait; and the line's end. */
void	terminal_waiting(double seconds);
void	terminal_waited(void);

#endif
