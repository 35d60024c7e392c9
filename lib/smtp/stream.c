#include "smtp/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "smtp/dial.h"
#include "smtp/verdict.h"
#include "smtp/wait.h"

#define SECURITY_LEVEL 2 /* no RSA under 2048 bits, no SHA-1 */

struct stream {
	int fd;
	char *host;
	struct waiter waiter;
	char address[DIAL_TEXT_SIZE];
	char cipher[96];
	X509 *certificate; /* the server's, trusted or not */
	SSL_CTX *context;
	SSL *tls;    /* NULL until stream_start_tls() */
	bool broken; /* no good-bye on TLS level any more */
	size_t pending_len;
	char pending[STREAM_RECORD];
};

void
stream_library_init(void)
{
	(void)OPENSSL_init_ssl(
	    OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
}

static void
take_address(struct stream *s)
{
	struct dial_address peer = { .len = sizeof(peer.address) };

	if (getpeername(s->fd, (struct sockaddr *)&peer.address, &peer.len) ==
	    0)
		(void)dial_text(&peer, s->address);
}

struct stream *
stream_new(int fd, const char *host, const struct waiter *waiter)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	s->host = xstrdup(host);
	if (waiter != NULL)
		s->waiter = *waiter;
	take_address(s);
	return s;
}

int
stream_open(struct stream **out, const char *host, unsigned port,
    double deadline, const struct waiter *waiter, struct error *err)
{
	int fd = dial_host(host, port, deadline, waiter, err);

	if (fd == -1)
		return -1;
	*out = stream_new(fd, host, waiter);
	return 0;
}

void
stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	if (s->tls != NULL && !s->broken)
		(void)SSL_shutdown(s->tls);
	X509_free(s->certificate);
	SSL_free(s->tls);
	SSL_CTX_free(s->context);
	close(s->fd);
	free(s->host);
	freezero(s, sizeof(*s));
}

const char *
stream_address(const struct stream *s)
{
	return s->address;
}

const char *
stream_cipher(const struct stream *s)
{
	return s->cipher;
}

static int
fail_lost(struct stream *s, const char *why, struct error *err)
{
	s->broken = true;
	error_set(err, EX_TEMPFAIL, "4.4.2",
	    "the connection to '%s' was lost: %s", s->host, why);
	return error_hint(
	    err, "nothing to do; if it happens often, look at the network");
}

static int
wait_for(struct stream *s, short events, double deadline, struct error *err)
{
	struct pollfd fd = { .fd = s->fd, .events = events };
	int ready = wait_poll(&s->waiter, &fd, 1, deadline);

	if (ready > 0)
		return 0;
	if (ready == -1)
		return fail_lost(s, strerror(errno), err);
	s->broken = true;
	error_set(
	    err, EX_TEMPFAIL, "4.4.2", "'%s' did not answer in time", s->host);
	return error_hint(err,
	    "check 'host' and 'port' in outpost.conf; if it happens at times "
	    "only, look at the network, or raise 'patience'");
}

/* The last of OpenSSL's errors as text. */
static const char *
tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason != NULL ? reason : "TLS failed";
}

/* After an operation on s->tls returned 'result': 0 when it is to be repeated
 * (the socket is ready now), -1 when it failed. */
