"""The session, as handlers see it."""

from dataclasses import dataclass

from gateway.errors import ExporterUnavailable
from gateway.policy.suites import is_hardened

ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a request, for handlers.

    ``id`` in hex: a hash of the token in classic, the session id of the hardened suites.
    ``suite`` is ``ecdh-gcm``, ``rsa-gcm``, or ``classic/`` and the dialect. ``ticket_id`` in hex
    names the ticket of the session, and stays the same after a resumption; "" if there is none.
    """

    id: str
    user: str
    suite: str
    expires_ms: int
    ticket_id: str = ""

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
