"""What arrives of what was written: envelope, header, body."""
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from support import (ACCOUNT, APP, BUILD, CONFIG, DATAERR, NOPERM, NOUSER, OK,
                     SECRET, UNAVAILABLE, UNDER, USAGE, canonical)

SIMPLE = "To: a@example.org\nSubject: hello\n\nBody\n"


def test_recipients_come_from_the_header_with_t(outpost):
    m = outpost.send("To: a@example.org, B <b@example.org>\nCc: c@example.org\n"
                     "Bcc: d@example.org\nSubject: s\n\nBody\n")
    assert sorted(m.addresses) == [f"{x}@example.org" for x in "abcd"]
    assert m.mail_from == ACCOUNT


def test_arguments_and_header_recipients_are_united_without_doubles(outpost):
    m = outpost.send(SIMPLE, "-i", "a@EXAMPLE.org", "x@example.org")
    assert sorted(a.lower() for a in m.addresses) == ["a@example.org",
                                                      "x@example.org"]


def test_arguments_alone_are_the_recipients_without_t(outpost, office):
    result = outpost.sendmail("-f", ACCOUNT, "x@example.org",
                              input="To: nobody@example.org\n\nBody\n")
    assert result.code == OK, result
    assert office.messages[0].addresses == ["x@example.org"]


def test_bcc_never_travels_however_it_is_spelt(outpost):
    m = outpost.send("To: a@example.org\nBcc: b@example.org\nBCC : c@example.org"
                     "\nResent-Bcc: d@example.org\nSubject: s\n\nBody\n")
    # In the hexadecimal of a Message-ID these letters may well stand.
    assert not re.search(rb"(?im)^(resent-)?bcc\b", m.raw)
    assert b"b@example.org" not in m.raw and b"d@example.org" not in m.raw


def test_missing_fields_are_added(outpost):
    m = outpost.send(SIMPLE)
    assert m.header("From")[0].endswith(f"<{ACCOUNT}>")
    assert re.fullmatch(r"<[^<>@ ]+@contoso\.com>", m.header("Message-ID")[0])
    assert re.fullmatch(r"\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
                        m.header("Date")[0])
    assert len(m.header("Received")) == 1


def test_present_fields_stay_as_they_are(outpost):
    given = ("Date: Mon, 01 Jan 2024 00:00:00 +0000",
             "Message-ID: <mine@example.org>", f"From: Alerts <{ACCOUNT}>",
             "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=",
             "X-Folded: one\r\n two\r\n\tthree")
    m = outpost.send("\n".join(given) + "\nTo: a@example.org\n\nBody\n")
    for field in given:
        assert canonical(field) in m.raw
    assert m.message_id == "<mine@example.org>"


def test_a_foreign_from_becomes_the_account(outpost):
    m = outpost.send("From: Web Shop <shop@shop.example>\nTo: a@example.org\n"
                     "Subject: order\n\nBody\n")
    assert m.mail_from == ACCOUNT
    assert m.header("From") == [f"Web Shop <{ACCOUNT}>"]
    assert m.header("X-Original-From") == ["Web Shop <shop@shop.example>"]
    assert "shop@shop.example" in m.header("Reply-To")[0]


def test_a_local_from_says_which_host_it_was(outpost):
    m = outpost.send("From: root (Cron Daemon)\nTo: a@example.org\n\nBody\n")
    assert m.header("From")[0].endswith(f"<{ACCOUNT}>")
    assert "Cron Daemon" in m.header("From")[0] or \
        "root on " in m.header("From")[0]
    assert m.header("Reply-To") == []


def test_send_as_is_left_alone_and_becomes_the_envelope_sender(outpost, office):
    office.mailbox(ACCOUNT).send_as.append("noreply@contoso.com")
    outpost.set(send_as="noreply@contoso.com")
    m = outpost.send("From: No Reply <noreply@contoso.com>\nTo: a@example.org\n"
                     "\nBody\n", "-f", "noreply@contoso.com")
    assert m.mail_from == "noreply@contoso.com"
    assert m.header("From") == ["No Reply <noreply@contoso.com>"]
    assert m.header("X-Original-From") == []


