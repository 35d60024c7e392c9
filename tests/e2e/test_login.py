"""Signing in: by device code, with the browser of this machine, and by an
address that is pasted. A person with a browser is played here; test_chromium
has a real one."""
import http.client
import os
import pty
import re
import select
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

from m365 import Microsoft365
from support import (ACCOUNT, BOB, BUILD, CONFIG, DATAERR, IOERR, NOPERM, OK, PATIENCE,
                     SIMPLE, TEMPFAIL, USAGE, Outpost, sign_in_of)


class Page:
    def __init__(self, answer):
        self.status, self.headers = answer.status, answer.headers
        self.text = answer.read().decode()


def ask(url, office=None, **headers):
    """One request, as a browser makes it; no redirect is followed."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.netloc, timeout=30,
            context=ssl.create_default_context(cafile=office.ca_file))
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query \
            else parts.path or "/"
        connection.request("GET", target, headers=headers)
        return Page(connection.getresponse())
    finally:
        connection.close()


def sign_in(office, url, user=ACCOUNT, **more):
    """Where Microsoft sends the browser when that user signs in."""
    more = {"user": user, "accept": "1", **more} if user else more
    page = ask(f"{url}&{urllib.parse.urlencode(more)}", office)
    assert page.status == 302, page.text
    return page.headers["Location"]


def back(login, **fields):
    """The address that leads back, with these fields."""
    query = urllib.parse.urlencode({"state": login.fields["state"], **fields})
    return f"http://localhost:{login.port}/?{query}"


def kept(outpost):
    return sorted(path.name for path in outpost.state.glob("*/*"))


def connect(login, family=socket.AF_INET):
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    sock = socket.socket(family)
    sock.settimeout(30)
    sock.connect((host, login.port))
    return sock


def answer(sock):
    """All that comes until the connection's end."""
    received = b""
    while part := sock.recv(65536):
        received += part
    sock.close()
    return received


