"""PROTOCOL.md says what the code does: its tables are read and compared."""

import re
from dataclasses import fields
from pathlib import Path

import gateway.stores
from gateway import middleware
from protocol import codec, codes, errors, freshness, messages, primitives, rsa_keys, suites
from protocol.dialects import DEFAULT_DIALECT, DIALECTS, Paths
from protocol.messages import FieldNames
from protocol.session import TRANSITIONS

SPEC = (Path(__file__).parent.parent / "spec" / "PROTOCOL.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without backticks."""
    below = re.split(rf"^#+ {re.escape(heading)}.*$", SPEC, maxsplit=1, flags=re.MULTILINE)[1]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert lines
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|\n").split("|")]
        for line in lines[0].splitlines()
    ]
    return rows[2:]


def test_states() -> None:
    spoken = {(row[0], row[1], row[2]) for row in table("8.1 States")}
    coded = {
        (state.value, event.value, following.value)
        for state, events in TRANSITIONS.items()
        for event, following in events.items()
    }
    assert spoken == coded


def test_dialects() -> None:
    rows = table("2.2 The published dialects")
    assert [row[0].removesuffix(" (default)") for row in rows] == list(DIALECTS)
    for name, aes, code, key, iv, padding in rows:
        dialect = DIALECTS[name.removesuffix(" (default)")]
        assert (dialect.aes, dialect.code_passphrase) == (aes, code)
        assert (dialect.key_derivation, dialect.rsa_padding) == (key, padding)
        assert (iv == "derived") == (dialect.key_derivation == "evp-bytes-to-key")
        assert ("sent" in iv) == (dialect.aes == "gcm")
        assert (dialect.encoding, dialect.timestamp) == ("base64", "ms")
        assert name.endswith(" (default)") == (dialect.name == DEFAULT_DIALECT)


def test_names_and_paths() -> None:
    assert table("2.4 Names of members") == [
        [field.name, getattr(FieldNames(), field.name)] for field in fields(FieldNames)
    ]
    assert table("2.5 Routes") == [
        [field.name, getattr(Paths(), field.name)] for field in fields(Paths)
    ]


def test_constants() -> None:
    rooms = (codec, codes, freshness, messages, primitives, rsa_keys, suites, gateway.stores)
    for name, value in table("11. Constants"):
        holders = [room for room in rooms if hasattr(room, name)]
        assert holders, name
        assert {getattr(room, name) for room in holders} == {int(value)}, name


def _remote_errors() -> list[type[errors.RemoteProtocolError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.RemoteProtocolError)
        and kind is not errors.RemoteProtocolError
    ]


def test_errors() -> None:
    spoken = {row[0]: int(row[1]) for row in table("9. Errors")}
    for kind in _remote_errors():
        status, code, _ = middleware._visible(kind())
        assert spoken[code] == status
        if code == "rejected" and kind is not errors.RejectedMessage:
            assert f"`{kind.code}`" in SPEC


def test_every_section_that_the_code_names_exists() -> None:
    headings = set(re.findall(r"^#+ (\d+(?:\.\d+)?)", SPEC, re.MULTILINE))
    root = Path(__file__).parent.parent
    named = set()
    for source in [*root.glob("protocol/**/*.py"), *root.glob("gateway/**/*.py")]:
        named |= set(re.findall(r"PROTOCOL §(\d+(?:\.\d+)?)", source.read_text("utf-8")))
    assert named
    assert named <= headings
