"""The tests of every store (``gateway/stores``, PROTOCOL §3.7.1).

``hardened_store_contract.py`` has those for the hardened suites.

The test class of a store derives from ``StoreContract`` and defines the fixture ``store``: an open,
empty store. Times are small numbers here, because a store never reads a clock.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from hardened_store_contract import USER, HardenedStoreContract, in_turns

from gateway.errors import RateLimited, StoreUnavailable
from gateway.stores import MAIL_LIMIT, MAIL_WINDOW_MS, Counter, SessionCaps, Store
from protocol.classic.freshness import MAX_MESSAGES, PASSPHRASE_ATTEMPTS, TAG_BYTES, NonceClaim
from protocol.common.codes import CODE_ATTEMPTS
from protocol.common.errors import LocalProtocolError

NOW_MS = 1_000_000
EXPIRES_MS = NOW_MS + 600_000
ANN, BOB, NOBODY = b"ann" + bytes(13), b"bob" + bytes(13), b"nobody" + bytes(10)
LOGIN, SESSION = b"a sealed login", b"a sealed session"


def tag(name: object) -> bytes:
    """16 bytes that differ for every ``name``."""
    return str(name).encode().rjust(TAG_BYTES, b"\x00")


def message(number: object) -> NonceClaim:
    """The claim of a message with its own nonce and passphrase."""
    return NonceClaim(tag(f"n {number}"), tag(f"p {number}"))


async def reach_awaiting_code(store: Store, key: bytes = ANN) -> None:
    await store.add_login(key, LOGIN, EXPIRES_MS, USER)


async def reach_code_claimed(store: Store, key: bytes = ANN) -> None:
    await reach_awaiting_code(store, key)
    assert await store.claim_code(key, NOW_MS) == LOGIN


async def reach_enrolled(store: Store, key: bytes = ANN) -> None:
    await reach_code_claimed(store, key)
    assert await store.enrol(key, SESSION, EXPIRES_MS)


async def reach_closed(store: Store, key: bytes = ANN) -> None:
    await reach_enrolled(store, key)
    await store.end(key)


async def state_of(store: Store, key: bytes = ANN) -> str:
    """The state of a session, found by calls that can change it."""
    if await store.load(key, NOW_MS) is not None:
        return "ENROLLED"
    if await store.claim_code(key, NOW_MS) is not None:
        return "AWAITING_CODE"
    return "CODE_CLAIMED" if await store.enrol(key, SESSION, EXPIRES_MS) else "CLOSED"


Reach = Callable[[Store], Awaitable[None]]
REACH: dict[str, Reach] = {
    "AWAITING_CODE": reach_awaiting_code,
    "CODE_CLAIMED": reach_code_claimed,
    "ENROLLED": reach_enrolled,
    "CLOSED": reach_closed,
}


class StoreContract(HardenedStoreContract):
    """Inherit, and define the fixture ``store``."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("a store's test class gives the store")

    # --- the steps of §3.7.1 ---

    @pytest.mark.parametrize("state", REACH)
    async def test_states_are_told_apart(self, store: Store, state: str) -> None:
        await REACH[state](store)
        assert await state_of(store) == state

    async def test_code_claimed_gives_the_login_as_it_was_sealed(self, store: Store) -> None:
        sealed = bytes(range(256)) * 8
        await store.add_login(ANN, sealed, EXPIRES_MS, USER)
        assert await store.claim_code(ANN, NOW_MS) == sealed

    @pytest.mark.parametrize("state", ["CODE_CLAIMED", "ENROLLED", "CLOSED"])
    async def test_no_code_waits_in_another_state(self, store: Store, state: str) -> None:
        await REACH[state](store)
        assert await store.claim_code(ANN, NOW_MS) is None
        assert await state_of(store) == state

    async def test_code_refused_gives_the_code_back(self, store: Store) -> None:
        await reach_code_claimed(store)
        await store.release_code(ANN)
        assert await store.claim_code(ANN, NOW_MS) == LOGIN

    @pytest.mark.parametrize("state", ["AWAITING_CODE", "ENROLLED", "CLOSED"])
    async def test_release_in_another_state_changes_nothing(self, store: Store, state: str) -> None:
        await REACH[state](store)
        await store.release_code(ANN)
        assert await state_of(store) == state

    async def test_attempts_spent(self, store: Store) -> None:
        await reach_awaiting_code(store)
        for _ in range(CODE_ATTEMPTS):
            assert await store.claim_code(ANN, NOW_MS) == LOGIN
            await store.release_code(ANN)
        assert await store.claim_code(ANN, NOW_MS) is None
        assert await state_of(store) == "CLOSED"

    async def test_the_last_attempt_may_succeed(self, store: Store) -> None:
        await reach_awaiting_code(store)
        for _ in range(CODE_ATTEMPTS - 1):
            assert await store.claim_code(ANN, NOW_MS) == LOGIN
            await store.release_code(ANN)
        assert await store.claim_code(ANN, NOW_MS) == LOGIN
        assert await store.enrol(ANN, SESSION, EXPIRES_MS)
        assert await store.load(ANN, NOW_MS) == SESSION

    async def test_releasing_twice_gives_no_attempt_back(self, store: Store) -> None:
        await reach_awaiting_code(store)
        tries = 0
        while await store.claim_code(ANN, NOW_MS) is not None and tries < 20:
            tries += 1
            await store.release_code(ANN)
            await store.release_code(ANN)
        assert tries == CODE_ATTEMPTS

    async def test_a_claimed_code_stays_claimed(self, store: Store) -> None:
        # The state after a crash between claim and release: this code cannot be tried again.
        await reach_code_claimed(store)
        for now_ms in (NOW_MS, NOW_MS + 1, EXPIRES_MS, EXPIRES_MS + 1):
            assert await store.claim_code(ANN, now_ms) is None

    async def test_client_enrolled_replaces_record_and_expiry(self, store: Store) -> None:
        await reach_code_claimed(store)
        later_ms = EXPIRES_MS + 5000
        assert await store.enrol(ANN, SESSION, later_ms)
        assert await store.load(ANN, later_ms) == SESSION
        assert await store.load(ANN, later_ms + 1) is None

    @pytest.mark.parametrize("state", ["AWAITING_CODE", "ENROLLED", "CLOSED"])
    async def test_enrol_in_another_state(self, store: Store, state: str) -> None:
        await REACH[state](store)
        assert not await store.enrol(ANN, b"another record", EXPIRES_MS + 1)
        if state == "ENROLLED":
            assert await store.load(ANN, NOW_MS) == SESSION
            assert await store.load(ANN, EXPIRES_MS + 1) is None
        assert await state_of(store) == state

    @pytest.mark.parametrize("state", ["AWAITING_CODE", "CODE_CLAIMED", "CLOSED"])
    async def test_only_an_enrolled_session_is_loaded(self, store: Store, state: str) -> None:
        await REACH[state](store)
        assert await store.load(ANN, NOW_MS) is None

    @pytest.mark.parametrize("state", ["AWAITING_CODE", "CODE_CLAIMED", "CLOSED"])
    async def test_only_an_enrolled_session_takes_messages(self, store: Store, state: str) -> None:
        await REACH[state](store)
        assert not await store.claim(ANN, message(1), NOW_MS)
        assert await state_of(store) == state

    @pytest.mark.parametrize("state", REACH)
    async def test_end_closes_from_any_state(self, store: Store, state: str) -> None:
        await REACH[state](store)
        await store.end(ANN)
        assert await state_of(store) == "CLOSED"

    @pytest.mark.parametrize("state", ["CODE_CLAIMED", "ENROLLED"])
    async def test_an_id_in_use_does_not_begin_again(self, store: Store, state: str) -> None:
        # §3.7.1 has SessionRequested in NEW only. A store can raise an error, or not.
        await REACH[state](store)
        with contextlib.suppress(LocalProtocolError, StoreUnavailable):
            await store.add_login(ANN, b"another login", EXPIRES_MS, USER)
        assert await state_of(store) == state

    async def test_unknown_ids_everywhere(self, store: Store) -> None:
        await reach_enrolled(store, BOB)
        assert await store.claim_code(NOBODY, NOW_MS) is None
        await store.release_code(NOBODY)
        assert not await store.enrol(NOBODY, SESSION, EXPIRES_MS)
        assert await store.load(NOBODY, NOW_MS) is None
        assert not await store.claim(NOBODY, message(1), NOW_MS)
        await store.end(NOBODY)
        assert await store.load(BOB, NOW_MS) == SESSION
        assert await store.claim(BOB, message(1), NOW_MS)

    async def test_a_store_that_works_answers_a_ping(self, store: Store) -> None:
        await store.ping()

    async def test_an_empty_store_sweeps_nothing(self, store: Store) -> None:
        assert await store.sweep(NOW_MS) == 0

    # --- the edges of time ---

    async def test_a_code_lives_through_its_last_millisecond(self, store: Store) -> None:
        await reach_awaiting_code(store)
        assert await store.claim_code(ANN, EXPIRES_MS) == LOGIN

    async def test_a_code_is_gone_one_millisecond_later(self, store: Store) -> None:
        await reach_awaiting_code(store)
        assert await store.claim_code(ANN, EXPIRES_MS + 1) is None

    async def test_a_session_lives_through_its_last_millisecond(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.load(ANN, EXPIRES_MS) == SESSION
        assert await store.claim(ANN, message(1), EXPIRES_MS)

    async def test_a_session_is_gone_one_millisecond_later(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.load(ANN, EXPIRES_MS + 1) is None
        assert not await store.claim(ANN, message(1), EXPIRES_MS + 1)

    async def test_a_claim_that_came_too_late_was_not_made(self, store: Store) -> None:
        await reach_enrolled(store)
        assert not await store.claim(ANN, message(1), EXPIRES_MS + 1)
        assert await store.claim(ANN, message(1), EXPIRES_MS)

    # --- claims ---

    async def test_a_message_is_claimed_once(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.claim(ANN, message(1), NOW_MS)
        assert not await store.claim(ANN, message(1), NOW_MS)
        assert not await store.claim(ANN, message(1), EXPIRES_MS)

    async def test_a_claim_leaves_the_session_as_it_is(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.claim(ANN, message(1), NOW_MS)
        assert await store.load(ANN, NOW_MS) == SESSION
        assert await store.claim(ANN, message(2), NOW_MS)

    async def test_the_same_nonce_with_a_new_passphrase(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.claim(ANN, NonceClaim(tag("n"), tag("p")), NOW_MS)
        assert not await store.claim(ANN, NonceClaim(tag("n"), tag("new p")), NOW_MS)

    async def test_the_same_passphrase_with_a_new_nonce(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.claim(ANN, NonceClaim(tag("n"), tag("p")), NOW_MS)
        assert not await store.claim(ANN, NonceClaim(tag("new n"), tag("p")), NOW_MS)

    async def test_a_failed_claim_stores_neither_tag(self, store: Store) -> None:
        # Otherwise a changed replay could use up the nonce of a message that has not arrived yet.
        await reach_enrolled(store)
        assert await store.claim(ANN, NonceClaim(tag("n"), tag("p")), NOW_MS)
        assert not await store.claim(ANN, NonceClaim(tag("n"), tag("free p")), NOW_MS)
        assert not await store.claim(ANN, NonceClaim(tag("free n"), tag("p")), NOW_MS)
        assert await store.claim(ANN, NonceClaim(tag("free n"), tag("free p")), NOW_MS)

    async def test_sessions_do_not_share_claims(self, store: Store) -> None:
        await reach_enrolled(store, ANN)
        await reach_enrolled(store, BOB)
        assert await store.claim(ANN, message(1), NOW_MS)
        assert await store.claim(BOB, message(1), NOW_MS)

    async def test_of_many_equal_claims_one_wins(self, store: Store) -> None:
        await reach_enrolled(store)
        for number in range(20):
            tries = [store.claim(ANN, message(number), NOW_MS) for _ in range(25)]
            assert sorted(await asyncio.gather(*tries)) == [False] * 24 + [True]

    async def test_of_many_claims_with_one_tag_in_common_one_wins(self, store: Store) -> None:
        await reach_enrolled(store)
        by_nonce = [NonceClaim(tag("one nonce"), tag(f"p {n}")) for n in range(20)]
        by_passphrase = [NonceClaim(tag(f"n {n}"), tag("one passphrase")) for n in range(20)]
        for claims in (by_nonce, by_passphrase):
            results = await asyncio.gather(*(store.claim(ANN, c, NOW_MS) for c in claims))
            assert results.count(True) == 1

    async def test_many_different_claims_at_once_all_win(self, store: Store) -> None:
        await reach_enrolled(store)
        results = await asyncio.gather(*(store.claim(ANN, message(n), NOW_MS) for n in range(100)))
        assert all(results)

    async def test_the_message_after_the_last_closes_the_session(self, store: Store) -> None:
        await reach_enrolled(store)
        await reach_enrolled(store, BOB)
        first = message(0).passphrase_tag
        tries = (
            store.try_passphrase(ANN, message(n).passphrase_tag, NOW_MS)
            for n in range(MAX_MESSAGES)
        )
        assert all(await in_turns(tries))
        # A passphrase that was counted before is not a new one; nor is a replay.
        assert await store.try_passphrase(ANN, first, NOW_MS)
        assert await store.claim(ANN, message(1), NOW_MS)
        assert not await store.try_passphrase(ANN, message(1).passphrase_tag, NOW_MS)
        assert await store.load(ANN, NOW_MS) == SESSION
        assert not await store.try_passphrase(ANN, tag("one more"), NOW_MS)
        assert await store.load(ANN, NOW_MS) is None
        assert not await store.try_passphrase(ANN, first, NOW_MS)
        assert not await store.claim(ANN, message(0), NOW_MS)
        assert await state_of(store) == "CLOSED"
        assert await store.load(BOB, NOW_MS) == SESSION

    # --- tries of a passphrase ---

    async def test_a_passphrase_is_tried_five_times(self, store: Store) -> None:
        await reach_enrolled(store)
        tries = [await store.try_passphrase(ANN, tag("p"), NOW_MS) for _ in range(7)]
        assert tries == [True] * PASSPHRASE_ATTEMPTS + [False] * 2
        assert await store.try_passphrase(ANN, tag("another p"), NOW_MS)
        # The message of these tries can still be claimed.
        assert await store.claim(ANN, NonceClaim(tag("n"), tag("p")), NOW_MS)

    async def test_a_claimed_passphrase_is_not_tried_again(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.try_passphrase(ANN, tag("p"), NOW_MS)
        assert await store.claim(ANN, NonceClaim(tag("n"), tag("p")), NOW_MS)
        assert not await store.try_passphrase(ANN, tag("p"), NOW_MS)

    async def test_parallel_tries_are_all_counted(self, store: Store) -> None:
        await reach_enrolled(store)
        tries = [store.try_passphrase(ANN, tag("p"), NOW_MS) for _ in range(50)]
        assert sum(await asyncio.gather(*tries)) == PASSPHRASE_ATTEMPTS

    async def test_only_an_open_session_is_tried_in(self, store: Store) -> None:
        await reach_enrolled(store)
        assert not await store.try_passphrase(NOBODY, tag("p"), NOW_MS)
        assert await store.try_passphrase(ANN, tag("p"), EXPIRES_MS)
        assert not await store.try_passphrase(ANN, tag("p"), EXPIRES_MS + 1)
        await store.end(ANN)
        assert not await store.try_passphrase(ANN, tag("p"), NOW_MS)

    # --- codes, in parallel ---

    async def test_of_many_guesses_at_once_one_is_evaluated(self, store: Store) -> None:
        await reach_awaiting_code(store)
        results = await asyncio.gather(*(store.claim_code(ANN, NOW_MS) for _ in range(50)))
        assert [result for result in results if result is not None] == [LOGIN]

    async def test_of_many_guesses_that_release_five_are_evaluated(self, store: Store) -> None:
        await reach_awaiting_code(store)

        async def guess() -> int:
            if await store.claim_code(ANN, NOW_MS) is None:
                return 0
            await asyncio.sleep(0)
            await store.release_code(ANN)
            return 1

        evaluated = 0
        for _ in range(10):
            evaluated += sum(await asyncio.gather(*(guess() for _ in range(20))))
        assert evaluated == CODE_ATTEMPTS

    async def test_of_many_enrolments_at_once_one_wins(self, store: Store) -> None:
        await reach_code_claimed(store)
        records = [b"record %d" % number for number in range(20)]
        results = await asyncio.gather(*(store.enrol(ANN, r, EXPIRES_MS) for r in records))
        assert results.count(True) == 1
        assert await store.load(ANN, NOW_MS) == records[results.index(True)]

    # --- caps ---

    async def test_a_user_has_as_many_sessions_as_he_may(self, store: Store) -> None:
        caps = SessionCaps(2, 0, NOW_MS)
        for number, ends_ms in enumerate((EXPIRES_MS, NOW_MS + 9_001)):
            await reach_code_claimed(store, tag(number))
            assert await store.enrol(tag(number), SESSION, ends_ms, caps)
        await reach_code_claimed(store, ANN)
        with pytest.raises(RateLimited) as caught:
            await store.enrol(ANN, SESSION, EXPIRES_MS, caps)
        # It is open until 9.001 s, so it has ended after ten.
        assert caught.value.retry_after_s == 10
        assert await store.load(ANN, NOW_MS) is None
        await store.add_login(BOB, LOGIN, EXPIRES_MS, tag("another user"))
        assert await store.claim_code(BOB, NOW_MS)
        assert await store.enrol(BOB, SESSION, EXPIRES_MS, caps)
        # The login has not changed: it continues as soon as the limit allows it.
        await store.end(tag(0))
        assert await store.enrol(ANN, SESSION, EXPIRES_MS, caps)

    async def test_all_users_have_as_many_sessions_as_they_may(self, store: Store) -> None:
        caps = SessionCaps(0, 2, NOW_MS)
        for number in range(3):
            await store.add_login(tag(number), LOGIN, EXPIRES_MS, tag(f"user {number}"))
            assert await store.claim_code(tag(number), NOW_MS)
        for number in range(2):
            assert await store.enrol(tag(number), SESSION, NOW_MS, caps)
        with pytest.raises(RateLimited) as caught:
            await store.enrol(tag(2), SESSION, EXPIRES_MS, caps)
        assert caught.value.retry_after_s == 1
        # The others have expired by then, swept or not.
        assert await store.enrol(tag(2), SESSION, EXPIRES_MS, SessionCaps(0, 2, NOW_MS + 1))

    async def test_logins_do_not_count_as_sessions(self, store: Store) -> None:
        for number in range(5):
            await reach_code_claimed(store, tag(number))
        assert await store.enrol(tag(0), SESSION, EXPIRES_MS, SessionCaps(1, 1, NOW_MS))

    async def test_a_state_that_takes_no_session_is_told_before_a_cap(self, store: Store) -> None:
        await reach_enrolled(store, BOB)
        await reach_awaiting_code(store)
        assert not await store.enrol(ANN, SESSION, EXPIRES_MS, SessionCaps(1, 1, NOW_MS))

    async def test_no_cap_lets_all_in(self, store: Store) -> None:
        for number in range(5):
            await reach_code_claimed(store, tag(number))
            assert await store.enrol(tag(number), SESSION, EXPIRES_MS, SessionCaps(0, 0, NOW_MS))

    async def test_of_many_enrolments_at_once_as_many_win_as_may(self, store: Store) -> None:
        keys = [tag(number) for number in range(20)]
        for key in keys:
            await reach_code_claimed(store, key)
        caps = SessionCaps(3, 0, NOW_MS)
        results = await asyncio.gather(
            *(store.enrol(key, SESSION, EXPIRES_MS, caps) for key in keys), return_exceptions=True
        )
        assert results.count(True) == 3
        assert sum(isinstance(result, RateLimited) for result in results) == 17
        assert await store.count_sessions(NOW_MS) == 3

    async def test_open_sessions_are_counted(self, store: Store) -> None:
        assert await store.count_sessions(NOW_MS) == 0
        await reach_awaiting_code(store, tag("awaiting"))
        await reach_code_claimed(store, tag("claimed"))
        await reach_closed(store, tag("closed"))
        await reach_enrolled(store, ANN)
        await reach_enrolled(store, BOB)
        assert await store.count_sessions(EXPIRES_MS) == 2
        assert await store.count_sessions(EXPIRES_MS + 1) == 0
        await store.end(ANN)
        assert await store.count_sessions(NOW_MS) == 1

    # --- counters ---

    async def test_a_counter_counts_for_its_time(self, store: Store) -> None:
        counted = [await store.count(b"a key", n, 1000, NOW_MS + n) for n in (1, 2, 3)]
        assert counted == [Counter(value, NOW_MS + 1001) for value in (1, 3, 6)]
        assert await store.count(b"a key", 1, 1000, NOW_MS + 1001) == Counter(7, NOW_MS + 1001)
        assert await store.count(b"a key", 2, 500, NOW_MS + 1002) == Counter(2, NOW_MS + 1502)

    async def test_a_clock_that_was_ahead_leaves_no_counter_behind(self, store: Store) -> None:
        await store.count(b"a key", 5, 1000, NOW_MS + MAIL_WINDOW_MS)
        assert await store.count(b"a key", 1, 1000, NOW_MS) == Counter(6, NOW_MS + 1000)
        assert await store.count(b"a key", 1, 1000, NOW_MS + 1001) == Counter(1, NOW_MS + 2001)

    async def test_looking_at_a_counter_changes_nothing(self, store: Store) -> None:
        assert await store.count(b"a key", 0, 1000, NOW_MS) == Counter(0, NOW_MS + 1000)
        assert await store.count(b"a key", 1, 1000, NOW_MS + 7) == Counter(1, NOW_MS + 1007)
        assert await store.count(b"a key", 0, 5000, NOW_MS + 8) == Counter(1, NOW_MS + 1007)

    async def test_counters_are_told_apart_by_all_of_their_key(self, store: Store) -> None:
        keys = [b"", b"a", b"a\x00", bytes(range(256)), b"a" * 1000]
        for amount, key in enumerate(keys, 1):
            assert (await store.count(key, amount, 1000, NOW_MS)).value == amount
        assert [(await store.count(key, 0, 1000, NOW_MS)).value for key in keys] == [1, 2, 3, 4, 5]

    async def test_parallel_counts_are_all_counted(self, store: Store) -> None:
        counted = await asyncio.gather(*(store.count(b"k", 1, 1000, NOW_MS) for _ in range(50)))
        assert sorted(counter.value for counter in counted) == list(range(1, 51))

    async def test_a_sweep_keeps_the_counters_that_still_count(self, store: Store) -> None:
        await store.count(b"a key", 5, 1000, NOW_MS)
        assert await store.sweep(NOW_MS + 1000) == 0
        assert (await store.count(b"a key", 0, 1000, NOW_MS + 1000)).value == 5
        assert await store.sweep(NOW_MS + 1001) == 0
        assert (await store.count(b"a key", 0, 1000, NOW_MS + 1001)).value == 0

    # --- mails ---

    async def test_three_mails_in_fifteen_minutes(self, store: Store) -> None:
        assert MAIL_LIMIT == 3
        counted = [await store.count_mail(tag("ann"), NOW_MS + n) for n in range(5)]
        assert counted == [True, True, True, False, False]

    async def test_the_window_of_mails_slides(self, store: Store) -> None:
        for at_ms in (NOW_MS, NOW_MS + 10, NOW_MS + 20):
            assert await store.count_mail(tag("ann"), at_ms)
        assert not await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS - 1)
        assert await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS)
        assert not await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS + 9)
        assert await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS + 10)

    async def test_a_clock_that_was_ahead_keeps_no_mail_back(self, store: Store) -> None:
        for _ in range(3):
            assert await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS)
        assert not await store.count_mail(tag("ann"), NOW_MS + 1)
        counted = [await store.count_mail(tag("ann"), NOW_MS) for _ in range(4)]
        assert counted == [True, True, True, False]

    async def test_a_mail_over_the_limit_does_not_lengthen_the_wait(self, store: Store) -> None:
        for _ in range(3):
            assert await store.count_mail(tag("ann"), NOW_MS)
        for minute in range(1, 15):
            assert not await store.count_mail(tag("ann"), NOW_MS + minute * 60_000)
        assert await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS)

    async def test_users_have_mails_of_their_own(self, store: Store) -> None:
        for _ in range(4):
            await store.count_mail(tag("ann"), NOW_MS)
        assert await store.count_mail(tag("bob"), NOW_MS)

    async def test_of_many_mails_at_once_three_go_out(self, store: Store) -> None:
        results = await asyncio.gather(*(store.count_mail(tag("ann"), NOW_MS) for _ in range(30)))
        assert results.count(True) == MAIL_LIMIT

    async def test_a_sweep_keeps_the_mails_that_still_count(self, store: Store) -> None:
        for _ in range(3):
            assert await store.count_mail(tag("ann"), NOW_MS)
        assert await store.sweep(NOW_MS + MAIL_WINDOW_MS - 1) == 0
        assert not await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS - 1)
        assert await store.sweep(NOW_MS + MAIL_WINDOW_MS) == 0
        assert await store.count_mail(tag("ann"), NOW_MS + MAIL_WINDOW_MS)

    # --- sweeping ---

    async def test_a_sweep_removes_exactly_what_has_expired(self, store: Store) -> None:
        states = [name for name in REACH if name != "CLOSED"]
        for number, at_ms in enumerate((EXPIRES_MS - 1, EXPIRES_MS, EXPIRES_MS + 1)):
            for name in states:
                key = tag(f"{name} {number}")
                await store.add_login(key, LOGIN, at_ms, USER)
                if name != "AWAITING_CODE":
                    assert await store.claim_code(key, NOW_MS) == LOGIN
                if name == "ENROLLED":
                    assert await store.enrol(key, SESSION, at_ms)
        # Open until expires_ms itself, so at the first of the three times only.
        assert await store.sweep(EXPIRES_MS) == len(states)
        assert await store.sweep(EXPIRES_MS) == 0
        found = {
            (name, number): await state_of(store, tag(f"{name} {number}"))
            for number in range(3)
            for name in states
        }
        kept = {(name, number): name for number in (1, 2) for name in states}
        assert found == kept | {(name, 0): "CLOSED" for name in states}

    async def test_a_sweep_takes_a_claimed_code_from_under_its_login(self, store: Store) -> None:
        await reach_code_claimed(store)
        assert await store.sweep(EXPIRES_MS + 1) == 1
        assert not await store.enrol(ANN, SESSION, EXPIRES_MS + 3_600_000)

    async def test_a_sweep_keeps_the_claims_of_what_it_keeps(self, store: Store) -> None:
        await reach_enrolled(store)
        assert await store.claim(ANN, message(1), NOW_MS)
        assert await store.sweep(EXPIRES_MS) == 0
        assert not await store.claim(ANN, message(1), EXPIRES_MS)
