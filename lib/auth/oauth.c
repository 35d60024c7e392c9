#include "auth/oauth.h"

#include <stdint.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>

#include "account/config.h"
#include "auth/http.h"
#include "auth/jwt.h"
#include "auth/oauth_error.h"
#include "auth/redact.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

#define GRANT_DEVICE "urn:ietf:params:oauth:grant-type:device_code"
#define JWT_BEARER "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define GUID_SIZE 37
#define URL_MAX 4096u
#define THROTTLED_DEFAULT 60 /* seconds, where 429 names none */

/* One request and what became of it. Of 'token' and 'device' the one that
 * the answer should hold is set. */
struct exchange {
	struct buf url;
	char host[HTTP_HOST_SIZE];
	struct http_form form;
	const char *sent; /* the credential in the form, or NULL */
	/* Signs an assertion for each try, which goes behind what the form
	 * holds without it; or NULL. */
	const struct certificate *signer;
	struct buf assertion;
	size_t unsigned_len;
	struct oauth_token *token;
	struct oauth_device *device;
	struct oauth_failure failure; /* what was refused last */
};

void
oauth_endpoint(struct buf *url, const struct account *account, const char *name)
{
	buf_addf(url, "%s/", account->authority);
	http_encode(url, account->tenant);
	buf_addf(url, "/oauth2/v2.0/%s", name);
}

static void
exchange_init(
    struct exchange *x, const struct account *account, const char *endpoint)
{
	*x = (struct exchange){ .sent = NULL };
	buf_init(&x->assertion, JWT_MAX);
	buf_init(&x->url, URL_MAX);
	oauth_endpoint(&x->url, account, endpoint);
	http_host(x->host, x->url.data);
	http_form_init(&x->form);
	http_form_add(&x->form, "client_id", account->client_id);
}

static void
exchange_release(struct exchange *x)
{
	buf_release(&x->url);
	buf_release(&x->assertion);
	http_form_release(&x->form);
}

static void
warn_of_clock(const struct exchange *x, const struct http_response *response)
{
	long long ahead = (long long)time(NULL) - (long long)response->date;

	if (response->date == 0 ||
	    (ahead <= OAUTH_CLOCK_TOLERANCE && ahead >= -OAUTH_CLOCK_TOLERANCE))
		return;
	log_line(LOG_WARNING,
	    "this machine's clock is %lld seconds %s that of %s",
	    ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of",
	    x->host);
}

/* With the values that Microsoft's support asks for. A device sign-in that
 * is pending is no refusal. */
static void
log_refusal(const struct oauth *oauth, const struct exchange *x, long status)
{
	const struct oauth_failure *f = &x->failure;

	if (oauth_error_find(f, status)->steers)
		return;
	log_line(LOG_NOTICE,
	    "token request: account=<%s>, host=%s, http=%ld, error=%s, "
	    "code=%lld, trace=%s, correlation=%s",
	    oauth->account->mailbox, x->host, status, f->error,
	    f->code_count > 0 ? f->codes[0] : 0, f->trace_id,
	    f->correlation_id);
}

/* An answer that is none of the token endpoint's: a proxy's page, a
 * redirect to a portal, a load balancer's 503. */
static int
foreign_answer(const struct exchange *x, const struct http_response *response,
    struct error *err)
{
	unsigned wait = response->retry_after;
	char type[sizeof(response->type)];

	redact_line(type, sizeof(type), response->type, x->sent);
	if (*response->type == '\0')
		error_prefix(err, "HTTP %ld", response->status);
	else
		error_prefix(err, "HTTP %ld (%s)", response->status, type);
	if (response->status == 429 && wait == 0)
		wait = THROTTLED_DEFAULT;
	if (wait > 0)
		error_class_set(err, ERROR_THROTTLED, wait);
	return -1;
}

static int
judge_failure(struct oauth *oauth, struct exchange *x,
    const struct http_response *response, struct error *err)
{
	if (oauth_response_failure(&x->failure, response->body.data,
		response->body.len, x->sent, x->host, err) == -1)
		return foreign_answer(x, response, err);
	log_refusal(oauth, x, response->status);
	if (*x->failure.claims != '\0')
		strlcpy(
		    oauth->claims, x->failure.claims, sizeof(oauth->claims));
	return oauth_error_judge(&x->failure, response->status,
	    response->retry_after, oauth->account->mailbox, x->host, err);
}

