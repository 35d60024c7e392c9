#include "submit/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/record.h"
#include "base/spawn.h"
#include "base/xalloc.h"
#include "mail/envelope.h"

#define ARGUMENTS_MAX 8
#define FRAME_HEAD 5
#define YES "yes"
#define NO "no"

enum frame_type {
	FRAME_ENVELOPE = 'E',
	FRAME_BODY = 'B',
	FRAME_QUESTION = 'Q',
	FRAME_HEADER = 'H',
	FRAME_END = 'Z',
	FRAME_DROP = 'X',
	FRAME_ANSWER = 'A',
	FRAME_TRACE = 'T',
	FRAME_NOTE = 'N',
	FRAME_HINT = 'I',
	FRAME_RESULT = 'R',
};

/* Larger pipes mean fewer changes between the two processes. */
#define PIPE_SIZE (1024 * 1024)

static void
put_head(char head[FRAME_HEAD], enum frame_type type, size_t len)
{
	head[0] = (char)type;
	head[1] = (char)(len >> 24);
	head[2] = (char)(len >> 16);
	head[3] = (char)(len >> 8);
	head[4] = (char)len;
}

static int
write_frame(int fd, enum frame_type type, const char *bytes, size_t len)
{
	char head[FRAME_HEAD];
	const struct iovec parts[] = {
		{ .iov_base = head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)bytes, .iov_len = len },
	};
	size_t done;
	ssize_t n;

	put_head(head, type, len);
	do
		n = writev(fd, parts, 2);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	done = (size_t)n;
	if (done < sizeof(head)) {
		if (file_write_all(fd, head + done, sizeof(head) - done) == -1)
			return -1;
		done = sizeof(head);
	}
	return file_write_all(
	    fd, bytes + (done - sizeof(head)), len - (done - sizeof(head)));
}

/* Read, with the hook called before and while nothing comes. */
static ssize_t
read_piece(
    int fd, const struct handoff_receiver *receiver, void *bytes, size_t size)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	if (receiver == NULL || receiver->idle == NULL)
		return file_read_some(fd, bytes, size);
	do
		receiver->idle(receiver->arg);
	while (poll(&wait, 1, HANDOFF_IDLE) == 0);
	return file_read_some(fd, bytes, size);
}

/* The next frame into 'payload' (emptied first). 1; 0 at the end of the
 * stream; -1 with the error set. 'receiver' may be NULL. */
static int
read_frame(int fd, const struct handoff_receiver *receiver, char *type,
    struct buf *payload, struct error *err)
{
	unsigned char head[FRAME_HEAD];
	size_t have = 0, len;
	char *room;
	ssize_t n;

	while (have < sizeof(head)) {
		n = read_piece(fd, receiver, head + have, sizeof(head) - have);
		if (n == -1)
			return error_set(err, EX_IOERR, "4.3.0",
			    "cannot read from the pipe: %s", strerror(errno));
		if (n == 0 && have == 0)
			return 0;
		if (n == 0)
			goto cut;
		have += (size_t)n;
	}
	len = (size_t)head[1] << 24 | (size_t)head[2] << 16 |
	      (size_t)head[3] << 8 | head[4];
	*type = (char)head[0];
	payload->len = 0;
	if (len > HANDOFF_PAYLOAD_MAX ||
	    (room = buf_room(payload, len)) == NULL)
		return error_set(err, EX_SOFTWARE, "5.3.0",
		    "a frame of %zu bytes on the pipe", len);
	/* What an earlier frame left there is no part of an empty one. */
	*room = '\0';
	for (have = 0; have < len; have += (size_t)n) {
		n = read_piece(fd, receiver, room + have, len - have);
		if (n <= 0)
			goto cut;
	}
	buf_grown(payload, len);
	return 1;
cut:
	return error_set(err, EX_TEMPFAIL, "4.3.0",
	    "the pipe was cut in the middle of a frame");
}

