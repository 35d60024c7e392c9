/* sendmail -q: has submit run the queue, once, or again and again until a
 * signal comes (containers, where there is no timer).
 *
 * submit has the rights and does the work. A signal that asks us to end is
 * handed on to it where that is allowed, and it is waited for.
 */
#ifndef QUEUE_RUN_H
#define QUEUE_RUN_H

struct error;
struct options;

/* 'config_path' is NULL where submit finds it by itself. 0 after a signal too;
 * EX_CONFIG where submit cannot be run, else the code that its last run ended
 * with. */
int	queue_run(const struct options *, const char *libexec,
	    const char *config_path, struct error *);

#endif
