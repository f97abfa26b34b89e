"""The hardened suites, as data (PROTOCOL §2.2): name, number, and whether they wrap keys by RSA.

Number 3 is reserved for ``hybrid-gcm`` (ML-KEM-768 and P-256); its fields in a transcript are
empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from protocol.common.errors import UnsupportedSuite

VERSION = 1
DEFAULT_REALM = "certless"

Freshness: TypeAlias = Literal["clock", "counter"]
FRESHNESS: dict[Freshness, int] = {"clock": 1, "counter": 2}


@dataclass(frozen=True, slots=True)
class HardenedSuite:
    """``number`` is used on the wire. ``wraps``: every message carries a key wrapped by RSA."""

    name: str
    number: int
    wraps: bool


ECDH_GCM = HardenedSuite("ecdh-gcm", 1, False)
RSA_GCM = HardenedSuite("rsa-gcm", 2, True)
HARDENED_SUITES = {suite.name: suite for suite in (ECDH_GCM, RSA_GCM)}
SUITE_OF_NUMBER = {suite.number: suite for suite in HARDENED_SUITES.values()}


def choose_suite(
    version: int, offered: Sequence[str], accepted: Sequence[str] = tuple(HARDENED_SUITES)
) -> HardenedSuite:
    """The first offered suite that this side accepts. Raises: UnsupportedSuite."""
    if version != VERSION:
        raise UnsupportedSuite(f"this is version {VERSION}")
    for name in offered:
        if name in accepted and name in HARDENED_SUITES:
            return HARDENED_SUITES[name]
    raise UnsupportedSuite(f"accepted here: {', '.join(accepted) or 'no hardened suite'}")
