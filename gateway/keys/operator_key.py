"""The operator's key: it opens the devices on the admin page."""

from .keyring import KeyRing


def operator_key(keyring: KeyRing) -> str:
    """The key, as text of 64 characters. All gateways with the same key ring have the same one."""
    return keyring.derived("operator key").hex()
