"""outpost init: a configuration from flags, from a container's environment, or
by questions; whole or not at all."""
import os
import pty
import subprocess

import pytest

from support import (ACCOUNT, APP, BUILD, CANTCREAT, CONFIG, DATAERR, IOERR, OK,
                     ROOT, SECRET, USAGE)

SAMPLE = (ROOT / "etc/outpost.conf").read_text().splitlines()


@pytest.fixture
def place(outpost):
    """Outpost without a configuration yet."""
    outpost.config.unlink()
    return outpost


def folders(outpost):
    return ["--state-dir", outpost.state, "--queue-dir", outpost.queue]


def server(outpost):
    """The stand-in's address, as --set takes it."""
    office = outpost.office
    keys = {"host": office.host, "port": office.smtp_port,
            "authority": office.authority, "ca_dir": office.ca_dir}
    return [word for key, value in keys.items()
            for word in ("--set", f"{key}={value}")]


def init(outpost, *args, env=None):
    return outpost.run("outpost", "init", *args, env=env)


def filled(outpost):
    """The keys that the configuration has and the sample comments out. All
    other lines must be the sample's."""
    lines = outpost.config.read_text().splitlines()
    keys = [l for l in lines if l and l[0] not in "#;"]
    rest = [l for l in lines if l not in keys]
    assert [l for l in rest if l not in SAMPLE] == []
    missing = [l for l in SAMPLE if l.startswith("#") and l not in lines]
    assert missing == []
    return dict(l.replace(" ", "").split("=", 1) if "=" in l else (l, None)
                for l in keys)


def test_flags_fill_in_the_sample(place):
    result = init(place, "--mailbox", ACCOUNT, "--tenant", "contoso.com",
                  "--client-id", APP, "--admin", "it@contoso.com",
                  "--cloud", "gcchigh", "--set", "users=root",
                  *folders(place))
    assert result.code == OK and result.err == "", result
    assert filled(place) == {
        "[outpost]": None, "admin": "it@contoso.com",
        "queue_dir": str(place.queue), "state_dir": str(place.state),
        f"[{ACCOUNT}]": None, "tenant": "contoso.com", "client_id": APP,
        "cloud": "gcchigh", "users": "root"}
    assert place.config.stat().st_mode & 0o777 == 0o644
    assert f"\n  outpost login {ACCOUNT}\n" in result.out


def test_what_it_writes_signs_in_and_sends(place, office):
    result = init(place, "--mailbox", ACCOUNT, "--tenant", office.tenant,
                  "--client-id", office.client_id, *server(place),
                  *folders(place))
    assert result.code == OK, result
    office.auto_approve = ACCOUNT
    assert place.run("outpost", "login", ACCOUNT).code == OK
    assert place.run("outpost", "check").code == OK
    place.send("To: a@example.org\n\nB\n")


@pytest.mark.parametrize("args, key", [
    (["--secret-file", "SECRET"], "secret"),
    (["--auth", "secret", "--secret-file", "SECRET"], "secret"),
    (["--certificate", "/etc/app.pem", "--key-file", "/etc/app.key"],
     "certificate"),
    (["--auth", "managed-identity"], "managed-identity"),
    (["--federated-token-file", "/run/token"], "workload-identity"),
    (["--identity-endpoint", "http://localhost:1/",
      "--identity-header-file", "/run/header"], "managed-identity"),
    (["--identity", "arc"], "managed-identity"),
])
def test_each_kind_of_credential(place, args, key):
    args = [str(place.secret) if a == "SECRET" else a for a in args]
    result = init(place, "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
                  APP, *args, *folders(place))
    assert result.code == OK, result
    keys = filled(place)
    assert keys["auth"] == key
    for flag, value in zip(args[::2], args[1::2]):
        name = {"--secret-file": "client_secret_file"}.get(
            flag, flag[2:].replace("-", "_"))
        assert keys[name] == value
    assert f"\n  outpost check {ACCOUNT}\n" in result.out
    assert "install" not in result.out


