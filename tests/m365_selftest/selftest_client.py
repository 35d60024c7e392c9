"""A small SMTP and HTTPS client that sends exactly what it is told."""
from __future__ import annotations

import base64
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

SCOPE = "https://outlook.office.com/SMTP.Send offline_access"
APP_SCOPE = "https://outlook.office365.com/.default"
HEADERS = (b"From: Alerts <alerts@contoso.com>\r\nTo: bob@fabrikam.com\r\n"
           b"Subject: hello\r\nMessage-ID: <one@client.example>\r\n")
MESSAGE = HEADERS + b"\r\nbody\r\n"


class Client:
    """One connection; `cmd` sends a line and returns the whole reply."""

    def __init__(self, m, tls_max=None):
        self.m = m
        self.context = ssl.create_default_context(cafile=m.ca_file)
        if tls_max:
            self.context.maximum_version = tls_max
        self.sock = socket.create_connection(("127.0.0.1", m.smtp_port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def reply(self) -> str:
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError(b"".join(lines).decode("latin-1"))
            lines.append(line)
            if line[3:4] != b"-":
                return b"".join(lines).decode("latin-1").replace("\r\n", "\n") \
                    .rstrip("\n")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def cmd(self, line) -> str:
        line = line.encode() if isinstance(line, str) else line
        self.send(line + b"\r\n")
        return self.reply()

    def tls(self) -> None:
        assert self.cmd("STARTTLS").startswith("220")
        self.handshake()

    def handshake(self) -> None:
        self.sock = self.context.wrap_socket(self.sock,
                                             server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def hello(self) -> "Client":
        """Up to the second EHLO."""
        self.reply()
        self.cmd("EHLO client.example")
        self.tls()
        self.ehlo2 = self.cmd("EHLO client.example")
        return self

    def auth(self, user="alerts@contoso.com", token=None) -> str:
        token = token or self.m.issue_access_token()
        return self.cmd(b"AUTH XOAUTH2 " + blob(user, token))

    def ready(self) -> "Client":
        """Signed in."""
        self.hello()
        assert self.auth() == "235 2.7.0 Authentication successful"
        return self

    def envelope(self, sender="alerts@contoso.com", to="bob@fabrikam.com",
                 parameters="") -> None:
        assert self.cmd(f"MAIL FROM:<{sender}>{parameters}")[:3] == "250"
        assert self.cmd(f"RCPT TO:<{to}>")[:3] == "250"

    def message(self, content=MESSAGE, parameters="") -> str:
        """One whole transaction; the final reply."""
        self.envelope(parameters=parameters)
        assert self.cmd("DATA")[:3] == "354"
        return self.content(content)

    def content(self, content: bytes) -> str:
        self.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return self.reply()

    def quit(self) -> None:
        self.cmd("QUIT")
        self.close()

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def blob(user: str, token: str) -> bytes:
    return base64.b64encode(
        f"user={user}\x01auth=Bearer {token}\x01\x01".encode())


class Answer:
    def __init__(self, status, headers, raw):
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def codes(self):
        return self.json["error_codes"]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def fetch(m, path, form=None, headers=None, timeout=5) -> Answer:
    context = ssl.create_default_context(capath=m.ca_dir)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), _NoRedirect,
        urllib.request.HTTPSHandler(context=context))
    data = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(m.authority + path, data, headers or {})
    try:
        with opener.open(request, timeout=timeout) as r:
            return Answer(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        return Answer(e.code, e.headers, e.read())


def token(m, tenant=None, headers=None, **form) -> Answer:
    return fetch(m, f"/{tenant or m.tenant}/oauth2/v2.0/token", form, headers)


def refresh(m, refresh_token=None, **form) -> Answer:
    if refresh_token is None:
        refresh_token = m.issue_refresh_token()
    return token(m, **{"grant_type": "refresh_token", "client_id": m.client_id,
                       "refresh_token": refresh_token, "scope": SCOPE, **form})
