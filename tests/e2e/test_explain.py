"""outpost explain: every reply and error that Microsoft is known to give finds
its own entry, whatever stands around it."""
import json
import os
import re
import subprocess

import pytest

from support import BUILD, ROOT, USAGE

# Row of the collected replies, the reply, words of the sentence it must find.
OFF = "Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
NO = "535 5.7.139 Authentication unsuccessful, "
DENIED = ("STOREDRV.Submission.Exception:SendAsDeniedException."
          "MapiExceptionSendAsDenied; Failed to process message due to a "
          "permanent exception with message [BeginDiagnosticData]")
SPAM = ("554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed "
        "to process message due to a permanent exception with message "
        "[BeginDiagnosticData]WASCL UserAction verdict is not None. Actual "
        "verdict is {}. [EndDiagnosticData] [Hostname=X]")
THROTTLED = "Sender throttled due to continuous {} errors."
REPLIES = [
    (1, "421 4.3.2 Service not active [host]", "out of service"),
    (1, "421 4.3.2 System not accepting network messages", "out of service"),
    (2, "421 4.3.2 The maximum number of concurrent connections has exceeded "
        "a limit, closing transmission channel", "too many connections"),
    (3, "421 4.4.1 Connection timed out. Total session duration: 00:10:01.89",
     "lasted too long"),
    (4, "421 4.4.2 Connection dropped due to SocketError", "dropped"),
    (5, "421 4.4.2 Message submission rate for this client has exceeded the "
        "configured limit", "faster than"),
    (6, "421 4.7.0 Too many errors on this connection, closing transmission "
        "channel", "too many errors"),
    (7, "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update "
        "your client to support TLS 1.2. Visit https://aka.ms/smtp_auth_tls. "
        "[host]", "TLS version too old"),
    (8, "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission."
        "Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed;"
        " … Cannot open mailbox.", "cannot open the mailbox"),
    (9, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded "
        "[Hostname=X]", "submitted at once"),
    (9, "432 4.3.2 concurrent connection limit exceeded", "submitted at once"),
    (10, "431 4.3.1 STOREDRV; … disk is full", "disk space"),
    (11, "450 4.7.0 Organization queue quota exceeded.", "own queue"),
    (11, "450 4.7.3 Organization queue quota exceeded.", "own queue"),
    (12, "451 4.3.0 Mail server temporarily rejected message", "overloaded"),
    (12, "451 4.3.2 Temporary server error. (ATTR17)", "overloaded"),
    (12, "451 4.4.0 Message failed to be made redundant", "overloaded"),
    (12, "451 4.4.3 Temporary server error. (ATTR18)", "overloaded"),
    (13, "451 4.7.0 Temporary server error. Please try again later. PRX4 "
         "[host]", "the mailbox's own server"),
    (14, "451 4.3.111 Temporary server error. Please try again later MRH1 "
         "[Hostname=X]", "fault of its own"),
    (15, "451 4.7.3 Authentication unsuccessful due to temporary server error. "
         "Please try again later.", "cannot check logins"),
    (15, "451 4.7.0 Checking tenant locked out state unsuccessful due to "
         "temporary server error", "cannot check logins"),
    (16, "451 4.7.500 Server busy. Please try again later from [203.0.113.7]. "
         "(AS77713000)", "busy"),
    (16, "451 4.7.650 The mail server has been temporarily rate limited",
     "busy"),
    (17, "451 5.7.3 STARTTLS is required to send mail", "TLS was not started"),
    (18, "452 4.3.1 Insufficient system resources (TSTE)", "resources"),
    (19, "452 4.5.3 Too many recipients", "no more recipients"),
    (20, "454 4.7.0 Temporary authentication failure", "cannot check logins"),
    (20, "454 4.7.0 Cannot accept TLS as maximum TLS rate exceeded for server",
     "cannot start TLS"),
    (21, "500 5.3.3 Unrecognized command 'XYZ' [host time id]",
     "does not know a command"),
    (21, "500 5.5.2 Command too long", "longer than the server takes"),
    (22, "501 5.1.3 Invalid address", "address malformed"),
    (22, "501 5.1.7 Invalid address", "sender's address malformed"),
    (22, "501 5.5.4 Invalid arguments", "options malformed"),
    (22, "501 5.5.4 Invalid domain name", "gives itself"),
    (23, "501 5.5.124 Invalid XOAUTH2 auth data - User address provided is not "
         "valid. Please ensure the auth d", "cannot read the login"),
    (24, "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon error",
     "expired or nearly so"),
    (24, "535 5.7.142 Token will expire soon", "expired or nearly so"),
    (24, "535 5.7.143 Expired token", "expired or nearly so"),
    (25, "503 5.5.2 Send hello first", "out of step"),
    (25, "503 5.5.1 Only one STARTTLS command can be issued per session",
     "out of step"),
    (26, "504 5.7.4 Unrecognized authentication type [host]",
     "does not know AUTH XOAUTH2"),
    (27, "530 5.7.0 Must issue a STARTTLS command first",
     "TLS was not started"),
    (28, "530 5.7.57 Client not authenticated to send mail. [host time id]",
     "as logged in"),
    (28, "550 5.7.57 SMTP; Client was not authenticated to send anonymous mail "
         "during MAIL FROM", "as logged in"),
    (29, "535 5.7.3 Authentication unsuccessful [host time id]",
     "the access token or the mailbox"),
    (30, f"535 5.7.139 {OFF} Tenant. Visit https://aka.ms/smtp_auth_disabled "
         "for more information. [host time id]", "whole organization"),
    (31, f"535 5.7.139 {OFF} Mailbox. Visit https://aka.ms/smtp_auth_disabled "
         "for more information. [host time id]", "off for the mailbox"),
    (32, NO + "basic authentication is disabled. [host time id]", "password"),
    (33, NO + "user is locked by your organization's security defaults policy. "
              "Contact your administrator.", "security defaults"),
    (34, NO + "the request did not meet the criteria to be authenticated "
              "successfully. Contact your administrator. [BN9PR03CA0716."
              "namprd03.prod.outlook.com 2026-07-01T01:57:31.695Z "
              "08DED6A3FAA75B29]", "Conditional Access"),
    (35, NO + "the user credentials were incorrect. [host time id]", "wrong"),
    (36, NO + "the organization configuration does not allow this aut",
     "settings forbid"),
    (37, "535 5.7.144 Invalid API permissions", "lacks the permission"),
    (37, "550 5.7.240 app not allowed", "High Volume Email"),
    (37, "550 5.7.62 other sender", "may not send with that"),
    (37, "550 5.6.241 other From", "may not send with that"),
    (37, "550 5.2.240 not an HVE account", "High Volume Email"),
    (38, "535 5.7.3 Authentication unsuccessful - Tenant locked out",
     "locked the organization"),
    (38, "535 5.7.3 Authentication unsuccessful - User not found",
     "no such mailbox"),
    (38, "535 5.7.3 Authentication unsuccessful due to permanent server error.",
     "cannot check this login"),
    (39, "550 5.1.1 User unknown", "no such recipient"),
    (39, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
     "no such recipient"),
    (39, "550 5.4.1 Recipient address rejected: Access denied",
     "does not take mail"),
    (40, "550 5.1.8 Access denied, bad outbound sender", "restricted"),
    (41, "550 5.1.20 Multiple From addresses are not allowed without Sender",
     "several From"),
    (42, "550 5.1.90 Your message can't be sent because you've reached your "
         "daily limit for message recipients", "daily limit"),
    (43, "554 5.2.0 STOREDRV.Submission.Exception:"
         "SubmissionQuotaExceededException …", "daily limit"),
    (43, "550 5.2.2 Submission quota exceeded", "daily limit"),
    (44, SPAM.format("RefuseQuota"), "for some hours"),
    (44, SPAM.format("Suspend"), "suspended"),
    (45, "554 5.2.252 SendAsDenied; a@x not allowed to send as b@x; " + DENIED,
     "may not send with that"),
    (45, "554 5.2.0 " + DENIED, "may not send with that"),
    (46, "550 5.7.60 SMTP; Client does not have permissions to send as this "
         "sender", "may not send with that"),
    (47, "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:"
         "QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
     "sending mailbox itself is full"),
    (47, "554 5.2.2 Mailbox full. Visit https://aka.ms/mailboxfull",
     "sending mailbox itself is full"),
    (48, "552 5.3.4 Message size exceeds fixed maximum message size",
     "larger than the mailbox"),
    (48, "552 5.3.4 Header size exceeds fixed maximum size", "header is larger"),
    (48, "554 5.2.3 STOREDRV.Submission.Exception:MessageSubmissionExceeded"
         "Exception.MapiExceptionMaxSubmissionExceeded", "larger than"),
    (48, "421 4.4.2 Message size limit for this connection reached",
     "larger than"),
    (49, "554 5.6.0 Corrupt message content", "malformed"),
    (49, "554 5.6.0 Invalid message content, contains bare linefeeds", "CRLF"),
    (49, "554 5.6.211 Invalid MIME Content: Single text value size (33061) "
         "exceeded allowed maximum (32768) for the 'X' header", "header field"),
    (49, "550 5.6.11 bare linefeeds", "CRLF"),
    (50, "550 5.2.251 " + THROTTLED.format("mailbox full"), "blocked for a while"),
    (50, "550 5.2.252 " + THROTTLED.format("send as denied"),
     "blocked for a while"),
    (50, "550 5.2.253 " + THROTTLED.format("invalid license"),
     "blocked for a while"),
    (50, "550 5.2.254 " + THROTTLED.format("too many recipients"),
     "blocked for a while"),
    (50, "550 5.2.255 " + THROTTLED.format("invalid recipients"),
     "blocked for a while"),
    (51, "550 5.2.121 recipient gets too much", "in the last hour"),
    (51, "550 5.2.122 recipient gets too much", "in the last hour"),
    (52, "550 5.4.14 Hop count exceeded", "loop"),
    (52, "554 5.4.6 Hop count exceeded - possible mail loop", "loop"),
    (53, "550 5.7.1 Submission has been disabled for this account",
     "blocked for SMTP"),
    (53, "550 5.7.1 Unable to relay", "does not forward"),
    (53, "550 5.7.1 Client does not have permissions to submit mail",
     "right to submit"),
    (53, "550 5.7.64 TenantAttribution; Relay Access Denied",
     "does not forward"),
    (54, "550 5.7.30 Basic authentication is not supported for Client "
         "Submission.", "gone for good"),
    (55, "550 5.7.67 TLS 1.0 and 1.1 are not supported by your organization.",
     "TLS version too old"),
    (56, "550 5.7.232 Your message can't be sent because your trial tenant has "
         "exceeded its daily limit", "external recipients"),
    (56, "550 5.7.233 Your message can't be sent because your tenant has "
         "exceeded its daily limit for sending email to external recipients "
         "(tenant external recipient rate limit)", "external recipients"),
    (57, "550 5.7.501 Access denied, spam abuse detected", "for spam"),
    (57, "550 5.7.502 Access denied, banned sender", "banned the sender"),
    (57, "550 5.7.504 Access denied", "blocked the sender"),
    (57, "550 5.7.512 From must follow RFC 5322", "From field"),
    (57, "550 5.7.606 Access denied, banned sending IP", "network's address"),
    (58, "550 5.7.520 Access denied, Your organization does not allow external "
         "forwarding. Please contact your administrator. AS(7555)",
     "forwarded outside"),
    (59, "550 5.7.703 blocked by Tenant Allow/Block List", "Allow/Block List"),
    (59, "550 5.7.705 Access denied, tenant has exceeded threshold",
     "suspicious mail"),
    (59, "550 5.7.708 Access denied, traffic not accepted from this IP",
     "the tenant is new"),
    (59, "550 5.7.750 Service unavailable. Client blocked from sending from "
         "unregistered domains", "not registered"),
    (60, "550 5.5.0 Requested action not taken: mailbox unavailable", "gone"),
    (61, "550 5.7.515 Access denied, sending domain X doesn't meet the required"
         " authentication level. Spf= Fail , Dkim= Pass , DMARC= Pass", "SPF"),
]

