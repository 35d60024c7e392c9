"""A copy of one's own, made and used without root: README 3b."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from machine import ACCOUNT, ROOT, SIMPLE

USER = "nobody"

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="needs root, to be somebody else")


class Home:
    """A user's home folder, with the source tree in it."""

    def __init__(self, folder):
        self.folder = folder
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True,
                               capture_output=True).stdout
        tree = folder / "outpost"
        tree.mkdir()
        subprocess.run(["xargs", "-0", "cp", "--parents", "-t", tree],
                       cwd=ROOT, input=files, check=True)
        subprocess.run(["chown", "-R", USER, folder], check=True)

    def run(self, script, input=""):
        home = self.folder
        return subprocess.run(
            ["setpriv", f"--reuid={USER}", "--regid=nogroup",
             "--clear-groups", "env", "-i", f"HOME={home}",
             f"PATH={home}/.local/bin:{home}/.local/sbin:/usr/bin:/bin",
             "sh", "-c", script], cwd=home, input=input, text=True,
            capture_output=True, timeout=300)

    def must(self, script, input=""):
        done = self.run(script, input)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(scope="module")
def home():
    with tempfile.TemporaryDirectory(prefix="outpost-own-") as folder:
        os.chmod(folder, 0o755)
        home = Home(Path(folder))
        home.must("make -s -j2 -C outpost install PREFIX=$HOME/.local")
        yield home


def test_a_user_installs_signs_in_and_sends_without_root(home, office):
    office.forget()
    shutil.copy(office.ca_file, home.folder / "ca.pem")
    # nobody's own home folder is elsewhere: the variable says where.
    setting = "export OUTPOST_CONFIG=$HOME/.config/outpost/outpost.conf; "
    home.must(
        setting + f"outpost init --mailbox {ACCOUNT} --tenant {office.tenant} "
        f"--client-id {office.client_id} --auth login "
        "--state-dir $HOME/.local/state/outpost "
        "--queue-dir $HOME/.local/state/outpost/queue "
        f"--set host={office.host} --set port={office.smtp_port} --set "
        f"authority={office.authority} --set ca_file=$HOME/ca.pem && "
        f"outpost login --device {ACCOUNT} && outpost check")
    home.must(setting + "sendmail -t", input=SIMPLE.format("own"))
    home.must(setting + """
        git config --global user.name Nobody
        git config --global user.email nobody@contoso.com
        git config --global sendemail.smtpServer $HOME/.local/sbin/sendmail
        git init -q tree && cd tree && echo x >f && git add f
        git commit -qm 'area: what it does'
        git send-email --quiet --to=a@example.org --confirm=never --root -1
        """)
    subjects = [m.header("Subject")[0] for m in office.messages]
    assert subjects == ["own", "[PATCH] area: what it does"]
    assert "Mail queue is empty" in home.must(setting + "mailq")


def test_nothing_of_it_lies_outside_its_folders(home):
    for name in ("sbin/sendmail", "bin/mailq", "bin/outpost",
                 "bin/newaliases", "libexec/outpost/submit",
                 "libexec/outpost/token", "share/man/man8/sendmail.8",
                 "share/man/man5/outpost.conf.5"):
        path = home.folder / ".local" / name
        assert path.exists(), name
        assert path.stat().st_mode & 0o6022 == 0, name
    state = home.folder / ".local/state/outpost"
    for path in [state / "secrets", *(state / "secrets").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
