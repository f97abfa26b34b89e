"""The Store contract: what must be remembered, and what must be atomic.

A store sees ids, states, times, tags of 16 bytes and sealed bytes; nothing it holds opens anything.
Every method is one atomic step, also between processes where a store is shared; ``sessions``,
``chains`` and ``sweep`` may take several. A session that is CLOSED is not there at all. The states
of classic logins are those of PROTOCOL §8.1; of hardened logins a store counts the attempts (§20).

Where a method raises StoreUnavailable, nothing was accepted. Most of the time nothing was changed
either; but where an answer was lost on its way, the step may have been made, and what it took (a
claim, an attempt, a code) is gone. No store asks a second time by itself.

The contract is one interface, so it stays in one module although that is long.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from protocol.classic.freshness import NonceClaim
from protocol.hardened.replay_window import FreshnessClaim

MAIL_LIMIT = 3
MAIL_WINDOW_MS = 900_000

Claim: TypeAlias = NonceClaim | FreshnessClaim
Reseal: TypeAlias = Callable[[str, bytes, bytes], bytes]
Retag: TypeAlias = Callable[[bytes], bytes]
# What the key of user tags is sealed under.
TAG_KEY_ID = b"users"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at the code of a hardened login: the login's record, and which attempt it is.

    ``is_void`` where the code was issued and is gone: revoked, replaced, expired, spent by another
    login or by its attempts. It must lead nowhere, and look as any other.
    """

    sealed: bytes
    number: int
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code that an operator has issued and that waits for its user."""

    code_id: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SessionCaps:
    """How many sessions may be open at ``now_ms``, of one user and in all; 0: as many as come."""

    per_user: int
    in_all: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class NewSession:
    """A hardened session to be opened, with its chain and the next ticket of it.

    ``sealed``, ``chain`` and ``ticket`` are records; those of chain and ticket are empty where no
    ticket is granted. ``ticket_hash`` has 32 bytes.
    """

    session_id: bytes
    user_tag: bytes
    sealed: bytes
    expires_ms: int
    chain_id: bytes = b""
    chain: bytes = b""
    chain_expires_ms: int = 0
    ticket_hash: bytes = b""
    ticket: bytes = b""
    caps: SessionCaps | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """What a counter has come to, and until when it counts on."""

    value: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """The sealed record of a ticket, and that of its chain as it is now."""

    sealed: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session that is open, for who looks after them."""

    session_id: bytes
    sealed: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class StoredChain:
    """A chain of tickets, for who looks after them."""

    chain_id: bytes
    sealed: bytes