def test_missing_secret_file_is_asked_for(place):
    missing = place.folder / "none"
    result = init(place, "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
                  APP, "--secret-file", missing, *folders(place))
    assert result.code == OK
    assert f"\n  install -m 600 /dev/stdin {missing}\n" in result.out


@pytest.mark.parametrize("typed", ["app-secret", "./app-secret",
                                   "~/app-secret"])
def test_path_may_be_relative(place, typed):
    result = place.run(
        "outpost", "init", "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
        APP, "--secret-file", typed, *folders(place), cwd=place.folder)
    assert result.code == OK, result
    kept = filled(place)["client_secret_file"]
    assert kept.startswith("/") and os.path.samefile(kept, place.secret)


def test_other_place_is_named_in_the_next_command(place):
    other = place.folder / "deep" / "er" / "own.conf"
    result = init(place, "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
                  APP, "--output", other, *folders(place))
    assert result.code == OK and other.exists()
    assert not place.config.exists()
    assert f"\n  outpost -C {other} login {ACCOUNT}\n" in result.out


def test_folders_are_made_for_their_owner_alone(place):
    state, queue = place.folder / "new" / "state", place.folder / "new" / "q"
    result = init(place, "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
                  APP, "--state-dir", state, "--queue-dir", queue)
    assert result.code == OK, result
    for path in (state, state / "secrets", state / "tokens", state / "state",
                 queue):
        assert path.stat().st_mode & 0o777 == 0o700, path


# What is there already

def wanted(place, *more):
    return init(place, "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
                APP, *folders(place), *more)


def test_another_configuration_is_not_replaced(place):
    place.config.write_text("# mine\n")
    result = wanted(place)
    assert result.code == CANTCREAT and "--force" in result.err, result
    assert place.config.read_text() == "# mine\n"
    assert result.out == ""
    assert wanted(place, "--force").code == OK
    assert f"[{ACCOUNT}]" in place.config.read_text()


def test_the_same_configuration_is_fine(place):
    assert wanted(place).code == OK
    before = place.config.stat()
    assert wanted(place).code == OK
    after = place.config.stat()
    assert (before.st_ino, before.st_mtime) == (after.st_ino, after.st_mtime)


def test_a_folder_in_its_place_is_left_alone(place):
    place.config.mkdir()
    assert wanted(place).code != OK
    assert place.config.is_dir()


@pytest.mark.parametrize("args, code, words", [
    (["--mailbox", "nobody"], USAGE, "not a mail address"),
    (["--mailbox", "a]b@contoso.com"], USAGE, "not a mail address"),
    ([], USAGE, "--mailbox"),
    (["--mailbox", ACCOUNT, "--client-id", APP], CONFIG, "tenant"),
    (["--mailbox", ACCOUNT, "--tenant", "t"], CONFIG, "client_id"),
    (["--mailbox", ACCOUNT, "--tenant", "t", "--client-id", APP, "--auth",
      "secrt"], CONFIG, "did you mean 'secret'"),
    (["--mailbox", ACCOUNT, "--tenant", "t", "--client-id", APP, "--auth",
      "secret"], CONFIG, "client_secret_file"),
    (["--mailbox", ACCOUNT, "--tenant", "t", "--client-id", APP, "--set",
      "sender=x@y.z"], CONFIG, "did you mean 'senders'"),
    (["--mailbox", ACCOUNT, "--tenant", "t", "--client-id", APP, "--set",
      "client_secret=" + SECRET], CONFIG, "secret"),
    (["--mailbox", ACCOUNT, "--tenant", "t\n[x@y.z]", "--client-id", APP],
     USAGE, "control character"),
    (["--mailbox", ACCOUNT, "--tenant", "t ; x", "--client-id", APP], USAGE,
     "semicolon"),
    (["--mailbox", ACCOUNT, "--tenant", "t" * 300, "--client-id", APP],
     CONFIG, "longer"),
    (["--tenant"], USAGE, "'--tenant' needs a value"), (["--mailbx", "x"], USAGE, "--mailbx"),
    (["--set", "host"], USAGE, "key=value"), (["x"], USAGE, "'x'"),
])
def test_what_is_wrong_writes_nothing(place, args, code, words):
    state = place.folder / "new-state"
    if args[:1] != ["--tenant"] and args != ["x"]:
        args = args + ["--state-dir", str(state)]
    result = init(place, *args)
    assert result.code == code and words in result.err, result
    assert result.out == "" and SECRET not in result.err
    assert not place.config.exists() and not state.exists()


