/* What replies mean: the rows are those of the collected replies of
 * Microsoft's servers, in their numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "smtp/reply.h"
#include "smtp/verdict.h"

#define RETRY ERROR_RETRY
#define THROTTLED ERROR_THROTTLED
#define HOLD ERROR_HOLD
#define REFUSED ERROR_REFUSED
#define ANY SMTP_STAGE_ANY
#define EHLO SMTP_STAGE_EHLO
#define AUTH SMTP_STAGE_AUTH
#define MAIL SMTP_STAGE_MAIL
#define RCPT SMTP_STAGE_RCPT
#define FINAL SMTP_STAGE_FINAL

#define TRAILER                                                                \
	" [BN9PR03CA0716.namprd03.prod.outlook.com "                           \
	"2026-07-01T01:57:31.695Z 08DED6A3FAA75B29]"
#define DIAGNOSTICS                                                            \
	"[BeginDiagnosticData]Cannot submit message. 16.35000:AB0C "           \
	"17.43559:1F[EndDiagnosticData] [Hostname=X.OUTLOOK.COM]"
#define UNSUCCESSFUL "535 5.7.139 Authentication unsuccessful, "
#define STOREDRV "554 5.2.0 STOREDRV.Submission.Exception:"

/* clang-format off */
static const struct {
	int row;
	const char *line;
	enum smtp_stage stage;
	enum error_class class;
	int exit_code;
	unsigned first;
} cases[] = {
{ 1, "421 4.3.2 Service not active [host.example]", AUTH, RETRY, 75, 30 },
{ 1, "421 4.3.2 System not accepting network messages", MAIL, RETRY, 75, 30 },
{ 2, "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel", ANY, THROTTLED, 75, 60 },
{ 2, "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit, closing transmission channel PRX8", ANY, THROTTLED, 75, 60 },
{ 3, "421 4.4.1 Connection timed out. Total session duration: 00:10:01.8904373", ANY, RETRY, 75, 60 },
{ 4, "421 4.4.2 Connection dropped due to SocketError", ANY, RETRY, 75, 30 },
{ 5, "421 4.4.2 Message submission rate for this client has exceeded the configured limit", FINAL, THROTTLED, 75, 60 },
{ 6, "421 4.7.0 Too many errors on this connection, closing transmission channel", ANY, RETRY, 75, 60 },
{ 7, "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2. Visit https://aka.ms/smtp_auth_tls. [host.example]", EHLO, HOLD, 78, 3600 },
{ 8, "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process message due to a transient exception with message Cannot open mailbox.", FINAL, HOLD, 78, 900 },
{ 9, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=X]", FINAL, THROTTLED, 75, 15 },
{ 9, "432 4.3.2 concurrent connection limit exceeded", FINAL, THROTTLED, 75, 15 },
{ 10, "431 4.3.1 STOREDRV; disk is full", FINAL, RETRY, 75, 300 },
{ 11, "450 4.7.0 Organization queue quota exceeded.", MAIL, THROTTLED, 75, 900 },
{ 11, "450 4.7.3 Organization queue quota exceeded.", FINAL, THROTTLED, 75, 900 },
{ 12, "451 4.3.0 Mail server temporarily rejected message", FINAL, RETRY, 75, 60 },
{ 12, "451 4.3.2 Temporary server error. Please try again later ATTR17" TRAILER, FINAL, RETRY, 75, 60 },
{ 12, "451 4.4.0 Message failed to be made redundant", FINAL, RETRY, 75, 60 },
{ 12, "451 4.4.3 Temporary server error. (ATTR18)", FINAL, RETRY, 75, 60 },
{ 13, "451 4.7.0 Temporary server error. Please try again later. PRX4" TRAILER, AUTH, RETRY, 75, 60 },
{ 14, "451 4.3.111 Temporary server error. Please try again later MRH1 [Hostname=X]", FINAL, RETRY, 75, 60 },
{ 15, "451 4.7.3 Authentication unsuccessful due to temporary server error. Please try again later.", AUTH, RETRY, 75, 60 },
{ 15, "451 4.7.0 Checking tenant locked out state unsuccessful due to temporary server error. Please try again later.", AUTH, RETRY, 75, 60 },
{ 16, "451 4.7.500 Server busy. Please try again later from [203.0.113.7]. (AS77713000)" TRAILER, MAIL, THROTTLED, 75, 300 },
{ 16, "451 4.7.550 Access denied, please try again later", MAIL, THROTTLED, 75, 300 },
{ 16, "451 4.7.651 The mail server has been temporarily rate limited", MAIL, THROTTLED, 75, 300 },
{ 17, "451 5.7.3 STARTTLS is required to send mail [host.example]", AUTH, HOLD, 78, 3600 },
{ 17, "451 5.7.3 Require STARTTLS to authenticate", AUTH, HOLD, 78, 3600 },
{ 18, "452 4.3.1 Insufficient system resources (TSTE)" TRAILER, ANY, RETRY, 75, 300 },
{ 19, "452 4.5.3 Too many recipients", RCPT, RETRY, 75, 60 },
{ 20, "454 4.7.0 Temporary authentication failure", AUTH, RETRY, 75, 60 },
{ 20, "454 4.7.0 Cannot accept TLS as maximum TLS rate exceeded for server", SMTP_STAGE_STARTTLS, RETRY, 75, 60 },
{ 21, "500 5.3.3 Unrecognized command 'X'" TRAILER, MAIL, REFUSED, 70, 0 },
{ 21, "500 5.5.2 Command too long", AUTH, HOLD, 70, 3600 },
{ 22, "501 5.1.3 Invalid address", RCPT, REFUSED, 65, 0 },
{ 22, "501 5.1.7 Invalid address", MAIL, REFUSED, 65, 0 },
{ 22, "501 5.5.4 Invalid arguments", RCPT, REFUSED, 65, 0 },
{ 22, "501 5.5.4 Invalid domain name", EHLO, HOLD, 78, 900 },
{ 23, "501 5.5.121 Invalid XOAUTH2 argument", AUTH, HOLD, 78, 900 },
{ 23, "501 5.5.126 Invalid XOAUTH2 argument", AUTH, HOLD, 78, 900 },
{ 24, "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon error", AUTH, RETRY, 75, 60 },
{ 24, "535 5.7.142 Token will expire soon" TRAILER, AUTH, RETRY, 75, 60 },
{ 24, "535 5.7.143 Expired token", AUTH, RETRY, 75, 60 },
{ 25, "503 5.5.2 Send hello first", MAIL, RETRY, 75, 60 },
{ 25, "503 5.5.1 Only one STARTTLS command can be issued per session", SMTP_STAGE_STARTTLS, RETRY, 75, 60 },
{ 26, "504 5.7.4 Unrecognized authentication type [host.example]", AUTH, HOLD, 78, 3600 },
{ 27, "530 5.7.0 Must issue a STARTTLS command first", MAIL, HOLD, 78, 3600 },
{ 28, "530 5.7.57 Client not authenticated to send mail." TRAILER, MAIL, HOLD, 77, 900 },
{ 28, "550 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", MAIL, HOLD, 77, 900 },
{ 29, "535 5.7.3 Authentication unsuccessful" TRAILER, AUTH, HOLD, 77, 900 },
{ 29, "535 Authentication unsuccessful", AUTH, HOLD, 77, 900 },
{ 30, UNSUCCESSFUL "SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information." TRAILER, AUTH, HOLD, 78, 3600 },
{ 31, UNSUCCESSFUL "SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information." TRAILER, AUTH, HOLD, 78, 3600 },
{ 32, UNSUCCESSFUL "basic authentication is disabled." TRAILER, AUTH, HOLD, 77, 3600 },
{ 33, UNSUCCESSFUL "user is locked by your organization's security defaults policy. Contact your administrator." TRAILER, AUTH, HOLD, 77, 3600 },
{ 34, UNSUCCESSFUL "the request did not meet the criteria to be authenticated successfully. Contact your administrator." TRAILER, AUTH, HOLD, 77, 3600 },
{ 35, UNSUCCESSFUL "the user credentials were incorrect." TRAILER, AUTH, HOLD, 77, 3600 },
{ 36, UNSUCCESSFUL "the organization configuration does not allow this authentication", AUTH, HOLD, 77, 3600 },
{ 30, UNSUCCESSFUL "something never seen", AUTH, HOLD, 77, 3600 },
{ 37, "535 5.7.144 Invalid API permissions" TRAILER, AUTH, HOLD, 78, 3600 },
{ 37, "550 5.7.240 app not allowed", AUTH, HOLD, 78, 3600 },
{ 37, "550 5.7.62 other sender", MAIL, REFUSED, 77, 0 },
{ 37, "550 5.6.241 other From", FINAL, REFUSED, 77, 0 },
{ 37, "550 5.2.240 not an HVE account", AUTH, HOLD, 78, 3600 },
{ 38, "535 5.7.3 Authentication unsuccessful - Tenant locked out", AUTH, HOLD, 77, 3600 },
{ 38, "535 5.7.3 Authentication unsuccessful - User not found", AUTH, HOLD, 78, 3600 },
{ 38, "535 5.7.3 Authentication unsuccessful due to permanent server error.", AUTH, HOLD, 77, 3600 },
{ 39, "550 5.1.1 User unknown", RCPT, REFUSED, 67, 0 },
{ 39, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", RCPT, REFUSED, 67, 0 },
{ 39, "550 5.4.1 Recipient address rejected: Access denied", RCPT, REFUSED, 67, 0 },
{ 40, "550 5.1.8 Access denied, bad outbound sender AS(42004)" TRAILER, FINAL, HOLD, 77, 3600 },
{ 41, "550 5.1.20 Multiple From addresses are not allowed without Sender address", FINAL, REFUSED, 65, 0 },
{ 42, "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", FINAL, THROTTLED, 75, 3600 },
{ 43, STOREDRV "SubmissionQuotaExceededException; Failed to process message due to a permanent exception with message " DIAGNOSTICS, FINAL, THROTTLED, 75, 3600 },
{ 43, "550 5.2.2 Submission quota exceeded", FINAL, THROTTLED, 75, 3600 },
{ 44, STOREDRV "OutboundSpamException; Failed to process message due to a permanent exception with message [BeginDiagnosticData]WASCL UserAction verdict is not None. Actual verdict is RefuseQuota. 1:2[EndDiagnosticData] [Hostname=X]", FINAL, THROTTLED, 75, 21600 },
{ 44, STOREDRV "OutboundSpamException; Failed to process message due to a permanent exception with message [BeginDiagnosticData]WASCL UserAction verdict is not None. Actual verdict is Suspend. 1:2[EndDiagnosticData] [Hostname=X]", FINAL, HOLD, 77, 3600 },
{ 45, "554 5.2.252 SendAsDenied; a@x not allowed to send as b@x; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with message " DIAGNOSTICS, FINAL, REFUSED, 77, 0 },
{ 45, STOREDRV "SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with message " DIAGNOSTICS, FINAL, REFUSED, 77, 0 },
{ 46, "550 5.7.60 SMTP; Client does not have permissions to send as this sender" TRAILER, MAIL, REFUSED, 77, 0 },
{ 46, "554 5.7.60 SMTP; Client does not have permissions to send as this sender", FINAL, REFUSED, 77, 0 },
{ 47, "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; Failed to process message due to a permanent exception with message " DIAGNOSTICS, FINAL, HOLD, 69, 900 },
{ 47, "554 5.2.2 Mailbox full. Visit https://aka.ms/mailboxfull", FINAL, HOLD, 69, 900 },
{ 48, "552 5.3.4 Message size exceeds fixed maximum message size", MAIL, REFUSED, 65, 0 },
{ 48, "552 5.3.4 Header size exceeds fixed maximum size", FINAL, REFUSED, 65, 0 },
{ 48, STOREDRV "MessageSubmissionExceededException.MapiExceptionMaxSubmissionExceeded; Message size exceeds fixed maximum size", FINAL, REFUSED, 65, 0 },
{ 48, "554 5.2.3 Message size exceeds fixed maximum size", FINAL, REFUSED, 65, 0 },
{ 48, "421 4.4.2 Message size limit for this connection reached", FINAL, REFUSED, 65, 0 },
{ 49, "554 5.6.0 Corrupt message content", FINAL, REFUSED, 65, 0 },
{ 49, "554 5.6.0 Invalid message content, contains bare linefeeds", FINAL, REFUSED, 65, 0 },
{ 49, "554 5.6.211 Invalid MIME Content: Single text value size (33061) exceeded allowed maximum (32768) for the 'X' header", FINAL, REFUSED, 65, 0 },
{ 49, "550 5.6.11 Invalid characters", FINAL, REFUSED, 65, 0 },
{ 50, "550 5.2.251 Sender throttled due to continuous mailbox full errors.", AUTH, THROTTLED, 75, 3600 },
{ 50, "550 5.2.252 Sender throttled due to continuous send as denied errors.", MAIL, THROTTLED, 75, 3600 },
{ 50, "550 5.2.253 Sender throttled due to continuous invalid license errors.", FINAL, THROTTLED, 75, 3600 },
{ 50, "550 5.2.254 Sender throttled due to continuous too many recipients errors.", FINAL, THROTTLED, 75, 3600 },
{ 50, "550 5.2.255 Sender throttled due to continuous invalid recipients errors.", FINAL, THROTTLED, 75, 3600 },
{ 50, "550 5.2.252 words never seen", FINAL, THROTTLED, 75, 3600 },
{ 51, "550 5.2.121 recipient has exceeded the limit", RCPT, RETRY, 75, 3600 },
{ 51, "550 5.2.122 recipient has exceeded the limit", RCPT, RETRY, 75, 3600 },
{ 52, "550 5.4.14 Hop count exceeded", FINAL, REFUSED, 69, 0 },
{ 52, "554 5.4.6 Hop count exceeded - possible mail loop", FINAL, REFUSED, 69, 0 },
{ 53, "550 5.7.1 Submission has been disabled for this account", MAIL, HOLD, 77, 3600 },
{ 53, "550 5.7.1 Unable to relay", RCPT, HOLD, 78, 900 },
{ 53, "550 5.7.1 Client does not have permissions to submit to this server", MAIL, HOLD, 77, 900 },
{ 53, "550 5.7.64 TenantAttribution; Relay Access Denied", RCPT, HOLD, 78, 900 },
{ 54, "550 5.7.30 Basic authentication is not supported for Client Submission.", AUTH, HOLD, 78, 3600 },
{ 55, "550 5.7.67 TLS 1.0 and 1.1 are not supported by your organization. Please contact your administrator.", AUTH, HOLD, 78, 3600 },
{ 56, "550 5.7.232 Your message can't be sent because your trial tenant has exceeded its daily limit", FINAL, THROTTLED, 75, 3600 },
{ 56, "550 5.7.233 Your message can't be sent because your tenant has exceeded its daily limit for sending email to external recipients (tenant external recipient rate limit)", FINAL, THROTTLED, 75, 3600 },
{ 57, "550 5.7.501 Access denied, spam abuse detected" TRAILER, FINAL, HOLD, 77, 3600 },
{ 57, "550 5.7.502 Access denied, banned sender", MAIL, HOLD, 77, 3600 },
{ 57, "550 5.7.503 Access denied, banned sender", MAIL, HOLD, 77, 3600 },
{ 57, "550 5.7.508 Access denied, has exceeded permitted limits", MAIL, HOLD, 77, 3600 },
{ 57, "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant", FINAL, REFUSED, 65, 0 },
{ 57, "550 5.7.513 Service unavailable", MAIL, HOLD, 77, 3600 },
{ 57, "550 5.7.606 Access denied, banned sending IP [203.0.113.7]", EHLO, HOLD, 77, 3600 },
{ 57, "550 5.7.649 Access denied, banned sending IP [203.0.113.7]", MAIL, HOLD, 77, 3600 },
{ 58, "550 5.7.520 Access denied, Your organization does not allow external forwarding. Please contact your administrator. AS(7555)", FINAL, REFUSED, 69, 0 },
{ 59, "550 5.7.703 Your message can't be delivered because of the Tenant Allow/Block List", FINAL, HOLD, 77, 3600 },
{ 59, "550 5.7.705 Access denied, tenant has exceeded threshold", FINAL, HOLD, 77, 3600 },
{ 59, "550 5.7.708 Access denied, traffic not accepted from this IP." TRAILER, MAIL, HOLD, 77, 3600 },
{ 59, "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains", FINAL, HOLD, 77, 3600 },
{ 60, "550 5.5.0 Requested action not taken: mailbox unavailable", RCPT, REFUSED, 67, 0 },
{ 61, "550 5.7.515 Access denied, sending domain CONTOSO.COM doesn't meet the required authentication level.", FINAL, REFUSED, 69, 0 },
};

/* Codes of the page that the product started from, told apart by text, and
 * replies that no row names. */
static const struct {
	const char *line;
	enum smtp_stage stage;
	enum error_class class;
	int exit_code;
} others[] = {
{ "550 5.7.501 SmtpClientAuthentication is disabled for the Mailbox", AUTH, HOLD, 78 },
{ "421 4.7.0 Connection throttled", ANY, THROTTLED, 75 },
{ "554 5.2.0 Message too large", FINAL, REFUSED, 65 },
{ "550 5.7.520 Message detected as spam", FINAL, REFUSED, 69 },
{ "550 5.2.2 mailbox full", RCPT, REFUSED, 67 },
{ "550 no", RCPT, REFUSED, 67 },
{ "550 no", MAIL, REFUSED, 69 },
{ "550 no", FINAL, REFUSED, 69 },
{ "550 no", ANY, REFUSED, 69 },
{ "550 no", AUTH, HOLD, 77 },
{ "554 no", SMTP_STAGE_CONNECT, HOLD, 69 },
{ "450 later", FINAL, RETRY, 75 },
{ "451 5.9.9 odd", FINAL, HOLD, 69 },
{ "250 what", FINAL, RETRY, 75 },
};
/* clang-format on */

static void
parse(struct smtp_reply *r, const char *line)
{
	char *text = xasprintf("%s\r\n", line);
	size_t used;

	reply_init(r);
	assert_int_equal(reply_feed(r, text, strlen(text), &used, NULL), 1);
	free(text);
}

/* Is 'number' in a list like "30,31" or "30-36"? */
static bool
names_row(const char *source, int number)
{
	const char *p = source;
	long from = 0;

	while (*p != '\0') {
		char *end;
		long n = strtol(p, &end, 10);

		if (end == p)
			return false;
		if (n == number || (from > 0 && from < number && number < n))
			return true;
		from = *end == '-' ? n : 0;
		p = *end != '\0' ? end + 1 : end;
	}
	return false;
}

static void
every_collected_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verdict_row *row;
		struct smtp_reply r;
		struct error err;

		parse(&r, cases[i].line);
		verdict_judge(
		    &r, cases[i].stage, "alerts@contoso.com", &row, &err);
		if (err.class != cases[i].class ||
		    err.exit_code != cases[i].exit_code ||
		    err.retry_after != cases[i].first ||
		    !names_row(row->source, cases[i].row))
			fail_msg("%s: %s %d after %u, row %s", cases[i].line,
			    error_class_name(err.class), err.exit_code,
			    err.retry_after, row->source);
		assert_int_equal(err.reply, r.code);
		assert_string_not_equal(err.hint, "");
		reply_release(&r);
	}
}

