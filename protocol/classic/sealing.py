"""Steps that both sides of the classic suite share: seal to a key, and read a payload."""

from protocol.common.codec import JsonObject, parse_json_object
from protocol.common.codes import Entropy
from protocol.common.errors import MalformedMessage
from protocol.common.messages import SealedMessage
from protocol.common.primitives import RsaPublicKey

from .suites import Classic


def seal_to(suite: Classic, key: RsaPublicKey, plaintext: bytes, entropy: Entropy) -> SealedMessage:
    """``plaintext`` under a new passphrase, which is wrapped under ``key``."""
    passphrase, iv = suite.new_passphrase(entropy), suite.new_iv(entropy)
    return SealedMessage(suite.wrap(key, passphrase), suite.seal(passphrase, plaintext, iv), iv)


def read_members(plaintext: bytes, valid: bool) -> JsonObject | None:
    """The members of a payload, or None. An invalid payload is parsed too, for equal work."""
    try:
        members = parse_json_object(plaintext)
    except MalformedMessage:
        return None
    return members if valid else None
