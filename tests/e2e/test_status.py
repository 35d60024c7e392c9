"""outpost status: one line for monitoring, an exit code to match, and all
there is to know below it."""
import json
import os
import re
import subprocess
import time

import pytest

from support import ACCOUNT, USAGE

FINE, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
DAY = 86400
SIMPLE = "To: a@example.org\nSubject: hello\n\nBody\n"
SWITCHED_OFF = ("535 5.7.139 Authentication unsuccessful, "
                "SmtpClientAuthentication is disabled for the Mailbox.")


def status(outpost, code=FINE):
    """What --json says, after the code and the summary of the same for
    people."""
    shown = outpost.run("outpost", "status")
    assert shown.code == code and shown.err == "", shown
    result = outpost.run("outpost", "status", "--json")
    assert result.code == code and result.err == "", result
    answer = json.loads(result.out)
    summary = shown.out.splitlines()[0]
    assert summary.startswith(f"OUTPOST {answer['status']}: ")
    answer["summary"], answer["shown"] = summary, shown.out
    return answer


def age(path, **fields):
    """Set fields of a record."""
    lines = [l if l.split(": ")[0] not in fields else
             f"{l.split(': ')[0]}: {fields[l.split(': ')[0]]}"
             for l in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")


def test_all_is_well_and_the_figures_are_there(outpost):
    outpost.send(SIMPLE)
    answer = status(outpost)
    assert answer["status"] == "OK" and answer["findings"] == []
    assert answer["summary"] == "OUTPOST OK: 1 account, 0 waiting in the queue"
    [account] = answer["accounts"]
    assert account["account"] == ACCOUNT
    assert account["messages"] == 1 and account["recipients"] == 1
    assert (account["rate"], account["daily"]) == (30, 10000)
    assert account["token_expires"] > time.time()
    assert not account["on_hold"]
    assert answer["queue"]["deferred"] == 0


def test_an_account_on_hold_is_critical_and_says_why(outpost, office):
    office.fault(f"at AUTH reply {SWITCHED_OFF} always")
    outpost.send(SIMPLE)
    answer = status(outpost, CRITICAL)
    assert f"'{ACCOUNT}' is on hold: " in answer["summary"]
    assert "switched off" in answer["summary"]
    assert "Set-CASMailbox" in answer["findings"][0]["hint"]
    assert "Set-CASMailbox" in answer["shown"]
    assert f"'outpost check {ACCOUNT}' tries now" in answer["shown"]
    [account] = answer["accounts"]
    assert account["on_hold"] and account["next_probe"] > time.time()
    assert answer["queue"]["deferred"] == 1


def test_a_server_out_of_reach_is_a_warning(outpost, office):
    outpost.set(port=1)
    outpost.send(SIMPLE)
    assert "out of reach" in status(outpost, WARNING)["summary"]


@pytest.mark.parametrize("days, code", [
    (1, FINE), (74, FINE), (76, WARNING), (91, CRITICAL)])
def test_a_sign_in_has_ninety_days(signed_in, days, code):
    age(signed_in.state / "secrets" / ACCOUNT,
        last_used=int(time.time() - days * DAY - 60))
    answer = status(signed_in, code)
    assert f"last used {days if days > 1 else '24'}" in answer["shown"]
    if code != FINE:
        assert "90" in answer["summary"]


def test_nobody_signed_in_is_critical(outpost, office):
    outpost.set(auth="login", client_id=office.client_id,
                client_secret_file=None)
    answer = status(outpost, CRITICAL)
    assert f"outpost login {ACCOUNT}" in answer["findings"][0]["hint"]


def test_who_has_signed_in_is_not_told_to(signed_in, office):
    """Login cannot lift a hold, which is another user's file."""
    sign_in = (signed_in.state / "secrets" / ACCOUNT).rename(
        signed_in.folder / "sign-in")
    signed_in.run("outpost", "logout")
    signed_in.send(SIMPLE)
    answer = status(signed_in, CRITICAL)
    assert "has not signed in" in answer["findings"][0]["text"]
    sign_in.rename(signed_in.state / "secrets" / ACCOUNT)
    age(signed_in.state / "state" / f"{ACCOUNT}=hold",
        refused=int(time.time()) - 60)
    signed_in.run("outpost", "token")
    answer = status(signed_in, WARNING)
    assert f"outpost check {ACCOUNT}" in answer["findings"][0]["hint"]
    assert "outpost login" not in answer["shown"]
    signed_in.run("outpost", "check")
    assert status(signed_in)["findings"] == []


def certificate(outpost, days):
    path = outpost.folder / "app.pem"
    dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + d * DAY))
             for d in (-400, days)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
         path, "-out", f"{path}.crt", "-subj", "/CN=Outpost", "-days", "1"],
        check=True, capture_output=True)
    script = (
        "import sys, datetime\n"
        "from cryptography import x509\n"
        "from cryptography.hazmat.primitives import hashes, serialization\n"
        "path, before, after = sys.argv[1:]\n"
        "key = serialization.load_pem_private_key(open(path,'rb').read(), None)\n"
        "name = x509.Name([])\n"
        "when = lambda t: datetime.datetime.strptime(t, '%Y%m%d%H%M%SZ')\n"
        "c = (x509.CertificateBuilder().subject_name(name).issuer_name(name)\n"
        "     .public_key(key.public_key()).serial_number(1)\n"
        "     .not_valid_before(when(before)).not_valid_after(when(after))\n"
        "     .sign(key, hashes.SHA256()))\n"
        "open(path, 'ab').write(c.public_bytes(serialization.Encoding.PEM))\n")
    subprocess.run(["/usr/bin/python3", "-c", script, path, *dates],
                   check=True)
    path.chmod(0o600)
    outpost.set(auth="certificate", certificate=path, client_secret_file=None)


