#include "auth/redirect.h"

#include <ctype.h>
#include <stdbool.h>
#include <sysexits.h>

#include "auth/oauth_error.h"
#include "auth/redact.h"
#include "base/error.h"

/* The parameters that count, decoded; a missing one is empty. */
struct answer {
	struct buf code;
	struct buf state;
	struct buf error;
	struct buf description;
};

static void
answer_init(struct answer *a)
{
	buf_init(&a->code, OAUTH_TOKEN_MAX);
	buf_init(&a->state, OAUTH_TOKEN_MAX);
	buf_init(&a->error, OAUTH_WORD_SIZE - 1);
	buf_init(&a->description, OAUTH_TOKEN_MAX);
}

static void
answer_release(struct answer *a)
{
	buf_release(&a->code);
	buf_release(&a->state);
	buf_release(&a->error);
	buf_release(&a->description);
}

void
redirect_init(struct redirect *r)
{
	*r = (struct redirect){ .error = "" };
	buf_init(&r->code, OAUTH_TOKEN_MAX);
}

void
redirect_release(struct redirect *r)
{
	buf_release(&r->code);
	redirect_init(r);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* application/x-www-form-urlencoded; no NUL may come out of it. */
static int
decode(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i] == '+' ? ' ' : text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int low = high == -1 ? -1 : hex_digit(text[i + 2]);

			if (low == -1)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || buf_addc(out, c) == -1)
			return -1;
	}
	return 0;
}

static struct buf *
find_field(struct answer *a, const char *name, size_t len)
{
	const struct {
		const char *name;
		struct buf *value;
	} fields[] = {
		{ "code", &a->code },
		{ "state", &a->state },
		{ "error", &a->error },
		{ "error_description", &a->description },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strlen(fields[i].name) == len &&
		    memcmp(fields[i].name, name, len) == 0)
			return fields[i].value;
	return NULL;
}

/* name=value joined by '&'. Others (session_state …) are passed over. */
static int
parse_query(struct answer *a, const char *query, size_t len)
{
	const char *end = query + len;
	size_t count = 0;

	while (query < end) {
		const char *next = memchr(query, '&', (size_t)(end - query));
		const char *stop = next == NULL ? end : next;
		const char *mark = memchr(query, '=', (size_t)(stop - query));
		const char *name_end = mark == NULL ? stop : mark;
		struct buf *value =
		    find_field(a, query, (size_t)(name_end - query));

		if (++count > REDIRECT_FIELDS_MAX)
			return -1;
		if (value != NULL) {
			if (value->len > 0 || mark == NULL)
				return -1;
			if (decode(value, mark + 1,
				(size_t)(stop - mark - 1)) == -1)
				return -1;
		}
		query = next == NULL ? end : next + 1;
	}
	return 0;
}

