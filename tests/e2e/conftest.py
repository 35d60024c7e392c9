"""Fixtures: the stand-in, and the built programs with a configuration of
their own that points at it."""
import pytest

from m365 import Microsoft365
from support import Outpost


@pytest.fixture
def office(tmp_path):
    """The stand-in for Microsoft. What broke inside it fails the test."""
    with Microsoft365(tmp_path / "m365") as office:
        yield office
    assert not office.internal_errors, office.internal_errors


@pytest.fixture
def outpost(tmp_path, office):
    """Outpost, configured for one account that sends as an application."""
    return Outpost(tmp_path, office)
