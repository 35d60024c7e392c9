"""An application by itself: certificate, workload identity, managed identity,
each from its configuration to the message that arrives."""
import base64
import json
import re
import shlex
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from m365.assertions import federated_token
from m365.directory import Federation
from m365.pki import application_certificate
from support import ACCOUNT, APP, CONFIG, OK, ROOT, TEMPFAIL

MESSAGE = b"To: bob@fabrikam.com\nSubject: hello\n\nBody\n"


def log(outpost):
    return (outpost.folder / "mail.log").read_text()


def decoded(assertion):
    """Header and claims of a JWT."""
    return [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            for part in assertion.split(".")[:2]]


def requests_of(office):
    """The forms of the token requests so far."""
    return [request.form for request in office.token_requests]


WRONG = ["status 503 html", "redirect https://portal.example/", "truncated",
         "stall", "wrong-types", "missing access_token"]


def is_temporary_and_heals(outpost, office, stage, wrong):
    """A wrong answer at each request, then right ones."""
    office.fault(f"at {stage} {wrong} always")
    result = outpost.run("token", "-t", "2", ACCOUNT)
    assert result.code == TEMPFAIL, result
    answer = dict(line.split(": ", 1) for line in result.out.splitlines()[1:])
    assert answer["class"] == "retry" and answer["text"] and answer["hint"]
    office.clear_faults()
    assert outpost.run("outpost", "token").code == OK


# Certificate

class Certified:
    """The application with a certificate instead of its secret."""

    def __init__(self, outpost, office):
        self.outpost, self.office = outpost, office
        self.file = outpost.folder / "app.pem"
        self.key_file = outpost.folder / "app.key"
        self.key, self.certificate = application_certificate()
        app = office.directory.app(APP)
        app.secret, app.certificate = None, self.certificate
        outpost.set(auth="certificate", certificate=self.file,
                    client_secret_file=None)
        self.write(self.key + self.certificate)

    def write(self, text, path=None, mode=0o600):
        path = path or self.file
        path.write_bytes(text)
        path.chmod(mode)

    def token(self):
        return self.outpost.run("outpost", "token")


@pytest.fixture
def certified(outpost, office):
    return Certified(outpost, office)


def test_message_goes_out_by_a_certificate(certified, outpost, office):
    message = outpost.send(MESSAGE)
    assert message.mail_from == ACCOUNT
    [form] = requests_of(office)
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == "https://outlook.office365.com/.default"
    assert "client_secret" not in form


def test_assertion_is_as_entra_documents_it(certified, office):
    before = int(time.time())
    assert certified.token().code == OK
    header, claims = decoded(requests_of(office)[0]["client_assertion"])
    assert header.keys() == {"alg", "typ", "x5t#S256"}
    assert header["alg"] == "PS256" and header["typ"] == "JWT"
    assert claims["aud"] == \
        f"{office.authority}/{office.tenant}/oauth2/v2.0/token"
    assert claims["iss"] == claims["sub"] == APP
    assert before <= claims["nbf"] == claims["iat"] <= time.time()
    assert claims["exp"] == claims["nbf"] + 600
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                        r"[89ab][0-9a-f]{3}-[0-9a-f]{12}", claims["jti"])


def test_each_try_is_signed_anew(certified, office):
    office.fault("at token error AADSTS90033")
    assert certified.token().code == OK
    ids = [decoded(form["client_assertion"])[1]["jti"]
           for form in requests_of(office)]
    assert len(ids) == len(set(ids)) == 2
    assert all(len(form) == 5 for form in requests_of(office))


def test_key_may_lie_in_a_file_of_its_own(certified, outpost):
    certified.write(certified.certificate, mode=0o644)
    certified.write(certified.key, certified.key_file)
    outpost.set(key_file=certified.key_file)
    assert certified.token().code == OK


def test_the_commands_of_the_readme_make_a_pair_that_works(
        certified, outpost, office):
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"^    (openssl req (?:.*\\\n)*.*)$", readme, re.M)[1]
    subprocess.run(shlex.split(command.replace("\\\n", " ")), check=True,
                   cwd=outpost.folder, capture_output=True, timeout=60)
    public = outpost.folder / "outpost.crt"
    office.directory.app(APP).certificate = public.read_bytes()
    (outpost.folder / "outpost.key").chmod(0o600)
    outpost.set(certificate=public, key_file=outpost.folder / "outpost.key")
    result = certified.token()
    assert result.code == OK, result


