"""What mailq shows and does."""
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support import (ACCOUNT, BUILD, CONFIG, NOUSER, OK, SANITIZED,
                     UNAVAILABLE, USAGE, fill_queue)
from test_login import on_a_terminal
from test_queueing import SIMPLE, finish, has_said, start, wait_until
from test_runner import NOBODY, edit, queue

CHECK_MAILQ = Path("/usr/lib/nagios/plugins/check_mailq")


def mailq(outpost, *args, expect=OK):
    result = outpost.run("mailq", *args)
    assert result.code == expect, result
    return result.out


def test_an_empty_queue_is_called_so(outpost):
    assert mailq(outpost) == "Mail queue is empty\n"
    assert mailq(outpost, "--failed") == "No failed messages\n"
    assert mailq(outpost, "--json") == ""


def test_the_layout_is_postfixs_to_the_letter(outpost, office):
    """As showq prints it with long queue ids."""
    os.environ["TZ"] = "UTC"
    office.fault("at RCPT reply 451 4.3.0 mailbox busy times 2")
    one = queue(outpost, "a@example.org", "b@example.org",
                message="Subject: s\n\nBody\n")
    outpost.run("sendmail", "-qf")
    two = queue(outpost, "c@example.org", message="Subject: s\n\n" +
                "x" * 69 + "\n" + ("x" * 79 + "\n") * 150)
    edit(one, arrived=1795468561)
    edit(two, arrived=1796073361, held=1796073361)
    size = [len(e.header) + len(e.body) for e in (one, two)]
    reason = json.loads(mailq(outpost, "-j").splitlines()[0])[
        "recipients"][0]["delay_reason"]
    assert "451 4.3.0 mailbox busy" in reason
    when = [time.strftime("%a %b %e %H:%M:%S", time.localtime(t))
            for t in (1795468561, 1796073361)]
    assert mailq(outpost) == (
        "----Queue ID----- --Size-- ---Arrival Time---- "
        "--Sender/Recipient------\n"
        f"{one.id}  {size[0]:8} {when[0]} {ACCOUNT}\n"
        + f"({reason})".rjust(78) + "\n" +
        " " * 47 + "a@example.org\n" + " " * 47 + "b@example.org\n"
        "\n"
        f"{two.id}! {size[1]:8} {when[1]} {ACCOUNT}\n"
        + " " * 47 + "c@example.org\n"
        f"\n-- {sum(size) // 1024} Kbytes in 2 Requests.\n")


def test_one_message_is_one_request(outpost, office):
    queue(outpost)
    assert mailq(outpost).endswith("\n\n-- 0 Kbytes in 1 Request.\n")


def test_what_is_being_sent_has_its_mark(outpost, office):
    office.fault("at MAIL stall always")
    queue(outpost)
    process = outpost.start("sendmail", "-q")
    wait_until(lambda: has_said(office, "MAIL"))
    [entry] = outpost.waiting()
    assert f"\n{entry.id}* " in mailq(outpost)
    assert json.loads(mailq(outpost, "-j"))["queue_name"] == "active"
    process.terminate()
    finish(process)
    assert f"\n{entry.id}  " in mailq(outpost)
    office.clear_faults()


def test_v_adds_attempts_and_hints(outpost, office):
    office.mailbox(ACCOUNT).smtp_auth_disabled = True
    assert outpost.sendmail("-t", input=SIMPLE).code == OK
    text = mailq(outpost, "-v")
    assert f"account {ACCOUNT}, user {os.getuid()}, attempts 1, next " in text
    assert "hint: run 'Set-CASMailbox" in text
    assert "hint:" not in mailq(outpost)
    assert mailq(outpost, "-v") == outpost.run("sendmail", "-bp", "-v").out


def test_json_has_the_keys_of_postqueue_j(outpost, office):
    office.fault("at RCPT reply 451 4.3.0 \"quoted\" \\\\ busy")
    outpost.sendmail("-t", input=SIMPLE)
    queue(outpost, "b@example.org")
    one, two = map(json.loads, mailq(outpost, "--json").splitlines())
    [entry, _] = outpost.waiting()
    assert one["queue_name"] == "deferred"
    assert one["queue_id"] == entry.id
    assert abs(one["arrival_time"] - time.time()) < 60
    assert one["message_size"] == len(entry.header) + len(entry.body)
    assert one["forced_expire"] is False
    assert one["sender"] == ACCOUNT
    [recipient] = one["recipients"]
    assert recipient["address"] == "a@example.org"
    assert '"quoted"' in recipient["delay_reason"]
    assert recipient["status"] == "4.3.0" and recipient["hint"]
    assert (one["account"], one["uid"]) == (ACCOUNT, os.getuid())
    assert one["attempts"] == 1 and one["next_attempt"] > time.time()
    assert two["recipients"][0]["delay_reason"] == ""