def test_a_folder_that_cannot_be_made_names_the_flags(place):
    result = init(place, "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
                  APP, "--state-dir", "/proc/nothing/state")
    assert result.code == 73 and "'/proc/nothing/state'" in result.err
    assert "--queue-dir" in result.err.split("hint:")[1]
    assert not place.config.exists()


def test_full_disk_leaves_no_half_file(place):
    result = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh",
         str(BUILD / "outpost"), "init", "--mailbox", ACCOUNT, "--tenant", "t",
         "--client-id", APP, *map(str, folders(place))],
        capture_output=True, env=place.environment())
    assert result.returncode == IOERR, result
    assert b"File too large" in result.stderr
    assert not list(place.folder.glob("outpost.conf*"))


# Containers

def from_env(place, *args, **env):
    office = place.office
    known = {"OUTPOST_MAILBOX": ACCOUNT, "AZURE_TENANT_ID": office.tenant,
             "AZURE_CLIENT_ID": APP, "OUTPOST_STATE_DIR": str(place.state),
             "OUTPOST_QUEUE_DIR": str(place.queue),
             "AZURE_AUTHORITY_HOST": office.authority + "/"}
    return init(place, "--from-env", "--set", f"host={office.host}",
                "--set", f"port={office.smtp_port}", "--set",
                f"ca_dir={office.ca_dir}", *args, env={**known, **env})


def test_secret_of_the_environment_goes_into_a_file_of_its_own(place, office):
    result = from_env(place, AZURE_CLIENT_SECRET=SECRET)
    assert result.code == OK, result
    kept = place.state / "secrets" / "client-secret"
    assert kept.read_text() == SECRET + "\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    keys = filled(place)
    assert keys["auth"] == "secret" and keys["log"] == "stderr"
    assert keys["client_secret_file"] == str(kept)
    assert SECRET not in place.config.read_text() + result.out + result.err
    assert place.run("outpost", "check").code == OK


def test_started_again_it_keeps_the_configuration_and_takes_a_new_secret(
        place):
    assert from_env(place, AZURE_CLIENT_SECRET="old").code == OK
    assert from_env(place, AZURE_CLIENT_SECRET="new").code == OK
    kept = place.state / "secrets" / "client-secret"
    assert kept.read_text() == "new\n"
    assert from_env(place, AZURE_CLIENT_SECRET="x",
                    OUTPOST_ADMIN="it@contoso.com").code == CANTCREAT
    assert kept.read_text() == "new\n"


def test_mounted_secret_is_used_where_it_lies(place):
    result = from_env(place, AZURE_CLIENT_SECRET_FILE=str(place.secret))
    assert result.code == OK
    assert filled(place)["client_secret_file"] == str(place.secret)
    assert list((place.state / "secrets").iterdir()) == []


def test_mounted_secret_that_all_may_read_is_copied(place):
    """As Docker mounts them: 0444."""
    place.secret.chmod(0o444)
    result = from_env(place, AZURE_CLIENT_SECRET_FILE=str(place.secret))
    assert result.code == OK, result
    kept = place.state / "secrets" / "client-secret"
    assert filled(place)["client_secret_file"] == str(kept)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert place.run("outpost", "check").code == OK


