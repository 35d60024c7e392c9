"""Exchange's allowance per mailbox: connections, messages a minute,
recipients a day.  Counted always, enforced when asked."""
from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

DAY = 86400.0


class Limits:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.connections: int | None = None
        self.per_minute: int | None = None
        self.window = 60.0
        self.daily: int | None = None
        self.rate_mode = "refuse"
        self._connections: dict[int, Callable[[], bool]] = {}
        self._open: dict[str, list[int]] = defaultdict(list)
        self.peak: Counter[str] = Counter()
        self.all_peak = 0
        self._starts: dict[str, list[float]] = defaultdict(list)
        self._recipients: dict[str, list[tuple[float, int]]] = \
            defaultdict(list)

    def enforce(self, connections: int | None, per_minute: int | None,
                window: float, daily: int | None, rate: str) -> None:
        if rate not in ("refuse", "delay"):
            raise ValueError(f"rate must be refuse or delay, not {rate}")
        self.connections, self.per_minute = connections, per_minute
        self.window, self.daily, self.rate_mode = window, daily, rate

    def connected(self, session: int, gone: Callable[[], bool]) -> None:
        """gone() tells whether the client has closed its end: one that
        counts its own connections by then, not by when this busy server
        comes to read the end, has kept to the limit."""
        with self._lock:
            self._connections[session] = gone
            self.all_peak = max(self.all_peak,
                                len(self._still_open(self._connections)))

    def signed_in(self, mailbox: str, session: int) -> None:
        with self._lock:
            self._open[mailbox].append(session)
            self.peak[mailbox] = max(
                self.peak[mailbox],
                len(self._still_open(self._open[mailbox])))

    def disconnected(self, mailbox: str | None, session: int) -> None:
        with self._lock:
            del self._connections[session]
            if mailbox:
                self._open[mailbox].remove(session)

    def crowded(self, mailbox: str, session: int) -> bool:
        """Were that many sessions of the mailbox there before (row 9)?"""
        with self._lock:
            earlier = self._open[mailbox]
            earlier = earlier[:earlier.index(session)]
            return (self.connections is not None and
                    len(self._still_open(earlier)) >= self.connections)

    def _still_open(self, sessions: Iterable[int]) -> list[int]:
        return [s for s in sessions if not self._connections[s]()]

    def wait_for_rate(self, mailbox: str) -> float:
        """Seconds until a further message fits the window; takes a place in
        it when there is none to wait."""
        now = time.monotonic()
        with self._lock:
            starts = self._starts[mailbox]
            starts[:] = [t for t in starts if t > now - self.window]
            if self.per_minute is None or len(starts) < self.per_minute:
                starts.append(now)
                return 0.0
            return starts[0] + self.window - now

    def over_daily(self, mailbox: str, recipients: int) -> bool:
        now = time.time()
        with self._lock:
            recent = [n for t, n in self._recipients[mailbox] if t > now - DAY]
        return self.daily is not None and sum(recent) + recipients > self.daily

    def accepted(self, mailbox: str, recipients: int) -> None:
        with self._lock:
            self._recipients[mailbox].append((time.time(), recipients))
