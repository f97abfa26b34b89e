"""The master key of an epoch, its wraps for the members, and the keys of items (TEAMS §5)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from protocol.common.primitives import equal, hkdf, sha256
from vault.core.account import KEY_BYTES, label, lp
from vault.core.errors import Forged, WrongSecret
from vault.core.primitives import InvalidExchangeKey, hpke_seal
from vault.core.wraps import seal, unseal

from .members import Member, TeamKeys
from .roster import Roster


@dataclass(frozen=True, slots=True)
class ItemKey:
    """The key of one item in one epoch (32 random bytes)."""

    team: bytes
    item: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The master key of ``team`` in ``epoch`` (32 random bytes)."""

    team: bytes
    epoch: int
    key: bytes = field(repr=False)

    @property
    def check(self) -> bytes:
        """The key-check value (32 bytes). It tells nothing about the key."""
        return self._derived("team check")

    def wrap_item_key(self, item_key: ItemKey, iv: bytes) -> bytes:
        """The wrap of the key of an item (61 bytes). ``iv`` is 12 random bytes."""
        return seal(self._derived("team items"), iv, item_key.key, self._item_aad(item_key.item))

    def unwrap_item_key(self, item: bytes, wrapped: bytes) -> ItemKey:
        """Raises: Malformed, Forged."""
        key = unseal(self._derived("team items"), wrapped, self._item_aad(item))
        if key is None or len(key) != KEY_BYTES:
            raise Forged("the key of an item was not wrapped by the master key of this epoch")
        return ItemKey(self.team, item, key)

    def wraps_for(self, members: Iterable[Member]) -> tuple[tuple[bytes, ...], tuple[Member, ...]]:
        """A wrap for each member (80 bytes), and the members whose key takes none.

        The wrap of such a member is empty. They have no access until their keys are replaced.
        """
        wraps, skipped = [], []
        for member in members:
            try:
                wraps.append(hpke_seal(member.sealing, self.key, self._info(member.account)))
            except InvalidExchangeKey:
                wraps.append(b"")
                skipped.append(member)
        return tuple(wraps), tuple(skipped)

    def _derived(self, purpose: str) -> bytes:
        return hkdf(self.key, self.team, label(purpose) + _epoch(self.epoch), KEY_BYTES)

    def _item_aad(self, item: bytes) -> bytes:
        return label("team item key") + lp(self.team) + _epoch(self.epoch) + lp(item)

    def _info(self, account: bytes) -> bytes:
        return _member_info(self.team, self.epoch, account)


def wraps_digest(team: bytes, epoch: int, wraps: Sequence[bytes]) -> bytes:
    """The digest of all wraps, in the order of the members. It is part of the roster."""
    return sha256(label("team wraps") + lp(team) + _epoch(epoch) + b"".join(map(lp, wraps)))


def open_master_key(
    roster: Roster, wraps: Sequence[bytes], account: bytes, keys: TeamKeys
) -> MasterKey:
    """The master key in the wrap of the member ``account``. Raises: Forged, WrongSecret."""
    if not equal(wraps_digest(roster.team, roster.epoch, wraps), roster.wraps):
        raise Forged("the wraps of the master key are not those of the roster")
    found = [one for one in zip(roster.members, wraps, strict=True) if one[0].account == account]
    if not found or not found[0][1]:
        raise WrongSecret("the master key is not wrapped for you: ask an owner of the team")
    info = _member_info(roster.team, roster.epoch, account)
    key = keys.sealing.open(found[0][1], info)
    if key is None:
        raise WrongSecret("the master key is wrapped for other keys of you: ask an owner")
    return checked_master_key(roster, key)


def checked_master_key(roster: Roster, key: bytes) -> MasterKey:
    """``key`` as the master key of ``roster``. Raises: Forged, if it is another one."""
    master = MasterKey(roster.team, roster.epoch, key)
    if not equal(master.check, roster.check):
        raise Forged("this is not the master key of the roster")
    return master


def _member_info(team: bytes, epoch: int, account: bytes) -> bytes:
    return label("team master key") + lp(team) + _epoch(epoch) + lp(account)


def _epoch(epoch: int) -> bytes:
    return epoch.to_bytes(2)
