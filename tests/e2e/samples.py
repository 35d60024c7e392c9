"""Messages as programs write them: well, oddly and badly."""

TO = b"To: a@example.org\n"
UMLAUTS = "Grüße aus Köln".encode()
EURO = "€".encode()


def field(text, body=b"Body\n"):
    """A message with such a field."""
    return TO + (text.encode() if isinstance(text, str) else text) + \
        b"\n\n" + body


def mime(content_type, body, more=b""):
    return TO + b"MIME-Version: 1.0\nContent-Type: " + content_type + b"\n" + \
        more + b"\n" + body


def parts(*bodies):
    return b"".join(b"--frontier\n\n" + body + b"\n" for body in bodies) + \
        b"--frontier--\n"


def long_lines(unit, octets=5000):
    return b"short\n.\n" + unit * (octets // len(unit)) + b"\nshort \n" + \
        unit * (999 // len(unit)) + b"\n\n" + b"z" * 998 + b"\nlast"


# Sent to the same recipient whatever they say.
SAMPLES = {
    # What there is of a message
    "nothing": b"",
    "one-empty-line": b"\n",
    "body-alone": b"just text\nmore\n",
    "body-begins-with-a-blank": b"  indented\nSubject: no field\n",
    "body-alone-of-one-line": b"no line end",
    "header-alone": TO + b"Subject: s",
    "header-and-empty-line": TO + b"Subject: s\n\n",
    "no-final-newline": field("Subject: s", b"one\ntwo"),
    "blank-lines": field("Subject: s", b"\n\n \n\t\n\n"),
    "body-without-an-empty-line": TO + b"no field here\n\nBcc: b@x.example\n",
    "header-in-the-body": field("Subject: s", b"Bcc: b@x.example\n\n\n"),
    # Line ends
    "crlf": field("Subject: s", b"one\ntwo\n").replace(b"\n", b"\r\n"),
    "cr": field("Subject: s", b"one\ntwo\n").replace(b"\n", b"\r"),
    "mixed-ends": b"To: a@example.org\r\nSubject: s\nX: 1\r\r\n"
                  b"a\r\nb\nc\rd\r\r\ne\n\rf\n",
    "header-crlf-body-lf": TO + b"Subject: s\r\n\r\none\ntwo\n",
    "cr-begins-no-field": TO + b"Subject: s\rX: field\r\rBody",
    "nul": TO + b"Sub\0ject: a\0b\n\0\nBo\0dy\0\n\0\0\n.\0\n",
    "cr-nul-lf": field("Subject: s", b"a\r\0\nb\n\0"),
    "smuggled-end": field("Subject: s", b"a\n.\nb\r.\r\nc\r.\rMAIL FROM:<>\n"),
    "dots": field("Subject: s", b".\n..\n...\n.a\n..b\n. \n"),
    "controls": field(b"X-Bell: a\x07b\x7f\tc", bytes(range(1, 32)) + b"\n"),
    # Fields
    "given-complete": b"Received: from x by y; Mon, 1 Jan 2024 00:00:00 +0000\n"
                      b"Date: Mon, 01 Jan 2024 00:00:00 +0000\n"
                      b"Message-ID: <mine@example.org>\n"
                      b"From: Alerts <alerts@contoso.com>\n" + TO +
                      b"Cc: c@example.org\nSubject: s\n\nBody\n",
    "names-in-any-case": b"tO: a@example.org\nSUBJECT: s\ndate: Mon, 1 Jan 2024"
                         b" 00:00:00 +0000\nmessage-id: <m@x>\n\nB\n",
    "blank-before-colon": field("Subject : s\nX-Tabbed\t: \t t\t \nX-Empty :"),
    "empty-fields": field("Subject:\nX-Blank: \nX-Tab:\t\nComments:"),
    "folded": field("Subject: one\n two\n\tthree\n  four\nX:\n begins below"),
    "folded-with-blank-lines": field("Subject: one\n \n two\n\t\nX: y\n  "),
    "folded-colon-below": TO + b"Subject\n : s\n\nB\n",
    "obsolete-dates": field("Date: Mon, 1 Jan 99 10:00 EST\nX-Date: 1 Jan 1999"
                            "\nResent-Date: Tue , 2 (c) Jan 99 1:2:3 Z"),
    "twice": field("Subject: 1\nSubject: 2\nTo: b@example.org\nCc: c@x.example"
                   "\nCc: d@x.example\nDate: x\nDate: y\nKeywords: k, , l"),
    "no-blank-after-the-colon": field("Subject:s\nX:\ty\nX:Bcc: z"),
    "odd-names": field("a: 1\nX-!#$%&'*+^_`{|}~.0: 2\n1: 3\nX.y: z"),
    "order": field("\n".join(f"X-{n % 3}: {n}" for n in range(30))),
    "trace": field("Received: a\n\tb; c\nReceived: (qmail 1)\nReturn-Path: <r@"
                   "x>\nDelivered-To: a@example.org\nRETURN-PATH: x\nX: y"),
    "resent": b"Resent-From: me@contoso.com\nResent-To: a@example.org\n"
              b"Received: r\nResent-Date: Mon, 1 Jan 2024 00:00:00 +0000\n"
              b"From: x@y.example\nTo: old@example.org\nSubject: s\n\nB\n",
    "resent-twice": b"Resent-To: a@example.org\nResent-From: b@example.org\n"
                    b"Resent-Message-ID: <2@x>\nResent-To: b@example.org\n"
                    b"Resent-Date: d\nResent-Message-ID: <1@x>\n" + TO +
                    b"\nB\n",
    "resent-bcc": b"Resent-To: a@example.org\nResent-Bcc: hidden@x.example,\n"
                  b" second@x.example\nResent-Date: d\nResent-Message-ID: <m>\n"
                  b"Date: d\nTo: old@example.org\n\nB\n",
    "bcc": field("bcc: hidden@x.example\nBCC : Second <second@x.example>,\n"
                 " (third) third@x.example\nBcc:\nX-Bcc: kept\nSubject: s"),
    "mbox": b"From root@web1  Mon Jan  1 00:00:00 2024\n" + field("Subject: s"),
    "mbox-quoted": b">From root\nFrom : Alerts <alerts@contoso.com>\n" + TO +
                   b"Subject: s\n\nFrom the start\n>From too\n",
    "mbox-later": TO + b"From nobody at all\nSubject: body\n",
    "long-header": field("Subject: " + "word " * 500 + "\nX-Solid: " +
                         "x" * 2500 + "\nReferences: " +
                         "<1234567890@example.org> " * 90 + "\nX-Limit: " +
                         "y" * (998 - len("X-Limit: "))),
    "long-header-within-a-fold": field("X: a\n " + "b " * 600 + "\n c"),
    "long-address-list": field("Cc: " + ",".join(
        f"user{n}@example.org" for n in range(200))),
    # Eight bits
    "subject-utf8": field(b"Subject: " + UMLAUTS + b"\nX-Plain: stays"),
    "subject-latin1": field("Subject: Grüße aus Köln".encode("latin-1")),
    "subject-of-no-charset": field(b"Subject: a \x81\x9f b"),
    "subject-long-utf8": field(b"Subject: " + (UMLAUTS + b" ") * 40),
    "subject-solid-utf8": field(b"Subject: " + EURO * 700),
    "subject-folded-utf8": field(b"Subject: a\n " + UMLAUTS + b"\n\t" +
                                 UMLAUTS + b" b"),
    "encoded-words": field("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?UTF-8?B?w6Q"
                           "=?=\n =?x-unknown?q?a_b?= \n"
                           "From: =?utf-8?q?K=C3=B6ln?= <alerts@contoso.com>"),
    "encoded-words-beside-raw": field(b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= " +
                                      UMLAUTS + b" =?utf-8?B?w6Q=?= plain"),
    "names-utf8": field("Cc: Jürgen Müller <j@x.example>, \"Ä, Ö\" <o@x.example"
                        ">,\n plain@x.example, \"Q\\\"ü\" <q@x.example>"),
    "names-beside-encoded-words": field(
        "Cc: =?utf-8?Q?M=C3=BC?= Grüße =?utf-8?B?w6Q=?= <j@x.example>"),
    "names-latin1": field("Cc: Jürgen <j@x.example>".encode("latin-1")),
    "groups-utf8": field("Cc: Müller: a@x.example, Ö <b@x.example>;, c@y"),
    "comments-utf8": field("Cc: j@x.example (Jürgen), K <k@x.example> (Köln),"
                           " Ö <l@x.example> (desk)"),
    "idn": field("Cc: Küche <k@bücher.example>, l@bücher.example\n"
                 "Reply-To: b@BÜCHER.example"),
    "filename-utf8": mime(b"text/plain; name=\"a b.txt\"; charset=us-ascii",
                          b"B\n", b"Content-Disposition: attachment; filename="
                          b"\"" + UMLAUTS + b".txt\"; size=3\n"),
    "filename-latin1": mime("application/x; name=Köln.bin; x=y"
                            .encode("latin-1"), b"B\n"),
    "body-utf8": field("Subject: s", UMLAUTS + b"\n"),
    "body-latin1": field("Subject: s", b"gr\xfc\xdfe\n"),
    "body-binary": field("Subject: s", bytes(range(256)) * 3),
    "body-utf8-declared": mime(b"text/html; charset=utf-8", UMLAUTS + b"\n",
                               b"Content-Transfer-Encoding: 8bit\n"),
    "body-utf8-half-declared": field("Content-Type: text/plain; charset=utf-8",
                                     UMLAUTS + b"\n"),
    "body-utf8-in-parts": mime(b"multipart/mixed; boundary=frontier",
                               parts(UMLAUTS, b"\xff\xfe")),
    # Long lines
    "long-text": field("Subject: s", long_lines(b"ab =c\t.d ")),
    "long-text-utf8": field("Subject: s", long_lines(EURO + b" .") + b" \t\n"),
    "long-text-latin1": field("Subject: s", long_lines(b"\xe9\xa0 ")),
    "long-html": mime(b"text/html; charset=utf-8 (really)",
                      long_lines(b"<br>" + UMLAUTS),
                      b"Content-Transfer-Encoding: 8bit\nX: y\n"),
    "long-base64": mime(b"text/plain", b"QUJD" * 700 + b"\n",
                        b"Content-Transfer-Encoding: base64\n"),
    "long-quoted": mime(b"text/plain; charset=utf-8",
                        long_lines(b"=3D=C3=9F.") + b"soft=\nbreak\n",
                        b"Content-Transfer-Encoding: Quoted-Printable\n"),
    "long-latin1-attachment": mime(b"application/octet-stream",
                                   long_lines(b"\xe9\xa0\xbf")),
    "long-parts": mime(b"multipart/mixed; boundary=frontier",
                       parts(long_lines(b"0123456789"), long_lines(EURO))),
    "long-attachment": mime(b"application/json", long_lines(b'{"a": 1},')),
    "one-octet-too-many": mime(b"multipart/mixed; boundary=frontier",
                               parts(b"x" * 998, b"y" * 999, b".\n" + b"." * 999
                                     )),
    # Sender
    "from-local": field("From: root (Cron Daemon)"),
    "from-foreign": field("From: Web Shop <shop@shop.example>\nSubject: s"),
    "from-foreign-utf8": field("From: Käse <k@käse.example>\nSender: x@y.x"
                               "\nX-Original-From: forged\nReply-To: r@x.y"),
    "from-foreign-smtputf8": field("From: käse@käse.example\nSender: ä@x.example"
                                   "\nSubject: s"),
    "from-several": field("From: a@x.example, Alerts <alerts@contoso.com>\n"
                          "From: c@y.example\nSender: alerts@contoso.com\n"
                          "Sender: z@y.example"),
    "sender-second": field("Sender: z@y.example\nSender: alerts@contoso.com\n"
                           "Sender: ALERTS@contoso.com"),
    "from-empty": field("From:\nSubject: s"),
    "from-broken": field("From: not an \"address\nSubject: s"),
    "from-obsolete": field("From: <@x.example,@y.example:ALERTS@contoso.com>"),
    "from-comment": field("From: alerts@contoso.com (The (very) Alerts)"),
    "from-folded": field("From:\n Alerts\n <alerts@contoso.com>"),
}

# Sent to whom their header names (-t): the message, and these.
ADDRESSED = {
    "lists": (b"To: a@x.example, B <b@x.example>\ncc : c@x.example\n"
              b"BCC\t: d@x.example\nTo: e@x.example\nSubject: s\n\nB\n",
              "abcde"),
    "empty-members": (b"To: , a@x.example,, ,b@x.example,\nCc: ,\n\nB\n", "ab"),
    "groups": (b"To: Friends: a@x.example, B <b@x.example>;, c@x.example\n"
               b"Cc: undisclosed-recipients:;, \"quoted group\": d@x.example;\n"
               b"\nB\n", "abcd"),
    "comments": (b"To: (one) a@x.example (two (three)), b (c\\)d) @ x "
                 b". example,\n (folded\n comment) c@x.example (e)\n\nB\n", "abc"),
    "routes": (b"To: <@r.example,@s.example:a@x.example>,"
               b" B <@r.example:b@x.example>\n\nB\n", "ab"),
    "quoted-local-parts": (b'To: "a"@x.example, "b c"@x.example,'
                           b' "d\\"e,f"@x.example, "g"."h"@x.example\n\nB\n',
                           ["a@x.example", '"b c"@x.example',
                            '"d\\"e,f"@x.example', "g.h@x.example"]),
    "names-with-specials": (b'To: "A, B" <a@x.example>, B. C. D <b@x.example>,'
                            b'\n =?utf-8?Q?C=2C?= <c@x.example>,'
                            b' d@y <d@x.example>\n\nB\n', "abcd"),
    "semicolons": (b"To: a@x.example; b@x.example\n\nB\n", "ab"),
    "literal": (b"To: a@[192.0.2.1]\n\nB\n", ["a@[192.0.2.1]"]),
    "local-names": (b"To: root, Web <www-data>\nCc: a@x.example\n\nB\n",
                    ["alerts@contoso.com", "a@x.example"]),
    "bcc-alone": (b"Subject: s\nBcc: a@x.example,\n b@x.example\n\nB\n", "ab"),
    "resent": (b"Resent-To: a@x.example\nResent-Cc: b@x.example\n"
               b"Resent-Bcc: c@x.example\nReceived: r\nResent-To: d@x.example\n"
               b"To: e@x.example\nBcc: f@x.example\n\nB\n", "abc"),
    "international": ("To: Ä <a@bücher.example>\nCc: käse@bücher.example\n\nB\n"
                      .encode(), ["a@xn--bcher-kva.example",
                                  "käse@xn--bcher-kva.example"]),
    "unix-mbox": (b"From nobody Mon Jan  1 00:00:00 2024\r\nTo: a@x.example\r\n"
                  b"\r\nFrom here\r\n.\r\nafter\r\n", "a"),
}
