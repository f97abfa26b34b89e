"""What both ends of an exchange are made of: sealing to a key, reading a payload, and once only."""

from .codec import JsonObject, parse_json_object
from .codes import Entropy
from .errors import LocalProtocolError, MalformedMessage
from .messages import SealedMessage
from .primitives import RsaPublicKey
from .suites import Classic


class Once:
    """A right that is used up by its first use."""

    __slots__ = ("_used",)

    def __init__(self) -> None:
        self._used = False

    def use(self, what: str) -> None:
        if self._used:
            raise LocalProtocolError(f"{what} used twice")
        self._used = True


def seal_to(suite: Classic, key: RsaPublicKey, plaintext: bytes, entropy: Entropy) -> SealedMessage:
    """``plaintext`` under a new passphrase, wrapped to ``key``."""
    passphrase, iv = suite.new_passphrase(entropy), suite.new_iv(entropy)
    return SealedMessage(suite.wrap(key, passphrase), suite.seal(passphrase, plaintext, iv), iv)


def read_members(plaintext: bytes, valid: bool) -> JsonObject | None:
    """The members of a payload, or None. Parsed even where that can lead to nothing."""
    try:
        members = parse_json_object(plaintext)
    except MalformedMessage:
        return None
    return members if valid else None
