/* Connections and TLS, on loopback, with a certificate made on the spot. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>

#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "smtp/dial.h"
#include "smtp/stream.h"
#include "smtp/wait.h"
#include "tests/unit/tls_server.h"

#define BULK 200000

static struct tls_certificate good, expired, other;
static struct error err;
static struct stream_certificate shown; /* by the last handshake */
static bool was_shown;

static double
soon(void)
{
	return file_now() + 10;
}

/* ---- addresses */

static struct dial_address
address(int family, unsigned short port)
{
	struct dial_address a = { .len = sizeof(struct sockaddr_in) };
	struct sockaddr_in *in = (struct sockaddr_in *)&a.address;

	in->sin_family = (sa_family_t)family;
	in->sin_port = htons(port);
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static void
families_take_turns(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{ "6", "6" },
		{ "66664444", "64646464" },
		{ "4466", "4646" },
		{ "64", "64" },
		{ "4", "4" },
		{ "666", "666" },
		{ "64444", "64444" },
		{ "666644", "646466" },
	};

	(void)state;
	dial_order(NULL, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dial_address a[DIAL_ADDRESSES_MAX];
		size_t count = strlen(cases[i].before);
		unsigned short last4 = 0, last6 = 0;

		for (size_t k = 0; k < count; k++)
			a[k] = address(
			    cases[i].before[k] == '6' ? AF_INET6 : AF_INET,
			    (unsigned short)(k + 1));
		dial_order(a, count);
		for (size_t k = 0; k < count; k++) {
			bool six = a[k].address.ss_family == AF_INET6;
			unsigned short port = ntohs(
			    ((struct sockaddr_in *)&a[k].address)->sin_port);
			unsigned short *last = six ? &last6 : &last4;

			assert_int_equal(six, cases[i].after[k] == '6');
			assert_true(port > *last);
			*last = port;
		}
	}
}

static void
nobody_listens(void **state)
{
	struct stream *s = NULL;
	unsigned port;

	(void)state;
	close(tls_listen(&port, 1));
	assert_int_equal(
	    stream_open(&s, "127.0.0.1", port, soon(), NULL, &err), -1);
	assert_null(s);
	assert_string_equal(err.status, "4.4.1");
	assert_int_equal(err.exit_code, EX_TEMPFAIL);
	assert_non_null(strstr(err.text, "refused"));
}

/* Addresses that do not answer: a listener whose queue is full. */
static void
dead_address_is_not_waited_out(void **state)
{
	struct dial_address a[3];
	unsigned dead, alive;
	int dead_fd = tls_listen(&dead, 0), alive_fd = tls_listen(&alive, 5);
	int filler[8];
	double start;
	int fd;

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		a[0] = address(AF_INET, (unsigned short)dead);
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(
		    filler[i], (struct sockaddr *)&a[0].address, a[0].len);
	}
	a[1] = address(AF_INET, 1);
	a[2] = address(AF_INET, (unsigned short)alive);
	start = file_now();
	fd = dial_addresses(a, 3, "x", soon(), NULL, &err);
	assert_true(fd >= 0);
	assert_true(file_now() - start < 2);
	close(fd);
	start = file_now();
	fd = dial_addresses(a, 1, "x", file_now() + 0.5, NULL, &err);
	assert_int_equal(fd, -1);
	assert_string_equal(err.status, "4.4.1");
	assert_non_null(strstr(err.text, "no answer in time"));
	assert_true(file_now() - start < 2);
	for (size_t i = 0; i < 8; i++)
		close(filler[i]);
	close(dead_fd);
	close(alive_fd);
}

static void
names_are_looked_up(void **state)
{
	struct stream *s;
	unsigned port;
	int fd = tls_listen(&port, 5);

	(void)state;
	assert_int_equal(
	    stream_open(&s, "localhost", port, soon(), NULL, &err), 0);
	assert_string_equal(stream_address(s), "127.0.0.1");
	stream_free(s);
	assert_int_equal(stream_open(&s, "no-such-host.invalid", port,
			     file_now() + 2, NULL, &err),
	    -1);
	assert_string_equal(err.status, "4.4.3");
	assert_int_equal(err.class, ERROR_RETRY);
	close(fd);
}

/* ---- bytes */

static bool
count_call(void *arg)
{
	++*(int *)arg;
	return true;
}

static bool
stop(void *arg)
{
	(void)arg;
	return false;
}

static void
the_hook_can_end_the_wait(void **state)
{
	const struct waiter waiter = { .call = stop };
	double start = file_now();
	struct stream *s;
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	s = stream_new(pair[0], "x", &waiter);
	assert_int_equal(stream_read(s, &byte, 1, start + 60, &err), -1);
	assert_true(file_now() - start < 30);
	assert_string_equal(err.status, "4.4.2");
	stream_free(s);
	close(pair[1]);
}

