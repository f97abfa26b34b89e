"""The Store contract: what must be remembered, and what must be atomic.

A store sees ids, states, times, 16-byte tags and sealed bytes; nothing it holds opens anything.
Every method is one atomic step, also between processes where a store is shared. A method that
cannot be carried out raises StoreUnavailable and has changed nothing. A session that is CLOSED is
not there at all. The states are those of PROTOCOL §8.1.
"""

from abc import ABC, abstractmethod

from protocol.freshness import NonceClaim

MAIL_LIMIT = 3
MAIL_WINDOW_MS = 900_000


class Store(ABC):
    """What a gateway remembers. Ids are 16 bytes, times milliseconds since 1970."""

    @abstractmethod
    async def open(self) -> None:
        """Make ready. Called once, before anything else."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections. Called once, last."""

    @abstractmethod
    async def add_login(self, session_id: bytes, sealed: bytes, expires_ms: int) -> None:
        """NEW -> AWAITING_CODE, with a sealed record of the pending login."""

    @abstractmethod
    async def claim_code(self, session_id: bytes, now_ms: int) -> bytes | None:
        """AWAITING_CODE -> CODE_CLAIMED; counts an attempt and gives the sealed record.

        None where no code waits: unknown, expired, claimed by another, or spent.
        """

    @abstractmethod
    async def release_code(self, session_id: bytes) -> None:
        """CODE_CLAIMED -> AWAITING_CODE, or CLOSED after the last attempt."""

    @abstractmethod
    async def enrol(self, session_id: bytes, sealed: bytes, expires_ms: int) -> bool:
        """CODE_CLAIMED -> ENROLLED, with a sealed record of the session. False: another state."""

    @abstractmethod
    async def load(self, session_id: bytes, now_ms: int) -> bytes | None:
        """The sealed record of a session that is ENROLLED and not expired, else None."""

    @abstractmethod
    async def try_passphrase(self, session_id: bytes, tag: bytes, now_ms: int) -> bool:
        """Count a try of a passphrase (16-byte tag) in a session that is ENROLLED, not expired.

        False where the tag was claimed, or tried 5 times before. A session takes 4096 different
        passphrases; the next one closes it.
        """

    @abstractmethod
    async def claim(self, session_id: bytes, claim: NonceClaim, now_ms: int) -> bool:
        """Claim both tags, once, for a session that is ENROLLED and not expired.

        The tag of the passphrase may have been tried, but not claimed.

        Durable, where the store is, before this returns. False: not claimed.
        """

    @abstractmethod
    async def end(self, session_id: bytes) -> None:
        """-> CLOSED, from any state."""

    @abstractmethod
    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        """Count one mail to a user (16-byte tag) if fewer than ``limit`` went in 15 minutes."""

    @abstractmethod
    async def sweep(self, now_ms: int) -> int:
        """Remove what has expired; how many sessions and logins that were."""
