"""The sample image: an unprivileged user on a read-only root, a volume for
what is kept, everything from the environment. There is no engine here: the
lines of the Containerfile are run under chroot."""
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from machine import ACCOUNT, ROOT, SIMPLE, Machine

FILE = ROOT / "etc/container/Containerfile"
APP, SECRET = "5c1f7a3e-9d42-4d0b-8a77-0e6b1c2d3f40", "Zx8~confidential"
UID = 10001
ENTER = """
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount --bind "$1" "$0/var/lib/outpost"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
shift
exec chroot "$0" "$@"
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def instructions():
    text = re.sub(r"^#.*\n", "", FILE.read_text(), flags=re.M)
    text = text.replace("\\\n", "")
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


class Container(Machine):
    """A container of the image. The volume outlives it."""

    def __init__(self, machine, volume, environment):
        super().__init__(machine.root, machine.src)
        self.volume, self.environment = volume, environment

    def command(self, script, user=None):
        variables = [f"{k}={v}" for k, v in self.environment.items()]
        return ["unshare", "--mount", "--propagation", "private", "--pid",
                "--fork", "--kill-child", "sh", "-ec", ENTER,
                str(self.root), str(self.volume), "setpriv",
                f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
                "--no-new-privs", "--bounding-set=-all", "env", "-i",
                *variables, "sh", "-c", script]


@pytest.fixture(scope="module")
def image(pristine, package):
    """Built by the Containerfile."""
    machine = pristine.copy(pristine.root.parent / "image")
    environment, entrypoint = {}, None
    for verb, rest in instructions():
        if verb == "COPY":
            source, target = rest.split()
            [found] = ROOT.glob(source)
            shutil.copy(found, machine.root / target.lstrip("/"))
        elif verb == "RUN":
            # Without a network, and what apt knows is kept.
            machine.must(rest.replace("apt-get update &&", "").replace(
                "/var/lib/apt/lists/*", ""))
        elif verb == "ENV":
            key, value = rest.split("=", 1)
            environment[key] = value
        elif verb == "ENTRYPOINT":
            entrypoint = re.search(r'"(.*)"', rest)[1]
        else:
            assert verb in ("FROM", "VOLUME", "USER", "HEALTHCHECK"), verb
    yield machine, environment, entrypoint
    machine.remove()


@pytest.fixture
def container(image, office, tmp_path):
    """Not yet started; its environment leads to the stand-in."""
    machine, environment, _ = image
    office.add_app(APP, secret=SECRET, roles=["SMTP.SendAsApp"],
                   mailboxes=[ACCOUNT])
    trusted = machine.root / "usr/local/share/ca-certificates/m365.crt"
    shutil.copy(office.ca_file, trusted)
    machine.must("update-ca-certificates")
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o700)
    os.chown(volume, UID, UID)
    office.forget()
    return Container(machine, volume, {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environment,
        "OUTPOST_MAILBOX": ACCOUNT, "AZURE_TENANT_ID": office.tenant,
        "AZURE_CLIENT_ID": APP, "AZURE_CLIENT_SECRET": SECRET,
        "AZURE_AUTHORITY_HOST": office.authority, "OUTPOST_INIT_FLAGS":
        f"--set host={office.host} --set port={office.smtp_port}"})


@pytest.fixture
def sidecar(image, container):
    """The container, running its entrypoint."""
    process = subprocess.Popen(container.command(f"exec {image[2]}"),
                               stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (container.volume / "outpost.conf").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_mail_leaves_an_unprivileged_read_only_container(container, sidecar,
                                                         office):
    assert container.run("touch /etc/x").code != 0
    done = container.run("sendmail -t", input=SIMPLE.format("container"))
    assert done.code == 0, done
    # The log: a line each, on standard error.
    assert "status=sent" in done.err and done.out == ""
    [m] = office.messages
    assert m.mail_from == ACCOUNT and m.header("Subject") == ["container"]
    secret = container.volume / "secrets"
    assert secret.stat().st_uid == UID and secret.stat().st_mode & 0o77 == 0
    assert SECRET not in (container.volume / "outpost.conf").read_text()


def stop(process):
    """As an engine does: its first process is told to end."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    os.kill(int(children.read_text().split()[0]), signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_what_waits_outlives_the_container(image, container, sidecar, office):
    office.fault("at MAIL reply 451 4.7.0 Temporary server error")
    done = container.run("sendmail -t", input=SIMPLE.format("waits"))
    assert done.code == 0 and "queued as" in done.err, done
    office.clear_faults()
    stop(sidecar)
    # Started again, with the volume as it was; then a program beside it.
    assert container.run(f"{image[2]} sendmail -qf").code == 0
    [m] = office.wait_messages(1)
    assert m.header("Subject") == ["waits"]
    assert "Mail queue is empty" in container.must("mailq")


def test_health_is_the_status(container, sidecar, office):
    container.must("sendmail -t", input=SIMPLE.format("x"))
    result = container.run("outpost status")
    assert result.code == 0 and result.out.startswith("OUTPOST OK"), result
    office.mailbox(ACCOUNT).smtp_auth_disabled = True
    (container.volume / "tokens" / ACCOUNT).unlink()
    container.must("sendmail -t", input=SIMPLE.format("waits"))
    result = container.run("outpost status")
    assert result.code == 2 and "hold" in result.out, result
    office.mailbox(ACCOUNT).smtp_auth_disabled = None
