"""Killed at any system call, and with any write refused, no message that was
promised is missing, none is corrupt, and none is sent twice but where the
server's last answer was lost; and no sign-in is lost.

Here a sample of the calls is tried; `make crash` tries each of them.
"""
import os
import re
import shutil
import signal
import subprocess

import pytest

from support import ACCOUNT, BUILD, OK, SANITIZED, expire, sign_in_of

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="strace and LeakSanitizer do not go "
                       "together"),
    pytest.mark.skipif(not shutil.which("strace"), reason="needs strace"),
]

ALL = os.environ.get("OUTPOST_CRASH") == "all"
# What changes the queue: each of these is always tried.
STEPS = {"link", "linkat", "rename", "renameat", "renameat2", "fsync",
         "unlink", "utimensat", "flock", "mkdir", "ftruncate"}
TOKEN_STEPS = {"connect", "sendto", "write"}
SAMPLE = 1 if ALL else 9                # of the other calls, each so many-th
ERRORS = ("write", "fsync", "link", "linkat", "rename", "unlink")
NOBODY = "550 5.1.1 User unknown"


class Lab:
    """The programs, of which one runs under strace."""

    def __init__(self, outpost, office):
        self.outpost, self.office = outpost, office
        self.folder = outpost.folder / "traced"
        self.folder.mkdir()
        self.log = outpost.folder / "trace"
        for name in ("submit", "token", "mailq"):
            (self.folder / name).symlink_to(BUILD / name)
        outpost.set(rate="1000/1s")
        outpost.send("To: warm@example.org\n\nA token is cached.\n")
        self.port = office.smtp_port

    def trace(self, name):
        """Have that program traced from now on, wherever it is started."""
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / name).write_text(
            f'#!/bin/sh\nexec strace -qq -o "{self.log}" $INJECT '
            f'{BUILD / name} "$@"\n')
        (self.folder / name).chmod(0o755)
        self.traced = name

    def environment(self, inject=""):
        return self.outpost.environment(OUTPOST_LIBEXEC=str(self.folder),
                                        INJECT=inject)

    def forget(self):
        """What was learned of the account: a failed connect would have the
        next message queued without another."""
        shutil.rmtree(self.outpost.state / "state", ignore_errors=True)

    def run(self, *command, input=b"", inject=""):
        self.forget()
        return subprocess.run(command, input=input, capture_output=True,
                              env=self.environment(inject), timeout=120)

    def server(self, up):
        self.outpost.set(port=self.port if up else 1)

    def lines(self):
        return self.log.read_text(errors="replace").splitlines()

    def calls(self, lines=None):
        """(name, n): every call of the last run, the n-th of its name."""
        count, found = {}, []
        for line in self.lines() if lines is None else lines:
            match = re.match(r"(\w+)\(", line)
            if match:
                name = match[1]
                count[name] = count.get(name, 0) + 1
                found.append((name, count[name]))
        return found

    def sample(self):
        calls = self.calls()
        assert len(calls) > 50
        return [c for i, c in enumerate(calls)
                if c[0] in STEPS or i % SAMPLE == 0]

    def errors(self):
        """Each call that can find the disk full or broken."""
        return [(f"{name}:error={error}:when={n}")
                for name, n in self.calls() if name in ERRORS
                for error in ("ENOSPC", "EIO")]

    def deliver_all(self):
        """Later, with all well: run the queue to its end."""
        self.server(up=True)
        self.office.clear_faults()
        self.forget()
        result = self.outpost.run("sendmail", "-qf")
        assert result.code == OK, result
        assert not (self.outpost.queue / "corrupt").exists()
        assert self.outpost.waiting() == []

    def count(self, subject):
        """How often that message arrived, for each recipient."""
        counts = {}
        for m in self.office.messages:
            if m.header("Subject") == [subject]:
                for address in m.addresses:
                    counts[address] = counts.get(address, 0) + 1
        return counts


@pytest.fixture
def lab(outpost, office):
    return Lab(outpost, office)


def kill_at(call):
    return "-e inject={}:signal=KILL:when={}".format(*call)


def message(subject):
    return f"To: a@example.org\nSubject: {subject}\n\nBody\n".encode()


def send(lab, subject, inject="", recipients=()):
    return lab.run(BUILD / "sendmail", *(recipients or ["-t"]),
                   input=message(subject), inject=inject).returncode


