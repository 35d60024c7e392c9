#include "auth/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <sysexits.h>

#include "account/config.h"
#include "auth/store.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"

#define DER_SEQUENCE 0x30 /* how a file in DER or PKCS #12 begins */
#define DATE_SIZE 32

struct certificate {
	X509 *x509;
	EVP_PKEY *key;
	time_t begins, expires;
};

static const char make_hint[] =
    "make both with 'openssl req -x509 -newkey rsa:2048 -nodes -days 730 "
    "-subj /CN=outpost -keyout app.key -out app.crt' and upload app.crt, as "
    "README shows";
static const char convert_hint[] =
    "both must be PEM; 'openssl pkcs12 -in app.pfx -nodes -out app.pem' makes "
    "it of a .pfx or .p12 file";

static const char key_hint[] =
    "add the key that it was made with to the file, or name that key's file "
    "as key_file";

void
certificate_free(struct certificate *c)
{
	if (c == NULL)
		return;
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
	free(c);
}

static int
unusable(const char *path, const char *why, const char *hint, struct error *err)
{
	/* What OpenSSL says may quote the file. */
	ERR_clear_error();
	error_set(err, EX_CONFIG, "4.3.5", "'%s' %s", path, why);
	error_hint(err, "%s", hint);
	return error_class_set(err, ERROR_HOLD, 0);
}

static const char *
key_path(const struct account *account)
{
	return account->key_file != NULL ? account->key_file
					 : account->certificate;
}

/* Nobody is there to enter a passphrase: that one is asked for is noted. */
static int
refuse_passphrase(char *out, int size, int writing, void *asked)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static const char *
hint_for(const struct buf *pem)
{
	if (pem->len > 0 && pem->data[0] == DER_SEQUENCE)
		return convert_hint;
	return make_hint;
}

static int
read_key(struct certificate *c, const struct account *account,
    const struct buf *pem, struct error *err)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	const char *path = key_path(account);
	bool asked = false;

	if (bio != NULL)
		c->key = PEM_read_bio_PrivateKey(
		    bio, NULL, refuse_passphrase, &asked);
	BIO_free(bio);
	if (c->key == NULL && asked)
		return unusable(path, "holds a key with a passphrase",
		    "take the passphrase off: 'openssl pkey -in FILE -out "
		    "FILE'; the file's mode protects the key",
		    err);
	if (c->key == NULL)
		return unusable(path, "holds no private key in PEM",
		    strstr(pem->data, "-----BEGIN CERTIFICATE-----") != NULL
			? key_hint
			: hint_for(pem),
		    err);
	if (!EVP_PKEY_is_a(c->key, "RSA"))
		return unusable(path,
		    "holds a key that is not RSA, which is "
		    "all that Entra takes",
		    make_hint, err);
	if (EVP_PKEY_get_bits(c->key) < CERTIFICATE_KEY_BITS)
		return unusable(path, "holds an RSA key of less than 2048 bits",
		    make_hint, err);
	return 0;
}

/* The certificate of the key, out of all that there are. */
static int
read_certificate(struct certificate *c, const struct account *account,
    const struct buf *pem, struct error *err)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	unsigned seen = 0;
	bool asked = false;
	X509 *x509;

	while (bio != NULL && c->x509 == NULL && seen < CERTIFICATE_CHAIN_MAX &&
	       (x509 = PEM_read_bio_X509(
		    bio, NULL, refuse_passphrase, &asked)) != NULL) {
		seen++;
		if (X509_check_private_key(x509, c->key) == 1)
			c->x509 = x509;
		else
			X509_free(x509);
	}
	BIO_free(bio);
	if (seen == 0)
		return unusable(account->certificate,
		    "holds no certificate in PEM", hint_for(pem), err);
	if (c->x509 == NULL)
		return unusable(account->certificate,
		    "holds a certificate of another key",
		    "name the key that the certificate was made with as "
		    "key_file, or make both again as README shows",
		    err);
	return 0;
}

