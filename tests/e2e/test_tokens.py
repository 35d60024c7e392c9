"""Tokens: one refresh among many processes, what becomes of wrong answers, and
signing out."""
import fcntl
import hashlib
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support import (ACCOUNT, BUILD, CONFIG, NOPERM, OK, SANITIZED, TEMPFAIL,
                     USAGE, cache, eventually, expire, record, sign_in_of,
                     token)

SLOW = 4 if SANITIZED else 1


def test_much_patience_is_more_than_the_token_program_takes(outpost):
    outpost.set_main(patience="1h")
    outpost.send("To: a@example.org\n\nBody\n")


# Secrets in memory

def guarded(process):
    """Can no core of it be dumped? (That nobody may trace it either goes
    with it: tests/unit/startup.c.)"""
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    return re.search(r"Max core file size\s+0\s+0\s", limits) is not None


@pytest.mark.parametrize("stage, program, arguments", [
    ("token", "token", [ACCOUNT]), ("token", "outpost", ["token"]),
    ("devicecode", "outpost", ["login"])])
def test_who_holds_secrets_dumps_no_core(request, office, stage, program,
                                         arguments):
    outpost = request.getfixturevalue(
        "person" if stage == "devicecode" else "outpost")
    office.fault(f"at {stage} stall 2")
    process = outpost.start(program, *arguments)
    assert office.wait_for(lambda: office.requests, 60)
    assert guarded(process)
    process.kill()
    process.communicate()


def test_the_environment_has_no_tls_keys_written(outpost, office):
    keys = outpost.folder / "keys"
    result = outpost.run("outpost", "token", env={"SSLKEYLOGFILE": keys})
    assert result.code == OK and len(office.token_requests) == 1
    assert not keys.exists()


@pytest.mark.parametrize("proxy", [
    "foo://user:hunter2@h:1", "http://user:hunter2@[::::1",
    "http://user:hunter2@nowhere.invalid:1", "http://user:hunter2@127.0.0.1:1"])
def test_the_password_of_a_proxy_is_not_told(outpost, proxy):
    """libcurl quotes a proxy that it cannot use."""
    for given in ({"proxy": proxy}, {}):
        outpost.set(proxy=given.get("proxy"))
        result = outpost.run("outpost", "token", env={"HTTPS_PROXY": proxy})
        log = (outpost.folder / "mail.log").read_text()
        assert result.code in (CONFIG, TEMPFAIL), result
        assert "hunter2" not in result.err + log, result


# Signed in

def test_token_of_a_login_needs_no_further_request(person, office):
    office.auto_approve = ACCOUNT
    assert person.run("outpost", "login").code == OK
    office.forget()
    result = person.run("outpost", "token")
    assert result.code == OK and result.err == ""
    assert result.out.count("\n") == 1 and len(result.out) > 20
    assert office.token_requests == []


def test_login_keeps_what_the_sign_in_of_these_tests_has(signed_in, office):
    written = sign_in_of(signed_in)
    office.auto_approve = ACCOUNT
    assert signed_in.run("outpost", "login").code == OK
    kept = sign_in_of(signed_in)
    assert list(kept) == list(written)
    for key in ("authority", "tenant", "client_id"):
        assert kept[key] == written[key]


def test_logout_removes_both_tokens(signed_in):
    assert signed_in.run("outpost", "logout").code == OK
    left = [path.name for path in signed_in.state.glob("*/*")]
    assert left == [ACCOUNT + "=lock"]
    result = signed_in.run("outpost", "token")
    assert result.code == CONFIG
    assert f"run 'outpost login {ACCOUNT}'" in result.err


def test_secrets_are_readable_by_their_owner_alone(signed_in):
    for path in signed_in.state.glob("**/*"):
        assert path.stat().st_mode & 0o077 == 0, path


# One refresh among many

def test_many_processes_cause_one_request(signed_in, office):
    expire(signed_in)
    office.fault("at token stall 0.3 always")
    running = [signed_in.start("outpost", "token") for _ in range(20)]
    results = [process.communicate(timeout=60) for process in running]
    assert {process.returncode for process in running} == {OK}
    assert len({out for out, _ in results}) == 1
    assert len(office.token_requests) == 1


