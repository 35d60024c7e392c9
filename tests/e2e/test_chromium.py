"""Signing in with a real browser: headless Chromium, driven by WebDriver, on
the stand-in's pages and on ours."""
import base64
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from support import ACCOUNT, BOB, NOPERM, OK, SIMPLE, sign_in_of

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="needs Debian's packages chromium and chromium-driver")

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", "--window-size=1000,700"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"     # W3C's name for a reference


def key_hash(office):
    """Of the stand-in's key, for the one certificate that is believed."""
    pem = (office.folder / "https.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(
        pem[pem.index(b"-----BEGIN CERTIFICATE"):])
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


class Browser:
    """A session of W3C WebDriver."""

    def __init__(self, folder, office):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder),
                 "LANG": "C.UTF-8", "TMPDIR": str(folder)})
        self.session = ""
        try:
            self.base = f"http://127.0.0.1:{self._port()}"
            self._open(folder, office)
        except BaseException:
            self.close()
            raise

    def _port(self):
        for line in self.driver.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                return int(found[1])
        raise AssertionError("chromedriver did not start")

    def _open(self, folder, office):
        arguments = [*ARGUMENTS, f"--user-data-dir={folder}/profile",
                     f"--ignore-certificate-errors-spki-list={key_hash(office)}"]
        answer = self.ask("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/" + answer["sessionId"]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.base}/session{self.session}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            raise AssertionError(problem.read().decode()) from None

    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def find(self, selector):
        return self.ask("POST", "/element", {
            "using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/click", {})

    def write(self, selector, text):
        element = self.find(selector)
        self.ask("POST", f"/element/{element}/clear", {})
        self.ask("POST", f"/element/{element}/value", {"text": text})

    def script(self, text):
        return self.ask("POST", "/execute/sync", {"script": text, "args": []})

    def wait_for_title(self, title):
        """Until the page's heading is that one; its text."""
        deadline = time.monotonic() + 60
        while (seen := self.script("return document.querySelector('h1')"
                                   "?.textContent")) != title:
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
        return self.script("return document.body.innerText")

    def wait_for_address(self, beginning):
        """A click may return before the page that it leads to is there."""
        deadline = time.monotonic() + 60
        while not (seen := self.ask("GET", "/url")).startswith(beginning):
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)

    @property
    def complaints(self):
        """What the browser's console says of our pages."""
        return [entry["message"] for entry in
                self.ask("POST", "/se/log", {"type": "browser"})
                if "http://localhost" in entry["message"]]

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def close(self):
        try:
            if self.session:
                self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.communicate(timeout=60)


@pytest.fixture
def browser(office):
    # Its socket's path must be shorter than pytest's folders are.
    with tempfile.TemporaryDirectory(
            prefix="chromium-", ignore_cleanup_errors=True) as folder:
        browser = Browser(folder, office)
        yield browser
        browser.close()


def style_is_applied(browser):
    return browser.script("return getComputedStyle(document.body).display") \
        == "grid"


def test_person_signs_in_and_mail_goes_out(person, office, login, browser):
    office.directory.app(office.client_id).consent = "user"
    login = login("--browser")
    browser.go(login.url)
    browser.wait_for_title("Sign in")
    browser.click("#next")      # the mailbox is filled in
    browser.wait_for_title("Permissions requested")
    browser.click("#accept")
    text = browser.wait_for_title("Signed in")
    assert ACCOUNT in text and "close this window" in text
    assert style_is_applied(browser), "the page's policy allows its style"
    assert browser.complaints == []
    login.end(OK)
    assert sign_in_of(person)
    assert person.send(SIMPLE).user == ACCOUNT


def test_person_declines(person, office, login, browser):
    login = login("--browser")
    browser.go(login.url)
    browser.wait_for_title("Sign in")
    browser.click("#back")
    text = browser.wait_for_title("Not signed in")
    assert "declined" in text and f"outpost login {ACCOUNT}" in text
    assert style_is_applied(browser) and browser.complaints == []
    assert "declined" in login.end(NOPERM)


def test_delegate_is_told_whose_mailbox_it_is(office, login, browser):
    office.add_mailbox(BOB)
    login = login("--browser")
    browser.go(login.url)
    browser.wait_for_title("Sign in")
    browser.write("input[name=user]", BOB)
    browser.click("#next")
    assert BOB in browser.wait_for_title("Signed in")
    assert BOB in login.end(OK)


def test_claims_challenge_leads_the_browser_on(office, login, browser):
    office.mailbox(ACCOUNT).step_up = True
    login = login("--browser")
    browser.go(login.url)
    browser.wait_for_title("Sign in")
    browser.click("#next")
    browser.wait_for_title("Sign in")
    assert "claims=" in browser.ask("GET", "/url")
    browser.click("#next")
    browser.wait_for_title("Signed in")
    login.end(OK)


def test_page_of_another_sign_in_is_told_and_the_right_one_ends_well(
        office, login, browser):
    login = login("--browser")
    browser.go(f"http://localhost:{login.port}/?code=x&state=y")
    assert "another" in browser.wait_for_title("Another sign-in").lower()
    browser.go(login.url)
    browser.wait_for_title("Sign in")
    browser.click("#next")
    browser.wait_for_title("Signed in")
    login.end(OK)


def test_address_bar_can_be_pasted(person, login, browser):
    login = login("--paste")
    browser.go(login.url)
    browser.wait_for_title("Sign in")
    try:
        browser.click("#next")
    except AssertionError as problem:
        assert "ERR_CONNECTION_REFUSED" in str(problem)
    browser.wait_for_address("http://localhost/?code=")
    login.paste(browser.ask("GET", "/url"))
    login.end(OK)
    assert sign_in_of(person)
