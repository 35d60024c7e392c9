"""Fixtures: the package, a fresh machine without it, and the stand-in."""
import subprocess
from pathlib import Path

import pytest

from m365 import Microsoft365
from machine import ACCOUNT, ROOT, Machine


@pytest.fixture(scope="session")
def package():
    subprocess.run(["make", "-s", "deb"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    [deb] = (ROOT / "build/deb").glob("outpost-mta_*.deb")
    return deb


@pytest.fixture(scope="session")
def office(tmp_path_factory):
    with Microsoft365(tmp_path_factory.mktemp("m365"),
                      device_interval=1) as office:
        office.auto_approve = ACCOUNT
        yield office
    assert not office.internal_errors, office.internal_errors


@pytest.fixture(scope="session")
def pristine(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    # Every folder up to the machine's must let its users through.
    for path in (folder, *folder.parents):
        if path != Path("/") and not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o055)
    machine = Machine.make(folder / "pristine", package)
    yield machine
    machine.remove()
