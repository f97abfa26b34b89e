"""What every store must do for the hardened suites (STORAGE §2): part of ``StoreContract``."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import pytest

from gateway.errors import RateLimited, SessionChanged
from gateway.stores import (
    TAG_KEY_ID,
    NewChain,
    NewCode,
    NewSession,
    SessionCaps,
    Store,
    StoredChain,
    StoredSession,
)
from protocol.classic.freshness import NonceClaim
from protocol.common.codes import CODE_ATTEMPTS
from protocol.hardened.replay_window import COUNTER_WINDOW, MAX_FRESH_VALUE, FreshnessClaim

T = TypeVar("T")
NOW_MS = 1_000_000
EXPIRES_MS = NOW_MS + 600_000
FAR_MS = NOW_MS + 10**9
ADA, BEN, NOBODY = b"ada" + bytes(13), b"ben" + bytes(13), b"nobody" + bytes(10)
USER, OTHER_USER = b"a user" + bytes(10), b"another" + bytes(9)
CODE, CHAIN = b"code" + bytes(12), b"chain" + bytes(11)
PUMP, FAN = b"a pump" + bytes(10), b"a fan" + bytes(11)
LOGIN, EXCHANGE, SESSION = b"a sealed login", b"a sealed exchange", b"a sealed session"
FIRST_CHAIN, SECOND_CHAIN = b"a sealed chain", b"that chain later"
OPENING = NewSession(ADA, USER, SESSION, EXPIRES_MS)
CHAINED = replace(
    OPENING,
    chain_id=CHAIN,
    chain=FIRST_CHAIN,
    chain_expires_ms=FAR_MS,
    ticket_hash=b"1" * 32,
    ticket=b"ticket 1",
)
RESUMED = replace(
    CHAINED,
    session_id=BEN,
    sealed=b"a resumed session",
    chain=SECOND_CHAIN,
    ticket_hash=b"2" * 32,
    ticket=b"ticket 2",
)


async def in_turns(asks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The answers to many calls, in batches: a store refuses calls that wait too long."""
    waiting, answers = iter(asks), list[T]()
    while turn := list(islice(waiting, 50)):
        answers += await asyncio.gather(*turn)
    return answers


def salt(name: object) -> bytes:
    return str(name).encode().rjust(16, b"\x00")


def by_clock(name: object, expires_ms: int = NOW_MS + 60_000) -> FreshnessClaim:
    return FreshnessClaim("clock", expires_ms - 60_000, salt(name), expires_ms)


def by_counter(number: int) -> FreshnessClaim:
    # The other two do not matter, so they are the same for all.
    return FreshnessClaim("counter", number, b"", 0)


async def claim(
    store: Store, session_id: bytes, claimed: NonceClaim | FreshnessClaim, now_ms: int
) -> bool:
    """Claim a message under one of the records that these tests store. False: not claimed."""
    if isinstance(claimed, NonceClaim):
        return await store.claim(session_id, claimed, now_ms)
    for sealed in (SESSION, RESUMED.sealed):
        with contextlib.suppress(SessionChanged):
            return await store.claim_message(session_id, sealed, claimed, now_ms)
    return False


async def greeted(store: Store, code_id: bytes = b"") -> None:
    await store.add_handshake(ADA, LOGIN, EXPIRES_MS, USER, code_id)


async def confirming(store: Store) -> None:
    await greeted(store)
    attempt = await store.claim_attempt(ADA, NOW_MS)
    assert attempt
    assert await store.add_exchange(ADA, EXCHANGE, NOW_MS + 60_000, attempt.number)


async def opened(store: Store, new_session: NewSession = OPENING) -> None:
    await greeted(store)
    assert await store.open_login(new_session)


async def resumed(store: Store) -> None:
    """A login, and a resumption with its first ticket."""
    await opened(store, CHAINED)
    assert await store.open_resumed(RESUMED, FIRST_CHAIN)


async def tickets_of(store: Store, now_ms: int = NOW_MS) -> list[tuple[bytes, bytes]]:
    """The existing ones of the two tickets of these tests, each with its chain."""
    found = [await store.load_ticket(name * 32, now_ms) for name in (b"1", b"2")]
    return [(ticket.sealed, ticket.chain) for ticket in found if ticket]


