#include "auth/jwt.h"

#include <sysexits.h>

#include "auth/certificate.h"
#include "base/encode.h"
#include "base/error.h"

/* A JSON string (RFC 8259 section 7). */
static void
put_text(struct buf *out, const char *text)
{
	buf_addc(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_addf(out, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			buf_addf(out, "\\u%04x", (unsigned char)*text);
		else
			buf_addc(out, *text);
	}
	buf_addc(out, '"');
}

static void
put_header(struct buf *out, const struct certificate *certificate)
{
	unsigned char print[CERTIFICATE_PRINT_SIZE];

	certificate_thumbprint(certificate, print);
	buf_adds(out, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"");
	encode_base64url(out, print, sizeof(print));
	buf_adds(out, "\"}");
}

static void
put_claims(struct buf *out, const struct jwt_claims *claims)
{
	long long now = claims->now;

	buf_adds(out, "{\"aud\":");
	put_text(out, claims->audience);
	buf_adds(out, ",\"iss\":");
	put_text(out, claims->client_id);
	buf_adds(out, ",\"sub\":");
	put_text(out, claims->client_id);
	buf_adds(out, ",\"jti\":");
	put_text(out, claims->id);
	buf_addf(out, ",\"nbf\":%lld,\"iat\":%lld,\"exp\":%lld}", now, now,
	    now + JWT_LIFETIME);
}

int
jwt_assertion(struct buf *out, const struct certificate *certificate,
    const struct jwt_claims *claims, struct error *err)
{
	struct buf text, signature;
	size_t start = out->len;
	int result = -1;

	buf_init(&text, JWT_MAX);
	buf_init(&signature, JWT_MAX);
	put_header(&text, certificate);
	encode_base64url(out, text.data, text.len);
	buf_addc(out, '.');
	buf_clear(&text);
	put_claims(&text, claims);
	encode_base64url(out, text.data, text.len);
	if (certificate_sign(certificate, out->data + start, out->len - start,
		&signature, err) == -1)
		goto out;
	buf_addc(out, '.');
	encode_base64url(out, signature.data, signature.len);
	if (text.full || out->full)
		error_set(err, EX_SOFTWARE, "4.3.0",
		    "the client assertion is too long");
	else
		result = 0;
out:
	buf_release(&text);
	buf_release(&signature);
	return result;
}
