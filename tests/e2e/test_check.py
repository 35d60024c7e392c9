"""outpost check: each step that can fail says what failed, what the server
said, why, and which command to run; what it makes senseless is skipped."""
import json
import os
import time

import pytest

from m365 import Microsoft365
from support import ACCOUNT, APP, CONFIG, USAGE, Outpost

FINE, WARNINGS, FAILED = 0, 1, 2
STEPS = ["files", "aliases", "dns", "tcp", "banner", "tls", "xoauth2",
         "clock", "token", "claims", "auth", "sender"]
SMTP = ["tcp", "banner", "tls", "xoauth2", "auth", "sender"]


class Report:
    """What --json says: verdicts by step, and the findings that are not ok."""

    def __init__(self, result):
        self.result, self.code = result, result.code
        self.answer = json.loads(result.out)
        self.verdicts = {}
        for f in self.answer["steps"]:
            self.verdicts.setdefault(f["step"], []).append(f["verdict"])
        self.bad = [f for f in self.answer["steps"]
                    if f["verdict"] not in ("ok", "skipped")]

    def skipped(self):
        return [s for s, v in self.verdicts.items() if v == ["skipped"]]

    def __repr__(self):
        return repr(self.result)


def check(outpost, *args):
    report = Report(outpost.run("outpost", "check", "--json", *args))
    assert report.result.err == "", report
    # A person is told the same.
    shown = outpost.run("outpost", "check", *args)
    for f in report.bad:
        assert f["text"] and f["hint"], f
    return report, shown.out


def failure(outpost, step, *args, skipped=(), code=FAILED):
    """The one finding of a check that is not ok."""
    report, shown = check(outpost, *args)
    assert report.code == code, report
    assert [f["step"] for f in report.bad] == [step], report
    assert report.skipped() == list(skipped), report
    assert report.answer["result"] == ("failed" if code == 2 else "warning")
    [found] = report.bad
    assert ("FAILED" if code == 2 else "warning") in shown
    # Numbers may have changed meanwhile.
    assert found["text"].split(": ")[0].split()[-1] in shown
    assert "\033" not in shown
    return found


def sign_in(person, office, user=ACCOUNT):
    office.auto_approve = user
    assert person.run("outpost", "login").code == 0
    office.forget()
    return person


# Where all is well

def test_all_steps_in_order_and_nothing_is_sent(outpost, office):
    report = Report(outpost.run("outpost", "check", "--json"))
    assert report.code == FINE and report.answer["result"] == "ok", report
    assert report.answer["account"] == ACCOUNT
    assert list(report.verdicts) == STEPS
    assert office.messages == []
    [session] = office.sessions
    asked = [c for c in session.commands if c != "QUIT"]
    assert asked[-2:] == [f"MAIL FROM:<{ACCOUNT}>", "RSET"]
    assert not office.violations


def test_person_sees_the_facts_of_each_step(outpost, office):
    result = outpost.run("outpost", "check", ACCOUNT)
    assert result.code == FINE and result.err == ""
    for line in ("ok        files    ", "ok        dns      localhost is ",
                 f"ok        tcp      127.0.0.1 port {office.smtp_port}\n",
                 "ok        banner   220 SY5P282CA0097.outlook.office365.com ",
                 "ok        tls      TLSv1.3 ", "certificate for localhost, 127",
                 " by CN=Outpost test root, ", " days left\n",
                 "ok        xoauth2  250-AUTH LOGIN XOAUTH2\n",
                 "ok        clock    ", "ok        token    made now, ",
                 " minutes left\n", f"appid {APP}, roles SMTP.SendAsApp\n",
                 f"tid {office.tenant}", "aud https://outlook.office365.com",
                 "ok        auth     235 2.7.0 Authentication successful\n",
                 "ok        sender   ", "\nok: 12, failed: 0, warnings: 0, "):
        assert line in result.out, line
    result = outpost.run("outpost", "check")
    assert "token    from the cache, " in result.out