@pytest.mark.skipif(not CHECK_MAILQ.exists(),
                    reason="needs monitoring-plugins-standard")
@pytest.mark.parametrize("count, code, word", [
    (0, 0, "OK"), (2, 0, "OK"), (3, 1, "WARNING"), (5, 2, "CRITICAL")])
def test_debians_check_mailq_reads_it(outpost, count, code, word):
    for _ in range(count):
        queue(outpost)
    plugins = outpost.folder / "plugins"
    plugins.mkdir()
    utils = (CHECK_MAILQ.parent / "utils.pm").read_text()
    utils = re.sub(r"PATH_TO_MAILQ\s*=\s*\"[^\"]*\"",
                   f'PATH_TO_MAILQ = "{BUILD}/mailq"', utils)
    assert str(BUILD) in utils
    (plugins / "utils.pm").write_text(utils)
    check = plugins / "check_mailq"
    check.write_text(CHECK_MAILQ.read_text())
    done = subprocess.run(["/usr/bin/perl", "-I", plugins, check,
                           "-M", "postfix", "-w", "3", "-c", "5"],
                          env=outpost.environment(), text=True,
                          capture_output=True)
    assert done.returncode == code, done
    assert word in done.stdout


def cost(outpost, *arguments):
    """System calls, and most kB resident, of a listing."""
    log = outpost.folder / "trace"
    done = subprocess.run(["strace", "-qq", "-o", log, BUILD / "mailq",
                           *arguments], env=outpost.environment(),
                          stdout=subprocess.PIPE)
    assert done.returncode == OK
    # Nearly all of its output is taken, so that it waits near its end.
    process = outpost.start("mailq", *arguments)
    process.stdout.read(len(done.stdout) - 100000)
    status = open(f"/proc/{process.pid}/status").read()
    process.communicate()
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", status)[1])
    return len(log.read_text().splitlines()), peak


@pytest.mark.skipif(SANITIZED or not shutil.which("strace"),
                    reason="needs strace, which LeakSanitizer does not like")
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_listing_takes_few_calls_a_message_and_flat_memory(outpost,
                                                             arguments):
    fill_queue(outpost, 3000)
    few, small = cost(outpost, *arguments)
    fill_queue(outpost, 7000)
    many, large = cost(outpost, *arguments)
    # Open, look, read, close; a look at the lock; its part of the rest.
    assert (many - few) / 7000 < 6, (few, many)
    assert large - small < 1024, (small, large)


@pytest.mark.parametrize("options", [["-bp"], ["-bP"]])
def test_sendmail_shows_it_too(outpost, options):
    queue(outpost)
    result = outpost.run("sendmail", *options)
    assert result.code == OK
    assert result.out == (mailq(outpost) if options == ["-bp"] else "1\n")


def test_sendmail_by_the_name_of_mailq_is_mailq(outpost):
    link = outpost.folder / "mailq"
    link.symlink_to(BUILD / "sendmail")
    done = subprocess.run([link, "-n"], env=outpost.environment(), text=True,
                          capture_output=True)
    assert (done.returncode, done.stdout) == (OK, "0\n")


def test_a_mailq_that_is_a_link_to_sendmail_does_not_go_round(outpost):
    folder = outpost.folder / "libexec"
    folder.mkdir()
    (folder / "mailq").symlink_to(BUILD / "sendmail")
    result = outpost.run("sendmail", "-bp",
                         env={"OUTPOST_LIBEXEC": str(folder)})
    assert result.code == CONFIG and "link to sendmail" in result.err


def test_a_message_is_shown_whole(outpost):
    entry = queue(outpost, message="Subject: hello\n\none\n\ntwo\n")
    text = mailq(outpost, "-s", entry.id)
    assert entry.id in text
    assert "Subject: hello\n" in text
    assert text.endswith("\n\none\n\ntwo\n")
    assert "\r" not in text


