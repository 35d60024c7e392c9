import re
import socket
import ssl
import warnings

import pytest

from selftest_client import MESSAGE, Client, blob


def test_banner_and_ehlo_are_exchanges_own(client):
    assert re.fullmatch(
        r"220 SY5P282CA0097.outlook.office365.com Microsoft ESMTP MAIL Service "
        r"ready at \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000 \[[0-9A-F]{16}\]",
        client.reply())
    assert client.cmd("EHLO x").split("\n") == [
        "250-SY5P282CA0097.outlook.office365.com Hello [127.0.0.1]",
        "250-SIZE 157286400", "250-PIPELINING", "250-DSN",
        "250-ENHANCEDSTATUSCODES", "250-STARTTLS", "250-8BITMIME",
        "250-BINARYMIME", "250-CHUNKING", "250 SMTPUTF8"]


def test_auth_takes_the_place_of_starttls_after_tls(client):
    lines = client.hello().ehlo2.split("\n")
    assert lines[5] == "250-AUTH LOGIN XOAUTH2"
    assert "STARTTLS" not in client.ehlo2


def test_old_banner_has_no_session_id(start):
    with Client(start(old_banner=True)) as c:
        assert c.reply().endswith("+0000")


def test_message_arrives_as_sent(m, client):
    client.ready()
    body = MESSAGE + b".leading dot\r\n..two\r\n\r\n"
    assert client.message(body, " SIZE=200 BODY=8BITMIME RET=HDRS ENVID=a+2Bb") \
        == ("250 2.0.0 OK <one@client.example> "
            "[Hostname=SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM]")
    message, = m.wait_messages(1)
    assert message.raw == body
    assert message.mail_from == message.user == "alerts@contoso.com"
    assert message.addresses == ["bob@fabrikam.com"]
    assert message.mail_parameters["BODY"] == "8BITMIME"
    assert message.header("subject") == ["hello"]
    assert message.body.startswith(b"body\r\n.leading dot")
    assert message.tls_version == "TLSv1.3"
    assert message.violations == []


def test_good_client_needs_nine_round_trips(m, client):
    client.ready()
    client.send(b"MAIL FROM:<alerts@contoso.com>\r\nRCPT TO:<b@c.de>\r\nDATA\r\n")
    client.reply(), client.reply(), client.reply()
    client.content(MESSAGE)
    session = m.sessions[0]
    assert session.trips == ["connect", "banner", "EHLO", "STARTTLS", "TLS",
                             "EHLO", "AUTH", "MAIL RCPT DATA", "body"]
    assert session.round_trips == m.messages[0].round_trips == 9


def test_lock_step_is_counted_and_quit_is_not(m, client):
    client.ready()
    client.message()
    client.quit()
    assert m.wait_for(lambda: not m.sessions[0].open)
    assert m.sessions[0].round_trips == 11
    assert m.sessions[0].trips[-5:] == ["MAIL", "RCPT", "DATA", "body", "QUIT"]


def test_tls_1_2_costs_one_round_trip_more(m):
    with Client(m, ssl.TLSVersion.TLSv1_2) as c:
        c.ready()
    assert m.sessions[0].trips[4:] == ["TLS", "TLS", "EHLO", "AUTH"]
    assert m.sessions[0].tls_version == "TLSv1.2"


def test_large_pipelined_envelope_is_one_round_trip(m, client):
    client.ready()
    group = b"MAIL FROM:<alerts@contoso.com>\r\n" + b"".join(
        b"RCPT TO:<user-number-%d@fabrikam.com>\r\n" % i for i in range(900))
    client.send(group + b"DATA\r\n")
    for _ in range(902):
        client.reply()
    client.content(MESSAGE)
    assert m.sessions[0].trips[-2:] == ["MAIL RCPT*900 DATA", "body"]


@pytest.mark.parametrize("line, answer", [
    ("STARTTLS", "503 5.5.2 Send hello first"),
    ("MAIL FROM:<a@b.c>", "503 5.5.2 Send hello first"),
    ("AUTH XOAUTH2 x", "503 5.5.2 Send hello first"),
    ("EHLO", "501 5.5.4"), ("EHLO a b", "501 5.5.4"),
    ("NONSENSE", "500 5.3.3 Unrecognized command 'NONSENSE' ["),
    ("VRFY x", "252"), ("NOOP", "250"), ("HELP", "214"),
    ("NOOP " + "x" * 3000, "500 5.5.2 Command too long"),
])
def test_answers_before_hello(client, line, answer):
    client.reply()
    assert client.cmd(line).startswith(answer)


