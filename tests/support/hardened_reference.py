"""A second implementation of the hardened suites, for the vectors.

It is written from the RFCs and PROTOCOL.md, with AES of another library and without protocol/.
A ``Login``, a ``Resumption`` and a ``Message`` compute all their bytes and make cases of them.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from Crypto.Cipher import AES
from make_vectors import (
    NOW_MS,
    b64,
    pad_oaep,
    raw_wrap,
    stream,
    test_keys,
)
from vector_files import Case, Json

REALM = "gateway.example"
NUMBERS = {"ecdh-gcm": 1, "rsa-gcm": 2}
FRESH = {"clock": 1, "counter": 2}
RSA_PAIRS = {"server": "test-session", "client": "test-client"}
MAX_VALUE = 2**53 - 1
DAY_MS = 86_400_000
NO_CHANGES: Json = {}


# --- numbers and points (SEC 1) -----------------------------------------------------------------

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
Affine = tuple[int, int] | None


def add(p: Affine, q: Affine) -> Affine:
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


@cache
def times(k: int, p: Affine) -> Affine:
    total: Affine = None
    for bit in bin(k)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, p)
    return total


def negative(p: Affine) -> Affine:
    return p and (p[0], -p[1] % P)


def encode_point(p: Affine) -> bytes:
    assert p is not None
    return b"\x04" + p[0].to_bytes(32) + p[1].to_bytes(32)


def decompress(data: bytes) -> tuple[int, int]:
    x = int.from_bytes(data[1:])
    y = pow(x**3 - 3 * x + B, (P + 1) // 4, P)
    assert y * y % P == (x**3 - 3 * x + B) % P
    return x, y if y % 2 == data[0] % 2 else P - y


G = decompress(bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"))
M = decompress(bytes.fromhex("02886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f"))
N = decompress(bytes.fromhex("03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49"))


def scalar(seed: bytes) -> int:
    return int.from_bytes(seed) % (ORDER - 1) + 1


# --- keys (RFC 5869, PROTOCOL §2.5) --------------------------------------------------------------


def extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, ikm, "sha256")


def expand(prk: bytes, info: bytes, length: int = 32) -> bytes:
    block, out = b"", b""
    for i in range(1, 256):
        if len(out) >= length:
            break
        block = hmac.digest(prk, block + info + bytes([i]), "sha256")
        out += block
    return out[:length]


def lp(*fields: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4) + part for part in fields)


def transcript(purpose: str, *fields: bytes) -> bytes:
    return hashlib.sha256(lp(b"certless/1 " + purpose.encode(), *fields)).digest()


def label(suite: str, purpose: str) -> bytes:
    return lp(b"certless/1", suite.encode(), purpose.encode())


def gcm(key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> bytes:
    cipher = AES.new(key, AES.MODE_GCM, nonce=iv).update(aad)
    sealed, tag = cipher.encrypt_and_digest(plaintext)
    return bytes(sealed + tag)


def exported(suite: str, secret: bytes, name: str, context: bytes, length: int) -> bytes:
    purpose = label(suite, "exported") + lp(name.encode(), context) + length.to_bytes(2)
    return expand(secret, purpose, length)


def next_key(suite: str, key: bytes) -> bytes:
    return expand(key, label(suite, "rekey"))


# --- the wire (PROTOCOL §2.3) ------------------------------------------------------------------


def msgpack(value: Any) -> bytes:
    """The shortest msgpack, for the types of a message."""
    if isinstance(value, int):
        if value < 0:
            return (value % 256).to_bytes(1) if value >= -32 else b"\xd0" + (value % 256).to_bytes()
        for limit, head, size in (
            (0x80, b"", 1),
            (0x100, b"\xcc", 1),
            (0x10000, b"\xcd", 2),
            (2**32, b"\xce", 4),
        ):
            if value < limit:
                return head + value.to_bytes(size)
        return b"\xcf" + value.to_bytes(8)
    if isinstance(value, bytes):
        return _head(len(value), None, 0, {1: 0xC4, 2: 0xC5, 4: 0xC6}) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(len(text), 0xA0, 32, {1: 0xD9, 2: 0xDA, 4: 0xDB}) + text
    if isinstance(value, list):
        return _head(len(value), 0x90, 16, {2: 0xDC}) + b"".join(map(msgpack, value))
    pairs = b"".join(msgpack(name) + msgpack(item) for name, item in value.items())
    return _head(len(value), 0x80, 16, {2: 0xDE}) + pairs


def _head(count: int, fixed: int | None, limit: int, sized: dict[int, int]) -> bytes:
    if fixed is not None and count < limit:
        return bytes([fixed | count])
    size = next(size for size in sized if count < 256**size)
    return bytes([sized[size]]) + count.to_bytes(size)


def wire(form: str, members: Json) -> Json:
    """``members``, whose values can be bytes, as they are sent."""
    if form == "msgpack":
        return {"format": form, "hex": msgpack(members).hex()}
    plain = {k: b64(v) if isinstance(v, bytes) else v for k, v in members.items()}
    return {
        "format": form,
        "text": json.dumps(plain, ensure_ascii=False, separators=(",", ":")),
    }


# --- a login, and a resumption ------------------------------------------------------------------


@dataclass(frozen=True)
class Session:
    """The keys of a handshake, in hex if they are part of a case."""

    suite: str
    fresh: str
    sid: bytes
    c2s: bytes
    s2c: bytes
    resume: bytes
    export: bytes

    def to_json(self, grant: "Grant") -> Json:
        return {
            "c2s_hex": self.c2s.hex(),
            "s2c_hex": self.s2c.hex(),
            "resume_hex": self.resume.hex() if grant.ticket else None,
            "export_hex": self.export.hex(),
        }


@dataclass(frozen=True)
class Grant:
    """The content of ServerConfirmation."""

    ticket: bytes | None = stream("ticket", 16)
    time_ms: int = NOW_MS
    session_s: int = 3600
    ticket_s: int = 2_592_000


@dataclass(frozen=True)
class Shake:
    """The second half of a login and of a resumption: from Ke, cA and cB on."""

    suite: str
    fresh: str
    sid: bytes
    th: bytes
    shared: bytes
    c_a: bytes
    c_b: bytes
    grant: Grant

    def _box(self, direction: str, plaintext: Json, *before: bytes) -> bytes:
        prk = extract(self.th, self.shared)
        block = expand(prk, label(self.suite, f"box {direction}"), 44)
        aad = transcript(f"box {direction}", self.th, *before)
        return gcm(block[:32], block[32:], msgpack(plaintext), aad)

    @cached_property
    def client_box(self) -> bytes:
        if self.suite == "ecdh-gcm":
            return b""
        return self._box("c2s", {"public_key": public_der("client")}, self.c_a)

    @cached_property
    def server_box(self) -> bytes:
        grant = self.grant
        inside: Json = {"time_ms": grant.time_ms, "session_s": grant.session_s}
        if grant.ticket is not None:
            inside |= {"ticket": grant.ticket, "ticket_s": grant.ticket_s}
        if self.suite == "rsa-gcm":
            inside["public_key"] = public_der("server")
        return self._box("s2c", inside, self.c_a, self.client_box, self.c_b)

    def client(self, **changes: Any) -> Json:
        members: Json = {"sid": self.sid, "cA": self.c_a}
        if self.client_box:
            members["box"] = self.client_box
        return members | changes

    def server(self, **changes: Any) -> Json:
        return {"cB": self.c_b, "box": self.server_box} | changes

    @cached_property
    def session(self) -> Session:
        th2 = transcript("session", self.th, self.c_a, self.client_box, self.c_b, self.server_box)
        prk = extract(th2, self.shared)
        purposes = ("c2s", "s2c", "resume", "export")
        keys = (expand(prk, label(self.suite, purpose)) for purpose in purposes)
        return Session(self.suite, self.fresh, self.sid, *keys)


def public_der(side: str) -> bytes:
    text = test_keys()[RSA_PAIRS[side]].public_pem
    return base64.b64decode("".join(text.splitlines()[1:-1]))


@dataclass(frozen=True)
class Login:
    """All bytes of a login; a case changes one of its inputs."""

    suite: str = "ecdh-gcm"
    fresh: str = "clock"
    form: str = "msgpack"
    username: str = "Ada"
    realm: str = REALM
    suites: tuple[str, ...] = ("ecdh-gcm",)
    code: str = "7K3QWXYZ"
    version: int = 1
    expires_s: int = 600
    seed: str = "login"
    grant: Grant = field(default_factory=Grant)
    device: str | None = None

    def draw(self, what: str, length: int) -> bytes:
        return stream(f"{self.seed} {what}", length)

    @property
    def cn(self) -> bytes:
        return self.draw("cn", 32)

    @property
    def sid(self) -> bytes:
        return self.draw("sid", 16)

    @property
    def sn(self) -> bytes:
        return self.draw("sn", 32)

    @cached_property
    def w(self) -> int:
        salt = lp(b"w", self.suite.encode(), self.username.encode(), self.sid, self.sn)
        stretched = hashlib.pbkdf2_hmac("sha256", self.code.encode(), salt, 1000, 32)
        return scalar(expand(stretched, label(self.suite, "w"), 48))

    @property
    def x(self) -> int:
        return scalar(self.draw("x", 48))

    @property
    def y(self) -> int:
        return scalar(self.draw("y", 48))

    @cached_property
    def p_a(self) -> bytes:
        return encode_point(add(times(self.x, G), times(self.w, M)))

    @cached_property
    def p_b(self) -> bytes:
        return encode_point(add(times(self.y, G), times(self.w, N)))

    @cached_property
    def shake(self) -> Shake:
        greeting = transcript(
            "greeting",
            self.version.to_bytes(2),
            self.username.encode(),
            lp(*(name.encode() for name in self.suites)),
            bytes([FRESH[self.fresh]]),
            self.cn,
            self.sid,
            NUMBERS[self.suite].to_bytes(2),
            self.sn,
            self.expires_s.to_bytes(4),
            self.realm.encode(),
            *([] if self.device is None else [self.device.encode()]),
        )
        th = transcript("login", greeting, self.p_a, self.p_b, b"", b"")
        secret = encode_point(times(self.x * self.y % ORDER, G))
        ids = ("client:" + self.username, "server:" + self.realm)
        ke, c_a, c_b = spake2(ids, self.p_a, self.p_b, secret, self.w, th)
        return Shake(self.suite, self.fresh, self.sid, th, ke, c_a, c_b, self.grant)

    def m0(self, **changes: Any) -> Json:
        return {
            "v": self.version,
            "username": self.username,
            "suites": list(self.suites),
            "fresh": self.fresh,
            "cn": self.cn,
            **({} if self.device is None else {"device": self.device}),
        } | changes

    def m1(self, **changes: Any) -> Json:
        return {
            "sid": self.sid,
            "suite": self.suite,
            "sn": self.sn,
            "expires_s": self.expires_s,
        } | changes

    def m2(self) -> Json:
        return {"sid": self.sid, "pA": self.p_a}

    def client_case(self, name: str, expect: str = "ok", **changed: Json) -> Case:
        """The client's side, which receives ServerHello, ServerShare and ServerConfirmation."""
        messages = {"M1": self.m1(), "M3": {"pB": self.p_b}, "M5": self.shake.server()}
        given: Json = {
            **self._common(),
            "entropy_hex": [self.cn.hex(), self.draw("x", 48).hex()],
            "suites": list(self.suites),
            **({} if self.device is None else {"device": self.device}),
            **{key: wire(self.form, value) for key, value in (messages | changed).items()},
        }
        output = {
            "M0": wire(self.form, self.m0()),
            "M2": wire(self.form, self.m2()),
            "M4": wire(self.form, self.shake.client()),
            **self.shake.session.to_json(self.grant),
            "ticket_hex": self.grant.ticket.hex() if self.grant.ticket else None,
            "offset_ms": self.grant.time_ms - NOW_MS,
        }
        return finish(f"login-client-{name}", "client_login", self.suite, given, expect, output)

    def server_case(self, name: str, expect: str = "ok", **changed: Any) -> Case:
        """The server's side, which receives M0, M2 and M4. A false ``attempt`` was not counted."""
        messages = {"M0": self.m0(), "M2": self.m2(), "M4": self.shake.client()}
        settings: Json = {key: changed.pop(key) for key in ("attempt", "known") if key in changed}
        given: Json = {
            **self._common(),
            "entropy_hex": [self.sid.hex(), self.sn.hex(), self.draw("y", 48).hex()],
            "expires_s": self.expires_s,
            "accepted": ["ecdh-gcm", "rsa-gcm"],
            "grant": grant_json(self.grant),
            **settings,
            **{key: wire(self.form, value) for key, value in (messages | changed).items()},
        }
        output = {
            "M1": wire(self.form, self.m1()),
            "M3": wire(self.form, {"pB": self.p_b}),
            "M5": wire(self.form, self.shake.server()),
            **self.shake.session.to_json(self.grant),
        }
        return finish(f"login-server-{name}", "server_login", self.suite, given, expect, output)

    def _common(self) -> Json:
        return {
            "suite": self.suite,
            "fresh": self.fresh,
            "username": self.username,
            "realm": self.realm,
            "code": self.code,
            "now_ms": NOW_MS,
        }


