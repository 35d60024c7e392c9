/* The inside of a session, which its four files share and nobody else sees:
 * session.c runs the machine and its table of steps, session_login.c has the
 * steps up to AUTH, session_probe.c those that ask for a sender,
 * session_transaction.c those of a message.
 *
 * A step's 'enter' says something, its 'reply' hears the answer, and both
 * return the state that follows; when the session is over, that is CLOSED.
 */
#ifndef SESSION_MACHINE_H
#define SESSION_MACHINE_H

#include "base/buf.h"
#include "base/error.h"
#include "mail/address.h"
#include "smtp/session.h"
#include "smtp/xoauth2.h"

#define SESSION_AUTH_ROOM	(XOAUTH2_MAX + 64)	/* an AUTH line */

/* A row of steps[]. Some are entered and speak, some only take a reply that
 * an earlier one asked for, most do both. */
enum state {
	BANNER,
	EHLO,
	STARTTLS,
	TLS,
	EHLO_TLS,
	READY,
	AUTH,
	AUTH_START,
	AUTH_TOKEN,
	AUTH_REFUSED,
	PROBE,
	PROBE_RSET,
	ENVELOPE,
	RSET,
	MAIL,
	RCPT,
	DATA,
	LONE_DOT,
	BODY,
	CHUNK,
	FINAL,
	END,
	CLOSED,
};

/* What has become of a recipient of the current message. */
enum mark {
	UNTRIED,
	ASKED,    /* RCPT written */
	ACCEPTED, /* RCPT answered by 250 */
	DONE,     /* has its verdict */
};

/* What of a transaction is to be written next. */
enum part {
	PART_RSET,
	PART_MAIL,
	PART_RCPT,
	PART_CONTENT,
	PART_NOTHING,
};

struct expected {
	enum state state;
	size_t recipient;
};

struct smtp_session {
	struct session_options options;
	enum state state;
	struct buf output;
	struct smtp_reply reply;
	struct capabilities capabilities;
	char server[REPLY_HOST_SIZE];
	char id[REPLY_SESSION_SIZE];

	/* Replies asked for and not read: a ring would be smaller, but the
	 * list is emptied each time anyway. */
	struct expected *expected;
	size_t expected_count, expected_room, expected_next;
	enum state answered;	/* the row that the last reply was for */
	bool has_next;		/* all replies are read; 'next' is to come */
	enum state next;

	/* The piece of work under way, or the last one. */
	bool failed;
	struct error error;
	struct error gone;	/* why the session is closed */

	/* Login. */
	struct buf auth;	/* base64, wiped after use */
	char *user;
	bool token_rejected;
	bool needs_two_step;
	char challenge[512];

	/* Probe. */
	char *probed;		/* the sender */

	/* Transaction. */
	struct envelope *envelope;
	unsigned long long size;
	unsigned char *marks;	/* enum mark of each recipient */
	size_t marks_count;
	size_t max_recipients;
	enum part part;
	size_t cursor;		/* where to look for the next recipient */
	size_t asked, accepted, sent;
	bool mail_ok;
	bool ending;		/* the server may have the whole content */
	bool needs_rset;	/* a transaction is open that is not wanted */
	struct error first;	/* verdict of the first refused recipient */
	struct smtp_receipt receipt;
	char denied[ADDRESS_MAX + 1];	/* as session_denied_sender() says … */
	bool denies_from;		/* … and session_denies_from() */
};

/* Begin a piece of work. False when the session cannot take one. */
bool	machine_begin(struct smtp_session *);
/* Go to a state, and on from there while states pass the word on. */
void	machine_go(struct smtp_session *, enum state next);

/* Write a command line and expect a reply to it. 'shown' stands for it in
 * the trace when it is a secret. -1 when it cannot be sent, and then the
 * session is closed. */
int	machine_put_line(struct smtp_session *, enum state, size_t recipient,
	    const char *line, const char *shown);
/* The same for a line without a secret: the state that follows. */
enum state machine_say(struct smtp_session *, enum state, const char *line);
void	machine_expect(struct smtp_session *, enum state, size_t recipient);
/* Is a reply to come? */
bool	machine_is_waiting(const struct smtp_session *);
void	machine_trace(const struct smtp_session *, char direction,
	    const char *line);

bool	machine_is_positive(const struct smtp_session *);
/* An address that cannot break out of "<…>": brackets and blanks only inside
 * quotes, no control characters, 8-bit only where SMTPUTF8 covers it. */
bool	machine_is_address_safe(const char *address, bool utf8);

/* The piece of work fails, the connection stays: why. READY. */
enum state machine_fail(struct smtp_session *, const struct error *why);

/* The connection is of no more use: why. CLOSED. */
enum state machine_hang_up(struct smtp_session *, const struct error *why);
/* The reply refuses and the connection with it. */
enum state machine_hang_up_by_reply(struct smtp_session *, enum smtp_stage);
/* The reply makes no sense where it stands. */
enum state machine_hang_up_by_nonsense(struct smtp_session *);

enum state login_send_ehlo(struct smtp_session *);
enum state login_send_starttls(struct smtp_session *);
enum state login_send_auth(struct smtp_session *);
enum state login_send_auth_start(struct smtp_session *);
enum state login_send_auth_token(struct smtp_session *);
enum state login_send_empty(struct smtp_session *);
enum state login_on_banner(struct smtp_session *);
enum state login_on_ehlo(struct smtp_session *);
enum state login_on_starttls(struct smtp_session *);
enum state login_on_ehlo_tls(struct smtp_session *);
enum state login_on_auth(struct smtp_session *);
enum state login_on_auth_start(struct smtp_session *);
enum state login_on_auth_token(struct smtp_session *);
enum state login_on_auth_refused(struct smtp_session *);

enum state probe_send_mail(struct smtp_session *);
enum state probe_send_rset(struct smtp_session *);
enum state probe_on_mail(struct smtp_session *);
enum state probe_on_rset(struct smtp_session *);

enum state transaction_send_envelope(struct smtp_session *);
enum state transaction_send_lone_dot(struct smtp_session *);
enum state transaction_on_rset(struct smtp_session *);
enum state transaction_on_mail(struct smtp_session *);
enum state transaction_on_rcpt(struct smtp_session *);
enum state transaction_on_data(struct smtp_session *);
enum state transaction_on_lone_dot(struct smtp_session *);
enum state transaction_on_chunk(struct smtp_session *);
enum state transaction_on_final(struct smtp_session *);
/* All replies are in: what is the result? */
enum state transaction_end(struct smtp_session *);
/* The connection ends amid a piece of work, which fails with it. */
void	transaction_lost(struct smtp_session *, const struct error *why);

#endif
