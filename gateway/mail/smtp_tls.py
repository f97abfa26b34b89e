"""TLS to a mail server, and the certificates that are trusted.

With opportunistic TLS (``smtp://``) an attacker can remove the offer of STARTTLS. Checking the
certificate there would lose mails and stop no attacker (RFC 7435).
"""

import ssl
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import aiosmtplib

from protocol.common.primitives import sha256


class Tls(Enum):
    """The three modes, by the schemes of their URLs."""

    OFFERED = "smtp"
    STARTTLS = "smtp+starttls"
    FROM_THE_START = "smtps"


class CertificateRefused(aiosmtplib.SMTPException):
    """The certificate is not the expected one; ``fingerprint`` is its own, in hex."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__("the certificate does not have the fingerprint that is set in mail")
        self.fingerprint = fingerprint


@dataclass(frozen=True, slots=True)
class Trust:
    """The trusted certificates: by default those that the system trusts.

    ``ca`` is a file of certificates instead; ``fingerprint`` the SHA-256 of the only trusted
    certificate; ``anybody`` trusts every certificate.
    """

    ca: Path | None = None
    fingerprint: bytes | None = None
    anybody: bool = False

    def context(self) -> ssl.SSLContext:
        """The context for TLS; reads ``ca``. Raises: OSError."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.anybody or self.fingerprint:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def check(self, smtp: aiosmtplib.SMTP) -> None:
        """Check the fingerprint after the handshake. Raises: CertificateRefused."""
        if self.fingerprint is None:
            return
        shown = smtp.get_transport_info("ssl_object").getpeercert(binary_form=True)
        found = sha256(shown)
        if found != self.fingerprint:
            raise CertificateRefused(found.hex())
