"""The CDDL of PROTOCOL.md, VAULT.md and TEAMS.md as one grammar, and its comparison with parsers.

Where the validator does not follow RFC 8610, the tests allow for it and say so. It takes bytes for
a number in a range, so no test tries that.
"""

from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from functools import cache
from typing import Any, TypeAlias

import cbor2
import documents
from pycddl import Schema, ValidationError

from protocol.common.codec import serialize_msgpack
from protocol.common.errors import RemoteProtocolError
from vault.core.errors import VaultError

GRAMMAR = "\n".join(
    block
    for document in ("spec/PROTOCOL.md", "spec/VAULT.md", "spec/TEAMS.md")
    for block in documents.blocks(documents.read(document), "cddl")
)
OTHER_VALUES = ["", "x", 0, -1, [], {}, None, True, ["x"]]

Parse: TypeAlias = Callable[[Any], object]


@cache
def schema(rule: str) -> Schema:
    return Schema(f"certless-root = {rule}\n{GRAMMAR}")


def is_valid(rule: str, value: object) -> bool:
    try:
        schema(rule).validate_cbor(cbor2.dumps(value))
    except ValidationError:
        return False
    return True


def is_parsed(parse: Parse, value: object) -> bool:
    try:
        parse(value)
    except (RemoteProtocolError, VaultError):
        return False
    return True


def variants(value: Any) -> Iterator[Any]:
    """``value``, and copies with one change: a part left out, added, or replaced."""
    yield value
    if isinstance(value, dict):
        yield {**value, "unknown": 1}
        for name in value:
            yield {other: part for other, part in value.items() if other != name}
    if isinstance(value, list):
        yield [*value, 1]
        for index in range(len(value)):
            yield [part for place, part in enumerate(value) if place != index]
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            for part in variants_of_part(value[key]):
                copy = deepcopy(value)
                copy[key] = part
                yield copy


def variants_of_part(part: Any) -> Iterator[Any]:
    yield from OTHER_VALUES
    if isinstance(part, bytes):
        yield from (part[:-1], part + b"x", part.hex())
    elif isinstance(part, str):
        yield part.encode()
    elif type(part) is int:
        yield from (part + 1, str(part), 2**16, 2**32, 2**53, 43_201, 199, 600)
    elif isinstance(part, dict | list):
        yield from variants(part)


def assert_they_agree(rule: str, parse: Parse, value: Any, *, beyond: Collection[str] = ()) -> None:
    """Grammar and parser accept the same variants of ``value``.

    ``beyond`` names members about which the parser, or RFC 8610, says more than the validator can
    check. A variant that changes one of them may be valid and still be refused.
    """
    assert is_valid(rule, value), value
    assert is_parsed(parse, value), value
    for variant in variants(value):
        if not isinstance(variant, list) and not isinstance(variant.get("fresh", ""), str):
            continue  # the validator crashes
        if changed(value, variant) & set(beyond):
            assert is_valid(rule, variant) or not is_parsed(parse, variant), variant
        else:
            assert is_valid(rule, variant) == is_parsed(parse, variant), variant


def changed(value: Any, variant: Any) -> set[str]:
    """The names of the members, or the indices of the items, that differ."""
    before, after = (
        part if isinstance(part, dict) else {str(i): item for i, item in enumerate(part)}
        for part in (value, variant)
    )
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def msgpack_of(value: Any) -> bytes:
    try:
        return serialize_msgpack(value)
    except OverflowError:
        return b""
