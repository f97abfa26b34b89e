"""What people paste, and the code in it: every case of spec/vectors/typed (PROTOCOL §4.6)."""

import json

import pytest
from processes import ROOT

from protocol.common.codes import Code
from protocol.common.typed_codes import MAX_PASTED_CHARS, NoCode, read_classic_code, read_code

FILE = ROOT / "spec" / "vectors" / "typed" / "codes.json"
READERS = {"hardened": read_code, "classic": read_classic_code}
CASES = json.loads(FILE.read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_vector(case: dict[str, str]) -> None:
    found = READERS[case["suite"]](case["text"])
    if case["expect"] == "ok":
        assert found == Code(case["code"])
    else:
        assert found is NoCode(case["expect"])


@pytest.mark.parametrize(
    "text",
    ["a\u0328\u0301" * 5_000, "\ufdfa" * MAX_PASTED_CHARS, "waitsforit0" * 1_400, "7" * 10**6],
)
def test_a_text_that_is_made_to_take_long(text: str) -> None:
    for read in READERS.values():
        assert read(text) is NoCode.ABSENT
