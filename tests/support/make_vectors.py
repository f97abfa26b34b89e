"""Writes spec/vectors; this module makes the classic cases and those that both suites share.

``python tests/support/make_vectors.py`` writes every file. The README.md there says what the
members mean.

The expected values do not come from protocol/: this module implements padding, ciphers and tags
again, from the RFCs, with another library, and with fixed bytes instead of random ones. So the
files depend only on this module and keys.json, and a test compares them. ``--new-keys`` generates
new pairs, and new files with them.

Longer than other modules because each group of cases is a list.
"""

import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from math import gcd, prod
from typing import Any, cast

from Crypto.Cipher import AES
from Crypto.PublicKey import ECC, RSA
from Crypto.Util.number import isPrime
from vector_files import KEYS_FILE, VECTORS, Case, Json, Subject, noted, pretty, write

from protocol.classic.dialects import DIALECTS, Dialect, derive

KEY_BITS = {"test-session": 2048, "test-client": 2048, "test-other": 2048, "test-wide": 4096}

NOW_MS = 1_767_225_600_000
WINDOW_MS = 60_000
TOKEN = "00112233-4455-6677-8899-aabbccddeeff"
CODE = "0123456789ABCDEFGHJKMNPQRS"
TAG_KEY = bytes(range(32))
STAND_IN = "0" * 32
UNDER_STAND_IN = (
    "The payload is right under 32 zeros, which a server may use when it cannot unwrap."
)


# --- bytes and numbers --------------------------------------------------------------------------


