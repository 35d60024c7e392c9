#include "auth/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "account/config.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"

struct http {
	CURL *curl;
	struct curl_slist *headers;
	const struct account *account;
};

struct http *
http_new(const struct account *account)
{
	struct http *http = xcalloc(1, sizeof(*http));

	http->account = account;
	/* Counted by libcurl: http_free() gives it back. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == 0)
		http->curl = curl_easy_init();
	/* libcurl would wait a second for a 100 that Entra never sends. */
	http->headers = curl_slist_append(NULL, "Expect:");
	http->headers =
	    curl_slist_append(http->headers, "Accept: application/json");
	return http;
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	curl_slist_free_all(http->headers);
	curl_easy_cleanup(http->curl);
	curl_global_cleanup();
	free(http);
}

void
http_form_init(struct http_form *form)
{
	buf_init(&form->body, HTTP_FORM_MAX);
}

void
http_form_release(struct http_form *form)
{
	buf_release(&form->body);
}

/* RFC 3986 section 2.3, without regard to the locale. */
static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

void
http_encode(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (is_unreserved(*text))
			buf_addc(out, *text);
		else
			buf_addf(out, "%%%02X", (unsigned char)*text);
	}
}

void
http_form_add(struct http_form *form, const char *name, const char *value)
{
	if (form->body.len > 0)
		buf_addc(&form->body, '&');
	http_encode(&form->body, name);
	buf_addc(&form->body, '=');
	http_encode(&form->body, value);
}

void
http_response_init(struct http_response *response)
{
	*response = (struct http_response){ .status = 0 };
	buf_init(&response->body, HTTP_BODY_MAX);
}

void
http_response_release(struct http_response *response)
{
	buf_release(&response->body);
	http_response_init(response);
}

char *
http_host(char out[HTTP_HOST_SIZE], const char *url)
{
	const char *start = strstr(url, "://");
	size_t len;

	start = start == NULL ? url : start + 3;
	len = strcspn(start, "/?#");
	if (len >= HTTP_HOST_SIZE)
		len = HTTP_HOST_SIZE - 1;
	memcpy(out, start, len);
	out[len] = '\0';
	return out;
}

static size_t
take_body(char *bytes, size_t size, size_t count, void *data)
{
	struct buf *body = data;

	if (buf_add(body, bytes, size * count) == -1)
		return 0;
	return size * count;
}

/* libcurl copies a text, for which there may be no memory. */
static int
set_text(CURL *curl, CURLoption option, const char *text)
{
	return curl_easy_setopt(curl, option, text) == CURLE_OK ? 0 : -1;
}

/* The given store and no other: unset, libcurl would read the bundle that it
 * was built with as well. */
static int
set_trust(CURL *curl, const struct account *account)
{
	const char *dir = account->ca_dir, *file = account->ca_file;

	if (dir == NULL && file == NULL)
		return 0;
	if (set_text(curl, CURLOPT_CAPATH, dir) == -1 ||
	    set_text(curl, CURLOPT_CAINFO, file) == -1 ||
	    set_text(curl, CURLOPT_PROXY_CAPATH, dir) == -1)
		return -1;
	return set_text(curl, CURLOPT_PROXY_CAINFO, file);
}

