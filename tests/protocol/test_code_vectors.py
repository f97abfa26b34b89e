"""Texts that people paste, and the code in each (PROTOCOL §1.6.2)."""

import pytest
from vector_files import Json, read

from protocol.common.codes import Code
from protocol.common.typed_codes import MAX_PASTED_CHARS, NoCode, read_classic_code, read_code

READERS = {"hardened": read_code, "classic": read_classic_code}
LOADED = read("typed_codes")


@pytest.mark.parametrize("case", LOADED.values(), ids=LOADED)
def test_vector(case: Json) -> None:
    found = READERS[case["input"]["suite"]](case["input"]["text"])
    if case["expect"] == "ok":
        assert found == Code(case["output"]["code"])
    else:
        assert found is NoCode(case["expect"])


@pytest.mark.parametrize(
    "text",
    ["a\u0328\u0301" * 5_000, "\ufdfa" * MAX_PASTED_CHARS, "waitsforit0" * 1_400, "7" * 10**6],
)
def test_a_text_that_is_made_to_take_long(text: str) -> None:
    for reader in READERS.values():
        assert reader(text) is NoCode.ABSENT
