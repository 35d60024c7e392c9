"""The Debian package on a fresh machine: everything on it that sends mail
can, nobody reads what is not his, and it leaves as it came."""
import os
import re
import shutil
import subprocess

import pytest

from machine import ACCOUNT, CALLERS, SIMPLE

ADMIN = "it@contoso.com"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def set_up(machine, office):
    """What an administrator does, to be led to the stand-in."""
    trusted = machine.root / "usr/local/share/ca-certificates/m365.crt"
    shutil.copy(office.ca_file, trusted)
    machine.must("update-ca-certificates")
    machine.must(
        f"outpost init --mailbox {ACCOUNT} --tenant {office.tenant} "
        f"--client-id {office.client_id} --auth login --admin {ADMIN} "
        f"--set host={office.host} --set port={office.smtp_port} "
        f"--set authority={office.authority} --set users=root,alice,www-data")
    machine.must(f"outpost login --device {ACCOUNT}")


@pytest.fixture(scope="module")
def machine(pristine, package, office):
    """The package installed, set up and signed in, with callers beside it."""
    machine = pristine.copy(pristine.root.parent / "machine")
    machine.install(f"/src/{package.name}")
    set_up(machine, office)
    machine.install(CALLERS)
    yield machine
    machine.remove()


@pytest.fixture
def arrived(office):
    """The messages that came since the test began, when there are n."""
    office.forget()
    return lambda n=1: office.wait_messages(n, timeout=90)


def wait_in_queue(machine, office):
    """A message that Microsoft does not take yet."""
    office.fault("at MAIL reply 451 4.7.0 Temporary server error")
    result = machine.run("sendmail -t", input=SIMPLE.format("waits"))
    assert result.code == 0 and "queued as" in result.err, result
    office.clear_faults()


# ---- what is installed

def test_lintian_finds_neither_error_nor_warning(package):
    [changes] = package.parent.glob("*.changes")
    done = subprocess.run(["lintian", "--allow-root", changes], text=True,
                          capture_output=True)
    assert not re.findall(r"^[EW]: .*", done.stdout, re.M), done.stdout
    assert done.returncode == 0, done


def test_programs_and_folders_are_their_owners(machine):
    for path, rights in (
            ("/usr/sbin/sendmail", "root:root 755"),
            ("/usr/bin/outpost", "root:root 755"),
            ("/usr/bin/mailq", "outpost:outpost 6755"),
            ("/usr/libexec/outpost/submit", "outpost:outpost 6755"),
            ("/usr/libexec/outpost/token", "outpost-auth:outpost 4710"),
            ("/etc/outpost/outpost.conf", "root:root 644"),
            ("/var/lib/outpost", "root:root 755"),
            ("/var/lib/outpost/secrets", "outpost-auth:outpost-auth 700"),
            ("/var/lib/outpost/tokens", "outpost-auth:outpost 2750"),
            ("/var/lib/outpost/state", "outpost:outpost 700"),
            ("/var/spool/outpost", "outpost:outpost 700")):
        assert machine.rights(path) == rights, path
    for link in ("/usr/lib/sendmail", "/usr/bin/newaliases"):
        assert machine.must(f"readlink -f {link}").strip() == \
            "/usr/sbin/sendmail"


def test_check_finds_no_fault(machine):
    result = machine.run("outpost check")
    assert result.code == 0, result


# Who may read, write, run what: r, w and x where it can.
USERS = ("root", "outpost", "outpost-auth", "www-data", "alice")
CELLS = {
    "/etc/outpost/outpost.conf": ("rw", "r", "r", "r", "r"),
    f"/var/lib/outpost/secrets/{ACCOUNT}": ("rw", "", "rw", "", ""),
    f"/var/lib/outpost/tokens/{ACCOUNT}": ("rw", "r", "rw", "", ""),
    "/var/lib/outpost/secrets": ("rwx", "", "rwx", "", ""),
    "/var/lib/outpost/tokens": ("rwx", "rx", "rwx", "", ""),
    "/var/lib/outpost/state": ("rwx", "rwx", "", "", ""),
    "/var/spool/outpost": ("rwx", "rwx", "", "", ""),
    "/var/spool/outpost/active": ("rwx", "rwx", "", "", ""),
    "/usr/libexec/outpost/token": ("rwx", "x", "rwx", "", ""),
    "/usr/libexec/outpost/submit": ("rwx", "rwx", "rx", "rx", "rx"),
}


def test_who_may_read_write_and_run_what(machine, office):
    wait_in_queue(machine, office)
    machine.must("sendmail -qf")
    for index, user in enumerate(USERS):
        script = "".join(
            f"printf '%s ' {path}; "
            f"for m in r w x; do test -$m {path} && printf $m; done; echo; "
            for path in CELLS)
        out = machine.must(script, user=user)
        seen = dict((line.split(" ") + [""])[:2] for line in out.splitlines())
        assert seen == {p: cells[index] for p, cells in CELLS.items()}, user


