"""The Store interface: the data of a gateway, and its atomic operations.

A store contains ids, states, times, tags of 16 bytes and sealed records. None of these opens a
session. Every method is atomic, also between processes that share a store; only ``sessions``,
``chains`` and ``sweep`` can take several steps. A CLOSED session is deleted. Classic logins have
the states of PROTOCOL §3.7.1; for hardened logins the store counts the attempts (STORAGE §2).

If a method raises StoreUnavailable, nothing was accepted. Usually nothing was changed. But if the
response of the store was lost, the change can have been made, and the claim, attempt or code is
used up. A store does not retry by itself.

This module is long because it is one interface.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from protocol.classic.freshness import NonceClaim
from protocol.hardened.replay_window import FreshnessClaim

MAIL_LIMIT = 3
MAIL_WINDOW_MS = 900_000

Reseal: TypeAlias = Callable[[str, bytes, bytes], bytes]
Retag: TypeAlias = Callable[[bytes], bytes]
# The id under which the key of user tags is sealed.
TAG_KEY_ID = b"users"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at the code of a hardened login: the record of the login, and its number.

    ``is_void`` if an issued code is no longer valid: revoked, replaced, expired, or used up. A void
    attempt must fail, but look like any other.
    """

    sealed: bytes
    number: int
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class NewCode:
    """A sealed code of a user, or of one of their devices.

    ``device_tag`` has 16 bytes, or none if the code is not for a device.
    """

    code_id: bytes
    sealed: bytes
    expires_ms: int
    user_tag: bytes
    device_tag: bytes = b""


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code that an operator has issued and the user has not used yet."""

    code_id: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SessionCaps:
    """The limits of sessions that are open at ``now_ms``, per user and in all; 0 means no limit."""

    per_user: int
    in_all: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class NewSession:
    """A hardened session to open, with its chain and the next ticket.

    ``sealed``, ``chain`` and ``ticket`` are sealed records; chain and ticket are empty if no ticket
    is granted. ``ticket_hash`` has 32 bytes. ``seen_ms`` is when the device of the chain was seen;
    None if the chain has no name of a device.
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
    seen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewChain:
    """A chain without a session, and its first ticket; ``sealed`` and ``ticket`` are records.

    ``seen_ms`` is 0 if it is the chain of a device that was never seen, and None as in
    ``NewSession``.
    """

    chain_id: bytes
    user_tag: bytes
    sealed: bytes
    expires_ms: int
    ticket_hash: bytes
    ticket: bytes
    seen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """The value of a counter, and the end of its window."""

    value: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """The sealed records of a ticket and of its chain."""

    sealed: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class StoredSession:
    """An open session, for operators."""

    session_id: bytes
    sealed: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class StoredChain:
    """A chain of tickets, for operators. ``seen_ms`` as in ``NewChain``.

    ``is_revoked``: it has no tickets any more. Only the chains of devices are kept then.
    """

    chain_id: bytes
    sealed: bytes
    user_tag: bytes
    seen_ms: int | None = None
    is_revoked: bool = False