/* argv for submit. */
static void
fill_arguments(const char *argv[ARGUMENTS_MAX], const char *path,
    const struct handoff_setup *setup)
{
	size_t n = 0;

	argv[n++] = path;
	if (setup->config_path != NULL) {
		argv[n++] = "-C";
		argv[n++] = setup->config_path;
	}
	if (setup->tag != NULL && *setup->tag != '\0') {
		argv[n++] = "-L";
		argv[n++] = setup->tag;
	}
	if (setup->verbose)
		argv[n++] = "-v";
	argv[n] = NULL;
}

int
handoff_start(
    struct handoff *h, const struct handoff_setup *setup, struct error *err)
{
	char *path = xasprintf("%s/submit", setup->libexec);
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, why;
	const char *argv[ARGUMENTS_MAX];

	*h = (struct handoff){ .child = -1, .to = -1, .from = -1 };
	if (pipe2(to, O_CLOEXEC) == -1 || pipe2(from, O_CLOEXEC) == -1) {
		error_set(err, EX_TEMPFAIL, "4.3.0", "cannot make a pipe: %s",
		    strerror(errno));
		goto fail;
	}
	(void)fcntl(to[1], F_SETPIPE_SZ, PIPE_SIZE);
	fill_arguments(argv, path, setup);
	why = spawn_program(&h->child, path, argv, to[0], from[1]);
	if (why != 0) {
		bool busy = why == EAGAIN || why == ENOMEM;

		h->child = -1;
		error_set(err, busy ? EX_TEMPFAIL : EX_CONFIG, "4.3.0",
		    "cannot run '%s': %s", path, strerror(why));
		error_hint(err, "%s",
		    busy ? "this machine, or its limit for this user, has no "
			   "room for a process"
			 : "install Outpost whole, or name the folder of its "
			   "programs in OUTPOST_LIBEXEC");
		goto fail;
	}
	close(to[0]);
	close(from[1]);
	h->to = to[1];
	h->from = from[0];
	free(path);
	return 0;
fail:
	for (int i = 0; i < 2; i++) {
		if (to[i] != -1)
			close(to[i]);
		if (from[i] != -1)
			close(from[i]);
	}
	free(path);
	return -1;
}

static int
send_frames(struct handoff *h, enum frame_type type, const char *bytes,
    size_t len, struct error *err)
{
	h->begun = type != FRAME_END && type != FRAME_DROP;
	do {
		size_t piece =
		    len < HANDOFF_PAYLOAD_MAX ? len : HANDOFF_PAYLOAD_MAX;

		if (h->closed)
			return 0;
		if (write_frame(h->to, type, bytes, piece) == -1) {
			if (errno != EPIPE)
				return error_set(err, EX_IOERR, "4.3.0",
				    "cannot hand the message on: %s",
				    strerror(errno));
			h->closed = true;
		}
		bytes += piece;
		len -= piece;
	} while (len > 0);
	return 0;
}

int
handoff_envelope(struct handoff *h, const struct envelope *e, struct error *err)
{
	struct buf text;
	int result;

	buf_init(&text, HANDOFF_ENVELOPE_MAX);
	envelope_format(e, &text);
	if (text.full)
		result = error_set(
		    err, EX_DATAERR, "5.3.4", "the envelope is too large");
	else
		result =
		    send_frames(h, FRAME_ENVELOPE, text.data, text.len, err);
	buf_release(&text);
	return result;
}

int
handoff_body(
    struct handoff *h, const char *bytes, size_t len, struct error *err)
{
	return len == 0 ? 0 : send_frames(h, FRAME_BODY, bytes, len, err);
}

/* The answer's record: what submit says of the message. */
static void
take_result(struct handoff *h, const struct buf *payload)
{
	struct record record;
	const char *id;

	h->answered = true;
	h->id[0] = '\0';
	if (record_parse(&record, "result", payload->data, payload->len,
		&h->answer) == -1)
		return;
	error_clear(&h->answer);
	if (record_get_error(&record, &h->answer) == -1)
		error_set(&h->answer, EX_SOFTWARE, "4.3.0",
		    "submit gave an answer that is none");
	if ((id = record_get(&record, "id")) != NULL && id_valid(id))
		strlcpy(h->id, id, sizeof(h->id));
	record_release(&record);
}

