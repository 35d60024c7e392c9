"""Entra's token service: device code, refresh, client credentials, code+PKCE."""
from __future__ import annotations

import base64
import datetime
import hashlib
import html
import json
import re
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from .aadsts import ERRORS, Refusal, find
from .assertions import EXCHANGE_TOKEN, Assertions
from .directory import CONSUMERS, MULTI_TENANT_NAMES, App, Directory
from .faults import Fault
from .records import HttpRequest, Log, TokenRequest
from .tokens import EXCHANGE, GRAPH, Tokens, app_claims, delegated_claims
from .web import Response

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
OIDC_SCOPES = ("openid", "profile", "email", "offline_access")
OUTLOOK = ("https://outlook.office.com", "https://outlook.office365.com")
PROMPTS = ("login", "select_account", "consent")
GRAPH_URL = "https://graph.microsoft.com"

_PATH = re.compile(r"/([^/]+)/oauth2/(v2\.0/)?(token|devicecode|authorize)")
_DISCOVERY = re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration")


@dataclass(slots=True)
class StsOptions:
    """`rotate`: keep (the old refresh token stays valid, as at Microsoft),
    chain (until the new one is used), revoke (its reuse fails), none (no new
    one comes)."""
    device_interval: int = 1
    device_expires: int = 900
    token_lifetime: int | None = None
    rotate: str = "keep"
    code_lifetime: float = 600


@dataclass
class Grant:
    """What a refresh token stands for."""
    user: str
    client_id: str
    scope: str
    issued: float = field(default_factory=time.time)
    revoked: bool = False
    used: bool = False
    stepped_up: bool = False        # the sign-in answered a claims challenge
    parent: Grant | None = None     # from which it was renewed


@dataclass
class Device:
    user_code: str
    device_code: str
    client_id: str
    scope: str
    expires: float
    state: str = "pending"
    user: str | None = None
    last_poll: float | None = None


@dataclass
class Code:
    user: str
    client_id: str
    scope: str
    redirect_uri: str
    challenge: str
    expires: float
    used: bool = False
    stepped_up: bool = False


