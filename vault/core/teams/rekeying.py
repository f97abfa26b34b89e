"""Items under new keys at a change of the master key (TEAMS §8)."""

from collections.abc import Sequence

from vault.core.errors import Forged

from .epochs import ItemKey
from .items import SignedVersion


def carried_over(
    old: ItemKey, new: ItemKey, versions: Sequence[bytes], ivs: Sequence[bytes]
) -> tuple[bytes, ...]:
    """All ``versions`` of an item, oldest first, sealed under ``new``.

    The signatures of the authors stay. ``ivs`` has 12 random bytes for each version. Raises:
    Malformed, Forged, Tampered.
    """
    return tuple(
        SignedVersion.open(old, sequence, sealed).seal(new, iv)
        for sequence, (sealed, iv) in enumerate(zip(versions, ivs, strict=True), 1)
    )


def check_carried_over(
    old: ItemKey, new: ItemKey, versions: Sequence[bytes], carried: Sequence[bytes]
) -> None:
    """Compare ``carried``, as the server stores it, with ``versions``. Raises: Forged."""
    before = [SignedVersion.open(old, number, one) for number, one in enumerate(versions, 1)]
    after = [SignedVersion.open(new, number, one) for number, one in enumerate(carried, 1)]
    if before != after:
        raise Forged("the items under the new master key are not those under the old one")
