"""submit, which anybody may run, fed by hand with what sendmail never sends."""
import fcntl
import os
import struct
import subprocess

from support import ACCOUNT, BUILD, OK, TEMPFAIL, UNAVAILABLE
from test_queueing import wait_until

ENVELOPE = (f"outpost-envelope 1\naccount: {ACCOUNT}\nsender: {ACCOUNT}\n"
            "recipient: a@example.org\nrecipient: b@example.org\n").encode()
HEADER = f"From: {ACCOUNT}\r\nTo: a@example.org\r\n\r\n".encode()


def frame(kind, data):
    return kind + struct.pack(">I", len(data)) + data


def message(body=b"Body\r\n"):
    """A whole message as it goes through the pipe."""
    return (frame(b"E", ENVELOPE) + frame(b"B", body) + frame(b"H", HEADER) +
            frame(b"Z", b"outpost-end 1\nbody_size: %d\neight_bit: 0\n"
                  b"smtputf8: 0\nlines: 0\nqueue_only: 0\nmail_errors: 0\n"
                  % len(body)))


def start(outpost, *args):
    return subprocess.Popen([BUILD / "submit", *args],
                            env=outpost.environment(), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


def test_a_message_by_hand_is_sent(outpost, office):
    submit = start(outpost)
    submit.communicate(message(), timeout=60)
    assert submit.returncode == OK
    assert len(office.messages) == 1


def test_a_body_over_max_size_is_refused_while_it_comes(outpost, office):
    """Else one caller could fill the queue's disk."""
    outpost.set(max_size="100K")
    submit = start(outpost)
    submit.stdin.write(frame(b"E", ENVELOPE))
    for _ in range(20):
        submit.stdin.write(frame(b"B", b"x" * 60000))
    submit.stdin.flush()
    # What is over it is read and kept nowhere.
    held = [os.stat(f"/proc/{submit.pid}/fd/{fd}").st_size
            for fd in os.listdir(f"/proc/{submit.pid}/fd")]
    assert max(held) <= 102400
    submit.stdin.write(message()[len(frame(b"E", ENVELOPE)):])
    out, _ = submit.communicate(timeout=60)
    assert submit.returncode == UNAVAILABLE
    assert b"larger than the 102400 bytes" in out
    assert office.sessions == []


def lock(file, command, first, count):
    """A lock of places of ours, as incoming.h has them; the answer."""
    return struct.unpack("hhqqi4x", fcntl.fcntl(file, command, struct.pack(
        "hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, os.getuid() * 1024 + first,
        count, 0)))


def take_places(file):
    """Take all that are free; how many were not."""
    busy = 0
    for place in range(1024):
        try:
            lock(file, fcntl.F_OFD_SETLK, place, 1)
        except BlockingIOError:
            busy += 1
    return busy


def test_messages_that_do_not_end_are_bounded(outpost, office):
    """One user could else start senders until the disk is full. What is
    begun may take its time."""
    places = outpost.state / "state" / "incoming"
    begun = frame(b"E", ENVELOPE) + frame(b"B", b"Body\r\n")
    waits = start(outpost)
    waits.stdin.write(begun)
    waits.stdin.flush()
    wait_until(places.exists)
    with open(places, "wb") as file:
        wait_until(lambda: lock(file, fcntl.F_OFD_GETLK, 0, 1024)[0] !=
                   fcntl.F_UNLCK)
        assert take_places(file) == 1
        late = start(outpost)
        out, _ = late.communicate(message(), timeout=60)
        assert late.returncode == TEMPFAIL
        assert b"as much at once as one user may" in out
        waits.communicate(message()[len(begun):], timeout=60)
        assert waits.returncode == OK
    start(outpost).communicate(message(), timeout=60)
    assert len(office.messages) == 2


def test_a_dialogue_that_nobody_reads_does_not_hold_the_session(outpost,
                                                                office):
    """A stopped terminal, or a caller who means it, would else keep one of
    the mailbox's three connections; so might what it does not hear of who was
    refused."""
    office.fault("at RCPT b@example.org reply 550 5.1.1 User unknown")
    submit = start(outpost, "-v")
    # The pipe is full before the session begins.
    size = fcntl.fcntl(submit.stdout, fcntl.F_SETPIPE_SZ, 4096)
    with open(f"/proc/self/fd/{submit.stdout.fileno()}", "wb",
              buffering=0) as other:
        other.write(b"x" * size)
    submit.stdin.write(message())
    submit.stdin.close()
    assert office.wait_for(lambda: office.messages, timeout=60)
    assert office.wait_for(lambda: office.sessions[0].close_time, timeout=60)
    assert submit.stdout.read().startswith(b"x" * size + b"N")
    assert submit.wait(60) == OK
    submit.stdout.close()