class Sts:
    def __init__(self, directory: Directory, tokens: Tokens, log: Log,
                 options: StsOptions, consumer: bool) -> None:
        self.directory, self.tokens, self.log = directory, tokens, log
        self.options, self.consumer = options, consumer
        self.authority = ""
        self.auto_approve: str | None = None
        self.auto_decline = False
        self.grants: dict[str, Grant] = {}
        self.devices: dict[str, Device] = {}
        self.codes: dict[str, Code] = {}
        self.assertions = Assertions()
        self.reused = 0             # refresh tokens used after a newer one came

    # -- routing

    @staticmethod
    def stage_of(path: str) -> str | None:
        match = _PATH.fullmatch(path)
        if match:
            return match[3]
        return "discovery" if _DISCOVERY.fullmatch(path) else None

    def handle(self, request: HttpRequest, faults: list[Fault]) -> Response:
        match = _PATH.fullmatch(request.path)
        if match and match[3] == "token":
            return self._token_endpoint(request, match[1], faults)
        if match and match[3] == "devicecode":
            return self._guarded(request, match[1], faults, self._device_start)
        if match:
            return self._authorize(request, match[1], faults)
        discovery = _DISCOVERY.fullmatch(request.path)
        if discovery:
            return self._discovery(discovery[1])
        if request.path in ("/devicelogin", "/link"):
            return self._device_page(request)
        return Response(404, html="<h1>404</h1>")

    def _token_endpoint(self, request: HttpRequest, tenant: str,
                        faults: list[Fault]) -> Response:
        form = _form(request)
        grant = form.get("grant_type", "")
        grant = "device_code" if grant == DEVICE_CODE else grant
        record = TokenRequest(grant, form, tenant)
        response = self._guarded(request, tenant, faults, self._grant)
        record.status, record.response = response.status, response.json
        with self.log.changed:
            self.log.token_requests.append(record)
        self.log.event(f"sts: {grant} {response.status} "
                       f"{(response.json or {}).get('error', '')}")
        return response

    def _guarded(self, request: HttpRequest, tenant: str, faults: list[Fault],
                 handler) -> Response:
        """Run a handler; refusals and error faults become Entra's JSON."""
        form = _form(request)
        try:
            _raise_faults(faults)
            self._check_request(request, form, tenant)
            return handler(form, tenant, faults, request)
        except Refusal as refusal:
            return self._error(refusal, form, tenant, request)

    def _check_request(self, request: HttpRequest, form: dict[str, str],
                       tenant: str) -> None:
        content_type = request.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if request.method != "POST" or \
                kind != "application/x-www-form-urlencoded":
            raise Refusal(900144, parameter="grant_type")
        if not self.directory.knows_tenant(tenant):
            raise Refusal(90002)
        if "resource" in form:
            raise Refusal(901002)

    # -- errors

    def _error(self, refusal: Refusal, form: dict[str, str], tenant: str,
               request: HttpRequest | None = None) -> Response:
        """The body of an Entra error, its ids repeated in the headers."""
        row = ERRORS[refusal.codes[-1]]
        response = Response(row.status)
        correlation = str(uuid.uuid4())
        if request:
            correlation = request.headers.get("client-request-id", correlation)
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp = f"{now:%Y-%m-%d %H:%M:%S}Z"
        known = {
            "app": form.get("client_id", ""), "tenant": tenant, "now": stamp,
            "issued": f"{now - datetime.timedelta(days=91):%Y-%m-%dT%H:%M:%S}"
                      ".6070000Z",
            "scope": form.get("scope", ""), "grant": form.get("grant_type", ""),
            "redirect": form.get("redirect_uri", ""), "policy": "compliant",
            "resource": OUTLOOK[0], "reason": "The key was not found.",
            "issuer": "https://issuer.example", "subject": "system:service"
            "account:a:b", "audience": EXCHANGE_TOKEN, **refusal.fields}
        text = " ".join(f"AADSTS{c}: {_filled(ERRORS[c].text, known)}"
                        for c in refusal.codes)
        parts = [text, f"Trace ID: {response.trace_id}",
                 f"Correlation ID: {correlation}", f"Timestamp: {stamp}"]
        # Device errors are parted by blanks, all others by line ends.
        gap = " " if 70016 <= refusal.codes[0] <= 70020 else "\r\n"
        body: dict[str, Any] = {
            "error": refusal.error or row.error,
            "error_description": gap.join(parts),
            "error_codes": list(refusal.codes), "timestamp": stamp,
            "trace_id": response.trace_id, "correlation_id": correlation,
            "error_uri": f"{self.authority}/error?code={refusal.codes[0]}"}
        if row.suberror:
            body["suberror"] = row.suberror
        if row.claims:
            body["claims"] = row.claims
        if refusal.fields.get("retry"):
            response.headers["Retry-After"] = refusal.fields["retry"]
        response.json = body
        return response

    # -- clients

    def _client(self, form: dict[str, str], request: HttpRequest,
                tenant: str, must_prove: bool) -> App:
        """The app that asks, its credential checked if it has one."""
        form.update(_basic_credentials(request))
        app = self.directory.app(_required(form, "client_id"))
        if app is None:
            raise Refusal(700016)
        if app.disabled:
            raise Refusal(7000112)
        secret, assertion = form.get("client_secret"), "client_assertion" in form
        if app.public and (secret is not None or assertion):
            raise Refusal(700025)
        if assertion:
            self.assertions.check(app, form, (
                f"{self.authority}/{tenant}/oauth2/v2.0/token",
                f"{self.authority}/{tenant}/v2.0"))
        elif secret is not None:
            _check_secret(app, secret)
        elif must_prove or not app.public:
            raise Refusal(7000218)
        return app

    # -- grants

    def _grant(self, form: dict[str, str], tenant: str, faults: list[Fault],
               request: HttpRequest) -> Response:
        kind = _required(form, "grant_type")
        handlers = {DEVICE_CODE: self._device_poll,
                    "refresh_token": self._refresh,
                    "client_credentials": self._client_credentials,
                    "authorization_code": self._redeem}
        if kind == "password":
            raise Refusal(7000218 if self._is_confidential(form) else 50126)
        if kind not in handlers:
            raise Refusal(70003)
        return handlers[kind](form, tenant, faults, request)

    def _is_confidential(self, form: dict[str, str]) -> bool:
        app = self.directory.app(form.get("client_id", ""))
        return app is not None and not app.public

    def _refresh(self, form, tenant, faults, request) -> Response:
        app = self._client(form, request, tenant, must_prove=False)
        token = _required(form, "refresh_token")
        grant = self.grants.get(token)
        if grant is None or grant.client_id.lower() != app.client_id.lower():
            raise Refusal(70000)
        if grant.revoked:
            raise Refusal(50173)
        if grant.used:
            self.reused += 1
            if self.options.rotate == "revoke":
                raise Refusal(70000)
        self._check_user(grant.user, grant.stepped_up)
        response = self._user_token(grant.user, app,
                                    form.get("scope") or grant.scope, faults,
                                    rotate=self.options.rotate != "none",
                                    stepped_up=grant.stepped_up)
        grant.used = self.options.rotate != "none"
        if self.options.rotate == "chain":
            self.grants[response.json["refresh_token"]].parent = grant
            self._end_parents(grant)
        return response

    @staticmethod
    def _end_parents(grant: Grant) -> None:
        while grant.parent is not None:
            grant, grant.parent = grant.parent, None
            grant.revoked = True

    def _client_credentials(self, form, tenant, faults, request) -> Response:
        if tenant.lower() in MULTI_TENANT_NAMES or tenant == CONSUMERS:
            raise Refusal(9001023)
        if "scope" not in form:
            raise Refusal(900144, parameter="scope")
        app = self._client(form, request, tenant, must_prove=True)
        scope = form["scope"]
        if not scope.endswith("/.default") or " " in scope:
            raise Refusal(1002012)
        audience = _audience(scope)
        names = {f.action for f in faults}
        roles = [] if "no-roles" in names else app.roles
        if "graph-audience" in names:
            audience = GRAPH
        claims = app_claims(app, self.directory.tenant.id, self._issuer(),
                            audience, roles)
        return Response(json=self._bearer(claims, faults))

    def _user_token(self, user: str, app: App, scope: str,
                    faults: list[Fault], rotate: bool = True,
                    stepped_up: bool = False) -> Response:
        """Access token, and a refresh token where offline_access was asked."""
        names = {f.action for f in faults}
        audience, granted = _resource(scope)
        if "graph-audience" in names:
            audience = GRAPH
        if "narrow-scope" in names:
            granted = [s for s in granted if not s.endswith("SMTP.Send")] \
                or ["User.Read"]
        claims = delegated_claims(user, app, self.directory.tenant.id,
                                  self._issuer(), audience,
                                  " ".join(s.rpartition("/")[2]
                                           for s in granted))
        answer = self._bearer(claims, faults)
        answer["scope"] = " ".join(granted)
        if rotate and "offline_access" in scope.split():
            answer["refresh_token"] = self.new_refresh_token(
                user, app.client_id, scope, stepped_up)
        if "openid" in scope.split():
            answer["id_token"] = self.tokens._sign(
                {"aud": app.client_id, "preferred_username": user})
        return Response(json=answer)

    def _bearer(self, claims: dict, faults: list[Fault]) -> dict[str, Any]:
        fixed = next((f for f in faults if f.action == "expires-in"), None)
        lifetime = int(fixed.argument) if fixed else self.lifetime()
        now = int(time.time())
        token = self.tokens.mint(**claims, exp=now + lifetime)
        return {"token_type": "Bearer", "expires_in": lifetime,
                "ext_expires_in": lifetime, "access_token": token}

    def lifetime(self) -> int:
        """60 to 90 minutes at random, as Entra does, unless configured."""
        if self.options.token_lifetime is not None:
            return self.options.token_lifetime
        return 3600 + secrets.randbelow(1801)

    def _issuer(self) -> str:
        return f"https://sts.windows.net/{self.directory.tenant.id}/"

    def _check_user(self, user: str, stepped_up: bool) -> None:
        mailbox = self.directory.mailbox(user)
        if mailbox is None:
            raise Refusal(50034)
        if mailbox.disabled:
            raise Refusal(50057)
        if mailbox.step_up and not stepped_up:
            raise Refusal(50076)

    def new_refresh_token(self, user: str, client_id: str, scope: str,
                          stepped_up: bool = False) -> str:
        token = ("M.C559_BAY.0.U.-" if self.consumer else "1.AXEA") \
            + secrets.token_urlsafe(600)
        self.grants[token] = Grant(user, client_id, scope,
                                   stepped_up=stepped_up)
        return token

    # -- device code

    def _device_start(self, form, tenant, faults, request) -> Response:
        app = self.directory.app(_required(form, "client_id"))
        if app is None:
            raise Refusal(700016)
        scope = form.get("scope", "")
        if not scope:
            raise Refusal(900144, parameter="scope")
        _resource(scope)
        device = self._new_device(app, scope)
        uri = f"{self.authority}/{'link' if self.consumer else 'devicelogin'}"
        return Response(json={
            "user_code": device.user_code, "device_code": device.device_code,
            "verification_uri": uri,
            "expires_in": self.options.device_expires,
            "interval": self.options.device_interval,
            "message": "To sign in, use a web browser to open the page "
                       f"{uri} and enter the code {device.user_code} to "
                       "authenticate."})

    def _new_device(self, app: App, scope: str) -> Device:
        code = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789")
                       for _ in range(9))
        device = Device(code, "FAQABAAEAAAD--" + secrets.token_urlsafe(150),
                        app.client_id, scope,
                        time.time() + self.options.device_expires)
        self.devices[device.device_code] = device
        if self.auto_approve:
            device.state, device.user = "approved", self.auto_approve
        return device

    def _device_poll(self, form, tenant, faults, request) -> Response:
        device = self.devices.get(_required(form, "device_code"))
        if device is None or device.client_id.lower() != \
                _required(form, "client_id").lower():
            raise Refusal(70018)
        if time.time() > device.expires:
            raise Refusal(70019)
        if device.state == "declined":
            raise Refusal(70017)
        now, last = time.monotonic(), device.last_poll
        device.last_poll = now
        if last is not None and now - last < self.options.device_interval * 0.9:
            raise Refusal(70016, error="slow_down")
        if device.state == "pending":
            raise Refusal(70016)
        # Only a sign-in that is done shows that public flows are off.
        app = self._client(form, request, tenant, must_prove=False)
        if app.consent == "admin":
            raise Refusal(90094)
        stepped_up = _answers_challenge(form)
        self._check_user(device.user, stepped_up)
        del self.devices[device.device_code]
        return self._user_token(device.user, app, device.scope, faults,
                                stepped_up=stepped_up)

    def decide(self, user_code: str, user: str | None) -> bool:
        """Approve (as user) or decline (None) a pending sign-in."""
        wanted = re.sub(r"[\s-]", "", user_code).upper()
        for device in self.devices.values():
            if device.user_code == wanted and device.state == "pending":
                device.user = user
                device.state = "approved" if user else "declined"
                return True
        return False

    def _device_page(self, request: HttpRequest) -> Response:
        if request.method != "POST":
            return Response(html=_page("Enter code", self._code_form()))
        form = _form(request)
        user = None if "decline" in form else form.get("user")
        done = self.decide(form.get("user_code", ""), user)
        text = "<p>You may close this window.</p>" if done else \
            "<p>That code didn't work. Check it and try again.</p>" \
            + self._code_form()
        return Response(html=_page("Done" if done else "Enter code", text))

    def _code_form(self) -> str:
        return ("<form method='post'><p>Enter the code that your app shows."
                "</p><p><input name='user_code' autofocus placeholder='Code'>"
                f"</p><p>{self._user_choice()}</p><p><button>Sign in</button> "
                "<button name='decline' value='1'>Cancel</button></p></form>")

    def _user_choice(self) -> str:
        users = "".join(f"<option>{html.escape(b.address)}</option>"
                        for b in self.directory.mailboxes.values())
        return f"<select name='user'>{users}</select>"

    # -- authorization code

    def _authorize(self, request: HttpRequest, tenant: str,
                   faults: list[Fault]) -> Response:
        """Sign in by browser: who, whether they consent, and back to the
        redirect address. `user` with `accept` or `decline` in the query, or
        auto_approve and auto_decline, answer for the person."""
        query = {**request.query, **_form(request)}
        try:
            _raise_faults(faults)
            app = self._check_authorize(query, tenant)
        except Refusal as refusal:
            error = self._error(refusal, query, tenant).json
            return _html("Sorry, but we're having trouble signing you in.",
                         html.escape(error["error_description"]))
        if "decline" in query or self.auto_decline:
            return _denied(query, "AADSTS65004: User declined to consent to "
                           "access the app.")
        user = query.get("user") or self.auto_approve
        if not user or self.directory.mailbox(user) is None:
            return _html("Sign in", self._user_form(query, user))
        return self._consent(app, user, query, tenant)

    def _consent(self, app: App, user: str, query: dict[str, str],
                 tenant: str) -> Response:
        if app.consent == "admin":
            text = _filled(ERRORS[90094].text, {"tenant": tenant})
            back = _denied(query, f"AADSTS90094: {text}").headers["Location"]
            return _html("Need admin approval", f"<p>{html.escape(text)}</p>"
                         f"<p><a href='{html.escape(back, quote=True)}'>Return "
                         "to the application without granting consent</a></p>")
        if app.consent == "user" and user.lower() not in app.consented:
            if "accept" not in query and not self.auto_approve:
                return _html("Permissions requested",
                             self._consent_form(app, query))
            app.consented.add(user.lower())
        return self._return_code(query, user)

    def _check_authorize(self, query: dict[str, str], tenant: str) -> App:
        """Nothing wrong with a request leaves this site: a redirect address
        is believed only once it is known."""
        if not self.directory.knows_tenant(tenant):
            raise Refusal(90002)
        app = self.directory.app(_required(query, "client_id"))
        if app is None:
            raise Refusal(700016)
        if app.disabled:
            raise Refusal(7000112)
        _check_redirect(app, _required(query, "redirect_uri"))
        if query.get("response_type") != "code":
            raise Refusal(900144, parameter="response_type")
        if query.get("response_mode", "query") != "query" or \
                query.get("prompt", "login") not in PROMPTS:
            raise Refusal(9002313)
        if "client_secret" in query or "code_verifier" in query:
            raise Refusal(9002313)
        if query.get("code_challenge_method") != "S256" or \
                not re.fullmatch(r"[\w-]{43}", query.get("code_challenge", "")):
            raise Refusal(9002313)
        if "claims" in query and not _is_json_object(query["claims"]):
            raise Refusal(9002313)
        _resource(_required(query, "scope"))
        return app

    @staticmethod
    def _user_form(query: dict[str, str], unknown: str | None) -> str:
        hint = html.escape(query.get("login_hint", ""), quote=True)
        wrong = ("<p>This username may be incorrect. Make sure that you typed "
                 "it correctly.</p>" if unknown else "")
        return (f"{wrong}<form method='post'>{_hidden(query)}"
                "<p><input name='user' type='email' required autofocus "
                f"placeholder='Email' value='{hint}'></p>"
                "<p><button id='next'>Next</button> "
                "<button id='back' name='decline' value='1' formnovalidate>"
                "Cancel</button></p></form>")

    @staticmethod
    def _consent_form(app: App, query: dict[str, str]) -> str:
        scopes = "".join(f"<li>{html.escape(s)}</li>"
                         for s in query["scope"].split())
        return (f"<p>{html.escape(app.name)} would like to:</p>"
                f"<ul>{scopes}</ul><form method='post'>{_hidden(query)}"
                "<p><button id='accept' name='accept' value='1'>Accept</button>"
                " <button id='cancel' name='decline' value='1'>Cancel</button>"
                "</p></form>")

    def _return_code(self, query: dict[str, str], user: str) -> Response:
        code = ("M.C559_BAY.2.U." if self.consumer else "1.AXEA") \
            + secrets.token_urlsafe(300)
        self.codes[code] = Code(user, query["client_id"], query["scope"],
                                query["redirect_uri"], query["code_challenge"],
                                time.time() + self.options.code_lifetime,
                                stepped_up=_answers_challenge(query))
        return _redirect(query, code=code, state=query.get("state", ""),
                         session_state=str(uuid.uuid4()))

    def _redeem(self, form, tenant, faults, request) -> Response:
        app = self._client(form, request, tenant, must_prove=False)
        code = self.codes.get(_required(form, "code"))
        verifier = _required(form, "code_verifier")
        if code is None or code.client_id.lower() != app.client_id.lower():
            raise Refusal(70000)
        if code.used:
            raise Refusal(54005)
        if time.time() > code.expires:
            raise Refusal(70008)
        if _required(form, "redirect_uri") != code.redirect_uri:
            raise Refusal(50011)
        digest = hashlib.sha256(verifier.encode()).digest()
        wanted = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not re.fullmatch(r"[\w.~-]{43,128}", verifier) or \
                wanted != code.challenge:
            raise Refusal(50148)
        code.used = True
        self._check_user(code.user, code.stepped_up)
        return self._user_token(code.user, app, form.get("scope") or code.scope,
                                faults, stepped_up=code.stepped_up)

    # -- discovery

    def _discovery(self, tenant: str) -> Response:
        if not self.directory.knows_tenant(tenant):
            response = self._error(Refusal(90002), {}, tenant)
            response.json["error"] = "invalid_tenant"
            return response
        base = f"{self.authority}/{tenant}"
        return Response(json={
            "issuer": f"{self.authority}/{self.directory.tenant.id}/v2.0",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code", "id_token"],
            "scopes_supported": list(OIDC_SCOPES),
            "code_challenge_methods_supported": ["S256"]})


