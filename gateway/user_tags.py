"""The tags by which a store, the figures and the logs know users, without naming them.

A tag is a keyed hash of the name, so a list of names does not unmask the tags of a dump or a log.
The key belongs to the deployment: the store keeps it, sealed under the key ring. So it stays the
same over restarts and rotations, and all gateways of a store have the same.
"""

from protocol.freshness import TAG_BYTES
from protocol.primitives import hmac_sha256, sha256

from .errors import ConfigError
from .keyring import KeyRing
from .stores import TAG_KEY_ID, Store


class UserTags:
    """Tags of one deployment. ``open`` must have returned before the first is asked for."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring
        self._key: bytes | None = None

    async def open(self) -> None:
        """Take the store's key, or give it one. To be repeated: the store may have lost it.

        A new key is derived from the ring, so that gateways which do this at the same time, after
        a store has lost all, come to the same one. Raises: ConfigError, StoreUnavailable.
        """
        sealed = await self._store.tag_key()
        if sealed is None:
            key = self._keyring.derived("tag key")
            offered = self._keyring.seal("tag key", TAG_KEY_ID, key)
            # What an earlier version kept are plain hashes: they are the input of the keyed ones.
            sealed = await self._store.keep_tag_key(offered, lambda tag: _of_hash(key, tag))
        kept = self._keyring.open("tag key", TAG_KEY_ID, sealed)
        if kept is None:
            raise ConfigError(
                "the store was sealed under another key: name the key file that belongs to it with "
                "--key-file, or start with a new store"
            )
        self._key = kept

    async def opened(self) -> "UserTags":
        """These, once they have their key. Raises: ConfigError, StoreUnavailable."""
        if self._key is None:
            await self.open()
        return self

    def of(self, user: str) -> bytes:
        """The 16 bytes under which the store knows ``user``."""
        return _of_hash(self._known_key, sha256(b"user\x00" + user.encode())[:TAG_BYTES])

    def of_counter(self, key: str) -> bytes:
        """The 16 bytes under which the store counts ``key``, which may name an address."""
        return hmac_sha256(self._known_key, b"limit\x00" + key.encode())[:TAG_BYTES]

    @property
    def _known_key(self) -> bytes:
        if self._key is None:
            raise RuntimeError("tags are used before they were opened")
        return self._key


def _of_hash(key: bytes, unkeyed: bytes) -> bytes:
    return hmac_sha256(key, b"user\x00" + unkeyed)[:TAG_BYTES]
