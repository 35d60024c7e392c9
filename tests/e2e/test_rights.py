"""Three trust levels, tried as root with real users and a set-id copy of the
build (DESIGN: programs, users, files)."""
import json
import os
import pwd
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from support import (ACCOUNT, APP, BUILD, CONFIG, NOPERM, OK, SANITIZED,
                     SECRET, USAGE)

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(SANITIZED, reason="set-id programs and "
                       "AddressSanitizer do not go together"),
    pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare"),
]

SIMPLE = b"To: a@example.org\nSubject: hello\n\nBody\n"
# Users that stand in for ours; every Debian has them.
LIBEXEC = "/usr/libexec/outpost"        # compiled in
SOURCE = Path(__file__).resolve().parents[2]
OUTPOST, OUTPOST_AUTH, CALLER = "news", "uucp", "www-data"


class System:
    """A system installation: the programs set-id in a folder, configuration,
    state and queue beside it. Each command runs in a mount namespace where
    they are what /etc/outpost and the compiled-in folder show."""

    def __init__(self, folder, office):
        self.office, self.root = office, folder / "system"
        self.libexec = self.root / "libexec"
        self.etc = self.root / "etc"
        self.state = self.root / "state"
        self.queue = self.root / "queue"
        for path in (self.libexec, self.etc, self.state, self.queue):
            path.mkdir(parents=True)
        # Every folder up to ours must let others through.
        path = folder
        while path != path.parent:
            os.chmod(path, os.stat(path).st_mode | 0o055)
            path = path.parent
        self._programs()
        self._folders()
        self.write()

    def _programs(self):
        for name in ("sendmail", "submit", "token", "outpost", "mailq"):
            shutil.copy(BUILD / name, self.libexec / name)
        owner, auth = (pwd.getpwnam(n) for n in (OUTPOST, OUTPOST_AUTH))
        os.chown(self.libexec / "submit", owner.pw_uid, owner.pw_gid)
        os.chmod(self.libexec / "submit", 0o6755)
        os.chown(self.libexec / "mailq", owner.pw_uid, owner.pw_gid)
        os.chmod(self.libexec / "mailq", 0o6755)
        os.chown(self.libexec / "token", auth.pw_uid, owner.pw_gid)
        os.chmod(self.libexec / "token", 0o4710)

    def _folders(self):
        owner, auth = (pwd.getpwnam(n) for n in (OUTPOST, OUTPOST_AUTH))
        secrets, tokens = self.state / "secrets", self.state / "tokens"
        for path, uid, gid, mode in (
                (self.queue, owner.pw_uid, owner.pw_gid, 0o700),
                (self.state / "state", owner.pw_uid, owner.pw_gid, 0o700),
                (secrets, auth.pw_uid, auth.pw_gid, 0o700),
                (tokens, auth.pw_uid, owner.pw_gid, 0o2750)):
            path.mkdir(exist_ok=True)
            os.chown(path, uid, gid)
            os.chmod(path, mode)
        self.secret = secrets / "app-secret"
        self.secret.write_text(SECRET)
        os.chown(self.secret, auth.pw_uid, auth.pw_gid)
        os.chmod(self.secret, 0o600)

    def write(self, **account):
        office = self.office
        office.add_app(APP, secret=SECRET, roles=["SMTP.SendAsApp"],
                       mailboxes=[ACCOUNT])
        keys = {"tenant": office.tenant, "client_id": APP, "auth": "secret",
                "client_secret_file": self.secret, "host": office.host,
                "port": office.smtp_port, "authority": office.authority,
                "ca_dir": office.ca_dir, **account}
        (self.etc / "outpost.conf").write_text(
            f"[outpost]\nqueue_dir = {self.queue}\nstate_dir = {self.state}\n"
            f"aliases = {self.etc}/aliases\n"
            f"[{ACCOUNT}]\n" +
            "".join(f"{k} = {v}\n" for k, v in keys.items() if v != ""))

    def sign_in_by_browser(self):
        """A program that stands in for the browser of www-data: it notes who
        it is and what it may read, and follows where Microsoft leads it."""
        program, seen = self.root / "browser", self.root / "seen"
        seen.touch()
        os.chmod(seen, 0o666)
        program.write_text(f"""#!/usr/bin/python3
import os, ssl, sys, urllib.request
with open("{seen}", "w") as out:
    print(os.getuid(), os.getgroups(), os.environ["HOME"], file=out)
    for path in ("{self.secret}", "{self.state}/secrets/{ACCOUNT}"):
        print(os.access(path, os.R_OK), file=out)
    context = ssl.create_default_context(capath="{self.office.ca_dir}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}),
        urllib.request.HTTPSHandler(context=context))
    print(opener.open(sys.argv[1]).read().decode(), file=out)
""")
        program.chmod(0o755)
        return program, seen

    def run(self, user, command, input=SIMPLE, env=None):
        """Run a shell command as a user inside the namespace."""
        binds = {self.etc: "/etc/outpost", self.libexec: LIBEXEC}
        made = [path for path in binds.values() if not os.path.exists(path)]
        script = "".join(f"mount --bind {source} {target}; "
                         for source, target in binds.items())
        script += (f"exec setpriv --reuid={user} --clear-groups "
                   f"--regid={pwd.getpwnam(user).pw_gid} "
                   f"/bin/sh -c '{command}'")
        for path in made:
            os.makedirs(path)
        try:
            return subprocess.run(
                ["unshare", "-m", "/bin/sh", "-ec", script], input=input,
                capture_output=True, timeout=60,
                env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **(env or {})})
        finally:
            for path in made:
                os.rmdir(path)

    @property
    def sendmail(self):
        return f"{LIBEXEC}/sendmail -t"