def test_a_foreign_from_can_be_rejected_instead(outpost, office):
    outpost.set(foreign_from="reject")
    result = outpost.send("From: shop@shop.example\nTo: a@example.org\n\nB\n",
                          expect=NOPERM)
    assert "foreign_from" in result.err or "send_as" in result.err
    assert office.messages == []


def test_cron_sends_where_foreign_addresses_are_rejected(outpost):
    m = outpost.set(foreign_from="reject").send(
        "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1> x\n\nB\n",
        "-FCronDaemon")
    assert m.header("From") == [f"Cron Daemon <{ACCOUNT}>"]
    assert m.header("X-Original-From") == ["root (Cron Daemon)"]


IDN = ("From: Chef <chef@kuchen.example>\nTo: Küche <rezept@bücher.example>\n"
       "Cc: koch@BÜCHER.example (Ärger), plain@example.org\nSubject: s\n\nB\n")


def test_international_domains_go_as_a_labels(outpost, office):
    office.fault("at EHLO2 no-extension SMTPUTF8 always")
    m = outpost.send(IDN)
    assert m.addresses == ["rezept@xn--bcher-kva.example",
                           "koch@xn--bcher-kva.example", "plain@example.org"]
    assert "SMTPUTF8" not in m.mail_parameters
    assert m.raw.isascii()
    assert "<rezept@xn--bcher-kva.example>" in m.header("To")[0]
    assert "koch@xn--bcher-kva.example" in m.header("Cc")[0]
    result = outpost.sendmail("rezept@bücher.example", input="\nB\n")
    assert result.code == OK, result


def test_a_local_part_beyond_ascii_needs_smtputf8(outpost, office):
    m = outpost.send("To: käse@bücher.example\n\nB\n")
    assert m.addresses == ["käse@xn--bcher-kva.example"]
    assert "SMTPUTF8" in m.mail_parameters


def test_a_foreign_from_needs_no_smtputf8(outpost, office):
    office.fault("at EHLO2 no-extension SMTPUTF8 always")
    m = outpost.send("From: käse@bücher.example\nSender: ä@x.example\n"
                     "To: a@example.org\n\nB\n")
    assert m.raw.isascii() and m.header("Reply-To") == []


def test_without_the_library_international_domains_need_smtputf8(outpost):
    outpost.send(SIMPLE)        # the token program needs the library itself
    # Root's sendmail is nobody, to whom pytest's own folder is closed.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        Path(folder, "libidn2.so.0").touch()
        result = outpost.sendmail("-t", input=IDN,
                                  env={"LD_LIBRARY_PATH": folder})
    assert result.code == OK, result
    m = outpost.office.messages[1]
    assert m.addresses[0] == "rezept@bücher.example"
    assert "SMTPUTF8" in m.mail_parameters


def test_an_account_and_its_senders_may_have_international_domains(
        outpost, office):
    ascii, written = "info@xn--bcher-kva.example", "info@bücher.example"
    office.add_mailbox(ascii, send_as=["shop@xn--bcher-kva.example"])
    office.add_app(APP, secret=SECRET, roles=["SMTP.SendAsApp"],
                   mailboxes=[ascii])
    keys = outpost.accounts.pop(ACCOUNT)
    outpost.set(written, send_as="shop@bücher.example", **keys)
    m = outpost.send("From: shop@bücher.example\nTo: a@example.org\n\nB\n")
    assert m.mail_from == "shop@xn--bcher-kva.example"
    assert m.header("From") == ["<shop@xn--bcher-kva.example>"]
    assert m.session.user == ascii
    assert outpost.run("outpost", "token", written).code == OK


def test_a_header_in_utf8_announces_eight_bits(outpost):
    m = outpost.send("To: käse@example.org\n\nB\n")
    assert m.addresses == ["käse@example.org"]
    assert "SMTPUTF8" in m.mail_parameters
    assert m.mail_parameters["BODY"] == "8BITMIME"


def test_several_senders_become_one(outpost):
    m = outpost.send("From: a@x.example, b@y.example\nSender: a@x.example\n"
                     "To: a@example.org\n\nBody\n")
    assert len(m.header("From")) == 1 and ACCOUNT in m.header("From")[0]
    assert "a@x.example" in m.header("Reply-To")[0]
    assert "b@y.example" in m.header("Reply-To")[0]
    assert m.header("Sender") == []
    assert m.header("X-Original-Sender") == ["a@x.example"]


