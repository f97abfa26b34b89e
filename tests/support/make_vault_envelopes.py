"""Makes the vectors of passkeys, device keys and envelopes (VAULT §25 to §27)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from hardened_reference import finish, lp
from make_vectors import flip, stream
from vault_device_keys import FIRST, SECOND
from vault_reference import User, hkdf, padded, public_key, seal, sha256, sign, v
from vector_files import Case, Json, Subject

ADA = User()
BOB = replace(ADA, username="bob")
RP = "vault.example"
EXPORTED, NONCE = stream("vault exported", 32), stream("vault passkey nonce", 16)
PRF = stream("vault prf", 32)
ITEM, OTHER_ITEM = stream("vault item", 16), stream("vault another item", 16)
KEY, IV, WRAP_IV = stream("vault key", 32), stream("vault iv", 12), stream("vault wrap iv", 12)
DEVICE, OTHER_DEVICE = stream("vault device", 16), stream("vault another device", 16)


def _case(name: str, kind: str, given: Json, output: Json | str) -> Case:
    expect = output if isinstance(output, str) else "ok"
    members = {} if isinstance(output, str) else output
    return finish(f"vault-{name}", f"vault_{kind}", None, given, expect, members)


def _spki(key: RSA.RsaKey) -> bytes:
    return bytes(key.public_key().export_key("DER"))


# --- passkeys ------------------------------------------------------------------------------------


def passkeys() -> Iterator[Case]:
    for name, user, exported, purpose, nonce, rp_id, prf in (
        ("register", ADA, EXPORTED, "register", NONCE, RP, PRF),
        ("sign-in", ADA, EXPORTED, "sign in", NONCE, RP, PRF),
        ("another-session", ADA, flip(EXPORTED, 0), "sign in", NONCE, RP, PRF),
        ("another-nonce", ADA, EXPORTED, "sign in", flip(NONCE, 0), RP, PRF),
        ("another-user", BOB, EXPORTED, "sign in", NONCE, RP, PRF),
        ("another-domain", ADA, EXPORTED, "sign in", NONCE, "other.example", PRF),
        ("prf-short", ADA, EXPORTED, "sign in", NONCE, RP, PRF[1:]),
        ("prf-long", ADA, EXPORTED, "sign in", NONCE, RP, PRF + b"\0"),
        ("prf-empty", ADA, EXPORTED, "sign in", NONCE, RP, b""),
    ):
        account = user.account
        named = lp(exported, account, purpose.encode(), nonce)
        given = {
            "exported_hex": exported.hex(),
            "account_hex": account.hex(),
            "purpose": purpose,
            "nonce_hex": nonce.hex(),
            "rp_id": rp_id,
            "prf_hex": prf.hex(),
        }
        output: Json = {
            "challenge_hex": sha256(v("passkey") + named).hex(),
            "prf_salt_hex": sha256(v("passkey prf") + lp(account, rp_id.encode())).hex(),
            "kek_hex": hkdf(prf, account, v("passkey key")).hex(),
        }
        yield _case(f"passkey-{name}", "passkey", given, output if prf == PRF else "malformed")


# --- device keys ---------------------------------------------------------------------------------


def pin(user: User, device: bytes, public: bytes) -> bytes:
    return sign(user.key("head"), v("device key") + lp(user.account, device, public))


def device_keys() -> Iterator[Case]:
    good = _spki(FIRST)
    ec = bytes(ECC.construct(curve="P-256", d=1).public_key().export_key(format="DER"))
    forms: dict[str, tuple[bytes, bytes]] = {
        "first": (DEVICE, good),
        "second": (OTHER_DEVICE, _spki(SECOND)),
        "id-short": (DEVICE[1:], good),
        "id-empty": (b"", good),
        "2048-bits": (DEVICE, _spki(RSA.construct(((1 << 2047) | 1, 65_537), False))),
        "4096-bits": (DEVICE, _spki(RSA.construct(((1 << 4095) | 1, 65_537), False))),
        "e-of-3": (DEVICE, _spki(RSA.construct((FIRST.n, 3), False))),
        "ec": (DEVICE, ec),
        "private": (DEVICE, bytes(FIRST.export_key("DER", pkcs=8))),
        "bytes-behind-it": (DEVICE, good + b"\0"),
        "cut": (DEVICE, good[:-1]),
        "empty": (DEVICE, b""),
    }
    for name, (device, public) in forms.items():
        given = {
            "account_hex": ADA.account.hex(),
            "n_hex": ADA.n.hex(),
            "id_hex": device.hex(),
            "public_hex": public.hex(),
        }
        is_good = name in ("first", "second")
        output: Json = {"pin_hex": pin(ADA, device, public).hex()}
        yield _case(f"device-key-{name}", "pin", given, output if is_good else "malformed")
    head, right = public_key(ADA.key("head")), pin(ADA, DEVICE, good)
    for name, user, named, device, public, signature in (
        ("good", ADA, head, DEVICE, good, right),
        ("public-substituted", ADA, head, DEVICE, _spki(SECOND), right),
        ("another-device", ADA, head, OTHER_DEVICE, good, right),
        ("another-user", BOB, head, DEVICE, good, right),
        ("another-head", ADA, public_key(BOB.key("head")), DEVICE, good, right),
        ("signature-changed", ADA, head, DEVICE, good, flip(right, 0)),
        ("signature-short", ADA, head, DEVICE, good, right[1:]),
        ("id-short", ADA, head, DEVICE[1:], good, pin(ADA, DEVICE[1:], good)),
        ("public-cut", ADA, head, DEVICE, good[:-1], pin(ADA, DEVICE, good[:-1])),
    ):
        given = {
            "account_hex": user.account.hex(),
            "head_hex": named.hex(),
            "id_hex": device.hex(),
            "public_hex": public.hex(),
            "pin_hex": signature.hex(),
        }
        fault = "tampered" if len(device) == 16 and public != good[:-1] else "malformed"
        yield _case(f"pin-{name}", "check_pin", given, {} if name == "good" else fault)


# --- envelopes -----------------------------------------------------------------------------------


def _key_label(user: User, item: bytes, device: bytes) -> bytes:
    return v("envelope key") + lp(user.account, item, device)


def own_wrap(user: User, item: bytes, key: bytes = KEY) -> bytes:
    return seal(user.key("envelope"), WRAP_IV, key, _key_label(user, item, b""))


def wrap_to(public: RSA.RsaKey, item: bytes, device: bytes, key: bytes = KEY) -> bytes:
    label = _key_label(ADA, item, device)
    cipher = PKCS1_OAEP.new(public, SHA256, label=label, randfunc=lambda n: stream("oaep", n))
    return bytes(cipher.encrypt(key))


@dataclass(frozen=True)
class Made:
    """An envelope in parts, so that a case can change one part and leave the others."""

    user: User = ADA
    item: bytes = ITEM
    version: int = 1
    text: bytes = b"data"
    plaintext: bytes | None = None
    wraps: Mapping[bytes, bytes] | None = None

    @property
    def data(self) -> bytes:
        aad = v("envelope data") + lp(self.user.account, self.item) + self.version.to_bytes(8)
        text = padded(self.version, self.text, 256) if self.plaintext is None else self.plaintext
        return seal(KEY, IV, text, aad)

    def to_json(self) -> Json:
        wraps = {b"": own_wrap(self.user, self.item)} if self.wraps is None else self.wraps
        listed = b"".join(lp(device, wraps[device]) for device in sorted(wraps))
        named = lp(self.user.account, self.item) + self.version.to_bytes(8)
        digests = sha256(self.data) + sha256(v("envelope wraps") + listed)
        signature = sign(self.user.key("head"), v("envelope") + named + digests)
        return {
            "item_hex": self.item.hex(),
            "version": self.version,
            "data_hex": self.data.hex(),
            "wraps": {device.hex(): wrap.hex() for device, wrap in wraps.items()},
            "signature_hex": signature.hex(),
        }


def seals() -> Iterator[Case]:
    for name, made in {
        "first": Made(),
        "empty": Made(text=b""),
        "another-user": Made(user=BOB),
        "244-bytes": Made(text=bytes(244)),
        "245-bytes": Made(text=bytes(245)),
        "last-version": Made(version=2**53 - 1),
    }.items():
        yield _sealing(name, made, made.to_json())
    yield _sealing("version-0", Made(version=0), "malformed")
    yield _sealing("item-short", Made(item=ITEM[1:]), "malformed")


def _sealing(name: str, made: Made, output: Json | str) -> Case:
    given = {
        "account_hex": made.user.account.hex(),
        "n_hex": made.user.n.hex(),
        "item_hex": made.item.hex(),
        "version": made.version,
        "text_hex": made.text.hex(),
        "key_hex": KEY.hex(),
        "iv_hex": IV.hex(),
        "wrap_iv_hex": WRAP_IV.hex(),
    }
    if isinstance(output, dict):
        output = {name: output[name] for name in ("data_hex", "wraps", "signature_hex")}
    return _case(f"envelope-seal-{name}", "seal_envelope", given, output)


WRAPS = {
    b"": own_wrap(ADA, ITEM),
    DEVICE: wrap_to(FIRST, ITEM, DEVICE),
    OTHER_DEVICE: wrap_to(SECOND, ITEM, OTHER_DEVICE),
}
WHOLE = Made(wraps=WRAPS)


def _changed(**wraps: bytes | None) -> Json:
    """The whole envelope of a server that changes wraps: ``own``, ``first``, ``second``."""
    names = {"own": b"", "first": DEVICE, "second": OTHER_DEVICE}
    listed = dict(WHOLE.to_json()["wraps"])
    for name, wrap in wraps.items():
        del listed[names[name].hex()]
        if wrap is not None:
            listed[names[name].hex()] = wrap.hex()
    return WHOLE.to_json() | {"wraps": listed}


def by_the_server() -> Iterator[tuple[str, Json]]:
    """What a server can do without N. The signature shows each."""
    whole, other = WHOLE.to_json(), Made(item=OTHER_ITEM, text=b"other").to_json()
    newer = Made(version=2, text=b"newer", wraps=WRAPS).to_json()
    yield "another-item", whole | {"item_hex": OTHER_ITEM.hex()}
    yield "another-version", whole | {"version": 2}
    yield "data-of-another-item", whole | {"data_hex": other["data_hex"]}
    yield "data-of-another-version", whole | {"data_hex": newer["data_hex"]}
    yield "data-changed", whole | {"data_hex": flip(WHOLE.data, -1).hex()}
    yield "signature-of-another-version", whole | {"signature_hex": newer["signature_hex"]}
    yield "signature-changed", whole | {"signature_hex": "00" * 64}
    yield "forged-by-another-user", Made(user=BOB).to_json()
    yield "wraps-mixed", _changed(first=WRAPS[OTHER_DEVICE], second=WRAPS[DEVICE])
    yield "wrap-changed", _changed(second=flip(WRAPS[OTHER_DEVICE], -1))
    yield "wrap-missing", _changed(second=None)
    more = {stream("vault third device", 16).hex(): WRAPS[DEVICE].hex()}
    yield "wrap-too-many", whole | {"wraps": whole["wraps"] | more}


def opened() -> Iterator[Case]:
    own = {"account_hex": ADA.account.hex(), "n_hex": ADA.n.hex()}
    device = {
        "account_hex": ADA.account.hex(),
        "head_hex": public_key(ADA.key("head")).hex(),
        "device_hex": DEVICE.hex(),
        "private_hex": bytes(FIRST.export_key("DER", pkcs=8)).hex(),
    }
    second = device | {
        "device_hex": OTHER_DEVICE.hex(),
        "private_hex": bytes(SECOND.export_key("DER", pkcs=8)).hex(),
    }
    good: Json = {"text_hex": b"data".hex()}

    def both(name: str, envelope: Json, output: Json | str) -> Iterator[Case]:
        yield _case(f"envelope-open-{name}", "open_envelope", own | envelope, output)
        by_device = f"envelope-by-device-{name}"
        yield _case(by_device, "open_envelope_by_device", device | envelope, output)

    yield from both("good", WHOLE.to_json(), good)
    yield _case("envelope-by-second", "open_envelope_by_device", second | WHOLE.to_json(), good)
    for name, envelope in by_the_server():
        yield from both(name, envelope, "tampered")
    # Signed by a client with a fault.
    text = padded(1, b"data", 256)
    for name, plaintext in (
        ("padding-not-zero", text[:-1] + b"\1"),
        ("sequence-of-another-version", padded(2, b"data", 256)),
    ):
        yield from both(name, Made(wraps=WRAPS, plaintext=plaintext).to_json(), "tampered")
    for name, wraps in (
        ("key-of-31-bytes", {b"": own_wrap(ADA, ITEM, KEY[1:])}),
        ("another-key", {b"": own_wrap(ADA, ITEM, bytes(32))}),
        ("wrap-of-another-item", {b"": own_wrap(ADA, OTHER_ITEM)}),
        ("wrap-of-another-user", {b"": own_wrap(BOB, ITEM)}),
    ):
        envelope = Made(wraps=wraps).to_json()
        yield _case(f"envelope-open-{name}", "open_envelope", own | envelope, "tampered")
    for name, wrap in (
        ("key-of-31-bytes", wrap_to(FIRST, ITEM, DEVICE, KEY[1:])),
        ("wrap-of-another-item", wrap_to(FIRST, OTHER_ITEM, DEVICE)),
        ("wrap-of-another-device", wrap_to(FIRST, ITEM, OTHER_DEVICE)),
        ("wrap-to-another-key", wrap_to(SECOND, ITEM, DEVICE)),
        ("wrap-short", wrap_to(FIRST, ITEM, DEVICE)[1:]),
    ):
        envelope = Made(wraps=WRAPS | {DEVICE: wrap}).to_json()
        by_device = f"envelope-by-device-{name}"
        yield _case(by_device, "open_envelope_by_device", device | envelope, "tampered")
    yield from both("no-wrap-for-it", Made(wraps={OTHER_DEVICE: b"w"}).to_json(), "malformed")


def subjects() -> dict[str, Subject]:
    """The file of this module."""
    return {
        "vault_envelopes": Subject(
            "Passkeys, the keys of devices, and envelopes.",
            [*passkeys(), *device_keys(), *seals(), *opened()],
        )
    }
