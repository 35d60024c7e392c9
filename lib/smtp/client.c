#include "smtp/client.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "smtp/data.h"
#include "smtp/stream.h"
#include "smtp/wait.h"

#define PIECE (64u * 1024)     /* of content, read at once */
#define CHUNK (256u * 1024)    /* of content in a BDAT, about */
#define FAREWELL_SECONDS 1.0   /* for writing QUIT … */
#define LAST_WORDS_SECONDS 2.0 /* … and for why a write failed */

struct smtp_client {
	struct smtp_options options;
	struct smtp_session *session;
	struct stream *stream;
	double deadline;
	double final_deadline; /* 0 until the content is sent */
	struct buf piece;      /* content as read */
	struct buf wire;       /* content as sent */
};

struct smtp_client *
smtp_client_new(const struct smtp_options *options)
{
	struct smtp_client *c = xcalloc(1, sizeof(*c));
	const struct session_options session = {
		.helo = options->helo,
		.chunking = options->chunking,
		.two_step_auth = options->two_step_auth,
		.max_recipients = options->max_recipients,
		.trace = options->trace,
		.trace_arg = options->trace_arg,
	};

	c->options = *options;
	c->session = session_new(&session);
	buf_init(&c->piece, PIECE);
	buf_init(&c->wire, CHUNK + DATA_ROOM(PIECE));
	return c;
}

/* Until when to wait for what is under way. */
static double
reply_deadline(const struct smtp_client *c)
{
	double soon = file_now() + CLIENT_REPLY_SECONDS;

	if (c->final_deadline > 0)
		return c->final_deadline;
	return soon < c->deadline ? soon : c->deadline;
}

/* The content may take as long as the line needs, if only it gets on. */
static double
block_deadline(void)
{
	return file_now() + CLIENT_BLOCK_SECONDS;
}

static int
write_output(struct smtp_client *c, struct error *err)
{
	const struct buf *output = session_output(c->session);
	int result;

	if (output->len == 0)
		return 0;
	result = stream_write(
	    c->stream, output->data, output->len, c->deadline, err);
	session_written(c->session);
	return result;
}

/* Nothing came before the banner: here the port is the likeliest cause. */
static int
fail_banner(struct error *err)
{
	return error_hint(err,
	    "check 'host' and 'port' (587) in outpost.conf: a server that "
	    "waits for TLS first, as on port 465, or a web server, says "
	    "nothing by itself");
}

static int
read_reply(struct smtp_client *c, double deadline, struct error *err)
{
	char bytes[REPLY_LINE_MAX];
	ssize_t n;

	n = stream_read(c->stream, bytes, sizeof(bytes), deadline, err);
	if (n == -1)
		return session_stage(c->session) == SMTP_STAGE_CONNECT
			   ? fail_banner(err)
			   : -1;
	session_receive(c->session, bytes, (size_t)n);
	return 0;
}

static int
start_tls(struct smtp_client *c, struct error *err)
{
	const struct stream_trust trust = {
		.ca_dir = c->options.ca_dir,
		.ca_file = c->options.ca_file,
	};

	if (stream_start_tls(c->stream, &trust, reply_deadline(c), err) == -1)
		return -1;
	session_tls_started(c->session);
	return 0;
}

static unsigned long long
content_size(const struct smtp_content *content)
{
	return content->header_len +
	       (content->body_fd != -1 ? (unsigned long long)content->body_len
				       : 0);
}

/* Fill c->piece with the content from 'at' on. */
static int
read_piece(struct smtp_client *c, const struct smtp_content *content,
    unsigned long long at, struct error *err)
{
	unsigned long long left = content_size(content) - at;
	size_t want = left < PIECE ? (size_t)left : PIECE;
	char *room;
	ssize_t n;

	buf_clear(&c->piece);
	if (at < content->header_len) {
		left = content->header_len - at;
		want = left < PIECE ? (size_t)left : PIECE;
		return buf_add(&c->piece, content->header + at, want);
	}
	room = buf_room(&c->piece, PIECE);
	do
		n = pread(content->body_fd, room, want,
		    content->body_start + (off_t)(at - content->header_len));
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return error_set(err, EX_IOERR, "4.3.0",
		    "cannot read the message's body: %s",
		    n == 0 ? "it is shorter than it was" : strerror(errno));
	buf_grown(&c->piece, (size_t)n);
	return 0;
}

