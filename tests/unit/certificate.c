#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/certificate.h"
#include "base/error.h"
#include "base/file.h"
#include "certificate_pem.h"

#define FROM 1700000000
#define TO 1800000000

static EVP_PKEY *rsa, *other;
static char folder[] = "/tmp/outpost-certificate-XXXXXX";
static char file[64], key_file[64];
static struct account account = {
	.mailbox = (char[]){ "alerts@contoso.com" },
	.certificate = file,
};

static int
make_keys(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/app.pem", folder);
	snprintf(key_file, sizeof(key_file), "%s/app.key", folder);
	rsa = EVP_RSA_gen(2048);
	other = EVP_RSA_gen(2048);
	return rsa == NULL || other == NULL ? -1 : 0;
}

static int
free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(other);
	unlink(file);
	unlink(key_file);
	return rmdir(folder);
}

static int
parse(struct certificate **c, const struct buf *pem, struct error *err)
{
	*c = NULL;
	return certificate_parse(c, &account, pem, pem, err);
}

/* Every refusal is for a person, and names the file. */
static void
is_refused(const struct buf *pem, const char *why, const char *hint)
{
	struct certificate *c;
	struct error err;

	assert_int_equal(-1, parse(&c, pem, &err));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_int_equal(err.class, ERROR_HOLD);
	if (strstr(err.text, why) == NULL || strstr(err.text, file) == NULL)
		fail_msg("'%s' lacks '%s'", err.text, why);
	if (strstr(err.hint, hint) == NULL)
		fail_msg("'%s' lacks '%s'", err.hint, hint);
}

static void
key_and_certificate_are_read_in_either_order(void **state)
{
	(void)state;
	for (int key_first = 0; key_first < 2; key_first++) {
		struct certificate *c;
		struct error err;
		struct buf pem;

		buf_init(&pem, PEM_MAX);
		buf_adds(&pem, "Bag Attributes\n    friendlyName: x\n");
		if (key_first)
			pem_add_key(&pem, rsa, NULL);
		pem_add_certificate(&pem, rsa, FROM, TO);
		if (!key_first)
			pem_add_key(&pem, rsa, NULL);
		if (parse(&c, &pem, &err) == -1)
			fail_msg("%s", err.text);
		assert_int_equal(certificate_expires(c), TO);
		certificate_free(c);
		buf_release(&pem);
	}
}

static void
certificate_of_the_key_is_found_in_a_chain(void **state)
{
	unsigned char print[CERTIFICATE_PRINT_SIZE];
	unsigned char alone[CERTIFICATE_PRINT_SIZE];
	struct certificate *c;
	struct error err;
	struct buf pem;

	(void)state;
	buf_init(&pem, PEM_MAX);
	pem_add_key(&pem, rsa, NULL);
	pem_add_certificate(&pem, rsa, FROM, TO);
	assert_int_equal(0, parse(&c, &pem, &err));
	certificate_thumbprint(c, alone);
	certificate_free(c);
	buf_clear(&pem);
	pem_add_certificate(&pem, other, FROM, TO);
	pem_add_certificate(&pem, rsa, FROM, TO);
	pem_add_key(&pem, rsa, NULL);
	assert_int_equal(0, parse(&c, &pem, &err));
	certificate_thumbprint(c, print);
	assert_memory_equal(print, alone, sizeof(print));
	certificate_free(c);
	buf_release(&pem);
}

static void
what_lacks_key_or_certificate_is_refused(void **state)
{
	struct buf pem;

	(void)state;
	buf_init(&pem, PEM_MAX);
	is_refused(&pem, "holds no private key", "openssl req -x509");
	buf_adds(&pem, "-----BEGIN PRIVATE KEY-----\nMII\n");
	is_refused(&pem, "holds no private key", "openssl req -x509");
	buf_clear(&pem);
	pem_add_certificate(&pem, rsa, FROM, TO);
	is_refused(&pem, "holds no private key", "key_file");
	buf_clear(&pem);
	pem_add_key(&pem, rsa, NULL);
	is_refused(&pem, "holds no certificate", "openssl req -x509");
	buf_clear(&pem);
	buf_add(&pem, "\x30\x82\x0a\x00\x02\x01\x03", 7);
	is_refused(&pem, "holds no private key", "openssl pkcs12");
	buf_release(&pem);
}

static void
certificate_of_another_key_is_refused(void **state)
{
	struct buf pem;

	(void)state;
	buf_init(&pem, PEM_MAX);
	pem_add_key(&pem, rsa, NULL);
	pem_add_certificate(&pem, other, FROM, TO);
	is_refused(&pem, "certificate of another key", "key_file");
	buf_release(&pem);
}

static void
key_with_a_passphrase_is_refused(void **state)
{
	struct buf pem;
	BIO *bio;

	(void)state;
	buf_init(&pem, PEM_MAX);
	pem_add_certificate(&pem, rsa, FROM, TO);
	pem_add_key(&pem, rsa, "secret");
	is_refused(&pem, "key with a passphrase", "openssl pkey");
	buf_clear(&pem);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey_traditional(bio, rsa, EVP_aes_128_cbc(),
	    (const unsigned char *)"secret", 6, NULL, NULL);
	pem_take(&pem, bio);
	is_refused(&pem, "key with a passphrase", "openssl pkey");
	buf_release(&pem);
}