def test_a_terminal_is_not_steered_by_what_is_shown(outpost):
    body = (b"caf\xc3\xa9\tx\n\x1b[31m \xc2\x9b31m \x9b31m \xe9 \x7f \a\rz"
            b"\n\xe2\x82\n")
    entry = queue(outpost, message=b"Subject: s\n\n" + body)
    shown, _ = on_a_terminal(outpost, "mailq", "-s", entry.id)
    assert shown.endswith(
        "\r\n\r\ncaf\u00e9\tx\r\n\\033[31m \\302\\23331m \\23331m \\351 "
        "\\177 \\a\r\nz\r\n\\342\\202\r\n")
    done = subprocess.run([BUILD / "mailq", "-s", entry.id],
                          env=outpost.environment(), capture_output=True)
    assert done.stdout.endswith(b"\n\n" + body.replace(b"\r", b"\n"))


def test_what_a_server_said_breaks_no_listing(outpost):
    """Whatever bytes the message's file holds."""
    entry = queue(outpost)
    said = (b"451 \"x\" \\ \x1b[2J\t\x7f \x9b1m \xc2\x9b1m \xff \xc0\x80 "
            b"\xed\xa0\x80 \xf4\x90\x80\x80 caf\xc3\xa9 \xe2\x82")
    entry.path.write_bytes(entry.path.read_bytes().replace(
        b"recipient: a@example.org\n", b"recipient: a@example.org\n"
        b"error: 75 retry 60 no 4.3.0 " + said + b"\nhint: " + said + b"\n"))
    for options in (["-j"], ["-v"]):
        done = subprocess.run([BUILD / "mailq", *options],
                              env=outpost.environment(), capture_output=True)
        assert done.stderr == b""
        text = done.stdout.decode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    [recipient] = json.loads(mailq(outpost, "-j"))["recipients"]
    for told in (recipient["delay_reason"], recipient["hint"]):
        assert told.startswith('451 "x" \\ ')
        assert told.endswith("\\377 \\300\\200 \\355\\240\\200 "
                             "\\364\\220\\200\\200 caf\u00e9 \\342\\202")


def test_failed_messages_are_listed_and_tried_again(outpost, office):
    office.fault(f"at RCPT b@example.org reply {NOBODY}")
    assert outpost.sendmail("b@example.org", input="\nB\n").code == NOUSER
    text = mailq(outpost, "--failed")
    assert NOBODY in text and "b@example.org" in text
    [entry] = outpost.failed()
    assert mailq(outpost) == "Mail queue is empty\n"
    mailq(outpost, "--retry", entry.id, expect=UNAVAILABLE)
    mailq(outpost, "--retry-failed", entry.id)
    assert [m.addresses for m in office.messages] == [["b@example.org"]]
    assert outpost.failed() == [] and outpost.waiting() == []


def test_only_who_was_refused_gets_it_again(outpost, office):
    office.fault(f"at RCPT b@example.org reply {NOBODY}")
    outpost.sendmail("a@example.org", "b@example.org", input="\nB\n")
    mailq(outpost, "--retry-failed", "ALL")
    assert [m.addresses for m in office.messages] == [
        ["a@example.org"], ["b@example.org"]]


def test_of_a_body_that_was_cut_nothing_is_sent(outpost, office):
    office.fault("at BODY reply 554 5.6.0 malformed")
    outpost.sendmail("-t", input=SIMPLE + "x\n" * 1000000)
    [entry] = outpost.failed()
    result = outpost.run("mailq", "--retry-failed", entry.id)
    assert result.code != OK and "were kept" in result.err
    assert [e.id for e in outpost.failed()] == [entry.id]
    assert office.messages == []


def test_retry_sends_now(outpost, office):
    one, two = queue(outpost), queue(outpost)
    for entry in (one, two):
        entry.make_due(-3600)
    result = outpost.run("mailq", "-r", two.id)
    assert result.code == OK and f"{two.id}: sent" in result.err
    assert len(office.messages) == 1
    assert [e.id for e in outpost.waiting()] == [one.id]


