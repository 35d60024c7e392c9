/* Plays SMTP talks, written as text, to a session: no socket, no clock.
 *
 *	play FILE…		prints TAP
 *
 * A file is a header, a blank line and a talk. Lines with # are comments.
 * Header, "key: value":
 *
 *	mailbox, sender, token	who logs in, MAIL FROM, access token
 *	recipient		once for each
 *	size			of the message
 *	max-recipients		in a transaction
 *	notify, ret, envid	delivery status wishes; orcpt and
 *				recipient-notify: of the last recipient
 *	options			chunking two-step eight-bit smtputf8 whole
 *	jobs			login send probe …; "login send" if not given
 *
 * The talk:
 *
 *	S: text		the server says this line; P: the same without line end
 *	S: <LOST>	the connection is lost
 *	C: text		the session must say exactly this line; <AUTH> stands
 *			for the base64 of mailbox and token
 *	C: <TLS>	it must ask for TLS here
 *	C: <CONTENT>	it must ask for the content here
 *	R: state address [class status]		a recipient in the end
 *	E: class exit status text	how the last job failed; text is a
 *			part of the sentence
 *	T: word		token-rejected, two-step, uncertain, closed, idle
 *
 * In S and P, \0 is a NUL, \r a CR, \n an LF. Each talk is played twice: with all
 * lines that the server says in a row at once, and byte by byte, unless the
 * option "whole" says that this makes a difference.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "smtp/session.h"
#include "smtp/xoauth2.h"

#define FILE_MAX (1024u * 1024)
#define LINES_MAX 4000
#define JOBS_MAX 16

struct talk {
	const char *name;
	struct buf text;
	char *lines[LINES_MAX];
	size_t count;
	size_t at; /* the next line */
	char *mailbox, *token;
	unsigned long long size;
	size_t max_recipients;
	bool chunking, two_step, whole;
	const char *jobs[JOBS_MAX];
	size_t job_count, job;
	struct envelope envelope;
	struct smtp_session *session;
	struct buf auth; /* what <AUTH> stands for */
	bool bytewise;
	bool failed;
	bool uncertain;
};

static void fail(struct talk *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
fail(struct talk *t, const char *format, ...)
{
	va_list ap;

	printf("# %s: ", t->name);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	t->failed = true;
}

/* ---- the header */

static void
set(char **field, const char *value)
{
	free(*field);
	*field = xstrdup(value);
}

static void
read_options(struct talk *t, char *value)
{
	char *word;

	while ((word = strsep(&value, " ")) != NULL)
		if (strcmp(word, "chunking") == 0)
			t->chunking = true;
		else if (strcmp(word, "two-step") == 0)
			t->two_step = true;
		else if (strcmp(word, "eight-bit") == 0)
			t->envelope.eight_bit = true;
		else if (strcmp(word, "smtputf8") == 0)
			t->envelope.smtputf8 = true;
		else if (strcmp(word, "whole") == 0)
			t->whole = true;
		else
			fail(t, "unknown option '%s'", word);
}

static void
read_jobs(struct talk *t, char *value)
{
	char *word;

	t->job_count = 0;
	while ((word = strsep(&value, " ")) != NULL && t->job_count < JOBS_MAX)
		t->jobs[t->job_count++] = word;
}

static void
read_field(struct talk *t, const char *key, char *value)
{
	struct envelope *e = &t->envelope;

	if (strcmp(key, "mailbox") == 0)
		set(&t->mailbox, value);
	else if (strcmp(key, "token") == 0)
		set(&t->token, value);
	else if (strcmp(key, "sender") == 0)
		set(&e->sender, value);
	else if (strcmp(key, "recipient") == 0)
		(void)envelope_add(e, value, NULL);
	else if (strcmp(key, "orcpt") == 0 && e->count > 0)
		set(&e->recipients[e->count - 1].original, value);
	else if (strcmp(key, "recipient-notify") == 0 && e->count > 0)
		set(&e->recipients[e->count - 1].notify, value);
	else if (strcmp(key, "notify") == 0)
		set(&e->notify, value);
	else if (strcmp(key, "ret") == 0)
		set(&e->ret, value);
	else if (strcmp(key, "envid") == 0)
		set(&e->envid, value);
	else if (strcmp(key, "size") == 0)
		t->size = strtoull(value, NULL, 10);
	else if (strcmp(key, "max-recipients") == 0)
		t->max_recipients = strtoul(value, NULL, 10);
	else if (strcmp(key, "options") == 0)
		read_options(t, value);
	else if (strcmp(key, "jobs") == 0)
		read_jobs(t, value);
	else
		fail(t, "unknown key '%s'", key);
}

static void
read_header(struct talk *t, char **text)
{
	char *line, *value;

	while ((line = strsep(text, "\n")) != NULL && *line != '\0') {
		if (*line == '#')
			continue;
		value = strstr(line, ": ");
		if (value == NULL) {
			fail(t, "not a header line: %s", line);
			continue;
		}
		*value = '\0';
		read_field(t, line, value + 2);
	}
}

static void
read_lines(struct talk *t, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (*line == '\0' || *line == '#')
			continue;
		if (strlen(line) < 2 || line[1] != ':' ||
		    strchr("SPCRET", line[0]) == NULL)
			fail(t, "not a line of a talk: %s", line);
		else if (t->count == LINES_MAX)
			fail(t, "more than %d lines", LINES_MAX);
		else
			t->lines[t->count++] = line;
	}
}

