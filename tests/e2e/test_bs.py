"""sendmail -bs: SMTP on standard input and output."""
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import time
from select import select

import pytest

from support import (ACCOUNT, APP, BUILD, CONFIG, DATAERR, IOERR, NOUSER, OK,
                     SANITIZED, SECRET, TEMPFAIL, USAGE, canonical)

PATIENCE = 60       # seconds for what is at once on an idle machine


class Client:
    """A program that talks with `sendmail -bs` through pipes."""

    def __init__(self, outpost, *options, greeting=220):
        self.process = outpost.start("sendmail", *(options or ("-bs",)))
        self.buffer = b""
        if greeting:
            self.expect(greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def write(self, data):
        self.process.stdin.write(data.encode() if isinstance(data, str)
                                 else data)
        self.process.stdin.flush()

    def line(self):
        while b"\n" not in self.buffer:
            ready = select([self.process.stdout], [], [], PATIENCE)[0]
            assert ready, f"no reply; so far: {self.buffer}"
            more = os.read(self.process.stdout.fileno(), 65536)
            assert more, f"closed; so far: {self.buffer}"
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        assert len(line) <= 511, line
        return line[:-1].decode("ascii")

    def reply(self):
        """One reply: its code and its text, lines joined by a blank."""
        lines = [self.line()]
        while lines[-1][3] == "-":
            lines.append(self.line())
        codes = {line[:3] for line in lines}
        assert len(codes) == 1, lines
        return int(codes.pop()), " ".join(line[4:] for line in lines)

    def expect(self, code):
        got, text = self.reply()
        assert got == code, (got, text)
        return text

    def say(self, line, code):
        """Lock-step: a command and its reply."""
        self.write(line + "\r\n")
        return self.expect(code)

    def envelope(self, *recipients, sender=ACCOUNT):
        self.say(f"MAIL FROM:<{sender}>", 250)
        for recipient in recipients or ("a@example.org",):
            self.say(f"RCPT TO:<{recipient}>", 250)

    def send(self, content, *recipients, expect=250, sender=ACCOUNT):
        """A message in lock-step; the text of the final reply."""
        self.envelope(*recipients, sender=sender)
        self.say("DATA", 354)
        content = re.sub(rb"(?m)^\.", b"..", canonical(content))
        self.write(content + b".\r\n")
        return self.expect(expect)

    def leave(self):
        """QUIT; the exit status. Standard error has the last refusal."""
        self.say("QUIT", 221)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.buffer + out == b""
        assert (err == b"") == (self.process.returncode == OK), err
        return self.process.returncode


SIMPLE = "Subject: hello\n\nBody\n"


def is_sent(text):
    return re.fullmatch(r"2\.0\.0 sent as [0-9A-Za-z]{16}", text)


def children(pid):
    return open(f"/proc/{pid}/task/{pid}/children").read().split()


def test_a_message_in_lock_step(outpost, office):
    with Client(outpost) as client:
        text = client.say("EHLO [127.0.0.1]", 250)
        assert text.split()[1:] == [
            "PIPELINING", "8BITMIME", "DSN", "SMTPUTF8",
            "ENHANCEDSTATUSCODES", "CHUNKING", "SIZE", str(35 << 20)]
        assert is_sent(client.send(SIMPLE, "a@example.org", "b@example.org"))
        [m] = office.messages
        assert m.addresses == ["a@example.org", "b@example.org"]
        assert m.mail_from == ACCOUNT
        assert m.header("Subject") == ["hello"]
        assert m.body == b"Body\r\n"
        assert m.header("To") == ["undisclosed-recipients:;"]
        assert m.header("Message-ID") and m.header("Date")
        assert client.leave() == OK


def test_the_body_arrives_byte_for_byte(outpost, office):
    dice = random.Random(5321)
    words = [b".", b"..", b"\r\n", b"\r\n.", b"\r\n..", b"x" * 900, b" ",
             b"\t", "grüße".encode(), b"From ", b"\r\n\r\n"]
    body = b"".join(dice.choice(words) for _ in range(20000))
    body = b"\r\n".join(line[:990] for line in body.split(b"\r\n")) + b"\r\n"
    assert b"\r\n." in body and b"\r\n.\r\n" in body
    header = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; " \
        b"charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    with Client(outpost) as client:
        client.say("EHLO x", 250)
        client.envelope()
        client.say("DATA", 354)
        client.write(header + (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
                     + b".\r\n")
        client.expect(250)
        # The same in chunks, without dots.
        client.envelope()
        content = header + body
        for at in range(0, len(content), 70001):
            chunk = content[at:at + 70001]
            last = " LAST" if at + 70001 >= len(content) else ""
            client.write(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            client.expect(250)
        assert client.leave() == OK
    assert [m.body == body for m in office.messages] == [True, True]


def test_everything_may_come_at_once(outpost, office):
    talk = ("EHLO x\r\n"
            "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
            "Subject: one\r\n\r\n1\r\n.\r\n"
            "MAIL FROM:<>\r\nRCPT TO:<e@f.example>\r\nRCPT TO:<>\r\n"
            "RCPT TO:<g@h.example>\r\nBDAT 16\r\nSubject: two\r\n\r\n"
            "BDAT 3 LAST\r\n2\r\nRSET\r\nNOOP\r\nQUIT\r\nMAIL FROM:<x@y>\r\n")
    result = outpost.sendmail("-bs", input=talk)
    codes = [line[:3] for line in result.out.splitlines() if line[3] == " "]
    assert codes == ["220", "250", "250", "250", "354", "250", "250", "250",
                     "553", "250", "250", "250", "250", "250", "221"]
    assert result.err == "sendmail: address '' is empty\n"
    assert result.code == DATAERR
    assert [m.header("Subject") for m in office.messages] == [["one"], ["two"]]
    assert [m.addresses for m in office.messages] == \
        [["c@d.example"], ["e@f.example", "g@h.example"]]
    assert [m.body for m in office.messages] == [b"1\r\n", b"2\r\n"]


def test_replies_are_written_before_the_verdict_is_waited_for(outpost, office):
    office.fault("at BODY stall")
    with Client(outpost) as client:
        client.write("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
                     "DATA\r\nSubject: x\r\n\r\nBody\r\n.\r\n")
        assert [client.reply()[0] for _ in range(3)] == [250, 250, 354]
        [submit] = children(client.process.pid)
        os.kill(int(submit), signal.SIGKILL)


def test_one_submit_serves_all_messages_of_a_session(outpost, office):
    with Client(outpost) as client:
        client.say("HELO x", 250)
        before = children(client.process.pid)
        for number in range(3):
            client.send(f"Subject: {number}\n\nBody\n")
        assert children(client.process.pid) == before
        assert len(before) == 1
        assert client.leave() == OK
    assert [m.header("Subject") for m in office.messages] == \
        [["0"], ["1"], ["2"]]
    assert len({m.message_id for m in office.messages}) == 3
    assert len(office.sessions) == 1


def test_each_message_goes_through_its_own_account(outpost, office):
    other = "sales@contoso.com"
    office.add_mailbox(other)
    office.add_app(APP, secret=SECRET, roles=["SMTP.SendAsApp"],
                   mailboxes=[ACCOUNT, other])
    outpost.set_main(default=ACCOUNT)
    outpost.set(other, **outpost.accounts[ACCOUNT])
    with Client(outpost) as client:
        for sender in (ACCOUNT, other, other, ACCOUNT):
            client.send(SIMPLE, sender=sender)
        assert client.leave() == OK
    assert [m.user for m in office.messages] == [ACCOUNT, other, other, ACCOUNT]
    assert len(office.sessions) == 3


@pytest.mark.parametrize("fault", ["at MAIL 2 close", "at RCPT close",
                                   "at DATA 2 close"])
def test_a_kept_connection_that_the_server_gave_up_delays_nothing(
        outpost, office, fault):
    with Client(outpost) as client:
        assert is_sent(client.send(SIMPLE))
        office.fault(fault)
        assert is_sent(client.send(SIMPLE))
        assert is_sent(client.send(SIMPLE))
        assert client.leave() == OK
    assert len(office.messages) == 3
    assert len(office.sessions) == 2
    assert outpost.waiting() == []


def test_a_connection_without_messages_is_let_go(outpost, office):
    with Client(outpost) as client:
        client.send(SIMPLE)
        [session] = office.sessions
        assert office.wait_for(lambda: not session.open, timeout=PATIENCE)
        assert client.say("NOOP", 250)
        assert is_sent(client.send(SIMPLE))
        # One that is long in coming keeps nobody from the slot either.
        session = office.sessions[-1]
        client.envelope()
        client.say("DATA", 354)
        client.write("Subject: slow\r\n\r\nBody\r\n")
        assert office.wait_for(lambda: not session.open, timeout=PATIENCE)
        client.write(".\r\n")
        assert is_sent(client.expect(250))


def test_microsofts_refusal_of_a_recipient_is_the_reply_to_the_message(
        outpost, office):
    office.fault("at RCPT reply 550 5.1.10 RESOLVER.ADR.RecipientNotFound")
    with Client(outpost) as client:
        client.say("HELO x", 250)
        text = client.send(SIMPLE, expect=550)
        assert text.startswith("5.1.10 ")
        assert "RecipientNotFound" in text and "; hint: " in text
        assert client.say("RSET", 250)
        assert is_sent(client.send(SIMPLE, "b@example.org"))
        assert client.leave() == NOUSER
    assert [m.addresses for m in office.messages] == [["b@example.org"]]


def test_who_was_refused_while_others_were_not_is_named(outpost, office):
    office.fault("at RCPT b@example.org reply 550 5.1.1 User unknown")
    with Client(outpost) as client:
        text = client.send(SIMPLE, "a@example.org", "b@example.org")
        assert re.match(r"2\.0\.0 sent as \w+; <b@example\.org> was refused: ",
                        text)
        assert "User unknown" in text


def test_microsofts_refusal_of_the_content_is_told_with_its_code(outpost,
                                                                 office):
    outpost.set(send_as="boss@contoso.com")      # Exchange knows no such right
    with Client(outpost) as client:
        text = client.send("From: boss@contoso.com\n\nBody\n", expect=554)
        assert re.match(r"5\.\d+\.\d+ ", text)
        assert "SendAsDenied" in text and "; hint: " in text
        assert is_sent(client.send(SIMPLE))


TEMPORARY = ["at RCPT reply 451 4.3.0 later", "at BODY reply 452 4.3.1 no room",
             "at MAIL close", "at BODY close"]


@pytest.mark.parametrize("fault", TEMPORARY)
def test_what_time_heals_is_queued_and_taken(outpost, office, fault):
    office.fault(fault)
    with Client(outpost) as client:
        client.say("HELO x", 250)
        text = client.send(SIMPLE)
        [waiting] = outpost.waiting()
        assert text.startswith(f"2.0.0 queued as {waiting.id}: ")
        assert waiting.pending == ["a@example.org"]
        assert client.leave() == OK


@pytest.mark.parametrize("fault", TEMPORARY)
def test_without_a_queue_it_is_a_temporary_failure(outpost, office, fault):
    outpost.set_main(queue_dir="/proc/nothing")
    office.fault(fault)
    with Client(outpost) as client:
        client.envelope()
        client.say("DATA", 354)
        client.write(canonical(SIMPLE) + b".\r\n")
        code, text = client.reply()
        assert 450 <= code <= 459 and text.startswith("4."), (code, text)
        assert "queue" in text
        assert is_sent(client.send(SIMPLE))
        assert client.leave() == TEMPFAIL


def test_on_request_messages_are_only_queued(outpost, office):
    with Client(outpost, "-odq", "-bs") as client:
        for _ in range(2):
            text = client.send(SIMPLE)
            assert text == f"2.0.0 queued as {outpost.waiting()[-1].id}"
        assert client.leave() == OK
    assert office.sessions == []


def test_addresses_are_judged_at_once(outpost, office):
    outpost.set_main(admin="it@contoso.com")
    with Client(outpost) as client:
        client.say("MAIL FROM:<a@b@c>", 553)
        client.say("MAIL FROM:<root>", 250)
        client.say("RCPT TO:<a b@c.example>", 553)
        client.say("RCPT TO:<a..b@c.example>", 553)
        client.say("DATA", 554)
        client.say("RCPT TO:<root>", 250)
        client.say("RCPT TO:<postmaster@localhost>", 250)
        client.say("RCPT TO:<b@example.org>", 250)
        client.say("DATA", 354)
        client.write("\r\nBody\r\n.\r\n")
        client.expect(250)
    assert office.messages[0].addresses == ["it@contoso.com", "b@example.org"]


def test_wishes_for_notifications_travel_with_each_recipient(outpost, office):
    with Client(outpost) as client:
        client.say("EHLO x", 250)
        client.say(f"MAIL FROM:<{ACCOUNT}> RET=HDRS ENVID=QQ+2B1", 250)
        client.say("RCPT TO:<a@example.org> NOTIFY=SUCCESS,DELAY "
                   "ORCPT=rfc822;a+2Bx@example.org", 250)
        client.say("RCPT TO:<b@example.org> NOTIFY=NEVER", 250)
        client.say("RCPT TO:<c@example.org>", 250)
        client.say("DATA", 354)
        client.write("Subject: x\r\n\r\n.\r\n")
        client.expect(250)
    [m] = office.messages
    assert m.recipients == [
        ("a@example.org", {"NOTIFY": "SUCCESS,DELAY",
                           "ORCPT": "rfc822;a+2Bx@example.org"}),
        ("b@example.org", {"NOTIFY": "NEVER"}), ("c@example.org", {})]
    assert m.mail_parameters["RET"] == "HDRS"
    assert m.mail_parameters["ENVID"] == "QQ+2B1"


def test_the_header_is_treated_as_with_t(outpost, office):
    outpost.set_main(admin="it@contoso.com")
    with Client(outpost) as client:
        client.send("From: Web Shop <shop@shop.example>\nTo: root\n"
                    "Bcc: secret@example.org\nSubject: grüße\n\nBody\n",
                    "a@example.org", sender="shop@shop.example")
    [m] = office.messages
    assert m.addresses == ["a@example.org"]
    assert m.header("From") == [f"Web Shop <{ACCOUNT}>"]
    assert m.header("X-Original-From") == ["Web Shop <shop@shop.example>"]
    assert m.header("Subject")[0].lower().startswith("=?utf-8?")
    assert b"secret@" not in m.raw and b"bcc" not in m.raw.lower()


def test_a_from_that_is_refused_fails_that_message_alone(outpost, office):
    outpost.set(foreign_from="reject")
    with Client(outpost) as client:
        text = client.send("From: shop@shop.example\n\nBody\n", expect=550)
        assert text.startswith("5.7.")
        assert is_sent(client.send(SIMPLE))
    assert [m.body for m in office.messages] == [b"Body\r\n"]


def test_too_large_a_message_is_refused_and_no_more_kept(outpost, office):
    outpost.set(max_size="1M")
    with Client(outpost) as client:
        assert "SIZE 1048576" in client.say("EHLO x", 250)
        client.say("MAIL FROM:<a@b.example> SIZE=1048577", 552)
        client.envelope()
        client.say("DATA", 354)
        for _ in range(30):
            client.write(b"Subject: x\r\n\r\n" + b"x" * 77 + b"\r\n" * 50000)
        client.write("\r\n.\r\n")
        assert client.expect(552).startswith("5.3.4 ")
        assert is_sent(client.send(SIMPLE))
    assert len(office.messages) == 1


def test_nothing_happens_before_the_final_dot(outpost, office):
    with Client(outpost) as client:
        client.envelope()
        client.say("DATA", 354)
        client.write(canonical(SIMPLE) * 1000)
        assert not office.wait_for(lambda: office.sessions, timeout=0.5)
        client.process.kill()
    assert not office.wait_for(lambda: office.sessions, timeout=1.0)
    assert list(outpost.queue.iterdir()) == []


@pytest.mark.parametrize("talk", [
    "", "HELO x\r\n", "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nA: b\r\n\r\nx",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\n",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 9 LAST\r\nabc",
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 3\r\nabc"])
def test_a_client_that_leaves_in_the_middle_sent_nothing(outpost, office,
                                                         talk):
    result = outpost.sendmail("-bs", input=talk)
    assert result.code == (TEMPFAIL if "MAIL" in talk else OK), result
    assert office.sessions == []


@pytest.mark.parametrize("options, stderr", [
    (["-bs", "-i"], False), (["-i", "-bs"], False), (["-bs", "-oi"], False),
    (["-bs", "-t"], False), (["-bs", "-f", "x@y.example"], False),
    (["-bs", "-v"], True), (["-vbs"], True), (["-odb", "-oem", "-bs"], False)])
def test_options_beside_it(outpost, office, options, stderr):
    with Client(outpost, *options) as client:
        client.say("HELO x", 250)
        assert is_sent(client.send("To: nobody@example.org\n\nBody\n.\nmore\n"))
        client.say("QUIT", 221)
        out, err = client.process.communicate(timeout=PATIENCE)
    assert client.process.returncode == OK
    assert (client.buffer, out) == (b"", b"")
    assert (b"MAIL FROM" in err) == stderr
    [m] = office.messages
    assert m.addresses == ["a@example.org"]
    assert m.body == b"Body\r\n.\r\nmore\r\n"


def test_a_bad_configuration_is_told_instead_of_a_greeting(outpost):
    outpost.config.write_text("[outpost]\nbogus = 1\n")
    result = outpost.sendmail("-bs", input="QUIT\r\n")
    assert result.code == CONFIG
    assert result.out.startswith("554 5.3.5 ") and "bogus" in result.out
    assert result.out.count("\r\n") == 1


def test_a_missing_submit_is_told_instead_of_a_greeting(outpost, tmp_path):
    result = outpost.sendmail("-bs", env={"OUTPOST_LIBEXEC": str(tmp_path)})
    assert result.code == CONFIG
    assert re.match(r"(554 5|421 4)\.3\.0 cannot run '", result.out)


def test_a_submit_that_ends_ends_the_session_and_loses_nothing_silently(
        outpost, office):
    with Client(outpost) as client:
        client.say("HELO x", 250)
        [submit] = children(client.process.pid)
        os.kill(int(submit), signal.SIGKILL)
        assert "submit" in client.send(SIMPLE, expect=451)
        client.expect(421)
        client.process.communicate(timeout=PATIENCE)
        assert client.process.returncode == TEMPFAIL
    assert office.messages == []


# What only looks like the end of the content to a careless server.
SMUGGLED = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n",
            b"\r\r\n.\r\r\n", b"\n\0.\n", b"\r\n.\0\r\n", b"\r\n\0.\r\n"]


@pytest.mark.parametrize("end", SMUGGLED)
@pytest.mark.parametrize("bdat", [False, True])
def test_no_message_can_be_smuggled_behind_another(outpost, office, end, bdat):
    content = (b"Subject: x\r\n\r\nBody" + end + b"MAIL FROM:<e@f.example>\r\n"
               b"RCPT TO:<victim@example.org>\r\nDATA\r\nSubject: y\r\n\r\n"
               b"Smuggled\r\n")
    with Client(outpost) as client:
        client.say("EHLO x", 250)
        client.envelope()
        if bdat:
            client.write(b"BDAT %d LAST\r\n" % len(content) + content)
        else:
            client.say("DATA", 354)
            client.write(content + b".\r\n")
        client.expect(250)
        assert client.leave() == OK
    [m] = office.messages
    assert m.addresses == ["a@example.org"]
    assert b"victim@example.org" in m.body and b"Smuggled" in m.body


@pytest.mark.parametrize("inside", ["\n", "\r", "\0", "\x0b"])
def test_no_command_can_be_smuggled_behind_an_address(outpost, office, inside):
    with Client(outpost) as client:
        client.say("HELO x", 250)
        client.say("MAIL FROM:<a@b.example>", 250)
        client.say(f"RCPT TO:<c@d.example>{inside}RCPT TO:<e@f.example>", 500)
        client.say("RCPT TO:<c@d.example>", 250)
        client.say("DATA", 354)
        client.write("\r\n.\r\n")
        client.expect(250)
    assert office.messages[0].addresses == ["c@d.example"]


def test_a_client_that_ends_lines_with_lf_is_served_so(outpost, office):
    result = outpost.sendmail(
        "-bs", input="HELO x\nMAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\n"
        "DATA\nSubject: x\n\n..dot\nx\r\n.\r\nMAIL FROM:<e@f.example>\r\n.\n"
        "QUIT\n")
    assert result.code == OK, result
    [m] = office.messages
    assert m.body == b".dot\r\nx\r\n\r\nMAIL FROM:<e@f.example>\r\n"


def test_hostile_input_is_answered_and_survived(outpost, office):
    with Client(outpost) as client:
        client.say("HELO x", 250)
        client.write(b"\0\r\n")
        client.expect(500)
        client.write(b"NOOP " + b"x" * (1 << 20) + b"\r\n")
        client.expect(500)
        client.write(b"MAIL FROM:<" + b"x" * 2000 + b"@example.org>\r\n")
        client.expect(553)
        client.say("BDAT 3", 503)
        client.write("abc")
        client.envelope()
        client.say("DATA", 354)
        client.write(b"Subject: x\r\n\r\n" + b"x" * (1 << 20) + b"\0\r\n.\r\n")
        client.expect(250)
        client.say("RCPT TO:<a@b.example>", 503)
        client.say("VRFY root", 252)
        client.say("HELP", 214)
        client.say("AUTH PLAIN AGEAYg==", 502)
        client.say("STARTTLS", 502)
    assert len(office.messages) == 1


def test_after_too_many_errors_the_session_ends(outpost, office):
    with Client(outpost) as client:
        for _ in range(20):
            client.say("WRONG", 500)
        client.expect(421)
        client.process.wait(PATIENCE)
        assert client.process.returncode == USAGE


def test_a_web_client_cannot_bring_a_message(outpost, office):
    result = outpost.sendmail(
        "-bs", input="POST / HTTP/1.1\r\nHost: localhost:25\r\n\r\nHELO x\r\n"
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n\r\n"
        ".\r\nQUIT\r\n")
    assert [line[:3] for line in result.out.splitlines()] == ["220", "421"]
    assert office.sessions == []


def test_a_client_that_does_not_read_is_left(outpost, office):
    process = outpost.start("sendmail", "-bs")
    process.stdout.close()
    process.stdin.write(b"HELO x\r\nMAIL FROM:<a@b.example>\r\n")
    process.stdin.close()
    assert process.wait(PATIENCE) == IOERR
    process.stderr.close()
    assert office.sessions == []


def test_pythons_smtplib_over_a_socket_as_inetd_gives_it(outpost, office):
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    process = subprocess.Popen([BUILD / "sendmail", "-bs"], stdin=theirs,
                               stdout=theirs, env=outpost.environment())
    theirs.close()
    client = smtplib.SMTP(local_hostname="x")
    client.sock, client.file = ours, None
    assert client.getreply()[0] == 220
    office.fault("at RCPT c@example.org reply 550 5.1.1 User unknown")
    assert client.sendmail(ACCOUNT, ["a@example.org", "b@example.org"],
                           "Subject: x\n\n.\nBody\n",
                           mail_options=["BODY=8BITMIME"]) == {}
    with pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(ACCOUNT, ["c@example.org"], "Subject: y\n\nBody\n")
    assert refused.value.smtp_code == 550
    assert b"User unknown" in refused.value.smtp_error
    client.quit()
    assert process.wait(PATIENCE) == NOUSER
    [m] = office.messages
    assert m.body == b".\r\nBody\r\n"


POLL = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>

/* Five minutes are a tenth of a second. */
int
poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int (*real)(struct pollfd *, nfds_t, int) =
	    (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");

	return real(fds, count, timeout == 300000 ? 100 : timeout);
}
"""


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer wants to be first")
@pytest.mark.parametrize("talk", [
    "", "HELO x\r\n", "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
    "DATA\r\nSubject: x\r\n\r\nBody\r\n"])
def test_an_idle_client_is_left_after_five_minutes(outpost, office, tmp_path,
                                                   talk):
    (tmp_path / "poll.c").write_text(POLL)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "poll.so",
                    tmp_path / "poll.c"], check=True)
    process = subprocess.Popen(
        [BUILD / "sendmail", "-bs"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=outpost.environment(LD_PRELOAD=str(tmp_path / "poll.so")))
    process.stdin.write(talk.encode())
    process.stdin.flush()
    out = process.stdout.read()         # to its end
    assert out.splitlines()[-1].startswith(b"421 4.4.2 ")
    assert process.wait(PATIENCE) == TEMPFAIL
    process.stdin.close()
    process.stdout.close()
    assert office.sessions == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights up")
def test_root_talks_as_nobody(outpost, office):
    with Client(outpost) as client:
        uids = next(l for l in open(f"/proc/{client.process.pid}/status")
                    if l.startswith("Uid:")).split()
        assert uids[1:] == ["65534"] * 4
        assert is_sent(client.send(SIMPLE))
        assert is_sent(client.send(SIMPLE))
        assert client.leave() == OK


# How Symfony's and Swift Mailer's transports talk: the process with three
# pipes, standard error not read, each reply read to its last line and compared
# with the codes that are wanted, the message with dots doubled after CR LF
# alone, and CR LF dot CR LF behind it whatever it ends with.
PHP = r"""
function reply($out) {
    $reply = '';
    do {
        $line = fgets($out);
        if ($line === false) throw new Exception('closed unexpectedly');
        $reply .= $line;
    } while ($line[3] !== ' ');
    return $reply;
}
function command($pipes, $command, $wanted) {
    fwrite($pipes[0], $command);
    $reply = reply($pipes[1]);
    if (!in_array((int)substr($reply, 0, 3), $wanted))
        throw new Exception('Expected response code "' . implode('/', $wanted)
            . '" but got "' . trim($reply) . '"');
    return $reply;
}
function send($pipes, $from, $to, $message) {
    command($pipes, "MAIL FROM:<$from>\r\n", [250]);
    foreach ($to as $address)
        command($pipes, "RCPT TO:<$address>\r\n", [250, 251, 252]);
    command($pipes, "DATA\r\n", [354]);
    fwrite($pipes[0], str_replace("\r\n.", "\r\n..", $message));
    fflush($pipes[0]);
    return command($pipes, "\r\n.\r\n", [250]);
}
$process = proc_open(getenv('MAILER'),
    [['pipe', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes);
stream_set_blocking($pipes[2], false);
if ($error = stream_get_contents($pipes[2])) throw new Exception($error);
if (substr(reply($pipes[1]), 0, 3) !== '220') throw new Exception('no 220');
command($pipes, "HELO [127.0.0.1]\r\n", [250]);
"""

PHP_END = r"""
command($pipes, "QUIT\r\n", [221]);
fclose($pipes[0]); fclose($pipes[1]);
echo "exit ", proc_close($process), "\n";
"""

need_php = pytest.mark.skipif(not shutil.which("php"), reason="needs php")


def php(outpost, code, mailer=f"{BUILD}/sendmail -bs"):
    done = subprocess.run(["php", "-n", "-r", PHP + code + PHP_END],
                          capture_output=True, timeout=PATIENCE,
                          env=outpost.environment(MAILER=mailer))
    assert done.returncode == 0, done
    return done.stdout.decode().splitlines()


@need_php
@pytest.mark.parametrize("options", ["-bs", "-bs -i", "-bs -odb"])
def test_symfonys_dialogue(outpost, office, options):
    """Two messages, one of them refused: the exception has the verdict."""
    office.fault("at RCPT c@example.org reply 550 5.1.10 RecipientNotFound")
    lines = php(outpost, r"""
$body = "Subject: x\r\nFrom: shop@shop.example\r\n\r\n.dot\r\n..two\r\nend";
echo send($pipes, 'shop@shop.example', ['a@example.org', 'b@example.org'],
    $body);
command($pipes, "NOOP\r\n", [250]);
try {
    send($pipes, 'shop@shop.example', ['c@example.org'], $body);
} catch (Exception $e) {
    echo str_replace("\r\n", ' ', $e->getMessage()), "\n";
    command($pipes, "RSET\r\n", [250]);
}
echo send($pipes, 'shop@shop.example', ['d@example.org'], $body);
""", f"{BUILD}/sendmail {options}")
    assert is_sent(lines[0][4:])
    assert lines[1].startswith('Expected response code "250" but got "550')
    assert "5.1.10" in lines[1] and "RecipientNotFound" in lines[1]
    assert is_sent(lines[2][4:])
    assert [m.addresses for m in office.messages] == \
        [["a@example.org", "b@example.org"], ["d@example.org"]]
    for message in office.messages:
        assert message.body == b".dot\r\n..two\r\nend\r\n"
        assert ACCOUNT in message.header("From")[0]


@need_php
def test_swift_mailers_dialogue(outpost, office):
    """Bcc is a transaction for each, with the field in the header; a refused
    recipient is left out, and a message for nobody is reset."""
    lines = php(outpost, r"""
$header = "Message-ID: <1@shop.example>\r\nSubject: x\r\n"
    . "From: shop@shop.example\r\nTo: a@example.org\r\n";
command($pipes, "MAIL FROM:<shop@shop.example>\r\n", [250]);
try {
    command($pipes, "RCPT TO:<not an address>\r\n", [250, 251, 252]);
} catch (Exception $e) {
    command($pipes, "RSET\r\n", [250]);
    echo "failed\n";
}
echo send($pipes, 'shop@shop.example', ['a@example.org'],
    "$header\r\nBody\r\n");
echo send($pipes, 'shop@shop.example', ['b@example.org'],
    "{$header}Bcc: b@example.org\r\n\r\nBody\r\n");
""")
    assert lines[0] == "failed"
    assert is_sent(lines[1][4:]) and is_sent(lines[2][4:])
    assert [m.addresses for m in office.messages] == \
        [["a@example.org"], ["b@example.org"]]
    for message in office.messages:
        assert message.header("Bcc") == []
        assert message.message_id == "<1@shop.example>"
        assert message.body == b"Body\r\n\r\n"
