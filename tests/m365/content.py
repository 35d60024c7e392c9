"""What a message may contain, judged after its last byte.

Stricter than Exchange where a sloppy client would go unnoticed: lines over
998 octets, NUL, and 8-bit data that was not announced are refused here.
"""
from __future__ import annotations

import re
from email.utils import getaddresses

MAX_LINE = 998
MAX_HEADER_VALUE = 32768
MAX_HEADER_BLOCK = 256 * 1024

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:(.*)$", re.DOTALL)


def header_block(raw: bytes) -> bytes:
    """The lines before the first empty one, each with its CRLF."""
    if raw.startswith(b"\r\n"):
        return b""
    end = raw.find(b"\r\n\r\n")
    return raw if end < 0 else raw[:end + 2]


def body_of(raw: bytes) -> bytes:
    if raw.startswith(b"\r\n"):
        return raw[2:]
    end = raw.find(b"\r\n\r\n")
    return b"" if end < 0 else raw[end + 4:]


def headers_of(raw: bytes) -> list[tuple[str, bytes]]:
    """Name and unfolded value of each header field (RFC 5322 2.2.3)."""
    unfolded = re.sub(rb"\r\n([ \t])", rb"\1", header_block(raw))
    fields = []
    for line in unfolded.split(b"\r\n"):
        match = _FIELD.match(line)
        if match:
            fields.append((match[1].decode("ascii"), match[2]))
    return fields


def addresses_in(values: list[bytes]) -> list[str]:
    """Lower-cased addresses of an address header, empty ones left out."""
    texts = [v.decode("utf-8", "surrogateescape") for v in values]
    return [a.lower() for _, a in getaddresses(texts) if "@" in a]


def has_long_line(raw: bytes) -> bool:
    """True if a line exceeds 998 octets before its CRLF (RFC 5322 2.1.1).

    Hops from line end to line end, at most one search per 1000 octets."""
    at, size = 0, len(raw)
    while size - at > MAX_LINE:
        end = raw.rfind(b"\n", at, at + MAX_LINE + 2)
        if end < 0:
            return size - at > MAX_LINE
        at = end + 1
    return False


def unstuff(data: bytes) -> tuple[bytes, bool]:
    """Remove the dot that begins a line (RFC 5321 4.5.2).

    `data` begins with the CRLF that precedes the content.  The flag tells
    whether some line began with a single dot, which no client may send."""
    dots = data.count(b"\r\n.")
    if not dots:
        return data[2:], False
    single = dots != data.count(b"\r\n..")
    return data.replace(b"\r\n.", b"\r\n")[2:], single


def format_fault(raw: bytes, body_type: str, utf8: bool) -> str | None:
    """The refusal for content that is malformed as bytes, or None."""
    lf = raw.count(b"\n")
    if lf != raw.count(b"\r\n") or lf != raw.count(b"\r"):
        return "554 5.6.0 Invalid message content, contains bare linefeeds"
    if b"\0" in raw:
        return "554 5.6.0 Invalid message content, contains NUL"
    if has_long_line(raw):
        return "554 5.6.0 Invalid message content, line over 998 octets"
    if raw.isascii():
        return None
    if body_type not in ("8BITMIME", "BINARYMIME"):
        return "554 5.6.0 Invalid message content, 8-bit data unannounced"
    if not utf8 and not header_block(raw).isascii():
        return "554 5.6.0 Invalid message content, 8-bit data in headers"
    return None


def header_fault(raw: bytes) -> str | None:
    """The refusal for a header block beyond Exchange's limits, or None."""
    if len(header_block(raw)) > MAX_HEADER_BLOCK:
        return "552 5.3.4 Header size exceeds fixed maximum size"
    for name, value in headers_of(raw):
        size = len(value.strip())
        if size > MAX_HEADER_VALUE:
            return ("554 5.6.211 Invalid MIME Content: Single text value size"
                    f" ({size}) exceeded allowed maximum ({MAX_HEADER_VALUE})"
                    f" for the '{name}' header")
    return None


def from_fault(raw: bytes) -> str | None:
    """The refusal for From headers that break RFC 5322 3.6.2, or None."""
    fields = headers_of(raw)
    senders = [v for k, v in fields if k.lower() == "sender"]
    froms = [v for k, v in fields if k.lower() == "from"]
    addresses = addresses_in(froms)
    if not addresses or len(froms) > 1:
        return ("550 5.7.512 Access denied, message must be RFC 5322 section "
                "3.6.2 compliant")
    if len(addresses) > 1 and not senders:
        return ("550 5.1.20 Multiple From addresses are not allowed without "
                "Sender address")
    return None


def leaks(raw: bytes) -> list[str]:
    """Header fields that a submission client must not pass on."""
    names = {k.lower() for k, _ in headers_of(raw)}
    return [f"{n} header sent" for n in ("bcc", "resent-bcc", "return-path")
            if n in names]