class Store(ABC):
    """What a gateway remembers. Ids and user tags are 16 bytes, times milliseconds since 1970."""

    @abstractmethod
    async def open(self) -> None:
        """Make ready. Called once, before anything else."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections. Called once, last."""

    @abstractmethod
    async def ping(self) -> None:
        """Write what means nothing, where something could be claimed; else StoreUnavailable."""

    # --- logging in, classic ---

    @abstractmethod
    async def add_login(
        self, session_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
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
    async def enrol(
        self, session_id: bytes, sealed: bytes, expires_ms: int, caps: SessionCaps | None = None
    ) -> bool:
        """CODE_CLAIMED -> ENROLLED, with a sealed record of the session. False: another state.

        Raises: RateLimited, where a cap is reached; then nothing is changed.
        """

    # --- logging in and resuming, hardened ---

    @abstractmethod
    async def add_handshake(
        self,
        session_id: bytes,
        sealed: bytes,
        expires_ms: int,
        user_tag: bytes,
        code_id: bytes = b"",
    ) -> None:
        """A sealed record of a login that awaits its code; ``code_id`` of one that was issued."""

    @abstractmethod
    async def claim_attempt(self, session_id: bytes, now_ms: int) -> Attempt | None:
        """Count an attempt at the code, and drop the exchange of the one before.

        An issued code counts the attempts of all its logins beside; one that it does not stand is
        void. None where there is no attempt left: unknown, expired, spent, or the 6th.
        """

    @abstractmethod
    async def add_exchange(
        self, session_id: bytes, sealed: bytes, expires_ms: int, attempt: int = 0
    ) -> bool:
        """Keep a sealed exchange of attempt ``attempt``; of a resumption, where that is 0.

        False where the login has had another attempt since, or is gone.
        """

    @abstractmethod
    async def take_exchange(self, session_id: bytes, now_ms: int) -> bytes | None:
        """The sealed exchange, which is not there any more; None where there is none in time."""

    @abstractmethod
    async def open_login(self, new_session: NewSession) -> bool:
        """Spend the code of a login; open its session, if it is of the same user, and its chain.

        False: no login, or it was another user's. Raises: RateLimited, where a cap is reached; then
        nothing is changed.
        """

    @abstractmethod
    async def open_resumed(self, new_session: NewSession, previous: bytes) -> bool:
        """Replace a chain that still is ``previous``, end its session and open the next.

        The chain's spent tickets are kept beside the new one. False: the chain has changed, or is
        another user's. Raises: RateLimited, as ``open_login``; the session that ends is not
        counted.
        """

    # --- sessions ---

    @abstractmethod
    async def load(self, session_id: bytes, now_ms: int) -> bytes | None:
        """The sealed record of a session that is ENROLLED and not expired, else None."""

    @abstractmethod
    async def swap(self, session_id: bytes, old: bytes, new: bytes) -> bool:
        """Replace the sealed record of a session that is ENROLLED, if it still is ``old``."""

    @abstractmethod
    async def try_passphrase(self, session_id: bytes, tag: bytes, now_ms: int) -> bool:
        """Count a try of a passphrase (16-byte tag) in a session that is ENROLLED, not expired.

        False where the tag was claimed, or tried 5 times before. A session takes 4096 different
        passphrases; the next one closes it.
        """

    @abstractmethod
    async def claim(self, session_id: bytes, claim: Claim, now_ms: int) -> bool:
        """Claim a message, once, for a session that is ENROLLED and not expired.

        Classic: both tags; that of the passphrase may have been tried, but not claimed.
        Hardened: what ``FreshnessClaim`` says. A salt may be forgotten once ``now_ms`` is past its
        ``expires_ms``; from then on none of that age is claimed unless ``now_ms`` is past it too,
        so that a clock that was set back brings nothing back.

        Durable, where the store is, before this returns. False: not claimed.
        """

    @abstractmethod
    async def end(self, session_id: bytes) -> None:
        """-> CLOSED, from any state; also a login that awaits its code."""

    # --- tickets ---

    @abstractmethod
    async def load_ticket(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        """A ticket, spent or not, while its chain lives: not revoked, not expired."""

    @abstractmethod
    async def end_chain(self, chain_id: bytes) -> None:
        """Revoke a chain: its tickets and its session are gone."""

    # --- what an operator does ---

    @abstractmethod
    async def add_code(
        self, code_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
        """A sealed code for a user, in place of one that was issued to him before."""

    @abstractmethod
    async def find_code(self, user_tag: bytes, now_ms: int) -> IssuedCode | None:
        """The code that was issued to a user and is neither spent nor expired."""

    @abstractmethod
    async def end_codes(self, user_tag: bytes) -> int:
        """Revoke the code that was issued to a user; how many there were."""

    @abstractmethod
    async def sessions(self, now_ms: int) -> list[StoredSession]:
        """Every session that is ENROLLED and not expired."""

    @abstractmethod
    async def count_sessions(self, now_ms: int) -> int:
        """How many sessions are ENROLLED and not expired."""

    @abstractmethod
    async def chains(self, now_ms: int) -> list[StoredChain]:
        """Every chain that is not expired, whatever has become of its session."""

    @abstractmethod
    async def end_user(self, user_tag: bytes) -> int:
        """End all that a user has: sessions, logins, codes and chains. How many sessions."""

    @abstractmethod
    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        """Count one mail to a user if fewer than ``limit`` went in 15 minutes.

        One that went 15 minutes ahead of now, by a clock that was wrong, counts no more either.
        """

    @abstractmethod
    async def count(self, key: bytes, amount: int, lifetime_ms: int, now_ms: int) -> Counter:
        """Add ``amount`` to a counter; 0 only looks.

        It begins with 0 and lasts for ``lifetime_ms``; once ``now_ms`` is past its
        ``expires_ms``, it begins anew. Where something is added, it lasts for ``lifetime_ms``
        from now at most: a clock that was ahead must not make a window of it that never ends.
        """

    @abstractmethod
    async def tag_key(self) -> bytes | None:
        """The sealed key of user tags, if one is kept."""

    @abstractmethod
    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        """The sealed key of user tags: the one that is kept, or else ``offered``, kept from now on.

        Where none was kept, ``retag(tag)`` takes the place of every user tag in the same step: an
        earlier version left them. It may be called in another thread.
        """

    @abstractmethod
    async def reseal(self, reseal: Reseal) -> int:
        """Replace every sealed record by ``reseal(kind, id, sealed)``; how many have changed.

        ``kind`` is ``session`` (logins and sessions of classic, sessions of the hardened suites),
        ``handshake``, ``exchange``, ``chain``, ``ticket``, ``issued code`` or ``tag key``; ``id``
        is what the record is sealed under. All in one step: where ``reseal`` raises, nothing is
        changed. It may be called in another thread.
        """

    @abstractmethod
    async def sweep(self, now_ms: int) -> int:
        """Remove what has expired; how many sessions and logins that were."""
