#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>

#include "auth/oauth_response.h"
#include "base/encode.h"
#include "base/error.h"

#define HOST "login.example"

static int
read_token(struct oauth_token *token, const char *body, struct error *err)
{
	return oauth_response_token(token, body, strlen(body), HOST, err);
}

static void
token_answer_is_read(void **state)
{
	struct oauth_token token;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	assert_int_equal(
	    0, read_token(&token,
		   "{\"token_type\":\"bearer\",\"scope\":\"a b\","
		   "\"expires_in\":4371,\"refresh_in\":2000,"
		   "\"access_token\":\"eyJ0.x.y\",\"refresh_token\":\"1.AX\","
		   "\"id_token\":\"ignored\",\"foo\":{\"bar\":[1,2]}}",
		   &err));
	assert_string_equal(token.access_token.data, "eyJ0.x.y");
	assert_string_equal(token.refresh_token.data, "1.AX");
	assert_string_equal(token.scope.data, "a b");
	assert_int_equal(token.expires_in, 4371);
	assert_int_equal(token.refresh_in, 2000);
	oauth_token_release(&token);
}

static void
numbers_may_come_as_texts(void **state)
{
	struct oauth_token token;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	assert_int_equal(
	    0, read_token(&token,
		   "{\"token_type\":\"Bearer\",\"expires_in\":\"3599\","
		   "\"access_token\":\"t\",\"refresh_token\":null}",
		   &err));
	assert_int_equal(token.expires_in, 3599);
	assert_int_equal(token.refresh_token.len, 0);
	oauth_token_release(&token);
}

static void
opaque_consumer_token_is_taken(void **state)
{
	struct oauth_token token;
	struct oauth_claims claims;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	assert_int_equal(
	    0, read_token(&token,
		   "{\"token_type\":\"bearer\",\"expires_in\":3600,"
		   "\"access_token\":\"EwBAAl3BAAUF+po/A==\"}",
		   &err));
	assert_string_equal(token.access_token.data, "EwBAAl3BAAUF+po/A==");
	assert_int_equal(
	    -1, oauth_response_claims(
		    &claims, token.access_token.data, token.access_token.len));
	oauth_token_release(&token);
}

/* Each of them must fail, name the host, and leave what was there. */
static void
what_is_no_token_answer_is_refused(void **state)
{
	static const char *const bodies[] = {
		"",
		" ",
		"null",
		"[]",
		"42",
		"\"text\"",
		"<html><body>Sign in to WiFi</body></html>",
		"{",
		"{\"access_token\":\"abc",
		"{}",
		"{\"token_type\":\"Bearer\",\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\"}",
		"{\"access_token\":\"t\",\"expires_in\":3600}",
		"{\"token_type\":\"mac\",\"access_token\":\"t\","
		"\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":12,"
		"\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"\","
		"\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"a b\","
		"\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"a\\nb\","
		"\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"a\\u0000b\","
		"\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\","
		"\"expires_in\":-1}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\","
		"\"expires_in\":\"soon\"}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\","
		"\"expires_in\":1e400}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\","
		"\"expires_in\":99999999999999999999999999}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\","
		"\"expires_in\":[3600]}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\","
		"\"access_token\":\"u\",\"expires_in\":3600}",
		"{\"token_type\":\"Bearer\",\"access_token\":\"t\","
		"\"expires_in\":3600} trailing",
		"{\"token_type\":\"Bearer\",\"access_token\":\"\xff\xfe\","
		"\"expires_in\":3600}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct oauth_token token;
		struct error err;

		oauth_token_init(&token);
		buf_adds(&token.access_token, "before");
		error_clear(&err);
		if (read_token(&token, bodies[i], &err) != -1)
			fail_msg("accepted: %s", bodies[i]);
		assert_int_equal(err.exit_code, EX_TEMPFAIL);
		assert_int_equal(err.class, ERROR_RETRY);
		assert_non_null(strstr(err.text, HOST));
		assert_int_not_equal(err.hint[0], '\0');
		assert_string_equal(token.access_token.data, "before");
		oauth_token_release(&token);
	}
}

