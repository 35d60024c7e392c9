"""What Microsoft's token endpoint can say in place of a token: each of its
errors has a sentence and a hint, tells what is to happen next, and leaves the
sign-in where it is, which works again when the trouble is over."""
import pytest

from m365.aadsts import ERRORS
from support import (ACCOUNT, CONFIG, NOPERM, OK, TEMPFAIL, expire,
                     first_answer, sign_in_of)

LOGIN = f"run 'outpost login {ACCOUNT}'"
PORTAL = "Entra admin center"
# Those of a sign-in by device code: test_login.py.
DEVICE = {70016, 70017, 70018, 70019, 70020}

# Words of the sentence and of the hint.
PERSON = {
    70000: ("not valid", LOGIN),
    70008: ("has expired", LOGIN),
    700082: ("unused for 90 days", LOGIN),
    70043: ("sign-in frequency", "exclude the account"),
    50173: ("revoked", LOGIN),
    54005: ("used already", LOGIN),
    50148: ("another sign-in", LOGIN),
    50072: ("multi-factor", LOGIN), 50074: ("multi-factor", LOGIN),
    50076: ("multi-factor", LOGIN), 50078: ("multi-factor", LOGIN),
    50079: ("multi-factor", LOGIN), 50158: ("multi-factor", LOGIN),
    53000: ("managed device", "exclude"), 53001: ("managed device", "exclude"),
    53002: ("managed device", "exclude"),
    53003: ("Conditional Access", "sign-in logs"),
    53004: ("register for multi-factor", "aka.ms/mfasetup"),
    53011: ("risk", "Risky users"),
    530032: ("Conditional Access", "sign-in logs"),
    530035: ("security defaults", "Conditional Access"),
    65001: ("consented", "accept"),
    65004: ("declined", "accept"),
    90094: ("administrator has to approve", "admin consent"),
    50034: ("not known in this tenant", "tenant"),
    50020: ("another tenant", "consumers"),
    50053: ("locked", "unlock"),
    50055: ("password", "browser"),
    50057: ("disabled", "enable the user"),
    50126: ("password", LOGIN),
    50105: ("not assigned", "Users and groups"),
}
SETTINGS = {
    70001: ("disabled", "enable"),
    7000112: ("disabled", "enable"),
    700084: ("single-page app", "Mobile and desktop"),
    650052: ("no permission", "SMTP.Send"), 650056: ("no permission", PORTAL),
    650057: ("no permission", PORTAL),
    7000215: ("client secret", "not its Secret ID"),
    7000222: ("expired", "new client secret"),
    7000218: ("wants a client secret", "Allow public client flows"),
    70002: ("not accepted", "client_secret_file"),
    700025: ("takes no secret", "auth = login"),
    700016: ("not known in this tenant", "client_id"),
    700021: ("another application", "client_id"),
    700023: ("another application", "authority"),
    700024: ("outside its time", "clock"),
    700027: ("certificate", "upload"), 700030: ("certificate", "upload"),
    50012: ("credential", PORTAL), 50013: ("credential", PORTAL),
    70021: ("federated credential", "issuer, subject and audience"),
    700211: ("federated credential", "issuer, subject and audience"),
    700212: ("federated credential", "issuer, subject and audience"),
    700213: ("federated credential", "issuer, subject and audience"),
    90002: ("tenant", "cloud"),
    9001023: ("must be a certain one", "not common"),
    900144: ("malformed", "client_id"), 90014: ("malformed", "client_id"),
    9002313: ("malformed", "client_id"),
    70011: ("scope", "remove scope"), 28000: ("scope", "remove scope"),
    901002: ("scope", "remove scope"), 1002012: ("scope", "remove scope"),
    70003: ("in this way", "auth"), 7000024: ("in this way", "auth"),
    500011: ("Exchange Online", "licence"),
    500113: ("redirect address", "http://localhost"),
    50011: ("redirect address", "http://localhost"),
}
PASSING = dict.fromkeys(
    [90033, 90006, 90012, 90024, 90090, 50033, 50087, 50088, 80005],
    ("passing fault", "asked again later"))
TOO_MUCH = {
    50196: ("over and over", "what asks so often"),
    90055: ("too many token requests", "asked again later"),
}


def test_each_error_that_the_stand_in_knows_is_here():
    assert {*PERSON, *SETTINGS, *PASSING, *TOO_MUCH, *DEVICE} == {*ERRORS}


