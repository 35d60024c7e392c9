"""Compares a message as it arrived with the bytes that a caller wrote.

Knows the rules of the manual, "The message" in sendmail(8), by itself and not
from the programs: what they change beyond those is a fault.

    faults = Written(raw, account="alerts@contoso.com").faults(message.raw)
"""
import base64
import quopri
import re
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value, getaddresses

LINE_MAX = 998
FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
ENCODED = re.compile(
    r'(?<![^\s(",:;])=\?([^?\s]+)\?([BbQq])\?([^?\s]*)\?=(?![^\s)"])'
    r"(?:\s+(?==\?[^?\s]+\?[BbQq]\?[^?\s]*\?=(?!\S)))?", re.ASCII)
RECEIVED = re.compile(
    rb"Received: by \S+ \(Outpost \S+, from userid \d+\)\r\n"
    rb"\tid \S+; \w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")
REMOVED = {"bcc", "resent-bcc", "return-path"}
RESENT = {"resent-from", "resent-to", "resent-cc"}
ADDED_ON_TOP = ["resent-date", "resent-message-id"]
ADDED_BELOW = {"date", "message-id", "from", "to", "mime-version",
               "content-type", "content-transfer-encoding"}
ADDED_FOR_FROM = {"reply-to", "x-original-from"}
ADDED_FOR_NOBODY = {"auto-submitted", "x-auto-response-suppress"}
ADDRESSES = {"from", "sender", "reply-to", "to", "cc", "resent-from",
             "resent-sender", "resent-to", "resent-cc", "errors-to",
             "mail-followup-to", "disposition-notification-to",
             "x-original-from", "x-original-sender"}
PARAMETERS = {"content-type", "content-disposition"}
SEALED = re.compile(
    rb"multipart/(signed|encrypted)|application/(x-)?pkcs7-mime")


@dataclass
class Field:
    name: str           # as written
    text: bytes         # all of it: "Name: value", folds as CR LF blank

    @property
    def key(self):
        return self.name.lower()

    @property
    def value(self):
        return self.text[len(self.name) + 1:]

    @property
    def is_long(self):
        return any(len(line) > LINE_MAX for line in self.text.split(b"\r\n"))


def lines_of(raw):
    """Lines without their ends: CR LF, LF or CR. NUL is no byte of any."""
    lines = [line.replace(b"\0", b"")
             for line in re.split(rb"\r\n|\n|\r", raw)]
    return lines if lines[-1] else lines[:-1]


def split(lines):
    """The fields and the body's lines."""
    fields, at = [], 0
    while at < len(lines) and re.match(rb">*From (?![ \t]*:)", lines[at]):
        at += 1
    for at in range(at, len(lines)):
        line = lines[at]
        if line == b"":
            return fields, lines[at + 1:]
        if fields and line[:1] in b" \t":
            if line.strip(b" \t"):
                fields[-1].text += b"\r\n" + line
        elif match := FIELD.fullmatch(line):
            fields.append(Field(match[1].decode(), match[1] + b":" + match[2]))
        else:
            return fields, lines[at:]
    return fields, []