static void
page_of_a_portal_is_called_not_json(void **state)
{
	struct oauth_token token;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	assert_int_equal(-1, read_token(&token, "<html>", &err));
	assert_string_equal(err.text, "not JSON from '" HOST "'");
	oauth_token_release(&token);
}

static void
deep_nesting_is_refused(void **state)
{
	struct oauth_token token;
	struct error err;
	char *body = malloc(200001);

	(void)state;
	memset(body, '[', 200000);
	body[200000] = '\0';
	oauth_token_init(&token);
	assert_int_equal(-1, read_token(&token, body, &err));
	memcpy(body, "{\"a\":", 5);
	assert_int_equal(-1, read_token(&token, body, &err));
	oauth_token_release(&token);
	free(body);
}

static void
nul_after_an_answer_is_refused(void **state)
{
	static const char body[] =
	    "{\"token_type\":\"Bearer\",\"access_token\":\"t\","
	    "\"expires_in\":3600}\0{}";
	struct oauth_token token;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	assert_int_equal(-1,
	    oauth_response_token(&token, body, sizeof(body) - 1, HOST, &err));
	oauth_token_release(&token);
}

static void
token_over_its_cap_is_refused(void **state)
{
	struct oauth_token token;
	struct error err;
	struct buf body;

	(void)state;
	buf_init(&body, 100000);
	buf_adds(&body, "{\"token_type\":\"Bearer\",\"expires_in\":3600,"
			"\"access_token\":\"");
	for (size_t i = 0; i <= OAUTH_TOKEN_MAX; i++)
		buf_addc(&body, 'x');
	buf_adds(&body, "\"}");
	oauth_token_init(&token);
	assert_int_equal(-1, read_token(&token, body.data, &err));
	assert_non_null(strstr(err.text, "too long"));
	oauth_token_release(&token);
	buf_release(&body);
}

static void
answer_cut_at_any_byte_is_refused(void **state)
{
	static const char body[] =
	    "{\"token_type\":\"Bearer\",\"scope\":\"s\",\"expires_in\":4371,"
	    "\"access_token\":\"eyJ0\",\"refresh_token\":\"1.AX\"}";
	struct oauth_token token;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	for (size_t len = 0; len < sizeof(body) - 1; len++)
		assert_int_equal(
		    -1, oauth_response_token(&token, body, len, HOST, &err));
	oauth_token_release(&token);
}

static void
device_answer_is_read(void **state)
{
	static const char body[] =
	    "{\"user_code\":\"FRWQDE7YL\",\"device_code\":\"FAQAB--\","
	    "\"verification_uri\":\"https://microsoft.com/devicelogin\","
	    "\"expires_in\":900,\"interval\":\"7\",\"message\":\"To …\"}";
	struct oauth_device device;
	struct error err;

	(void)state;
	oauth_device_init(&device);
	assert_int_equal(0,
	    oauth_response_device(&device, body, sizeof(body) - 1, HOST, &err));
	assert_string_equal(device.user_code, "FRWQDE7YL");
	assert_string_equal(device.uri, "https://microsoft.com/devicelogin");
	assert_string_equal(device.device_code.data, "FAQAB--");
	assert_int_equal(device.interval, 7);
	oauth_device_release(&device);
}

static void
device_interval_is_5_where_none_is_given(void **state)
{
	static const char body[] =
	    "{\"user_code\":\"A\",\"device_code\":\"B\",\"verification_uri\":"
	    "\"https://x.example/\",\"expires_in\":900}";
	struct oauth_device device;
	struct error err;

	(void)state;
	oauth_device_init(&device);
	assert_int_equal(0,
	    oauth_response_device(&device, body, sizeof(body) - 1, HOST, &err));
	assert_int_equal(device.interval, 5);
	oauth_device_release(&device);
}

