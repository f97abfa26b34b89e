"""The session, as handlers see it."""

from dataclasses import dataclass

from gateway.policy.suites import is_hardened

ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a request, for handlers.

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
