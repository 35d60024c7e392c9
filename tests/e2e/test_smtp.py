"""What happens at the server's side: faults, refusals, hints, exit codes."""
import base64
import socket
import time

import pytest

from support import ACCOUNT, NOPERM, NOUSER, OK

SIMPLE = "To: a@example.org\nSubject: hello\n\nBody\n"


def queued(outpost, office, fault=None, message=SIMPLE):
    """Send under a fault; the message must wait in the queue."""
    if fault:
        office.fault(fault)
    result = outpost.sendmail("-t", input=message)
    assert result.code == OK, result
    [entry] = outpost.waiting()
    assert f"queued as {entry.id}: " in result.err, result
    assert "hint: " in result.err, result
    assert result.out == ""
    return result


def refused(outpost, office, fault, *recipients):
    """Send under a fault; nothing may have been accepted."""
    office.fault(fault)
    result = outpost.sendmail("-t", *recipients, input=SIMPLE)
    assert result.code != OK, result
    assert office.messages == []
    assert "hint: " in result.err, result
    return result


@pytest.mark.parametrize("fault", [
    "at connect close", "at banner garbage", "at banner close",
    "at banner reply 421 4.3.2 Service not active [host]",
    "at EHLO close", "at STARTTLS close", "at TLS close", "at EHLO2 close",
    "at AUTH close", "at AUTH row 15",
    "at MAIL row 5", "at MAIL close", "at RCPT row 12", "at DATA close",
    "at BODY row 9", "at BODY row 14",
    "at BODY close", "at banner longline 100000", "at EHLO2 garbage",
    "at DATA reply \"250 ok\"", "at EHLO2 reply \"354 go\"",
    'at EHLO append "220 more\\r\\n"',
])
def test_what_time_heals_is_queued(outpost, office, fault):
    outpost.set_main(patience="3s")
    queued(outpost, office, fault)
    assert office.messages == []
    [entry] = outpost.waiting()
    assert entry.body == b"Body\r\n"
    assert b"Subject: hello\r\n" in entry.header
    assert entry.pending == ["a@example.org"]
    assert entry.record["attempts"] == "1"


def test_a_connection_lost_within_the_content_is_queued(outpost, office):
    queued(outpost, office, "at CONTENT close after 100000",
           SIMPLE + "x\n" * 5000000)
    assert office.messages == []
    [entry] = outpost.waiting()
    assert len(entry.body) == len(b"Body\r\n") + 3 * 5000000


def test_a_server_that_is_not_there_has_the_message_queued(outpost, office):
    outpost.set(port="1")
    result = queued(outpost, office)
    assert "localhost" in result.err and "refused" in result.err


def test_a_host_without_an_address_has_the_message_queued(outpost, office):
    outpost.set(host="nowhere.invalid").set_main(patience="10s")
    assert "nowhere.invalid" in queued(outpost, office).err


@pytest.mark.parametrize("reply", [
    "454 4.7.0 cannot do AUTH XOAUTH2 {login}", "454 4.7.0 no {login:.90}",
    "454 4.7.0 token {token}", "bad command AUTH XOAUTH2 {login}"])
def test_a_server_that_repeats_the_login_is_not_quoted(outpost, office, reply):
    token = outpost.run("outpost", "token").out.strip()
    login = base64.b64encode(
        f"user={ACCOUNT}\1auth=Bearer {token}\1\1".encode()).decode()
    office.fault(f'at AUTH reply "{reply.format(login=login, token=token)}"')
    result = outpost.sendmail("-v", "-t", input=SIMPLE)
    assert result.code == OK and "***" in result.err
    said = result.err + (outpost.folder / "mail.log").read_text()
    for secret in (login, token):
        assert not any(secret[i:i + 20] in said
                       for i in range(0, len(secret) - 20, 20))


