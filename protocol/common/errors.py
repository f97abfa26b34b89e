"""The errors of the protocol, and what a peer may learn of them (PROTOCOL §1.12).

::

    ProtocolError(code)
    |- LocalProtocolError           a bug of the caller: wrong state, an object used twice
    `- RemoteProtocolError          the peer's message
       |- MalformedMessage          visible: not a message of this protocol
       |- UnsupportedSuite          visible: no suite or version that both sides speak
       |- AbortedStream             visible: the peer ended a stream early
       `- RejectedMessage           visible only as "rejected"
          |- DecryptionFailed       key, padding, cipher or structure inside
          |- StaleTimestamp         outside the time window
          |- ReplayedNonce          nonce, passphrase, salt or number was seen before
          |- CodeRefused            no such login, or the code is spent, expired or wrong
          |- TicketRefused          no such ticket, or it is expired or of another suite
          |  `- TicketReuseDetected a spent ticket: its chain must be revoked
          |- InvalidPublicKey       the peer's RSA key or point
          `- BrokenStream           a stream was cut off or changed

A peer sees only ``public_code``. ``code`` is for logs and tests. The text of an error never holds a
key, a code, a token, a password or plaintext.
"""


class ProtocolError(Exception):
    """Any failure of the protocol; ``code`` is its name in PROTOCOL §5.4."""

    code = "protocol_error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.code)


class LocalProtocolError(ProtocolError):
    """The caller used the protocol wrongly; the peer is not at fault."""

    code = "local_error"


class RemoteProtocolError(ProtocolError):
    """The peer's message cannot be served; the peer may learn only ``public_code``."""

    code = "remote_error"
    public_code = "malformed"


class MalformedMessage(RemoteProtocolError):
    """Not a message of this protocol.

    Outside a seal only public bytes decide this, before any key is used. Inside a seal the answer
    is sealed as well.
    """

    code = "malformed"


class UnsupportedSuite(RemoteProtocolError):
    """This side does not speak the version, or none of the suites that were offered."""

    code = "unsupported_suite"
    public_code = "unsupported_suite"


class RejectedMessage(RemoteProtocolError):
    """The uniform rejection: always the same code, body and status, after the same work."""

    code = "rejected"
    public_code = "rejected"


class DecryptionFailed(RejectedMessage):
    """The key, the padding, the cipher or the structure of the plaintext is wrong."""

    code = "decryption_failed"


class StaleTimestamp(RejectedMessage):
    """The timestamp lies outside the window."""

    code = "stale_timestamp"


class ReplayedNonce(RejectedMessage):
    """The nonce, passphrase, salt or number of the message was seen before in this session."""

    code = "replayed_nonce"


class CodeRefused(RejectedMessage):
    """No login waits for this code: it is unknown, spent, expired, out of attempts, or wrong."""

    code = "code_refused"


class TicketRefused(RejectedMessage):
    """The ticket is unknown, expired, revoked, or of another suite."""

    code = "ticket_refused"


class TicketReuseDetected(TicketRefused):
    """A spent ticket came back with a valid proof: two parties hold it, so revoke its chain."""

    code = "ticket_returned"


class InvalidPublicKey(RejectedMessage):
    """The peer's public key (RSA, or a point of P-256) is not acceptable."""

    code = "key_not_admitted"


class BrokenStream(RejectedMessage):
    """A stream was cut off, or one of its records is not what the sender sealed (§2.10).

    What came before is genuine and not whole.
    """

    code = "broken_stream"


class AbortedStream(RemoteProtocolError):
    """The peer ended the stream before its end, and says why: ``reason`` is a number."""

    code = "aborted_stream"

    def __init__(self, reason: int, message: str = "") -> None:
        super().__init__(message or f"the peer aborted the stream (reason {reason})")
        self.reason = reason
