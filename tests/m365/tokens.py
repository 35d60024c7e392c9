"""Access tokens: minted for Entra, checked for Exchange.

Work accounts get a v1.0 JWT signed RS256; Microsoft accounts get an opaque
``EwB...`` text that only the issuer can look up.
"""
from __future__ import annotations

import base64
import functools
import hashlib
import json
import secrets
import time
import uuid
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .directory import App, Directory, Mailbox

EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"
OUTLOOK_AUDIENCES = ("https://outlook.office.com", "https://outlook.office.com/",
                     "https://outlook.office365.com",
                     "https://outlook.office365.com/", EXCHANGE)
JWT_SIZE = (1600, 2400)

Claims = dict[str, Any]


class TokenError(Exception):
    """Why a token was refused; Exchange itself never says."""


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    """One key a process: making it is the slowest part of starting."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Tokens:
    def __init__(self, opaque: bool = False) -> None:
        self.opaque = opaque
        self.revoked: set[str] = set()
        self.issued: dict[str, Claims] = {}

    def mint(self, **claims: Any) -> str:
        """A token with these claims; `iat`, `nbf`, `exp` have defaults."""
        now = int(time.time())
        full: Claims = {"iat": now, "nbf": now, "exp": now + 3600, "ver": "1.0"}
        full.update(claims)
        token = self._opaque() if self.opaque else self._sign(full)
        self.issued[token] = full
        return token

    def read(self, token: str) -> Claims:
        """The claims of a token that is ours, unexpired and not revoked."""
        claims = (self._lookup(token) if token.startswith("EwB")
                  else self._verify(token))
        now = time.time()
        if token in self.revoked:
            raise TokenError("token is revoked")
        if claims["exp"] <= now:
            raise TokenError(f"token expired {int(now - claims['exp'])} s ago")
        if claims.get("nbf", 0) > now + 300:
            raise TokenError("token is not valid yet")
        return claims

    def revoke_user(self, user: str) -> None:
        for token, claims in list(self.issued.items()):
            if str(claims.get("upn", "")).lower() == user.lower():
                self.revoked.add(token)

    def _opaque(self) -> str:
        text = base64.b64encode(secrets.token_bytes(990)).decode()
        return "EwB" + text[3:-4] + "/+" + text[-4:-2] + "=="

    def _lookup(self, token: str) -> Claims:
        if token not in self.issued:
            raise TokenError("opaque token is unknown")
        return self.issued[token]

    def _sign(self, claims: Claims) -> str:
        kid = _key_id()
        header = {"typ": "JWT", "alg": "RS256", "x5t": kid, "kid": kid}
        signed = f"{_b64json(header)}.{_b64json(_padded(claims))}"
        signature = signing_key().sign(signed.encode(), padding.PKCS1v15(),
                                       hashes.SHA256())
        return f"{signed}.{b64url(signature)}"

    def _verify(self, token: str) -> Claims:
        try:
            head, body, signature = token.split(".")
            if json.loads(unb64url(head)).get("alg") != "RS256":
                raise TokenError("algorithm is not RS256")
            signing_key().public_key().verify(
                unb64url(signature), f"{head}.{body}".encode(),
                padding.PKCS1v15(), hashes.SHA256())
            return json.loads(unb64url(body))
        except InvalidSignature:
            raise TokenError("signature does not verify") from None
        except (ValueError, AttributeError) as problem:
            raise TokenError(f"not a token: {problem}") from None


def delegated_claims(user: str, app: App | None, tenant: str, issuer: str,
                     audience: str, scopes: str) -> Claims:
    """Claims of a signed-in user's token."""
    stable = uuid.uuid5(uuid.NAMESPACE_DNS, user.lower())
    return {"aud": audience, "iss": issuer, "tid": tenant, "scp": scopes,
            "appid": app.client_id if app else "", "app_displayname": "Outpost",
            "appidacr": "0" if app is None or app.public else "1",
            "upn": user, "unique_name": user, "oid": str(stable),
            "puid": stable.hex[:16].upper(), "idtyp": "user"}


def app_claims(app: App, tenant: str, issuer: str, audience: str,
               roles: list[str]) -> Claims:
    """Claims of an app-only token: no upn, and `roles` only if granted."""
    claims: Claims = {"aud": audience, "iss": issuer, "tid": tenant,
                      "appid": app.client_id, "app_displayname": app.name,
                      "appidacr": "1" if app.secret else "2",
                      "oid": str(uuid.uuid5(uuid.NAMESPACE_OID, app.client_id)),
                      "idtyp": "app"}
    if roles:
        claims["roles"] = roles
    return claims


def open_mailbox(directory: Directory, tokens: Tokens, user: str,
                 token: str, hve: bool = False) -> tuple[Mailbox, Claims]:
    """What Exchange decides at AUTH: may this token open that mailbox?"""
    claims = tokens.read(token)
    if claims.get("aud") not in OUTLOOK_AUDIENCES:
        raise TokenError(f"audience is {claims.get('aud')}")
    mailbox = directory.mailbox(user)
    if mailbox is None:
        raise TokenError(f"no mailbox {user}")
    if claims.get("idtyp") == "app":
        _admit_app(directory, claims, mailbox, hve)
    else:
        _admit_user(claims, mailbox)
    return mailbox, claims


def _admit_user(claims: Claims, mailbox: Mailbox) -> None:
    if "SMTP.Send" not in str(claims.get("scp", "")).split():
        raise TokenError(f"scp is {claims.get('scp')!r}")
    upn = str(claims.get("upn", "")).lower()
    allowed = [mailbox.address.lower(), *map(str.lower, mailbox.delegates)]
    if upn not in allowed:
        raise TokenError(f"{upn} has no right to {mailbox.address}")


def _admit_app(directory: Directory, claims: Claims, mailbox: Mailbox,
               hve: bool) -> None:
    app = directory.app(claims.get("appid", ""))
    if app is None:
        raise TokenError("app is unknown")
    address = mailbox.address.lower()
    if address in map(str.lower, app.rbac):
        return
    role = "Mail.Send" if hve else "SMTP.SendAsApp"
    if role not in claims.get("roles", []):
        raise TokenError(f"roles are {claims.get('roles')!r}")
    if address not in map(str.lower, app.mailboxes):
        raise TokenError(f"app has no permission on {mailbox.address}")


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _b64json(value: Claims) -> str:
    return b64url(json.dumps(value, separators=(",", ":")).encode())


def _key_id() -> str:
    modulus = signing_key().public_key().public_numbers().n
    return b64url(hashlib.sha1(str(modulus).encode()).digest())


def _padded(claims: Claims) -> Claims:
    """Add the claims that make Entra's tokens as long as they are."""
    size = JWT_SIZE[0] + secrets.randbelow(JWT_SIZE[1] - JWT_SIZE[0])
    fill = {"rh": "1.AXEA" + secrets.token_urlsafe(40) + ".",
            "uti": secrets.token_urlsafe(16), "xms_st": {"sub": b64url(
                secrets.token_bytes(32))}, "sid": str(uuid.uuid4())}
    present = len(_b64json({**claims, **fill})) + 500   # header, signature
    missing = max(0, size - present) * 3 // 4
    return {**fill, "wids": [str(uuid.uuid4()) for _ in range(missing // 39)],
            **claims}
