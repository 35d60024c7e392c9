import socket
import time

import pytest

from m365 import ScenarioError
from m365.faults import parse
from selftest_client import MESSAGE, Client, fetch, refresh


@pytest.mark.parametrize("line, meant", [
    ("at RCTP close", "RCPT"), ("at RCPT reset-it", "reset"),
    ("at token erorr AADSTS50173", "error"),
    ("at token error AADSTS70044", "AADSTS70043"),
])
def test_unknown_word_names_the_nearest(line, meant):
    with pytest.raises(ScenarioError, match=f"did you mean '{meant}'"):
        parse(line)


@pytest.mark.parametrize("line", [
    "RCPT close", "at RCPT", "at RCPT 2", "at RCPT close 5", "at MAIL row 99",
    "at MAIL accept-then-close", "at RCPT longline many", "at MAIL stall soon"])
def test_nonsense_is_an_error(line):
    with pytest.raises(ScenarioError):
        parse(line)


def test_counts_and_arguments_are_told_apart():
    fault = parse("at BODY close after 10 bytes of the reply times 2 after 3")
    assert (fault.argument, fault.times, fault.after) == ("10", 2, 3)
    fault = parse('at MAIL reply "451 4.3.0 try after 5" always')
    assert (fault.argument, fault.times) == ("451 4.3.0 try after 5",
                                             float("inf"))
    fault = parse("at RCPT 2 reply 550 5.1.10 no one here times 4")
    assert (fault.nth, fault.argument, fault.times) == (
        2, "550 5.1.10 no one here", 4)
    assert parse("at RCPT a@b.c reply 550 x").who == "a@b.c"


def test_refused_recipient_leaves_the_others(m, client):
    m.fault("at RCPT 2 reply 550 5.1.10 RESOLVER.ADR.RecipientNotFound")
    client.ready().cmd("MAIL FROM:<alerts@contoso.com>")
    codes = [client.cmd(f"RCPT TO:<{n}@b.c>")[:3] for n in ("a", "b", "c")]
    assert codes == ["250", "550", "250"]
    client.cmd("DATA")
    client.content(MESSAGE)
    assert m.messages[0].addresses == ["a@b.c", "c@b.c"]


def test_fault_can_name_a_recipient(m, client):
    m.fault("at RCPT bad@b.c reply 550 5.1.1 User unknown always")
    client.ready().cmd("MAIL FROM:<alerts@contoso.com>")
    assert client.cmd("RCPT TO:<good@b.c>").startswith("250")
    assert client.cmd("RCPT TO:<bad@b.c>").startswith("550")


def test_fault_fires_once_unless_told(m, client):
    m.fault("at NOOP reply 451 4.3.0 later times 2 after 1")
    client.reply()
    assert [client.cmd("NOOP")[:3] for _ in range(4)] == [
        "250", "451", "451", "250"]


def test_multi_line_reply_and_placeholders(m, client):
    m.fault(r"at NOOP reply 451-4.3.0 one\n451 4.3.0 two [host time id]")
    client.reply()
    one, two = client.cmd("NOOP").split("\n")
    assert one == "451-4.3.0 one" and two.count(" ") == 5


@pytest.mark.parametrize("row", [8, 13, 29, 30, 31, 34])
def test_rows_of_the_catalogue_can_be_given_at_auth(m, client, row):
    m.fault(f"at AUTH row {row}")
    assert client.hello().auth()[:3] in ("430", "451", "535")
    assert m.sessions[0].user is None
    assert client.auth().startswith("235")


def test_421_closes(m, client):
    m.fault("at MAIL row 1")
    assert client.ready().cmd("MAIL FROM:<a@b.c>").startswith("421 4.3.2")
    with pytest.raises(EOFError):
        client.reply()


@pytest.mark.parametrize("stage", ["connect", "banner"])
def test_close_before_the_banner(m, stage):
    m.fault(f"at {stage} close")
    with Client(m) as c, pytest.raises(EOFError):
        c.reply()
    with Client(m) as c:
        assert c.reply().startswith("220")


def test_banner_may_refuse(m, client_factory):
    m.fault("at connect reply 421 4.3.2 The maximum number of concurrent"
            " connections has exceeded a limit")
    with client_factory() as c:
        assert c.reply().startswith("421 4.3.2")


