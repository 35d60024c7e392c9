#include "auth/oauth_error.h"

#include <sysexits.h>

#include "auth/oauth_response.h"
#include "base/buf.h"

#define SIGN_IN "run 'outpost login %s'"
#define PORTAL "in the Entra admin center, App registrations, "

#define HOLD ERROR_HOLD, 0
#define RETRY ERROR_RETRY, 0, EX_TEMPFAIL, "4.4.0"
#define PERSON HOLD, EX_NOPERM, "4.7.0"
#define CONFIG HOLD, EX_CONFIG, "4.3.5"

/* clang-format off */
/* codes, suberror, error, steers, class and back-off, exit code, status,
 * sentence, hint. Particular rows stand before general ones. */
static const struct oauth_row rows[] = {
	/* How a device sign-in stands (RFC 8628 section 3.5). */
	{ { 70016 }, NULL, "authorization_pending", true, RETRY,
	  "'%s' has not signed in yet",
	  "enter the code in the browser while 'outpost login %s' waits" },
	{ { 0 }, NULL, "slow_down", true, ERROR_THROTTLED, 5,
	  EX_TEMPFAIL, "4.7.0",
	  "the sign-in of '%s' was asked for too often",
	  "wait a little, then " SIGN_IN " again" },
	{ { 70017 }, NULL, "authorization_declined", true, PERSON,
	  "the sign-in of '%s' was declined in the browser",
	  SIGN_IN " again and accept" },
	{ { 0 }, NULL, "access_denied", true, PERSON,
	  "the sign-in of '%s' was declined in the browser",
	  SIGN_IN " again and accept" },
	{ { 70019, 70020 }, NULL, "expired_token", true, PERSON,
	  "the code for the sign-in of '%s' has expired",
	  SIGN_IN " again and enter the new code within 15 minutes" },
	{ { 70018 }, NULL, "bad_verification_code", true, PERSON,
	  "the code for the sign-in of '%s' is not known any more",
	  SIGN_IN " again" },

	/* We ask too much, or the service cannot now. */
	{ { 50196 }, NULL, NULL, false, ERROR_THROTTLED, 3600, EX_TEMPFAIL, "4.7.0",
	  "Microsoft stopped the token requests for '%s': the same one came over and over",
	  "find out what asks so often (a state_dir that cannot be written, "
	  "another program with the same client_id); mail goes on after an hour" },
	{ { 90055 }, NULL, NULL, false, ERROR_THROTTLED, 60, EX_TEMPFAIL, "4.7.0",
	  "Microsoft has too many token requests at the moment",
	  "nothing needs to be done for '%s': it is asked again later" },
	{ { 90033, 90006, 90012, 90024, 50033, 50087, 50088, 80005, 90090 }, NULL,
	  "temporarily_unavailable", false, RETRY,
	  "Microsoft Entra has a passing fault",
	  "nothing needs to be done for '%s': it is asked again later; "
	  "https://status.cloud.microsoft tells of outages" },
	{ { 0 }, NULL, "server_error", false, RETRY,
	  "Microsoft Entra has a passing fault",
	  "nothing needs to be done for '%s': it is asked again later; "
	  "https://status.cloud.microsoft tells of outages" },

	/* The sign-in is spent. */
	{ { 700082 }, NULL, NULL, false, PERSON,
	  "the sign-in of '%s' has expired: it was unused for 90 days",
	  SIGN_IN "; a run of the queue ('sendmail -q') keeps a sign-in in use: see that a timer starts it" },
	{ { 700084 }, NULL, NULL, false, CONFIG,
	  "the sign-in of '%s' has expired after 24 hours: the application is a single-page app",
	  PORTAL "Authentication, remove the platform 'Single-page application' and add "
	  "'Mobile and desktop applications'; then " SIGN_IN },
	{ { 70043 }, "token_expired", NULL, false, PERSON,
	  "the sign-in of '%s' has expired by your organization's sign-in frequency",
	  SIGN_IN "; to make it last, exclude the account from the Conditional Access "
	  "policy with the sign-in frequency, or send as an application (auth = certificate)" },
	{ { 50173 }, NULL, NULL, false, PERSON,
	  "the sign-in of '%s' was revoked, as by a new password",
	  SIGN_IN },
	{ { 70008 }, NULL, NULL, false, PERSON,
	  "the sign-in of '%s' has expired",
	  SIGN_IN },
	{ { 54005 }, NULL, NULL, false, PERSON,
	  "the code for the sign-in of '%s' was used already",
	  SIGN_IN " again" },
	{ { 50148 }, NULL, NULL, false, PERSON,
	  "the code for the sign-in of '%s' belongs to another sign-in",
	  SIGN_IN " again, and finish it in the browser that it opens" },

	/* A person has to prove more. */
	{ { 50076, 50079, 50074, 50072, 50078, 50158 }, "basic_action",
	  NULL, false, PERSON,
	  "'%s' must sign in with multi-factor authentication",
	  SIGN_IN " and confirm as the browser asks" },
	{ { 530035 }, NULL, NULL, false, PERSON,
	  "the organization's security defaults block the sign-in of '%s'",
	  "ask the Entra administrator to replace security defaults by Conditional Access "
	  "policies that let '%s' in, or send as an application (auth = certificate)" },
	{ { 53000, 53001, 53002 }, NULL, NULL, false, PERSON,
	  "a Conditional Access policy asks for a managed device or app to sign in '%s'",
	  "ask the Entra administrator to exclude '%s' or this application from that policy, "
	  "or send as an application (auth = certificate)" },
	{ { 53004 }, NULL, NULL, false, PERSON,
	  "'%s' has to register for multi-factor authentication first",
	  "register at https://aka.ms/mfasetup, then " SIGN_IN },
	{ { 53011 }, NULL, NULL, false, PERSON,
	  "'%s' is blocked because of a risk that Microsoft sees",
	  "ask the Entra administrator to look at 'Risky users' and dismiss the risk of '%s'" },
	{ { 53003, 530032 }, "message_only", NULL, false, PERSON,
	  "a Conditional Access policy blocks the sign-in of '%s'",
	  "ask the Entra administrator to look up the sign-in of '%s' in the sign-in logs and to "
	  "allow it; where the policy blocks device codes, sign in with 'outpost login --browser' "
	  "or '--paste'; or send as an application (auth = certificate)" },

	/* Consent. */
	{ { 90094 }, NULL, NULL, false, PERSON,
	  "an administrator has to approve the application for '%s'",
	  "ask an Entra administrator to grant admin consent to the application "
	  "(App registrations, API permissions), then " SIGN_IN },
	{ { 65004 }, NULL, NULL, false, PERSON,
	  "'%s' declined the permission to send mail",
	  SIGN_IN " again and accept" },
	{ { 650052, 650056, 650057 }, NULL, NULL, false, CONFIG,
	  "the application of '%s' has no permission for Exchange Online",
	  PORTAL "API permissions, add SMTP.Send (delegated) or SMTP.SendAsApp (an application) and "
	  "grant admin consent; for auth = login then " SIGN_IN },
	{ { 65001 }, "consent_required", "consent_required", false, PERSON,
	  "nobody has consented that the application sends mail for '%s'",
	  SIGN_IN " and accept; for an application an Entra administrator grants admin consent" },

	/* The application and its credential. */
	{ { 7000215 }, NULL, NULL, false, CONFIG,
	  "the client secret of '%s' is wrong",
	  PORTAL "Certificates & secrets, make a client secret and write its Value (not its "
	  "Secret ID) into the file that client_secret_file of '%s' names" },
	{ { 7000222 }, NULL, NULL, false, CONFIG,
	  "the client secret of '%s' has expired",
	  PORTAL "Certificates & secrets, make a new client secret and write its Value into "
	  "the file that client_secret_file of '%s' names" },
	{ { 7000218 }, NULL, NULL, false, CONFIG,
	  "the application of '%s' wants a client secret",
	  PORTAL "Authentication, set 'Allow public client flows' to Yes for auth = login, and "
	  "have http://localhost under 'Mobile and desktop applications', not under 'Web'; "
	  "or give '%s' auth = secret or certificate" },
	{ { 700025 }, NULL, NULL, false, CONFIG,
	  "the application of '%s' is a public client and takes no secret",
	  "use auth = login for '%s', or make the application a confidential client" },
	{ { 7000112, 70001 }, NULL, NULL, false, CONFIG,
	  "the application of '%s' is disabled",
	  "ask the Entra administrator to enable it (Enterprise applications, Properties, "
	  "'Enabled for users to sign-in'), or correct client_id of '%s'" },
	{ { 700016 }, NULL, NULL, false, CONFIG,
	  "the application of '%s' is not known in this tenant",
	  "compare client_id, tenant and cloud of '%s' with the overview page of the app "
	  "registration" },
	{ { 7000024, 70003 }, NULL, "unsupported_grant_type", false, CONFIG,
	  "the application of '%s' may not get tokens in this way",
	  PORTAL "Authentication, look at 'Allow public client flows', and at auth of '%s'" },
	{ { 90002 }, NULL, "invalid_tenant", false, CONFIG,
	  "the tenant of '%s' is not known",
	  "compare tenant and cloud of '%s' with the overview page of the Entra admin center" },
	{ { 9001023 }, NULL, NULL, false, CONFIG,
	  "the tenant of '%s' must be a certain one",
	  "set tenant of '%s' to the organization's id or domain, not common, organizations "
	  "or consumers" },

	/* The person's account. */
	{ { 50034 }, NULL, NULL, false, PERSON,
	  "'%s' is not known in this tenant",
	  "check tenant, and sign in with the address that is the user's name in Entra: " SIGN_IN },
	{ { 50020 }, NULL, NULL, false, PERSON,
	  "the user who signed in for '%s' belongs to another tenant",
	  "check tenant (consumers for Outlook.com), then " SIGN_IN " with the right user" },
	{ { 50053 }, NULL, NULL, false, PERSON,
	  "'%s' is locked after too many wrong passwords",
	  "wait, or ask the Entra administrator to unlock it; then " SIGN_IN },
	{ { 50055 }, NULL, NULL, false, PERSON,
	  "the password of '%s' has expired",
	  "change it in a browser, then " SIGN_IN },
	{ { 50057 }, NULL, NULL, false, PERSON,
	  "the user '%s' is disabled",
	  "ask the Entra administrator to enable the user, then " SIGN_IN },
	{ { 50126 }, NULL, NULL, false, PERSON,
	  "user name or password of '%s' is wrong",
	  SIGN_IN " with the right one" },
	{ { 50105 }, NULL, NULL, false, PERSON,
	  "'%s' is not assigned to the application",
	  "ask the Entra administrator to assign '%s' (Enterprise applications, Users and groups), "
	  "or to set 'Assignment required' to No" },

	/* Assertions. */
	{ { 700024 }, NULL, NULL, false, CONFIG,
	  "the signed assertion for '%s' is outside its time",
	  "set this machine's clock: run 'timedatectl' and look at NTP, then send for '%s' again; "
	  "with auth = workload-identity see that the platform renews federated_token_file" },
	{ { 700027, 700030 }, NULL, NULL, false, CONFIG,
	  "the certificate of '%s' is not the application's",
	  PORTAL "Certificates & secrets, upload the certificate that '%s' is configured with" },
	{ { 70021, 700211, 700212, 700213 }, NULL, NULL, false, CONFIG,
	  "no federated credential of the application matches '%s'",
	  PORTAL "Certificates & secrets, Federated credentials, compare issuer, subject and audience "
	  "with the workload of '%s'; a new one needs some minutes" },
	{ { 700021, 700022, 700023 }, NULL, NULL, false, CONFIG,
	  "the signed assertion for '%s' names another application or tenant",
	  "compare client_id, tenant and authority of '%s' with the app registration" },
	{ { 50012, 50013 }, NULL, NULL, false, CONFIG,
	  "the credential of the application of '%s' was not accepted",
	  PORTAL "Certificates & secrets, compare with the certificate or secret of '%s'" },

	/* The request. */
	{ { 500011 }, NULL, "invalid_resource", false, CONFIG,
	  "Exchange Online is not known in the tenant of '%s'",
	  "check tenant, cloud and scope of '%s'; the tenant needs an Exchange Online licence" },
	{ { 70011, 28000, 1002012, 901002 }, NULL, "invalid_scope", false, CONFIG,
	  "the scope of '%s' is not valid",
	  "remove scope of '%s' from outpost.conf: cloud and auth choose the right one" },
	{ { 500113, 50011 }, NULL, NULL, false, CONFIG,
	  "the application of '%s' does not have the redirect address",
	  PORTAL "Authentication, add the platform 'Mobile and desktop applications' with "
	  "http://localhost; then " SIGN_IN },
	{ { 9002313, 90014, 900144 }, NULL, NULL, false, CONFIG,
	  "Microsoft calls the token request for '%s' malformed",
	  "check client_id, tenant and scope of '%s'" },
	{ { 70000 }, NULL, NULL, false, PERSON,
	  "the sign-in of '%s' is not valid",
	  SIGN_IN },
	{ { 70002 }, NULL, NULL, false, CONFIG,
	  "the application's credential for '%s' was not accepted",
	  PORTAL "Authentication, set 'Allow public client flows' to Yes for auth = login; "
	  "for auth = secret check client_secret_file of '%s'" },

	/* Without a number that we know. */
	{ { 0 }, NULL, "interaction_required", false, PERSON,
	  "'%s' has to sign in again",
	  SIGN_IN },
	{ { 0 }, NULL, "login_required", false, PERSON,
	  "'%s' has to sign in again",
	  SIGN_IN },
	{ { 0 }, NULL, "invalid_grant", false, PERSON,
	  "the sign-in of '%s' is not accepted any more",
	  SIGN_IN },
	{ { 0 }, NULL, "invalid_client", false, CONFIG,
	  "the application of '%s' is not accepted",
	  "compare client_id, tenant and the secret of '%s' with the app registration" },
	{ { 0 }, NULL, "unauthorized_client", false, CONFIG,
	  "the application of '%s' may not do this",
	  "compare client_id, tenant and auth of '%s' with the app registration" },
	{ { 0 }, NULL, "invalid_request", false, CONFIG,
	  "the token request for '%s' is not accepted",
	  "check authority, tenant, client_id and scope of '%s'" },
	{ { 0 }, NULL, NULL, false, PERSON,
	  "the token request for '%s' is refused",
	  "look up the code at https://login.microsoftonline.com/error, or " SIGN_IN },
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(rows[0]))