@pytest.fixture
def system(office):
    import tempfile
    # pytest's own folder is closed to others.
    with tempfile.TemporaryDirectory(prefix="outpost-rights-") as folder:
        os.chmod(folder, 0o755)
        # The stand-in's certificates must be readable for the service users.
        shutil.copytree(office.ca_dir, Path(folder) / "ca", symlinks=False)
        for path in Path(folder).rglob("*"):
            os.chmod(path, 0o755)
        office.ca_dir = str(Path(folder) / "ca")
        yield System(Path(folder), office)


def test_an_ordinary_user_sends_through_the_system_account(system, office):
    done = system.run(CALLER, system.sendmail)
    assert done.returncode == OK, done
    [m] = office.messages
    assert m.mail_from == ACCOUNT
    assert m.header("From")[0].endswith(f"<{ACCOUNT}>")


def test_root_sends_and_submit_is_the_service_user(system, office):
    done = system.run("root", system.sendmail)
    assert done.returncode == OK, done
    assert len(office.messages) == 1


def test_root_signs_in_and_the_browser_is_the_callers(system, office):
    system.write(auth="login", client_id=office.client_id,
                 client_secret_file="")
    office.auto_approve = ACCOUNT
    program, seen = system.sign_in_by_browser()
    done = system.run("root", f"{LIBEXEC}/outpost login --browser",
                      env={"BROWSER": str(program), "SUDO_UID": str(
                          pwd.getpwnam(CALLER).pw_uid)})
    assert done.returncode == OK, done
    who, secret, sign_in, *page = seen.read_text().splitlines()
    assert who == "33 [33] /var/www"
    assert (secret, sign_in) == ("False", "False")
    assert "<h1>Signed in</h1>" in page
    kept = system.state / "secrets" / ACCOUNT
    assert kept.stat().st_uid == pwd.getpwnam(OUTPOST_AUTH).pw_uid
    assert kept.stat().st_mode & 0o777 == 0o600
    done = system.run(CALLER, system.sendmail)
    assert done.returncode == OK, done
    assert office.messages[0].user == ACCOUNT


def test_who_is_not_root_cannot_sign_in_a_system_account(system, office):
    system.write(auth="login", client_id=office.client_id,
                 client_secret_file="")
    program, seen = system.sign_in_by_browser()
    done = system.run(CALLER, f"{LIBEXEC}/outpost login --browser",
                      env={"BROWSER": str(program)})
    assert done.returncode == NOPERM and b"run this as root" in done.stderr
    assert seen.read_text() == "" and office.requests == []


def test_the_caller_cannot_read_what_the_services_own(system, office):
    assert system.run(CALLER, system.sendmail).returncode == OK
    for path in ("state/secrets/app-secret", "state/tokens/*", "queue/*"):
        done = system.run(CALLER, f"cat {system.root}/{path}")
        assert done.returncode != 0 and done.stdout == b"", path
    done = system.run(CALLER, f"ls {system.root}/state/tokens")
    assert done.returncode != 0


def test_a_caller_learns_of_a_denied_from_and_cannot_read_the_list(
        system, office):
    system.write(send_as="boss@contoso.com")
    message = b"From: boss@contoso.com\n" + SIMPLE
    assert system.run(CALLER, system.sendmail, message).returncode == NOPERM
    done = system.run(CALLER, system.sendmail, message)
    assert done.returncode == OK, done
    [m] = office.messages
    assert m.header("From")[0].endswith(f"<{ACCOUNT}>")
    done = system.run(CALLER, f"ls {system.state}/state")
    assert done.returncode != 0
    office.mailbox(ACCOUNT).send_as.append("boss@contoso.com")
    assert system.run("root", system.sendmail, message).returncode == OK
    assert office.messages[-1].header("From") == ["boss@contoso.com"], \
        "what the caller brought about is not root's"

def test_status_leaves_out_what_its_caller_may_not_see(system, office):
    office.fault("at AUTH reply 535 5.7.139 Authentication unsuccessful, "
                 "SmtpClientAuthentication is disabled for the Mailbox.")
    assert system.run(CALLER, system.sendmail).returncode == OK
    status = f"{LIBEXEC}/outpost status"
    sees = json.loads(system.run("root", f"{status} --json").stdout)
    assert sees["accounts"][0]["on_hold"] and sees["queue"]["deferred"] == 1
    done = system.run(CALLER, f"{status} --json")
    answer = json.loads(done.stdout)
    assert done.returncode == 3 and answer["status"] == "UNKNOWN"
    assert answer["accounts"] == [{"account": ACCOUNT}]
    assert "queue" not in answer
    assert any("on hold" in f["text"] and "root" in f["hint"]
               for f in answer["findings"])
    done = system.run(CALLER, status)
    assert done.returncode == 3
    assert re.search(rb"on hold +unknown", done.stdout)
    assert re.search(rb"token +unknown", done.stdout)
    done = system.run(CALLER, f"{status} --prometheus")
    assert done.returncode == 3
    assert b"\noutpost_status 3\n" in done.stdout
    values = re.findall(rb"^(outpost_\w+)\{", done.stdout, re.M)
    assert all(v.endswith(b"_limit") for v in values), values


