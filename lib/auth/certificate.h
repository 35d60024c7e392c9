/* An application's certificate with its private key: the one door to
 * OpenSSL's keys, certificates and signatures.
 *
 * Both come as PEM, in one file (`certificate`) or two (`key_file`). The file
 * with the key must be its owner's alone; the certificate by itself is public.
 * The key is RSA of CERTIFICATE_KEY_BITS or more, since Entra takes no other,
 * and has no passphrase, since nobody is there to enter it. Of several
 * certificates (a chain) the one of the key counts.
 *
 *	if (certificate_load(&certificate, account, &err) == -1 ||
 *	    certificate_check_time(certificate, account, now, &err) == -1) …
 *	certificate_sign(certificate, bytes, len, &signature, &err);
 *	certificate_free(certificate);
 *
 * Errors are EX_CONFIG, to be held, and name the file; they never quote it.
 */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include <stddef.h>
#include <time.h>

struct account;
struct buf;
struct certificate;
struct error;

#define CERTIFICATE_FILE_MAX	(64u * 1024)	/* bytes of each file */
#define CERTIFICATE_CHAIN_MAX	10u		/* certificates looked at */
#define CERTIFICATE_KEY_BITS	2048		/* at the least */
#define CERTIFICATE_PRINT_SIZE	32u		/* bytes of a SHA-256 */

/* Read the files that the account names. */
int	certificate_load(struct certificate **, const struct account *,
	    struct error *);
/* The same from memory; the account is for messages. 'key' may be 'pem'. */
int	certificate_parse(struct certificate **, const struct account *,
	    const struct buf *pem, const struct buf *key, struct error *);
/* Accepts NULL. */
void	certificate_free(struct certificate *);

/* Neither expired nor before its time? */
int	certificate_check_time(const struct certificate *,
	    const struct account *, time_t now, struct error *);
/* Its last second (notAfter). */
time_t	certificate_expires(const struct certificate *);

/* SHA-256 of its DER form: Entra's name for it. */
void	certificate_thumbprint(const struct certificate *,
	    unsigned char out[CERTIFICATE_PRINT_SIZE]);
/* Append the PS256 signature (RFC 7518 section 3.5) of the bytes. */
int	certificate_sign(const struct certificate *, const void *bytes,
	    size_t len, struct buf *out, struct error *);

#endif
