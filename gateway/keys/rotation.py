"""Rotates the keys of a store while gateways use it.

A rotation has four steps. After each of them every record can be opened:

1. The new key becomes the last one in the file: gateways open with it, and seal with the old one.
2. One transaction seals all records with the new key.
3. The new key becomes the first one in the file: gateways seal with it from now on.
4. Records that gateways sealed with the old key between 2 and 3 are sealed with the new one.

If the command ends after step 1, the new key stays in the file without effect. If it ends after 2
or 3, the old key still opens its records. It stays in the file until `keys drop`, which is refused
while a record needs the key.
"""

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from dataclasses import dataclass

from gateway.errors import ConfigError, GatewayError
from gateway.stores import Store

from .key_file import KEY_BYTES, KeyFile
from .keyring import KeyRing, key_id

# For each kind of record in a store, the purposes that it can be sealed for.
PURPOSES = {
    "session": ("hardened session", "session", "login"),
    "handshake": ("handshake",),
    "exchange": ("exchange", "resumption", "granted stream"),
    "chain": ("chain",),
    "ticket": ("ticket",),
    "issued code": ("issued code",),
    "tag key": ("tag key",),
}
# A gateway can take this long between sealing a record and storing it.
_SETTLE_TIME_S = 10


class RecordNotOpened(GatewayError):
    """No key opens a record; nothing was changed."""

    def __init__(self, kind: str, record_id: bytes) -> None:
        super().__init__(
            f"no key opens the {kind} {record_id.hex()}: add the key that sealed it as the last "
            "one, or wait until the record has expired; nothing was changed"
        )


@dataclass(frozen=True, slots=True)
class Rotated:
    """The name of the new key, and how many records it has sealed."""

    key: str
    records: int


def _find(ring: KeyRing, kind: str, record_id: bytes, sealed: bytes) -> tuple[str, str, bytes]:
    """The purpose of a record, the name of its key, its content. Raises: RecordNotOpened."""
    for purpose in PURPOSES[kind]:
        found = ring.find(purpose, record_id, sealed)
        if found is not None:
            return purpose, *found
    raise RecordNotOpened(kind, record_id)


async def records_by_key(store: Store, ring: KeyRing) -> Counter[str]:
    """The number of records of each key, by its name; "" counts those that no key opens."""
    counted = Counter[str]()

    def count(kind: str, record_id: bytes, sealed: bytes) -> bytes:
        try:
            _, name, _ = _find(ring, kind, record_id, sealed)
        except RecordNotOpened:
            name = ""
        counted[name] += 1
        return sealed

    await store.reseal(count)
    return counted


async def reseal_all(store: Store, ring: KeyRing) -> int:
    """Seal the records of all other keys with the first key, in one transaction; their number.

    Raises: RecordNotOpened, StoreUnavailable; nothing is changed then.
    """
    first = ring.ids[0]

    def reseal(kind: str, record_id: bytes, sealed: bytes) -> bytes:
        purpose, name, secret = _find(ring, kind, record_id, sealed)
        return sealed if name == first else ring.seal(purpose, record_id, secret)

    return await store.reseal(reseal)


async def reseal_with_file(store: Store, file: KeyFile) -> int:
    """``reseal_all`` with the first key of ``file``. Also raises: ConfigError."""
    with file.locked():
        return await reseal_all(store, KeyRing(file.read()))


async def rotate(store: Store, file: KeyFile) -> Rotated:
    """Create a key and seal all records with it.

    Raises: ConfigError, RecordNotOpened, StoreUnavailable; store and sealing key stay unchanged.
    """
    with file.locked():
        keys = file.read()
        new = secrets.token_bytes(KEY_BYTES)
        ring = KeyRing([new, *keys])
        file.write([*keys, new])
        try:
            records = await reseal_all(store, ring)
        except RecordNotOpened:
            # Remove the key: it has sealed nothing, and the next try would fail in the same way.
            file.write(keys)
            raise
        file.write([new, *keys])
        with contextlib.suppress(GatewayError):
            # ``drop`` finds the records that this leaves.
            records += await reseal_all(store, ring)
        return Rotated(key_id(new), records)


async def drop(store: Store, file: KeyFile, name: str) -> None:
    """Delete a key from the file. Raises: ConfigError, StoreUnavailable; nothing is changed."""
    with file.locked():
        keys = file.read()
        names = [key_id(key) for key in keys]
        if name not in names:
            raise ConfigError(f"there is no key {name}: see `keys list`")
        if name == names[0]:
            raise ConfigError(f"key {name} seals new records: run `keys rotate` before")
        await _until_settled(file)
        count = (await records_by_key(store, KeyRing(keys)))[name]
        if count:
            raise ConfigError(
                f"{count} records need key {name}: `keys rotate --no-new-key` seals them with the "
                "first key"
            )
        file.write([key for key in keys if key_id(key) != name])


async def _until_settled(file: KeyFile) -> None:
    """Wait until all records sealed before the file's last change have been stored."""
    stamp = file.stamp()
    age_s = time.time() - stamp[1] / 1e9 if stamp else 0.0
    await asyncio.sleep(min(max(_SETTLE_TIME_S - age_s, 0.0), _SETTLE_TIME_S))
