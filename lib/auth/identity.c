#include "auth/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "account/config.h"
#include "auth/http.h"
#include "auth/oauth.h"
#include "auth/oauth_error.h"
#include "auth/store.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define METADATA "/metadata/identity/oauth2/token"
#define ARC_AGENT "/opt/azcmagent/bin/himds"
#define VM_HOST "AZURE_POD_IDENTITY_AUTHORITY_HOST"
#define SCOPE_END "/.default"

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

#define HOLD ERROR_HOLD, EX_CONFIG, "4.3.5"
#define RETRY ERROR_RETRY, EX_TEMPFAIL, "4.4.0"
#define PORTAL "in the Azure portal, open this machine or app, Identity: "

/* status, fragment, class, exit code, code, sentence, hint. */
static const struct identity_row rows[] = {
	{ 0, "Identity not found", HOLD,
	  "this machine has no such managed identity for '%s'",
	  PORTAL "switch 'System assigned' on, or add one under 'User assigned' and write its "
	  "client id as client_id of '%s'" },
	{ 0, "Managed Identity", HOLD,
	  "this app has no such managed identity for '%s'",
	  PORTAL "switch 'System assigned' on, or add one under 'User assigned' and write its "
	  "client id as client_id of '%s'" },
	{ 0, "AADSTS500011", HOLD,
	  "Exchange Online is not known in the tenant of the managed identity of '%s'",
	  "check cloud and scope of '%s'; the tenant needs an Exchange Online licence" },
	{ 0, "invalid_resource", HOLD,
	  "the managed identity's endpoint does not know what '%s' asks for",
	  "remove scope of '%s' from outpost.conf: cloud and auth choose the right one" },
	{ 0, "metadata header", HOLD,
	  "something between Outpost and the managed identity's endpoint changes requests for '%s'",
	  "check identity_endpoint of '%s': no proxy may stand before it" },
	{ 401, NULL, HOLD,
	  "the managed identity's endpoint refuses requests for '%s'",
	  "check identity, identity_endpoint and identity_header_file of '%s'" },
	{ 403, NULL, HOLD,
	  "the managed identity's endpoint refuses requests for '%s'",
	  "check identity, identity_endpoint and identity_header_file of '%s'" },
	{ 404, NULL, RETRY,
	  "the managed identity's endpoint is not ready for '%s'",
	  "it is asked again later; if this lasts, check whether this is an Azure machine, and "
	  "identity and identity_endpoint of '%s'" },
	{ 410, NULL, RETRY,
	  "the managed identity's endpoint is being updated",
	  "nothing needs to be done for '%s': it is asked again later" },
	{ 429, NULL, RETRY,
	  "the managed identity's endpoint has too many requests at the moment",
	  "nothing needs to be done for '%s': it is asked again later" },
	{ 500, NULL, RETRY,
	  "the managed identity's endpoint has a passing fault",
	  "it is asked again later; if this lasts, check scope of '%s': App Service answers so "
	  "where it does not know what is asked for" },
	{ 0, NULL, HOLD,
	  "the managed identity's endpoint does not accept the request for '%s'",
	  "check identity, identity_endpoint, identity_header_file and client_id of '%s'" },
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

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
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
		if (variable(surroundings[i].endpoint) != NULL &&
		    variable(surroundings[i].besides) != NULL)
			return surroundings[i].kind;
	if (variable(VM_HOST) == NULL && access(ARC_AGENT, F_OK) == 0)
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
	const char *host = variable(VM_HOST);

	if (account->identity_endpoint != NULL)
		buf_adds(&identity->endpoint, account->identity_endpoint);
	else if (around != NULL && variable(around->endpoint) != NULL)
		buf_adds(&identity->endpoint, variable(around->endpoint));
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
	if (around != NULL && variable(around->besides) != NULL)
		buf_adds(&identity->secret, variable(around->besides));
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

const struct identity_row *
identity_error_row(size_t i)
{
	return i < COUNT(rows) ? &rows[i] : NULL;
}

static bool
row_fits(const struct identity_row *row, const struct oauth_failure *failure,
    long status)
{
	if (row->status == 500 ? status < 500
			       : row->status != 0 && row->status != status)
		return false;
	return row->fragment == NULL ||
	       strcasestr(failure->error, row->fragment) != NULL ||
	       strcasestr(failure->description, row->fragment) != NULL;
}

const struct identity_row *
identity_error_find(const struct oauth_failure *failure, long status)
{
	size_t i = 0;

	while (!row_fits(&rows[i], failure, status))
		i++;
	return &rows[i];
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

static int
not_arc(struct error *err)
{
	error_set(err, EX_NOPERM, "4.7.0",
	    "Azure Arc's endpoint names a file that cannot be its key");
	error_hint(err, "see who listens there: 'ss -ltnp'; it may not be "
			"Azure Arc's agent");
	return error_class_set(err, ERROR_HOLD, 0);
}

/* A name that stays in its folder whatever it is put behind. */
static bool
is_key_name(const char *name, size_t len)
{
	static const char end[] = ".key";
	size_t end_len = sizeof(end) - 1;

	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') ||
			(name[i] >= 'A' && name[i] <= 'Z') ||
			(name[i] >= '0' && name[i] <= '9') || name[i] == '-' ||
			(name[i] == '.' && i > 0)))
			return false;
	return len > end_len && len < IDENTITY_KEY_NAME_SIZE &&
	       memcmp(name + len - end_len, end, end_len) == 0;
}