class HardenedStoreContract:
    """Inherit, and define the fixture ``store``."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("a store's test class gives the store")

    # --- attempts and exchanges ---

    async def test_attempts_are_counted_up_to_the_fifth(self, store: Store) -> None:
        await greeted(store)
        attempts = [await store.claim_attempt(ADA, NOW_MS) for _ in range(7)]
        numbers = [attempt.number for attempt in attempts if attempt]
        assert numbers == list(range(1, CODE_ATTEMPTS + 1))
        assert {attempt.sealed for attempt in attempts if attempt} == {LOGIN}

    async def test_of_fifty_attempts_at_once_five_count(self, store: Store) -> None:
        await greeted(store)
        attempts = await asyncio.gather(*(store.claim_attempt(ADA, NOW_MS) for _ in range(50)))
        numbers = sorted(attempt.number for attempt in attempts if attempt)
        assert numbers == list(range(1, CODE_ATTEMPTS + 1))

    async def test_an_attempt_needs_a_login_in_its_time(self, store: Store) -> None:
        await greeted(store)
        assert await store.claim_attempt(NOBODY, NOW_MS) is None
        assert await store.claim_attempt(ADA, EXPIRES_MS + 1) is None
        assert await store.claim_attempt(ADA, EXPIRES_MS)

    async def test_an_exchange_is_taken_once(self, store: Store) -> None:
        await confirming(store)
        taken = await asyncio.gather(*(store.take_exchange(ADA, NOW_MS) for _ in range(20)))
        assert [one for one in taken if one is not None] == [EXCHANGE]

    async def test_an_exchange_has_its_time(self, store: Store) -> None:
        await confirming(store)
        assert await store.take_exchange(ADA, NOW_MS + 60_001) is None
        await store.add_exchange(ADA, EXCHANGE, NOW_MS + 60_000, 1)
        assert await store.take_exchange(ADA, NOW_MS + 60_000) == EXCHANGE

    async def test_another_attempt_voids_the_exchange(self, store: Store) -> None:
        await confirming(store)
        assert await store.claim_attempt(ADA, NOW_MS)
        assert await store.take_exchange(ADA, NOW_MS) is None

    async def test_an_exchange_that_was_overtaken_is_not_kept(self, store: Store) -> None:
        await greeted(store)
        first = await store.claim_attempt(ADA, NOW_MS)
        second = await store.claim_attempt(ADA, NOW_MS)
        assert first
        assert second
        assert not await store.add_exchange(ADA, b"the first", EXPIRES_MS, first.number)
        assert await store.add_exchange(ADA, b"the second", EXPIRES_MS, second.number)
        assert not await store.add_exchange(ADA, b"the first", EXPIRES_MS, first.number)
        assert await store.take_exchange(ADA, NOW_MS) == b"the second"

    async def test_an_exchange_needs_its_login_unless_it_resumes(self, store: Store) -> None:
        assert not await store.add_exchange(NOBODY, EXCHANGE, EXPIRES_MS, 1)
        assert await store.take_exchange(NOBODY, NOW_MS) is None
        assert await store.add_exchange(NOBODY, EXCHANGE, EXPIRES_MS)
        assert await store.take_exchange(NOBODY, NOW_MS) == EXCHANGE

    # --- sessions ---

    async def test_a_login_opens_one_session(self, store: Store) -> None:
        await confirming(store)
        openings = [replace(OPENING, sealed=b"session %d" % n) for n in range(20)]
        results = await asyncio.gather(*(store.open_login(one) for one in openings))
        assert results.count(True) == 1
        assert await store.load(ADA, EXPIRES_MS) == openings[results.index(True)].sealed
        assert await store.load(ADA, EXPIRES_MS + 1) is None
        assert await store.claim_attempt(ADA, NOW_MS) is None

    async def test_a_login_that_ended_opens_nothing(self, store: Store) -> None:
        await confirming(store)
        await store.end(ADA)
        assert await store.take_exchange(ADA, NOW_MS) is None
        assert await store.claim_attempt(ADA, NOW_MS) is None
        assert not await store.open_login(CHAINED)
        assert await store.load(ADA, NOW_MS) is None
        assert await tickets_of(store) == []

    async def test_a_login_opens_no_session_of_another_user(self, store: Store) -> None:
        await greeted(store)
        assert not await store.open_login(replace(CHAINED, user_tag=OTHER_USER))
        assert await store.load(ADA, NOW_MS) is None
        assert await tickets_of(store) == []
        assert not await store.open_login(CHAINED)

    async def test_a_session_is_swapped_by_who_knows_it(self, store: Store) -> None:
        await opened(store)
        swaps = [store.swap(ADA, SESSION, b"epoch 1, %d" % n) for n in range(20)]
        assert (await asyncio.gather(*swaps)).count(True) == 1
        assert not await store.swap(ADA, SESSION, b"epoch 1")
        record = await store.load(ADA, NOW_MS)
        assert record
        assert record.startswith(b"epoch 1, ")
        assert not await store.swap(NOBODY, SESSION, b"epoch 1")

    async def test_a_session_that_ended_is_not_swapped_back(self, store: Store) -> None:
        await opened(store)
        await store.end(ADA)
        assert not await store.swap(ADA, SESSION, b"epoch 1")
        assert await store.load(ADA, NOW_MS) is None

    # --- claims by clock ---

    async def test_a_salt_is_claimed_once(self, store: Store) -> None:
        await opened(store)
        for name in range(20):
            claims = [claim(store, ADA, by_clock(name), NOW_MS) for _ in range(10)]
            assert (await asyncio.gather(*claims)).count(True) == 1

    async def test_salts_are_those_of_a_session(self, store: Store) -> None:
        await resumed(store)
        await store.add_handshake(ADA, LOGIN, EXPIRES_MS, USER)
        assert await store.open_login(OPENING)
        assert await claim(store, ADA, by_clock(1), NOW_MS)
        assert await claim(store, BEN, by_clock(1), NOW_MS)
        assert not await claim(store, NOBODY, by_clock(1), NOW_MS)

    async def test_a_session_takes_messages_while_it_lives(self, store: Store) -> None:
        await opened(store)
        for one in (by_clock(1), by_counter(1)):
            assert not await claim(store, ADA, one, EXPIRES_MS + 1)
            assert await claim(store, ADA, one, EXPIRES_MS)
        await store.end(ADA)
        assert not await claim(store, ADA, by_clock(2), NOW_MS)

    async def test_another_record_claims_nothing(self, store: Store) -> None:
        await opened(store)
        newer = b"a sealed session of the next epoch"
        for number, one in enumerate((by_clock(1), by_counter(1))):
            old, new = (SESSION, newer)[:: 1 - 2 * number]
            for other in (new, b"", old[:-1], old + b"x"):
                with pytest.raises(SessionChanged):
                    await store.claim_message(ADA, other, one, NOW_MS)
            assert await store.swap(ADA, old, new)
            with pytest.raises(SessionChanged):
                await store.claim_message(ADA, old, one, NOW_MS)
            assert await store.claim_message(ADA, new, one, NOW_MS)
            assert not await store.claim_message(ADA, new, one, NOW_MS)
            with pytest.raises(SessionChanged):
                await store.claim_message(ADA, old, one, NOW_MS)

    async def test_a_session_that_is_over_has_another_record(self, store: Store) -> None:
        await opened(store)
        for one in (by_clock(1), by_counter(1)):
            with pytest.raises(SessionChanged):
                await store.claim_message(ADA, SESSION, one, EXPIRES_MS + 1)
            with pytest.raises(SessionChanged):
                await store.claim_message(NOBODY, SESSION, one, NOW_MS)
        await store.end_user(USER)
        for one in (by_clock(1), by_counter(1)):
            with pytest.raises(SessionChanged):
                await store.claim_message(ADA, SESSION, one, NOW_MS)

    async def test_a_salt_outlives_a_sweep_in_its_time(self, store: Store) -> None:
        await opened(store)
        assert await claim(store, ADA, by_clock(1, NOW_MS + 5), NOW_MS)
        await store.sweep(NOW_MS + 5)
        assert not await claim(store, ADA, by_clock(1, NOW_MS + 5), NOW_MS + 5)

    async def test_a_clock_that_was_set_back_brings_no_salt_back(self, store: Store) -> None:
        await opened(store)
        assert await claim(store, ADA, by_clock(1, NOW_MS + 5), NOW_MS)
        # 90 s later a store has deleted it, in a sweep or with another claim.
        later_ms = NOW_MS + 90_000
        await store.sweep(later_ms)
        assert await claim(store, ADA, by_clock(3, later_ms), later_ms)
        assert not await claim(store, ADA, by_clock(1, NOW_MS + 5), NOW_MS)
        assert not await claim(store, ADA, by_clock(2, NOW_MS + 6), NOW_MS)
        assert await claim(store, ADA, by_clock(2, later_ms), NOW_MS)

    async def test_a_sweep_by_a_clock_ahead_stops_no_session_that_lost_nothing(
        self, store: Store
    ) -> None:
        await opened(store, replace(OPENING, expires_ms=FAR_MS + 1))
        await store.sweep(FAR_MS)
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
        assert await store.open_login(replace(OPENING, session_id=BEN))
        for session_id in (ADA, BEN):
            assert await claim(store, session_id, by_clock(1), NOW_MS)
            assert not await claim(store, session_id, by_clock(1), NOW_MS)

    async def test_what_is_past_its_time_is_claimed_to_be_refused(self, store: Store) -> None:
        # A client with a slow clock must get the sealed refusal, with or without a recent sweep.
        await opened(store)
        await store.sweep(NOW_MS + 100)
        assert await claim(store, ADA, by_clock(1, NOW_MS - 5000), NOW_MS + 100)

    async def test_many_salts(self, store: Store) -> None:
        await opened(store)
        claims = [by_clock(n, NOW_MS + n) for n in range(3000)]
        assert all(await in_turns(claim(store, ADA, c, NOW_MS + n) for n, c in enumerate(claims)))
        again = await in_turns(claim(store, ADA, c, NOW_MS) for c in claims)
        assert not any(again)

    # --- claims by counter ---

    async def test_a_number_is_claimed_once(self, store: Store) -> None:
        await opened(store)
        for number in (1, 2, 5, 3, COUNTER_WINDOW):
            claims = [claim(store, ADA, by_counter(number), NOW_MS) for _ in range(10)]
            assert (await asyncio.gather(*claims)).count(True) == 1

    async def test_the_edge_of_the_window(self, store: Store) -> None:
        await opened(store)
        top = 10_000
        assert not await claim(store, ADA, by_counter(0), NOW_MS)
        assert await claim(store, ADA, by_counter(top), NOW_MS)
        assert not await claim(store, ADA, by_counter(top - COUNTER_WINDOW), NOW_MS)
        assert await claim(store, ADA, by_counter(top - COUNTER_WINDOW + 1), NOW_MS)
        assert await claim(store, ADA, by_counter(MAX_FRESH_VALUE), NOW_MS)
        assert not await claim(store, ADA, by_counter(top + 1), NOW_MS)

    async def test_a_resumed_session_counts_from_one(self, store: Store) -> None:
        await opened(store, CHAINED)
        assert await claim(store, ADA, by_counter(1), NOW_MS)
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)
        assert await claim(store, BEN, by_counter(1), NOW_MS)

    # --- tickets ---

    async def test_a_login_begins_a_chain(self, store: Store) -> None:
        await opened(store, CHAINED)
        assert await tickets_of(store, FAR_MS) == [(b"ticket 1", FIRST_CHAIN)]
        assert await tickets_of(store, FAR_MS + 1) == []

    async def test_of_many_redemptions_one_wins(self, store: Store) -> None:
        await opened(store, CHAINED)
        openings = [
            replace(RESUMED, session_id=salt(n), ticket_hash=bytes(31) + bytes([n]))
            for n in range(20)
        ]
        tries = [store.open_resumed(one, FIRST_CHAIN) for one in openings]
        assert (await asyncio.gather(*tries)).count(True) == 1
        assert len(await store.sessions(NOW_MS)) == 1

    async def test_a_redemption_ends_the_session_before(self, store: Store) -> None:
        await opened(store, CHAINED)
        later = replace(RESUMED, chain_expires_ms=FAR_MS + 5)
        assert not await store.open_resumed(later, b"another chain")
        assert await store.load(ADA, NOW_MS) == SESSION
        assert await store.open_resumed(later, FIRST_CHAIN)
        assert await store.load(ADA, NOW_MS) is None
        assert await store.load(BEN, NOW_MS) == RESUMED.sealed
        # A used ticket is stored, to detect its reuse.
        both = [(b"ticket 1", SECOND_CHAIN), (b"ticket 2", SECOND_CHAIN)]
        assert await tickets_of(store, FAR_MS + 5) == both

    async def test_a_redemption_opens_no_session_of_another_user(self, store: Store) -> None:
        await opened(store, CHAINED)
        assert not await store.open_resumed(replace(RESUMED, user_tag=OTHER_USER), FIRST_CHAIN)
        assert await store.load(ADA, NOW_MS) == SESSION
        assert await tickets_of(store) == [(b"ticket 1", FIRST_CHAIN)]
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)

    async def test_a_redemption_that_was_overtaken_opens_nothing(self, store: Store) -> None:
        await resumed(store)
        again = replace(RESUMED, session_id=NOBODY, ticket_hash=b"3" * 32)
        assert not await store.open_resumed(again, FIRST_CHAIN)
        assert await store.load(NOBODY, NOW_MS) is None
        assert await store.load_ticket(b"3" * 32, NOW_MS) is None
        assert await store.load(BEN, NOW_MS) == RESUMED.sealed

    async def test_a_revoked_chain_takes_all_with_it(self, store: Store) -> None:
        await resumed(store)
        await store.end_chain(CHAIN)
        assert await tickets_of(store) == []
        assert await store.load(BEN, NOW_MS) is None
        assert not await store.open_resumed(
            replace(RESUMED, session_id=NOBODY, ticket_hash=b"3" * 32), SECOND_CHAIN
        )
        assert await store.load(NOBODY, NOW_MS) is None
        await store.end_chain(CHAIN)

    async def test_a_session_that_ended_leaves_its_chain(self, store: Store) -> None:
        await opened(store, CHAINED)
        await store.end(ADA)
        assert await tickets_of(store) == [(b"ticket 1", FIRST_CHAIN)]
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)

    # --- caps ---

    async def test_a_login_over_a_cap_waits(self, store: Store) -> None:
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
        assert await store.open_login(replace(OPENING, session_id=BEN, expires_ms=NOW_MS + 5000))
        await greeted(store, CODE)
        for caps in (SessionCaps(1, 0, NOW_MS), SessionCaps(0, 1, NOW_MS)):
            with pytest.raises(RateLimited) as caught:
                await store.open_login(replace(CHAINED, caps=caps))
            assert caught.value.retry_after_s == 6
        # Login and code are still valid, and no session was opened.
        assert await store.load(ADA, NOW_MS) is None
        assert await tickets_of(store) == []
        assert await store.find_code(USER, NOW_MS)
        assert await store.open_login(replace(CHAINED, caps=SessionCaps(1, 1, NOW_MS + 5001)))
        assert await store.find_code(USER, NOW_MS) is None

    async def test_only_a_login_that_is_good_learns_of_a_cap(self, store: Store) -> None:
        caps = SessionCaps(1, 1, NOW_MS)
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
        assert await store.open_login(replace(OPENING, session_id=BEN))
        assert not await store.open_login(replace(OPENING, caps=caps))
        await greeted(store)
        assert not await store.open_login(replace(OPENING, caps=caps, user_tag=OTHER_USER))
        await greeted(store, CODE)
        assert not await store.open_login(replace(OPENING, caps=caps))

    async def test_a_redemption_replaces_its_session_and_counts_once(self, store: Store) -> None:
        caps = SessionCaps(1, 1, NOW_MS)
        await opened(store, replace(CHAINED, caps=caps))
        assert await store.open_resumed(replace(RESUMED, caps=caps), FIRST_CHAIN)
        assert await store.count_sessions(NOW_MS) == 1

    async def test_a_redemption_over_a_cap_changes_nothing(self, store: Store) -> None:
        await opened(store, replace(CHAINED, expires_ms=NOW_MS + 1000))
        for number in range(2):
            await store.add_handshake(salt(number), LOGIN, EXPIRES_MS, USER)
            new_session = replace(OPENING, session_id=salt(number), expires_ms=NOW_MS + 7000)
            assert await store.open_login(new_session)
        for caps in (SessionCaps(2, 0, NOW_MS), SessionCaps(0, 2, NOW_MS)):
            assert not await store.open_resumed(replace(RESUMED, caps=caps), b"another chain")
            with pytest.raises(RateLimited) as caught:
                await store.open_resumed(replace(RESUMED, caps=caps), FIRST_CHAIN)
            # The session that it would end does not count for the time to wait.
            assert caught.value.retry_after_s == 8
        assert await store.load(ADA, NOW_MS) == SESSION
        assert await store.load(BEN, NOW_MS) is None
        assert await tickets_of(store) == [(b"ticket 1", FIRST_CHAIN)]
        # After one has ended, another one can be opened.
        await store.end(salt(0))
        assert await store.open_resumed(replace(RESUMED, caps=caps), FIRST_CHAIN)

    async def test_a_redemption_without_an_open_session_counts(self, store: Store) -> None:
        await opened(store, CHAINED)
        await store.end(ADA)
        await store.add_handshake(NOBODY, LOGIN, EXPIRES_MS, USER)
        assert await store.open_login(replace(OPENING, session_id=NOBODY))
        with pytest.raises(RateLimited):
            await store.open_resumed(replace(RESUMED, caps=SessionCaps(1, 0, NOW_MS)), FIRST_CHAIN)

    # --- the key of user tags ---

    async def test_of_many_tag_keys_the_first_is_kept(self, store: Store) -> None:
        assert await store.tag_key() is None
        kept = await asyncio.gather(
            *(store.keep_tag_key(b"key %d" % number, lambda tag: tag) for number in range(8))
        )
        assert len(set(kept)) == 1
        assert await store.tag_key() == kept[0]
        await store.sweep(FAR_MS * 2)
        assert await store.keep_tag_key(b"late", lambda tag: tag) == kept[0]

    async def test_tags_of_before_there_was_a_key_are_replaced(self, store: Store) -> None:
        def retag(tag: bytes) -> bytes:
            return bytes(reversed(tag))

        new, other = retag(USER), retag(OTHER_USER)
        await store.add_login(NOBODY, b"classic login", EXPIRES_MS, OTHER_USER)
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await opened(store, CHAINED)
        await greeted(store, CODE)
        assert await store.keep_tag_key(b"key", retag) == b"key"
        # Only once: a keyed tag stays.
        assert await store.keep_tag_key(b"another", retag) == b"key"

        assert await store.find_code(USER, NOW_MS) is None
        found = await store.find_code(new, NOW_MS)
        assert found
        assert (found.code_id, found.sealed) == (CODE, b"a sealed code")
        attempt = await store.claim_attempt(ADA, NOW_MS)
        assert attempt
        assert not attempt.is_void
        again = replace(RESUMED, user_tag=new)
        assert not await store.open_resumed(RESUMED, FIRST_CHAIN)
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, new)
        other_chain = replace(again, chain_id=salt("chain"), ticket_hash=b"3" * 32)
        with pytest.raises(RateLimited):
            await store.open_login(replace(other_chain, caps=SessionCaps(1, 0, NOW_MS)))
        assert await store.open_resumed(again, FIRST_CHAIN)
        assert await store.end_user(USER) == 0
        assert await store.load(BEN, NOW_MS) == RESUMED.sealed
        assert await store.end_user(new) == 1
        assert await store.load(BEN, NOW_MS) is None
        assert await tickets_of(store) == []
        assert await store.find_code(new, NOW_MS) is None
        assert await store.claim_attempt(ADA, NOW_MS) is None
        assert await store.claim_code(NOBODY, NOW_MS) == b"classic login"
        await store.end_user(other)
        await store.release_code(NOBODY)
        assert await store.claim_code(NOBODY, NOW_MS) is None

    async def test_a_code_whose_tag_was_replaced_can_be_swept_and_revoked(
        self, store: Store
    ) -> None:
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, OTHER_USER)])
        await store.keep_tag_key(b"key", lambda tag: bytes(reversed(tag)))
        assert await store.end_codes(bytes(reversed(USER))) == 1
        await store.sweep(EXPIRES_MS + 1)
        assert await store.find_code(bytes(reversed(OTHER_USER)), NOW_MS) is None

    # --- resealing ---

    async def test_all_that_is_sealed_is_sealed_anew(self, store: Store) -> None:
        await store.add_login(NOBODY, b"classic login", EXPIRES_MS, USER)
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await store.keep_tag_key(b"a sealed tag key", lambda tag: tag)
        await resumed(store)
        await confirming(store)
        seen: dict[tuple[str, bytes], bytes] = {}

        def reseal(kind: str, key: bytes, sealed: bytes) -> bytes:
            assert (kind, key) not in seen
            seen[kind, key] = sealed
            return b"anew: " + sealed

        assert await store.reseal(reseal) == len(seen)
        assert seen == {
            ("session", NOBODY): b"classic login",
            ("session", BEN): RESUMED.sealed,
            ("handshake", ADA): LOGIN,
            ("exchange", ADA): EXCHANGE,
            ("chain", CHAIN): SECOND_CHAIN,
            ("ticket", b"1" * 32): b"ticket 1",
            ("ticket", b"2" * 32): b"ticket 2",
            ("issued code", CODE): b"a sealed code",
            ("tag key", TAG_KEY_ID): b"a sealed tag key",
        }
        assert await store.claim_code(NOBODY, NOW_MS) == b"anew: classic login"
        assert await store.load(BEN, EXPIRES_MS) == b"anew: " + RESUMED.sealed
        assert await store.load(BEN, EXPIRES_MS + 1) is None
        assert await store.take_exchange(ADA, NOW_MS) == b"anew: " + EXCHANGE
        attempt = await store.claim_attempt(ADA, NOW_MS)
        assert attempt
        assert (attempt.sealed, attempt.number) == (b"anew: " + LOGIN, 2)
        later = b"anew: " + SECOND_CHAIN
        both = [(b"anew: ticket 1", later), (b"anew: ticket 2", later)]
        assert await tickets_of(store) == both
        found = await store.find_code(USER, NOW_MS)
        assert found
        assert found.sealed == b"anew: a sealed code"
        again = replace(RESUMED, session_id=salt(1), ticket_hash=b"3" * 32)
        assert not await store.open_resumed(again, SECOND_CHAIN)
        assert await store.open_resumed(again, later)
        assert await store.keep_tag_key(b"another", bytes) == b"anew: a sealed tag key"

    async def test_what_stays_the_same_has_not_changed(self, store: Store) -> None:
        await resumed(store)
        assert await store.reseal(lambda kind, key, sealed: sealed) == 0
        assert await store.reseal(lambda kind, key, sealed: sealed * (1 + (kind == "chain"))) == 1

    async def test_a_login_without_attempts_left_has_nothing_sealed(self, store: Store) -> None:
        await greeted(store)
        for _ in range(CODE_ATTEMPTS):
            await store.claim_attempt(ADA, NOW_MS)
        assert await store.reseal(lambda kind, key, sealed: b"anew") == 0

    @pytest.mark.parametrize(
        "failing",
        ["session", "handshake", "exchange", "chain", "ticket", "issued code", "tag key"],
    )
    async def test_sealing_anew_is_all_or_nothing(self, store: Store, failing: str) -> None:
        await store.keep_tag_key(b"a sealed tag key", lambda tag: tag)
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await resumed(store)
        await confirming(store)

        def reseal(kind: str, key: bytes, sealed: bytes) -> bytes:
            if kind == failing:
                raise LookupError("no key for this one")
            return b"anew: " + sealed

        with pytest.raises(LookupError, match="no key for this one"):
            await store.reseal(reseal)
        assert await store.load(BEN, NOW_MS) == RESUMED.sealed
        assert await store.take_exchange(ADA, NOW_MS) == EXCHANGE
        both = [(b"ticket 1", SECOND_CHAIN), (b"ticket 2", SECOND_CHAIN)]
        assert await tickets_of(store) == both
        found = await store.find_code(USER, NOW_MS)
        assert found
        assert found.sealed == b"a sealed code"
        attempt = await store.claim_attempt(ADA, NOW_MS)
        assert attempt
        assert attempt.sealed == LOGIN

    # --- for operators ---

    async def test_an_issued_code_waits_for_its_user(self, store: Store) -> None:
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        found = await store.find_code(USER, EXPIRES_MS)
        assert found
        assert (found.code_id, found.sealed) == (CODE, b"a sealed code")
        assert await store.find_code(USER, EXPIRES_MS + 1) is None
        assert await store.find_code(OTHER_USER, NOW_MS) is None
        assert await store.end_codes(USER) == 1
        assert await store.end_codes(USER) == 0
        assert await store.find_code(USER, NOW_MS) is None

    async def test_an_issued_code_counts_over_all_its_logins(self, store: Store) -> None:
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        for key in (ADA, BEN):
            await store.add_handshake(key, LOGIN, EXPIRES_MS, USER, CODE)
        attempts = await asyncio.gather(
            *(store.claim_attempt(key, NOW_MS) for key in (ADA, BEN) * 20)
        )
        made = [attempt for attempt in attempts if attempt]
        assert len(made) == 2 * CODE_ATTEMPTS
        assert sum(not attempt.is_void for attempt in made) == CODE_ATTEMPTS
        assert await store.find_code(USER, NOW_MS) is None

    async def test_an_issued_code_is_spent_once(self, store: Store) -> None:
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        for key in (ADA, BEN):
            await store.add_handshake(key, LOGIN, EXPIRES_MS, USER, CODE)
            assert await store.claim_attempt(key, NOW_MS)
        assert await store.open_login(OPENING)
        assert await store.find_code(USER, NOW_MS) is None
        lost = await store.claim_attempt(BEN, NOW_MS)
        assert lost
        assert lost.is_void
        assert not await store.open_login(replace(OPENING, session_id=BEN))
        assert await store.load(BEN, NOW_MS) is None

    async def test_another_code_takes_the_place_of_the_first(self, store: Store) -> None:
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await greeted(store, CODE)
        await store.add_codes([NewCode(salt("other"), b"another code", EXPIRES_MS, USER)])
        lost = await store.claim_attempt(ADA, NOW_MS)
        assert lost
        assert lost.is_void
        found = await store.find_code(USER, NOW_MS)
        assert found
        assert found.sealed == b"another code"

    async def test_each_device_of_a_user_has_a_code(self, store: Store) -> None:
        codes = {device: salt(device) for device in (b"", PUMP, FAN)}
        await store.add_codes(
            [
                NewCode(code_id, b"code of " + device, EXPIRES_MS, USER, device)
                for device, code_id in codes.items()
            ]
        )
        for device, code_id in codes.items():
            found = await store.find_code(USER, NOW_MS, device)
            assert found
            assert (found.code_id, found.sealed) == (code_id, b"code of " + device)
            assert await store.find_code(OTHER_USER, NOW_MS, device) is None
        assert await store.find_code(USER, NOW_MS, bytes(16)) is None
        # Another code of a device replaces the code of this device alone.
        await store.add_codes([NewCode(salt("new"), b"new", EXPIRES_MS, USER, PUMP)])
        found = await store.find_code(USER, NOW_MS, PUMP)
        assert found
        assert found.sealed == b"new"
        assert await store.find_code(USER, NOW_MS)
        assert await store.find_code(USER, NOW_MS, FAN)

    async def test_a_code_of_a_device_is_counted_and_spent_alone(self, store: Store) -> None:
        fan, pump = salt("fan code"), salt("pump code")
        await store.add_codes(
            [
                NewCode(CODE, b"code", EXPIRES_MS, USER),
                NewCode(fan, b"fan's", EXPIRES_MS, USER, FAN),
                NewCode(pump, b"pump's", EXPIRES_MS, USER, PUMP),
            ]
        )
        for key in (ADA, BEN):
            await store.add_handshake(key, LOGIN, EXPIRES_MS, USER, pump, PUMP)
        for _ in range(CODE_ATTEMPTS):
            attempt = await store.claim_attempt(BEN, NOW_MS)
            assert attempt
            assert not attempt.is_void
        lost = await store.claim_attempt(ADA, NOW_MS)
        assert lost
        assert lost.is_void
        assert await store.find_code(USER, NOW_MS, PUMP) is None
        await store.add_handshake(NOBODY, LOGIN, EXPIRES_MS, USER, fan, FAN)
        attempt = await store.claim_attempt(NOBODY, NOW_MS)
        assert attempt
        assert not attempt.is_void
        assert await store.open_login(replace(OPENING, session_id=NOBODY))
        assert await store.find_code(USER, NOW_MS, FAN) is None
        assert await store.find_code(USER, NOW_MS)

    async def test_the_codes_of_devices_are_revoked_one_by_one_or_all(self, store: Store) -> None:
        def of(device: bytes, user: bytes = USER) -> NewCode:
            return NewCode(salt(user + device), b"a sealed code", EXPIRES_MS, user, device)

        await store.add_codes([of(b""), of(PUMP), of(FAN), of(PUMP, OTHER_USER)])
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER, of(PUMP).code_id, PUMP)
        assert await store.end_codes(USER, PUMP) == 1
        assert await store.end_codes(USER, PUMP) == 0
        lost = await store.claim_attempt(BEN, NOW_MS)
        assert lost
        assert lost.is_void
        assert not await store.open_login(replace(OPENING, session_id=BEN))
        assert await store.end_codes(USER, b"") == 1
        assert await store.find_code(USER, NOW_MS, FAN)
        await store.add_codes([of(b""), of(PUMP)])
        assert await store.end_codes(USER) == 3
        assert await store.find_code(OTHER_USER, NOW_MS, PUMP)
        await store.end_user(OTHER_USER)
        assert await store.find_code(OTHER_USER, NOW_MS, PUMP) is None

    async def test_many_codes_are_stored_resealed_and_swept(self, store: Store) -> None:
        codes = [
            NewCode(salt(number), b"code", EXPIRES_MS, USER, salt(number)) for number in range(1500)
        ]
        await store.add_codes(codes)
        assert await store.reseal(lambda kind, key, sealed: key + sealed) == len(codes)
        for number in (0, 777, 1499):
            found = await store.find_code(USER, NOW_MS, salt(number))
            assert found
            assert found.sealed == salt(number) + b"code"
        await store.sweep(EXPIRES_MS + 1)
        assert await store.end_codes(USER) == 0

    async def test_open_sessions_are_listed(self, store: Store) -> None:
        assert await store.sessions(NOW_MS) == []
        await greeted(store)
        await store.add_login(NOBODY, LOGIN, EXPIRES_MS, USER)
        assert await store.sessions(NOW_MS) == []
        assert await store.open_login(OPENING)
        listed = [StoredSession(ADA, SESSION, EXPIRES_MS)]
        assert await store.sessions(EXPIRES_MS) == listed
        assert await store.sessions(EXPIRES_MS + 1) == []

    async def test_chains_are_listed_while_they_are_good(self, store: Store) -> None:
        assert await store.chains(NOW_MS) == []
        await opened(store, CHAINED)
        assert await store.chains(FAR_MS) == [StoredChain(CHAIN, FIRST_CHAIN, USER)]
        assert await store.chains(FAR_MS + 1) == []
        assert await store.open_resumed(RESUMED, FIRST_CHAIN)
        # Once, for any number of tickets, also if its session has ended.
        await store.end(BEN)
        assert await store.chains(NOW_MS) == [StoredChain(CHAIN, SECOND_CHAIN, USER)]
        await store.end_chain(CHAIN)
        assert await store.chains(NOW_MS) == []

    async def test_the_chain_of_a_device_tells_when_it_was_seen(self, store: Store) -> None:
        await opened(store, replace(CHAINED, seen_ms=NOW_MS))
        listed = StoredChain(CHAIN, FIRST_CHAIN, USER, NOW_MS)
        assert await store.chains(NOW_MS) == [listed]
        for seen_ms in (NOW_MS + 5, NOW_MS + 4):
            await store.see_device(CHAIN, seen_ms)
            assert await store.chains(NOW_MS) == [replace(listed, seen_ms=NOW_MS + 5)]
        assert await store.open_resumed(replace(RESUMED, seen_ms=NOW_MS + 9), FIRST_CHAIN)
        resumed_chain = StoredChain(CHAIN, SECOND_CHAIN, USER, NOW_MS + 9)
        assert await store.chains(NOW_MS) == [resumed_chain]
        await store.see_device(salt("no chain"), NOW_MS)

    async def test_a_chain_without_a_device_is_not_seen(self, store: Store) -> None:
        await opened(store, CHAINED)
        await store.see_device(CHAIN, NOW_MS)
        assert await store.chains(NOW_MS) == [StoredChain(CHAIN, FIRST_CHAIN, USER)]

    async def test_a_revoked_device_is_kept_without_its_tickets(self, store: Store) -> None:
        of_device = replace(CHAINED, seen_ms=NOW_MS)
        await opened(store, of_device)
        assert await store.open_resumed(replace(RESUMED, seen_ms=NOW_MS), FIRST_CHAIN)
        for _ in range(2):
            await store.end_chain(CHAIN)
            assert await store.chains(NOW_MS) == [
                StoredChain(CHAIN, SECOND_CHAIN, USER, NOW_MS, is_revoked=True)
            ]
            assert await tickets_of(store) == []
            assert await store.load(BEN, NOW_MS) is None
        # Also for a resumption that had begun before.
        again = replace(RESUMED, session_id=salt(1), ticket_hash=b"3" * 32, seen_ms=NOW_MS)
        assert not await store.open_resumed(again, SECOND_CHAIN)
        assert await store.load(salt(1), NOW_MS) is None
        assert await store.reseal(lambda kind, key, sealed: b"anew: " + sealed) == 1
        assert [one.sealed for one in await store.chains(NOW_MS)] == [b"anew: " + SECOND_CHAIN]
        await store.sweep(FAR_MS + 1)
        assert await store.chains(NOW_MS) == []

    async def test_a_chain_that_an_operator_adds_is_resumed(self, store: Store) -> None:
        ticket = (CHAINED.ticket_hash, CHAINED.ticket)
        await store.add_chain(NewChain(CHAIN, USER, FIRST_CHAIN, FAR_MS, *ticket, 0))
        assert await store.chains(FAR_MS) == [StoredChain(CHAIN, FIRST_CHAIN, USER, 0)]
        assert await store.chains(FAR_MS + 1) == []
        assert await tickets_of(store) == [(b"ticket 1", FIRST_CHAIN)]
        assert not await store.open_resumed(replace(RESUMED, user_tag=OTHER_USER), FIRST_CHAIN)
        first = replace(RESUMED, seen_ms=NOW_MS, caps=SessionCaps(1, 1, NOW_MS))
        assert await store.open_resumed(first, FIRST_CHAIN)
        assert await store.load(BEN, NOW_MS) == RESUMED.sealed
        assert await store.chains(NOW_MS) == [StoredChain(CHAIN, SECOND_CHAIN, USER, NOW_MS)]
        both = [(b"ticket 1", SECOND_CHAIN), (b"ticket 2", SECOND_CHAIN)]
        assert await tickets_of(store) == both
        await store.end_chain(CHAIN)
        assert await store.load(BEN, NOW_MS) is None

    async def test_a_chain_that_an_operator_adds_ends_unused(self, store: Store) -> None:
        chains = {salt(number): None if number else NOW_MS for number in range(3)}
        for chain_id, seen_ms in chains.items():
            new = NewChain(chain_id, USER, FIRST_CHAIN, FAR_MS, chain_id * 2, b"ticket", seen_ms)
            await store.add_chain(new)
            assert await store.load_ticket(chain_id * 2, NOW_MS)
        await store.end_chain(salt(1))
        await store.end_chain(salt(0))
        assert await store.load_ticket(salt(0) * 2, NOW_MS) is None
        assert await store.load_ticket(salt(1) * 2, NOW_MS) is None
        assert await store.end_user(USER) == 0
        assert await store.chains(NOW_MS) == []
        assert await store.load_ticket(salt(2) * 2, NOW_MS) is None

    async def test_all_that_a_user_has_is_ended(self, store: Store) -> None:
        await resumed(store)
        await confirming(store)
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        await store.add_handshake(NOBODY, LOGIN, EXPIRES_MS, OTHER_USER)
        assert await store.open_login(
            replace(OPENING, session_id=NOBODY, user_tag=OTHER_USER, sealed=b"of another")
        )
        assert await store.end_user(USER) == 1
        assert await store.load(BEN, NOW_MS) is None
        assert await store.take_exchange(ADA, NOW_MS) is None
        assert not await store.open_login(OPENING)
        assert await tickets_of(store) == []
        assert await store.find_code(USER, NOW_MS) is None
        assert await store.load(NOBODY, NOW_MS) == b"of another"
        assert await store.end_user(USER) == 0

    # --- sweeping ---

    async def test_a_sweep_removes_what_has_expired(self, store: Store) -> None:
        await opened(store, replace(CHAINED, chain_expires_ms=EXPIRES_MS))
        await store.add_handshake(BEN, LOGIN, EXPIRES_MS, USER)
        await store.add_codes([NewCode(CODE, b"a sealed code", EXPIRES_MS, USER)])
        assert await store.sweep(EXPIRES_MS) == 0
        assert len(await tickets_of(store, EXPIRES_MS)) == 1
        assert await store.claim_attempt(BEN, EXPIRES_MS)
        assert await store.sweep(EXPIRES_MS + 1) == 2
        # Read with an earlier time: it is deleted, not only expired.
        assert await store.load(ADA, NOW_MS) is None
        assert await store.claim_attempt(BEN, NOW_MS) is None
        assert await tickets_of(store) == []
        assert await store.find_code(USER, NOW_MS) is None