def test_root_signs_in_and_out_as_the_token_program_does(system):
    """Whosever the folder is: it may have been put there."""
    folder, owner = system.state / "secrets", pwd.getpwnam(OUTPOST)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    folder.chmod(0o777)
    done = system.run("root", f"{LIBEXEC}/outpost logout")
    assert done.returncode == OK, done
    auth = pwd.getpwnam(OUTPOST_AUTH).pw_uid
    assert (folder / f"{ACCOUNT}=lock").stat().st_uid == auth


def test_each_service_reads_only_its_own(system, office):
    assert system.run(CALLER, system.sendmail).returncode == OK
    done = system.run(OUTPOST, f"cat {system.secret}")
    assert done.returncode != 0 and done.stdout == b""
    token = next(p for p in (system.state / "tokens").iterdir()
                 if p.is_file() and p.stat().st_size > 500)
    done = system.run(OUTPOST, f"cat {token}")
    assert done.returncode == 0
    done = system.run(OUTPOST_AUTH, f"ls {system.queue}")
    assert done.returncode != 0


def test_the_caller_cannot_run_the_token_program(system):
    done = system.run(CALLER, f"{LIBEXEC}/token {ACCOUNT}")
    assert done.returncode != 0
    assert b"token: " not in done.stdout


def token_of(system, user, account=ACCOUNT, env=None):
    return system.run(user, f"{LIBEXEC}/outpost token {account}", env=env)


@pytest.mark.parametrize("listed", [CALLER, f"games, @{CALLER}"])
def test_who_is_in_token_users_gets_the_token(system, office, listed):
    system.write(token_users=listed)
    for _ in range(2):                          # made, then from the cache
        done = token_of(system, CALLER)
        assert done.returncode == OK, done
        assert len(done.stdout.strip()) > 100 and b"\n" not in \
            done.stdout.strip()
    assert len(office.token_requests) == 1
    assert system.secret.read_bytes() not in done.stdout + done.stderr


@pytest.mark.parametrize("user", [CALLER, "nobody"])
@pytest.mark.parametrize("keys", [
    {}, {"token_users": "games, @games"},
    {"users": f"{CALLER}, nobody", "token_users": "root"}])
def test_nobody_else_gets_the_token(system, office, user, keys):
    """Cached or not, through outpost or by hand, whatever they say of
    themselves."""
    system.write(**keys)
    liar = {"USER": "games", "LOGNAME": "games", "SUDO_UID": "0",
            "OUTPOST_CONFIG": "/nonexistent"}
    for _ in range(2):
        done = token_of(system, user, env=liar)
        assert done.returncode == NOPERM, done
        assert done.stdout == b"" and b"token_users" in done.stderr
        done = system.run(user, f"{LIBEXEC}/submit -t {ACCOUNT}", env=liar)
        assert done.returncode == NOPERM and b"token: " not in done.stdout
        assert token_of(system, "root").returncode == OK


def test_limits_of_a_token_user_are_told(system):
    system.write(token_users=CALLER)
    done = system.run(CALLER, f"ulimit -n 16; exec {LIBEXEC}/outpost token")
    assert done.returncode == 75 and b"limit on open files" in done.stderr


def test_the_token_of_one_account_is_not_that_of_another(system, office):
    system.write(token_users=CALLER)
    path = system.etc / "outpost.conf"
    other = "sales@contoso.com"
    path.write_text(path.read_text().replace("[outpost]\n", "[outpost]\n"
                    f"default = {ACCOUNT}\n") +
                    f"[{other}]\ntenant = x.example\nclient_id = x\n")
    assert token_of(system, CALLER).returncode == OK
    done = token_of(system, CALLER, other)
    assert done.returncode == NOPERM and done.stdout == b""


def test_the_relay_takes_no_configuration_of_the_callers(system):
    system.write(token_users=CALLER)
    done = system.run(CALLER, f"{LIBEXEC}/submit -C /dev/null -t {ACCOUNT}")
    assert done.returncode == NOPERM and b"token: " not in done.stdout
    done = system.run(CALLER, f"{LIBEXEC}/submit -t nobody@x.example")
    assert done.returncode == CONFIG and b"token: " not in done.stdout


def test_a_configuration_of_the_callers_is_not_listened_to(system, office):
    own = system.root / "own.conf"
    own.write_text(f"[outpost]\nqueue_dir = /tmp\nstate_dir = /tmp\n"
                   f"[{ACCOUNT}]\ntenant = x\nclient_id = x\n"
                   "host = evil.example\n")
    own.chmod(0o644)
    done = system.run(CALLER, system.sendmail + f" -C {own}")
    assert done.returncode == NOPERM
    assert office.messages == []
    done = system.run(CALLER, system.sendmail,
                      env={"OUTPOST_CONFIG": str(own)})
    assert done.returncode == OK, done
    done = system.run(CALLER, f"{LIBEXEC}/submit -C {own}")
    assert done.returncode == NOPERM


