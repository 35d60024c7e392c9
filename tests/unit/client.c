/* Whole sessions over TLS with a small server in a child process. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <fcntl.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "mail/envelope.h"
#include "smtp/client.h"
#include "tests/unit/tls_server.h"

#define HEADER "From: alerts@contoso.com\r\nSubject: x\r\n\r\n"
#define CONTENT_MAX (16u * 1024 * 1024)
#define TOKEN "EwBsecretsecretsecret"

static struct tls_certificate certificate;
static struct error err;
static struct buf traced;

/* What the server does. */
struct service {
	const char *auth;   /* its reply to AUTH, the first time */
	const char *final;  /* to the content; NULL: hangs up instead */
	const char *amid;   /* said after 100 kB of content, then hangs up */
	const char *silent; /* command that is never answered */
	int log;            /* commands and content go here, as they come */
};

/* ---- the server */

static SSL *tls;
static int plain;
static char pending[65536];
static size_t pending_len;

static void
put(const char *text)
{
	if (tls != NULL)
		SSL_write(tls, text, (int)strlen(text));
	else
		(void)!write(plain, text, strlen(text));
}

static void
fill(void)
{
	ssize_t n;

	if (tls != NULL)
		n = SSL_read(tls, pending + pending_len,
		    (int)(sizeof(pending) - pending_len));
	else
		n = read(plain, pending + pending_len,
		    sizeof(pending) - pending_len);
	if (n <= 0)
		_exit(0);
	pending_len += (size_t)n;
}

/* Up to 'len' bytes. */
static void
take(char *out, size_t len)
{
	while (pending_len < len)
		fill();
	memcpy(out, pending, len);
	memmove(pending, pending + len, pending_len - len);
	pending_len -= len;
}

static void
take_line(char *line, size_t size)
{
	char *end;

	while ((end = memchr(pending, '\n', pending_len)) == NULL)
		fill();
	if ((size_t)(end - pending) + 2 > size)
		_exit(1);
	take(line, (size_t)(end - pending) + 1);
	line[strcspn(line, "\r\n")] = '\0';
}

static void
take_content(const struct service *service)
{
	char line[8192];
	size_t total = 0;

	do {
		take_line(line, sizeof(line));
		total += strlen(line);
		dprintf(service->log, "%s\r\n", line);
		if (service->amid != NULL && total > 100000) {
			put(service->amid);
			_exit(0);
		}
	} while (strcmp(line, ".") != 0);
}

static void
take_chunk(const struct service *service, const char *line)
{
	size_t left = strtoul(line + 5, NULL, 10);
	char bytes[4096];

	while (left > 0) {
		size_t n = left < sizeof(bytes) ? left : sizeof(bytes);

		take(bytes, n);
		(void)!write(service->log, bytes, n);
		left -= n;
	}
}

static void
answer_final(const struct service *service)
{
	if (service->final == NULL)
		_exit(0);
	put(service->final);
}

static void
answer(struct service *service, const char *line, int fd)
{
	if (strncmp(line, "EHLO", 4) == 0 && tls == NULL)
		put("250-x\r\n250 STARTTLS\r\n");
	else if (strncmp(line, "EHLO", 4) == 0)
		put("250-x\r\n250-PIPELINING\r\n250-AUTH XOAUTH2\r\n"
		    "250-CHUNKING\r\n250 SIZE\r\n");
	else if (strcmp(line, "STARTTLS") == 0) {
		put("220 go\r\n");
		tls = tls_accept(fd, &certificate, TLS1_3_VERSION);
		if (tls == NULL)
			_exit(0);
	} else if (strncmp(line, "AUTH", 4) == 0) {
		put(service->auth != NULL ? service->auth : "235 ok\r\n");
		service->auth = NULL;
	} else if (strcmp(line, "DATA") == 0) {
		put("354 go\r\n");
		take_content(service);
		answer_final(service);
	} else if (strncmp(line, "BDAT", 4) == 0) {
		take_chunk(service, line);
		if (strstr(line, "LAST") != NULL)
			answer_final(service);
		else
			put("250 chunk\r\n");
	} else
		put("250 ok\r\n");
}

