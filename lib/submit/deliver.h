/* A message that a caller brought: sent before we return, or put into the
 * queue.
 *
 * While it takes long (DELIVER_LINK_SECONDS), or when a signal asks for the
 * end, it is put into the queue first, under its lock, and leaves it with the
 * server's 250; should we be killed meanwhile, it is there. A message that
 * takes more than one transaction is in the queue from the start, and its
 * state is saved after each.
 */
#ifndef DELIVER_H
#define DELIVER_H

#include <signal.h>
#include <stdbool.h>

struct entry;
struct error;
struct spool;
struct submission;

#define DELIVER_LINK_SECONDS	5.0

struct delivery {
	const struct submission *submission;	/* its 'waiting' is ours */
	struct entry *entry;	/* id, uid, arrived, envelope, header */
	struct spool *spool;
	bool queue_only;	/* send nothing now */
	/* The signal that asks us to end, or 0. */
	const volatile sig_atomic_t *signalled;
	/* What the caller is to be told though all is well: 'N' a line, 'I' a
	 * hint to the line before. */
	void (*note)(void *arg, char kind, const char *text);
	void *note_arg;
};

/* 0: it was sent to everybody who was not refused, or it is in the queue. -1:
 * all were refused, or it can neither be sent nor queued. */
int	deliver(const struct delivery *, struct error *);

#endif