@pytest.mark.parametrize("says, sentence", [
    (b"\x15\x03\x03\x00\x02\x02\x28", "TLS from the first byte"),
    (b"HTTP/1.1 400 Bad", "a web server"),
    (b"", "did not answer in time"),
])
def test_a_server_of_another_protocol_is_called_so(outpost, office, says,
                                                   sentence):
    """It never ends its line, and is not waited for but where it is mute."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        outpost.set(port=server.getsockname()[1])
        outpost.set_main(patience="1s" if says == b"" else "5m")
        sendmail = outpost.start("sendmail", "a@example.org")
        sendmail.stdin.write(b"Subject: x\n\nx\n")
        sendmail.stdin.close()
        server.settimeout(60)
        connection, _ = server.accept()
        with connection:
            connection.sendall(says)
            assert sendmail.wait(60) == OK
    text = sendmail.stderr.read().decode()
    sendmail.stderr.close()
    sendmail.stdout.close()
    assert sentence in text and "'port'" in text


def test_a_silent_server_is_not_waited_for_longer_than_patience(outpost,
                                                                office):
    outpost.set_main(patience="1s")
    queued(outpost, office, "at EHLO stall")


def test_a_slow_line_may_take_longer_than_patience(outpost, office):
    """Patience is for getting through to the server; content that gets on is
    sent to its end."""
    outpost.set_main(patience="1s")
    office.fault("at CONTENT stall 2")
    result = outpost.sendmail("-t", input=SIMPLE + "x\n" * 5000000)
    assert result.code == OK, result
    assert len(office.messages[0].body) > 15000000


def test_every_recipient_refused_exits_67_with_the_servers_words(outpost,
                                                                 office):
    result = refused(outpost, office, "at RCPT reply 550 5.1.10 "
                     "RESOLVER.ADR.RecipientNotFound")
    assert result.code == NOUSER
    assert "RecipientNotFound" in result.err


def test_a_refused_recipient_does_not_stop_the_others(outpost, office):
    office.fault("at RCPT b@example.org reply 550 5.1.1 User unknown")
    result = outpost.sendmail("a@example.org", "b@example.org",
                              "c@example.org", input="Subject: s\n\nB\n")
    assert result.code == OK, result
    assert office.messages[0].addresses == ["a@example.org", "c@example.org"]
    assert "<b@example.org>" in result.err and "User unknown" in result.err


def test_a_deferred_recipient_is_queued_though_others_got_it(outpost, office):
    office.fault("at RCPT b@example.org reply 451 4.3.0 later")
    result = outpost.sendmail("a@example.org", "b@example.org",
                              input="Subject: s\n\nB\n")
    assert result.code == OK, result
    assert "b@example.org" in result.err and "queued as " in result.err
    assert office.messages[0].addresses == ["a@example.org"]
    [entry] = outpost.waiting()
    assert entry.pending == ["b@example.org"]


def test_send_as_denied_names_what_to_run(outpost, office):
    outpost.set(send_as="boss@contoso.com")      # Exchange knows no such right
    result = outpost.sendmail("-t", input="From: boss@contoso.com\n" + SIMPLE)
    assert result.code == NOPERM, result
    assert "SendAs" in result.err
    assert "BeginDiagnosticData" not in result.err
    assert len(office.sessions) == 1


def test_a_denied_from_is_foreign_for_the_next_messages(outpost, office):
    """Exchange blocks mailboxes that repeat a From they may not use."""
    outpost.set(send_as="boss@contoso.com, sales@contoso.com")
    office.mailbox(ACCOUNT).send_as.append("sales@contoso.com")
    message = "From: Boss <boss@contoso.com>\n" + SIMPLE
    assert outpost.sendmail("-t", input=message).code == NOPERM
    m = outpost.send(message)
    assert m.mail_from == ACCOUNT
    assert m.header("From") == [f"Boss <{ACCOUNT}>"]
    assert m.header("Reply-To") == ["Boss <boss@contoso.com>"]
    assert m.header("X-Original-From") == ["Boss <boss@contoso.com>"]
    assert outpost.send(message, "-f", "boss@contoso.com").mail_from == ACCOUNT
    assert len(office.sessions) == 3
    assert sum(b"SendAsDenied" in line for session in office.sessions
               for _, line in session.transcript) == 1
    log = (outpost.folder / "mail.log").read_text()
    assert "from=<boss@contoso.com>: goes out as" in log
    other = outpost.send("From: sales@contoso.com\n" + SIMPLE)
    assert other.header("From") == ["sales@contoso.com"], "others are not concerned"


def test_a_denial_that_names_no_address_is_of_the_one_from(outpost, office):
    outpost.set(send_as="boss@contoso.com")
    office.mailbox(ACCOUNT).send_as.append("boss@contoso.com")
    office.fault("at BODY reply 550 5.7.60 SMTP; Client does not have "
                 "permissions to send as this sender times 2")
    assert outpost.sendmail("-t", input=SIMPLE).code == NOPERM
    message = "From: Boss <boss@contoso.com>\n" + SIMPLE
    result = outpost.sendmail("-t", "-f", ACCOUNT, input=message)
    assert result.code == NOPERM, result
    m = outpost.send(message)
    assert m.mail_from == ACCOUNT
    assert m.header("From") == [f"Boss <{ACCOUNT}>"]


def test_a_denied_from_is_rejected_where_foreign_ones_are(outpost, office):
    outpost.set(send_as="boss@contoso.com", foreign_from="reject")
    message = "From: boss@contoso.com\n" + SIMPLE
    for sessions in (1, 1):
        result = outpost.sendmail("-t", input=message)
        assert result.code == NOPERM, result
        assert "Add-RecipientPermission" in result.err
        assert len(office.sessions) == sessions


def test_smtp_auth_disabled_for_the_mailbox_names_the_command(outpost, office):
    office.mailbox(ACCOUNT).smtp_auth_disabled = True
    result = queued(outpost, office)
    assert f"Set-CASMailbox" in result.err and ACCOUNT in result.err
    assert "SmtpClientAuthenticationDisabled" in result.err


def test_the_challenge_of_a_334_is_answered(outpost, office):
    queued(outpost, office, 'at AUTH challenge {"status":"401"} always')
    assert office.messages == []


def test_a_server_with_a_short_line_limit_gets_the_two_step_form(tmp_path):
    from m365 import Microsoft365
    from support import Outpost
    with Microsoft365(tmp_path / "m365", auth_line_limit=512) as office:
        m = Outpost(tmp_path, office).send(SIMPLE)
        assert m.body == b"Body\r\n"
        assert m.session.trips.count("AUTH-data") == 1


def test_the_two_step_form_is_remembered_for_the_host(tmp_path):
    from m365 import Microsoft365
    from support import Outpost
    with Microsoft365(tmp_path / "m365", auth_line_limit=512) as office:
        outpost = Outpost(tmp_path, office)
        first, second = (outpost.send(SIMPLE).session for _ in range(2))
        too_long, start = "?", "AUTH"
        assert (first.trips.count(too_long), first.trips.count(start)) == (1, 1)
        assert (second.trips.count(too_long), second.trips.count(start)) \
            == (0, 1)


def test_state_that_cannot_be_kept_stops_no_mail(tmp_path):
    from m365 import Microsoft365
    from support import Outpost
    with Microsoft365(tmp_path / "m365", auth_line_limit=512) as office:
        outpost = Outpost(tmp_path, office)
        (outpost.state / "state").write_text("in the way")
        for _ in range(2):
            result = outpost.sendmail("-t", input=SIMPLE)
            assert result.code == OK and result.err == "", result
        assert "state" in (outpost.folder / "mail.log").read_text()


def test_bytes_behind_the_starttls_reply_end_the_session(outpost, office):
    result = queued(outpost, office,
                    r"at STARTTLS append 250-AUTH LOGIN XOAUTH2\r\n always")
    assert "STARTTLS" in result.err
    assert "AUTH XOAUTH2" not in office.sessions[0].commands


def test_without_starttls_nothing_is_said_in_clear(outpost, office):
    queued(outpost, office, "at EHLO no-extension STARTTLS always")
    assert {c.split()[0] for c in office.sessions[0].commands} == {"EHLO"}


def test_without_pipelining_commands_go_one_by_one(outpost, office):
    office.fault("at EHLO2 no-extension PIPELINING always")
    m = outpost.send(SIMPLE)
    assert m.session.round_trips == 11, m.session.trips


@pytest.mark.parametrize("certificate, word", [
    ("wrong-name", "localhost"), ("expired", "expired"),
    ("untrusted", "certificate")])
def test_a_bad_certificate_stops_everything(tmp_path, certificate, word):
    from m365 import Microsoft365
    from support import Outpost
    with Microsoft365(tmp_path / "m365",
                      smtp_certificate=certificate) as office:
        assert word in queued(Outpost(tmp_path, office), office).err
        assert office.messages == []
        assert all(s.user is None for s in office.sessions)


def test_a_reply_cut_in_single_bytes_is_understood(outpost, office):
    for stage in ("banner", "EHLO", "STARTTLS", "EHLO2", "AUTH", "MAIL", "RCPT",
                  "DATA", "BODY"):
        office.fault(f"at {stage} split")
    assert outpost.send(SIMPLE).body == b"Body\r\n"


def test_a_refusal_of_two_kilobytes_is_told_in_its_essence(outpost, office):
    office.fault("at BODY reply 554 5.2.252 SendAsDenied; a@x not allowed to "
                 "send as b@x; [BeginDiagnosticData]" + "y" * 1700 +
                 "[EndDiagnosticData] [host time id]")
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == NOPERM, result
    assert "SendAsDenied" in result.err and "yyy" not in result.err


def test_an_accepted_message_without_a_reply_is_said_to_be_uncertain(outpost,
                                                                     office):
    queued(outpost, office, "at BODY accept-then-close")
    assert len(office.messages) == 1
    [entry] = outpost.waiting()
    assert entry.next >= time.time() + 800        # 15 minutes, about


def test_a_rejected_token_is_renewed_once(outpost, office):
    outpost.send(SIMPLE)
    assert len(office.token_requests) == 1
    office.fault("at AUTH reply 535 5.7.3 Authentication unsuccessful")
    cache = next((outpost.state / "tokens").iterdir())
    age_token(cache)
    outpost.send(SIMPLE)
    assert len(office.token_requests) == 2
    assert len(office.messages) == 2


def age_token(path, seconds=1000):
    """Make the cached token look as if it had been issued so long ago."""
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        if line.startswith("issued: "):
            lines[i] = f"issued: {int(line[8:]) - seconds}"
    path.write_text("\n".join(lines) + "\n")


def test_a_fresh_token_that_is_rejected_is_not_renewed(outpost, office):
    office.fault("at AUTH reply 535 5.7.3 Authentication unsuccessful always")
    queued(outpost, office)
    assert len(office.token_requests) == 1
    assert len([s for s in office.sessions]) == 1


def test_v_shows_the_dialogue_and_hides_the_token(outpost, office):
    result = outpost.sendmail("-v", "-t", input=SIMPLE)
    assert result.code == OK
    for line in ("S: 220 ", "C: EHLO ", "C: STARTTLS", "C: AUTH XOAUTH2 ***",
                 f"C: MAIL FROM:<{ACCOUNT}>", "S: 250 2.0.0 OK"):
        assert line in result.err, result.err
    assert "dXNlcj" not in result.err
    assert result.out == ""


def test_the_log_has_a_line_a_recipient_in_postfix_form(outpost, office):
    import re
    office.fault("at RCPT b@example.org reply 550 5.1.1 User unknown")
    outpost.sendmail("a@example.org", "b@example.org", input="\nB\n")
    log = (outpost.folder / "mail.log").read_text()
    assert re.search(r": [0-9A-Za-z]{16}: from=<alerts@contoso.com>, "
                     r"to=<a@example.org>, relay=localhost\[127\.0\.0\.1\]:"
                     r"\d+, delay=[\d.]+, dsn=2\.0\.0, status=sent \(250 ", log)
    assert re.search(r"to=<b@example.org>.* dsn=5\.1\.1, status=bounced \(",
                     log)
    assert "Hostname=" in log or "session=" in log