@pytest.fixture
def client_factory(m):
    return lambda: Client(m)


def test_reset_is_a_reset(m, client_factory):
    m.fault("at EHLO reset")
    with client_factory() as c:
        c.reply()
        with pytest.raises(ConnectionResetError):
            c.cmd("EHLO x")


def test_reply_is_cut_at_any_byte(m, client_factory):
    for size in (0, 1, 3, 20):
        m.fault(f"at EHLO close after {size} bytes of the reply")
        with client_factory() as c:
            c.reply()
            c.send(b"EHLO x\r\n")
            assert len(c.file.read()) == size


@pytest.mark.parametrize("how", ["split", "slow 0.001"])
def test_reply_may_trickle(m, client, how):
    m.fault(f"at EHLO {how}")
    client.reply()
    assert client.cmd("EHLO x").endswith("250 SMTPUTF8")


def test_garbage_and_long_lines(m, client):
    m.fault("at EHLO longline 5000")
    m.fault("at NOOP garbage")
    client.reply()
    assert len(client.cmd("EHLO x")) == 4998
    client.send(b"NOOP\r\n")
    assert len(client.sock.recv(100)) == 64


def test_stall_delays_or_never_ends(m, client):
    m.fault("at NOOP stall 0.2")
    m.fault("at RSET stall")
    client.reply()
    before = time.monotonic()
    client.cmd("NOOP")
    assert time.monotonic() - before >= 0.2
    client.sock.settimeout(0.2)
    with pytest.raises(socket.timeout):
        client.cmd("RSET")


def test_injected_bytes_follow_the_starttls_reply(m, client):
    m.fault(r"at STARTTLS append 250-evil\r\n250 AUTH\r\n")
    client.reply()
    client.cmd("EHLO x")
    assert client.cmd("STARTTLS").startswith("220 2.0.0")
    assert client.reply() == "250-evil\n250 AUTH"


def test_extensions_can_be_left_out(m, client):
    m.fault("at EHLO2 no-extension PIPELINING")
    m.fault("at EHLO2 no-extension SIZE")
    client.ready()
    assert "PIPELINING" not in client.ehlo2 and "SIZE" not in client.ehlo2
    assert client.cmd("MAIL FROM:<a@b.c> SIZE=1").startswith("501")
    client.send(b"NOOP\r\nNOOP\r\n")
    client.reply(), client.reply()
    assert "pipelined without PIPELINING" in m.sessions[0].violations


def test_starttls_can_be_left_out(m, client):
    m.fault("at EHLO no-extension STARTTLS")
    client.reply()
    assert "STARTTLS" not in client.cmd("EHLO x")
    assert client.cmd("STARTTLS").startswith("500")


@pytest.mark.parametrize("how", ["close", "reset", "close after 30", "garbage"])
def test_handshake_can_fail(m, client, how):
    m.fault(f"at TLS {how}")
    client.reply()
    client.cmd("EHLO x")
    with pytest.raises(OSError):
        client.tls()


@pytest.mark.parametrize("how", ["split", "slow 0.0001", "stall 0.1"])
def test_handshake_can_trickle(m, client, how):
    m.fault(f"at TLS {how}")
    assert client.ready().message().startswith("250")


def test_google_challenge_wants_an_empty_answer(m, client):
    m.fault('at AUTH challenge {"status":"401","schemes":"bearer"}')
    assert client.hello().auth().startswith("334 eyJzdGF0dXMi")
    assert client.cmd("").startswith("535 5.7.3")
    assert m.sessions[0].violations == []


def test_prompt_can_lack_its_blank(m, client):
    m.fault("at PROMPT reply 334")
    assert client.hello().cmd("AUTH XOAUTH2") == "334"


def test_message_can_be_accepted_without_a_reply(m, client):
    m.fault("at BODY accept-then-close")
    with pytest.raises(EOFError):
        client.ready().message()
    assert len(m.messages) == 1 and not m.messages[0].confirmed


def test_close_at_the_end_loses_the_message(m, client):
    m.fault("at BODY close")
    with pytest.raises(EOFError):
        client.ready().message()
    assert m.messages == []


