/* A connection with deadlines that can become TLS: the one door to OpenSSL's
 * TLS.
 *
 * TLS is 1.2 or newer, the chain and the name (or the IP address) are always
 * verified, there is no way to switch it off. Trust comes from a hashed folder
 * (c_rehash(1); only the files that a chain needs are read) or a bundle, and
 * from nowhere else: openssl.cnf, SSL_CERT_FILE and SSL_CERT_DIR are not
 * looked at. No session is kept and none resumed.
 *
 * Writes are gathered into full TLS records of 16 kB; stream_flush() sends
 * the rest. Deadlines are file_now() seconds. Errors: EX_TEMPFAIL 4.4.2 for
 * a lost connection or a time-out; EX_CONFIG and ERROR_HOLD for a certificate
 * that cannot be trusted, a trust store that cannot be read, a server without
 * TLS 1.2: trying again does not mend these.
 *
 *	struct stream *s;
 *	if (stream_open(&s, host, port, deadline, NULL, &err) == -1) …
 *	stream_write(s, …); stream_flush(s, …); stream_read(s, …);
 *	stream_start_tls(s, &trust, deadline, &err);
 *	stream_free(s);
 *
 * SIGPIPE must be ignored (startup does).
 */
#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>
#include <sys/types.h>

struct error;
struct stream;
struct waiter;

#define STREAM_RECORD	16384u		/* bytes of content in a TLS record */

struct stream_trust {
	const char *ca_dir;	/* hashed folder, or NULL */
	const char *ca_file;	/* PEM bundle, or NULL; of both, all */
};

/* Keep OpenSSL from reading its configuration. stream_start_tls() does it; a
 * program that uses OpenSSL before calls it first of all. */
void	stream_library_init(void);

/* Connect. The waiter is copied; it may be NULL. */
int	stream_open(struct stream **, const char *host, unsigned port,
	    double deadline, const struct waiter *, struct error *);
/* A stream over a connected socket, which it owns from now on; 'host' is the
 * name that TLS will verify. */
struct stream *stream_new(int fd, const char *host, const struct waiter *);
/* Say good-bye on TLS level without waiting, close, free. NULL is fine. */
void	stream_free(struct stream *);

int	stream_start_tls(struct stream *, const struct stream_trust *,
	    double deadline, struct error *);
/* At least one byte, at most 'size'; -1 on error, which the end of the
 * stream is too. */
ssize_t	stream_read(struct stream *, void *bytes, size_t size,
	    double deadline, struct error *);
int	stream_write(struct stream *, const void *bytes, size_t len,
	    double deadline, struct error *);
int	stream_flush(struct stream *, double deadline, struct error *);

/* "203.0.113.7" of the other side, "" when not known. */
const char *stream_address(const struct stream *);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" before TLS. */
const char *stream_cipher(const struct stream *);
/* The certificate that the server showed, trusted or not; -1 when it showed
 * none. Names are those that TLS looks at, joined by ", ". */
struct stream_certificate {
	char names[512];
	char subject[256];
	char issuer[256];
	long long start, end;	/* seconds since 1970 */
};
int	stream_certificate(const struct stream *, struct stream_certificate *);

#endif
