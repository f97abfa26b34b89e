"""How a private key is sealed to a session: ECDH on P-256, HKDF-SHA256, AES-256-GCM.

The child process seals. ``open_sealed`` is for clients in Python, and for the tests.
"""

import hashlib
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

_KEY_BYTES = 32
_IV_BYTES = 12
_LABEL = b"certless session_crypto 1"


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A private key (PKCS#8 in PEM) that only the client of the session can open.

    ``server_public_key`` is the server's half of this key alone. ``public_key`` belongs to the
    sealed key. ``escrow`` is "" unless the operator configured an escrow key: then it is the same
    private key, sealed to that key.
    """

    server_public_key: str
    iv: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    public_key: str
    escrow: bytes = field(default=b"", repr=False)


def public_pem(key: ec.EllipticCurvePublicKey) -> str:
    """SubjectPublicKeyInfo in PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def client_key(pem: str) -> ec.EllipticCurvePublicKey:
    """A client's public key. Raises: ValueError."""
    try:
        key = load_pem_public_key(pem.encode("ascii"))
    except Exception:  # the library raises several classes
        raise ValueError("the client's key is not a public key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the client's key is not on P-256")
    return key


def seal(
    session_id: str, own: ec.EllipticCurvePrivateKey, client: ec.EllipticCurvePublicKey, key: bytes
) -> tuple[bytes, bytes]:
    """IV and ciphertext of ``key`` for the holder of ``client``."""
    iv = os.urandom(_IV_BYTES)
    session_key = _session_key(session_id, own, client, own.public_key(), client)
    return iv, AESGCM(session_key).encrypt(iv, key, session_id.encode())


def open_sealed(session_id: str, own: ec.EllipticCurvePrivateKey, key: SealedKey) -> bytes:
    """The private key. ``own`` is the client's half. Raises: ValueError."""
    server = client_key(key.server_public_key)
    session_key = _session_key(session_id, own, server, server, own.public_key())
    try:
        return AESGCM(session_key).decrypt(key.iv, key.sealed, session_id.encode())
    except InvalidTag:
        raise ValueError("this key was sealed for another session or another client") from None


def _session_key(
    session_id: str,
    own: ec.EllipticCurvePrivateKey,
    peer: ec.EllipticCurvePublicKey,
    server: ec.EllipticCurvePublicKey,
    client: ec.EllipticCurvePublicKey,
) -> bytes:
    both = public_pem(server) + public_pem(client)
    salt = hashlib.sha256(both.encode()).digest()
    info = _LABEL + b"\0" + session_id.encode()
    hkdf = HKDF(hashes.SHA256(), _KEY_BYTES, salt, info)
    return hkdf.derive(own.exchange(ec.ECDH(), peer))