# AADSTS numbers and words of their sentence.
TOKENS = [
    ("70008", "sign-in of 'MAILBOX' has expired"),
    ("700082", "90 days"), ("700084", "single-page"), ("70043", "frequency"),
    ("50173", "revoked"),
    *((code, "multi-factor") for code in
      "50076 50079 50074 50072 50078 50158".split()),
    *((code, "managed device") for code in "53000 53001 53002".split()),
    ("53003", "Conditional Access"), ("53004", "register"),
    ("53011", "risk"), ("530032", "Conditional Access"),
    ("530035", "security defaults"),
    ("65001", "consented"), ("65004", "declined"), ("90094", "administrator"),
    *((code, "no permission") for code in "650052 650056 650057".split()),
    ("7000215", "secret of 'MAILBOX' is wrong"),
    ("7000222", "secret of 'MAILBOX' has expired"),
    ("7000218", "wants a client secret"), ("70002", "credential"),
    ("700025", "public client"), ("7000112", "disabled"),
    ("700016", "not known in this tenant"), ("90002", "tenant"),
    ("50034", "not known"), ("50020", "another tenant"), ("50053", "locked"),
    ("50055", "password"), ("50057", "disabled"), ("50126", "wrong"),
    ("70000", "not valid"), ("70001", "disabled"), ("9002313", "malformed"),
    ("90014", "malformed"), ("900144", "malformed"), ("70011", "scope"),
    ("500011", "Exchange Online"), ("500113", "redirect"),
    ("50011", "redirect"),
    *((code, "another application or tenant") for code in
      "700021 700022 700023".split()),
    ("700024", "outside its time"), ("700027", "certificate"),
    ("700030", "certificate"), ("50012", "credential"),
    ("50013", "credential"), ("70021", "federated"), ("50105", "assigned"),
    ("50196", "over and over"),
    *((code, "passing fault") for code in
      "90033 90006 90012 90024 50033 50087 50088 80005 90090".split()),
    ("90055", "too many"),
]

