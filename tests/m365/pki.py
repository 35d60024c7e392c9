"""A certificate authority made anew at each start, and its server keys."""
from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("good", "wrong-name", "expired", "not-yet-valid", "untrusted",
         "self-signed")


class Authority:
    """A root whose PEM and hashed directory clients are pointed at."""

    def __init__(self, folder: Path, name: str = "Outpost test root") -> None:
        self.folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._common_name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign_root()

    def write(self) -> tuple[Path, Path]:
        """Write ca.pem and the directory ca/ with its subject-hash name."""
        pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        file, directory = self.folder / "ca.pem", self.folder / "ca"
        directory.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pem)
        for old in directory.glob("*.0"):
            old.unlink()
        (directory / f"{subject_hash(self._common_name)}.0").write_bytes(pem)
        return file, directory

    def server_context(self, kind: str, tls_max: str | None = None,
                       label: str = "server") -> ssl.SSLContext:
        """A TLS 1.2+ server context with a certificate of that kind."""
        chain = self.folder / f"{label}.pem"
        chain.write_bytes(self._server_pem(kind))
        chain.chmod(0o600)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls_max == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        elif tls_max not in (None, "1.3"):
            raise ValueError(f"tls_max must be 1.2 or 1.3, not {tls_max}")
        context.load_cert_chain(chain)
        return context

    def _sign_root(self) -> x509.Certificate:
        builder = _builder(self._name, self._name, self._key, days=(-1, 30))
        return (builder
                .add_extension(x509.BasicConstraints(True, None), True)
                .add_extension(_usage(ca=True), True)
                .sign(self._key, hashes.SHA256()))

    def _server_pem(self, kind: str) -> bytes:
        if kind not in KINDS:
            raise ValueError(f"certificate must be one of {KINDS}, not {kind}")
        if kind == "untrusted":
            return Authority(self.folder, "Another root")._server_pem("good")
        key = ec.generate_private_key(ec.SECP256R1())
        name = "other.example" if kind == "wrong-name" else "localhost"
        certificate = self._sign_server(key, name, kind)
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + certificate.public_bytes(serialization.Encoding.PEM)

    def _sign_server(self, key: ec.EllipticCurvePrivateKey, name: str,
                     kind: str) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = kind == "self-signed"
        days = {"expired": (-9, -2), "not-yet-valid": (2, 9)}.get(kind, (-1, 9))
        alternatives: list[x509.GeneralName] = [x509.DNSName(name)]
        if name == "localhost":
            alternatives += [x509.IPAddress(ipaddress.ip_address(a))
                             for a in ("127.0.0.1", "::1")]
        builder = _builder(subject, subject if own else self._name, key, days)
        return (builder
                .add_extension(x509.SubjectAlternativeName(alternatives), False)
                .add_extension(x509.BasicConstraints(False, None), True)
                .add_extension(_usage(ca=False), True)
                .add_extension(x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH]), False)
                .sign(key if own else self._key, hashes.SHA256()))


def application_certificate(days: tuple[int, int] = (-1, 365), bits: int = 2048,
                            curve: ec.EllipticCurve | None = None,
                            passphrase: bytes | None = None
                            ) -> tuple[bytes, bytes]:
    """Key and self-signed certificate, PEM, as an administrator makes them
    for an app registration; valid from and to so many days from now."""
    key = ec.generate_private_key(curve) if curve else \
        rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "outpost")])
    certificate = _builder(name, name, key, days).sign(key, hashes.SHA256())
    locked = serialization.NoEncryption() if passphrase is None else \
        serialization.BestAvailableEncryption(passphrase)
    return (key.private_bytes(serialization.Encoding.PEM,
                              serialization.PrivateFormat.PKCS8, locked),
            certificate.public_bytes(serialization.Encoding.PEM))


def _builder(subject: x509.Name, issuer: x509.Name,
             key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
             days: tuple[int, int]) -> x509.CertificateBuilder:
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder()
            .subject_name(subject).issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1])))


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=ca, crl_sign=ca, encipher_only=False,
        decipher_only=False)


def subject_hash(common_name: str) -> str:
    """OpenSSL's X509_NAME_hash of a name that is one CN (see c_rehash).

    SHA-1 over the canonical encoding: lower case, blanks collapsed, UTF-8,
    without the outer SEQUENCE; the first four octets, little-endian."""
    value = " ".join(common_name.lower().split()).encode()
    pair = _der(0x30, _der(0x06, b"\x55\x04\x03") + _der(0x0C, value))
    digest = hashlib.sha1(_der(0x31, pair)).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content
