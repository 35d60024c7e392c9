"""An application by itself: certificate, workload identity, managed identity,
each from its configuration to the message that arrives."""
import base64
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from m365.assertions import federated_token
from m365.directory import Federation
from m365.pki import application_certificate
from support import ACCOUNT, APP, BUILD, CONFIG, NOPERM, OK, ROOT, TEMPFAIL

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
    public = outpost.folder / "app.crt"
    office.directory.app(APP).certificate = public.read_bytes()
    (outpost.folder / "app.key").chmod(0o600)
    outpost.set(certificate=public, key_file=outpost.folder / "app.key")
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
    ("no key", "no private key", "key_file"),
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


def test_environment_is_for_workloads_alone(outpost, office):
    result = outpost.set(client_id=None).run(
        "outpost", "token", env={"AZURE_CLIENT_ID": APP})
    assert result.code == CONFIG and "client_id" in result.err
    assert office.requests == []


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


# Managed identity

OWN = "8d5e2b90-7c13-4f6a-b1d8-90a4c3e2f716"
USERS = "c61b7f08-2e9d-4a35-8f40-5d7a9e1b3c24"


class Machine:
    """A machine of Azure's with an identity of its own, and Outpost told
    nothing but where a virtual machine's metadata service is."""

    def __init__(self, outpost, office):
        self.outpost, self.office = outpost, office
        office.assign_identity(OWN, ["SMTP.SendAsApp"], [ACCOUNT])
        outpost.set(auth="managed-identity", tenant=None, client_id=None,
                    client_secret_file=None, identity_endpoint=office.imds)

    def app_service(self, **env):
        """Become App Service, whose environment says all."""
        self.outpost.set(identity_endpoint=None)
        return {"IDENTITY_ENDPOINT": self.office.msi,
                "IDENTITY_HEADER": self.office.identity.header_secret, **env}

    def token(self, **env):
        return self.outpost.run("outpost", "token", env=env)

    def answer(self, seconds=2):
        """The fields of the token program's answer."""
        result = self.outpost.run("token", "-t", seconds, ACCOUNT)
        fields = dict(line.split(": ", 1)
                      for line in result.out.splitlines()[1:])
        assert result.code == int(fields.get("exit", 0)), result
        return fields


@pytest.fixture
def machine(outpost, office):
    return Machine(outpost, office)


def test_message_goes_out_by_a_managed_identity(machine, outpost, office):
    assert outpost.send(MESSAGE).mail_from == ACCOUNT
    [request] = office.requests
    assert request.query == {"api-version": "2018-02-01",
                             "resource": "https://outlook.office365.com"}
    assert request.headers["metadata"] == "true"
    assert "authorization" not in request.headers


def test_managed_identity_is_asked_without_a_proxy(machine, outpost):
    outpost.set(proxy="http://127.0.0.1:1")
    dead = "http://127.0.0.1:1"
    assert machine.token(http_proxy=dead, HTTP_PROXY=dead, ALL_PROXY=dead,
                         all_proxy=dead).code == OK


def test_identity_of_users_is_named_by_client_id(machine, outpost, office):
    office.assign_identity(USERS, ["SMTP.SendAsApp"], [ACCOUNT], system=False)
    outpost.set(client_id=USERS)
    assert machine.token().code == OK
    assert office.token_requests[0].response["client_id"] == USERS


def test_unknown_identity_says_where_to_make_one(machine, outpost):
    result = outpost.set(client_id=USERS).run("outpost", "token")
    assert result.code == CONFIG, result
    assert "Identity not found" in result.err
    assert "System assigned" in result.err.split("hint:")[1]


def test_long_lived_token_is_renewed_at_half_its_life(machine, outpost):
    assert machine.token().code == OK
    lines = (outpost.state / "tokens" / ACCOUNT).read_text().splitlines()
    cached = dict(line.split(": ", 1) for line in lines[1:])
    issued = int(cached["issued"])
    assert int(cached["expires"]) - issued == 86400
    assert int(cached["refresh-in"]) - issued == 43200


def test_many_processes_ask_the_machine_once(machine, outpost, office):
    running = [outpost.start("outpost", "token") for _ in range(10)]
    results = [process.communicate(timeout=60) for process in running]
    assert {process.returncode for process in running} == {OK}
    assert len({out for out, _ in results}) == len(office.requests) == 1


