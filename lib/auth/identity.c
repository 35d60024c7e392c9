#include "auth/identity.h"

#include <stdbool.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/arc.h"
#include "auth/http.h"
#include "auth/identity_error.h"
#include "auth/oauth.h"
#include "auth/scope.h"
#include "auth/store.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/startup.h"

#define METADATA "/metadata/identity/oauth2/token"
#define ARC_AGENT "/opt/azcmagent/bin/himds"
#define VM_HOST "AZURE_POD_IDENTITY_AUTHORITY_HOST"

/* clang-format off */
/* How each kind is asked: where, by which version of its interface, with
 * which header (whose value is the secret or "true"), and how it is told
 * which of several identities is meant. */
static const struct kind {
	const char *name;
	const char *endpoint;	/* unless one is given, or NULL */
	const char *version;
	const char *header;
	bool secret;
	const char *client;	/* NULL: it has one identity alone */
} kinds[] = {
	[IDENTITY_VM] = { "a virtual machine",
	  "http://169.254.169.254" METADATA, "2018-02-01", "Metadata", false, "client_id" },
	[IDENTITY_APP_SERVICE] = { "App Service",
	  NULL, "2019-08-01", "X-IDENTITY-HEADER", true, "client_id" },
	[IDENTITY_MSI] = { "App Service (2017)",
	  NULL, "2017-09-01", "secret", true, "clientid" },
	[IDENTITY_ARC] = { "Azure Arc",
	  "http://localhost:40342" METADATA, "2020-06-01", "Metadata", false, NULL },
};

/* What the platform puts into the environment. The first row of which all
 * variables are set counts (the order of Microsoft's own libraries). */
