"""Makes the vectors of teams (TEAMS) with ``team_reference``; ``make_vectors.py`` runs it too."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hardened_reference import finish
from make_vectors import flip, stream
from team_reference import (
    TeamUser,
    check_value,
    digest,
    item_wrap,
    manifest_digest,
    member_wrap,
    roster_body,
    sealed_version,
    signed_roster,
    temporary_proof,
    temporary_wrap,
    wraps_digest,
)
from vault_reference import User, sha256
from vector_files import Case, Json, Subject

from protocol.common.codec import serialize_msgpack

ADA = TeamUser(User(), "owner")
BOB = TeamUser(User("bob", n=stream("team bob", 32)), "editor")
EVE = TeamUser(User("eve", n=stream("team eve", 32)), "reader")
TEAM, ITEM, OTHER_ITEM = (stream(f"team {name}", 16) for name in ("id", "item", "other item"))
KEY, ITEM_KEY, IV = stream("team master", 32), stream("team item key", 32), stream("team iv", 12)
SECRET = stream("team temporary", 16)


def hexed(**values: bytes) -> Json:
    return {f"{name}_hex": value.hex() for name, value in values.items()}


@dataclass(frozen=True)
class Epoch:
    """A master key and its wraps for some members."""

    users: tuple[TeamUser, ...] = (ADA, BOB, EVE)
    number: int = 1
    key: bytes = KEY

    @property
    def wraps(self) -> list[bytes]:
        users = sorted(self.users, key=lambda one: one.user.account)
        return [
            member_wrap(TEAM, self.number, self.key, one, stream(f"team {one.user.username} e", 32))
            for one in users
        ]

    def roster(self, **changes: Any) -> bytes:
        members: Json = {
            "team": TEAM,
            "sequence": 1,
            "previous": b"",
            "epoch": self.number,
            "check": check_value(TEAM, self.number, self.key),
            "wraps": wraps_digest(TEAM, self.number, self.wraps),
            "items": 0,
            "manifest": manifest_digest(TEAM, self.number, b""),
            "day": 20_000,
        }
        return roster_body(list(self.users), **(members | changes))


FIRST = Epoch()
BEGUN = FIRST.roster()
DIGEST = digest("team roster", TEAM, BEGUN)
NEXT: Json = {"sequence": 2, "previous": DIGEST}


def members() -> Iterator[Case]:
    for one in (ADA, BOB, EVE):
        parts = one.members
        given = {**hexed(account=one.user.account, n=one.user.n), "role": one.role}
        output = hexed(signing=parts["signing"], sealing=parts["sealing"], words=one.words_digest)
        # The words follow from this digest (VAULT §20.5).
        yield finish(f"team-member-{one.user.username}", "team_member", None, given, "ok", output)


def rosters() -> Iterator[Case]:
    def case(name: str, chain: list[bytes], expect: str, known: int = 0) -> Case:
        given: Json = {"chain_hex": [one.hex() for one in chain], "known": known}
        output = {"digest_hex": digest("team roster", TEAM, chain[-1][97:]).hex()} if chain else {}
        return finish(f"team-roster-{name}", "team_roster", None, given, expect, output)

    first = signed_roster(ADA, TEAM, BEGUN)
    second = FIRST.roster(**NEXT, day=20_001)
    yield case("first", [first], "ok")
    yield case("second", [first, signed_roster(ADA, TEAM, second)], "ok", 1)
    removed = Epoch((ADA, EVE), 2, stream("team master 2", 32))
    yield case("removed", [first, signed_roster(ADA, TEAM, removed.roster(**NEXT))], "ok", 1)
    yield case("none", [], "rolled_back")
    yield case("older", [first], "rolled_back", 2)
    yield case("by-an-editor", [first, signed_roster(BOB, TEAM, second)], "forged")
    yield case("by-nobody", [signed_roster(replace(ADA, user=User("zoe")), TEAM, BEGUN)], "forged")
    yield case("signature", [flip(first, 8 * 40)], "forged")
    yield case("format", [b"\2" + first[1:]], "malformed")
    yield case("short", [first[:96]], "malformed")
    yield case("begins-at-2", [signed_roster(ADA, TEAM, second)], "forged")
    for name, body in (
        ("previous", FIRST.roster(sequence=2, previous=bytes(32))),
        ("sequence", FIRST.roster(sequence=3, previous=DIGEST)),
        ("team", FIRST.roster(**NEXT, team=bytes(16))),
        ("epoch", FIRST.roster(**NEXT, epoch=3)),
        ("check", FIRST.roster(**NEXT, check=bytes(32))),
        ("items", FIRST.roster(**NEXT, items=1)),
        ("removed-in-the-same-epoch", Epoch((ADA, EVE)).roster(**NEXT)),
        ("reader-in-the-same-epoch", Epoch((ADA, replace(BOB, role="reader"))).roster(**NEXT)),
    ):
        signer_team = bytes(16) if name == "team" else TEAM
        yield case(name, [first, signed_roster(ADA, signer_team, body)], "forged")
    for name, body in (
        ("no-sequence", FIRST.roster(sequence=0)),
        ("no-owner", Epoch((BOB, EVE)).roster()),
        ("twice", Epoch((ADA, ADA)).roster()),
        ("role", Epoch((ADA, replace(BOB, role="admin"))).roster()),
        ("no-name", Epoch((ADA, replace(BOB, user=User("")))).roster()),
    ):
        yield case(name, [signed_roster(ADA, TEAM, body)], "malformed")


def keys() -> Iterator[Case]:
    def opened(name: str, expect: str, member: TeamUser = BOB, **changes: Any) -> Case:
        given: Json = {
            "roster_hex": BEGUN.hex(),
            "wraps_hex": [one.hex() for one in FIRST.wraps],
            **hexed(account=member.user.account, n=member.user.n),
        } | changes
        return finish(f"team-key-{name}", "team_master_key", None, given, expect, hexed(key=KEY))

    for one in (ADA, BOB, EVE):
        yield opened(one.user.username, "ok", one)
    yield opened("not-a-member", "wrong_secret", replace(BOB, user=User("zoe")))
    other = replace(BOB, user=replace(BOB.user, n=bytes(32)))
    yield opened("other-keys", "wrong_secret", other)
    shuffled = [one.hex() for one in reversed(FIRST.wraps)]
    yield opened("shuffled", "forged", wraps_hex=shuffled)
    empty = [b"", b"", b""]
    skipped = FIRST.roster(wraps=wraps_digest(TEAM, 1, empty))
    yield opened("skipped", "wrong_secret", roster_hex=skipped.hex(), wraps_hex=["", "", ""])
    yield opened("check", "forged", roster_hex=FIRST.roster(check=bytes(32)).hex())

    wrapped = item_wrap(TEAM, 1, KEY, ITEM, ITEM_KEY, IV)
    given = {**hexed(team=TEAM, key=KEY, item=ITEM, wrap=wrapped), "epoch": 1}
    for name, expect, changes in (
        ("item", "ok", {}),
        ("other-item", "forged", hexed(item=OTHER_ITEM)),
        ("other-team", "forged", hexed(team=bytes(16))),
        ("other-epoch", "forged", {"epoch": 2}),
        ("item-short", "malformed", hexed(wrap=wrapped[:28])),
    ):
        whole = given | changes
        output = hexed(item_key=ITEM_KEY)
        yield finish(f"team-wrap-{name}", "team_item_key", None, whole, expect, output)

    wrapped = temporary_wrap(TEAM, 1, SECRET, KEY, IV)
    given = {"roster_hex": BEGUN.hex(), **hexed(secret=SECRET, wrap=wrapped)}
    output = hexed(key=KEY, proof=temporary_proof(TEAM, 1, SECRET))
    wrong = temporary_wrap(TEAM, 1, SECRET, bytes(32), IV)
    for name, expect, changes in (
        ("good", "ok", {}),
        ("wrong", "wrong_secret", hexed(secret=bytes(16))),
        ("changed", "wrong_secret", hexed(wrap=flip(wrapped, -1))),
        ("another-key", "forged", hexed(wrap=wrong)),
    ):
        whole = given | changes
        yield finish(f"team-temporary-{name}", "team_temporary", None, whole, expect, output)


CONTENT: Json = {
    "title": "Router",
    "password": "päss".encode(),
    "fields": [{"name": "login", "value": b"admin"}, {"name": "url", "value": b"http://r/"}],
    "custom": [{"name": "PIN", "value": b"0000"}],
    "attachments": [{"name": "photo.png", "key": bytes(32), "stream": bytes(3)}],
    "tags": [{"name": "network"}],
}
VERSION: Json = {
    "team": TEAM,
    "item": ITEM,
    "sequence": 1,
    "previous": b"",
    "roster": 1,
    "author": BOB.user.account,
    "day": 20_000,
    "content": CONTENT,
}


def items() -> Iterator[Case]:
    def case(name: str, expect: str, value: Json, signer: TeamUser = BOB, **changes: Any) -> Case:
        body = serialize_msgpack(value)
        signed = signer.sign("team version", TEAM, body) + body
        sealed = sealed_version(TEAM, ITEM, ITEM_KEY, 1, signed, IV)
        given: Json = {
            "chain_hex": [signed_roster(ADA, TEAM, BEGUN).hex()],
            **hexed(team=TEAM, item=ITEM, item_key=ITEM_KEY, iv=IV, sealed=sealed),
            "sequence": 1,
        } | changes
        output = hexed(digest=digest("team version", TEAM, body), sealed=sealed)
        return finish(f"team-version-{name}", "team_version", None, given, expect, output)

    yield case("good", "ok", VERSION)
    yield case("deleted", "ok", {key: VERSION[key] for key in VERSION if key != "content"})
    yield case("by-a-reader", "forged", VERSION | {"author": EVE.user.account}, EVE)
    yield case("by-nobody", "forged", VERSION | {"author": bytes(32)})
    yield case("under-another-name", "forged", VERSION, ADA)
    yield case("of-another-item", "forged", VERSION | {"item": OTHER_ITEM})
    yield case("of-another-team", "forged", VERSION | {"team": bytes(16)})
    yield case("opened-as-another-item", "forged", VERSION, **hexed(item=OTHER_ITEM))
    yield case("opened-as-another-sequence", "forged", VERSION, sequence=2)
    yield case("no-roster", "forged", VERSION | {"roster": 2})
    yield case("roster-0", "forged", VERSION | {"roster": 0})
    yield case("sequence-0", "malformed", VERSION | {"sequence": 0})
    yield case("previous", "malformed", VERSION | {"previous": bytes(32)})
    for name, content in (
        ("not-utf-8", {"password": b"\xff"}),
        ("fields-in-disorder", {"fields": CONTENT["fields"][::-1]}),
        ("field-twice", {"fields": [CONTENT["fields"][0]] * 2}),
        ("unknown-member", {"other": b""}),
    ):
        yield case(name, "malformed", VERSION | {"content": CONTENT | content})


def manifests() -> Iterator[Case]:
    entries = sorted([ITEM, OTHER_ITEM])
    data = b"".join(one + (3).to_bytes(8) + sha256(one) for one in entries)
    turned = data[56:] + data[:56]
    for name, expect, shown, signed, count in (
        ("two", "ok", data, data, 2),
        ("empty", "ok", b"", b"", 0),
        ("one-dropped", "forged", data[:56], data, 2),
        ("another-count", "forged", data, data, 3),
        ("short", "malformed", data[:-1], data, 2),
        ("in-disorder", "malformed", turned, turned, 2),
    ):
        roster = FIRST.roster(items=count, manifest=manifest_digest(TEAM, 1, signed))
        output = {"items": len(shown) // 56}
        given = hexed(roster=roster, manifest=shown)
        yield finish(f"team-manifest-{name}", "team_manifest", None, given, expect, output)


def subjects() -> dict[str, Subject]:
    """Every file of this module: its name and its content."""
    return {
        "team_rosters": Subject(
            "Members, rosters and manifests of a team.", [*members(), *rosters(), *manifests()]
        ),
        "team_values": Subject(
            "Master keys, temporary master keys, and items of a team.", [*keys(), *items()]
        ),
    }
