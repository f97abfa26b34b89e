"""What the vault's client raises besides the errors of ``vault.core``."""

from vault.core.errors import VaultError

_MESSAGES = {
    "refused": (
        "not accepted: the secret is wrong, or there is none, or the vault waits after wrong "
        "attempts; try again later"
    ),
    "conflict": "another device has changed the vault: read it again, then try again",
    "exists": "there is a vault already: unlock it",
    "not_found": "there is no change to read",
    "too_large": "this is too large for the vault",
    "too_many": "this user has reserved too many ids in this hour: wait, then try again",
    "unavailable": "the service cannot store or mail anything now: try again later",
    "suite_required": "the vault needs a session of a hardened suite: log in again by ecdh-gcm",
    "malformed": "the service did not understand the request: update the client or the service",
}


class VaultLocked(VaultError):
    """The vault is locked."""

    def __init__(self) -> None:
        super().__init__("the vault is locked: unlock it first")


class VaultRefused(VaultError):
    """The service refused. ``code`` is a name of VAULT §15, or "" for an answer without one."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(_MESSAGES.get(code, f"the service refused the request: status {status}"))
        self.status = status
        self.code = code
