/* What a browser comes back with after a sign-in: an HTTP request to our
 * listener, or an address that a person pasted. Pure: bytes in, a verdict
 * out.
 *
 * The bytes come from whoever can reach the loopback interface, so only what
 * a browser sends counts: GET, the path "/", HTTP/1.1, one Host that is ours,
 * no parameter twice, and our own state, which no other page or process
 * knows. A code or an error is believed with that state alone.
 */
#ifndef REDIRECT_H
#define REDIRECT_H

#include <stddef.h>

#include "auth/oauth_response.h"

struct error;

#define REDIRECT_HEAD_MAX	(64u * 1024)	/* bytes; browsers send all
						 * cookies of any localhost */
#define REDIRECT_FIELDS_MAX	32u		/* parameters */
#define REDIRECT_PASTE_MAX	(64u * 1024)	/* bytes */

enum redirect_verdict {
	REDIRECT_PARTIAL,	/* the head's end has not come yet */
	REDIRECT_ANSWER,	/* ours: a code, or an error */
	REDIRECT_STRANGER,	/* another sign-in's, or nobody's */
	REDIRECT_NO_PAGE,	/* another path, as /favicon.ico */
	REDIRECT_NO_METHOD,	/* not GET */
	REDIRECT_MALFORMED,	/* not what a browser sends */
	REDIRECT_TOO_LONG,
};

/* Either a code or an error. */
struct redirect {
	struct buf code;
	char error[OAUTH_WORD_SIZE];
	char description[OAUTH_DESCRIPTION_SIZE];  /* first line, redacted */
};

void	redirect_init(struct redirect *);
void	redirect_release(struct redirect *);		/* wipes */

/* The head of a request to 'host' ("localhost:1234"), as far as it has come.
 * The redirect is written for REDIRECT_ANSWER alone. */
enum redirect_verdict redirect_request(struct redirect *, const char *bytes,
	    size_t len, const char *host, const char *state);

/* A pasted address, its query, or the code alone; only the last can come
 * without the state. EX_DATAERR, and what to paste instead. */
int	redirect_pasted(struct redirect *, const char *text,
	    const char *state, struct error *);

/* Fill 'err' from a redirect that holds an error. Returns -1. */
int	redirect_judge(const struct redirect *, const char *mailbox,
	    const char *host, struct error *);

#endif