static void
every_number_is_tried(void **state)
{
	bool seen[62] = { false };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		seen[cases[i].row] = true;
	for (int i = 1; i <= 61; i++)
		if (!seen[i])
			fail_msg("row %d has no case", i);
}

static void
replies_that_no_row_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct smtp_reply r;
		struct error err;

		parse(&r, others[i].line);
		verdict_judge(&r, others[i].stage, NULL, NULL, &err);
		if (err.class != others[i].class ||
		    err.exit_code != others[i].exit_code)
			fail_msg("%s: %s %d %s", others[i].line,
			    error_class_name(err.class), err.exit_code,
			    err.text);
		reply_release(&r);
	}
}

static void
sentence_has_the_servers_words_and_no_diagnostics(void **state)
{
	struct smtp_reply r;
	struct error err;

	(void)state;
	parse(&r,
	    "554 5.2.252 SendAsDenied; a@x not allowed to send as b@x; "
	    "STOREDRV.Submission.Exception:SendAsDeniedException; Failed to "
	    "process message due to a permanent exception with "
	    "message " DIAGNOSTICS);
	assert_int_equal(
	    verdict_judge(&r, FINAL, "alerts@contoso.com", NULL, &err), -1);
	assert_string_equal(err.text,
	    "this mailbox may not send with that From or sender address: 554 "
	    "5.2.252 SendAsDenied; a@x not allowed to send as b@x; "
	    "STOREDRV.Submission.Exception:SendAsDeniedException");
	assert_string_equal(err.status, "5.2.252");
	assert_non_null(strstr(err.hint, "-Trustee alerts@contoso.com"));
	reply_release(&r);
}

