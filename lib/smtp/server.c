#include "smtp/server.h"

#include <stdarg.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "smtp/data.h"

/* More output than this is written before more is read. */
#define OUTPUT_HIGH (32u * 1024)
#define OUTPUT_MAX (256u * 1024)
#define REPLY_MAX (16u * 1024)
#define PIECE (64u * 1024) /* of content, passed on at once */

enum reading {
	READING_COMMANDS,
	READING_DATA,
	READING_CHUNK, /* of BDAT */
	READING_NOTHING,
};

enum line_end {
	LINE_END_UNKNOWN, /* the first line is not yet over */
	LINE_END_CRLF,
	LINE_END_LF,
};

struct smtp_server {
	struct server_options options;
	struct buf output;
	struct buf line; /* the command so far */
	bool line_long;  /* … of which there was more than fits */
	char last;       /* the byte before */
	enum line_end line_end;
	enum reading reading;
	unsigned errors;
	struct error told; /* the last that was */

	/* The transaction. */
	bool mail;
	size_t recipients;
	bool chunks;             /* it has a BDAT */
	bool failed;             /* its content will not be taken … */
	struct error why;        /* … because of this */
	unsigned long long size; /* octets of its content so far */
	struct data_reader data;
	unsigned long long chunk_left;
	bool chunk_last;
};

struct smtp_server *
server_new(const struct server_options *options)
{
	struct smtp_server *s = xcalloc(1, sizeof(*s));

	s->options = *options;
	buf_init(&s->output, OUTPUT_MAX);
	buf_init(&s->line, COMMAND_LINE_MAX + 1);
	return s;
}

static void
reset(struct smtp_server *s)
{
	if (s->mail)
		s->options.reset(s->options.arg);
	s->mail = s->chunks = s->failed = false;
	s->recipients = 0;
	s->size = 0;
}

void
server_free(struct smtp_server *s)
{
	if (s == NULL)
		return;
	reset(s);
	buf_release(&s->output);
	buf_release(&s->line);
	free(s);
}

const struct buf *
server_output(const struct smtp_server *s)
{
	return &s->output;
}

void
server_written(struct smtp_server *s)
{
	buf_clear(&s->output);
}

bool
server_closed(const struct smtp_server *s)
{
	return s->reading == READING_NOTHING;
}

int
server_result(const struct smtp_server *s, struct error *err)
{
	if (s->told.exit_code == EX_OK)
		return 0;
	*err = s->told;
	return -1;
}

bool
server_in_mail(const struct smtp_server *s)
{
	return s->mail;
}

/* How much of the text goes on a line: all, or up to a blank. */
static size_t
line_part(const char *text, size_t room)
{
	size_t len = strlen(text), cut;

	if (len <= room)
		return len;
	for (cut = room; cut > 0 && text[cut] != ' '; cut--)
		continue;
	return cut > 0 ? cut : room;
}

