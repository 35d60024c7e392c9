import base64
import hashlib
import json
import time
import urllib.parse

import pytest

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


def test_an_answer_can_take_its_time(start):
    m = start(token_delay=0.3)
    began = time.monotonic()
    assert refresh(m).status == 200
    assert time.monotonic() - began >= 0.3


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


def make_certificate():
    import datetime
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from m365.tokens import signing_key
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    now = datetime.datetime.utcnow()
    key = signing_key()
    certificate = (x509.CertificateBuilder().subject_name(name)
                   .issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(now)
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .sign(key, hashes.SHA256()))
    return key, certificate, certificate.public_bytes(
        serialization.Encoding.PEM)


def make_assertion(m, key, certificate, **claims):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    header = {"alg": "PS256", "typ": "JWT", "x5t#S256": encode(
        certificate.fingerprint(hashes.SHA256())).decode()}
    body = {"aud": f"{m.authority}/{m.tenant}/oauth2/v2.0/token",
            "iss": "app-1", "sub": "app-1", "jti": "1", "nbf": now,
            "exp": now + 600, **claims}
    signed = encode(json.dumps(header).encode()) + b"." + \
        encode(json.dumps(body).encode())
    signature = key.sign(signed, padding.PSS(
        padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    return (signed + b"." + encode(signature)).decode()


@pytest.mark.parametrize("claims, codes", [
    ({}, None), ({"aud": "https://elsewhere"}, [700023]),
    ({"iss": "other"}, [700021]), ({"exp": 5}, [700024])])
def test_assertions_are_checked(m, claims, codes):
    key, certificate, pem = make_certificate()
    m.add_app("app-1", roles=["SMTP.SendAsApp"], certificate=pem)
    answer = token(m, grant_type="client_credentials", client_id="app-1",
                   scope=APP_SCOPE, client_assertion_type=ASSERTION,
                   client_assertion=make_assertion(m, key, certificate,
                                                   **claims))
    assert answer.json.get("error_codes") == codes


def test_unregistered_key_is_refused(m, app):
    key, certificate, _ = make_certificate()
    assert token(m, grant_type="client_credentials", client_id="app-1",
                 scope=APP_SCOPE, client_assertion_type=ASSERTION,
                 client_assertion=make_assertion(m, key, certificate)) \
        .codes == [700027]


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


def test_device_code_needs_a_public_client(m, app):
    assert start_device(m, client_id="app-1").codes == [7000218]
    assert start_device(m, scope="").codes == [900144]


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


def test_code_with_pkce(m):
    m.auto_approve = "alerts@contoso.com"
    where = authorize(m).headers["Location"]
    answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(where).query))
    assert where.startswith("http://localhost:1234?") and \
        answer["state"] == "s1"
    assert redeem(m, answer["code"], code_verifier="w" * 50).codes == [50148]
    assert redeem(m, answer["code"]).json["refresh_token"]
    assert redeem(m, answer["code"]).codes == [54005]


def test_browser_is_asked_whom_to_sign_in(m):
    assert b"Pick an account" in authorize(m).raw
    declined = authorize(m, decline="1").headers["Location"]
    assert "error=access_denied" in declined
    assert b"AADSTS50011" in authorize(m, redirect_uri="http://evil/").raw


def test_discovery(m):
    path = "/{}/v2.0/.well-known/openid-configuration"
    assert fetch(m, path.format(m.tenant)).json["token_endpoint"].startswith(
        m.authority)
    unknown = fetch(m, path.format("nowhere.example"))
    assert unknown.json["error"] == "invalid_tenant"


def test_http_form_limits(m):
    assert fetch(m, "/x", {"a": "b" * 70000}).status == 413
    assert fetch(m, "/nothing").status == 404