def test_before_tls_nothing_is_allowed(client):
    client.reply()
    client.cmd("EHLO x")
    assert client.cmd("AUTH XOAUTH2 " + "x" * 20).startswith("451 5.7.3 STARTTLS")
    assert client.cmd("MAIL FROM:<a@b.c>").startswith("530 5.7.0 Must issue")


def test_tls_makes_the_server_forget_ehlo(client):
    client.reply()
    client.cmd("EHLO x")
    client.tls()
    assert client.cmd("AUTH XOAUTH2 x").startswith("503 5.5.2 Send hello")


def test_second_starttls_is_refused(client):
    client.hello()
    assert client.cmd("STARTTLS").startswith("503 5.5.2 Only one STARTTLS")


def test_mail_without_auth_is_refused(client):
    client.hello()
    assert re.fullmatch(
        r"530 5.7.57 Client not authenticated to send mail. "
        r"\[\S+ \d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z [0-9A-F]{16}\]",
        client.cmd("MAIL FROM:<a@b.c>"))


def test_bytes_behind_starttls_end_the_connection(m, client):
    client.reply()
    client.cmd("EHLO x")
    client.send(b"STARTTLS\r\nEHLO evil\r\n")
    assert client.reply().startswith("501")
    with pytest.raises(EOFError):
        client.reply()
    assert "bytes sent behind STARTTLS" in m.sessions[0].violations


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NO\0OP\r\n"])
def test_malformed_line_ends_are_refused(m, client, line):
    client.reply()
    client.send(line)
    assert client.reply().startswith("500 5.5.2")
    assert m.sessions[0].violations


def test_too_many_errors_end_the_session(start):
    with Client(start(max_errors=3)) as c:
        c.reply()
        for _ in range(4):
            c.cmd("NONSENSE")
        assert c.reply().startswith("421 4.7.0 Too many errors")


def test_idle_session_is_ended(start):
    with Client(start(idle_timeout=0.2)) as c:
        c.reply()
        assert c.reply() == "421 4.4.1 Connection timed out."


def test_old_session_is_ended(start):
    with Client(start(session_timeout=0.2)) as c:
        c.reply()
        assert re.fullmatch(r"421 4.4.1 Connection timed out. Total session "
                            r"duration: 00:00:0\d\.\d{7}", c.reply())


