/* What a token endpoint says, Entra's or a managed identity's: the one door to
 * jansson. Pure: bytes in, values or an error out.
 *
 * Answers come from outside and may be anything: a proxy's HTML, half a
 * JSON, deep nesting, numbers as strings. Wrong types, missing fields,
 * repeated keys, NULs, and values over their caps are errors (EX_TEMPFAIL:
 * what stands between us and Microsoft heals or is mended) that name the
 * host, and never quote the body.
 *
 *	struct oauth_token token;
 *	oauth_token_init(&token);
 *	if (status == 200)
 *		r = oauth_response_token(&token, body, len, host, &err);
 *	else
 *		r = oauth_response_failure(&failure, body, len, sent, host,
 *		    &err);
 *	oauth_token_release(&token);
 */
#ifndef OAUTH_RESPONSE_H
#define OAUTH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"

struct error;

#define OAUTH_TOKEN_MAX		(16u * 1024)	/* bytes of any token or code */
#define OAUTH_SCOPE_MAX		4096u
#define OAUTH_LIFETIME_MAX	(7 * 86400)	/* seconds; more is cut */
#define OAUTH_HALF_LIFE		7200		/* seconds */
#define OAUTH_DEPTH_MAX		64u		/* JSON in JSON */
#define OAUTH_CODES_MAX		8u		/* of error_codes */
#define OAUTH_DESCRIPTION_SIZE	512u
#define OAUTH_WORD_SIZE		80u
#define OAUTH_CLAIMS_SIZE	2048u

/* RFC 6749 section 5.1. All buffers are wiped on release. */
struct oauth_token {
	struct buf access_token;
	struct buf refresh_token;	/* empty when none was given */
	struct buf scope;		/* empty when it is as asked for */
	long long expires_in;		/* seconds, 1 … OAUTH_LIFETIME_MAX */
	long long refresh_in;		/* seconds, 0 when not given */
};

/* RFC 8628 section 3.2. The two texts that a person reads are printable
 * ASCII, and the address begins with https://. */
struct oauth_device {
	struct buf device_code;
	char user_code[OAUTH_WORD_SIZE];
	char uri[OAUTH_DESCRIPTION_SIZE];
	long long expires_in;		/* seconds */
	long long interval;		/* seconds between polls */
};

/* RFC 6749 section 5.2, with what Entra adds. Texts are "" when not given.
 * Of App Service's {"statusCode", "message"} the message is the description;
 * of {"error": {"code", "message"}} the code is the error. */
struct oauth_failure {
	char error[OAUTH_WORD_SIZE];
	char suberror[OAUTH_WORD_SIZE];
	long long codes[OAUTH_CODES_MAX];	/* AADSTS numbers */
	size_t code_count;
	char description[OAUTH_DESCRIPTION_SIZE]; /* first line, redacted */
	char trace_id[OAUTH_WORD_SIZE];
	char correlation_id[OAUTH_WORD_SIZE];
	/* What the next sign-in has to pass on: a JSON object as text. */
	char claims[OAUTH_CLAIMS_SIZE];
};

/* What a token says about itself (MICROSOFT.md 4.11), for advice alone:
 * nothing is verified, and a token that says nothing is as good. */
struct oauth_claims {
	char user[OAUTH_DESCRIPTION_SIZE];	/* upn, else unique_name */
	char audience[OAUTH_DESCRIPTION_SIZE];
	char scopes[OAUTH_DESCRIPTION_SIZE];	/* scp, delegated */
	char roles[OAUTH_DESCRIPTION_SIZE];	/* of applications */
	char tenant[OAUTH_WORD_SIZE];		/* tid */
	char client_id[OAUTH_WORD_SIZE];	/* appid */
	char object_id[OAUTH_WORD_SIZE];	/* oid: of the user, or of the
						 * enterprise application */
};

void	oauth_token_init(struct oauth_token *);
void	oauth_token_release(struct oauth_token *);
void	oauth_device_init(struct oauth_device *);
void	oauth_device_release(struct oauth_device *);

int	oauth_response_token(struct oauth_token *, const char *body,
	    size_t len, const char *host, struct error *);
int	oauth_response_device(struct oauth_device *, const char *body,
	    size_t len, const char *host, struct error *);
/* The answer of a managed identity (MICROSOFT.md 4.8): numbers are texts,
 * some tell only when the token ends, as seconds since 1970 or a date. A token
 * that lives OAUTH_HALF_LIFE or longer is to be renewed at half its life. */
int	oauth_response_identity(struct oauth_token *, const char *body,
	    size_t len, time_t now, const char *host, struct error *);
int	oauth_response_identity_failure(struct oauth_failure *,
	    const char *body, size_t len, const char *host, struct error *);
/* 'sent' is the credential of the request, or NULL: where the description
 * echoes it, it is cut out, as is all that looks like a token. */
int	oauth_response_failure(struct oauth_failure *, const char *body,
	    size_t len, const char *sent, const char *host, struct error *);

/* The claims of a JWT; -1 where the token is none (consumer tokens are
 * opaque). */
int	oauth_response_claims(struct oauth_claims *, const char *token,
	    size_t len);
/* Is it for Microsoft Graph? Exchange refuses that. */
bool	oauth_claims_are_graphs(const struct oauth_claims *);

#endif