static void
silence_ends_at_the_deadline(void **state)
{
	int pair[2], calls = 0;
	const struct waiter waiter = { .call = count_call, .arg = &calls };
	struct stream *s;
	double start = file_now();
	char byte;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	s = stream_new(pair[0], "x", &waiter);
	assert_int_equal(stream_read(s, &byte, 1, start + 1.3, &err), -1);
	assert_true(file_now() - start >= 1.2 && file_now() - start < 3);
	assert_non_null(strstr(err.text, "did not answer in time"));
	assert_string_equal(err.status, "4.4.2");
	assert_true(calls >= 1);
	stream_free(s);
	close(pair[1]);
}

static void
end_of_the_stream_is_an_error(void **state)
{
	struct stream *s;
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	s = stream_new(pair[0], "x", NULL);
	assert_int_equal(write(pair[1], "a", 1), 1);
	close(pair[1]);
	assert_int_equal(stream_read(s, &byte, 1, soon(), &err), 1);
	assert_int_equal(stream_read(s, &byte, 1, soon(), &err), -1);
	assert_non_null(strstr(err.text, "closed by the server"));
	assert_int_equal(stream_write(s, "x", 1, soon(), &err), 0);
	assert_int_equal(stream_flush(s, soon(), &err), -1);
	assert_string_equal(err.status, "4.4.2");
	stream_free(s);
}

/* ---- TLS */

struct service {
	const struct tls_certificate *certificate;
	int version;
	bool plain; /* answers in clear */
};

/* Sends back how many bytes came before a lone '!', in decimal, and their
 * sum. */
static void
serve(int fd, void *arg)
{
	const struct service *service = arg;
	unsigned long count = 0, sum = 0;
	char bytes[4096], answer[64];
	SSL *tls;
	int n;

	if (service->plain) {
		(void)!write(fd, "250 hello, what?\r\n", 18);
		(void)!read(fd, bytes, sizeof(bytes));
		return;
	}
	tls = tls_accept(fd, service->certificate, service->version);
	if (tls == NULL)
		return;
	while ((n = SSL_read(tls, bytes, sizeof(bytes))) > 0) {
		for (int i = 0; i < n; i++)
			sum += (unsigned char)bytes[i];
		count += (unsigned long)n;
		if (bytes[n - 1] == '!')
			break;
	}
	snprintf(answer, sizeof(answer), "%lu %lu", count, sum);
	SSL_write(tls, answer, (int)strlen(answer));
	SSL_shutdown(tls);
	SSL_free(tls);
}

/* A handshake with a service; the stream in *out when it works. */
static int
shake(struct service *service, const char *host,
    const struct stream_trust *trust, struct stream **out)
{
	unsigned port;
	int fd = tls_listen(&port, 5), result;
	pid_t pid = tls_serve(fd, serve, service);
	struct stream *s;

	close(fd);
	assert_int_equal(stream_open(&s, host, port, soon(), NULL, &err), 0);
	result = stream_start_tls(s, trust, soon(), &err);
	was_shown = stream_certificate(s, &shown) == 0;
	if (result == 0 && out != NULL) {
		*out = s;
		return pid;
	}
	stream_free(s);
	tls_stop(pid);
	return result;
}

static void
bytes_go_both_ways(void **state)
{
	struct service service = { &good, TLS1_3_VERSION, false };
	const struct stream_trust trust = { .ca_dir = good.folder };
	unsigned long sum = '!';
	char *bulk = xmalloc(BULK), answer[64] = "", want[64];
	struct stream *s;
	pid_t pid = shake(&service, "localhost", &trust, &s);

	(void)state;
	assert_true(pid > 0);
	assert_non_null(strstr(stream_cipher(s), "TLSv1.3"));
	assert_true(was_shown);
	assert_true(shown.end > 1700000000 && shown.start < shown.end);
	assert_non_null(strstr(shown.names, "localhost"));
	for (size_t i = 0; i < BULK; i++) {
		bulk[i] = (char)(i * 7 % 251);
		if (bulk[i] == '!')
			bulk[i] = '?';
		sum += (unsigned char)bulk[i];
	}
	assert_int_equal(stream_write(s, bulk, 10, soon(), &err), 0);
	assert_int_equal(
	    stream_write(s, bulk + 10, BULK - 10, soon(), &err), 0);
	assert_int_equal(stream_write(s, "!", 1, soon(), &err), 0);
	assert_int_equal(stream_flush(s, soon(), &err), 0);
	snprintf(want, sizeof(want), "%d %lu", BULK + 1, sum);
	assert_true(
	    stream_read(s, answer, sizeof(answer) - 1, soon(), &err) > 0);
	assert_string_equal(answer, want);
	assert_int_equal(stream_read(s, answer, 1, soon(), &err), -1);
	assert_non_null(strstr(err.text, "closed by the server"));
	stream_free(s);
	tls_stop(pid);
	free(bulk);
}