def _form(request: HttpRequest) -> dict[str, str]:
    if request.method != "POST":
        return {}
    return dict(parse_qsl(request.body.decode("utf-8", "replace"),
                          keep_blank_values=True))


def _check_redirect(app: App, given: str) -> None:
    """Registered word for word; only http://localhost leaves the port open,
    which is how Entra takes RFC 8252 section 7.3."""
    if not app.redirects:
        raise Refusal(500113)
    parts = urlsplit(given)
    try:
        loopback = (parts.scheme, parts.hostname, parts.username) == \
            ("http", "localhost", None) and (parts.port or 80) > 0
    except ValueError:
        loopback = False
    if loopback:
        given = f"http://localhost{parts.path.rstrip('/')}" + \
            (f"?{parts.query}" if parts.query else "")
    if given not in app.redirects:
        raise Refusal(50011)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _answers_challenge(fields: dict[str, str]) -> bool:
    """Did the claims of the last refusal come back?"""
    wanted = json.loads(ERRORS[50076].claims)
    given = fields.get("claims", "")
    return _is_json_object(given) and json.loads(given) == wanted


def _raise_faults(faults: list[Fault]) -> None:
    for fault in faults:
        if fault.action == "error":
            codes, name = find(fault.argument)
            raise Refusal(*codes, error=name)
        if fault.action == "429":
            raise Refusal(90055, retry=fault.argument or "")