static void
key_that_entra_does_not_take_is_refused(void **state)
{
	EVP_PKEY *curve = EVP_EC_gen("P-256"), *small = EVP_RSA_gen(1024);
	struct buf pem;

	(void)state;
	buf_init(&pem, PEM_MAX);
	pem_add_key(&pem, curve, NULL);
	pem_add_certificate(&pem, curve, FROM, TO);
	is_refused(&pem, "not RSA", "openssl req -x509");
	buf_clear(&pem);
	pem_add_key(&pem, small, NULL);
	pem_add_certificate(&pem, small, FROM, TO);
	is_refused(&pem, "less than 2048 bits", "openssl req -x509");
	buf_release(&pem);
	EVP_PKEY_free(curve);
	EVP_PKEY_free(small);
}

static void
certificate_counts_within_its_time_alone(void **state)
{
	struct certificate *c;
	struct error err;
	struct buf pem;

	(void)state;
	buf_init(&pem, PEM_MAX);
	pem_add_key(&pem, rsa, NULL);
	pem_add_certificate(&pem, rsa, FROM, TO);
	assert_int_equal(0, parse(&c, &pem, &err));
	assert_int_equal(0, certificate_check_time(c, &account, FROM, &err));
	assert_int_equal(0, certificate_check_time(c, &account, TO, &err));
	assert_int_equal(
	    -1, certificate_check_time(c, &account, FROM - 1, &err));
	assert_non_null(
	    strstr(err.text, "not valid before 2023-11-14 22:13 UTC"));
	assert_non_null(strstr(err.hint, "timedatectl"));
	assert_int_equal(err.class, ERROR_HOLD);
	assert_int_equal(-1, certificate_check_time(c, &account, TO + 1, &err));
	assert_non_null(strstr(err.text, "expired on 2027-01-15 08:00 UTC"));
	assert_non_null(strstr(err.hint, "openssl req -x509"));
	assert_int_equal(err.class, ERROR_HOLD);
	assert_int_equal(err.exit_code, EX_CONFIG);
	certificate_free(c);
	buf_release(&pem);
}

static void
write_file(const char *path, const struct buf *text, mode_t mode)
{
	struct error err;

	if (file_replace(path, text->data, text->len, mode, &err) == -1)
		fail_msg("%s", err.text);
}

static int
load(struct error *err)
{
	struct certificate *c = NULL;
	int result = certificate_load(&c, &account, err);

	certificate_free(c);
	return result;
}

static void
key_must_be_its_owners_alone_and_a_certificate_need_not(void **state)
{
	struct error err;
	struct buf both, key, public;

	(void)state;
	buf_init(&both, PEM_MAX);
	buf_init(&key, PEM_MAX);
	buf_init(&public, PEM_MAX);
	pem_add_key(&key, rsa, NULL);
	pem_add_certificate(&public, rsa, FROM, TO);
	buf_adds(&both, key.data);
	buf_adds(&both, public.data);

	write_file(file, &both, 0600);
	assert_int_equal(0, load(&err));
	write_file(file, &both, 0644);
	assert_int_equal(-1, load(&err));
	assert_non_null(strstr(err.hint, "chmod 600"));
	assert_int_equal(err.class, ERROR_HOLD);

	account.key_file = key_file;
	write_file(file, &public, 0644);
	write_file(key_file, &key, 0600);
	assert_int_equal(0, load(&err));
	write_file(key_file, &key, 0640);
	assert_int_equal(-1, load(&err));
	assert_non_null(strstr(err.text, key_file));
	unlink(key_file);
	assert_int_equal(-1, load(&err));
	assert_non_null(strstr(err.text, key_file));
	assert_int_equal(err.exit_code, EX_CONFIG);
	assert_int_not_equal(err.hint[0], '\0');
	account.key_file = NULL;
	buf_release(&both);
	buf_release(&key);
	buf_release(&public);
}

static void
file_over_its_cap_is_refused(void **state)
{
	struct error err;
	struct buf text;

	(void)state;
	buf_init(&text, CERTIFICATE_FILE_MAX + 1);
	while (buf_addc(&text, '\n') == 0)
		;
	write_file(file, &text, 0600);
	assert_int_equal(-1, load(&err));
	assert_non_null(strstr(err.text, "larger than"));
	assert_int_equal(err.class, ERROR_HOLD);
	buf_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_and_certificate_are_read_in_either_order),
		cmocka_unit_test(certificate_of_the_key_is_found_in_a_chain),
		cmocka_unit_test(what_lacks_key_or_certificate_is_refused),
		cmocka_unit_test(certificate_of_another_key_is_refused),
		cmocka_unit_test(key_with_a_passphrase_is_refused),
		cmocka_unit_test(key_that_entra_does_not_take_is_refused),
		cmocka_unit_test(certificate_counts_within_its_time_alone),
		cmocka_unit_test(
		    key_must_be_its_owners_alone_and_a_certificate_need_not),
		cmocka_unit_test(file_over_its_cap_is_refused),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