static void
serve(int fd, void *arg)
{
	struct service *service = arg;
	char line[65536];

	plain = fd;
	put("220 server.example ready [08DE2A6028D26C22]\r\n");
	for (;;) {
		take_line(line, sizeof(line));
		dprintf(service->log, "%s\r\n", line);
		if (service->silent != NULL &&
		    strncmp(line, service->silent, strlen(service->silent)) ==
			0)
			pause();
		answer(service, line, fd);
	}
}

/* ---- the client */

struct talk {
	struct service service;
	struct smtp_options options;
	struct smtp_client *client;
	struct envelope envelope;
	struct smtp_content content;
	pid_t pid;
	FILE *body;
};

static void
show(void *arg, char direction, const char *line)
{
	(void)arg;
	(void)buf_addf(&traced, "%c: %s\n", direction, line);
}

/* Start a server and a client that is to talk to it. */
static void
begin(struct talk *t)
{
	unsigned port;
	int fd = tls_listen(&port, 5);

	t->service.log = fileno(tmpfile());
	t->pid = tls_serve(fd, serve, &t->service);
	close(fd);
	t->options.host = "localhost";
	t->options.port = port;
	t->options.ca_dir = certificate.folder;
	t->options.helo = "client.example";
	t->options.trace = show;
	t->client = smtp_client_new(&t->options);
	envelope_init(&t->envelope);
	t->envelope.sender = xstrdup("alerts@contoso.com");
	(void)envelope_add(&t->envelope, "b@fabrikam.com", NULL);
	t->content = (struct smtp_content){
		.header = HEADER,
		.header_len = strlen(HEADER),
		.body_fd = -1,
	};
	t->body = NULL;
}

static void
set_body(struct talk *t, const char *bytes, size_t len)
{
	t->body = tmpfile();
	/* What lies before is none of the message's. */
	fwrite("junk", 1, 4, t->body);
	fwrite(bytes, 1, len, t->body);
	fflush(t->body);
	t->content.body_fd = fileno(t->body);
	t->content.body_start = 4;
	t->content.body_len = (off_t)len;
}

static void
sign_in(struct talk *t)
{
	if (smtp_client_open(t->client, file_now() + 10, &err) == -1 ||
	    smtp_client_login(t->client, "alerts@contoso.com", TOKEN, &err) ==
		-1)
		fail_msg("%s", err.text);
}

static void
end(struct talk *t)
{
	smtp_client_close(t->client);
	envelope_release(&t->envelope);
	tls_stop(t->pid);
	close(t->service.log);
	if (t->body != NULL)
		fclose(t->body);
}

/* Everything that the server has read, as text. */
static void
read_log(struct talk *t, struct buf *out)
{
	char bytes[65536];
	off_t at = 0;
	ssize_t n;

	buf_init(out, CONTENT_MAX);
	while ((n = pread(t->service.log, bytes, sizeof(bytes), at)) > 0) {
		(void)buf_add(out, bytes, (size_t)n);
		at += n;
	}
}

