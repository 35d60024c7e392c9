/* Both ends of the pipe, in one process: what sendmail's end writes is read
 * by submit's, whole, cut and forged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "submit/handoff.h"

#define ID "025X8FX5ZHF34L6X"
#define BODY_MAX (1024u * 1024)

struct received {
	struct envelope envelope;
	struct buf header;
	struct buf body;
	struct handoff_end end;
	unsigned envelopes; /* calls of on_envelope */
	bool refuse;
	int answers; /* where answers to questions go */
	struct error err;
	enum handoff_got got;
};

static int
on_envelope(void *arg, struct envelope *envelope, struct error *err)
{
	struct received *r = arg;

	(void)envelope;
	r->envelopes++;
	if (r->refuse)
		return error_set(err, EX_NOPERM, "5.7.1", "you may not");
	return 0;
}

static int
on_body(void *arg, const char *bytes, size_t len, struct error *err)
{
	struct received *r = arg;

	(void)err;
	return buf_add(&r->body, bytes, len);
}

static bool
is_denied(void *arg, const char *address)
{
	(void)arg;
	return strcmp(address, "boss@contoso.com") == 0;
}

static void
received_init(struct received *r)
{
	*r = (struct received){ .envelopes = 0 };
	envelope_init(&r->envelope);
	buf_init(&r->header, HANDOFF_HEADER_MAX);
	buf_init(&r->body, BODY_MAX);
}

static void
received_release(struct received *r)
{
	envelope_release(&r->envelope);
	buf_release(&r->header);
	buf_release(&r->body);
}

/* Let submit's end read the next message. */
static enum handoff_got
receive_from(struct received *r, int fd)
{
	const struct handoff_receiver receiver = {
		.on_envelope = on_envelope,
		.on_body = on_body,
		.is_denied = is_denied,
		.arg = r,
		.answer_fd = r->answers,
	};

	return handoff_receive(
	    fd, &r->envelope, &r->header, &r->end, &receiver, &r->err);
}