static void
trusted_by_folder_bundle_name_or_address(void **state)
{
	struct service service = { &good, TLS1_2_VERSION, false };
	const struct stream_trust folder = { .ca_dir = good.folder };
	const struct stream_trust bundle = { .ca_file = good.file };

	(void)state;
	assert_int_equal(shake(&service, "localhost", &folder, NULL), 0);
	assert_int_equal(shake(&service, "localhost", &bundle, NULL), 0);
	assert_int_equal(shake(&service, "127.0.0.1", &folder, NULL), 0);
}

static void
assert_hold(const char *text, const char *hint)
{
	assert_int_equal(err.class, ERROR_HOLD);
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_true(err.retry_after > 0);
	if (strstr(err.text, text) == NULL)
		fail_msg("%s", err.text);
	if (strstr(err.hint, hint) == NULL)
		fail_msg("%s", err.hint);
}

static void
certificate_for_another_name(void **state)
{
	struct service service = { &other, TLS1_3_VERSION, false };
	const struct stream_trust trust = { .ca_dir = other.folder };

	(void)state;
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_hold("localhost", "check 'host'");
	assert_int_equal(shake(&service, "127.0.0.1", &trust, NULL), -1);
	assert_hold("127.0.0.1", "check 'host'");
}

static void
expired_certificate(void **state)
{
	struct service service = { &expired, TLS1_3_VERSION, false };
	const struct stream_trust trust = { .ca_dir = expired.folder };

	(void)state;
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_hold("expired", "date and time");
}

static void
unknown_authority(void **state)
{
	struct service service = { &good, TLS1_3_VERSION, false };
	const struct stream_trust trust = { .ca_dir = other.folder };

	(void)state;
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_hold("cannot be trusted", other.folder);
	/* Who made it is what one wants to know. */
	assert_true(was_shown);
	assert_string_not_equal(shown.issuer, "");
	assert_non_null(strstr(shown.names, "localhost"));
	assert_non_null(strstr(shown.names, "127.0.0.1"));
}

static void
environment_adds_no_trust(void **state)
{
	struct service service = { &good, TLS1_3_VERSION, false };
	const struct stream_trust trust = { .ca_dir = other.folder };

	(void)state;
	setenv("SSL_CERT_FILE", good.file, 1);
	setenv("SSL_CERT_DIR", good.folder, 1);
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_hold("cannot be trusted", "");
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
}

static void
old_tls_is_refused(void **state)
{
	struct service service = { &good, TLS1_1_VERSION, false };
	const struct stream_trust trust = { .ca_dir = good.folder };

	(void)state;
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_hold("TLS 1.2", "host");
}

static void
no_tls_at_all(void **state)
{
	struct service service = { &good, 0, true };
	const struct stream_trust trust = { .ca_dir = good.folder };

	(void)state;
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_non_null(strstr(err.text, "TLS with 'localhost' failed"));
	assert_int_equal(err.class, ERROR_RETRY);
}

static void
trust_store_that_is_not_there(void **state)
{
	struct service service = { &good, TLS1_3_VERSION, false };
	struct stream_trust trust = { .ca_dir = "/nonexistent" };

	(void)state;
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_hold("/nonexistent", "ca-certificates");
	trust = (struct stream_trust){ .ca_file = "/nonexistent.pem" };
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
	assert_hold("/nonexistent.pem", "ca_file");
	trust = (struct stream_trust){ .ca_dir = NULL };
	assert_int_equal(shake(&service, "localhost", &trust, NULL), -1);
}

static int
make_certificates(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	stream_library_init();
	tls_certificate_make(&good, "DNS:localhost,IP:127.0.0.1", -60, 86400);
	tls_certificate_make(&expired, "DNS:localhost", -86400, -3600);
	tls_certificate_make(
	    &other, "DNS:smtp.example,DNS:*.host,IP:192.0.2.1", -60, 86400);
	return 0;
}

static int
remove_certificates(void **state)
{
	(void)state;
	tls_certificate_free(&good);
	tls_certificate_free(&expired);
	tls_certificate_free(&other);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_take_turns),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(dead_address_is_not_waited_out),
		cmocka_unit_test(names_are_looked_up),
		cmocka_unit_test(silence_ends_at_the_deadline),
		cmocka_unit_test(the_hook_can_end_the_wait),
		cmocka_unit_test(end_of_the_stream_is_an_error),
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(trusted_by_folder_bundle_name_or_address),
		cmocka_unit_test(certificate_for_another_name),
		cmocka_unit_test(expired_certificate),
		cmocka_unit_test(unknown_authority),
		cmocka_unit_test(environment_adds_no_trust),
		cmocka_unit_test(old_tls_is_refused),
		cmocka_unit_test(no_tls_at_all),
		cmocka_unit_test(trust_store_that_is_not_there),
	};

	return cmocka_run_group_tests(
	    tests, make_certificates, remove_certificates);
}