class Store(ABC):
    """The data of a gateway. Ids and user tags are 16 bytes, times milliseconds since 1970."""

    @abstractmethod
    async def open(self) -> None:
        """Open the store. Called once, before all other methods."""

    @abstractmethod
    async def close(self) -> None:
        """Close files and connections. Called once, at the end."""

    @abstractmethod
    async def ping(self) -> None:
        """Check that the store accepts writes. Raises: StoreUnavailable."""

    # --- logging in, classic ---

    @abstractmethod
    async def add_login(
        self, session_id: bytes, sealed: bytes, expires_ms: int, user_tag: bytes
    ) -> None:
        """NEW -> AWAITING_CODE, with a sealed record of the login."""

    @abstractmethod
    async def claim_code(self, session_id: bytes, now_ms: int) -> bytes | None:
        """AWAITING_CODE -> CODE_CLAIMED; counts an attempt and returns the sealed record.

        None if there is no code: unknown, expired, claimed by another request, or used up.
        """

    @abstractmethod
    async def release_code(self, session_id: bytes) -> None:
        """CODE_CLAIMED -> AWAITING_CODE, or CLOSED after the last attempt."""

    @abstractmethod
    async def enrol(
        self, session_id: bytes, sealed: bytes, expires_ms: int, caps: SessionCaps | None = None
    ) -> bool:
        """CODE_CLAIMED -> ENROLLED, with a sealed record of the session. False: another state.

        Raises: RateLimited, if a limit is reached; nothing is changed then.
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
        device_tag: bytes = b"",
    ) -> None:
        """Store a login that awaits its code.

        ``code_id`` is the id of an issued code; ``device_tag`` is that code's.
        """

    @abstractmethod
    async def claim_attempt(self, session_id: bytes, now_ms: int) -> Attempt | None:
        """Count an attempt at the code, and delete the exchange of the previous attempt.

        An issued code also counts the attempts of all its logins; beyond its limit an attempt is
        void. None if no attempt is left: unknown, expired, used up, or the 6th.
        """

    @abstractmethod
    async def add_exchange(
        self, session_id: bytes, sealed: bytes, expires_ms: int, attempt: int = 0
    ) -> bool:
        """Store a sealed exchange of attempt ``attempt``; 0 for a resumption.

        False if the login has had another attempt since, or has ended.
        """

    @abstractmethod
    async def take_exchange(self, session_id: bytes, now_ms: int) -> bytes | None:
        """Delete a sealed exchange and return it; None if there is none or it has expired."""

    @abstractmethod
    async def open_login(self, new_session: NewSession) -> bool:
        """Use up the code of a login, and open its session and chain if the user is the same.

        False: no such login, or of another user. Raises: RateLimited, if a limit is reached;
        nothing is changed then.
        """

    @abstractmethod
    async def open_resumed(self, new_session: NewSession, previous: bytes) -> bool:
        """Replace a chain if it still is ``previous``, end its session and open the next one.

        The used tickets of the chain are kept. False: the chain has changed, was revoked, or is of
        another user. Raises: RateLimited, as ``open_login``; the ended session is not counted.
        """

    # --- sessions ---

    @abstractmethod
    async def load(self, session_id: bytes, now_ms: int) -> bytes | None:
        """The sealed record of an open session: ENROLLED and not expired. Else None."""

    @abstractmethod
    async def swap(self, session_id: bytes, old: bytes, new: bytes) -> bool:
        """Replace the sealed record of an ENROLLED session, if it still is ``old``."""

    @abstractmethod
    async def try_passphrase(self, session_id: bytes, tag: bytes, now_ms: int) -> bool:
        """Count a try of a passphrase (tag of 16 bytes) in an open session.

        False if the tag was claimed, or tried 5 times before. A session allows 4096 different
        passphrases; the next one closes it.
        """

    @abstractmethod
    async def claim(self, session_id: bytes, claim: NonceClaim, now_ms: int) -> bool:
        """Claim a classic message, once, for an open session. False: not claimed.

        Claims both tags. The tag of the passphrase can have been tried, but not claimed.
        In a durable store the claim is on the disk when this returns.
        """

    @abstractmethod
    async def claim_message(
        self, session_id: bytes, sealed: bytes, claim: FreshnessClaim, now_ms: int
    ) -> bool:
        """Claim a hardened message, once, for an open session whose record still is ``sealed``.

        False: it was claimed before, or its number is behind the window. A salt can be deleted when
        ``now_ms`` is after its ``expires_ms``. After that, a claim of that age is accepted only if
        ``now_ms`` is after its ``expires_ms`` too, so a clock that is set back does not allow a
        replay. In a durable store the claim is on the disk when this returns.

        Raises: SessionChanged, if the record is another one, or the session has ended or expired;
        nothing is claimed then.
        """

    @abstractmethod
    async def end(self, session_id: bytes) -> None:
        """Any state -> CLOSED; also ends a login that awaits its code."""

    # --- tickets ---

    @abstractmethod
    async def load_ticket(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        """A ticket, used or not, if its chain is neither revoked nor expired."""

    @abstractmethod
    async def end_chain(self, chain_id: bytes) -> None:
        """Revoke a chain: delete its tickets and its session.

        The chain of a device is kept as revoked until it expires, so that operators see it.
        """

    @abstractmethod
    async def see_device(self, chain_id: bytes, seen_ms: int) -> None:
        """Keep ``seen_ms``, if this is the chain of a device and it was not seen later."""

    # --- for operators ---

    @abstractmethod
    async def add_codes(self, codes: Sequence[NewCode]) -> None:
        """Store codes, all in one step; each replaces an earlier one of its user and device."""

    @abstractmethod
    async def find_code(
        self, user_tag: bytes, now_ms: int, device_tag: bytes = b""
    ) -> IssuedCode | None:
        """The issued code of a user or a device, if it is neither used up nor expired."""

    @abstractmethod
    async def end_codes(self, user_tag: bytes, device_tag: bytes | None = None) -> int:
        """Revoke the code for ``device_tag``, by default all codes of a user; their number."""

    @abstractmethod
    async def sessions(self, now_ms: int) -> list[StoredSession]:
        """All open sessions."""

    @abstractmethod
    async def count_sessions(self, now_ms: int) -> int:
        """The number of open sessions."""

    @abstractmethod
    async def add_chain(self, chain: NewChain) -> None:
        """Store a chain whose ticket an operator gives to a device."""

    @abstractmethod
    async def chains(self, now_ms: int) -> list[StoredChain]:
        """All chains that have not expired, with or without an open session, revoked or not."""

    @abstractmethod
    async def end_user(self, user_tag: bytes) -> int:
        """End all sessions, logins, codes and chains of a user; return the number of sessions."""

    @abstractmethod
    async def count_mail(self, user_tag: bytes, now_ms: int, limit: int = MAIL_LIMIT) -> bool:
        """Count one mail to a user, if fewer than ``limit`` were counted in 15 minutes.

        A mail with a time more than 15 minutes in the future (a wrong clock) does not count.
        """

    @abstractmethod
    async def count(self, key: bytes, amount: int, lifetime_ms: int, now_ms: int) -> Counter:
        """Add ``amount`` to a counter; 0 only reads it.

        It begins with 0 and lasts for ``lifetime_ms``; after its ``expires_ms`` it begins again
        with 0. An addition shortens the window to at most ``lifetime_ms`` from now, so a clock that
        was ahead does not make a window that never ends.
        """

    @abstractmethod
    async def tag_key(self) -> bytes | None:
        """The sealed key of user tags, if there is one."""

    @abstractmethod
    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        """The sealed key of user tags; stores ``offered`` if there is none.

        In that case ``retag(tag)`` replaces every user tag in the same step, because an earlier
        version has written them. It can be called in another thread.
        """

    @abstractmethod
    async def reseal(self, reseal: Reseal) -> int:
        """Replace every sealed record by ``reseal(kind, id, sealed)``; the number of changes.

        ``kind`` is ``session`` (logins and sessions of classic, sessions of the hardened suites),
        ``handshake``, ``exchange``, ``chain``, ``ticket``, ``issued code`` or ``tag key``; ``id``
        is the id under which it is sealed. All in one step: if ``reseal`` raises, nothing is
        changed. It can be called in another thread.
        """

    @abstractmethod
    async def sweep(self, now_ms: int) -> int:
        """Delete expired records; the number of sessions and logins among them."""
