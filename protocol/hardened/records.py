"""The values that a server keeps between messages, as bytes for a store (STORAGE §1).

::

    LoginRecord      by session id, from ClientHello until the code is spent or expired
    ExchangeRecord   by session id, from ServerShare to ClientConfirmation; removed once
    SessionRecord    by session id, while the session lives
    TicketRecord     by the hash of a ticket, while its chain lives
    TicketChain      by chain id: the tickets that are good

All except the last hold secrets. A store gets all of them sealed. A record is always replaced as a
whole, so a store needs only bytes and a comparison.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import msgpack

from protocol.common.codec import serialize_msgpack
from protocol.common.codes import Entropy
from protocol.common.errors import LocalProtocolError, TicketRefused, TicketReuseDetected
from protocol.common.primitives import sha256

from .key_schedule import EpochKeys, Handshake
from .spake2 import Blinding
from .suites import HARDENED_SUITES, Freshness

RECORD_VERSION = 1
EPOCH_OVERLAP_MS = 30_000
MAX_EPOCH_MS = 1_200_000


class Record:
    """The base of dataclasses whose fields are texts, bytes and numbers.

    A side stores such a value as bytes, under a seal of its own. Only the version that wrote a
    record can read it. Records are not for messages of a peer.
    """

    __slots__: tuple[str, ...] = ()
    KIND: ClassVar[str]

    def serialize(self) -> bytes:
        # The slots of a dataclass are its fields, in order.
        values = [getattr(self, name) for name in self.__slots__]
        return serialize_msgpack([self.KIND, RECORD_VERSION, *values])

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads the bytes of ``serialize``. Raises: LocalProtocolError, for other records."""
        try:
            # Less strict than for a peer: this side sealed the record, and most messages parse one.
            value = msgpack.unpackb(data)
        except ValueError:
            value = []
        if not isinstance(value, list) or value[:2] != [cls.KIND, RECORD_VERSION]:
            raise LocalProtocolError(f"not a stored {cls.KIND} of this version")
        return cls(*value[2:])


@dataclass(frozen=True, slots=True)
class LoginRecord(Record):
    """A login that waits for its code.

    ``username`` is as it was sent. ``greeting`` is th0. ``blinding`` is ``Blinding.serialize()``;
    in a decoy no code gives it. ``device`` is the name in ClientHello, or empty.
    """

    KIND: ClassVar[str] = "login"

    session_id: bytes
    suite: str
    username: str
    fresh: Freshness
    greeting: bytes
    blinding: bytes = field(repr=False)
    device: str = ""

    def load_blinding(self) -> Blinding:
        return Blinding.parse(self.blinding)


@dataclass(frozen=True, slots=True)
class ExchangeRecord(Record):
    """A handshake that waits for ClientConfirmation.

    In a resumption ``ticket_hash`` is that of its ticket, and ``chain`` the serialized TicketChain
    of the time of ResumptionServerHello. In a login both are empty, and ``device`` is the name in
    ClientHello, or empty.
    """

    KIND: ClassVar[str] = "exchange"

    session_id: bytes
    suite: str
    username: str
    fresh: Freshness
    th: bytes = field(repr=False)
    shared: bytes = field(repr=False)
    confirm_client: bytes = field(repr=False)
    confirm_server: bytes = field(repr=False)
    ticket_hash: bytes = b""
    chain: bytes = b""
    device: str = ""

    def decoy_for_unknown_user(self, entropy: Entropy) -> "ExchangeRecord":
        """A copy for a login whose code is gone: no confirmation is right."""
        return replace(self, confirm_client=entropy(len(self.confirm_client)))

    def handshake(self) -> Handshake:
        suite = HARDENED_SUITES[self.suite]
        return Handshake(suite, self.th, self.shared, self.confirm_client, self.confirm_server)


