import time

import pytest

from selftest_client import HEADERS, MESSAGE, Client


@pytest.mark.parametrize("content, parameters, answer", [
    (MESSAGE + b"bare\nlf\r\n", "", "554 5.6.0 Invalid message content, contains"
     " bare linefeeds"),
    (MESSAGE + b"bare\rcr\r\n", "", "554 5.6.0"),
    (MESSAGE + b"\0\r\n", "", "554 5.6.0"),
    (MESSAGE + b"x" * 998 + b"\r\n", "", "250"),
    (MESSAGE + b"x" * 999 + b"\r\n", "", "554 5.6.0"),
    (MESSAGE + b"x" * 998 + b"\r\n" + b"y" * 999 + b"\r\n", "", "554 5.6.0"),
    (MESSAGE + b"\xc3\xa4\r\n", "", "554 5.6.0"),
    (MESSAGE + b"\xc3\xa4\r\n", " BODY=8BITMIME", "250"),
    (b"X: \xc3\xa4\r\n" + MESSAGE, " BODY=8BITMIME", "554 5.6.0"),
    (b"X: \xc3\xa4\r\n" + MESSAGE, " BODY=8BITMIME SMTPUTF8", "250"),
    (b"Subject: no sender\r\n\r\n", "", "550 5.7.512"),
    (b"", "", "550 5.7.512"), (b"\r\n", "", "550 5.7.512"),
    (b"From: root\r\n\r\n", "", "550 5.7.512"),
    (b"From: alerts@contoso.com, b@c.de\r\n\r\n", "", "550 5.1.20"),
    (HEADERS + b"From: alerts@contoso.com\r\n\r\n", "", "550 5.7.512"),
    (b"X: " + b"y" * 900 + b"".join(b"\r\n " + b"z" * 900 for _ in range(40))
     + b"\r\n" + MESSAGE, "", "554 5.6.211 Invalid MIME Content: Single text"),
    (b"".join(b"X-%d: %b\r\n" % (i, b"y" * 900) for i in range(300)) + MESSAGE,
     "", "552 5.3.4 Header size exceeds"),
])
def test_content_is_judged_after_its_end(client, content, parameters, answer):
    assert client.ready().message(content, parameters).startswith(answer)
    assert client.cmd("NOOP").startswith("250")


def test_foreign_from_is_denied_in_one_long_line(m, client):
    client.ready()
    answer = client.message(MESSAGE.replace(b"alerts@", b"boss@"))
    assert answer.startswith(
        "554 5.2.252 SendAsDenied; alerts@contoso.com not allowed to send as "
        "boss@contoso.com; STOREDRV.Submission.Exception:SendAsDeniedException."
        "MapiExceptionSendAsDenied; Failed to process message due to a "
        "permanent exception with message [BeginDiagnosticData]")
    assert 1600 < len(answer) < 1900 and "\n" not in answer
    assert m.messages == []


def test_foreign_mail_from_is_denied_after_the_content(client):
    client.ready().envelope("boss@contoso.com")
    client.cmd("DATA")
    assert client.content(MESSAGE).startswith("554 5.2.252")


def test_send_as_allows_another_from(m, client):
    m.add_mailbox("alerts@contoso.com", send_as=["*@lists.contoso.com"])
    client.ready()
    assert client.message(MESSAGE.replace(
        b"alerts@contoso.com", b"News@lists.contoso.com")).startswith("250")


def test_only_crlf_dot_crlf_ends_the_content(m, client):
    client.ready().envelope()
    client.cmd("DATA")
    client.send(MESSAGE + b"\n.\nQUIT\r\n.\r\n")
    assert client.reply().startswith("554 5.6.0")
    assert m.sessions[0].commands[-1] == "DATA"


def test_end_mark_may_be_cut_anywhere(m, client):
    client.ready().envelope()
    client.cmd("DATA")
    for value in MESSAGE + b".\r\n":
        client.send(bytes([value]))
    assert client.reply().startswith("250")
    assert m.messages[0].raw == MESSAGE


def test_unstuffed_dot_is_recorded(m, client):
    client.ready().envelope()
    client.cmd("DATA")
    client.send(MESSAGE + b".x\r\n.\r\n")
    client.reply()
    assert m.sessions[0].violations == ["line with unstuffed dot"]


def test_bcc_is_recorded_not_refused(m, client):
    client.ready()
    assert client.message(b"Bcc: a@b.c\r\n" + MESSAGE).startswith("250")
    assert m.messages[0].violations == ["bcc header sent"]


def test_missing_message_id_is_supplied(client):
    client.ready()
    assert "@SYBP282MB2635" in client.message(
        b"From: alerts@contoso.com\r\n\r\nx\r\n")


def test_message_over_35_mb_is_refused_after_it_was_read(start):
    m = start(max_message_size=1 << 20)
    with Client(m) as c:
        c.ready()
        answer = c.message(MESSAGE + (b"x" * 76 + b"\r\n") * 14000)
        assert "MessageSubmissionExceededException" in answer
        assert c.message().startswith("250")


def test_25_mb_are_received_quickly(m, client):
    client.ready()
    big = MESSAGE + (b"x" * 76 + b"\r\n") * 320_000
    before = time.monotonic()
    assert client.message(big).startswith("250")
    assert time.monotonic() - before < 3
    assert len(m.messages[0].raw) == len(big)


def test_mailbox_switches_refuse_after_the_content(m, client):
    client.ready()
    box = m.mailbox()
    for switch, answer in (("full", "554 5.2.2 mailbox full;"),
                           ("restricted", "550 5.1.8 Access denied, bad")):
        setattr(box, switch, True)
        assert client.message().startswith(answer)
        setattr(box, switch, False)
    box.throttled = "send as denied"
    assert client.message().startswith(
        "550 5.2.252 Sender throttled due to continuous send as denied errors")


def test_saved_messages_have_their_envelope(start, tmp_path):
    m = start(save=tmp_path / "saved")
    with Client(m) as c:
        c.ready().message()
    assert (tmp_path / "saved/0001.eml").read_bytes() == MESSAGE
    assert "bob@fabrikam.com" in (tmp_path / "saved/0001.json").read_text()
