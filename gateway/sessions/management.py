"""Operations for operators: codes, sessions, tickets, users (PROTOCOL §2.8.3, §2.8.4).

They use the gateway's store, also from another process while the gateway runs, because every
message is claimed in the store, under the record that the store has then.
"""

import logging
import secrets
from dataclasses import dataclass

import msgpack

from gateway.clock import Clock
from gateway.errors import ConfigError
from gateway.keys.keyring import KeyRing
from gateway.keys.user_tags import UserTags
from gateway.stores import NewCode, Store, StoredChain, StoredSession
from protocol.common.codes import CODE_LIFETIME_MS, HARDENED_CODE_CHARS, Code, mint_code
from protocol.hardened.handshake_messages import DEVICE_RULE, is_device_name
from protocol.hardened.records import SessionRecord, TicketChain

from .hardened import open_entry
from .session import ID_BYTES

_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An open session, without secrets.

    ``chain_id`` in hex belongs to the ticket of the session; "" if there is none. ``opened_ms``,
    ``epoch`` and ``fresh`` are None in classic.
    """

    id: str
    user: str
    suite: str
    opened_ms: int | None
    expires_ms: int
    chain_id: str
    epoch: int | None = None
    fresh: str | None = None


@dataclass(frozen=True, slots=True)
class GoodTicket:
    """A valid ticket, without secrets; ``id`` is the id of its chain.

    ``username`` is the name that the client sent at the login. ``opened_ms`` is the start of the
    ticket's session, None if that has ended.
    """

    id: str
    username: str
    suite: str
    opened_ms: int | None
    expires_ms: int


@dataclass(frozen=True, slots=True)
class MintedCode:
    """A code for ``user``, or for their device ``device``; not stored yet."""

    user: str
    device: str
    code: Code
    expires_ms: int


class Operators:
    """Manages the gateway with this ``store`` and ``keyring``.

    Users have the names that handlers see: ``Account.name``. Every method raises StoreUnavailable.
    """

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._tags = UserTags(store, keyring)

    async def tag_of(self, user: str) -> bytes:
        """The tag of ``user``, 16 bytes. Also raises: ConfigError."""
        return (await self._tags.opened()).of(user)

    async def issue_code(
        self, user: str, lifetime_ms: int = CODE_LIFETIME_MS, device: str = ""
    ) -> Code:
        """Issue a code for the next login of ``user``; replaces an earlier one.

        While it is valid, the user gets no mail. With ``device``, the code is for the next login of
        this device. Each device of a user can have a code, and the user still gets mails.
        """
        minted = self.mint_code(user, lifetime_ms, device)
        await self.issue(minted)
        return minted.code

    def mint_code(
        self, user: str, lifetime_ms: int = CODE_LIFETIME_MS, device: str = ""
    ) -> MintedCode:
        """A code that ``issue`` can make valid. Raises: ConfigError, for a wrong ``device``."""
        if device and not is_device_name(device):
            raise ConfigError(DEVICE_RULE)
        code = mint_code(secrets.token_bytes, HARDENED_CODE_CHARS)
        return MintedCode(user, device, code, self._clock() + lifetime_ms)

    async def issue(self, *minted: MintedCode) -> None:
        """Make the codes valid, all in one step. Each replaces an earlier one."""
        await self._tags.opened()
        codes = [self._sealed(one) for one in minted]
        await self._store.add_codes(codes)
        for one in codes:
            _log.info("code issued for user %s", one.user_tag.hex())

    def _sealed(self, minted: MintedCode) -> NewCode:
        code_id = secrets.token_bytes(ID_BYTES)
        sealed = self._keyring.seal("issued code", code_id, minted.code.text.encode())
        tag = self._tags.of(minted.user)
        device_tag = self._tags.of_device(tag, minted.device) if minted.device else b""
        return NewCode(code_id, sealed, minted.expires_ms, tag, device_tag)

    async def revoke_code(self, user: str, device: str = "") -> bool:
        """Revoke the code of the user or the device, and its logins; whether there was one."""
        tag = await self.tag_of(user)
        device_tag = self._tags.of_device(tag, device) if device else b""
        return await self._store.end_codes(tag, device_tag) > 0

    async def revoke_codes(self, user: str) -> int:
        """Revoke the codes of the user and of all their devices; how many there were."""
        return await self._store.end_codes(await self.tag_of(user))

    async def sessions(self, limit: int | None = None) -> list[OpenSession]:
        """The open sessions whose records these keys open, sorted by expiry.

        With a ``limit``, only that many records are opened.
        """
        stored = await self._store.sessions(self._clock())
        stored.sort(key=lambda session: session.expires_ms)
        return [shown for session in stored[:limit] if (shown := self._shown(session))]

    def _shown(self, stored: StoredSession) -> OpenSession | None:
        key = stored.session_id
        entry = open_entry(self._keyring, key, stored.sealed)
        if entry is not None:
            record = SessionRecord.parse(entry.session)
            return OpenSession(
                key.hex(),
                entry.user,
                record.suite,
                entry.opened_ms,
                stored.expires_ms,
                record.chain_id.hex(),
                record.epoch,
                record.fresh,
            )
        classic = self._keyring.open("session", key, stored.sealed)
        if classic is None:
            return None
        suite, user = msgpack.unpackb(classic)[:2]
        return OpenSession(key.hex(), user, suite, None, stored.expires_ms, "")

    async def end_session(self, session_id: str) -> bool:
        """End a session by its id in hex, and its tickets; whether it was open."""
        for session in await self.sessions():
            if session.id == session_id:
                if session.chain_id:
                    await self._store.end_chain(bytes.fromhex(session.chain_id))
                await self._store.end(bytes.fromhex(session_id))
                return True
        return False

    async def tickets(self) -> list[GoodTicket]:
        """The valid tickets whose records these keys open, sorted by expiry."""
        since = {session.chain_id: session.opened_ms for session in await self.sessions()}
        stored = [one for one in await self._store.chains(self._clock()) if not one.is_revoked]
        chains = {one.chain_id.hex(): opened for one in stored if (opened := self._opened(one))}
        tickets = (
            GoodTicket(key, chain.username, chain.suite, since.get(key), chain.expires_ms)
            for key, chain in chains.items()
        )
        return sorted(tickets, key=lambda ticket: ticket.expires_ms)

    def _opened(self, stored: StoredChain) -> TicketChain | None:
        chain = self._keyring.open("chain", stored.chain_id, stored.sealed)
        return None if chain is None else TicketChain.parse(chain)

    async def revoke_ticket(self, chain_id: str) -> bool:
        """End a chain by its id in hex, and its session; whether its ticket was valid."""
        if all(ticket.id != chain_id for ticket in await self.tickets()):
            return False
        await self._store.end_chain(bytes.fromhex(chain_id))
        return True

    async def end_user(self, user: str) -> int:
        """End all sessions, tickets, logins and codes of ``user``; the number of sessions."""
        return await self._store.end_user(await self.tag_of(user))
