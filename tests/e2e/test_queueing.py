"""What cannot be sent now is kept, whole, and the caller is told."""
import os
import signal
import subprocess
import time

import pytest

from support import (CANTCREAT, IOERR, NOUSER, OK, TEMPFAIL)

SIMPLE = "To: a@example.org\nSubject: hello\n\nBody\n"


def submit_of(sendmail):
    """The process id of the submit that a sendmail started."""
    path = f"/proc/{sendmail.pid}/task/{sendmail.pid}/children"
    for _ in range(1000):
        children = open(path).read().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError("sendmail started no submit")


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def has_said(office, command, times=1):
    """Some session has had that command so often."""
    return any(sum(c.startswith(command) for c in s.commands) >= times
               for s in office.sessions)


def start(outpost, *args, message=SIMPLE):
    process = outpost.start("sendmail", "-t", *args)
    process.stdin.write(message.encode())
    process.stdin.close()
    process.stdin = None
    return process


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, err.decode()


def test_a_refused_message_is_kept_and_its_code_is_told(outpost, office):
    office.fault("at RCPT reply 550 5.1.10 RESOLVER.ADR.RecipientNotFound")
    assert outpost.sendmail("-t", input=SIMPLE).code == NOUSER
    [entry] = outpost.failed()
    assert entry.recipients() == [("a@example.org", "refused")]
    assert entry.body == b"Body\r\n"
    assert outpost.waiting() == []


def test_of_a_large_refused_message_a_megabyte_is_kept(outpost, office):
    office.fault("at BODY reply 554 5.6.0 malformed")
    result = outpost.sendmail("-t", input=SIMPLE + "x\n" * 2000000)
    assert result.code != OK
    [entry] = outpost.failed()
    assert len(entry.body) == 1 << 20


def test_nothing_failed_is_kept_where_it_is_not_wished(outpost, office):
    outpost.set_main(keep_failed="0")
    office.fault("at RCPT reply 550 5.1.1 User unknown")
    assert outpost.sendmail("-t", input=SIMPLE).code == NOUSER
    assert outpost.failed() == []


@pytest.mark.parametrize("option", ["-odq", "-odd", "-ODeliveryMode=queue",
                                    "-ODeliveryMode=defer"])
def test_on_request_it_is_only_queued(outpost, office, option):
    result = outpost.sendmail("-t", option, input=SIMPLE)
    assert (result.code, result.out, result.err) == (OK, "", "")
    assert office.sessions == []
    [entry] = outpost.waiting()
    assert entry.next <= time.time()
    assert entry.record["uid"] == str(os.getuid())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGHUP])
def test_a_signal_has_the_message_queued(outpost, office, number):
    office.fault("at MAIL stall always")
    process = start(outpost)
    wait_until(lambda: has_said(office, "MAIL"))
    os.kill(submit_of(process), number)
    code, err = finish(process)
    assert code == OK, err
    assert "queued as " in err and number.name[3:] in err
    [entry] = outpost.waiting()
    assert entry.pending == ["a@example.org"]
    office.clear_faults()


def test_a_signal_after_the_final_dot_waits_for_the_answer(outpost, office):
    office.fault("at BODY stall 3")
    process = start(outpost)
    wait_until(lambda: has_said(office, "DATA"))
    time.sleep(0.5)
    os.kill(submit_of(process), signal.SIGTERM)
    wait_until(outpost.waiting)             # in the queue while in doubt
    code, err = finish(process)
    assert (code, err) == (OK, "")
    assert len(office.messages) == 1
    assert outpost.waiting() == []


def test_a_send_that_takes_long_is_in_the_queue_meanwhile(outpost, office):
    office.fault("at BODY stall 8")
    process = start(outpost)
    wait_until(outpost.waiting)
    [entry] = outpost.waiting()
    assert entry.next > time.time() + 600
    assert entry.body == b"Body\r\n"
    code, err = finish(process)
    assert (code, err) == (OK, "")
    assert outpost.waiting() == []
    assert list((outpost.queue / "active").iterdir()) == []
    assert len(office.messages) == 1


def test_killed_while_it_takes_long_the_message_is_there(outpost, office):
    office.fault("at BODY stall always")
    process = start(outpost)
    wait_until(outpost.waiting)
    os.kill(submit_of(process), signal.SIGKILL)
    code, err = finish(process)
    assert code == TEMPFAIL and "KILL" in err
    [entry] = outpost.waiting()
    assert entry.pending == ["a@example.org"]
    assert len(office.messages) == 0
    office.clear_faults()


def test_several_transactions_go_by_way_of_the_queue(outpost, office):
    outpost.set(max_recipients="2")
    office.fault("at MAIL 2 close")
    people = [f"u{i}@example.org" for i in range(5)]
    result = outpost.sendmail(*people, input="Subject: s\n\nB\n")
    assert result.code == OK and "queued as " in result.err, result
    assert [m.addresses for m in office.messages] == [people[:2]]
    [entry] = outpost.waiting()
    assert entry.pending == people[2:]


def test_the_state_is_on_disk_before_the_next_transaction(outpost, office):
    """Killed at the second MAIL, those of the first are not pending."""
    outpost.set(max_recipients="2")
    office.fault("at MAIL 2 stall always")
    people = [f"u{i}@example.org" for i in range(4)]
    process = outpost.start("sendmail", *people)
    process.stdin.write(b"Subject: s\n\nB\n")
    process.stdin.close()
    process.stdin = None
    wait_until(lambda: has_said(office, "MAIL", 2))
    os.kill(submit_of(process), signal.SIGKILL)
    assert finish(process)[0] == TEMPFAIL
    [entry] = outpost.waiting()
    assert entry.pending == people[2:]
    assert [m.addresses for m in office.messages] == [people[:2]]
    office.clear_faults()


def test_without_a_queue_it_is_sent_all_the_same(outpost, office):
    outpost.set_main(queue_dir="/proc/nothing")
    assert outpost.send(SIMPLE).body == b"Body\r\n"


def test_without_a_queue_a_temporary_failure_exits_75(outpost, office):
    outpost.set_main(queue_dir="/proc/nothing")
    office.fault("at MAIL close")
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == TEMPFAIL
    assert "/proc/nothing" in result.err and "could not be sent" in result.err


def test_a_queue_that_cannot_be_written_is_told(outpost, office):
    (outpost.queue / "active").touch()
    office.fault("at MAIL close")
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code in (CANTCREAT, IOERR), result
    assert "could not be sent" in result.err and "hint: " in result.err
    assert "queued" not in result.err


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_is_told_and_leaves_nothing(outpost, office):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs",
                    outpost.queue], check=True)
    try:
        office.fault("at MAIL close times 2")
        for message in (SIMPLE, SIMPLE + "x\n" * 1000000):
            result = outpost.sendmail("-t", input=message)
            assert result.code in (IOERR, TEMPFAIL), result
            assert "hint: " in result.err
            assert list(outpost.queue.rglob("*.*")) == []
        office.clear_faults()
        for command in "check", "status":
            result = outpost.run("outpost", command)
            assert result.code == 1 and "too full to queue mail" in result.out
            assert "32 MB must be left" in result.out
    finally:
        subprocess.run(["umount", outpost.queue], check=True)


def test_the_users_own_folder_is_made(outpost, office):
    outpost.queue.rmdir()
    office.fault("at MAIL close")
    assert outpost.sendmail("-t", input=SIMPLE).code == OK
    assert len(outpost.waiting()) == 1
    assert outpost.queue.stat().st_mode & 0o777 == 0o700