static void
message_arrives_as_written(void **state)
{
	struct talk t = { .service = { .final =
					   "250 2.0.0 OK <id@x> "
					   "[Hostname=H.OUTLOOK.COM]\r\n" } };
	struct buf log;

	(void)state;
	begin(&t);
	set_body(&t, "one\r\n.\r\n..two\r\nlast", 19);
	sign_in(&t);
	assert_string_equal(smtp_client_server(t.client), "server.example");
	assert_string_equal(smtp_client_session(t.client), "08DE2A6028D26C22");
	assert_string_equal(smtp_client_address(t.client), "127.0.0.1");
	assert_non_null(strstr(smtp_client_cipher(t.client), "TLSv1.3"));
	assert_int_equal(
	    smtp_client_send(t.client, &t.envelope, &t.content, &err), 0);
	assert_int_equal(t.envelope.recipients[0].state, RECIPIENT_SENT);
	assert_false(smtp_client_more(t.client));
	assert_string_equal(
	    smtp_client_receipt(t.client)->message_id, "<id@x>");
	assert_string_equal(
	    smtp_client_receipt(t.client)->host, "H.OUTLOOK.COM");
	read_log(&t, &log);
	assert_non_null(
	    strstr(log.data, "MAIL FROM:<alerts@contoso.com> SIZE=59\r\n"
			     "RCPT TO:<b@fabrikam.com>\r\nDATA\r\n" HEADER
			     "one\r\n..\r\n...two\r\nlast\r\n.\r\n"));
	buf_release(&log);
	/* Another one over the same connection. */
	t.envelope.recipients[0].state = RECIPIENT_PENDING;
	assert_int_equal(
	    smtp_client_send(t.client, &t.envelope, &t.content, &err), 0);
	assert_null(strstr(traced.data, TOKEN));
	end(&t);
}

/* Some megabytes of lines, each with a number; dots where a multiple of 7. */
static void
make_bulk(struct buf *bulk)
{
	buf_init(bulk, CONTENT_MAX);
	for (int i = 0; bulk->len < 5000000; i++)
		(void)buf_addf(bulk, "%s%d %s\r\n", i % 7 == 0 ? "." : "", i,
		    "the quick brown fox jumps over the lazy dog, again");
}

static void
large_message_arrives(bool chunking)
{
	struct talk t = { .service = { .final = "250 2.0.0 OK\r\n" } };
	struct buf bulk, log;
	const char *body;

	t.options.chunking = chunking;
	make_bulk(&bulk);
	begin(&t);
	set_body(&t, bulk.data, bulk.len);
	sign_in(&t);
	if (smtp_client_send(t.client, &t.envelope, &t.content, &err) == -1)
		fail_msg("%s", err.text);
	read_log(&t, &log);
	body = strstr(log.data, HEADER);
	assert_non_null(body);
	body += strlen(HEADER);
	if (chunking)
		assert_non_null(strstr(log.data, "BDAT "));
	else {
		assert_int_equal(strncmp(body, "..0 the", 7), 0);
		assert_string_equal(log.data + log.len - 5, "\r\n.\r\n");
		assert_non_null(strstr(body, "\r\n..7 the"));
	}
	assert_true(log.len > bulk.len);
	buf_release(&bulk);
	buf_release(&log);
	end(&t);
}

static void
large_message_arrives_by_data(void **state)
{
	(void)state;
	large_message_arrives(false);
}

static void
large_message_arrives_by_bdat(void **state)
{
	(void)state;
	large_message_arrives(true);
}

static void
no_answer_to_the_content_is_uncertain(void **state)
{
	struct talk t = { .service = { .final = NULL } };

	(void)state;
	begin(&t);
	sign_in(&t);
	assert_int_equal(
	    smtp_client_send(t.client, &t.envelope, &t.content, &err), -1);
	assert_true(err.uncertain);
	assert_int_equal(err.class, ERROR_RETRY);
	assert_int_equal(err.retry_after, SESSION_UNCERTAIN_SECONDS);
	assert_int_equal(t.envelope.recipients[0].state, RECIPIENT_PENDING);
	assert_true(t.envelope.recipients[0].error->uncertain);
	assert_false(smtp_client_usable(t.client));
	end(&t);
}

static void
server_that_stops_taking_content_is_heard(void **state)
{
	struct talk t = { .service = { .amid = "552 5.3.4 Message size exceeds "
					       "fixed maximum\r\n" } };
	struct buf bulk;

	(void)state;
	make_bulk(&bulk);
	begin(&t);
	set_body(&t, bulk.data, bulk.len);
	sign_in(&t);
	assert_int_equal(
	    smtp_client_send(t.client, &t.envelope, &t.content, &err), -1);
	/* The words may be lost with the connection, certainty is not. */
	assert_false(err.uncertain);
	assert_true(strcmp(err.status, "5.3.4") == 0 ||
		    strcmp(err.status, "4.4.2") == 0);
	buf_release(&bulk);
	end(&t);
}

