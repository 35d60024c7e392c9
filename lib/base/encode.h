/* Base64, SHA-256 and random bytes: the one door to OpenSSL's digests and
 * encodings. (Who does not call these does not link libcrypto.)
 */
#ifndef ENCODE_H
#define ENCODE_H

#include <stddef.h>

struct buf;
struct error;

#define ENCODE_SHA256_SIZE	32	/* bytes */
#define ENCODE_SHA256_HEX_SIZE	65	/* 64 digits and the NUL */

/* Append base64 (RFC 4648 section 4) of 'len' bytes, without line breaks.
 * 0, or -1 when 'out' is full. */
int	encode_base64(struct buf *out, const void *bytes, size_t len);
/* The same in the URL-safe alphabet without padding (section 5). */
int	encode_base64url(struct buf *out, const void *bytes, size_t len);
/* Append what 'text' stands for; either alphabet, padding optional. -1 when
 * it is not base64 or 'out' is full. */
int	decode_base64(struct buf *out, const char *text, size_t len);
/* The SHA-256 of the bytes, and the same in lower-case hexadecimal. */
void	encode_sha256(unsigned char out[ENCODE_SHA256_SIZE],
	    const void *bytes, size_t len);
void	encode_sha256_hex(char out[ENCODE_SHA256_HEX_SIZE],
	    const void *bytes, size_t len);

#endif
