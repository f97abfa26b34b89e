"""The exporter (PROTOCOL §2.5.3): both sides agree, and each input gives a value of its own.

spec/vectors has the values themselves.
"""

from dataclasses import replace

import msgpack
import pytest
from hardened_peer import HardenedPeer
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.hardened.client_session import ClientSession
from protocol.hardened.exporter import (
    MAX_CONTEXT_BYTES,
    MAX_EXPORTED_BYTES,
    MAX_LABEL_CHARS,
    MIN_EXPORTED_BYTES,
    exported_value,
)
from protocol.hardened.records import SessionRecord
from protocol.hardened.suites import ECDH_GCM as SUITE
from protocol.hardened.suites import HARDENED_SUITES, RSA_GCM

SECRET = bytes(range(32))
LABEL = "shop.example device"
by_suite = pytest.mark.parametrize("suite", HARDENED_SUITES)


def of(session: ClientSession | SessionRecord) -> bytes:
    return exported_value(HARDENED_SUITES[session.suite], session.export, LABEL, b"", 32)


def of_both(peer: HardenedPeer, session: ClientSession) -> bytes:
    """The value, which is the same at the client and in the record of the server."""
    record = peer.memory.session(session.session_id)
    assert record is not None
    assert of(record) == of(session)
    return of(session)


@by_suite
def test_each_login_and_each_resumption_has_other_values(suite: str) -> None:
    peer = HardenedPeer(suite)
    session, ticket = peer.login()
    values = [of_both(peer, session), of_both(peer, peer.login()[0])]
    for _ in range(2):
        assert ticket is not None
        session, ticket = peer.resume(ticket)
        values.append(of_both(peer, session))
    assert len(set(values)) == 4


@by_suite
def test_the_values_are_the_same_in_all_epochs(suite: str) -> None:
    peer = HardenedPeer(suite)
    session, _ = peer.login()
    value = of_both(peer, session)
    for _ in range(3):
        _, session = peer.exchange(session)
        session = session.rekeyed(peer.now_ms)
        _, session = peer.exchange(session)
        assert of_both(peer, session) == value


@by_suite
def test_the_secret_is_no_other_secret_of_the_session(suite: str) -> None:
    peer = HardenedPeer(suite)
    session, ticket = peer.login()
    assert ticket is not None
    secrets = [session.export, session.c2s, session.s2c, ticket.secret]
    assert len(set(secrets)) == 4
    assert session.export.hex() not in repr(session)


def test_a_record_of_an_earlier_version_has_no_secret() -> None:
    peer = HardenedPeer()
    session, _ = peer.login()
    record = peer.memory.session(session.session_id)
    assert record is not None
    earlier = SessionRecord.parse(msgpack.packb(msgpack.unpackb(record.serialize())[:-1]))
    assert earlier == replace(record, export=b"")


labels = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=128)
inputs = st.tuples(labels, st.binary(max_size=200), st.integers(16, 100))


@given(one=inputs, other=inputs)
@example(one=("a", b"b", 32), other=("ab", b"", 32))
@example(one=("a", b"\x00", 32), other=("a", b"", 32))
def test_inputs_that_differ_give_values_that_differ(
    one: tuple[str, bytes, int], other: tuple[str, bytes, int]
) -> None:
    values = [exported_value(SUITE, SECRET, *inputs) for inputs in (one, other)]
    assert (values[0] == values[1]) == (one == other)
    assert len(values[0]) == one[2]


@given(text=labels.filter(lambda text: len(text) > 1), data=st.data())
def test_a_label_and_a_context_are_not_only_joined(text: str, data: st.DataObject) -> None:
    cuts = st.integers(1, len(text))
    one, other = data.draw(cuts), data.draw(cuts)
    values = {
        exported_value(SUITE, SECRET, text[:cut], text[cut:].encode(), 32) for cut in (one, other)
    }
    assert len(values) == len({one, other})


@given(inputs, st.integers(16, 100))
def test_a_shorter_value_is_no_prefix(inputs: tuple[str, bytes, int], length: int) -> None:
    label, context, longer = inputs
    values = [exported_value(SUITE, SECRET, label, context, n) for n in (longer, length)]
    assert (values[0][:16] == values[1][:16]) == (longer == length)


def test_suites_and_secrets_that_differ_give_values_that_differ() -> None:
    values = {
        exported_value(suite, secret, LABEL, b"", 32)
        for suite in (SUITE, RSA_GCM)
        for secret in (SECRET, SECRET[::-1])
    }
    assert len(values) == 4


def test_the_limits_are_allowed() -> None:
    label, context = "~" * MAX_LABEL_CHARS, bytes(MAX_CONTEXT_BYTES)
    for length in (MIN_EXPORTED_BYTES, MAX_EXPORTED_BYTES):
        assert len(exported_value(SUITE, SECRET, label, context, length)) == length


@pytest.mark.parametrize(
    ("label", "context", "length", "told"),
    [
        ("", b"", 32, "a label has 1 to 128"),
        ("a" * 129, b"", 32, "a label has 1 to 128"),
        ("caf\u00e9", b"", 32, "printable ASCII"),
        ("a\n", b"", 32, "printable ASCII"),
        ("a\x7f", b"", 32, "printable ASCII"),
        ("a", bytes(65_536), 32, "pass its hash"),
        ("a", b"", 15, "16 to 8160"),
        ("a", b"", 0, "16 to 8160"),
        ("a", b"", -1, "16 to 8160"),
        ("a", b"", 8161, "16 to 8160"),
    ],
)
def test_other_inputs_are_refused(label: str, context: bytes, length: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        exported_value(SUITE, SECRET, label, context, length)