@pytest.mark.parametrize("name, value", [
    ("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nonexistent"),
    ("OPENSSL_CONF", "/nonexistent"), ("LD_PRELOAD", "/nonexistent.so"),
    ("HTTPS_PROXY", "http://127.0.0.1:1"), ("https_proxy", "http://127.0.0.1:1"),
    ("ALL_PROXY", "http://127.0.0.1:1"), ("HOME", "/nonexistent"),
    ("MALLOC_CHECK_", "3"), ("SSLKEYLOGFILE", "/tmp/keys"),
    ("LOCALDOMAIN", "evil.example"), ("RES_OPTIONS", "ndots:15"),
    ("TMPDIR", "/nonexistent"), ("IFS", "/"),
])
def test_the_environment_steers_nothing(system, office, name, value):
    done = system.run(CALLER, system.sendmail, env={name: value})
    assert done.returncode == OK, done
    assert len(office.messages) == 1
    assert not os.path.exists("/tmp/keys")


def test_users_is_enforced_on_the_real_uid(system, office):
    system.write(users="backup")
    for user, code in ((CALLER, NOPERM), ("backup", OK), ("root", OK)):
        done = system.run(user, system.sendmail,
                          env={"USER": "backup", "LOGNAME": "backup"})
        assert done.returncode == code, (user, done)
    assert len(office.messages) == 2


def test_a_forged_envelope_is_refused_by_submit(system, office):
    """sendmail could be anybody's: what counts is what submit checks."""
    system.write(users="backup")
    code = rf"""
import struct, subprocess, sys
def frame(kind, data):
    return kind + struct.pack(">I", len(data)) + data
envelope = (b"outpost-envelope 1\naccount: {ACCOUNT}\nsender: {ACCOUNT}\n"
            b"recipient: a@example.org\n")
done = subprocess.run(["{LIBEXEC}/submit"], stdout=subprocess.PIPE,
    input=frame(b"E", envelope) + frame(b"B", b"x\r\n") +
    frame(b"H", b"From: {ACCOUNT}\r\n\r\n") + frame(b"Z",
    b"outpost-end 1\nbody_size: 3\neight_bit: 0\nsmtputf8: 0\n"))
sys.stdout.buffer.write(done.stdout)
sys.exit(done.returncode)
"""
    program = system.root / "forge.py"
    program.write_text(code)
    program.chmod(0o644)
    done = system.run(CALLER, f"/usr/bin/python3 {program}")
    assert done.returncode == NOPERM, done
    assert b"may not use" in done.stdout
    assert office.messages == []


def test_no_new_privileges_gives_its_sentence(system, office):
    done = system.run(CALLER, f"setpriv --no-new-privs {system.sendmail}")
    assert done.returncode == 75, done
    assert b"NoNewPrivileges" in done.stderr
    assert office.messages == []


TALK = (b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n"
        b"Subject: hello\r\n\r\nBody\r\n.\r\n")


def codes(done):
    return [line[:3] for line in done.stdout.decode().splitlines()]


def test_smtp_serves_each_user_with_their_own_rights(system, office):
    system.write(users="backup, root")
    for user in ("root", "backup"):
        done = system.run(user, f"{LIBEXEC}/sendmail -bs", input=TALK * 2)
        assert codes(done)[1:] == ["250", "250", "250", "354", "250"] * 2, done
    assert len(office.messages) == 4
    done = system.run(CALLER, f"{LIBEXEC}/sendmail -bs",
                      input=TALK[:TALK.index(b"RCPT")])
    assert codes(done) == ["220", "250", "550"]
    assert b"550 5.7.1 you may not use" in done.stdout


def test_smtp_tells_of_no_new_privileges_at_each_message(system, office):
    done = system.run(CALLER, f"setpriv --no-new-privs {LIBEXEC}/sendmail -bs",
                      input=TALK * 2)
    assert codes(done)[1:] == ["250", "250", "250", "354", "451"] * 2, done
    assert done.stdout.count(b"NoNewPrivileges") >= 2
    assert office.messages == []


@pytest.mark.parametrize("limit", ["-f 0", "-t 1", "-n 8"])
def test_limits_of_the_caller_lose_nothing(system, office, limit):
    done = system.run(CALLER, f"ulimit {limit}; exec {system.sendmail}")
    assert done.returncode != 0 or len(office.messages) == 1
    assert done.returncode == 0 or office.messages == []


def test_what_a_caller_cannot_send_is_queued_as_the_service(system, office):
    office.fault("at MAIL close")
    done = system.run(CALLER, system.sendmail)
    assert done.returncode == OK, done
    assert b"queued as " in done.stderr
    [path] = (system.queue / "active").glob("*.env")
    assert f"uid: {pwd.getpwnam(CALLER).pw_uid}\n" in path.read_text()
    for name in (path, path.with_suffix(".body")):
        assert name.stat().st_uid == pwd.getpwnam(OUTPOST).pw_uid
        assert name.stat().st_mode & 0o777 == 0o600
    assert system.run(CALLER, f"cat {path}").returncode != 0