def test_send_sends_one_message(outpost, office):
    result = outpost.run("outpost", "check", "--send", "you@example.org")
    assert result.code == FINE, result
    [m] = office.messages
    assert m.mail_from == ACCOUNT and m.addresses == ["you@example.org"]
    assert m.header("From") == [f"<{ACCOUNT}>"]
    assert m.header("Subject")[0].startswith("Test from ")
    assert m.header("Auto-Submitted") == ["auto-generated"]
    assert m.header("Date") and m.header("Message-ID")
    assert f"ok        message  250 2.0.0 OK {m.message_id}" in result.out
    assert not office.violations


def test_shows_no_token_and_no_secret(outpost, office):
    shown = outpost.run("outpost", "check").out
    assert "eyJ" not in shown and outpost.secret.read_text().strip() not in shown


def test_token_of_a_personal_account_says_nothing_and_is_fine(tmp_path):
    with Microsoft365(tmp_path / "m365", profile="outlook") as office:
        outpost = Outpost(tmp_path, office)
        outpost.accounts = {office.default_user: {
            "client_id": office.client_id}}
        outpost.write()
        office.auto_approve = office.default_user
        assert outpost.run("outpost", "login").code == 0
        report = Report(outpost.run("outpost", "check", "--json"))
        assert report.code == FINE, report
        assert "says nothing of itself" in str(report.answer)


# The steps, one by one

def test_host_without_address(outpost, office):
    found = failure(outpost.set(host="nowhere.invalid"), "dns", skipped=SMTP)
    assert "'nowhere.invalid' has no address" in found["text"]
    assert "cannot look up" in found["cause"]
    assert "run 'getent ahosts nowhere.invalid'" in found["hint"]


def test_refused_connection(outpost, office):
    found = failure(outpost.set(port="1"), "tcp", skipped=SMTP[1:])
    assert found["text"] == "no connection to localhost port 1"
    assert "refused" in found["cause"]
    assert '</dev/tcp/localhost/1' in found["hint"]
    assert "firewall" in found["hint"]


def test_banner_that_refuses(outpost, office):
    office.fault("at banner reply 421 4.3.2 Service not active always")
    found = failure(outpost, "banner", skipped=SMTP[2:])
    assert found["server"] == "421 4.3.2 Service not active"
    assert found["cause"] == "the server is going out of service for a while"


def test_something_else_than_smtp(outpost, office):
    office.fault("at banner reply HTTP/1.1 400 Bad Request always")
    found = failure(outpost, "banner", skipped=SMTP[2:])
    assert "not SMTP" in found["cause"] and "proxy" in found["hint"]


def test_no_starttls(outpost, office):
    office.fault("at EHLO no-extension STARTTLS always")
    found = failure(outpost, "banner", skipped=SMTP[2:])
    assert "does not offer STARTTLS" in found["cause"]
    assert found["server"].startswith("220 SY5P282CA0097")
    assert (f"run 'openssl s_client -starttls smtp -connect localhost:"
            f"{office.smtp_port} -servername localhost </dev/null'"
            in found["hint"])


@pytest.mark.parametrize("certificate, text, cause", [
    ("untrusted", "by CN=Another root", "cannot be trusted"),
    ("self-signed", "by CN=localhost", "self-signed"),
    ("wrong-name", "certificate for other.example by", "mismatch"),
    ("expired", "-3 days left", "expired"),
])
def test_certificate(tmp_path, certificate, text, cause):
    with Microsoft365(tmp_path / "m365",
                      smtp_certificate=certificate) as office:
        found = failure(Outpost(tmp_path, office), "tls", skipped=SMTP[3:])
        assert text.replace("-3", "-2") in found["text"] or \
            text in found["text"]
        assert cause in found["cause"]
        assert "run 'openssl s_client -starttls smtp" in found["hint"]


def test_tls_that_breaks_off(outpost, office):
    office.fault("at TLS close always")
    found = failure(outpost, "tls", skipped=SMTP[3:])
    assert "no certificate" in found["text"] and "lost" in found["cause"]