/* In a time that does not tell how much of it is right. */
static bool
is_state(const struct buf *given, const char *state)
{
	size_t len = strlen(state);
	unsigned char wrong = 0;

	if (given->len != len || len == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		wrong |= (unsigned char)(given->data[i] ^ state[i]);
	return wrong == 0;
}

/* RFC 6749 appendix A.11: visible characters and no others. */
static bool
is_code(const struct buf *code)
{
	for (size_t i = 0; i < code->len; i++)
		if (code->data[i] <= ' ' || code->data[i] > '~')
			return false;
	return code->len > 0;
}

static bool
is_word(const struct buf *word)
{
	for (size_t i = 0; i < word->len; i++)
		if (!islower((unsigned char)word->data[i]) &&
		    word->data[i] != '_')
			return false;
	return word->len > 0;
}

/* Exactly one of code and error. */
static int
take_answer(struct redirect *out, const struct answer *a)
{
	if (a->error.len > 0) {
		if (a->code.len > 0 || !is_word(&a->error))
			return -1;
		redirect_release(out);
		strlcpy(out->error, a->error.data, sizeof(out->error));
		redact_line(out->description, sizeof(out->description),
		    a->description.data, NULL);
		return 0;
	}
	if (!is_code(&a->code))
		return -1;
	redirect_release(out);
	buf_add(&out->code, a->code.data, a->code.len);
	return 0;
}

static enum redirect_verdict
judge_target(
    struct redirect *out, const char *target, size_t len, const char *state)
{
	const char *query = memchr(target, '?', len);
	size_t path = query == NULL ? len : (size_t)(query - target);
	enum redirect_verdict verdict = REDIRECT_MALFORMED;
	struct answer a;

	if (path != 1 || *target != '/')
		return REDIRECT_NO_PAGE;
	if (query == NULL)
		return REDIRECT_STRANGER;
	answer_init(&a);
	if (parse_query(&a, query + 1, len - path - 1) == 0) {
		if (!is_state(&a.state, state))
			verdict = REDIRECT_STRANGER;
		else if (take_answer(out, &a) == 0)
			verdict = REDIRECT_ANSWER;
	}
	answer_release(&a);
	return verdict;
}

/* Each header field on a line of its own, and exactly one Host, ours. */
static bool
has_our_host(const char *line, const char *end, const char *host)
{
	bool found = false;

	while (line < end) {
		const char *stop =
		    memmem(line, (size_t)(end - line), "\r\n", 2);
		const char *colon = memchr(line, ':', (size_t)(stop - line));
		const char *value;

		if (colon == NULL || colon == line || *line == ' ' ||
		    *line == '\t')
			return false;
		value = colon + 1;
		while (value < stop && (*value == ' ' || *value == '\t'))
			value++;
		if (colon - line == 4 && strncasecmp(line, "Host", 4) == 0) {
			if (found || (size_t)(stop - value) != strlen(host) ||
			    strncasecmp(value, host, strlen(host)) != 0)
				return false;
			found = true;
		}
		line = stop + 2;
	}
	return found;
}

/* Text in lines that end in CR LF; what is not ASCII may stand in a header's
 * value. */
static bool
is_text(const char *bytes, size_t len)
{
	char before = '\0';

	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];

		if ((c == '\n') != (before == '\r'))
			return false;
		if (c >= 0 && c < ' ' && strchr("\t\r\n", c) == NULL)
			return false;
		if (c == '\0' || c == 0x7f)
			return false;
		before = c;
	}
	return true;
}

/* METHOD SP target SP HTTP/1.1 (RFC 9112 section 3), without its line end.
 * 'line' is moved to the target, '*len' becomes its length. */
static enum redirect_verdict
split_request_line(const char **line, size_t *len)
{
	static const char version[] = " HTTP/1.1";
	size_t tail = sizeof(version) - 1;
	const char *space = memchr(*line, ' ', *len);
	size_t method;

	if (space == NULL || *len < tail ||
	    memcmp(*line + *len - tail, version, tail) != 0)
		return REDIRECT_MALFORMED;
	method = (size_t)(space - *line);
	if (method == 0 || method + 1 + tail >= *len)
		return REDIRECT_MALFORMED;
	for (size_t i = 0; i < method; i++)
		if (!isupper((unsigned char)(*line)[i]))
			return REDIRECT_MALFORMED;
	for (const char *c = space + 1; c < *line + *len - tail; c++)
		if (*c <= ' ' || *c > '~' || *c == '#')
			return REDIRECT_MALFORMED;
	if (method != 3 || memcmp(*line, "GET", 3) != 0)
		return REDIRECT_NO_METHOD;
	*len -= method + 1 + tail;
	*line = space + 1;
	return *line[0] == '/' ? REDIRECT_ANSWER : REDIRECT_MALFORMED;
}