static void
denied_sender_is_the_one_the_server_names(void **state)
{
	static const struct {
		const char *line, *sender; /* NULL: another refusal */
	} refusals[] = {
		{ "554 5.2.252 SendAsDenied; a@x not allowed to send as b@x; "
		  "STOREDRV",
		    "b@x" },
		{ "554 5.2.252 SendAsDenied; a@x Not Allowed To Send As b@x",
		    "b@x" },
		{ "550 5.7.60 SMTP; Client does not have permissions to send "
		  "as this sender",
		    "" },
		{ "554 5.2.252 SendAsDenied; a@x not allowed to send as "
		  "a-very-long-name@x",
		    "" },
		{ "550 5.2.252 Sender throttled due to continuous send as "
		  "denied errors.",
		    NULL },
		{ "550 5.1.10 not allowed to send as b@x", NULL },
	};
	char sender[16];

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct verdict_row *row;
		struct smtp_reply r;
		struct error err;

		parse(&r, refusals[i].line);
		verdict_judge(&r, FINAL, NULL, &row, &err);
		assert_int_equal(
		    verdict_denies_sender(row), refusals[i].sender != NULL);
		if (refusals[i].sender != NULL)
			assert_string_equal(verdict_denied_sender(r.text.data,
						sender, sizeof(sender)),
			    refusals[i].sender);
		reply_release(&r);
	}
}