@dataclass(frozen=True, slots=True)
class SessionRecord(Record):
    """A session: its keys of this epoch and, for 30 s, of the previous one.

    ``private_key`` (PKCS#8 DER) is the server's, ``client_key`` (SPKI DER) the client's; both are
    empty in ecdh-gcm. ``epoch_until_ms`` is the end of this epoch. ``extended`` is 1 after the
    epoch was extended. ``export`` is the secret of the exporter, the same in all epochs. It is
    empty if an earlier version opened the session.
    """

    KIND: ClassVar[str] = "session"

    session_id: bytes
    suite: str
    username: str
    fresh: Freshness
    expires_ms: int
    chain_id: bytes
    epoch: int
    c2s: bytes = field(repr=False)
    s2c: bytes = field(repr=False)
    previous_c2s: bytes = field(default=b"", repr=False)
    previous_s2c: bytes = field(default=b"", repr=False)
    previous_until_ms: int = 0
    private_key: bytes = field(default=b"", repr=False)
    client_key: bytes = field(default=b"", repr=False)
    epoch_until_ms: int = 0
    extended: int = 0
    export: bytes = field(default=b"", repr=False)

    def keys_of(self, epoch: int, now_ms: int) -> EpochKeys | None:
        """The keys of this epoch, the next one, or for 30 s the previous one; otherwise None."""
        current = EpochKeys(HARDENED_SUITES[self.suite], self.epoch, self.c2s, self.s2c)
        if epoch == self.epoch:
            return current
        if epoch == self.epoch + 1:
            return current.next()
        if epoch == self.epoch - 1 and self.previous_c2s and now_ms <= self.previous_until_ms:
            return EpochKeys(current.suite, epoch, self.previous_c2s, self.previous_s2c)
        return None

    def moved_to(self, keys: EpochKeys, now_ms: int) -> "SessionRecord | None":
        """The session after a message under ``keys``; None if their epoch has lasted too long.

        The record changes if ``keys`` are of the next epoch, or of this one after its end. In the
        latter case the epoch is extended once: the client may not have had an answer in it yet, and
        then it must not begin the next epoch. It also changes as in ``pruned``.
        """
        if keys.epoch == self.epoch and now_ms > self.epoch_until_ms:
            if self.extended:
                return None
            return replace(self.pruned(now_ms), epoch_until_ms=now_ms + MAX_EPOCH_MS, extended=1)
        if keys.epoch != self.epoch + 1:
            return self.pruned(now_ms)
        return replace(
            self,
            epoch=keys.epoch,
            c2s=keys.c2s,
            s2c=keys.s2c,
            previous_c2s=self.c2s,
            previous_s2c=self.s2c,
            previous_until_ms=now_ms + EPOCH_OVERLAP_MS,
            epoch_until_ms=now_ms + MAX_EPOCH_MS,
            extended=0,
        )

    def pruned(self, now_ms: int) -> "SessionRecord":
        """The session without the keys of the previous epoch, if their time is over."""
        if not self.previous_c2s or now_ms <= self.previous_until_ms:
            return self
        return replace(self, previous_c2s=b"", previous_s2c=b"", previous_until_ms=0)


def ticket_hash(ticket: bytes) -> bytes:
    """The hash (32 bytes) under which a store knows a ticket."""
    return sha256(b"ticket\x00" + ticket)


@dataclass(frozen=True, slots=True)
class TicketRecord(Record):
    """The secret and the user of a ticket.

    It is kept while its chain lives, even after the ticket is spent, to detect its reuse.
    """

    KIND: ClassVar[str] = "ticket"

    ticket_hash: bytes
    chain_id: bytes
    suite: str
    username: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TicketChain(Record):
    """The tickets of one login, each of which replaces the one before (PROTOCOL §2.8.3).

    ``used`` is the hash of the last redeemed ticket (empty at first), ``next`` the hash of its
    latest successor, and ``session_id`` the session of that resumption. Only these two tickets are
    good. ``device`` is the name of the device that has the tickets, or empty.
    """

    KIND: ClassVar[str] = "chain"

    chain_id: bytes
    suite: str
    username: str
    expires_ms: int
    session_id: bytes
    used: bytes
    next: bytes
    device: str = ""

    def redeemed(
        self, ticket: bytes, successor: bytes, session_id: bytes, now_ms: int, expires_ms: int
    ) -> "TicketChain":
        """The chain after ``ticket`` was redeemed for ``successor`` (both hashes).

        Raises: TicketRefused (expired), TicketReuseDetected (spent: revoke the chain). Call it on
        the chain of ResumptionServerHello: a proof that began while its ticket was good does not
        show a second holder, however late it arrives.
        """
        if now_ms > self.expires_ms:
            raise TicketRefused("the ticket has expired")
        if ticket not in (self.used, self.next):
            raise TicketReuseDetected("a spent ticket came back")
        return replace(
            self, used=ticket, next=successor, session_id=session_id, expires_ms=expires_ms
        )
