"""Mail for users of this host: through the aliases file, then to admin. What
is wrong with that file is told, and makes nobody lose mail."""
import json
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from support import (ACCOUNT, CONFIG, DATAERR, NOUSER, OK, SANITIZED, USAGE,
                     Outpost)

ADMIN = "it@contoso.com"
HOST = socket.gethostname().split(".")[0]

ALIASES = """\
# who reads mail here
mailer-daemon: postmaster
Postmaster:    root
root:          ann@fabrikam.com
root+disk:     disks@fabrikam.com
www-data:      root@localhost,
    "bob smith"@fabrikam.com, ann@fabrikam.com

hub:     \\hub, hub@fabrikam.com
loop:    round
round:   loop
program: |/bin/false, "|/bin/cat > /tmp/x, y"
disk:    /var/mail/disk, kim@fabrikam.com
staff:   :include:{folder}/staff, boss@fabrikam.com
solo:    :include:{folder}/solo
shadow:  :include:/etc/shadow
link:    :include:{folder}/link
fifo:    :include:{folder}/fifo
folder:  :include:{folder}
private: :include:{folder}/private
gone:    :include:{folder}/gone
relative: :include:staff
nested:  :include:{folder}/nested
"""
STAFF = """\
# the staff
carl@fabrikam.com, dora@fabrikam.com
Postmaster
|/bin/secret-program
@@ secret @@
"""


@pytest.fixture(scope="module")
def office(shared_office):
    return shared_office


