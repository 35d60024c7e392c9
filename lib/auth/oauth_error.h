/* What a refusal of the token endpoint means: the table of AADSTS codes and
 * OAuth errors, each with class, back-off, exit code, sentence and hint
 * (MICROSOFT.md 4.9; each row stands in outpost(8)).
 *
 * The `error` that steers a device sign-in is looked at first, then the
 * numbers, then `suberror`, then `error` again, then the HTTP status; never
 * the text. Where an answer carries two numbers, the row that stands first
 * in the table wins: rows go from particular to general.
 *
 * In a hint, and in a sentence, "%s" is the account's mailbox.
 */
#ifndef OAUTH_ERROR_H
#define OAUTH_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct oauth_failure;

#define OAUTH_ROW_CODES	10u

struct oauth_row {
	long codes[OAUTH_ROW_CODES];	/* AADSTS numbers, 0 ends them early */
	const char *suberror;		/* or NULL */
	const char *error;		/* or NULL */
	bool steers;			/* `error` alone decides */
	enum error_class class;
	unsigned retry_after;		/* seconds, 0: the usual back-off */
	int exit_code;
	const char *status;
	const char *sentence;
	const char *hint;
};

/* Row 'i', or NULL after the last. */
const struct oauth_row *oauth_error_row(size_t i);
/* The row for an AADSTS number, or NULL. */
const struct oauth_row *oauth_error_code(long long code);
/* The row for a whole answer; 'status' is HTTP's. Never NULL. */
const struct oauth_row *oauth_error_find(const struct oauth_failure *,
	    long status);

/* What the row matches, for a person: "AADSTS70019, 70020", "invalid_grant".
 * Returns 'out'. */
#define OAUTH_KEY_SIZE	256
char	*oauth_error_key(const struct oauth_row *, char out[OAUTH_KEY_SIZE]);

/* Fill 'err' from the row, with what the server said. 'retry_after' is the
 * header's, 0 when not given, and goes before the row's. Returns -1. */
int	oauth_error_judge(const struct oauth_failure *, long status,
	    unsigned retry_after, const char *mailbox, const char *host,
	    struct error *);

#endif