def test_the_full_name_option_names_a_missing_from(outpost):
    m = outpost.send(SIMPLE, "-F", "Nächtlicher Lauf")
    assert m.header("From")[0].startswith("=?utf-8?")
    m = outpost.send("From: Given <x@y.example>\n" + SIMPLE, "-FOther")
    assert m.header("From") == [f"Given <{ACCOUNT}>"]


def test_a_name_cannot_smuggle_a_header_in(outpost):
    m = outpost.send(SIMPLE, "-F", "x\nBcc: victim@example.org\n\nbody")
    assert m.addresses == ["a@example.org"]
    assert m.header("Bcc") == []
    assert m.body == b"Body\r\n"


@pytest.mark.parametrize("sender", ["<>", "", "MAILER-DAEMON"])
def test_null_senders_go_out_as_the_account(outpost, sender):
    m = outpost.send(SIMPLE, "-f", sender)
    assert m.mail_from == ACCOUNT
    assert m.header("Auto-Submitted")
    assert m.header("X-Auto-Response-Suppress")


def test_mail_for_a_local_user_goes_to_admin(outpost):
    outpost.set_main(admin="it@contoso.com")
    m = outpost.send("To: root\nSubject: s\n\nBody\n")
    assert m.addresses == ["it@contoso.com"]
    assert m.header("To")[0].endswith("<it@contoso.com>") or \
        m.header("To") == ["it@contoso.com"]


def test_mail_for_a_local_user_goes_to_the_account_without_admin(outpost):
    assert outpost.send("To: root@localhost\n\nB\n").addresses == [ACCOUNT]


def test_domains_are_local_too_but_never_an_accounts(outpost):
    outpost.set_main(admin="it@contoso.com",
                     domains="contoso.internal, contoso.com")
    m = outpost.send("To: x@contoso.internal, y@contoso.com\n\nB\n")
    assert sorted(m.addresses) == ["it@contoso.com", "y@contoso.com"]


@pytest.mark.parametrize("body, arrives", [
    (b"", b""),
    (b"no final newline", b"no final newline\r\n"),
    (b"crlf\r\nlf\ncr\rend\n", b"crlf\r\nlf\r\ncr\r\nend\r\n"),
    (b"a\0b\n", b"ab\r\n"),
    (b".leading\n..two\n...\n", b".leading\r\n..two\r\n...\r\n"),
    (b"\n\n\n", b"\r\n\r\n\r\n"),
    ("grüße\n".encode(), "grüße\r\n".encode()),
    (b"\xff\xfe latin \xe9\n", b"\xff\xfe latin \xe9\r\n"),
    (b"From the start\n>From too\n", b"From the start\r\n>From too\r\n"),
], ids=lambda v: repr(v[:12]))
def test_bodies_arrive_as_written(outpost, body, arrives):
    m = outpost.send(b"To: a@example.org\nSubject: s\n\n" + body, "-i")
    assert m.body == arrives
    assert m.violations == []


def test_a_lone_dot_ends_the_message_only_without_i(outpost):
    text = "To: a@example.org\n\nbefore\n.\nafter\n"
    assert outpost.send(text).body == b"before\r\n"
    assert outpost.send(text, "-i").body == b"before\r\n.\r\nafter\r\n"
    assert outpost.send(text, "-oi").body == b"before\r\n.\r\nafter\r\n"


@pytest.mark.parametrize("text, broken, code", [
    ("To: a@example.org\n\nbody\n", {"client_id": ""}, CONFIG),
    ("To: a b\n\nbody\n", {}, DATAERR),
    ("To: a@example.org\n\nbody\n", {"host": "127.0.0.1", "port": 1}, OK),
])
def test_who_ends_by_a_dot_and_waits_gets_every_answer(outpost, text, broken,
                                                        code):
    process = outpost.set(**broken).start("sendmail", "-t")
    process.stdin.write(text.encode() + b".\n")
    process.stdin.flush()                   # and stays open
    assert process.wait(60) == code