PAGE = (ROOT / "man/outpost.8").read_text()
KEYS = {key.replace("\\e", "\\")
        for key in re.findall(r'^\.It "(.*)"$', PAGE, re.M)}


def run(*args, input=b""):
    return subprocess.run([BUILD / "outpost", "explain", *args], input=input,
                          capture_output=True, env={
        k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})


def explain(text):
    """The meanings of a text that must be known."""
    done = run("--json", text)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["known"], (text, done)
    assert answer["text"] == text
    return answer["meanings"]


@pytest.mark.parametrize("row, reply, words", REPLIES)
def test_every_reply_finds_its_own_entry(row, reply, words):
    meanings = explain(reply)
    assert any(words in m["sentence"] for m in meanings), meanings
    for m in meanings:
        assert m["sentence"] and m["hint"] and m["kind"] == "reply"
        assert m["match"] in KEYS, m
        assert m["match"] not in ("5xx", "4xx", "any"), m


def test_every_row_of_the_collected_replies_is_tried():
    assert {row for row, _, _ in REPLIES} == set(range(1, 62))


@pytest.mark.parametrize("code, words", TOKENS)
def test_every_token_error_finds_its_own_entry(code, words):
    for text in (code, f"AADSTS{code}",
                 f"'invalid_grant' AADSTS{code}: Some words. Trace ID: "
                 "9e3a1c55-0000-4000-8000-535053505350 Correlation ID: 1"):
        [m] = explain(text)
        assert m["kind"] == "token" and words in m["sentence"], m
        assert m["hint"] and m["match"] in KEYS
        assert code in m["match"].replace("AADSTS", "").split(", ")


