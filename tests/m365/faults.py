r"""The scenario language: one line, one fault.

    at STAGE [N|ADDRESS] ACTION [times K | always] [after M]

A fault fires once unless `times` or `always` says otherwise; `after M` lets
the first M occasions pass.  N is the n-th occasion: of RCPT within its
transaction, of a connection within the server's life, of an HTTP request
within the server's life, of any other stage within its connection.  ADDRESS
restricts RCPT to a recipient and later stages to a signed-in mailbox.

SMTP stages: connect banner EHLO (before TLS) EHLO2 (after TLS) STARTTLS TLS
(the handshake) PROMPT (the 334 of AUTH) AUTH (its verdict) MAIL RCPT DATA
CONTENT (while the content arrives) BODY (its end) BDAT RSET NOOP QUIT.

SMTP actions:
    reply TEXT          instead of the reply; 4xx and 5xx also keep the command
                        from having its effect; \n separates lines; [host],
                        [host time id], [Hostname=...] are filled in; 421 closes
    row N               reply with row N of the error catalogue
    close               close before the command has an effect
    close after BYTES   of the reply (in CONTENT: of the content)
    reset               as close, by TCP reset
    stall [SECONDS]     before the reply; for ever without a number
    slow [SECONDS]      reply a byte at a time, that long apart (0.01)
    split               reply in single-byte segments, at once
    garbage             random bytes instead of the reply
    longline BYTES      one reply line of that many bytes
    append TEXT         bytes glued behind the reply (\r and \n are escapes)
    accept-then-close   (BODY) the message is kept, no 250 is sent
    no-extension NAME   (EHLO, EHLO2) leave a keyword out
    challenge JSON      (AUTH) Google's way: 334 with it, then 535

HTTP stages: token devicecode authorize discovery identity (a managed
identity's endpoint) http (any request).

HTTP actions:
    status CODE [html|empty|json]    429 [retry-after SECONDS]
    error AADSTSn       a row of the token error table; two codes in one
                        answer as AADSTSn,m; or an OAuth name: slow_down
    redirect URL        302       truncated    half the body, then close
    close  reset  stall [SECONDS]  slow [SECONDS]  garbage  huge BYTES  chunked
    wrong-types  missing KEY  string-numbers  narrow-scope  no-roles
    graph-audience  date-offset SECONDS  no-refresh-token  expires-in SECONDS

TEXT that must end in words of the language is put in double quotes.
"""
from __future__ import annotations

import difflib
import math
import re
import threading
from dataclasses import dataclass

from .aadsts import ERRORS, RFC_8628, find
from .replies import ROWS

SMTP_STAGES = ("connect", "banner", "EHLO", "EHLO2", "STARTTLS", "TLS",
               "PROMPT", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT", "BODY",
               "BDAT", "RSET", "NOOP", "QUIT")
HTTP_STAGES = ("token", "devicecode", "authorize", "discovery", "identity",
               "http")

# What may follow the name of an action.
NOTHING, TEXT, WORD, INTEGER, SECONDS, OPTIONAL = (
    r"", r"\s(?P<arg>.+)", r"\s+(?P<arg>\S+)", r"\s+(?P<arg>\d+)",
    r"\s+(?P<arg>-?\d+(?:\.\d+)?)", r"(?:\s+(?P<arg>\d+(?:\.\d+)?))?")
CLOSE = r"(?:\s+after\s+(?P<arg>\d+)(?:\s+bytes)?(?:\s+of\s+the\s+\w+)?)?"

SMTP_ACTIONS = {
    "reply": TEXT, "row": INTEGER, "close": CLOSE, "reset": NOTHING,
    "stall": OPTIONAL, "slow": OPTIONAL, "split": NOTHING, "garbage": NOTHING,
    "longline": INTEGER, "append": TEXT, "accept-then-close": NOTHING,
    "no-extension": WORD, "challenge": TEXT}
HTTP_ACTIONS = {
    "status": r"\s+(?P<arg>\d{3}(?:\s+(?:html|empty|json))?)",
    "429": r"(?:\s+retry-after\s+(?P<arg>\S+))?", "error": WORD,
    "redirect": WORD, "truncated": NOTHING, "close": NOTHING,
    "reset": NOTHING, "stall": OPTIONAL, "slow": OPTIONAL, "garbage": NOTHING,
    "huge": INTEGER, "chunked": NOTHING, "wrong-types": NOTHING,
    "missing": WORD, "string-numbers": NOTHING, "narrow-scope": NOTHING,
    "no-roles": NOTHING, "graph-audience": NOTHING, "date-offset": SECONDS,
    "no-refresh-token": NOTHING, "expires-in": INTEGER}

# The action 429 may stand where a number would.
_IS_429 = r"429(?:\s+(?:retry-after|times|always|after)\b.*)?\s*$"
_HEAD = re.compile(
    r"at\s+(?P<stage>\S+)"
    r"(?:\s+(?!" + _IS_429 + r")(?P<nth>\d+)(?=\s)|\s+(?P<who>\S+@\S+))?"
    r"\s+(?P<rest>\S.*)$")