def test_no_xoauth2(outpost, office):
    office.fault("at EHLO2 no-extension AUTH always")
    found = failure(outpost, "xoauth2", skipped=["auth", "sender"])
    assert "does not offer AUTH XOAUTH2" in found["text"]
    assert "openssl s_client" in found["hint"] and "587" in found["hint"]


@pytest.mark.parametrize("offset, words", [(4000, "behind"),
                                           (-4000, "ahead of")])
def test_clock_that_is_off(outpost, office, offset, words):
    office.fault(f"at token date-offset {offset} always")
    found = failure(outpost, "clock", code=WARNINGS)
    assert words in found["text"] and found["text"].startswith(
        ("3999", "4000", "4001"))
    assert "run 'timedatectl set-ntp true'" in found["hint"]


def test_authority_that_cannot_be_reached(outpost, office):
    """The cached token still serves; the next one will not come."""
    assert outpost.run("outpost", "token").code == 0
    outpost.set(authority="https://localhost:1")
    report, _ = check(outpost)
    assert report.code == FAILED
    assert [f["step"] for f in report.bad] == ["clock", "token"], report
    assert "localhost:1" in report.bad[0]["text"]
    assert "443" in report.bad[0]["hint"]


def test_nobody_signed_in(person, office):
    found = failure(person, "token", skipped=["claims", "auth", "sender"])
    assert "has not signed in" in found["cause"]
    assert found["hint"] == f"run 'outpost login {ACCOUNT}'"


def test_sign_in_that_expired(person, office):
    sign_in(person, office)
    (person.state / "tokens" / ACCOUNT).unlink()
    office.revoke(ACCOUNT)
    found = failure(person, "token", skipped=["claims", "auth", "sender"])
    assert "AADSTS50173" in found["cause"]
    assert f"run 'outpost login {ACCOUNT}'" in found["hint"]


def test_wrong_secret(outpost, office):
    outpost.secret.write_text("wrong\n")
    found = failure(outpost, "token", skipped=["claims", "auth", "sender"])
    assert "AADSTS7000215" in found["cause"] and "Value" in found["hint"]


def refused_with_a_reason(outpost, *args):
    """AUTH says 5.7.3 alone, and the claims have told why."""
    report, _ = check(outpost, *args)
    assert report.code == FAILED
    assert [f["step"] for f in report.bad] == ["claims", "auth"], report
    claims, auth = report.bad
    assert claims["verdict"] == "warning" and auth["verdict"] == "failed"
    assert auth["server"].startswith("535 5.7.3 Authentication unsuccessful [")
    assert auth["cause"] == claims["text"] and auth["hint"] == claims["hint"]
    assert report.skipped() == ["sender"]
    return auth


def test_token_for_graph(outpost, office):
    office.fault("at token graph-audience always")
    auth = refused_with_a_reason(outpost)
    assert "for Microsoft Graph" in auth["cause"]
    assert "take 'scope'" in auth["hint"] and "outpost check" in auth["hint"]


def test_token_of_a_person_for_graph(person, office):
    office.fault("at token graph-audience always")
    sign_in(person, office)
    auth = refused_with_a_reason(person)
    assert f"run 'outpost login {ACCOUNT}'" in auth["hint"]


def test_token_without_roles(outpost, office):
    office.fault("at token no-roles always")
    auth = refused_with_a_reason(outpost)
    assert "no permission to send (SMTP.SendAsApp): it has none" in auth["cause"]
    assert f"/adminconsent?client_id={APP}" in auth["hint"]
    assert "New-ManagementRoleAssignment" in auth["hint"]


def test_roles_may_be_missing_where_exchange_grants_by_itself(outpost, office):
    office.directory.app(APP).rbac.append(ACCOUNT)
    office.directory.app(APP).roles.clear()
    found = failure(outpost, "claims", code=WARNINGS)
    assert "SMTP.SendAsApp" in found["text"]