static void
device_answer_cannot_steer_a_terminal(void **state)
{
	static const char *const bodies[] = {
		"{\"user_code\":\"A\\u001b[2J\",\"device_code\":\"B\","
		"\"verification_uri\":\"https://x/\",\"expires_in\":900}",
		"{\"user_code\":\"A\",\"device_code\":\"B\","
		"\"verification_uri\":\"https://x/\\u001b]0;\","
		"\"expires_in\":900}",
		"{\"user_code\":\"A\",\"device_code\":\"B\","
		"\"verification_uri\":\"javascript:alert(1)\","
		"\"expires_in\":900}",
	};
	struct oauth_device device;
	struct error err;

	(void)state;
	oauth_device_init(&device);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(-1, oauth_response_device(&device, bodies[i],
					 strlen(bodies[i]), HOST, &err));
	oauth_device_release(&device);
}

static void
failure_is_read_with_all_its_codes(void **state)
{
	static const char body[] =
	    "{\"error\":\"invalid_grant\",\"error_description\":"
	    "\"AADSTS70002: Bad. AADSTS70008: Expired.\\r\\nTrace ID: 11\\r\\n"
	    "Correlation ID: 22\\r\\nTimestamp: 2026\","
	    "\"error_codes\":[70002,\"70008\",\"x\",{},-3],"
	    "\"suberror\":\"token_expired\",\"trace_id\":\"11-aa\","
	    "\"correlation_id\":\"22-bb\",\"timestamp\":7}";
	struct oauth_failure f;
	struct error err;

	(void)state;
	assert_int_equal(0, oauth_response_failure(
				&f, body, sizeof(body) - 1, NULL, HOST, &err));
	assert_string_equal(f.error, "invalid_grant");
	assert_string_equal(f.suberror, "token_expired");
	assert_int_equal(f.code_count, 2);
	assert_int_equal(f.codes[0], 70002);
	assert_int_equal(f.codes[1], 70008);
	assert_string_equal(
	    f.description, "AADSTS70002: Bad. AADSTS70008: Expired.");
	assert_string_equal(f.trace_id, "11-aa");
	assert_string_equal(f.correlation_id, "22-bb");
}

static void
failure_without_error_is_refused(void **state)
{
	static const char *const bodies[] = { "{}", "{\"error\":5}",
		"{\"error\":{\"code\":\"x\"}}", "{\"error\":\"\"}", "oops" };
	struct oauth_failure f;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(-1, oauth_response_failure(&f, bodies[i],
					 strlen(bodies[i]), NULL, HOST, &err));
}

static void
more_codes_than_fit_are_dropped(void **state)
{
	struct oauth_failure f;
	struct error err;
	struct buf body;

	(void)state;
	buf_init(&body, 100000);
	buf_adds(&body, "{\"error\":\"x\",\"error_codes\":[1");
	for (int i = 0; i < 5000; i++)
		buf_adds(&body, ",2");
	buf_adds(&body, "]}");
	assert_int_equal(0,
	    oauth_response_failure(&f, body.data, body.len, NULL, HOST, &err));
	assert_int_equal(f.code_count, OAUTH_CODES_MAX);
	buf_release(&body);
}

static void
echo_in_any_field_is_cut_out(void **state)
{
	static const char *const fields[] = { "error", "error_description",
		"suberror", "trace_id", "correlation_id" };

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct oauth_failure f;
		struct error err;
		char body[256];

		snprintf(body, sizeof(body), "{%s\"%s\":\"is hunter2, no?\"}",
		    i == 0 ? "" : "\"error\":\"invalid\",", fields[i]);
		assert_int_equal(0, oauth_response_failure(&f, body,
					strlen(body), "hunter2", "host", &err));
		assert_null(
		    memmem(&f, sizeof(f), "hunter2", strlen("hunter2")));
		assert_non_null(memmem(&f, sizeof(f), "no?", strlen("no?")));
	}
}

