#include "smtp/verdict.h"

#include <ctype.h>
#include <sysexits.h>

#include "base/buf.h"
#include "smtp/reply.h"

#define RETRY ERROR_RETRY
#define THROTTLED ERROR_THROTTLED
#define HOLD ERROR_HOLD
#define REFUSED ERROR_REFUSED

#define GREETING (SMTP_STAGE_CONNECT | SMTP_STAGE_EHLO | SMTP_STAGE_STARTTLS)
#define AUTH SMTP_STAGE_AUTH
#define MAIL SMTP_STAGE_MAIL
#define RCPT SMTP_STAGE_RCPT
#define CONTENT (SMTP_STAGE_DATA | SMTP_STAGE_FINAL)

#define MINUTES(n) ((n)*60u)
#define HOURS(n) ((n)*3600u)

/* Sentences and hints that several rows share. */
#define S_RATE                                                                 \
	"messages of this mailbox were sent faster than the server allows"
#define S_BUSY "the server has a fault of its own or is overloaded"
#define H_WAIT "nothing to do: it is tried again by itself"
#define H_SUPPORT                                                              \
	"if it lasts for hours, give Microsoft's support the host, "           \
	"time and id that stand in brackets in the log"
#define S_OLD_TLS "the server finds the TLS version too old"
#define H_OLD_TLS                                                              \
	"update OpenSSL on this machine, and make sure that no "               \
	"proxy ends TLS in between"
#define S_NO_TLS "the server says that TLS was not started"
#define H_NO_TLS                                                               \
	"a proxy or firewall changes the session; check 'host' and "           \
	"the way to it"
#define S_LOGON "the server cannot open the mailbox: the app has no right to it"
#define H_LOGON                                                                \
	"run 'Add-MailboxPermission -Identity %s -User "                       \
	"<object id of the service principal> -AccessRights FullAccess' in "   \
	"Exchange Online PowerShell"
#define S_TOO_LARGE "the message is larger than the mailbox may send"
#define H_TOO_LARGE                                                            \
	"send less at once, or let an administrator run "                      \
	"'Set-Mailbox %s -MaxSendSize 150MB'"
#define S_SEND_AS "this mailbox may not send with that From or sender address"
#define H_SEND_AS                                                              \
	"send as %s, or let an administrator run "                             \
	"'Add-RecipientPermission <that address> -Trustee %s -AccessRights "   \
	"SendAs' and name the address in send_as"
#define S_DAY "the mailbox has reached its daily limit of recipients"
#define H_DAY                                                                  \
	"wait: the limit counts the last 24 hours; lower 'daily', or "         \
	"spread bulk mail over more mailboxes"
#define S_NOBODY "there is no such recipient"
#define H_NOBODY "check the address"
#define S_CONTENT "the server finds the message malformed"
#define H_CONTENT "look at the message, and at the program that wrote it"
#define S_BLOCKED "the account is blocked for SMTP"
#define S_MANY                                                                 \
	"the mailbox is blocked for a while because it repeated the "          \
	"same error too often"
#define S_HVE "the High Volume Email account is not set up for this"
#define S_XOAUTH2 "the server cannot read the login data"
#define S_SWITCH "SMTP AUTH is switched off for"
#define H_MAILBOX                                                              \
	"run 'Set-CASMailbox %s -SmtpClientAuthenticationDisabled "            \
	"$false' in Exchange Online PowerShell and wait up to an hour"
#define H_TENANT                                                               \
	"run 'Set-TransportConfig -SmtpClientAuthenticationDisabled "          \
	"$false', or for this mailbox alone 'Set-CASMailbox %s "               \
	"-SmtpClientAuthenticationDisabled $false', in Exchange Online "       \
	"PowerShell and wait up to an hour"
#define S_EXPIRED "the server calls the access token expired or nearly so"
#define H_EXPIRED                                                              \
	"a new token is fetched by itself; check this machine's "              \
	"clock if it goes on"
#define S_TOKEN                                                                \
	"the server refused the access token or the mailbox it was "           \
	"used for"
#define H_TOKEN                                                                \
	"see that 'tenant', 'client_id' and 'scope' of %s are right and that " \
	"the mailbox lets the user or application send (README, setting it "   \
	"up); after a change at Microsoft wait an hour, then 'outpost login "  \
	"%s', or for an application send again"
#define S_SEQUENCE "the server and Outpost are out of step"
#define S_LOOP "the message went through too many servers: it is in a loop"
#define S_TENANT_DAY                                                           \
	"the organization has reached its daily limit of "                     \
	"external recipients"
#define S_REPUTATION "Microsoft has blocked the sender or the organization"
#define H_UNBLOCK                                                              \
	"an administrator unblocks %s at "                                     \
	"https://security.microsoft.com/restrictedentities after changing "    \
	"its credentials"
#define S_IP "Microsoft has blocked this network's address"
#define H_IP                                                                   \
	"ask for its removal at https://sender.office.com, or with the "       \
	"network's provider"

