"""The vectors of teams (TEAMS). ``RUNNERS`` has one function for each kind of test."""

from collections.abc import Callable

import make_team_vectors
import pytest
from Crypto.Protocol import HPKE
from Crypto.PublicKey import ECC
from team_reference import hpke
from vector_files import Json, read_all, stale

from protocol.common.primitives import sha256
from vault.core.account import AccountKey, label, lp
from vault.core.errors import Alarm, Malformed, VaultError, WrongSecret
from vault.core.index import words
from vault.core.primitives import ExchangeKey
from vault.core.teams.epochs import ItemKey, MasterKey, open_master_key
from vault.core.teams.histories import check_history, read_manifest
from vault.core.teams.items import SignedVersion
from vault.core.teams.members import ROLES, Member, TeamKeys
from vault.core.teams.roster import Roster, extended
from vault.core.teams.temporary_keys import TemporaryMasterKey

LOADED = read_all(["team_rosters", "team_values"])


def _raw(given: Json, name: str) -> bytes:
    return bytes.fromhex(given[f"{name}_hex"])


def _raws(given: Json, name: str) -> list[bytes]:
    return [bytes.fromhex(one) for one in given[f"{name}_hex"]]


def _key(given: Json) -> AccountKey:
    return AccountKey(_raw(given, "account"), _raw(given, "n"))


def _member(given: Json) -> Json:
    member = Member.of(_key(given), "name", ROLES[given["role"]])
    digest = sha256(label("team member") + b"".join(map(lp, member.keys)))
    assert member.words == words(digest)
    return {
        "signing_hex": member.signing.hex(),
        "sealing_hex": member.sealing.hex(),
        "words_hex": digest.hex(),
    }


def _roster(given: Json) -> Json:
    # The chain that a client remembers: only its length matters, if it is the same.
    signed = _raws(given, "chain")
    known = extended((), signed[: given["known"]]) if given["known"] else ()
    if given["known"] > len(signed):
        known = (known[0],) * given["known"]
    return {"digest_hex": extended(known, signed)[-1].digest.hex()}


def _master_key(given: Json) -> Json:
    key = _key(given)
    roster = Roster.parse(_raw(given, "roster"))
    master = open_master_key(roster, _raws(given, "wraps"), key.account, TeamKeys.of(key))
    return {"key_hex": master.key.hex()}


def _item_key(given: Json) -> Json:
    master = MasterKey(_raw(given, "team"), given["epoch"], _raw(given, "key"))
    return {"item_key_hex": master.unwrap_item_key(*_item_and_wrap(given)).key.hex()}


def _item_and_wrap(given: Json) -> tuple[bytes, bytes]:
    return _raw(given, "item"), _raw(given, "wrap")


def _temporary(given: Json) -> Json:
    roster = Roster.parse(_raw(given, "roster"))
    temporary = TemporaryMasterKey(roster.team, roster.epoch, _raw(given, "secret"))
    master = temporary.unwrap(roster, _raw(given, "wrap"))
    return {"key_hex": master.key.hex(), "proof_hex": temporary.proof_key.public.hex()}


def _version(given: Json) -> Json:
    key = ItemKey(_raw(given, "team"), _raw(given, "item"), _raw(given, "item_key"))
    signed = SignedVersion.open(key, given["sequence"], _raw(given, "sealed"))
    version = check_history(extended((), _raws(given, "chain")), None, None, [signed])
    return {
        "digest_hex": version.digest.hex(),
        "sealed_hex": signed.seal(key, _raw(given, "iv")).hex(),
    }


def _manifest(given: Json) -> Json:
    roster = Roster.parse(_raw(given, "roster"))
    return {"items": len(read_manifest(roster, _raw(given, "manifest")))}


RUNNERS: dict[str, Callable[[Json], Json]] = {
    "team_member": _member,
    "team_roster": _roster,
    "team_master_key": _master_key,
    "team_item_key": _item_key,
    "team_temporary": _temporary,
    "team_version": _version,
    "team_manifest": _manifest,
}


def _name_of(error: VaultError) -> str:
    names = {Malformed: "malformed", WrongSecret: "wrong_secret"}
    return error.name if isinstance(error, Alarm) else names[type(error)]


@pytest.mark.parametrize("name", LOADED)
def test_vector(name: str) -> None:
    case = LOADED[name]
    found: tuple[str, Json | None]
    try:
        found = "ok", RUNNERS[case["kind"]](case["input"])
    except VaultError as error:
        found = _name_of(error), None
    assert found == (case["expect"], case.get("output"))


def test_the_files_are_what_the_generator_writes() -> None:
    assert stale(make_team_vectors.subjects()) == []


def test_every_kind_has_a_success() -> None:
    good = {case["kind"] for case in LOADED.values() if case["expect"] == "ok"}
    assert good == set(RUNNERS) == {case["kind"] for case in LOADED.values()}


def test_the_hpke_of_the_reference_is_that_of_two_libraries() -> None:
    seed = b"r" * 32
    sealed = hpke(ExchangeKey.of(seed).public, b"e" * 32, b"info", b"text")
    key = ECC.construct(curve="Curve25519", seed=seed)
    other = HPKE.new(receiver_key=key, aead_id=HPKE.AEAD.AES256_GCM, enc=sealed[:32], info=b"info")
    assert other.unseal(sealed[32:]) == b"text" == ExchangeKey.of(seed).open(sealed, b"info")