/* Write c->wire, as a chunk where the content goes in chunks. */
static int
write_wire(struct smtp_client *c, bool last, struct error *err)
{
	int result;

	if (session_chunking(c->session)) {
		session_chunk(c->session, c->wire.len, last);
		if (write_output(c, err) == -1)
			return -1;
	} else if (last)
		session_body_ending(c->session);
	result = stream_write(
	    c->stream, c->wire.data, c->wire.len, block_deadline(), err);
	buf_clear(&c->wire);
	return result;
}

static int
send_content(struct smtp_client *c, const struct smtp_content *content,
    struct error *err)
{
	bool chunking = session_chunking(c->session);
	unsigned long long size = content_size(content);
	unsigned long long at = 0;
	struct data data;

	data_init(&data, !chunking);
	buf_clear(&c->wire);
	while (at < size) {
		if (read_piece(c, content, at, err) == -1)
			return -1;
		at += c->piece.len;
		(void)data_add(&data, c->piece.data, c->piece.len, &c->wire);
		if (at < size && (!chunking || c->wire.len >= CHUNK) &&
		    write_wire(c, false, err) == -1)
			return -1;
	}
	(void)data_end(&data, &c->wire);
	if (write_wire(c, true, err) == -1 ||
	    stream_flush(c->stream, block_deadline(), err) == -1)
		return -1;
	c->final_deadline = file_now() + CLIENT_FINAL_SECONDS;
	session_body_sent(c->session);
	return 0;
}

/* A server that stops taking content may have said why. */
static void
hear_last_words(struct smtp_client *c)
{
	struct error ignored;

	if (session_want(c->session) == SESSION_BODY)
		(void)read_reply(c, file_now() + LAST_WORDS_SECONDS, &ignored);
}

/* One thing that the session wants. */
static int
step(struct smtp_client *c, const struct smtp_content *content,
    struct error *err)
{
	enum session_want want = session_want(c->session);

	if (write_output(c, err) == -1)
		return -1;
	if (want != SESSION_BODY &&
	    stream_flush(c->stream, c->deadline, err) == -1)
		return -1;
	switch (want) {
	case SESSION_REPLY:
		return read_reply(c, reply_deadline(c), err);
	case SESSION_TLS:
		return start_tls(c, err);
	case SESSION_BODY:
		return send_content(c, content, err);
	case SESSION_IDLE:
	case SESSION_CLOSED:
		break;
	}
	return 0;
}

/* Do what the session wants until the piece of work is done, or until it
 * wants 'end'. */
static int
drive_to(struct smtp_client *c, const struct smtp_content *content,
    enum session_want end, struct error *err)
{
	struct error why;

	while (session_want(c->session) != end &&
	       session_want(c->session) != SESSION_IDLE &&
	       session_want(c->session) != SESSION_CLOSED)
		if (step(c, content, &why) == -1) {
			hear_last_words(c);
			session_lost(c->session, &why);
		}
	return session_result(c->session, err);
}

static int
drive(struct smtp_client *c, const struct smtp_content *content,
    struct error *err)
{
	return drive_to(c, content, SESSION_IDLE, err);
}

int
smtp_client_connect(struct smtp_client *c, double deadline, struct error *err)
{
	const struct waiter waiter = {
		.call = c->options.waiting,
		.arg = c->options.waiting_arg,
	};
	struct error why;

	c->deadline = deadline;
	if (stream_open(&c->stream, c->options.host, c->options.port, deadline,
		&waiter, &why) == 0)
		return 0;
	session_lost(c->session, &why);
	return session_result(c->session, err);
}

int
smtp_client_greet(struct smtp_client *c, struct error *err)
{
	return drive_to(c, NULL, SESSION_TLS, err);
}

