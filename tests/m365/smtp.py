"""The SMTP submission service, one Conversation a connection."""
from __future__ import annotations

import asyncio
import base64
import re
import secrets
import socket
import ssl
import time
import uuid
from dataclasses import dataclass, field

from . import content, replies, syntax
from .directory import Directory, Mailbox
from .faults import Fault, Faults
from .limits import Limits
from .records import Log, Message, Parameters, Session
from .tokens import TokenError, Tokens, open_mailbox
from .wire import Closed, Wire

@dataclass
class Options:
    profile: str = "m365"               # m365 | outlook | hve
    old_banner: bool = False
    auth_delay: float = 0.0
    auth_line_limit: int = syntax.MAX_AUTH_LINE
    max_recipients: int = 1000
    max_message_size: int = 35 * 1024 * 1024
    max_errors: int = 10
    idle_timeout: float = 300.0
    session_timeout: float = 600.0


@dataclass
class Office:
    """What all conversations share."""
    options: Options
    directory: Directory
    tokens: Tokens
    faults: Faults
    limits: Limits
    log: Log
    tls: ssl.SSLContext


@dataclass
class Transaction:
    mail_from: str
    parameters: Parameters
    recipients: list[tuple[str, Parameters]] = field(default_factory=list)
    attempts: int = 0
    chunks: bytearray | None = None     # BDAT content so far

    @property
    def body_type(self) -> str:
        return self.parameters.get("BODY", "7BIT").upper()


