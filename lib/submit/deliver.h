/* A message that a caller brought: sent before we return, or put into the
 * queue.
 *
 * While it takes long (DELIVER_LINK_SECONDS), or when a signal asks for the
 * end, it is put into the queue first, under its lock, and leaves it with the
 * server's 250; should we be killed meanwhile, it is there. A message that
 * takes more than one transaction is in the queue from the start, and its
 * state is saved after each.
 *
 * The connection is kept for the next message. Who has none for a while lets
 * it go, since others may wait for its slot:
 *
 *	struct deliver_connection c = { .submit = NULL };
 *	deliver(&delivery, &err); …
 *	deliver_disconnect(&c);
 */
#ifndef DELIVER_H
#define DELIVER_H

#include <signal.h>
#include <stdbool.h>

#include "submit/submit.h"

struct entry;
struct error;
struct spool;

#define DELIVER_LINK_SECONDS	5.0

/* From one message to the next; the caller's, all in it is ours. */
struct deliver_connection {
	struct submit *submit;		/* NULL: none is open */
	struct submission submission;	/* what it was opened for */
	void *work;			/* the message under way, or NULL */
};

struct delivery {
	/* Its 'waiting' is ours. All it points to outlives the connection. */
	const struct submission *submission;
	struct deliver_connection *connection;
	struct entry *entry;	/* id, uid, arrived, envelope, header */
	struct spool *spool;
	bool queue_only;	/* send nothing now */
	bool mail_errors;	/* a refusal is told by a notification too */
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
/* Close it, if it is open. */
void	deliver_disconnect(struct deliver_connection *);

#endif
