/* One HTTP request at a time: the one door to libcurl.
 *
 * What leaves the machine is https, TLS 1.2 or newer, certificate and name
 * verified against the given trust store and no other. Plain http is for
 * endpoints of this machine alone (localhost, link-local addresses), and never
 * goes through a proxy. No redirect is followed, no cookie kept, no netrc read.
 * An answer of any status is a success here; what it means is for the caller
 * to judge. Errors name the host, never the rest of the URL, and nothing that
 * was sent, nor user and password of a proxy.
 *
 *	struct http_form form;
 *	struct http_response answer;
 *	struct http *http = http_new(account);
 *
 *	http_form_init(&form);
 *	http_form_add(&form, "grant_type", "client_credentials");
 *	http_response_init(&answer);
 *	if (http_post(http, url, &form, deadline, &answer, &err) == -1) …
 *	http_response_release(&answer);
 *	http_form_release(&form);
 *	http_free(http);
 *
 * The connection stays open between requests to one host.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"

struct account;
struct error;

#define HTTP_BODY_MAX		(1024u * 1024)	/* bytes of an answer */
#define HTTP_FORM_MAX		(128u * 1024)	/* bytes of an encoded form */
#define HTTP_HOST_SIZE		256u		/* with the NUL */
#define HTTP_TYPE_SIZE		64u
#define HTTP_CHALLENGE_SIZE	512u
#define HTTP_HEADERS_MAX	4u		/* that a caller adds */
#define HTTP_REQUEST_SECONDS	30		/* a request at the most */
#define HTTP_CONNECT_SECONDS	10
#define HTTP_LOCAL_CONNECT_SECONDS 1
#define HTTP_RETRY_AFTER_MAX	3600u		/* seconds; more is cut */

/* Fields of an application/x-www-form-urlencoded body. */
struct http_form {
	struct buf body;
};

struct http_header {
	const char *name;
	const char *value;
};

struct http_response {
	bool connected;			/* set also where the request failed */
	long status;			/* 200, 400 … */
	char type[HTTP_TYPE_SIZE];	/* Content-Type, "" when not given */
	char challenge[HTTP_CHALLENGE_SIZE]; /* WWW-Authenticate, or "" */
	unsigned retry_after;		/* seconds, 0 when not given */
	time_t date;			/* Date, 0 when not given */
	struct buf body;
};

struct http;

/* For requests of this account, which must outlive it: its trust store and its
 * proxy; where it names none, what the environment says, which is empty in a
 * program with rights. Free accepts NULL. */
struct http *http_new(const struct account *);
void	http_free(struct http *);

void	http_form_init(struct http_form *);
void	http_form_release(struct http_form *);		/* wipes */
/* Both are encoded: all but RFC 3986's unreserved characters as %XX. Fields
 * over HTTP_FORM_MAX are an error at http_post(). */
void	http_form_add(struct http_form *, const char *name,
	    const char *value);

/* Append 'text' encoded like that; for a piece of a URL. */
void	http_encode(struct buf *out, const char *text);

void	http_response_init(struct http_response *);
void	http_response_release(struct http_response *);	/* wipes */

/* POST the form, until 'deadline' (file_now() seconds) or for
 * HTTP_REQUEST_SECONDS. EX_TEMPFAIL where the network failed; EX_CONFIG, to
 * be held, where certificate, trust store, proxy or URL need a person. */
int	http_post(struct http *, const char *url, const struct http_form *,
	    double deadline, struct http_response *, struct error *);

/* GET from an endpoint of this machine, with these headers. The errors are
 * those of http_post(). */
int	http_get_local(struct http *, const char *url,
	    const struct http_header *, size_t count, double deadline,
	    struct http_response *, struct error *);

/* The hint where an answer is none of that host's. Returns -1. */
int	http_hint_foreign(struct error *, const char *host);

/* The host of a URL (with the port if it has one), for messages. Returns
 * 'out'. */
char	*http_host(char out[HTTP_HOST_SIZE], const char *url);

#endif