/* A line of a reply. Other text than ASCII is for those who asked for it. */
static void
put_line(struct smtp_server *s, int code, bool last, const char *status,
    const char *text, size_t len)
{
	(void)buf_addf(&s->output, "%d%c%s%s", code, last ? ' ' : '-', status,
	    *status != '\0' ? " " : "");
	for (size_t i = 0; i < len; i++)
		(void)buf_addc(&s->output,
		    text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
	(void)buf_adds(&s->output, "\r\n");
}

/* "550 5.1.3 text", in several lines where one has not the room. */
static void
put_reply(struct smtp_server *s, int code, const char *status, const char *text)
{
	size_t room = SERVER_REPLY_LINE_MAX - 5 - strlen(status);
	size_t part;

	do {
		part = line_part(text, room);
		put_line(s, code, text[part] == '\0', status, text, part);
		text += part;
		text += *text == ' ';
	} while (*text != '\0');
}

static void say(struct smtp_server *, int code, const char *status,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static void
say(struct smtp_server *s, int code, const char *status, const char *format,
    ...)
{
	char text[REPLY_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	put_reply(s, code, status, text);
}

/* What a status says, for errors that come without a reply of a server. */
/* clang-format off */
static const struct {
	const char *status;	/* what follows the class */
	int temporary, permanent;
} codes[] = {
	{ "1.",    450, 550 },
	{ "2.",    452, 552 },
	{ "3.1",   452, 552 },
	{ "3.4",   452, 552 },
	{ "5.3",   452, 552 },
	{ "7.",    450, 550 },
	{ "",      451, 554 },
};
/* clang-format on */

/* May a server's code stand as the answer to RCPT or to the content? Those of
 * other commands (535) and 421, which would speak for us, may not. */
static bool
is_mail_code(int code)
{
	return (code >= 450 && code <= 455) || (code >= 550 && code <= 555);
}

/* The code of the reply that tells an error, and its status, whose first digit
 * agrees with the code. */
static int
reply_code(const struct error *err, char *status, size_t size)
{
	bool temporary = err->status[0] == '4';
	size_t i = 0;

	if (err->class == ERROR_REFUSED)
		temporary = false;
	else if (err->class == ERROR_RETRY || err->class == ERROR_THROTTLED)
		temporary = true;
	strlcpy(status, err->status[0] != '\0' ? err->status : "5.0.0", size);
	status[0] = temporary ? '4' : '5';
	if (is_mail_code(err->reply) && (err->reply < 500) == temporary)
		return err->reply;
	while (
	    strncmp(status + 2, codes[i].status, strlen(codes[i].status)) != 0)
		i++;
	return temporary ? codes[i].temporary : codes[i].permanent;
}

/* With 'code', or where that is 0 the one that the error has. */
static void
say_error(struct smtp_server *s, int code, const struct error *err)
{
	char status[ERROR_STATUS_SIZE];
	int proper = reply_code(err, status, sizeof(status));

	s->told = *err;
	say(s, code != 0 ? code : proper, status, "%s%s%s", err->text,
	    err->hint[0] != '\0' ? "; hint: " : "", err->hint);
}

static void
close_session(struct smtp_server *s)
{
	reset(s);
	s->reading = READING_NOTHING;
}

void
server_greet(struct smtp_server *s)
{
	say(s, 220, "", "%s ESMTP Outpost", s->options.host);
}

void
server_turn_away(struct smtp_server *s, const struct error *why)
{
	say_error(s, why->status[0] == '4' ? 421 : 554, why);
	close_session(s);
}

void
server_give_up(struct smtp_server *s, const struct error *why)
{
	struct error temporary = *why;

	(void)error_class_set(&temporary, ERROR_RETRY, 0);
	say_error(s, 421, &temporary);
	close_session(s);
}

void
server_idle(struct smtp_server *s)
{
	struct error idle;

	error_set(&idle, EX_TEMPFAIL, "4.4.2", "nothing came for %d s; closing",
	    SERVER_IDLE_SECONDS);
	server_give_up(s, &idle);
}

/* A command that is wrong or out of place. */
static void
say_wrong(struct smtp_server *s, int code, const char *status, const char *text)
{
	struct error err;

	error_set(&err, EX_USAGE, status, "%s", text);
	say_error(s, code, &err);
	if (++s->errors < SERVER_ERRORS_MAX)
		return;
	error_set(&err, EX_USAGE, "4.7.0", "too many errors; closing");
	server_give_up(s, &err);
}

static void
do_helo(struct smtp_server *s)
{
	reset(s);
	say(s, 250, "", "%s", s->options.host);
}

static void
do_ehlo(struct smtp_server *s)
{
	static const char *const offers[] = { "PIPELINING", "8BITMIME", "DSN",
		"SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING" };
	char size[32];

	reset(s);
	put_line(s, 250, false, "", s->options.host, strlen(s->options.host));
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		put_line(s, 250, false, "", offers[i], strlen(offers[i]));
	(void)snprintf(size, sizeof(size), "SIZE %llu", s->options.max_size);
	put_line(s, 250, true, "", size, strlen(size));
}

static int
check_size(
    const struct smtp_server *s, unsigned long long size, struct error *err)
{
	if (size <= s->options.max_size)
		return 0;
	error_set(err, EX_UNAVAILABLE, "5.3.4",
	    "the message has more than the %llu bytes that may be sent",
	    s->options.max_size);
	return error_hint(
	    err, "send a link instead, or raise 'max_size' in outpost.conf");
}

static void
do_mail(struct smtp_server *s, const struct smtp_command *c)
{
	struct error err;

	if (s->mail) {
		say_wrong(s, 503, "5.5.1", "a message is begun already");
		return;
	}
	if (check_size(s, c->size, &err) == -1 ||
	    s->options.mail(s->options.arg, c, &err) == -1) {
		say_error(s, 0, &err);
		return;
	}
	s->mail = true;
	say(s, 250, "2.1.0", "ok");
}

static void
do_rcpt(struct smtp_server *s, const struct smtp_command *c)
{
	struct error err;

	if (!s->mail || s->chunks) {
		say_wrong(s, 503, "5.5.1", "RCPT comes after MAIL");
		return;
	}
	if (s->options.rcpt(s->options.arg, c, &err) == -1) {
		say_error(s, 0, &err);
		return;
	}
	s->recipients++;
	say(s, 250, "2.1.5", "ok");
}

/* May content come now? Else it is said why not. */
static bool
may_begin(struct smtp_server *s, bool data)
{
	if (!s->mail || (data && s->chunks)) {
		say_wrong(s, 503, "5.5.1",
		    s->mail ? "go on with BDAT, or RSET"
			    : "MAIL and RCPT come first");
		return false;
	}
	if (s->recipients > 0)
		return true;
	say_wrong(s, 554, "5.5.1", "the message has no valid recipients");
	return false;
}

static void
do_data(struct smtp_server *s)
{
	if (!may_begin(s, true))
		return;
	data_reader_init(&s->data, s->line_end == LINE_END_LF);
	s->reading = READING_DATA;
	say(s, 354, "", "end with a dot on a line by itself");
}

/* All of the content has come. */
static void
end_message(struct smtp_server *s)
{
	struct buf text;

	buf_init(&text, REPLY_MAX);
	s->reading = READING_COMMANDS;
	if (s->failed || s->options.end(s->options.arg, &text, &s->why) == -1)
		say_error(s, 0, &s->why);
	else
		say(s, 250, "2.0.0", "%s", text.data);
	buf_release(&text);
	s->errors = 0;
	reset(s);
}

/* A chunk that cannot be taken is read all the same, and dropped. */
static void
do_bdat(struct smtp_server *s, const struct smtp_command *c)
{
	bool begun = may_begin(s, false);

	if (!begun)
		reset(s);
	if (s->reading == READING_NOTHING)
		return;
	s->chunks = begun;
	s->chunk_left = c->size;
	s->chunk_last = c->last;
	s->reading = READING_CHUNK;
}

static void
end_chunk(struct smtp_server *s)
{
	s->reading = READING_COMMANDS;
	if (!s->chunks)
		return; /* answered by may_begin() */
	if (s->chunk_last || s->failed)
		end_message(s);
	else
		say(s, 250, "2.0.0", "%llu octets so far", s->size);
}

static void
obey(struct smtp_server *s, const struct smtp_command *c)
{
	switch (c->verb) {
	case SMTP_HELO:
		do_helo(s);
		break;
	case SMTP_EHLO:
		do_ehlo(s);
		break;
	case SMTP_MAIL:
		do_mail(s, c);
		break;
	case SMTP_RCPT:
		do_rcpt(s, c);
		break;
	case SMTP_DATA:
		do_data(s);
		break;
	case SMTP_BDAT:
		do_bdat(s, c);
		break;
	case SMTP_RSET:
		reset(s);
		say(s, 250, "2.0.0", "ok");
		break;
	case SMTP_NOOP:
		say(s, 250, "2.0.0", "ok");
		break;
	case SMTP_VRFY:
		say(s, 252, "2.1.5", "send it a message and see");
		break;
	case SMTP_HELP:
		say(s, 214, "2.0.0", "see sendmail(8)");
		break;
	case SMTP_QUIT:
		say(s, 221, "2.0.0", "bye");
		close_session(s);
		break;
	case SMTP_HTTP:
	case SMTP_UNKNOWN:
		break;
	}
}

static void
take_command(struct smtp_server *s)
{
	struct smtp_command c;
	struct error err;

	command_init(&c);
	if (command_parse(&c, s->line.data, s->line.len, &err) == 0)
		obey(s, &c);
	else if (c.code == 421)
		server_give_up(s, &err);
	else if (err.exit_code == EX_DATAERR)
		say_error(s, c.code, &err);
	else
		say_wrong(s, c.code, err.status, err.text);
	/* An octet count that is none: what follows cannot be told apart. */
	if (c.verb == SMTP_BDAT && c.code != 0 && !server_closed(s)) {
		say(s, 421, "4.5.4", "closing");
		close_session(s);
	}
	command_release(&c);
}

/* The LF just read: does it end the line? */
static bool
ends_line(struct smtp_server *s)
{
	if (s->line_end == LINE_END_UNKNOWN)
		s->line_end = s->last == '\r' ? LINE_END_CRLF : LINE_END_LF;
	return s->line_end == LINE_END_LF || s->last == '\r';
}

/* Bytes of a command line, up to its end; how many they were. */
static size_t
receive_line(struct smtp_server *s, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool end = bytes[i] == '\n' && ends_line(s);

		s->last = bytes[i];
		if (!end) {
			/* Room for the CR of the longest line. */
			if (buf_addc(&s->line, bytes[i]) == -1)
				s->line_long = true;
			continue;
		}
		if (s->line_end == LINE_END_CRLF && !s->line_long)
			s->line.len--;
		s->line.data[s->line.len] = '\0';
		if (s->line_long)
			say_wrong(s, 500, "5.5.2", "the line is too long");
		else
			take_command(s);
		buf_clear(&s->line);
		s->line_long = false;
		s->last = '\0';
		return i + 1;
	}
	return len;
}

static void
pass_content(struct smtp_server *s, const char *bytes, size_t len)
{
	s->size += len;
	if (s->failed || len == 0)
		return;
	s->failed =
	    check_size(s, s->size, &s->why) == -1 ||
	    s->options.content(s->options.arg, bytes, len, &s->why) == -1;
}

static size_t
receive_data(struct smtp_server *s, const char *bytes, size_t len)
{
	struct buf content;
	size_t used;

	buf_init(&content, PIECE + 4);
	used = data_read(&s->data, bytes, len < PIECE ? len : PIECE, &content);
	pass_content(s, content.data, content.len);
	buf_release(&content);
	if (s->data.place == DATA_ENDED)
		end_message(s);
	return used;
}

static size_t
receive_chunk(struct smtp_server *s, const char *bytes, size_t len)
{
	if (len > s->chunk_left)
		len = (size_t)s->chunk_left;
	if (s->chunks)
		pass_content(s, bytes, len);
	s->chunk_left -= len;
	if (s->chunk_left == 0)
		end_chunk(s);
	return len;
}

size_t
server_receive(struct smtp_server *s, const char *bytes, size_t len)
{
	size_t used = 0;

	while (used < len && s->output.len < OUTPUT_HIGH)
		switch (s->reading) {
		case READING_COMMANDS:
			used += receive_line(s, bytes + used, len - used);
			/* BDAT 0 LAST has nothing to wait for. */
			if (s->reading == READING_CHUNK && s->chunk_left == 0)
				end_chunk(s);
			break;
		case READING_DATA:
			used += receive_data(s, bytes + used, len - used);
			break;
		case READING_CHUNK:
			used += receive_chunk(s, bytes + used, len - used);
			break;
		case READING_NOTHING:
			return len;
		}
	return used;
}