@pytest.mark.parametrize("env, auth", [
    ({"AZURE_CLIENT_CERTIFICATE_PATH": "/run/secrets/app.pem"}, "certificate"),
    ({"AZURE_FEDERATED_TOKEN_FILE": "/var/run/t"}, "workload-identity"),
    ({"IDENTITY_ENDPOINT": "http://localhost/x"}, "managed-identity"),
    ({"MSI_ENDPOINT": "http://localhost/x"}, "managed-identity"),
    ({"OUTPOST_AUTH": "managed-identity"}, "managed-identity"),
    ({"OUTPOST_AUTH": "login", "AZURE_FEDERATED_TOKEN_FILE": "/x"}, "login"),
    ({"OUTPOST_CLOUD": "gcchigh"}, None),
])
def test_environment_tells_the_kind_of_credential(place, env, auth):
    result = from_env(place, **env)
    assert result.code == OK, result
    assert filled(place).get("auth") == auth


def test_token_of_a_workload_is_named_where_it_is_used(place):
    env = {"AZURE_FEDERATED_TOKEN_FILE": "/var/run/t"}
    assert from_env(place, **env).code == OK
    assert filled(place)["federated_token_file"] == "/var/run/t"
    assert from_env(place, "--force", "--secret-file", place.secret,
                    **env).code == OK
    assert filled(place)["auth"] == "secret"
    assert "federated_token_file" not in filled(place)


def test_flags_go_before_the_environment(place):
    assert from_env(place, "--tenant", "other.example").code == OK
    assert filled(place)["tenant"] == "other.example"


def test_environment_without_mailbox_is_told(place):
    result = from_env(place, OUTPOST_MAILBOX="")
    assert result.code == USAGE and "OUTPOST_MAILBOX" in result.err


def test_environment_counts_only_when_asked(place):
    result = init(place, "--mailbox", ACCOUNT, "--tenant", "t", "--client-id",
                  APP, *folders(place), env={"AZURE_TENANT_ID": "other",
                                             "AZURE_CLIENT_SECRET": SECRET})
    assert result.code == OK
    assert filled(place)["tenant"] == "t" and "auth" not in filled(place)


# Questions

def talk(place, answers, *args):
    """Run it on a terminal that types the answers; what it showed."""
    main, side = pty.openpty()
    run = subprocess.Popen([str(BUILD / "outpost"), "init", *map(str, args)],
                           stdin=side, stdout=side, stderr=side,
                           env=place.environment(), start_new_session=True)
    os.close(side)
    shown, left = b"", list(answers)
    try:
        while piece := os.read(main, 4096):
            shown += piece
            if shown.endswith(b": ") and left:
                os.write(main, left.pop(0).encode() + b"\n")
            elif shown.endswith(b": "):
                os.write(main, b"\x04")
    except OSError:
        pass
    os.close(main)
    assert left == [], shown
    return run.wait(), shown.decode().replace("\r\n", "\n")


def test_questions_for_a_person_who_signs_in(place):
    code, shown = talk(place, ["nobody", ACCOUNT, "", "contoso.com", APP, ""],
                       *folders(place))
    assert code == OK, shown
    assert shown.count("The mailbox that sends") == 2
    assert "nobody is not a mail address" in shown
    keys = filled(place)
    assert f"[{ACCOUNT}]" in keys and keys["auth"] == "login"
    assert keys["tenant"] == "contoso.com" and "admin" not in keys
    assert f"outpost login {ACCOUNT}" in shown


def test_questions_for_an_application(place):
    code, shown = talk(place, [ACCOUNT, "secret", "contoso.com", APP, "",
                               "it@contoso.com"], *folders(place))
    assert code == OK, shown
    keys = filled(place)
    assert keys["client_secret_file"] == f"{place.state}/secrets/app-secret"
    assert keys["admin"] == "it@contoso.com"
    assert f"install -m 600 /dev/stdin {place.state}/secrets/app-secret" in shown


def test_an_answer_that_cannot_be_is_asked_for_again(place):
    code, shown = talk(place, [ACCOUNT, "password", "secret", "", "contoso.com",
                               "", APP, "", "it", ""], *folders(place))
    assert code == OK, shown
    assert "'auth' does not take this value\n  hint: it takes 'login'" in shown
    for key in "tenant", "client_id":
        assert f"[{ACCOUNT}] has no '{key}'\n  hint: " in shown
    assert "'admin' is not a mail address\n" in shown
    assert f"{place.state}/secrets/app-secret" in place.config.read_text()