static void
description_ends_before_the_numbers_for_support(void **state)
{
	static const char *const bodies[] = {
		"{\"error\":\"e\",\"error_description\":\"AADSTS1: No. "
		"Trace ID: 1 Correlation ID: 2\"}",
		"{\"error\":\"e\",\"error_description\":\"AADSTS1: No.\\r\\n"
		"Trace ID: 1\\r\\nCorrelation ID: 2\"}",
	};
	struct oauth_failure f;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_int_equal(0, oauth_response_failure(&f, bodies[i],
					strlen(bodies[i]), NULL, HOST, NULL));
		assert_string_equal(f.description, "AADSTS1: No.");
	}
}

#define NOW 1750000000
#define IDENTITY_TOKEN "\"access_token\":\"eyJ0.x.y\","

static int
read_identity(struct oauth_token *token, const char *body, struct error *err)
{
	return oauth_response_identity(
	    token, body, strlen(body), NOW, HOST, err);
}

/* Its life in seconds. */
static long long
life_of(const char *body)
{
	struct oauth_token token;
	struct error err;
	long long life;

	oauth_token_init(&token);
	if (read_identity(&token, body, &err) == -1)
		fail_msg("%s: %s", body, err.text);
	assert_string_equal(token.access_token.data, "eyJ0.x.y");
	assert_int_equal(token.refresh_token.len, 0);
	life = token.expires_in;
	oauth_token_release(&token);
	return life;
}

static void
answer_of_a_virtual_machine_is_read(void **state)
{
	(void)state;
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN "\"client_id\":\"c\","
		    "\"expires_in\":\"3599\",\"expires_on\":\"1506484173\","
		    "\"ext_expires_in\":\"3599\",\"not_before\":\"1506480273\","
		    "\"resource\":\"https://outlook.office365.com\","
		    "\"token_type\":\"Bearer\",\"refresh_token\":\"\"}"),
	    3599);
	assert_int_equal(life_of("{" IDENTITY_TOKEN "\"expires_in\":60}"), 60);
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN "\"expires_in\":\"9999999\"}"),
	    OAUTH_LIFETIME_MAX);
}

static void
answer_of_app_service_tells_its_end_alone(void **state)
{
	(void)state;
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN "\"expires_on\":\"1750003600\","
		    "\"token_type\":\"Bearer\"}"),
	    3600);
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN "\"expires_on\":1750000001}"), 1);
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN "\"expires_on\":\"9750000000\"}"),
	    OAUTH_LIFETIME_MAX);
	/* 1750000000 is 2025-06-15 15:06:40. */
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN
		    "\"expires_on\":\"06/15/2025 16:06:41 +00:00\"}"),
	    3601);
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN
		    "\"expires_on\":\"6/15/2025 4:06:41 PM +00:00\"}"),
	    3601);
	assert_int_equal(
	    life_of("{" IDENTITY_TOKEN
		    "\"expires_on\":\"6/16/2025 12:06:40 AM +00:00\"}"),
	    9 * 3600);
}

static void
long_life_is_renewed_at_its_half(void **state)
{
	struct oauth_token token;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	assert_int_equal(
	    0, read_identity(&token,
		   "{" IDENTITY_TOKEN "\"expires_in\":\"7199\"}", &err));
	assert_int_equal(token.refresh_in, 0);
	assert_int_equal(
	    0, read_identity(&token,
		   "{" IDENTITY_TOKEN "\"expires_in\":\"86400\"}", &err));
	assert_int_equal(token.refresh_in, 43200);
	oauth_token_release(&token);
}

