"""HTTP/1.1, small and with every fault a proxy or outage can show."""
from __future__ import annotations

import asyncio
import datetime
import json
import secrets
import socket
import ssl
import struct
import uuid
from dataclasses import dataclass, field
from typing import Any, Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from .faults import Fault, Faults
from .records import HttpRequest, Log

MAX_HEAD = 32768
MAX_BODY = 65536
MAX_DISCARD = 16 << 20

_OUTAGE = ("<!DOCTYPE html><html><head><title>Service unavailable</title></head>"
           "<body><h2>Our services aren't available right now</h2><p>We're "
           "working to restore all services as soon as possible.</p></body>"
           "</html>")


@dataclass
class Response:
    status: int = 200
    json: Any = None
    html: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    trace_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    entra: bool = True              # with the headers of Entra

    def body(self) -> bytes:
        if self.html is not None:
            return self.html.encode()
        return b"" if self.json is None else json.dumps(
            self.json, separators=(",", ":")).encode()

    def content_type(self) -> str | None:
        if self.html is not None:
            return "text/html; charset=utf-8"
        return None if self.json is None else "application/json; charset=utf-8"


Handler = Callable[[HttpRequest, list[Fault]], Response]
_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized",
            404: "Not Found", 405: "Method Not Allowed", 410: "Gone",
            413: "Payload Too Large", 429: "Too Many Requests",
            500: "Internal Server Error", 502: "Bad Gateway",
            503: "Service Unavailable", 504: "Gateway Timeout"}