def test_person_without_permission(person, office):
    office.auto_approve = ACCOUNT
    office.fault("at token narrow-scope always")
    assert person.run("outpost", "login").code == 0
    auth = refused_with_a_reason(person)
    assert "(SMTP.Send): it has User.Read" in auth["cause"]
    assert f"run 'outpost login {ACCOUNT}'" in auth["hint"]


def test_other_user_signed_in(person, office):
    office.add_mailbox("bob@contoso.com")
    sign_in(person, office, "bob@contoso.com")
    auth = refused_with_a_reason(person)
    assert "bob@contoso.com signed in, not " + ACCOUNT in auth["cause"]
    assert f"run 'outpost login {ACCOUNT}' and sign in as" in auth["hint"]
    assert (f"Add-MailboxPermission -Identity {ACCOUNT} -User bob@contoso.com "
            "-AccessRights FullAccess") in auth["hint"]


def test_other_user_with_the_right_is_a_warning(person, office):
    office.add_mailbox("bob@contoso.com")
    office.mailbox(ACCOUNT).delegates.append("bob@contoso.com")
    sign_in(person, office, "bob@contoso.com")
    found = failure(person, "claims", code=WARNINGS)
    assert "bob@contoso.com signed in" in found["text"]


def test_application_that_exchange_does_not_know(outpost, office):
    office.directory.app(APP).mailboxes.clear()
    found = failure(outpost, "auth", skipped=["sender"])
    assert "object id" in found["cause"] and "up to an hour" in found["cause"]
    assert f"New-ServicePrincipal -AppId {APP} -ObjectId " in found["hint"]
    assert f"Add-MailboxPermission -Identity {ACCOUNT} -User " in found["hint"]


@pytest.mark.parametrize("whose, command", [
    ("tenant", "Set-TransportConfig -SmtpClientAuthenticationDisabled $false"),
    ("mailbox", f"Set-CASMailbox {ACCOUNT} -SmtpClientAuthenticationDisabled "
                "$false"),
])
def test_smtp_auth_disabled(outpost, office, whose, command):
    if whose == "tenant":
        office.organization.smtp_auth_disabled = True
    else:
        office.mailbox(ACCOUNT).smtp_auth_disabled = True
    found = failure(outpost, "auth", skipped=["sender"])
    assert f"disabled for the {whose.title()}." in found["server"]
    assert "SMTP AUTH is switched off" in found["cause"]
    assert "535" not in found["cause"]
    assert f"run '{command}'" in found["hint"]


def test_conditional_access(outpost, office):
    office.mailbox(ACCOUNT).conditional_access = True
    found = failure(outpost, "auth", skipped=["sender"])
    assert "Conditional Access" in found["cause"]
    assert "sign-in log" in found["hint"]


def test_rejected_token_gets_one_more_try(outpost, office):
    outpost.run("outpost", "token")
    path = outpost.state / "tokens" / ACCOUNT
    lines = path.read_text().splitlines()
    path.write_text("\n".join(
        f"issued: {int(line[8:]) - 1000}" if line.startswith("issued: ")
        else line for line in lines) + "\n")
    office.fault("at AUTH row 29")
    assert outpost.run("outpost", "check").code == FINE


def test_sender_that_is_refused(outpost, office):
    office.fault("at MAIL row 46 always")
    found = failure(outpost, "sender")
    assert found["text"] == f"MAIL FROM:<{ACCOUNT}> is not taken"
    assert found["server"].startswith("550 5.7.60 ")
    assert "Add-RecipientPermission" in found["hint"]


def test_message_that_is_refused(outpost, office):
    office.fault("at BODY row 45 always")
    found = failure(outpost, "message", "--send", "you@example.org")
    assert found["text"] == "the message to you@example.org is not taken"
    assert found["server"].startswith("554 5.2.252 SendAsDenied")
    assert "may not send with that" in found["cause"]
    assert "Add-RecipientPermission" in found["hint"]
    assert office.messages == []