@pytest.mark.parametrize("before, after", [
    ("", ""),
    ("Nov 23 21:16:01 web1 outpost/submit[4535]: 1B2C3D4E5F6: "
     "from=<a@contoso.com>, to=<b@example.org>, relay=smtp.office365.com"
     "[52.97.1.2]:587, delay=4.50, dsn=5.7.139, status=deferred (SMTP AUTH is "
     "switched off for the mailbox: ", "), session=08DE2A6028D26C22"),
    ("to=<x@example.org>, host smtp.office365.com[40.99.150.18] said: ",
     " (in reply to AUTH command)"),
    ("smtplib.SMTPAuthenticationError: (", ")"),
    ("sendmail: x: ", "\n  hint: y"),
])
def test_what_stands_around_a_reply_does_no_harm(before, after):
    for reply in (f"535 5.7.139 {OFF} Mailbox.", f"535, b'5.7.139 {OFF} Mailbox.",
                  f"535-5.7.139 {OFF} Mailbox."):
        done = run("--json", before + reply + after)
        [m] = json.loads(done.stdout)["meanings"]
        assert "off for the mailbox" in m["sentence"], m


def test_postfix_tells_what_a_reply_was_for():
    [m] = explain("said: 501 5.5.4 Invalid arguments (in reply to EHLO)")
    assert "gives itself" in m["sentence"]
    [m] = explain("said: 501 5.5.4 Invalid (in reply to RCPT TO command)")
    assert "options malformed" in m["sentence"]


def test_reply_without_its_code_is_told_by_its_words():
    [m] = explain(f"5.7.139 {OFF} Tenant. Visit")
    assert "whole organization" in m["sentence"]
    [m] = explain("MapiExceptionShutoffQuotaExceeded")
    assert "Sent Items" in m["sentence"]


