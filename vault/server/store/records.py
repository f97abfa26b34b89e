"""The rows of the store as values."""

from dataclasses import dataclass, field

from vault.core.messages import SecretPart
from vault.core.tokens import Hashes


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account. ``verifier`` is w0 and L.

    The verifier and the wrap of the password are sealed under the key of the server. ``bucket`` is
    that of the last use, and ``warned_bucket`` the one for which a warning was mailed.
    """

    account: bytes
    head: bytes
    revision: bytes
    kdf: int
    salt: bytes
    verifier: bytes = field(repr=False)
    password_wrap: bytes
    recovery_proof: bytes
    recovery_wrap: bytes
    reset_hour: int | None = None
    bucket: int | None = None
    warned_bucket: int | None = None

    @property
    def recovery(self) -> SecretPart:
        return SecretPart(self.recovery_proof, self.recovery_wrap)


@dataclass(frozen=True, slots=True)
class Stage:
    """A staged change: the body of its request, sealed under the key of the server."""

    body: bytes
    until_ms: int


@dataclass(frozen=True, slots=True)
class TemporaryKey:
    """A temporary key, which can be used once until ``until_ms``."""

    proof: bytes
    wrap: bytes
    until_ms: int
    wrong_proofs: int = 0


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A device. ``session`` is that of its registration, sealed under the key of the server."""

    id: bytes
    record: bytes
    proof: bytes | None
    wrap: bytes | None
    session: bytes = field(repr=False)

    @property
    def secret(self) -> SecretPart | None:
        """What unlocks the account with this device."""
        if self.proof is None or self.wrap is None:
            return None
        return SecretPart(self.proof, self.wrap)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of SPAKE2+. ``confirm`` is the right confirmP, sealed under the key of the server."""

    run: bytes
    account: bytes
    session: str
    confirm: bytes = field(repr=False)
    until_ms: int


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block. The hashes are those of its tokens."""

    id: bytes
    bucket: int
    hashes: Hashes
    block: bytes = field(repr=False)

    def is_same(self, other: "StoredBlock") -> bool:
        """Whether both are the same block, perhaps with other buckets."""
        mine, theirs = (self.id, self.hashes, self.block), (other.id, other.hashes, other.block)
        return mine == theirs
