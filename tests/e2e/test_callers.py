"""The programs that call sendmail today, run for real with ours."""
import os
import shutil
import subprocess

import pytest

from support import ACCOUNT, BUILD, OK, SANITIZED

SENDMAIL = BUILD / "sendmail"


def need(program):
    return pytest.mark.skipif(not shutil.which(program),
                              reason=f"needs {program}")


def call(outpost, *command, input=b"", env=None, expect=0):
    done = subprocess.run([str(c) for c in command], input=input,
                          capture_output=True, timeout=60,
                          cwd=outpost.folder,
                          env=outpost.environment(**(env or {})))
    assert done.returncode == expect, done
    return done


def php(outpost, code, *settings):
    return call(outpost, "php", "-n", "-d", f"sendmail_path={SENDMAIL} -t -i",
                *settings, "-r", code).stdout.decode()


@need("php")
def test_php_mail(outpost, office):
    out = php(outpost, 'var_dump(mail("a@b.example", "Subject", "Body"));')
    assert out == "bool(true)\n"
    [m] = office.messages
    assert m.mail_from == ACCOUNT
    assert m.addresses == ["a@b.example"]
    assert m.header("From")[0].endswith(f"<{ACCOUNT}>")
    assert m.header("To") == ["a@b.example"]
    assert m.header("Subject") == ["Subject"]
    assert m.body == b"Body\r\n"


@need("php")
def test_php_mail_with_headers_and_fifth_argument(outpost, office):
    out = php(outpost, r'var_dump(mail("a@b.example", "S", "one\r\ntwo", '
              r'"From: Shop <shop@shop.example>\r\nBcc: c@d.example\r\n'
              r'Content-Type: text/plain; charset=utf-8", "-fshop@shop.example"'
              '));')
    assert out == "bool(true)\n"
    [m] = office.messages
    assert sorted(m.addresses) == ["a@b.example", "c@d.example"]
    assert m.header("From") == [f"Shop <{ACCOUNT}>"]
    assert m.body == b"one\r\ntwo\r\n"
    assert m.header("Bcc") == []


@need("php")
def test_php_mail_is_false_when_nothing_was_sent(outpost, office):
    office.fault("at RCPT reply 550 5.1.1 User unknown")
    assert php(outpost, 'var_dump(mail("a@b.example", "S", "B"));') == \
        "bool(false)\n"


@need("php")
def test_php_mails_fifth_argument_leads_nowhere(outpost, office):
    """It comes from a form at times; what is sent goes the usual way."""
    (outpost.folder / "evil.conf").write_text(
        outpost.config.read_text().replace(f"host = {office.host}",
                                           "host = evil.example"))
    there = sorted(outpost.folder.iterdir())
    here = outpost.folder
    for words, sent in ((f"-C{here}/evil.conf", False), ("-bd", False),
                        ("-be", False), (f"-OQueueDirectory={here} -oQ{here} "
                                         f"-X{here}/shell.php", True)):
        out = php(outpost, 'var_dump(mail("a@b.example", "S", '
                  f'"<?php ?>", "", "{words}"));')
        assert out == f"bool({str(sent).lower()})\n", words
    assert sorted(outpost.folder.iterdir()) == there
    [m] = office.messages
    assert m.addresses == ["a@b.example"] and m.user == ACCOUNT


@need("bsd-mailx")
def test_bsd_mailx(outpost, office):
    (outpost.folder / "mailrc").write_text(f"set sendmail={SENDMAIL}\n")
    call(outpost, "bsd-mailx", "-s", "hello", "-c", "c@d.example",
         "a@b.example", input=b"Body\n.\nnot the end\n",
         env={"MAILRC": str(outpost.folder / "mailrc")})
    [m] = office.messages
    assert sorted(m.addresses) == ["a@b.example", "c@d.example"]
    assert m.header("Subject") == ["hello"]
    assert m.body.startswith(b"Body\r\n")


@need("s-nail")
def test_s_nail(outpost, office):
    call(outpost, "s-nail", "-n", "-S", f"mta={SENDMAIL}", "-S", "ttycharset="
         "utf-8", "-s", "grüße", "a@b.example", input="schöne\n".encode())
    [m] = office.messages
    assert m.addresses == ["a@b.example"]
    assert m.header("Subject")[0].lower().startswith("=?utf-8?")
    assert "From" and m.header("From")[0].endswith(f"<{ACCOUNT}>")


@need("mutt")
def test_mutt(outpost, office):
    (outpost.folder / "muttrc").write_text(
        f'set sendmail="{SENDMAIL} -oem -oi"\nset use_envelope_from=yes\n'
        f'set from="{ACCOUNT}"\nset dsn_notify="failure"\n'
        f'set dsn_return="hdrs"\nset copy=no\n'
        f'set tmpdir="{outpost.folder}"\n')
    call(outpost, "mutt", "-n", "-F", outpost.folder / "muttrc", "-s", "hello",
         "--", "a@b.example", input=b"Body\n.\nstill\n")
    [m] = office.messages
    assert m.addresses == ["a@b.example"]
    assert m.body == b"Body\r\n.\r\nstill\r\n"
    assert m.recipients[0][1].get("NOTIFY") == "FAILURE"


