/* How commands show things to a person: text from outside is cleaned; colours,
 * and a line that is written over while something is waited for, are for a
 * terminal alone.
 */
#ifndef SHOW_H
#define SHOW_H

enum show_colour {
	SHOW_PLAIN,
	SHOW_BOLD,
	SHOW_GREEN,
	SHOW_YELLOW,
	SHOW_RED,
	SHOW_DIM,
};

/* Print to standard output, padded with blanks to 'width'. */
void	show(enum show_colour, int width, const char *text);

/* The sequence that begins a colour, for what is printed otherwise; plain ends
 * it. "" unless standard output is a terminal that knows colours and NO_COLOR
 * is not set (https://no-color.org). */
const char *show_style(enum show_colour);

/* "90 s", "15 min", "1 h", "3 days". Returns 'out'. */
#define SHOW_DURATION_SIZE	32
char	*show_duration(long long seconds, char out[SHOW_DURATION_SIZE]);

/* On standard error: how long we still wait; and the line's end. */
void	show_waiting(double seconds);
void	show_waited(void);

#endif
