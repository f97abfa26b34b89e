"""Operations for operators of devices: tickets for a factory, and the list of devices.

A device is a chain of tickets with a name (PROTOCOL §2.8.4, §2.8.5).
"""

import logging
import secrets
from dataclasses import dataclass, field

from gateway.errors import ConfigError
from gateway.stores import NewChain
from protocol.hardened.client_session import ClientTicket
from protocol.hardened.confirmation import SHELF_LIFE_MS
from protocol.hardened.handshake_messages import DEVICE_RULE, TICKET_BYTES, is_device_name
from protocol.hardened.key_schedule import KEY_BYTES
from protocol.hardened.records import TicketChain, TicketRecord, ticket_hash
from protocol.hardened.suites import ECDH_GCM

from .management import Operators
from .session import ID_BYTES

_log = logging.getLogger("certless")


@dataclass(frozen=True, slots=True)
class Device:
    """A device: a chain of tickets that has a name, without secrets.

    ``owner`` is the name that the device or the operator gave. ``seen_ms`` is the hour in which it
    was seen last, 0 for never. ``id`` is the id of the chain.
    """

    id: str
    owner: str
    name: str
    suite: str
    seen_ms: int
    expires_ms: int
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class MintedTicket:
    """A ticket for a device of ``user`` that was not stored yet, with its chain."""

    user: str
    ticket: ClientTicket
    chain: TicketChain = field(repr=False)


class DeviceOperators(Operators):
    """Manages the devices of the gateway too. Every method raises StoreUnavailable."""

    def mint_ticket(
        self, user: str, device: str, realm: str, shelf_life_ms: int = SHELF_LIFE_MS
    ) -> MintedTicket:
        """A ticket for ``device``, or "", that ``issue_ticket`` can make valid.

        Raises: ConfigError, for a wrong ``device``.
        """
        if device and not is_device_name(device):
            raise ConfigError(DEVICE_RULE)
        expires_ms = self._clock() + shelf_life_ms
        ticket = ClientTicket(
            secrets.token_bytes(TICKET_BYTES),
            ECDH_GCM.name,
            user,
            realm,
            expires_ms,
            secrets.token_bytes(KEY_BYTES),
        )
        chain = TicketChain(
            secrets.token_bytes(ID_BYTES),
            ticket.suite,
            user,
            expires_ms,
            b"",
            b"",
            ticket_hash(ticket.ticket),
            device,
        )
        return MintedTicket(user, ticket, chain)

    async def issue_ticket(self, minted: MintedTicket) -> None:
        """Make the ticket valid."""
        chain, ticket = minted.chain, minted.ticket
        record = TicketRecord(
            chain.next, chain.chain_id, chain.suite, chain.username, ticket.secret
        )
        tag = await self.tag_of(minted.user)
        await self._store.add_chain(
            NewChain(
                chain.chain_id,
                tag,
                self._keyring.seal("chain", chain.chain_id, chain.serialize()),
                chain.expires_ms,
                chain.next,
                self._keyring.seal("ticket", chain.next, record.serialize()),
                0 if chain.device else None,
            )
        )
        _log.info("ticket issued for user %s, chain %s", tag.hex(), chain.chain_id.hex())

    async def devices(self) -> list[Device]:
        """The devices whose records these keys open, sorted by owner and name."""
        return sorted(
            (
                Device(
                    stored.chain_id.hex(),
                    chain.username,
                    chain.device,
                    chain.suite,
                    stored.seen_ms or 0,
                    chain.expires_ms,
                    stored.is_revoked,
                )
                for stored in await self._store.chains(self._clock())
                if (chain := self._opened(stored)) and chain.device
            ),
            key=lambda device: (device.owner, device.name, device.is_revoked, device.expires_ms),
        )

    async def revoke_device(self, user: str, name: str) -> bool:
        """Revoke all tickets of a device and its code, and end its session; whether it had any."""
        tag = await self.tag_of(user)
        had_code = await self._store.end_codes(tag, self._tags.of_device(tag, name)) > 0
        return await self._end_chains(tag, name) or had_code

    async def revoke_listed(self, device_id: str) -> bool:
        """As ``revoke_device``, by the id of a device in ``devices``; whether it was valid."""
        for stored in await self._store.chains(self._clock()):
            chain = self._opened(stored)
            if stored.chain_id.hex() == device_id and chain and chain.device:
                tag, name = stored.user_tag, chain.device
                await self._tags.opened()
                await self._store.end_codes(tag, self._tags.of_device(tag, name))
                return await self._end_chains(tag, name)
        return False

    async def _end_chains(self, tag: bytes, name: str) -> bool:
        chains = [
            stored.chain_id
            for stored in await self._store.chains(self._clock())
            if stored.user_tag == tag and not stored.is_revoked
            if (chain := self._opened(stored)) and chain.device == name
        ]
        for chain_id in chains:
            await self._store.end_chain(chain_id)
        return bool(chains)
