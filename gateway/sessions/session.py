"""The session, as handlers see it."""

from dataclasses import dataclass

from gateway.errors import ExporterUnavailable
from gateway.policy.suites import is_hardened
from protocol.hardened.exporter import exported_value
from protocol.hardened.suites import HARDENED_SUITES

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

    def export(self, label: str, context: bytes = b"", length: int = 32) -> bytes:
        """A secret value that only the client and the server of this session can compute.

        The client's ``export`` returns the same value for the same arguments. ``label`` names the
        purpose, for instance ``shop.example device``: 1 to 128 printable ASCII characters.
        ``context`` has at most 65,535 bytes, and ``length`` is 16 to 8160. The value is the same in
        the whole session, and another one after each login and resumption.
        Raises: ExporterUnavailable; ValueError, for an argument outside of its limits.
        """
        raise ExporterUnavailable(
            "classic exports no values: let this path require a hardened suite"
        )


class HardenedSession(Session):
    """A session that has the secret of the exporter.

    The secret is not a field of the dataclass, so no copy or text of the session contains it.
    """

    __slots__ = ("_export_secret",)
    _export_secret: bytes

    def __init__(self, id: str, user: str, suite: str, expires_ms: int, secret: bytes) -> None:
        super().__init__(id, user, suite, expires_ms)
        object.__setattr__(self, "_export_secret", secret)

    def export(self, label: str, context: bytes = b"", length: int = 32) -> bytes:
        """See ``Session.export``."""
        if not self._export_secret:
            raise ExporterUnavailable(
                "an earlier version opened this session: let the client resume, or log in again"
            )
        suite = HARDENED_SUITES[self.suite]
        return exported_value(suite, self._export_secret, label, context, length)