/* A file of these bytes, to be read. */
static int
file_of(const void *bytes, size_t len)
{
	char path[] = "/tmp/handoff-test-XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	unlink(path);
	assert_int_equal(file_write_all(fd, bytes, len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Let it read these bytes: 0 for a message. */
static int
receive(struct received *r, const void *bytes, size_t len)
{
	int fd = file_of(bytes, len);

	r->got = receive_from(r, fd);
	close(fd);
	return r->got == HANDOFF_MESSAGE ? 0 : -1;
}

static void
fill(struct envelope *e)
{
	struct error err;

	envelope_init(e);
	e->account = xstrdup("alerts@contoso.com");
	e->sender = xstrdup("alerts@contoso.com");
	assert_int_equal(envelope_add(e, "a@example.org", &err), 0);
}

/* What sendmail's end writes for a message, appended to 'out'. */
static void
write_message(struct buf *out, const char *body, size_t body_len)
{
	struct handoff h = { .child = -1, .from = -1 };
	struct handoff_end end = {
		.body_size = body_len,
		.eight_bit = true,
		.lines = CONTENT_BREAK,
		.mail_errors = true,
	};
	char path[] = "/tmp/handoff-test-XXXXXX";
	struct envelope e;
	struct error err;

	fill(&e);
	h.to = mkstemp(path);
	assert_int_equal(handoff_envelope(&h, &e, &err), 0);
	assert_int_equal(handoff_body(&h, body, body_len, &err), 0);
	assert_int_equal(handoff_header(&h, "From: x\r\n\r\n", 11, &err), 0);
	assert_int_equal(handoff_end(&h, &end, &err), 0);
	close(h.to);
	assert_int_equal(file_read(path, out, &err), 0);
	unlink(path);
	envelope_release(&e);
}

static void
a_message_arrives_as_it_was_handed_over(void **state)
{
	struct received r;
	struct buf wire;

	(void)state;
	buf_init(&wire, BODY_MAX);
	write_message(&wire, "line\r\n.\r\n", 9);
	received_init(&r);
	assert_int_equal(receive(&r, wire.data, wire.len), 0);
	assert_string_equal(r.envelope.account, "alerts@contoso.com");
	assert_string_equal(r.envelope.recipients[0].address, "a@example.org");
	assert_true(r.envelope.eight_bit);
	assert_int_equal(r.end.lines, CONTENT_BREAK);
	assert_true(r.end.mail_errors);
	assert_false(r.end.queue_only);
	assert_string_equal(r.body.data, "line\r\n.\r\n");
	assert_string_equal(r.header.data, "From: x\r\n\r\n");
	assert_int_equal(r.envelopes, 1);
	received_release(&r);
	buf_release(&wire);
}

static void
a_body_of_several_frames_and_an_empty_one_arrive(void **state)
{
	size_t len = 3 * HANDOFF_PAYLOAD_MAX + 1;
	char *body = xmalloc(len);
	struct received r;
	struct buf wire;

	(void)state;
	memset(body, 'b', len);
	buf_init(&wire, BODY_MAX);
	write_message(&wire, body, len);
	received_init(&r);
	assert_int_equal(receive(&r, wire.data, wire.len), 0);
	assert_int_equal(r.body.len, len);
	received_release(&r);
	buf_clear(&wire);
	write_message(&wire, "", 0);
	received_init(&r);
	assert_int_equal(receive(&r, wire.data, wire.len), 0);
	assert_int_equal(r.body.len, 0);
	received_release(&r);
	buf_release(&wire);
	free(body);
}

static void
a_question_is_answered_between_body_and_header(void **state)
{
	static const char questions[] = "Q\0\0\0\x10"
					"boss@contoso.com"
					"Q\0\0\0\1x";
	static const char answers[] = "A\0\0\0\3yes"
				      "A\0\0\0\2no";
	char path[] = "/tmp/handoff-test-XXXXXX", *header;
	struct received r;
	struct buf wire, said;

	(void)state;
	buf_init(&wire, BODY_MAX);
	buf_init(&said, BODY_MAX);
	write_message(&wire, "body\r\n", 6);
	header = memmem(wire.data, wire.len, "H\0\0\0\13", 5);
	assert_non_null(header);
	assert_int_equal(buf_splice(&wire, (size_t)(header - wire.data), 0,
			     questions, sizeof(questions) - 1),
	    0);
	received_init(&r);
	r.answers = mkstemp(path);
	assert_int_equal(receive(&r, wire.data, wire.len), 0);
	assert_string_equal(r.body.data, "body\r\n");
	assert_int_equal(file_read(path, &said, &r.err), 0);
	assert_int_equal(said.len, sizeof(answers) - 1);
	assert_memory_equal(said.data, answers, said.len);
	close(r.answers);
	unlink(path);
	received_release(&r);
	buf_release(&wire);
	buf_release(&said);
}

static void
cut_anywhere_it_is_no_message(void **state)
{
	struct received r;
	struct buf wire;

	(void)state;
	buf_init(&wire, BODY_MAX);
	write_message(&wire, "body\r\n", 6);
	for (size_t len = 0; len < wire.len; len++) {
		received_init(&r);
		assert_int_equal(receive(&r, wire.data, len), -1);
		assert_int_equal(
		    r.got, len == 0 ? HANDOFF_CLOSED : HANDOFF_BROKEN);
		if (len > 0)
			assert_int_equal(r.err.exit_code, EX_TEMPFAIL);
		received_release(&r);
	}
	buf_release(&wire);
}

static void
a_refused_envelope_has_the_rest_dropped(void **state)
{
	struct received r;
	struct buf wire;

	(void)state;
	buf_init(&wire, BODY_MAX);
	write_message(&wire, "body\r\n", 6);
	received_init(&r);
	r.refuse = true;
	assert_int_equal(receive(&r, wire.data, wire.len), -1);
	assert_int_equal(r.got, HANDOFF_REFUSED);
	assert_int_equal(r.err.exit_code, EX_NOPERM);
	assert_int_equal(r.body.len, 0);
	received_release(&r);
	buf_release(&wire);
}

/* A message that is begun and given up. */
static void
write_dropped(struct buf *out)
{
	struct handoff h = { .child = -1, .from = -1 };
	char path[] = "/tmp/handoff-test-XXXXXX";
	struct envelope e;
	struct error err;

	fill(&e);
	h.to = mkstemp(path);
	handoff_drop(&h);
	assert_int_equal(handoff_envelope(&h, &e, &err), 0);
	assert_int_equal(handoff_body(&h, "half", 4, &err), 0);
	handoff_drop(&h);
	handoff_drop(&h);
	close(h.to);
	assert_int_equal(file_read(path, out, &err), 0);
	unlink(path);
	envelope_release(&e);
}

static void
several_messages_and_a_dropped_one_come_one_by_one(void **state)
{
	static const enum handoff_got expected[] = { HANDOFF_MESSAGE,
		HANDOFF_DROPPED, HANDOFF_REFUSED, HANDOFF_MESSAGE,
		HANDOFF_CLOSED };
	struct received r;
	struct buf wire;
	int fd;

	(void)state;
	buf_init(&wire, BODY_MAX);
	write_message(&wire, "one\r\n", 5);
	write_dropped(&wire);
	write_message(&wire, "two\r\n", 5);
	write_message(&wire, "three\r\n", 7);
	fd = file_of(wire.data, wire.len);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		received_init(&r);
		r.refuse = expected[i] == HANDOFF_REFUSED;
		assert_int_equal(receive_from(&r, fd), expected[i]);
		if (i == 3)
			assert_string_equal(r.body.data, "three\r\n");
		received_release(&r);
	}
	close(fd);
	buf_release(&wire);
}

static void
frames_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} wires[] = {
		{ "E\xff\xff\xff\xff", 5 }, /* too long */
		{ "B\0\0\0\1x", 6 },        /* no envelope */
		{ "Q\0\0\0\1x", 6 },
		{ "Z\0\0\0\0", 5 },
		{ "?\0\0\0\0", 5 },
		{ "E\0\0\0\4junkZ\0\0\0\0", 14 },
		{ "GET / HTTP/1.1\r\n\r\n", 18 },
	};
	struct received r;

	(void)state;
	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		received_init(&r);
		assert_int_equal(receive(&r, wires[i].bytes, wires[i].len), -1);
		assert_true(
		    r.got == HANDOFF_BROKEN || r.got == HANDOFF_REFUSED);
		assert_int_equal(r.envelopes, 0);
		received_release(&r);
	}
}

