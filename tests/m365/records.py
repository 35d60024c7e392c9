"""What the stand-in remembers of the traffic it saw, for tests to read."""
from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from .content import body_of, headers_of

Parameters = dict[str, str]


@dataclass
class Message:
    """One accepted message.  `raw` is the content after dot-unstuffing."""
    mail_from: str
    mail_parameters: Parameters
    recipients: list[tuple[str, Parameters]]
    raw: bytes
    message_id: str
    user: str
    session: "Session"
    received: float = field(default_factory=time.time)
    violations: list[str] = field(default_factory=list)
    confirmed: bool = True          # False: accepted, but no 250 was sent
    round_trips: int = 0

    @property
    def tls_version(self) -> str | None:
        return self.session.tls_version

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "surrogateescape")

    @property
    def body(self) -> bytes:
        return body_of(self.raw)

    @property
    def addresses(self) -> list[str]:
        """Envelope recipients without their parameters."""
        return [address for address, _ in self.recipients]

    def header(self, name: str) -> list[str]:
        """Every value of that header, unfolded, in order of appearance."""
        wanted = name.lower()
        return [value.decode("utf-8", "surrogateescape").strip()
                for key, value in headers_of(self.raw) if key.lower() == wanted]


@dataclass
class Session:
    """One SMTP connection, from its SYN to its end.

    Round trips: 1 for connect, 1 for the banner, then one each time the server
    has written something and the next bytes had not arrived before it wrote.
    A TLS 1.3 handshake is 1 (the client's Finished travels with its EHLO), a
    full TLS 1.2 handshake 2.  `trips` names what the client sent in each;
    `round_trips` counts them up to the last final 250 (all, if there is none).
    """
    number: int
    peer: str
    connect_time: float = field(default_factory=time.time)
    close_time: float | None = None
    transcript: list[tuple[str, bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    helo: str | None = None
    user: str | None = None
    auth_failure: str | None = None   # why AUTH was refused; never on the wire
    tls_version: str | None = None
    cipher: str | None = None
    tls_resumed: bool = False
    tls_error: str | None = None
    error: str | None = None          # how the connection ended, if not by QUIT
    messages: list[Message] = field(default_factory=list)
    turns: list[list[str]] = field(
        default_factory=lambda: [["connect"], ["banner"]])
    counted: int | None = None

    @property
    def trips(self) -> list[str]:
        return [_summary(turn) for turn in self.turns]

    @property
    def round_trips(self) -> int:
        return self.counted if self.counted is not None else len(self.turns)

    @property
    def open(self) -> bool:
        return self.close_time is None

    def dialogue(self) -> str:
        """The transcript as text, for a failing test's output."""
        return "\n".join(f"{who}: {line.decode('utf-8', 'backslashreplace')}"
                         for who, line in self.transcript)


@dataclass
class HttpRequest:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    time: float = field(default_factory=time.time)
    status: int = 0


@dataclass
class TokenRequest:
    """One POST to a token endpoint; device polls are `device_code`."""
    grant_type: str
    form: dict[str, str]
    tenant: str
    status: int = 0
    response: Any = None
    time: float = field(default_factory=time.time)


class Log:
    """Everything seen so far.  Written by the server's thread, read by any."""

    def __init__(self, event: Callable[[str], None] | None = None,
                 save: Path | None = None) -> None:
        self.changed = threading.Condition()
        self.messages: list[Message] = []
        self.sessions: list[Session] = []
        self.requests: list[HttpRequest] = []
        self.token_requests: list[TokenRequest] = []
        self.event = event or (lambda text: None)
        self._save = save

    def add_message(self, message: Message) -> None:
        with self.changed:
            self.messages.append(message)
            message.session.messages.append(message)
            if self._save:
                _save_message(self._save, len(self.messages), message)
            self.changed.notify_all()
        self.event(f"smtp: message {message.message_id} from "
                   f"{message.mail_from} to {', '.join(message.addresses)}")

    def notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self.changed:
            return self.changed.wait_for(condition, timeout)


def _summary(names: list[str]) -> str:
    """``MAIL RCPT*500 DATA`` for a turn that carried many commands."""
    runs: list[tuple[str, int]] = []
    for name in names:
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + 1)
        else:
            runs.append((name, 1))
    return " ".join(n if k == 1 else f"{n}*{k}" for n, k in runs) or "?"


def _save_message(folder: Path, number: int, message: Message) -> None:
    import json
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number:04}.eml").write_bytes(message.raw)
    envelope = {
        "mail_from": message.mail_from,
        "mail_parameters": message.mail_parameters,
        "recipients": [{"address": a, "parameters": p}
                       for a, p in message.recipients],
        "user": message.user, "message_id": message.message_id,
        "tls": message.tls_version, "received": message.received,
        "violations": message.violations,
    }
    (folder / f"{number:04}.json").write_text(
        json.dumps(envelope, indent=2, ensure_ascii=False) + "\n")
