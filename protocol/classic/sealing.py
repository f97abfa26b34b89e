"""What both ends of a classic exchange are made of: sealing to a key, and reading a payload."""

from protocol.common.codec import JsonObject, parse_json_object
from protocol.common.codes import Entropy
from protocol.common.errors import MalformedMessage
from protocol.common.messages import SealedMessage
from protocol.common.primitives import RsaPublicKey

from .suites import Classic


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
