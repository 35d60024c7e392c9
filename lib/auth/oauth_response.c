#include "auth/oauth_response.h"

#include <jansson.h>
#include <limits.h>
#include <sysexits.h>

#include "auth/http.h"
#include "auth/redact.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/xalloc.h"

#define INTERVAL_DEFAULT 5 /* RFC 8628 section 3.2 */
#define INTERVAL_MAX 300
#define CLAIMS_MAX (16u * 1024)
#define GRAPH_ID "00000003-0000-0000-c000-000000000000"

/* One answer while it is read. */
struct answer {
	json_t *root;
	const char *host;
	struct error *err;
};

/* jansson's memory holds tokens: it is wiped when given back, for which its
 * size is kept before it. */
union block {
	size_t size;
	max_align_t align;
};

static void *
block_alloc(size_t size)
{
	union block *block = xmalloc(sizeof(*block) + size);

	block->size = size;
	return block + 1;
}

static void
block_free(void *bytes)
{
	union block *block = bytes;

	if (block != NULL) {
		block--;
		freezero(block, sizeof(*block) + block->size);
	}
}

void
oauth_token_init(struct oauth_token *token)
{
	*token = (struct oauth_token){ .expires_in = 0 };
	buf_init(&token->access_token, OAUTH_TOKEN_MAX);
	buf_init(&token->refresh_token, OAUTH_TOKEN_MAX);
	buf_init(&token->scope, OAUTH_SCOPE_MAX);
}

void
oauth_token_release(struct oauth_token *token)
{
	buf_release(&token->access_token);
	buf_release(&token->refresh_token);
	buf_release(&token->scope);
	oauth_token_init(token);
}

void
oauth_device_init(struct oauth_device *device)
{
	*device = (struct oauth_device){ .expires_in = 0 };
	buf_init(&device->device_code, OAUTH_TOKEN_MAX);
}

void
oauth_device_release(struct oauth_device *device)
{
	buf_release(&device->device_code);
	oauth_device_init(device);
}

/* jansson goes one call deeper for each level. */
static bool
too_deep(const char *body, size_t len)
{
	bool string = false;
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = body[i];

		if (string && c == '\\')
			i++;
		else if (c == '"')
			string = !string;
		else if (!string && (c == '{' || c == '['))
			depth++;
		else if (!string && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > OAUTH_DEPTH_MAX)
			return true;
	}
	return false;
}

static json_t *
load(const char *body, size_t len)
{
	json_error_t why;
	json_t *root;

	json_set_alloc_funcs(block_alloc, block_free);
	if (too_deep(body, len))
		return NULL;
	root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	/* 'why' may quote the text. */
	explicit_bzero(&why, sizeof(why));
	if (!json_is_object(root)) {
		json_decref(root);
		return NULL;
	}
	return root;
}

static int
answer_open(struct answer *a, const char *body, size_t len)
{
	a->root = load(body, len);
	if (a->root != NULL)
		return 0;
	error_set(a->err, EX_TEMPFAIL, "4.4.0",
	    len == 0 ? "empty answer, not JSON from '%s'"
		     : "not JSON from '%s'",
	    a->host);
	return http_hint_foreign(a->err, a->host);
}

static int
bad_field(const struct answer *a, const char *name, const char *what)
{
	error_set(a->err, EX_TEMPFAIL, "4.4.0", "'%s' in the answer of '%s' %s",
	    name, a->host, what);
	error_hint(a->err, "check authority in outpost.conf: this is "
			   "not how Microsoft Entra answers");
	return -1;
}

static bool
is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

/* The text of a field, NULL where it is missing or null. */
static int
get_text(const struct answer *a, const char *name, const char **out)
{
	const json_t *value = json_object_get(a->root, name);

	*out = NULL;
	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return bad_field(a, name, "is not a text");
	*out = json_string_value(value);
	return 0;
}