bool
handoff_is_denied(struct handoff *h, const char *address)
{
	bool denied = false;
	struct buf payload;
	struct error err;
	char type;

	if (h->answered || send_frames(h, FRAME_QUESTION, address,
			       strlen(address), &err) == -1)
		return false;
	buf_init(&payload, HANDOFF_PAYLOAD_MAX);
	if (read_frame(h->from, NULL, &type, &payload, &err) == 1) {
		if (type == FRAME_ANSWER)
			denied = strcmp(payload.data, YES) == 0;
		else if (type == FRAME_RESULT)
			take_result(h, &payload);
	}
	buf_release(&payload);
	return denied;
}

int
handoff_header(
    struct handoff *h, const char *bytes, size_t len, struct error *err)
{
	return send_frames(h, FRAME_HEADER, bytes, len, err);
}

int
handoff_end(struct handoff *h, const struct handoff_end *end, struct error *err)
{
	struct buf text;
	int result;

	buf_init(&text, HANDOFF_PAYLOAD_MAX);
	record_begin(&text, "end");
	record_put_number(&text, "body_size", (long long)end->body_size);
	record_put_number(&text, "eight_bit", end->eight_bit);
	record_put_number(&text, "smtputf8", end->smtputf8);
	record_put_number(&text, "lines", end->lines);
	record_put_number(&text, "queue_only", end->queue_only);
	record_put_number(&text, "mail_errors", end->mail_errors);
	result = send_frames(h, FRAME_END, text.data, text.len, err);
	buf_release(&text);
	return result;
}

void
handoff_drop(struct handoff *h)
{
	if (h->begun)
		(void)send_frames(h, FRAME_DROP, "", 0, NULL);
}

static int
wait_for(struct handoff *h, int *status)
{
	pid_t pid;

	if (h->child == -1)
		return -1;
	pid = spawn_wait(h->child, status, NULL);
	h->child = -1;
	return pid == -1 ? -1 : 0;
}

static void
close_pipes(struct handoff *h)
{
	if (h->to != -1)
		close(h->to);
	if (h->from != -1)
		close(h->from);
	h->to = h->from = -1;
}

int
handoff_result(struct handoff *h,
    void (*line)(void *arg, char kind, const char *text), void *arg,
    struct error *err)
{
	struct buf payload;
	int status = 0;
	char type;

	buf_init(&payload, HANDOFF_PAYLOAD_MAX);
	while (!h->answered &&
	       read_frame(h->from, NULL, &type, &payload, err) == 1) {
		if (type == FRAME_RESULT)
			take_result(h, &payload);
		else
			line(arg, type, payload.data);
	}
	buf_release(&payload);
	if (!h->answered) {
		close_pipes(h);
		if (wait_for(h, &status) == -1)
			status = 0;
		error_set(err, EX_TEMPFAIL, "4.3.0",
		    "submit ended without an answer%s%s",
		    WIFSIGNALED(status) ? ", by signal " : "",
		    WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "");
		return error_hint(
		    err, "its own message stands above, or in the log");
	}
	h->answered = false;
	if (h->answer.exit_code == EX_OK)
		return 0;
	*err = h->answer;
	return -1;
}

void
handoff_close(struct handoff *h)
{
	int status;

	close_pipes(h);
	(void)wait_for(h, &status);
}

/* What handoff_receive() has so far. */
struct receiving {
	struct envelope *envelope;
	struct buf envelope_text;
	struct buf *header;
	struct handoff_end *end;
	uint64_t body_size;
	bool begun;
	bool envelope_done;
	bool header_seen;
	bool refused; /* … and why: */
	struct error refusal;
	const struct handoff_receiver *receiver;
};

