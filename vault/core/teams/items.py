"""The versions of an item: sealed, and signed by the member that wrote them (TEAMS §6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from protocol.common.primitives import hkdf, sha256
from vault.core.account import ACCOUNT_BYTES, KEY_BYTES, label, lp
from vault.core.bodies import Body, serialized, whole
from vault.core.errors import Forged, Malformed, TooLarge
from vault.core.primitives import SIGNATURE_BYTES, SigningKey
from vault.core.sealed_values import MAX_DAY, MAX_SEQUENCE, padded, unpadded
from vault.core.wraps import seal, unseal

from .epochs import ItemKey
from .roster import DIGEST_BYTES, TEAM_BYTES

ITEM_BYTES = 16
MAX_VERSION_BYTES = 65_536
MAX_FIELDS = 64
_PADDING_BYTES = 512


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside an item: the key of its blocks, and its stream (VAULT §19)."""

    name: str
    key: bytes = field(repr=False)
    stream: bytes

    @classmethod
    def take(cls, body: Body) -> Self:
        attachment = cls(body.text("name"), body.raw("key", KEY_BYTES), body.raw("stream"))
        body.end()
        return attachment

    def members(self) -> dict[str, Any]:
        return {"name": self.name, "key": self.key, "stream": self.stream}


@dataclass(frozen=True, slots=True)
class Content:
    """What an item says. All values are secret."""

    title: str = field(repr=False)
    password: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    custom: Mapping[str, str] = field(repr=False)
    attachments: tuple[Attachment, ...] = field(repr=False)
    tags: tuple[str, ...] = field(repr=False)

    @classmethod
    def take(cls, body: Body) -> Self:
        """Raises: Malformed."""
        content = cls(
            body.text("title"),
            _text(body.raw("password")),
            _texts(body, "fields"),
            _texts(body, "custom"),
            tuple(map(Attachment.take, body.list("attachments", MAX_FIELDS))),
            tuple(_tag(one) for one in body.list("tags", MAX_FIELDS)),
        )
        body.end()
        return content

    def members(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "password": self.password.encode(),
            "fields": _maps(self.fields),
            "custom": _maps(self.custom),
            "attachments": [one.members() for one in self.attachments],
            "tags": [{"name": tag} for tag in self.tags],
        }


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an item. ``roster`` is the sequence of the roster that its author knew.

    A version without ``content`` deletes the item.
    """

    team: bytes
    item: bytes
    sequence: int
    previous: bytes
    roster: int
    author: bytes
    day: int
    content: Content | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: Malformed."""
        version = whole(
            data,
            lambda body: cls(
                body.raw("team", TEAM_BYTES),
                body.raw("item", ITEM_BYTES),
                body.number("sequence", MAX_SEQUENCE),
                body.raw("previous", 0, DIGEST_BYTES),
                body.number("roster", MAX_SEQUENCE),
                body.raw("author", ACCOUNT_BYTES),
                body.number("day", MAX_DAY),
                Content.take(body.nested("content")) if body.has("content") else None,
            ),
            MAX_VERSION_BYTES,
        )
        if not version.sequence or bool(version.previous) != (version.sequence > 1):
            raise Malformed("the first version has the sequence 1, and no previous one")
        return version

    def serialize(self) -> bytes:
        return serialized(
            team=self.team,
            item=self.item,
            sequence=self.sequence,
            previous=self.previous,
            roster=self.roster,
            author=self.author,
            day=self.day,
            content=None if self.content is None else self.content.members(),
        )

    @property
    def statement(self) -> bytes:
        """What the author signs."""
        return label("team version") + lp(self.team) + lp(self.serialize())

    @property
    def digest(self) -> bytes:
        """The name of this version in the next one, and in a manifest (32 bytes)."""
        return sha256(self.statement)


@dataclass(frozen=True, slots=True)
class SignedVersion:
    """A version and the signature of its author, which is not yet checked."""

    version: Version
    signature: bytes

    @classmethod
    def by(cls, version: Version, key: SigningKey) -> Self:
        """``version`` under the signature of its author, who has ``key``."""
        return cls(version, key.sign(version.statement))

    def seal(self, key: ItemKey, iv: bytes) -> bytes:
        """For the server. ``iv`` is 12 random bytes. Raises: TooLarge."""
        version, body = self.version, self.version.serialize()
        if len(body) > MAX_VERSION_BYTES:
            raise TooLarge(f"a version of an item has at most {MAX_VERSION_BYTES} bytes")
        plaintext = padded(version.sequence, self.signature + body, _PADDING_BYTES)
        return seal(_sealing_key(key), iv, plaintext, _aad(key, version.sequence))

    @classmethod
    def open(cls, key: ItemKey, sequence: int, sealed: bytes) -> Self:
        """The version number ``sequence`` of the item. Raises: Malformed, Forged, Tampered."""
        plaintext = unseal(_sealing_key(key), sealed, _aad(key, sequence))
        if plaintext is None:
            raise Forged("a version of an item was not sealed for this item and place")
        _, signed = unpadded(plaintext, _PADDING_BYTES)
        version = Version.parse(signed[SIGNATURE_BYTES:])
        if (version.team, version.item, version.sequence) != (key.team, key.item, sequence):
            raise Forged("a version belongs to another item")
        return cls(version, signed[:SIGNATURE_BYTES])


def _sealing_key(key: ItemKey) -> bytes:
    return hkdf(key.key, key.team, label("team version key") + lp(key.item), KEY_BYTES)


def _aad(key: ItemKey, sequence: int) -> bytes:
    return label("team version") + lp(key.team) + lp(key.item) + sequence.to_bytes(8)


def _maps(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": texts[name].encode()} for name in sorted(texts)]


def _texts(body: Body, name: str) -> dict[str, str]:
    """The fields in the list ``name``. Raises: Malformed, also if they are not in order."""
    found: dict[str, str] = {}
    for one in body.list(name, MAX_FIELDS):
        key = one.text("name")
        if found and key <= max(found):
            raise Malformed("the fields of an item are sorted by name, each once")
        found[key] = _text(one.raw("value"))
        one.end()
    return found


def _tag(body: Body) -> str:
    name = body.text("name")
    body.end()
    return name


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("a value of an item is not text in UTF-8") from None
