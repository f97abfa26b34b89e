"""The roster of a team: signed by an owner, and chained by digests (TEAMS §4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from protocol.common.primitives import sha256
from vault.core.account import ACCOUNT_BYTES, KEY_BYTES, label, lp
from vault.core.bodies import MAX_BODY_BYTES, serialized, whole
from vault.core.errors import Forged, Forked, Malformed, RolledBack
from vault.core.index import words
from vault.core.primitives import SIGNATURE_BYTES, SigningKey, is_signature
from vault.core.sealed_values import MAX_DAY, MAX_SEQUENCE

from .members import Member

TEAM_BYTES = 16
DIGEST_BYTES = 32
MAX_MEMBERS = 256
MAX_EPOCH = 65_535
MAX_ITEMS = 100_000
_FORMAT = b"\x01"
_BODY_AT = 1 + ACCOUNT_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Roster:
    """The members of a team, and what belongs to its master key.

    ``check`` is the key-check value of the master key of ``epoch``, ``wraps`` the digest of its
    wraps. ``items`` is the number of items at the begin of the epoch, ``manifest`` their digest.
    """

    team: bytes
    sequence: int
    previous: bytes
    epoch: int
    check: bytes
    wraps: bytes
    items: int
    manifest: bytes
    day: int
    members: tuple[Member, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: Malformed."""
        roster = whole(
            data,
            lambda body: cls(
                body.raw("team", TEAM_BYTES),
                body.number("sequence", MAX_SEQUENCE),
                body.raw("previous", 0, DIGEST_BYTES),
                body.number("epoch", MAX_EPOCH),
                body.raw("check", KEY_BYTES),
                body.raw("wraps", DIGEST_BYTES),
                body.number("items", MAX_ITEMS),
                body.raw("manifest", DIGEST_BYTES),
                body.number("day", MAX_DAY),
                tuple(map(Member.take, body.some("members", MAX_MEMBERS))),
            ),
            MAX_BODY_BYTES,
        )
        roster._check_form()
        return roster

    def serialize(self) -> bytes:
        return serialized(
            team=self.team,
            sequence=self.sequence,
            previous=self.previous,
            epoch=self.epoch,
            check=self.check,
            wraps=self.wraps,
            items=self.items,
            manifest=self.manifest,
            day=self.day,
            members=[member.members() for member in self.members],
        )

    @property
    def statement(self) -> bytes:
        """What an owner signs."""
        return label("team roster") + lp(self.team) + lp(self.serialize())

    @property
    def digest(self) -> bytes:
        """The name of this roster in the next one (32 bytes)."""
        return sha256(self.statement)

    def member(self, account: bytes) -> Member | None:
        return next((one for one in self.members if one.account == account), None)

    def unconfirmed(self, before: "Roster | None") -> tuple[Member, ...]:
        """The members whose keys are not in ``before``. An owner confirms their words."""
        known = {member.keys for member in before.members} if before else set()
        return tuple(member for member in self.members if member.keys not in known)

    def takes_rights_from(self, before: "Roster") -> bool:
        """Whether a key of ``before`` is gone, or can no longer write: a new epoch must begin."""
        return not _rights(before) <= _rights(self)

    def _check_form(self) -> None:
        """Raises: Malformed."""
        if not self.sequence or not self.epoch or bool(self.previous) != (self.sequence > 1):
            raise Malformed("the first roster has the sequence 1, an epoch, and no previous one")
        accounts = [member.account for member in self.members]
        if any(first >= second for first, second in pairwise(accounts)):
            raise Malformed("the members of a roster are sorted by account, each once")
        if len({member.signing for member in self.members}) < len(self.members):
            raise Malformed("two members of a roster have the same signing key")
        if all(member.role != "owner" for member in self.members):
            raise Malformed("a roster has at least one owner")


def sign_roster(roster: Roster, account: bytes, key: SigningKey) -> bytes:
    """u8(1) ‖ account ‖ signature ‖ body, for the server. ``account`` is the owner with ``key``."""
    return _FORMAT + account + key.sign(roster.statement) + roster.serialize()


def open_roster(signed: bytes, before: Roster | None) -> Roster:
    """The roster in ``signed``, which must follow ``before``. Raises: Malformed, Forged."""
    if len(signed) < _BODY_AT or signed[:1] != _FORMAT:
        raise Malformed("not a signed roster of format 1: update this client")
    account, signature = signed[1 : 1 + ACCOUNT_BYTES], signed[1 + ACCOUNT_BYTES : _BODY_AT]
    roster = Roster.parse(signed[_BODY_AT:])
    signer = (before or roster).member(account)
    if signer is None or signer.role != "owner":
        raise Forged("a roster was signed by an account that is not an owner of the team")
    if not is_signature(signer.signing, signature, roster.statement):
        raise Forged("the signature of a roster is wrong")
    if before is None:
        if roster.sequence != 1 or roster.epoch != 1:
            raise Forged("the first roster of a team does not begin it")
    else:
        _check_step(before, roster)
    return roster


def extended(known: Sequence[Roster], signed: Sequence[bytes]) -> tuple[Roster, ...]:
    """The whole chain that a server shows, if it continues ``known``, the chain from before.

    Raises: Malformed, and Forged, RolledBack or Forked as alarms.
    """
    if len(signed) < len(known) or not signed:
        raise RolledBack("the server shows an older roster than before")
    chain: list[Roster] = []
    for one in signed:
        chain.append(open_roster(one, chain[-1] if chain else None))
    if any(old.digest != new.digest for old, new in zip(known, chain, strict=False)):
        raise Forked("the server shows another roster than before")
    return tuple(chain)


def team_words(first: Roster) -> tuple[str, str, str, str]:
    """The four words of a team, from its first roster. A new member compares them."""
    return words(first.digest)


def _check_step(before: Roster, after: Roster) -> None:
    """Raises: Forged."""
    if (after.team, after.sequence) != (before.team, before.sequence + 1):
        raise Forged("a roster is of another team, or has another sequence")
    if after.previous != before.digest:
        raise Forged("a roster does not follow the one before")
    if after.epoch not in (before.epoch, before.epoch + 1):
        raise Forged("a roster skips an epoch")
    if after.epoch > before.epoch:
        return
    if after.takes_rights_from(before):
        raise Forged("a roster takes rights away without a new master key")
    if (after.check, after.items, after.manifest) != (before.check, before.items, before.manifest):
        raise Forged("a roster changes the master key without a new epoch")


def _rights(roster: Roster) -> set[tuple[tuple[bytes, bytes, bytes], bool]]:
    """The keys that can read, and those that can write."""
    readers = {(member.keys, False) for member in roster.members}
    return readers | {(member.keys, True) for member in roster.members if member.can_write}