def make(kind):
    """What an administrator may put into the file by mistake."""
    key, certificate = application_certificate(*{
        "expired": [(-9, -2)], "not yet valid": [(2, 9)],
        "small": [(-1, 9), 1024]}.get(kind, []))
    if kind == "passphrase":
        key, certificate = application_certificate(passphrase=b"secret")
    if kind == "curve":
        key, certificate = application_certificate(curve=ec.SECP256R1())
    if kind == "other key":
        key = application_certificate()[0]
    return (b"" if kind == "no key" else key) + \
        (b"" if kind == "no certificate" else certificate)


@pytest.mark.parametrize("kind, why, hint", [
    ("expired", "expired on", "openssl req"),
    ("not yet valid", "is not valid before", "timedatectl"),
    ("small", "less than 2048 bits", "openssl req"),
    ("passphrase", "with a passphrase", "openssl pkey"),
    ("curve", "not RSA", "openssl req"),
    ("other key", "of another key", "key_file"),
    ("no key", "no private key", "openssl req"),
    ("no certificate", "no certificate", "openssl req")])
def test_unusable_certificate_is_told_before_anything_is_asked(
        certified, office, kind, why, hint):
    text = make(kind)
    certified.write(text)
    result = certified.token()
    assert result.code == CONFIG, result
    assert why in result.err and str(certified.file) in result.err
    assert hint in result.err.split("hint:")[1]
    assert office.requests == []
    for line in text.decode().splitlines():
        assert line not in result.err + log(certified.outpost)


def test_key_that_others_can_read_is_refused(certified, office):
    certified.file.chmod(0o640)
    result = certified.token()
    assert result.code == CONFIG and "chmod 600" in result.err
    assert office.requests == []


def test_missing_certificate_is_told(certified):
    certified.file.unlink()
    result = certified.token()
    assert result.code == CONFIG and str(certified.file) in result.err
    assert "hint:" in result.err


def test_certificate_that_is_not_registered_says_where_to_upload(
        certified, office):
    office.directory.app(APP).certificate = application_certificate()[1]
    result = certified.token()
    assert result.code == CONFIG
    assert "AADSTS700027" in result.err
    assert "upload the certificate" in result.err


@pytest.mark.parametrize("code, words", [
    (700021, "client_id, tenant"), (700023, "client_id, tenant"),
    (700024, "clock"), (700027, "upload the certificate"),
    (700030, "upload the certificate"), (50012, "Certificates & secrets"),
    (50013, "Certificates & secrets"), (700016, "client_id, tenant and cloud"),
    (7000112, "enable it"), (500011, "Exchange Online licence")])
def test_refused_assertion_says_what_to_do(certified, office, code, words):
    office.fault(f"at token error AADSTS{code}")
    result = certified.token()
    assert result.code == CONFIG, result
    assert f"AADSTS{code}" in result.err
    assert words in result.err.split("hint:")[1]
    assertion = requests_of(office)[0]["client_assertion"]
    assert assertion not in result.err + log(certified.outpost)


def test_clock_that_is_off_is_logged(certified, office):
    office.fault("at token date-offset 4000")
    assert certified.token().code == OK
    assert "clock is" in log(certified.outpost)


# Workload identity

POD = Federation("https://issuer.example/cluster/",
                 "system:serviceaccount:mail:outpost")


class Workload:
    """The application with a federated credential, and the token file that a
    cluster projects into its pod."""

    def __init__(self, outpost, office):
        self.outpost, self.office = outpost, office
        self.file = outpost.folder / "azure-identity-token"
        self.app = office.directory.app(APP)
        self.app.secret, self.app.federations = None, [POD]
        outpost.set(auth="workload-identity", federated_token_file=self.file,
                    client_secret_file=None)
        self.project(federated_token(POD))

    def project(self, text):
        """As a projected volume shows it: readable for all, by a link."""
        data = self.file.with_suffix(".data")
        data.write_text(text)
        data.chmod(0o644)
        self.file.unlink(missing_ok=True)
        self.file.symlink_to(data)

    def token(self, **env):
        return self.outpost.run("outpost", "token", env=env)


