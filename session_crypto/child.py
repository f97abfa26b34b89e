"""The child process: makes or takes a private key, seals it to one session, and ends.

It writes the server's half of ECDH, reads one order, and writes one answer, as lines of JSON. So
the parent never has the server's half. It never has a key that was made here either.
"""

import base64
import json
import resource
import signal
import sys
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from .sealing import client_key, public_pem, seal

# An order that comes later is not for this process any more.
WAIT_S = 60
RSA_BITS = 3072


def main() -> None:
    """Serve one order on the standard streams."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(WAIT_S)
    own = ec.generate_private_key(ec.SECP256R1())
    _write({"server_public_key": public_pem(own.public_key())})
    line = sys.stdin.readline()
    if not line:
        return
    try:
        _write(_sealed(own, json.loads(line)))
    except (ValueError, TypeError, KeyError):
        # The reason could have a part of the key.
        _write({"error": "the private key or the client's key cannot be used"})


def _sealed(own: ec.EllipticCurvePrivateKey, order: dict[str, Any]) -> dict[str, str]:
    key = _new_key(order["kind"]) if order["kind"] else _given_key(order["private_key"])
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    iv, sealed = seal(order["session"], own, client_key(order["client"]), pem)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    answer = {"iv": _text(iv), "sealed": _text(sealed), "public_key": public.decode()}
    if order["escrow"]:
        answer["escrow"] = _text(_for_escrow(order["escrow"], order["session"], pem))
    return answer


def _new_key(kind: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "P-256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, RSA_BITS)


def _given_key(pem: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode("ascii"), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError
    return key


def _for_escrow(agent_pem: str, session_id: str, key: bytes) -> bytes:
    """RSA-OAEP of an AES key, then IV and AES-256-GCM of ``key``."""
    agent = load_pem_public_key(agent_pem.encode("ascii"))
    if not isinstance(agent, rsa.RSAPublicKey):
        raise ValueError
    wrapping, iv = AESGCM.generate_key(256), AESGCM.generate_key(128)[:12]
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"session_crypto escrow")
    sealed = AESGCM(wrapping).encrypt(iv, key, session_id.encode())
    return agent.encrypt(wrapping, oaep) + iv + sealed


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _write(answer: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
