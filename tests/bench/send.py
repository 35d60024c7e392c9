#!/usr/bin/python3
"""Outpost beside msmtp: the same messages, the same server, one run.

    make bench            or:  /usr/bin/python3 tests/bench/send.py build

Whole processes are compared: processor time (user and system, with all
children) and wall time from start to exit. The server is the stand-in, which
runs in this process and is not counted. Both clients trust the system's roots
and the stand-in's. Figures are medians.
"""
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]
from m365 import Microsoft365  # noqa: E402

BUILD = Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
ACCOUNT = "alerts@contoso.com"
SYSTEM_ROOTS = "/etc/ssl/certs"
SIZES = (("2 kB", 2000, 41), ("25 MB", 25_000_000, 7))


def message(size):
    lines = (b"0123456789abcdef" * 4 + b"0123456789\n") * (size // 75 + 1)
    return (f"From: {ACCOUNT}\nTo: a@example.org\nSubject: bench\n\n".encode()
            + lines[:size - 1] + b"\n")


def trust(folder, office):
    """The system's roots and the stand-in's, as a bundle for msmtp and as a
    hashed folder for Outpost."""
    hashed = folder / "roots"
    shutil.copytree(SYSTEM_ROOTS, hashed, symlinks=True)
    for path in Path(office.ca_dir).iterdir():
        target = hashed / path.name
        if not os.path.lexists(target):
            shutil.copy(path, target)
    bundle = folder / "roots.pem"
    bundle.write_bytes(Path(SYSTEM_ROOTS, "ca-certificates.crt").read_bytes()
                       + Path(office.ca_file).read_bytes())
    return hashed, bundle


def configure(folder, office):
    """Both clients; returns their command lines and environments."""
    from support import APP, SECRET
    hashed, bundle = trust(folder, office)
    office.add_app(APP, secret=SECRET, roles=["SMTP.SendAsApp"],
                   mailboxes=[ACCOUNT])
    secret = folder / "app-secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    for name in ("queue", "state"):
        (folder / name).mkdir()
    (folder / "mail.log").touch()
    conf = folder / "outpost.conf"
    conf.write_text(f"""[outpost]
log = {folder}/mail.log
queue_dir = {folder}/queue
state_dir = {folder}/state
[{ACCOUNT}]
tenant = {office.tenant}
client_id = {APP}
auth = secret
client_secret_file = {secret}
rate = 30/1s
host = localhost
port = {office.smtp_port}
authority = {office.authority}
ca_dir = {hashed}
""")
    token = folder / "token"
    token.write_text(office.issue_access_token(ACCOUNT))
    rc = folder / "msmtprc"
    rc.write_text(f"""account default
host localhost
port {office.smtp_port}
from {ACCOUNT}
auth xoauth2
user {ACCOUNT}
passwordeval cat {token}
tls on
tls_starttls on
tls_trust_file {bundle}
""")
    rc.chmod(0o600)
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return {
        "outpost": ([str(BUILD / "sendmail"), "-t", "-i"], {
            **plain, "OUTPOST_CONFIG": str(conf), "OUTPOST_LIBEXEC":
            str(BUILD)}),
        "msmtp": ([shutil.which("msmtp"), "-C", str(rc), "-t"], plain),
    }


def measure(command, environment, path):
    """Processor and wall seconds of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with open(path, "rb") as text:
        subprocess.run(command, stdin=text, env=environment, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime +
                                               before.ru_stime)
    return cpu, wall


def compare(clients, path, runs):
    """Clients take turns, so that both meet the same machine."""
    seen = {name: [] for name in clients}
    for name, (command, environment) in clients.items():
        measure(command, environment, path)             # warm
    for _ in range(runs):
        for name, (command, environment) in clients.items():
            seen[name].append(measure(command, environment, path))
    return {name: tuple(statistics.median(column) * 1000
                        for column in zip(*values))
            for name, values in seen.items()}


def main():
    if not shutil.which("msmtp"):
        sys.exit("bench: msmtp is missing: apt-get install msmtp")
    with tempfile.TemporaryDirectory(prefix="outpost-bench-") as name:
        folder = Path(name)
        with Microsoft365(folder / "m365") as office:
            clients = configure(folder, office)
            print(f"{'':8}{'':10}{'processor ms':>14}{'wall ms':>10}")
            for label, size, runs in SIZES:
                path = folder / "message"
                path.write_bytes(message(size))
                result = compare(clients, path, runs)
                for client, (cpu, wall) in result.items():
                    print(f"{label:8}{client:10}{cpu:14.1f}{wall:10.1f}")
                ours, theirs = result["outpost"], result["msmtp"]
                print(f"{label:8}{'ratio':10}{ours[0] / theirs[0]:14.2f}"
                      f"{ours[1] / theirs[1]:10.2f}", flush=True)


if __name__ == "__main__":
    main()
