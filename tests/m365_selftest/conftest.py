import pytest

from m365 import Microsoft365
from selftest_client import Client


@pytest.fixture
def start(tmp_path):
    """A function that starts a server with options; all end with the test."""
    servers = []

    def starter(**options):
        folder = tmp_path / str(len(servers))
        servers.append(Microsoft365(folder, **options).start())
        return servers[-1]

    yield starter
    for server in servers:
        server.stop()
        assert server.internal_errors == []


@pytest.fixture
def m(start):
    return start()


@pytest.fixture
def client(m):
    with Client(m) as c:
        yield c