class Conversation:
    """Commands in, replies out.  A handler says exactly one reply; the faults
    that were taken for its command act on that reply."""

    def __init__(self, office: Office, sock: socket.socket, number: int,
                 peer: str) -> None:
        self.office, self.options = office, office.options
        self.session = Session(number, peer)
        self.wire = Wire(sock, self.session)
        self.id = replies.new_session_id()
        self.mailbox: Mailbox | None = None
        self.greeted = False
        self.extensions: set[str] = set()
        self.transaction: Transaction | None = None
        self.active: list[Fault] = []
        self.counts: dict[str, int] = {}
        self.errors = 0
        self.deadline_reply: str | None = None
        self.last_input = time.monotonic()

    async def run(self) -> None:
        """The whole life of the connection."""
        watchdog = asyncio.ensure_future(self._watch(asyncio.current_task()))
        self.office.limits.connected(self.session.number,
                                     self.wire.peer_is_gone)
        reset = False
        try:
            await self._greet()
            while True:
                await self._one_command()
        except Closed as end:
            reset = getattr(end, "reset", False)
            self.session.error = str(end) or None
        except asyncio.CancelledError:
            await self._timed_out()
        finally:
            watchdog.cancel()
            self.wire.hang_up(reset)
            self._finish()

    # -- reading

    async def _one_command(self) -> None:
        if self.errors > self.options.max_errors:
            await self._say(replies.ROWS[6])
        line = await self._command_line(syntax.MAX_COMMAND)
        if line is None:
            return
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        self.session.commands.append(line)
        self.wire.note(verb)
        self._check_pipelining(verb)
        handler = self.HANDLERS.get(verb)
        if handler is None:
            await self._say(f"500 5.3.3 Unrecognized command '{verb[:40]}' "
                            "[host time id]")
            return
        await handler(self, rest)

    async def _command_line(self, limit: int) -> str | None:
        """The next line, or None when it was refused for its form."""
        raw = await self._line()
        self.session.transcript.append(("C", raw.rstrip(b"\r\n")))
        if raw[:5].upper() == b"AUTH ":
            limit = self.options.auth_line_limit
        fault = syntax.line_fault(raw, limit)
        if fault is None:
            return raw[:-2].decode("utf-8", "surrogateescape")
        self.session.violations.append(fault)
        self.wire.note("?")
        await self._say("500 5.5.2 Command too long" if "long" in fault
                        else "500 5.5.2 Syntax error, " + fault)
        return None

    async def _line(self) -> bytes:
        """One line with its LF, however long (up to a megabyte)."""
        buffer = self.wire.buffer
        while (end := buffer.find(b"\n")) < 0:
            if len(buffer) > syntax.MAX_JUNK:
                raise Closed("endless line")
            await self.wire.fill()
        self.last_input = time.monotonic()
        line = bytes(buffer[:end + 1])
        del buffer[:end + 1]
        return line

    def _check_pipelining(self, verb: str) -> None:
        """RFC 2920 3.1: these end a group; and the group must be offered."""
        if not self.wire.buffer:
            return
        if verb in ("EHLO", "HELO", "AUTH", "DATA", "STARTTLS", "QUIT"):
            self.session.violations.append(f"bytes sent behind {verb}")
        elif "PIPELINING" not in self.extensions and verb != "BDAT":
            self.session.violations.append("pipelined without PIPELINING")

    # -- writing, and the faults in it

    def _take(self, stage: str, nth: int | None = None,
              who: str | None = None) -> None:
        """Collect the faults of this stage for the reply to come."""
        self.counts[stage] = self.counts.get(stage, 0) + 1
        if who is None and self.mailbox:
            who = self.mailbox.address
        self.active = self.office.faults.take(
            stage, nth or self.counts[stage], who)

    def _fault(self, *actions: str) -> Fault | None:
        return next((f for f in self.active if f.action in actions), None)

    async def _interrupt(self) -> str | None:
        """Act on the faults that come before a command has its effect.

        Returns the refusal that a fault puts in place of the command."""
        stall = self._fault("stall")
        if stall:
            await self.wire.flush()
            await self._stall(stall.number)
        end = self._fault("close", "reset")
        if end and end.argument is None:
            await self.wire.flush()
            raise _hung_up(end)
        given = self._given_reply()
        return given if given and given[0] in "45" else None

    async def _stall(self, seconds: float | None) -> None:
        if seconds is None:
            await self.wire.drain()
        await asyncio.sleep(seconds)

    def _given_reply(self) -> str | None:
        fault = self._fault("reply", "row")
        if fault is None:
            return None
        return (replies.ROWS[int(fault.argument)] if fault.action == "row"
                else fault.text)

    async def _say(self, text: str) -> None:
        """Send a reply; the active faults may replace or maim it."""
        text = replies.fill(self._given_reply() or text, self.id,
                            self.options.old_banner)
        self._count_error(text)
        if text[:1] in ("4", "5"):
            self.office.log.event(f"smtp: session {self.session.number} "
                                  f"{text[:100]}")
        data = _lines(text)
        for fault in self.active:
            data = _rewritten(data, fault)
        for line in data.split(b"\r\n")[:-1] or [data]:
            self.session.transcript.append(("S", line))
        await self._deliver(data)
        self.active = []
        if text.startswith("421"):
            await self.wire.say_goodbye()
            raise Closed(text)

    async def _deliver(self, data: bytes) -> None:
        cut = self._fault("close")
        if cut and cut.argument is not None:
            self.wire.queue(data[:int(cut.argument)])
            await self.wire.flush()
            raise _hung_up(cut)
        slow = self._fault("slow", "split")
        if slow is None:
            self.wire.queue(data)
            return
        await self.wire.flush()
        pause = 0 if slow.action == "split" else slow.number or 0.01
        await _by_byte(self.wire.send, data, pause)

    def _count_error(self, text: str) -> None:
        if text[:3] in ("500", "501", "503", "504"):
            self.errors += 1

    # -- beginning and end

    async def _greet(self) -> None:
        self._take("connect", self.session.number)
        refusal = await self._interrupt()
        if refusal:
            await self._say(refusal)
            await self.wire.say_goodbye()
            raise Closed(refusal)
        self._take("banner")
        await self._interrupt()
        if self.wire.peek():
            self.session.violations.append("spoke before the banner")
        await self._say(replies.banner(self.id, self.options.old_banner))

    async def _watch(self, task: asyncio.Task) -> None:
        """Exchange ends a session after 10 minutes, or 5 without input."""
        start = time.monotonic()
        while True:
            idle = self.last_input + self.options.idle_timeout
            total = start + self.options.session_timeout
            now = time.monotonic()
            if now >= min(idle, total):
                break
            await asyncio.sleep(min(idle, total) - now)
        text = "421 4.4.1 Connection timed out."
        if now >= total:
            hours, rest = divmod(now - start, 3600)
            text += (f" Total session duration: {int(hours):02}:"
                     f"{int(rest // 60):02}:{rest % 60:010.7f}")
        self.deadline_reply = text
        task.cancel()

    async def _timed_out(self) -> None:
        self.session.error = self.deadline_reply or "server stopped"
        if self.deadline_reply is None:
            return
        try:
            self.session.transcript.append(("S", self.deadline_reply.encode()))
            self.wire.queue(_lines(self.deadline_reply))
            await self.wire.say_goodbye()
        except Closed:
            pass

    def _finish(self) -> None:
        self.session.close_time = time.time()
        self.office.limits.disconnected(
            self.mailbox.address.lower() if self.mailbox else None,
            self.session.number)
        self.office.log.event(f"smtp: session {self.session.number} ended: "
                              f"{self.session.error or 'QUIT'}")
        self.office.log.notify()

    # -- greeting and TLS

    async def ehlo(self, name: str) -> None:
        self._take("EHLO2" if self.wire.secure else "EHLO")
        refusal = await self._interrupt()
        if refusal:
            await self._say(refusal)
        elif not syntax.HELLO.match(name):
            await self._say("501 5.5.4 Invalid domain name")
        else:
            self._hello(name)
            await self._say("\n".join(self._hello_lines()))

    def _hello(self, name: str) -> None:
        self.greeted, self.transaction = True, None
        self.session.helo = name

    def _hello_lines(self) -> list[str]:
        dropped = {f.argument.upper() for f in self.active
                   if f.action == "no-extension"}
        offered = [e for e in replies.extensions(self.wire.secure)
                   if e.split()[0] not in dropped]
        self.extensions = {e.split()[0] for e in offered}
        hello = f"{replies.FRONT} Hello [{self.session.peer}]"
        lines = [hello, *offered]
        return [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]

    async def helo(self, name: str) -> None:
        if not syntax.HELLO.match(name):
            await self._say("501 5.5.4 Invalid domain name")
            return
        self._hello(name)
        self.extensions = set()
        await self._say(f"250 {replies.FRONT} Hello [{self.session.peer}]")

    async def starttls(self, rest: str) -> None:
        self._take("STARTTLS")
        refusal = await self._interrupt() or self._starttls_fault(rest)
        if refusal:
            await self._say(refusal)
            return
        if self.wire.peek():
            # RFC 3207 4.2 and CVE-2011-0411: nothing may precede the TLS.
            self.session.violations.append("bytes sent behind STARTTLS")
            await self._say("501 5.5.4 Pipelining not allowed after STARTTLS")
            await self.wire.flush()
            raise Closed("bytes sent behind STARTTLS")
        await self._say("220 2.0.0 SMTP server ready")
        await self.wire.flush()
        await self._handshake()
        self.greeted, self.transaction, self.extensions = False, None, set()

    def _starttls_fault(self, rest: str) -> str | None:
        if not self.greeted:
            return "503 5.5.2 Send hello first"
        if self.wire.secure:
            return ("503 5.5.2 Only one STARTTLS command can be issued per "
                    "session")
        if rest:
            return "501 5.5.4 Invalid arguments"
        if "STARTTLS" not in self.extensions:
            return "500 5.3.3 Unrecognized command 'STARTTLS' [host time id]"
        return None

    async def _handshake(self) -> None:
        self._take("TLS")
        if self.active:
            await self.wire.fill()
            await self._interrupt()
            if self._fault("garbage"):
                await self.wire.send(secrets.token_bytes(200))
                raise Closed("garbage instead of TLS")
        await self.wire.start_tls(self.office.tls, self._maimed_flight())
        self.active = []
        self.office.log.event(f"smtp: session {self.session.number} "
                              f"{self.session.tls_version}")

    def _maimed_flight(self):
        """How the handshake's flights are written under a fault."""
        fault = self._fault("close", "slow", "split")
        if fault is None:
            return None
        if fault.action == "close":
            async def cut(data: bytes) -> None:
                await self.wire.send_clear(data[:int(fault.argument)])
                raise _hung_up(fault)
            return cut
        pause = 0 if fault.action == "split" else fault.number or 0.001

        async def by_byte(data: bytes) -> None:
            await _by_byte(self.wire.send_clear, data, pause)
        return by_byte

    # -- AUTH

    async def auth(self, rest: str) -> None:
        refusal = self._auth_fault()
        if refusal:
            await self._say(refusal)
            return
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "XOAUTH2":
            await self._xoauth2(initial)
        elif mechanism.upper() == "LOGIN":
            await self._login(initial)
        else:
            await self._say(replies.ROWS[26])

    def _auth_fault(self) -> str | None:
        if not self.greeted:
            return "503 5.5.2 Send hello first"
        if not self.wire.secure:
            return replies.ROWS[17]
        if self.mailbox:
            return "503 5.5.2 Already authenticated"
        if self.transaction:
            return "503 5.5.1 Bad sequence of commands"
        if "AUTH" not in self.extensions:
            return "500 5.3.3 Unrecognized command 'AUTH' [host time id]"
        return None

    async def _xoauth2(self, initial: str) -> None:
        if not initial:
            initial = await self._prompt("334 ")
        if initial is None:
            return
        self._take("AUTH", who=syntax.user_of(initial))
        challenge = self._fault("challenge")
        if challenge:
            await self._challenge(challenge)
        refusal = await self._interrupt()
        if refusal is None and not challenge:
            refusal = self._admit(initial)
        if refusal is None and not challenge:
            await self._say("235 2.7.0 Authentication successful")
            return
        await self._delay_refusal()
        await self._say(refusal or replies.REFUSED)

    async def _prompt(self, text: str) -> str | None:
        """Ask with a 334; None when the answer was refused for its form."""
        kept, self.active = self.active, []
        self._take("PROMPT")
        refusal = await self._interrupt()
        await self._say(refusal or text)
        self.active = kept
        if refusal:
            return None
        line = await self._command_line(syntax.MAX_AUTH_LINE + 2)
        if line is not None:
            self.wire.note("AUTH-data")
        return line

    async def _challenge(self, fault: Fault) -> None:
        """Google explains a refusal in a 334 that wants an empty answer."""
        self.active.remove(fault)
        kept, self.active = self.active, []
        text = base64.b64encode(fault.text.encode()).decode()
        await self._say(f"334 {text}")
        answer = await self._line()
        self.wire.note("AUTH-data")
        self.session.transcript.append(("C", answer.rstrip(b"\r\n")))
        if answer not in (b"\r\n", b"*\r\n"):
            self.session.violations.append("challenge not answered empty")
        self.active = kept

    def _admit(self, initial: str) -> str | None:
        """Check the blob and its token; the refusal, or None and signed in.
        Exchange gives one and the same text for every reason."""
        blob = syntax.decoded(initial)
        match = syntax.BLOB.fullmatch(blob) if blob is not None else None
        if match is None:
            cancelled = initial == "*"
            self.session.auth_failure = ("cancelled" if cancelled
                                         else "malformed XOAUTH2 blob")
            if self.options.profile == "hve" and not cancelled:
                return replies.ROWS[23]
            return replies.REFUSED
        user, token = match[1].decode("utf-8", "replace"), match[2].decode()
        hve = self.options.profile == "hve"
        try:
            mailbox, claims = open_mailbox(self.office.directory,
                                           self.office.tokens, user, token, hve)
        except TokenError as problem:
            self.session.auth_failure = str(problem)
            return replies.REFUSED
        refusal = self._switch_fault(mailbox, claims, hve)
        if refusal:
            self.session.auth_failure = refusal
            return refusal
        self._signed_in(mailbox, user)
        return None

    def _switch_fault(self, mailbox: Mailbox, claims: dict,
                      hve: bool) -> str | None:
        tenant = self.office.directory.tenant
        if hve:                 # not touched by the SMTP AUTH switches
            near = claims["exp"] - time.time() < 300
            return replies.ROWS[24] if near else None
        if tenant.locked_out:
            return replies.ROWS[38]
        scope = self.office.directory.smtp_auth_switch(mailbox)
        if scope:
            return replies.switched_off(scope)
        if tenant.security_defaults:
            return replies.ROWS[33]
        if mailbox.conditional_access:
            return replies.ROWS[34]
        if mailbox.throttled:
            return replies.sender_throttled(mailbox.throttled)
        return None

    def _signed_in(self, mailbox: Mailbox, user: str) -> None:
        self.mailbox = mailbox
        self.session.user, self.session.auth_failure = user, None
        self.office.limits.signed_in(mailbox.address.lower(),
                                     self.session.number)

    async def _delay_refusal(self) -> None:
        """Exchange holds a refusal back for about five seconds."""
        if self.options.auth_delay:
            await self.wire.flush()
            await asyncio.sleep(self.options.auth_delay)

    async def _login(self, initial: str) -> None:
        """Passwords: asked for in two prompts, then refused."""
        if not initial and await self._prompt(replies.AUTH_LOGIN_USER) is None:
            return
        if await self._prompt(replies.AUTH_LOGIN_PASSWORD) is None:
            return
        self._take("AUTH")
        refusal = await self._interrupt()
        self.session.auth_failure = "AUTH LOGIN"
        defaults = self.office.directory.tenant.security_defaults
        await self._delay_refusal()
        await self._say(refusal or replies.ROWS[33 if defaults else 32])

    # -- the envelope

    async def mail(self, rest: str) -> None:
        self._take("MAIL")
        refusal = await self._interrupt() or self._mail_state_fault()
        match = syntax.MAIL.match(rest)
        if not refusal and not match:
            refusal = "501 5.1.7 Invalid address"
        if not refusal:
            refusal = self._open(match["path"], match["rest"])
        if not refusal:
            refusal = await self._rate_fault()
            if refusal:
                self.transaction = None
        await self._say(refusal or "250 2.1.0 Sender OK")

    def _mail_state_fault(self) -> str | None:
        if not self.greeted:
            return "503 5.5.2 Send hello first"
        if not self.wire.secure:
            return replies.ROWS[27]
        if not self.mailbox:
            return replies.ROWS[28]
        if self.transaction:
            return "503 5.5.2 Sender already specified"
        return None

    def _open(self, path: str, rest: str) -> str | None:
        """Begin a transaction; the refusal, or None."""
        parameters, refusal = self._parameters(rest, syntax.MAIL_PARAMETERS)
        if refusal:
            return refusal
        if int(parameters.get("SIZE", 0)) > replies.ADVERTISED_SIZE:
            return replies.ROWS[48]
        if path and not syntax.is_address(path):
            return "501 5.1.7 Invalid address"
        if not path.isascii() and "SMTPUTF8" not in parameters:
            return "501 5.1.6 SMTPUTF8 argument required."
        self.transaction = Transaction(path, parameters)
        return None

    async def _rate_fault(self) -> str | None:
        """30 messages a minute: refused, or held back, as configured."""
        limits = self.office.limits
        if limits.rate_mode == "refuse":
            over = limits.wait_for_rate(self.mailbox.address.lower())
            return replies.ROWS[5] if over else None
        while wait := limits.wait_for_rate(self.mailbox.address.lower()):
            await self.wire.flush()
            await asyncio.sleep(wait)
        return None

    def _parameters(self, rest: str, known: dict) \
            -> tuple[Parameters, str | None]:
        """ESMTP parameters, each at most once, of an offered extension."""
        found: Parameters = {}
        for word in rest.split(" ")[1:]:
            name, equals, value = word.partition("=")
            name = name.upper()
            extension, pattern = known.get(name, (None, None))
            if (extension not in self.extensions or name in found
                    or bool(equals) != (pattern is not None)
                    or pattern and not re.fullmatch(pattern, value, re.I)):
                self.session.violations.append(f"parameter '{word}'")
                return {}, "501 5.5.4 Invalid arguments"
            found[name] = value
        return found, None

    async def rcpt(self, rest: str) -> None:
        nth = 0
        if self.transaction:
            self.transaction.attempts += 1
            nth = self.transaction.attempts
        match = syntax.RCPT.match(rest)
        self._take("RCPT", nth, match["path"] if match else None)
        refusal = await self._interrupt()
        if not refusal:
            refusal = self._add_recipient(match)
        await self._say(refusal or "250 2.1.5 Recipient OK")

    def _add_recipient(self, match: re.Match | None) -> str | None:
        """Anything that looks like an address is taken: Exchange reports
        unknown people later, by a non-delivery report."""
        transaction = self.transaction
        if transaction is None:
            return replies.ROWS[25]
        if match is None or not syntax.is_address(match["path"]):
            return replies.ROWS[22]
        parameters, refusal = self._parameters(match["rest"],
                                               syntax.RCPT_PARAMETERS)
        if refusal:
            return refusal
        path = match["path"]
        if not path.isascii() and "SMTPUTF8" not in transaction.parameters:
            return "501 5.1.6 SMTPUTF8 argument required."
        if len(transaction.recipients) >= self.options.max_recipients:
            return replies.ROWS[19]
        transaction.recipients.append((path, parameters))
        return None

    # -- the content

    async def data(self, rest: str) -> None:
        self._take("DATA")
        refusal = await self._interrupt() or self._data_fault()
        if not refusal and rest:
            refusal = "501 5.5.4 Invalid arguments"
        if not refusal and self.transaction.body_type == "BINARYMIME":
            refusal = "503 5.5.1 BINARYMIME needs BDAT"
        if refusal:
            await self._say(refusal)
            return
        if self.wire.peek():
            self.session.violations.append("content sent before the 354")
        await self._say("354 Start mail input; end with <CRLF>.<CRLF>")
        raw, problem = await self._content()
        await self._judge(raw, problem)

    def _data_fault(self) -> str | None:
        if self.transaction is None:
            return replies.ROWS[25]
        if not self.transaction.recipients:
            return "503 5.5.2 Need rcpt command"
        return None

    async def _content(self) -> tuple[bytes, str | None]:
        """Everything up to CRLF.CRLF, and only that, dots removed."""
        self._take("CONTENT")
        buffer = self.wire.buffer
        if not buffer:
            await self._content_fault(0)
            await self.wire.fill()
            self.wire.note("body")
        buffer[:0] = b"\r\n"         # so that ".CRLF" alone is an end too
        size, start = 0, 0
        while (end := buffer.find(b"\r\n.\r\n", start)) < 0:
            await self._content_fault(size + len(buffer) - 2)
            start = max(0, len(buffer) - 4)
            if start > replies.ADVERTISED_SIZE:
                size += start
                del buffer[:start]
                start = 0
            await self.wire.fill()
            self.last_input = time.monotonic()
        stuffed = bytes(buffer[:end + 2])
        del buffer[:end + 5]
        size += len(stuffed) - 2
        self.session.transcript.append(
            ("C", f"<{size} octets of content>".encode()))
        self.session.transcript.append(("C", b"."))
        if size > replies.ADVERTISED_SIZE:
            return b"", replies.ROWS[48]
        raw, single = content.unstuff(stuffed)
        if single:
            self.session.violations.append("line with unstuffed dot")
        return raw, None

    async def _content_fault(self, received: int) -> None:
        """Faults while the content is on its way."""
        for fault in list(self.active):
            if fault.action == "reset" or fault.action == "close" \
                    and received >= int(fault.argument or 0):
                await self.wire.flush()
                raise _hung_up(fault)
            if fault.action == "stall":
                self.active.remove(fault)
                await self._stall(fault.number)
            if fault.action in ("reply", "row") and received:
                await self._say("")
                await self.wire.say_goodbye()
                raise Closed("content interrupted")

    async def bdat(self, rest: str) -> None:
        """RFC 3030: chunks of raw octets, no dots."""
        match = re.fullmatch(r"(\d{1,10})( LAST)?", rest, re.I)
        if not match:
            await self._say("501 5.5.4 Invalid arguments")
            return
        size, last = int(match[1]), bool(match[2])
        chunk = await self._octets(size)
        self.session.transcript.append(("C", f"<{size} octets>".encode()))
        self._take("BDAT")
        refusal = await self._interrupt() or self._data_fault()
        if "CHUNKING" not in self.extensions:
            refusal = "500 5.3.3 Unrecognized command 'BDAT' [host time id]"
        if refusal:
            self.transaction = None
            await self._say(refusal)
            return
        self.transaction.chunks = (self.transaction.chunks or bytearray())
        self.transaction.chunks += chunk
        if not last:
            await self._say(f"250 2.6.0 CHUNK received OK, {size} octets")
            return
        self.active = []
        await self._judge(bytes(self.transaction.chunks), None)

    async def _octets(self, size: int) -> bytes:
        buffer = self.wire.buffer
        while len(buffer) < size:
            await self.wire.fill()
            self.last_input = time.monotonic()
        data = bytes(buffer[:size])
        del buffer[:size]
        return data

    async def _judge(self, raw: bytes, problem: str | None) -> None:
        """The verdict at the end of the content, where Exchange looks at
        sender, size, quota and form for the first time."""
        self._take("BODY")
        transaction = self.transaction
        refusal = await self._interrupt()
        self.transaction = None
        refusal = refusal or problem or self._content_verdict(transaction, raw)
        if refusal:
            await self._say(refusal)
            return
        message = self._accept(transaction, raw)
        silent = self._fault("accept-then-close")
        message.confirmed = not (silent or self._fault("close"))
        self.office.log.add_message(message)
        if silent:
            raise _hung_up(silent)
        await self._say(f"250 2.0.0 OK {message.message_id} [Hostname=...]")

    def _content_verdict(self, transaction: Transaction,
                         raw: bytes) -> str | None:
        utf8 = "SMTPUTF8" in transaction.parameters
        fault = content.format_fault(raw, transaction.body_type, utf8)
        if fault and transaction.body_type == "BINARYMIME" \
                and transaction.chunks is not None:
            fault = None
        if fault:
            self.session.violations.append(fault)
            return fault
        return (content.header_fault(raw) or content.from_fault(raw)
                or self._policy_fault(transaction, raw))

    def _policy_fault(self, transaction: Transaction, raw: bytes) -> str | None:
        box, limits = self.mailbox, self.office.limits
        address = box.address.lower()
        if len(raw) > (box.max_send_size or self.options.max_message_size):
            return replies.too_large()
        if limits.crowded(address, self.session.number):
            return replies.ROWS[9]
        if box.throttled:
            return replies.sender_throttled(box.throttled)
        if box.restricted:
            return replies.ROWS[40]
        other = self._foreign_sender(transaction, raw)
        if other is not None:
            return replies.send_as_denied(box.address, other)
        if box.full:
            return replies.mailbox_full()
        if limits.over_daily(address, len(transaction.recipients)):
            return replies.daily_quota()
        return None

    def _foreign_sender(self, transaction: Transaction,
                        raw: bytes) -> str | None:
        """The first address that this mailbox may not send as."""
        froms = [v for k, v in content.headers_of(raw) if k.lower() == "from"]
        for address in [*content.addresses_in(froms), transaction.mail_from]:
            if not self.mailbox.may_send_as(address):
                return address
        return None

    def _accept(self, transaction: Transaction, raw: bytes) -> Message:
        """Make the Message; a missing Message-ID is supplied, and the
        consumer service replaces the client's own."""
        ids = [v.strip().decode("ascii", "replace")
               for k, v in content.headers_of(raw) if k.lower() == "message-id"]
        if not ids or self.options.profile == "outlook":
            ids = [f"<{uuid.uuid4().hex.upper()}@{replies.BACKEND}>"]
        self.office.limits.accepted(self.mailbox.address.lower(),
                                    len(transaction.recipients))
        self.session.counted = len(self.session.turns)
        return Message(transaction.mail_from, transaction.parameters,
                       transaction.recipients, raw, ids[0], self.session.user,
                       self.session, violations=content.leaks(raw),
                       round_trips=self.session.counted)

    # -- the rest

    async def rset(self, rest: str) -> None:
        self._take("RSET")
        refusal = await self._interrupt()
        self.transaction = None
        await self._say(refusal or "250 2.0.0 Resetting")

    async def noop(self, rest: str) -> None:
        self._take("NOOP")
        refusal = await self._interrupt()
        await self._say(refusal or "250 2.0.0 OK")

    async def vrfy(self, rest: str) -> None:
        await self._say("252 2.1.5 Cannot VRFY user")

    async def help(self, rest: str) -> None:
        await self._say("214-This server supports the following commands:\n"
                        "214 HELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP "
                        "AUTH BDAT")

    async def quit(self, rest: str) -> None:
        self._take("QUIT")
        await self._interrupt()
        await self._say("221 2.0.0 Service closing transmission channel")
        await self.wire.say_goodbye()
        raise Closed("")

    HANDLERS = {"EHLO": ehlo, "HELO": helo, "STARTTLS": starttls, "AUTH": auth,
                "MAIL": mail, "RCPT": rcpt, "DATA": data, "BDAT": bdat,
                "RSET": rset, "NOOP": noop, "VRFY": vrfy, "HELP": help,
                "QUIT": quit}


def _lines(text: str) -> bytes:
    """A reply's text as bytes, every line ended by CRLF."""
    return "".join(f"{line}\r\n" for line in text.rstrip("\n").split("\n")) \
        .encode("utf-8", "surrogateescape")


def _rewritten(data: bytes, fault: Fault) -> bytes:
    if fault.action == "garbage":
        return secrets.token_bytes(64).replace(b"\n", b"\0")
    if fault.action == "longline":
        size = int(fault.argument)
        return data[:3] + b" " + b"x" * (size - 6) + b"\r\n"
    if fault.action == "append":
        return data + fault.text.encode()
    return data


async def _by_byte(send, data: bytes, pause: float) -> None:
    for value in data:
        await send(bytes([value]))
        if pause:
            await asyncio.sleep(pause)


def _hung_up(fault: Fault) -> Closed:
    end = Closed(f"fault: {fault.line}")
    end.reset = fault.action == "reset"
    return end