def refuse(outpost, office, code):
    """The token program's answer to that error; as if any pause of the one
    before were over."""
    (outpost.state / "secrets" / f"{ACCOUNT}=failed").unlink(missing_ok=True)
    office.clear_faults()
    office.fault(f"at token error AADSTS{code} always")
    return first_answer(outpost)


def check_error(outpost, answer, code, words, exit_code):
    sentence, hint = words
    assert sentence in answer["text"] and hint in answer["hint"], answer
    assert f"AADSTS{code}" in answer["text"], answer
    assert answer["exit"] == str(exit_code), answer
    assert "Trace ID" not in answer["text"], answer


def check_told(outpost, answer, exit_code):
    """The caller is told the same (but for times in the server's words)."""
    result = outpost.run("outpost", "token")
    assert result.code == exit_code and result.out == "", result
    assert answer["text"].split(" (localhost")[0] in result.err, result
    assert f"hint: {answer['hint']}" in result.err, (answer, result)


@pytest.mark.parametrize("rows, exit_code", [(PERSON, NOPERM),
                                             (SETTINGS, CONFIG)],
                         ids=["person", "settings"])
def test_what_a_person_must_mend_holds_the_account(
        signed_in, office, rows, exit_code):
    before = sign_in_of(signed_in)
    expire(signed_in)
    for code, words in rows.items():
        answer = refuse(signed_in, office, code)
        check_error(signed_in, answer, code, words, exit_code)
        assert answer["class"] == "hold", answer
        check_told(signed_in, answer, exit_code)
        assert sign_in_of(signed_in) == before, code
    office.clear_faults()
    assert signed_in.run("outpost", "token").code == OK


def test_what_passes_is_tried_again(signed_in, office):
    before = sign_in_of(signed_in)
    expire(signed_in)
    for code, words in PASSING.items():
        answer = refuse(signed_in, office, code)
        check_error(signed_in, answer, code, words, TEMPFAIL)
        assert answer["class"] == "retry", answer
        assert sign_in_of(signed_in) == before, code
    # Three times, for somebody who waits.
    office.forget()
    result = signed_in.run("outpost", "token")
    assert result.code == TEMPFAIL and "passing fault" in result.err
    assert len(office.token_requests) == 3
    office.clear_faults()
    assert signed_in.run("outpost", "token").code == OK


@pytest.mark.parametrize("code, seconds", [(50196, 3600), (90055, 60)])
def test_who_asks_too_much_is_silent_for_a_while(
        signed_in, office, code, seconds):
    before = sign_in_of(signed_in)
    expire(signed_in)
    answer = refuse(signed_in, office, code)
    check_error(signed_in, answer, code, TOO_MUCH[code], TEMPFAIL)
    assert answer["class"] == "throttled", answer
    assert seconds - 2 <= int(answer["retry_after"]) <= seconds, answer
    check_told(signed_in, answer, TEMPFAIL)
    assert len(office.token_requests) == 1
    assert sign_in_of(signed_in) == before


def test_of_two_codes_the_particular_one_counts(signed_in, office):
    expire(signed_in)
    answer = refuse(signed_in, office, "70002,70008")
    assert answer["exit"] == str(NOPERM) and LOGIN in answer["hint"]


# Answers that are none of Microsoft's

FOREIGN = [("status 503 html", "HTTP 503 (text/html"),
           ("status 200 html", "not JSON from"),
           ("status 404 html", "HTTP 404 (text/html"),
           ("status 502 empty", "HTTP 502"),
           ("redirect https://portal.example/", "HTTP 302")]


@pytest.mark.parametrize("answer, words", FOREIGN, ids=[a for a, _ in FOREIGN])
def test_page_of_a_proxy_is_told_from_an_answer(signed_in, office, answer,
                                                words):
    before = sign_in_of(signed_in)
    expire(signed_in)
    office.fault(f"at token {answer} always")
    said = first_answer(signed_in)
    assert said["class"] == "retry" and words in said["text"], said
    assert f"{office.host}:{office.https_port}" in said["text"], said
    assert "proxy, captive portal or firewall" in said["hint"], said
    assert sign_in_of(signed_in) == before


def test_token_for_graph_is_logged(signed_in, office):
    expire(signed_in)
    office.fault("at token graph-audience")
    assert signed_in.run("outpost", "token").code == OK
    log = (signed_in.folder / "mail.log").read_text()
    assert "the token is for Microsoft Graph" in log