def test_old_tls_is_refused(m, client):
    client.reply()
    client.cmd("EHLO x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client.context.minimum_version = ssl.TLSVersion.TLSv1_1
        client.context.maximum_version = ssl.TLSVersion.TLSv1_1
    client.context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        client.tls()
    assert m.wait_for(lambda: m.sessions[0].tls_error)


@pytest.mark.parametrize("kind", ["wrong-name", "expired", "not-yet-valid",
                                  "untrusted", "self-signed"])
def test_bad_certificates_can_be_chosen(start, kind):
    m = start(smtp_certificate=kind)
    with Client(m) as c:
        c.reply()
        c.cmd("EHLO x")
        with pytest.raises(ssl.SSLCertVerificationError):
            c.tls()
    assert m.wait_for(lambda: not m.sessions[0].open)
    assert "ALERT" in m.sessions[0].tls_error


def test_tls_can_be_limited_to_1_2(start):
    m = start(tls_max="1.2")
    with Client(m) as c:
        c.hello()
        assert m.sessions[0].tls_version == "TLSv1.2"


def test_ipv6_listens_on_the_same_port(start):
    m = start(ipv6=True)
    with socket.create_connection(("::1", m.smtp_port), 5) as s:
        assert s.recv(3) == b"220"


@pytest.mark.parametrize("line, answer", [
    ("MAIL FROM: <alerts@contoso.com>", "501 5.1.7"),
    ("MAIL FROM:alerts@contoso.com", "501 5.1.7"),
    ("MAIL FROM:<alerts>", "501 5.1.7"),
    ("MAIL FROM:<a b@contoso.com>", "501 5.1.7"),
    ("MAIL FROM:<a..b@contoso.com>", "501 5.1.7"),
    ("MAIL FROM:<a@contoso..com>", "501 5.1.7"),
    ("MAIL FROM:<a@b.c> SIZE=157286401", "552 5.3.4 Message size"),
    ("MAIL FROM:<a@b.c> SIZE=many", "501 5.5.4"),
    ("MAIL FROM:<a@b.c> SIZE=1 SIZE=1", "501 5.5.4"),
    ("MAIL FROM:<a@b.c> BODY=9BIT", "501 5.5.4"),
    ("MAIL FROM:<a@b.c> FUTURE=1", "501 5.5.4"),
    ("MAIL FROM:<a@b.c> RET=ALL", "501 5.5.4"),
    ("MAIL FROM:<a@b.c>  SIZE=1", "501 5.5.4"),
    ("MAIL FROM:<ä@b.c>", "501 5.1.6 SMTPUTF8"),
    ("MAIL FROM:<ä@b.c> SMTPUTF8", "250 2.1.0 Sender OK"),
    ("MAIL FROM:<\"a b\"@b.c>", "250"),
    ("MAIL FROM:<>", "250"),
    ("RCPT TO:<a@b.c>", "503 5.5.2 Need mail command"),
    ("DATA", "503 5.5.2 Need mail command"),
])
def test_envelope_syntax(client, line, answer):
    assert client.ready().cmd(line).startswith(answer)


@pytest.mark.parametrize("line, answer", [
    ("RCPT TO:<a@b.c> NOTIFY=NEVER ORCPT=rfc822;a+2Bx@b.c", "250 2.1.5"),
    ("RCPT TO:<a@b.c> NOTIFY=SUCCESS,DELAY", "250 2.1.5"),
    ("RCPT TO:<a@b.c> NOTIFY=NEVER,DELAY", "501 5.5.4"),
    ("RCPT TO:<ä@b.c>", "501 5.1.6"),
    ("RCPT TO:<nobody>", "501 5.1.3 Invalid address"),
    ("RCPT TO:<>", "501 5.1.3"),
    ("MAIL FROM:<a@b.c>", "503 5.5.2 Sender already specified"),
    ("DATA", "503 5.5.2 Need rcpt command"),
    ("RSET", "250 2.0.0 Resetting"),
])
def test_inside_a_transaction(client, line, answer):
    client.ready().cmd("MAIL FROM:<a@b.c>")
    assert client.cmd(line).startswith(answer)


def test_recipients_are_limited(start):
    m = start(max_recipients=2)
    with Client(m) as c:
        c.ready().envelope()
        c.cmd("RCPT TO:<two@b.c>")
        assert c.cmd("RCPT TO:<three@b.c>") == "452 4.5.3 Too many recipients"


def test_bdat_sends_a_message_in_one_group(m, client):
    client.ready()
    group = (b"MAIL FROM:<alerts@contoso.com>\r\nRCPT TO:<b@c.de>\r\n"
             b"BDAT 10\r\n%bBDAT %d LAST\r\n%b")
    client.send(group % (MESSAGE[:10], len(MESSAGE) - 10, MESSAGE[10:]))
    client.reply(), client.reply()
    assert client.reply() == "250 2.6.0 CHUNK received OK, 10 octets"
    assert client.reply().startswith("250 2.0.0 OK <one@client.example>")
    assert m.messages[0].raw == MESSAGE
    assert m.sessions[0].round_trips == 8


def test_content_before_the_354_is_recorded(m, client):
    client.ready().envelope()
    client.send(b"DATA\r\n" + MESSAGE + b".\r\n")
    client.reply(), client.reply()
    assert "bytes sent behind DATA" in m.sessions[0].violations


def test_token_of_12_kb_is_taken(m, client):
    long = m.issue_access_token(padding="x" * 4800)
    client.hello()
    assert client.auth(token=long).startswith("235")


def test_long_auth_line_is_refused_and_two_steps_work(start):
    m = start(auth_line_limit=512)
    with Client(m) as c:
        assert c.hello().auth() == "500 5.5.2 Command too long"
        assert c.cmd("AUTH XOAUTH2") == "334 "
        assert c.cmd(blob("alerts@contoso.com", m.issue_access_token())) \
            .startswith("235")
        assert m.sessions[0].trips[-2:] == ["AUTH", "AUTH-data"]


def test_quit_is_a_clean_end_even_if_not_waited_for(m, client):
    client.ready().send(b"QUIT\r\n")
    client.close()
    assert m.wait_for(lambda: not m.sessions[0].open)
    assert m.sessions[0].error is None
    assert m.violations == []


def test_many_sessions_at_once(m):
    clients = [Client(m) for _ in range(50)]
    for c in clients:
        c.ready()
    for c in clients:
        c.message()
    assert len(m.wait_messages(50)) == 50
    assert m.max_concurrent == m.max_connections == 50
    for c in clients:
        c.close()
