"""Client assertions: a JWT that an app's certificate signed, or one of an
issuer that the app trusts (workload identity federation)."""
from __future__ import annotations

import datetime
import functools
import json
import time
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .aadsts import Refusal
from .directory import App, Federation
from .tokens import b64url, unb64url

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE_TOKEN = "api://AzureADTokenExchange"
SKEW = 300                      # seconds that a clock may be off
_SCHEMES = {"RS256": padding.PKCS1v15(),
            "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), 32)}
_MISMATCH = "The provided signature value did not match the expected " \
    "signature value."


@dataclass
class Assertion:
    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, text: str) -> "Assertion":
        try:
            head, body, signature = text.split(".")
            parsed = cls(json.loads(unb64url(head)),
                         json.loads(unb64url(body)),
                         f"{head}.{body}".encode(), unb64url(signature))
        except ValueError:
            raise Refusal(50012) from None
        if not isinstance(parsed.header, dict) or \
                not isinstance(parsed.claims, dict):
            raise Refusal(50012)
        return parsed

    def is_signed_by(self, key: rsa.RSAPublicKey) -> bool:
        scheme = _SCHEMES.get(str(self.header.get("alg")))
        if scheme is None:
            return False
        try:
            key.verify(self.signature, self.signed, scheme, hashes.SHA256())
            return True
        except InvalidSignature:
            return False

    def check_time(self) -> None:
        start, end = self.claims.get("nbf", 0), self.claims.get("exp")
        if not all(isinstance(t, (int, float)) for t in (start, end)) or \
                not start - SKEW <= time.time() <= end + SKEW:
            raise Refusal(700024)


class Assertions:
    def check(self, app: App, form: dict[str, str],
              audiences: tuple[str, ...]) -> None:
        """Refuse an assertion that does not prove the app."""
        if form.get("client_assertion_type") != JWT_BEARER:
            raise Refusal(900144, parameter="client_assertion_type")
        assertion = Assertion.parse(form["client_assertion"])
        if {"x5t", "x5t#S256"} & set(assertion.header) or not app.federations:
            _check_certified(app, assertion, audiences)
        else:
            _check_federated(app, assertion)


def _check_certified(app: App, assertion: Assertion,
                     audiences: tuple[str, ...]) -> None:
    if app.certificate is None:
        raise Refusal(700027)
    certificate = x509.load_pem_x509_certificate(app.certificate)
    _check_thumbprint(assertion.header, certificate)
    if not assertion.is_signed_by(certificate.public_key()):
        raise Refusal(700027, reason=_MISMATCH)
    if certificate.not_valid_after < datetime.datetime.utcnow():
        raise Refusal(700027, reason="The key used is expired.")
    claims = assertion.claims
    if assertion.header.get("typ", "JWT") != "JWT" or \
            not isinstance(claims.get("jti"), str) or not claims["jti"]:
        raise Refusal(50012)
    if claims.get("aud") not in audiences:
        raise Refusal(700023)
    if claims.get("iss") != app.client_id or \
            claims.get("sub") != app.client_id:
        raise Refusal(700021)
    assertion.check_time()


def _check_thumbprint(header: dict, certificate: x509.Certificate) -> None:
    """x5t (SHA-1) or x5t#S256, base64url or padded base64: both are seen."""
    for name, digest in (("x5t", hashes.SHA1()), ("x5t#S256", hashes.SHA256())):
        given = str(header.get(name)).replace("+", "-").replace("/", "_")
        if given.rstrip("=") == b64url(certificate.fingerprint(digest)):
            return
    raise Refusal(700027)


# -- workload identity federation

def _check_federated(app: App, assertion: Assertion) -> None:
    """Issuer, subject and audience must be those of one credential, letter by
    letter; then the issuer's key counts."""
    claims = assertion.claims
    audience = claims.get("aud")
    if isinstance(audience, list):
        audience = audience[0] if len(audience) == 1 else None
    presented = Federation(claims.get("iss"), claims.get("sub"), audience)
    if presented not in app.federations:
        raise Refusal(70021, issuer=str(presented.issuer),
                      subject=str(presented.subject),
                      audience=str(presented.audience))
    if not assertion.is_signed_by(issuer_key().public_key()):
        raise Refusal(50013)
    assertion.check_time()


@functools.cache
def issuer_key() -> rsa.RSAPrivateKey:
    """The key of the cluster whose tokens are exchanged."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def federated_token(federation: Federation, expires_in: int = 3600) -> str:
    """A token as a cluster projects it into a workload's file."""
    now = int(time.time())
    header = {"alg": "RS256", "kid": "cluster-1"}
    claims = {"aud": [federation.audience], "iss": federation.issuer,
              "sub": federation.subject, "iat": now - 5, "nbf": now - 5,
              "exp": now + expires_in}
    signed = ".".join(b64url(json.dumps(part).encode())
                      for part in (header, claims))
    signature = issuer_key().sign(signed.encode(), padding.PKCS1v15(),
                                  hashes.SHA256())
    return f"{signed}.{b64url(signature)}"