@pytest.fixture
def workload(outpost, office):
    return Workload(outpost, office)


def test_message_goes_out_by_a_workload_identity(workload, outpost, office):
    assert outpost.send(MESSAGE).mail_from == ACCOUNT
    [form] = requests_of(office)
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion"] == workload.file.read_text()


def test_environment_of_a_workload_is_enough(workload, outpost, office):
    outpost.set(tenant=None, client_id=None, authority=None,
                federated_token_file=None)
    told = {"AZURE_CLIENT_ID": APP, "AZURE_TENANT_ID": office.tenant,
            "AZURE_AUTHORITY_HOST": office.authority + "/",
            "AZURE_FEDERATED_TOKEN_FILE": str(workload.file)}
    assert workload.token(**told).code == OK
    result = outpost.sendmail("-t", input=MESSAGE, env=told)
    assert result.code == OK, result
    assert len(office.messages) == len(office.token_requests) == 1
    result = workload.token()
    assert result.code == CONFIG and "client_id" in result.err


def test_keys_win_over_the_environment(workload):
    assert workload.token(AZURE_CLIENT_ID="other", AZURE_TENANT_ID="other",
                          AZURE_AUTHORITY_HOST="https://127.0.0.1:1/",
                          AZURE_FEDERATED_TOKEN_FILE="/nonexistent").code == OK


def test_environment_is_for_workloads_alone(outpost):
    result = outpost.run("outpost", "token", env={
        "AZURE_CLIENT_ID": "other", "AZURE_TENANT_ID": "other",
        "AZURE_AUTHORITY_HOST": "https://127.0.0.1:1/"})
    assert result.code == OK, result


def test_token_file_is_read_at_every_request(workload, office):
    assert workload.token().code == OK
    workload.outpost.run("outpost", "logout")
    workload.project(federated_token(POD, 1800) + "\n")
    assert workload.token().code == OK
    first, second = (form["client_assertion"] for form in requests_of(office))
    assert first != second and not second.endswith("\n")


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n", "x" * 20000])
def test_file_without_one_token_is_told(workload, office, text):
    workload.project(text)
    result = workload.token()
    assert result.code == CONFIG, result
    assert str(workload.file) in result.err
    assert "azure.workload.identity/use" in result.err
    assert office.requests == []


def test_missing_token_file_is_told(workload):
    workload.file.unlink()
    result = workload.token()
    assert result.code == CONFIG and str(workload.file) in result.err
    assert "azure.workload.identity/use" in result.err


def test_federation_that_does_not_match_shows_what_was_presented(workload):
    workload.project(federated_token(Federation(POD.issuer, "system:other")))
    result = workload.token()
    assert result.code == CONFIG
    assert "AADSTS70021" in result.err and "system:other" in result.err
    assert "Federated credentials" in result.err


def test_expired_federated_token_is_told(workload):
    token = federated_token(POD, -900)
    workload.project(token)
    result = workload.token()
    assert result.code == CONFIG and "AADSTS700024" in result.err
    assert "federated_token_file" in result.err
    assert token not in result.err + log(workload.outpost)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_answer_to_a_workload_is_temporary(
        workload, outpost, office, wrong):
    is_temporary_and_heals(outpost, office, "token", wrong)


# Answers of the token endpoint, by whatever kind of application

@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_answer_to_a_certificate_is_temporary(
        certified, outpost, office, wrong):
    is_temporary_and_heals(outpost, office, "token", wrong)


def test_slow_answer_is_waited_for(certified, office):
    office.fault("at token slow 0.001")
    assert certified.token().code == OK


def test_token_that_smtp_will_not_take_is_warned_of(certified, office):
    office.fault("at token no-roles")
    office.fault("at token graph-audience")
    assert certified.token().code == OK
    warnings = log(certified.outpost)
    assert "SMTP.SendAsApp" in warnings
    assert "for Microsoft Graph" in warnings
    certified.outpost.run("outpost", "logout")
    assert certified.token().code == OK
    assert log(certified.outpost) == warnings, "a good token warns of nothing"
