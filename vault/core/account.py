"""The names and the keys of an account (VAULT §2, §3.1)."""

from dataclasses import dataclass, field

from protocol.common.primitives import equal, hkdf, sha256

from .errors import Tampered
from .primitives import SigningKey

KEY_BYTES = 32
ACCOUNT_BYTES = 32
REVISION_BYTES = 32
# The exporter label (PROTOCOL §2.5.3, §5.9) of the value that binds a signature to a session.
EXPORT_LABEL = "certless-vault/1"


def lp(data: bytes) -> bytes:
    """``data`` behind its length as u32. Source: PROTOCOL §1.2.3."""
    return len(data).to_bytes(4) + data


def label(purpose: str) -> bytes:
    """V(purpose) (VAULT §2)."""
    return lp(EXPORT_LABEL.encode()) + lp(purpose.encode())


@dataclass(frozen=True, slots=True)
class Owner:
    """The user to whom an account belongs, as their session names them."""

    username: str
    realm: str

    @property
    def account(self) -> bytes:
        """The name of the account (32 bytes)."""
        names = lp(self.realm.encode()) + lp(self.username.encode())
        return sha256(label("account") + names)

    @property
    def prover(self) -> bytes:
        """idP of SPAKE2+ (VAULT §3.2)."""
        return b"client:" + self.username.encode()

    @property
    def verifier(self) -> bytes:
        """idV of SPAKE2+."""
        return b"server:" + self.realm.encode()


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The account key N (32 bytes) and what is derived from it."""

    account: bytes
    n: bytes = field(repr=False)

    def derived(self, purpose: str) -> bytes:
        """K(purpose) (32 bytes)."""
        return hkdf(self.n, self.account, label(purpose), KEY_BYTES)

    @property
    def head(self) -> SigningKey:
        """The head key, which signs every request."""
        return SigningKey.of(self.derived("head"))

    def check_head(self, head: bytes) -> None:
        """Compare the head that the server names. Raises: Tampered."""
        if not equal(self.head.public, head):
            raise Tampered("the server names another head than that of this account key")


def next_revision(revision: bytes, body: bytes) -> bytes:
    """The revision after the change ``body``; ``revision`` is b"" for a new account (VAULT §7)."""
    return sha256(label("revision") + lp(revision) + lp(body))