static void
what_is_no_answer_of_an_identity_is_refused(void **state)
{
	static const char *const bodies[] = { "", "{}", "<html></html>",
		"{\"expires_in\":\"3599\"}", "{" IDENTITY_TOKEN "\"x\":1}",
		"{" IDENTITY_TOKEN "\"expires_in\":3599,\"token_type\":\"x\"}",
		"{" IDENTITY_TOKEN "\"expires_in\":[3599]}",
		"{" IDENTITY_TOKEN "\"expires_in\":\"0\"}",
		"{" IDENTITY_TOKEN "\"expires_on\":\"1750000000\"}",
		"{" IDENTITY_TOKEN "\"expires_on\":\"soon\"}",
		"{" IDENTITY_TOKEN "\"expires_on\":\"-5\"}",
		"{" IDENTITY_TOKEN
		"\"expires_on\":\"1/1/2020 1:00:00 +00:00\"}",
		"{" IDENTITY_TOKEN
		"\"expires_on\":\"1/1/2030 1:00:00 +02:00\"}",
		"{" IDENTITY_TOKEN "\"expires_on\":\"1/1/2030 1:00:00\"}",
		"{" IDENTITY_TOKEN "\"expires_on\":\"1/1/30 1:00:00 +00:00\"}",
		"{" IDENTITY_TOKEN
		"\"expires_on\":\"13/1/2030 1:00:00 +00:00\"}",
		"{" IDENTITY_TOKEN
		"\"expires_on\":\"1/32/2030 1:00:00 +00:00\"}",
		"{" IDENTITY_TOKEN
		"\"expires_on\":\"1/1/2030 24:00:00 +00:00\"}",
		"{" IDENTITY_TOKEN
		"\"expires_on\":\"1/1/2030 0:00:00 AM +00:00\"}",
		"{" IDENTITY_TOKEN
		"\"expires_on\":\"1/1/2030 13:00:00 PM +00:00\"}",
		"{" IDENTITY_TOKEN "\"expires_on\":\"/\"}",
		"{\"access_token\":42,\"expires_in\":3599}" };
	struct oauth_token token;
	struct error err;

	(void)state;
	oauth_token_init(&token);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		if (read_identity(&token, bodies[i], &err) != -1)
			fail_msg("taken: %s", bodies[i]);
		assert_int_equal(err.exit_code, EX_TEMPFAIL);
		assert_non_null(strstr(err.text, HOST));
		assert_int_equal(token.access_token.len, 0);
	}
	oauth_token_release(&token);
}

static void
failure_of_an_identity_has_several_shapes(void **state)
{
	static const struct {
		const char *body, *error, *description;
	} cases[] = {
		{ "{\"error\":\"invalid_request\",\"error_description\":"
		  "\"Identity not found\"}",
		    "invalid_request", "Identity not found" },
		{ "{\"statusCode\":400,\"message\":\"No identity\\r\\nx\"}", "",
		    "No identity" },
		{ "{\"error\":{\"code\":\"Throttled\",\"message\":\"Wait\"}}",
		    "Throttled", "Wait" },
		{ "{\"error\":\"x\"}", "x", "" },
	};
	static const char *const others[] = { "", "{}", "[]", "<html></html>",
		"{\"error\":42}", "{\"message\":[]}", "{\"error\":{}}" };
	struct oauth_failure failure;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    0, oauth_response_identity_failure(&failure, cases[i].body,
			   strlen(cases[i].body), HOST, &err));
		assert_string_equal(failure.error, cases[i].error);
		assert_string_equal(failure.description, cases[i].description);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(
		    -1, oauth_response_identity_failure(&failure, others[i],
			    strlen(others[i]), HOST, &err));
		assert_int_equal(err.exit_code, EX_TEMPFAIL);
	}
}

static void
claims_challenge_is_json_or_nothing(void **state)
{
	static const struct {
		const char *given, *taken;
	} claims[] = {
		{ "\"{\\\"access_token\\\":{}}\"", "{\"access_token\":{}}" },
		{ "\"{\"", "" },
		{ "\"no json\"", "" },
		{ "\"[1]\"", "" },
		{ "\"{}\\n\"", "" },
		{ "{}", "" },
		{ "7", "" },
	};
	struct oauth_failure f;

	(void)state;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		char body[256];

		snprintf(body, sizeof(body), "{\"error\":\"e\",\"claims\":%s}",
		    claims[i].given);
		assert_int_equal(0, oauth_response_failure(&f, body,
					strlen(body), NULL, "host", NULL));
		assert_string_equal(f.claims, claims[i].taken);
	}
}

