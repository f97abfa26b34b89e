"""A store in Redis whose tickets are in a durable ticket store (STORAGE §4).

A change of tickets is made in the ticket store first, and then in Redis: a ticket is redeemed there
before its session is opened here, and a chain is revoked there before its session is ended here. If
the second step is lost, the ticket still opens a session, and ``sweep`` ends the session.

Redis and the ticket store watch each other. Redis keeps the last position of the ticket store, so
an older copy is noticed. If Redis has lost its data, the ticket store must have run since its last
change. If neither can be relied on, no ticket is used until an operator has decided.

This module is long because the order of the two steps and the checks belong together.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from gateway.clock import Clock, system_clock
from gateway.errors import ConfigError, RateLimited, StoreUnavailable
from gateway.stores import NewChain, NewSession, Reseal, Retag, StoredChain, StoredTicket
from gateway.stores.tickets.fence import (
    Claim,
    ClaimVoid,
    NotWitnessed,
    TicketsClosed,
    Witness,
)
from gateway.stores.tickets.store import TicketStore
from protocol.hardened.handshake_messages import MAX_SESSION_MS

from .handshakes import opened
from .store import RedisStore
from .url import RedisUrl

_T = TypeVar("_T")
# Longer than the lifetime of any ticket; each use renews it.
_FENCE_TTL_MS = 400 * 86_400_000
_CLAIM_TTL_MS = MAX_SESSION_MS + 3_600_000
_ANY = "*"
_BATCH = 200
# What the scripts return for a claim that opens no session any more.
_VOID = -1
_FORGET = "`certless tickets forget` deletes all tickets, and every device needs a new code"


class TicketedRedisStore(RedisStore):
    """A store for gateways on several machines, whose tickets survive a loss of Redis."""

    def __init__(self, url: RedisUrl, tickets: TicketStore, clock: Clock = system_clock) -> None:
        super().__init__(url, clock)
        self._tickets = tickets

    async def open(self) -> None:
        """Connect and check. Raises: ConfigError, StoreUnavailable."""
        await self.connect()
        try:
            await self._witness()
        except TicketsClosed as error:
            await self.close()
            raise ConfigError(str(error)) from None
        except BaseException:
            await self.close()
            raise

    async def connect(self) -> None:
        """Open without a check of the fence of the tickets. Raises: ConfigError, StoreUnavailable.

        Only ``accept_tickets`` and ``forget_tickets`` need no more.
        """
        if self._url.accepts_eviction:
            raise ConfigError(
                "a Redis that evicts can lose which session belongs to a ticket: with a ticket "
                "store, remove ?eviction=accepted and set maxmemory-policy to noeviction"
            )
        await super().open()
        try:
            await self._tickets.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._tickets.close()
        await super().close()

    async def ping(self) -> None:
        await super().ping()
        await self._tickets.fence()

    async def _check_tickets(self) -> None:
        """The witness is checked later, against the ticket store."""

    async def has_tickets(self) -> bool:
        """Whether the ticket store has been created. Can be called before ``open``."""
        return await self._tickets.exists()

    # --- the fence of the tickets ---

    async def _seen(self) -> Witness:
        """What Redis knows of the ticket store."""
        redis, generation, position = await self._run("ticket_fence")
        return Witness(redis.decode(), (generation or b"").decode(), int(position or 0))

    async def _witness(self) -> Witness:
        """What Redis knows of the ticket store, after it was checked and maybe noted.

        Raises: TicketsClosed, StoreUnavailable.
        """
        is_doubted = False
        for _ in range(6):
            seen, fence = await self._seen(), await self._tickets.fence()
            is_same = fence.generation == seen.generation
            if fence.has(seen):
                if is_same and fence.continues:
                    return seen
                before = seen.generation
            elif not fence.position:
                # There was never a ticket, so nothing can be lost.
                before = _ANY
            elif seen.generation or not fence.continues:
                # Another gateway can have changed both between the two readings.
                if is_doubted:
                    raise self._closed(seen)
                is_doubted = True
                continue
            else:
                # Redis has lost its data, and the ticket store has not.
                before = ""
            if is_same or not fence.continues or fence.redis != seen.redis:
                await self._tickets.renew(fence.generation, seen)
            else:
                noted = (fence.generation, fence.position, before, _FENCE_TTL_MS, seen.redis)
                await self._run("set_ticket_fence", (), *noted)
        raise self._not_now()

    def _closed(self, seen: Witness) -> TicketsClosed:
        where = f"the ticket store {self._tickets.where}"
        if seen.generation:
            return TicketsClosed(
                f"Redis knows of changes that {where} does not have, or another Redis has taken "
                "over: is it a restored backup, a replica, or the wrong one? Set the right --store "
                f"and --ticket-store; if the last state is lost, {_FORGET}",
                is_proven=True,
            )
        return TicketsClosed(
            f"Redis has lost its data, and {where} was restarted or replaced too, so spent tickets "
            "could be valid again: if no backup was restored and no replica took over, "
            f"`certless tickets accept` uses them again; otherwise {_FORGET}",
            is_proven=False,
        )

    def _not_now(self) -> StoreUnavailable:
        return StoreUnavailable(f"the ticket store {self._tickets.where} is changing: try again")

    async def accept_tickets(self) -> bool:
        """An operator says that the ticket store was not put back; whether it had to be said.

        Raises: TicketsClosed (Redis knows that it was), StoreUnavailable.
        """
        try:
            await self._witness()
        except TicketsClosed as error:
            if error.is_proven:
                raise
            fence = await self._tickets.fence()
            await self._tickets.renew(fence.generation, await self._seen())
            await self._witness()
            return True
        return False

    async def forget_tickets(self) -> None:
        """Delete all tickets, so that none can be valid again. Raises: StoreUnavailable."""
        await self._tickets.forget()
        await self._witness()

    async def _claimed(self, change: Callable[[Witness], Awaitable[_T]]) -> _T:
        """Make a change of the ticket store under what Redis knows. Raises: StoreUnavailable."""
        try:
            return await change(await self._seen())
        except NotWitnessed:
            return await change(await self._witness())

    # --- logging in and resuming ---

    async def open_login(self, new_session: NewSession) -> bool:
        if not new_session.chain_id:
            return await super().open_login(new_session)
        chain = NewChain(
            new_session.chain_id,
            new_session.user_tag,
            new_session.chain,
            new_session.chain_expires_ms,
            new_session.ticket_hash,
            new_session.ticket,
            new_session.seen_ms,
        )
        claim = await self._claimed(lambda seen: self._tickets.add(seen, chain))
        try:
            is_open = await self._open("open_login", new_session, claim)
        except (RateLimited, ClaimVoid):
            await self._undo_add(new_session)
            raise
        if not is_open:
            await self._undo_add(new_session)
        return is_open

    async def _undo_add(self, new_session: NewSession) -> None:
        # If this fails, the chain stays until it expires. Nobody knows its ticket.
        with suppress(StoreUnavailable):
            await self._tickets.undo_add(new_session.chain_id)

    async def open_resumed(self, new_session: NewSession, previous: bytes) -> bool:
        claim = await self._claimed(lambda seen: self._tickets.redeem(seen, new_session, previous))
        if claim is None:
            return False
        try:
            return await self._open("open_redeemed", new_session, claim)
        except RateLimited:
            # If this fails, the ticket is still valid, as after a lost response.
            with suppress(StoreUnavailable):
                await self._tickets.undo_redeem(claim, new_session, previous)
            raise

    async def _open(self, script: str, new_session: NewSession, claim: Claim) -> bool:
        """Open the session of a claim. Raises: RateLimited, StoreUnavailable."""
        key = ("handshake", new_session.session_id)
        if script == "open_redeemed":
            key = ("chain_session", new_session.chain_id)
        answer = await self._run(
            script,
            [key],
            *self._named(new_session),
            *("generation", claim.generation),
            *("position", claim.position),
            *("claim_ttl_ms", _CLAIM_TTL_MS),
            *("fence_ttl_ms", _FENCE_TTL_MS),
        )
        if answer == _VOID:
            raise ClaimVoid("the tickets have changed meanwhile: try again")
        return opened(answer, new_session.caps)

    # --- tickets ---

    async def load_ticket(self, ticket_hash: bytes, now_ms: int) -> StoredTicket | None:
        found = await self._tickets.find(ticket_hash, now_ms)
        if found is None:
            # An older copy does not have it. The device must not think that its ticket has ended.
            await self._witness()
        return found

    async def add_chain(self, chain: NewChain) -> None:
        await self._claimed(lambda seen: self._tickets.add(seen, chain))

    async def see_device(self, chain_id: bytes, seen_ms: int) -> None:
        # Messages do not need the ticket store.
        with suppress(StoreUnavailable):
            await self._tickets.see_device(chain_id, seen_ms)

    async def chains(self, now_ms: int) -> list[StoredChain]:
        return await self._tickets.chains(now_ms)

    async def end_chain(self, chain_id: bytes) -> None:
        await self._claimed(lambda seen: self._tickets.revoke_chain(seen, chain_id))
        await self._end_revoked()

    async def end_user(self, user_tag: bytes) -> int:
        await self._claimed(lambda seen: self._tickets.revoke_user(seen, user_tag))
        count = await super().end_user(user_tag)
        # A login that was on its way can have opened its session between these two steps.
        await self._claimed(lambda seen: self._tickets.revoke_user(seen, user_tag))
        await self._end_revoked()
        return count

    async def _end_revoked(self) -> None:
        """End the sessions of all revoked chains, and settle the chains."""
        chain_ids = await self._tickets.revoked()
        if not chain_ids:
            return
        await self._witness()
        # Read after the chains, so no claim of them has a later position.
        fence = await self._tickets.fence()
        for at in range(0, len(chain_ids), _BATCH):
            some = [one.hex() for one in chain_ids[at : at + _BATCH]]
            seen = (fence.generation, fence.position, _FENCE_TTL_MS)
            if not await self._run("end_chains", (), *seen, *some):
                raise self._not_now()
        await self._tickets.settle(chain_ids)

    # --- keys and sweeping ---

    async def tag_key(self) -> bytes | None:
        kept = await self._tickets.tag_key()
        if kept is None and (own := await super().tag_key()) is not None:
            # The chains of the ticket store need it longer than Redis has it.
            kept = await self._tickets.keep_tag_key(own, lambda tag: tag)
        return kept

    async def keep_tag_key(self, offered: bytes, retag: Retag) -> bytes:
        kept = await self._tickets.keep_tag_key(offered, retag)
        await super().keep_tag_key(kept, retag)
        return kept

    async def reseal(self, reseal: Reseal) -> int:
        changed, tag_key = 0, b""

        def once(kind: str, record_id: bytes, sealed: bytes) -> bytes:
            nonlocal changed, tag_key
            # Both stores have the tag key.
            if kind == "tag key" and tag_key:
                return tag_key
            new = reseal(kind, record_id, sealed)
            changed += new != sealed
            tag_key = new if kind == "tag key" else tag_key
            return new

        async with self._tickets.resealing(once):
            await super().reseal(once)
        return changed

    async def sweep(self, now_ms: int) -> int:
        swept = await super().sweep(now_ms)
        # Redis may have lost its data.
        await self._witness()
        await self._end_revoked()
        await self._tickets.sweep(now_ms)
        return swept
