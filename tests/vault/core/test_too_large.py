"""What is above a limit is refused as too large, so a client can say so (VAULT §15)."""

import pytest

from vault.core.bodies import MAX_BODY_BYTES, Body, serialized
from vault.core.errors import TooLarge
from vault.core.messages import MAX_DEVICES, sealed_note
from vault.core.sealed_values import MAX_SEALED_NOTE_BYTES


def test_a_body_a_list_and_a_note_have_limits() -> None:
    with pytest.raises(TooLarge):
        Body.parse(bytes(MAX_BODY_BYTES + 1))
    listed = serialized(devices=[{}] * (MAX_DEVICES + 1))
    with pytest.raises(TooLarge):
        Body.parse(listed).list("devices", MAX_DEVICES)
    with pytest.raises(TooLarge):
        sealed_note(bytes(MAX_SEALED_NOTE_BYTES + 1))
    assert len(sealed_note(bytes(MAX_SEALED_NOTE_BYTES))) == MAX_SEALED_NOTE_BYTES
