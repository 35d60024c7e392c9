"""What the pages say is what the tables hold."""
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("OUTPOST_BUILD", ROOT / "build"))


def page(name):
    return (ROOT / "man" / name).read_text()


def rows(path, table):
    """The first string or character of each row of a C table."""
    text = (ROOT / path).read_text()
    body = re.search(re.escape(table) + r"\[\] = \{(.*?)^\};", text,
                     re.S | re.M)[1]
    return re.findall(r"^\t\{ ['\"](\w+)['\"],", body, re.M)


def test_every_option_stands_in_sendmail_8():
    letters = rows("sendmail/options.c", "} table")
    assert len(letters) > 30
    listed = re.findall(r"^\.It Fl (\w)\b", page("sendmail.8"), re.M)
    assert listed == sorted(letters, key=lambda c: (c.lower(), c.islower()))


def test_every_key_stands_in_outpost_conf_5_and_in_the_sample():
    keys = (rows("lib/account/config.c", "main_keys")
            + rows("lib/account/config.c", "account_keys"))
    secret = {"client_secret", "secret", "password", "refresh_token",
              "access_token", "private_key", "identity_header"}
    keys = [k for k in keys if k not in secret]
    listed = re.findall(r"^\.It Cm (\w+)$", page("outpost.conf.5"), re.M)
    assert sorted(listed) == sorted(keys)
    sample = (ROOT / "etc/outpost.conf").read_text()
    rare = {"ca_file"}
    for key in set(keys) - rare:
        assert re.search(rf"^;{key}\s*=", sample, re.M), key


def is_configuration(path):
    """With it, sendmail comes to miss recipients."""
    done = subprocess.run([BUILD / "sendmail", "-t"],
                          input="Subject: no recipients\n\n", text=True,
                          capture_output=True,
                          env={"OUTPOST_CONFIG": str(path),
                               "OUTPOST_LIBEXEC": str(BUILD)})
    return "no recipients" in done.stderr


def test_the_sample_is_a_configuration_when_its_account_is_filled_in(tmp_path):
    text = (ROOT / "etc/outpost.conf").read_text()
    for line in ("[alerts@contoso.com]", "tenant ", "client_id "):
        text = text.replace(f";{line}", line)
    config = tmp_path / "outpost.conf"
    config.write_text(text)
    assert is_configuration(config)


def test_every_reply_and_error_stands_in_outpost_8():
    table = subprocess.run([BUILD / "rows"], text=True, capture_output=True,
                           check=True).stdout
    assert table in page("outpost.8")


def test_every_command_stands_in_outpost_8():
    commands = rows("outpost/main.c", "commands")
    listed = re.findall(r"^\.It Cm (\w+)$", page("outpost.8"), re.M)
    assert listed == commands


def test_the_exit_codes_of_the_readme_are_those_of_the_page():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("## Exit codes"):]
    codes = re.findall(r"^\| ([\d, ]+) \|", table, re.M)
    section = page("sendmail.8")
    section = section[section.index(".Sh EXIT STATUS"):]
    listed = re.findall(r"^\.It (\d[\d ,]*)$", section, re.M)
    assert [c.replace(" , ", ", ") for c in listed] == codes


def test_no_program_ends_with_a_code_that_its_page_does_not_list():
    """sysexits.h by the names that the code uses."""
    header = Path("/usr/include/sysexits.h").read_text()
    numbers = dict(re.findall(r"#define\s+(EX_\w+)\s+(\d+)", header))
    used = {name for folder in ("lib", "sendmail", "libexec", "outpost")
            for path in (ROOT / folder).rglob("*.c")
            for name in re.findall(r"\bEX_[A-Z]+\b", path.read_text())}
    assert len(used) > 8
    section = page("sendmail.8")
    section = section[section.index(".Sh EXIT STATUS"):]
    listed = re.findall(r"\d+", " ".join(
        re.findall(r"^\.It (\d[\d ,]*)$", section, re.M)))
    assert {numbers[name] for name in used} == set(listed)


def said():
    """All that the programs can say: their strings, put together."""
    text = "".join(path.read_text()
                   for folder in ("lib", "sendmail", "libexec", "outpost",
                                  "mailq")
                   for path in sorted((ROOT / folder).rglob("*.[ch]")))
    return re.sub(r'"\s*\n\s*"', "", text)


def test_each_message_of_a_page_is_one_that_a_program_says():
    """Words in capitals stand for what differs."""
    strings = said()
    count = 0
    for name in ("sendmail.8", "outpost.8", "outpost.conf.5", "mailq.8",
                 "newaliases.8"):
        for block in re.findall(r"^\.Bl -diag$(.*?)^\.El$", page(name),
                                re.S | re.M):
            for message in re.findall(r'^\.It "(.*)"$', block, re.M):
                count += 1
                parts = re.split(r"'?\b[A-Z]{3,}\b'?|\bN\b|: ", message)
                for part in parts:
                    part = part.strip(" :=[]()")
                    assert part in strings, f"{name}: {message!r}: {part!r}"
    assert count > 30


def test_the_sample_of_aliases_is_right(tmp_path):
    config = tmp_path / "outpost.conf"
    config.write_text(f"[outpost]\naliases = {ROOT}/etc/aliases\n"
                      "[alerts@contoso.com]\nclient_id = x\ntenant = t\n")
    done = subprocess.run([BUILD / "newaliases"], text=True,
                          capture_output=True,
                          env={"OUTPOST_CONFIG": str(config)})
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "/etc/aliases: 5 aliases, " in done.stdout


def test_examples_of_outpost_conf_5_are_configurations(tmp_path):
    text = page("outpost.conf.5")
    text = text[text.index(".Sh EXAMPLES"):]
    examples = re.findall(r"^\.Bd [^\n]*\n(.*?)^\.Ed$", text, re.S | re.M)
    assert len(examples) == 3
    for example in examples:
        config = tmp_path / "outpost.conf"
        config.write_text(example)
        assert is_configuration(config), example
