import json
import signal
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run(*arguments):
    return subprocess.Popen([sys.executable, "-m", "m365", *arguments],
                            cwd=TESTS, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def test_command_announces_itself_and_ends_on_sigterm(tmp_path):
    process = run("--smtp-port", "0", "--https-port", "0", "--dir",
                  str(tmp_path), "--auto-approve")
    ready = tmp_path / "ready.json"
    for _ in range(500):
        if ready.exists():
            break
        time.sleep(0.01)
    facts = json.loads(ready.read_text())
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=5)
    assert process.returncode == 0 and errors == ""
    assert f"port = {facts['smtp_port']}" in output
    assert facts["pid"] == process.pid


def test_bad_scenario_is_an_error():
    process = run("--smtp-port", "0", "--https-port", "0",
                  "--fault", "at RCTP close")
    _, errors = process.communicate(timeout=5)
    assert process.returncode == 1 and "did you mean 'RCPT'" in errors


def test_ca_directory_has_openssls_hash(tmp_path):
    from m365.pki import Authority
    file, folder = Authority(tmp_path, "An  Odd NAME").write()
    wanted = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", file],
                            capture_output=True, text=True).stdout.strip()
    assert [p.name for p in folder.iterdir()] == [f"{wanted}.0"]
