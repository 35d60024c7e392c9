#!/usr/bin/python3
"""Outpost in a minute: signs in, sends a message, is refused one. What plays
Microsoft is the stand-in of tests/m365, on loopback."""
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from m365 import Microsoft365  # noqa: E402

BUILD = Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
ACCOUNT = "alerts@contoso.com"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
MESSAGE = """\
From: Web Shop <shop@shop.example>
To: Ada <ada@fabrikam.com>
Bcc: audit@contoso.com
Subject: Order 4711

Your order is on its way.
"""


def styled(text, style):
    return f"\033[{style}m{text}\033[0m" if COLOUR else text


def title(number, text):
    print(f"\n{styled(f'{number}. {text}', '1;36')}\n", flush=True)


def comment(text):
    print(textwrap.indent(textwrap.fill(text, 74), "   ") + "\n", flush=True)


def shown(text, mark=" "):
    for line in text.rstrip("\n").splitlines():
        print(f"   {mark} {line}".rstrip(), flush=True)


class Demo:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.office = Microsoft365(self.folder / "m365")
        self.config = self.folder / "outpost.conf"
        self.environment = {
            "PATH": f"{BUILD}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": folder, "OUTPOST_CONFIG": str(self.config),
            "OUTPOST_LIBEXEC": str(BUILD), "LANG": "C.UTF-8"}

    def command(self, line):
        for i, part in enumerate(line.splitlines()):
            shown(styled(part, "1"), ">" if i else "$")

    def run(self, line, text=None, expect=0):
        """Run a command as a shell would, and show both sides of it."""
        self.command(line)
        if text is not None:
            shown(text, styled("<", "2"))
        done = subprocess.run(["/bin/sh", "-c", line], text=True, input=text,
                              env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        shown(done.stdout)
        mark = "32" if done.returncode == 0 else "33"
        shown(styled(f"exit {done.returncode}", mark))
        if done.returncode != expect:
            sys.exit(f"\ndemo: expected exit {expect}")

    def configure(self):
        """`outpost init`, and what is the demo's own behind its back."""
        office = self.office
        self.run(f"outpost init --mailbox {ACCOUNT} --admin it@contoso.com \\\n"
                 f"    --tenant {office.tenant} \\\n"
                 f"    --client-id {office.client_id}")
        (self.folder / "mail.log").touch()
        text = self.config.read_text()
        text = text.replace("[outpost]\n", "[outpost]\n"
                            f"log = {self.folder}/mail.log\n"
                            f"queue_dir = {self.folder}/queue\n"
                            f"state_dir = {self.folder}/state\n", 1)
        self.config.write_text(f"""{text}
host      = {office.host}
port      = {office.smtp_port}
authority = {office.authority}
ca_dir    = {office.ca_dir}
""")

    def sign_in(self):
        """`outpost login`, with somebody who enters the code it prints."""
        line = f"outpost login --device {ACCOUNT}"
        self.command(line)
        process = subprocess.Popen(["/bin/sh", "-c", line], text=True,
                                   env=self.environment, bufsize=1,
                                   stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        approved = False
        for output in process.stdout:
            shown(output)
            code = re.search(r"\b[A-Z0-9]{8,9}\b", output)
            if code and not approved:
                approved = True
                self.office.approve(code[0], ACCOUNT)
        watchdog.cancel()
        if process.wait() != 0:
            sys.exit("\ndemo: signing in failed")

    def play(self):
        office = self.office
        title(1, "A machine whose mail leaves through Microsoft 365")
        comment("One account, no password. A stand-in for Microsoft listens "
                "on loopback, with certificates of its own; the demo adds its "
                "address to the configuration.")
        self.configure()

        title(2, "Signing in, once")
        comment("Outpost prints a code; somebody with a browser enters it. "
                "From then on tokens are renewed without anybody.")
        self.sign_in()

        title(3, "A program sends as it always did")
        self.run("sendmail -t -i", MESSAGE)

        title(4, "What arrived")
        message = office.wait_messages(1)[0]
        shown(f"{message.tls_version}, signed in as {message.user}, "
              f"{message.session.round_trips} round trips")
        shown(f"MAIL FROM:<{message.mail_from}>")
        for address in message.addresses:
            shown(f"RCPT TO:<{address}>")
        shown("")
        shown(message.text.replace("\r\n", "\n"), styled("|", "2"))
        print()
        comment("The account may not write as shop@shop.example, so From is "
                "the account and Reply-To leads back to the shop. Bcc got the "
                "message and is not named in it.")

        title(5, "An administrator switched something off")
        office.mailbox(ACCOUNT).smtp_auth_disabled = True
        self.run("echo 'disk full' | sendmail root")
        print()
        comment("The message is kept. The sentence says what failed, the hint "
                "what to run. Where it is not that simple, a check goes the "
                "way of a message step by step.")
        self.run("mailq")
        self.run(f"outpost check {ACCOUNT}", expect=2)
        office.mailbox(ACCOUNT).smtp_auth_disabled = None
        print()
        comment("Switched on again: a run of the queue sends it.")
        self.run("sendmail -qf -v")
        self.run("mailq")

        title(6, "A recipient who does not exist")
        office.fault("at RCPT bob@fabrikam.com reply 550 5.1.10 "
                     "RESOLVER.ADR.RecipientNotFound; Recipient not found")
        self.run("echo hello | sendmail ada@fabrikam.com bob@fabrikam.com")

        title(7, "The log, in the form that logwatch and pflogsumm read")
        shown((self.folder / "mail.log").read_text())
        print()


def main():
    with tempfile.TemporaryDirectory(prefix="outpost-demo-") as folder:
        demo = Demo(folder)
        with demo.office:
            demo.play()


if __name__ == "__main__":
    main()
