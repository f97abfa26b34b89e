"""Attacks on teams (TEAMS §9): each is refused, by name. And what holds for every item."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from teams import (
    ADA,
    BOB,
    CONTENT,
    EVE,
    ITEM,
    TEAM,
    Person,
    Team,
    changed,
    item_key,
    latest,
)

from examples import examples
from vault.core.errors import (
    Forged,
    Forked,
    Malformed,
    Missing,
    RolledBack,
    TooLarge,
    VaultError,
    WrongSecret,
)
from vault.core.teams.epochs import MasterKey, open_master_key
from vault.core.teams.histories import (
    Latest,
    check_complete,
    check_history,
    manifest_bytes,
    read_manifest,
)
from vault.core.teams.items import Attachment, Content, SignedVersion, Version
from vault.core.teams.members import TeamKeys
from vault.core.teams.rekeying import carried_over, check_carried_over
from vault.core.teams.roster import Roster, extended, open_roster, sign_roster, team_words
from vault.core.teams.temporary_keys import TemporaryMasterKey

IV = b"v" * 12
MALLORY = Person("mall", "owner")


# --- the roster ----------------------------------------------------------------------------------


def test_a_server_cannot_add_a_member() -> None:
    team = Team()
    roster = team.next([ADA, BOB, EVE, MALLORY])
    for by in (MALLORY, BOB, EVE):
        signed = sign_roster(roster, by.key.account, by.keys.signing)
        with pytest.raises(Forged, match="not an owner"):
            extended(team.chain, [*team.signed, signed])
    # The name of the owner, but the key of another one.
    signed = sign_roster(roster, ADA.key.account, MALLORY.keys.signing)
    with pytest.raises(Forged, match="signature"):
        extended(team.chain, [*team.signed, signed])


def test_a_server_cannot_drop_a_member() -> None:
    team = Team()
    whole = team.signed[0]
    name = EVE.name.encode()
    with pytest.raises(VaultError):
        open_roster(whole.replace(name, b"xxxx"), None)


def test_a_server_cannot_show_an_old_roster() -> None:
    team = Team()
    team.add(team.next([ADA, BOB]))
    with pytest.raises(Forged, match="without a new master key"):
        extended((), team.signed)
    team = Team()
    team.add(team.next([ADA, BOB], {}))
    known = extended((), team.signed)
    with pytest.raises(RolledBack):
        extended(known, team.signed[:1])


def test_a_fork_of_the_roster_is_seen() -> None:
    ours, theirs = Team(), Team()
    ours.add(ours.next([ADA, BOB], {}))
    theirs.add(theirs.next([ADA, EVE], {}))
    with pytest.raises(Forked):
        extended(ours.chain, theirs.signed)


def test_a_new_member_is_confirmed_by_words() -> None:
    team = Team()
    team.add(team.next([ADA, BOB, EVE, MALLORY]))
    first, second = extended((), team.signed)
    assert first.unconfirmed(None) == first.members
    assert second.unconfirmed(first) == (MALLORY.member,)
    other_keys = replace(MALLORY.member, sealing=BOB.member.sealing)
    assert other_keys.words != MALLORY.member.words
    assert team_words(first) != team_words(replace(first, day=1))
    assert team_words(first) == team_words(Roster.parse(first.serialize()))


def test_a_member_of_an_epoch_who_only_gets_rights_needs_no_new_key() -> None:
    team = Team()
    team.add(team.next([ADA, BOB, replace(EVE, role="editor")]))
    assert extended((), team.signed)[1].epoch == 1
    assert team.chain[0].takes_rights_from(team.chain[1])


def test_two_members_with_one_signing_key_are_refused() -> None:
    roster = Team().chain[0]
    first, second, third = roster.members
    twin = replace(second, signing=first.signing)
    with pytest.raises(Malformed, match="same signing key"):
        Roster.parse(replace(roster, members=(first, twin, third)).serialize())


# --- the master key ------------------------------------------------------------------------------


def test_a_removed_member_opens_no_later_master_key() -> None:
    team = Team()
    before = team.wraps
    team.add(team.next([ADA, EVE], {}))
    roster = team.chain[-1]
    for person in (ADA, EVE):
        opened = open_master_key(roster, team.wraps, person.key.account, person.keys)
        assert opened == team.master
    with pytest.raises(WrongSecret, match="not wrapped for you"):
        open_master_key(roster, team.wraps, BOB.key.account, BOB.keys)
    # Under the name of another member, and with the wraps of the epoch before.
    with pytest.raises(WrongSecret, match="other keys"):
        open_master_key(roster, team.wraps, EVE.key.account, BOB.keys)
    with pytest.raises(Forged, match="wraps"):
        open_master_key(roster, before, BOB.key.account, BOB.keys)


def test_a_member_whose_key_is_broken_is_skipped_and_named() -> None:
    broken = replace(BOB.member, sealing=bytes(32))
    master = MasterKey(TEAM, 1, b"m" * 32)
    wraps, skipped = master.wraps_for([ADA.member, broken, EVE.member])
    assert [len(wrap) for wrap in wraps] == [80, 0, 80]
    assert skipped == (broken,)


def test_a_master_key_opens_the_item_keys_of_its_own_epoch() -> None:
    master = Team().master
    wrapped = master.wrap_item_key(item_key(), IV)
    assert len(wrapped) == 61
    assert master.unwrap_item_key(ITEM, wrapped) == item_key()
    for other in (replace(master, epoch=2), replace(master, key=bytes(32))):
        with pytest.raises(Forged, match="this epoch"):
            other.unwrap_item_key(ITEM, wrapped)


def test_a_temporary_master_key_opens_one_epoch() -> None:
    team = Team()
    temporary = TemporaryMasterKey(TEAM, 1, b"s" * 16)
    wrapped = temporary.wrap(team.master, IV)
    assert temporary.unwrap(team.chain[0], wrapped) == team.master
    team.add(team.next([ADA], {}))
    with pytest.raises(Forged, match="not the master key"):
        temporary.unwrap(team.chain[1], wrapped)
    with pytest.raises(WrongSecret):
        replace(temporary, epoch=2).unwrap(team.chain[1], wrapped)


def test_no_text_of_a_key_shows_it() -> None:
    team = Team()
    shown = f"{team.master} {item_key()} {TemporaryMasterKey(TEAM, 1, b's' * 16)} {CONTENT}"
    shown += f"{TeamKeys.of(ADA.key)} {Attachment('name', b'a' * 32, b'')}"
    secrets = ("mmmm", "kkkk", "ssss", "aaaa", "'secret'", "0000", "Router")
    assert [secret for secret in secrets if secret in shown] == []


# --- items ---------------------------------------------------------------------------------------


def test_a_reader_cannot_write() -> None:
    with pytest.raises(Forged, match="reader"):
        check_history(Team().chain, None, None, [EVE.writes()])


def test_a_server_cannot_mix_items_or_fields() -> None:
    written = BOB.writes()
    sealed = written.seal(item_key(), IV)
    other = item_key(item=b"j" * 16)
    with pytest.raises(Forged, match="this item"):
        SignedVersion.open(other, 1, sealed)
    # The key of the item under another name: the version itself names its item.
    again = SignedVersion.by(written.version, BOB.keys.signing).seal(other, IV)
    with pytest.raises(Forged, match="another item"):
        SignedVersion.open(other, 1, again)
    with pytest.raises(Forged, match="signature"):
        check_history(Team().chain, None, None, [changed(written, "other")])


def test_a_history_is_whole_and_in_order() -> None:
    chain = Team().chain
    first = BOB.writes()
    second = ADA.writes(first.version)
    third = BOB.writes(second.version)
    assert check_history(chain, None, latest(second), [first, second, third]) == third.version
    with pytest.raises(Missing):
        check_history(chain, None, None, [first, third])
    with pytest.raises(Missing):
        check_history(chain, None, None, [])
    with pytest.raises(RolledBack):
        check_history(chain, None, latest(third), [first, second])
    with pytest.raises(Forked):
        check_history(chain, None, Latest(2, bytes(32)), [first, second])
    with pytest.raises(Forked):
        check_history(chain, Latest(0, bytes(32)), None, [first])
    other = changed(first, "other").version
    with pytest.raises(Forged, match="does not follow"):
        check_history(chain, None, None, [first, BOB.writes(other)])


def test_a_version_names_no_older_roster_than_the_one_before() -> None:
    team = Team()
    team.add(team.next([ADA, BOB, replace(EVE, role="editor")]))
    first = BOB.writes(roster=2)
    with pytest.raises(Forged, match="older roster"):
        check_history(team.chain, None, None, [first, BOB.writes(first.version, roster=1)])


@pytest.mark.parametrize("people", [[ADA, EVE], [ADA, EVE, replace(BOB, role="reader")]])
def test_whoever_lost_the_right_to_write_cannot_add_a_version(people: list[Person]) -> None:
    team = Team()
    first = BOB.writes()
    manifest = {ITEM: latest(first)}
    team.add(team.next(people, manifest))
    chain = extended((), team.signed)
    begun = read_manifest(chain[-1], manifest_bytes(manifest))[ITEM]
    # What they wrote before stays valid, and what an owner writes now is valid.
    now = ADA.writes(first.version, roster=2)
    assert check_history(chain, begun, None, [first, now]) == now.version
    late = BOB.writes(first.version, roster=1)
    with pytest.raises(Forged, match="earlier epoch"):
        check_history(chain, begun, None, [first, late])
    with pytest.raises(Forged, match="earlier epoch"):
        check_history(chain, None, None, [BOB.writes(item=b"n" * 16)])


def test_an_item_of_the_manifest_cannot_be_dropped() -> None:
    begun = {ITEM: Latest(1, bytes(32))}
    check_complete(begun, {}, [ITEM, b"n" * 16])
    for manifest, known in ((begun, {}), ({}, begun)):
        with pytest.raises(Missing):
            check_complete(manifest, known, [b"n" * 16])


def test_a_change_of_the_master_key_keeps_every_version_and_its_author() -> None:
    first = BOB.writes()
    second = ADA.writes(first.version)
    old, new = item_key(), item_key(b"n")
    before = [first.seal(old, IV), second.seal(old, b"w" * 12)]
    after = carried_over(old, new, before, [b"x" * 12, b"y" * 12])
    check_carried_over(old, new, before, after)
    opened = [SignedVersion.open(new, at + 1, after[at]) for at in (0, 1)]
    assert check_history(Team().chain, None, None, opened) == second.version
    for wrong in (after[:1], (first.seal(new, IV), BOB.writes(first.version).seal(new, IV))):
        with pytest.raises(Forged, match="under the new master key"):
            check_carried_over(old, new, before, wrong)
    with pytest.raises(Forged):
        SignedVersion.open(old, 1, after[0])


def test_a_version_has_a_limit() -> None:
    long = replace(CONTENT, password="x" * 65_536)
    version = replace(BOB.writes().version, content=long)
    with pytest.raises(TooLarge):
        SignedVersion.by(version, BOB.keys.signing).seal(item_key(), IV)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
attachments = st.builds(Attachment, texts, st.binary(min_size=32, max_size=32), st.binary())
contents = st.builds(
    Content,
    texts,
    texts,
    st.dictionaries(texts, texts, max_size=5),
    st.dictionaries(texts, texts, max_size=5),
    st.lists(attachments, max_size=2).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
)


@given(contents | st.none(), st.integers(1, 2**53 - 1), st.integers(0, 2**32 - 1))
@examples(100)
def test_every_version_opens_as_it_was_sealed(
    content: Content | None, sequence: int, day: int
) -> None:
    previous = bytes(32) if sequence > 1 else b""
    version = Version(TEAM, ITEM, sequence, previous, 1, BOB.key.account, day, content)
    signed = SignedVersion.by(version, BOB.keys.signing)
    sealed = signed.seal(item_key(), IV)
    assert SignedVersion.open(item_key(), sequence, sealed) == signed
    assert (len(sealed) - 29) % 512 == 0


@given(st.integers(0, 2000), st.integers(0, 7))
@examples(100)
def test_no_changed_bit_of_a_roster_is_accepted(at: int, bit: int) -> None:
    signed = bytearray(Team().signed[0])
    signed[at % len(signed)] ^= 1 << bit
    with pytest.raises(VaultError):
        open_roster(bytes(signed), None)


@given(st.binary(max_size=300))
@examples(100)
def test_no_bytes_raise_another_error(data: bytes) -> None:
    for read in (lambda: Roster.parse(data), lambda: Version.parse(data)):
        with suppress(VaultError):
            read()