static int
tls_again(struct stream *s, int result, double deadline, struct error *err)
{
	int why = errno;

	switch (SSL_get_error(s->tls, result)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(s, POLLIN, deadline, err);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(s, POLLOUT, deadline, err);
	case SSL_ERROR_ZERO_RETURN:
		return fail_lost(s, "closed by the server", err);
	case SSL_ERROR_SYSCALL:
		return fail_lost(
		    s, why != 0 ? strerror(why) : "closed by the server", err);
	default:
		if (ERR_GET_REASON(ERR_peek_last_error()) ==
		    SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return fail_lost(s, "closed by the server", err);
		return fail_lost(s, tls_reason(), err);
	}
}

static void
tls_prepare(void)
{
	ERR_clear_error();
	errno = 0;
}

ssize_t
stream_read(struct stream *s, void *bytes, size_t size, double deadline,
    struct error *err)
{
	for (;;) {
		ssize_t n;

		if (s->tls != NULL) {
			size_t got;

			tls_prepare();
			if (SSL_read_ex(s->tls, bytes, size, &got) == 1)
				return (ssize_t)got;
			if (tls_again(s, 0, deadline, err) == -1)
				return -1;
			continue;
		}
		n = recv(s->fd, bytes, size, 0);
		if (n > 0)
			return n;
		if (n == 0)
			return fail_lost(s, "closed by the server", err);
		if (errno == EAGAIN) {
			if (wait_for(s, POLLIN, deadline, err) == -1)
				return -1;
		} else if (errno != EINTR)
			return fail_lost(s, strerror(errno), err);
	}
}

static int
write_plain(struct stream *s, const char *bytes, size_t len, double deadline,
    struct error *err)
{
	while (len > 0) {
		ssize_t n = send(s->fd, bytes, len, MSG_NOSIGNAL);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (wait_for(s, POLLOUT, deadline, err) == -1)
				return -1;
		} else if (errno != EINTR)
			return fail_lost(s, strerror(errno), err);
	}
	return 0;
}

/* At most one record. */
static int
write_now(struct stream *s, const char *bytes, size_t len, double deadline,
    struct error *err)
{
	size_t written;

	if (s->tls == NULL)
		return write_plain(s, bytes, len, deadline, err);
	for (;;) {
		tls_prepare();
		if (SSL_write_ex(s->tls, bytes, len, &written) == 1)
			return 0;
		if (tls_again(s, 0, deadline, err) == -1)
			return -1;
	}
}

int
stream_flush(struct stream *s, double deadline, struct error *err)
{
	size_t len = s->pending_len;

	s->pending_len = 0;
	return len > 0 ? write_now(s, s->pending, len, deadline, err) : 0;
}

int
stream_write(struct stream *s, const void *bytes, size_t len, double deadline,
    struct error *err)
{
	const char *next = bytes;

	while (len > 0) {
		size_t room = STREAM_RECORD - s->pending_len;
		size_t n = len < room ? len : room;

		/* A whole record need not be copied. */
		if (n == STREAM_RECORD) {
			if (write_now(s, next, n, deadline, err) == -1)
				return -1;
		} else {
			memcpy(s->pending + s->pending_len, next, n);
			s->pending_len += n;
			if (s->pending_len == STREAM_RECORD &&
			    stream_flush(s, deadline, err) == -1)
				return -1;
		}
		next += n;
		len -= n;
	}
	return 0;
}

static int
load_folder(SSL_CTX *context, const char *folder, struct error *err)
{
	struct stat status;

	if (stat(folder, &status) == 0 && S_ISDIR(status.st_mode) &&
	    SSL_CTX_load_verify_dir(context, folder) == 1)
		return 0;
	error_set(err, EX_CONFIG, "5.7.5",
	    "cannot use the certificate folder '%s'", folder);
	error_class_set(err, ERROR_HOLD, SMTP_PROBE_SECONDS);
	return error_hint(err,
	    "install the package ca-certificates, or correct 'ca_dir' in "
	    "outpost.conf");
}

static int
load_bundle(SSL_CTX *context, const char *path, struct error *err)
{
	if (SSL_CTX_load_verify_file(context, path) == 1)
		return 0;
	error_set(err, EX_CONFIG, "5.7.5", "cannot read certificates from '%s'",
	    path);
	error_class_set(err, ERROR_HOLD, SMTP_PROBE_SECONDS);
	return error_hint(err,
	    "correct 'ca_file' in outpost.conf: it must be a readable file of "
	    "PEM certificates");
}

static int
load_trust(
    SSL_CTX *context, const struct stream_trust *trust, struct error *err)
{
	if (trust->ca_dir == NULL && trust->ca_file == NULL)
		return error_set(err, EX_SOFTWARE, "5.7.5",
		    "neither ca_dir nor ca_file is given to verify servers "
		    "with");
	if (trust->ca_dir != NULL &&
	    load_folder(context, trust->ca_dir, err) == -1)
		return -1;
	if (trust->ca_file != NULL &&
	    load_bundle(context, trust->ca_file, err) == -1)
		return -1;
	return 0;
}