def test_held_messages_wait_until_they_are_released(outpost, office):
    one, two = queue(outpost), queue(outpost)
    mailq(outpost, "--hold", one.id)
    assert f"{one.id}! " in mailq(outpost)
    outpost.run("sendmail", "-qf")
    assert [e.id for e in outpost.waiting()] == [one.id]
    mailq(outpost, "--release", one.id)
    outpost.run("sendmail", "-q")
    assert outpost.waiting() == [] and len(office.messages) == 2


def test_messages_are_removed_by_name_by_account_and_all(outpost, office):
    outpost.accounts["other@contoso.com"] = dict(outpost.accounts[ACCOUNT])
    outpost.set_main(default=ACCOUNT)
    ids = [queue(outpost).id for _ in range(3)]
    other = queue(outpost, args=["-f", "other@contoso.com"]).id
    mailq(outpost, "--remove", ids[0])
    assert [e.id for e in outpost.waiting()] == [*ids[1:], other]
    mailq(outpost, "--remove", "OTHER@contoso.com")
    assert [e.id for e in outpost.waiting()] == ids[1:]
    mailq(outpost, "-d", "ALL")
    assert list((outpost.queue / "active").iterdir()) == []
    log = (outpost.folder / "mail.log").read_text()
    assert f"{ids[0]}: removed by user {os.getuid()}" in log


def test_failed_messages_are_removed_when_asked_for(outpost, office):
    office.fault(f"at RCPT reply {NOBODY} times 2")
    for _ in range(2):
        outpost.sendmail("-t", input=SIMPLE)
    one, two = outpost.failed()
    mailq(outpost, "--remove", one.id)
    assert [e.id for e in outpost.failed()] == [two.id]
    mailq(outpost, "--remove", "ALL", expect=UNAVAILABLE)
    mailq(outpost, "--failed", "--remove", "ALL")
    assert outpost.failed() == []


def test_what_is_being_sent_is_not_touched(outpost, office):
    office.fault("at MAIL stall always")
    entry = queue(outpost)
    process = outpost.start("sendmail", "-q")
    wait_until(lambda: has_said(office, "MAIL"))
    result = outpost.run("mailq", "--remove", entry.id)
    assert result.code == 75 and "being worked on" in result.err
    assert len(outpost.waiting()) == 1
    process.terminate()
    finish(process)
    office.clear_faults()


@pytest.mark.parametrize("arguments, word", [
    (["-d"], "which messages"), (["-Z"], "know '-Z'"),
    (["-fZ"], "know '-Z'"), (["--lsit"], "know '--lsit'"), (["-C"], "-C needs"),
    (["--help=x"], "know '--help=x'"), (["-d", "-r", "x"], "one"),
    (["-s", "x"], "no name")])
def test_wrong_use_is_told(outpost, arguments, word):
    result = outpost.run("mailq", *arguments)
    assert result.code == USAGE and word in result.err
    assert "hint: " in result.err


def test_no_such_message_is_told(outpost):
    result = outpost.run("mailq", "-d", "0123456789BCDFGH")
    assert result.code == UNAVAILABLE and "0123456789BCDFGH" in result.err
    assert "mailq --failed" in result.err
    for what in ("ALL", "other@contoso.com"):
        result = outpost.run("mailq", "-r", what)
        assert result.code == UNAVAILABLE
        assert "there are no such messages in the queue" in result.err


def test_a_listing_of_what_is_not_there_does_not_call_the_queue_empty(
        outpost, office):
    queue(outpost)
    assert mailq(outpost, "0123456789BCDFGH") == (
        "No such messages in the queue\n")
    assert mailq(outpost, "-f", "ALL") == "No such failed messages\n"
    assert mailq(outpost, "-n") == mailq(outpost, "-n", ACCOUNT) == "1\n"
    assert mailq(outpost, "-n", "other@contoso.com") == "0\n"


def test_help_needs_no_configuration(outpost):
    outpost.config.unlink()
    shown = mailq(outpost, "--help")
    assert all(f"--{name}" in shown for name in (
        "count", "failed", "hold", "json", "release", "remove", "retry",
        "retry-failed", "show", "verbose"))


def test_corrupt_messages_are_told_of(outpost):
    entry = queue(outpost)
    entry.path.write_bytes(b"outpost-message 1\n")
    result = outpost.run("mailq")
    assert result.code == OK and entry.id in result.err
    assert result.out == "Mail queue is empty\n"
    outpost.run("sendmail", "-q")
    result = outpost.run("mailq")
    assert "cannot be read: 1" in result.err
