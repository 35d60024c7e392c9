"""A renewal that is wanted by fifty at once, cut off or killed loses no sign-in,
and one that nobody wants is made in time. (Killed at each system call:
test_crash.py.)"""
import contextlib
import fcntl
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from support import ACCOUNT, OK, SIMPLE, TEMPFAIL, expire, sign_in_of


def kill_holder(rng, lock):
    """Kill the token program that has the lock, amid its request or while it
    keeps the answer."""
    inode = lock.stat().st_ino
    holder = re.search(rf": FLOCK .* (\d+) \S+:{inode} ",
                       Path("/proc/locks").read_text())
    if holder:
        time.sleep(rng.random() * 0.3)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(holder[1]), signal.SIGKILL)


TROUBLE = ["", "truncated", "close", "reset", "garbage", "kill", "kill",
           "status 503 html"]


@pytest.mark.parametrize("half", [0, 1])
def test_no_sign_in_is_lost_and_no_message_whatever_meets_a_renewal(
        signed_in, office, half):
    """50 processes at once around a token that ends, again and again; answers
    are cut, and who asks is killed. The old refresh token ends where the new
    one is used."""
    rng = random.Random(half)
    office.sts_options.rotate = "chain"
    signed_in.set(rate="1000/1s")
    sent = 0
    for trouble in TROUBLE[half::2]:
        expire(signed_in)
        before, asked = len(office.token_requests), len(office.requests)
        if trouble == "kill":
            office.fault("at token stall 0.2")
        elif trouble:
            office.fault(f"at token {trouble}")
        lock = signed_in.state / "secrets" / f"{ACCOUNT}=lock"
        with open(lock) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            asking = [signed_in.start("outpost", "token") for _ in range(25)]
            sending = [signed_in.start("sendmail", "-t") for _ in range(25)]
            for process in sending:
                process.stdin.write(SIMPLE)
                process.stdin.close()
                process.stdin = None
        if trouble == "kill":
            assert office.wait_for(lambda: office.requests[asked:], 30)
            kill_holder(rng, lock)
        for process in asking + sending:
            process.communicate(timeout=120)
        office.clear_faults()
        sent += len(sending)
        assert {p.returncode for p in sending} == {OK}
        assert {p.returncode for p in asking} <= {OK, TEMPFAIL}
        answered = [r for r in office.token_requests[before:]
                    if r.status == 200]
        # One, and one more where its answer was lost on the way.
        assert 1 <= len(answered) <= 1 + (trouble != ""), trouble
        assert office.accepts(sign_in_of(signed_in)["refresh_token"]), trouble
        assert signed_in.run("outpost", "token").code == OK, trouble
    assert signed_in.run("sendmail", "-qf").code == OK
    assert signed_in.waiting() == []
    assert len(office.messages) == sent


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