def test_input_that_does_not_wait_is_waited_for(outpost, office):
    """O_NONBLOCK is left on a pipe by a caller that runs an event loop."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    process = subprocess.Popen([*UNDER, str(BUILD / "sendmail"), "-t"],
                               stdin=read, env=outpost.environment())
    for piece in ("To: a@example.org\n", "Subject: hello\n\n", "Body\n"):
        time.sleep(0.3)
        os.write(write, piece.encode())
    os.close(write)
    assert process.wait(60) == OK
    assert office.messages[0].body == b"Body\r\n"


def test_8bit_text_is_declared(outpost):
    m = outpost.send("To: a@example.org\n\ngrüße\n")
    assert m.mail_parameters.get("BODY") == "8BITMIME"
    assert m.header("MIME-Version") == ["1.0"]
    assert "utf-8" in m.header("Content-Type")[0].lower()


def test_raw_8bit_headers_become_encoded_words(outpost):
    m = outpost.send("To: a@example.org\nSubject: Grüße\n\nBody\n")
    assert m.header("Subject") == ["=?utf-8?Q?Gr=C3=BC=C3=9Fe?="] or \
        m.header("Subject")[0].lower().startswith("=?utf-8?")
    assert m.raw.split(b"\r\n\r\n")[0].isascii()


def test_the_first_line_of_an_mbox_is_dropped(outpost):
    m = outpost.send("From root@web1 Mon Jan  1 00:00:00 2024\n" + SIMPLE)
    assert not m.raw.startswith(b"From ") and b"\nFrom root" not in m.raw


def test_crlf_input_arrives_as_lf_input_does(outpost):
    first = outpost.send(SIMPLE)
    second = outpost.send(SIMPLE.replace("\n", "\r\n"))
    assert first.body == second.body == b"Body\r\n"
    assert first.header("Subject") == second.header("Subject") == ["hello"]


def test_text_without_a_header_is_all_body(outpost, office):
    assert outpost.sendmail("a@example.org",
                            input="just text\nmore\n").code == OK
    assert office.messages[0].body == b"just text\r\nmore\r\n"


def test_header_without_a_body(outpost):
    assert outpost.send("To: a@example.org\nSubject: s\n").body == b""


def test_delivery_status_wishes_go_to_the_server(outpost):
    m = outpost.send(SIMPLE, "-N", "failure,delay", "-R", "hdrs", "-V", "id=1")
    assert m.mail_parameters["RET"] == "HDRS"
    assert m.mail_parameters["ENVID"] == "id+3D1"
    assert m.recipients[0][1]["NOTIFY"] == "FAILURE,DELAY"


def test_resent_recipients_win(outpost):
    m = outpost.send("Resent-From: me@contoso.com\nResent-To: new@example.org\n"
                     "To: old@example.org\nFrom: x@y.example\n\nBody\n")
    assert m.addresses == ["new@example.org"]


# What is wrong is said, and nothing is sent.

@pytest.mark.parametrize("arguments, text, code, word", [
    ((), SIMPLE, USAGE, "recipients"),
    (("-t",), "Subject: s\n\nB\n", USAGE, "no recipients"),
    (("-t",), "", USAGE, "no recipients"),
    (("-t",), "To: undisclosed-recipients:;\n\nB\n", USAGE, "no recipients"),
    (("-t",), "To: a@@b\n\nB\n", DATAERR, "To"),
    (("-t",), "Received: x\n" * 101 + SIMPLE, UNAVAILABLE, "101 hosts"),
    (("-t", "-h", "3"), "Received: x\n" * 4 + SIMPLE, UNAVAILABLE, "mail loop"),
    (("not an address",), SIMPLE, DATAERR, "not an address"),
    (("a@b..c",), SIMPLE, DATAERR, "a@b..c"),
    (("ada@",), SIMPLE, DATAERR, "'ada@'"),
    (("a@example.org\nRCPT TO:<x@y>",), SIMPLE, DATAERR, ""),
    (("-f", "a b", "x@example.org"), SIMPLE, DATAERR, ""),
    (("-f", "a@b\nc", "x@example.org"), SIMPLE, DATAERR, ""),
])
def test_bad_use_is_told_and_nothing_is_sent(outpost, office, arguments, text,
                                             code, word):
    result = outpost.sendmail(*arguments, input=text)
    assert result.code == code, result
    assert result.err.startswith("sendmail: ") and word in result.err
    assert "hint: " in result.err or code != USAGE
    assert result.out == ""
    assert office.messages == [] and office.sessions == []


def test_a_configuration_with_a_mistake_names_file_and_line(outpost):
    outpost.set(tennant="x")
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == CONFIG
    assert re.search(r"outpost\.conf:\d+: unknown key 'tennant'", result.err)
    assert "did you mean 'tenant'?" in result.err


def test_a_configuration_that_is_not_there(outpost):
    outpost.config.unlink()
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == CONFIG and str(outpost.config) in result.err


def test_no_account_for_the_sender_names_those_there_are(outpost, office):
    office.add_mailbox("it@contoso.com")
    outpost.set("it@contoso.com", tenant=office.tenant, client_id="x")
    result = outpost.sendmail("-f", "x@elsewhere.example", "-t", input=SIMPLE)
    assert result.code == CONFIG
    assert ACCOUNT in result.err and "it@contoso.com" in result.err


def test_users_may_be_kept_from_an_account(outpost, office):
    outpost.set(users="someone-else")
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code in (OK, NOPERM)      # root may use all


# Size.

def test_a_header_line_of_a_megabyte_is_refused_in_words(outpost, office):
    result = outpost.sendmail("-t", input="To: a@example.org\nX: " +
                              "x" * 1100000 + "\n\nB\n")
    assert result.code == DATAERR, result
    assert office.messages == []


def test_a_header_line_over_998_octets_is_folded(outpost):
    m = outpost.send("To: a@example.org\nX-Long: " + "word " * 1000 +
                     "\n\nBody\n")
    assert max(map(len, m.raw.split(b"\r\n"))) <= 998
    assert m.header("X-Long")[0].split() == ["word"] * 1000


def test_lines_over_998_octets_arrive_in_legal_pieces(outpost):
    m = outpost.send("To: a@example.org\nContent-Type: multipart/mixed;"
                     " boundary=b\nMIME-Version: 1.0\n\n--b\n\n" +
                     "y" * 5000 + "\n--b--\n")
    assert m.violations == []
    assert m.body.replace(b"\r\n ", b"") == \
        canonical("--b\n\n" + "y" * 5000 + "\n--b--\n")


PEOPLE = [f"u{i}@example.org" for i in range(10000)]


def test_ten_thousand_recipients(outpost, office):
    outpost.set(max_recipients="500")
    result = outpost.sendmail("-t", input="Bcc: " + ",\n ".join(PEOPLE) +
                              "\nSubject: s\n\nB\n", timeout=120)
    assert result.code == OK, result
    reached = [a for m in office.messages for a in m.addresses]
    assert sorted(reached) == sorted(PEOPLE)
    assert len(office.messages) == 20
    assert len(office.sessions) == 1


def test_ten_thousand_recipients_in_to_are_too_many_for_exchange(outpost,
                                                                  office):
    """It takes no field over 32,768 octets, and says so at the end of DATA:
    one try, one sentence."""
    result = outpost.sendmail("-t", input="To: " + ",\n ".join(PEOPLE) +
                              "\nSubject: s\n\nB\n", timeout=120)
    assert result.code == DATAERR, result
    assert "32768" in result.err and "hint: " in result.err
    assert office.sessions[0].commands.count("DATA") == 1
    assert office.messages == []


def test_binary_rubbish_is_delivered_or_refused_but_never_a_crash(outpost):
    rubbish = bytes(range(256)) * 64
    result = outpost.sendmail("a@example.org", input=rubbish)
    assert result.code in (OK, DATAERR), result
    result = outpost.sendmail("-t", input=b"To: a@example.org\n" + rubbish)
    assert result.code in (OK, DATAERR), result


def test_too_large_a_message_is_refused_before_it_is_sent(outpost, office):
    outpost.set(max_size="1M")
    result = outpost.sendmail("-t", input=SIMPLE + "x\n" * 600000)
    assert result.code == 69, result
    assert "max_size" in result.err
    assert office.sessions == []
