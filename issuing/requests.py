"""Certificate requests (PKCS#10): which ones are accepted, and which certificate answers one."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from .errors import Malformed, NotSigned

MAX_REQUEST_BYTES = 16 * 1024
MAX_NAMES = 100
_RSA_BITS = 3072
# What a request may ask for. Others, such as basicConstraints, are for authorities.
_EXTENSIONS = {
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
}
_NAME_KINDS = (x509.DNSName, x509.IPAddress, x509.RFC822Name)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A request that was checked: its key has signed it, and it asks for nothing forbidden.

    ``kind`` is ``P-256`` or ``RSA-3072``, ``public_key`` a SubjectPublicKeyInfo in DER.
    """

    parsed: x509.CertificateSigningRequest = field(repr=False)
    kind: str
    public_key: bytes = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The request in PEM, written anew."""
        return self.parsed.public_bytes(Encoding.PEM)


def parse_request(data: bytes) -> CertificateRequest:
    """Check a request in PEM. Raises: Malformed."""
    if len(data) > MAX_REQUEST_BYTES:
        raise Malformed(f"a certificate request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        parsed = x509.load_pem_x509_csr(data)
        is_signed = parsed.is_signature_valid
        key, extensions = parsed.public_key(), parsed.extensions
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, TypeError):
        raise Malformed("this is not a certificate request (PKCS#10) in PEM") from None
    if not is_signed:
        raise Malformed("the request is not signed by its own key: make a new one")
    for extension in extensions:
        _check_extension(extension)
    return CertificateRequest(parsed, _kind(key), _spki(key))


def certificate_for(request: CertificateRequest, chain: bytes) -> x509.Certificate:
    """The first certificate of ``chain`` (PEM), which is for the key of ``request``.

    Raises: NotSigned.
    """
    try:
        first = x509.load_pem_x509_certificates(chain)[0]
        public_key = _spki(first.public_key())
    except (ValueError, UnsupportedAlgorithm, IndexError, TypeError):
        raise NotSigned("the signer's answer has no certificate in PEM") from None
    if public_key != request.public_key:
        raise NotSigned("the signer's certificate is for another key")
    return first


def _kind(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "P-256"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size == _RSA_BITS:
        if key.public_numbers().e != 65537:
            raise Malformed("an RSA key must have the exponent 65537")
        return "RSA-3072"
    raise Malformed("the key must be of P-256 or RSA-3072")


def _spki(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise NotSigned("the signer's certificate is for a key of another kind")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_extension(extension: x509.Extension[x509.ExtensionType]) -> None:
    """Raises: Malformed."""
    value = extension.value
    if extension.oid not in _EXTENSIONS:
        raise Malformed("a request has uses and names, and no other extension: leave it out")
    if isinstance(value, x509.KeyUsage) and (value.key_cert_sign or value.crl_sign):
        raise Malformed("a key for certificates of others is not accepted: leave this use out")
    if isinstance(value, x509.ExtendedKeyUsage) and not set(value) <= _PURPOSES:
        raise Malformed("the purposes can be server, client and mail: leave the others out")
    if isinstance(value, x509.SubjectAlternativeName):
        names = list(value)
        if len(names) > MAX_NAMES or not all(isinstance(name, _NAME_KINDS) for name in names):
            raise Malformed(f"a request has at most {MAX_NAMES} DNS names, addresses and mailboxes")