static void
an_envelope_that_lacks_something_or_is_done_already_is_refused(void **state)
{
	static const char *const fields[] = {
		"sender: a@contoso.com\nrecipient: b@example.org\n",
		"account: a@contoso.com\nrecipient: b@example.org\n",
		"account: a@contoso.com\nsender: a@contoso.com\n",
		"account: a@contoso.com\nsender: a@contoso.com\n"
		"recipient: b@example.org\nstate: sent\n",
		"account: a@contoso.com\nsender: a@contoso.com\n"
		"recipient: b@example.org\nerror: 75 retry 0 no 4.4.1 why\n",
	};
	struct received r;
	struct buf wire;

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		buf_init(&wire, BODY_MAX);
		(void)buf_add(&wire, "E\0\0\0", 4);
		(void)buf_addf(&wire, "%coutpost-envelope 1\n%s",
		    (char)(19 + strlen(fields[i])), fields[i]);
		(void)buf_add(&wire, "B\0\0\0\1x", 6);
		received_init(&r);
		assert_int_equal(receive(&r, wire.data, wire.len), -1);
		assert_int_equal(r.err.exit_code, EX_SOFTWARE);
		assert_int_equal(r.envelopes, 0);
		received_release(&r);
		buf_release(&wire);
	}
}

static void
a_count_that_does_not_fit_the_body_is_refused(void **state)
{
	struct received r;
	struct buf wire;
	char *size;

	(void)state;
	buf_init(&wire, BODY_MAX);
	write_message(&wire, "body\r\n", 6);
	size = memmem(wire.data, wire.len, "body_size: 6", 12);
	assert_non_null(size);
	size[11] = '7';
	received_init(&r);
	assert_int_equal(receive(&r, wire.data, wire.len), -1);
	received_release(&r);
	buf_release(&wire);
}

/* An envelope of these lines, then a body. */
static int
receive_envelope(struct received *r, const char *lines)
{
	struct buf wire, text;
	int result;

	buf_init(&wire, BODY_MAX);
	buf_init(&text, BODY_MAX);
	(void)buf_addf(&text, "outpost-envelope 1\n%s", lines);
	(void)buf_add(&wire, "E\0\0\0", 4);
	(void)buf_addc(&wire, (char)text.len);
	(void)buf_add(&wire, text.data, text.len);
	(void)buf_add(&wire, "B\0\0\0\1x", 6);
	result = receive(r, wire.data, wire.len);
	buf_release(&text);
	buf_release(&wire);
	return result;
}