/* ---- the talk */

static const char *
line_text(const char *line)
{
	return line[2] == ' ' ? line + 3 : line + 2;
}

static const char *
next_line(const struct talk *t, const char *kinds)
{
	if (t->at == t->count || strchr(kinds, t->lines[t->at][0]) == NULL)
		return NULL;
	return t->lines[t->at];
}

/* The session said 'said': is it what the talk says? */
static void
expect(struct talk *t, const char *said)
{
	const char *line = next_line(t, "C");
	const char *want, *mark;
	struct buf whole;

	if (line == NULL) {
		fail(t, "line %zu: not expected: C: %s", t->at + 1, said);
		return;
	}
	t->at++;
	want = line_text(line);
	buf_init(&whole, FILE_MAX);
	mark = strstr(want, "<AUTH>");
	(void)buf_add(
	    &whole, want, mark != NULL ? (size_t)(mark - want) : strlen(want));
	if (mark != NULL)
		(void)buf_adds(&whole, t->auth.data);
	if (strcmp(whole.data, said) != 0)
		fail(t, "expected %s, got C: %s", line, said);
	buf_release(&whole);
}

static void
check_output(struct talk *t)
{
	struct buf copy;
	char *rest, *line;

	buf_init(&copy, FILE_MAX);
	(void)buf_add(&copy, session_output(t->session)->data,
	    session_output(t->session)->len);
	session_written(t->session);
	rest = copy.data;
	while (!t->failed && *rest != '\0') {
		char *end = strstr(rest, "\r\n");

		if (end == NULL) {
			fail(t, "a command without CRLF: %s", rest);
			break;
		}
		*end = '\0';
		line = rest;
		rest = end + 2;
		expect(t, line);
	}
	buf_release(&copy);
}

static void
add_unescaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (text[0] == '\\' && text[1] == '0') {
			(void)buf_addc(out, '\0');
			text++;
		} else if (text[0] == '\\' && text[1] == 'r') {
			(void)buf_addc(out, '\r');
			text++;
		} else if (text[0] == '\\' && text[1] == 'n') {
			(void)buf_addc(out, '\n');
			text++;
		} else
			(void)buf_addc(out, *text);
}

static void
lose(struct talk *t)
{
	struct error why;

	error_set(&why, EX_TEMPFAIL, "4.4.2", "the connection was lost");
	session_lost(t->session, &why);
}

