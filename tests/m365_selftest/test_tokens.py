import base64
import dataclasses
import functools
import hashlib
import html
import json
import re
import time
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from m365.assertions import federated_token
from m365.directory import Federation
from m365.pki import application_certificate
from selftest_client import APP_SCOPE, SCOPE, fetch, refresh, token

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def claims_of(jwt):
    body = jwt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=="))


def start_device(m, **form):
    return fetch(m, f"/{m.tenant}/oauth2/v2.0/devicecode",
                 {"client_id": m.client_id, "scope": SCOPE, **form})


def poll(m, device_code, **form):
    return token(m, **{"grant_type": DEVICE, "client_id": m.client_id,
                       "device_code": device_code, **form})


def test_refresh_gives_tokens_that_smtp_takes(m, client):
    answer = refresh(m).json
    assert answer["token_type"] == "Bearer"
    assert 3600 <= answer["expires_in"] <= 5400
    assert answer["scope"] == "https://outlook.office.com/SMTP.Send"
    assert 1500 <= len(answer["access_token"]) <= 2500
    claims = claims_of(answer["access_token"])
    assert claims["aud"] == "https://outlook.office.com"
    assert claims["scp"] == "SMTP.Send"
    assert claims["tid"] == m.tenant and claims["appid"] == m.client_id
    assert client.hello().auth(token=answer["access_token"]).startswith("235")


def test_refresh_token_rotates_and_the_old_one_stays_valid(m):
    first = m.issue_refresh_token()
    second = refresh(m, first).json["refresh_token"]
    assert second != first
    assert refresh(m, first).status == refresh(m, second).status == 200
    assert m.sts.reused == 1


def test_rotation_can_revoke(start):
    m = start(rotate="revoke")
    first = m.issue_refresh_token()
    assert refresh(m, first).status == 200
    assert refresh(m, first).json["error"] == "invalid_grant"


def test_rotation_can_revoke_once_the_new_one_is_used(start):
    m = start(rotate="chain")
    first = m.issue_refresh_token()
    lost = refresh(m, first).json["refresh_token"]
    second = refresh(m, first).json["refresh_token"]
    assert m.accepts(first) and m.accepts(lost) and m.accepts(second)
    third = refresh(m, second).json["refresh_token"]
    assert not m.accepts(first) and m.accepts(second)
    assert refresh(m, third).status == 200
    assert refresh(m, first).codes == refresh(m, second).codes == [50173]


def test_rotation_can_be_absent(start):
    m = start(rotate="none")
    assert "refresh_token" not in refresh(m).json


def test_revoked_user_must_sign_in_again(m):
    old = m.issue_refresh_token()
    m.revoke("alerts@contoso.com")
    assert refresh(m, old).codes == [50173]


def test_disabled_user(m):
    m.mailbox().disabled = True
    assert refresh(m).codes == [50057]


def test_token_lifetime_can_be_fixed(start):
    assert refresh(start(token_lifetime=700)).json["expires_in"] == 700


def test_requests_are_recorded(m):
    refresh(m)
    refresh(m, "bad")
    good, bad = m.token_requests
    assert good.grant_type == "refresh_token" and good.status == 200
    assert bad.status == 400 and bad.form["refresh_token"] == "bad"
    assert [r.method for r in m.requests] == ["POST", "POST"]


def test_error_shape(m):
    answer = refresh(m, "bad", headers={"client-request-id": "abc"})
    body = answer.json
    assert set(body) == {"error", "error_description", "error_codes",
                         "timestamp", "trace_id", "correlation_id", "error_uri"}
    assert body["error_description"].split("\r\n")[1:] == [
        f"Trace ID: {body['trace_id']}", f"Correlation ID: abc",
        f"Timestamp: {body['timestamp']}"]
    assert answer.headers["x-ms-request-id"] == body["trace_id"]
    assert answer.headers["Cache-Control"] == "no-store, no-cache"
    assert answer.headers["Date"] and len(answer.headers.get_all("Set-Cookie"))
    assert body["error_uri"] == f"{m.authority}/error?code=70000"


