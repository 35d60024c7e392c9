/* Sends messages to one server: a session driven over a stream.
 *
 *	struct smtp_client *c = smtp_client_new(&options);
 *	if (smtp_client_open(c, deadline, &err) == -1 ||
 *	    smtp_client_login(c, mailbox, token, &err) == -1) …
 *	do
 *		if (smtp_client_send(c, &envelope, &content, &err) == -1) …
 *	while (smtp_client_more(c));
 *	smtp_client_close(c);
 *
 * Up to the content everything ends at the deadline, and no single reply is
 * waited for longer than 60 s. Content may take as long as the line needs,
 * if each block of it gets away in 3 minutes, and the reply to the final dot
 * is waited for up to 10 minutes, whatever the deadline (RFC 5321 section
 * 4.5.3.2). When that reply does not come, err.uncertain is set: the server
 * may have the message (ERROR_RETRY after SESSION_UNCERTAIN_SECONDS,
 * with the same Message-ID).
 *
 * After an error look at smtp_client_usable(): a refused message leaves the
 * session as it was, and the next may be sent; a lost connection does not.
 * Error classes and hints are those of verdict.h and stream.h.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "smtp/session.h"

struct envelope;
struct error;
struct smtp_client;
struct stream_certificate;

#define CLIENT_REPLY_SECONDS	60.0	/* for each reply … */
#define CLIENT_BLOCK_SECONDS	180.0	/* … each block of content … */
#define CLIENT_FINAL_SECONDS	600.0	/* … and that to the final dot */

/* Strings are kept by reference and must outlive the client. */
struct smtp_options {
	const char *host;
	unsigned port;
	const char *ca_dir;	/* see struct stream_trust */
	const char *ca_file;
	const char *helo;	/* our name in EHLO; NULL: "localhost" */
	bool chunking;		/* BDAT where it is offered */
	bool two_step_auth;	/* see smtp_client_needs_two_step() */
	size_t max_recipients;	/* in a transaction; 0: 500 */
	/* Each line in ('S') and out ('C'), secrets as "***"; or NULL. */
	void (*trace)(void *arg, char direction, const char *line);
	void *trace_arg;
	/* Called each second while the server is waited for, and after
	 * signals; or NULL. Where it returns false the connection is given
	 * up. */
	bool (*waiting)(void *arg);
	void *waiting_arg;
};

/* A message: its completed header in memory, its body in a file; both with
 * CRLF line ends, the header with the blank line that ends it. */
struct smtp_content {
	const char *header;
	size_t header_len;
	int body_fd;		/* read by pread(2); -1: no body */
	off_t body_start;
	off_t body_len;
};

struct smtp_client *smtp_client_new(const struct smtp_options *);

/* Connect, EHLO, STARTTLS, EHLO. Once for a client. */
int	smtp_client_open(struct smtp_client *, double deadline,
	    struct error *);
/* The same in steps, for who tells where it failed: name service and TCP;
 * banner, EHLO and the answer to STARTTLS; TLS and EHLO. */
int	smtp_client_connect(struct smtp_client *, double deadline,
	    struct error *);
int	smtp_client_greet(struct smtp_client *, struct error *);
int	smtp_client_secure(struct smtp_client *, struct error *);
/* Another deadline from here on: once signed in, for the next message. */
void	smtp_client_set_deadline(struct smtp_client *, double deadline);
/* AUTH XOAUTH2. After a refusal that smtp_client_token_rejected() calls the
 * token's, it may be tried once more on the same connection. */
int	smtp_client_login(struct smtp_client *, const char *user,
	    const char *token, struct error *);
bool	smtp_client_token_rejected(const struct smtp_client *);
bool	smtp_client_needs_two_step(const struct smtp_client *);

/* Would the server take this sender? MAIL and RSET, nothing is sent. */
int	smtp_client_probe(struct smtp_client *, const char *sender,
	    struct error *);

/* One transaction for the next pending recipients. 0 when the server took
 * the message for at least one of them, -1 and why when for none; each one's
 * verdict is in the envelope. */
int	smtp_client_send(struct smtp_client *, struct envelope *,
	    const struct smtp_content *, struct error *);
/* Recipients are left for another transaction: call smtp_client_send() again
 * with the same envelope and content. Between the two, save the envelope. */
bool	smtp_client_more(const struct smtp_client *);
/* The server may have the whole of a message, and has not said so yet: to
 * give up now leaves it uncertain. */
bool	smtp_client_in_doubt(const struct smtp_client *);
/* The server's receipt of the last message it took. */
const struct smtp_receipt *smtp_client_receipt(const struct smtp_client *);
/* See session_denied_sender() and session_denies_from(). */
const char *smtp_client_denied_sender(const struct smtp_client *);
bool	smtp_client_denies_from(const struct smtp_client *);

/* The connection can take another login or message. */
bool	smtp_client_usable(const struct smtp_client *);
/* Server's name, session id, address, and TLS version with cipher: for the
 * log; "" when not known. */
const char *smtp_client_server(const struct smtp_client *);
const char *smtp_client_session(const struct smtp_client *);
const char *smtp_client_address(const struct smtp_client *);
const char *smtp_client_cipher(const struct smtp_client *);
/* -1 when the server showed none; see stream.h. */
int	smtp_client_certificate(const struct smtp_client *,
	    struct stream_certificate *);
const struct capabilities *smtp_client_capabilities(
	    const struct smtp_client *);

/* Say QUIT and wait, a second at most, until the server has hung up: for who
 * makes room for another connection, which the server must not meet before
 * the end of this one. */
void	smtp_client_part(struct smtp_client *);
/* Say QUIT where the session can take it, without waiting for the answer;
 * hang up, free. NULL is fine. */
void	smtp_client_close(struct smtp_client *);

#endif