@pytest.fixture
def two_users(system):
    """Messages of two users in the queue; their names."""
    names = {}
    for user in (CALLER, "backup"):
        known = set((system.queue / "active").glob("*.env"))
        done = system.run(user, system.sendmail + " -odq")
        assert done.returncode == OK, done
        [path] = set((system.queue / "active").glob("*.env")) - known
        names[user] = path.stem.encode()
    return names


def test_users_see_and_touch_their_own_messages_alone(system, two_users):
    mine, other = two_users[CALLER], two_users["backup"]
    listed = system.run(CALLER, f"{LIBEXEC}/mailq").stdout
    assert mine in listed and other not in listed
    listed = system.run(CALLER, f"{LIBEXEC}/mailq -j ALL").stdout
    assert mine in listed and other not in listed
    assert system.run(CALLER, f"{LIBEXEC}/mailq -n").stdout == b"1\n"
    for option in ("-s", "-r", "-h", "-H", "-d", "-F"):
        done = system.run(CALLER,
                          f"{LIBEXEC}/mailq {option} {other.decode()}")
        assert done.returncode == 69, done
        assert b"no message" in done.stderr and done.stdout == b""
    done = system.run(CALLER, f"{LIBEXEC}/mailq -d ALL")
    assert done.returncode == OK, done
    assert system.run("backup", f"{LIBEXEC}/mailq -n").stdout == b"1\n"
    assert system.run(CALLER, f"{LIBEXEC}/mailq").stdout == \
        b"Mail queue is empty\n"


def test_a_users_retry_has_the_users_rights_not_mailqs(system, office,
                                                      two_users):
    """It forces no hold, and keeps no house."""
    office.mailbox(ACCOUNT).smtp_auth_disabled = True
    assert system.run("root", f"{LIBEXEC}/sendmail -q").returncode == OK
    asked = len(office.sessions)
    left = system.queue / "spool.left"
    left.touch()
    os.utime(left, (0, 0))
    done = system.run(CALLER, f"{LIBEXEC}/mailq -r ALL")
    assert done.returncode == OK, done
    assert two_users[CALLER] + b": put off: " in done.stderr
    assert b"is on hold" in done.stderr
    assert two_users["backup"] not in done.stderr
    assert len(office.sessions) == asked and left.exists()
    for user in ("0", str(pwd.getpwnam("backup").pw_uid)):
        done = system.run(CALLER, f"{LIBEXEC}/submit -qf -u {user}")
        assert done.returncode == USAGE, done
    done = system.run("root", f"{LIBEXEC}/mailq -r ALL")
    assert len(office.sessions) > asked and not left.exists(), done


@pytest.mark.parametrize("user", ["root", OUTPOST])
def test_root_and_the_service_see_all(system, two_users, user):
    listed = system.run(user, f"{LIBEXEC}/mailq").stdout
    assert all(name in listed for name in two_users.values())
    assert system.run(user, f"{LIBEXEC}/mailq -d ALL").returncode == OK
    assert list((system.queue / "active").iterdir()) == []


def test_a_users_run_sends_his_own_and_roots_all(system, office, two_users):
    done = system.run(CALLER, f"{LIBEXEC}/sendmail -qf")
    assert done.returncode == OK, done
    assert len(office.messages) == 1
    left = [path.stem.encode()
            for path in (system.queue / "active").glob("*.env")]
    assert left == [two_users["backup"]]
    assert system.run("root", f"{LIBEXEC}/sendmail -q").returncode == OK
    assert len(office.messages) == 2


def test_the_units_capabilities_are_enough_for_a_run(system, office,
                                                     two_users):
    unit = (SOURCE / "etc/systemd/outpost-queue.service").read_text()
    kept = re.search("^CapabilityBoundingSet=(.*)", unit, re.M)[1].split()
    bounds = ",".join(["-all"] + ["+" + c[4:].lower() for c in kept])
    done = system.run("root", f"setpriv --bounding-set={bounds} "
                      f"{LIBEXEC}/sendmail -q")
    assert done.returncode == OK and done.stderr == b"", done
    assert len(office.messages) == 2
    assert list((system.queue / "active").iterdir()) == []


def test_a_user_has_his_own_message_tried_now(system, office, two_users):
    name = two_users[CALLER].decode()
    done = system.run(CALLER, f"{LIBEXEC}/mailq -r {name}")
    assert done.returncode == OK, done
    assert f"{name}: sent".encode() in done.stderr
    assert len(office.messages) == 1


def test_mailq_listens_to_no_configuration_of_the_callers(system, two_users):
    done = system.run(CALLER, f"{LIBEXEC}/mailq -C /tmp/x")
    assert done.returncode == NOPERM
    done = system.run(CALLER, f"{LIBEXEC}/mailq -n",
                      env={"OUTPOST_CONFIG": "/nonexistent"})
    assert done.stdout == b"1\n"


