"""What a client checks about the items of a team (TEAMS §6): authors, order, and completeness."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.common.primitives import sha256
from vault.core.account import label, lp
from vault.core.errors import Forged, Forked, Malformed, Missing, RolledBack
from vault.core.primitives import is_signature

from .items import ITEM_BYTES, SignedVersion, Version
from .roster import DIGEST_BYTES, MAX_ITEMS, Roster

_ENTRY_BYTES = ITEM_BYTES + 8 + DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class Latest:
    """The last version of an item that a client or a manifest knows."""

    sequence: int
    digest: bytes

    @classmethod
    def of(cls, version: Version) -> "Latest":
        return cls(version.sequence, version.digest)


Manifest = Mapping[bytes, Latest]


def manifest_bytes(manifest: Manifest) -> bytes:
    """The items at the begin of an epoch, sorted: 56 bytes each."""
    return b"".join(
        item + manifest[item].sequence.to_bytes(8) + manifest[item].digest
        for item in sorted(manifest)
    )


def manifest_digest(team: bytes, epoch: int, data: bytes) -> bytes:
    """The digest of a manifest. It is part of the roster that begins ``epoch``."""
    return sha256(label("team manifest") + lp(team) + epoch.to_bytes(2) + lp(data))


def read_manifest(roster: Roster, data: bytes) -> dict[bytes, Latest]:
    """The manifest of the epoch of ``roster``. Raises: Malformed, Forged."""
    count, rest = divmod(len(data), _ENTRY_BYTES)
    if rest or count > MAX_ITEMS:
        raise Malformed(f"a manifest has {_ENTRY_BYTES} bytes for each item")
    is_it = manifest_digest(roster.team, roster.epoch, data) == roster.manifest
    if not is_it or count != roster.items:
        raise Forged("the manifest of the items is not that of the roster")
    entries = [data[at : at + _ENTRY_BYTES] for at in range(0, len(data), _ENTRY_BYTES)]
    found = {
        one[:ITEM_BYTES]: Latest(
            int.from_bytes(one[ITEM_BYTES : ITEM_BYTES + 8]), one[ITEM_BYTES + 8 :]
        )
        for one in entries
    }
    if manifest_bytes(found) != data:
        raise Malformed("the items of a manifest are sorted, each once")
    return found


def check_complete(manifest: Manifest, known: Manifest, shown: Iterable[bytes]) -> None:
    """Each item of the manifest, and each that this client knows, is there. Raises: Missing."""
    if not {*manifest, *known} <= set(shown):
        raise Missing("the server does not show an item of the team")


def check_history(
    chain: Sequence[Roster],
    begun: Latest | None,
    known: Latest | None,
    history: Sequence[SignedVersion],
) -> Version:
    """The newest version of an item, if the whole ``history`` is valid, oldest version first.

    ``chain`` is the whole chain of rosters, ``begun`` what the manifest of the epoch says, and
    ``known`` what this client has seen. Raises: Forged, Forked, Missing, RolledBack.
    """
    if not history:
        raise Missing("the server shows no version of an item")
    epoch, before = chain[-1].epoch, None
    for signed in history:
        version = signed.version
        roster = _roster_of(chain, version)
        _check_author(roster, signed)
        _check_order(before, version)
        is_new = begun is None or version.sequence > begun.sequence
        if is_new and roster.epoch != epoch:
            raise Forged(
                "a version is by a member of an earlier epoch, and no owner carried it over"
            )
        before = version
    for latest in (begun, known):
        _check_reached(latest, history)
    return history[-1].version


def _roster_of(chain: Sequence[Roster], version: Version) -> Roster:
    """Raises: Forged."""
    if not 1 <= version.roster <= len(chain):
        raise Forged("a version names a roster that does not exist")
    return chain[version.roster - 1]


def _check_author(roster: Roster, signed: SignedVersion) -> None:
    """Raises: Forged."""
    author = roster.member(signed.version.author)
    if author is None:
        raise Forged("a version is by an account that is not a member of the team")
    if not author.can_write:
        raise Forged("a version is by a reader, who cannot write")
    if not is_signature(author.signing, signed.signature, signed.version.statement):
        raise Forged("the signature of a version is wrong")


def _check_order(before: Version | None, version: Version) -> None:
    """Raises: Forged, Missing."""
    sequence, digest = (before.sequence, before.digest) if before else (0, b"")
    if version.sequence != sequence + 1:
        raise Missing("the server does not show a version of an item")
    if version.previous != digest:
        raise Forged("a version does not follow the one before")
    if before and version.roster < before.roster:
        raise Forged("a version names an older roster than the version before")


def _check_reached(latest: Latest | None, history: Sequence[SignedVersion]) -> None:
    """Raises: RolledBack, Forked."""
    if latest is None:
        return
    if len(history) < latest.sequence:
        raise RolledBack("the server shows an older version of an item than before")
    if not latest.sequence or history[latest.sequence - 1].version.digest != latest.digest:
        raise Forked("the server shows another version of an item than before")
