"""What the end-to-end tests share: the programs, run as a user would."""
import os
import re
import shlex
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("OUTPOST_BUILD", ROOT / "build")).resolve()
SANITIZED = BUILD.name == "san"
# What the programs are run under (tests/memcheck); all is slower then.
UNDER = shlex.split(os.environ.get("OUTPOST_UNDER", ""))
SLOWER = 10 if UNDER else 1

APP = "5c1f7a3e-9d42-4d0b-8a77-0e6b1c2d3f40"
SECRET = "Zx8~confidential.secret_value"
ACCOUNT = "alerts@contoso.com"
BOB = "bob@contoso.com"
PATIENCE = 90       # seconds until a program that hangs is killed
SIMPLE = b"To: a@example.org\nSubject: hello\n\nBody\n"

# sysexits.h
OK, USAGE, DATAERR, NOUSER, UNAVAILABLE = 0, 64, 65, 67, 69
SOFTWARE, CANTCREAT, IOERR, TEMPFAIL, NOPERM, CONFIG = 70, 73, 74, 75, 77, 78


@dataclass
class Result:
    code: int
    out: str
    err: str

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Outpost:
    """The programs of a build folder with their own state and configuration,
    as a user's copy without set-id bits."""

    def __init__(self, folder, office, **account):
        self.folder, self.office = Path(folder), office
        self.state = self.folder / "state"
        self.queue = self.folder / "queue"
        self.config = self.folder / "outpost.conf"
        self.secret = self.folder / "app-secret"
        for path in (self.state, self.queue):
            path.mkdir(mode=0o700, exist_ok=True)
        (self.folder / "mail.log").touch()
        self.secret.write_text(SECRET + "\n")
        self.secret.chmod(0o600)
        office.add_app(APP, secret=SECRET, roles=["SMTP.SendAsApp"],
                       mailboxes=[ACCOUNT])
        self.main = {}
        self.accounts = {ACCOUNT: {
            "tenant": office.tenant, "client_id": APP, "auth": "secret",
            "client_secret_file": str(self.secret), **account}}
        self.write()

    def write(self):
        """Write the configuration as it stands in `main` and `accounts`."""
        main = {"log": self.folder / "mail.log",
                "aliases": self.folder / "aliases",
                "queue_dir": self.queue, "state_dir": self.state, **self.main}
        lines = ["[outpost]", *_keys(main)]
        for mailbox, keys in self.accounts.items():
            server = {"host": self.office.host, "port": self.office.smtp_port,
                      "authority": self.office.authority,
                      "ca_dir": self.office.ca_dir}
            lines += ["", f"[{mailbox}]", *_keys({**server, **keys})]
        self.config.write_text("\n".join(lines) + "\n")

    def set(self, mailbox=ACCOUNT, **keys):
        """Change keys of an account (None takes one out)."""
        self.accounts.setdefault(mailbox, {}).update(keys)
        self.write()
        return self

    def set_main(self, **keys):
        self.main.update(keys)
        self.write()
        return self

    def environment(self, **more):
        return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8",
                "HOME": str(self.folder),
                "OUTPOST_CONFIG": str(self.config),
                "OUTPOST_LIBEXEC": str(BUILD),
                **{k: v for k, v in os.environ.items()
                   if k.endswith("SAN_OPTIONS")}, **more}

    def waiting(self, folder="active"):
        """The messages in a folder of the queue, in order of arrival."""
        return [Entry(path) for path in
                sorted((self.queue / folder).glob("*.env"))]

    def failed(self):
        return self.waiting("failed")

    def run(self, program, *args, input=b"", env=None, timeout=60, **more):
        if isinstance(input, str):
            input = input.encode()
        done = subprocess.run([*UNDER, str(BUILD / program), *map(str, args)],
                              input=input, capture_output=True,
                              env=self.environment(**(env or {})),
                              timeout=timeout * SLOWER, **more)
        return Result(done.returncode, done.stdout.decode(errors="replace"),
                      done.stderr.decode(errors="replace"))

    def sendmail(self, *args, input=b"", **more):
        return self.run("sendmail", *args, input=input, **more)

    def start(self, program, *args, env=None, **more):
        return subprocess.Popen([*UNDER, str(BUILD / program),
                                 *map(str, args)],
                                env=self.environment(**(env or {})),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def send(self, message, *args, expect=OK):
        """Send a message with -t, which must end with that code; returns what
        the stand-in holds of it, or the result when nothing arrived."""
        before = len(self.office.messages)
        result = self.sendmail("-t", *args, input=message)
        assert result.code == expect, result
        assert result.out == ""
        arrived = self.office.messages[before:]
        return arrived[0] if arrived else result


class Entry:
    """A message of the queue, read from its files."""

    def __init__(self, path):
        self.path, self.id = path, path.stem
        self.next = path.stat().st_mtime
        message, envelope, self.header = path.read_bytes().split(b"\n\n", 2)
        self.record = dict(_fields(message))
        self.envelope = _fields(envelope)
        self.body = path.with_suffix(".body").read_bytes()

    def recipients(self):
        """(address, state) of each."""
        found = []
        for key, value in self.envelope:
            if key == "recipient":
                found.append([value, "pending"])
            elif key == "state":
                found[-1][1] = value
        return [tuple(r) for r in found]

    @property
    def pending(self):
        return [a for a, state in self.recipients() if state == "pending"]

    def make_due(self, seconds=1):
        now = time.time() - seconds
        os.utime(self.path, (now, now))


ID_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"


def fill_queue(outpost, count):
    """Put so many more messages into the queue, by copying one."""
    result = outpost.sendmail("-odq", "a@example.org",
                              input="Subject: s\n\nB\n")
    assert result.code == OK, result
    [*_, first] = outpost.waiting()
    envelope = first.path.read_bytes()
    for number in range(count - 1):
        digits = ""
        for _ in range(5):
            number, digit = divmod(number, len(ID_DIGITS))
            digits = ID_DIGITS[digit] + digits
        name = first.path.with_name(first.id[:5] + digits + first.id[10:])
        name.with_suffix(".env").write_bytes(envelope)
        name.with_suffix(".body").write_bytes(first.body)


def give_away(outpost, uid):
    """As if what waits had come from that user."""
    number, digits = 4 * uid, ""
    for _ in range(6):
        number, digit = divmod(number, len(ID_DIGITS))
        digits = ID_DIGITS[digit] + digits
    for entry in outpost.waiting():
        for suffix in (".body", ".env"):
            path = entry.path.with_suffix(suffix)
            path.rename(path.with_name(entry.id[:10] + digits + suffix))


def _fields(record):
    return [tuple(line.split(": ", 1))
            for line in record.decode().splitlines()[1:]]


class Login:
    """outpost login as it runs: what it has shown, and its end."""

    def __init__(self, outpost, *options, env=None):
        self.process = outpost.start(
            "outpost", "login", *options,
            env={"BROWSER": "/bin/false", **(env or {})})
        self.shown = ""
        self.watchdog = threading.Timer(PATIENCE, self.process.kill)
        self.watchdog.start()

    def read(self, pattern):
        """Wait until it has shown that; the match."""
        while (found := re.search(pattern, self.shown)) is None:
            part = os.read(self.process.stdout.fileno(), 4096)
            assert part, f"ended after {self.shown!r}"
            self.shown += part.decode()
        return found

    @property
    def code(self):
        return self.read(r"enter\s+(\S+)\n")[1]

    @property
    def url(self):
        return self.read(r"open\n\n  (https://\S+)\n(?s:.*)gives up\.\n")[1]

    @property
    def fields(self):
        """The parameters of the address."""
        return dict(urllib.parse.parse_qsl(
            urllib.parse.urlsplit(self.url).query, strict_parsing=True))

    @property
    def port(self):
        return urllib.parse.urlsplit(self.fields["redirect_uri"]).port

    def paste(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def end(self, code):
        out, err = self.process.communicate(timeout=60)
        self.shown += out.decode()
        assert self.process.returncode == code, (self.shown, err.decode())
        return err.decode()

    def stop(self):
        self.watchdog.cancel()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def _keys(keys):
    return [f"{key} = {value}" for key, value in keys.items()
            if value is not None and value != ""]


def record(path):
    """The fields of one of our files."""
    return dict(line.split(": ", 1) for line in
                path.read_text().splitlines()[1:])


def write_sign_in(outpost, fields):
    path = outpost.state / "secrets" / ACCOUNT
    path.touch(mode=0o600)
    path.write_text("outpost-sign-in 1\n" + "".join(
        f"{key}: {value}\n" for key, value in fields.items()))


def sign_in_of(outpost):
    return record(outpost.state / "secrets" / ACCOUNT)


def canonical(text):
    """Bytes with CRLF line ends."""
    if isinstance(text, str):
        text = text.encode()
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def cache(outpost, **fields):
    """Change fields of the cached token."""
    path = outpost.state / "tokens" / ACCOUNT
    values = record(path) | {key.replace("_", "-"): value
                             for key, value in fields.items()}
    path.write_text("outpost-access-token 1\n" + "".join(
        f"{key}: {value}\n" for key, value in values.items()))


def expire(outpost):
    now = int(time.time())
    cache(outpost, issued=now - 4000, expires=now - 400)


def token(outpost, *options, seconds=20):
    """The token program, asked as submit asks it: the fields of its answer."""
    result = outpost.run("token", *options, "-t", seconds, ACCOUNT)
    assert result.err == "", result
    first, *lines = result.out.splitlines()
    assert first == "outpost-token-answer 1"
    answer = dict(line.split(": ", 1) for line in lines)
    assert result.code == int(answer.get("exit", 0))
    return answer


def first_answer(outpost):
    """The same, with no time for a second try; where the machine is too slow
    for a first one in a second, with time for all."""
    answer = token(outpost, seconds=1)
    if re.search("timed? ?out", answer.get("text", "")):
        answer = token(outpost)
    return answer


def eventually(condition, timeout=60):
    """Does it come to hold? Asked every so often, whatever happens meanwhile."""
    end = time.monotonic() + timeout
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return holds
