/* For tests: keys and certificates as PEM. */
#ifndef CERTIFICATE_PEM_H
#define CERTIFICATE_PEM_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/buf.h"

#define PEM_MAX (64u * 1024)

static inline void
pem_take(struct buf *out, BIO *bio)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);

	buf_add(out, text, (size_t)len);
	BIO_free(bio);
}

/* With a passphrase where one is given. */
static inline void
pem_add_key(struct buf *out, EVP_PKEY *key, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_PKCS8PrivateKey(bio, key,
	    passphrase == NULL ? NULL : EVP_aes_128_cbc(), NULL, 0, NULL,
	    (void *)(uintptr_t)passphrase);
	pem_take(out, bio);
}

/* Self-signed, valid from and to these seconds since 1970. */
static inline void
pem_add_certificate(struct buf *out, EVP_PKEY *key, time_t from, time_t to)
{
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *x509 = X509_new();

	X509_set_version(x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	ASN1_TIME_set(X509_getm_notBefore(x509), from);
	ASN1_TIME_set(X509_getm_notAfter(x509), to);
	X509_set_pubkey(x509, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN",
	    MBSTRING_ASC, (const unsigned char *)"outpost", -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(x509));
	X509_sign(x509, key, EVP_sha256());
	PEM_write_bio_X509(bio, x509);
	X509_free(x509);
	pem_take(out, bio);
}

#endif