def test_submit_killed_while_it_queues(lab):
    lab.trace("submit")
    lab.server(up=False)
    assert send(lab, "first") == OK
    points = lab.sample()
    codes = {}
    for i, call in enumerate(points):
        codes[f"k{i}"] = send(lab, f"k{i}", kill_at(call))
    lab.deliver_all()
    for subject, code in codes.items():
        there = lab.count(subject).get("a@example.org", 0)
        where = points[int(subject[1:])]
        assert code == OK or code == 75, where
        assert there == 1 if code == OK else there <= 1, where
    assert lab.count("first") == {"a@example.org": 1}
    assert 75 in codes.values() and len(codes) > 20


def test_submit_killed_while_it_sends(lab):
    lab.trace("submit")
    assert send(lab, "first") == OK
    points = lab.sample()
    for i, call in enumerate(points):
        code = send(lab, f"k{i}", kill_at(call))
        there = lab.count(f"k{i}").get("a@example.org", 0)
        assert there == 1 if code == OK else there <= 1, call
    assert lab.outpost.waiting() == []


def test_submit_killed_while_it_sends_in_several_transactions(lab):
    people = [f"u{i}@example.org" for i in range(6)]
    lab.outpost.set(max_recipients="2")
    lab.trace("submit")
    assert send(lab, "first", recipients=people) == OK
    points = lab.sample()
    for i, call in enumerate(points):
        subject = f"k{i}"
        code = send(lab, subject, kill_at(call), people)
        before = lab.count(subject)
        queued = any(subject.encode() in e.header
                     for e in lab.outpost.waiting())
        lab.deliver_all()
        counts = lab.count(subject)
        if code == OK or queued:
            assert set(counts) == set(people), call
        # Only those of one transaction, whose 250 went by unheard.
        twice = [p for p in counts if counts[p] > 1]
        assert len(twice) <= 2 and all(counts[p] == 2 for p in twice), call
        assert set(twice) <= set(before), call


def test_submit_killed_while_it_keeps_what_was_refused(lab):
    lab.trace("submit")
    lab.office.fault(f"at RCPT reply {NOBODY} always")
    assert send(lab, "first") == 67
    for i, call in enumerate(lab.sample()):
        assert send(lab, f"k{i}", kill_at(call)) in (67, 75), call
        assert lab.outpost.waiting() == []
    lab.deliver_all()
    assert lab.count("first") == {}


def fill(lab, round, count=3):
    """Messages in the queue: their subjects."""
    subjects = [f"r{round}m{i}" for i in range(count)]
    for subject in subjects:
        result = lab.outpost.sendmail("-odq", "-t", input=message(subject))
        assert result.code == OK, result
    return subjects


def run_queue(lab, inject=""):
    return lab.run(BUILD / "sendmail", "-qf", inject=inject).returncode


def test_the_runner_killed_while_it_sends(lab):
    lab.trace("submit")
    fill(lab, "first")
    assert run_queue(lab) == OK
    for i, call in enumerate(lab.sample()):
        subjects = fill(lab, i)
        run_queue(lab, kill_at(call))
        lab.deliver_all()
        counts = [lab.count(s).get("a@example.org", 0) for s in subjects]
        # At most the one whose 250 was not heard.
        assert sorted(counts) in ([1, 1, 1], [1, 1, 2]), call


def test_the_runner_killed_while_it_gives_a_message_up(lab):
    lab.trace("submit")
    lab.office.fault(f"at RCPT a@example.org reply {NOBODY} always")
    fill(lab, "first", 1)
    assert run_queue(lab) == OK
    points = lab.sample()
    for i, call in enumerate(points):
        fill(lab, i, 1)
        run_queue(lab, kill_at(call))
        assert run_queue(lab) == OK
        assert not [e for e in lab.outpost.waiting()
                    if "notice" not in e.record], call
    assert len(lab.outpost.failed()) == len(points) + 1
    lab.deliver_all()
    assert not any("a@example.org" in m.addresses for m in lab.office.messages)