static int
fail_openssl(struct error *err)
{
	return error_set(
	    err, EX_SOFTWARE, "4.3.0", "cannot set up TLS: %s", tls_reason());
}

/* OpenSSL drops the certificate that it does not trust; who looks for the
 * reason wants to see it. The verdict stays OpenSSL's. */
static int
keep_certificate(int trusted, X509_STORE_CTX *chain)
{
	SSL *tls = X509_STORE_CTX_get_ex_data(
	    chain, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct stream *s = tls != NULL ? SSL_get_app_data(tls) : NULL;
	X509 *certificate = X509_STORE_CTX_get0_cert(chain);

	if (s != NULL && s->certificate == NULL && certificate != NULL &&
	    X509_up_ref(certificate) == 1)
		s->certificate = certificate;
	return trusted;
}

static int
make_context(
    struct stream *s, const struct stream_trust *trust, struct error *err)
{
	tls_prepare();
	s->context = SSL_CTX_new(TLS_client_method());
	if (s->context == NULL ||
	    SSL_CTX_set_min_proto_version(s->context, TLS1_2_VERSION) != 1)
		return fail_openssl(err);
	SSL_CTX_set_security_level(s->context, SECURITY_LEVEL);
	SSL_CTX_set_options(s->context,
	    SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(s->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(s->context, SSL_VERIFY_PEER, keep_certificate);
	return load_trust(s->context, trust, err);
}

static bool
is_ip_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 ||
	       inet_pton(AF_INET6, host, bytes) == 1;
}

/* Who must be at the other end: the name goes into SNI (RFC 6066 section 3;
 * addresses do not) and is compared with the certificate. */
static int
set_name(struct stream *s, struct error *err)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(s->tls);

	if (is_ip_address(s->host)) {
		if (X509_VERIFY_PARAM_set1_ip_asc(param, s->host) != 1)
			return fail_openssl(err);
		return 0;
	}
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set1_host(s->tls, s->host) != 1 ||
	    SSL_set_tlsext_host_name(s->tls, s->host) != 1)
		return fail_openssl(err);
	return 0;
}

static int
fail_certificate(const struct stream *s, long why,
    const struct stream_trust *trust, struct error *err)
{
	error_set(err, EX_CONFIG, "5.7.5",
	    "the certificate of '%s' cannot be trusted: %s", s->host,
	    X509_verify_cert_error_string(why));
	error_class_set(err, ERROR_HOLD, SMTP_PROBE_SECONDS);
	switch (why) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return error_hint(err,
		    "check 'host' in outpost.conf; another server or a proxy "
		    "may answer in its place");
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return error_hint(err,
		    "check this machine's date and time; if they are right, "
		    "the certificate's owner must renew it");
	default:
		return error_hint(err,
		    "if a proxy or firewall of yours opens TLS, add its root "
		    "certificate to '%s'%s; else install or update the package "
		    "ca-certificates",
		    trust->ca_dir != NULL ? trust->ca_dir : trust->ca_file,
		    trust->ca_dir != NULL ? " and run 'openssl rehash' on it"
					  : "");
	}
}

static int
fail_handshake(struct stream *s, int result, const struct stream_trust *trust,
    struct error *err)
{
	long verified = SSL_get_verify_result(s->tls);
	int reason = ERR_GET_REASON(ERR_peek_last_error());

	s->broken = true;
	if (SSL_get_error(s->tls, result) != SSL_ERROR_SSL)
		return tls_again(s, result, 0, err);
	if (verified != X509_V_OK)
		return fail_certificate(s, verified, trust, err);
	if (reason == SSL_R_UNSUPPORTED_PROTOCOL ||
	    reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION) {
		error_set(err, EX_CONFIG, "5.7.4",
		    "'%s' does not speak TLS 1.2 or newer", s->host);
		error_class_set(err, ERROR_HOLD, SMTP_PROBE_SECONDS);
		return error_hint(err,
		    "check 'host' in outpost.conf; smtp-legacy hosts are of "
		    "no use here");
	}
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return fail_lost(s, "closed by the server", err);
	error_set(err, EX_TEMPFAIL, "4.7.5", "TLS with '%s' failed: %s",
	    s->host, tls_reason());
	return error_hint(err,
	    "check 'host' and 'port' in outpost.conf, and proxies on the way");
}

