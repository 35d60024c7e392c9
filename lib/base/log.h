/* What the administrator reads afterwards: one line an event, to syslog
 * (facility mail), to standard error or to a file that exists already.
 *
 * All text from outside passes through log_clean() before it meets a log or
 * a terminal. A log that cannot be written stops no mail: failures here are
 * silent. This module holds the one piece of global state of the programs.
 */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>

#define LOG_PIECE_SIZE	8	/* what becomes of a character */

enum log_target {
	LOG_TO_NOTHING,		/* until log_open() */
	LOG_TO_SYSLOG,
	LOG_TO_STDERR,
	LOG_TO_FILE,
};

/* 'program' is kept by reference. 'path' is for LOG_TO_FILE: opened for
 * append without creating it, and never through a link; if that fails, syslog
 * is used instead. */
void	log_open(enum log_target, const char *program, const char *path);

/* 'text' as a program's name that a caller asks for: letters, digits and
 * ". _ / + @ -" of it, so that it cannot pass for more than a name; "" when
 * nothing is left. Returns 'out'. */
#define LOG_TAG_SIZE	33
char	*log_tag(char out[LOG_TAG_SIZE], const char *text);

/* priority: LOG_INFO, LOG_WARNING, LOG_ERR … of syslog(3). The line is cleaned
 * as a whole and cut at 2 kB. */
void	log_line(int priority, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

/* 'text' with control characters and what is not UTF-8 made visible, as
 * stravis(3) does, cut to 'size' bytes with the NUL. Returns 'out'. */
char	*log_clean(char *out, size_t size, const char *text);
/* The same of its first character, or of a byte that is none: how many bytes
 * that is. For who shows lines, and more than fit into 'out'. */
size_t	log_clean_piece(char piece[LOG_PIECE_SIZE], const char *text);

#endif
