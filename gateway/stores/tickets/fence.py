"""The fence of a ticket store, as values: what Redis and the database know of each other."""

from dataclasses import dataclass

from gateway.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Witness:
    """What Redis knows: the generation of the database, and its last position that Redis saw.

    ``redis`` is the generation of Redis. If Redis has lost its data, ``generation`` is empty.
    """

    redis: str
    generation: str
    position: int


@dataclass(frozen=True, slots=True)
class Fence:
    """What the database knows: ``position`` counts its changes.

    ``former`` is the generation that Redis knew when this one began, and ``redis`` the generation
    of that Redis. ``continues`` if the database has run since its last change, so that it cannot
    have been put back.
    """

    generation: str
    former: str
    redis: str
    position: int
    continues: bool

    def has(self, seen: Witness) -> bool:
        """Whether the database has all that Redis has seen of it."""
        is_known = seen.generation in (self.generation, self.former) and seen.generation != ""
        return is_known and self.position >= seen.position


@dataclass(frozen=True, slots=True)
class Claim:
    """A change of the database. ``expires_ms`` is the expiry of the chain before it."""

    generation: str
    position: int
    expires_ms: int = 0


class NotWitnessed(StoreUnavailable):
    """The database is not known to be the one that Redis has seen; nothing was changed."""


class ClaimVoid(StoreUnavailable):
    """A claim came too late to open its session; nothing was opened."""


class TicketsClosed(StoreUnavailable):
    """The database can be an older copy. It is used again after an operator has decided.

    ``is_proven`` if Redis proves that it is not the last state.
    """

    def __init__(self, reason: str, *, is_proven: bool) -> None:
        super().__init__(reason)
        self.is_proven = is_proven