#define ACCOUNT "account: a@example.org\n"
#define SENDER "sender: a@example.org\n"
#define RECIPIENT "recipient: b@example.org\n"

static void
an_envelope_that_lacks_something_or_has_a_verdict_is_refused(void **state)
{
	static const char *const envelopes[] = {
		SENDER RECIPIENT,
		ACCOUNT RECIPIENT,
		ACCOUNT SENDER,
		ACCOUNT SENDER RECIPIENT "state: sent\n",
		ACCOUNT SENDER RECIPIENT "state: refused\n",
		ACCOUNT SENDER RECIPIENT "error: 69 retry 0 no 4.4.1 forged\n",
	};
	struct received r;

	(void)state;
	for (size_t i = 0; i < sizeof(envelopes) / sizeof(envelopes[0]); i++) {
		received_init(&r);
		assert_int_equal(receive_envelope(&r, envelopes[i]), -1);
		assert_int_equal(r.err.exit_code, EX_SOFTWARE);
		assert_int_equal(r.envelopes, 0);
		received_release(&r);
	}
	received_init(&r);
	(void)receive_envelope(&r, ACCOUNT SENDER RECIPIENT);
	assert_int_equal(r.envelopes, 1);
	received_release(&r);
}

struct lines {
	struct buf text;
	char id[ID_SIZE];
};

static void
on_line(void *arg, char kind, const char *text)
{
	struct lines *lines = arg;

	(void)buf_addf(&lines->text, "%c %s\n", kind, text);
}

/* Let sendmail's end read what submit's end answers. */
static int
answer(const struct error *result, bool with_lines, struct lines *lines,
    struct error *err)
{
	struct handoff h = { .child = -1, .to = -1 };
	int ends[2], got;

	assert_int_equal(pipe(ends), 0);
	if (with_lines) {
		assert_int_equal(handoff_trace(ends[1], "S: 220 hello"), 0);
		handoff_note(ends[1], "<b@x> was refused");
		handoff_note(ends[1], "");
	}
	if (result != NULL)
		handoff_answer(ends[1], ID, result);
	close(ends[1]);
	h.from = ends[0];
	got = handoff_result(&h, on_line, lines, err);
	strlcpy(lines->id, h.id, sizeof(lines->id));
	return got;
}