def test_a_flag_that_cannot_be_is_told_before_a_question(place):
    code, shown = talk(place, [], "--auth", "sercet")
    assert code == 78 and shown.startswith("outpost: 'auth' does not take")


def test_what_flags_say_is_not_asked(place):
    code, shown = talk(place, [APP, ""], "--mailbox", ACCOUNT, "--tenant", "t",
                       "--auth", "login", *folders(place))
    assert code == OK, shown
    assert "Tenant" not in shown and "tokens" not in shown


def test_end_of_input_writes_nothing(place):
    code, shown = talk(place, [ACCOUNT, "login"])
    assert code == USAGE and "nothing is written" in shown
    assert not place.config.exists()


def test_without_a_terminal_nothing_is_asked(place):
    result = init(place)
    assert result.code == USAGE and result.out == ""


# ---- from msmtp

MSMTPRC = """# of before
defaults
  tls on
  tls_trust_file /etc/ssl/certs/ca-certificates.crt
account other
  host smtp.partner.outlook.cn
  port 25
  user "shanghai@contoso.cn"
account office
  host smtp.office365.com
  port 587
  auth plain
  user alerts@contoso.com
  from noreply@contoso.com
  password s3cret-of-before
  passwordeval "touch ran"
  logfile /var/log/msmtp
  aliases lists
account default : office
"""


def from_msmtp(place, text, *more):
    (place.folder / "msmtprc").write_text(text)
    return init(place, "--from-msmtp", place.folder / "msmtprc", "--client-id",
                APP, *more)


def test_msmtps_default_account_is_taken_over(place):
    result = from_msmtp(place, MSMTPRC)
    assert result.code == OK, result
    keys = filled(place)
    assert os.path.basename(keys.pop("aliases")) == "lists"
    assert keys == {"[outpost]": None, f"[{ACCOUNT}]": None,
                    "tenant": "contoso.com", "client_id": APP,
                    "send_as": "noreply@contoso.com"}
    # What has no place is said, once and without its text.
    left = [l for l in result.err.splitlines() if "left out" in l]
    assert [l.split("'")[1] for l in left] == ["password", "passwordeval",
                                               "logfile"]
    assert "s3cret" not in result.err + place.config.read_text()
    assert not os.path.exists("ran")


def test_another_account_of_msmtps_is_taken_by_its_user(place):
    result = from_msmtp(place, MSMTPRC, "--mailbox", "shanghai@contoso.cn")
    assert result.code == OK, result
    keys = filled(place)
    assert (keys["cloud"], keys["port"]) == ("china", "25")
    assert "[shanghai@contoso.cn]" in keys


@pytest.mark.parametrize("text, more, code, sentence", [
    ("account a\nuser a@b.c\naccount b\nuser b@b.c\n", (), USAGE,
     "no account in 'FILE' is the default one"),
    ("account a\nuser a@b.c\n", ("--mailbox", "x@b.c"), USAGE,
     "no account in 'FILE' has the user 'x@b.c'"),
    ("user a@b.c\n", (), DATAERR,
     "FILE:1: no account begins before this line"),
    ("account a\nhost smtp.office365.com\n", (), USAGE,
     "init needs the mailbox that sends"),
])
def test_what_msmtps_file_does_not_say_is_told(place, text, more, code,
                                               sentence):
    result = from_msmtp(place, text, *more)
    assert result.code == code, result
    file = str(place.folder / "msmtprc")
    assert sentence.replace("FILE", file) in result.err
    assert "hint:" in result.err
    assert not place.config.exists()


def test_a_server_that_is_not_microsofts_is_left_out(place):
    result = from_msmtp(place, "account default\nhost smtp.example.org\n"
                        "port 465\nuser a@contoso.com\n")
    assert result.code == OK, result
    assert "'host': it is not one of Microsoft's" in result.err
    assert "'port': Microsoft listens at 587" in result.err
    assert "host" not in filled(place)