def test_content_can_be_interrupted(m, client_factory):
    big = MESSAGE + (b"x" * 76 + b"\r\n") * 50000
    m.fault("at CONTENT close after 100000")
    with client_factory() as c, pytest.raises((EOFError, OSError)):
        c.ready().message(big)
    m.fault("at CONTENT reply 421 4.3.2 Service not active")
    with client_factory() as c:
        c.ready().envelope()
        c.cmd("DATA")
        c.send(MESSAGE)
        assert c.reply() == "421 4.3.2 Service not active"
    assert m.messages == []


def test_final_reply_can_be_any_row(m, client):
    client.ready()
    for row in range(1, 62):
        m.fault(f"at BODY row {row}")
        answer = client.message()
        assert answer[0] in "45"
        if answer.startswith("421"):
            client.close()
            client.__init__(m)
            client.ready()
    assert m.messages == []


def test_faults_can_be_cleared(m, client):
    m.fault("at NOOP close always")
    m.clear_faults()
    client.reply()
    assert client.cmd("NOOP").startswith("250")


# -- HTTP

def test_outage_page(m):
    m.fault("at token status 503 html")
    answer = refresh(m)
    assert answer.status == 503 and answer.raw.startswith(b"<!DOCTYPE")
    assert refresh(m).status == 200


@pytest.mark.parametrize("line, header", [
    ("at token 429 retry-after 2", "2"), ("at token 429", None)])
def test_too_many_requests(m, line, header):
    m.fault(line)
    answer = refresh(m)
    assert answer.status == 429 and answer.headers["Retry-After"] == header


@pytest.mark.parametrize("code, error, status", [
    (700082, "invalid_grant", 400), (7000222, "invalid_client", 401),
    (50076, "interaction_required", 400), (90033, "temporarily_unavailable", 503),
    (65001, "invalid_grant", 400)])
def test_error_rows(m, code, error, status):
    m.fault(f"at token error AADSTS{code}")
    answer = refresh(m)
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.codes == [code]
    assert "{" not in answer.json["error_description"]


def test_two_codes_in_one_error(m):
    m.fault("at token error AADSTS70002,70008")
    answer = refresh(m)
    assert answer.codes == [70002, 70008]
    assert "AADSTS70008:" in answer.json["error_description"]


def test_oauth_names_are_errors_too(m):
    m.fault("at token error slow_down")
    assert refresh(m).json["error"] == "slow_down"


def test_distorted_answers(m):
    m.fault("at token missing access_token")
    assert "access_token" not in refresh(m).json
    m.fault("at token string-numbers")
    assert isinstance(refresh(m).json["expires_in"], str)
    m.fault("at token wrong-types")
    assert refresh(m).json["access_token"] == 42
    m.fault("at token no-refresh-token")
    assert "refresh_token" not in refresh(m).json
    m.fault("at token narrow-scope")
    assert "SMTP.Send" not in refresh(m).json["scope"]
    m.fault("at token expires-in 60")
    assert refresh(m).json["expires_in"] == 60
    m.fault("at token redirect https://portal.example/")
    assert refresh(m).headers["Location"] == "https://portal.example/"
    m.fault("at token chunked")
    assert refresh(m).json["token_type"] == "Bearer"
    m.fault("at token slow 0.0001")
    assert refresh(m).json["token_type"] == "Bearer"
    m.fault("at token huge 100000")
    assert len(refresh(m).raw) > 100000


def test_graph_audience_is_refused_by_smtp(m, client):
    m.fault("at token graph-audience")
    graph = refresh(m).json["access_token"]
    assert client.hello().auth(token=graph).startswith("535 5.7.3")


def test_clock_can_be_off(m):
    m.fault("at http date-offset -86400")
    wrong = refresh(m).headers["Date"]
    assert wrong != refresh(m).headers["Date"]


@pytest.mark.parametrize("how", ["close", "reset", "truncated", "garbage"])
def test_broken_http(m, how):
    m.fault(f"at token {how}")
    with pytest.raises(Exception):
        refresh(m)


def test_http_stall(m):
    m.fault("at discovery stall")
    with pytest.raises(OSError):
        fetch(m, f"/{m.tenant}/v2.0/.well-known/openid-configuration",
              timeout=0.2)


def test_scenario_text(m):
    m.scenario("# a comment\n\nat token status 502 empty\nat NOOP close\n")
    assert refresh(m).status == 502
