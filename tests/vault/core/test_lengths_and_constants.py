"""The lengths that a sealed note can have, and the constants of SPAKE2+."""

import pytest

from protocol.hardened.spake2 import M_BYTES, N_BYTES
from vault.core import spake2plus
from vault.core.sealed_values import MAX_SEALED_NOTE_BYTES, is_padded_note


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, False), (29, False), (4124, False), (4125, True), (4126, False), (8221, True)],
)
def test_a_sealed_note_has_whole_pages(length: int, expected: bool) -> None:
    assert is_padded_note(bytes(length)) == expected
    assert is_padded_note(bytes(MAX_SEALED_NOTE_BYTES))


def test_the_constants_are_those_of_the_rfc() -> None:
    spake2plus._constants.cache_clear()
    assert [point.encode() for point in spake2plus._constants()] == [M_BYTES, N_BYTES]
