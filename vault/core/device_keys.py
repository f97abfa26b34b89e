"""The RSA key of a device, pinned by the head key (VAULT §26)."""

from dataclasses import dataclass
from typing import Self

from .account import AccountKey, label, lp
from .errors import Malformed, Tampered
from .primitives import is_device_key, is_signature
from .unlock_secrets import DEVICE_ID_BYTES


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """The public key of a device, and the signature of it by the head key.

    ``public`` is a SubjectPublicKeyInfo in DER (422 bytes).
    """

    id: bytes
    public: bytes
    pin: bytes

    @classmethod
    def pinned(cls, key: AccountKey, device_id: bytes, public: bytes) -> Self:
        """Raises: Malformed."""
        _check_form(device_id, public)
        return cls(device_id, public, key.head.sign(_statement(key.account, device_id, public)))

    def check(self, account: bytes, head: bytes) -> None:
        """Compare the pin with the key. Raises: Malformed, Tampered."""
        _check_form(self.id, self.public)
        if not is_signature(head, self.pin, _statement(account, self.id, self.public)):
            raise Tampered("the key of a device was not pinned by this account")


def _check_form(device_id: bytes, public: bytes) -> None:
    if len(device_id) != DEVICE_ID_BYTES or not is_device_key(public):
        raise Malformed("the key of a device is RSA with 3,072 bits and the exponent 65,537")


def _statement(account: bytes, device_id: bytes, public: bytes) -> bytes:
    return label("device key") + lp(account) + lp(device_id) + lp(public)
