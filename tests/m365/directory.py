"""Who exists: the tenant, its users and mailboxes, the registered apps."""
from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

TENANT = "7f3c9a52-1d44-4e0b-9b57-2c8e6a1f0d93"
TENANT_DOMAIN = "contoso.onmicrosoft.com"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"   # every Microsoft account
CLIENT = "b1d0f2ce-64a7-4a38-8c11-5e92d7a3c406"
SECRET_CLIENT = "d94c0b7e-52a1-4f3d-a6f8-0b3e71c95a18"
IDENTITY_CLIENT = "3e7a1f64-0c5d-4b92-9a18-6d2f40b7ce85"
NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"
MULTI_TENANT_NAMES = ("common", "organizations", "consumers")


@dataclass
class Tenant:
    """An organisation and the switches of Set-TransportConfig and Entra."""
    id: str = TENANT
    domains: list[str] = field(
        default_factory=lambda: [TENANT_DOMAIN, "contoso.com"])
    smtp_auth_disabled: bool = False
    security_defaults: bool = False
    locked_out: bool = False


@dataclass
class Mailbox:
    """A mailbox with the switches that decide what SMTP answers for it.

    `smtp_auth_disabled` None inherits the tenant's value, as $null does in
    Set-CASMailbox; `send_as` may hold patterns such as ``*@contoso.com``."""
    address: str
    send_as: list[str] = field(default_factory=list)
    delegates: list[str] = field(default_factory=list)
    smtp_auth_disabled: bool | None = None
    conditional_access: bool = False
    full: bool = False
    restricted: bool = False
    throttled: str | None = None      # row 50: "send as denied", "mailbox full"
    max_send_size: int | None = None
    disabled: bool = False            # the account, at the token endpoint
    step_up: bool = False             # tokens need a claims challenge answered

    def may_send_as(self, address: str) -> bool:
        wanted = address.lower()
        own = [self.address, *self.send_as]
        return any(fnmatch.fnmatchcase(wanted, a.lower()) for a in own)


@dataclass(frozen=True)
class Federation:
    """A federated credential: whose tokens stand for the app."""
    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


@dataclass
class App:
    """An app registration with its enterprise application.

    `consent`: granted (by an administrator, for all), user (each is asked in
    the browser once), admin (only an administrator may give it).
    `redirects` are those of the platform "Mobile and desktop applications".
    `roles` are application permissions; `mailboxes` those it may open
    (Add-MailboxPermission); `rbac` the mailboxes granted by Exchange's own
    role assignment, which needs no role in the token."""
    client_id: str
    secret: str | None = None
    public: bool = False
    roles: list[str] = field(default_factory=list)
    mailboxes: list[str] = field(default_factory=list)
    rbac: list[str] = field(default_factory=list)
    name: str = "Outpost"
    secret_expired: bool = False
    disabled: bool = False
    certificate: bytes | None = None  # PEM, for client assertions
    federations: list[Federation] = field(default_factory=list)
    consent: str = "granted"
    consented: set[str] = field(default_factory=set)
    redirects: list[str] = field(
        default_factory=lambda: ["http://localhost", NATIVE_CLIENT])


class Directory:
    def __init__(self) -> None:
        self.tenant = Tenant()
        self.mailboxes: dict[str, Mailbox] = {}
        self.apps: dict[str, App] = {}

    def add_mailbox(self, mailbox: Mailbox) -> Mailbox:
        self.mailboxes[mailbox.address.lower()] = mailbox
        return mailbox

    def mailbox(self, address: str) -> Mailbox | None:
        return self.mailboxes.get(address.lower())

    def add_app(self, app: App) -> App:
        self.apps[app.client_id.lower()] = app
        return app

    def app(self, client_id: str) -> App | None:
        return self.apps.get(client_id.lower())

    def knows_tenant(self, name: str) -> bool:
        known = (self.tenant.id, CONSUMERS, *self.tenant.domains,
                 *MULTI_TENANT_NAMES)
        return name.lower() in known

    def smtp_auth_switch(self, mailbox: Mailbox) -> str | None:
        """Which switch forbids SMTP AUTH: "Tenant", "Mailbox" or None.
        The mailbox's value wins over the tenant's."""
        if mailbox.smtp_auth_disabled is None:
            return "Tenant" if self.tenant.smtp_auth_disabled else None
        return "Mailbox" if mailbox.smtp_auth_disabled else None