static void
hint_is_the_command_to_run(void **state)
{
	struct smtp_reply r;
	struct error err;

	(void)state;
	parse(&r, UNSUCCESSFUL
	    "SmtpClientAuthentication is disabled for the Mailbox." TRAILER);
	verdict_judge(&r, AUTH, "alerts@contoso.com", NULL, &err);
	assert_non_null(
	    strstr(err.hint, "Set-CASMailbox alerts@contoso.com "
			     "-SmtpClientAuthenticationDisabled $false"));
	verdict_judge(&r, AUTH, NULL, NULL, &err);
	assert_non_null(strstr(err.hint, "Set-CASMailbox MAILBOX "));
	reply_release(&r);
}

static void
text_is_cut_and_without_controls(void **state)
{
	struct smtp_reply r;
	struct error err;
	char line[3000];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "550 5.1.1 \033[31m", 15);
	line[sizeof(line) - 1] = '\0';
	parse(&r, line);
	verdict_judge(&r, RCPT, NULL, NULL, &err);
	assert_true(strlen(err.text) < ERROR_TEXT_SIZE);
	assert_null(strchr(err.text, '\033'));
	reply_release(&r);
}

static void
token_is_blamed_where_another_may_help(void **state)
{
	(void)state;
	assert_true(
	    verdict_find(535, "5.7.3", "Authentication unsuccessful", AUTH)
		->token_rejected);
	assert_true(verdict_find(501, "5.5.127", "", AUTH)->token_rejected);
	assert_true(verdict_find(535, "5.7.143", "", AUTH)->token_rejected);
	assert_false(verdict_find(535, "5.7.139",
	    "SmtpClientAuthentication is disabled for the Tenant", AUTH)
			 ->token_rejected);
	assert_false(verdict_find(451, "4.7.3", "", AUTH)->token_rejected);
}

