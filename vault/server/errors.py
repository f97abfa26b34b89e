"""The errors of the server, with their names and statuses on the wire (VAULT §15)."""

from vault.core.errors import Malformed, TooLarge, VaultError


class SuiteRequired(VaultError):
    """The session exports no values."""


class Refused(VaultError):
    """A secret or a signature is wrong, or there is nothing that it could open.

    The answer has the same bytes in all cases, so this error has no text of its own.
    """

    def __init__(self) -> None:
        super().__init__("not accepted: check the secret, or wait if you tried it often")


class NotFound(VaultError):
    """There is no staged change."""


class Conflict(VaultError):
    """The account has another revision, staged change, note or meta, or an id is in use."""


class Exists(VaultError):
    """There is an account already."""


class TooMany(VaultError):
    """The user has reserved too many ids in this hour."""


class Unavailable(VaultError):
    """The database, the pool or the mail system does not answer."""


# The most specific class first.
ERRORS: dict[type[VaultError], tuple[str, int]] = {
    TooLarge: ("too_large", 413),
    Malformed: ("malformed", 400),
    SuiteRequired: ("suite_required", 403),
    Refused: ("refused", 403),
    NotFound: ("not_found", 404),
    Conflict: ("conflict", 409),
    Exists: ("exists", 409),
    TooMany: ("too_many", 429),
    Unavailable: ("unavailable", 503),
}
