"""The tags by which a store, the figures and the logs know users, without naming them.

A tag is a keyed hash of the name, so a list of names does not unmask the tags of a dump or a log.
The key belongs to the deployment: the store keeps it, sealed under the key ring. So it stays the
same over restarts and rotations, and all gateways of a store have the same.
"""

from gateway.errors import ConfigError
from gateway.stores import TAG_KEY_ID, Store
from protocol.classic.freshness import TAG_BYTES
from protocol.common.primitives import hmac_sha256, sha256

from .keyring import KeyRing
from .rotation import records_by_key


class UserTags:
    """Tags of one deployment. ``open`` must have returned before the first is asked for."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring
        self._key: bytes | None = None

    async def open(self) -> None:
        """Take the store's key, or give it one. To be repeated: the store may have lost it.

        A new key is derived from the ring, so that gateways which do this at the same time, after
        a store has lost all, come to the same one. A key file that is not there is made for a new
        store alone. Raises: ConfigError (the ring is another store's), StoreUnavailable.
        """
        sealed = await self._store.tag_key()
        if not self._keyring.has_keys():
            await self._make_keys(sealed)
        if sealed is None:
            if await self._only_of_others():
                raise ConfigError(self._is_not_theirs)
            key = self._keyring.derived("tag key")
            offered = self._keyring.seal("tag key", TAG_KEY_ID, key)
            # What an earlier version kept are plain hashes: they are the input of the keyed ones.
            sealed = await self._store.keep_tag_key(offered, lambda tag: _of_hash(key, tag))
        kept = self._keyring.open("tag key", TAG_KEY_ID, sealed)
        if kept is None:
            raise ConfigError(self._is_not_theirs)
        self._key = kept

    async def _make_keys(self, sealed: bytes | None) -> None:
        # Asked once more at the end: another gateway may have begun with both just now.
        is_sealed = sealed is not None or await self._only_of_others()
        if is_sealed and not self._keyring.has_keys():
            raise ConfigError(
                f"there is no {self._keyring}, and the store was sealed under a key: name the key "
                "file that belongs to it with --key-file, or restore that file, or start with a "
                "new store; nothing was made"
            )
        self._keyring.make()

    async def _only_of_others(self) -> bool:
        """Whether the store has records, and the ring opens none of them."""
        counted = await records_by_key(self._store, self._keyring)
        return counted[""] > 0 and counted[""] == counted.total()

    @property
    def _is_not_theirs(self) -> str:
        return (
            f"the store was sealed under another key than {self._keyring} "
            f"({', '.join(self._keyring.ids)}): name the key file that belongs to it with "
            "--key-file, or start with a new store"
        )

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