def _required(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise Refusal(900144, parameter=name)
    return form[name]


def _basic_credentials(request: HttpRequest) -> dict[str, str]:
    """Client id and secret from HTTP Basic, URL-encoded (RFC 6749 2.3.1)."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return {}
    try:
        name, _, secret = base64.b64decode(text).decode().partition(":")
    except ValueError:
        raise Refusal(9002313) from None
    return {"client_id": unquote_plus(name),
            "client_secret": unquote_plus(secret)}


def _check_secret(app: App, secret: str) -> None:
    if app.secret is None or not secrets.compare_digest(
            secret.encode(), app.secret.encode()):
        raise Refusal(7000215)
    if app.secret_expired:
        raise Refusal(7000222)


def _resource(scope: str) -> tuple[str, list[str]]:
    """Audience and granted scopes: the first resource scope decides, and a
    bare name such as SMTP.Send is Graph's."""
    wanted = [s for s in scope.split() if s not in OIDC_SCOPES]
    if not wanted:
        return GRAPH, ["User.Read"]
    audiences = [_audience(s) for s in wanted]
    first = audiences[0]
    if first in OUTLOOK and any(a in OUTLOOK and a != first for a in audiences):
        raise Refusal(28000)
    return first, [s for s, a in zip(wanted, audiences) if a == first]


def _audience(scope: str) -> str:
    if "://" not in scope:
        return GRAPH
    resource, _, name = scope.rpartition("/")
    if not name:
        raise Refusal(70011)
    if resource in OUTLOOK:
        return resource
    if resource == GRAPH_URL:
        return GRAPH
    if resource == EXCHANGE:
        return EXCHANGE
    raise Refusal(500011, resource=resource)


def _filled(text: str, fields: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: fields.get(m[1], m[0]), text)


def _denied(query: dict[str, str], description: str) -> Response:
    return _redirect(query, error="access_denied",
                     error_description=description,
                     state=query.get("state", ""))


def _redirect(query: dict[str, str], **answer: str) -> Response:
    joint = "&" if "?" in query["redirect_uri"] else "?"
    where = query["redirect_uri"] + joint + urlencode(answer)
    return Response(302, html="", headers={"Location": where})


_STYLE = ("body{font:16px system-ui,sans-serif;background:#f2f2f2}"
          "main{max-width:24em;margin:15vh auto;padding:2em 3em;"
          "background:#fff;box-shadow:0 2px 6px #0003}"
          "input,select{width:100%;padding:.5em;font:inherit}"
          "button{padding:.5em 1.5em;font:inherit}")


def _hidden(query: dict[str, str]) -> str:
    return "".join(f"<input type='hidden' name='{html.escape(k, quote=True)}' "
                   f"value='{html.escape(v, quote=True)}'>"
                   for k, v in query.items())


def _html(title: str, body: str) -> Response:
    return Response(html=_page(title, body))


def _page(title: str, body: str) -> str:
    heading = html.escape(title)
    return ("<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>"
            f"<title>{heading}</title><style>{_STYLE}</style></head><body>"
            f"<main><h1>{heading}</h1>{body}</main></body></html>")