static int
protocol_error(struct error *err)
{
	return error_set(err, EX_SOFTWARE, "5.3.0",
	    "what came through the pipe is no message");
}

/* Of a message that nobody has tried to send yet: no verdict of the caller's
 * goes into the log. */
static bool
is_fresh(const struct envelope *e)
{
	if (e->account == NULL || e->sender == NULL || e->count == 0)
		return false;
	for (size_t i = 0; i < e->count; i++)
		if (e->recipients[i].state != RECIPIENT_PENDING ||
		    e->recipients[i].error != NULL)
			return false;
	return true;
}

/* The first frame of another type tells that the envelope is whole. */
static int
finish_envelope(struct receiving *r, struct error *err)
{
	if (r->envelope_done)
		return 0;
	r->envelope_done = true;
	if (envelope_parse(r->envelope, r->envelope_text.data,
		r->envelope_text.len, err) == -1)
		return -1;
	if (!is_fresh(r->envelope))
		return protocol_error(err);
	r->refused = r->receiver->on_envelope(
			 r->receiver->arg, r->envelope, &r->refusal) == -1;
	return 0;
}

static int
take_end(struct receiving *r, const struct buf *payload, struct error *err)
{
	long long size, eight_bit, smtputf8, lines, queue_only, mail_errors;
	struct record record;
	int result = -1;

	if (record_parse(&record, "end", payload->data, payload->len, err) ==
	    -1)
		return -1;
	if (record_get_number(&record, "body_size", 0, INT64_MAX, &size) ==
		-1 ||
	    record_get_number(&record, "eight_bit", 0, 1, &eight_bit) == -1 ||
	    record_get_number(&record, "smtputf8", 0, 1, &smtputf8) == -1 ||
	    record_get_number(&record, "lines", 0, CONTENT_QUOTE, &lines) ==
		-1 ||
	    record_get_number(&record, "queue_only", 0, 1, &queue_only) == -1 ||
	    record_get_number(&record, "mail_errors", 0, 1, &mail_errors) ==
		-1 ||
	    (uint64_t)size != r->body_size)
		(void)protocol_error(err);
	else {
		*r->end = (struct handoff_end){
			.body_size = (uint64_t)size,
			.eight_bit = eight_bit == 1,
			.smtputf8 = smtputf8 == 1,
			.lines = (enum content_lines)lines,
			.queue_only = queue_only == 1,
			.mail_errors = mail_errors == 1,
		};
		r->envelope->eight_bit = r->end->eight_bit;
		r->envelope->smtputf8 = r->end->smtputf8;
		result = 1;
	}
	record_release(&record);
	return result;
}

static int
answer(const struct receiving *r, const char *word, struct error *err)
{
	if (write_frame(
		r->receiver->answer_fd, FRAME_ANSWER, word, strlen(word)) == -1)
		return error_set(err, EX_IOERR, "4.3.0",
		    "cannot write to the pipe: %s", strerror(errno));
	return 0;
}

static void
take_body(struct receiving *r, const struct buf *payload)
{
	r->body_size += payload->len;
	r->refused = r->receiver->on_body(r->receiver->arg, payload->data,
			 payload->len, &r->refusal) == -1;
}

static void
take_header(struct receiving *r, const struct buf *payload)
{
	r->header_seen = true;
	if (buf_add(r->header, payload->data, payload->len) == 0)
		return;
	r->refused = true;
	error_set(&r->refusal, EX_DATAERR, "5.3.4", "the header is too large");
}

/* A frame of the message, in its order. 0: go on; 1: that was the end; -1:
 * it is none. What a callback refuses is marked. */
