"""The ways to the servers: through a proxy for HTTPS, and whom to trust."""
import socket
import threading

import pytest

from m365.pki import Authority
from support import ACCOUNT, CONFIG, OK, TEMPFAIL

SIMPLE = "To: a@example.org\nSubject: hello\n\nBody\n"


class Proxy:
    """An HTTP proxy on loopback that knows CONNECT alone; `asked` holds each
    host:port it was asked for. With a `refusal` it says that to everybody."""

    def __init__(self, refusal=None):
        self.asked, self.refusal = [], refusal
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Closing alone leaves accept(2) waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,),
                             daemon=True).start()

    def _serve(self, client):
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            method, target, _ = head.decode().split(None, 2)
            self.asked.append(target if method == "CONNECT" else method)
            if self.refusal:
                client.sendall(f"HTTP/1.1 {self.refusal}\r\n"
                               "Content-Length: 0\r\n\r\n".encode())
                return
            host, port = target.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self._copy,
                                        args=(server, client), daemon=True)
                back.start()
                self._copy(client, server)
                back.join()

    @staticmethod
    def _copy(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def proxy():
    with Proxy() as proxy:
        yield proxy


@pytest.fixture
def authority(office):
    """The authority's host:port, as a proxy is asked for it."""
    return office.authority.removeprefix("https://")


# Proxies

def test_proxy_key_leads_to_the_authority_and_not_to_the_mail_server(
        outpost, office, proxy, authority):
    outpost.set(proxy=proxy.url)
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == OK, result
    assert proxy.asked == [authority]
    assert len(office.messages) == 1


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_proxy_of_the_environment_is_taken(outpost, proxy, authority, name):
    result = outpost.sendmail("-t", input=SIMPLE, env={name: proxy.url})
    assert result.code == OK, result
    assert proxy.asked == [authority]


@pytest.mark.parametrize("exception", ["localhost", "x.example,localhost",
                                       "*"])
def test_no_proxy_makes_exceptions(outpost, proxy, exception):
    result = outpost.run("outpost", "token", env={
        "HTTPS_PROXY": proxy.url, "NO_PROXY": exception})
    assert result.code == OK, result
    assert proxy.asked == []


def test_no_proxy_for_other_hosts_makes_none(outpost, proxy, authority):
    result = outpost.run("outpost", "token", env={
        "HTTPS_PROXY": proxy.url, "NO_PROXY": "host,example.org"})
    assert result.code == OK, result
    assert proxy.asked == [authority]


def test_proxy_key_wins_over_the_environment(outpost, proxy, authority):
    outpost.set(proxy=proxy.url)
    result = outpost.run("outpost", "token",
                         env={"HTTPS_PROXY": "http://127.0.0.1:1"})
    assert result.code == OK, result
    assert proxy.asked == [authority]


def test_login_goes_through_the_proxy(outpost, office, proxy, authority):
    outpost.set(auth="login", client_id=office.client_id,
                client_secret_file=None, proxy=proxy.url)
    office.auto_approve = ACCOUNT
    result = outpost.run("outpost", "login", "--device")
    assert result.code == OK, result
    assert set(proxy.asked) == {authority}


@pytest.mark.parametrize("refusal", ["403 Forbidden",
                                     "407 Proxy Authentication Required"])
def test_refusal_of_a_proxy_is_told_with_its_code(outpost, office, refusal):
    with Proxy(refusal) as proxy:
        result = outpost.set(proxy=proxy.url).run("outpost", "token")
    assert result.code == TEMPFAIL, result
    assert "cannot reach" in result.err and refusal[:3] in result.err
    assert "'proxy' in outpost.conf" in result.err
    assert office.requests == []


def test_proxy_that_is_not_there_is_told(outpost):
    result = outpost.set(proxy="http://127.0.0.1:1").run("outpost", "token")
    assert result.code == TEMPFAIL, result
    assert "127.0.0.1 port 1" in result.err
    assert "'proxy' in outpost.conf" in result.err


def test_proxy_without_an_address_is_a_mistake_of_the_configuration(outpost):
    outpost.set(proxy="http://nosuch.invalid:3128")
    result = outpost.run("outpost", "token")
    assert result.code == CONFIG, result
    assert "nosuch.invalid" in result.err and "proxy" in result.err


# Trust

def test_bundle_is_trusted_for_smtp_and_https(outpost, office):
    outpost.set(ca_dir=None, ca_file=office.ca_file)
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == OK, result
    assert len(office.messages) == 1 and len(office.token_requests) == 1


@pytest.fixture
def strangers(tmp_path):
    """Bundle and folder of an authority that signed nothing here."""
    (tmp_path / "strangers").mkdir()
    return Authority(tmp_path / "strangers", "Stranger").write()


@pytest.mark.parametrize("key", ["ca_file", "ca_dir"])
def test_bundle_and_folder_of_strangers_are_trusted_for_neither(
        outpost, office, strangers, key):
    path = strangers[0 if key == "ca_file" else 1]
    keys = {"ca_dir": None, "ca_file": None, key: path}
    outpost.set(**keys)
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == OK and "queued as " in result.err, result
    assert f"cannot trust '{office.authority[8:]}'" in result.err
    assert str(path) in result.err
    assert office.requests == []
    outpost.set(ca_dir=office.ca_dir, ca_file=None)
    assert outpost.run("outpost", "token").code == OK
    (outpost.state / "state" / f"{ACCOUNT}=hold").unlink()
    result = outpost.set(**keys).sendmail("-t", input=SIMPLE)
    assert result.code == OK and "queued as " in result.err, result
    assert "the certificate of 'localhost' cannot be trusted" in result.err
    assert str(path) in result.err
    assert ("openssl rehash" in result.err) == (key == "ca_dir")
    assert office.messages == []


@pytest.mark.parametrize("key, content", [
    ("ca_file", None), ("ca_file", "no certificate\n"), ("ca_dir", None)])
def test_trust_that_is_missing_or_none_is_told_for_both(
        outpost, office, tmp_path, key, content):
    path = tmp_path / "trust"
    if content is not None:
        path.write_text(content)
    keys = {"ca_dir": None, "ca_file": None, key: path}
    outpost.set(**keys)
    result = outpost.run("outpost", "token")
    assert result.code == CONFIG, result
    assert key in result.err and "hint: " in result.err
    outpost.set(ca_dir=office.ca_dir, ca_file=None)
    assert outpost.run("outpost", "token").code == OK
    result = outpost.set(**keys).sendmail("-t", input=SIMPLE)
    assert result.code == OK and "queued as " in result.err, result
    assert str(path) in result.err and key in result.err
