"""Managed identity, asked as a program of the machine asks."""
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from m365 import ScenarioError
from m365.faults import parse
from selftest_client import Answer

EXCHANGE = "https://outlook.office365.com"
OWN, USERS = "own-identity", "users-identity"


def get(url, headers=None, data=None, **query):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        url + "?" + urllib.parse.urlencode(query), data, headers or {})
    try:
        with opener.open(request, timeout=5) as r:
            return Answer(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        return Answer(e.code, e.headers, e.read())


def imds(m, headers=None, **query):
    return get(m.imds, {"Metadata": "true"} if headers is None else headers,
               **{"api-version": "2018-02-01", "resource": EXCHANGE,
                  **{k.replace("_version", "-version"): v
                     for k, v in query.items()}})


def app_service(m, headers=None, **query):
    if headers is None:
        headers = {"X-IDENTITY-HEADER": m.identity.header_secret}
    return get(m.msi, headers, **{"api-version": "2019-08-01",
                                  "resource": EXCHANGE, **query})


@pytest.fixture
def own(m):
    return m.assign_identity(OWN, ["SMTP.SendAsApp"], ["alerts@contoso.com"])


def test_token_of_the_machine_is_taken_by_smtp(m, own, client):
    answer = imds(m).json
    assert all(isinstance(value, str) for value in answer.values())
    assert int(answer["expires_on"]) - time.time() > 86000
    assert answer["resource"] == EXCHANGE and answer["refresh_token"] == ""
    assert client.hello().auth(token=answer["access_token"]).startswith("235")


@pytest.mark.parametrize("headers, query, error, words", [
    ({}, {}, "invalid_request", "Required metadata header not specified"),
    ({"Metadata": "false"}, {}, "invalid_request", "metadata header"),
    ({"Metadata": "true", "X-Forwarded-For": "10.0.0.1"}, {}, "bad_request",
     "X-Forwarded-For"),
    (None, {"api_version": "2020-06-01"}, "bad_request", "api-version"),
    (None, {"resource": EXCHANGE + "/.default"}, "invalid_resource",
     "AADSTS500011"),
    (None, {"client_id": "nobody"}, "invalid_request", "Identity not found")])
def test_requests_that_a_virtual_machine_refuses(m, own, headers, query, error,
                                                 words):
    answer = imds(m, headers, **query)
    assert answer.status == 400
    assert answer.json["error"] == error
    assert words in answer.json["error_description"]


def test_only_get_is_known(m, own):
    assert get(m.imds, {"Metadata": "true"}, b"").status == 405
    assert get(m.imds + "/x", {"Metadata": "true"}).status == 404


def test_form_of_a_request_for_proxies_is_refused(m, own):
    with socket.create_connection(("127.0.0.1", m.identity_port), 5) as s:
        s.sendall(f"GET {m.imds} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert s.recv(100).startswith(b"HTTP/1.1 400")


def test_which_identity_is_meant(m):
    assert imds(m).json["error_description"] == "Identity not found"
    m.assign_identity(USERS, system=False)
    assert imds(m).json["client_id"] == USERS
    m.assign_identity("second", system=False)
    assert imds(m).status == 400
    assert imds(m, client_id="second").json["client_id"] == "second"
    m.assign_identity(OWN)
    assert imds(m).json["client_id"] == OWN


def test_app_service_tells_when_the_token_ends_alone(m, own):
    answer = app_service(m).json
    assert "expires_in" not in answer
    assert int(answer["expires_on"]) > time.time()
    m.identity.dates = "24h"
    time.strptime(app_service(m).json["expires_on"],
                  "%m/%d/%Y %H:%M:%S +00:00")
    m.identity.dates = "12h"
    time.strptime(app_service(m).json["expires_on"],
                  "%m/%d/%Y %I:%M:%S %p +00:00")


def test_legacy_form_has_other_names(m, own):
    m.assign_identity(USERS, system=False)
    secret = {"secret": m.identity.header_secret}
    answer = app_service(m, secret, **{"api-version": "2017-09-01",
                                       "clientid": USERS}).json
    assert answer["client_id"] == USERS
    assert answer["expires_on"].endswith(" +00:00")
    assert app_service(m, secret).status == 400


@pytest.mark.parametrize("headers, query, status", [
    ({}, {}, 400), ({"X-IDENTITY-HEADER": "wrong"}, {}, 400),
    (None, {"api-version": "2018-02-01"}, 400),
    (None, {"resource": "https://elsewhere.example"}, 500),
    (None, {"client_id": "nobody"}, 400)])
def test_requests_that_app_service_refuses(m, own, headers, query, status):
    answer = app_service(m, headers, **query)
    assert answer.status == answer.json["statusCode"] == status
    assert answer.json["message"]


@pytest.fixture
def arc(m, own, tmp_path):
    m.identity.kind, m.identity.arc_folder = "arc", tmp_path / "tokens"
    return m


def test_arc_wants_a_file_to_be_read(arc):
    challenge = imds(arc, api_version="2020-06-01")
    assert challenge.status == 401
    realm = challenge.headers["WWW-Authenticate"].removeprefix("Basic realm=")
    assert realm.startswith("/var/opt/azcmagent/tokens/")
    [file] = arc.identity.arc_folder.iterdir()
    assert realm.endswith("/" + file.name)
    headers = {"Metadata": "true", "Authorization": "Basic " + file.read_text()}
    answer = imds(arc, headers, api_version="2020-06-01")
    assert answer.json["client_id"] == OWN
    assert imds(arc, headers, api_version="2020-06-01").status == 401


@pytest.mark.parametrize("headers, query", [
    ({}, {}), (None, {"api_version": "2018-02-01"}),
    (None, {"client_id": OWN})])
def test_requests_that_arc_refuses(arc, headers, query):
    assert imds(arc, headers, **{"api_version": "2020-06-01", **query}) \
        .status == 400


def test_faults_reach_the_endpoint(m, own):
    m.fault("at identity status 410 json")
    assert imds(m).status == 410
    m.fault("at identity 429 retry-after 7")
    busy = imds(m)
    assert busy.status == 429 and busy.headers["Retry-After"] == "7"
    m.fault("at identity missing expires_on")
    assert "expires_on" not in imds(m).json
    m.fault("at identity expires-in 60")
    assert imds(m).json["expires_in"] == "60"
    m.fault("at identity no-roles")
    assert len(imds(m).json["access_token"].split(".")) == 3
    with pytest.raises(ScenarioError, match="error belongs to"):
        parse("at identity error AADSTS70021")


def test_requests_are_recorded(m, own):
    imds(m)
    imds(m, {})
    good, bad = m.token_requests
    assert good.grant_type == "managed_identity" and good.status == 200
    assert good.form["resource"] == EXCHANGE and bad.status == 400
    assert "x-ms-request-id" not in imds(m).headers
    assert json.dumps(good.response)