static int
take_frame(struct receiving *r, char type, const struct buf *payload,
    struct error *err)
{
	if (type == FRAME_ENVELOPE && !r->envelope_done) {
		if (buf_add(&r->envelope_text, payload->data, payload->len) ==
		    -1)
			return protocol_error(err);
		return 0;
	}
	if (finish_envelope(r, err) == -1)
		return -1;
	if (r->refused)
		return 0;
	if (type == FRAME_BODY && !r->header_seen)
		take_body(r, payload);
	else if (type == FRAME_QUESTION)
		return answer(r,
		    r->receiver->is_denied(r->receiver->arg, payload->data)
			? YES
			: NO,
		    err);
	else if (type == FRAME_HEADER)
		take_header(r, payload);
	else if (type == FRAME_END && r->header_seen)
		return take_end(r, payload, err);
	else
		return protocol_error(err);
	return 0;
}

/* The same for a message that may be refused already: the rest is read and
 * dropped. */
static int
take_or_drop(struct receiving *r, char type, const struct buf *payload,
    struct error *err)
{
	int taken;

	if (!r->refused) {
		taken = take_frame(r, type, payload, err);
		if (taken != 0 || !r->refused)
			return taken;
	}
	return type == FRAME_QUESTION ? answer(r, NO, err) : type == FRAME_END;
}

/* Frames up to the end of a message. */
static enum handoff_got
receive_frames(struct receiving *r, int fd, struct error *err)
{
	enum handoff_got end = HANDOFF_BROKEN;
	struct buf payload;
	int got = 0, taken = 0;
	char type = 0;

	buf_init(&payload, HANDOFF_PAYLOAD_MAX);
	while (taken == 0) {
		got = read_frame(fd, r->receiver, &type, &payload, err);
		if (got != 1 || type == FRAME_DROP)
			break;
		r->begun = true;
		taken = take_or_drop(r, type, &payload, err);
	}
	if (taken == 1)
		end = HANDOFF_MESSAGE;
	else if (taken == 0 && got == 1)
		end = HANDOFF_DROPPED;
	else if (taken == 0 && got == 0 && !r->begun)
		end = HANDOFF_CLOSED;
	else if (taken == 0 && got == 0)
		error_set(err, EX_TEMPFAIL, "4.3.0",
		    "the message was not completed, nothing was sent");
	buf_release(&payload);
	return end;
}

enum handoff_got
handoff_receive(int fd, struct envelope *envelope, struct buf *header,
    struct handoff_end *end, const struct handoff_receiver *receiver,
    struct error *err)
{
	struct receiving r = {
		.envelope = envelope,
		.header = header,
		.end = end,
		.receiver = receiver,
	};
	enum handoff_got got;

	error_clear(&r.refusal);
	buf_init(&r.envelope_text, HANDOFF_ENVELOPE_MAX);
	got = receive_frames(&r, fd, err);
	buf_release(&r.envelope_text);
	if (got != HANDOFF_MESSAGE || !r.refused)
		return got;
	*err = r.refusal;
	return HANDOFF_REFUSED;
}

int
handoff_trace(int fd, const char *text)
{
	/* So much goes into a pipe as a whole, or not at all. */
	char frame[PIPE_BUF];
	size_t len = strnlen(text, sizeof(frame) - FRAME_HEAD);

	put_head(frame, FRAME_TRACE, len);
	memcpy(frame + FRAME_HEAD, text, len);
	return file_write_within(
	    fd, frame, FRAME_HEAD + len, HANDOFF_TRACE_WAIT);
}

static void
write_text(int fd, enum frame_type type, const char *text)
{
	size_t len = strlen(text);

	(void)write_frame(fd, type, text,
	    len < HANDOFF_PAYLOAD_MAX ? len : HANDOFF_PAYLOAD_MAX);
}

void
handoff_note(int fd, const char *text)
{
	write_text(fd, FRAME_NOTE, text);
}

void
handoff_hint(int fd, const char *text)
{
	write_text(fd, FRAME_HINT, text);
}

void
handoff_answer(int fd, const char *id, const struct error *result)
{
	struct buf text;

	buf_init(&text, HANDOFF_PAYLOAD_MAX);
	record_begin(&text, "result");
	record_put(&text, "id", id);
	record_put_error(&text, result);
	(void)write_frame(fd, FRAME_RESULT, text.data, text.len);
	buf_release(&text);
}
