/* For tests: a certificate made on the spot, and a server in a child process
 * that speaks it on loopback.
 */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct tls_certificate {
	EVP_PKEY *key;
	X509 *x509;
	char folder[64];	/* hashed folder with the certificate in it */
	char file[80];		/* the certificate as a bundle */
};

/* Self-signed for these subjectAltNames ("DNS:localhost,IP:127.0.0.1"), valid
 * from 'from' to 'to' seconds from now. */
static inline void
tls_certificate_make(struct tls_certificate *c, const char *names, long from,
    long to)
{
	X509_NAME *name;
	X509_EXTENSION *alternative;
	char link[128];
	FILE *f;

	c->key = EVP_RSA_gen(2048);
	c->x509 = X509_new();
	X509_set_version(c->x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c->x509), 1);
	X509_gmtime_adj(X509_getm_notBefore(c->x509), from);
	X509_gmtime_adj(X509_getm_notAfter(c->x509), to);
	X509_set_pubkey(c->x509, c->key);
	name = X509_get_subject_name(c->x509);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"Test Authority", -1, -1, 0);
	X509_set_issuer_name(c->x509, name);
	alternative = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_subject_alt_name, names);
	X509_add_ext(c->x509, alternative, -1);
	X509_EXTENSION_free(alternative);
	X509_sign(c->x509, c->key, EVP_sha256());

	snprintf(c->folder, sizeof(c->folder), "/tmp/tls-test.XXXXXX");
	if (mkdtemp(c->folder) == NULL)
		abort();
	snprintf(c->file, sizeof(c->file), "%s/ca.pem", c->folder);
	if ((f = fopen(c->file, "w")) == NULL)
		abort();
	PEM_write_X509(f, c->x509);
	fclose(f);
	snprintf(link, sizeof(link), "%s/%08lx.0", c->folder,
	    X509_subject_name_hash(c->x509));
	if (symlink("ca.pem", link) == -1)
		abort();
}

static inline void
tls_certificate_free(struct tls_certificate *c)
{
	char link[128];

	snprintf(link, sizeof(link), "%s/%08lx.0", c->folder,
	    X509_subject_name_hash(c->x509));
	unlink(link);
	unlink(c->file);
	rmdir(c->folder);
	EVP_PKEY_free(c->key);
	X509_free(c->x509);
}

/* A listening socket on loopback; its port in *port. */
static inline int
tls_listen(unsigned *port, int backlog)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&address, len) == -1 ||
	    listen(fd, backlog) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		abort();
	*port = ntohs(address.sin_port);
	return fd;
}

/* The server's side of the handshake; NULL when it fails. 'version' is the
 * highest that it speaks. */
static inline SSL *
tls_accept(int fd, const struct tls_certificate *c, int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	SSL *tls;

	if (version < TLS1_2_VERSION)
		SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_use_certificate(context, c->x509);
	SSL_CTX_use_PrivateKey(context, c->key);
	tls = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_fd(tls, fd);
	if (SSL_accept(tls) == 1)
		return tls;
	SSL_free(tls);
	return NULL;
}

/* Run 'serve' on one connection in a child. Stopped by tls_stop(). */
static inline pid_t
tls_serve(int listener, void (*serve)(int fd, void *arg), void *arg)
{
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	alarm(60);
	signal(SIGPIPE, SIG_IGN);
	fd = accept(listener, NULL, NULL);
	if (fd != -1)
		serve(fd, arg);
	_exit(0);
}

static inline void
tls_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
