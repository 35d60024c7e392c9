"""Nothing of a message changes but what the manual says."""
import base64
import hashlib
import re
import subprocess

import pytest

from byte_check import Written
from samples import ADDRESSED, SAMPLES, TO, long_lines
from support import ACCOUNT, OK, ROOT, canonical
from test_bs import Client

FUZZED = {f"fuzz-{path.name}": path.read_bytes() for path in
          sorted((ROOT / "tests/fuzz/corpus/header").iterdir())}


@pytest.fixture
def busy(outpost):
    """An account whose allowance is never used up."""
    return outpost.set(rate="1000/1m")


def judged(name, raw, message, **rules):
    """What is wrong with it, told with its name."""
    written = Written(raw, ACCOUNT, **rules)
    return [f"{name}: {fault}" for fault in
            [*written.faults(message.raw), *message.violations]]


def bring(client, samples):
    """Send each by BDAT, which takes any byte; what was refused is told."""
    client.say("EHLO localhost", 250)
    for name, raw in samples.items():
        client.envelope()
        client.write(b"BDAT %d LAST\r\n" % len(raw) + raw)
        code, text = client.reply()
        if code != 250:
            yield f"{name}: {code} {text}"


def test_every_sample_arrives_as_written(busy, office):
    """All over one connection."""
    samples = {**SAMPLES, **FUZZED}
    with Client(busy) as client:
        faults = [*bring(client, samples)]
    for sample, message in zip(samples.items(), office.messages):
        faults += judged(*sample, message)
    assert not faults, "\n".join(faults)


def test_the_queue_changes_nothing_either(busy, office):
    with Client(busy, "-bs", "-odq") as client:
        faults = [*bring(client, SAMPLES)]
    assert office.messages == []
    assert busy.sendmail("-q").code == OK
    for sample, message in zip(SAMPLES.items(), office.messages):
        faults += judged(*sample, message)
    assert len(office.messages) == len(SAMPLES)
    assert not faults, "\n".join(faults)


def test_samples_reach_whom_they_name(busy):
    faults = []
    for name, (raw, recipients) in ADDRESSED.items():
        if isinstance(recipients, str):
            recipients = [f"{letter}@x.example" for letter in recipients]
        message = busy.send(raw, "-i")
        if message.addresses != recipients:
            faults.append(f"{name}: went to {message.addresses}")
        faults += judged(name, raw, message)
    assert not faults, "\n".join(faults)


def test_what_is_sent_on_behalf_of_others_changes_as_told(busy, office):
    office.mailbox(ACCOUNT).send_as.append("noreply@contoso.com")
    busy.set(send_as="noreply@contoso.com").set_main(admin="it@contoso.com")
    own = TO + b"From: No (\xc3\x84) <noreply@contoso.com>\nSubject: s\n\nB\n"
    local = TO + b"Cc: root, Web (\xc3\x84) <www-data>\nFrom: root\n\nB\n"
    dots = TO + b"Subject: s\n\n..\n.\nnot this\n"
    for raw, options, rules in (
            (own, ("-i",), {"send_as": ("noreply@contoso.com",)}),
            (local, ("-i",), {"shown": "it@contoso.com"}),
            (local, ("-i", "-f", "<>"),
             {"shown": "it@contoso.com", "from_nobody": True}),
            (dots, (), {"ignore_dots": False})):
        message = busy.send(raw, *options)
        assert judged(options, raw, message, **rules) == []


# Signed mail.

def openssl(*arguments, input=b""):
    return subprocess.run(["openssl", *map(str, arguments)], input=input,
                          capture_output=True, check=True).stdout