def test_mailq_killed_while_it_removes(lab):
    lab.trace("mailq")
    fill(lab, "first", 1)
    assert lab.run(lab.folder / "mailq", "-d", "ALL").returncode == OK
    for i, call in enumerate(lab.sample()):
        [subject] = fill(lab, i, 1)
        lab.run(lab.folder / "mailq", "-d", "ALL", inject=kill_at(call))
        whole = len(lab.outpost.waiting())
        lab.deliver_all()
        assert lab.count(subject).get("a@example.org", 0) == whole, call


def test_mailq_killed_while_it_retries_what_failed(lab):
    lab.trace("mailq")
    for i, call in enumerate([None, *(["?"] * 1000)]):
        if call is not None:
            if i == 1:
                points = lab.sample()
            if i > len(points):
                break
            call = points[i - 1]
        subject = f"k{i}"
        lab.office.fault(f"at RCPT reply {NOBODY}")
        lab.outpost.sendmail("-t", input=message(subject))
        [failed] = lab.outpost.failed()
        lab.run(lab.folder / "mailq", "-F", "ALL",
                inject=kill_at(call) if call else "")
        lab.deliver_all()
        for entry in lab.outpost.failed():
            assert lab.outpost.run("mailq", "-F", entry.id).code == OK, call
        assert lab.count(subject) == {"a@example.org": 1}, call


def test_sendmail_killed_at_any_call(lab):
    """Before its end mark nothing happens; after it, what is promised."""
    command = ["strace", "-qq", "-o", lab.log, BUILD / "sendmail", "-t"]
    assert lab.run(*command, input=message("first")).returncode == OK
    for i, call in enumerate(lab.sample()):
        traced = [*command[:2], *kill_at(call).split(), *command[2:]]
        code = lab.run(*traced, input=message(f"k{i}")).returncode
        assert code in (OK, -signal.SIGKILL), call
        if code == OK:
            assert lab.count(f"k{i}") == {"a@example.org": 1}, call
    lab.office.wait_for(lambda: not any(s.open for s in lab.office.sessions))
    lab.deliver_all()
    for i in range(len(lab.sample())):
        assert lab.count(f"k{i}").get("a@example.org", 0) <= 1


def test_a_disk_that_refuses_while_submit_queues(lab):
    """Exit 0 and it is there, or another code and nothing is."""
    lab.trace("submit")
    lab.server(up=False)
    assert send(lab, "first") == OK
    codes = {}
    for i, error in enumerate(lab.errors()):
        before = len(lab.outpost.waiting())
        codes[error] = send(lab, f"e{i}", f"-e inject={error}")
        added = len(lab.outpost.waiting()) - before
        assert added == (1 if codes[error] == OK else 0), error
        assert codes[error] in (OK, 73, 74, 75), error
        bodies = len(list((lab.outpost.queue / "active").glob("*.body")))
        assert bodies == len(lab.outpost.waiting()), error
    assert {73, 74} & set(codes.values())
    lab.deliver_all()
    for i, error in enumerate(codes):
        assert lab.count(f"e{i}").get("a@example.org", 0) == \
            (1 if codes[error] == OK else 0), error


def test_a_disk_that_refuses_while_the_queue_is_run(lab):
    lab.trace("submit")
    lab.office.fault("at RCPT b@example.org reply 451 4.3.0 later")
    fill(lab, "first")
    assert run_queue(lab) == OK
    for i, error in enumerate(lab.errors()):
        subjects = fill(lab, i)
        run_queue(lab, f"-e inject={error}")
        lab.deliver_all()
        for subject in subjects:
            assert lab.count(subject) == {"a@example.org": 1}, error


def test_a_disk_that_refuses_while_a_message_is_deferred(lab):
    lab.trace("submit")
    lab.office.fault("at MAIL reply 451 4.3.0 later always")
    fill(lab, "first", 1)
    assert run_queue(lab) == OK
    points = lab.errors()
    lab.deliver_all()
    for i, error in enumerate(points):
        lab.office.fault("at MAIL reply 451 4.3.0 later always")
        [subject] = fill(lab, i, 1)
        run_queue(lab, f"-e inject={error}")
        assert len(lab.outpost.waiting()) == 1, error
        lab.deliver_all()
        assert lab.count(subject) == {"a@example.org": 1}, error