def test_bare_status_lists_all_that_it_may_mean():
    meanings = explain("5.7.139")
    assert len(meanings) == 9
    said = " ".join(m["sentence"] for m in meanings)
    for words in ("the mailbox", "whole organization", "Conditional Access",
                  "security defaults", "password"):
        assert words in said
    assert {m["class"] for m in explain("5.2.252")} == {"throttled", "refused"}
    assert len(explain("554 5.2.252")) == 2
    assert [m["match"] for m in explain("5.7.708")] == ["5xx 5.7.708"]


def test_bare_code_lists_all_that_it_may_mean():
    matches = [m["match"] for m in explain("535")]
    assert "535 5.7.3" in matches and len(matches) > 10
    assert [m["match"] for m in explain("432")] == ["432 (4.3.2)"]
    # 550 says next to nothing, and is not passed off as what it is rarely.
    assert explain("550")[-1]["match"] == "5xx"


def test_two_numbers_in_one_error_are_one_entry():
    [m] = explain("AADSTS70002: Error validating credentials. AADSTS70008: The "
                  "provided authorization code has expired.")
    assert m["match"] == "AADSTS70008"


def test_oauth_names_are_known():
    assert explain("invalid_grant")[0]["match"] == "invalid_grant"
    assert explain('{"error":"consent_required"}')[0]["match"] == "AADSTS65001"
    assert explain("HTTP 429 Too Many Requests")[0]["match"] == "AADSTS90055"


@pytest.mark.parametrize("text, sentence", [
    ("AADSTS99999999: Something unheard of.", "does not know AADSTS99999999"),
    ("99999999", "does not know AADSTS99999999"),
    ("550 5.9.9 never seen", "no entry of its own"),
    ("hello world", "nothing in this text"),
    ("10.0.0.1 port 587", "nothing in this text"),
    ("250 2.0.0 OK", "nothing in this text"),
])
def test_unknown_text_is_said_to_be_unknown(text, sentence):
    done = run(text)
    assert done.returncode == 1
    assert sentence in done.stderr.decode() and b"hint:" in done.stderr
    assert json.loads(run("--json", text).stdout)["known"] is False


def test_person_reads_what_it_means_what_to_do_and_what_outpost_does():
    done = run("535", "5.7.3", "Authentication", "unsuccessful")
    out = done.stdout.decode()
    assert done.returncode == 0 and done.stderr == b""
    assert out.startswith("535 5.7.3\n  means    the server refused the")
    assert "\n  to do    see that 'tenant'" in out
    assert ("\n  Outpost  hold: another access token is tried once; then the "
            "account waits for a person and is tried again after 15 min, "
            "doubling up to 1 h; exit code 77 where it is not queued\n") in out
    assert "\033" not in out


def test_text_may_come_on_standard_input():
    done = run("-", input=b"log: 550 5.1.1 User unknown\n")
    assert done.returncode == 0 and b"no such recipient" in done.stdout


def test_nothing_to_explain_is_wrong_use():
    for args in ((), ("",), ("--json",)):
        done = run(*args)
        assert done.returncode == USAGE and done.stdout == b"", done
        assert b"help explain" in done.stderr


def test_no_configuration_is_needed(tmp_path):
    done = subprocess.run([BUILD / "outpost", "explain", "432"],
                          capture_output=True,
                          env={"OUTPOST_CONFIG": str(tmp_path / "none")})
    assert done.returncode == 0


def test_colours_are_for_terminals(tmp_path):
    def on_terminal(**env):
        import pty
        main, side = pty.openpty()
        subprocess.run([BUILD / "outpost", "explain", "432"], stdout=side,
                       env={"TERM": "xterm", **env}, check=True)
        os.close(side)
        shown = b""
        try:
            while piece := os.read(main, 4096):
                shown += piece
        except OSError:
            pass
        os.close(main)
        return shown
    assert b"\033[1m432" in on_terminal()
    assert b"\033" not in on_terminal(NO_COLOR="1")
    assert b"\033" not in on_terminal(TERM="dumb")


def test_help_shows_the_commands_own_usage():
    done = subprocess.run([BUILD / "outpost", "help", "explain"],
                          capture_output=True, text=True)
    assert "outpost explain [--json] text" in done.stdout
    assert "AADSTS700082" in done.stdout
