"""Measurements that need a new process: ``python -m bench.probes PROBE COUNT``.

Each probe prints one line of JSON.

``rsa``       CPU time of one private and one public operation, without any other work
``keygen``    RSA pairs a second in one thread
``keys``      resident memory of the key objects of one of COUNT sessions
``sessions``  resident memory of one of COUNT enrolled sessions, with its keys
``messages``  resident memory of each claimed message in COUNT sessions
``guess``     CPU time and memory of one guess of a vault password

The pairs come from 64 primes: each pair of primes gives another modulus. These RSA pairs need as
much memory as others, but are fast to make. Each key is used once, as in a session.
"""

import asyncio
import gc
import itertools
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.clock import system_clock
from gateway.keys.keyring import KeyRing
from gateway.sessions.classic import Sessions
from gateway.stores.memory.store import MemoryStore
from protocol.classic.freshness import MAX_MESSAGES
from protocol.common.codes import mint_code, mint_token, session_id
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from vault.core.account import Owner
from vault.core.password import KDFS, SALT_BYTES, STRONGEST_KDF, PasswordSecrets

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def rsa_operations(count: int) -> dict[str, float]:
    """Microseconds of CPU of one unwrap and one wrap (2048 bits, OAEP-SHA256)."""
    key = rsa.generate_private_key(65537, 2048)
    public, secret = key.public_key(), b"0" * 32
    start_s = time.process_time()
    for _ in range(count):
        key.decrypt(public.encrypt(secret, OAEP), OAEP)
    return {"rsa_us": (time.process_time() - start_s) / count * 1e6}


def keygen(count: int) -> dict[str, float]:
    """Pairs a second of CPU time."""
    start_s = time.process_time()
    for _ in range(count):
        RsaPrivateKey.generate()
    return {"pairs_per_s": count / (time.process_time() - start_s)}


def resident_bytes() -> int:
    """What this process holds in memory now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _pairs_der(count: int) -> Iterator[bytes]:
    """``count`` (at most 2016) distinct pairs, PKCS#8 DER. They share primes: never use them."""
    numbers = [rsa.generate_private_key(65537, 2048).private_numbers() for _ in range(32)]
    primes = [prime for number in numbers for prime in (number.p, number.q)]
    for p, q in itertools.islice(itertools.combinations(primes, 2), count):
        d = pow(65537, -1, (p - 1) * (q - 1))
        key = rsa.RSAPrivateNumbers(
            p,
            q,
            d,
            rsa.rsa_crt_dmp1(d, p),
            rsa.rsa_crt_dmq1(d, q),
            rsa.rsa_crt_iqmp(p, q),
            rsa.RSAPublicNumbers(65537, p * q),
        ).private_key(unsafe_skip_rsa_key_validation=True)
        yield key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def _used_keys(private_der: bytes, public_der: bytes) -> tuple[RsaPrivateKey, RsaPublicKey]:
    pair, client_key = RsaPrivateKey.from_der(private_der), RsaPublicKey.from_der(public_der)
    assert client_key is not None
    pair.unwrap(b"\x00" * 256, "oaep-sha256")
    client_key.wrap(b"0" * 32, "oaep-sha256")
    return pair, client_key


def _memory_sessions() -> Sessions:
    return Sessions(MemoryStore(), KeyRing.ephemeral(), system_clock, "classic/sfet-3", 3_600_000)


async def _claimed_token(sessions: Sessions, user: str) -> str:
    token = mint_token(secrets.token_bytes)
    await sessions.await_code(token, user, bytes(16), mint_code(secrets.token_bytes))
    await sessions.claim_code(token)
    return token


async def session_memory(count: int, with_sessions: bool) -> dict[str, float]:
    """Bytes a session: of its keys alone, or of everything that ``Sessions.enrol`` keeps."""
    private_ders = list(_pairs_der(count))
    # The client's key is another one than the session's: the list turned by one.
    ders = [RsaPrivateKey.from_der(der).public.to_der() for der in private_ders]
    material = list(zip(private_ders, ders[1:] + ders[:1], strict=True))
    sessions = _memory_sessions()
    kept = []
    _used_keys(*material[0])
    before = resident_bytes()
    for number, (private_der, public_der) in enumerate(material):
        keys = _used_keys(private_der, public_der)
        if with_sessions:
            user = f"user{number}@example.org"
            token = await _claimed_token(sessions, user)
            assert await sessions.enrol(token, user, *keys)
        else:
            kept.append(keys)
    return {"bytes": (resident_bytes() - before) / count}


async def message_memory(count: int) -> dict[str, float]:
    """Bytes a message, in sessions that have spent all theirs."""
    sessions = _memory_sessions()
    pair = RsaPrivateKey.generate()
    tokens = [await _claimed_token(sessions, "ann@example.org") for _ in range(count)]
    for token in tokens:
        await sessions.enrol(token, "ann@example.org", pair, pair.public)
    before = resident_bytes()
    for token in tokens:
        live = await sessions.find(token, system_clock())
        assert live is not None
        assert live.session.id == session_id(token).hex()
        for number in range(MAX_MESSAGES):
            tag = live.keys.passphrase_tag(str(number).encode())
            claim = live.keys.nonce_claim(str(number), tag)
            assert await sessions.claim(live.session, claim, system_clock())
    return {"bytes": (resident_bytes() - before) / count / MAX_MESSAGES}


def guess(count: int) -> dict[str, float]:
    """One guess: Argon2id, and the comparison with the verifier costs nothing beside it."""
    owner, salt = Owner("ann@example.org", "certless"), secrets.token_bytes(SALT_BYTES)
    start_s = time.process_time()
    for number in range(count):
        PasswordSecrets.derive(f"guess {number}", salt, STRONGEST_KDF, owner)
    cpu_ms = (time.process_time() - start_s) / count * 1000
    return {"ms": cpu_ms, "mib": KDFS[STRONGEST_KDF].memory_kib / 1024}


def main() -> None:
    what, count = sys.argv[1], int(sys.argv[2])
    match what:
        case "rsa":
            result = rsa_operations(count)
        case "keygen":
            result = keygen(count)
        case "guess":
            result = guess(count)
        case "keys" | "sessions":
            result = asyncio.run(session_memory(count, what == "sessions"))
        case "messages":
            result = asyncio.run(message_memory(count))
        case unknown:
            sys.exit(f"no probe {unknown}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