def test_a_disk_that_refuses_while_a_message_fails(lab):
    lab.trace("submit")
    for i, error in enumerate([""] + ["?"] * 100):
        if i == 1:
            points = lab.errors()
        if i > 0:
            if i > len(points):
                break
            error = f"-e inject={points[i - 1]}"
        lab.office.fault(f"at RCPT a@example.org reply {NOBODY} always")
        fill(lab, i, 1)
        run_queue(lab, error)
        assert run_queue(lab) == OK
        assert len(lab.outpost.failed()) == 1, error
        lab.deliver_all()
        assert lab.outpost.run("mailq", "-f", "-d", "ALL").code == OK
    assert not any("a@example.org" in m.addresses for m in lab.office.messages)


def test_where_files_need_a_name_it_is_queued_all_the_same(lab):
    """File systems without O_TMPFILE; what a crash leaves is swept."""
    lab.trace("submit")
    lab.server(up=False)
    assert send(lab, "first") == OK
    opens = [line for line in lab.lines() if line.startswith("openat(")]
    [at] = [i for i, line in enumerate(opens, 1) if "O_TMPFILE" in line]
    refused = f"-e inject=openat:error=EOPNOTSUPP:when={at}"
    assert send(lab, "second", refused) == OK
    assert list(lab.outpost.queue.glob("spool.*")) == []
    assert "spool." in lab.log.read_text()
    assert send(lab, "third", f"{refused} {kill_at(('linkat', 1))} "
                f"{kill_at(('link', 1))}") == 75
    [left] = lab.outpost.queue.glob("spool.*")
    assert not [e for e in lab.outpost.waiting() if b"third" in e.header]
    os.utime(left, (0, 0))
    lab.deliver_all()
    assert not left.exists()
    assert [lab.count(s) for s in ("first", "second", "third")] == [
        {"a@example.org": 1}, {"a@example.org": 1}, {}]


# The token program

def renew(lab, inject=""):
    expire(lab.outpost)
    return lab.run(BUILD / "outpost", "token", inject=inject)


def renewing(lab):
    """The traced calls from the lock on: before it nothing is touched."""
    lines = lab.lines()
    [at] = [i for i, line in enumerate(lines)
            if line.startswith("openat(") and f"{ACCOUNT}=lock" in line]
    calls = lab.calls(lines)
    skipped = len(lab.calls(lines[:at]))
    return [c for i, c in enumerate(calls) if i >= skipped and
            (c[0] in STEPS | TOKEN_STEPS or i % SAMPLE == 0)]


def still_signed_in(lab):
    """Its refresh token is one that counts, and it is used once more."""
    assert lab.office.accepts(sign_in_of(lab.outpost)["refresh_token"])
    expire(lab.outpost)
    return lab.outpost.run("outpost", "token").code == OK


def test_the_token_program_killed_while_it_renews(signed_in, lab):
    """Nobody has to sign in again. An old refresh token ends where the new one
    is used."""
    lab.office.sts_options.rotate = "chain"
    lab.trace("token")
    assert renew(lab).returncode == OK
    points = renewing(lab)
    assert {c[0] for c in points} >= {"flock", "connect", "write", "fsync",
                                      "rename"}
    codes = set()
    for call in points:
        codes.add(renew(lab, kill_at(call)).returncode)
        assert still_signed_in(lab), call
    assert 75 in codes and codes <= {OK, 75}
    assert [p for p in (lab.outpost.state / "secrets").iterdir()
            if not p.name.startswith(ACCOUNT)] == []


def test_a_disk_that_refuses_while_the_token_program_renews(signed_in, lab):
    """What was got is used; what is kept, counts."""
    lab.office.sts_options.rotate = "chain"
    lab.trace("token")
    assert renew(lab).returncode == OK
    points = lab.errors()
    assert {p.split(":")[0] for p in points} >= {"write", "fsync", "rename"}
    for error in points:
        code = renew(lab, f"-e inject={error}").returncode
        assert code in (OK, 75), error
        assert still_signed_in(lab), error


def test_a_login_that_is_killed_leaves_the_one_before(signed_in, lab):
    lab.office.sts_options.rotate = "chain"
    lab.office.auto_approve = ACCOUNT
    command = ["strace", "-qq", "-o", lab.log, BUILD / "outpost", "login",
               "--device"]
    assert lab.run(*command).returncode == OK
    # Each has to wait a second for the person.
    for call in renewing(lab)[::1 if ALL else 10]:
        lab.run(*command[:2], *kill_at(call).split(), *command[2:])
        assert still_signed_in(lab), call
