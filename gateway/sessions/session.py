"""What a handler may know of a session."""

from dataclasses import dataclass

from gateway.policy.suites import is_hardened

ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Session:
    """What a handler may know of the session it serves.

    ``id`` in hex: a hash of the token in classic, the session id of the hardened suites.
    ``suite`` is ``ecdh-gcm``, ``rsa-gcm``, or ``classic/`` and the dialect.
    """

    id: str
    user: str
    suite: str
    expires_ms: int

    @property
    def strength(self) -> str:
        """``hardened`` or ``classic``."""
        return "hardened" if is_hardened(self.suite) else "classic"