const struct oauth_row *
oauth_error_row(size_t i)
{
	return i < ROWS ? &rows[i] : NULL;
}

static bool
row_has(const struct oauth_row *row, long long code)
{
	for (size_t i = 0; i < OAUTH_ROW_CODES && row->codes[i] != 0; i++)
		if (row->codes[i] == code)
			return true;
	return false;
}

const struct oauth_row *
oauth_error_code(long long code)
{
	for (size_t i = 0; i < ROWS; i++)
		if (row_has(&rows[i], code))
			return &rows[i];
	return NULL;
}

static const struct oauth_row *
find_error(const char *error, bool steers)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].error != NULL && rows[i].steers == steers &&
		    strcmp(rows[i].error, error) == 0)
			return &rows[i];
	return NULL;
}

/* The row that stands first of all that have one of the codes. */
static const struct oauth_row *
find_codes(const struct oauth_failure *failure)
{
	for (size_t i = 0; i < ROWS; i++)
		for (size_t c = 0; c < failure->code_count; c++)
			if (row_has(&rows[i], failure->codes[c]))
				return &rows[i];
	return NULL;
}

static const struct oauth_row *
find_suberror(const char *suberror)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].suberror != NULL &&
		    strcmp(rows[i].suberror, suberror) == 0)
			return &rows[i];
	return NULL;
}

