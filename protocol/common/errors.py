"""What can go wrong, and who may learn of it (PROTOCOL §9).

::

    ProtocolError(code)
    |- LocalProtocolError           our own bug: wrong state, an object used twice
    `- RemoteProtocolError          the peer's message
       |- MalformedMessage          visible: not a message at all
       |- UnsupportedSuite          visible: no suite or version that both speak
       `- RejectedMessage           visible only as "rejected"
          |- DecryptionFailed       key, padding, cipher or structure inside
          |- StaleTimestamp         outside the time window
          |- ReplayedNonce          nonce or passphrase seen before
          |- CodeRefused            no such login, or the code is spent, expired or wrong
          |- TicketRefused          no such ticket, or it is expired or of another suite
          |  `- TicketReuseDetected      a ticket that was spent: its chain is to be revoked
          `- InvalidPublicKey         the peer's RSA key or point

A peer sees ``public_code`` and nothing else. ``code`` is for logs and tests. Messages of these
errors never hold a key, a code, a token, a password or plaintext.
"""


class ProtocolError(Exception):
    """Any failure of the protocol; ``code`` names it in words of PROTOCOL §9."""

    code = "protocol_error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.code)


class LocalProtocolError(ProtocolError):
    """We used the protocol wrongly; the peer did nothing."""

    code = "local_error"


class RemoteProtocolError(ProtocolError):
    """The peer's message cannot be served; ``public_code`` is all the peer may be told."""

    code = "remote_error"
    public_code = "malformed"


class MalformedMessage(RemoteProtocolError):
    """Not a message of this protocol.

    Outside a seal it is decided from public bytes, before any key is used. Inside one, the answer
    is sealed as well.
    """

    code = "malformed"


class UnsupportedSuite(RemoteProtocolError):
    """The version, or every suite that was offered, is not one that we speak."""

    code = "unsupported_suite"
    public_code = "unsupported_suite"


class RejectedMessage(RemoteProtocolError):
    """The uniform rejection: one code, one body, one status, one time class."""

    code = "rejected"
    public_code = "rejected"


class DecryptionFailed(RejectedMessage):
    """The key, the padding, the cipher or the structure of the plaintext is wrong."""

    code = "decryption_failed"


class StaleTimestamp(RejectedMessage):
    """The timestamp lies outside the window."""

    code = "stale_timestamp"


class ReplayedNonce(RejectedMessage):
    """The message, or what makes it new, was seen before in this session."""

    code = "replayed_nonce"


class CodeRefused(RejectedMessage):
    """No login awaits this code: unknown, spent, expired, out of attempts, or another code."""

    code = "code_refused"


class TicketRefused(RejectedMessage):
    """No such ticket: unknown, expired, revoked, or of another suite."""

    code = "ticket_refused"


class TicketReuseDetected(TicketRefused):
    """A spent ticket came back with a valid proof: two hold it, so its chain is to be revoked."""

    code = "ticket_returned"


class InvalidPublicKey(RejectedMessage):
    """The peer's public key, RSA or a point of P-256, is not one we use."""

    code = "key_not_admitted"