int
smtp_client_secure(struct smtp_client *c, struct error *err)
{
	return drive(c, NULL, err);
}

int
smtp_client_open(struct smtp_client *c, double deadline, struct error *err)
{
	if (smtp_client_connect(c, deadline, err) == -1 ||
	    smtp_client_greet(c, err) == -1)
		return -1;
	return smtp_client_secure(c, err);
}

void
smtp_client_set_deadline(struct smtp_client *c, double deadline)
{
	c->deadline = deadline;
}

int
smtp_client_login(struct smtp_client *c, const char *user, const char *token,
    struct error *err)
{
	c->final_deadline = 0;
	session_auth(c->session, user, token);
	return drive(c, NULL, err);
}

int
smtp_client_probe(struct smtp_client *c, const char *sender, struct error *err)
{
	c->final_deadline = 0;
	session_probe(c->session, sender);
	return drive(c, NULL, err);
}

int
smtp_client_send(struct smtp_client *c, struct envelope *envelope,
    const struct smtp_content *content, struct error *err)
{
	c->final_deadline = 0;
	session_send(c->session, envelope, content_size(content));
	return drive(c, content, err);
}

/* Say QUIT; 0 when it is on its way. */
static int
say_goodbye(struct smtp_client *c, double deadline)
{
	struct error ignored;

	if (!smtp_client_usable(c))
		return -1;
	session_quit(c->session);
	c->deadline = deadline;
	if (write_output(c, &ignored) == -1)
		return -1;
	return stream_flush(c->stream, deadline, &ignored);
}

void
smtp_client_part(struct smtp_client *c)
{
	double deadline = file_now() + FAREWELL_SECONDS;
	struct error ignored;
	char bytes[512];

	if (say_goodbye(c, deadline) == -1)
		return;
	while (stream_read(
		   c->stream, bytes, sizeof(bytes), deadline, &ignored) > 0)
		continue;
}

void
smtp_client_close(struct smtp_client *c)
{
	if (c == NULL)
		return;
	(void)say_goodbye(c, file_now() + FAREWELL_SECONDS);
	stream_free(c->stream);
	session_free(c->session);
	buf_release(&c->piece);
	buf_release(&c->wire);
	free(c);
}

bool
smtp_client_usable(const struct smtp_client *c)
{
	return c->stream != NULL && session_want(c->session) == SESSION_IDLE;
}

bool
smtp_client_token_rejected(const struct smtp_client *c)
{
	return session_token_rejected(c->session);
}

bool
smtp_client_needs_two_step(const struct smtp_client *c)
{
	return session_needs_two_step(c->session);
}

bool
smtp_client_more(const struct smtp_client *c)
{
	return session_more(c->session);
}

bool
smtp_client_in_doubt(const struct smtp_client *c)
{
	return session_in_doubt(c->session);
}

const struct smtp_receipt *
smtp_client_receipt(const struct smtp_client *c)
{
	return session_receipt(c->session);
}

const char *
smtp_client_denied_sender(const struct smtp_client *c)
{
	return session_denied_sender(c->session);
}

bool
smtp_client_denies_from(const struct smtp_client *c)
{
	return session_denies_from(c->session);
}

const char *
smtp_client_server(const struct smtp_client *c)
{
	return session_server(c->session);
}

const char *
smtp_client_session(const struct smtp_client *c)
{
	return session_id(c->session);
}

const char *
smtp_client_address(const struct smtp_client *c)
{
	return c->stream != NULL ? stream_address(c->stream) : "";
}

const char *
smtp_client_cipher(const struct smtp_client *c)
{
	return c->stream != NULL ? stream_cipher(c->stream) : "";
}

int
smtp_client_certificate(
    const struct smtp_client *c, struct stream_certificate *out)
{
	return c->stream != NULL ? stream_certificate(c->stream, out) : -1;
}

const struct capabilities *
smtp_client_capabilities(const struct smtp_client *c)
{
	return session_capabilities(c->session);
}