def on_a_terminal(outpost, *command, env=None, until=None, then=lambda: None):
    """Run with all three descriptors on a terminal; what it shows."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(BUILD / command[0]), *command[1:]], stdin=slave, stdout=slave,
        stderr=slave, start_new_session=True,
        env=outpost.environment(**{"TERM": "xterm", **(env or {})}))
    shown, done = "", False
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        # Our end of the other side stays open: where the last one closes it,
        # what was written just before can be lost.
        while True:
            ended = process.poll() is not None
            if not select.select([master], [], [], 0.1)[0]:
                if ended:
                    break
                continue
            shown += os.read(master, 4096).decode()
            if until and not done and re.search(until, shown):
                done = True
                then(shown, master)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        os.close(slave)
        os.close(master)
    return shown, process.returncode


# By device code

def test_device_login_shows_address_and_code_and_signs_in(
        person, office, login):
    login = login(ACCOUNT)
    office.approve(login.code, ACCOUNT)
    assert login.end(OK) == "", "progress is for terminals"
    assert "https://" in login.shown and "sendmail -f" in login.shown
    assert f"{ACCOUNT} is signed in" in login.shown
    assert sign_in_of(person)["client_id"] == office.client_id


def test_declined_device_login_ends_with_a_hint_and_keeps_nothing(
        person, office, login):
    login = login("--device")
    office.decline(login.code)
    err = login.end(NOPERM)
    assert "declined" in err and "hint:" in err
    assert kept(person) == []


def test_interrupted_device_login_leaves_nothing_behind(person, login):
    login = login("--device")
    assert login.code
    login.process.send_signal(signal.SIGINT)
    login.end(-signal.SIGINT)
    assert not list(person.state.glob("**/*"))


@pytest.mark.parametrize("kind", ["--device", "--paste"])
def test_login_that_nobody_sees_is_not_waited_for(person, office, kind):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [str(BUILD / "outpost"), "login", kind], stdout=full,
            stderr=subprocess.PIPE, env=person.environment(), check=False)
    assert done.returncode == IOERR
    assert office.token_requests == []


def test_expired_device_code_says_so(person, office):
    office.sts_options.device_expires = 2
    result = person.run("outpost", "login")
    assert result.code == NOPERM
    assert re.search("has expired|in time", result.err)
    assert f"outpost login {ACCOUNT}" in result.err


@pytest.mark.parametrize("error, words", [
    ("AADSTS70017", "declined"), ("AADSTS70019", "has expired"),
    ("AADSTS70018", "not known any more"),
    ("AADSTS53003", "outpost login --browser"),
    ("AADSTS7000218", "Allow public client flows"),
    ("AADSTS70002", "Allow public client flows"),
    ("AADSTS65001", "accept"), ("AADSTS90094", "admin consent"),
    ("AADSTS50034", "not known in this tenant")])
def test_device_login_says_why_it_is_refused(person, office, error, words):
    office.fault(f"at token error {error}")
    office.auto_approve = ACCOUNT
    result = person.run("outpost", "login", "--device")
    assert result.code in (NOPERM, CONFIG)
    assert words in result.err and error in result.err, result
    assert "hint:" in result.err
    assert kept(person) == []


def test_declined_device_login_tells_no_numbers_for_support(person, office,
                                                            login):
    """They stand in the same line there, and are in the log."""
    login = login("--device")
    office.decline(login.code)
    assert "Trace ID" not in login.end(NOPERM)


def test_device_login_declined_in_the_words_of_the_standard(person, office):
    office.fault("at token error access_denied")
    result = person.run("outpost", "login", "--device")
    assert result.code == NOPERM and "was declined" in result.err


def test_device_login_where_public_flows_are_off(person, office):
    office.add_app("8c6fd0f1-0000-4b7e-9a55-2d6d3f1f1c11", secret="x")
    office.auto_approve = ACCOUNT
    person.set(client_id="8c6fd0f1-0000-4b7e-9a55-2d6d3f1f1c11")
    result = person.run("outpost", "login", "--device")
    assert result.code == CONFIG
    assert "AADSTS7000218" in result.err
    assert "'Allow public client flows' to Yes" in result.err


def test_slow_down_is_obeyed(person, office):
    office.auto_approve = ACCOUNT
    office.fault("at token error slow_down")
    assert person.run("outpost", "login").code == OK
    first, second = office.token_requests
    assert second.time - first.time >= 5.5, "interval and five seconds more"


def test_interval_is_obeyed(person, office, login):
    office.sts_options.device_interval = 2
    login = login("--device")
    code = login.code
    assert office.wait_for(lambda: office.token_requests, 60)
    office.approve(code, ACCOUNT)
    login.end(OK)
    # A poll before its time would be answered by slow_down.
    answers = [r.response.get("error") for r in office.token_requests]
    assert len(answers) > 1
    assert answers == ["authorization_pending"] * (len(answers) - 1) + [None]


def test_fault_of_the_network_does_not_end_a_device_login(person, office):
    office.auto_approve = ACCOUNT
    office.fault("at token status 503 html")
    assert person.run("outpost", "login").code == OK


def test_login_without_refresh_token_is_refused(person, office):
    office.auto_approve = ACCOUNT
    office.fault("at token no-refresh-token always")
    result = person.run("outpost", "login")
    assert result.code == CONFIG
    assert "offline_access" in result.err
    assert not (person.state / "secrets" / ACCOUNT).exists()


def test_consumers_enter_the_code_at_their_own_address(tmp_path, login):
    with Microsoft365(tmp_path / "m365", profile="outlook") as office:
        outpost = Outpost(tmp_path, office)
        outpost.accounts = {"alerts@outlook.com": {
            "client_id": office.client_id}}
        outpost.write()
        login = login("--device", outpost=outpost)
        assert login.read(r"open\s+(\S+)")[1] == f"{office.authority}/link"
        office.approve(login.code)
        assert login.end(OK) == "", "an opaque token names nobody"
        assert office.token_requests[0].tenant == "consumers"


# Somebody else signs in

def test_login_with_another_user_is_noted(person, office):
    office.add_mailbox(BOB)
    office.auto_approve = BOB
    result = person.run("outpost", "login")
    assert result.code == OK
    assert BOB in result.err and ACCOUNT in result.err


def test_delegate_sends_through_a_shared_mailbox(person, office):
    office.add_mailbox(BOB)
    office.mailbox(ACCOUNT).delegates.append(BOB)
    office.auto_approve = BOB
    result = person.run("outpost", "login")
    assert result.code == OK and "shared mailbox" in result.err
    message = person.send(SIMPLE)
    assert message.user == ACCOUNT and message.mail_from == ACCOUNT


def test_stranger_cannot_send_through_the_mailbox(person, office):
    office.add_mailbox(BOB)
    office.auto_approve = BOB
    assert person.run("outpost", "login").code == OK
    assert "queued as" in person.sendmail("-t", input=SIMPLE).err
    assert office.messages == []


# With a browser

def test_browser_login_signs_in(person, office, login):
    login = login("--browser", ACCOUNT)
    page = ask(sign_in(office, login.url))
    assert page.status == 200
    assert "<h1>Signed in</h1>" in page.text and ACCOUNT in page.text
    login.end(OK)
    assert f"{ACCOUNT} is signed in" in login.shown
    assert sign_in_of(person)["client_id"] == office.client_id
    [request] = office.token_requests
    assert request.grant_type == "authorization_code"
    assert "client_secret" not in request.form
    office.forget()
    assert person.send(SIMPLE).user == ACCOUNT
    assert office.token_requests == []


def test_address_asks_for_what_the_account_needs(office, login):
    login = login("--browser")
    fields = login.fields
    assert login.url.startswith(
        f"{office.authority}/{office.tenant}/oauth2/v2.0/authorize?")
    assert fields["redirect_uri"] == f"http://localhost:{login.port}"
    assert fields["client_id"] == office.client_id
    assert fields["scope"].split() == [
        "https://outlook.office.com/SMTP.Send", "offline_access"]
    assert fields["login_hint"] == ACCOUNT
    assert fields["code_challenge_method"] == "S256"
    assert re.fullmatch(r"[\w-]{43}", fields["state"])
    assert "verifier" not in login.url


def test_no_two_logins_share_a_secret(login):
    first, second = login("--browser"), login("--browser")
    assert first.port != second.port
    for name in ("state", "code_challenge"):
        assert first.fields[name] != second.fields[name]


def test_page_needs_nothing_and_runs_nothing(office, login):
    login = login("--browser")
    page = ask(sign_in(office, login.url))
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"https?://|<script|@import|url\(", page.text)
    login.end(OK)


def test_declined_browser_login_is_told_in_both_places(person, office, login):
    login = login("--browser")
    page = ask(sign_in(office, login.url, None, decline="1"))
    assert "<h1>Not signed in</h1>" in page.text
    assert "declined" in page.text and "AADSTS65004" in page.text
    err = login.end(NOPERM)
    assert "declined" in err and "hint:" in err
    assert kept(person) == []


@pytest.mark.parametrize("fields, code, words", [
    ({"error": "access_denied", "error_description": "AADSTS90094: An "
      "administrator of x has set a policy"}, NOPERM, "admin consent"),
    ({"error": "access_denied", "error_description": "AADSTS50105: Your "
      "administrator"}, NOPERM, "not assigned"),
    ({"error": "access_denied", "error_description": "The user has denied "
      "access to the scope requested by the client application."}, NOPERM,
     "was declined"),
    ({"error": "server_error", "error_description": "AADSTS90033: A transient "
      "error"}, TEMPFAIL, "passing fault"),
    ({"error": "consent_required", "error_description": "x"}, NOPERM,
     "nobody has consented"),
    ({"error": "never_heard_of"}, NOPERM, "never_heard_of")])
def test_error_of_the_authorization_is_a_sentence(
        office, login, fields, code, words):
    login = login("--browser")
    page = ask(back(login, **fields))
    assert words.lower() in page.text.lower()
    assert words in login.end(code)
    assert office.token_requests == []


def test_markup_in_an_error_is_text(login):
    login = login("--browser")
    page = ask(back(login, error="access_denied",
                    error_description="<script>alert('x')</script>\x1b[31m"))
    assert "<script" not in page.text and "&#60;script&#62;" in page.text
    assert "\x1b" not in page.text
    assert "\x1b" not in login.end(NOPERM)


@pytest.mark.parametrize("error, words", [
    ("AADSTS54005", "used already"), ("AADSTS70008", "has expired"),
    ("AADSTS50011", "http://localhost"), ("AADSTS50148", "another sign-in"),
    ("AADSTS7000218", "Mobile and desktop")])
def test_refused_code_is_told_in_both_places(
        person, office, login, error, words):
    office.fault(f"at token error {error}")
    login = login("--browser")
    page = ask(sign_in(office, login.url))
    assert "<h1>Not signed in</h1>" in page.text and error in page.text
    assert words in page.text
    err = login.end(CONFIG if "5001" in error or "0218" in error else NOPERM)
    assert error in err and words in err
    assert kept(person) == []


def test_passing_fault_at_the_end_is_not_seen(office, login):
    office.fault("at token status 503 html")
    login = login("--browser")
    assert "Signed in" in ask(sign_in(office, login.url)).text
    login.end(OK)


def test_code_of_another_sign_in_is_worth_nothing(person, office, login):
    """Who sees a code, or hands us one of his own, has not the verifier."""
    login, other = login("--browser"), login("--browser")
    code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(
        sign_in(office, other.url)).query))["code"]
    page = ask(back(login, code=code))
    assert "Not signed in" in page.text
    login.end(CONFIG)
    assert kept(person) == []


def test_interrupted_browser_login_leaves_nothing_behind(person, login):
    login = login("--browser")
    assert login.url
    login.process.send_signal(signal.SIGINT)
    login.end(-signal.SIGINT)
    assert not list(person.state.glob("**/*"))


def test_what_cannot_be_kept_is_told_in_the_browser(person, office, login):
    login = login("--browser")
    where = sign_in(office, login.url)
    (person.state / "secrets").write_text("in the way")
    page = ask(where)
    assert "<h1>Not signed in</h1>" in page.text
    assert str(person.state) in page.text
    assert login.process.wait(30) != OK


# Requests that are not the end of the sign-in

@pytest.mark.parametrize("path, status", [
    ("/favicon.ico", 404), ("/callback?code=x&state=x", 404), ("/", 403),
    ("/?", 403), ("/?code=x", 403), ("/?code=x&state=wrong", 403),
    ("/?error=access_denied", 403), ("/?state=", 403),
    ("/?code=x&code=y", 400), ("/?code=%zz", 400), ("/?code=%00", 400),
    ("/?" + "a=b&" * 40, 400), ("/?code=" + "x" * 20000, 400)])
def test_other_requests_get_their_page_and_the_wait_goes_on(
        office, login, path, status):
    login = login("--browser")
    page = ask(f"http://localhost:{login.port}{path}")
    assert page.status == status
    assert page.text.startswith("<!DOCTYPE html>")
    assert "Signed in" in ask(sign_in(office, login.url)).text
    login.end(OK)


@pytest.mark.parametrize("head, status", [
    (b"POST /?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", 405),
    (b"GET /?%s HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400),
    (b"GET /?%s HTTP/1.1\r\nHost: %s\r\nHost: %s\r\n\r\n", 400),
    (b"GET /?%s HTTP/1.1\r\n\r\n", 400),
    (b"GET /?%s HTTP/1.0\r\nHost: %s\r\n\r\n", 400),
    (b"GET http://localhost/?%s HTTP/1.1\r\nHost: %s\r\n\r\n", 400),
    (b"GET /?%s HTTP/1.1\nHost: %s\n\r\n\r\n", 400),
    (b"GET /?%s HTTP/1.1\r\nHost: %s\r\n folded: x\r\n\r\n", 400),
    (b"GET /?%s\0 HTTP/1.1\r\nHost: %s\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\r\n\r\n%s%s", 400)])
def test_what_no_browser_sends_is_refused(office, login, head, status):
    login = login("--browser")
    query = urllib.parse.urlsplit(sign_in(office, login.url)).query.encode()
    host = f"localhost:{login.port}".encode()
    values = [query, host, host][:head.count(b"%s")]
    with connect(login) as sock:
        sock.sendall(head % tuple(values))
        assert answer(sock).startswith(b"HTTP/1.1 %d " % status)
    assert "Signed in" in ask(sign_in(office, login.url)).text
    login.end(OK)


def test_slow_and_silent_clients_do_not_block_the_browser(office, login):
    login = login("--browser")
    silent = [connect(login) for _ in range(30)]
    for sock in silent[20:]:
        sock.sendall(b"GET /?code=")
    assert "Signed in" in ask(sign_in(office, login.url)).text
    login.end(OK)


def test_huge_request_is_cut_off(office, login):
    login = login("--browser")
    with connect(login) as sock:
        try:
            sock.sendall(b"GET /?code=" + b"x" * 1000000)
            sock.shutdown(socket.SHUT_WR)
            assert answer(sock).startswith(b"HTTP/1.1 431 ")
        except ConnectionError:
            pass        # cut off before the answer could be read
    assert "Signed in" in ask(sign_in(office, login.url)).text
    login.end(OK)


def test_cookies_of_other_programs_on_localhost_do_no_harm(office, login):
    login = login("--browser")
    page = ask(sign_in(office, login.url), Cookie="a=" + "b" * 40000)
    assert "Signed in" in page.text
    login.end(OK)


def test_request_in_pieces_is_put_together(office, login):
    login = login("--browser")
    parts = urllib.parse.urlsplit(sign_in(office, login.url))
    head = (f"GET /?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "\r\n").encode()
    with connect(login) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(head), 50):
            sock.sendall(head[i:i + 50])
        assert b"Signed in" in answer(sock)
    login.end(OK)


def test_browser_that_leaves_early_is_signed_in_all_the_same(
        person, office, login):
    office.fault("at token stall 0.5 always")
    login = login("--browser")
    parts = urllib.parse.urlsplit(sign_in(office, login.url))
    sock = connect(login)
    sock.sendall(f"GET /?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                 "\r\n".encode())
    sock.close()
    login.end(OK)
    assert sign_in_of(person)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_both_loopback_addresses_are_ours(office, login, family):
    login = login("--browser")
    parts = urllib.parse.urlsplit(sign_in(office, login.url))
    try:
        sock = connect(login, family)
    except OSError as problem:
        if family == socket.AF_INET6 and not os.path.exists(
                "/proc/net/if_inet6"):
            pytest.skip("this machine has no IPv6")
        raise problem
    sock.sendall(f"GET /?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                 "\r\n".encode())
    assert b"Signed in" in answer(sock)
    login.end(OK)


def test_no_other_address_of_this_machine_is_listened_on(login):
    login = login("--browser")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", login.port), 30)


# Opening the browser

def recorder(folder, name="browser", status=0):
    """A program that notes how it was called."""
    program, seen = folder / name, folder / f"{name}.seen"
    program.write_text("#!/bin/sh\n"
                       f'printf "%s\\n" "$@" > {seen}.new\n'
                       f"readlink /proc/self/fd/0 >> {seen}.new\n"
                       f"mv {seen}.new {seen}\nexit {status}\n")
    program.chmod(0o755)
    return program, seen


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)
    return path.read_text().splitlines()


@pytest.fixture
def as_person(person):
    """Under root there is a browser only for who called sudo."""
    if os.geteuid() != 0:
        return {}
    path = person.folder
    while path != path.parent:          # pytest's folders are closed
        os.chmod(path, os.stat(path).st_mode | 0o011)
        path = path.parent
    os.chmod(person.folder, 0o777)
    return {"SUDO_UID": "33", "SUDO_USER": "www-data"}


def test_browser_of_the_environment_is_opened(
        person, office, login, as_person):
    program, seen = recorder(person.folder)
    login = login("--browser", env={
        **as_person, "BROWSER": f"/nonexistent:{program} --new %s"})
    option, url, descriptor = wait_for(seen)
    assert (option, url) == ("--new", login.url)
    assert descriptor == "/dev/null"
    assert "Signed in" in ask(sign_in(office, url)).text
    assert login.end(OK) == ""


def test_no_shell_reads_the_browser_of_the_environment(
        person, login, as_person):
    program, seen = recorder(person.folder)
    login = login("--browser", env={
        **as_person, "BROWSER": f"{program} ;touch {person.folder}/x $(id)"})
    words = wait_for(seen)
    assert words[:3] == [";touch", f"{person.folder}/x", "$(id)"]
    assert words[3] == login.url
    assert not (person.folder / "x").exists()


def test_xdg_open_is_the_usual_browser(person, login, as_person):
    _, seen = recorder(person.folder, "xdg-open")
    path = f"{person.folder}:/usr/bin:/bin"
    login = login("--browser", env={**as_person, "PATH": path,
                                    "BROWSER": ""})
    assert wait_for(seen)[0] == login.url


def test_browser_that_fails_is_told(person, office, login, as_person):
    program, seen = recorder(person.folder, status=3)
    login = login("--browser", env={**as_person, "BROWSER": str(program)})
    wait_for(seen)
    assert b"no browser could be opened" in login.process.stderr.readline()
    assert "Signed in" in ask(sign_in(office, login.url)).text
    login.end(OK)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_browser_runs_as_who_called_sudo_and_never_as_root(
        person, login, as_person):
    program = person.folder / "browser"
    program.write_text("#!/bin/sh\n(id -u; id -G; echo $HOME $USER; "
                       f"ls /proc/$$/fd | wc -w) > {person.folder}/who.new\n"
                       f"mv {person.folder}/who.new {person.folder}/who\n")
    program.chmod(0o755)
    login("--browser", env={**as_person, "BROWSER": str(program)})
    uid, groups, home, descriptors = wait_for(person.folder / "who")
    assert uid == "33" and groups == "33"
    assert home == "/var/www www-data"
    assert int(descriptors) <= 4, "standard ones, and the script's own"
    (person.folder / "who").unlink()
    err = login("--browser", env={"BROWSER": str(program)})
    assert b"no browser could be opened" in err.process.stderr.readline()
    assert not (person.folder / "who").exists()


# Which kind it is

NEAR = {"DISPLAY": ":0"}


@pytest.mark.parametrize("environment, browser", [
    ({}, False), (NEAR, True), ({"WAYLAND_DISPLAY": "wayland-0"}, True),
    ({"DISPLAY": "localhost:10.0"}, False),
    ({**NEAR, "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, False),
    ({**NEAR, "SSH_TTY": "/dev/pts/0"}, False), ({"DISPLAY": ""}, False)])
def test_browser_is_the_default_where_there_is_a_display(
        login, as_person, environment, browser):
    login = login(env={**as_person, "BROWSER": "/bin/true", **environment})
    assert login.read("on this machine|on any machine")[0] == (
        "on this machine" if browser else "on any machine")


def test_root_has_no_browser_of_its_own(login):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    assert login(env=NEAR).read("on this machine|on any machine")[0] == \
        "on any machine"


def test_kinds_of_login_exclude_each_other(person):
    result = person.run("outpost", "login", "--browser", "--paste")
    assert result.code == USAGE and "exclude" in result.err
    assert person.run("outpost", "login", "--nothing").code == USAGE


@pytest.mark.parametrize("arguments", [
    ("--browser", ACCOUNT), (ACCOUNT, "--browser"),
    ("--browser", ACCOUNT, "--browser")])
def test_kind_stands_before_or_after_the_account(login, arguments):
    assert login(*arguments).fields["login_hint"] == ACCOUNT


def test_application_needs_no_login(outpost):
    for option in ("--browser", "--device", "--paste"):
        result = outpost.run("outpost", "login", option)
        assert result.code == CONFIG and "needs no sign-in" in result.err


# By pasting

def test_pasted_address_signs_in(person, office, login):
    login = login("--paste")
    assert login.fields["redirect_uri"] == "http://localhost"
    assert "that is expected" in login.shown
    login.paste(f"  {sign_in(office, login.url)}#x ")
    assert login.end(OK) == ""
    assert sign_in_of(person)
    assert person.send(SIMPLE).user == ACCOUNT


@pytest.mark.parametrize("cut", [
    r".*\?(.*)", r".*(\?.*)", r".*code=([^&]*).*"])
def test_query_or_code_alone_will_do(office, login, cut):
    login = login("--paste")
    login.paste(re.fullmatch(cut, sign_in(office, login.url))[1])
    login.end(OK)


@pytest.mark.parametrize("text, words", [
    ("", "nothing was pasted"), ("http://localhost/", "has no code"),
    ("http://localhost/?session_state=1", "has no code"),
    ("http://localhost/?code=1.AXEA", "another sign-in"),
    ("http://localhost/?code=1.AXEA&state=wrong", "another sign-in"),
    ("http://localhost/?code=%zz", "malformed"),
    ("two words", "is no code"), ("x" * 70000, "too long")])
def test_wrong_paste_says_what_to_paste(person, office, login, text, words):
    login = login("--paste")
    assert login.url
    login.paste(text)
    err = login.end(DATAERR)
    assert words in err and "http://localhost/?code=" in err
    assert office.token_requests == [] and kept(person) == []


def test_address_of_the_beginning_is_not_that_of_the_end(login):
    login = login("--paste")
    login.paste(login.url)
    assert "has no code" in login.end(DATAERR)


def test_pasted_refusal_is_a_sentence(office, login):
    login = login("--paste")
    login.paste(sign_in(office, login.url, None, decline="1"))
    assert "declined" in login.end(NOPERM)


def test_end_of_input_ends_the_wait(login):
    login = login("--paste")
    assert login.url
    assert "nothing was pasted" in login.end(DATAERR)


def test_slip_at_a_terminal_can_be_mended(person, office):
    def then(shown, master):
        url = re.search(r"https://\S+", shown)[0].removesuffix("\x1b[0m")
        os.write(master, b"http://localhost/\n")
        os.write(master, sign_in(office, url).encode() + b"\n")

    shown, code = on_a_terminal(person, "outpost", "login", "--paste",
                                until="address: ", then=then)
    assert "has no code" in shown and "is signed in" in shown
    assert code == OK


def test_terminal_that_cuts_the_paste_is_found_out(person, office):
    def then(shown, master):
        os.write(master, b"http://localhost/?code=" + b"x" * 4072)
        time.sleep(0.2)     # what is over a line is dropped as it comes
        os.write(master, b"x" * 500 + b"\n")

    shown, code = on_a_terminal(person, "outpost", "login", "--paste",
                                until="address: ", then=then)
    assert code == DATAERR and "stty -icanon" in shown


# What Entra demands of a sign-in

def test_claims_challenge_is_answered_in_the_same_browser(
        person, office, login):
    office.mailbox(ACCOUNT).step_up = True
    login = login("--browser")
    page = ask(sign_in(office, login.url))
    assert page.status == 302
    again = page.headers["Location"]
    assert "claims=" in again and "claims=" not in login.url
    assert "Signed in" in ask(sign_in(office, again)).text
    login.end(OK)
    first, second = office.token_requests
    assert first.response["claims"] == second.form["claims"]
    assert first.form["code_verifier"] != second.form["code_verifier"]


def test_claims_challenge_is_answered_once(person, office, login):
    office.fault("at token error AADSTS50076 always")
    login = login("--browser")
    again = ask(sign_in(office, login.url)).headers["Location"]
    assert "AADSTS50076" in ask(sign_in(office, again)).text
    assert "multi-factor" in login.end(NOPERM)
    assert len(office.token_requests) == 2


def test_claims_challenge_of_a_renewal_is_passed_on_at_the_next_login(
        signed_in, office, login):
    office.mailbox(ACCOUNT).step_up = True
    (signed_in.state / "tokens" / ACCOUNT).unlink()
    result = signed_in.run("outpost", "token")
    assert result.code == NOPERM and "outpost login" in result.err
    challenge = office.token_requests[0].response["claims"]
    login = login("--browser")
    assert login.fields["claims"] == challenge
    assert "Signed in" in ask(sign_in(office, login.url)).text
    login.end(OK)
    assert kept(signed_in) == [ACCOUNT, ACCOUNT, ACCOUNT + "=lock"]


def test_device_login_answers_a_claims_challenge(signed_in, office):
    office.auto_approve = ACCOUNT
    office.mailbox(ACCOUNT).step_up = True
    (signed_in.state / "tokens" / ACCOUNT).unlink()
    assert signed_in.run("outpost", "token").code == NOPERM
    assert signed_in.run("outpost", "login", "--device").code == OK
    (signed_in.state / "tokens" / ACCOUNT).unlink()
    assert signed_in.run("outpost", "token").code == OK


def test_pasting_answers_a_claims_challenge(office, login):
    office.mailbox(ACCOUNT).step_up = True
    login = login("--paste")
    login.paste(sign_in(office, login.url))
    again = login.read(r"another proof(?s:.*)\n  (https://\S+claims=\S+)\n")
    login.paste(sign_in(office, again[1]))
    login.end(OK)


def test_logout_forgets_a_claims_challenge(signed_in, office):
    office.mailbox(ACCOUNT).step_up = True
    (signed_in.state / "tokens" / ACCOUNT).unlink()
    assert signed_in.run("outpost", "token").code == NOPERM
    assert ACCOUNT + "=claims" in kept(signed_in)
    assert signed_in.run("outpost", "logout").code == OK
    assert kept(signed_in) == [ACCOUNT + "=lock"]


# At a terminal

def test_terminal_shows_progress_and_colours(person, office):
    def then(shown, master):
        office.approve(re.search(r"enter\s+(?:\x1b\[1m)?(\w+)", shown)[1],
                       ACCOUNT)

    shown, code = on_a_terminal(person, "outpost", "login", "--device",
                                until=r"waiting, \d+:\d\d left", then=then)
    assert code == OK
    assert "\x1b[1m" in shown and "\x1b[32m" in shown


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(person, office, env):
    office.auto_approve = ACCOUNT
    shown, code = on_a_terminal(person, "outpost", "login", env=env)
    assert code == OK and "is signed in" in shown and "\x1b" not in shown


# Secrets

def test_verifier_and_tokens_show_nowhere(person, office, login):
    office.fault("at token stall 1 always")
    login = login("--browser")
    where = sign_in(office, login.url)
    parts = urllib.parse.urlsplit(where)
    with connect(login) as sock:
        sock.sendall(f"GET /?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}"
                     "\r\n\r\n".encode())
        assert office.wait_for(lambda: office.requests[-1:] and
                               "token" in office.requests[-1].path, 30)
        seen = b""
        for name in ("cmdline", "environ"):
            with open(f"/proc/{login.process.pid}/{name}", "rb") as file:
                seen += file.read()
        seen += answer(sock)
    seen += login.end(OK).encode() + login.shown.encode()
    seen += (person.folder / "mail.log").read_bytes()
    [request] = office.token_requests
    for secret in (request.form["code_verifier"], request.form["code"],
                   request.response["access_token"],
                   request.response["refresh_token"]):
        assert secret.encode() not in seen
