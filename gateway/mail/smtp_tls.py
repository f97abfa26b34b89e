"""Whether a conversation with a mail server is encrypted, and whose certificate it takes.

Where TLS is only taken because it is offered, somebody on the way could drop the offer as well. To
check the certificate there would lose mails and keep nobody out (RFC 7435).
"""

import ssl
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import aiosmtplib

from protocol.common.primitives import sha256


class Tls(Enum):
    """The three ways, by the schemes of their URLs."""

    OFFERED = "smtp"
    STARTTLS = "smtp+starttls"
    FROM_THE_START = "smtps"


class CertificateRefused(aiosmtplib.SMTPException):
    """It is not the one that was named; ``fingerprint`` is what it has, in hex."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__("the certificate does not have the fingerprint that mail names")
        self.fingerprint = fingerprint


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificate is taken: one that the system trusts, unless something else is named.

    ``ca`` is a file of certificates, instead of those of the system; ``fingerprint`` the SHA-256 of
    the certificate itself, instead of any authority; ``anybody`` takes all.
    """

    ca: Path | None = None
    fingerprint: bytes | None = None
    anybody: bool = False

    def context(self) -> ssl.SSLContext:
        """Reads files. Raises: OSError."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.anybody or self.fingerprint:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def check(self, smtp: aiosmtplib.SMTP) -> None:
        """What the handshake has left to be checked. Raises: CertificateRefused."""
        if self.fingerprint is None:
            return
        shown = smtp.get_transport_info("ssl_object").getpeercert(binary_form=True)
        found = sha256(shown)
        if found != self.fingerprint:
            raise CertificateRefused(found.hex())
