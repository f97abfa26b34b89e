"""The grammar and the tables of TEAMS.md are those of vault/core/teams."""

import re
from typing import Any

import documents
from grammar import assert_they_agree, msgpack_of
from make_team_vectors import BEGUN, VERSION
from processes import ROOT

from protocol.common.codec import parse_msgpack
from vault.core.teams import items, members, roster

SPEC = documents.read("spec/TEAMS.md")
SOURCES = sorted((ROOT / "vault" / "core" / "teams").glob("*.py"))


def _roster(value: Any) -> object:
    return roster.Roster.parse(msgpack_of(value))


def _version(value: Any) -> object:
    return items.Version.parse(msgpack_of(value))


def test_the_grammar_of_rosters() -> None:
    # The parser says more about these: what belongs together, and the order of the members. The
    # validator fails for bytes in place of a literal text, so a role is any text in the grammar.
    beyond = ("members", "previous", "sequence")
    assert_they_agree("TeamRoster", _roster, parse_msgpack(BEGUN), beyond=beyond)


def test_the_grammar_of_versions() -> None:
    # The validator takes an unknown member of a map in a list, and an empty text as empty bytes.
    beyond = ("content", "previous", "sequence")
    assert_they_agree("TeamVersion", _version, VERSION, beyond=beyond)


def test_the_limits() -> None:
    limits = {row[0]: int(row[1].replace(",", "")) for row in documents.table(SPEC, "10. Limits")}
    assert list(limits.values()) == [
        roster.MAX_MEMBERS,
        roster.MAX_ITEMS,
        items.MAX_VERSION_BYTES,
        items.MAX_FIELDS,
        members.MAX_NAME_BYTES,
    ]


def test_the_roles() -> None:
    assert [row[0] for row in documents.table(SPEC, "1. Model")] == list(members.ROLES)


def test_the_labels() -> None:
    source = "\n".join(path.read_text("utf-8") for path in SOURCES)
    used = set(re.findall(r'"(team [a-z ]+)"', source))
    assert used == set(re.findall(r'[("`](team [a-z ]+)["`]', SPEC))
