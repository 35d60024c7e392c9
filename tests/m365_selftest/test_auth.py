import base64
import time

import pytest

from selftest_client import MESSAGE, Client, blob

REFUSED = "535 5.7.3 Authentication unsuccessful ["


def test_auth_plain_is_not_known(client):
    assert client.hello().cmd("AUTH PLAIN AGEAYg==") == (
        "504 5.7.4 Unrecognized authentication type "
        "[SY5P282CA0097.AUSP282.PROD.OUTLOOK.COM]")


def test_auth_login_prompts_and_refuses(client):
    client.hello()
    assert client.cmd("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert client.cmd("YQ==") == "334 UGFzc3dvcmQ6"
    assert client.cmd("Yg==").startswith(
        "535 5.7.139 Authentication unsuccessful, basic authentication is "
        "disabled. [")


def test_second_auth_is_refused(client):
    assert client.ready().auth().startswith("503")


def test_cancel_is_answered_535(m, client):
    client.hello()
    client.cmd("AUTH XOAUTH2")
    assert client.cmd("*").startswith("535")
    assert m.sessions[0].auth_failure == "cancelled"


@pytest.mark.parametrize("initial", [
    b"!!!", b"dXNlcj1h", b"=", base64.b64encode(b"user=a@b\1auth=Bearer x\1")])
def test_malformed_blob_is_refused(m, client, initial):
    assert client.hello().cmd(b"AUTH XOAUTH2 " + initial).startswith(REFUSED)
    assert "malformed" in m.sessions[0].auth_failure


def test_hve_names_a_malformed_blob(start):
    with Client(start(profile="hve")) as c:
        assert c.hello().cmd("AUTH XOAUTH2 eA==").startswith("501 5.5.124")


def test_hve_refuses_a_token_near_its_end(start):
    m = start(profile="hve")
    with Client(m) as c:
        soon = m.issue_access_token(expires_in=100)
        assert c.hello().auth(token=soon).startswith("535 5.7.142")


@pytest.mark.parametrize("claims, reason", [
    ({"expired": True}, "expired"),
    ({"aud": "00000003-0000-0000-c000-000000000000"}, "audience"),
    ({"scp": "User.Read"}, "scp"), ({"scp": None}, "scp"),
    ({"upn": "other@contoso.com"}, "no right"),
    ({"nbf": time.time() + 4000}, "not valid yet"),
])
def test_every_bad_token_gets_the_same_text(m, client, claims, reason):
    bad = m.issue_access_token(**claims)
    assert client.hello().auth(token=bad).startswith(REFUSED)
    assert reason in m.sessions[0].auth_failure


def test_forged_token_is_refused(m, client):
    head, body, sign = m.issue_access_token().split(".")
    forged = f"{head}.{body}.{sign[:-8]}AAAAAAAA"
    assert client.hello().auth(token=forged).startswith(REFUSED)


def test_revoked_token_is_refused_and_a_new_one_passes(m, client):
    old = m.issue_access_token()
    m.revoke(old)
    assert client.hello().auth(token=old).startswith(REFUSED)
    assert client.auth().startswith("235")


def test_unknown_mailbox_is_refused(client):
    assert client.hello().auth("nobody@contoso.com").startswith(REFUSED)


def test_delegate_opens_a_shared_mailbox(m, client):
    m.add_mailbox("shared@contoso.com", delegates=["alerts@contoso.com"])
    assert client.hello().auth("shared@contoso.com").startswith("235")


@pytest.mark.parametrize("app, passes", [
    ({"roles": ["SMTP.SendAsApp"], "mailboxes": ["alerts@contoso.com"]}, True),
    ({"roles": [], "mailboxes": ["alerts@contoso.com"]}, False),
    ({"roles": ["SMTP.SendAsApp"], "mailboxes": []}, False),
    ({"rbac": ["alerts@contoso.com"]}, True),
])
def test_app_needs_role_and_mailbox_or_rbac(m, client, app, passes):
    m.add_app("app-1", "secret", **app)
    answer = client.hello().auth(token=m.issue_access_token(app="app-1"))
    assert answer.startswith("235" if passes else REFUSED)


@pytest.mark.parametrize("tenant, mailbox, answer", [
    (True, None, "disabled for the Tenant. Visit https://aka.ms/smtp_auth"),
    (True, False, "235"), (False, None, "235"),
    (False, True, "disabled for the Mailbox. Visit https://aka.ms/smtp_auth"),
])
def test_mailbox_switch_wins_over_the_tenants(m, client, tenant, mailbox,
                                              answer):
    m.organization.smtp_auth_disabled = tenant
    m.mailbox().smtp_auth_disabled = mailbox
    assert answer in client.hello().auth()


def test_security_defaults_and_conditional_access(m, client):
    m.organization.security_defaults = True
    assert "security defaults policy" in client.hello().auth()
    m.organization.security_defaults = False
    m.mailbox().conditional_access = True
    assert "did not meet the criteria" in client.auth()


def test_refusal_is_delayed(start):
    m = start(auth_delay=0.2)
    with Client(m) as c:
        c.hello()
        before = time.monotonic()
        c.auth(token="x")
        assert time.monotonic() - before >= 0.2


def test_consumer_tokens_are_opaque(start):
    m = start(profile="outlook")
    user = "alerts@outlook.com"
    with Client(m) as c:
        opaque = m.issue_access_token()
        assert opaque.startswith("EwB") and "/" in opaque
        assert c.hello().auth(user, opaque).startswith("235")
        assert c.cmd(f"MAIL FROM:<{user}>").startswith("250")
        c.cmd("RCPT TO:<b@c.de>")
        c.cmd("DATA")
        own = MESSAGE.replace(b"contoso", b"outlook")
        assert "one@client.example" not in c.content(own)


def test_vector_of_microsofts_documentation():
    assert blob("test@contoso.onmicrosoft.com",
                "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA").startswith(
        b"dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVy")