const struct oauth_row *
oauth_error_find(const struct oauth_failure *failure, long status)
{
	const struct oauth_row *row = find_error(failure->error, true);

	if (row == NULL)
		row = find_codes(failure);
	if (row == NULL && status == 429)
		row = oauth_error_code(90055);
	if (row == NULL)
		row = find_suberror(failure->suberror);
	if (row == NULL)
		row = find_error(failure->error, false);
	if (row == NULL && status >= 500)
		row = find_error("server_error", false);
	return row != NULL ? row : &rows[ROWS - 1];
}

char *
oauth_error_key(const struct oauth_row *row, char out[OAUTH_KEY_SIZE])
{
	struct buf key;

	buf_init(&key, OAUTH_KEY_SIZE - 1);
	for (size_t i = 0; i < OAUTH_ROW_CODES && row->codes[i] != 0; i++)
		(void)buf_addf(
		    &key, "%s%ld", i == 0 ? "AADSTS" : ", ", row->codes[i]);
	if (key.len == 0)
		(void)buf_adds(&key, row->error != NULL      ? row->error
				     : row->suberror != NULL ? row->suberror
							     : "other");
	strlcpy(out, key.data, OAUTH_KEY_SIZE);
	buf_release(&key);
	return out;
}

int
oauth_error_judge(const struct oauth_failure *failure, long status,
    unsigned retry_after, const char *mailbox, const char *host,
    struct error *err)
{
	const struct oauth_row *row = oauth_error_find(failure, status);
	enum error_class class = row->class;
	char sentence[ERROR_TEXT_SIZE], hint[ERROR_HINT_SIZE];

	/* Who asks for a pause gets it, whatever else is wrong. */
	if (retry_after > 0 && class == ERROR_RETRY)
		class = ERROR_THROTTLED;
	if (retry_after == 0 || class != ERROR_THROTTLED)
		retry_after = row->retry_after;
	error_fill(sentence, sizeof(sentence), row->sentence, mailbox);
	error_fill(hint, sizeof(hint), row->hint, mailbox);
	error_set(err, row->exit_code, row->status, "%s (%s: %s)", sentence,
	    host,
	    *failure->description != '\0' ? failure->description
					  : failure->error);
	error_hint(err, "%s", hint);
	return error_class_set(err, class, retry_after);
}
