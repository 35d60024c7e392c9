"""Exchange's own words: reply texts, trailers, and the catalogue of errors."""
from __future__ import annotations

import datetime
import secrets

FRONT = "SY5P282CA0097.outlook.office365.com"
PROXY = "SY5P282CA0097.AUSP282.PROD.OUTLOOK.COM"
BACKEND = "SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM"
ADVERTISED_SIZE = 157286400

AUTH_LOGIN_USER = "334 VXNlcm5hbWU6"
AUTH_LOGIN_PASSWORD = "334 UGFzc3dvcmQ6"
REFUSED = "535 5.7.3 Authentication unsuccessful [host time id]"
_DISABLED = ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication"
             " is disabled for the {}. Visit https://aka.ms/smtp_auth_disabled"
             " for more information. [host time id]")


def banner(session_id: str, old: bool) -> str:
    """The bracketed id is there since about October 2024."""
    now = datetime.datetime.now(datetime.timezone.utc)
    text = (f"220 {FRONT} Microsoft ESMTP MAIL Service ready at "
            f"{now:%a, %d %b %Y %H:%M:%S} +0000")
    return text if old else f"{text} [{session_id}]"


def extensions(tls: bool) -> list[str]:
    """EHLO keywords in Exchange's order; AUTH takes STARTTLS's place."""
    return [f"SIZE {ADVERTISED_SIZE}", "PIPELINING", "DSN",
            "ENHANCEDSTATUSCODES",
            "AUTH LOGIN XOAUTH2" if tls else "STARTTLS",
            "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"]


def new_session_id() -> str:
    return "08D" + secrets.token_hex(7)[:13].upper()


