#include "auth/redact.h"

#include <stdbool.h>
#include <stdint.h>

#include "auth/http.h"

#define REDACTED "<redacted>"
/* A GUID has 36 characters; what is longer without a break, or has one of a
 * token's beginnings, is taken for a secret. */
#define SECRET_RUN 40
#define SECRET_WORD 20
/* A credential shorter than this would be found in any text. */
#define SENT_MIN 6

static bool
is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~+/=!*$", c) != NULL);
}

static bool
looks_secret(const char *word, size_t len)
{
	static const char *const beginnings[] = { "eyJ", "EwA", "EwB", "M.C",
		"M.R", "0.A", "1.A", "2.A", "FAQAB" };
	size_t run = 0;

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (len >= SECRET_WORD &&
		    strncmp(word, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	for (size_t i = 0; i < len; i++) {
		/* Client secrets of Entra have a tilde, hosts and paths not. */
		if (word[i] == '~' && len >= SECRET_WORD)
			return true;
		run = word[i] == '/' || word[i] == '.' ? 0 : run + 1;
		if (run >= SECRET_RUN)
			return true;
	}
	return false;
}

static void
redact_words(struct buf *out, const char *text)
{
	while (*text != '\0') {
		size_t len = 0;

		while (is_token_char(text[len]))
			len++;
		if (len > 0 && looks_secret(text, len))
			buf_adds(out, REDACTED);
		else
			buf_add(out, text, len > 0 ? len : 1);
		text += len > 0 ? len : 1;
	}
}

/* The credential, and the form in which it was sent. */
static void
cut_out(struct buf *text, const char *sent)
{
	struct buf encoded;
	const char *echo;

	if (sent == NULL || strlen(sent) < SENT_MIN)
		return;
	buf_init(&encoded, SIZE_MAX / 4);
	http_encode(&encoded, sent);
	while ((echo = strstr(text->data, sent)) != NULL)
		buf_splice(
		    text, (size_t)(echo - text->data), strlen(sent), " ", 1);
	while ((echo = strcasestr(text->data, encoded.data)) != NULL)
		buf_splice(
		    text, (size_t)(echo - text->data), encoded.len, " ", 1);
	buf_release(&encoded);
}

char *
redact_line(char *out, size_t size, const char *text, const char *sent)
{
	struct buf plain, clean;

	buf_init(&plain, SIZE_MAX / 4);
	buf_init(&clean, SIZE_MAX / 4);
	buf_add(&plain, text, strcspn(text, "\r\n"));
	cut_out(&plain, sent);
	redact_words(&clean, plain.data);
	strlcpy(out, clean.data, size);
	buf_release(&plain);
	buf_release(&clean);
	return out;
}