def test_the_caller_cannot_signal_submit(system, office):
    office.fault("at BODY stall 2")
    done = system.run(CALLER, f"exec 3<&0; ({system.sendmail} <&3) & "
                      f"sleep 1; pkill -STOP -u {OUTPOST} submit; "
                      f"pkill -KILL -u {OUTPOST} submit; wait $!")
    assert done.returncode == OK, done
    assert len(office.messages) == 1


# A caller who would stop, slow, trace or read the programs with rights. It
# says what it reached.
ATTACK = r"""
import ctypes, os, resource, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PRIO_PROCESS, IOPRIO_SET = 0x4206, 0, 251

def tries(pid):
    yield from ((signal.Signals(n).name, lambda n=n: os.kill(pid, n))
                for n in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTERM,
                          signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL))
    for name in ("mem", "environ", "maps", "fd/0", "cwd", "auxv"):
        yield name, lambda name=name: os.open(f"/proc/{pid}/{name}",
                                              os.O_RDONLY)
    yield "fds", lambda: os.listdir(f"/proc/{pid}/fd")
    yield "ptrace", lambda: check(libc.ptrace(PTRACE_SEIZE, pid, None, None))
    yield "nice", lambda: os.setpriority(PRIO_PROCESS, pid, 19)
    yield "cpu", lambda: os.sched_setaffinity(pid, {0})
    yield "idle", lambda: os.sched_setscheduler(pid, os.SCHED_IDLE,
                                                os.sched_param(0))
    yield "ioprio", lambda: check(libc.syscall(IOPRIO_SET, 1, pid, 3 << 13))
    yield "prlimit", lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0))
    yield "oom", lambda: os.write(os.open(f"/proc/{pid}/oom_score_adj",
                                          os.O_WRONLY), b"1000")

def check(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")

def named(name):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/comm").read() == name + "\n":
                yield int(pid)
        except OSError:
            pass

for name in sys.argv[1:]:
    for pid in named(name):
        print("found", name)
        for what, attempt in tries(pid):
            try:
                attempt()
                print("REACHED", name, what)
            except OSError:
                pass
"""


@pytest.mark.parametrize("program, fault", [
    ("submit", "at BODY stall 3"), ("token", "at token stall 3")])
def test_the_caller_cannot_stop_slow_trace_or_read_it(system, office, program,
                                                      fault):
    script = system.root / "attack.py"
    script.write_text(ATTACK)
    script.chmod(0o644)
    office.fault(fault)
    done = system.run(CALLER, f"exec 3<&0; ({system.sendmail} <&3) & "
                      "for try in 1 2 3 4 5 6 7 8 9; do sleep 0.3; "
                      f"/usr/bin/python3 {script} {program} && break; done "
                      ">&2; wait $!")
    assert done.returncode == OK, done
    said = done.stderr.decode().splitlines()
    assert f"found {program}" in said, said
    assert [line for line in said if line.startswith("REACHED")] == []
    assert len(office.messages) == 1


# How a caller may leave its process before it runs sendmail.
STARTS = {
    "children are reaped by the kernel":
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "every signal is blocked":
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "every signal is ignored":
        "[signal.signal(n, signal.SIG_IGN) for n in range(1, 32) "
        "if n not in (9, 19)]",
    "an alarm is near": "signal.setitimer(signal.ITIMER_REAL, 0.3)",
    "a timer of its processor time runs":
        "signal.setitimer(signal.ITIMER_PROF, 0.001)",
    "nothing is masked": "os.umask(0)",
    "everything is masked": "os.umask(0o777)",
    "it is nice": "os.nice(19)",
    "its folder is gone":
        "d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    "its output is closed": "os.close(1); os.close(2)",
    "many files are open":
        "[os.dup2(0, n, inheritable=True) for n in range(10, 200)]",
    "its environment is huge": "os.environ.update({f'V{i}': 'x' * 1000 "
                               "for i in range(500)})",
    "no file may be written":
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "a core may be dumped":
        "resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))",
}


@pytest.mark.parametrize("how", STARTS)
def test_what_the_caller_leaves_of_its_process_steers_nothing(system, office,
                                                              how):
    script = system.root / "start.py"
    script.write_text(f"import os, resource, signal, sys, tempfile\n"
                      f"{STARTS[how]}\n"
                      "os.execv(sys.argv[1], sys.argv[1:])\n")
    script.chmod(0o644)
    # A slow server: what is to strike has time to.
    office.fault("at BODY stall 0.6")
    done = system.run(CALLER, f"exec /usr/bin/python3 {script} "
                      f"{system.sendmail}")
    sent, left = len(office.messages), list(
        (system.queue / "active").glob("*"))
    # Either it is done, or it is said that it is not; an alarm of its own
    # strikes the caller's process, and may come too late to stop the mail.
    if done.returncode >= 0:
        assert done.returncode in (OK, 74, 75), (how, done)
        assert sent == (done.returncode == OK), (how, done)
    assert sent <= 1 and left == [], (how, done)
    for path in system.queue.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def skip_without_user_namespaces(how):
    if "user" in how and subprocess.run(
            ["unshare", "--user", "true"], capture_output=True).returncode:
        pytest.skip("user namespaces cannot be made here")


