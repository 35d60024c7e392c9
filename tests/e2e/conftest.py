"""Fixtures: the stand-in, and the built programs with a configuration of
their own that points at it."""
import signal
import time

import pytest

from m365 import Microsoft365
from support import ACCOUNT, OK, Login, Outpost, write_sign_in


def run_office(folder):
    with Microsoft365(folder) as office:
        yield office
    assert not office.internal_errors, office.internal_errors


# What a shell runs in the background ignores SIGINT, as would its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def office(tmp_path):
    """The stand-in for Microsoft. What broke inside it fails the test."""
    yield from run_office(tmp_path / "m365")


@pytest.fixture(scope="module")
def shared_office(tmp_path_factory):
    """One for all tests of a file, where each of them sends little."""
    yield from run_office(tmp_path_factory.mktemp("m365"))


@pytest.fixture
def outpost(tmp_path, office):
    """Outpost, configured for one account that sends as an application."""
    return Outpost(tmp_path, office)


@pytest.fixture
def person(outpost, office):
    """Outpost, configured for an account that a person signs in."""
    return outpost.set(auth="login", client_id=office.client_id,
                       client_secret_file=None)


@pytest.fixture
def signed_in(person, office):
    """Signed in some time ago, with a token in the cache. Without the login
    itself, whose first question for the answer must wait a second."""
    now = int(time.time())
    (person.state / "secrets").mkdir(mode=0o700)
    write_sign_in(person, {
        "authority": office.authority, "tenant": office.tenant,
        "client_id": office.client_id, "obtained": now, "last_used": now,
        "refresh_token": office.issue_refresh_token(ACCOUNT)})
    result = person.run("outpost", "token")
    assert result.code == OK, result
    office.forget()
    return person


@pytest.fixture
def login(person):
    """A function that starts a login with options; all end with the test."""
    started = []

    def start(*options, outpost=person, **more):
        started.append(Login(outpost, *options, **more))
        return started[-1]

    yield start
    for each in started:
        each.stop()