static int
need_text(const struct answer *a, const char *name, const char **out)
{
	if (get_text(a, name, out) == -1)
		return -1;
	if (*out == NULL || **out == '\0')
		return bad_field(a, name, "is missing");
	return 0;
}

/* A token or code: RFC 6749 appendix A.12, one or more VSCHAR; no blank. */
static int
take_token(
    const struct answer *a, const char *name, const char *text, struct buf *out)
{
	size_t len = strlen(text);

	if (!is_printable(text, len) || strchr(text, ' ') != NULL)
		return bad_field(a, name, "has characters that no token has");
	buf_clear(out);
	if (buf_add(out, text, len) == -1)
		return bad_field(a, name, "is too long");
	return 0;
}

static int
take_words(const struct answer *a, const char *name, const char *text,
    char *out, size_t size)
{
	if (!is_printable(text, strlen(text)))
		return bad_field(a, name, "has control characters");
	if (strlcpy(out, text, size) >= size)
		return bad_field(a, name, "is too long");
	return 0;
}

/* A whole number, as such or as a text of digits; *out is left alone where it
 * is missing. What is over 'max' counts as 'max'. */
static int
take_number(const struct answer *a, const char *name, long long min,
    long long max, long long *out)
{
	const json_t *value = json_object_get(a->root, name);
	const char *why = NULL;
	long long number;

	if (value == NULL || json_is_null(value))
		return 0;
	if (json_is_integer(value))
		number = json_integer_value(value);
	else if (json_is_string(value))
		number =
		    strtonum(json_string_value(value), 0, 999999999999LL, &why);
	else
		return bad_field(a, name, "is not a number");
	if (why != NULL || number < min)
		return bad_field(a, name, "is not a number that can be meant");
	*out = number > max ? max : number;
	return 0;
}

static int
read_token(const struct answer *a, struct oauth_token *token)
{
	const char *type, *access, *refresh, *scope;

	if (need_text(a, "token_type", &type) == -1 ||
	    need_text(a, "access_token", &access) == -1 ||
	    get_text(a, "refresh_token", &refresh) == -1 ||
	    get_text(a, "scope", &scope) == -1)
		return -1;
	if (strcasecmp(type, "Bearer") != 0)
		return bad_field(a, "token_type", "is not Bearer");
	if (take_token(a, "access_token", access, &token->access_token) == -1)
		return -1;
	if (refresh != NULL && take_token(a, "refresh_token", refresh,
				   &token->refresh_token) == -1)
		return -1;
	if (scope != NULL && !is_printable(scope, strlen(scope)))
		return bad_field(a, "scope", "has control characters");
	if (scope != NULL && buf_adds(&token->scope, scope) == -1)
		return bad_field(a, "scope", "is too long");
	if (take_number(a, "expires_in", 1, OAUTH_LIFETIME_MAX,
		&token->expires_in) == -1 ||
	    take_number(a, "refresh_in", 0, OAUTH_LIFETIME_MAX,
		&token->refresh_in) == -1)
		return -1;
	if (token->expires_in == 0)
		return bad_field(a, "expires_in", "is missing");
	return 0;
}

/* 'least' to 'most' digits. */
static bool
take_digits(const char **text, int least, int most, int *out)
{
	int number = 0, count = 0;

	while (count < most && **text >= '0' && **text <= '9') {
		number = number * 10 + (*(*text)++ - '0');
		count++;
	}
	*out = number;
	return count >= least;
}

static bool
take_word(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) != 0)
		return false;
	*text += len;
	return true;
}

