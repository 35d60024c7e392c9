/* What went wrong, as a value: the exit code, the RFC 3463 status, what to
 * do about it, one sentence for a person and one hint.
 *
 * Functions that can fail return 0 or -1 and take a 'struct error *' last;
 * they write to it only on failure. error_set() always returns -1:
 *
 *	return error_set(err, EX_TEMPFAIL, "4.4.1",
 *	    "cannot connect to '%s': %s", host, why);
 *
 * The sentence says what failed and on what, in lower case, without a full
 * stop; the hint says what to do. Text from outside may be put into both:
 * control characters are replaced on the way in, so that a record line or a
 * terminal never sees them, and secrets must not be put in at all.
 *
 * It is a plain value: nothing is owned, nothing freed, and assignment
 * copies it.
 */
#ifndef ERROR_H
#define ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define ERROR_TEXT_SIZE		1024
#define ERROR_HINT_SIZE		1024
#define ERROR_STATUS_SIZE	12

/* What is to be done with a message that met the error. */
enum error_class {
	ERROR_NONE,		/* there was none: sent */
	ERROR_RETRY,		/* time heals it: try again with back-off */
	ERROR_THROTTLED,	/* too much at once: slow down, then again */
	ERROR_HOLD,		/* only a person can mend the account */
	ERROR_REFUSED,		/* this message or recipient, for good */
};

struct error {
	int exit_code;			/* sysexits(3), 0 for none */
	enum error_class class;
	unsigned retry_after;		/* seconds; 0: the usual back-off */
	unsigned retry_cap;		/* what it doubles to; 0: the usual */
	bool uncertain;			/* content sent, no reply came */
	bool untried;			/* a limit or hold of ours: no server
					 * was asked. Not kept in records. */
	int reply;			/* the server's code, 0: none */
	char status[ERROR_STATUS_SIZE];	/* RFC 3463, as in "4.4.1" */
	char text[ERROR_TEXT_SIZE];
	char hint[ERROR_HINT_SIZE];	/* may be empty */
};

void	error_clear(struct error *);

/* Fill all of 'err'. The class follows from the status: 4 is ERROR_RETRY,
 * anything else ERROR_REFUSED. Returns -1. A NULL 'err' is allowed. */
int	error_set(struct error *err, int exit_code, const char *status,
	    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Replace the hint; returns -1 too, so it can end a function. */
int	error_hint(struct error *err, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
/* Replace the class and the delay before another try; returns -1. */
int	error_class_set(struct error *err, enum error_class,
	    unsigned retry_after);
/* Put "format: " before the sentence. Returns -1. */
int	error_prefix(struct error *err, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

/* Fill in a table's sentence or hint: 'name' for each "%s" in it, and nothing
 * else is a format. Returns 'out'. */
char	*error_fill(char *out, size_t size, const char *text,
	    const char *name);

/* "retry", "throttled", "hold", "refused", "sent"; and back (-1: unknown). */
const char *error_class_name(enum error_class);
int	error_class_parse(const char *name, enum error_class *);

#endif