/* A random GUID (RFC 4122 section 4.4). */
static void
make_guid(char out[GUID_SIZE])
{
	unsigned char b[16];

	arc4random_buf(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, GUID_SIZE,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
}

static void
add_assertion(struct exchange *x, const char *assertion)
{
	http_form_add(&x->form, "client_assertion_type", JWT_BEARER);
	http_form_add(&x->form, "client_assertion", assertion);
	x->sent = assertion;
}

static int
sign_assertion(const struct oauth *oauth, struct exchange *x, struct error *err)
{
	struct buf *form = &x->form.body;
	char id[GUID_SIZE];
	const struct jwt_claims claims = {
		.audience = x->url.data,
		.client_id = oauth->account->client_id,
		.id = id,
		.now = time(NULL),
	};

	make_guid(id);
	if (x->unsigned_len == 0)
		x->unsigned_len = form->len;
	(void)buf_splice(
	    form, x->unsigned_len, form->len - x->unsigned_len, NULL, 0);
	buf_clear(&x->assertion);
	if (jwt_assertion(&x->assertion, x->signer, &claims, err) == -1)
		return -1;
	add_assertion(x, x->assertion.data);
	return 0;
}

static int
try_once(
    struct oauth *oauth, struct exchange *x, double deadline, struct error *err)
{
	struct http_response response;
	const struct buf *body = &response.body;
	int result = -1;

	x->failure = (struct oauth_failure){ .code_count = 0 };
	if (x->signer != NULL && sign_assertion(oauth, x, err) == -1)
		return -1;
	http_response_init(&response);
	if (http_post(oauth->http, x->url.data, &x->form, deadline, &response,
		err) == -1)
		goto out;
	warn_of_clock(x, &response);
	if (response.status != 200) {
		judge_failure(oauth, x, &response, err);
		goto out;
	}
	if (x->token != NULL)
		result = oauth_response_token(
		    x->token, body->data, body->len, x->host, err);
	else
		result = oauth_response_device(
		    x->device, body->data, body->len, x->host, err);
out:
	http_response_release(&response);
	return result;
}

double
oauth_pause(int next, const struct error *err, double left, double random)
{
	double pause = OAUTH_PAUSE;

	if (next > OAUTH_TRIES)
		return -1;
	if (err->class == ERROR_THROTTLED) {
		pause = err->retry_after;
	} else if (err->class == ERROR_RETRY) {
		for (int i = 2; i < next; i++)
			pause *= 2;
		pause *= 0.75 + random / 2;
	} else {
		return -1;
	}
	return pause + OAUTH_TRY_SECONDS <= left ? pause : -1;
}

void
oauth_sleep(double seconds)
{
	struct timespec pause = { .tv_sec = (time_t)seconds };

	pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * 1e9);
	(void)nanosleep(&pause, NULL);
}

static int
try_on(
    struct oauth *oauth, struct exchange *x, double deadline, struct error *err)
{
	struct error why;
	double pause;

	for (int next = 2; try_once(oauth, x, deadline, &why) == -1; next++) {
		pause = oauth_pause(next, &why, deadline - file_now(),
		    (double)arc4random() / UINT32_MAX);
		if (pause < 0) {
			*err = why;
			return -1;
		}
		oauth_sleep(pause);
	}
	return 0;
}

int
oauth_refresh(struct oauth *oauth, const char *refresh_token, double deadline,
    struct oauth_token *token, struct error *err)
{
	struct exchange x;
	int result;

	exchange_init(&x, oauth->account, "token");
	http_form_add(&x.form, "grant_type", "refresh_token");
	http_form_add(&x.form, "refresh_token", refresh_token);
	http_form_add(&x.form, "scope", oauth->account->scope);
	x.sent = refresh_token;
	x.token = token;
	result = try_on(oauth, &x, deadline, err);
	exchange_release(&x);
	return result;
}

/* A token for an application by itself belongs to one tenant. */
static int
check_tenant(const struct account *account, struct error *err)
{
	static const char *const shared[] = { "common", "organizations",
		"consumers" };

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		if (strcasecmp(account->tenant, shared[i]) != 0)
			continue;
		error_set(err, EX_CONFIG, "4.3.5",
		    "[%s] has tenant = %s and an application's credential",
		    account->mailbox, shared[i]);
		error_hint(err, "set tenant to the organization's id or "
				"domain; consumer mailboxes need auth = login");
		return error_class_set(err, ERROR_HOLD, 0);
	}
	return 0;
}