@pytest.mark.parametrize("form, code", [
    ({"grant_type": ""}, 900144), ({"client_id": ""}, 900144),
    ({"refresh_token": ""}, 900144),
    ({"client_id": "0"}, 700016), ({"client_secret": "x"}, 700025),
    ({"grant_type": "password"}, 50126), ({"grant_type": "magic"}, 70003),
    ({"resource": "https://outlook.office.com"}, 901002),
    ({"scope": "https://other.example/x"}, 500011),
    ({"scope": "https://outlook.office.com/"}, 70011),
    ({"scope": "https://outlook.office.com/SMTP.Send "
      "https://outlook.office365.com/SMTP.Send"}, 28000),
    ({"tenant": "nowhere.example"}, 90002),
])
def test_malformed_requests(m, form, code):
    body = {"refresh_token": m.issue_refresh_token(), **form}
    assert refresh(m, **body).codes == [code]


def test_json_instead_of_a_form_is_refused(m):
    answer = refresh(m, headers={"Content-Type": "application/json"})
    assert answer.codes == [900144]


@pytest.mark.parametrize("scope, audience", [
    ("SMTP.Send offline_access", "00000003-0000-0000-c000-000000000000"),
    ("Mail.Read https://outlook.office.com/SMTP.Send",
     "00000003-0000-0000-c000-000000000000"),
    ("offline_access https://outlook.office365.com/SMTP.Send",
     "https://outlook.office365.com"),
])
def test_first_resource_scope_decides_the_audience(m, scope, audience):
    claims = claims_of(refresh(m, scope=scope).json["access_token"])
    assert claims["aud"] == audience


# -- apps

def app_token(m, tenant=None, headers=None, **form):
    return token(m, tenant, headers, **{
        "grant_type": "client_credentials", "client_id": "app-1",
        "client_secret": "s/cr+t", "scope": APP_SCOPE, **form})


@pytest.fixture
def app(m):
    return m.add_app("app-1", "s/cr+t", roles=["SMTP.SendAsApp"],
                     mailboxes=["alerts@contoso.com"])


def test_client_credentials_give_an_app_token(m, app, client):
    answer = app_token(m).json
    assert "refresh_token" not in answer
    claims = claims_of(answer["access_token"])
    assert claims["roles"] == ["SMTP.SendAsApp"] and claims["idtyp"] == "app"
    assert client.hello().auth(token=answer["access_token"]).startswith("235")


def test_secret_may_come_by_basic_auth(m, app):
    basic = base64.b64encode(b"app-1:s%2Fcr%2Bt").decode()
    answer = token(m, headers={"Authorization": f"Basic {basic}"},
                   grant_type="client_credentials", scope=APP_SCOPE)
    assert answer.status == 200


def test_token_without_roles_is_issued_without_error(m, app):
    app.roles = []
    assert "roles" not in claims_of(app_token(m).json["access_token"])
    app.roles = ["SMTP.SendAsApp"]
    m.fault("at token no-roles")
    assert "roles" not in claims_of(app_token(m).json["access_token"])


@pytest.mark.parametrize("form, code", [
    ({"client_secret": "wrong"}, 7000215), ({"scope": SCOPE}, 1002012),
    ({"tenant": "common"}, 9001023), ({"tenant": "consumers"}, 9001023)])
def test_client_credentials_refusals(m, app, form, code):
    answer = app_token(m, **form)
    assert answer.codes == [code]
    assert answer.status == (401 if code == 7000215 else 400)


def test_expired_or_missing_secret_and_disabled_app(m, app):
    app.secret_expired = True
    assert app_token(m).codes == [7000222]
    assert token(m, grant_type="client_credentials", client_id="app-1",
                 scope=APP_SCOPE).codes == [7000218]
    app.disabled = True
    assert app_token(m).codes == [7000112]


@functools.cache
def certified(days=(-1, 365)):
    """A key and its certificate, as PEM."""
    return application_certificate(days)