/* "06/20/2026 02:57:58 +00:00" or "6/20/2026 2:57:58 AM +00:00". */
static int
parse_date(const char *text, long long *out)
{
	struct tm t = { .tm_isdst = 0 };
	bool am, pm;

	if (!take_digits(&text, 1, 2, &t.tm_mon) || !take_word(&text, "/") ||
	    !take_digits(&text, 1, 2, &t.tm_mday) || !take_word(&text, "/") ||
	    !take_digits(&text, 4, 4, &t.tm_year) || !take_word(&text, " ") ||
	    !take_digits(&text, 1, 2, &t.tm_hour) || !take_word(&text, ":") ||
	    !take_digits(&text, 2, 2, &t.tm_min) || !take_word(&text, ":") ||
	    !take_digits(&text, 2, 2, &t.tm_sec))
		return -1;
	am = take_word(&text, " AM");
	pm = !am && take_word(&text, " PM");
	if (strcmp(text, " +00:00") != 0)
		return -1;
	if (am || pm) {
		if (t.tm_hour < 1 || t.tm_hour > 12)
			return -1;
		t.tm_hour = t.tm_hour % 12 + (pm ? 12 : 0);
	}
	if (t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 ||
	    t.tm_year < 1970 || t.tm_hour > 23 || t.tm_min > 59 ||
	    t.tm_sec > 60)
		return -1;
	t.tm_mon -= 1;
	t.tm_year -= 1900;
	*out = timegm(&t);
	return 0;
}

/* From `expires_on`, where `expires_in` is missing. */
static int
read_end(const struct answer *a, time_t now, long long *expires_in)
{
	static const char name[] = "expires_on";
	const char *date = json_string_value(json_object_get(a->root, name));
	long long end = 0;

	if (date != NULL && strchr(date, '/') != NULL) {
		if (parse_date(date, &end) == -1)
			return bad_field(a, name, "is not a date");
	} else if (take_number(a, name, 0, LLONG_MAX, &end) == -1) {
		return -1;
	}
	if (end == 0)
		return bad_field(a, name, "is missing");
	if (end <= now)
		return bad_field(a, name, "has passed already");
	end -= now;
	*expires_in = end > OAUTH_LIFETIME_MAX ? OAUTH_LIFETIME_MAX : end;
	return 0;
}

static int
read_identity(const struct answer *a, time_t now, struct oauth_token *token)
{
	const char *type, *access;

	if (get_text(a, "token_type", &type) == -1 ||
	    need_text(a, "access_token", &access) == -1)
		return -1;
	if (type != NULL && strcasecmp(type, "Bearer") != 0)
		return bad_field(a, "token_type", "is not Bearer");
	if (take_token(a, "access_token", access, &token->access_token) == -1 ||
	    take_number(a, "expires_in", 1, OAUTH_LIFETIME_MAX,
		&token->expires_in) == -1)
		return -1;
	if (token->expires_in == 0 &&
	    read_end(a, now, &token->expires_in) == -1)
		return -1;
	if (token->expires_in >= OAUTH_HALF_LIFE)
		token->refresh_in = token->expires_in / 2;
	return 0;
}

/* Hand out what was read, or nothing. */
static int
finish_token(struct answer *a, struct oauth_token *out,
    struct oauth_token *token, int result)
{
	if (result == 0) {
		oauth_token_release(out);
		*out = *token;
		oauth_token_init(token);
	}
	oauth_token_release(token);
	json_decref(a->root);
	return result;
}

int
oauth_response_token(struct oauth_token *out, const char *body, size_t len,
    const char *host, struct error *err)
{
	struct answer a = { .host = host, .err = err };
	struct oauth_token token;
	int result;

	oauth_token_init(&token);
	result = answer_open(&a, body, len);
	if (result == 0)
		result = read_token(&a, &token);
	return finish_token(&a, out, &token, result);
}

int
oauth_response_identity(struct oauth_token *out, const char *body, size_t len,
    time_t now, const char *host, struct error *err)
{
	struct answer a = { .host = host, .err = err };
	struct oauth_token token;
	int result;

	oauth_token_init(&token);
	result = answer_open(&a, body, len);
	if (result == 0)
		result = read_identity(&a, now, &token);
	return finish_token(&a, out, &token, result);
}

