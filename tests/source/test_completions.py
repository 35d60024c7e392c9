"""What the shells complete is what the programs take."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("OUTPOST_BUILD", ROOT / "build"))
FILES = ["outpost.bash", "_outpost", "outpost.fish"]


def help_of(*command):
    return subprocess.run([BUILD / "outpost", *command, "--help"],
                          capture_output=True, text=True).stdout


def flags(shell, text):
    """The long options in it; fish spells them without their dashes."""
    found = set(re.findall(r"--([a-z]+(?:-[a-z]+)*)", text))
    if shell == "outpost.fish":
        found |= set(re.findall(r"-l ([a-z-]+)", text))
        for loop in re.findall(r"for flag in (.*)", text):
            found |= set(loop.split())
    return found


@pytest.mark.parametrize("shell", FILES)
def test_every_command_and_flag_is_completed(shell):
    text = (ROOT / "etc/completions" / shell).read_text()
    commands = re.findall(r"^  outpost (\w+)", help_of(), re.M)
    assert len(commands) == 9
    for command in commands:
        assert re.search(rf"\b{command}\b", text), command
        assert flags("", help_of(command)) - {"help"} <= flags(shell, text)


def test_every_long_option_of_mailq_is_completed():
    page = (ROOT / "man/mailq.8").read_text()
    taken = set(re.findall(r"Fl -([a-z-]+)$", page, re.M))
    assert len(taken) > 6
    assert taken <= flags("", (ROOT / "etc/completions/outpost.bash")
                          .read_text())


def complete(*words, config="/nonexistent"):
    script = (f"source {ROOT}/etc/completions/outpost.bash; "
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _outpost; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", *words],
                          capture_output=True, text=True,
                          env={**os.environ, "OUTPOST_CONFIG": str(config)})
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_flags_and_accounts(tmp_path):
    config = tmp_path / "outpost.conf"
    config.write_text("[outpost]\n[alerts@contoso.com]\n [it@contoso.com]\n")
    assert complete("outpost", "log") == ["login", "logout"]
    assert complete("outpost", "check", "--s") == ["--send"]
    assert complete("outpost", "init", "--cloud", "g") == ["global", "gcchigh"]
    assert complete("outpost", "-C", "x", "login", "a", config=config) == \
        ["alerts@contoso.com"]
    assert complete("outpost", "token", "", config=config) == \
        ["alerts@contoso.com", "it@contoso.com"]


@pytest.mark.parametrize("shell, file", [("bash", "outpost.bash"),
                                         ("zsh", "_outpost"),
                                         ("fish", "outpost.fish")])
def test_the_shell_reads_its_file(shell, file):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", ROOT / "etc/completions" / file], check=True)
