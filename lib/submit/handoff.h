/* The pipe between sendmail, which has no rights, and submit, which sends:
 * both ends of it.
 *
 * Frames: a type byte, the payload's length in four bytes (big-endian), the
 * payload of at most HANDOFF_PAYLOAD_MAX bytes; long parts take several.
 *
 *	sendmail to submit      envelope… body… question… header… end
 *	submit to sendmail      answer… trace… note hint… result
 *
 * and so on for each further message; sendmail may drop one instead of ending
 * it, which is not answered.
 *
 * The envelope comes first, so that submit can refuse a caller before a body
 * is taken. The header comes behind the body, since what it must say of the
 * body (MIME fields, 8BITMIME) is known only then; so is whether the body
 * has lines that SMTP has no room for, which the end tells. Without the end,
 * nothing happens: a sendmail that was killed leaves nothing.
 *
 * Before it writes the header, sendmail may ask of a From whether the server
 * lately refused it, which only submit knows. submit says nothing else before
 * it has the end, also where it refused the envelope and takes none of the
 * rest. Only a submit that cannot work at all answers at once and ends: writing
 * then fails with EPIPE, and handoff_result() tells why.
 *
 *	handoff_start(&h, …)
 *	for each message:
 *		handoff_envelope(&h, …); handoff_body(&h, …) …
 *		handoff_header(&h, …); handoff_end(&h, …)
 *		handoff_result(&h, …)
 *	handoff_close(&h)
 */
#ifndef HANDOFF_H
#define HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "mail/content.h"
#include "queue/id.h"

struct buf;
struct envelope;

#define HANDOFF_PAYLOAD_MAX	(64u * 1024)
#define HANDOFF_HEADER_MAX	(8u * 1024 * 1024)	/* of all frames */
#define HANDOFF_ENVELOPE_MAX	(16u * 1024 * 1024)
#define HANDOFF_QUEUED		"queued as "	/* how the note begins that
						 * tells that it waits */
#define HANDOFF_IDLE		5000			/* milliseconds */
#define HANDOFF_TRACE_WAIT	2.0			/* seconds */

/* What is known at the end. */
struct handoff_end {
	uint64_t body_size;		/* bytes sent, to be compared */
	bool eight_bit;			/* of the content as it is sent */
	bool smtputf8;
	enum content_lines lines;	/* what is to be done to the body */
	bool queue_only;		/* send nothing now */
	bool mail_errors;		/* notify the sender too of a refusal
					 * that the exit code tells */
};

/* sendmail's side. */
struct handoff {
	pid_t child;			/* submit; -1: none */
	int to;				/* its standard input */
	int from;			/* its standard output */
	bool closed;			/* it has stopped listening */
	bool begun;			/* a message is not ended yet */
	bool answered;			/* its result has come: … */
	struct error answer;
	char id[ID_SIZE];		/* the message's in log and queue, or
					 * "": it came to nothing */
};

/* How submit is started: LIBEXEC/submit, and its options. */
struct handoff_setup {
	const char *libexec;
	const char *config_path;	/* -C, or NULL */
	const char *tag;		/* -L, or NULL, or "" */
	bool verbose;			/* -v */
};

/* EX_CONFIG when it cannot be started, EX_TEMPFAIL when there is no room for a
 * process. */
int	handoff_start(struct handoff *, const struct handoff_setup *,
	    struct error *);
/* Send a part. 0 also when submit has stopped listening, which is then told
 * by handoff_result(). EX_IOERR. */
int	handoff_envelope(struct handoff *, const struct envelope *,
	    struct error *);
int	handoff_body(struct handoff *, const char *bytes, size_t len,
	    struct error *);
/* Did the server lately refuse that From? Once the envelope is sent. False
 * also when submit gives no answer. */
bool	handoff_is_denied(struct handoff *, const char *address);
int	handoff_header(struct handoff *, const char *bytes, size_t len,
	    struct error *);
int	handoff_end(struct handoff *, const struct handoff_end *,
	    struct error *);
/* Read the answer to its end. 'line' is called for each line of the dialogue
 * ('T'), each note ('N') and each hint to the note before ('I'). 0: delivered
 * or queued; -1: the error that submit reports, or that it ended without an
 * answer, which leaves no child. */
int	handoff_result(struct handoff *,
	    void (*line)(void *arg, char kind, const char *text), void *arg,
	    struct error *);
/* Give up the message that is begun, if one is: submit does nothing. */
void	handoff_drop(struct handoff *);
/* No more messages come: wait for submit to end. One that is not ended is
 * dropped. */
void	handoff_close(struct handoff *);

/* submit's side. */

/* What becomes of a message that comes in. */
struct handoff_receiver {
	/* When the envelope is whole, before any of the body. It has account,
	 * sender and recipients, and none of these has a verdict yet. */
	int (*on_envelope)(void *arg, struct envelope *, struct error *);
	/* With each piece of the body. */
	int (*on_body)(void *arg, const char *bytes, size_t len,
	    struct error *);
	/* sendmail asks for a From; the answer goes to answer_fd. */
	bool (*is_denied)(void *arg, const char *address);
	/* Before each read, and each HANDOFF_IDLE while nothing comes; or
	 * NULL. */
	void (*idle)(void *arg);
	void *arg;
	int answer_fd;
};

enum handoff_got {
	HANDOFF_MESSAGE,	/* whole */
	HANDOFF_REFUSED,	/* a callback failed; it is to be answered */
	HANDOFF_DROPPED,	/* sendmail gave it up */
	HANDOFF_CLOSED,		/* no more come */
	HANDOFF_BROKEN,		/* cut, or no message at all: answer and end */
};

/* Read the next message from 'fd'. The header is appended to 'header', the
 * flags of 'end' are put into the envelope too. The error is set where it is
 * refused, and where it is broken: EX_TEMPFAIL when it ended without its end,
 * EX_SOFTWARE for anything but the above. */
enum handoff_got handoff_receive(int fd, struct envelope *,
	    struct buf *header, struct handoff_end *end,
	    const struct handoff_receiver *, struct error *);
/* A line of the dialogue. A reader who takes none (a stopped terminal) must
 * not keep the connection waiting: -1 after HANDOFF_TRACE_WAIT, and then no
 * further line is to be shown. A pipe is what it takes. */
int	handoff_trace(int fd, const char *text);
/* Answer. Failure to write is ignored: nobody listens any more. */
void	handoff_note(int fd, const char *text);
void	handoff_hint(int fd, const char *text);	/* to the note before */
void	handoff_answer(int fd, const char *id, const struct error *result);

#endif