_TAIL = (r"(?P<tail>(?:\s+(?:always|times\s+\d+|after\s+\d+))*)\s*$")
_ONLY = {"accept-then-close": ("BODY",), "no-extension": ("EHLO", "EHLO2"),
         "challenge": ("AUTH",),
         "error": tuple(s for s in HTTP_STAGES if s != "identity")}


class ScenarioError(ValueError):
    """A line that is not of the language; says which word was meant."""


@dataclass
class Fault:
    line: str
    stage: str
    action: str
    argument: str | None
    nth: int | None = None
    who: str | None = None
    times: float = 1
    after: int = 0
    fired: int = 0
    passed: int = 0

    @property
    def spent(self) -> bool:
        return self.fired >= self.times

    @property
    def number(self) -> float | None:
        return None if self.argument is None else float(self.argument)

    @property
    def text(self) -> str:
        r"""The argument with ``\n``, ``\r`` and ``\\`` resolved."""
        escapes = {"n": "\n", "r": "\r", "\\": "\\", "t": "\t", "0": "\0"}
        return re.sub(r"\\([nrt0\\])", lambda m: escapes[m[1]],
                      self.argument or "")


class Faults:
    """The faults in force; safe to change while sessions run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, line: str) -> Fault:
        fault = parse(line)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, stage: str, nth: int,
             who: str | None = None) -> list[Fault]:
        """The faults that fire now, in the order they were added."""
        with self._lock:
            return [f for f in self._faults if self._fires(f, stage, nth, who)]

    @staticmethod
    def _fires(fault: Fault, stage: str, nth: int, who: str | None) -> bool:
        if fault.stage != stage or fault.spent:
            return False
        if fault.nth is not None and fault.nth != nth:
            return False
        if fault.who and fault.who.lower() != (who or "").lower():
            return False
        if fault.passed < fault.after:
            fault.passed += 1
            return False
        fault.fired += 1
        return True


def parse(line: str) -> Fault:
    """One line of the language as a Fault."""
    words = line.split()
    if not words or words[0] != "at":
        raise ScenarioError(f"'{line}': a fault begins with 'at'")
    head = _HEAD.match(line.strip())
    if head is None:
        raise ScenarioError(f"'{line}': say 'at STAGE [N] ACTION'")
    stage = _known(head["stage"], SMTP_STAGES + HTTP_STAGES, "stage", line)
    action, argument, tail = _action(head["rest"], stage, line)
    fault = Fault(line, stage, action, argument,
                  int(head["nth"]) if head["nth"] else None, head["who"])
    for kind, count in re.findall(r"(always|times|after)\s*(\d*)", tail):
        if kind == "after":
            fault.after = int(count)
        else:
            fault.times = math.inf if kind == "always" else int(count)
    return fault


def parse_file(text: str) -> list[str]:
    """The fault lines of a scenario file; # begins a comment line."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _action(rest: str, stage: str, line: str) -> tuple[str, str | None, str]:
    table = SMTP_ACTIONS if stage in SMTP_STAGES else HTTP_ACTIONS
    name = _known(rest.split()[0], tuple(table), "action", line)
    pattern = table[name]
    after = rest[len(rest.split()[0]):]
    if pattern == TEXT:
        quoted = re.fullmatch(r'\s+"(?P<arg>(?:[^"\\]|\\.)*)"' + _TAIL, after)
        pattern = r"\s+(?P<arg>\S.*?)"
        match = quoted or re.fullmatch(pattern + _TAIL, after)
    else:
        match = re.fullmatch(pattern + _TAIL, after)
    if match is None:
        raise ScenarioError(f"'{line}': '{after.strip()}' cannot follow {name}")
    argument = match.groupdict().get("arg")
    _check(name, argument, stage, line)
    return name, argument, match["tail"]


def _check(name: str, argument: str | None, stage: str, line: str) -> None:
    """Refuse arguments and places that could never have an effect."""
    if name in _ONLY and stage not in _ONLY[name]:
        raise ScenarioError(f"'{line}': {name} belongs to "
                            f"{' or '.join(_ONLY[name])}, not {stage}")
    if name == "row" and int(argument) not in ROWS:
        raise ScenarioError(f"'{line}': no row {argument} (1 to {len(ROWS)})")
    if name == "error" and find(argument) is None:
        names = tuple(f"AADSTS{code}" for code in ERRORS) + tuple(RFC_8628)
        _known(argument, names, "error", line)


def _known(word: str, words: tuple[str, ...], what: str, line: str) -> str:
    for known in words:
        if word.lower() == known.lower():
            return known
    lower = {w.lower(): w for w in words}
    near = difflib.get_close_matches(word.lower(), lower, 1, 0)
    raise ScenarioError(f"'{line}': unknown {what} '{word}', "
                        f"did you mean '{lower[near[0]]}'?")
