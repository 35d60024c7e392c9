/* Any bytes as an answer of a token endpoint: what is accepted keeps its
 * promises, and no error or description shows a token. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/oauth_response.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
require(int truth)
{
	if (!truth)
		abort();
}

static void
check_token(const char *body, size_t len)
{
	struct oauth_token token;
	struct error err;

	oauth_token_init(&token);
	if (oauth_response_token(&token, body, len, "host", &err) == 0) {
		require(token.access_token.len > 0);
		require(
		    strlen(token.access_token.data) == token.access_token.len);
		require(strpbrk(token.access_token.data, " \r\n\t") == NULL);
		require(token.expires_in > 0 &&
			token.expires_in <= OAUTH_LIFETIME_MAX);
		require(token.refresh_in >= 0);
	} else {
		require(err.exit_code != 0 && strstr(err.text, "host"));
	}
	oauth_token_release(&token);
}

static void
check_identity(const char *body, size_t len)
{
	struct oauth_failure failure;
	struct oauth_token token;
	struct error err;

	oauth_token_init(&token);
	if (oauth_response_identity(
		&token, body, len, 1750000000, "host", &err) == 0) {
		require(token.access_token.len > 0);
		require(strpbrk(token.access_token.data, " \r\n\t") == NULL);
		require(token.expires_in > 0 &&
			token.expires_in <= OAUTH_LIFETIME_MAX);
		require(token.refresh_in <= token.expires_in / 2);
	} else {
		require(err.exit_code != 0 && strstr(err.text, "host"));
	}
	oauth_token_release(&token);
	if (oauth_response_identity_failure(
		&failure, body, len, "host", &err) == 0) {
		require(*failure.error != '\0' || *failure.description != '\0');
		require(strpbrk(failure.description, "\r\n") == NULL);
	}
}

static void
check_device(const char *body, size_t len)
{
	struct oauth_device device;
	struct error err;

	oauth_device_init(&device);
	if (oauth_response_device(&device, body, len, "host", &err) == 0) {
		require(strncmp(device.uri, "https://", 8) == 0);
		require(strchr(device.user_code, '\033') == NULL);
		require(device.interval >= 0 && device.expires_in > 0);
	}
	oauth_device_release(&device);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *body = (const char *)data;
	struct oauth_failure failure;
	struct oauth_claims claims;
	struct error err;

	check_token(body, len);
	check_device(body, len);
	check_identity(body, len);
	if (oauth_response_failure(
		&failure, body, len, "secret-credential", "host", &err) == 0) {
		require(failure.code_count <= OAUTH_CODES_MAX);
		require(strpbrk(failure.description, "\r\n") == NULL);
		require(
		    strstr(failure.description, "secret-credential") == NULL);
	}
	(void)oauth_response_claims(&claims, body, len);
	return 0;
}
