/* Any bytes as a certificate and key: what is accepted can sign. */
#include <stdint.h>
#include <stdlib.h>

#include "account/config.h"
#include "auth/certificate.h"
#include "base/buf.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
require(int truth)
{
	if (!truth)
		abort();
}

static void
check_certificate(
    const struct certificate *certificate, const struct account *account)
{
	struct buf signature;
	struct error err;

	buf_init(&signature, 4096);
	(void)certificate_check_time(certificate, account, 1750000000, &err);
	require(certificate_sign(certificate, "x", 1, &signature, &err) == 0);
	require(signature.len >= CERTIFICATE_KEY_BITS / 8);
	buf_release(&signature);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct account account = {
		.mailbox = (char[]){ "a@b.c" },
		.certificate = (char[]){ "/app.pem" },
	};
	struct certificate *certificate = NULL;
	struct buf pem;
	struct error err;

	buf_init(&pem, CERTIFICATE_FILE_MAX);
	if (buf_add(&pem, data, len) == 0) {
		if (certificate_parse(
			&certificate, &account, &pem, &pem, &err) == 0)
			check_certificate(certificate, &account);
		else
			require(err.exit_code != 0 && err.class == ERROR_HOLD);
	}
	certificate_free(certificate);
	buf_release(&pem);
	return 0;
}
