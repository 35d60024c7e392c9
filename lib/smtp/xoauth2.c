#include "smtp/xoauth2.h"

#include <stdbool.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/error.h"

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
	(void)buf_addf(&plain, "user=%s\001auth=Bearer ", user);
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
