/* How commands show things to a person: colours on a terminal alone, and none
 * with NO_COLOR; text from outside cleaned.
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

/* "90 s", "15 min", "1 h", "3 days". Returns 'out'. */
#define SHOW_DURATION_SIZE	32
char	*show_duration(long long seconds, char out[SHOW_DURATION_SIZE]);

#endif
