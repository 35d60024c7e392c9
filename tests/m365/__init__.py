"""A stand-in for Microsoft 365: SMTP submission and Entra ID on loopback.

By hand: ``cd tests && python3 -m m365 --help``.  From a test::

    from m365 import Microsoft365
    with Microsoft365(tmp_path) as m:
        m.fault("at RCPT 2 reply 550 5.1.10 RESOLVER.ADR.RecipientNotFound")
        ...
        assert m.wait_messages(1)[0].header("Subject") == ["hello"]

Modules: pki (certificates), directory (who exists), tokens (access tokens),
aadsts (error table), assertions (what an app proves itself by), sts and web
(Entra over HTTPS), identity (managed identity over plain HTTP), wire (bytes,
TLS, round trips), syntax and smtp (the session), content (what a message may
contain), replies (Exchange's texts), faults (the scenario language), limits,
records (what was seen), server (facade).
"""
from .faults import ScenarioError
from .server import Microsoft365

__all__ = ["Microsoft365", "ScenarioError"]