static void
rows_are_complete_and_reachable(void **state)
{
	const struct verdict_row *row;

	(void)state;
	for (size_t i = 0; (row = verdict_row(i)) != NULL; i++) {
		assert_true(row->class != ERROR_NONE);
		assert_true(row->exit_code >= 64 && row->exit_code <= 78);
		assert_true(row->sentence[0] != '\0' && row->hint[0] != '\0');
		assert_true(strlen(row->sentence) < 120);
		assert_true(strlen(row->hint) < 300);
		assert_true(row->first <= row->cap);
		/* What is refused is not tried again, all else is. */
		assert_int_equal(row->class == ERROR_REFUSED, row->first == 0);
		if (row->class == ERROR_RETRY || row->class == ERROR_THROTTLED)
			assert_int_equal(row->exit_code, EX_TEMPFAIL);
	}
}

/* How many rows can be meant by so little. */
static size_t
count_fitting(int code, const char *status, const char *text)
{
	const struct verdict_row *row;
	size_t count = 0;

	for (size_t i = 0; (row = verdict_row(i)) != NULL; i++)
		if (verdict_fits(row, code, status, text)) {
			assert_false(verdict_is_general(row));
			count++;
		}
	return count;
}

static void
part_of_a_reply_fits_all_rows_that_it_may_mean(void **state)
{
	(void)state;
	/* Three switches, five texts, and the row for any other. */
	assert_int_equal(count_fitting(0, "5.7.139", ""), 9);
	assert_int_equal(count_fitting(0, "5.7.139",
			     "SmtpClientAuthentication is disabled for the "
			     "Mailbox"),
	    3);
	assert_int_equal(count_fitting(550, "5.7.139", ""), 3);
	/* A refusal, the throttle, and its text. */
	assert_int_equal(count_fitting(0, "5.2.252", ""), 3);
	assert_int_equal(count_fitting(554, "5.2.252", ""), 2);
	/* "5.*" is for replies of another class. */
	assert_int_equal(count_fitting(0, "5.7.708", ""), 1);
	assert_int_equal(count_fitting(451, "5.7.708", ""), 0);
	assert_int_equal(count_fitting(0, "", "RefuseQuota"), 1);
	assert_int_equal(count_fitting(432, "", ""), 1);
	assert_int_equal(count_fitting(0, "5.9.9", ""), 0);
	assert_int_equal(count_fitting(0, "", ""), 0);
}