@pytest.fixture(scope="module")
def includes():
    """A folder that nobody can look into, whom root's sendmail becomes."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "staff").write_text(STAFF)
    (folder / "solo").write_text("solo@fabrikam.com\n")
    (folder / "private").write_text("private@fabrikam.com\n")
    (folder / "private").chmod(0o640)
    if os.geteuid() == 0:
        shutil.chown(folder / "private", "nobody")
    (folder / "nested").write_text(f":include:{folder}/solo\nstaff\n")
    (folder / "link").symlink_to("/etc/shadow")
    os.mkfifo(folder / "fifo")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def host(tmp_path_factory, office, includes):
    """Outpost on a host with aliases."""
    outpost = Outpost(tmp_path_factory.mktemp("host"), office)
    outpost.aliases = outpost.folder / "aliases"
    outpost.set_main(admin=ADMIN, domains="contoso.internal")
    return outpost


@pytest.fixture
def outpost(host, includes):
    host.aliases.write_text(ALIASES.format(folder=includes))
    return host


def line_of(start):
    return next(number for number, line in
                enumerate(ALIASES.splitlines(), 1) if line.startswith(start))


def send(outpost, *recipients, expect=OK):
    return outpost.send("Subject: s\n\nB\n", *recipients, expect=expect)


def verify(outpost, *words, code=OK, more=()):
    """Where -bv says that mail goes: addresses by name."""
    result = outpost.sendmail("-bv", *more, *words)
    assert result.code == code, result
    found = {}
    for line in result.out.splitlines():
        name, verdict = line.split("... ")
        found.setdefault(name, []).append(
            verdict.removeprefix("deliverable: "))
    return found, result.err


def test_mail_for_local_names_goes_where_their_aliases_lead(outpost):
    m = send(outpost, "ROOT@localhost", "mailer-daemon", "www-data",
             "root+disk@contoso.internal", "root+cron", "hub", "nobody-here",
             "a@example.org", "ann@fabrikam.com")
    assert m.recipients == [
        ("ann@fabrikam.com", {"ORCPT": "rfc822;ROOT@localhost"}),
        ('"bob smith"@fabrikam.com', {"ORCPT": m.recipients[1][1]["ORCPT"]}),
        ("disks@fabrikam.com", {
            "ORCPT": "rfc822;root+2Bdisk@contoso.internal"}),
        (ADMIN, {"ORCPT": m.recipients[3][1]["ORCPT"]}),
        ("hub@fabrikam.com", {"ORCPT": m.recipients[4][1]["ORCPT"]}),
        ("a@example.org", {})]
    assert m.recipients[1][1]["ORCPT"].startswith(f"rfc822;www-data@{HOST}")


def test_with_n_there_are_no_aliases(outpost):
    assert send(outpost, "-n", "root", "loop").addresses == [ADMIN]


def test_a_header_shows_where_a_local_name_led(outpost):
    m = outpost.send("From: root\nTo: root, Web <www-data>, solo\n"
                     "Cc: nobody-here, a@example.org\nReply-To: Postmaster\n"
                     "Subject: s\n\nB\n")
    assert m.header("To") == [
        f"root <ann@fabrikam.com>, Web <{ACCOUNT}>, "
        f"solo on {HOST} <{ACCOUNT}>"]
    assert m.header("Cc") == [f"nobody-here <{ADMIN}>, a@example.org"]
    assert m.header("Reply-To") == ["Postmaster <ann@fabrikam.com>"]
    assert m.header("From") == [f"root on {HOST} <{ACCOUNT}>"]
    # What an include holds is for the envelope alone.
    assert "solo@fabrikam.com" in m.addresses
    assert b"solo@fabrikam.com" not in m.raw


def test_a_to_that_is_added_names_who_was_named(outpost):
    """… on the command line, and not who is behind an alias."""
    result = outpost.sendmail(
        "-ONoRecipientAction=add-to", "staff", "root", "solo",
        "a@example.org, b@example.org", "a@example.org",
        input="Subject: s\n\nB\n")
    assert result.code == OK, result
    m = outpost.office.messages[-1]
    assert [" ".join(value.split()) for value in m.header("To")] == [
        f"staff on {HOST} <{ACCOUNT}>, root <ann@fabrikam.com>, "
        f"solo on {HOST} <{ACCOUNT}>, <a@example.org>, <b@example.org>"]
    for name in ("carl", "dora", "boss", "solo"):
        assert f"{name}@fabrikam.com" in m.addresses
        assert f"{name}@fabrikam.com".encode() not in m.raw


def test_what_is_no_place_for_mail_is_left_out_and_told(outpost):
    result = outpost.sendmail("program", "disk", "staff", input="\nB\n")
    assert result.code == OK, result
    assert set(outpost.office.messages[-1].addresses) == {
        ADMIN, *(f"{n}@fabrikam.com"
                 for n in ("kim", "carl", "dora", "ann", "boss"))}
    notes = result.err.splitlines()
    assert len(notes) == 4, result
    assert (f"sendmail: {outpost.aliases}:{line_of('disk:')}: alias 'disk': "
            "left out a file, which mail is not delivered to here") in notes
    assert "alias 'staff': left out 2 in " in notes[-1]
    assert "secret" not in result.err


BAD_INCLUDES = ["shadow", "link", "fifo", "folder", "private", "gone",
                "relative"]


def test_mail_for_a_list_that_cannot_be_read_goes_to_admin(outpost, includes):
    found, err = verify(outpost, *BAD_INCLUDES)
    assert found == {n: [f"{ADMIN} (alias {n}, admin)"]
                     for n in BAD_INCLUDES}
    assert len(err.splitlines()) == len(BAD_INCLUDES)
    assert f"'{includes}/private' is not for all to read (mode 0640)" in err
    assert "root:" not in err and "private@" not in err
    result = outpost.sendmail("fifo", "nested", "x@example.org",
                              input="\nB\n")
    assert result.code == OK and "alias 'fifo': " in result.err, result
    assert outpost.office.messages[-1].addresses == [
        ADMIN, "boss@fabrikam.com", "x@example.org"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_includes_are_read_without_roots_rights(outpost):
    """All may read this one, but not look into its folder."""
    path = outpost.folder / "closed"
    path.write_text("closed@fabrikam.com\n")
    path.chmod(0o644)
    outpost.aliases.write_text(f"closed: :include:{path}\n")
    outpost.aliases.chmod(0o600)
    found, err = verify(outpost, "closed")
    assert found["closed"] == [f"{ADMIN} (alias closed, admin)"]
    assert "Permission denied" in err
    assert send(outpost, "closed").addresses == [ADMIN]


def test_aliases_that_go_round_are_an_error(outpost, office):
    before = len(office.messages)
    result = send(outpost, "a@example.org", "loop", expect=CONFIG)
    assert "alias 'round' leads back to 'loop'" in result.err
    assert "  hint: " in result.err
    assert len(office.messages) == before
    found, _ = verify(outpost, "loop", "root", "@@", code=NOUSER)
    assert found["root"] == ["ann@fabrikam.com (alias root)"]
    assert found["loop"] == [
        f"undeliverable: {outpost.aliases}:{line_of('round:')}: alias 'round' "
        "leads back to 'loop'; hint: let one of them lead to an address"]
    assert found["@@"][0].startswith("undeliverable: ")


def test_a_list_that_is_refused_gets_nothing(outpost):
    """By SMTP, where the others of the same message do."""
    outpost.aliases.write_text("all: " + ", ".join(
        f"u{i}@fabrikam.com" for i in range(50000)) + "\n")
    commands = ["EHLO x", f"MAIL FROM:<{ACCOUNT}>", "RCPT TO:<a@example.org>",
                "RCPT TO:<all>", "DATA", "Subject: s", "", "B", ".", "QUIT"]
    result = outpost.sendmail("-bs", input="\r\n".join(commands) + "\r\n")
    assert "\n552 5.5.3 the message has more than 50000 recipients" in result.out
    assert outpost.office.messages[-1].addresses == ["a@example.org"]


def test_bv_tells_the_way_and_needs_nothing(outpost):
    outpost.set(port=1)
    try:
        found, err = verify(outpost, "mailer-daemon,root+x", "www-data",
                            "x@fabrikam.com", "joe")
        assert err == ""
        assert found == {
            "mailer-daemon": ["ann@fabrikam.com (alias mailer-daemon, "
                              "alias Postmaster, alias root)"],
            "root+x": ["ann@fabrikam.com (alias root)"],
            "www-data": ["ann@fabrikam.com (alias www-data, alias root)",
                         '"bob smith"@fabrikam.com (alias www-data)',
                         "ann@fabrikam.com (alias www-data)"],
            "x@fabrikam.com": ["x@fabrikam.com"],
            "joe": [f"{ADMIN} (admin)"]}
        assert verify(outpost, "root", more=["-n"])[0] == {
            "root": [f"{ADMIN} (admin)"]}
    finally:
        outpost.set(port=outpost.office.smtp_port)
    assert outpost.sendmail("-bv").code == USAGE


@pytest.mark.parametrize("command", [
    ("newaliases",), ("sendmail", "-bi"), ("sendmail", "-I")])
def test_newaliases_counts_a_good_file(outpost, command):
    outpost.aliases.write_text("root: ann@fabrikam.com ,bob@fabrikam.com\n"
                               "pipe: |/bin/false\n")
    result = outpost.run(*command)
    assert result.code == OK, result
    assert result.out == (f"{outpost.aliases}: 2 aliases, longest 34 bytes, "
                          "53 bytes total\n")
    assert result.err == (f"sendmail: {outpost.aliases}:2: alias 'pipe': left "
                          "out a program, which mail is not delivered to "
                          "here\n")


def test_newaliases_names_what_is_wrong(outpost, includes):
    assert outpost.run("newaliases", "x").code == USAGE
    result = outpost.run("newaliases")
    assert result.code == DATAERR, result
    assert "alias 'round' leads back to 'loop'" in result.err
    outpost.aliases.write_text("root: ann@fabrikam.com\nno colon\n"
                               "bad: @@, x@fabrikam.com\nroot: x\n")
    result = outpost.run("newaliases")
    assert result.code == DATAERR, result
    for text in ("2: this is no 'name: address'",
                 "3: alias 'bad': left out what is no address",
                 "4: alias 'root' stands in line 1 already"):
        assert f"sendmail: {outpost.aliases}:{text}\n" in result.err
    assert f"{outpost.aliases} has 3 mistakes\n  hint: " in result.err
    # It holds up nobody's mail.
    assert send(outpost, "root", "bad").addresses == [
        "ann@fabrikam.com", "x@fabrikam.com"]


def test_outpost_check_looks_at_the_file(outpost):
    def finding():
        result = outpost.run("outpost", "check", "--json")
        [found] = [f for f in json.loads(result.out)["steps"]
                   if f["step"] == "aliases"]
        return result.code, found

    outpost.aliases.write_text("root: ann@fabrikam.com\npipe: |/bin/false\n")
    code, found = finding()
    assert (code, found["verdict"], found["text"]) == (
        0, "ok", f"{outpost.aliases}: 2 aliases")
    outpost.aliases.write_text("root: ann@fabrikam.com\n\nno colon\n")
    code, found = finding()
    assert (code, found["verdict"]) == (1, "warning")
    assert found["cause"].startswith(f"{outpost.aliases}:3: ")
    assert "newaliases" in found["hint"]
    outpost.aliases.unlink()
    code, found = finding()
    assert (code, found["verdict"]) == (0, "ok")
    assert found["text"].endswith(f"mail for local users goes to {ADMIN}")


def test_a_file_that_is_not_there_holds_no_aliases(outpost):
    outpost.aliases.unlink()
    result = outpost.run("newaliases")
    assert result.code == OK and result.err == "", result
    assert f"{outpost.aliases}: not there" in result.out
    assert ADMIN in result.out
    assert send(outpost, "root").addresses == [ADMIN]


@pytest.mark.parametrize("make", [
    Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path),
    lambda path: path.write_bytes(b"root: ann@fabrikam.com\n"
                                  + b"#" * (4 * 1024 * 1024))],
    ids=["folder", "fifo", "link to itself", "too large"])
def test_mail_goes_to_admin_when_the_file_cannot_be_read(outpost, make):
    outpost.aliases.unlink()
    make(outpost.aliases)
    try:
        result = outpost.sendmail("root", "x@example.org", "joe",
                                  input="\nB\n")
        assert result.code == OK, result
        assert outpost.office.messages[-1].addresses == [ADMIN,
                                                         "x@example.org"]
        [note] = result.err.splitlines()
        assert str(outpost.aliases) in note
        result = outpost.run("newaliases")
        assert result.code == DATAERR and "  hint: " in result.err, result
    finally:
        if outpost.aliases.is_dir():
            outpost.aliases.rmdir()
        else:
            outpost.aliases.unlink()


def test_hostile_files_cost_little_and_lose_nothing(outpost):
    backwards = "".join(f"n{i}: n{i}@fabrikam.com\n"
                        for i in range(9999 if SANITIZED else 99999, 0, -1))
    for text in (
            os.urandom(1024 * 1024) + b"\nroot: ann@fabrikam.com\n",
            b'a: "' + b"x," * 524288 + b"\nroot: ann@fabrikam.com\n",
            b"a: " + b"x@y.example," * 87000 + b"\nroot: ann@fabrikam.com\n",
            b":" * 1048576 + b"\nroot: ann@fabrikam.com\n",
            backwards.encode() + b"root: ann@fabrikam.com\n"):
        outpost.aliases.write_bytes(text)
        assert verify(outpost, "root")[0] == {
            "root": ["ann@fabrikam.com (alias root)"]}
        result = outpost.run("newaliases")
        assert result.code in (OK, DATAERR), result
        assert len(result.err.splitlines()) < 30
    outpost.aliases.write_text(
        "".join(f"n{i}: {'x@y.example,' * 9999}\n" for i in range(9))
        + "all: " + ",".join(f"n{i}" for i in range(9)))
    result = send(outpost, "all", expect=CONFIG)
    assert "leads to more than 50000 addresses" in result.err
    # Many names of one message, each with a long list.
    outpost.aliases.write_text("all: |" + "x" * 3000000)
    result = send(outpost, *["all"] * 6, expect=CONFIG)
    assert "more than can be looked at" in result.err


def test_bs_takes_local_names_likewise(outpost, office):
    dialogue = (f"HELO x\nMAIL FROM:<{ACCOUNT}>\nRCPT TO:<Root>\n"
                "RCPT TO:<loop@localhost>\nRCPT TO:<disk>\nDATA\n"
                "To: root\n\nB\n.\nQUIT\n")
    result = outpost.sendmail("-bs", input=dialogue)
    assert [line[:3] for line in result.out.splitlines()] == [
        "220", "250", "250", "250", "554", "250", "354", "250", "221"], result
    assert "alias 'round' leads back to 'loop'" in result.out
    # Nobody reads standard error while the session lasts.
    assert "left out" not in result.err
    assert "alias 'disk': left out a file" in (
        outpost.folder / "mail.log").read_text()
    m = office.messages[-1]
    assert m.addresses == ["ann@fabrikam.com", "kim@fabrikam.com"]
    assert m.header("To") == ["root <ann@fabrikam.com>"]