@pytest.fixture
def signer(tmp_path):
    """Options of `openssl smime` that name a key and its certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=alerts",
            "-addext", "extendedKeyUsage=emailProtection",
            "-keyout", key, "-out", certificate)
    return "-signer", certificate, "-inkey", key


def test_signatures_of_smime_hold_where_they_arrive(busy, signer):
    text = b"Content-Type: text/plain\n\n.\nFrom here \n\tto there\t\n\n\n"
    for kind in ((), ("-nodetach",), ("-binary",)):
        signed = openssl("smime", "-sign", *kind, *signer,
                         input=canonical(text))
        message = busy.send(TO + b"Subject: s\n" + signed, "-i")
        assert judged(kind, TO + b"Subject: s\n" + signed, message) == []
        assert openssl("smime", "-verify", "-CAfile", signer[1],
                       input=message.raw) == canonical(text)


PGP = (b"--frontier\nContent-Type: text/plain; charset=utf-8\n\n.\nSigned \n"
       b"-- \nSignature=20\n\n--frontier\n"
       b"Content-Type: application/pgp-signature\n\n"
       b"-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n"
       b"--frontier--\n")


def test_a_signed_part_is_byte_for_byte(busy):
    message = busy.send(
        TO + b"Content-Type: multipart/signed; boundary=frontier;\n"
        b" micalg=pgp-sha512; protocol=\"application/pgp-signature\"\n"
        b"MIME-Version: 1.0\n\nPreamble\n" + PGP, "-i")
    assert message.body == canonical(b"Preamble\n" + PGP)


def dkim_hashes(raw, names):
    """What a DKIM signature covers (RFC 6376 section 3.7): the body in its
    simple form, the fields in their relaxed one."""
    head, _, body = canonical(raw).partition(b"\r\n\r\n")
    body = re.sub(rb"(\r\n)*$", b"", body) + b"\r\n"
    fields = {}
    for field in re.split(rb"\r\n(?![ \t])", head):
        name, _, value = field.partition(b":")
        value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b""))
        fields[name.decode().strip().lower()] = value.strip()
    signed = "".join(f"{name}:{fields[name]}\r\n" for name in names)
    return [base64.b64encode(hashlib.sha256(part).digest())
            for part in (body, signed.encode())]


def test_what_dkim_signs_arrives_unchanged(busy):
    names = ["from", "to", "subject", "date", "message-id", "mime-version",
             "content-type", "dkim-signature"]
    raw = (b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=contoso.com"
           b";\n\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMp"
           b"JWZG3hSuFU=;\n\tb=" + b"A" * 1200 + b"\n"
           b"From: Alerts  <alerts@contoso.com>\nSubject:  a \n\tb\n" + TO +
           b"Date: Mon, 01 Jan 2024 00:00:00 +0000\nMessage-ID: <m@contoso.com>"
           b"\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"
           b"Trailing \n.\n\n" + "grüße\n\n\n".encode())
    raw = raw.replace(b"A" * 1200, b" ".join([b"A" * 60] * 20))
    message = busy.send(raw, "-i")
    assert judged("dkim", raw, message) == []
    assert dkim_hashes(message.raw, names) == dkim_hashes(raw, names)


@pytest.mark.parametrize("field", [
    b"Content-Type: multipart/signed; boundary=frontier",
    b"Content-Type: Multipart/Encrypted; boundary=frontier",
    b"Content-Type: application/pkcs7-mime",
    b"Content-Type: application/x-pkcs7-mime(so)",
    b"DKIM-Signature: v=1; d=contoso.com; b=x",
])
def test_long_lines_of_signed_mail_are_left_alone(busy, field):
    """Seen in the queue: the stand-in would refuse them."""
    raw = TO + field + b"\n\n" + long_lines(b"x y")
    busy.send(raw, "-i", "-odq")
    [entry] = busy.waiting()
    assert entry.body == canonical(long_lines(b"x y")) + b"\r\n"
    assert Written(raw, ACCOUNT).faults(
        canonical(entry.header) + entry.body) == []


# The checker itself.

GIVEN = (b"Received: old\nFrom: Alerts <alerts@contoso.com>\n"
         b"To: a@example.org\nBcc: hidden@x.example\n"
         b"Subject: one\n two\nDate: d\nMessage-ID: <m>\n"
         b"X-1: a\nX-2: \xc3\xa4\n\nfirst\n.second \n\n")
ARRIVED = canonical(
    b"Received: by web1 (Outpost 1.0, from userid 0)\n"
    b"\tid 1; Mon, 1 Jan 2024 00:00:00 +0000\n"
    b"Received: old\nFrom: Alerts <alerts@contoso.com>\nTo: a@example.org\n"
    b"Subject: one\n two\nDate: d\nMessage-ID: <m>\n"
    b"X-1: a\nX-2: =?utf-8?Q?=C3=A4?=\n\nfirst\n.second \n\n")
TRACE = ARRIVED.partition(b"Received: old")[0]
QUOTED = b"Content-Transfer-Encoding: quoted-printable\n"
LEAST = TO + b"From: alerts@contoso.com\nDate: d\nMessage-ID: <m>\n"


def test_the_checker_is_content_with_what_is_right():
    assert Written(GIVEN, ACCOUNT).faults(ARRIVED) == []


def assert_told(fault, given, arrived):
    """That one is found; none where it is empty."""
    faults = Written(given, ACCOUNT).faults(arrived)
    assert fault in " ".join(faults) and bool(fault) == bool(faults), faults


@pytest.mark.parametrize("was, becomes, fault", [
    (b"first", b"fIrst", "the body differs at 1"),
    (b".second", b"second", "the body differs at 7"),
    (b"second ", b"second", "the body differs"),
    (b"second \r\n\r\n", b"second \r\n", "the body differs at 17"),
    (b"second \r\n\r\n", b"second \r\n\r\n\r\n", "the body differs at 19"),
    (b"first\r\n", b"first\n", "line ends"),
    (b"first\r\n", b"first\r", "line ends"),
    (b"first", b"fir\0st", "NUL"),
    (b"X-1: a\r\n", b"", "X-2 stands where X-1"),
    (b"X-2: =?utf-8?Q?=C3=A4?=\r\n", b"", "X-2 is missing"),
    (b"X-1: a", b"X-1:  a", "X-1 was"),
    (b"X-1: a", b"x-1: a", "x-1 stands where X-1"),
    (b"X-1: a", b"X-1: a\r\nX-1: a", "X-1 stands where X-2"),
    (b"one\r\n two", b"one two", "Subject was"),
    (b"one\r\n two", b"one\r\n \r\n two", "blanks alone"),
    (b"one\r\n two", b"one" + b" two" * 250, "over 998 octets"),
    (b"Date: d\r\nMessage-ID: <m>", b"Message-ID: <m>\r\nDate: d",
     "Message-ID stands where Date"),
    (b"=C3=A4", b"=C3=B6", "X-2 was"),
    (b"=?utf-8?Q?=C3=A4?=", b"\xc3\xa4 ", "X-2 was"),
    (b"Alerts <alerts@contoso.com>", b"alerts@contoso.com", "From was"),
    (b"a@example.org", b"b@example.org", "To was"),
    (b"X-1: a", b"X-1: a\r\nBcc: hidden@x.example", "Bcc stands where"),
    (b"C3=A4?=", b"C3=A4?=\r\nBcc: y@x.example", "Bcc was added"),
    (b"C3=A4?=", b"C3=A4?=\r\nX-To: Hidden@x.example", "Bcc leaks hidden@"),
    (b"C3=A4?=", b"C3=A4?=\r\nX-Original-From: x", "X-Original-From was"),
    (b"C3=A4?=", b"C3=A4?=\r\nDate: d", "Date was added"),
    (b"C3=A4?=", b"C3=A4?=\r\nTo: undisclosed-recipients:;", "To was added"),
    (b"(Outpost 1.0", b"(Outpost", "no Received line of ours"),
    (b"C3=A4?=", b"C3=A4?=\r\njunk", "no field: b'junk'"),
])
def test_the_checker_finds(was, becomes, fault):
    assert was in ARRIVED
    assert_told(fault, GIVEN, ARRIVED.replace(was, becomes, 1))


@pytest.mark.parametrize("field, arrives, fault", [
    (b"From: x@y.example", b"From: x@y.example", "From is"),
    (b"From: x@y.example", b"From: alerts@contoso.com", "0 X-Original-From"),
    (b"Sender: x@y.example", b"Sender: x@y.example", "Sender stands where"),
    (b"Cc: b <b@x.example>, root", b"Cc: b <b@x.example>, root <c@x.example>",
     "Cc was"),
    (b"Cc: b <b@x.example>, root", b"Cc: b <b@x.example>,\n root on web1"
     b" <alerts@contoso.com>", ""),
    (b"Cc: b@x.example", b"Cc: b@x.example, c@x.example", "Cc was"),
    (b"Cc: b@x.example (\xc3\xa4)", b"Cc: b@x.example", "Cc was"),
    (b"Cc: b@x.example", b"", "Cc is missing"),
    (b"Bcc: b@x.example", b"Date: d", "Date was added"),
    (b"Return-Path: <b@x.example>", b"Return-Path: <b@x.example>", "was added"),
    (b"X: a\xe4", b"X: =?utf-8?Q?a=C3=A4?=", ""),
    (b"X: a\xe4", b"X: =?iso-8859-1?Q?=E4?=", "X was"),
])
def test_the_checker_knows_what_becomes_of(field, arrives, fault):
    base = LEAST if not field.startswith(b"From") else \
        LEAST.replace(b"From: alerts@contoso.com\n", b"")
    assert_told(fault, base + field + b"\n\nB\n", TRACE + canonical(
        base + (arrives + b"\n" if arrives else b"")) + b"\r\nB\r\n")


@pytest.mark.parametrize("header, body, arrives, fault", [
    (b"", b"x" * 1000, b"x" * 998 + b"\r\n xx\r\n", "the encoding is"),
    (b"Content-Type: a/b\n", b"x" * 1000, b"x" * 998 + b"\r\n xx\r\n", ""),
    (b"Content-Type: a/b\n", b"x" * 1000, b"x" * 98 + b"\r\n xx\r\n",
     "broken after 98"),
    (b"Content-Type: a/b\n", b"x" * 1000, b"x" * 998 + b"\r\nxx\r\n",
     "does not go on"),
    (b"Content-Type: a/b\n", b"x" * 1000, b"x" * 998 + b"\r\n xy\r\n",
     "the body differs at 999"),
    (b"Content-Type: a/b\n", b"x" * 1000, b"x" * 998 + b"\r\n xx\r\nx\r\n",
     "more lines"),
    (QUOTED, b"=3D" * 400, b"=3D" * 332 + b"=\r\n" + b"=3D" * 68 + b"\r\n", ""),
    (QUOTED, b"=3D" * 400, b"=3D" * 332 + b"==\r\n3D" + b"=3D" * 67 + b"\r\n",
     "the body differs at 333"),
    (QUOTED, b"=3D" * 400, b"=3D" * 400 + b"\r\n", "over 998 octets"),
    (b"Content-Type: a/b\n", "€".encode() * 400,
     "€".encode() * 332 + b"\xe2\r\n \x82\xac" + "€".encode() * 67 + b"\r\n",
     "within a character"),
], ids=lambda value: repr(value[:20]))
def test_the_checker_knows_long_lines(header, body, arrives, fault):
    assert_told(fault, LEAST + header + b"\n" + body,
                TRACE + canonical(LEAST + header) + b"\r\n" + arrives)
