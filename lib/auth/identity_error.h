/* What a refusal of a managed identity's endpoint means: a table, whose rows
 * stand in outpost(8).
 */
#ifndef IDENTITY_ERROR_H
#define IDENTITY_ERROR_H

#include <stddef.h>

#include "base/error.h"

struct oauth_failure;

/* A row fits when its status (0: any; 500: 500 and above) and its fragment
 * (NULL: any), which may stand in the error or in its description, do. "%s" is
 * the mailbox. */
struct identity_row {
	long status;
	const char *fragment;
	enum error_class class;
	int exit_code;
	const char *code;	/* RFC 3463 */
	const char *sentence;
	const char *hint;
};

/* Row 'i', or NULL after the last. */
const struct identity_row *identity_error_row(size_t i);
/* Never NULL. */
const struct identity_row *identity_error_find(const struct oauth_failure *,
	    long status);

/* Fill 'err' from the row, with what the endpoint said. 'retry_after' is the
 * header's, 0 when not given. Returns -1. */
int	identity_error_judge(const struct oauth_failure *, long status,
	    unsigned retry_after, const char *mailbox, const char *host,
	    struct error *);

#endif
