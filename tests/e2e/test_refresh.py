"""A refresh that is killed, cut off or wanted by fifty at once loses no
sign-in.

Of the system calls a sample is tried here; `make crash` tries each of them.
"""
import os
import random
import re
import shutil
import subprocess

import pytest

from support import ACCOUNT, BUILD, OK, SANITIZED, sign_in_of
from test_tokens import expire

ALL = os.environ.get("OUTPOST_CRASH") == "all"
# What changes the store, or the server's mind: each of these is tried.
STEPS = {"openat", "write", "fsync", "rename", "unlink", "flock", "fchmod",
         "sendto", "connect", "mkdir"}
ERRORS = ("write", "fsync", "rename", "fchmod", "unlink")
SIMPLE = b"To: a@example.org\nSubject: hello\n\nBody\n"

strace = [
    pytest.mark.skipif(SANITIZED, reason="strace and LeakSanitizer do not go "
                       "together"),
    pytest.mark.skipif(not shutil.which("strace"), reason="needs strace"),
]


def refresh(outpost, log, *options):
    """The token program under strace, asked for a token anew."""
    expire(outpost)
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", log, *options, BUILD / "token", "-t",
         "10", ACCOUNT],
        env=outpost.environment(), capture_output=True, timeout=60)


def calls_of(log):
    """(name, n): each call of the last run, the n-th of its name, from where
    the account's lock is opened."""
    count, found, begun = {}, [], False
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if not match:
            continue
        name = match[1]
        count[name] = count.get(name, 0) + 1
        begun = begun or "=lock" in line
        if begun:
            found.append((name, count[name]))
    return found


def works(outpost, office):
    """A token comes without anybody signing in, and the store holds what
    the server takes."""
    result = outpost.run("outpost", "token")
    assert result.code == OK, result
    expire(outpost)
    assert outpost.run("outpost", "token").code == OK
    assert [r.status for r in office.token_requests[-1:]] == [200]


class TestKilled:
    pytestmark = strace

    def test_killed_at_any_call_it_leaves_a_store_that_works(
            self, signed_in, office, tmp_path):
        log = tmp_path / "trace"
        assert refresh(signed_in, log).returncode == OK
        points = [c for i, c in enumerate(calls_of(log))
                  if ALL or c[0] in STEPS and i % 3 == 0 or c[0] in
                  ("rename", "fsync")]
        assert len(points) > 10
        for name, n in points:
            killed = refresh(signed_in, log, "-e",
                             f"inject={name}:signal=KILL:when={n}")
            assert killed.returncode != OK, (name, n)
            works(signed_in, office)

    def test_a_disk_that_refuses_leaves_a_store_that_works(
            self, signed_in, office, tmp_path):
        log = tmp_path / "trace"
        assert refresh(signed_in, log).returncode == OK
        points = [c for c in calls_of(log) if c[0] in ERRORS]
        assert points
        for name, n in points:
            for error in ("ENOSPC", "EIO"):
                refresh(signed_in, log, "-e",
                        f"inject={name}:error={error}:when={n}")
                works(signed_in, office)


def start(outpost):
    """Fifty at once, half of them with a message."""
    running = []
    for i in range(50):
        if i % 2:
            running.append(outpost.start("outpost", "token"))
            continue
        process = outpost.start("sendmail", "-t")
        process.stdin.write(SIMPLE)
        process.stdin.close()
        process.stdin = None
        running.append(process)
    return running


def answered(office):
    return [r for r in office.token_requests if r.status == 200]


def test_fifty_at_once_make_one_request_an_expiry(signed_in, office):
    """While the server rotates refresh tokens and cuts its answers off."""
    signed_in.set(rate="1000/1s")
    chance = random.Random(4)
    sends = 0
    for _ in range(3):
        expire(signed_in)
        before = len(answered(office))
        cut = chance.choice(["close", "truncated", "reset", "status 503 html"])
        office.fault(f"at token {cut} times {chance.randint(0, 1) + 1}")
        running = start(signed_in)
        for process in running:
            out, err = process.communicate(timeout=120)
            assert process.returncode == OK, (cut, err)
        sends += 25
        assert sign_in_of(signed_in)["refresh_token"]
        office.clear_faults()
        # One answer reached us; a cut one may have been made as well.
        cut_off = 2 if cut in ("close", "truncated", "reset") else 0
        assert 1 <= len(answered(office)) - before <= 1 + cut_off
    signed_in.run("sendmail", "-qf")
    assert signed_in.waiting() == []
    assert len(office.messages) == sends
    works(signed_in, office)
    signed_in.send("To: a@example.org\n\nAfterwards.\n")


def test_without_faults_it_is_exactly_one_request(signed_in, office):
    signed_in.set(rate="1000/1s")
    for n in (1, 2):
        expire(signed_in)
        for process in start(signed_in):
            _, err = process.communicate(timeout=120)
            assert process.returncode == OK, err
        assert len(office.token_requests) == n
    signed_in.run("sendmail", "-qf")
    assert len(office.messages) == 50


def make_idle(outpost, days):
    expire(outpost)
    path = outpost.state / "tokens" / ACCOUNT
    then = path.stat().st_mtime - days * 86400
    os.utime(path, (then, then))


@pytest.mark.parametrize("days, requests", [(6, 0), (8, 1)])
def test_a_run_of_the_queue_keeps_a_sign_in_in_use(
        signed_in, office, days, requests):
    """Microsoft drops it after 90 days without use."""
    make_idle(signed_in, days)
    for _ in range(2):
        assert signed_in.run("sendmail", "-q").code == OK
    assert len(office.token_requests) == requests


def test_a_sign_in_that_cannot_be_kept_is_tried_once_a_day(signed_in, office):
    office.fault("at token error AADSTS700082 always")
    make_idle(signed_in, 8)
    for _ in range(3):
        assert signed_in.run("sendmail", "-q").code == OK
    assert len(office.token_requests) == 1
    assert "could not be kept in use" in \
        (signed_in.folder / "mail.log").read_text()