static int
read_device(const struct answer *a, struct oauth_device *device)
{
	const char *code, *user_code, *uri;

	if (need_text(a, "device_code", &code) == -1 ||
	    need_text(a, "user_code", &user_code) == -1 ||
	    need_text(a, "verification_uri", &uri) == -1)
		return -1;
	if (strncmp(uri, "https://", 8) != 0)
		return bad_field(a, "verification_uri", "is not https");
	device->interval = INTERVAL_DEFAULT;
	if (take_token(a, "device_code", code, &device->device_code) == -1 ||
	    take_words(a, "user_code", user_code, device->user_code,
		sizeof(device->user_code)) == -1 ||
	    take_words(a, "verification_uri", uri, device->uri,
		sizeof(device->uri)) == -1 ||
	    take_number(a, "interval", 0, INTERVAL_MAX, &device->interval) ==
		-1 ||
	    take_number(a, "expires_in", 1, OAUTH_LIFETIME_MAX,
		&device->expires_in) == -1)
		return -1;
	if (device->expires_in == 0)
		return bad_field(a, "expires_in", "is missing");
	return 0;
}

int
oauth_response_device(struct oauth_device *out, const char *body, size_t len,
    const char *host, struct error *err)
{
	struct answer a = { .host = host, .err = err };
	struct oauth_device device;
	int result = -1;

	oauth_device_init(&device);
	if (answer_open(&a, body, len) == 0 && read_device(&a, &device) == 0) {
		oauth_device_release(out);
		*out = device;
		oauth_device_init(&device);
		result = 0;
	}
	oauth_device_release(&device);
	json_decref(a.root);
	return result;
}

/* A field that only informs: wrong types count as missing. */
static void
copy_words(const struct answer *a, const char *name, const char *sent,
    char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(a->root, name));

	*out = '\0';
	if (text != NULL && is_printable(text, strlen(text)))
		redact_line(out, size, text, sent);
}

/* What a person reads, up to its first line end, or to what stands there in
 * the answers to device codes. */
static void
copy_description(const struct answer *a, const char *name, const char *sent,
    char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(a->root, name));
	const char *end;
	char *sentence;

	if (text == NULL)
		return;
	end = strstr(text, " Trace ID: ");
	sentence =
	    xstrndup(text, end == NULL ? strlen(text) : (size_t)(end - text));
	redact_line(out, size, sentence, sent);
	freezero(sentence, strlen(sentence));
}

/* Cut, it would be no JSON: too long counts as missing. */
static void
copy_claims(const struct answer *a, char *out, size_t size)
{
	const char *text =
	    json_string_value(json_object_get(a->root, "claims"));
	json_t *claims;

	*out = '\0';
	if (text == NULL || strlen(text) >= size ||
	    !is_printable(text, strlen(text)) ||
	    (claims = load(text, strlen(text))) == NULL)
		return;
	strlcpy(out, text, size);
	json_decref(claims);
}

static void
read_codes(const struct answer *a, struct oauth_failure *failure)
{
	const json_t *codes = json_object_get(a->root, "error_codes");
	const char *why;

	for (size_t i = 0; i < json_array_size(codes); i++) {
		const json_t *code = json_array_get(codes, i);
		long long number = json_integer_value(code);

		if (json_is_string(code))
			number = strtonum(
			    json_string_value(code), 1, 999999999999LL, &why);
		if (number > 0 && failure->code_count < OAUTH_CODES_MAX)
			failure->codes[failure->code_count++] = number;
	}
}

