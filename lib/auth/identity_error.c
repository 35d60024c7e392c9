#include "auth/identity_error.h"

#include <stdbool.h>
#include <sysexits.h>

#include "auth/oauth_response.h"

#define HOLD ERROR_HOLD, EX_CONFIG, "4.3.5"
#define RETRY ERROR_RETRY, EX_TEMPFAIL, "4.4.0"
#define PORTAL "in the Azure portal, open this machine or app, Identity: "

/* clang-format off */
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

#define ROWS (sizeof(rows) / sizeof(rows[0]))

const struct identity_row *
identity_error_row(size_t i)
{
	return i < ROWS ? &rows[i] : NULL;
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

int
identity_error_judge(const struct oauth_failure *failure, long status,
    unsigned retry_after, const char *mailbox, const char *host,
    struct error *err)
{
	const struct identity_row *row = identity_error_find(failure, status);
	const char *said = *failure->description != '\0' ? failure->description
							 : failure->error;
	char sentence[ERROR_TEXT_SIZE], hint[ERROR_HINT_SIZE];

	error_fill(sentence, sizeof(sentence), row->sentence, mailbox);
	error_fill(hint, sizeof(hint), row->hint, mailbox);
	error_set(err, row->exit_code, row->code, "%s (%s: HTTP %ld%s%s)",
	    sentence, host, status, *said != '\0' ? ", " : "", said);
	error_hint(err, "%s", hint);
	if (retry_after > 0 && row->class == ERROR_RETRY)
		return error_class_set(err, ERROR_THROTTLED, retry_after);
	return error_class_set(err, row->class, 0);
}
