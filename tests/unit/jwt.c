#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "account/config.h"
#include "auth/certificate.h"
#include "auth/jwt.h"
#include "base/encode.h"
#include "base/error.h"
#include "certificate_pem.h"

static EVP_PKEY *key;
static struct certificate *certificate;
static const struct account account = {
	.mailbox = (char[]){ "alerts@contoso.com" },
	.certificate = (char[]){ "/app.pem" },
};

static int
make_certificate(void **state)
{
	struct error err;
	struct buf pem;
	int result;

	(void)state;
	key = EVP_RSA_gen(2048);
	buf_init(&pem, PEM_MAX);
	pem_add_key(&pem, key, NULL);
	pem_add_certificate(&pem, key, 1700000000, 1800000000);
	result = certificate_parse(&certificate, &account, &pem, &pem, &err);
	buf_release(&pem);
	return result;
}

static int
free_certificate(void **state)
{
	(void)state;
	certificate_free(certificate);
	EVP_PKEY_free(key);
	return 0;
}

/* The 'n'-th part, decoded. */
static void
part_of(struct buf *out, const struct buf *assertion, int n)
{
	const char *start = assertion->data;

	for (; n > 0; n--)
		start = strchr(start, '.') + 1;
	buf_clear(out);
	assert_int_equal(0, decode_base64(out, start, strcspn(start, ".")));
}

static void
make(struct buf *out, const char *client_id)
{
	const struct jwt_claims claims = {
		"https://login.example/t/oauth2/v2.0/token", client_id,
		"11112222-3333-4444-5555-666677778888", 1750000000
	};
	struct error err;

	buf_init(out, JWT_MAX);
	if (jwt_assertion(out, certificate, &claims, &err) == -1)
		fail_msg("%s", err.text);
}

static void
claims_are_those_that_entra_wants(void **state)
{
	struct buf assertion, part;

	(void)state;
	make(&assertion, "client");
	buf_init(&part, JWT_MAX);
	part_of(&part, &assertion, 1);
	assert_string_equal(part.data,
	    "{\"aud\":\"https://login.example/t/oauth2/v2.0/token\","
	    "\"iss\":\"client\",\"sub\":\"client\","
	    "\"jti\":\"11112222-3333-4444-5555-666677778888\","
	    "\"nbf\":1750000000,\"iat\":1750000000,\"exp\":1750000600}");
	buf_release(&part);
	buf_release(&assertion);
}

static void
header_names_the_certificate(void **state)
{
	unsigned char print[CERTIFICATE_PRINT_SIZE];
	struct buf assertion, part, wanted;

	(void)state;
	make(&assertion, "client");
	buf_init(&part, JWT_MAX);
	buf_init(&wanted, JWT_MAX);
	part_of(&part, &assertion, 0);
	certificate_thumbprint(certificate, print);
	buf_adds(&wanted, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"");
	encode_base64url(&wanted, print, sizeof(print));
	buf_adds(&wanted, "\"}");
	assert_string_equal(part.data, wanted.data);
	buf_release(&wanted);
	buf_release(&part);
	buf_release(&assertion);
}

static void
signature_is_ps256(void **state)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options;
	struct buf assertion, signature;
	size_t len;

	(void)state;
	make(&assertion, "client");
	buf_init(&signature, JWT_MAX);
	part_of(&signature, &assertion, 2);
	len = (size_t)(strrchr(assertion.data, '.') - assertion.data);
	EVP_DigestVerifyInit(context, &options, EVP_sha256(), NULL, key);
	EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
	EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 32);
	assert_int_equal(
	    1, EVP_DigestVerify(context, (unsigned char *)signature.data,
		   signature.len, (unsigned char *)assertion.data, len));
	assert_null(strpbrk(assertion.data, "+/="));
	EVP_MD_CTX_free(context);
	buf_release(&signature);
	buf_release(&assertion);
}

static void
text_cannot_leave_its_quotes(void **state)
{
	struct buf assertion, part;

	(void)state;
	make(&assertion, "a\",\"exp\":1,\\\x01");
	buf_init(&part, JWT_MAX);
	part_of(&part, &assertion, 1);
	assert_non_null(
	    strstr(part.data, "\"sub\":\"a\\\",\\\"exp\\\":1,\\\\\\u0001\""));
	buf_release(&part);
	buf_release(&assertion);
}

static void
assertion_over_its_cap_is_an_error(void **state)
{
	const struct jwt_claims claims = { "a", "b", "c", 1 };
	struct buf out;
	struct error err;

	(void)state;
	buf_init(&out, 200);
	assert_int_equal(-1, jwt_assertion(&out, certificate, &claims, &err));
	assert_non_null(strstr(err.text, "too long"));
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims_are_those_that_entra_wants),
		cmocka_unit_test(header_names_the_certificate),
		cmocka_unit_test(signature_is_ps256),
		cmocka_unit_test(text_cannot_leave_its_quotes),
		cmocka_unit_test(assertion_over_its_cap_is_an_error),
	};

	return cmocka_run_group_tests(
	    tests, make_certificate, free_certificate);
}
