"""The form of what a client sends: lines, commands, parameters, addresses."""
from __future__ import annotations

import base64
import re

MAX_COMMAND = 2048              # Exchange takes 2000 characters a line
MAX_AUTH_LINE = 12288           # RFC 4954 section 4
MAX_JUNK = 1 << 20

_PATH = r'<(?P<path>(?:[^<>"\\\s]|"(?:\\.|[^"\\])*")*)>'
MAIL = re.compile(r"FROM:" + _PATH + r"(?P<rest>(?: .*)?)$", re.I)
RCPT = re.compile(r"TO:" + _PATH + r"(?P<rest>(?: .*)?)$", re.I)
_DOMAIN = re.compile(r"(?:\[[0-9A-Za-z.:]+\]|[\w](?:[\w.-]*[\w])?)$")
HELLO = re.compile(r"(?:\[[0-9A-Za-z.:]+\]|[A-Za-z0-9](?:[\w.-]*\w)?)$")
BLOB = re.compile(rb"user=([^\x01]+)\x01auth=Bearer ([!-~]+)\x01\x01",
                   re.DOTALL)
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$")

MAIL_PARAMETERS = {
    "SIZE": ("SIZE", r"\d{1,20}"),
    "BODY": ("8BITMIME", r"7BIT|8BITMIME|BINARYMIME"),
    "SMTPUTF8": ("SMTPUTF8", None),
    "RET": ("DSN", r"FULL|HDRS"),
    "ENVID": ("DSN", _XTEXT.pattern),
    "AUTH": ("AUTH", r"\S+"),
}
RCPT_PARAMETERS = {
    "NOTIFY": ("DSN", r"NEVER|(?:SUCCESS|FAILURE|DELAY)"
               r"(?:,(?:SUCCESS|FAILURE|DELAY))*"),
    "ORCPT": ("DSN", r"[A-Za-z0-9-]+;" + _XTEXT.pattern),
}



def line_fault(raw: bytes, limit: int) -> str | None:
    """What is wrong with a command line as bytes, or None."""
    if not raw.endswith(b"\r\n"):
        return "line ends in a bare LF"
    if len(raw) > limit:
        return "line too long"
    if b"\r" in raw[:-2] or b"\0" in raw:
        return "CR or NUL in a line"
    return None


def decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, UnicodeEncodeError):
        return None


def user_of(initial: str) -> str | None:
    """Whom a blob names, for faults that are meant for one mailbox."""
    match = BLOB.fullmatch(decoded(initial) or b"")
    return match[1].decode("utf-8", "replace") if match else None


def is_address(path: str) -> bool:
    """local@domain within the lengths of RFC 5321 4.5.3.1."""
    local, at, domain = path.rpartition("@")
    if not (local and at) or len(path) > 320:
        return False
    quoted = local.startswith('"') and local.endswith('"')
    plain = not re.search(r'[\s()<>,;:\\"@\[\]\x00-\x1f]', local)
    dots = not (local.startswith(".") or local.endswith(".") or ".." in local)
    return (len(local.encode()) <= 64 and len(domain.encode()) <= 255
            and (quoted or plain and dots)
            and bool(_DOMAIN.match(domain)) and ".." not in domain)