@pytest.mark.parametrize("days, code", [
    (90.5, FINE), (20.5, WARNING), (-1, CRITICAL)])
def test_a_certificate_is_told_of_before_it_ends(outpost, days, code):
    certificate(outpost, days)
    answer = status(outpost, code)
    if code == WARNING:
        assert "expires in 20 days" in answer["summary"]
    if code == CRITICAL:
        assert "has expired" in answer["summary"]


def test_most_of_a_day_is_a_warning(outpost):
    outpost.set(daily=5)
    outpost.send("To: a@x.example, b@x.example, c@x.example\n\nB\n")
    assert status(outpost)["accounts"][0]["recipients"] == 3
    outpost.send(SIMPLE)
    assert "4 of 5 recipients" in status(outpost, WARNING)["summary"]


def test_mail_that_waits_for_long_is_a_warning(outpost):
    outpost.sendmail("-odq", "-t", input=SIMPLE)
    assert status(outpost)["queue"]["deferred"] == 1
    [entry] = outpost.waiting()
    text = entry.path.read_bytes()
    arrived = int(time.time()) - 5 * 3600
    entry.path.write_bytes(
        re.sub(rb"\narrived: \d+", b"\narrived: %d" % arrived, text))
    assert "waits in the queue for 5 hours" in \
        status(outpost, WARNING)["summary"]


def test_what_was_set_aside_is_a_warning(outpost):
    outpost.sendmail("-odq", "-t", input=SIMPLE)
    outpost.waiting()[0].path.write_text("rubbish")
    outpost.run("sendmail", "-qf")
    answer = status(outpost, WARNING)
    assert answer["queue"]["corrupt"] == 1
    assert "set aside" in answer["summary"]


def test_without_a_configuration_it_is_unknown(outpost):
    outpost.config.unlink()
    for args in ((), ("--json",), ("--prometheus",)):
        result = outpost.run("outpost", "status", *args)
        assert result.code == UNKNOWN
        assert result.out.startswith("OUTPOST UNKNOWN: configuration: ")
        assert result.err == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_queue_that_cannot_be_read_is_unknown(outpost):
    outpost.queue.rename(outpost.folder / "elsewhere")
    outpost.queue.write_text("in the way")
    assert status(outpost, UNKNOWN)["status"] == "UNKNOWN"


def test_prometheus_reads_it(outpost, office):
    office.fault(f"at AUTH reply {SWITCHED_OFF} always")
    outpost.send(SIMPLE)
    result = outpost.run("outpost", "status", "--prometheus")
    assert result.code == FINE, result
    values, typed = {}, set()
    for line in result.out.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name.split("{")[0] in typed, line
            values[name] = float(value)
    assert values["outpost_status"] == CRITICAL
    assert values[f'outpost_on_hold{{account="{ACCOUNT}"}}'] == 1
    assert values['outpost_queue_messages{state="deferred"}'] == 1
    assert values[f'outpost_recipients_in_day_limit{{account="{ACCOUNT}"}}'] \
        == 10000


def test_wrong_use_is_told(outpost):
    result = outpost.run("outpost", "status", "--xml")
    assert result.code == USAGE and "--xml" in result.err
