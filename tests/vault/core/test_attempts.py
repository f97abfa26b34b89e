"""The waiting times after wrong secrets (VAULT §6.3)."""

from vault.core.attempts import Attempts, wait_ms

S, H = 1000, 3_600_000


def after(count: int, now_ms: int) -> Attempts:
    """The state after ``count`` attempts, each made as early as it is looked at."""
    attempts = Attempts()
    for _ in range(count):
        now_ms = max(now_ms, attempts.waits_until_ms)
        attempts, is_looked_at = attempts.counted(now_ms)
        assert is_looked_at
    return attempts


def test_five_attempts_are_free_and_then_the_wait_doubles() -> None:
    waits = [wait_ms(count) for count in range(1, 20)]
    assert waits[:8] == [0, 0, 0, 0, 30 * S, 60 * S, 120 * S, 240 * S]
    assert waits[-3:] == [24 * H] * 3
    assert wait_ms(10**9) == 24 * H


def test_an_attempt_while_the_server_waits_is_neither_looked_at_nor_counted() -> None:
    attempts = after(5, now_ms=7 * S)
    assert attempts.waits_until_ms == 37 * S
    assert attempts.counted(37 * S - 1) == (attempts, False)
    later, is_looked_at = attempts.counted(37 * S)
    assert is_looked_at
    assert (later.count, later.waits_until_ms) == (6, 97 * S)


def test_the_count_is_zero_again_after_30_days_without_an_attempt() -> None:
    attempts = after(9, now_ms=0)
    month = 30 * 24 * H
    assert attempts.counted(attempts.last_ms + month - 1)[0].count == 10
    again, is_looked_at = attempts.counted(attempts.last_ms + month)
    assert is_looked_at
    assert (again.count, again.waits_until_ms - again.last_ms) == (1, 0)