def sign(key, header, body, scheme=None):
    signed = encode(header) + b"." + encode(body)
    private = serialization.load_pem_private_key(key, None)
    signature = private.sign(signed, scheme or padding.PSS(
        padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    return (signed + b"." + base64.urlsafe_b64encode(signature)
            .rstrip(b"=")).decode()


def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def thumbprint(pem, digest=hashes.SHA256()):
    return x509.load_pem_x509_certificate(pem).fingerprint(digest)


def claims_for(m, **changes):
    now = int(time.time())
    claims = {"aud": f"{m.authority}/{m.tenant}/oauth2/v2.0/token",
              "iss": "app-1", "sub": "app-1", "jti": "1", "nbf": now,
              "iat": now, "exp": now + 600, **changes}
    return {k: v for k, v in claims.items() if v is not None}


def header_for(pem, **changes):
    header = {"alg": "PS256", "typ": "JWT", "x5t#S256":
              base64.urlsafe_b64encode(thumbprint(pem)).rstrip(b"=").decode(),
              **changes}
    return {k: v for k, v in header.items() if v is not None}


def present(m, assertion, **form):
    return token(m, **{
        "grant_type": "client_credentials", "client_id": "app-1",
        "scope": APP_SCOPE, "client_assertion_type": ASSERTION,
        "client_assertion": assertion, **form})


@pytest.fixture
def certified_app(m):
    return m.add_app("app-1", roles=["SMTP.SendAsApp"],
                     mailboxes=["alerts@contoso.com"],
                     certificate=certified()[1])


@pytest.mark.parametrize("changes, codes", [
    ({}, None), ({"aud": "https://elsewhere"}, [700023]),
    ({"aud": None}, [700023]), ({"iss": "other"}, [700021]),
    ({"sub": "other"}, [700021]), ({"jti": None}, [50012]),
    ({"jti": ""}, [50012]), ({"exp": 5}, [700024]), ({"exp": None}, [700024]),
    ({"exp": "soon"}, [700024]), ({"nbf": 1 << 40}, [700024])])
def test_claims_of_an_assertion_are_checked(m, certified_app, changes, codes):
    key, pem = certified()
    answer = present(m, sign(key, header_for(pem), claims_for(m, **changes)))
    assert answer.json.get("error_codes") == codes
    assert answer.status == (401 if codes else 200)


@pytest.mark.parametrize("changes, reason", [
    ({"alg": "none"}, "signature value"), ({"alg": "HS256"}, "signature value"),
    ({"alg": None}, "signature value"), ({"alg": []}, "signature value"),
    ({"alg": "RS256"}, "signature value"),
    ({"x5t#S256": None}, "key was not found"),
    ({"x5t#S256": "AAAA"}, "key was not found"),
    ({"x5t#S256": 7}, "key was not found")])
def test_header_of_an_assertion_is_checked(m, certified_app, changes, reason):
    key, pem = certified()
    answer = present(m, sign(key, header_for(pem, **changes), claims_for(m)))
    assert answer.codes == [700027]
    assert reason in answer.json["error_description"]


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
@pytest.mark.parametrize("name, digest", [
    ("x5t", hashes.SHA1()), ("x5t#S256", hashes.SHA256())])
@pytest.mark.parametrize("form", [base64.b64encode, base64.urlsafe_b64encode])
def test_old_forms_of_an_assertion_are_taken(m, certified_app, algorithm, name,
                                             digest, form):
    key, pem = certified()
    header = header_for(pem, **{
        "x5t#S256": None, "alg": algorithm,
        name: form(thumbprint(pem, digest)).decode()})
    scheme = padding.PKCS1v15() if algorithm == "RS256" else None
    assert present(m, sign(key, header, claims_for(m), scheme)).status == 200


def test_token_for_a_certificate_is_taken_by_smtp(m, certified_app, client):
    key, pem = certified()
    answer = present(m, sign(key, header_for(pem), claims_for(m))).json
    assert claims_of(answer["access_token"])["appidacr"] == "2"
    assert client.hello().auth(token=answer["access_token"]).startswith("235")


@pytest.mark.parametrize("assertion, code", [
    ("", 50012), ("a.b", 50012), ("a.b.c", 50012), ("e30.W10.x", 50012),
    ("W10.e30.x", 50012), ("e30.e30.e", 50012), ("e30.e30.ee", 700027)])
def test_what_is_no_jwt_is_refused(m, certified_app, assertion, code):
    assert present(m, assertion).codes == [code]


def test_assertion_needs_its_type(m, certified_app):
    assert present(m, "a.b.c", client_assertion_type="jwt").codes == [900144]


def test_unregistered_key_is_refused(m, app):
    key, pem = certified()
    answer = present(m, sign(key, header_for(pem), claims_for(m)))
    assert answer.codes == [700027]


def test_expired_certificate_is_refused(m, certified_app):
    key, pem = certified((-9, -2))
    certified_app.certificate = pem
    answer = present(m, sign(key, header_for(pem), claims_for(m)))
    assert answer.codes == [700027]
    assert "expired" in answer.json["error_description"]


# -- workload identity federation

POD = Federation("https://issuer.example/cluster/", "system:serviceaccount:a:b")


@pytest.fixture
def workload(m):
    return m.add_app("app-1", roles=["SMTP.SendAsApp"],
                     mailboxes=["alerts@contoso.com"], federations=[POD])


def test_federated_token_is_exchanged(m, workload, client):
    answer = present(m, federated_token(POD)).json
    assert "refresh_token" not in answer
    assert client.hello().auth(token=answer["access_token"]).startswith("235")


@pytest.mark.parametrize("changes", [
    {"issuer": "https://issuer.example/cluster"}, {"subject": "system:x"},
    {"audience": "api://AzureADTokenExchangeUSGov"}])
def test_federation_must_match_letter_by_letter(m, workload, changes):
    answer = present(m, federated_token(dataclasses.replace(POD, **changes)))
    assert answer.codes == [70021] and answer.status == 400
    assert answer.json["error"] == "invalid_request"
    assert next(iter(changes.values())) in answer.json["error_description"]


def test_federated_token_expires_and_is_signed(m, workload):
    assert present(m, federated_token(POD, -900)).codes == [700024]
    forged = federated_token(POD).rpartition(".")[0] + ".AAAA"
    assert present(m, forged).codes == [50013]


# -- device code

def test_device_code_waits_for_approval(start):
    m = start(device_interval=0)
    device = start_device(m).json
    assert device["interval"] == 0 and device["expires_in"] == 900
    assert device["user_code"] in device["message"]
    pending = poll(m, device["device_code"])
    assert pending.json["error"] == "authorization_pending"
    assert pending.codes == [70016] and pending.status == 400
    m.approve(device["user_code"].lower())
    answer = poll(m, device["device_code"]).json
    assert claims_of(answer["access_token"])["upn"] == "alerts@contoso.com"
    assert refresh(m, answer["refresh_token"]).status == 200
    assert [r.grant_type for r in m.token_requests[:2]] == ["device_code"] * 2


def test_device_code_polled_too_fast(m):
    code = start_device(m).json["device_code"]
    poll(m, code)
    assert poll(m, code).json["error"] == "slow_down"


def test_device_code_declined_expired_unknown(start):
    m = start(device_interval=0)
    device = start_device(m).json
    m.decline(device["user_code"])
    assert poll(m, device["device_code"]).json["error"] == \
        "authorization_declined"
    assert poll(m, "x").json["error"] == "bad_verification_code"
    m.sts_options.device_expires = -1
    late = start_device(m).json["device_code"]
    assert poll(m, late).json["error"] == "expired_token"


def test_device_code_can_approve_itself(m):
    m.auto_approve = "alerts@contoso.com"
    assert poll(m, start_device(m).json["device_code"]).status == 200


def test_device_code_shows_at_its_end_that_public_flows_are_off(start):
    m = start(device_interval=0)
    m.add_app("app-1", "s/cr+t")
    device = start_device(m, client_id="app-1").json
    code = device["device_code"]
    assert poll(m, code, client_id="app-1").codes == [70016]
    m.approve(device["user_code"])
    assert poll(m, code, client_id="app-1").codes == [7000218]
    assert start_device(m, scope="").codes == [900144]


def test_device_code_needs_consent_of_an_administrator(start):
    m = start(device_interval=0)
    m.add_app("app-1", public=True, consent="admin")
    m.auto_approve = "alerts@contoso.com"
    code = start_device(m, client_id="app-1").json["device_code"]
    assert poll(m, code, client_id="app-1").codes == [90094]


def test_device_page_approves(start):
    m = start(device_interval=0)
    device = start_device(m).json
    path = device["verification_uri"].removeprefix(m.authority)
    assert b"<form method='post'>" in fetch(m, path).raw
    assert b"didn't work" in fetch(m, path, {"user_code": "NO"}).raw
    page = fetch(m, path, {"user_code": device["user_code"],
                           "user": "alerts@contoso.com"})
    assert b"close this window" in page.raw
    assert poll(m, device["device_code"]).status == 200


# -- authorization code

VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(
    hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def authorize(m, **changes):
    query = {"client_id": m.client_id, "response_type": "code",
             "redirect_uri": "http://localhost:1234", "scope": SCOPE,
             "state": "s1", "code_challenge": CHALLENGE,
             "code_challenge_method": "S256", **changes}
    return fetch(m, f"/{m.tenant}/oauth2/v2.0/authorize?"
                 + urllib.parse.urlencode(query))


def redeem(m, code, **changes):
    return token(m, **{"grant_type": "authorization_code", "code": code,
                       "client_id": m.client_id, "code_verifier": VERIFIER,
                       "redirect_uri": "http://localhost:1234", **changes})


def answer_of(response):
    """Where the browser is sent, and with what."""
    where = urllib.parse.urlsplit(response.headers["Location"])
    return f"{where.scheme}://{where.netloc}{where.path}", \
        dict(urllib.parse.parse_qsl(where.query))


def code_of(m, **changes):
    m.auto_approve = "alerts@contoso.com"
    return answer_of(authorize(m, **changes))[1]["code"]


def test_code_with_pkce(m):
    m.auto_approve = "alerts@contoso.com"
    where, answer = answer_of(authorize(m))
    assert where == "http://localhost:1234" and answer["state"] == "s1"
    assert redeem(m, answer["code"], code_verifier="w" * 50).codes == [50148]
    assert redeem(m, answer["code"]).json["refresh_token"]
    assert redeem(m, answer["code"]).codes == [54005]


def test_code_expires(start):
    m = start(code_lifetime=-1)
    assert redeem(m, code_of(m)).codes == [70008]


@pytest.mark.parametrize("changes, codes", [
    ({"client_secret": "x"}, [700025]), ({"code": "1.AXEAother"}, [70000]),
    ({"redirect_uri": "http://localhost:1235"}, [50011]),
    ({"code_verifier": ""}, [900144]), ({"redirect_uri": ""}, [900144])])
def test_redemption_is_strict(m, changes, codes):
    assert redeem(m, **{"code": code_of(m), **changes}).codes == codes


def test_confidential_client_needs_its_secret_to_redeem(m, app):
    code = code_of(m, client_id="app-1")
    assert redeem(m, code, client_id="app-1").codes == [7000218]
    assert redeem(m, code, client_id="app-1",
                  client_secret="s/cr+t").status == 200


def test_browser_is_asked_whom_to_sign_in(m):
    page = authorize(m, login_hint="alerts@contoso.com")
    assert b"<h1>Sign in</h1>" in page.raw
    assert b"value='alerts@contoso.com'" in page.raw
    assert b"may be incorrect" in authorize(m, user="no@contoso.com").raw
    assert "code" in answer_of(authorize(m, user="alerts@contoso.com"))[1]


def test_form_of_the_page_leads_back(m):
    query = urllib.parse.urlencode({
        "client_id": m.client_id, "response_type": "code", "scope": SCOPE,
        "redirect_uri": "http://localhost:1", "state": "a&b'",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256"})
    page = fetch(m, f"/{m.tenant}/oauth2/v2.0/authorize?{query}").raw.decode()
    fields = {html.unescape(k): html.unescape(v) for k, v in re.findall(
        "type='hidden' name='([^']*)' value='([^']*)'", page)}
    answer = fetch(m, f"/{m.tenant}/oauth2/v2.0/authorize", {
        **fields, "user": "alerts@contoso.com"})
    assert answer_of(answer)[1]["state"] == "a&b'"


def test_declined_sign_in_goes_back_with_an_error(m):
    _, answer = answer_of(authorize(m, decline="1"))
    assert answer["error"] == "access_denied" and answer["state"] == "s1"
    assert "AADSTS65004" in answer["error_description"]
    m.auto_decline = True
    assert answer_of(authorize(m))[1]["error"] == "access_denied"


def test_consent_is_asked_once(m):
    m.add_app("app-1", public=True, consent="user")
    bob = {"client_id": "app-1", "user": "alerts@contoso.com"}
    page = authorize(m, **bob).raw
    assert b"Permissions requested" in page and b"SMTP.Send" in page
    assert "code" in answer_of(authorize(m, accept="1", **bob))[1]
    assert "code" in answer_of(authorize(m, **bob))[1]


def test_administrator_may_have_to_consent(m):
    m.add_app("app-1", public=True, consent="admin")
    page = authorize(m, client_id="app-1", user="alerts@contoso.com").raw
    assert b"Need admin approval" in page
    back = html.unescape(re.search("href='([^']*)'", page.decode())[1])
    assert back.startswith("http://localhost:1234?error=access_denied")
    assert "AADSTS90094" in back and "state=s1" in back


@pytest.mark.parametrize("redirect", [
    "http://localhost", "http://localhost/", "http://localhost:65535",
    "https://login.microsoftonline.com/common/oauth2/nativeclient"])
def test_registered_redirect_addresses(m, redirect):
    m.auto_approve = "alerts@contoso.com"
    where, answer = answer_of(authorize(m, redirect_uri=redirect))
    assert where == redirect
    assert redeem(m, answer["code"], redirect_uri=redirect).status == 200


@pytest.mark.parametrize("changes, code", [
    ({"redirect_uri": "http://evil.example/"}, 50011),
    ({"redirect_uri": "http://127.0.0.1:1234"}, 50011),
    ({"redirect_uri": "https://localhost:1234"}, 50011),
    ({"redirect_uri": "http://localhost:1234/callback"}, 50011),
    ({"redirect_uri": "http://x@localhost:1234"}, 50011),
    ({"redirect_uri": "http://localhost:99999"}, 50011),
    ({"redirect_uri": ""}, 900144), ({"client_id": "0"}, 700016),
    ({"response_type": "token"}, 900144), ({"prompt": "never"}, 9002313),
    ({"response_mode": "form_post"}, 9002313), ({"claims": "no"}, 9002313),
    ({"code_challenge_method": "plain"}, 9002313),
    ({"code_challenge": "short"}, 9002313), ({"client_secret": "x"}, 9002313),
    ({"scope": "https://other.example/x"}, 500011)])
def test_wrong_request_is_told_here_and_redirects_nowhere(m, changes, code):
    m.auto_approve = "alerts@contoso.com"
    answer = authorize(m, **changes)
    assert answer.status == 200 and "Location" not in answer.headers
    assert f"AADSTS{code}:".encode() in answer.raw


def test_application_without_redirect_address(m):
    m.add_app("app-1", public=True, redirects=[])
    assert b"AADSTS500113" in authorize(m, client_id="app-1").raw


def test_claims_challenge_is_answered_by_a_sign_in_with_it(m):
    old = m.issue_refresh_token()
    m.mailbox().step_up = True
    refused = refresh(m, old)
    assert refused.codes == [50076]
    assert refused.json["error"] == "interaction_required"
    assert redeem(m, code_of(m)).codes == [50076]
    answer = redeem(m, code_of(m, claims=refused.json["claims"])).json
    assert refresh(m, answer["refresh_token"]).status == 200
    assert refresh(m, old).codes == [50076]


def test_device_code_takes_claims_at_the_token_endpoint(start):
    m = start(device_interval=0)
    m.mailbox().step_up = True
    m.auto_approve = "alerts@contoso.com"
    code = start_device(m).json["device_code"]
    refused = poll(m, code)
    assert refused.codes == [50076]
    assert poll(m, code, claims=refused.json["claims"]).status == 200


def test_discovery(m):
    path = "/{}/v2.0/.well-known/openid-configuration"
    assert fetch(m, path.format(m.tenant)).json["token_endpoint"].startswith(
        m.authority)
    unknown = fetch(m, path.format("nowhere.example"))
    assert unknown.json["error"] == "invalid_tenant"


def test_http_form_limits(m):
    assert fetch(m, "/x", {"a": "b" * 70000}).status == 413
    assert fetch(m, "/nothing").status == 404
