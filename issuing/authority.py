"""A certificate authority for tests: it signs for every user, and its key is in memory only."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .requests import CertificateRequest

NAME = "Certless test CA: do not trust"
_LIFETIME = datetime.timedelta(days=7)
_OWN_LIFETIME = datetime.timedelta(days=365)
# Clocks of clients can be behind.
_BACKDATED = datetime.timedelta(minutes=5)


class AuthorityForTests:
    """Signs every accepted request for 7 days. A new process has a new authority.

    Nobody checks that a name belongs to the user, so no program may trust this authority.
    """

    is_for_tests = True

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        ski = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
        builder = (
            _builder(self._name, self._name, _OWN_LIFETIME)
            .public_key(self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_AUTHORITY_USAGE, critical=True)
            .add_extension(ski, critical=False)
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """The certificate of the authority."""
        return self._certificate.public_bytes(Encoding.PEM)

    async def sign(self, request: CertificateRequest, user: str) -> bytes:
        """A certificate for ``request`` and that of the authority, in PEM."""
        parsed = request.parsed
        builder = _builder(parsed.subject, self._name, _LIFETIME).public_key(parsed.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(self._aki, critical=False)
        has_subject = bool(list(parsed.subject))
        for extension in parsed.extensions:
            # RFC 5280 §4.2.1.6: the names are critical if there is no subject.
            is_names = isinstance(extension.value, x509.SubjectAlternativeName)
            is_critical = not has_subject if is_names else extension.critical
            builder = builder.add_extension(extension.value, is_critical)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(Encoding.PEM) + self.pem


_AUTHORITY_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _builder(
    subject: x509.Name, issuer: x509.Name, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )
