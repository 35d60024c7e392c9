"""One connection's bytes: TLS by hand, so that every byte can go wrong, and
the count of round trips."""
from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
import struct

from .records import Session

CHUNK = 262144


class Closed(Exception):
    """The peer is gone, or we have hung up."""


class Wire:
    """Replies are queued and leave when the server has nothing left to read,
    so pipelined commands are answered in one segment (RFC 2920 3.2)."""

    def __init__(self, sock: socket.socket, session: Session) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self._sock = sock
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._out = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._incoming = self._outgoing = None
        self._spoke = False

    @property
    def secure(self) -> bool:
        return self._tls is not None

    def queue(self, data: bytes) -> None:
        self._out += data

    async def flush(self) -> None:
        if self._out:
            data, self._out = bytes(self._out), bytearray()
            await self.send(data)

    async def send(self, data: bytes) -> None:
        """Write at once; over TLS each call is a record of its own."""
        if self._tls:
            self._tls.write(data)
            data = self._outgoing.read()
        await self._send_raw(data)
        self._spoke = True

    async def send_clear(self, data: bytes) -> None:
        await self._send_raw(data)
        self._spoke = True

    async def fill(self) -> None:
        """Wait until the buffer has grown.

        Bytes that came before the replies were written belong to the same
        turn; a client that waits cannot have sent them."""
        answers = self._spoke and not self.buffer
        if self._receive_now():
            if answers:
                self._turn()
            return
        if self._out:
            os.sched_yield()
            if self._receive_now():
                return
            await self.flush()
        await self._receive()

    def peer_is_gone(self) -> bool:
        """Has the client closed its end, whatever is still to be read?"""
        if self._sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLRDHUP)
        return bool(poll.poll(0))

    def peek(self) -> bool:
        """Has the client sent anything beyond what was consumed?"""
        if not self.buffer:
            self._receive_now()
        return bool(self.buffer)

    def note(self, name: str) -> None:
        """Name what the client sent in the present turn."""
        self._session.turns[-1].append(name)

    async def drain(self) -> None:
        """Swallow what comes until the peer closes."""
        while True:
            self.buffer.clear()
            await self._receive()

    async def start_tls(self, context: ssl.SSLContext, send=None) -> None:
        """Shake hands.  `send` replaces how our flights are written."""
        send = send or self._send_raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self._incoming, self._outgoing,
                               server_side=True)
        first = len(self._session.turns)
        if self.buffer:             # the ClientHello, read ahead for a fault
            self._incoming.write(bytes(self.buffer))
            self.buffer.clear()
            first -= 1
        while not await self._handshake_step(tls, send):
            raw = await self._recv()
            if self._spoke:
                self._turn()
            self._incoming.write(raw)
        self._tls = tls
        self._name_handshake(first)
        self._session.tls_version = tls.version()
        self._session.cipher = tls.cipher()[0]
        self._session.tls_resumed = bool(tls.session_reused)
        self._decrypt()

    def _name_handshake(self, first: int) -> None:
        """In TLS 1.3 the client's last flight travels with its EHLO."""
        turns = self._session.turns[first:]
        if self._tls.version() == "TLSv1.3":
            turns = turns[:-1]
        for turn in turns:
            turn.append("TLS")

    def hang_up(self, reset: bool = False) -> None:
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))
        else:
            self._discard_input()
        self._sock.close()

    async def say_goodbye(self) -> None:
        """Close TLS as an orderly server does, after the last reply."""
        try:
            await self.flush()
            if self._tls:
                await self._close_tls()
        except Closed:
            pass                    # a client need not wait for it

    async def _close_tls(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass
        await self._send_raw(self._outgoing.read())

    def _discard_input(self) -> None:
        """Unread input would turn the close into a reset, which may destroy
        our last reply on its way."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
            while self._sock.recv(CHUNK):
                pass
        except OSError:
            pass

    async def _handshake_step(self, tls: ssl.SSLObject, send) -> bool:
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        except ssl.SSLError as problem:
            self._session.tls_error = problem.reason or str(problem)
            await self._send_raw(self._outgoing.read())
            raise Closed(f"TLS: {problem.reason}") from None
        flight = self._outgoing.read()
        if flight:
            await send(flight)
            # Session tickets of TLS 1.3 are not waited for.
            self._spoke = not (done and tls.version() == "TLSv1.3")
        return done

    def _receive_now(self) -> bool:
        try:
            raw = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as problem:
            raise Closed(str(problem)) from None
        return self._take(raw)

    async def _receive(self) -> None:
        turn = self._spoke and not self.buffer
        while True:
            raw = await self._recv()
            if turn:
                self._turn()
                turn = False
            if self._take(raw):
                return

    def _take(self, raw: bytes) -> bool:
        if not raw:
            raise Closed("client closed the connection")
        if self._tls is None:
            self.buffer += raw
            self._spoke = False
            return True
        self._incoming.write(raw)
        return self._decrypt()

    def _decrypt(self) -> bool:
        size = len(self.buffer)
        try:
            while piece := self._tls.read(CHUNK):
                self.buffer += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            if len(self.buffer) == size:
                raise Closed("client closed TLS") from None
        except ssl.SSLError as problem:
            self._session.tls_error = problem.reason or str(problem)
            raise Closed(f"TLS: {problem.reason}") from None
        if len(self.buffer) == size:
            return False
        self._spoke = False
        return True

    def _turn(self) -> None:
        self._spoke = False
        self._session.turns.append([])

    async def _recv(self) -> bytes:
        try:
            raw = await self._loop.sock_recv(self._sock, CHUNK)
        except OSError as problem:
            raise Closed(str(problem)) from None
        if not raw:
            raise Closed("client closed the connection")
        return raw

    async def _send_raw(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as problem:
            raise Closed(str(problem)) from None