static const struct surroundings {
	int kind;
	const char *endpoint;
	const char *besides;	/* must be set too */
	bool secret;		/* and is the secret */
} surroundings[] = {
	{ IDENTITY_APP_SERVICE, "IDENTITY_ENDPOINT", "IDENTITY_HEADER", true },
	{ IDENTITY_MSI, "MSI_ENDPOINT", "MSI_SECRET", true },
	{ IDENTITY_ARC, "IDENTITY_ENDPOINT", "IMDS_ENDPOINT", false },
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void
identity_init(struct identity *identity)
{
	*identity = (struct identity){ .kind = IDENTITY_VM };
	buf_init(&identity->endpoint, IDENTITY_URL_MAX);
	buf_init(&identity->secret, STORE_SECRET_MAX);
}

void
identity_release(struct identity *identity)
{
	buf_release(&identity->endpoint);
	buf_release(&identity->secret);
}

static const struct surroundings *
surroundings_of(int kind)
{
	for (size_t i = 0; i < COUNT(surroundings); i++)
		if (surroundings[i].kind == kind)
			return &surroundings[i];
	return NULL;
}

/* Where the keys do not say it. */
static int
find_kind(void)
{
	for (size_t i = 0; i < COUNT(surroundings); i++)
		if (startup_variable(surroundings[i].endpoint) != NULL &&
		    startup_variable(surroundings[i].besides) != NULL)
			return surroundings[i].kind;
	if (startup_variable(VM_HOST) == NULL && access(ARC_AGENT, F_OK) == 0)
		return IDENTITY_ARC;
	return IDENTITY_VM;
}

static int
choose_kind(const struct account *account)
{
	if (account->identity != IDENTITY_AUTO)
		return account->identity;
	if (account->identity_header_file != NULL)
		return IDENTITY_APP_SERVICE;
	if (account->identity_endpoint != NULL)
		return IDENTITY_VM;
	return find_kind();
}

static void
find_endpoint(struct identity *identity, const struct account *account)
{
	const struct surroundings *around = surroundings_of(identity->kind);
	const char *standard = kinds[identity->kind].endpoint;
	const char *host = startup_variable(VM_HOST);

	if (account->identity_endpoint != NULL)
		buf_adds(&identity->endpoint, account->identity_endpoint);
	else if (around != NULL && startup_variable(around->endpoint) != NULL)
		buf_adds(
		    &identity->endpoint, startup_variable(around->endpoint));
	else if (identity->kind == IDENTITY_VM && host != NULL)
		buf_addf(&identity->endpoint, "%.*s" METADATA,
		    (int)strlen(host) - (host[strlen(host) - 1] == '/'), host);
	else if (standard != NULL)
		buf_adds(&identity->endpoint, standard);
}

static int
incomplete(const struct account *account, const char *what, const char *hint,
    struct error *err)
{
	error_set(err, EX_CONFIG, "4.3.5", "the managed identity of '%s' %s",
	    account->mailbox, what);
	error_hint(err, "%s", hint);
	return error_class_set(err, ERROR_HOLD, 0);
}

static int
find_secret(
    struct identity *identity, const struct account *account, struct error *err)
{
	const struct surroundings *around = surroundings_of(identity->kind);

	if (account->identity_header_file != NULL)
		return store_line(account, account->identity_header_file,
		    "identity header", true, &identity->secret, err);
	if (around != NULL && startup_variable(around->besides) != NULL)
		buf_adds(&identity->secret, startup_variable(around->besides));
	if (identity->secret.len == 0)
		return incomplete(account, "has no header to ask with",
		    "write the value of IDENTITY_HEADER (MSI_SECRET for "
		    "identity = msi) into a file of mode 0600 and name it with "
		    "identity_header_file",
		    err);
	return 0;
}

int
identity_find(
    struct identity *identity, const struct account *account, struct error *err)
{
	const struct kind *kind;

	identity->kind = choose_kind(account);
	kind = &kinds[identity->kind];
	find_endpoint(identity, account);
	if (identity->endpoint.len == 0)
		return incomplete(account, "has no endpoint",
		    "name the value of IDENTITY_ENDPOINT (MSI_ENDPOINT for "
		    "identity = msi) with identity_endpoint",
		    err);
	if (kind->client == NULL && account->client_id != NULL)
		return incomplete(account, "is Azure Arc's and has a client_id",
		    "remove client_id: an Azure Arc machine has one identity, "
		    "its own",
		    err);
	return kind->secret ? find_secret(identity, account, err) : 0;
}

double
identity_pause(int next, const struct error *err, double left)
{
	/* As Microsoft advises for its metadata service. */
	static const double pauses[IDENTITY_TRIES - 1] = { 0, 2, 6, 14, 30 };
	double pause;

	if (next > IDENTITY_TRIES)
		return -1;
	if (err->class == ERROR_THROTTLED)
		pause = err->retry_after;
	else if (err->class == ERROR_RETRY)
		pause = pauses[next - 2];
	else
		return -1;
	return pause + OAUTH_TRY_SECONDS <= left ? pause : -1;
}

/* One making of a token. */
struct request {
	const struct identity *identity;
	const struct account *account;
	struct http *http;
	double deadline;
	struct buf url;
	char host[HTTP_HOST_SIZE];
};

static void
make_url(struct request *q)
{
	const struct kind *kind = &kinds[q->identity->kind];
	const char *endpoint = q->identity->endpoint.data;
	char *resource = scope_resource(q->account->scope);

	buf_init(&q->url, IDENTITY_URL_MAX * 2);
	buf_addf(&q->url, "%s%capi-version=%s&resource=", endpoint,
	    strchr(endpoint, '?') == NULL ? '?' : '&', kind->version);
	http_encode(&q->url, resource);
	if (kind->client != NULL && q->account->client_id != NULL) {
		buf_addf(&q->url, "&%s=", kind->client);
		http_encode(&q->url, q->account->client_id);
	}
	http_host(q->host, endpoint);
	free(resource);
}

static int
get(struct request *q, const char *authorization,
    struct http_response *response, struct error *err)
{
	const struct kind *kind = &kinds[q->identity->kind];
	const struct http_header headers[] = {
		{ kind->header,
		    kind->secret ? q->identity->secret.data : "true" },
		{ "Authorization", authorization },
	};

	if (http_get_local(q->http, q->url.data, headers,
		authorization == NULL ? 1 : 2, q->deadline, response, err) == 0)
		return 0;
	if (response->connected && err->class == ERROR_RETRY)
		error_hint(err, "it is asked again later; if this lasts, look "
				"at what gives this machine its identity");
	return -1;
}

/* Read what the challenge names, and ask again with it. */
static int
answer_challenge(
    struct request *q, struct http_response *response, struct error *err)
{
	char name[ARC_KEY_NAME_SIZE];
	struct buf value;
	int result = -1;

	buf_init(&value, ARC_KEY_MAX + sizeof("Basic "));
	buf_adds(&value, "Basic ");
	if (arc_challenge(name, response->challenge, err) == 0 &&
	    arc_read_key(&value, ARC_KEY_FOLDER, name, err) == 0)
		result = get(q, value.data, response, err);
	buf_release(&value);
	return result;
}

static int
judge(const struct request *q, const struct http_response *response,
    struct error *err)
{
	struct oauth_failure failure = { .code_count = 0 };
	bool foreign =
	    oauth_response_identity_failure(&failure, response->body.data,
		response->body.len, q->host, err) == -1;

	/* A proxy's page or a portal's redirect says nothing of identities. */
	if (foreign &&
	    identity_error_find(&failure, response->status)->status == 0)
		return error_prefix(err, "HTTP %ld", response->status);
	log_line(LOG_NOTICE,
	    "identity request: account=<%s>, host=%s, http=%ld, error=%s",
	    q->account->mailbox, q->host, response->status, failure.error);
	return identity_error_judge(&failure, response->status,
	    response->retry_after, q->account->mailbox, q->host, err);
}

static int
ask_once(struct request *q, struct http_response *response,
    struct oauth_token *token, struct error *err)
{
	const struct buf *body = &response->body;

	if (get(q, NULL, response, err) == -1)
		return -1;
	if (q->identity->kind == IDENTITY_ARC && response->status == 401 &&
	    answer_challenge(q, response, err) == -1)
		return -1;
	if (response->status != 200)
		return judge(q, response, err);
	return oauth_response_identity(
	    token, body->data, body->len, time(NULL), q->host, err);
}

static int
nobody_there(const struct request *q, struct error *err)
{
	error_set(err, EX_CONFIG, "4.3.5",
	    "there is no managed identity on this machine: nobody answers at "
	    "'%s', where that of %s is",
	    q->host, kinds[q->identity->kind].name);
	error_hint(err,
	    "auth = managed-identity is for Azure's virtual machines, App "
	    "Service, Container Apps and Azure Arc; elsewhere '%s' needs "
	    "another auth, as certificate",
	    q->account->mailbox);
	return error_class_set(err, ERROR_HOLD, 0);
}

/* Seconds until try number 'next', or -1 where 'err' is the last word. */
static double
next_pause(
    const struct request *q, int next, bool connected, const struct error *err)
{
	double left = q->deadline - file_now();

	if (connected || err->class == ERROR_HOLD)
		return identity_pause(next, err, left);
	return next <= IDENTITY_CONNECT_TRIES && left > 1 ? 1 : -1;
}

int
identity_token(const struct identity *identity, struct http *http,
    const struct account *account, double deadline, struct oauth_token *token,
    struct error *err)
{
	struct request q = { identity, account, http, deadline, .host = "" };
	struct http_response response;
	struct error why;
	double pause;
	int result;

	make_url(&q);
	http_response_init(&response);
	for (int next = 2;; next++) {
		result = ask_once(&q, &response, token, &why);
		if (result == 0)
			break;
		pause = next_pause(&q, next, response.connected, &why);
		if (pause < 0)
			break;
		oauth_sleep(pause);
	}
	if (result == -1) {
		if (!response.connected && strncmp(why.status, "4.4.", 4) == 0)
			nobody_there(&q, &why);
		*err = why;
	}
	http_response_release(&response);
	buf_release(&q.url);
	return result;
}
