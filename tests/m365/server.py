"""Microsoft365: the facade over SMTP and Entra, in a thread of its own."""
from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Callable

from .directory import CLIENT, CONSUMERS, App, Directory, Mailbox, Tenant
from .faults import Fault, Faults, parse_file
from .identity import METADATA, MSI, Identity
from .limits import Limits
from .pki import Authority
from .records import HttpRequest, Log, Message, Session, TokenRequest
from .smtp import Conversation, Office, Options
from .sts import Sts, StsOptions
from .tokens import Tokens, app_claims, delegated_claims
from .web import Web

DEFAULT_SCOPE = "https://outlook.office.com/SMTP.Send offline_access"
DEFAULT_AUDIENCE = "https://outlook.office.com"
DEFAULT_MAILBOXES = {"outlook": "alerts@outlook.com"}


class Microsoft365:
    """SMTP submission, token service and managed identity on loopback.

    `directory` receives the certificate authority.  Options are the fields of
    smtp.Options and sts.StsOptions, and those named here."""

    host = "localhost"

    def __init__(self, directory: Path | str, smtp_port: int = 0,
                 https_port: int = 0, identity_port: int = 0, *,
                 ipv6: bool = False,
                 tls_max: str | None = None, https_tls_max: str | None = None,
                 smtp_certificate: str = "good",
                 https_certificate: str = "good",
                 save: Path | str | None = None,
                 on_event: Callable[[str], None] | None = None,
                 **options: Any) -> None:
        self.folder = Path(directory)
        self.folder.mkdir(parents=True, exist_ok=True)
        smtp_options, sts_options = _split_options(options)
        self.profile = smtp_options.profile
        consumer = self.profile == "outlook"
        self.smtp_port, self.https_port = smtp_port, https_port
        self.identity_port = identity_port
        self.directory = Directory()
        self.faults, self.limits = Faults(), Limits()
        self.tokens = Tokens(opaque=consumer)
        self.log = Log(on_event, Path(save) if save else None)
        self.options, self.sts_options = smtp_options, sts_options
        self.sts = Sts(self.directory, self.tokens, self.log, sts_options,
                       consumer)
        self.web = Web(self.sts.handle, self.sts.stage_of, self.faults,
                       self.log)
        self.identity = Identity(self.directory, self.tokens, self.log)
        self.identity_web = Web(self.identity.handle, self.identity.stage_of,
                                self.faults, self.log)
        self._ipv6 = ipv6
        self.https_errors: list[str] = []
        self.internal_errors: list[Any] = []
        self._settle(consumer)
        self._certify(smtp_certificate, https_certificate, tls_max,
                      https_tls_max)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def _settle(self, consumer: bool) -> None:
        """The tenant, app and mailbox that are there from the start."""
        if consumer:
            self.directory.tenant = Tenant(CONSUMERS, ["consumers"])
        self.tenant = self.directory.tenant.id
        self.client_id = CLIENT
        self.directory.add_app(App(CLIENT, public=True))
        self.default_user = DEFAULT_MAILBOXES.get(self.profile,
                                                  "alerts@contoso.com")
        self.add_mailbox(self.default_user)

    def _certify(self, smtp: str, https: str, tls_max: str | None,
                 https_tls_max: str | None) -> None:
        authority = Authority(self.folder)
        file, hashed = authority.write()
        self.ca_file, self.ca_dir = str(file), str(hashed)
        self._smtp_tls = authority.server_context(smtp, tls_max, "smtp")
        self._https_tls = authority.server_context(https, https_tls_max,
                                                   "https")

    # -- life

    def __enter__(self) -> "Microsoft365":
        return self.start()

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def start(self) -> "Microsoft365":
        """Listen; raises OSError when a port is taken."""
        ready, problem = threading.Event(), []
        self._thread = threading.Thread(
            target=self._run, args=(ready, problem), daemon=True, name="m365")
        self._thread.start()
        ready.wait()
        if problem:
            self._thread.join()
            raise problem[0]
        return self

    def stop(self) -> None:
        """End every connection and the thread; harmless when not running."""
        if self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        self._thread = None

    def _run(self, ready: threading.Event, problem: list) -> None:
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:
            problem.append(error)
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._background_error)
        listeners = self._listen("smtp_port")
        https = [await asyncio.start_server(self.web.serve, sock=s,
                                            ssl=self._https_tls)
                 for s in self._listen("https_port")]
        https += [await asyncio.start_server(self.identity_web.serve, sock=s)
                  for s in self._listen("identity_port")]
        self.sts.authority = self.authority
        self._tasks = {asyncio.ensure_future(self._accept(s))
                       for s in listeners}
        ready.set()
        await self._stopping.wait()
        for server in https:
            server.close()
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for sock in listeners:
            sock.close()

    def _listen(self, name: str) -> list[socket.socket]:
        """Sockets on 127.0.0.1 and, if asked, ::1, on one port number."""
        first = _bound(socket.AF_INET, "127.0.0.1", getattr(self, name))
        port = first.getsockname()[1]
        setattr(self, name, port)
        if not self._ipv6:
            return [first]
        return [first, _bound(socket.AF_INET6, "::1", port)]

    async def _accept(self, listener: socket.socket) -> None:
        office = Office(self.options, self.directory, self.tokens, self.faults,
                        self.limits, self.log, self._smtp_tls)
        while True:
            sock, peer = await self._loop.sock_accept(listener)
            with self.log.changed:
                number = len(self.log.sessions) + 1
                talk = Conversation(office, sock, number, peer[0])
                self.log.sessions.append(talk.session)
            self.log.event(f"smtp: session {number} from {peer[0]}")
            task = asyncio.ensure_future(talk.run())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._loop.call_exception_handler({
                "message": "smtp session failed",
                "exception": task.exception()})

    def _background_error(self, loop, context: dict) -> None:
        """A client that breaks off TLS is an event; our own fault is kept
        in `internal_errors`, where a test's end can look."""
        error = context.get("exception")
        if isinstance(error, (ssl.SSLError, ConnectionError)):
            self.log.event(f"https: {error}")
            self.https_errors.append(str(error))
        else:
            self.internal_errors.append(error or context["message"])
            loop.default_exception_handler(context)

    # -- who exists

    @property
    def authority(self) -> str:
        return f"https://{self.host}:{self.https_port}"

    @property
    def imds(self) -> str:
        """Where a virtual machine or Azure Arc gives tokens."""
        return f"http://127.0.0.1:{self.identity_port}{METADATA}"

    @property
    def msi(self) -> str:
        """Where App Service gives tokens."""
        return f"http://127.0.0.1:{self.identity_port}{MSI}"

    @property
    def organization(self) -> Tenant:
        """The tenant's switches: smtp_auth_disabled, security_defaults."""
        return self.directory.tenant

    def add_mailbox(self, address: str, send_as: list[str] | None = None,
                    delegates: list[str] | None = None,
                    **switches: Any) -> Mailbox:
        return self.directory.add_mailbox(Mailbox(
            address, send_as or [], delegates or [], **switches))

    def mailbox(self, address: str | None = None) -> Mailbox:
        box = self.directory.mailbox(address or self.default_user)
        if box is None:
            raise KeyError(address)
        return box

    def add_app(self, client_id: str, secret: str | None = None,
                roles: list[str] | None = None, public: bool = False,
                mailboxes: list[str] | None = None, **more: Any) -> App:
        return self.directory.add_app(App(
            client_id, secret, public, roles or [], mailboxes or [], **more))

    def assign_identity(self, client_id: str, roles: list[str] | None = None,
                        mailboxes: list[str] | None = None,
                        system: bool = True) -> App:
        """Give this machine an identity: its own, or one of the users'."""
        if system:
            self.identity.system = client_id
        else:
            self.identity.assigned.append(client_id)
        return self.add_app(client_id, roles=roles, mailboxes=mailboxes)

    # -- tokens

    def issue_refresh_token(self, user: str | None = None,
                            client_id: str | None = None,
                            scope: str = DEFAULT_SCOPE) -> str:
        return self.sts.new_refresh_token(user or self.default_user,
                                          client_id or self.client_id, scope)

    def accepts(self, refresh_token: str) -> bool:
        """Would it give a token now?"""
        grant = self.sts.grants.get(refresh_token)
        return grant is not None and not grant.revoked

    def issue_access_token(self, user: str | None = None,
                           expires_in: int = 3600, *, app: str | None = None,
                           expired: bool = False, **claims: Any) -> str:
        """A token of the user, or of the app named by its client id; `claims`
        replace what it would say, None removes a claim."""
        registered = self.directory.app(app or self.client_id)
        issuer = f"https://sts.windows.net/{self.tenant}/"
        if app:
            full = app_claims(registered, self.tenant, issuer, DEFAULT_AUDIENCE,
                              registered.roles)
        else:
            full = delegated_claims(user or self.default_user, registered,
                                    self.tenant, issuer, DEFAULT_AUDIENCE,
                                    "SMTP.Send")
        full["exp"] = int(time.time()) + (-60 if expired else expires_in)
        full.update(claims)
        return self.tokens.mint(**{k: v for k, v in full.items()
                                   if v is not None})

    def revoke(self, token_or_user: str) -> None:
        """A refresh token, an access token, or all tokens of a user."""
        if "@" in token_or_user:
            self.tokens.revoke_user(token_or_user)
            for grant in self.sts.grants.values():
                if grant.user.lower() == token_or_user.lower():
                    grant.revoked = True
        elif token_or_user in self.sts.grants:
            self.sts.grants[token_or_user].revoked = True
        else:
            self.tokens.revoked.add(token_or_user)

    def approve(self, user_code: str, user: str | None = None) -> None:
        if not self.sts.decide(user_code, user or self.default_user):
            raise KeyError(f"no sign-in waits for the code {user_code}")

    def decline(self, user_code: str) -> None:
        if not self.sts.decide(user_code, None):
            raise KeyError(f"no sign-in waits for the code {user_code}")

    @property
    def auto_approve(self) -> str | None:
        return self.sts.auto_approve

    @auto_approve.setter
    def auto_approve(self, user: str | None) -> None:
        self.sts.auto_approve = user

    @property
    def auto_decline(self) -> bool:
        """Sign-ins by browser end in access_denied at once."""
        return self.sts.auto_decline

    @auto_decline.setter
    def auto_decline(self, decline: bool) -> None:
        self.sts.auto_decline = decline

    # -- trouble

    def fault(self, line: str) -> Fault:
        """Add a fault in the scenario language (see m365.faults)."""
        return self.faults.add(line)

    def clear_faults(self) -> None:
        self.faults.clear()

    def scenario(self, text: str) -> None:
        for line in parse_file(text):
            self.fault(line)

    def enforce(self, connections: int | None = 3, per_minute: int | None = 30,
                window: float = 60.0, daily: int | None = 10000,
                rate: str = "refuse") -> None:
        """Apply Microsoft's limits; `rate` says whether a message over
        `per_minute` is refused or held back."""
        self.limits.enforce(connections, per_minute, window, daily, rate)

    # -- what was seen

    @property
    def messages(self) -> list[Message]:
        return list(self.log.messages)

    @property
    def sessions(self) -> list[Session]:
        return list(self.log.sessions)

    @property
    def token_requests(self) -> list[TokenRequest]:
        return list(self.log.token_requests)

    @property
    def requests(self) -> list[HttpRequest]:
        return list(self.log.requests)

    @property
    def violations(self) -> list[str]:
        """What clients did against the rules, refused or not."""
        return [v for s in self.sessions for v in
                [*s.violations, *(w for m in s.messages for w in m.violations)]]

    @property
    def max_concurrent(self) -> int:
        """Most SMTP connections that one mailbox had open at a time."""
        return max(self.limits.peak.values(), default=0)

    def max_concurrent_of(self, mailbox: str) -> int:
        return self.limits.peak[mailbox.lower()]

    @property
    def max_connections(self) -> int:
        """Most SMTP connections open at a time, signed in or not."""
        return self.limits.all_peak

    def busiest(self, window: float = 60.0, mailbox: str | None = None) -> int:
        """Most messages of a mailbox accepted within any such window."""
        times = sorted(m.received for m in self.messages
                       if mailbox in (None, m.user))
        return max((sum(1 for t in times if start <= t < start + window)
                    for start in times), default=0)

    def wait_messages(self, n: int, timeout: float = 10) -> list[Message]:
        """The messages, as soon as there are n; TimeoutError otherwise."""
        if not self.log.wait(lambda: len(self.log.messages) >= n, timeout):
            raise TimeoutError(f"{len(self.messages)} of {n} messages after "
                               f"{timeout} s")
        return self.messages

    def wait_for(self, condition: Callable[[], bool],
                 timeout: float = 10) -> bool:
        """Wait until the condition holds; it is tried at every event."""
        return self.log.wait(condition, timeout)

    def forget(self) -> None:
        """Empty the records, keep everything else."""
        with self.log.changed:
            for seen in (self.log.messages, self.log.sessions,
                         self.log.requests, self.log.token_requests):
                seen.clear()


def _split_options(options: dict[str, Any]) -> tuple[Options, StsOptions]:
    kinds = []
    for kind in (Options, StsOptions):
        names = {f.name for f in dataclasses.fields(kind)}
        kinds.append(kind(**{k: options.pop(k) for k in list(options)
                             if k in names}))
    if options:
        raise TypeError(f"unknown option {', '.join(options)}")
    return kinds[0], kinds[1]


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(256)
    sock.setblocking(False)
    return sock