/* -1 where a rule cannot be set: a request without it must not go out. */
static int
set_rules(CURL *curl, const struct account *account)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	/* Else a name service that hangs would outlast every deadline:
	 * libcurl waits for the thread that asks it. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(
	    curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	if (set_text(curl, CURLOPT_PROTOCOLS_STR, "https") == -1 ||
	    set_text(curl, CURLOPT_USERAGENT, "Outpost/" OUTPOST_VERSION) == -1)
		return -1;
	if (account->proxy != NULL && *account->proxy != '\0' &&
	    set_text(curl, CURLOPT_PROXY, account->proxy) == -1)
		return -1;
	return set_trust(curl, account);
}

static int
untrusted(const struct http *http, const char *host, const char *why,
    struct error *err)
{
	const char *store = http->account->ca_dir != NULL
				? http->account->ca_dir
				: http->account->ca_file;

	error_set(err, EX_CONFIG, "4.7.5", "cannot trust '%s': %s", host, why);
	error_hint(err,
	    "check this machine's clock and the certificates in '%s' (package "
	    "ca-certificates); where a proxy opens TLS, add its root "
	    "certificate there",
	    store == NULL ? "the system's store" : store);
	return error_class_set(err, ERROR_HOLD, 0);
}

static int
bad_settings(const char *host, const char *why, struct error *err)
{
	error_set(err, EX_CONFIG, "4.3.5", "cannot ask '%s': %s", host, why);
	error_hint(err, "check authority, proxy, ca_dir, ca_file and "
			"identity_endpoint in outpost.conf");
	return error_class_set(err, ERROR_HOLD, 0);
}

static int
unreachable(
    const char *status, const char *host, const char *why, struct error *err)
{
	error_set(err, EX_TEMPFAIL, status, "cannot reach '%s': %s", host, why);
	return error_hint(err,
	    "check name service, network and firewall (TCP 443), and 'proxy' "
	    "in outpost.conf");
}

int
http_hint_foreign(struct error *err, const char *host)
{
	return error_hint(err,
	    "a proxy, captive portal or firewall may answer in its place; see "
	    "what a browser on this machine gets from https://%s/",
	    host);
}

static int
foreign(const char *host, const char *what, struct error *err)
{
	error_set(
	    err, EX_TEMPFAIL, "4.4.0", "the answer of '%s' %s", host, what);
	return http_hint_foreign(err, host);
}

static int
no_memory(struct error *err)
{
	return error_set(
	    err, EX_TEMPFAIL, "4.3.0", "libcurl cannot be set up: no memory?");
}

/* libcurl's sentences name hosts and certificates, nothing that was sent; but
 * a proxy that it cannot use it quotes whole, with its user and password. */
static int
judge(const struct http *http, CURLcode code, const char *detail,
    const char *host, struct error *err)
{
	bool plain = *detail != '\0' && strchr(detail, '@') == NULL;
	const char *why = plain ? detail : curl_easy_strerror(code);

	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return untrusted(http, host, why, err);
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_URL_MALFORMAT:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return bad_settings(host, why, err);
	case CURLE_COULDNT_RESOLVE_HOST:
		return unreachable("4.4.3", host, why, err);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return foreign(host, "is not HTTP", err);
	case CURLE_WRITE_ERROR:
		return foreign(host, "is too long", err);
	case CURLE_COULDNT_CONNECT:
		return unreachable("4.4.1", host, why, err);
	default:
		return unreachable("4.4.2", host, why, err);
	}
}

static void
read_headers(CURL *curl, struct http_response *response)
{
	struct curl_header *date, *challenge;
	char *type = NULL;
	curl_off_t wait = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response->status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
	strlcpy(
	    response->type, type == NULL ? "" : type, sizeof(response->type));
	if (wait > HTTP_RETRY_AFTER_MAX)
		wait = HTTP_RETRY_AFTER_MAX;
	response->retry_after = wait > 0 ? (unsigned)wait : 0;
	if (curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &date) ==
	    CURLHE_OK)
		response->date = curl_getdate(date->value, NULL);
	if (response->date == -1)
		response->date = 0;
	if (curl_easy_header(curl, "WWW-Authenticate", 0, CURLH_HEADER, -1,
		&challenge) == CURLHE_OK)
		strlcpy(response->challenge, challenge->value,
		    sizeof(response->challenge));
}

/* Milliseconds for one request. */
static long
time_allowed(double deadline)
{
	double left = deadline - file_now();

	if (left > HTTP_REQUEST_SECONDS)
		left = HTTP_REQUEST_SECONDS;
	return left < 0.001 ? 1 : (long)(left * 1000);
}

/* libcurl would take it for an empty one. */
static bool
is_missing(const char *folder)
{
	struct stat status;

	return folder != NULL &&
	       (stat(folder, &status) == -1 || !S_ISDIR(status.st_mode));
}

/* -1 where there is no memory. */
static int
begin(struct http *http, const char *url, double deadline,
    struct http_response *response)
{
	http_response_release(response);
	curl_easy_reset(http->curl);
	if (set_rules(http->curl, http->account) == -1 ||
	    set_text(http->curl, CURLOPT_URL, url) == -1)
		return -1;
	curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &response->body);
	curl_easy_setopt(
	    http->curl, CURLOPT_TIMEOUT_MS, time_allowed(deadline));
	return 0;
}

