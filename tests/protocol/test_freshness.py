"""Time, nonces and tags (PROTOCOL §3.6). spec/vectors has single timestamps."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from peer import Peer

from protocol.classic.dialects import DIALECTS, TimestampFormat
from protocol.classic.freshness import (
    MAX_MESSAGES,
    MAX_NONCE_CHARS,
    NonceClaim,
    format_timestamp,
    fresh_nonce,
    is_nonce,
    parse_timestamp,
)
from protocol.common.acceptance import WINDOW_MS
from protocol.common.codec import JsonValue
from protocol.common.errors import StaleTimestamp

NOW = 1_767_225_600_000
KEY = bytes(range(32))


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_edge_of_the_window_is_inside(sign: int) -> None:
    dialect = DIALECTS["article-2016"]
    names = dialect.names

    def nonce_at(stamp: int, window_ms: int) -> str:
        payload: dict[str, JsonValue] = {names.timestamp: stamp, names.nonce: "n"}
        return fresh_nonce(dialect, payload, NOW, window_ms)

    assert nonce_at(NOW + sign * WINDOW_MS, WINDOW_MS) == "n"
    assert nonce_at(NOW, 0) == "n"
    for stamp, window_ms in ((NOW + sign * (WINDOW_MS + 1), WINDOW_MS), (NOW + sign, 0)):
        with pytest.raises(StaleTimestamp):
            nonce_at(stamp, window_ms)


def test_limits_are_those_of_the_protocol() -> None:
    assert (WINDOW_MS, MAX_MESSAGES, MAX_NONCE_CHARS) == (60_000, 4096, 256)


@pytest.mark.parametrize(
    ("form", "ms", "written"),
    [
        ("ms", 0, 0),
        ("ms", NOW + 1, NOW + 1),
        ("s", NOW + 999, NOW // 1000),
        ("s", 0, 0),
        ("iso8601", 0, "1970-01-01T00:00:00.000Z"),
        ("iso8601", NOW - 1, "2025-12-31T23:59:59.999Z"),
        ("iso8601", 951_782_400_000, "2000-02-29T00:00:00.000Z"),
        ("iso8601", 253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_time_is_written_as_the_dialect_wants(
    form: TimestampFormat, ms: int, written: JsonValue
) -> None:
    assert format_timestamp(form, ms) == written
    exact = ms // 1000 * 1000 if form == "s" else ms
    assert parse_timestamp(form, written) == exact


def test_seconds_may_have_a_fraction_and_milliseconds_may_not() -> None:
    assert parse_timestamp("s", 1.2345) == 1234
    assert parse_timestamp("s", 1.9996) == 2000
    assert parse_timestamp("ms", float(NOW)) is None


@pytest.mark.parametrize("form", ["ms", "s", "iso8601"])
@pytest.mark.parametrize(
    "value", [None, True, False, "", "0", [], {}, -1, -0.1, 2**53 + 1, 2**64, 1e300, "Infinity"]
)
def test_whatever_is_no_time_is_none(form: TimestampFormat, value: JsonValue) -> None:
    assert parse_timestamp(form, value) is None


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_json_does_not_have_are_no_time(value: float) -> None:
    # The codec refuses them before; a dialect of another encoding might not.
    assert parse_timestamp("s", value) is None
    assert parse_timestamp("ms", value) is None


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("n", True),
        ("n" * MAX_NONCE_CHARS, True),
        ("\u00e9\0", True),
        ("", False),
        ("n" * (MAX_NONCE_CHARS + 1), False),
        (None, False),
        (7, False),
        (["n"], False),
    ],
)
def test_nonces(value: JsonValue, right: bool) -> None:
    assert is_nonce(value) is right


def claim_of(nonce: str, passphrase: bytes, tag_key: bytes = KEY) -> NonceClaim:
    """The claim of a message in a session with ``tag_key``."""
    keys = replace(Peer().session_keys, tag_key=tag_key)
    return keys.nonce_claim(nonce, keys.passphrase_tag(passphrase))


def test_tags_are_hmacs_under_the_key_of_the_session() -> None:
    claim = claim_of("n\u00e9", b"p" * 32)
    nonce = hmac.new(KEY, b"nonce\0" + "n\u00e9".encode(), hashlib.sha256).digest()
    passphrase = hmac.new(KEY, b"passphrase\0" + b"p" * 32, hashlib.sha256).digest()
    assert (claim.nonce_tag, claim.passphrase_tag) == (nonce[:16], passphrase[:16])


def test_a_nonce_and_a_passphrase_of_the_same_text_have_different_tags() -> None:
    claim = claim_of("x" * 32, b"x" * 32)
    assert claim.nonce_tag != claim.passphrase_tag


def test_tags_of_two_sessions_tell_nothing_of_each_other() -> None:
    first, second = (claim_of("n", b"p", key) for key in (bytes(32), bytes([1]) * 32))
    assert first.nonce_tag != second.nonce_tag
    assert first.passphrase_tag != second.passphrase_tag