@need("git")
@pytest.mark.parametrize("envelope_sender", ["", "auto"])
def test_git_send_email(outpost, office, envelope_sender):
    patch = outpost.folder / "0001-x.patch"
    patch.write_text("From 0123456789012345678901234567890123456789 Mon Sep 17 "
                     "00:00:00 2001\nFrom: A U Thor <author@example.org>\n"
                     "Date: Mon, 1 Jan 2024 00:00:00 +0000\n"
                     "Subject: [PATCH] x: y\n\nWhy.\n---\n x | 1 +\n"
                     " 1 file changed\n\ndiff --git a/x b/x\n+.\n-- \n2.39\n")
    home = {"GIT_CONFIG_NOSYSTEM": "1", "EMAIL": ACCOUNT,
            "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": ACCOUNT,
            "GIT_AUTHOR_NAME": "C", "GIT_AUTHOR_EMAIL": ACCOUNT}
    options = [f"--envelope-sender={envelope_sender}"] if envelope_sender else []
    call(outpost, "git", "-c", f"sendemail.smtpServer={SENDMAIL}",
         "send-email", "--quiet", "--confirm=never", "--suppress-cc=all",
         f"--from={ACCOUNT}", "--to=list@example.org", "--cc=c@example.org",
         *options, patch, env=home)
    [m] = office.messages
    assert sorted(m.addresses) == ["c@example.org", "list@example.org"]
    assert m.mail_from == ACCOUNT
    assert b"diff --git a/x b/x\r\n+.\r\n" in m.body


CRON = ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"]


def test_crons_exact_command_line(outpost, office):
    """Debian's cron: its headers name bare users only."""
    outpost.set_main(admin="it@contoso.com")
    result = outpost.sendmail(
        *CRON, input="From: root (Cron Daemon)\nTo: root\n"
        "Subject: Cron <root@web1> /bin/backup\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=UTF-8\n"
        "Content-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n"
        "Auto-Submitted: auto-generated\n\nfailed: größe\n")
    assert result.code == OK, result
    [m] = office.messages
    assert m.addresses == ["it@contoso.com"]
    assert m.mail_from == ACCOUNT
    assert len(m.header("From")) == 1 and ACCOUNT in m.header("From")[0]
    assert m.header("X-Original-From") == ["root (Cron Daemon)"]
    assert m.header("Subject") == ["Cron <root@web1> /bin/backup"]
    assert m.body == "failed: größe\r\n".encode()


def test_cronies_exact_command_line(outpost, office):
    outpost.set_main(admin="it@contoso.com")
    result = outpost.sendmail(
        "-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root",
        input='From: "(Cron Daemon)" <root>\nTo: root\nSubject: s\n\nout\n')
    assert result.code == OK, result
    assert office.messages[0].addresses == ["it@contoso.com"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("cron")
                    or SANITIZED or not shutil.which("unshare"),
                    reason="needs root, cron and unshare")
def test_a_real_run_of_cron(outpost, office):
    """cron itself, in a mount namespace where /usr/sbin/sendmail is ours and
    the crontabs are one of our own. The job runs within a minute."""
    crontabs = outpost.folder / "crontabs"
    crontabs.mkdir(mode=0o1730)
    tab = crontabs / "root"
    tab.write_text(f"OUTPOST_CONFIG={outpost.config}\n"
                   f"OUTPOST_LIBEXEC={BUILD}\n"
                   "* * * * * echo from-cron\n")
    tab.chmod(0o600)
    empty = outpost.folder / "empty"
    empty.mkdir()
    wrapper = outpost.folder / "sendmail"
    # cron gives its mailer cron's own environment, not the crontab's.
    wrapper.write_text(f"#!/bin/sh\nexport OUTPOST_CONFIG={outpost.config} "
                       f"OUTPOST_LIBEXEC={BUILD}\nexec {SENDMAIL} \"$@\"\n")
    wrapper.chmod(0o755)
    outpost.set_main(admin="it@contoso.com")
    script = f"""
mount --bind {crontabs} /var/spool/cron/crontabs
mount --bind {empty} /etc/cron.d
: > {outpost.folder}/crontab
mount --bind {outpost.folder}/crontab /etc/crontab
[ -e /usr/sbin/sendmail ] || touch /usr/sbin/sendmail
mount --bind {wrapper} "$(readlink -f /usr/sbin/sendmail)"
mount -t tmpfs tmpfs /run
exec cron -f
"""
    had_sendmail = os.path.lexists("/usr/sbin/sendmail")
    process = subprocess.Popen(["unshare", "-m", "/bin/sh", "-ec", script],
                               env=outpost.environment(),
                               stdin=subprocess.DEVNULL)
    try:
        [m] = office.wait_messages(1, timeout=75)
    finally:
        process.kill()
        process.wait()
        if not had_sendmail and os.path.lexists("/usr/sbin/sendmail"):
            os.unlink("/usr/sbin/sendmail")
    assert m.addresses == ["it@contoso.com"]
    assert m.body == b"from-cron\r\n"
    assert "echo from-cron" in m.header("Subject")[0]