int
identity_challenge(
    char name[IDENTITY_KEY_NAME_SIZE], const char *header, struct error *err)
{
	static const char start[] = "Basic realm=";
	static const char folder[] = IDENTITY_ARC_FOLDER "/";
	size_t len;

	if (strncasecmp(header, start, sizeof(start) - 1) != 0)
		return not_arc(err);
	header += sizeof(start) - 1;
	len = strlen(header);
	if (len >= 2 && *header == '"' && header[len - 1] == '"') {
		header++;
		len -= 2;
	}
	if (len < sizeof(folder) ||
	    strncmp(header, folder, sizeof(folder) - 1) != 0)
		return not_arc(err);
	header += sizeof(folder) - 1;
	len -= sizeof(folder) - 1;
	if (!is_key_name(header, len))
		return not_arc(err);
	memcpy(name, header, len);
	name[len] = '\0';
	return 0;
}

static int
bad_key(
    const char *folder, const char *name, const char *why, struct error *err)
{
	error_set(err, EX_NOPERM, "4.7.0",
	    "cannot read Azure Arc's key '%s/%s': %s", folder, name, why);
	error_hint(err, "the user that runs the token program must be able to "
			"read Azure Arc's keys: see README, By a managed "
			"identity");
	return error_class_set(err, ERROR_HOLD, 0);
}

int
identity_read_key(
    struct buf *out, const char *folder, const char *name, struct error *err)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = -1, result = -1;
	char key[IDENTITY_KEY_MAX + 1];
	struct stat status;
	ssize_t len;

	if (dir != -1)
		fd = openat(dir, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &status) == -1) {
		(void)bad_key(folder, name, strerror(errno), err);
		goto out;
	}
	if (!S_ISREG(status.st_mode)) {
		(void)bad_key(folder, name, "it is not a regular file", err);
		goto out;
	}
	if ((len = file_read_some(fd, key, sizeof(key))) == -1) {
		(void)bad_key(folder, name, strerror(errno), err);
		goto out;
	}
	if (len > 0 && (size_t)len <= IDENTITY_KEY_MAX && key[len - 1] == '\n')
		len--;
	if (len == 0 || (size_t)len > IDENTITY_KEY_MAX ||
	    memchr(key, '\0', (size_t)len) != NULL) {
		(void)bad_key(
		    folder, name, "it is empty, binary or too long", err);
		goto out;
	}
	result = buf_add(out, key, (size_t)len);
out:
	explicit_bzero(key, sizeof(key));
	if (fd != -1)
		close(fd);
	if (dir != -1)
		close(dir);
	return result;
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

/* The scope names what its permissions are for; here that alone is asked. */
static void
add_resource(struct buf *url, const char *scope)
{
	size_t len = strcspn(scope, " "), end = strlen(SCOPE_END);
	char *resource;

	if (len > end && strncmp(scope + len - end, SCOPE_END, end) == 0)
		len -= end;
	resource = xstrndup(scope, len);
	http_encode(url, resource);
	free(resource);
}

static void
make_url(struct request *q)
{
	const struct kind *kind = &kinds[q->identity->kind];
	const char *endpoint = q->identity->endpoint.data;

	buf_init(&q->url, IDENTITY_URL_MAX * 2);
	buf_addf(&q->url, "%s%capi-version=%s&resource=", endpoint,
	    strchr(endpoint, '?') == NULL ? '?' : '&', kind->version);
	add_resource(&q->url, q->account->scope);
	if (kind->client != NULL && q->account->client_id != NULL) {
		buf_addf(&q->url, "&%s=", kind->client);
		http_encode(&q->url, q->account->client_id);
	}
	http_host(q->host, endpoint);
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
	char name[IDENTITY_KEY_NAME_SIZE];
	struct buf value;
	int result = -1;

	buf_init(&value, IDENTITY_KEY_MAX + sizeof("Basic "));
	buf_adds(&value, "Basic ");
	if (identity_challenge(name, response->challenge, err) == 0 &&
	    identity_read_key(&value, IDENTITY_ARC_FOLDER, name, err) == 0)
		result = get(q, value.data, response, err);
	buf_release(&value);
	return result;
}

static int
judge(const struct request *q, const struct http_response *response,
    struct error *err)
{
	const char *mailbox = q->account->mailbox;
	char sentence[ERROR_TEXT_SIZE], hint[ERROR_HINT_SIZE];
	struct oauth_failure failure = { .code_count = 0 };
	const struct identity_row *row;
	unsigned wait = response->retry_after;
	bool foreign =
	    oauth_response_identity_failure(&failure, response->body.data,
		response->body.len, q->host, err) == -1;

	row = identity_error_find(&failure, response->status);
	/* A proxy's page or a portal's redirect says nothing of identities. */
	if (foreign && row->status == 0)
		return error_prefix(err, "HTTP %ld", response->status);
	log_line(LOG_NOTICE,
	    "identity request: account=<%s>, host=%s, http=%ld, error=%s",
	    mailbox, q->host, response->status, failure.error);
	oauth_error_text(sentence, sizeof(sentence), row->sentence, mailbox);
	oauth_error_text(hint, sizeof(hint), row->hint, mailbox);
	error_set(err, row->exit_code, row->code, "%s (%s: HTTP %ld%s%s)",
	    sentence, q->host, response->status,
	    *failure.description != '\0' || *failure.error != '\0' ? ", " : "",
	    *failure.description != '\0' ? failure.description : failure.error);
	error_hint(err, "%s", hint);
	error_class_set(err, row->class, 0);
	if (wait > OAUTH_RETRY_AFTER_MAX)
		wait = OAUTH_RETRY_AFTER_MAX;
	if (wait > 0 && row->class == ERROR_RETRY)
		error_class_set(err, ERROR_THROTTLED, wait);
	return -1;
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