# ---- who sends

def test_php_mail_arrives(machine, arrived):
    out = machine.must("php -r 'var_dump(mail(\"a@example.org\", \"php\", "
                       "\"Body\"));'", user="www-data")
    assert "bool(true)" in out
    [m] = arrived()
    assert m.mail_from == ACCOUNT and m.header("Subject") == ["php"]


def test_mailx_arrives(machine, arrived):
    machine.must("echo Body | mail -s mailx a@example.org", user="alice")
    [m] = arrived()
    assert m.body == b"Body\r\n" and m.addresses == ["a@example.org"]


def test_mail_to_root_arrives_at_the_administrator(machine, arrived):
    machine.must("echo disk full | mail -s warning root")
    [m] = arrived()
    assert m.addresses == [ADMIN] and m.header("Subject") == ["warning"]


def test_git_send_email_arrives(machine, arrived):
    machine.must("""
        cd /home/alice && rm -rf tree && git init -q tree && cd tree
        export HOME=/home/alice
        git config user.name Alice; git config user.email alice@contoso.com
        echo x >f; git add f; git commit -qm 'area: what it does'
        git format-patch -1 --root -q
        git send-email --quiet --to=a@example.org --confirm=never *.patch
        """, user="alice")
    [m] = arrived()
    assert "[PATCH] area: what it does" in m.header("Subject")[0]


def test_cron_jobs_of_root_and_of_a_user_arrive(machine, arrived):
    machine.must("echo '@reboot echo of-root' | crontab -")
    machine.must("echo '@reboot echo of-alice' | crontab -u alice -")
    process = machine.start("cron -f")
    try:
        bodies = sorted(m.body for m in arrived(2))
    finally:
        process.kill()
        process.wait()
    assert bodies == [b"of-alice\r\n", b"of-root\r\n"]


def test_a_user_who_may_not_is_told(machine):
    result = machine.run("sendmail -t", user="bob", input=SIMPLE.format("x"))
    assert result.code == 77 and "'users' of the account" in result.err


# ---- how it leaves

def test_upgrade_keeps_configuration_sign_in_queue_and_rights(
        machine, office, package, arrived, tmp_path):
    wait_in_queue(machine, office)
    kept = ("sha256sum /etc/outpost/outpost.conf /var/lib/outpost/*/* "
            "/var/spool/outpost/active/*")
    before = machine.must(kept)
    unpacked = tmp_path / "next"
    subprocess.run(["dpkg-deb", "-R", package, unpacked], check=True)
    control = unpacked / "DEBIAN/control"
    control.write_text(control.read_text().replace(
        "Version: 1.", "Version: 9:1."))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", unpacked,
                    machine.src / "next.deb"], check=True,
                   stdout=subprocess.DEVNULL)
    machine.install("/src/next.deb")
    assert machine.must(kept) == before
    test_programs_and_folders_are_their_owners(machine)
    machine.must("sendmail -qf")
    [m] = arrived()
    assert m.header("Subject") == ["waits"]
    assert "Mail queue is empty" in machine.must("mailq")


def test_an_administrators_statoverride_is_kept(pristine, package):
    machine = pristine.copy(pristine.root.parent / "statoverride")
    machine.must("dpkg-statoverride --add root root 0755 /usr/bin/mailq")
    machine.install(f"/src/{package.name}")
    assert machine.rights("/usr/bin/mailq") == "root:root 755"
    assert machine.rights("/usr/libexec/outpost/submit") == \
        "outpost:outpost 6755"
    machine.remove()


def test_purge_leaves_nothing_but_a_queue_with_mail(pristine, package,
                                                    office):
    machine = pristine.copy(pristine.root.parent / "leaving")
    machine.install("ca-certificates")
    machine.install(f"/src/{package.name}")
    machine.must("apt-get purge -y outpost-mta")
    before = machine.files()

    def left():
        return {f for f in machine.files() - before
                if "m365" not in f and not f.startswith("/etc/ssl/certs/")}

    users = machine.must("cat /etc/passwd /etc/group")
    machine.install(f"/src/{package.name}")
    set_up(machine, office)
    wait_in_queue(machine, office)
    with_mail = machine.files()
    machine.must("apt-get remove -y outpost-mta")
    assert "/usr/sbin/sendmail" not in machine.files()
    result = machine.run("apt-get purge -y outpost-mta")
    assert result.code == 0 and "has mail in it" in result.out + result.err
    assert left() == {f for f in with_mail
                      if f.startswith("/var/spool/outpost")}
    # Once the mail is gone, so is the rest.
    machine.install(f"/src/{package.name}")
    machine.must("rm /var/spool/outpost/active/* && "
                 "apt-get purge -y outpost-mta")
    assert left() == set()
    assert machine.must("cat /etc/passwd /etc/group") == users
    assert "outpost" not in machine.run("dpkg-statoverride --list").out
    machine.remove()