def text_of(value):
    """Raw bytes of a header as text; nobody says what they are in."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def unfolded(value):
    return re.sub(rb"\r\n(?=[ \t])", b"", value).strip(b" \t\r\n")


def decoded(text):
    """Encoded words as a reader sees them (RFC 2047 section 6): each by itself
    between blanks, parentheses or quotes, blanks between two dropped."""
    return ENCODED.sub(_decoded_word, text)


def _decoded_word(match):
    charset, encoding, payload = match.groups()
    payload = payload.encode()
    data = base64.b64decode(payload) if encoding in "Bb" else \
        quopri.decodestring(payload, header=True)
    try:
        return data.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return data.decode("latin-1")


def squeezed(text):
    """Runs of blanks are one; other controls are not carried when text is
    encoded."""
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text)
    return re.sub(r"[ \t\r\n]+", " ", text).strip(" ")


def mailboxes(value):
    """(name, address) of each, read as a mail reader does: no routes, no
    parentheses in names. Each name has a charset of its own."""
    text = re.sub(rb"<(@[\w.-]+,?)+:", b"<", value)
    text = text.decode("utf-8", "surrogateescape")
    return [(squeezed(re.sub("[()]", "", decoded(_guessed(name)))),
             _guessed(address))
            for name, address in getaddresses([text]) if name or address]


def comments(value):
    """What stands in the innermost parentheses."""
    return [squeezed(decoded(text_of(comment)))
            for comment in re.findall(rb"\(([^()]*)\)", value)]


def _guessed(text):
    return text_of(text.encode("utf-8", "surrogateescape"))


def a_labels(address):
    local, at, domain = address.rpartition("@")
    try:
        return local + at + domain.encode("idna").decode()
    except UnicodeError:
        return address


def parameters(value):
    message = Message()
    message["Content-Type"] = value
    return sorted((key, collapse_rfc2231_value(value).strip('"'))
                  for key, value in message.get_params())


@dataclass
class Written:
    """A message as a caller wrote it, and what may become of it."""
    raw: bytes
    account: str
    send_as: tuple = ()
    shown: str = ""             # where local names go; else the account
    ignore_dots: bool = True    # -i
    from_nobody: bool = False
    fields: list = field(init=False)
    body: list = field(init=False)

    def __post_init__(self):
        lines = lines_of(self.raw)
        if not self.ignore_dots and b"." in lines:
            lines = lines[:lines.index(b".")]
        self.fields, self.body = split(lines)

    def faults(self, arrived):
        """What is wrong with it as it arrived: sentences."""
        if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", arrived):
            return ["it has line ends other than CR LF, or NUL"]
        head, _, body = arrived.partition(b"\r\n\r\n")
        fields, rest = split(head.split(b"\r\n"))
        if rest:
            return [f"no field: {rest[0]!r}"]
        faults = [f"a line over {LINE_MAX} octets in {f.name}"
                  for f in fields if f.is_long]
        if re.search(rb"\r\n[ \t]+\r\n", head + b"\r\n"):
            faults.append("a header line of blanks alone")
        return [*faults, *self._header_faults(fields),
                *self._leaks(arrived), *self._body_faults(fields, body)]

    # -- header

    def _has(self, *names):
        return any(f.key in names for f in self.fields)

    def _values(self, name):
        return [f.value for f in self.fields if f.key == name]

    def _header_faults(self, arrived):
        """Ours on top, then what was written, field for field, then what was
        missing."""
        rest = list(arrived)
        if not rest or not RECEIVED.fullmatch(rest[0].text):
            return ["no Received line of ours on top"]
        rest.pop(0)
        for name in self._missing_in_resent():
            if not rest or rest.pop(0).key != name:
                return [f"no {name} was added on top"]
        kept, quoted = self._kept(), self._treatment() == "quoted"
        if quoted:
            kept = [f for f in kept if f.key != "content-transfer-encoding"]
        faults = []
        for given in kept:
            if not rest:
                return [*faults, f"{given.name} is missing"]
            got = rest.pop(0)
            if got.name not in self._names_for(given):
                return [*faults, f"{got.name} stands where {given.name} "
                        "was written"]
            faults += self._field_faults(given, got)
        return [*faults, *self._added_faults(rest, quoted),
                *self._from_faults(arrived)]

    def _missing_in_resent(self):
        """What the topmost set of Resent fields lacks: in one none is twice,
        and it ends at a Received, which is older."""
        block = []
        for f in self.fields:
            if block and f.key == "received" or f.key in block:
                break
            if f.key.startswith("resent-"):
                block.append(f.key)
        return [name for name in ADDED_ON_TOP
                if self._has(*RESENT) and name not in block]

    def _kept(self):
        kept = [f for f in self.fields if f.key not in REMOVED]
        if not self._is_from_allowed():
            froms = [f for f in kept if f.key == "from"]
            kept = [f for f in kept if f not in froms[1:]
                    and f.key != "x-original-from"]
        return kept

    def _names_for(self, given):
        """A Sender stays if it is the first of the account's own."""
        if given.key != "sender":
            return [given.name]
        own = [f for f in self.fields if f.key == "sender" and
               [self._is_own(a) for _, a in mailboxes(f.value)] == [True]]
        return [given.name if own and own[0] is given else "X-Original-Sender"]

    def _field_faults(self, given, got):
        if given.key == "from" and not self._is_from_allowed():
            return []           # judged by itself
        if got.value == given.value:
            return []
        wanted, found = unfolded(given.value), unfolded(got.value)
        if wanted.isascii() and given.is_long:
            same = b"".join(wanted.split()) == b"".join(found.split())
        else:
            same = self._same_text(given.key, wanted, found)
        return [] if same else [f"{given.name} was {given.value!r} and "
                                f"arrived as {got.value!r}"]

    def _same_text(self, key, wanted, found):
        if key in ADDRESSES and self._same_addresses(wanted, found):
            return True
        if wanted.isascii() or (not found.isascii() and key not in ADDRESSES):
            return False
        wanted, found = text_of(wanted), text_of(found)
        if key in PARAMETERS:
            return parameters(wanted) == parameters(found)
        return squeezed(decoded(wanted)) == squeezed(decoded(found))

    def _same_addresses(self, wanted, found):
        """May the one list become the other: a raw name encoded, a domain
        as A-labels, a local name shown with an address?"""
        given, got = mailboxes(wanted), mailboxes(found)
        told = squeezed(decoded(text_of(found)))
        return (len(given) == len(got) and
                all(self._same_mailbox(*pair, comments(wanted))
                    for pair in zip(given, got)) and
                all(comment in told for comment in comments(wanted)))

    def _same_mailbox(self, given, got, notes):
        """A comment may have become the name, or have gone behind it."""
        (name, address), (shown, reached) = given, got
        named = name in (shown, *(f"{shown} {note}" for note in notes)) or \
            (name == "" and shown in notes)
        if reached == a_labels(address):
            return named
        if "@" in address or reached != (self.shown or self.account):
            return False
        return named or (name == "" and re.fullmatch(
            re.escape(address) + r"( on \S+)?", shown) is not None)

    # -- From

    def _is_own(self, address):
        return a_labels(address).lower() in \
            [a.lower() for a in (self.account, *self.send_as)]

    def _is_from_allowed(self):
        """One From, of one address that the account may use?"""
        froms = self._values("from")
        if len(froms) != 1:
            return not froms
        found = mailboxes(unfolded(froms[0]))
        return len(found) == 1 and self._is_own(found[0][1])

    def _from_faults(self, arrived):
        froms = [f for f in arrived if f.key == "from"]
        if len(froms) != 1:
            return [f"{len(froms)} From fields"]
        found = mailboxes(unfolded(froms[0].value))
        if len(found) != 1 or not self._is_own(found[0][1]):
            return [f"From is {froms[0].value!r}"]
        if self._is_from_allowed():
            return []
        original = [f for f in arrived if f.key == "x-original-from"]
        wanted = unfolded(b", ".join(self._values("from")))
        if wanted == b"" and not original:
            return []
        if len(original) != 1:
            return [f"{len(original)} X-Original-From fields"]
        got = unfolded(original[0].value)
        if squeezed(decoded(text_of(got))) != \
                squeezed(decoded(text_of(wanted))) and \
                not self._same_addresses(wanted, got):
            return [f"X-Original-From is {got!r}"]
        return []

    # -- what is added, and what must not get out

    def _added_faults(self, added, quoted):
        allowed = set(ADDED_BELOW)
        if not self._is_from_allowed():
            allowed |= ADDED_FOR_FROM
        if self.from_nobody:
            allowed |= ADDED_FOR_NOBODY
        faults, seen = [], set()
        for got in added:
            replaced = got.key == "content-transfer-encoding" and quoted or \
                got.key == "x-original-from" and got.key in allowed
            if got.key not in allowed or got.key in seen or \
                    (self._has(got.key) and not replaced):
                faults.append(f"{got.name} was added: {got.value!r}")
            seen.add(got.key)
        if "to" in seen and (self._has("cc") or not any(
                f.text == b"To: undisclosed-recipients:;" for f in added)):
            faults.append("To was added")
        for name in ("date", "message-id", "from"):
            if not self._has(name) and name not in seen:
                faults.append(f"no {name} was added")
        if not self._has("to", "cc") and "to" not in seen:
            faults.append("no to was added")
        return faults

    def _leaks(self, arrived):
        """Whom Bcc alone names, nobody may read of."""
        told = b"\n".join([*(f.text for f in self.fields
                             if f.key not in REMOVED), *self.body]).lower()
        hidden = [a for value in self._values("bcc") +
                  self._values("resent-bcc")
                  for _, a in mailboxes(unfolded(value))
                  if "@" in a and not self._is_own(a)]
        return [f"Bcc leaks {a}" for a in hidden
                if a.encode().lower() in arrived.lower()
                and a.encode().lower() not in told]

    # -- body

    def _treatment(self):
        """What its long lines bring upon the body."""
        if all(len(line) <= LINE_MAX for line in self.body):
            return "kept"
        types = [v.strip().lower() for v in self._values("content-type")]
        codings = [v.strip().lower() for v in
                   self._values("content-transfer-encoding")]
        if self._has("dkim-signature") or any(map(SEALED.match, types)):
            return "kept"
        if not all(t.startswith(b"text/") for t in types):
            return "broken"
        if all(c in (b"7bit", b"8bit", b"binary") for c in codings):
            return "quoted"
        return "soft" if codings == [b"quoted-printable"] else "broken"

    def _body_faults(self, fields, body):
        wanted = b"".join(line + b"\r\n" for line in self.body)
        treatment = self._treatment()
        if treatment == "quoted":
            return self._quoted_faults(fields, body, wanted)
        if treatment == "broken":
            return self._broken_faults(body)
        if treatment == "soft":
            if max(map(len, body.split(b"\r\n"))) > LINE_MAX:
                return ["a line over 998 octets in the body"]
            wanted, body = map(quopri.decodestring, (wanted, body))
        return [] if body == wanted else [_difference(wanted, body)]

    def _quoted_faults(self, fields, body, wanted):
        codings = [f.value.strip() for f in fields
                   if f.key == "content-transfer-encoding"]
        if codings != [b"quoted-printable"]:
            return [f"the encoding is {codings}"]
        if not body.isascii() or \
                max(map(len, body.split(b"\r\n"))) > 76:
            return ["no quoted-printable"]
        got = quopri.decodestring(body)
        return [] if got == wanted else [_difference(wanted, got)]

    def _broken_faults(self, body):
        """Long lines go on after CR LF blank; no others do."""
        got = iter(body.split(b"\r\n")[:-1])
        for line in self.body:
            piece = whole = next(got, b"")
            while len(whole) < len(line):
                if not LINE_MAX - 4 < len(piece) <= LINE_MAX:
                    return [f"broken after {len(piece)} octets"]
                piece = next(got, None)
                if piece is None or not piece.startswith(b" "):
                    return ["a line does not go on"]
                if b"\x80" <= piece[1:2] <= b"\xbf" and _is_utf8(line):
                    return ["broken within a character"]
                whole += piece[1:]
            if whole != line:
                return [_difference(line, whole)]
        return ["more lines than were written"] if next(got, None) else []


def _is_utf8(text):
    try:
        return bool(text.decode())
    except UnicodeDecodeError:
        return False


def _difference(wanted, got):
    at = next((i for i, pair in enumerate(zip(wanted, got))
               if pair[0] != pair[1]), min(len(wanted), len(got)))
    return (f"the body differs at {at}: {wanted[at:at + 40]!r} arrived as "
            f"{got[at:at + 40]!r} ({len(wanted)} and {len(got)} octets)")
