"""What must hold by count: libraries, system calls, round trips, memory,
token requests."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from support import ACCOUNT, BUILD, OK, SANITIZED, canonical

SIMPLE = "To: a@example.org\nSubject: hello\n\nBody\n"

unsanitized = pytest.mark.skipif(
    SANITIZED, reason="AddressSanitizer brings libraries, memory and system "
    "calls of its own")


@unsanitized
@pytest.mark.parametrize("program, without", [
    ("sendmail", ["libcurl", "libjansson", "libssl", "libcrypto"]),
    ("mailq", ["libcurl", "libjansson", "libssl", "libcrypto"]),
    ("submit", ["libcurl", "libjansson"]),
])
def test_libraries_are_where_they_belong(program, without):
    libraries = subprocess.run(["ldd", BUILD / program], text=True,
                               capture_output=True, check=True).stdout
    assert [name for name in without if name in libraries] == []


@pytest.mark.parametrize("program", ["outpost", "token"])
def test_outpost_and_token_have_libcurl_and_jansson(program):
    libraries = subprocess.run(["ldd", BUILD / program], text=True,
                               capture_output=True, check=True).stdout
    assert "libcurl" in libraries and "libjansson" in libraries


@pytest.mark.parametrize("program", ["sendmail", "mailq", "outpost", "submit",
                                     "token"])
def test_programs_are_hardened(program):
    text = subprocess.run(["readelf", "-dlW", BUILD / program], text=True,
                          capture_output=True, check=True).stdout
    assert "BIND_NOW" in text or "FLAGS_1" in text and "NOW" in text
    assert "GNU_RELRO" in text
    assert "PIE" in text
    stack = next(l for l in text.splitlines() if "GNU_STACK" in l)
    assert " RW " in stack and "RWE" not in stack


@unsanitized
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_with_a_cached_token_no_secret_is_opened_and_token_not_run(outpost):
    outpost.send(SIMPLE)
    trace = outpost.folder / "trace"
    done = subprocess.run(
        ["strace", "-f", "-o", trace, "-e", "trace=execve,open,openat",
         BUILD / "sendmail", "-t"], input=SIMPLE.encode(),
        env=outpost.environment(), capture_output=True)
    assert done.returncode == OK, done
    calls = trace.read_text()
    assert "tokens/" in calls                       # it was watched
    assert re.search(r'execve\("[^"]*/submit"', calls)
    assert not re.search(r'execve\("[^"]*/token"', calls)
    assert "secret" not in calls
    assert "openssl.cnf" not in calls


@unsanitized
def test_a_message_takes_nine_round_trips_over_tls_1_3(outpost, office):
    outpost.send(SIMPLE)
    message = outpost.send(SIMPLE)
    assert message.tls_version == "TLSv1.3"
    assert message.session.round_trips <= 9, message.session.trips


def test_a_hundred_recipients_take_no_more_round_trips(outpost, office):
    outpost.send(SIMPLE)
    people = [f"u{i}@example.org" for i in range(100)]
    outpost.sendmail(*people, input="Subject: s\n\nB\n")
    message = office.messages[-1]
    assert len(message.addresses) == 100
    assert message.session.round_trips <= 9, message.session.trips


def peak_memory(outpost, size):
    """Most kB resident, of sendmail and of submit, for a body of that size."""
    code = """
import resource, subprocess, sys
size = int(sys.argv[2])
child = subprocess.Popen([sys.argv[1], "-i", "a@example.org"],
                         stdin=subprocess.PIPE)
child.stdin.write(b"Subject: big\\n\\n")
line = b"x" * 77 + b"\\n"
block = line * 1000
left = size
while left > 0:
    child.stdin.write(block[:left])
    left -= min(left, len(block))
child.stdin.close()
code = child.wait()
# Children that were waited for: sendmail itself, and submit through it.
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code, BUILD / "sendmail",
                           str(size)], env=outpost.environment(),
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == OK, done
    return int(done.stdout)


@unsanitized
def test_memory_is_flat_up_to_100_megabytes(tmp_path):
    from m365 import Microsoft365
    from support import Outpost
    with Microsoft365(tmp_path / "m365",
                      max_message_size=150 << 20) as office:
        outpost = Outpost(tmp_path, office, max_size="150M")
        outpost.send(SIMPLE)
        small = peak_memory(outpost, 2000)
        large = peak_memory(outpost, 100 << 20)
        assert len(office.messages[-1].raw) > 100 << 20
        assert large - small <= 2048, (small, large)


def test_twenty_sends_with_an_expired_token_cause_one_request(outpost, office):
    running = [outpost.start("sendmail", "-t") for _ in range(20)]
    for process in running:
        process.stdin.write(SIMPLE.encode())
        process.stdin.close()
    codes = [process.wait(60) for process in running]
    errors = [process.stderr.read().decode() for process in running]
    for process in running:
        process.stderr.close()
        process.stdout.close()
    assert codes == [OK] * 20, errors
    assert len(office.messages) == 20
    assert len(office.token_requests) == 1


def test_nothing_happens_before_the_end_of_the_message(outpost, office):
    process = outpost.start("sendmail", "-i", "a@example.org")
    process.stdin.write(canonical(SIMPLE) * 1000)
    process.stdin.flush()
    assert not office.wait_for(lambda: office.sessions, timeout=0.5)
    process.kill()
    process.communicate()
    assert not office.wait_for(lambda: office.sessions, timeout=1.0)
    assert list(outpost.queue.iterdir()) == []


def test_killed_before_the_end_mark_nothing_is_left(outpost, office):
    """However much was written, without EOF there is no message."""
    for size in (0, 1, 100, 70000):
        process = outpost.start("sendmail", "-t")
        process.stdin.write((SIMPLE + "x\n" * size).encode())
        process.stdin.flush()
        process.kill()
        process.communicate()
    assert not office.wait_for(lambda: office.sessions, timeout=1.0)
    assert office.messages == []


@unsanitized
def test_closed_descriptors_do_not_leak_into_the_session(outpost, office):
    """A caller may have closed 0, 1 or 2: a socket must not become one."""
    for closed in ("1", "2", "12"):
        script = "exec {} ".format(" ".join(f"{c}>&-" for c in closed))
        done = subprocess.run(
            ["/bin/sh", "-c", f"{script}; exec {BUILD}/sendmail -v -t"],
            input=SIMPLE.encode(), env=outpost.environment(), timeout=60)
        assert done.returncode == OK
    assert len(office.messages) == 3
    for message in office.messages:
        assert b"C: " not in message.raw
    done = subprocess.run(["/bin/sh", "-c",
                           f"exec 0<&-; exec {BUILD}/sendmail -t"],
                          env=outpost.environment(), capture_output=True)
    assert done.returncode == 64            # no message, no recipients


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights up")
@unsanitized
def test_root_reads_the_message_as_nobody(outpost, office):
    process = outpost.start("sendmail", "-t")
    process.stdin.write(b"To: a@example.org\n")
    process.stdin.flush()
    status = f"/proc/{process.pid}/status"
    for _ in range(500):
        uids = next(l for l in open(status) if l.startswith("Uid:")).split()
        if uids[1] != "0":
            break
        process.poll()
        os.sched_yield()
        import time
        time.sleep(0.01)
    process.communicate(b"\nBody\n")
    assert uids[1:] == ["65534"] * 4
    assert process.returncode == OK
