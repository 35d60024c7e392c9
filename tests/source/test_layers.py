"""The order of the folders in lib/: a module includes only what stands before
its own folder, so that the story can be read from the bottom up."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["base", "mail", "smtp", "account", "token", "auth", "queue",
          "submit"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)

# Each library has one door: the header names that only these files include.
DOORS = {
    "curl/": {"lib/auth/http.c"},
    "jansson.h": {"lib/auth/oauth_response.c"},
    "idn2.h": {"lib/mail/idn.c"},
    "ini.h": {"lib/account/config.c"},
    "openssl/": {"lib/base/encode.c", "lib/smtp/stream.c",
                 "lib/auth/certificate.c"},
}
SYSTEM_INCLUDE = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.M)


def sources(*folders):
    return [path for folder in folders
            for path in sorted((ROOT / folder).rglob("*.[ch]"))]


def test_a_module_includes_only_folders_before_its_own():
    wrong = []
    for path in sources("lib"):
        own = LAYERS.index(path.relative_to(ROOT / "lib").parts[0])
        for name in INCLUDE.findall(path.read_text()):
            folder = name.split("/")[0]
            if folder not in LAYERS or LAYERS.index(folder) > own:
                wrong.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_only_outpost_and_token_know_lib_auth():
    for path in sources("sendmail", "mailq", "lib/submit", "lib/token"):
        assert '"auth/' not in path.read_text(), path
    assert '"auth/' not in (ROOT / "libexec/submit.c").read_text()


def test_each_library_has_one_door():
    wrong = []
    for path in sources("lib", "sendmail", "mailq", "outpost", "libexec"):
        for name in SYSTEM_INCLUDE.findall(path.read_text()):
            for door, allowed in DOORS.items():
                here = str(path.relative_to(ROOT))
                if name.startswith(door) and here not in allowed:
                    wrong.append(f"{here} includes <{name}>")
    assert not wrong, "\n".join(wrong)


def test_only_startup_changes_ids():
    call = re.compile(r"\bset(res|re|e)?[ug]id\s*\(|\b(set|init)groups\s*\(")
    for path in sources("lib", "sendmail", "mailq", "outpost", "libexec"):
        if path.name != "startup.c":
            assert not call.search(path.read_text()), path


def test_library_modules_neither_print_nor_exit():
    call = re.compile(r"\b(printf|fprintf|puts|perror|exit|_exit|errx?|warnx?)"
                      r"\s*\(")
    for path in sources("lib"):
        if path.name in ("xalloc.c", "startup.c"):
            continue
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        found = [m.group(0) for m in call.finditer(text)]
        assert not found, f"{path}: {found}"


# Modules whose behaviour shows only through another's, or end to end.
TESTED_BY = {
    "xalloc": "buf", "wait": "stream", "dial": "stream",
    "capabilities": "reply", "header_format": "header", "utf8": "content",
    "address_parse": "address", "oauth_error": "oauth",
    "identity_error": "identity",
    "session_login": "session", "session_probe": "session",
    "session_transaction": "session",
    "listener": "e2e/test_login.py",
    "renew": "e2e/test_tokens.py", "submit": "e2e/test_smtp.py",
    "deliver": "e2e/test_queueing.py", "settle": "e2e/test_queueing.py",
    "runner": "e2e/test_runner.py", "notify": "e2e/test_runner.py",
    "pattern": "e2e/test_runner.py",
    "program": "token",
}


def test_every_module_has_its_test():
    for path in sources("lib"):
        if path.suffix == ".c":
            test = TESTED_BY.get(path.stem, path.stem)
            where = (ROOT / "tests" / test if "/" in test
                     else ROOT / "tests/unit" / f"{test}.c")
            assert where.exists(), f"{path.relative_to(ROOT)}: no {where}"
