/* How many notifications went out in the hour that runs, and a line for each
 * that did not: these are told in one summary when the hour is over.
 *
 * Each sender has a budget of its own, which is a user of this host and the
 * account that sent for it: the failures of one take no notification from
 * another. Senders over NOTICES_SENDERS_MAX share the last one's, and of each
 * NOTICES_LINES_MAX lines are kept and the rest counted, so that the text has
 * a bound.
 *
 * Pure: no file and no clock.
 *
 *	notices_init(&all, now);
 *	(void)notices_parse(&all, text, len, now, &err);
 *	if (notices_are_over(&all, now)) … tell, then notices_init() again
 *	if (notices_take(&all, account, uid, line)) … send a letter of its own
 *	notices_format(&all, &out);
 *	notices_release(&all);
 */
#ifndef NOTICES_H
#define NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct buf;
struct error;

#define NOTICES_HOURLY		20	/* letters to each sender */
#define NOTICES_SECONDS		3600
#define NOTICES_LINES_MAX	40u	/* noted for each sender */
#define NOTICES_SENDERS_MAX	100u

struct notices_sender {
	char *account;
	uid_t uid;
	long long sent;		/* letters of their own */
	char *lines[NOTICES_LINES_MAX];	/* not told yet … */
	size_t count;
	long long more;		/* … and so many that are not kept */
};

struct notices {
	time_t since;		/* the hour's begin */
	struct notices_sender *senders;
	size_t count;
};

void	notices_init(struct notices *, time_t now);
void	notices_release(struct notices *);

/* Read it back. An hour that began after 'now', by a clock that was wrong,
 * begins now; senders that make no sense are left out. EX_SOFTWARE: it is no
 * such record. */
int	notices_parse(struct notices *, const char *text, size_t len,
	    time_t now, struct error *);
void	notices_format(const struct notices *, struct buf *out);

bool	notices_are_over(const struct notices *, time_t now);
/* May a letter of its own be sent? Else 'line' is noted. */
bool	notices_take(struct notices *, const char *account, uid_t,
	    const char *line);
/* What is noted of all senders of an account: the lines, '*count' of them, to
 * be freed (the array alone), and how many more. NULL where there are none. */
const char **notices_lines(const struct notices *, const char *account,
	    size_t *count, unsigned long long *more);

#endif