/* All that the server says now. */
static void
feed(struct talk *t)
{
	struct buf bytes;
	const char *line;

	buf_init(&bytes, FILE_MAX);
	while ((line = next_line(t, "SP")) != NULL &&
	       strcmp(line, "S: <LOST>") != 0) {
		add_unescaped(&bytes, line_text(line));
		if (line[0] == 'S')
			(void)buf_adds(&bytes, "\r\n");
		t->at++;
	}
	if (bytes.len == 0) {
		t->at++;
		lose(t);
	} else if (t->bytewise)
		for (size_t i = 0; i < bytes.len; i++)
			session_receive(t->session, bytes.data + i, 1);
	else
		session_receive(t->session, bytes.data, bytes.len);
	buf_release(&bytes);
}

static void
send_content(struct talk *t)
{
	if (session_chunking(t->session)) {
		session_chunk(t->session, (size_t)t->size, true);
		check_output(t);
	}
	expect(t, "<CONTENT>");
	session_body_sent(t->session);
}

/* What the caller of a session does when nothing is under way. False when
 * there is no more. */
static bool
next_job(struct talk *t)
{
	const char *job;

	if (session_more(t->session)) {
		session_send(t->session, &t->envelope, t->size);
		return true;
	}
	if (t->job == t->job_count)
		return false;
	job = t->jobs[t->job++];
	if (strcmp(job, "login") == 0)
		session_auth(t->session, t->mailbox, t->token);
	else if (strcmp(job, "send") == 0)
		session_send(t->session, &t->envelope, t->size);
	else if (strcmp(job, "probe") == 0)
		session_probe(t->session, t->envelope.sender);
	else if (strcmp(job, "quit") == 0)
		session_quit(t->session);
	else
		fail(t, "unknown job '%s'", job);
	return true;
}

/* One step. False at the end of the talk. */
static bool
step(struct talk *t)
{
	enum session_want want = session_want(t->session);

	check_output(t);
	if (want == SESSION_CLOSED)
		return false;
	if (next_line(t, "SP") != NULL) {
		feed(t);
		return true;
	}
	switch (want) {
	case SESSION_IDLE:
		return next_job(t);
	case SESSION_TLS:
		expect(t, "<TLS>");
		session_tls_started(t->session);
		return true;
	case SESSION_BODY:
		send_content(t);
		return true;
	case SESSION_REPLY:
	case SESSION_CLOSED:
		break;
	}
	fail(t, "line %zu: the session waits for a reply", t->at + 1);
	return false;
}

/* ---- the end */

static const struct recipient *
find_recipient(const struct envelope *e, const char *address)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->recipients[i].address, address) == 0)
			return &e->recipients[i];
	return NULL;
}

static void
check_recipient(struct talk *t, const char *line)
{
	static const char *const names[] = { "pending", "sent", "refused" };
	char state[16] = "", address[256] = "", class[16] = "", status[16] = "";
	const struct recipient *r;

	sscanf(line_text(line), "%15s %255s %15s %15s", state, address, class,
	    status);
	r = find_recipient(&t->envelope, address);
	if (r == NULL || strcmp(names[r->state], state) != 0) {
		fail(t, "expected %s, but it is %s", line,
		    r != NULL ? names[r->state] : "unknown");
		return;
	}
	if (r->error != NULL && r->error->uncertain)
		t->uncertain = true;
	if (*class == '\0')
		return;
	if (r->error == NULL ||
	    strcmp(error_class_name(r->error->class), class) != 0 ||
	    strcmp(r->error->status, status) != 0)
		fail(t, "expected %s, got %s %s: %s", line,
		    r->error != NULL ? error_class_name(r->error->class) : "-",
		    r->error != NULL ? r->error->status : "",
		    r->error != NULL ? r->error->text : "");
}