static void
key_shows_what_a_row_matches(void **state)
{
	char key[VERDICT_KEY_SIZE];

	(void)state;
	assert_string_equal(
	    verdict_key(verdict_find(535, "5.7.3", "", AUTH), key),
	    "535 5.7.3");
	assert_string_equal(
	    verdict_key(verdict_find(550, "", "RefuseQuota", FINAL), key),
	    "5xx (5.2.0) ... RefuseQuota");
	assert_string_equal(
	    verdict_key(verdict_find(501, "5.5.4", "", RCPT), key),
	    "501 5.5.4 (at MAIL, RCPT)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_collected_reply),
		cmocka_unit_test(every_number_is_tried),
		cmocka_unit_test(replies_that_no_row_names),
		cmocka_unit_test(
		    sentence_has_the_servers_words_and_no_diagnostics),
		cmocka_unit_test(denied_sender_is_the_one_the_server_names),
		cmocka_unit_test(hint_is_the_command_to_run),
		cmocka_unit_test(text_is_cut_and_without_controls),
		cmocka_unit_test(token_is_blamed_where_another_may_help),
		cmocka_unit_test(rows_are_complete_and_reachable),
		cmocka_unit_test(
		    part_of_a_reply_fits_all_rows_that_it_may_mean),
		cmocka_unit_test(key_shows_what_a_row_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