static void
refused_token_can_be_renewed_on_the_connection(void **state)
{
	struct talk
	    t = { .service = {
		      .auth = "535 5.7.3 Authentication unsuccessful\r\n" } };

	(void)state;
	begin(&t);
	assert_int_equal(smtp_client_open(t.client, file_now() + 10, &err), 0);
	assert_int_equal(
	    smtp_client_login(t.client, "alerts@contoso.com", TOKEN, &err), -1);
	assert_true(smtp_client_token_rejected(t.client));
	assert_int_equal(err.class, ERROR_HOLD);
	assert_true(smtp_client_usable(t.client));
	assert_int_equal(
	    smtp_client_login(t.client, "alerts@contoso.com", TOKEN, &err), 0);
	assert_false(smtp_client_token_rejected(t.client));
	end(&t);
}

static void
silence_before_the_content_ends_at_the_deadline(void **state)
{
	static const char *const commands[] = { "EHLO", "STARTTLS", "AUTH",
		"DATA" };

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct talk t = { .service = { .silent = commands[i] } };
		double start = file_now();

		begin(&t);
		if (smtp_client_open(t.client, start + 1, &err) == 0 &&
		    smtp_client_login(
			t.client, "alerts@contoso.com", TOKEN, &err) == 0)
			(void)smtp_client_send(
			    t.client, &t.envelope, &t.content, &err);
		assert_true(file_now() - start < 4);
		assert_string_equal(err.status, "4.4.2");
		assert_false(err.uncertain);
		assert_false(smtp_client_usable(t.client));
		end(&t);
	}
}

static void
body_that_shrank_is_not_sent(void **state)
{
	struct talk t = { .service = { .final = "250 2.0.0 OK\r\n" } };
	struct buf log;

	(void)state;
	begin(&t);
	set_body(&t, "text\r\n", 6);
	t.content.body_len = 100;
	sign_in(&t);
	assert_int_equal(
	    smtp_client_send(t.client, &t.envelope, &t.content, &err), -1);
	assert_int_equal(err.exit_code, EX_IOERR);
	assert_false(err.uncertain);
	assert_false(smtp_client_usable(t.client));
	read_log(&t, &log);
	assert_null(strstr(log.data, "\r\n.\r\n"));
	buf_release(&log);
	end(&t);
}

static void
nobody_there(void **state)
{
	const struct smtp_options options = {
		.host = "127.0.0.1",
		.port = 1,
		.ca_dir = certificate.folder,
	};
	struct smtp_client *c = smtp_client_new(&options);

	(void)state;
	assert_int_equal(smtp_client_open(c, file_now() + 2, &err), -1);
	assert_string_equal(err.status, "4.4.1");
	assert_false(smtp_client_usable(c));
	assert_string_equal(smtp_client_address(c), "");
	smtp_client_close(c);
	smtp_client_close(NULL);
}

static int
set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	buf_init(&traced, CONTENT_MAX);
	tls_certificate_make(&certificate, "DNS:localhost", -60, 86400);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_release(&traced);
	tls_certificate_free(&certificate);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_arrives_as_written),
		cmocka_unit_test(large_message_arrives_by_data),
		cmocka_unit_test(large_message_arrives_by_bdat),
		cmocka_unit_test(no_answer_to_the_content_is_uncertain),
		cmocka_unit_test(server_that_stops_taking_content_is_heard),
		cmocka_unit_test(
		    refused_token_can_be_renewed_on_the_connection),
		cmocka_unit_test(
		    silence_before_the_content_ends_at_the_deadline),
		cmocka_unit_test(body_that_shrank_is_not_sent),
		cmocka_unit_test(nobody_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