static void
lines_and_the_result_come_back(void **state)
{
	struct error sent, failed, err;
	struct lines lines;

	(void)state;
	buf_init(&lines.text, BODY_MAX);
	error_clear(&sent);
	assert_int_equal(answer(&sent, true, &lines, &err), 0);
	assert_string_equal(
	    lines.text.data, "T S: 220 hello\nN <b@x> was refused\nN \n");
	assert_string_equal(lines.id, ID);
	error_set(&failed, EX_TEMPFAIL, "4.4.1", "cannot connect");
	error_hint(&failed, "wait");
	failed.retry_after = 60;
	failed.uncertain = true;
	assert_int_equal(answer(&failed, false, &lines, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_string_equal(err.text, "cannot connect");
	assert_string_equal(err.hint, "wait");
	assert_int_equal(err.retry_after, 60);
	assert_true(err.uncertain);
	buf_release(&lines.text);
}

/* sendmail's end with a pipe from which it reads these bytes, and its own
 * words going nowhere. */
static struct handoff
hears(const void *bytes, size_t len)
{
	struct handoff h = { .child = -1 };
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(file_write_all(ends[1], bytes, len), 0);
	close(ends[1]);
	h.from = ends[0];
	h.to = open("/dev/null", O_WRONLY);
	return h;
}

static void
a_question_is_heard_as_it_is_answered(void **state)
{
	struct handoff yes = hears("A\0\0\0\3yes", 8);
	struct handoff no = hears("A\0\0\0\2no", 7);
	struct handoff nothing = hears("", 0);

	(void)state;
	assert_true(handoff_is_denied(&yes, "boss@contoso.com"));
	assert_false(handoff_is_denied(&no, "boss@contoso.com"));
	assert_false(handoff_is_denied(&nothing, "boss@contoso.com"));
	handoff_close(&yes);
	handoff_close(&no);
	handoff_close(&nothing);
}

static void
a_refusal_instead_of_an_answer_is_the_result(void **state)
{
	struct error refusal, err;
	struct handoff h = { .child = -1, .to = -1 };
	int ends[2];

	(void)state;
	error_set(&refusal, EX_NOPERM, "5.7.1", "you may not");
	assert_int_equal(pipe(ends), 0);
	handoff_answer(ends[1], "", &refusal);
	close(ends[1]);
	h.from = ends[0];
	h.to = open("/dev/null", O_WRONLY);
	assert_false(handoff_is_denied(&h, "boss@contoso.com"));
	assert_false(handoff_is_denied(&h, "boss@contoso.com"));
	assert_int_equal(handoff_result(&h, on_line, NULL, &err), -1);
	assert_string_equal(err.text, "you may not");
}

static void
a_dialogue_that_nobody_reads_does_not_block(void **state)
{
	char line[PIPE_BUF * 2];
	size_t lines = 0;
	int ends[2];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(pipe(ends), 0);
	while (handoff_trace(ends[1], line) == 0)
		lines++;
	assert_in_range(lines, 1, 1024);
	close(ends[0]);
	assert_int_equal(handoff_trace(ends[1], line), -1);
	close(ends[1]);
}

static void
no_answer_is_a_temporary_failure(void **state)
{
	struct lines lines;
	struct error err;

	(void)state;
	buf_init(&lines.text, BODY_MAX);
	assert_int_equal(answer(NULL, true, &lines, &err), -1);
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	buf_release(&lines.text);
}

static const struct handoff_setup nowhere = { .libexec = "/nonexistent" };

static void
a_program_that_is_not_there_is_named(void **state)
{
	struct handoff h;
	struct error err;

	(void)state;
	/* valgrind's fork for vfork keeps the child's failure from us. */
	if (getenv("OUTPOST_MEMCHECK") != NULL)
		skip();
	assert_int_equal(handoff_start(&h, &nowhere, &err), -1);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_non_null(strstr(err.text, "/nonexistent/submit"));
}

static int
start(struct error *err)
{
	struct handoff h;

	return handoff_start(&h, &nowhere, err);
}

/* A process of its own, since limits count for no root and come back for
 * nobody. */
static void
no_room_for_a_process_is_temporary(void **state)
{
	const struct rlimit none = { 0, 0 };
	struct error err;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		if ((geteuid() == 0 && setuid(65534) == -1) ||
		    setrlimit(RLIMIT_NPROC, &none) == -1)
			_exit(1);
		_exit(start(&err) == -1 && err.exit_code == EX_TEMPFAIL &&
			      err.class == ERROR_RETRY
			  ? 0
			  : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int
ignore_sigpipe(void **state)
{
	(void)state;
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
}

static void
a_submit_that_listens_no_more_does_not_stop_the_reading(void **state)
{
	struct handoff h = { .child = -1, .from = -1 };
	struct error err;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	h.to = ends[1];
	assert_int_equal(handoff_body(&h, "x", 1, &err), 0);
	assert_true(h.closed);
	assert_int_equal(handoff_body(&h, "x", 1, &err), 0);
	handoff_close(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_arrives_as_it_was_handed_over),
		cmocka_unit_test(
		    a_body_of_several_frames_and_an_empty_one_arrive),
		cmocka_unit_test(
		    a_question_is_answered_between_body_and_header),
		cmocka_unit_test(a_question_is_heard_as_it_is_answered),
		cmocka_unit_test(a_refusal_instead_of_an_answer_is_the_result),
		cmocka_unit_test(cut_anywhere_it_is_no_message),
		cmocka_unit_test(a_refused_envelope_has_the_rest_dropped),
		cmocka_unit_test(
		    several_messages_and_a_dropped_one_come_one_by_one),
		cmocka_unit_test(frames_that_are_none_are_refused),
		cmocka_unit_test(
		    an_envelope_that_lacks_something_or_is_done_already_is_refused),
		cmocka_unit_test(a_count_that_does_not_fit_the_body_is_refused),
		cmocka_unit_test(
		    an_envelope_that_lacks_something_or_has_a_verdict_is_refused),
		cmocka_unit_test(lines_and_the_result_come_back),
		cmocka_unit_test(a_dialogue_that_nobody_reads_does_not_block),
		cmocka_unit_test(no_answer_is_a_temporary_failure),
		cmocka_unit_test(a_program_that_is_not_there_is_named),
		cmocka_unit_test(no_room_for_a_process_is_temporary),
		cmocka_unit_test(
		    a_submit_that_listens_no_more_does_not_stop_the_reading),
	};

	return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}