/* clang-format off */
static const struct verdict_row rows[] = {
/* Switches that the text alone tells, whatever the codes. */
{ 5, "~5.7.139", "SmtpClientAuthentication is disabled for the Tenant", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_SWITCH " the whole organization", H_TENANT, "30" },
{ 5, "~5.7.139", "SmtpClientAuthentication is disabled for the Mailbox", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_SWITCH " the mailbox", H_MAILBOX, "31" },
{ 5, "~5.7.139", "SmtpClientAuthentication is disabled", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_SWITCH " the mailbox or the organization", H_TENANT, "30,31" },

/* 421: the server closes the connection. */
{ 421, "4.3.2", "concurrent connections", 0, THROTTLED, 60, MINUTES(15), EX_TEMPFAIL, false,
  "there are too many connections at once from this network", "lower 'connections' in outpost.conf, or find what else sends from this network's address", "2" },
{ 421, "4.3.2", NULL, 0, RETRY, 30, MINUTES(15), EX_TEMPFAIL, false,
  "the server is going out of service for a while", H_WAIT, "1" },
{ 421, "4.4.1", NULL, 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, false,
  "the server ended the session because it lasted too long", "if it happens often, the line to the server is slow: look there", "3" },
{ 421, "4.4.2", "submission rate", 0, THROTTLED, 60, 60, EX_TEMPFAIL, false,
  S_RATE, "nothing to do; lower 'rate' in outpost.conf if other programs send from %s too", "5" },
{ 421, "4.4.2", "size limit", 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_TOO_LARGE, H_TOO_LARGE, "48" },
{ 421, "4.4.2", NULL, 0, RETRY, 30, MINUTES(15), EX_TEMPFAIL, false,
  "the server dropped the connection", "nothing to do; if it happens often, look at the network", "4" },
{ 421, "4.7.66", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_OLD_TLS, H_OLD_TLS, "7" },
{ 421, "4.7.0", "too many errors", 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  "the server closed the session after too many errors in it", "look in the log for the replies before; they name the errors", "6" },
{ 421, "4.7.0", NULL, 0, THROTTLED, 60, MINUTES(15), EX_TEMPFAIL, false,
  S_RATE, "nothing to do; lower 'rate' and 'connections' in outpost.conf if it goes on", "seed 421 4.7.0" },
{ 421, NULL, NULL, 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, false,
  "the server closed the session", H_WAIT, "1" },

/* 4xx that only a person can mend. */
{ 4, "~4.2.0", "MapiExceptionLogonFail", 0, HOLD, MINUTES(15), HOURS(1), EX_CONFIG, false,
  S_LOGON, H_LOGON, "8" },
{ 4, "~4.2.0", "mailbox logon failure", 0, HOLD, MINUTES(15), HOURS(1), EX_CONFIG, false,
  S_LOGON, H_LOGON, "8" },
{ 4, "~4.2.0", "Cannot open mailbox", 0, HOLD, MINUTES(15), HOURS(1), EX_CONFIG, false,
  S_LOGON, H_LOGON, "8" },
{ 4, "~4.7.66", "TLS 1.0 and 1.1 are not supported", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_OLD_TLS, H_OLD_TLS, "7" },
{ 451, "5.7.3", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_NO_TLS, H_NO_TLS, "17" },
{ 4, "~5.7.3", "STARTTLS is required", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_NO_TLS, H_NO_TLS, "17" },
{ 4, "~5.7.3", "Require STARTTLS", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_NO_TLS, H_NO_TLS, "17" },
{ 4, "5.*", NULL, 0, HOLD, MINUTES(15), HOURS(1), EX_UNAVAILABLE, false,
  "the server refused with a code that calls it temporary and a status that does not", "look up the server's words; 'sendmail -v' shows the session", "17" },

/* 4xx that say: slower. */
{ 432, "~4.3.2", NULL, 0, THROTTLED, 15, MINUTES(5), EX_TEMPFAIL, false,
  "more messages of this mailbox are being submitted at once than the server allows", "lower 'connections' in outpost.conf if other programs send from %s too: the limit is 3", "9" },
{ 4, "~4.3.2", "sender thread limit", 0, THROTTLED, 15, MINUTES(5), EX_TEMPFAIL, false,
  "more messages of this mailbox are being submitted at once than the server allows", "lower 'connections' in outpost.conf if other programs send from %s too: the limit is 3", "9" },
{ 4, "~4.3.2", "concurrent connection limit", 0, THROTTLED, 15, MINUTES(5), EX_TEMPFAIL, false,
  "more messages of this mailbox are being submitted at once than the server allows", "lower 'connections' in outpost.conf if other programs send from %s too: the limit is 3", "9" },
{ 4, "~4.7.0-3", "queue quota exceeded", 0, THROTTLED, MINUTES(15), HOURS(4), EX_TEMPFAIL, false,
  "the organization's own queue at Microsoft is full", "an administrator looks for a mail loop or bulk mail in the message trace", "11" },
{ 4, "~4.4.2", "submission rate", 0, THROTTLED, 60, 60, EX_TEMPFAIL, false,
  S_RATE, "nothing to do; lower 'rate' in outpost.conf if other programs send from %s too", "5" },
{ 4, "4.7.500-699", NULL, 0, THROTTLED, MINUTES(5), HOURS(1), EX_TEMPFAIL, false,
  "the server is busy, or does not trust this network's address", "if it lasts for hours, ask Microsoft's support about the address of this network", "16" },

/* 4xx that pass. */
{ 431, "~4.3.1", NULL, 0, RETRY, MINUTES(5), HOURS(1), EX_TEMPFAIL, false,
  "the server is short of disk space", H_WAIT, "10" },
{ 451, "4.7.0", "waiting for client input", 0, RETRY, 30, MINUTES(15), EX_TEMPFAIL, false,
  "the server waited too long for us", "if it happens often, look at the line to the server", "3" },
{ 451, "4.3.111", NULL, 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  S_BUSY, H_SUPPORT, "14" },
{ 451, "4.7.3", NULL, 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  "the server cannot check logins at the moment", H_WAIT, "15" },
{ 4, "~4.7.3", "locked out state", 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  "the server cannot check logins at the moment", H_WAIT, "15" },
{ 451, "4.7.0", NULL, 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  "the server cannot reach the mailbox's own server", H_SUPPORT, "13" },
{ 451, "4.3.*", NULL, 0, RETRY, 60, MINUTES(30), EX_TEMPFAIL, false,
  S_BUSY, H_WAIT, "12" },
{ 451, "4.4.*", NULL, 0, RETRY, 60, MINUTES(30), EX_TEMPFAIL, false,
  S_BUSY, H_WAIT, "12" },
{ 452, "4.3.1", NULL, 0, RETRY, MINUTES(5), HOURS(1), EX_TEMPFAIL, false,
  "the server is short of resources", H_WAIT, "18" },
{ 452, "4.5.3", NULL, 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, false,
  "the server takes no more recipients at once", "lower 'max_recipients' in outpost.conf", "19" },
{ 454, "~4.7.0", "TLS", 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, false,
  "the server cannot start TLS at the moment", H_WAIT, "20" },
{ 454, "~4.7.0", NULL, 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, false,
  "the server cannot check logins at the moment", H_WAIT, "20" },

/* Logins. */
{ 501, "5.5.127", NULL, 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, true,
  S_EXPIRED, H_EXPIRED, "24" },
{ 5, "5.7.142-143", NULL, 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, true,
  S_EXPIRED, H_EXPIRED, "24" },
{ 501, "5.5.121-126", NULL, 0, HOLD, MINUTES(15), HOURS(1), EX_CONFIG, false,
  S_XOAUTH2, "check the mailbox address '%s' in outpost.conf; it must be the account's primary address", "23" },
{ 501, "~5.5.4", "Authentication cancelled", 0, HOLD, MINUTES(15), HOURS(1), EX_NOPERM, true,
  S_TOKEN, H_TOKEN, "29" },
{ 504, "~5.7.4", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  "the server does not know AUTH XOAUTH2", "check 'host' in outpost.conf: it does not seem to be Microsoft's", "26" },
{ 5, "5.7.4", "authentication type", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  "the server does not know AUTH XOAUTH2", "check 'host' in outpost.conf: it does not seem to be Microsoft's", "26" },
{ 5, "~5.7.3", "Tenant locked out", 0, HOLD, HOURS(1), HOURS(6), EX_NOPERM, false,
  "Microsoft has locked the organization out", "an administrator asks Microsoft's support why the tenant is locked", "38" },
{ 535, "~5.7.3", "User not found", 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  "Microsoft knows no such mailbox", "check the section name '%s' in outpost.conf: it must be the mailbox's primary address", "38" },
{ 535, "~5.7.3", "permanent server error", 0, HOLD, HOURS(1), HOURS(6), EX_NOPERM, false,
  "Microsoft cannot check this login", H_SUPPORT, "38" },
{ 535, "5.7.139", "basic authentication is disabled", 0, HOLD, HOURS(1), HOURS(1), EX_NOPERM, false,
  "the server took the login for one with a password, and these are switched off", "take care that no proxy ends TLS between %s and the server; 'sendmail -v' shows the login", "32" },
{ 535, "5.7.139", "security defaults", 0, HOLD, HOURS(1), HOURS(1), EX_NOPERM, false,
  "the organization's security defaults forbid this login", "an administrator looks at Entra, Properties, Security defaults, or uses an app of its own (auth = certificate)", "33" },
{ 535, "5.7.139", "did not meet the criteria", 0, HOLD, HOURS(1), HOURS(1), EX_NOPERM, false,
  "a Conditional Access policy of the organization forbids this login", "an administrator opens the Entra sign-in log of %s, client app 'Authenticated SMTP', and reads which policy it was", "34" },
{ 535, "5.7.139", "credentials were incorrect", 0, HOLD, HOURS(1), HOURS(6), EX_NOPERM, true,
  "the server calls the login data wrong", H_TOKEN, "35" },
{ 535, "5.7.139", "organization configuration", 0, HOLD, HOURS(1), HOURS(1), EX_NOPERM, false,
  "the organization's settings forbid this login", "an administrator looks at the account's settings for High Volume Email", "36" },
{ 535, "5.7.139", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_NOPERM, false,
  "a policy of the organization forbids this login", "an administrator opens the Entra sign-in log of %s, client app 'Authenticated SMTP'", "30-36" },
{ 5, "5.7.144", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  "the app lacks the permission to send", "an administrator gives the app the permission Mail.Send (High Volume Email) or SMTP.SendAsApp, with consent", "37" },
{ 5, "5.7.240", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_HVE, "an administrator allows the app with 'Add-HVEAppAccess' for %s", "37" },
{ 5, "5.2.240", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_HVE, "%s is no High Volume Email account: remove 'cloud = hve', or make it one", "37" },
{ 5, "5.7.30", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  "the server took the login for one with a password, and these are gone for good", "take care that no proxy ends TLS between %s and the server; 'sendmail -v' shows the login", "54" },
{ 5, "5.7.67", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_OLD_TLS, H_OLD_TLS, "55" },
{ 530, "5.7.0", NULL, 0, HOLD, HOURS(1), HOURS(1), EX_CONFIG, false,
  S_NO_TLS, H_NO_TLS, "27" },
{ 5, "5.7.57", NULL, 0, HOLD, MINUTES(15), HOURS(1), EX_NOPERM, false,
  "the server does not count the session as logged in", "'sendmail -v -f %s' shows what AUTH was answered with", "28" },
{ 535, "5.7.3", NULL, 0, HOLD, MINUTES(15), HOURS(1), EX_NOPERM, true,
  S_TOKEN, H_TOKEN, "29" },
{ 535, NULL, NULL, 0, HOLD, MINUTES(15), HOURS(1), EX_NOPERM, true,
  S_TOKEN, H_TOKEN, "29" },

/* 5xx that time heals. */
{ 5, "~5.2.251", "continuous mailbox full", 0, THROTTLED, HOURS(1), HOURS(12), EX_TEMPFAIL, false,
  S_MANY, "make room in the mailbox %s (Sent Items), then wait: Microsoft lifts the block itself", "50" },
{ 5, "~5.2.252", "continuous send as denied", 0, THROTTLED, HOURS(1), HOURS(12), EX_TEMPFAIL, false,
  S_MANY, "stop what sends with foreign From addresses (foreign_from = rewrite), then wait: Microsoft lifts the block itself", "50" },
{ 5, "~5.2.253", "continuous invalid license", 0, THROTTLED, HOURS(1), HOURS(12), EX_TEMPFAIL, false,
  S_MANY, "give the mailbox %s a licence, then wait: Microsoft lifts the block itself", "50" },
{ 5, "~5.2.254", "continuous too many recipients", 0, THROTTLED, HOURS(1), HOURS(12), EX_TEMPFAIL, false,
  S_MANY, "lower 'max_recipients' in outpost.conf, then wait: Microsoft lifts the block itself", "50" },
{ 5, "~5.2.255", "continuous invalid recipients", 0, THROTTLED, HOURS(1), HOURS(12), EX_TEMPFAIL, false,
  S_MANY, "remove the wrong addresses from what sends, then wait: Microsoft lifts the block itself", "50" },
{ 550, "5.2.251-255", NULL, 0, THROTTLED, HOURS(1), HOURS(12), EX_TEMPFAIL, false,
  S_MANY, "stop what causes the error, then wait: Microsoft lifts the block itself", "50" },
{ 5, "5.1.90", NULL, 0, THROTTLED, HOURS(1), HOURS(6), EX_TEMPFAIL, false,
  S_DAY, H_DAY, "42" },
{ 5, "~5.2.0", "SubmissionQuotaExceeded", 0, THROTTLED, HOURS(1), HOURS(6), EX_TEMPFAIL, false,
  S_DAY, H_DAY, "43" },
{ 5, "~5.2.2", "submission quota", 0, THROTTLED, HOURS(1), HOURS(6), EX_TEMPFAIL, false,
  S_DAY, H_DAY, "43" },
{ 5, "~5.2.0", "RefuseQuota", 0, THROTTLED, HOURS(6), HOURS(24), EX_TEMPFAIL, false,
  "Outlook.com takes no more mail from this account for some hours", "wait; a new or free account has small limits, which grow with use", "44" },
{ 5, "~5.2.0", "verdict is Suspend", 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "Outlook.com has suspended the account", "sign in to %s at https://outlook.live.com and verify the account", "44" },
{ 5, "~5.2.0", "OutboundSpam", 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "Microsoft takes mail of this account for spam", "sign in to %s at https://outlook.live.com and verify the account", "44" },
{ 5, "5.7.232", NULL, 0, THROTTLED, HOURS(1), HOURS(6), EX_TEMPFAIL, false,
  S_TENANT_DAY, "wait; a trial tenant's limit is low, a licence raises it", "56" },
{ 5, "5.7.233", NULL, 0, THROTTLED, HOURS(1), HOURS(6), EX_TEMPFAIL, false,
  S_TENANT_DAY, "wait; an administrator sees the numbers in the report 'Tenant Outbound External Recipients'", "56" },
{ 5, "5.2.121-122", NULL, 0, RETRY, HOURS(1), HOURS(6), EX_TEMPFAIL, false,
  "the recipient has got as much mail in the last hour as the server allows", "send less to this recipient", "51" },

/* Sender addresses. */
{ 5, "5.2.252", NULL, 0, REFUSED, 0, 0, EX_NOPERM, false,
  S_SEND_AS, H_SEND_AS, "45" },
{ 5, "~5.2.0", "SendAsDenied", 0, REFUSED, 0, 0, EX_NOPERM, false,
  S_SEND_AS, H_SEND_AS, "45" },
{ 5, "5.7.60", NULL, 0, REFUSED, 0, 0, EX_NOPERM, false,
  S_SEND_AS, H_SEND_AS, "46" },
{ 5, "~5.7.60", "permissions to send as", 0, REFUSED, 0, 0, EX_NOPERM, false,
  S_SEND_AS, H_SEND_AS, "46" },
{ 5, "5.7.62", NULL, 0, REFUSED, 0, 0, EX_NOPERM, false,
  S_SEND_AS, "a High Volume Email account sends as %s alone", "37" },
{ 5, "5.6.241", NULL, 0, REFUSED, 0, 0, EX_NOPERM, false,
  S_SEND_AS, "a High Volume Email account sends as %s alone", "37" },

/* Size. */
{ 5, "~5.2.3", "MaxSubmissionExceeded", 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_TOO_LARGE, H_TOO_LARGE, "48" },
{ 5, "~5.2.0", "MessageSubmissionExceeded", 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_TOO_LARGE, H_TOO_LARGE, "48" },
{ 5, "~5.3.4", "Header size exceeds", 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the message's header is larger than the server takes", "shorten the header; with 'chunking = yes' this reply may be a fault of the server: set it to no", "48" },
{ 5, "~5.3.4", "Message size exceeds", 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_TOO_LARGE, H_TOO_LARGE, "48" },
{ 5, "~5.2.0", "message too large", 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_TOO_LARGE, H_TOO_LARGE, "seed 554 5.2.0" },
{ 5, "5.3.4", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_TOO_LARGE, H_TOO_LARGE, "48" },
{ 5, "5.2.3", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_TOO_LARGE, H_TOO_LARGE, "48" },

/* The sender's own mailbox; at RCPT it is the recipient's. */
{ 5, "~5.2.2", "ShutoffQuotaExceeded", 0, HOLD, MINUTES(15), HOURS(1), EX_UNAVAILABLE, false,
  "the sending mailbox itself is full: the server keeps a copy in Sent Items", "make room in %s, or let an administrator give it an archive", "47" },
{ 5, "5.2.2", NULL, RCPT, REFUSED, 0, 0, EX_NOUSER, false,
  "the recipient's mailbox is full", "tell the recipient by other means", "39" },
{ 5, "5.2.2", NULL, 0, HOLD, MINUTES(15), HOURS(1), EX_UNAVAILABLE, false,
  "the sending mailbox itself is full: the server keeps a copy in Sent Items", "make room in %s, or let an administrator give it an archive", "47" },

/* Content. */
{ 5, "~5.6.0", "bare linefeeds", 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the server found line ends that are not CRLF", "something between here and the server changes the message: report it with the log", "49" },
{ 5, "5.6.11", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the server found line ends that are not CRLF", "something between here and the server changes the message: report it with the log", "49" },
{ 5, "5.6.211", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "a header field is longer than the server takes", "shorten the header field; 32768 bytes is the limit", "49" },
{ 5, "5.6.*", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  S_CONTENT, H_CONTENT, "49" },
{ 5, "5.1.20", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the message has several From addresses and no Sender", "write one From address", "41" },
{ 5, "5.7.512", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the From field of the message is malformed", "write one valid From address", "57" },
{ 5, "5.4.14", NULL, 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  S_LOOP, "look for forwarding rules that send mail back here", "52" },
{ 5, "5.4.6", NULL, 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  S_LOOP, "look for forwarding rules that send mail back here", "52" },
{ 5, "~5.4.6", "Hop count exceeded", 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  S_LOOP, "look for forwarding rules that send mail back here", "52" },

/* Syntax; 5.1.8 of a 501 speaks of UTF-8, that of a 550 of spam. */
{ 501, "5.1.6", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the server wants the SMTPUTF8 form for an address", "write the address in ASCII", "22" },
{ 501, "5.1.8-9", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the server takes no address outside ASCII", "write the address in ASCII", "22" },
{ 501, "5.1.7", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the server finds the sender's address malformed", "check the sender's address", "22" },
{ 501, "5.1.3", NULL, 0, REFUSED, 0, 0, EX_DATAERR, false,
  "the server finds the address malformed", H_NOBODY, "22" },
{ 501, "~5.5.4", NULL, SMTP_STAGE_EHLO, HOLD, MINUTES(15), HOURS(1), EX_CONFIG, false,
  "the server does not like the name that this machine gives itself", "check the output of 'hostname -f'", "22" },
{ 501, "5.5.4", NULL, MAIL | RCPT, REFUSED, 0, 0, EX_DATAERR, false,
  "the server finds the address or its options malformed", H_NOBODY, "22" },
{ 500, "~5.5.2", "too long", AUTH, HOLD, HOURS(1), HOURS(6), EX_SOFTWARE, false,
  "the access token is longer than the server takes", "an administrator takes groups and claims out of the app's tokens", "21" },
{ 500, "~5.3.3", NULL, AUTH | GREETING, HOLD, MINUTES(15), HOURS(1), EX_SOFTWARE, false,
  "the server does not know a command", "check 'host' in outpost.conf, and whether a proxy answers in the server's place", "21" },
{ 500, "~5.3.3", NULL, 0, REFUSED, 0, 0, EX_SOFTWARE, false,
  "the server does not know a command", "check 'host' in outpost.conf, and whether a proxy answers in the server's place", "21" },
{ 503, "~5.5.1-2", NULL, 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  S_SEQUENCE, "if it happens again, report it with the log", "25" },
{ 5, "5.5.3", NULL, 0, RETRY, 60, MINUTES(15), EX_TEMPFAIL, false,
  "the server takes no more recipients at once", "lower 'max_recipients' in outpost.conf", "19" },

/* The account, the organization, the network. */
{ 5, "5.1.8", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "Microsoft has restricted the mailbox after mail that looked like spam", H_UNBLOCK, "40" },
{ 5, "~5.7.1", "Submission has been disabled", 0, HOLD, HOURS(1), HOURS(6), EX_NOPERM, false,
  S_BLOCKED, H_UNBLOCK, "53" },
{ 5, "~5.7.1", "Unable to relay", 0, HOLD, MINUTES(15), HOURS(1), EX_CONFIG, false,
  "the server does not forward mail for this session", "check 'host' in outpost.conf: it must be a submission server, not an MX", "53" },
{ 5, "5.7.1", "Client does not have permission", 0, HOLD, MINUTES(15), HOURS(1), EX_NOPERM, false,
  "the mailbox lacks the right to submit", "an administrator checks the permissions of %s", "53" },
{ 5, "5.7.64", NULL, 0, HOLD, MINUTES(15), HOURS(1), EX_CONFIG, false,
  "the server does not forward mail for this session", "check 'host' in outpost.conf: it must be a submission server, not an MX", "53" },
{ 5, "~5.4.1", "Recipient address rejected", 0, REFUSED, 0, 0, EX_NOUSER, false,
  "the recipient's server does not take mail for the address", H_NOBODY, "39" },
{ 5, "~5.7.505", "banned recipient", 0, REFUSED, 0, 0, EX_NOUSER, false,
  "Microsoft does not take mail to this recipient", "ask an administrator about the Tenant Allow/Block List", "57" },
{ 5, "~5.7.507", "rejected by recipient", 0, REFUSED, 0, 0, EX_NOUSER, false,
  "the recipient refuses mail from this sender", "ask the recipient by other means", "57" },
{ 5, "5.7.501", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "Microsoft takes mail of this account for spam", H_UNBLOCK, "57, seed 550 5.7.501" },
{ 5, "5.7.502-503", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "Microsoft has banned the sender", H_UNBLOCK, "57" },
{ 5, "5.7.504-513", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  S_REPUTATION, "look up the status in the server's words; an administrator can open a case with Microsoft", "57" },
{ 5, "5.7.606-649", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  S_IP, H_IP, "57" },
{ 5, "5.7.515", NULL, 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  "the sender's domain lacks the SPF, DKIM or DMARC records that the recipient's server asks for", "an administrator completes the domain's DNS records", "61" },
{ 5, "5.7.520", "external forwarding", 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  "the organization does not allow mail to be forwarded outside", "an administrator changes the outbound spam policy, or the forwarding is removed", "58" },
{ 5, "5.7.520", NULL, 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  "a policy of the organization refused the message", "ask an administrator about the outbound spam policy", "58, seed 550 5.7.520" },
{ 5, "5.7.703", NULL, 0, HOLD, HOURS(1), HOURS(6), EX_NOPERM, false,
  "an entry of the organization's Tenant Allow/Block List stops the message", "an administrator removes the entry at https://security.microsoft.com/tenantAllowBlockList", "59" },
{ 5, "5.7.705", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "the organization has sent more suspicious mail than Microsoft allows", "an administrator finds the source in the outbound spam report and opens a case with Microsoft", "59" },
{ 5, "5.7.708", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "Microsoft takes no mail from this network's address yet: the tenant is new or has a bad name", "an administrator opens a case with Microsoft", "59" },
{ 5, "5.7.750", NULL, 0, HOLD, HOURS(1), HOURS(12), EX_NOPERM, false,
  "the organization sends from domains that are not registered with it", "an administrator adds the sender's domain to the tenant", "59" },

/* Recipients. */
{ 5, "5.1.1", NULL, 0, REFUSED, 0, 0, EX_NOUSER, false,
  S_NOBODY, H_NOBODY, "39" },
{ 5, "5.1.10", NULL, 0, REFUSED, 0, 0, EX_NOUSER, false,
  S_NOBODY, H_NOBODY, "39" },
{ 5, "~5.1.10", "RecipientNotFound", 0, REFUSED, 0, 0, EX_NOUSER, false,
  S_NOBODY, H_NOBODY, "39" },
{ 5, "5.4.1", NULL, 0, REFUSED, 0, 0, EX_NOUSER, false,
  "the recipient's server does not take mail for the address", H_NOBODY, "39" },
{ 5, "5.5.0", NULL, 0, REFUSED, 0, 0, EX_NOUSER, false,
  "the recipient's mailbox is gone", H_NOBODY, "60" },

/* By stage and first digit. */
{ 554, "5.2.0", NULL, 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  "Exchange could not take the message", "look up the server's words; the mailbox's owner may find more in its Drafts and Sent Items", "43-45" },
{ 5, NULL, NULL, GREETING, HOLD, MINUTES(15), HOURS(1), EX_UNAVAILABLE, false,
  "the server refuses the session", "check 'host' and 'port' in outpost.conf; the server may have blocked this network's address", "" },
{ 5, NULL, NULL, AUTH, HOLD, MINUTES(15), HOURS(1), EX_NOPERM, false,
  "the server refused the login", H_TOKEN, "29" },
{ 5, NULL, NULL, RCPT, REFUSED, 0, 0, EX_NOUSER, false,
  "the server refused the recipient", H_NOBODY, "39" },
{ 5, NULL, NULL, MAIL, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  "the server refused the sender", "check the sender's address and the server's words", "" },
{ 5, NULL, NULL, 0, REFUSED, 0, 0, EX_UNAVAILABLE, false,
  "the server refused the message", "look up the server's words", "" },
{ 4, NULL, NULL, 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  "the server cannot do it at the moment", H_WAIT, "" },
{ 0, NULL, NULL, 0, RETRY, 60, HOURS(1), EX_TEMPFAIL, false,
  "the server gave an answer that makes no sense there", "check 'host' in outpost.conf, and whether a proxy answers in the server's place", "" },
};
/* clang-format on */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool
is_usual(const char *pattern)
{
	return pattern != NULL && *pattern == '~';
}

/* "5.7.3" by itself, "5.7.*" by what stands before the star, "5.7.501-513"
 * by the range of the last number. */
static bool
status_matches(const char *pattern, const char *status)
{
	size_t same = strcspn(pattern, "*");
	const char *dash = strchr(pattern, '-');
	unsigned long first, last, number;
	const char *dot;

	if (pattern[same] == '*')
		return strncmp(pattern, status, same) == 0;
	if (dash == NULL)
		return strcmp(pattern, status) == 0;
	dot = strrchr(pattern, '.') + 1;
	same = (size_t)(dot - pattern);
	if (strncmp(pattern, status, same) != 0 ||
	    !isdigit((unsigned char)status[same]))
		return false;
	first = strtoul(dot, NULL, 10);
	last = strtoul(dash + 1, NULL, 10);
	number = strtoul(status + same, NULL, 10);
	return number >= first && number <= last;
}

static bool
row_matches(const struct verdict_row *row, int code, const char *status,
    const char *text, unsigned stage)
{
	if (row->code != 0 && row->code != code && row->code != code / 100)
		return false;
	if (row->status != NULL && !is_usual(row->status) &&
	    !status_matches(row->status, status))
		return false;
	if (row->stages != 0 && (row->stages & stage) == 0)
		return false;
	return row->fragment == NULL || strcasestr(text, row->fragment) != NULL;
}

const struct verdict_row *
verdict_find(int code, const char *status, const char *text, unsigned stage)
{
	size_t i = 0;

	/* The last row matches everything. */
	while (
	    i < ROWS - 1 && !row_matches(&rows[i], code, status, text, stage))
		i++;
	return &rows[i];
}

const struct verdict_row *
verdict_row(size_t i)
{
	return i < ROWS ? &rows[i] : NULL;
}

bool
verdict_is_general(const struct verdict_row *row)
{
	return row->code < 10 && row->status == NULL && row->fragment == NULL;
}

/* A pattern for a whole class says nothing of another class. */
static bool
status_fits(const struct verdict_row *row, const char *status)
{
	const char *pattern = row->status + (is_usual(row->status) ? 1 : 0);

	if (strchr(pattern, '*') != NULL && row->code > 0 &&
	    row->code / (row->code < 10 ? 1 : 100) != status[0] - '0')
		return false;
	return status_matches(pattern, status);
}

bool
verdict_fits(const struct verdict_row *row, int code, const char *status,
    const char *text)
{
	bool by_text = row->fragment != NULL && *text != '\0';

	if (code != 0 && row->code != 0 && row->code != code &&
	    row->code != code / 100)
		return false;
	if (by_text && strcasestr(text, row->fragment) == NULL)
		return false;
	if (*status != '\0')
		return row->status != NULL && status_fits(row, status);
	return by_text || (code != 0 && row->code == code);
}

static void
add_stages(struct buf *out, unsigned stages)
{
	static const struct {
		unsigned stage;
		const char *name;
	} names[] = {
		{ SMTP_STAGE_CONNECT, "the banner" },
		{ SMTP_STAGE_EHLO, "EHLO" },
		{ SMTP_STAGE_STARTTLS, "STARTTLS" },
		{ SMTP_STAGE_AUTH, "AUTH" },
		{ SMTP_STAGE_MAIL, "MAIL" },
		{ SMTP_STAGE_RCPT, "RCPT" },
		{ SMTP_STAGE_DATA, "DATA" },
		{ SMTP_STAGE_FINAL, "the content" },
		{ SMTP_STAGE_RSET, "RSET" },
	};
	const char *before = " (at ";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((stages & names[i].stage) != 0) {
			(void)buf_addf(out, "%s%s", before, names[i].name);
			before = ", ";
		}
	if (stages != 0)
		(void)buf_addc(out, ')');
}

char *
verdict_key(const struct verdict_row *row, char out[VERDICT_KEY_SIZE])
{
	struct buf key;

	buf_init(&key, VERDICT_KEY_SIZE - 1);
	if (row->code == 0)
		(void)buf_adds(&key, "any");
	else
		(void)buf_addf(&key, row->code < 10 ? "%dxx" : "%d", row->code);
	if (is_usual(row->status))
		(void)buf_addf(&key, " (%s)", row->status + 1);
	else if (row->status != NULL)
		(void)buf_addf(&key, " %s", row->status);
	if (row->fragment != NULL)
		(void)buf_addf(&key, " ... %s", row->fragment);
	add_stages(&key, row->stages);
	strlcpy(out, key.data, VERDICT_KEY_SIZE);
	buf_release(&key);
	return out;
}

/* The server's words without "[BeginDiagnosticData]…[EndDiagnosticData]",
 * some kilobytes of numbers, and what leads to it. */
static void
cut_diagnostics(struct buf *words)
{
	static const char begin[] = "[BeginDiagnosticData]";
	static const char end[] = "[EndDiagnosticData]";
	static const char lead[] = " Failed to process message due to a "
				   "permanent exception with message";
	char *start = strstr(words->data, begin);
	char *stop, *tail;
	size_t len;

	if (start == NULL)
		return;
	stop = strstr(start, end);
	len =
	    stop != NULL ? (size_t)(stop - start) + strlen(end) : strlen(start);
	(void)buf_splice(words, (size_t)(start - words->data), len, NULL, 0);
	while (words->len > 0 && words->data[words->len - 1] == ' ')
		(void)buf_splice(words, words->len - 1, 1, NULL, 0);
	if (words->len >= sizeof(lead)) {
		tail = words->data + words->len - (sizeof(lead) - 1);
		if (strcmp(tail, lead) == 0)
			(void)buf_splice(words, (size_t)(tail - words->data),
			    sizeof(lead) - 1, NULL, 0);
	}
	if (words->len > 0 && words->data[words->len - 1] == ';')
		(void)buf_splice(words, words->len - 1, 1, NULL, 0);
}

int
verdict_judge(const struct smtp_reply *reply, enum smtp_stage stage,
    const char *mailbox, const struct verdict_row **row_out, struct error *err)
{
	const struct verdict_row *row =
	    verdict_find(reply->code, reply->status, reply->text.data, stage);
	char hint[ERROR_HINT_SIZE], status[16];
	struct buf words;

	snprintf(status, sizeof(status), "%d.0.0", reply->code >= 500 ? 5 : 4);
	if (reply->status[0] != '\0')
		strlcpy(status, reply->status, sizeof(status));
	buf_init(&words, REPLY_TOTAL_MAX);
	(void)buf_add(&words, reply->text.data, reply->text.len);
	cut_diagnostics(&words);
	error_set(err, row->exit_code, status, "%s: %d%s%s%s%s", row->sentence,
	    reply->code, reply->status[0] != '\0' ? " " : "", reply->status,
	    words.len > 0 ? " " : "", words.data);
	error_class_set(err, row->class, row->first);
	if (err != NULL) {
		err->retry_cap = row->cap;
		err->reply = reply->code;
	}
	error_hint(err, "%s",
	    error_fill(hint, sizeof(hint), row->hint,
		mailbox != NULL ? mailbox : "MAILBOX"));
	buf_release(&words);
	if (row_out != NULL)
		*row_out = row;
	return -1;
}

bool
verdict_denies_sender(const struct verdict_row *row)
{
	return strcmp(row->sentence, S_SEND_AS) == 0;
}

char *
verdict_denied_sender(const char *text, char *out, size_t size)
{
	static const char words[] = "not allowed to send as ";
	const char *start = strcasestr(text, words);
	size_t len;

	*out = '\0';
	if (start == NULL)
		return out;
	start += sizeof(words) - 1;
	len = strcspn(start, "; ");
	if (len < size)
		strlcpy(out, start, len + 1);
	return out;
}