static int
perform(struct http *http, const char *host, struct curl_slist *headers,
    struct http_response *response, struct error *err)
{
	char detail[CURL_ERROR_SIZE] = "";
	curl_off_t connected = 0;
	CURLcode code;

	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, detail);
	code = curl_easy_perform(http->curl);
	/* They are the caller's, and of this frame. */
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_getinfo(http->curl, CURLINFO_CONNECT_TIME_T, &connected);
	response->connected = code == CURLE_OK || connected > 0;
	if (code != CURLE_OK)
		return judge(http, code, detail, host, err);
	read_headers(http->curl, response);
	return 0;
}

int
http_post(struct http *http, const char *url, const struct http_form *form,
    double deadline, struct http_response *response, struct error *err)
{
	char host[HTTP_HOST_SIZE];

	http_host(host, url);
	if (http->curl == NULL)
		return no_memory(err);
	if (strncasecmp(url, "https://", 8) != 0)
		return bad_settings(host, "authority is not https", err);
	if (is_missing(http->account->ca_dir))
		return bad_settings(
		    host, "the certificate folder of ca_dir is missing", err);
	if (form->body.full)
		return error_set(err, EX_SOFTWARE, "4.3.0",
		    "the request to '%s' is over %u bytes", host,
		    HTTP_FORM_MAX);
	if (begin(http, url, deadline, response) == -1)
		return no_memory(err);
	curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, form->body.data);
	curl_easy_setopt(
	    http->curl, CURLOPT_POSTFIELDSIZE, (long)form->body.len);
	curl_easy_setopt(
	    http->curl, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_SECONDS);
	return perform(http, host, http->headers, response, err);
}

/* Nothing but "http://", such a host and perhaps a port: what libcurl might
 * read otherwise is refused. */
static bool
is_local(const char *url)
{
	char host[HTTP_HOST_SIZE], *port;
	unsigned char address[sizeof(struct in6_addr)];

	if (strncmp(url, "http://", 7) != 0)
		return false;
	http_host(host, url);
	port = strrchr(host, ':');
	if (port != NULL && strchr(port, ']') == NULL) {
		if (port[1] == '\0' ||
		    port[1 + strspn(port + 1, "0123456789")] != '\0')
			return false;
		*port = '\0';
	}
	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	/* 127.0.0.0/8, and 169.254.0.0/16, which no router forwards. */
	return inet_pton(AF_INET, host, address) == 1 &&
	       (address[0] == 127 || (address[0] == 169 && address[1] == 254));
}

static bool
is_header_text(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* Headers may hold secrets. */
static void
wipe_list(struct curl_slist *list)
{
	for (struct curl_slist *item = list; item != NULL; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(list);
}

static int
add_headers(struct curl_slist **list, const struct http_header *headers,
    size_t count, const char *host, struct error *err)
{
	for (size_t i = 0; i < count && i < HTTP_HEADERS_MAX; i++) {
		struct curl_slist *longer;
		struct buf line;

		if (!is_header_text(headers[i].value))
			return bad_settings(host,
			    "the value of a header has characters that none "
			    "has",
			    err);
		buf_init(&line, HTTP_FORM_MAX);
		buf_addf(&line, "%s: %s", headers[i].name, headers[i].value);
		longer = curl_slist_append(*list, line.data);
		buf_release(&line);
		if (longer == NULL)
			return no_memory(err);
		*list = longer;
	}
	return 0;
}

int
http_get_local(struct http *http, const char *url,
    const struct http_header *headers, size_t count, double deadline,
    struct http_response *response, struct error *err)
{
	struct curl_slist *list = NULL;
	char host[HTTP_HOST_SIZE];
	int result = -1;

	http_host(host, url);
	if (http->curl == NULL)
		return no_memory(err);
	if (!is_local(url))
		return bad_settings(host,
		    "its address is not http:// of this machine (localhost, "
		    "127.0.0.0/8, 169.254.0.0/16)",
		    err);
	if (begin(http, url, deadline, response) == -1 ||
	    set_text(http->curl, CURLOPT_PROTOCOLS_STR, "http") == -1 ||
	    set_text(http->curl, CURLOPT_PROXY, "") == -1)
		return no_memory(err);
	/* So that whether somebody listens is known each time. */
	curl_easy_setopt(http->curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT,
	    (long)HTTP_LOCAL_CONNECT_SECONDS);
	list = curl_slist_append(NULL, "Accept: application/json");
	if (add_headers(&list, headers, count, host, err) == 0)
		result = perform(http, host, list, response, err);
	wipe_list(list);
	return result;
}