class BadRequest(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Web:
    """Reads requests, asks `handler` for each, and lets the faults of the
    request's stage maim the answer."""

    def __init__(self, handler: Handler, stage_of: Callable[[str], str | None],
                 faults: Faults, log: Log) -> None:
        self._handler, self._stage_of = handler, stage_of
        self._faults, self._log = faults, log
        self._counts: dict[str, int] = {}
        self.connections = 0
        self.tls_versions: list[str] = []

    async def serve(self, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if writer.get_extra_info("ssl_object"):
            self.tls_versions.append(
                writer.get_extra_info("ssl_object").version())
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError,
                asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader, writer) -> bool:
        """One request and its response; False when the connection ends."""
        try:
            request = await _read_request(reader)
        except BadRequest as problem:
            writer.write(_head(Response(problem.status), 0, False))
            return False
        with self._log.changed:
            self._log.requests.append(request)
            self._log.changed.notify_all()
        faults = self._take(request.path)
        if not await _before(faults, writer):
            return False
        response = _replaced(faults) or self._handler(request, faults)
        for fault in faults:
            _distort(response, fault)
        request.status = response.status
        keep = request.headers.get("connection", "").lower() != "close"
        keep = await _send(writer, response, faults, keep,
                           request.method == "HEAD") and keep
        self._log.event(f"https: {request.method} {request.path} "
                        f"{response.status}")
        self._log.notify()
        return keep

    def _take(self, path: str) -> list[Fault]:
        taken = []
        for stage in ("http", self._stage_of(path)):
            if stage:
                self._counts[stage] = self._counts.get(stage, 0) + 1
                taken += self._faults.take(stage, self._counts[stage])
        return taken


async def _read_request(reader: asyncio.StreamReader) -> HttpRequest:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
        headers = {name.strip().lower(): value.strip() for name, value in
                   (line.split(":", 1) for line in lines[1:] if line)}
        length = int(headers.get("content-length", "0"))
    except ValueError:
        raise BadRequest(400) from None
    if not version.startswith("HTTP/1.") or "host" not in headers or \
            not target.startswith("/"):        # the form for proxies
        raise BadRequest(400)
    if length > MAX_BODY or "transfer-encoding" in headers:
        await _discard(reader, min(length, MAX_DISCARD))
        raise BadRequest(413)
    body = await reader.readexactly(length)
    parts = urlsplit(target)
    return HttpRequest(method, unquote(parts.path),
                       dict(parse_qsl(parts.query, keep_blank_values=True)),
                       headers, body)


async def _discard(reader: asyncio.StreamReader, size: int) -> None:
    """Read what is refused anyway, or the client never sees our answer."""
    while size > 0 and (part := await reader.read(min(size, 65536))):
        size -= len(part)


async def _before(faults: list[Fault], writer: asyncio.StreamWriter) -> bool:
    """Faults that act before there is an answer."""
    for fault in faults:
        if fault.action == "stall":
            await asyncio.sleep(3600 if fault.number is None else fault.number)
        elif fault.action == "close":
            return False
        elif fault.action == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                           struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
    return True


def _replaced(faults: list[Fault]) -> Response | None:
    """A response that does not come from Entra at all."""
    for fault in faults:
        if fault.action == "status":
            code, _, form = fault.argument.partition(" ")
            return _bare(int(code), form or "html")
        if fault.action == "redirect":
            return Response(302, html="", headers={"Location": fault.argument})
        if fault.action == "huge":
            return Response(200, json={"x": "y" * int(fault.argument)})
    return None


def _bare(status: int, form: str) -> Response:
    if form == "json":
        return Response(status, json={"error": "server_error"})
    return Response(status, html=_OUTAGE if form == "html" else None)


def _distort(response: Response, fault: Fault) -> None:
    """Faults in the members of an otherwise good answer."""
    answer = response.json
    if fault.action == "date-offset":
        response.headers["Date"] = _date(fault.number)
    if not isinstance(answer, dict):
        return
    if fault.action == "missing":
        answer.pop(fault.argument, None)
    elif fault.action == "no-refresh-token":
        answer.pop("refresh_token", None)
    elif fault.action == "string-numbers":
        for key in ("expires_in", "ext_expires_in", "interval"):
            if key in answer:
                answer[key] = str(answer[key])
    elif fault.action == "wrong-types":
        for key, value in answer.items():
            answer[key] = [value] if isinstance(value, int) else 42


async def _send(writer: asyncio.StreamWriter, response: Response,
                faults: list[Fault], keep: bool, bodiless: bool) -> bool:
    """Write the response; False when the connection must end after it."""
    names = {f.action: f for f in faults}
    body = b"" if bodiless else response.body()
    if "garbage" in names:
        writer.write(secrets.token_bytes(500))
        return False
    chunked = "chunked" in names
    head = _head(response, None if chunked else len(response.body()), keep)
    if chunked:
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part)
                        for part in _parts(body, 100)) + b"0\r\n\r\n"
    if "truncated" in names:
        writer.write(head + body[:len(body) // 2])
        return False
    if "slow" in names:
        pause = names["slow"].number or 0.01
        for part in _parts(head + body, 50):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    else:
        writer.write(head + body)
    await writer.drain()
    return keep


def _head(response: Response, length: int | None, keep: bool) -> bytes:
    """Status line and headers."""
    headers: dict[str, str | None] = {
        "Content-Type": response.content_type(), "Date": _date(0),
        **(_entra_headers(response) if response.entra else {}),
        **response.headers, "Connection": None if keep else "close"}
    if length is None:
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers["Content-Length"] = str(length)
    cookies = [("Set-Cookie", f"fpc={secrets.token_urlsafe(24)}; path=/; "
                "secure; HttpOnly; SameSite=None"),
               ("Set-Cookie", "x-ms-gateway-slice=estsfd; path=/; secure; "
                "httponly"),
               ("Set-Cookie", "stsservicecookie=estsfd; path=/; secure; "
                "httponly")]
    lines = [f"HTTP/1.1 {response.status} "
             f"{_REASONS.get(response.status, 'Status')}"]
    lines += [f"{k}: {v}" for k, v in [*headers.items(), *(
        cookies if response.entra else [])] if v is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _entra_headers(response: Response) -> dict[str, str]:
    """As login.microsoftonline.com sends them."""
    return {
        "Cache-Control": "no-store, no-cache", "Pragma": "no-cache",
        "Expires": "-1",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "P3P": 'CP="DSP CUR OTPi IND OTRi ONL FIN"',
        "x-ms-request-id": response.trace_id,
        "x-ms-ests-server": "2.1.19683.5 - NEULR1 ProdSlices",
        "x-ms-srs": "1.P"}


def _parts(data: bytes, size: int) -> list[bytes]:
    return [data[i:i + size] for i in range(0, len(data), size)]


def _date(offset: float) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    moment = now + datetime.timedelta(seconds=offset)
    return f"{moment:%a, %d %b %Y %H:%M:%S} GMT"