enum redirect_verdict
redirect_request(struct redirect *out, const char *bytes, size_t len,
    const char *host, const char *state)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);
	const char *target = bytes, *line_end;
	enum redirect_verdict verdict;
	size_t target_len;

	if (end == NULL ? len >= REDIRECT_HEAD_MAX
			: (size_t)(end - bytes) >= REDIRECT_HEAD_MAX)
		return REDIRECT_TOO_LONG;
	if (end == NULL)
		return REDIRECT_PARTIAL;
	end += 2;
	if (!is_text(bytes, (size_t)(end - bytes)))
		return REDIRECT_MALFORMED;
	line_end = memmem(bytes, (size_t)(end - bytes), "\r\n", 2);
	target_len = (size_t)(line_end - bytes);
	verdict = split_request_line(&target, &target_len);
	if (verdict != REDIRECT_ANSWER)
		return verdict;
	if (!has_our_host(line_end + 2, end, host))
		return REDIRECT_MALFORMED;
	return judge_target(out, target, target_len, state);
}

static int
bad_paste(const char *what, struct error *err)
{
	error_set(err, EX_DATAERR, "5.6.0", "%s", what);
	return error_hint(err,
	    "paste the whole address that the browser shows at the end of the "
	    "sign-in: it begins with http://localhost/?code=");
}

static int
paste_code(
    struct redirect *out, const char *text, size_t len, struct error *err)
{
	struct answer a;
	int result = -1;

	answer_init(&a);
	if (decode(&a.code, text, len) == -1 || take_answer(out, &a) == -1)
		bad_paste("what was pasted is no code", err);
	else
		result = 0;
	answer_release(&a);
	return result;
}

static int
paste_query(struct redirect *out, const char *query, size_t len,
    const char *state, struct error *err)
{
	struct answer a;
	int result = -1;

	answer_init(&a);
	if (parse_query(&a, query, len) == -1)
		bad_paste("the pasted address is malformed", err);
	else if (a.code.len == 0 && a.error.len == 0)
		bad_paste("the pasted address has no code in it", err);
	else if (!is_state(&a.state, state))
		bad_paste("the pasted address belongs to another sign-in", err);
	else if (take_answer(out, &a) == -1)
		bad_paste("the code in the pasted address is malformed", err);
	else
		result = 0;
	answer_release(&a);
	return result;
}

int
redirect_pasted(struct redirect *out, const char *text, const char *state,
    struct error *err)
{
	const char *query;
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len == 0)
		return bad_paste("nothing was pasted", err);
	if (len > REDIRECT_PASTE_MAX)
		return bad_paste("what was pasted is too long", err);
	query = memchr(text, '?', len);
	if (query != NULL) {
		query++;
		len -= (size_t)(query - text);
	} else if (memchr(text, '=', len) != NULL) {
		query = text;
	} else if (memmem(text, len, "://", 3) != NULL) {
		return bad_paste("the pasted address has no code in it", err);
	}
	if (query == NULL)
		return paste_code(out, text, len, err);
	/* A browser may show a fragment after it. */
	if (memchr(query, '#', len) != NULL)
		len = (size_t)((const char *)memchr(query, '#', len) - query);
	return paste_query(out, query, len, state, err);
}

/* The authorization endpoint gives its number in the text alone. */
static long long
code_of(const char *description)
{
	static const char mark[] = "AADSTS";
	const char *at = strstr(description, mark), *why;
	char digits[16];
	size_t len;

	if (at == NULL)
		return 0;
	at += sizeof(mark) - 1;
	len = strspn(at, "0123456789");
	if (len == 0 || len >= sizeof(digits))
		return 0;
	memcpy(digits, at, len);
	digits[len] = '\0';
	return strtonum(digits, 1, 999999999999LL, &why);
}

int
redirect_judge(const struct redirect *r, const char *mailbox, const char *host,
    struct error *err)
{
	struct oauth_failure failure = { .code_count = 0 };
	long long code = code_of(r->description);

	strlcpy(
	    failure.description, r->description, sizeof(failure.description));
	strlcpy(failure.error, r->error, sizeof(failure.error));
	if (oauth_error_code(code) != NULL) {
		failure.codes[failure.code_count++] = code;
		/* access_denied is said of many things: the number knows. */
		*failure.error = '\0';
	}
	return oauth_error_judge(&failure, 400, 0, mailbox, host, err);
}