static void
check_error(struct talk *t, const char *line, const struct error *err)
{
	char class[16] = "", status[16] = "";
	int exit_code = 0, text = 0;

	sscanf(line_text(line), "%15s %d %15s %n", class, &exit_code, status,
	    &text);
	if (strcmp(error_class_name(err->class), class) != 0 ||
	    err->exit_code != exit_code || strcmp(err->status, status) != 0 ||
	    strstr(err->text, line_text(line) + text) == NULL)
		fail(t, "expected %s, got %s %d %s %s", line,
		    error_class_name(err->class), err->exit_code, err->status,
		    err->text);
}

static void
check_word(struct talk *t, const char *word)
{
	enum session_want want = session_want(t->session);
	bool yes = false;

	if (strcmp(word, "token-rejected") == 0)
		yes = session_token_rejected(t->session);
	else if (strcmp(word, "two-step") == 0)
		yes = session_needs_two_step(t->session);
	else if (strcmp(word, "uncertain") == 0)
		yes = t->uncertain;
	else if (strcmp(word, "closed") == 0)
		yes = want == SESSION_CLOSED;
	else if (strcmp(word, "idle") == 0)
		yes = want == SESSION_IDLE;
	if (!yes)
		fail(t, "not true: %s", word);
}

static void
check_end(struct talk *t)
{
	struct error err;
	int result = session_result(t->session, &err);
	bool told = false;

	while (!t->failed && t->at < t->count) {
		const char *line = t->lines[t->at++];

		switch (line[0]) {
		case 'R':
			check_recipient(t, line);
			break;
		case 'E':
			told = true;
			if (result == 0)
				fail(t, "expected %s, but it worked", line);
			else
				check_error(t, line, &err);
			break;
		case 'T':
			check_word(t, line_text(line));
			break;
		default:
			fail(t, "not reached: %s", line);
		}
	}
	if (!t->failed && result == -1 && !told)
		fail(t, "failed: %s %d %s %s", error_class_name(err.class),
		    err.exit_code, err.status, err.text);
}

static void
talk_init(struct talk *t, const char *name, bool bytewise)
{
	*t = (struct talk){
		.name = name,
		.bytewise = bytewise,
		.mailbox = xstrdup("alerts@contoso.com"),
		.token = xstrdup("EwB.token"),
		.size = 1000,
		.jobs = { "login", "send" },
		.job_count = 2,
	};
	buf_init(&t->text, FILE_MAX);
	buf_init(&t->auth, XOAUTH2_MAX);
	envelope_init(&t->envelope);
	t->envelope.sender = xstrdup("alerts@contoso.com");
}

static void
talk_release(struct talk *t)
{
	session_free(t->session);
	envelope_release(&t->envelope);
	buf_release(&t->text);
	buf_release(&t->auth);
	free(t->mailbox);
	free(t->token);
}

static void
play(struct talk *t)
{
	struct session_options options = { .helo = "client.example" };
	struct error err;
	char *text;

	if (file_read(t->name, &t->text, &err) == -1) {
		fail(t, "%s", err.text);
		return;
	}
	text = t->text.data;
	read_header(t, &text);
	read_lines(t, text);
	if (t->whole && t->bytewise)
		return;
	options.chunking = t->chunking;
	options.two_step_auth = t->two_step;
	options.max_recipients = t->max_recipients;
	t->session = session_new(&options);
	(void)xoauth2_response(&t->auth, t->mailbox, t->token, NULL);
	while (!t->failed && step(t))
		;
	if (!t->failed)
		check_end(t);
}

int
main(int argc, char **argv)
{
	static struct talk talk;
	bool all = true;

	printf("1..%d\n", (argc - 1) * 2);
	for (int i = 1; i < argc; i++)
		for (int bytewise = 0; bytewise < 2; bytewise++) {
			talk_init(&talk, argv[i], bytewise == 1);
			play(&talk);
			all = all && !talk.failed;
			printf("%s %d - %s%s\n", talk.failed ? "not ok" : "ok",
			    i * 2 - 1 + bytewise, argv[i],
			    bytewise == 1 ? ", byte by byte" : "");
			talk_release(&talk);
		}
	return all ? 0 : 1;
}
