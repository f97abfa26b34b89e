"""When a reset can replace an account (VAULT §12)."""

from vault.core.resets import HOUR_MS, hour_of_request, hours_left, is_due, is_open

DAY = 24 * HOUR_MS


def test_the_hour_of_a_request_is_rounded_up() -> None:
    assert [hour_of_request(now) for now in (0, 1, HOUR_MS, HOUR_MS + 1)] == [0, 1, 1, 2]


def test_a_reset_is_due_from_7_to_30_days_after_its_hour() -> None:
    hour, start = 5, 5 * HOUR_MS
    assert [is_due(hour, start + day * DAY) for day in (0, 6, 7, 29)] == [False, False, True, True]
    assert not is_due(hour, start + 7 * DAY - 1)
    assert is_due(hour, start + 30 * DAY - 1)
    assert not is_due(hour, start + 30 * DAY)
    assert is_open(hour, start)
    assert is_open(hour, start + 30 * DAY - 1)
    assert not is_open(hour, start + 30 * DAY)


def test_the_hours_left_are_rounded_up_and_never_negative() -> None:
    hour, start = 5, 5 * HOUR_MS
    assert hours_left(hour, start - 1) == 169
    assert hours_left(hour, start) == 168
    assert hours_left(hour, start + 7 * DAY - 1) == 1
    assert hours_left(hour, start + 7 * DAY) == hours_left(hour, start + 8 * DAY) == 0