def test_other_machines_have_no_managed_identity(machine, outpost, office):
    outpost.set(identity_endpoint="http://127.0.0.1:1/metadata")
    result = machine.token()
    assert result.code == CONFIG, result
    assert "there is no managed identity on this machine" in result.err
    assert "127.0.0.1:1" in result.err and "another auth" in result.err
    assert machine.answer(20)["class"] == "hold"


def test_machine_that_does_not_answer_is_told_soon(machine, outpost):
    with socket.socket() as hole, socket.socket() as first, \
            socket.socket() as second:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for waiting in (first, second):         # fill the queue
            waiting.setblocking(False)
            waiting.connect_ex(hole.getsockname())
        port = hole.getsockname()[1]
        outpost.set(identity_endpoint=f"http://127.0.0.1:{port}/metadata")
        answer = machine.answer(25)
    assert answer["class"] == "hold", answer
    assert "no managed identity on this machine" in answer["text"]


def test_plain_http_goes_to_this_machine_alone(machine, outpost):
    outpost.set(identity_endpoint="http://login.example/token")
    result = machine.token()
    assert result.code == CONFIG
    assert "login.example" in result.err and "this machine" in result.err


@pytest.mark.parametrize("status", ["404 html", "404 json", "410 json",
                                    "429 json", "500 html", "503 empty"])
def test_passing_fault_of_the_machine_is_not_seen(machine, office, status):
    office.fault(f"at identity status {status}")
    assert machine.token().code == OK
    assert len(office.requests) == 2


def test_machine_is_asked_again_with_pauses(machine, office):
    office.fault("at identity status 410 json times 2")
    assert machine.token().code == OK
    assert len(office.requests) == 3


def test_pause_that_the_machine_asks_for_is_kept(machine, office):
    office.fault("at identity 429 retry-after 100 always")
    answer = machine.answer(20)
    assert answer["class"] == "throttled"
    assert 98 <= int(answer["retry_after"]) <= 100
    assert len(office.requests) == 1


@pytest.mark.parametrize("wrong", [
    *WRONG, "status 200 html", "status 404 html", "status 410 json",
    "status 500 json", "status 400 html", "close", "reset", "garbage",
    "huge 3000000"])
def test_wrong_answer_of_the_machine_is_temporary(
        machine, outpost, office, wrong):
    is_temporary_and_heals(outpost, office, "identity", wrong)


@pytest.mark.parametrize("fine", ["slow 0.001", "chunked", "missing expires_in",
                                  "missing token_type"])
def test_odd_answer_of_the_machine_is_taken(machine, office, fine):
    office.fault(f"at identity {fine}")
    assert machine.token().code == OK


@pytest.mark.parametrize("status, words", [
    ("400 json", "identity_endpoint"), ("401 json", "identity_header_file"),
    ("403 html", "identity_header_file"), ("405 json", "client_id")])
def test_refusal_of_the_machine_says_what_to_check(
        machine, office, status, words):
    office.fault(f"at identity status {status} always")
    answer = machine.answer(20)
    assert answer["class"] == "hold" and answer["exit"] == str(CONFIG)
    assert words in answer["hint"] and status[:3] in answer["text"]
    assert len(office.requests) == 1


def test_token_of_a_machine_is_looked_at_too(machine, outpost, office):
    office.fault("at identity no-roles")
    office.fault("at identity graph-audience")
    assert machine.token().code == OK
    assert "SMTP.SendAsApp" in log(outpost)
    assert "for Microsoft Graph" in log(outpost)


@pytest.mark.parametrize("dates", ["epoch", "24h", "12h"])
def test_app_service_says_all_by_its_environment(machine, office, dates):
    office.identity.dates = dates
    assert machine.token(**machine.app_service()).code == OK
    [request] = office.requests
    assert request.query["api-version"] == "2019-08-01"
    assert "metadata" not in request.headers