@pytest.mark.parametrize("how", ["nosuid", "user namespace"])
def test_where_set_id_bits_do_not_count_its_sentence_is_given(system, office,
                                                              how):
    me = pwd.getpwnam(CALLER)
    become = (f"setpriv --reuid={me.pw_uid} --regid={me.pw_gid} "
              "--clear-groups ")
    command = {"nosuid": f"mount -o remount,bind,nosuid {LIBEXEC}; "
                         f"{become} {system.sendmail}",
               "user namespace":
                   f"{become} unshare --user {system.sendmail}"}[how]
    skip_without_user_namespaces(how)
    done = system.run("root", command)
    assert done.returncode == 75, done
    assert b"NoNewPrivileges" in done.stderr
    assert office.messages == []


@pytest.mark.parametrize("how", [
    "unshare --user --map-root-user",
    "setpriv --bounding-set=-setuid,-setgid --inh-caps=-setuid,-setgid"])
def test_root_of_a_container_sends_with_a_copy_of_its_own(outpost, office,
                                                          how):
    """It is root, and may become nobody else."""
    skip_without_user_namespaces(how)
    done = subprocess.run([*how.split(), BUILD / "sendmail", "-t"],
                          input=SIMPLE, env=outpost.environment(),
                          capture_output=True, timeout=60)
    assert done.returncode == OK, done
    assert len(office.messages) == 1


def test_managed_identity_is_told_by_keys_alone(system, office):
    """The same variables in the caller's environment reach nobody."""
    office.assign_identity("machine", ["SMTP.SendAsApp"], [ACCOUNT])
    header = system.state / "secrets/identity-header"
    header.write_text(office.identity.header_secret)
    owner = pwd.getpwnam(OUTPOST_AUTH)
    os.chown(header, owner.pw_uid, owner.pw_gid)
    os.chmod(header, 0o600)
    system.write(auth="managed-identity", identity_endpoint=office.msi,
                 identity_header_file=header)
    office.directory.app(APP).mailboxes = []
    (system.etc / "outpost.conf").write_text("".join(
        line for line in (system.etc / "outpost.conf").open()
        if not line.startswith(("client_id", "client_secret_file"))))
    dead = "http://127.0.0.1:1/"
    done = system.run(CALLER, system.sendmail, env={
        "IDENTITY_ENDPOINT": dead, "IDENTITY_HEADER": "x",
        "MSI_ENDPOINT": dead, "MSI_SECRET": "x", "http_proxy": dead})
    assert done.returncode == OK, done
    assert len(office.messages) == 1
    done = system.run(CALLER, f"cat {header}")
    assert done.returncode != 0


def test_workload_of_the_system_is_not_told_by_the_environment(
        system, office):
    system.write(auth="workload-identity")
    done = system.run(CALLER, system.sendmail, env={
        "AZURE_FEDERATED_TOKEN_FILE": str(system.secret)})
    assert done.returncode == 78, done
    assert b"federated_token_file" in done.stderr
    assert office.requests == []


def check(system, user):
    done = system.run(user, f"{LIBEXEC}/outpost check --json")
    answer = json.loads(done.stdout)
    assert done.stderr == b"", done
    return done.returncode, {f["step"]: f for f in answer["steps"]}


def owners(system):
    """Who owns what lies in the folders of state and queue."""
    return {pwd.getpwuid(path.stat().st_uid).pw_name
            for folder in (system.state, system.queue)
            for path in folder.glob("**/*")}


def test_check_by_root_is_done_as_the_services(system, office):
    code, steps = check(system, "root")
    assert code == 0, steps
    assert set(f["verdict"] for f in steps.values()) == {"ok"}
    assert "made now" in steps["token"]["text"]
    assert owners(system) == {OUTPOST, OUTPOST_AUTH}, "root leaves nothing"
    assert office.messages == []


def test_check_by_root_speaks_to_the_server_as_the_service(system, office):
    office.fault("at EHLO stall 5")
    run = threading.Thread(target=check, args=(system, "root"))
    run.start()
    assert office.wait_for(lambda: office.sessions, 30)
    users = {int(fields[7]) for fields in
             map(str.split, open("/proc/net/tcp").readlines()[1:])
             if fields[2].endswith(f":{office.smtp_port:04X}")}
    run.join()
    assert users == {pwd.getpwnam(OUTPOST).pw_uid}


def test_check_without_rights_says_what_it_could_not_look_at(system, office):
    assert system.run(CALLER, system.sendmail).returncode == OK
    code, steps = check(system, CALLER)
    assert code == 1, steps
    seen = {step: f["verdict"] for step, f in steps.items()}
    assert seen == {"files": "unseen", "aliases": "ok", "dns": "ok",
                    "tcp": "ok", "banner": "ok", "tls": "ok", "xoauth2": "ok",
                    "clock": "ok", "token": "unseen", "claims": "skipped",
                    "auth": "skipped", "sender": "skipped"}
    assert steps["files"]["hint"] == steps["token"]["hint"] == "run this as root"


