"""Managed identity: what gives a machine's programs tokens by plain HTTP on
that machine, as a virtual machine (IMDS), App Service or Azure Arc does."""
from __future__ import annotations

import datetime
import hmac
import secrets
import time
import uuid
from pathlib import Path

from .directory import App, Directory
from .faults import Fault
from .records import HttpRequest, Log, TokenRequest
from .tokens import EXCHANGE, GRAPH, OUTLOOK_AUDIENCES, Tokens, app_claims
from .web import Response

METADATA, MSI = "/metadata/identity/oauth2/token", "/msi/token"
VM_VERSIONS = ("2018-02-01",)
ARC_VERSIONS = ("2019-11-01", "2020-06-01")
ARC_FOLDER = "/var/opt/azcmagent/tokens"
RESOURCES = {**{a: a.rstrip("/") for a in OUTLOOK_AUDIENCES},
             "https://graph.microsoft.com": GRAPH, EXCHANGE: EXCHANGE}
DATES = {"24h": "%m/%d/%Y %H:%M:%S +00:00",
         "12h": "%m/%d/%Y %I:%M:%S %p +00:00"}


class Identity:
    """The identities of this machine, and its endpoints.

    `kind` is what answers at METADATA: "vm" or "arc". `dates` is how App
    Service writes expires_on: "epoch", "24h" or "12h" (its legacy form knows
    dates alone). `arc_folder` is where Arc writes its keys; it announces them
    under `arc_announced`."""

    def __init__(self, directory: Directory, tokens: Tokens, log: Log) -> None:
        self.directory, self.tokens, self.log = directory, tokens, log
        self.kind, self.dates = "vm", "epoch"
        self.lifetime = 86400
        self.system: str | None = None      # client id
        self.assigned: list[str] = []       # client ids of users'
        self.header_secret = secrets.token_hex(16).upper()
        self.arc_folder: Path | None = None
        self.arc_announced = ARC_FOLDER + "/{name}.key"
        self.arc_keys: set[str] = set()

    @staticmethod
    def stage_of(path: str) -> str | None:
        return "identity" if path in (METADATA, MSI) else None

    def handle(self, request: HttpRequest, faults: list[Fault]) -> Response:
        busy = next((f for f in faults if f.action == "429"), None)
        if busy is not None:
            response = _refused(429, "too_many_requests", "Retry later")
            if busy.argument:
                response.headers["Retry-After"] = busy.argument
        elif request.path == MSI:
            response = self._app_service(request, faults)
        elif request.path != METADATA:
            response = Response(404, html="<h1>404</h1>")
        elif self.kind == "arc":
            response = self._arc(request, faults)
        else:
            response = self._vm(request, faults)
        response.entra = False
        record = TokenRequest("managed_identity", request.query, "",
                              response.status, response.json)
        with self.log.changed:
            self.log.token_requests.append(record)
        return response

    # -- virtual machine

    def _vm(self, request: HttpRequest, faults: list[Fault]) -> Response:
        if request.method != "GET":
            return _refused(405, "method_not_allowed", "Method not allowed")
        if "x-forwarded-for" in request.headers:
            return _refused(400, "bad_request", "X-Forwarded-For is forbidden")
        if request.headers.get("metadata") != "true":
            return _refused(400, "invalid_request",
                            "Required metadata header not specified")
        if request.query.get("api-version") not in VM_VERSIONS:
            return _refused(400, "bad_request", "Invalid api-version")
        resource = RESOURCES.get(request.query.get("resource", ""))
        if resource is None:
            return _refused(400, "invalid_resource", "AADSTS500011: The "
                            "resource principal named "
                            f"{request.query.get('resource')} was not found.")
        app = self._identity(request.query.get("client_id"))
        if app is None:
            return _refused(400, "invalid_request", "Identity not found")
        return Response(json=self._answer(app, resource, faults))

    def _identity(self, client_id: str | None) -> App | None:
        """The one that is asked for, else the machine's own, else the only
        one that is assigned."""
        if client_id is None:
            client_id = self.system
            if client_id is None and len(self.assigned) == 1:
                client_id = self.assigned[0]
        elif client_id not in (self.system, *self.assigned):
            return None
        return None if client_id is None else self.directory.app(client_id)

    def _answer(self, app: App, audience: str,
                faults: list[Fault]) -> dict[str, str]:
        """A token, with numbers as texts."""
        names = {f.action for f in faults}
        fixed = next((f for f in faults if f.action == "expires-in"), None)
        lifetime = int(fixed.argument) if fixed else self.lifetime
        now = int(time.time())
        tenant = self.directory.tenant.id
        claims = app_claims(app, tenant, f"https://sts.windows.net/{tenant}/",
                            GRAPH if "graph-audience" in names else audience,
                            [] if "no-roles" in names else app.roles)
        token = self.tokens.mint(**claims, exp=now + lifetime)
        return {"access_token": token, "client_id": app.client_id,
                "expires_in": str(lifetime), "expires_on": str(now + lifetime),
                "ext_expires_in": str(lifetime), "not_before": str(now - 300),
                "resource": audience, "token_type": "Bearer",
                "refresh_token": ""}

    # -- App Service, Functions, Container Apps

    def _app_service(self, request: HttpRequest,
                     faults: list[Fault]) -> Response:
        legacy = request.query.get("api-version") == "2017-09-01"
        header, client = ("secret", "clientid") if legacy else \
            ("x-identity-header", "client_id")
        if request.method != "GET" or \
                request.query.get("api-version") not in ("2017-09-01",
                                                         "2019-08-01"):
            return _failed(400, "The api-version is not supported.")
        if not hmac.compare_digest(request.headers.get(header, "").encode(),
                                   self.header_secret.encode()):
            return _failed(400, "The identity header is missing or wrong.")
        resource = RESOURCES.get(request.query.get("resource", ""))
        if resource is None:
            return _failed(500, "An unexpected error occurred while fetching "
                           "the AAD Token.")
        app = self._identity(request.query.get(client))
        if app is None:
            return _failed(400, "No User Assigned or Delegated Managed "
                           "Identity found for specified ClientId/ResourceId/"
                           "PrincipalId.")
        answer = self._answer(app, resource, faults)
        kept = ("access_token", "expires_on", "resource", "token_type",
                "client_id")
        answer = {key: answer[key] for key in kept}
        dates = "24h" if legacy and self.dates == "epoch" else self.dates
        if dates != "epoch":
            moment = datetime.datetime.fromtimestamp(
                int(answer["expires_on"]), datetime.timezone.utc)
            answer["expires_on"] = moment.strftime(DATES[dates])
        return Response(json=answer)

    # -- Azure Arc

    def _arc(self, request: HttpRequest, faults: list[Fault]) -> Response:
        """Who asks must be able to read a file of this machine."""
        if request.method != "GET" or \
                request.headers.get("metadata") != "true":
            return _refused(400, "invalid_request",
                            "Required metadata header not specified")
        if request.query.get("api-version") not in ARC_VERSIONS or \
                "client_id" in request.query:
            return _refused(400, "bad_request", "Invalid query")
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith("Basic "):
            return self._arc_challenge()
        key = authorization.removeprefix("Basic ")
        if key not in self.arc_keys:
            return _refused(401, "unauthorized", "The key is not known")
        self.arc_keys.discard(key)
        resource = RESOURCES.get(request.query.get("resource", ""))
        app = self._identity(None)
        if resource is None or app is None:
            return _refused(400, "invalid_resource", "AADSTS500011")
        return Response(json=self._answer(app, resource, faults))

    def _arc_challenge(self) -> Response:
        name, key = str(uuid.uuid4()), secrets.token_urlsafe(96)
        if self.arc_folder is not None:
            self.arc_folder.mkdir(parents=True, exist_ok=True)
            file = self.arc_folder / f"{name}.key"
            file.write_text(key)
            file.chmod(0o640)
        self.arc_keys.add(key)
        realm = self.arc_announced.format(name=name)
        return Response(401, html="", headers={
            "WWW-Authenticate": f"Basic realm={realm}"})


def _refused(status: int, error: str, description: str) -> Response:
    return Response(status, json={"error": error,
                                  "error_description": description})


def _failed(status: int, message: str) -> Response:
    return Response(status, json={"statusCode": status, "message": message,
                                  "correlationId": str(uuid.uuid4())})