def test_legacy_app_service_is_asked_in_its_way(machine, outpost, office):
    outpost.set(identity_endpoint=None, client_id=USERS)
    office.assign_identity(USERS, ["SMTP.SendAsApp"], [ACCOUNT], system=False)
    env = {"MSI_ENDPOINT": office.msi,
           "MSI_SECRET": office.identity.header_secret}
    assert machine.token(**env).code == OK
    [request] = office.requests
    assert request.query["api-version"] == "2017-09-01"
    assert request.query["clientid"] == USERS


def test_keys_say_the_same_as_the_environment(machine, outpost, office):
    header = outpost.folder / "identity-header"
    header.write_text(office.identity.header_secret + "\n")
    header.chmod(0o600)
    outpost.set(identity_endpoint=office.msi, identity_header_file=header)
    assert machine.token(IDENTITY_ENDPOINT="http://127.0.0.1:1/",
                         IDENTITY_HEADER="wrong").code == OK
    header.chmod(0o644)
    outpost.run("outpost", "logout")
    result = machine.token()
    assert result.code == CONFIG and "chmod 600" in result.err


def test_wrong_header_of_app_service_is_not_shown(machine, outpost):
    secret = "D41D8CD98F00B204E9800998ECF8427E"
    result = machine.token(**machine.app_service(IDENTITY_HEADER=secret))
    assert result.code == CONFIG, result
    assert "identity_header_file" in result.err
    assert secret not in result.err + log(outpost)


# Azure Arc

@pytest.fixture
def arc(machine, outpost, office):
    """A machine with Azure Arc's agent, whose folder is at its fixed place in
    a mount namespace."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare")
    office.identity.kind = "arc"
    office.identity.arc_folder = outpost.folder / "opt/azcmagent/tokens"
    office.identity.arc_folder.mkdir(parents=True)
    outpost.set(identity="arc")

    def token(place="/var/opt", **env):
        done = subprocess.run(
            ["unshare", "-m", "/bin/sh", "-ec", 'mount --bind "$0" "$1"; '
             'shift; exec "$@"', outpost.folder / "opt", place,
             BUILD / "outpost", "token"], capture_output=True, timeout=60,
            text=True, env=outpost.environment(**env))
        return done.returncode, done.stderr

    return token


def test_arc_is_shown_the_file_that_it_names(arc, office):
    code, err = arc()
    assert code == OK, err
    first, second = office.requests
    assert first.status == 401 and second.status == 200
    assert first.query["api-version"] == "2020-06-01"
    assert second.headers["authorization"].startswith("Basic ")


def test_arc_says_all_by_its_environment(arc, outpost, office):
    outpost.set(identity=None, identity_endpoint=None)
    code, err = arc(IDENTITY_ENDPOINT=office.imds,
                    IMDS_ENDPOINT="http://127.0.0.1:1")
    assert code == OK, err


def test_arc_is_known_by_its_agent(arc, outpost):
    outpost.set(identity=None, identity_endpoint=None)
    agent = outpost.folder / "opt/azcmagent/bin/himds"
    agent.parent.mkdir()
    agent.touch()
    code, err = arc("/opt")
    assert code == CONFIG and "localhost:40342" in err
    assert "Azure Arc" in err


@pytest.mark.parametrize("announced", [
    "/etc/shadow", "/etc/{name}.key", "/var/opt/azcmagent/tokens/../{name}.key",
    "/var/opt/azcmagent/tokens/{name}.pem", "/var/opt/azcmagent/{name}.key"])
def test_file_outside_of_arcs_folder_is_not_read(arc, office, announced):
    office.identity.arc_announced = announced
    code, err = arc()
    assert code == NOPERM, err
    assert "cannot be its key" in err and "ss -ltnp" in err
    assert len(office.requests) == 1, "and nothing was sent"


def test_key_of_arc_must_be_a_small_regular_file(arc, outpost, office):
    folder = office.identity.arc_folder
    (folder / "big.key").write_text("x" * 5000)
    (outpost.folder / "opt/secret").write_text("secret")
    (folder / "link.key").symlink_to("../../secret")
    for name in ("big", "link", "missing"):
        office.identity.arc_announced = \
            f"/var/opt/azcmagent/tokens/{name}.key"
        office.forget()
        code, err = arc()
        assert code == NOPERM, err
        assert f"{name}.key" in err and "README" in err
        assert len(office.requests) == 1, "and nothing was sent"


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
