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

/* 'config_path' is NULL where submit finds it by itself. */
int	queue_run(const struct options *, const char *libexec,
	    const char *config_path, struct error *);

#endif