def is_kept_waiting(process):
    """Has its token program slept over and over, as it does at the lock?"""
    _, *children = family(process.pid)
    try:
        status = Path(f"/proc/{children[0]}/status").read_text()
    except (IndexError, OSError):
        return False
    return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status)[1]) > 50


def test_many_processes_take_one_refusal(signed_in, office):
    expire(signed_in)
    office.fault("at token error AADSTS700082 always")
    with open(signed_in.state / "secrets" / (ACCOUNT + "=lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = [signed_in.start("outpost", "token") for _ in range(20)]
        assert eventually(lambda: all(is_kept_waiting(p) for p in running))
    results = [process.communicate(timeout=60) for process in running]
    assert {process.returncode for process in running} == {NOPERM}
    assert all(b"unused for 90 days" in err for _, err in results)
    assert len(office.token_requests) == 1


def test_refusal_is_not_remembered_for_later_processes(signed_in, office):
    expire(signed_in)
    office.fault("at token error AADSTS50173")
    assert signed_in.run("outpost", "token").code == NOPERM
    assert signed_in.run("outpost", "token").code == OK


def test_rotated_refresh_token_is_kept(signed_in, office):
    office.sts_options.rotate = "revoke"
    seen = {sign_in_of(signed_in)["refresh_token"]}
    for _ in range(3):
        expire(signed_in)
        assert signed_in.run("outpost", "token").code == OK
        seen.add(sign_in_of(signed_in)["refresh_token"])
    assert len(seen) == 4
    assert len(office.token_requests) == 3


def test_answer_without_refresh_token_keeps_the_old_one(signed_in, office):
    office.sts_options.rotate = "none"
    before = sign_in_of(signed_in)["refresh_token"]
    expire(signed_in)
    assert signed_in.run("outpost", "token").code == OK
    assert sign_in_of(signed_in)["refresh_token"] == before


@pytest.mark.parametrize("after", [0.0, 0.01, 0.02, 0.04, 0.3, 0.5, 0.51,
                                   0.52, 0.54, 0.58])
def test_kill_during_a_refresh_leaves_a_working_sign_in(
        signed_in, office, after):
    expire(signed_in)
    office.fault("at token stall 0.5 always")
    process = signed_in.start("token", ACCOUNT)
    time.sleep(after * SLOW)
    process.kill()
    process.communicate()
    office.clear_faults()
    assert signed_in.run("outpost", "token").code == OK
    expire(signed_in)
    assert signed_in.run("outpost", "token").code == OK


def test_leftover_of_a_killed_writer_is_removed(signed_in):
    leftover = signed_in.state / "secrets" / (ACCOUNT + ".aB3dEf")
    leftover.write_text("outpost-sign-in 1\nrefresh_token: 1.AXold\n")
    expire(signed_in)
    assert signed_in.run("outpost", "token").code == OK
    assert not leftover.exists()


def test_early_renewal_is_tried_and_then_put_off(signed_in, office):
    now = int(time.time())
    cache(signed_in, refresh_in=now - 1)
    before = record(signed_in.state / "tokens" / ACCOUNT)["token"]
    office.fault("at token error AADSTS50173 always")
    for _ in range(3):
        result = signed_in.run("outpost", "token")
        assert result.code == OK and result.out.strip() == before
    assert len(office.token_requests) == 1
    office.clear_faults()
    cache(signed_in, refresh_in=now - 1)
    result = signed_in.run("outpost", "token")
    assert result.code == OK and result.out.strip() != before


def test_rejected_token_is_replaced_once(signed_in, office):
    now = int(time.time())
    old = record(signed_in.state / "tokens" / ACCOUNT)["token"]
    rejected = hashlib.sha256(old.encode()).hexdigest()
    answer = token(signed_in, "-r", rejected)
    assert answer["class"] == "hold" and "seconds old" in answer["text"]
    assert answer["hint"]
    cache(signed_in, issued=now - 301)
    new = token(signed_in, "-r", rejected)["token"]
    assert new != old
    assert token(signed_in, "-r", rejected)["token"] == new
    assert len(office.token_requests) == 1


# Wrong answers

WRONG = ["status 503 html", "status 502 empty", "status 302", "status 404 html",
         "redirect https://portal.example/", "truncated", "garbage", "close",
         "reset", "huge 3000000", "wrong-types", "missing access_token",
         "missing expires_in", "missing token_type", "error AADSTS90033",
         "stall", "slow 1"]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_answer_is_temporary_and_destroys_nothing(
        signed_in, office, wrong):
    before = sign_in_of(signed_in)
    expire(signed_in)
    office.fault(f"at token {wrong} always")
    answer = token(signed_in, seconds=1)    # too short for a second try
    assert answer["class"] == "retry" and answer["exit"] == str(TEMPFAIL)
    assert answer["text"] and answer["hint"]
    assert before["refresh_token"] not in str(answer)
    assert sign_in_of(signed_in) == before
    office.clear_faults()
    assert token(signed_in)["token"]


@pytest.mark.parametrize("fine", ["slow 0.001", "chunked", "string-numbers",
                                  "narrow-scope", "date-offset 4000"])
def test_odd_answer_is_taken(signed_in, office, fine):
    expire(signed_in)
    office.fault(f"at token {fine} always")
    assert token(signed_in)["token"]


def test_narrowed_scope_is_logged(signed_in, office):
    expire(signed_in)
    office.fault("at token narrow-scope")
    token(signed_in)
    log = (signed_in.folder / "mail.log").read_text()
    assert "SMTP.Send was asked for and not granted" in log


def test_missing_role_is_logged(outpost, office):
    office.fault("at token no-roles")
    assert token(outpost)["token"]
    log = (outpost.folder / "mail.log").read_text()
    assert "SMTP.SendAsApp" in log


def test_passing_fault_is_not_seen(signed_in, office):
    expire(signed_in)
    office.fault("at token error AADSTS90033")
    assert token(signed_in)["token"]
    assert len(office.requests) == 2


def test_short_pause_is_waited_for(signed_in, office):
    expire(signed_in)
    office.fault("at token 429 retry-after 1")
    start = time.monotonic()
    assert token(signed_in)["token"]
    assert time.monotonic() - start >= 1


def test_long_pause_is_told_and_kept_by_all(signed_in, office):
    expire(signed_in)
    office.fault("at token 429 retry-after 100 always")
    answer = token(signed_in)
    assert answer["class"] == "throttled"
    assert 98 <= int(answer["retry_after"]) <= 100
    assert token(signed_in)["class"] == "throttled"
    assert len(office.requests) == 1


@pytest.mark.parametrize("code, exit_code, words", [
    (700082, NOPERM, "outpost login " + ACCOUNT),
    (50173, NOPERM, "outpost login " + ACCOUNT),
    (50076, NOPERM, "outpost login " + ACCOUNT),
    (53003, NOPERM, "sign-in logs"),
    (65001, NOPERM, "accept"),
    (7000215, CONFIG, "not its Secret ID"),
    (7000222, CONFIG, "new client secret"),
    (700016, CONFIG, "client_id, tenant and cloud"),
    (90002, CONFIG, "tenant and cloud"),
])
def test_refusal_says_what_to_do(signed_in, office, code, exit_code, words):
    before = sign_in_of(signed_in)
    expire(signed_in)
    office.fault(f"at token error AADSTS{code}")
    result = signed_in.run("outpost", "token")
    assert result.code == exit_code, result
    assert f"AADSTS{code}" in result.err and words in result.err
    assert "Trace ID" not in result.err
    assert sign_in_of(signed_in) == before
    log = (signed_in.folder / "mail.log").read_text()
    assert f"code={code}, trace=" in log


def test_certificate_that_nobody_vouches_for_is_refused(signed_in, tmp_path):
    (tmp_path / "none").mkdir()
    expire(signed_in)
    result = signed_in.set(ca_dir=tmp_path / "none").run("outpost", "token")
    assert result.code == CONFIG
    assert "cannot trust" in result.err and str(tmp_path) in result.err


def test_nobody_there_is_temporary(signed_in, office):
    expire(signed_in)
    office.stop()
    answer = token(signed_in, seconds=1)
    assert answer["class"] == "retry" and "cannot reach" in answer["text"]


# Credentials

def test_application_gets_a_token_with_its_secret(outpost, office):
    assert outpost.run("outpost", "token").code == OK
    assert outpost.run("outpost", "token").code == OK
    assert len(office.token_requests) == 1


def test_wrong_secret_is_not_shown(outpost):
    outpost.secret.write_text("Another~secret-value+of&some=length\n")
    result = outpost.run("outpost", "token")
    assert result.code == CONFIG and "client secret" in result.err
    assert "Another~secret" not in result.err


def test_secret_that_others_can_read_is_refused(outpost):
    outpost.secret.chmod(0o644)
    result = outpost.run("outpost", "token")
    assert result.code == CONFIG and "chmod 600" in result.err


def test_missing_secret_file_is_told(outpost):
    outpost.secret.unlink()
    result = outpost.run("outpost", "token")
    assert result.code == CONFIG and str(outpost.secret) in result.err
    assert "hint:" in result.err


def test_changed_client_asks_for_another_login(signed_in):
    signed_in.set(client_id="11111111-2222-3333-4444-555555555555")
    result = signed_in.run("outpost", "token")
    assert result.code == CONFIG
    assert "client_id" in result.err and "outpost login" in result.err


def test_shared_tenant_is_refused_for_an_application(outpost, office):
    result = outpost.set(tenant="common").run("outpost", "token")
    assert result.code == CONFIG and "tenant = common" in result.err
    assert office.requests == []


def test_secrets_show_in_no_argument_environment_or_log(signed_in, office):
    expire(signed_in)
    office.fault("at token stall 2.0 always")
    secrets = [sign_in_of(signed_in)["refresh_token"],
               record(signed_in.state / "tokens" / ACCOUNT)["token"]]
    process = signed_in.start("outpost", "token")
    seen = b""
    while process.poll() is None:
        for pid in family(process.pid):
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{name}", "rb") as file:
                        seen += file.read()
                except OSError:
                    pass
        time.sleep(0.02)
    out, err = process.communicate(timeout=30)
    assert b"\0-t\0" in seen, "the token program was seen"
    secrets += [sign_in_of(signed_in)["refresh_token"], out.decode().strip()]
    log = (signed_in.folder / "mail.log").read_bytes()
    for secret in secrets:
        assert secret.encode() not in seen + err + log


def family(pid):
    """A process and its children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [pid, *map(int, file.read().split())]
    except OSError:
        return [pid]


def test_state_that_cannot_be_written_stops_no_token(signed_in):
    tokens = signed_in.state / "tokens"
    shutil.rmtree(tokens)
    tokens.write_text("in the way")
    assert signed_in.run("outpost", "token").code == OK
    log = (signed_in.folder / "mail.log").read_text()
    assert str(tokens) in log


# The command line

@pytest.mark.parametrize("slip", ["logn", "lgoin", "loginn", "Login"])
def test_slip_of_the_fingers_names_the_command(outpost, slip):
    result = outpost.run("outpost", slip)
    assert result.code == USAGE and "outpost login" in result.err


def test_help_and_version(outpost):
    for word in ("help", "--help", "-h"):
        result = outpost.run("outpost", word)
        assert result.code == OK and "outpost login" in result.out
    assert "outpost " in outpost.run("outpost", "--version").out
    assert outpost.run("outpost").code == USAGE
    for words in (("help", "token"), ("token", "--help"), ("token", "-h")):
        result = outpost.run("outpost", *words)
        assert result.code == OK and "outpost token" in result.out
        assert "outpost login" not in result.out
    assert outpost.run("outpost", "token", "a", "b").code == USAGE
    assert outpost.run("outpost", "login", "--nothing").code == USAGE


def test_unknown_account_names_those_there_are(outpost):
    result = outpost.run("outpost", "token", "nobody@contoso.com")
    assert result.code == CONFIG and ACCOUNT in result.err


def test_configuration_is_named_by_option(outpost):
    result = outpost.run("outpost", "-C", outpost.config, "token",
                         env={"OUTPOST_CONFIG": "/nonexistent"})
    assert result.code == OK, result


def test_missing_token_program_is_told(outpost):
    result = outpost.run("outpost", "token",
                         env={"OUTPOST_LIBEXEC": "/nonexistent"})
    assert result.code == CONFIG and "/nonexistent/token" in result.err


@pytest.mark.parametrize("command", [["outpost", "token"],
                                     ["outpost", "version"], ["mailq"]])
def test_output_that_cannot_be_written_is_an_error(outpost, command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [str(BUILD / command[0]), *command[1:]], stdout=full,
            stderr=subprocess.PIPE, env=outpost.environment(), check=False)
    assert done.returncode == 74
    assert b"cannot write the output" in done.stderr
