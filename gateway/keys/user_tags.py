"""User tags: pseudonyms of users in the store, the metrics and the logs.

A tag is a keyed hash of the name, so a list of names does not reveal the tags of a dump or a log.
The store contains the key, sealed by the key ring. So the key survives restarts and rotations, and
all gateways of a store use the same one.
"""

from gateway.errors import ConfigError
from gateway.stores import TAG_KEY_ID, Store
from protocol.classic.freshness import TAG_BYTES
from protocol.common.primitives import hmac_sha256, sha256

from .keyring import KeyRing
from .rotation import records_by_key


class UserTags:
    """The tags of one deployment. Call ``open`` before the first tag."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring
        self._key: bytes | None = None

    async def open(self) -> None:
        """Load the store's key, or store a new one. Repeat it: the store can lose its data.

        A new key is derived from the ring, so gateways that do this at the same time get the same
        one. A missing key file is created only for a new store. Raises: ConfigError (the ring
        belongs to another store), StoreUnavailable.
        """
        sealed = await self._store.tag_key()
        if not self._keyring.has_keys():
            await self._make_keys(sealed)
        if sealed is None:
            if await self._has_only_foreign_records():
                raise ConfigError(self._wrong_ring_text)
            key = self._keyring.derived("tag key")
            offered = self._keyring.seal("tag key", TAG_KEY_ID, key)
            # Earlier versions stored unkeyed hashes; the keyed hashes are made from them.
            sealed = await self._store.keep_tag_key(offered, lambda tag: _of_hash(key, tag))
        opened = self._keyring.open("tag key", TAG_KEY_ID, sealed)
        if opened is None:
            raise ConfigError(self._wrong_ring_text)
        self._key = opened

    async def _make_keys(self, sealed: bytes | None) -> None:
        # has_keys is checked again: another gateway can have created store and keys just now.
        is_sealed = sealed is not None or await self._has_only_foreign_records()
        if is_sealed and not self._keyring.has_keys():
            raise ConfigError(
                f"there is no {self._keyring}, but the store is sealed with a key: set the key "
                "file of the store with --key-file, or restore that file, or start with a new "
                "store; nothing was created"
            )
        self._keyring.make()

    async def _has_only_foreign_records(self) -> bool:
        """Whether the store has records but the ring opens none of them."""
        counted = await records_by_key(self._store, self._keyring)
        return counted[""] > 0 and counted[""] == counted.total()

    @property
    def _wrong_ring_text(self) -> str:
        return (
            f"the store is sealed with another key than {self._keyring} "
            f"({', '.join(self._keyring.ids)}): set the key file of the store with --key-file, or "
            "start with a new store"
        )

    async def opened(self) -> "UserTags":
        """Load the key if needed; return self. Raises: ConfigError, StoreUnavailable."""
        if self._key is None:
            await self.open()
        return self

    def of(self, user: str) -> bytes:
        """The tag of ``user``, 16 bytes."""
        return _of_hash(self._known_key, sha256(b"user\x00" + user.encode())[:TAG_BYTES])

    def of_device(self, user_tag: bytes, device: str) -> bytes:
        """The tag of a device of the user with ``user_tag``, 16 bytes."""
        return hmac_sha256(self._known_key, b"device\x00" + user_tag + device.encode())[:TAG_BYTES]

    def of_counter(self, key: str) -> bytes:
        """The tag of a counter's ``key``, 16 bytes; the key can contain an address."""
        return hmac_sha256(self._known_key, b"limit\x00" + key.encode())[:TAG_BYTES]

    @property
    def _known_key(self) -> bytes:
        if self._key is None:
            raise RuntimeError("tags are used before open()")
        return self._key


def _of_hash(key: bytes, unkeyed: bytes) -> bytes:
    return hmac_sha256(key, b"user\x00" + unkeyed)[:TAG_BYTES]