def stream(name: str, length: int) -> bytes:
    """``length`` fixed bytes, computed from ``name``. A program would use random ones."""
    return hashlib.shake_256(name.encode()).digest(length)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def flip(data: bytes, bit: int) -> bytes:
    """``data`` with one bit changed; negative numbers count from the end."""
    number = bit % (8 * len(data))
    changed = bytearray(data)
    changed[number // 8] ^= 0x80 >> number % 8
    return bytes(changed)


@dataclass(frozen=True)
class TestKey:
    """A pair of keys.json, with its numbers."""

    __test__ = False  # not a test class, despite its name
    private_pem: str
    public_pem: str

    n: int
    p: int

    @classmethod
    def load(cls, private_pem: str, public_pem: str) -> "TestKey":
        numbers = RSA.import_key(private_pem)
        return cls(private_pem, public_pem, int(numbers.n), int(numbers.p))

    @property
    def size(self) -> int:
        return (self.n.bit_length() + 7) // 8

    @property
    def private_der(self) -> bytes:
        return base64.b64decode("".join(self.private_pem.splitlines()[1:-1]))


@cache
def test_keys() -> dict[str, TestKey]:
    """The fixed pairs. They are published, so they protect nothing."""
    stored = json.loads(KEYS_FILE.read_text())["keys"]
    return {
        name: TestKey.load(pair["private_key_pem"], pair["public_key_pem"])
        for name, pair in stored.items()
    }


test_keys.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it


def new_keys() -> None:
    pairs = {}
    for name, bits in KEY_BITS.items():
        key = RSA.generate(bits)
        pairs[name] = {
            "private_key_pem": key.export_key(pkcs=8).decode() + "\n",
            "public_key_pem": key.public_key().export_key().decode() + "\n",
        }
    note = "TEST KEYS, published with the source. Never use them for anything else."
    KEYS_FILE.write_text(pretty({"comment": note, "keys": pairs}))
    test_keys.cache_clear()


# --- RSA padding, RFC 8017 ----------------------------------------------------------------------


def pad_pkcs1(secret: bytes, size: int, seed: str) -> bytes:
    """EME-PKCS1-v1_5 (RFC 8017 §7.2.1), its random bytes from ``seed``."""
    random = bytes(byte or 1 for byte in stream(seed, size - len(secret) - 3))
    return b"\x00\x02" + random + b"\x00" + secret


def _mgf1(seed: bytes, length: int, name: str) -> bytes:
    blocks = (hashlib.new(name, seed + i.to_bytes(4)).digest() for i in range(length // 20 + 1))
    return b"".join(blocks)[:length]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def pad_oaep(secret: bytes, size: int, seed: str, name: str, label: bytes = b"") -> bytes:
    """EME-OAEP (RFC 8017 §7.1.1) with one hash for label and mask, its seed from ``seed``."""
    label_hash = hashlib.new(name, label).digest()
    digest = len(label_hash)
    block = label_hash + bytes(size - len(secret) - 2 * digest - 2) + b"\x01" + secret
    salt = stream(seed, digest)
    masked = _xor(block, _mgf1(salt, len(block), name))
    return b"\x00" + _xor(salt, _mgf1(masked, digest, name)) + masked


def pad(scheme: str, secret: bytes, size: int, seed: str) -> bytes:
    if scheme == "pkcs1-v1.5":
        return pad_pkcs1(secret, size, seed)
    return pad_oaep(secret, size, seed, scheme.removeprefix("oaep-"))


def raw_wrap(key: TestKey, block: bytes) -> bytes:
    """The RSA public operation on a block that is padded already."""
    return pow(int.from_bytes(block), 65537, key.n).to_bytes(key.size)


# --- AES as Node does it ------------------------------------------------------------------------


def md5_hex(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _bytes_to_key(passphrase: bytes) -> tuple[bytes, bytes]:
    blocks = [b""]
    for _ in range(3):
        blocks.append(hashlib.md5(blocks[-1] + passphrase, usedforsecurity=False).digest())
    return blocks[1] + blocks[2], blocks[3]


def code_passphrase(dialect: Dialect, code: str) -> str:
    return md5_hex(code) if dialect.code_passphrase == "md5hex" else code


def _aes_key(dialect: Dialect, passphrase: str, iv: str | None) -> tuple[bytes, bytes]:
    if dialect.key_derivation == "evp-bytes-to-key":
        return _bytes_to_key(passphrase.encode())
    text = md5_hex(passphrase) if dialect.key_derivation == "md5hex" else passphrase
    return text.encode(), (iv or "0" * 16).encode()


def pkcs7(data: bytes) -> bytes:
    count = 16 - len(data) % 16
    return data + bytes([count]) * count


def seal(
    dialect: Dialect, passphrase: str, plaintext: bytes, iv: str | None, padded: bool = False
) -> bytes:
    """Encrypt ``plaintext``. With ``padded``, it already has its CBC padding."""
    key, iv_bytes = _aes_key(dialect, passphrase, iv)
    if dialect.aes == "ctr":
        cipher = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv_bytes)
        return bytes(cipher.encrypt(plaintext))
    if dialect.aes == "cbc":
        data = plaintext if padded else pkcs7(plaintext)
        return bytes(AES.new(key, AES.MODE_CBC, iv_bytes).encrypt(data))
    sealed, tag = AES.new(key, AES.MODE_GCM, nonce=iv_bytes).encrypt_and_digest(plaintext)
    return bytes(tag + sealed if dialect.tag == "first" else sealed + tag)


def encode(dialect: Dialect, data: bytes) -> str:
    return data.hex() if dialect.encoding == "hex" else b64(data)


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# --- invalid public keys -------------------------------------------------------------------------

RSA_OID = bytes.fromhex("06092a864886f70d010101")
PSS_OID = bytes.fromhex("06092a864886f70d01010a")
NULL = b"\x05\x00"
SMALL_PRIMES = [p for p in range(2, 2000) if all(p % d for d in range(2, int(p**0.5) + 1))]


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + body


def der_integer(number: int) -> bytes:
    return der(2, number.to_bytes(number.bit_length() // 8 + 1))


def spki(n: int, e: int = 65537, algorithm: bytes = RSA_OID + NULL) -> bytes:
    """SubjectPublicKeyInfo with any two numbers. No library would write it."""
    key = der(0x30, der_integer(n), der_integer(e))
    return der(0x30, der(0x30, algorithm), der(3, b"\x00", key))


def pem(data: bytes, label: str = "PUBLIC KEY", end: str = "\n") -> str:
    text = b64(data)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return end.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def next_prime(start: int) -> int:
    number: int = start | 1
    while not isPrime(number):
        number += 2
    return number


@cache
def rough(bits: int, seed: str) -> int:
    """A composite of ``bits`` bits without a factor below 2000, so only its size can be wrong."""
    first, second = bits // 2, bits - bits // 2
    return _coprime(first, seed + " p") * _coprime(second, seed + " q")


def _coprime(bits: int, seed: str) -> int:
    # The two highest bits are set, so that a product has all the bits of its factors.
    number: int = int.from_bytes(stream(seed, bits // 8 + 1)) % (1 << bits) | 3 << bits - 2 | 1
    while gcd(number, prod(SMALL_PRIMES)) != 1:
        number += 2
    return number


@cache
def roca_modulus() -> int:
    """2048 bits, with primes as in CVE-2017-15361: k*M + 65537**a mod M."""
    primorial = prod(SMALL_PRIMES[:126])
    return _roca_prime(primorial, "roca p") * _roca_prime(primorial, "roca q")


def _roca_prime(primorial: int, seed: str) -> int:
    power = pow(65537, int.from_bytes(stream(seed, 8)), primorial)
    k = 3 * 2**1022 // primorial + int.from_bytes(stream(seed, 4))
    while not isPrime(k * primorial + power):
        k += 1
    return k * primorial + power


@cache
def close_primes_modulus() -> int:
    p = test_keys()["test-session"].p
    return p * next_prime(p + 2)


@cache
def weak_keys() -> dict[str, str]:
    """Invalid PEM texts, by the name of their fault."""
    session = test_keys()["test-session"]
    n, good = session.n, session.public_pem
    good_der = spki(n)
    private = session.private_pem
    rsa_key = der(0x30, der_integer(n), der_integer(65537))
    # The top bit is set without a zero before it, so the number is negative.
    negative = der(0x30, der(2, n.to_bytes(256)), der_integer(65537))
    long_length = b"\x30\x83\x00" + (len(good_der) - 4).to_bytes(2) + good_der[4:]
    ec_key = ECC.construct(curve="P-256", d=1).public_key()
    ed_key = ECC.construct(curve="Ed25519", seed=bytes(32)).public_key()
    lines = good.splitlines()
    return {
        "e-is-1": pem(spki(n, 1)),
        "e-is-2": pem(spki(n, 2)),
        "e-is-3": pem(spki(n, 3)),
        "e-is-65539": pem(spki(n, 65539)),
        "e-is-n-plus-2": pem(spki(n, n + 2)),
        "n-even": pem(spki(n - 1)),
        "n-is-0": pem(spki(0)),
        "n-negative": pem(der(0x30, der(0x30, RSA_OID, NULL), der(3, b"\0", negative))),
        "512-bits": pem(spki(rough(512, "512"))),
        "1024-bits": pem(spki(rough(1024, "1024"))),
        "2047-bits": pem(spki(rough(2047, "2047"))),
        "4097-bits": pem(spki(rough(4097, "4097"))),
        "16384-bits": pem(spki(rough(16384, "16384"))),
        "n-prime": pem(spki(2**2203 - 1)),
        "n-square": pem(spki(session.p**2)),
        "factor-3": pem(spki(3 * rough(2047, "factor 3"))),
        "factor-1999": pem(spki(1999 * rough(2038, "factor 1999"))),
        "close-primes": pem(spki(close_primes_modulus())),
        "roca": pem(spki(roca_modulus())),
        "private-pkcs8": private,
        "private-pkcs8-labelled-public": pem(session.private_der),
        "pkcs1-public-labelled-spki": pem(rsa_key),
        "ec-p256": str(ec_key.export_key(format="PEM")) + "\n",
        "ed25519": str(ed_key.export_key(format="PEM")) + "\n",
        "pss-oid": pem(spki(n, algorithm=PSS_OID)),
        "algorithm-without-null": pem(spki(n, algorithm=RSA_OID)),
        "der-trailing-byte": pem(good_der + b"\0"),
        "der-truncated": pem(good_der[:-1]),
        "der-length-not-minimal": pem(long_length),
        "der-unused-bits": pem(der(0x30, der(0x30, RSA_OID, NULL), der(3, b"\1", rsa_key))),
        "two-pems": good + good,
        "text-before-on-its-line": "x" + good,
        "text-after-on-its-line": good[:-1] + "x",
        "space-before": " " + good,
        "comment-header": good.replace("\n", "\nComment: x\n\n", 1),
        "blank-lines": good.replace("\n", "\n\n"),
        "cr-lines": good.replace("\n", "\r"),
        "one-line-of-all": good.replace("\n", " "),
        "backslash-n-lines": good.replace("\n", "\\n"),
        "public-then-private": good + private,
        "private-then-public": private + good,
        "another-block-before": "-----BEGIN X-----\nAAAA\n-----END X-----\n" + good,
        "spki-labelled-pkcs1": good.replace("PUBLIC", "RSA PUBLIC"),
        "pkcs1-trailing-byte": pem(rsa_key + b"\0", "RSA PUBLIC KEY"),
        "base64-padding-missing": test_keys()["test-wide"].public_pem.replace("=", ""),
        "one-mebibyte": good + "\n" * 2**20,
        "base64-character-missing": "\n".join((*lines[:-2], lines[-2][:-1], lines[-1], "")),
        "base64-url-alphabet": good.replace("+", "-").replace("/", "_"),
        "certificate-label": pem(good_der, "CERTIFICATE"),
        "space-after": good[:-1] + "\u2003",
        "no-end-line": "\n".join((*lines[:-1], "")),
        "no-body": f"{lines[0]}\n{lines[-1]}\n",
        "empty": "",
    }


def good_keys() -> dict[str, str]:
    session, wide = test_keys()["test-session"], test_keys()["test-wide"]
    good, lines = session.public_pem, session.public_pem.splitlines()
    rsa_key = der(0x30, der_integer(session.n), der_integer(65537))
    return {
        "2048-bits": session.public_pem,
        "4096-bits": wide.public_pem,
        "crlf-lines": pem(spki(session.n), end="\r\n"),
        "no-newline-at-the-end": session.public_pem.rstrip("\n"),
        "pkcs1-public": pem(rsa_key, "RSA PUBLIC KEY"),
        "pkcs1-public-crlf": pem(rsa_key, "RSA PUBLIC KEY", "\r\n"),
        "one-line": "\n".join((lines[0], "".join(lines[1:-1]), lines[-1], "")),
        "byte-order-mark-before": "\ufeff" + good,
        "text-around": f"The key of Åsa 🦊:\n\n{good}-- \nÅsa",
        "newlines-around": f"\n\r\n{good}\n\n\n",
        "spaces-at-line-ends": good.replace("\n", "  \t\n"),
        "spaces-in-the-base64": "\n".join(
            (lines[0], *(f" {line[:9]} \t{line[9:]}" for line in lines[1:-1]), lines[-1])
        ),
        "blank-line-above-the-base64": good.replace("\n", "\n \n", 1),
    }


# --- cases --------------------------------------------------------------------------------------


def dialect_of(spelled: str | Json | None) -> Dialect:
    """The dialect of a case: a name, or a base and the options that differ."""
    if isinstance(spelled, dict):
        changes = {name: value for name, value in spelled.items() if name != "base"}
        return derive("vector", DIALECTS[spelled["base"]], changes)
    return DIALECTS[spelled or "article-2016"]


@dataclass(frozen=True)
class Sealed:
    """A sealed message in parts, so that a case can change one part and leave the others."""

    dialect: Dialect
    seed: str
    plaintext: bytes
    passphrase: str
    to: str = "test-session"
    iv: str | None = None
    secret: bytes | None = None
    block: bytes | None = None
    wrapped: bytes | None = None
    payload: bytes | None = None
    changes: Json = field(default_factory=dict)

    def to_json(self) -> Json:
        key = test_keys()[self.to]
        secret = self.passphrase.encode() if self.secret is None else self.secret
        block = pad(self.dialect.rsa_padding, secret, key.size, self.seed)
        wrapped = raw_wrap(key, self.block or block) if self.wrapped is None else self.wrapped
        sealed = seal(self.dialect, self.passphrase, self.plaintext, self.iv)
        names = self.dialect.names
        message: Json = {
            names.key: encode(self.dialect, wrapped),
            names.payload: encode(self.dialect, sealed if self.payload is None else self.payload),
        }
        if self.iv is not None:
            message[names.iv] = self.iv
        message |= self.changes
        return {name: value for name, value in message.items() if value is not ...}


def default_iv(dialect: Dialect) -> str | None:
    return "iv-of-12-chr" if dialect.aes == "gcm" else None


def timestamp(dialect: Dialect, ms: int = NOW_MS) -> Any:
    assert ms in (NOW_MS, NOW_MS + 500) or dialect.timestamp == "ms"
    return {"ms": ms, "s": ms / 1000, "iso8601": "2026-01-01T00:00:00.000Z"}[dialect.timestamp]


def tags(nonce: str, passphrase: str) -> tuple[str, str]:
    parts = (b"nonce\0" + nonce.encode(), b"passphrase\0" + passphrase.encode())
    nonce_tag, passphrase_tag = (hmac.digest(TAG_KEY, part, "sha256")[:16].hex() for part in parts)
    return nonce_tag, passphrase_tag


class RequestCase:
    """One request, valid except for what a case changes."""

    def __init__(self, name: str, dialect: str | Json = "article-2016") -> None:
        self.spelled = dialect
        self.dialect = dialect_of(dialect)
        short = dialect if isinstance(dialect, str) else dialect["base"]
        self.name = f"classic-{short}-request-{name}"
        self.nonce = md5_hex("nonce of " + self.name)
        self.passphrase = md5_hex("passphrase of " + self.name)
        self.inside: Json = {
            self.dialect.names.timestamp: timestamp(self.dialect),
            self.dialect.names.nonce: self.nonce,
            "temperature": 21.5,
        }

    def message(self, **parts: Any) -> Json:
        parts = {"iv": default_iv(self.dialect), "passphrase": self.passphrase} | parts
        plaintext = parts.pop("plaintext", None)
        plaintext = compact(self.inside) if plaintext is None else plaintext
        sealed = Sealed(self.dialect, self.name, plaintext, **parts).to_json()
        return {self.dialect.names.token: TOKEN} | sealed

    def case(
        self,
        expect: str = "decryption_failed",
        message: Any = None,
        now_ms: int = NOW_MS,
        private_key: str | None = "test-session",
        claimed: tuple[str, ...] = (),
        **parts: Any,
    ) -> Case:
        given: Json = {"private_key": private_key, "tag_key_hex": TAG_KEY.hex(), "now_ms": now_ms}
        if claimed:
            given["claimed_tags_hex"] = list(claimed)
        given["message"] = self.message(**parts) if message is None else message
        output = None
        if expect == "ok":
            names = self.dialect.names
            nonce_tag, passphrase_tag = tags(self.inside[names.nonce], self.passphrase)
            hidden = (names.timestamp, names.nonce)
            output = {
                "nonce_tag_hex": nonce_tag,
                "passphrase_tag_hex": passphrase_tag,
                "fields": {k: v for k, v in self.inside.items() if k not in hidden},
            }
        return Case(self.name, "open_request", given, expect, output, self.spelled)


def requests_of_every_dialect() -> Iterator[Case]:
    other_padding = {
        "pkcs1-v1.5": "oaep-sha1",
        "oaep-sha1": "oaep-sha256",
        "oaep-sha256": "oaep-sha1",
    }
    for name, dialect in DIALECTS.items():
        yield RequestCase("ok", name).case("ok")
        wrong = RequestCase("other-rsa-padding", name)
        scheme = other_padding[dialect.rsa_padding]
        yield wrong.case(block=pad(scheme, wrong.passphrase.encode(), 256, wrong.name))
        for chars in (31, 33):
            sized = RequestCase(f"passphrase-{chars}", name)
            # The payload is right under what is wrapped, so that only its length is wrong. A raw
            # key cannot have another length; there it is right with the substitute.
            sealed_under = STAND_IN if dialect.key_derivation == "raw" else "0" * chars
            yield noted(
                sized.case(passphrase=sealed_under, secret=b"0" * chars),
                "Only the length of the wrapped passphrase is wrong.",
            )
        yield RequestCase("other-session", name).case(private_key="test-other")
        yield RequestCase("payload-empty", name).case(payload=b"")


def requests_with_other_shapes() -> Iterator[Case]:
    hexed = {"base": "article-2016", "encoding": "hex"}
    yield RequestCase("hex-ok", hexed).case("ok")
    upper = RequestCase("hex-upper-case", hexed)
    yield upper.case(changes={"key": upper.message()["key"].upper()})
    spaced = RequestCase("hex-with-spaces", hexed)
    yield spaced.case(changes={"key": " " + spaced.message()["key"]})
    yield RequestCase("seconds-ok", {"base": "article-2016", "timestamp": "s"}).case("ok")
    yield RequestCase("iso8601-ok", {"base": "article-2016", "timestamp": "iso8601"}).case("ok")
    renamed = {"base": "sfet-3", "names": {"key": "k", "payload": "data", "nonce": "once"}}
    yield RequestCase("own-names-ok", renamed).case("ok")
    yield RequestCase("iv-of-16-ok", "sfet-2").case("ok", iv="sixteen chars iv")
    yield RequestCase("iv-null-ok", "sfet-2").case("ok", changes={"iv": None})


def requests_out_of_time() -> Iterator[Case]:
    for name, now, expect in (
        ("window-edge-past-ok", NOW_MS + WINDOW_MS, "ok"),
        ("window-edge-future-ok", NOW_MS - WINDOW_MS, "ok"),
        ("too-old-by-1-ms", NOW_MS + WINDOW_MS + 1, "stale_timestamp"),
        ("too-new-by-1-ms", NOW_MS - WINDOW_MS - 1, "stale_timestamp"),
    ):
        yield RequestCase(name).case(expect, now_ms=now)
    for name, value in (
        ("timestamp-text", str(NOW_MS)),
        ("timestamp-fraction", NOW_MS + 0.5),
        ("timestamp-negative", -NOW_MS),
        ("timestamp-2-to-64", 2**64),
        ("timestamp-true", True),
        ("timestamp-null", None),
        ("timestamp-list", [NOW_MS]),
        ("timestamp-missing", ...),
    ):
        yield _with_member(name, "timestamp", value)


def _with_member(name: str, member: str, value: Any) -> Case:
    case = RequestCase(name)
    case.inside[member] = value
    if value is ...:
        del case.inside[member]
    return case.case()


def requests_replayed() -> Iterator[Case]:
    for name, value in (
        ("nonce-missing", ...),
        ("nonce-empty", ""),
        ("nonce-number", 7),
        ("nonce-257-chars", "n" * 257),
    ):
        yield _with_member(name, "nonce", value)
    long = RequestCase("nonce-256-chars-ok")
    long.inside["nonce"] = "n" * 256
    yield long.case("ok")

    again = RequestCase("replayed")
    yield again.case("replayed_nonce", claimed=tags(again.nonce, again.passphrase))
    nonce_only = RequestCase("replayed-nonce-new-passphrase")
    yield nonce_only.case("replayed_nonce", claimed=tags(nonce_only.nonce, "x")[:1])
    key_only = RequestCase("replayed-passphrase-new-payload")
    yield key_only.case("replayed_nonce", claimed=tags("x", key_only.passphrase)[1:])

    # With CTR, anyone who knows the plaintext can change it: only the passphrase shows the replay.
    flipped = RequestCase("replayed-nonce-flipped-in-the-cipher")
    flipped_payload = flip(
        base64.b64decode(flipped.message()["payload"]),
        8 * compact(flipped.inside).index(flipped.nonce.encode()) + 7,
    )
    claimed = tags(flipped.nonce, flipped.passphrase)
    yield noted(
        flipped.case("replayed_nonce", claimed=claimed, payload=flipped_payload),
        "The nonce was changed in the CTR ciphertext; the passphrase still shows the replay.",
    )
    later = RequestCase("replayed-timestamp-changed-in-the-cipher")
    later.inside["timestamp"] = NOW_MS + 3_600_000
    changed = later.message()["payload"]
    later.inside["timestamp"] = NOW_MS
    yield noted(
        later.case(
            "replayed_nonce",
            now_ms=NOW_MS + 3_600_000,
            claimed=tags(later.nonce, later.passphrase),
            changes={"payload": changed},
        ),
        "The timestamp was changed in the CTR ciphertext; the passphrase still shows the replay.",
    )
    yield RequestCase("unknown-session").case(private_key=None)


def requests_with_a_wrong_key() -> Iterator[Case]:
    key = test_keys()["test-session"]
    # In all of these the payload is right with the substitute key that a server may continue with.
    for name, number in (
        ("wrapped-0", 0),
        ("wrapped-1", 1),
        ("wrapped-n-minus-1", key.n - 1),
        ("wrapped-n", key.n),
        ("wrapped-n-plus-1", key.n + 1),
        ("wrapped-2-to-2048-minus-1", 2**2048 - 1),
    ):
        for dialect in ("article-2016", "sfet-3"):
            case = RequestCase(name, dialect)
            yield noted(
                case.case(passphrase=STAND_IN, wrapped=number.to_bytes(256)), UNDER_STAND_IN
            )

    over = RequestCase("wrapped-plus-n")
    wrapped = raw_wrap(key, pad_pkcs1(over.passphrase.encode(), 256, over.name))
    tries = 0
    while int.from_bytes(wrapped) + key.n >= 2**2048:
        tries += 1
        wrapped = raw_wrap(key, pad_pkcs1(over.passphrase.encode(), 256, f"{over.name} {tries}"))
    yield over.case(wrapped=(int.from_bytes(wrapped) + key.n).to_bytes(256))

    for name, change in (
        ("wrapped-short", lambda text: b64(base64.b64decode(text)[1:])),
        ("wrapped-long", lambda text: b64(base64.b64decode(text) + b"\0")),
        ("wrapped-zero-before", lambda text: b64(b"\0" + base64.b64decode(text))),
        ("wrapped-empty", lambda _: ""),
        ("wrapped-newline-behind", lambda text: text + "\n"),
        ("wrapped-space-before", lambda text: " " + text),
        ("wrapped-newline-inside", lambda text: text[:64] + "\n" + text[64:]),
        ("wrapped-padding-missing", lambda text: text.rstrip("=")),
        ("wrapped-padding-twice", lambda text: text + "=="),
        ("wrapped-url-alphabet", lambda text: text.replace("+", "-").replace("/", "_")),
        ("wrapped-spare-bits-set", lambda text: text[:-3] + chr(ord(text[-3]) + 1) + "=="),
        ("wrapped-hex", lambda text: base64.b64decode(text).hex()),
        ("wrapped-full-width-letter", lambda text: "\uff21" + text[1:]),
    ):
        case = RequestCase(name)
        text = case.message()["key"]
        assert change(text) != text
        yield case.case(changes={"key": change(text)})

    for name, secret in (
        ("passphrase-empty", ""),
        ("passphrase-unprintable", "0" * 31 + "\x1f"),
        ("passphrase-not-ascii", "é" * 16),
    ):
        yield RequestCase(name).case(passphrase=secret)
    short = stream("short", 7)
    filled = pad_pkcs1(STAND_IN.encode(), 256, "padding faults")
    for name, block in (
        ("pkcs1-block-type-1", b"\0\1" + filled[2:]),
        ("pkcs1-first-byte-1", b"\1" + filled[1:]),
        ("pkcs1-no-separator", filled.replace(b"\0" + STAND_IN.encode(), b"\1" * 33)),
        ("pkcs1-separator-at-7", b"\0\2" + short + b"\0" + filled[10:223] + STAND_IN.encode()),
    ):
        padded = RequestCase(name).case(passphrase=STAND_IN, block=block.ljust(256, b"\1"))
        yield noted(padded, UNDER_STAND_IN)
    label = pad_oaep(STAND_IN.encode(), 256, "label", "sha256", b"label")
    labelled = RequestCase("oaep-label", "sfet-3").case(passphrase=STAND_IN, block=label)
    yield noted(labelled, UNDER_STAND_IN)


def requests_with_a_wrong_payload() -> Iterator[Case]:
    for name, change in (
        ("payload-short", lambda text: b64(base64.b64decode(text)[:-1])),
        ("payload-long", lambda text: b64(base64.b64decode(text) + b"\0")),
        ("payload-space-before", lambda text: " " + text),
        ("payload-spaces-inside", lambda text: text[:4] + "\r\n" + text[4:]),
        ("payload-padding-twice", lambda text: text + "===="),
        ("payload-not-base64", lambda text: "*" + text[1:]),
        ("payload-hex", lambda text: base64.b64decode(text).hex()),
    ):
        case = RequestCase(name)
        yield case.case(changes={"payload": change(case.message()["payload"])})
    good = compact(RequestCase("plaintext").inside)
    for name, plaintext in (
        ("plaintext-empty-object", b"{}"),
        ("plaintext-list", b"[" + good + b"]"),
        ("plaintext-text", b'"timestamp"'),
        ("plaintext-null", b"null"),
        ("plaintext-trailing-byte", good + b"x"),
        ("plaintext-member-twice", good[:-1] + b',"temperature":1}'),
        ("plaintext-proto", good[:-1] + b',"__proto__":{}}'),
        ("plaintext-nan", good[:-1] + b',"x":NaN}'),
        ("plaintext-byte-order-mark", b"\xef\xbb\xbf" + good),
        ("plaintext-not-utf8", good[:-1] + b',"x":"\xff"}'),
        ("plaintext-half-surrogate", good[:-1] + b',"x":"\\ud800"}'),
        ("plaintext-too-deep", good[:-1] + b',"x":' + b"[" * 64 + b"]" * 64 + b"}"),
    ):
        yield RequestCase(name).case(plaintext=plaintext)

    for name, tail in (
        ("cbc-padding-0", b"\0"),
        ("cbc-padding-17", b"\x11" * 16),
        ("cbc-padding-uneven", b"\2\1\3\3"),
        ("cbc-padding-missing", b""),
    ):
        case = RequestCase(name, "sfet-4-cbc")
        inside = compact(case.inside)
        # Spaces are valid JSON, so only the padding is wrong.
        spaces = b" " * (-(len(inside) + len(tail)) % 16)
        payload = seal(case.dialect, case.passphrase, inside + spaces + tail, None, padded=True)
        yield noted(case.case(payload=payload), "Only the padding of the last block is wrong.")
    for name, cut in (("cbc-half-a-block", 8), ("cbc-last-block-cut", 16)):
        case = RequestCase(name, "sfet-4-cbc")
        yield case.case(payload=base64.b64decode(case.message()["payload"])[:-cut])
    extended = RequestCase("cbc-bytes-behind", "sfet-4-cbc")
    yield extended.case(payload=base64.b64decode(extended.message()["payload"]) + b"\0")

    for name, spoil in (
        ("gcm-bit-flipped", lambda data: flip(data, 200)),
        ("gcm-tag-bit-flipped", lambda data: flip(data, -1)),
        ("gcm-tag-of-12", lambda data: data[:-4]),
        ("gcm-tag-of-8", lambda data: data[:-8]),
        ("gcm-tag-of-4", lambda data: data[:-12]),
        ("gcm-tag-before", lambda data: data[-16:] + data[:-16]),
        ("gcm-only-15-bytes", lambda data: data[:15]),
    ):
        case = RequestCase(name, "sfet-4-gcm")
        yield case.case(payload=spoil(base64.b64decode(case.message()["payload"])))
    for name, spoil in (
        ("gcm-bit-flipped", lambda data: flip(data, -1)),
        ("gcm-tag-bit-flipped", lambda data: flip(data, 0)),
        ("gcm-tag-of-12", lambda data: data[4:]),
        ("gcm-tag-behind", lambda data: data[16:] + data[:16]),
        ("gcm-only-15-bytes", lambda data: data[:15]),
    ):
        case = RequestCase(name, "sfet-3.3-gcm")
        yield case.case(payload=spoil(base64.b64decode(case.message()["payload"])))
    for name, iv in (
        ("gcm-iv-missing", ...),
        ("gcm-iv-other", "iv-of-12-chs"),
        ("gcm-iv-of-11", "iv-of-12-ch"),
        ("gcm-iv-of-13", "iv-of-12-chr "),
        ("gcm-iv-empty", ""),
        ("gcm-iv-not-ascii", "iv-of-12-chr".replace("r", "é")),
    ):
        yield RequestCase(name, "sfet-4-gcm").case(changes={"iv": iv})
    # The ciphertext is right with an IV of zeros, which replaces a missing one.
    zeros = RequestCase("gcm-iv-missing-sealed-under-zeros", "sfet-4-gcm")
    yield noted(
        zeros.case(iv="0" * 12, changes={"iv": ...}),
        "The payload is right under an IV of zeros, which must not stand in for a missing one.",
    )
    for name, iv in (("iv-of-15", "1" * 15), ("iv-of-17", "1" * 17), ("iv-not-ascii", "é" * 16)):
        yield RequestCase(name, "sfet-2").case(iv="0" * 16, changes={"iv": iv})


def requests_that_are_none() -> Iterator[Case]:
    for name, changes in (
        ("token-missing", {"token": ...}),
        ("token-number", {"token": 7}),
        ("key-missing", {"key": ...}),
        ("key-null", {"key": None}),
        ("payload-missing", {"payload": ...}),
        ("payload-object", {"payload": {}}),
        ("iv-number", {"iv": 0}),
    ):
        case = RequestCase(name)
        whole: Json = case.message() | cast(Json, changes)
        message = {member: value for member, value in whole.items() if value is not ...}
        yield case.case("malformed", message=message)
    yield RequestCase("plaintext-to-a-protected-route").case("malformed", {"temperature": 21.5})
    yield RequestCase("is-a-list").case("malformed", message=["token", "key", "payload"])
    response = RequestCase("response-reflected")
    yield response.case(to="test-client")


class LoginCase:
    def __init__(self, name: str, dialect: str = "article-2016") -> None:
        self.spelled = dialect
        self.dialect = dialect_of(dialect)
        self.name = f"classic-{dialect}-login-{name}"
        self.inside: Json = {
            "publicKey": test_keys()["test-client"].public_pem,
            "timestamp": NOW_MS,
            "nonce": md5_hex("nonce of " + self.name),
        }

    def case(
        self,
        expect: str = "decryption_failed",
        code: str | None = CODE,
        now_ms: int = NOW_MS,
        typed: str = CODE,
        spoil: Any = lambda data: data,
        changes: Json | None = None,
    ) -> Case:
        """``typed`` is the code that the client has, ``code`` the one that the server knows."""
        iv = default_iv(self.dialect)
        passphrase = code_passphrase(self.dialect, typed)
        payload = spoil(seal(self.dialect, passphrase, compact(self.inside), iv))
        message: Json = {"token": TOKEN, "payload": encode(self.dialect, payload)}
        message |= {"iv": iv} if iv else {}
        message |= changes or {}
        message = {name: value for name, value in message.items() if value is not ...}
        output = {"payload": self.inside} if expect == "ok" else None
        given = {"code": code, "now_ms": now_ms, "message": message}
        return Case(self.name, "open_login", given, expect, output, self.spelled)


def logins() -> Iterator[Case]:
    for name in DIALECTS:
        yield LoginCase("ok", name).case("ok")
        yield LoginCase("other-code", name).case(typed=CODE[:-1] + "T")
        yield LoginCase("no-such-login", name).case("code_refused", code=None)
    yield LoginCase("code-in-lower-case").case(typed=CODE.lower())
    yield LoginCase("payload-cut", "sfet-2").case(spoil=lambda data: data[:-1])
    yield LoginCase("payload-bit-flipped", "sfet-4-gcm").case(spoil=lambda data: flip(data, 9))
    for name, now, expect in (
        ("window-edge-ok", NOW_MS + WINDOW_MS, "ok"),
        ("too-old-by-1-ms", NOW_MS + WINDOW_MS + 1, "stale_timestamp"),
        ("too-new-by-1-ms", NOW_MS - WINDOW_MS - 1, "stale_timestamp"),
    ):
        yield LoginCase(name).case(expect, now_ms=now)
    for name, member, value, expect in (
        ("password-ok", "password", "correct horse", "ok"),
        ("password-number", "password", 7, "decryption_failed"),
        ("public-key-missing", "publicKey", ..., "decryption_failed"),
        ("public-key-number", "publicKey", 7, "decryption_failed"),
        ("public-key-e-is-3", "publicKey", weak_keys()["e-is-3"], "key_not_admitted"),
        ("public-key-is-private", "publicKey", weak_keys()["private-pkcs8"], "key_not_admitted"),
        ("nonce-missing", "nonce", ..., "decryption_failed"),
        ("nonce-empty", "nonce", "", "decryption_failed"),
        ("timestamp-missing", "timestamp", ..., "decryption_failed"),
        ("timestamp-text", "timestamp", str(NOW_MS), "decryption_failed"),
    ):
        case = LoginCase(name)
        case.inside[member] = value
        if value is ...:
            del case.inside[member]
        yield case.case(expect)
    for name, chars, expect in (
        ("password-code-of-110-bits", 22, "decryption_failed"),
        ("password-code-of-115-bits-ok", 23, "ok"),
    ):
        short = LoginCase(name)
        short.inside["password"] = "correct horse"
        yield short.case(expect, code=CODE[:chars], typed=CODE[:chars])
    for name, changes in (
        ("token-missing", {"token": ...}),
        ("payload-missing", {"payload": ...}),
        ("payload-number", {"payload": 7}),
        ("iv-list", {"iv": []}),
    ):
        yield LoginCase(name).case("malformed", changes=changes)


class ResponseCase:
    def __init__(self, name: str, dialect: str = "article-2016") -> None:
        self.spelled = dialect
        self.dialect = dialect_of(dialect)
        self.name = f"classic-{dialect}-response-{name}"
        self.nonce = md5_hex("nonce of " + self.name)
        self.response: Any = {"status": 200, "headers": [["X-Unit", "C"]], "body": "21.5"}

    def case(
        self,
        expect: str = "decryption_failed",
        plaintext: bytes | None = None,
        nonce: str | None = None,
        kind: str = "open_response",
        output: Json | None = None,
        **parts: Any,
    ) -> Case:
        inside = {"timestamp": NOW_MS, "nonce": nonce or self.nonce, "response": self.response}
        inside = {name: value for name, value in inside.items() if value is not ...}
        plaintext = compact(inside) if plaintext is None else plaintext
        fixed = {
            "to": "test-client",
            "iv": default_iv(self.dialect),
            "passphrase": md5_hex("passphrase of " + self.name),
        }
        given: Json = {"private_key": "test-client"}
        if kind == "open_response":
            given["nonce"] = self.nonce
        if expect == "ok" and output is None:
            output = {"status": 200, "headers": [["X-Unit", "C"]], "body_hex": b"21.5".hex()}
        sealed = Sealed(self.dialect, self.name, plaintext, **(fixed | parts))
        given["message"] = sealed.to_json()
        return Case(self.name, kind, given, expect, output, self.spelled)


def responses() -> Iterator[Case]:
    for name in DIALECTS:
        yield ResponseCase("ok", name).case("ok")
        yield ResponseCase("is-the-request-reflected", name).case(to="test-session")
    yield ResponseCase("to-another-request").case("replayed_nonce", nonce="another")
    yield ResponseCase("not-json").case(plaintext=b"21.5 C")
    yield ResponseCase("bit-flipped", "sfet-4-gcm").case(changes={"iv": "Iv-of-12-chr"})
    yield ResponseCase("passphrase-31").case(passphrase="0" * 31)
    for name, response in (
        ("status-199", {"status": 199}),
        ("status-600", {"status": 600}),
        ("status-text", {"status": "200"}),
        ("status-true", {"status": True}),
        ("status-missing", {"body": "21.5"}),
        ("header-with-newline", {"status": 200, "headers": {"X-Unit": "C\r\nX: y"}}),
        ("is-text", "21.5"),
        ("missing", ...),
    ):
        case = ResponseCase(name)
        case.response = response
        yield case.case("malformed")
    text = "warm \u00e9".encode()
    kind = "open_plaintext_response"
    plain = ResponseCase("in-place-ok")
    yield plain.case("ok", text, kind=kind, output={"plaintext_hex": text.hex()})
    yield ResponseCase("in-place-empty-ok").case("ok", b"", kind=kind, output={"plaintext_hex": ""})
    yield ResponseCase("in-place-to-the-server").case(plaintext=text, kind=kind, to="test-session")
    key = test_keys()["test-session"].public_pem
    kind = "open_login_response"
    granted = ResponseCase("to-login-ok")
    yield granted.case(
        "ok", compact({"publicKey": key}), kind=kind, output={"public_key": "test-session"}
    )
    for name, plaintext, expect in (
        ("to-login-key-missing", b"{}", "decryption_failed"),
        ("to-login-key-number", b'{"publicKey":7}', "decryption_failed"),
        ("to-login-key-weak", compact({"publicKey": weak_keys()["roca"]}), "key_not_admitted"),
    ):
        yield ResponseCase(name).case(expect, plaintext, kind=kind)


def payloads() -> Iterator[Case]:
    known = {"passphrase": "0123456789abcdef" * 2, "plaintext_hex": b"hello".hex()}
    yield Case(
        "classic-article-2016-seal-known-answer",
        "seal_payload",
        known,
        output={"payload": b64(bytes.fromhex("f56c5d730d"))},
        dialect="article-2016",
    )
    for name, dialect in DIALECTS.items():
        takes_iv = dialect.key_derivation != "evp-bytes-to-key" and dialect.aes != "gcm"
        for case, plaintext, iv in (
            ("seal", b'{"text":"sixteen + one"}', default_iv(dialect)),
            ("seal-empty", b"", default_iv(dialect)),
            *([("seal-with-iv", bytes(range(16)), "an iv of sixteen")] if takes_iv else []),
        ):
            passphrase = md5_hex(f"{name} {case}")
            given = {"passphrase": passphrase, "plaintext_hex": plaintext.hex()}
            given |= {"iv": iv} if iv else {}
            output = {"payload": b64(seal(dialect, passphrase, plaintext, iv))}
            yield Case(f"classic-{name}-{case}", "seal_payload", given, output=output, dialect=name)
        code = {"passphrase": code_passphrase(dialect, CODE)}
        given = {"code": CODE}
        yield Case(
            f"classic-{name}-code-passphrase", "code_passphrase", given, output=code, dialect=name
        )


def keys() -> Iterator[Case]:
    for name, text in good_keys().items():
        bits = 4096 if name == "4096-bits" else 2048
        yield Case(f"key-{name}-ok", "admit_key", {"pem": text}, output={"bits": bits})
    for name, text in weak_keys().items():
        given: Json = {"pem": text}
        if len(text) > 2**20:
            lines = text.rstrip("\n") + "\n"
            given = {
                "pem_parts": [
                    {"hex": lines.encode().hex(), "times": 1},
                    {"hex": "0a", "times": len(text) - len(lines)},
                ]
            }
        yield Case(f"key-{name}", "admit_key", given, "key_not_admitted")


def json_texts() -> Iterator[Case]:
    for name, text in (
        ("object", b'{"a":[1,-2.5,"x",true,false,null],"b":{}}'),
        ("whitespace-around", b" \t\r\n{} \n"),
        ("escapes", b'"\\u00e9\\ud83d\\ude00\\n\\/"'),
        ("proto-as-text", b'["__proto__"]'),
        ("brackets-in-text", b'["' + b"[" * 200 + b'"]'),
        ("depth-64", b"[" * 64 + b"]" * 64),
        ("number-top-level", b"9007199254740991"),
    ):
        given = {"text_hex": text.hex()}
        yield Case(f"json-{name}-ok", "parse_json", given, output={"value": json.loads(text)})
    for name, text in (
        ("empty", b""),
        ("duplicate-member", b'{"a":1,"a":1}'),
        ("duplicate-member-by-escape", b'{"a":1,"\\u0061":2}'),
        ("duplicate-member-deep", b'[{"b":{"a":1,"a":2}}]'),
        ("proto", b'{"__proto__":{"admin":true}}'),
        ("proto-by-escape", b'{"\\u005f_proto__":1}'),
        ("nan", b"NaN"),
        ("infinity", b"[Infinity]"),
        ("minus-infinity", b'{"a":-Infinity}'),
        ("1e999", b"1e999"),
        ("minus-1e999", b"-1e999"),
        ("integer-21-digits", b"1" * 21),
        ("integer-5000-digits", b"9" * 5000),
        ("integer-leading-zero", b"01"),
        ("integer-plus", b"+1"),
        ("trailing-data", b"{}{}"),
        ("trailing-comma", b"[1,]"),
        ("trailing-nul", b"{}\0"),
        ("byte-order-mark", b"\xef\xbb\xbf{}"),
        ("utf-16", "{}".encode("utf-16-le")),
        ("invalid-utf-8", b'"\xff"'),
        ("overlong-utf-8", b'"\xc0\xaf"'),
        ("surrogate-in-utf-8", b'"\xed\xa0\x80"'),
        ("half-surrogate", b'"\\ud800"'),
        ("half-surrogate-in-a-name", b'{"\\udc00":1}'),
        ("control-character", b'"\n"'),
        ("single-quotes", b"{'a':1}"),
        ("comment", b"{}//"),
        ("unfinished", b'{"a":'),
        ("depth-65", b"[" * 65 + b"]" * 65),
        ("depth-65-objects", b'{"a":' * 65 + b"1" + b"}" * 65),
        ("no-break-space", "\u00a0{}".encode()),
    ):
        yield Case(f"json-{name}", "parse_json", {"text_hex": text.hex()}, "malformed")
    deep: Json = {"text_parts": [{"hex": "5b", "times": 100_000}, {"hex": "5d", "times": 100_000}]}
    yield Case("json-depth-100000", "parse_json", deep, "malformed")
    for name, item in (("numbers", b"0"), ("lists", b"[]"), ("members", b'{"":0}')):
        # Each item has a comma before it, and at most one opening bracket; the list has one.
        times = 32_768 if name == "numbers" else 16_384
        parts = [
            {"hex": (b"[" + item).hex(), "times": 1},
            {"hex": (b"," + item).hex(), "times": times},
            {"hex": b"]".hex(), "times": 1},
        ]
        yield Case(
            f"json-more-than-32768-marks-{name}", "parse_json", {"text_parts": parts}, "malformed"
        )


def timestamps() -> Iterator[Case]:
    # A client learns only that a message was rejected.
    refused = "decryption_failed"
    for form, name, value, ms in (
        ("ms", "zero", 0, 0),
        ("ms", "now", NOW_MS, NOW_MS),
        ("ms", "2-to-53", 2**53, 2**53),
        ("s", "whole", 1_767_225_600, NOW_MS),
        ("s", "fraction", 1_767_225_600.123, NOW_MS + 123),
        ("iso8601", "ms", "2026-01-01T00:00:00.123Z", NOW_MS + 123),
        ("iso8601", "whole", "2026-01-01T00:00:00Z", NOW_MS),
        ("iso8601", "leap-day", "2024-02-29T23:59:59.999Z", 1_709_251_199_999),
    ):
        given = {"form": form, "value": value}
        yield Case(f"timestamp-{form}-{name}-ok", "parse_timestamp", given, output={"ms": ms})
    wrong: tuple[tuple[str, str, Any], ...] = (
        ("ms", "negative", -1),
        ("ms", "fraction", 1.5),
        ("ms", "above-2-to-53", 2**53 + 2),
        ("ms", "2-to-64", 2**64),
        ("ms", "true", True),
        ("ms", "null", None),
        ("ms", "text", "1767225600000"),
        ("ms", "list", [NOW_MS]),
        ("ms", "object", {}),
        ("s", "text", "1767225600"),
        ("s", "negative", -0.5),
        ("s", "true", True),
        ("iso8601", "number", NOW_MS),
        ("iso8601", "empty", ""),
        ("iso8601", "offset", "2026-01-01T01:00:00.000+01:00"),
        ("iso8601", "no-zone", "2026-01-01T00:00:00.000"),
        ("iso8601", "space", "2026-01-01 00:00:00Z"),
        ("iso8601", "month-13", "2026-13-01T00:00:00Z"),
        ("iso8601", "month-0", "2026-00-01T00:00:00Z"),
        ("iso8601", "day-0", "2026-01-00T00:00:00Z"),
        ("iso8601", "february-29", "2026-02-29T00:00:00Z"),
        ("iso8601", "february-29-of-1900", "1900-02-29T00:00:00Z"),
        ("iso8601", "april-31", "2026-04-31T00:00:00Z"),
        ("iso8601", "hour-24", "2026-01-01T24:00:00Z"),
        ("iso8601", "minute-60", "2026-01-01T00:60:00Z"),
        ("iso8601", "leap-second", "2016-12-31T23:59:60Z"),
        ("iso8601", "two-digits-of-ms", "2026-01-01T00:00:00.12Z"),
        ("iso8601", "before-1970", "1969-12-31T23:59:59Z"),
        ("iso8601", "arabic-digits", "\u0662\u0660\u0662\u0666-01-01T00:00:00Z"),
        ("iso8601", "newline-behind", "2026-01-01T00:00:00Z\n"),
        ("iso8601", "extended-year", "+002026-01-01T00:00:00Z"),
    )
    for form, name, value in wrong:
        given = {"form": form, "value": value}
        yield Case(f"timestamp-{form}-{name}", "parse_timestamp", given, refused)


def http() -> Iterator[Case]:
    json_type = [["Content-Type", "application/json"]]
    for name, request, output in (
        ("get", {"path": "/"}, ("GET", "/", [], b"")),
        (
            "headers-as-object",
            {"method": "put", "path": "/a?b=c", "headers": {"X-A": "1", "X-B": ""}, "body": "x"},
            ("PUT", "/a?b=c", [["X-A", "1"], ["X-B", ""]], b"x"),
        ),
        (
            "headers-as-pairs",
            {"method": "GET", "path": "/", "headers": [["X-A", "1"], ["X-A", "2"]]},
            ("GET", "/", [["X-A", "1"], ["X-A", "2"]], b""),
        ),
        (
            "json-body",
            {"method": "POST", "path": "/", "body": {"a": [1, None]}},
            ("POST", "/", json_type, b'{"a":[1,null]}'),
        ),
        (
            "json-body-with-its-own-type",
            {"path": "/", "headers": [["content-type", "text/plain"]], "body": False},
            ("GET", "/", [["content-type", "text/plain"]], b"false"),
        ),
        (
            "base64-body",
            {"method": "POST", "path": "/", "body": "/wA=", "encoding": "base64"},
            ("POST", "/", [], b"\xff\x00"),
        ),
        (
            "path-beyond-ascii",
            {"path": "/\u00e9/%C3%A9?q=\u20ac"},
            ("GET", "/%C3%A9/%C3%A9?q=%E2%82%AC", [], b""),
        ),
        ("path-of-8192", {"path": "/".ljust(8192, "a")}, ("GET", "/".ljust(8192, "a"), [], b"")),
    ):
        method, target, headers, body = output
        out = {"method": method, "target": target, "headers": headers, "body_hex": body.hex()}
        yield Case(f"http-request-{name}-ok", "http_request", {"request": request}, output=out)
    wrong: tuple[tuple[str, Any], ...] = (
        ("null", None),
        ("list", ["GET", "/"]),
        ("path-missing", {"method": "GET"}),
        ("path-empty", {"path": ""}),
        ("path-relative", {"path": "a"}),
        ("path-absolute-url", {"path": "http://127.0.0.1/"}),
        ("path-two-slashes", {"path": "//host/"}),
        ("path-space", {"path": "/a b"}),
        ("path-newline", {"path": "/ HTTP/1.1\r\nHost: x"}),
        ("path-nul", {"path": "/\0"}),
        ("path-fragment", {"path": "/#a"}),
        ("path-backslash", {"path": "/\\host"}),
        ("path-of-8193", {"path": "/".ljust(8193, "a")}),
        ("path-number", {"path": 7}),
        ("method-empty", {"method": "", "path": "/"}),
        ("method-space", {"method": "GET /", "path": "/"}),
        ("method-null", {"method": None, "path": "/"}),
        ("method-connect", {"method": "connect", "path": "/"}),
        ("method-trace", {"method": "TRACE", "path": "/"}),
        ("header-name-empty", {"path": "/", "headers": {"": "x"}}),
        ("header-name-colon", {"path": "/", "headers": {"X:": "x"}}),
        ("header-name-newline", {"path": "/", "headers": {"X\r\nY": "x"}}),
        ("header-name-number", {"path": "/", "headers": [[7, "x"]]}),
        ("header-value-newline", {"path": "/", "headers": {"X": "a\r\nY: b"}}),
        ("header-value-nul", {"path": "/", "headers": {"X": "\0"}}),
        ("header-value-number", {"path": "/", "headers": {"X": 7}}),
        ("header-value-list", {"path": "/", "headers": {"X": ["a", "b"]}}),
        ("header-pair-of-three", {"path": "/", "headers": [["X", "a", "b"]]}),
        ("header-pair-text", {"path": "/", "headers": ["X: a"]}),
        ("headers-text", {"path": "/", "headers": "X: a"}),
        ("headers-of-65537-characters", {"path": "/", "headers": [["X", "a" * 65536]]}),
        ("method-of-65", {"method": "M" * 65, "path": "/"}),
        ("headers-129", {"path": "/", "headers": [["X", "a"]] * 129}),
        ("encoding-unknown", {"path": "/", "body": "x", "encoding": "latin1"}),
        ("encoding-list", {"path": "/", "body": "x", "encoding": ["utf8"]}),
        ("base64-body-object", {"path": "/", "body": {}, "encoding": "base64"}),
        ("base64-body-not-base64", {"path": "/", "body": "*", "encoding": "base64"}),
        ("base64-body-not-ascii", {"path": "/", "body": "\u00e9", "encoding": "base64"}),
        ("base64-body-with-newline", {"path": "/", "body": "/w\nA=", "encoding": "base64"}),
        ("base64-body-not-canonical", {"path": "/", "body": "YR==", "encoding": "base64"}),
        ("base64-body-without-padding", {"path": "/", "body": "/wA", "encoding": "base64"}),
    )
    for name, request in wrong:
        yield Case(f"http-request-{name}", "http_request", {"request": request}, "malformed")


def names_of_users() -> Iterator[Case]:
    for name, username, output in (
        ("case", "Ada@Example.ORG", "ada@example.org"),
        ("nfd", "jose\u0301", "jos\u00e9"),
        ("nfc", "JOS\u00c9", "jos\u00e9"),
        ("sharp-s", "Stra\u00dfe", "strasse"),
        ("outer-space", "  ada ", "ada"),
        ("254-chars", "A" * 254, "a" * 254),
    ):
        yield Case(
            f"username-{name}-ok",
            "normalise_username",
            {"username": username},
            output={"username": output},
        )
    for name, username in (
        ("empty", ""),
        ("only-spaces", "   "),
        ("255-chars", "a" * 255),
        ("cr-lf", "ada\r\nBcc: eve@example.org"),
        ("newline-behind", "ada\n"),
        ("nul", "ada\0"),
        ("tab", "a\tb"),
        ("delete", "ada\x7f"),
        ("next-line", "ada\x85"),
        ("line-separator", "ada\u2028"),
        ("paragraph-separator", "ada\u2029"),
        ("zero-width-space", "ad\u200ba"),
        ("right-to-left-override", "ada\u202e"),
        ("soft-hyphen", "a\u00adda"),
    ):
        given = {"username": username}
        yield Case(f"username-{name}", "normalise_username", given, "rejected")
    wrong: tuple[tuple[str, Json], ...] = (
        ("missing", {}),
        ("null", {"username": None}),
        ("number", {"username": 7}),
        ("list", {"username": ["ada"]}),
    )
    for name, members in wrong:
        inside: Json = {"message": members}
        yield Case(f"session-request-username-{name}", "session_request", inside, "malformed")
    yield Case(
        "session-request-ok",
        "session_request",
        {"message": {"username": "ada", "more": 1}},
        output={"username": "ada"},
    )
    digest = hashlib.sha256(b"session\0" + TOKEN.encode()).hexdigest()[:32]
    yield Case("session-id-ok", "session_id", {"token": TOKEN}, output={"session_id_hex": digest})


def subjects() -> dict[str, Subject]:
    """Every file of this module: its name and its content."""
    return {
        "classic_requests": Subject(
            "Sealed requests that reach the server, in every dialect and in custom ones.",
            [*requests_of_every_dialect(), *requests_with_other_shapes()],
        ),
        "classic_request_times": Subject(
            "Timestamps at and beyond the edge of the window, and values that are no timestamp.",
            requests_out_of_time(),
        ),
        "classic_request_replays": Subject(
            "Nonces and passphrases that were used before, and nonces that are not valid.",
            requests_replayed(),
        ),
        "classic_request_keys": Subject(
            "Faults in the wrapped passphrase. All must give one and the same error.",
            requests_with_a_wrong_key(),
        ),
        "classic_request_payloads": Subject(
            "Faults in the encrypted payload, its IV, its padding or tag, and its plaintext.",
            requests_with_a_wrong_payload(),
        ),
        "classic_request_shapes": Subject(
            "Bodies that are not sealed requests.", requests_that_are_none()
        ),
        "classic_logins": Subject("Logins that reach the server.", logins()),
        "classic_responses": Subject("Responses that reach the client.", responses()),
        "classic_payloads": Subject(
            "Plaintexts under a passphrase, and the passphrase that a login code gives.", payloads()
        ),
        "classic_timestamps": Subject("The three forms of a timestamp.", timestamps()),
        "public_keys": Subject("RSA public keys as PEM text, valid and invalid.", keys()),
        "json_texts": Subject("JSON as the protocol reads it, which is strict.", json_texts()),
        "http_requests": Subject("HTTP requests as JSON inside of a message.", http()),
        "usernames": Subject(
            "Usernames, requests for a login, and the id of a session.", names_of_users()
        ),
    }


def main() -> None:
    VECTORS.mkdir(parents=True, exist_ok=True)
    if "--new-keys" in sys.argv or not KEYS_FILE.exists():
        new_keys()
    # Imported here, because they import this module.
    import make_code_vectors
    import make_hardened_vectors
    import make_socket_vectors
    import make_stream_vectors
    import make_team_vectors
    import make_vault_vectors

    hardened = (make_hardened_vectors, make_stream_vectors, make_socket_vectors)
    generators = (*hardened, make_code_vectors, make_vault_vectors, make_team_vectors)
    for generator in (subjects, *(module.subjects for module in generators)):
        write(generator())


if __name__ == "__main__":
    main()