static int
shake_hands(struct stream *s, const struct stream_trust *trust, double deadline,
    struct error *err)
{
	for (;;) {
		int result, why;

		tls_prepare();
		result = SSL_connect(s->tls);
		if (result == 1)
			return 0;
		why = SSL_get_error(s->tls, result);
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return fail_handshake(s, result, trust, err);
		if (wait_for(s, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT,
			deadline, err) == -1)
			return -1;
	}
}

/* A name of a certificate as text; "" for kinds that TLS does not look at. */
static void
alternative_text(const GENERAL_NAME *name, char *out, size_t size)
{
	const unsigned char *bytes;
	int len;

	out[0] = '\0';
	if (name->type != GEN_DNS && name->type != GEN_IPADD)
		return;
	bytes = ASN1_STRING_get0_data(name->d.ia5);
	len = ASN1_STRING_length(name->d.ia5);
	if (name->type == GEN_DNS)
		(void)snprintf(out, size, "%.*s", len, (const char *)bytes);
	else if (len == 4 || len == 16)
		(void)inet_ntop(
		    len == 4 ? AF_INET : AF_INET6, bytes, out, (socklen_t)size);
}

static void
list_names(X509 *certificate, char *out, size_t size)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char text[256];
	struct buf list;

	buf_init(&list, size - 1);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		alternative_text(
		    sk_GENERAL_NAME_value(names, i), text, sizeof(text));
		if (*text != '\0')
			(void)buf_addf(
			    &list, "%s%s", list.len > 0 ? ", " : "", text);
	}
	GENERAL_NAMES_free(names);
	strlcpy(out, list.data, size);
	buf_release(&list);
}

static void
name_text(const X509_NAME *name, char *out, size_t size)
{
	BIO *text = BIO_new(BIO_s_mem());
	int n = 0;

	out[0] = '\0';
	if (text == NULL)
		return;
	if (X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(text, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(text);
}

static long long
seconds_of(const ASN1_TIME *time)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;

	if (epoch == NULL || ASN1_TIME_diff(&days, &seconds, epoch, time) != 1)
		days = seconds = 0;
	ASN1_TIME_free(epoch);
	return days * 86400LL + seconds;
}

int
stream_certificate(const struct stream *s, struct stream_certificate *out)
{
	X509 *certificate = s->certificate;

	if (certificate == NULL)
		return -1;
	*out = (struct stream_certificate){ .start = 0 };
	list_names(certificate, out->names, sizeof(out->names));
	name_text(X509_get_subject_name(certificate), out->subject,
	    sizeof(out->subject));
	name_text(X509_get_issuer_name(certificate), out->issuer,
	    sizeof(out->issuer));
	out->start = seconds_of(X509_get0_notBefore(certificate));
	out->end = seconds_of(X509_get0_notAfter(certificate));
	return 0;
}

int
stream_start_tls(struct stream *s, const struct stream_trust *trust,
    double deadline, struct error *err)
{
	stream_library_init();
	if (stream_flush(s, deadline, err) == -1 ||
	    make_context(s, trust, err) == -1)
		return -1;
	s->tls = SSL_new(s->context);
	if (s->tls == NULL || SSL_set_fd(s->tls, s->fd) != 1)
		return fail_openssl(err);
	(void)SSL_set_app_data(s->tls, s);
	s->broken = true;
	/* Whole records in one read(2). */
	SSL_set_read_ahead(s->tls, 1);
	if (set_name(s, err) == -1 ||
	    shake_hands(s, trust, deadline, err) == -1)
		return -1;
	s->broken = false;
	snprintf(s->cipher, sizeof(s->cipher), "%s %s", SSL_get_version(s->tls),
	    SSL_get_cipher_name(s->tls));
	return 0;
}
