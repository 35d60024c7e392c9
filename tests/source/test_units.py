"""The systemd units leave the set-id programs that they start their rights."""
from pathlib import Path

UNITS = Path(__file__).resolve().parents[2] / "etc/systemd"
# Each sets NoNewPrivileges, or hides the users that the programs become.
BREAKS_SET_ID = {"User", "Group", "DynamicUser", "NoNewPrivileges",
                 "RestrictSUIDSGID", "PrivateUsers", "SecureBits"}


def section(path, name):
    """The lines of a section, as they stand."""
    inside, lines = False, []
    for line in path.read_text().splitlines():
        if line.startswith("["):
            inside = line == f"[{name}]"
        elif inside and line and not line.startswith("#"):
            lines.append(line)
    return lines


def test_no_service_takes_the_set_id_bits_rights():
    services = list(UNITS.rglob("*.service"))
    assert len(services) == 4
    for path in services:
        keys = {line.split("=")[0] for line in section(path, "Service")}
        assert "ExecStart" in keys
        assert not keys & BREAKS_SET_ID, path


def test_both_services_of_the_system_may_do_the_same():
    one, other = (section(UNITS / f"outpost-{name}.service", "Service")
                  for name in ("queue", "keep"))
    assert one == other
