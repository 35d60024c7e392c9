#include "base/encode.h"

#include <limits.h>
#include <openssl/evp.h>

#include "base/buf.h"

int
encode_base64(struct buf *out, const void *bytes, size_t len)
{
	char *room;
	int n;

	if (len > INT_MAX / 2 ||
	    (room = buf_room(out, (len + 2) / 3 * 4)) == NULL)
		return -1;
	if (len == 0)
		return 0;
	n = EVP_EncodeBlock((unsigned char *)room, bytes, (int)len);
	buf_grown(out, (size_t)n);
	return 0;
}

int
encode_base64url(struct buf *out, const void *bytes, size_t len)
{
	size_t start = out->len;

	if (encode_base64(out, bytes, len) == -1)
		return -1;
	while (out->len > start && out->data[out->len - 1] == '=')
		(void)buf_splice(out, out->len - 1, 1, NULL, 0);
	for (char *p = out->data + start; p < out->data + out->len; p++)
		if (*p == '+')
			*p = '-';
		else if (*p == '/')
			*p = '_';
	return 0;
}

/* 0 to 63, or -1 for what is in neither alphabet. */
static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

int
decode_base64(struct buf *out, const char *text, size_t len)
{
	unsigned long bits = 0;
	size_t start = out->len, padding = 0;

	while (padding < 2 && padding < len && text[len - padding - 1] == '=')
		padding++;
	if (padding > 0 && len % 4 != 0)
		return -1;
	len -= padding;
	if (len % 4 == 1)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int value = digit(text[i]);

		if (value == -1)
			goto fail;
		bits = (bits << 6 | (unsigned)value) & 0xffffff;
		/* Every digit but the first of four completes a byte. */
		if (i % 4 != 0 &&
		    buf_addc(out, (char)(bits >> (6 - i % 4 * 2))) == -1)
			goto fail;
	}
	return 0;
fail:
	(void)buf_splice(out, start, out->len - start, NULL, 0);
	return -1;
}

void
encode_sha256(
    unsigned char out[ENCODE_SHA256_SIZE], const void *bytes, size_t len)
{
	memset(out, 0, ENCODE_SHA256_SIZE);
	(void)EVP_Digest(bytes, len, out, NULL, EVP_sha256(), NULL);
}

void
encode_sha256_hex(
    char out[ENCODE_SHA256_HEX_SIZE], const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[ENCODE_SHA256_SIZE];

	encode_sha256(digest, bytes, len);
	for (size_t i = 0; i < sizeof(digest); i++) {
		out[i * 2] = digits[digest[i] >> 4];
		out[i * 2 + 1] = digits[digest[i] & 15];
	}
	out[sizeof(digest) * 2] = '\0';
}