def grant_json(grant: Grant) -> Json:
    return {
        "ticket_hex": grant.ticket.hex() if grant.ticket else None,
        "session_s": grant.session_s,
        "ticket_s": grant.ticket_s,
    }


def spake2(
    ids: tuple[str, str], p_a: bytes, p_b: bytes, secret: bytes, w: int, aad: bytes
) -> tuple[bytes, bytes, bytes]:
    """Ke, cA and cB (RFC 9382 §3.3, §4)."""
    parts = (ids[0].encode(), ids[1].encode(), p_a, p_b, secret, w.to_bytes(32))
    text = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    digest = hashlib.sha256(text).digest()
    keys = expand(extract(b"", digest[16:]), b"ConfirmationKeys" + aad, 32)
    return (
        digest[:16],
        hmac.digest(keys[:16], text, "sha256"),
        hmac.digest(keys[16:], text, "sha256"),
    )


@dataclass(frozen=True)
class Resumption:
    """All bytes of a resumption."""

    suite: str = "ecdh-gcm"
    fresh: str = "clock"
    form: str = "msgpack"
    username: str = "Ada"
    realm: str = REALM
    seed: str = "resumption"
    grant: Grant = field(default_factory=lambda: Grant(ticket=stream("successor", 16)))

    def draw(self, what: str, length: int) -> bytes:
        return stream(f"{self.seed} {what}", length)

    @property
    def ticket(self) -> bytes:
        return self.draw("ticket", 16)

    @property
    def secret(self) -> bytes:
        return self.draw("resume", 32)

    @cached_property
    def e_c(self) -> bytes:
        return encode_point(times(scalar(self.draw("c", 48)), G))

    @cached_property
    def e_s(self) -> bytes:
        return encode_point(times(scalar(self.draw("s", 48)), G))

    def r1(self, **changes: Any) -> Json:
        return {
            "v": 1,
            "ticket": self.ticket,
            "suite": self.suite,
            "fresh": self.fresh,
            "cn": self.draw("cn", 32),
            "eC": self.e_c,
        } | changes

    def r2(self, **changes: Any) -> Json:
        return {"sid": self.draw("sid", 16), "sn": self.draw("sn", 32), "eS": self.e_s} | changes

    @cached_property
    def shake(self) -> Shake:
        th = transcript(
            "resumption",
            (1).to_bytes(2),
            self.ticket,
            NUMBERS[self.suite].to_bytes(2),
            bytes([FRESH[self.fresh]]),
            self.draw("cn", 32),
            self.e_c,
            self.draw("sid", 16),
            self.draw("sn", 32),
            self.e_s,
            self.username.encode(),
            self.realm.encode(),
            b"",
            b"",
        )
        agreed = times(scalar(self.draw("c", 48)) * scalar(self.draw("s", 48)) % ORDER, G)
        assert agreed is not None
        prk = extract(th, self.secret + agreed[0].to_bytes(32))
        ke, c_a, c_b = (
            expand(prk, label(self.suite, purpose))
            for purpose in ("resumed", "confirm c2s", "confirm s2c")
        )
        return Shake(self.suite, self.fresh, self.draw("sid", 16), th, ke, c_a, c_b, self.grant)

    def _common(self) -> Json:
        return {
            "suite": self.suite,
            "fresh": self.fresh,
            "username": self.username,
            "realm": self.realm,
            "ticket_hex": self.ticket.hex(),
            "secret_hex": self.secret.hex(),
            "now_ms": NOW_MS,
        }

    def client_case(self, name: str, expect: str = "ok", **changed: Json) -> Case:
        messages = {"R2": self.r2(), "R4": self.shake.server()}
        given: Json = {
            **self._common(),
            "entropy_hex": [self.draw("c", 48).hex(), self.draw("cn", 32).hex()],
            **{key: wire(self.form, value) for key, value in (messages | changed).items()},
        }
        output = {
            "R1": wire(self.form, self.r1()),
            "R3": wire(self.form, self.shake.client()),
            **self.shake.session.to_json(self.grant),
            "successor_hex": self.grant.ticket.hex() if self.grant.ticket else None,
        }
        return finish(
            f"resumption-client-{name}", "client_resumption", self.suite, given, expect, output
        )

    def server_case(
        self, name: str, expect: str = "ok", chain: Json | None = NO_CHANGES, **changed: Json
    ) -> Case:
        """``chain`` has the differences from a chain with this next ticket; None is no chain."""
        messages = {"R1": self.r1(), "R3": self.shake.client()}
        good = {"used_hex": "", "next_hex": self.ticket.hex(), "expires_ms": NOW_MS + DAY_MS}
        given: Json = {
            **self._common(),
            "entropy_hex": [
                self.draw(what, size).hex() for what, size in (("s", 48), ("sid", 16), ("sn", 32))
            ],
            "grant": grant_json(self.grant),
            "chain": None if chain is None else good | chain,
            **{key: wire(self.form, value) for key, value in (messages | changed).items()},
        }
        output = {
            "R2": wire(self.form, self.r2()),
            "R4": wire(self.form, self.shake.server()),
            **self.shake.session.to_json(self.grant),
        }
        return finish(
            f"resumption-server-{name}", "server_resumption", self.suite, given, expect, output
        )