def test_recipient_that_is_refused(outpost, office):
    office.fault("at RCPT reply 550 5.1.1 User unknown always")
    found = failure(outpost, "message", "--send", "nobody@example.org")
    assert found["cause"] == "there is no such recipient"
    assert found["hint"] == "check the address"


def test_without_a_sender_no_message_is_sent(outpost, office):
    office.fault("at MAIL row 46 always")
    failure(outpost, "sender", "--send", "you@example.org",
            skipped=["message"])


def test_server_that_hangs_up_while_the_token_is_made(outpost, office):
    """A failure without words of the server."""
    office.fault("at AUTH close always")
    found = failure(outpost, "auth", skipped=["sender"])
    assert found["server"] == "" and "lost" in found["cause"]


# Files

def test_configuration_that_cannot_be_read(outpost, office):
    outpost.config.write_text("[outpost]\ntennant = x\n")
    found = failure(outpost, "files", skipped=STEPS[1:])
    assert f"{outpost.config}:2: unknown key" in found["cause"]
    assert office.sessions == []


def test_configuration_that_others_may_write(outpost, office):
    outpost.config.chmod(0o666)
    found = failure(outpost, "files", code=WARNINGS)
    assert "has mode 666, not 644" in found["text"]
    assert found["hint"] == f"run 'chmod 644 {outpost.config}'"


def test_folder_of_secrets_that_others_may_read(person, office):
    sign_in(person, office)
    (person.state / "secrets").chmod(0o755)
    found = failure(person, "files", code=WARNINGS)
    assert found["hint"] == f"run 'chmod 700 {person.state}/secrets'"


@pytest.mark.parametrize("folder", ["queue", "state", "tokens"])
def test_folder_that_its_owner_cannot_write(person, office, folder):
    sign_in(person, office)
    person.run("outpost", "check")
    path = person.queue if folder == "queue" else person.state / folder
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o500)
    report, _ = check(person)
    assert report.bad[0]["hint"] == f"run 'chmod 700 {path}'"
    assert report.bad[0]["cause"] == "its owner cannot use it"


def test_secret_that_others_may_read(outpost, office):
    outpost.secret.chmod(0o644)
    report, _ = check(outpost)
    assert [f["step"] for f in report.bad] == ["files", "token"]
    assert report.bad[0]["hint"] == f"run 'chmod 600 {outpost.secret}'"


def test_secret_that_is_missing(outpost, office):
    outpost.secret.unlink()
    report, _ = check(outpost)
    assert [f["step"] for f in report.bad] == ["files", "token"]
    assert "is not there" in report.bad[0]["text"]
    assert report.bad[1]["hint"].startswith("write it, with mode 600")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_folder_that_belongs_to_another(person, office):
    sign_in(person, office)
    os.chown(person.state / "tokens", 12345, 12345)
    found = failure(person, "files", code=WARNINGS)
    assert "belongs to 12345, not root" in found["text"]
    assert found["hint"] == f"run 'chown root {person.state}/tokens'"


def test_sign_in_that_nobody_used_for_long(person, office):
    sign_in(person, office)
    then = time.time() - 80 * 86400
    os.utime(person.state / "secrets" / ACCOUNT, (then, then))
    found = failure(person, "files", code=WARNINGS)
    assert "80 days ago" in found["text"] and "outpost token" in found["hint"]


def test_log_that_is_missing(outpost, office):
    (outpost.folder / "mail.log").unlink()
    found = failure(outpost, "files", code=WARNINGS)
    assert found["hint"] == f"run 'touch {outpost.folder}/mail.log'"


# Use

def test_account_that_is_not_there(outpost):
    result = outpost.run("outpost", "check", "nobody@contoso.com")
    assert result.code == CONFIG and ACCOUNT in result.err


@pytest.mark.parametrize("args", [("--snd",), ("a@b.c", "d@e.f"), ("--send",),
                                  ("--send", "not an address")])
def test_wrong_use(outpost, office, args):
    result = outpost.run("outpost", "check", *args)
    assert result.code == USAGE and result.out == "", result
    assert office.sessions == []