def fill(text: str, session_id: str, old: bool = False) -> str:
    """Replace ``[host time id]``, ``[host]`` and ``[Hostname=...]``."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"
    full = f"[{PROXY}]" if old else f"[{PROXY} {stamp} {session_id}]"
    for name, value in (("[host time id]", full), ("[host]", f"[{PROXY}]"),
                        ("[host…]", full), ("[Hostname=…]", "[Hostname=...]"),
                        ("[Hostname=...]", f"[Hostname={BACKEND}]")):
        text = text.replace(name, value)
    return text


def switched_off(scope: str) -> str:
    """SmtpClientAuthenticationDisabled of the Tenant or the Mailbox."""
    return _DISABLED.format(scope)


def diagnostic(text: str, size: int = 1400) -> str:
    """``[BeginDiagnosticData]`` as Exchange fills it, on one line."""
    parts, number = [text], 16
    while sum(map(len, parts)) < size:
        parts.append(f"{number}.{35000 + number * 977}:"
                     f"{secrets.token_hex(4).upper()}")
        number += 1
    return (f"[BeginDiagnosticData]{' '.join(parts)}[EndDiagnosticData] "
            "[Hostname=...]")


def storedrv(code: str, lead: str, exception: str, detail: str,
             size: int = 1400) -> str:
    return (f"{code} {lead}STOREDRV.Submission.Exception:{exception}; Failed "
            "to process message due to a permanent exception with message "
            + diagnostic(detail, size))


def send_as_denied(user: str, other: str) -> str:
    """One line of about 1.7 kB; some clients cut it and lose step."""
    return storedrv(
        "554 5.2.252", f"SendAsDenied; {user} not allowed to send as {other}; ",
        "SendAsDeniedException.MapiExceptionSendAsDenied",
        "Cannot submit message.")


def mailbox_full() -> str:
    return storedrv("554 5.2.2", "mailbox full; ",
                    "QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
                    "Cannot submit message.", 700)


def daily_quota() -> str:
    return storedrv("554 5.2.0", "", "SubmissionQuotaExceededException",
                    "The message can't be submitted because the sender's "
                    "submission quota was exceeded.", 500)


def too_large() -> str:
    return storedrv(
        "554 5.2.3", "", "MessageSubmissionExceededException."
        "MapiExceptionMaxSubmissionExceeded",
        "Message size exceeds fixed maximum message size", 500)


def sender_throttled(reason: str) -> str:
    codes = {"mailbox full": 251, "send as denied": 252, "invalid license": 253,
             "too many recipients": 254, "invalid recipients": 255}
    return (f"550 5.2.{codes[reason]} Sender throttled due to continuous "
            f"{reason} errors. [host time id]")


_MORE = "Please try again later."
ROWS: dict[int, str] = {
    1: "421 4.3.2 Service not active [host]",
    2: "421 4.3.2 The maximum number of concurrent connections has exceeded a"
       " limit, closing transmission channel",
    3: "421 4.4.1 Connection timed out. Total session duration:"
       " 00:10:01.8904373",
    4: "421 4.4.2 Connection dropped due to SocketError",
    5: "421 4.4.2 Message submission rate for this client has exceeded the"
       " configured limit",
    6: "421 4.7.0 Too many errors on this connection, closing transmission"
       " channel",
    7: "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update"
       " your client to support TLS 1.2. Visit https://aka.ms/smtp_auth_tls."
       " [host]",
    8: "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission."
       "Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed;"
       " Failed to process message due to a transient exception with message"
       " Cannot open mailbox. [Hostname=...]",
    9: "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"
       " [Hostname=...]",
    10: "431 4.3.1 STOREDRV; disk is full [Hostname=...]",
    11: "450 4.7.3 Organization queue quota exceeded.",
    12: "451 4.3.2 Temporary server error. Please try again later ATTR17"
        " [host time id]",
    13: f"451 4.7.0 Temporary server error. {_MORE} PRX4 [host time id]",
    14: "451 4.3.111 Temporary server error. Please try again later MRH1"
        " [Hostname=...]",
    15: "451 4.7.3 Authentication unsuccessful due to temporary server error."
        f" {_MORE}",
    16: f"451 4.7.500 Server busy. {_MORE[:-1]} from [203.0.113.7]."
        " (AS77713000) [host time id]",
    17: "451 5.7.3 STARTTLS is required to send mail [host]",
    18: "452 4.3.1 Insufficient system resources (TSTE) [host time id]",
    19: "452 4.5.3 Too many recipients",
    20: "454 4.7.0 Temporary authentication failure [host time id]",
    21: "500 5.5.2 Command too long",
    22: "501 5.1.3 Invalid address",
    23: "501 5.5.124 Invalid XOAUTH2 auth data - User address provided is not"
        " valid. Please ensure the auth data is correct.",
    24: "535 5.7.142 Token will expire soon [host time id]",
    25: "503 5.5.2 Need mail command",
    26: "504 5.7.4 Unrecognized authentication type [host]",
    27: "530 5.7.0 Must issue a STARTTLS command first",
    28: "530 5.7.57 Client not authenticated to send mail. [host time id]",
    29: REFUSED,
    30: switched_off("Tenant"),
    31: switched_off("Mailbox"),
    32: "535 5.7.139 Authentication unsuccessful, basic authentication is"
        " disabled. [host time id]",
    33: "535 5.7.139 Authentication unsuccessful, user is locked by your"
        " organization's security defaults policy. Contact your administrator."
        " [host time id]",
    34: "535 5.7.139 Authentication unsuccessful, the request did not meet the"
        " criteria to be authenticated successfully. Contact your"
        " administrator. [host time id]",
    35: "535 5.7.139 Authentication unsuccessful, the user credentials were"
        " incorrect. [host time id]",
    36: "535 5.7.139 Authentication unsuccessful, the organization"
        " configuration does not allow this authentication. [host time id]",
    37: "535 5.7.144 Invalid API permissions [host time id]",
    38: "535 5.7.3 Authentication unsuccessful - Tenant locked out",
    39: "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by"
        " SMTP address lookup",
    40: "550 5.1.8 Access denied, bad outbound sender AS(42004) [host time id]",
    41: "550 5.1.20 Multiple From addresses are not allowed without Sender"
        " address",
    42: "550 5.1.90 Your message can't be sent because you've reached your"
        " daily limit for message recipients",
    43: daily_quota(),
    44: storedrv("554 5.2.0", "", "OutboundSpamException",
                 "WASCL UserAction verdict is not None. Actual verdict is"
                 " RefuseQuota.", 0),
    45: send_as_denied("alerts@contoso.com", "other@contoso.com"),
    46: "550 5.7.60 SMTP; Client does not have permissions to send as this"
        " sender [host time id]",
    47: mailbox_full(),
    48: "552 5.3.4 Message size exceeds fixed maximum message size",
    49: "554 5.6.0 Corrupt message content",
    50: sender_throttled("send as denied"),
    51: "550 5.2.121 The recipient has exceeded their limit for the number of"
        " messages they can receive per hour",
    52: "554 5.4.6 Hop count exceeded - possible mail loop",
    53: "550 5.7.1 Submission has been disabled for this account",
    54: "550 5.7.30 Basic authentication is not supported for Client"
        " Submission.",
    55: "550 5.7.67 TLS 1.0 and 1.1 are not supported by your organization."
        " Please contact your administrator.",
    56: "550 5.7.233 Your message can't be sent because your tenant has"
        " exceeded its daily limit for sending email to external recipients"
        " (tenant external recipient rate limit)",
    57: "550 5.7.501 Access denied, spam abuse detected [host time id]",
    58: "550 5.7.520 Access denied, Your organization does not allow external"
        " forwarding. Please contact your administrator for further"
        " assistance. AS(7555)",
    59: "550 5.7.708 Access denied, traffic not accepted from this IP."
        " [host time id]",
    60: "550 5.5.0 Requested action not taken: mailbox unavailable",
    61: "550 5.7.515 Access denied, sending domain CONTOSO.COM doesn't meet"
        " the required authentication level. Spf= Fail , Dkim= Pass ,"
        " DMARC= Pass",
}