static int
start_application(
    struct exchange *x, const struct account *account, struct error *err)
{
	if (check_tenant(account, err) == -1)
		return -1;
	exchange_init(x, account, "token");
	http_form_add(&x->form, "grant_type", "client_credentials");
	http_form_add(&x->form, "scope", account->scope);
	return 0;
}

static int
end_application(struct oauth *oauth, struct exchange *x, double deadline,
    struct oauth_token *token, struct error *err)
{
	int result;

	x->token = token;
	result = try_on(oauth, x, deadline, err);
	exchange_release(x);
	return result;
}

int
oauth_client_secret(struct oauth *oauth, const char *secret, double deadline,
    struct oauth_token *token, struct error *err)
{
	struct exchange x;

	if (start_application(&x, oauth->account, err) == -1)
		return -1;
	http_form_add(&x.form, "client_secret", secret);
	x.sent = secret;
	return end_application(oauth, &x, deadline, token, err);
}

int
oauth_certificate(struct oauth *oauth, const struct certificate *certificate,
    double deadline, struct oauth_token *token, struct error *err)
{
	struct exchange x;

	if (start_application(&x, oauth->account, err) == -1)
		return -1;
	x.signer = certificate;
	return end_application(oauth, &x, deadline, token, err);
}

int
oauth_assertion(struct oauth *oauth, const char *assertion, double deadline,
    struct oauth_token *token, struct error *err)
{
	struct exchange x;

	if (start_application(&x, oauth->account, err) == -1)
		return -1;
	add_assertion(&x, assertion);
	return end_application(oauth, &x, deadline, token, err);
}

static void
add_claims(struct exchange *x, const struct oauth *oauth)
{
	if (*oauth->claims != '\0')
		http_form_add(&x->form, "claims", oauth->claims);
}

int
oauth_code(struct oauth *oauth, const char *code, const char *verifier,
    const char *redirect_uri, double deadline, struct oauth_token *token,
    struct error *err)
{
	struct exchange x;
	int result;

	exchange_init(&x, oauth->account, "token");
	http_form_add(&x.form, "grant_type", "authorization_code");
	http_form_add(&x.form, "code", code);
	http_form_add(&x.form, "code_verifier", verifier);
	http_form_add(&x.form, "redirect_uri", redirect_uri);
	http_form_add(&x.form, "scope", oauth->account->scope);
	add_claims(&x, oauth);
	x.sent = code;
	x.token = token;
	result = try_on(oauth, &x, deadline, err);
	exchange_release(&x);
	return result;
}

int
oauth_device_start(struct oauth *oauth, double deadline,
    struct oauth_device *device, struct error *err)
{
	struct exchange x;
	int result;

	exchange_init(&x, oauth->account, "devicecode");
	http_form_add(&x.form, "scope", oauth->account->scope);
	x.device = device;
	result = try_on(oauth, &x, deadline, err);
	exchange_release(&x);
	return result;
}

int
oauth_device_poll(struct oauth *oauth, const char *device_code, double deadline,
    struct oauth_token *token, enum oauth_poll *state, struct error *err)
{
	struct exchange x;
	int result;

	exchange_init(&x, oauth->account, "token");
	http_form_add(&x.form, "grant_type", GRANT_DEVICE);
	http_form_add(&x.form, "device_code", device_code);
	add_claims(&x, oauth);
	x.sent = device_code;
	x.token = token;
	result = try_once(oauth, &x, deadline, err);
	if (result == 0) {
		*state = OAUTH_POLL_DONE;
	} else if (strcmp(x.failure.error, "authorization_pending") == 0) {
		*state = OAUTH_POLL_PENDING;
		result = 0;
	} else if (strcmp(x.failure.error, "slow_down") == 0) {
		*state = OAUTH_POLL_SLOW_DOWN;
		result = 0;
	}
	exchange_release(&x);
	return result;
}

int
oauth_date(
    struct oauth *oauth, double deadline, time_t *date, struct error *err)
{
	struct http_response response;
	struct exchange x;
	int result;

	exchange_init(&x, oauth->account, "token");
	http_response_init(&response);
	result = http_post(
	    oauth->http, x.url.data, &x.form, deadline, &response, err);
	if (result == 0)
		*date = response.date;
	http_response_release(&response);
	exchange_release(&x);
	return result;
}