@pytest.mark.parametrize("path, mode, hint", [
    ("state/secrets", 0o755, "chmod 700"), ("state/tokens", 0o2755, "chmod 2750"),
    ("queue", 0o750, "chmod 700"), ("libexec/token", 0o4755, "chmod 4710"),
    ("etc/outpost.conf", 0o664, "chmod 644"),
    ("libexec/submit", 0o755, "chmod 6755"),
])
def test_check_finds_modes_that_let_others_in(system, path, mode, hint):
    os.chmod(system.root / path, mode)
    done = system.run("root", f"{LIBEXEC}/outpost check --json")
    files = [f for f in json.loads(done.stdout)["steps"]
             if f["step"] == "files"]
    assert done.returncode in (1, 2)
    assert len(files) == 1 and f"run '{hint} " in files[0]["hint"], files


def test_check_finds_a_folder_that_belongs_to_another(system):
    os.chown(system.queue, 0, 0)
    done = system.run("root", f"{LIBEXEC}/outpost check --json")
    [files] = [f for f in json.loads(done.stdout)["steps"]
               if f["step"] == "files"]
    assert done.returncode == 1
    assert files["hint"] == f"run 'chown {OUTPOST} {system.queue}'"


def fresh(system):
    """Programs, but neither configuration nor folders yet."""
    (system.etc / "outpost.conf").unlink()
    shutil.rmtree(system.state)
    os.rmdir(system.queue)
    office = system.office
    words = {"--mailbox": ACCOUNT, "--tenant": office.tenant, "--client-id": APP,
             "--state-dir": system.state, "--queue-dir": system.queue}
    keys = {"host": office.host, "port": office.smtp_port,
            "authority": office.authority, "ca_dir": office.ca_dir}
    return (f"{LIBEXEC}/outpost init "
            + " ".join(f"{k} {v}" for k, v in words.items())
            + "".join(f" --set {k}={v}" for k, v in keys.items()))


def test_init_by_root_makes_what_a_system_needs(system, office):
    done = system.run("root", fresh(system) + " --from-env",
                      env={"AZURE_CLIENT_SECRET": SECRET})
    assert done.returncode == OK, done
    for path, owner, group, mode in (
            (system.etc / "outpost.conf", "root", "root", 0o644),
            (system.state, "root", "root", 0o755),
            (system.state / "secrets", OUTPOST_AUTH, OUTPOST, 0o700),
            (system.state / "secrets/client-secret", OUTPOST_AUTH, None, 0o600),
            (system.state / "tokens", OUTPOST_AUTH, OUTPOST, 0o2750),
            (system.state / "state", OUTPOST, OUTPOST, 0o700),
            (system.queue, OUTPOST, OUTPOST, 0o700)):
        assert path.owner() == owner, path
        assert group is None or path.group() == group, path
        assert path.stat().st_mode & 0o7777 == mode, path
    assert system.run(CALLER, system.sendmail).returncode == OK
    assert len(office.messages) == 1
    assert check(system, "root")[0] == 0


def test_init_by_others_than_root_writes_nothing(system):
    done = system.run(CALLER, fresh(system))
    assert done.returncode == NOPERM and b"as root" in done.stderr, done
    assert not system.state.exists()


def test_init_writes_the_secret_through_no_link(system):
    """The secrets' owner could lay one; root does not follow it."""
    target = system.root / "target"
    target.write_text("keep")
    os.chmod(target, 0o600)
    command = fresh(system) + " --from-env"
    secrets = system.state / "secrets"
    secrets.mkdir(parents=True)
    auth = pwd.getpwnam(OUTPOST_AUTH)
    os.chown(secrets, auth.pw_uid, auth.pw_gid)
    os.symlink(target, secrets / "client-secret")
    done = system.run("root", command, env={"AZURE_CLIENT_SECRET": SECRET})
    assert target.read_text() == "keep" and target.owner() == "root"
    assert done.returncode == OK
    assert (secrets / "client-secret").owner() == OUTPOST_AUTH


def test_init_for_a_users_own_copy_writes_into_the_home(system):
    """Without set-id programs; the home is that of the password file."""
    fresh(system)
    for program in system.libexec.iterdir():
        os.chmod(program, 0o755)
    user, home = pwd.getpwnam(CALLER), system.root / "home"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    users = system.root / "passwd"
    with open("/etc/passwd") as there:
        users.write_text(there.read().replace(f":{user.pw_dir}:", f":{home}:"))
    users.chmod(0o644)
    script = (f"mount --bind {users} /etc/passwd; exec setpriv "
              f"--reuid={CALLER} --regid={user.pw_gid} --clear-groups "
              f"{system.libexec}/outpost init --mailbox {ACCOUNT} --tenant t "
              f"--client-id {APP}")
    done = subprocess.run(
        ["unshare", "-m", "/bin/sh", "-ec", script], capture_output=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent",
             "OUTPOST_LIBEXEC": str(system.libexec)})
    assert done.returncode == OK, done
    assert f"\n  outpost login {ACCOUNT}\n".encode() in done.stdout
    assert (home / ".config/outpost/outpost.conf").owner() == CALLER
    assert (home / ".local/state/outpost/secrets").stat().st_mode & 0o777 \
        == 0o700
    assert (home / ".local/state/outpost/queue").is_dir()
