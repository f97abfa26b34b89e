"""Teams for tests: members with their keys, rosters, and items, without a server."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vault.core.account import AccountKey, Owner
from vault.core.teams.epochs import ItemKey, MasterKey, wraps_digest
from vault.core.teams.histories import Latest, Manifest, manifest_bytes, manifest_digest
from vault.core.teams.items import Content, SignedVersion, Version
from vault.core.teams.members import Member, Role, TeamKeys
from vault.core.teams.roster import Roster, sign_roster

TEAM, ITEM = b"t" * 16, b"i" * 16
CONTENT = Content("Router", "secret", {"login": "admin"}, {"PIN": "0000"}, (), ("network",))


@dataclass(frozen=True)
class Person:
    """A user with an account, and a role in the team."""

    name: str
    role: Role

    @property
    def key(self) -> AccountKey:
        return AccountKey(Owner(self.name, "gateway.example").account, self.name.encode() * 8)

    @property
    def keys(self) -> TeamKeys:
        return TeamKeys.of(self.key)

    @property
    def member(self) -> Member:
        return Member.of(self.key, self.name, self.role)

    def writes(
        self, before: Version | None = None, roster: int = 1, item: bytes = ITEM
    ) -> SignedVersion:
        """The next version of an item, signed by this person."""
        sequence, previous = (before.sequence + 1, before.digest) if before else (1, b"")
        author = self.key.account
        version = Version(TEAM, item, sequence, previous, roster, author, 20_000, CONTENT)
        return SignedVersion.by(version, self.keys.signing)


ADA, BOB, EVE = Person("adaa", "owner"), Person("bobb", "editor"), Person("evee", "reader")


@dataclass
class Team:
    """A chain of rosters, as an honest server keeps it, and the present master key."""

    people: Sequence[Person] = (ADA, BOB, EVE)
    chain: list[Roster] = field(default_factory=list)
    signed: list[bytes] = field(default_factory=list)
    wraps: tuple[bytes, ...] = ()
    master: MasterKey = field(default_factory=lambda: MasterKey(TEAM, 1, b"m" * 32))

    def __post_init__(self) -> None:
        self.add(self.next(self.people))

    def next(self, people: Sequence[Person], manifest: Manifest | None = None) -> Roster:
        """A roster that follows; with a ``manifest``, it begins an epoch."""
        if manifest is not None:
            self.master = MasterKey(TEAM, self.master.epoch + 1, bytes([self.master.epoch]) * 32)
        members = tuple(sorted((one.member for one in people), key=lambda one: one.account))
        self.wraps, _ = self.master.wraps_for(members)
        data = manifest_bytes(manifest or {})
        epoch = self.master.epoch
        last = self.chain[-1] if self.chain else None
        items = (len(data) // 56, manifest_digest(TEAM, epoch, data))
        if last and manifest is None:
            items = (last.items, last.manifest)
        return Roster(
            TEAM,
            last.sequence + 1 if last else 1,
            last.digest if last else b"",
            epoch,
            self.master.check,
            wraps_digest(TEAM, epoch, self.wraps),
            *items,
            20_000,
            members,
        )

    def add(self, roster: Roster, by: Person = ADA) -> None:
        self.chain.append(roster)
        self.signed.append(sign_roster(roster, by.key.account, by.keys.signing))


def latest(signed: SignedVersion) -> Latest:
    return Latest.of(signed.version)


def item_key(seed: bytes = b"k", item: bytes = ITEM) -> ItemKey:
    return ItemKey(TEAM, item, seed * 32)


def changed(signed: SignedVersion, password: str) -> SignedVersion:
    """``signed`` with another password under the old signature."""
    content = replace(CONTENT, password=password)
    return replace(signed, version=replace(signed.version, content=content))