static void
claims_challenge_over_its_cap_counts_as_missing(void **state)
{
	char body[OAUTH_CLAIMS_SIZE + 100], fill[OAUTH_CLAIMS_SIZE];
	struct oauth_failure f;

	(void)state;
	memset(fill, ' ', sizeof(fill) - 1);
	for (size_t over = 0; over < 2; over++) {
		fill[OAUTH_CLAIMS_SIZE - 3 - 1 + over] = '\0';
		snprintf(body, sizeof(body),
		    "{\"error\":\"e\",\"claims\":\"{%s }\"}", fill);
		assert_int_equal(0, oauth_response_failure(&f, body,
					strlen(body), NULL, "host", NULL));
		assert_int_equal(
		    strlen(f.claims), over ? 0 : OAUTH_CLAIMS_SIZE - 1);
		memset(fill, ' ', sizeof(fill) - 1);
	}
}

static void
claims_of_a_jwt_are_read(void **state)
{
	static const char json[] =
	    "{\"upn\":\"a@contoso.com\",\"aud\":\"https://outlook.office.com\","
	    "\"scp\":\"SMTP.Send\",\"roles\":[\"A\",7,\"B\"],"
	    "\"tid\":\"7f3c9a52\",\"appid\":\"b1d0f2ce\",\"oid\":42}";
	struct oauth_claims claims;
	struct buf token;

	(void)state;
	buf_init(&token, 4096);
	buf_adds(&token, "head.");
	encode_base64url(&token, json, sizeof(json) - 1);
	buf_adds(&token, ".signature");
	assert_int_equal(
	    0, oauth_response_claims(&claims, token.data, token.len));
	assert_string_equal(claims.user, "a@contoso.com");
	assert_string_equal(claims.audience, "https://outlook.office.com");
	assert_string_equal(claims.scopes, "SMTP.Send");
	assert_string_equal(claims.roles, "A B");
	assert_string_equal(claims.tenant, "7f3c9a52");
	assert_string_equal(claims.client_id, "b1d0f2ce");
	assert_string_equal(claims.object_id, "");
	for (size_t len = 0; len < token.len - sizeof(".signature"); len++)
		assert_int_equal(
		    -1, oauth_response_claims(&claims, token.data, len));
	buf_release(&token);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_answer_is_read),
		cmocka_unit_test(numbers_may_come_as_texts),
		cmocka_unit_test(opaque_consumer_token_is_taken),
		cmocka_unit_test(what_is_no_token_answer_is_refused),
		cmocka_unit_test(page_of_a_portal_is_called_not_json),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(nul_after_an_answer_is_refused),
		cmocka_unit_test(token_over_its_cap_is_refused),
		cmocka_unit_test(answer_cut_at_any_byte_is_refused),
		cmocka_unit_test(device_answer_is_read),
		cmocka_unit_test(device_interval_is_5_where_none_is_given),
		cmocka_unit_test(device_answer_cannot_steer_a_terminal),
		cmocka_unit_test(failure_is_read_with_all_its_codes),
		cmocka_unit_test(failure_without_error_is_refused),
		cmocka_unit_test(more_codes_than_fit_are_dropped),
		cmocka_unit_test(echo_in_any_field_is_cut_out),
		cmocka_unit_test(
		    description_ends_before_the_numbers_for_support),
		cmocka_unit_test(answer_of_a_virtual_machine_is_read),
		cmocka_unit_test(answer_of_app_service_tells_its_end_alone),
		cmocka_unit_test(long_life_is_renewed_at_its_half),
		cmocka_unit_test(what_is_no_answer_of_an_identity_is_refused),
		cmocka_unit_test(failure_of_an_identity_has_several_shapes),
		cmocka_unit_test(claims_challenge_is_json_or_nothing),
		cmocka_unit_test(
		    claims_challenge_over_its_cap_counts_as_missing),
		cmocka_unit_test(claims_of_a_jwt_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
