"""The functions that run the vectors of passkeys, device keys and envelopes."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from vector_files import Json

from vault.core import passkeys
from vault.core.account import AccountKey
from vault.core.device_keys import DeviceKey
from vault.core.envelopes import (
    Envelope,
    EnvelopeKey,
    open_by_device,
    open_envelope,
    seal_envelope,
)
from vault.core.primitives import oaep


def _raw(given: Json, name: str) -> bytes:
    return bytes.fromhex(given[f"{name}_hex"])


def _key(given: Json) -> AccountKey:
    return AccountKey(_raw(given, "account"), _raw(given, "n"))


def _envelope(given: Json) -> Envelope:
    wraps = {bytes.fromhex(name): bytes.fromhex(wrap) for name, wrap in given["wraps"].items()}
    parts = _raw(given, "item"), given["version"], _raw(given, "data")
    return Envelope(*parts, wraps, _raw(given, "signature"))


def unwrapping(private: bytes) -> Callable[[bytes, bytes], bytes | None]:
    """What the private key of a device in DER does."""
    key = load_der_private_key(private, None)
    assert isinstance(key, RSAPrivateKey)

    def unwrap(wrapped: bytes, label: bytes) -> bytes | None:
        try:
            return key.decrypt(wrapped, oaep(label))
        except ValueError:
            return None

    return unwrap


def passkey(given: Json) -> Json:
    account, exported, nonce = (_raw(given, name) for name in ("account", "exported", "nonce"))
    challenge = passkeys.challenge(exported, account, given["purpose"], nonce)
    return {
        "challenge_hex": challenge.hex(),
        "prf_salt_hex": passkeys.prf_salt(account, given["rp_id"]).hex(),
        "kek_hex": passkeys.passkey_kek(_raw(given, "prf"), account).hex(),
    }


def pin(given: Json) -> Json:
    key = _key(given)
    pinned = DeviceKey.pinned(key, _raw(given, "id"), _raw(given, "public"))
    pinned.check(key.account, key.head.public)
    return {"pin_hex": pinned.pin.hex()}


def check_pin(given: Json) -> Json:
    key = DeviceKey(_raw(given, "id"), _raw(given, "public"), _raw(given, "pin"))
    key.check(_raw(given, "account"), _raw(given, "head"))
    return {}


def seal(given: Json) -> Json:
    drawn = EnvelopeKey(_raw(given, "key"), _raw(given, "iv"), _raw(given, "wrap_iv"))
    parts = _raw(given, "item"), given["version"], _raw(given, "text")
    made = seal_envelope(_key(given), *parts, drawn, [])
    return {
        "data_hex": made.data.hex(),
        "wraps": {device.hex(): wrap.hex() for device, wrap in made.wraps.items()},
        "signature_hex": made.signature.hex(),
    }


def opened(given: Json) -> Json:
    return {"text_hex": open_envelope(_key(given), _envelope(given)).hex()}


def opened_by_device(given: Json) -> Json:
    names = _raw(given, "account"), _raw(given, "head")
    unwrap = unwrapping(_raw(given, "private"))
    text = open_by_device(*names, _envelope(given), _raw(given, "device"), unwrap)
    return {"text_hex": text.hex()}


ENVELOPE_RUNNERS: dict[str, Callable[[Json], Json]] = {
    "vault_passkey": passkey,
    "vault_pin": pin,
    "vault_check_pin": check_pin,
    "vault_seal_envelope": seal,
    "vault_open_envelope": opened,
    "vault_open_envelope_by_device": opened_by_device,
}