int
oauth_response_failure(struct oauth_failure *out, const char *body, size_t len,
    const char *sent, const char *host, struct error *err)
{
	struct answer a = { .host = host, .err = err };
	struct oauth_failure failure = { .code_count = 0 };
	const char *error;
	int result = -1;

	if (answer_open(&a, body, len) == -1 ||
	    need_text(&a, "error", &error) == -1)
		goto out;
	copy_words(&a, "error", sent, failure.error, sizeof(failure.error));
	copy_description(&a, "error_description", sent, failure.description,
	    sizeof(failure.description));
	copy_words(
	    &a, "suberror", sent, failure.suberror, sizeof(failure.suberror));
	copy_words(
	    &a, "trace_id", sent, failure.trace_id, sizeof(failure.trace_id));
	copy_words(&a, "correlation_id", sent, failure.correlation_id,
	    sizeof(failure.correlation_id));
	copy_claims(&a, failure.claims, sizeof(failure.claims));
	read_codes(&a, &failure);
	*out = failure;
	result = 0;
out:
	json_decref(a.root);
	return result;
}

int
oauth_response_identity_failure(struct oauth_failure *out, const char *body,
    size_t len, const char *host, struct error *err)
{
	struct answer a = { .host = host, .err = err }, inner = a;
	struct oauth_failure failure = { .code_count = 0 };
	int result = -1;

	if (answer_open(&a, body, len) == -1)
		goto out;
	inner.root = json_object_get(a.root, "error");
	copy_words(&a, "error", NULL, failure.error, sizeof(failure.error));
	copy_description(&a, "error_description", NULL, failure.description,
	    sizeof(failure.description));
	if (json_is_object(inner.root)) {
		copy_words(
		    &inner, "code", NULL, failure.error, sizeof(failure.error));
		copy_description(&inner, "message", NULL, failure.description,
		    sizeof(failure.description));
	}
	if (*failure.description == '\0')
		copy_description(&a, "message", NULL, failure.description,
		    sizeof(failure.description));
	if (*failure.error == '\0' && *failure.description == '\0') {
		bad_field(&a, "error", "is missing");
		goto out;
	}
	*out = failure;
	result = 0;
out:
	json_decref(a.root);
	return result;
}

/* `roles` is a list. */
static void
join_roles(const struct answer *a, char *out, size_t size)
{
	const json_t *roles = json_object_get(a->root, "roles");

	for (size_t i = 0; i < json_array_size(roles); i++) {
		const char *role = json_string_value(json_array_get(roles, i));

		if (role == NULL || !is_printable(role, strlen(role)))
			continue;
		if (*out != '\0')
			strlcat(out, " ", size);
		strlcat(out, role, size);
	}
}

int
oauth_response_claims(struct oauth_claims *out, const char *token, size_t len)
{
	const char *start = memchr(token, '.', len), *end;
	struct answer a = { .host = "" };
	struct buf json;
	int result = -1;

	buf_init(&json, CLAIMS_MAX);
	if (start == NULL)
		return -1;
	start++;
	end = memchr(start, '.', len - (size_t)(start - token));
	if (end == NULL ||
	    decode_base64(&json, start, (size_t)(end - start)) == -1)
		goto out;
	a.root = load(json.data, json.len);
	if (a.root == NULL)
		goto out;
	*out = (struct oauth_claims){ .user = "" };
	copy_words(&a, "upn", NULL, out->user, sizeof(out->user));
	if (*out->user == '\0')
		copy_words(
		    &a, "unique_name", NULL, out->user, sizeof(out->user));
	copy_words(&a, "aud", NULL, out->audience, sizeof(out->audience));
	copy_words(&a, "scp", NULL, out->scopes, sizeof(out->scopes));
	copy_words(&a, "tid", NULL, out->tenant, sizeof(out->tenant));
	copy_words(&a, "appid", NULL, out->client_id, sizeof(out->client_id));
	copy_words(&a, "oid", NULL, out->object_id, sizeof(out->object_id));
	join_roles(&a, out->roles, sizeof(out->roles));
	result = 0;
out:
	json_decref(a.root);
	buf_release(&json);
	return result;
}

bool
oauth_claims_are_graphs(const struct oauth_claims *claims)
{
	return strcmp(claims->audience, GRAPH_ID) == 0 ||
	       strstr(claims->audience, "://graph.microsoft.") != NULL;
}