static int
read_time(const ASN1_TIME *encoded, time_t *out)
{
	struct tm parts;

	if (ASN1_TIME_to_tm(encoded, &parts) != 1)
		return -1;
	*out = timegm(&parts);
	return 0;
}

int
certificate_parse(struct certificate **out, const struct account *account,
    const struct buf *pem, const struct buf *key, struct error *err)
{
	struct certificate *c = xcalloc(1, sizeof(*c));

	if (read_key(c, account, key, err) == -1 ||
	    read_certificate(c, account, pem, err) == -1)
		goto fail;
	if (read_time(X509_get0_notBefore(c->x509), &c->begins) == -1 ||
	    read_time(X509_get0_notAfter(c->x509), &c->expires) == -1) {
		(void)unusable(account->certificate,
		    "holds a certificate without a valid time", make_hint, err);
		goto fail;
	}
	ERR_clear_error();
	*out = c;
	return 0;
fail:
	certificate_free(c);
	return -1;
}

int
certificate_load(
    struct certificate **out, const struct account *account, struct error *err)
{
	bool apart = account->key_file != NULL;
	struct buf pem, key;
	int result = -1;

	buf_init(&pem, CERTIFICATE_FILE_MAX);
	buf_init(&key, CERTIFICATE_FILE_MAX);
	if (store_text(account, account->certificate, "certificate", !apart,
		&pem, err) == 0 &&
	    (!apart || store_text(account, account->key_file,
			   "certificate's key", true, &key, err) == 0))
		result = certificate_parse(
		    out, account, &pem, apart ? &key : &pem, err);
	buf_release(&pem);
	buf_release(&key);
	return result;
}

static char *
format_date(char out[DATE_SIZE], time_t when)
{
	struct tm parts;

	if (gmtime_r(&when, &parts) == NULL ||
	    strftime(out, DATE_SIZE, "%Y-%m-%d %H:%M UTC", &parts) == 0)
		strlcpy(out, "?", DATE_SIZE);
	return out;
}

int
certificate_check_time(const struct certificate *c,
    const struct account *account, time_t now, struct error *err)
{
	char date[DATE_SIZE];

	if (now > c->expires)
		error_set(err, EX_CONFIG, "4.3.5",
		    "the certificate '%s' of '%s' expired on %s",
		    account->certificate, account->mailbox,
		    format_date(date, c->expires));
	else if (now < c->begins)
		error_set(err, EX_CONFIG, "4.3.5",
		    "the certificate '%s' of '%s' is not valid before %s",
		    account->certificate, account->mailbox,
		    format_date(date, c->begins));
	else
		return 0;
	if (now > c->expires)
		error_hint(err, "%s", make_hint);
	else
		error_hint(err, "set this machine's clock: run 'timedatectl' "
				"and look at NTP");
	return error_class_set(err, ERROR_HOLD, 0);
}

time_t
certificate_expires(const struct certificate *c)
{
	return c->expires;
}

void
certificate_thumbprint(
    const struct certificate *c, unsigned char out[CERTIFICATE_PRINT_SIZE])
{
	memset(out, 0, CERTIFICATE_PRINT_SIZE);
	(void)X509_digest(c->x509, EVP_sha256(), out, NULL);
}

static int
begin_signature(EVP_MD_CTX *context, EVP_PKEY *key)
{
	EVP_PKEY_CTX *options;

	if (EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, key) !=
		1 ||
	    EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) !=
		1)
		return -1;
	return 0;
}

int
certificate_sign(const struct certificate *c, const void *bytes, size_t len,
    struct buf *out, struct error *err)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = (size_t)EVP_PKEY_get_size(c->key);
	char *room = buf_room(out, size);
	int result = -1;

	if (context != NULL && room != NULL &&
	    begin_signature(context, c->key) == 0 &&
	    EVP_DigestSign(context, (unsigned char *)room, &size, bytes, len) ==
		1) {
		buf_grown(out, size);
		result = 0;
	}
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	if (result == -1)
		error_set(err, EX_SOFTWARE, "4.3.0",
		    "cannot sign with the certificate's key");
	return result;
}
