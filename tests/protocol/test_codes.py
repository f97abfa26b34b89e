"""Tokens, codes and names of users (PROTOCOL §1.5, §1.6)."""

import re
import unicodedata

import pytest
from peer import seeded

from protocol.common.codes import (
    CLASSIC_CODE_CHARS,
    CLASSIC_MIN_CODE_BITS,
    CODE_ALPHABET,
    MAX_USERNAME_CHARS,
    PASSWORD_MIN_CODE_BITS,
    SESSION_ID_BYTES,
    Code,
    mint_code,
    mint_token,
    normalise_username,
    session_id,
)
from protocol.common.errors import RejectedMessage


def test_the_alphabet_is_that_of_crockford() -> None:
    assert len(set(CODE_ALPHABET)) == 32
    assert set("ILOU") & set(CODE_ALPHABET) == set()
    assert "".join(sorted(CODE_ALPHABET)) == CODE_ALPHABET


def test_every_byte_of_entropy_gives_a_character_and_all_are_as_likely() -> None:
    code = mint_code(lambda length: bytes(range(256))[:length], 256)
    assert {code.text.count(char) for char in CODE_ALPHABET} == {8}


def test_a_classic_code_has_at_least_128_bits() -> None:
    code = mint_code(seeded("code"))
    assert len(code.text) == CLASSIC_CODE_CHARS
    assert code.bits == 130 >= CLASSIC_MIN_CODE_BITS > PASSWORD_MIN_CODE_BITS
    assert mint_code(seeded("other")) != code


def test_entropy_is_asked_for_exactly_what_is_needed() -> None:
    asked = []

    def draw(length: int) -> bytes:
        asked.append(length)
        return bytes(length)

    assert mint_code(draw, 8).text == "0" * 8
    assert mint_token(draw) == "00000000-0000-0000-0000-000000000000"
    assert asked == [8, 16]


def test_a_code_does_not_show_itself() -> None:
    code = mint_code(seeded("code"))
    assert code.text not in repr(code)
    assert code.text not in f"{code}"


def test_a_token_is_128_bits_in_the_shape_of_a_guid() -> None:
    token = mint_token(lambda length: bytes(range(length)))
    assert token == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", mint_token(seeded("t")))


def test_a_session_id_stands_for_its_token_alone() -> None:
    token = mint_token(seeded("t"))
    found = session_id(token)
    assert len(found) == SESSION_ID_BYTES
    assert found == session_id(token)
    assert found != session_id(token.upper())
    assert found.hex() not in token.replace("-", "")


@pytest.mark.parametrize("token", ["", "\0", "\ud800", "\u00e9" * 10_000])
def test_any_text_has_a_session_id(token: str) -> None:
    # A token is not checked before it is looked up: what was never issued finds nothing.
    assert len(session_id(token)) == SESSION_ID_BYTES


@pytest.mark.parametrize(
    "name",
    ["ada@example.org", "\u00e9lo\u00efse", "stra\u00dfe", "\u0130stanbul", "\u03a3\u03c3\u03c2"],
)
def test_all_forms_of_a_name_are_one_account(name: str) -> None:
    forms = {
        unicodedata.normalize(form, case(name))
        for form in ("NFC", "NFD")
        for case in (str, str.casefold)
    }
    assert len({normalise_username(f" {form}  ") for form in forms}) == 1


def test_names_that_only_look_alike_are_different() -> None:
    assert normalise_username("ada") != normalise_username("\u0430da")


def test_spaces_inside_a_name_are_its_own() -> None:
    assert normalise_username(" Ada  Lovelace ") == "ada  lovelace"


def test_the_length_counts_after_folding() -> None:
    assert normalise_username("\u00df" * (MAX_USERNAME_CHARS // 2)) == "ss" * 127
    with pytest.raises(RejectedMessage, match="254"):
        normalise_username("\u00df" * (MAX_USERNAME_CHARS // 2 + 1))


def test_what_is_far_too_long_is_not_even_normalised() -> None:
    with pytest.raises(RejectedMessage, match="254"):
        normalise_username(" " * 4 * MAX_USERNAME_CHARS + "ada")


@pytest.mark.parametrize("name", ["ada\r\nBcc: x", "\ufeffada", "ada\ud800", "a\u2066b", "\x1bada"])
def test_control_characters_are_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(RejectedMessage) as raised:
        normalise_username(name)
    assert "ada" not in str(raised.value)


def test_code_text_is_part_of_equality() -> None:
    assert Code("A") == Code("A") != Code("B")
