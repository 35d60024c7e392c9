#include "smtp/xoauth2.h"

#include <stdbool.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/error.h"

#define BEARER "\001auth=Bearer "
#define BEARER_LEN (sizeof(BEARER) - 1)
#define HIDDEN "***"
#define HIDE_MIN 16 /* bytes that no server says by chance */

/* ^A separates the fields; no other control character belongs in either. */
static bool
is_clean(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

int
xoauth2_response(
    struct buf *out, const char *user, const char *token, struct error *err)
{
	struct buf plain;
	int result = 0;

	if (!is_clean(user) || !is_clean(token))
		return error_set(err, EX_SOFTWARE, "5.5.4",
		    "the mailbox or its access token is empty or has control "
		    "characters");
	buf_init(&plain, XOAUTH2_MAX);
	(void)buf_addf(&plain, "user=%s" BEARER, user);
	(void)buf_adds(&plain, token);
	(void)buf_adds(&plain, "\001\001");
	if (plain.full || encode_base64(out, plain.data, plain.len) == -1)
		result = error_set(err, EX_SOFTWARE, "5.5.4",
		    "the access token is longer than %u bytes", XOAUTH2_MAX);
	buf_release(&plain);
	return result;
}

void
xoauth2_challenge(char *out, size_t size, const char *text)
{
	struct buf plain;
	size_t len = strcspn(text, " ");

	buf_init(&plain, XOAUTH2_CHALLENGE_MAX);
	if (text[len] == '\0' && len > 0 && len <= XOAUTH2_CHALLENGE_MAX &&
	    decode_base64(&plain, text, len) == 0 && is_clean(plain.data))
		text = plain.data;
	strlcpy(out, text, size);
	for (; *out != '\0'; out++)
		if ((unsigned char)*out < ' ' || *out == 0x7f)
			*out = ' ';
	buf_release(&plain);
}

/* Does the secret have the HIDE_MIN bytes at 'text'? How much of it follows. */
static size_t
echo_length(const char *text, size_t len, const char *secret, size_t secret_len)
{
	const char *at = memmem(secret, secret_len, text, HIDE_MIN);
	const char *end = secret + secret_len;
	size_t n = HIDE_MIN;

	if (at == NULL)
		return 0;
	while (n < len && at + n < end && at[n] == text[n])
		n++;
	return n;
}

static void
hide(char *text, const char *secret, size_t secret_len)
{
	size_t left = strlen(text), mark = strlen(HIDDEN), echo;

	while (left >= HIDE_MIN) {
		echo = echo_length(text, left, secret, secret_len);
		if (echo == 0) {
			text++;
			left--;
			continue;
		}
		left -= echo;
		text = mempcpy(text, HIDDEN, mark);
		memmove(text, text + echo - mark, left + 1);
	}
}

void
xoauth2_hide(char *text, const struct buf *response)
{
	struct buf plain;
	const char *token;

	buf_init(&plain, XOAUTH2_MAX);
	hide(text, response->data, response->len);
	if (decode_base64(&plain, response->data, response->len) == 0 &&
	    (token = memmem(plain.data, plain.len, BEARER, BEARER_LEN)) !=
		NULL) {
		token += BEARER_LEN;
		hide(text, token, plain.len - (size_t)(token - plain.data));
	}
	buf_release(&plain);
}
