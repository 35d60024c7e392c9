"""The stand-in by hand: ``cd tests && python3 -m m365 --help``."""
from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import Microsoft365
from .directory import IDENTITY_CLIENT, SECRET_CLIENT
from .faults import __doc__ as LANGUAGE

EXAMPLE = """
example: sign-ins approve themselves, the second recipient is refused once,
and what arrives is saved. Put the section that is printed into outpost.conf,
or run the command that is printed below it.
  python3 -m m365 --auto-approve --verbose --save received \\
      --fault 'at RCPT 2 row 39'

faults, one line each, by --fault or in a --scenario file:
  at RCPT 2 reply 550 5.1.10 RESOLVER.ADR.RecipientNotFound
  at BODY accept-then-close times 2
  at token error AADSTS70043 always
--language explains them all.
"""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.language:
        print(LANGUAGE)
        return 0
    folder = Path(options.dir or tempfile.mkdtemp(prefix="m365-"))
    try:
        server = _server(options, folder)
        server.start()
    except (OSError, ValueError) as problem:
        print(f"m365: {problem}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _write_ready(server, folder)
    print(_summary(server, options), flush=True)
    stop.wait()
    server.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m m365", epilog=EXAMPLE,
        description="A stand-in for Microsoft 365 (SMTP submission) and Entra "
        "ID (OAuth tokens), on loopback only. SIGINT and SIGTERM end it.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--smtp-port", type=int, default=2587, help="0 chooses one (2587)")
    add("--https-port", type=int, default=8443, help="0 chooses one (8443)")
    add("--identity-port", type=int, metavar="PORT",
        help="also give this machine a managed identity, for every mailbox")
    add("--dir", help="where ca.pem, ca/ and ready.json go (a new directory)")
    add("--save", help="write each message there: 0001.eml and 0001.json")
    add("--scenario", help="a file of faults, one a line")
    add("--fault", action="append", default=[], metavar="LINE",
        help="one fault; may be repeated")
    add("--enforce", action="store_true",
        help="apply 3 connections, 30 messages a minute, 10000 recipients")
    add("--profile", choices=("m365", "outlook", "hve"), default="m365")
    add("--mailbox", action="append", default=[], metavar="ADDRESS",
        help="a further mailbox beside alerts@contoso.com; the first of "
             "them is the one that is printed; may be repeated")
    add("--app-secret", metavar="SECRET",
        help="also register an app with that secret, for every mailbox")
    add("--auto-approve", nargs="?", const="", metavar="ADDRESS",
        help="approve every sign-in at once, as the mailbox that is "
             "printed")
    add("--auth-delay", type=float, default=5.0, metavar="SECONDS",
        help="how long a refused AUTH is held back (5)")
    add("--device-interval", type=int, default=5, metavar="SECONDS",
        help="how often a device code may be polled (5)")
    add("--auth-line-limit", type=int, default=12288, metavar="OCTETS",
        help="longest AUTH command taken (12288)")
    add("--tls-max", choices=("1.2", "1.3"))
    add("--ipv6", action="store_true", help="listen on ::1 too")
    add("--verbose", action="store_true", help="one line an event")
    add("--language", action="store_true", help="explain faults, and end")
    return parser


def _server(options: argparse.Namespace, folder: Path) -> Microsoft365:
    server = Microsoft365(
        folder, options.smtp_port, options.https_port,
        options.identity_port or 0, ipv6=options.ipv6,
        tls_max=options.tls_max, save=options.save, profile=options.profile,
        auth_delay=options.auth_delay, device_interval=options.device_interval,
        auth_line_limit=options.auth_line_limit,
        on_event=_print_event if options.verbose else None)
    for address in options.mailbox:
        server.add_mailbox(address)
    if options.app_secret:
        server.add_app(SECRET_CLIENT, options.app_secret,
                       roles=["SMTP.SendAsApp"],
                       mailboxes=[server.default_user, *options.mailbox])
    if options.identity_port is not None:
        server.assign_identity(IDENTITY_CLIENT, ["SMTP.SendAsApp"],
                               [server.default_user, *options.mailbox])
    if options.enforce:
        server.enforce()
    if options.auto_approve is not None:
        server.auto_approve = options.auto_approve or _shown(server, options)
    if options.scenario:
        server.scenario(Path(options.scenario).read_text())
    for line in options.fault:
        server.fault(line)
    return server


def _shown(server: Microsoft365, options: argparse.Namespace) -> str:
    return options.mailbox[0] if options.mailbox else server.default_user


def _print_event(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _write_ready(server: Microsoft365, folder: Path) -> None:
    """Written beside and renamed, so that it is whole once it is there."""
    facts = {"smtp_port": server.smtp_port, "https_port": server.https_port,
             "host": server.host, "authority": server.authority,
             "ca_file": server.ca_file, "ca_dir": server.ca_dir,
             "tenant": server.tenant, "client_id": server.client_id,
             "user": server.default_user, "pid": os.getpid()}
    beside = folder / "ready.json.new"
    beside.write_text(json.dumps(facts, indent=2) + "\n")
    beside.rename(folder / "ready.json")


def _summary(server: Microsoft365, options: argparse.Namespace) -> str:
    address = _shown(server, options)
    login = (f"sign in at {server.authority}/devicelogin"
             if options.auto_approve is None else "sign-ins approve themselves")
    lines = [
        f"SMTP   {server.host}:{server.smtp_port} (STARTTLS), "
        f"profile {server.profile}",
        f"Entra  {server.authority}/{server.tenant}, {login}",
        f"CA     {server.ca_file}", "",
        f"[{address}]", f"host = {server.host}", f"port = {server.smtp_port}",
        f"authority = {server.authority}", f"tenant = {server.tenant}",
        f"client_id = {server.client_id}", f"ca_dir = {server.ca_dir}", "",
        f"outpost init --mailbox {address} --tenant {server.tenant} \\",
        f"    --client-id {server.client_id} --set host={server.host} \\",
        f"    --set port={server.smtp_port} "
        f"--set authority={server.authority} \\",
        f"    --set ca_dir={server.ca_dir}"]
    if options.app_secret:
        lines += ["", f"app with secret: client_id = {SECRET_CLIENT}"]
    if options.identity_port is not None:
        lines += ["", "managed identity: auth = managed-identity, "
                  f"identity_endpoint = {server.imds}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