def finish(name: str, kind: str, suite: str | None, given: Json, expect: str, output: Json) -> Case:
    if expect == "ok":
        return Case(f"{name}-ok", kind, given, output=output, suite=suite)
    return Case(name, kind, given, expect, suite=suite)


# Kinds of the client's messages: requests, stream requests, socket requests.
REQUEST_KINDS = (1, 4, 6)

# --- messages -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A sealed message in parts, so that a case can change one part and leave the others."""

    plaintext: Any = None
    suite: str = "ecdh-gcm"
    fresh: str = "clock"
    form: str = "msgpack"
    kind: int = 1
    epoch: int = 0
    sid: bytes = stream("message sid", 16)
    value: int = NOW_MS
    magic: bytes = b"CG1"
    suite_number: int | None = None
    fresh_number: int | None = None
    request_tag: bytes = b""
    seed: str = "message"
    key: bytes | None = None
    cek: bytes | None = None
    hash_name: str = "sha256"
    wrapped_hash: bytes | None = None
    raw_plaintext: bytes | None = None

    @property
    def root(self) -> bytes:
        return stream(f"{self.suite} {'c2s' if self.kind in REQUEST_KINDS else 's2c'}", 32)

    @property
    def key_of_epoch(self) -> bytes:
        key = self.root if self.key is None else self.key
        for _ in range(self.epoch):
            key = next_key(self.suite, key)
        return key

    @property
    def salt(self) -> bytes:
        return stream(f"{self.seed} salt", 16)

    @cached_property
    def wrapped(self) -> bytes | None:
        if self.suite != "rsa-gcm":
            return None
        receiver = test_keys()[RSA_PAIRS["server" if self.kind in REQUEST_KINDS else "client"]]
        block = pad_oaep(self._cek, receiver.size, f"{self.seed} oaep", self.hash_name)
        return raw_wrap(receiver, block)

    @property
    def _cek(self) -> bytes:
        if self.suite != "rsa-gcm":
            return b""
        return stream(f"{self.seed} cek", 32) if self.cek is None else self.cek

    @cached_property
    def header(self) -> bytes:
        digest = hashlib.sha256(self.wrapped or b"").digest()
        return (
            self.magic
            + (self.suite_number or NUMBERS[self.suite]).to_bytes(2)
            + bytes([self.kind])
            + self.epoch.to_bytes(4)
            + self.sid
            + bytes([self.fresh_number or FRESH[self.fresh]])
            + self.value.to_bytes(8)
            + (self.wrapped_hash or digest)
            + self.request_tag
        )

    @cached_property
    def sealed(self) -> bytes:
        prk = extract(self.salt, self.key_of_epoch + self._cek)
        block = expand(prk, self.header, 44)
        inside = msgpack(self.plaintext) if self.raw_plaintext is None else self.raw_plaintext
        return gcm(block[:32], block[32:], inside, self.header)

    def members(self, **changes: Any) -> Json:
        members: Json = {"header": self.header, "salt": self.salt}
        if self.wrapped is not None:
            members["wrapped"] = self.wrapped
        members = members | {"sealed": self.sealed} | changes
        return {name: value for name, value in members.items() if value is not ...}

    def wire(self, **changes: Any) -> Json:
        return wire(self.form, self.members(**changes))
