"""The keys and the role of a member of a team (TEAMS §3)."""

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, get_args

from protocol.common.primitives import sha256
from vault.core.account import ACCOUNT_BYTES, AccountKey, label, lp
from vault.core.bodies import Body
from vault.core.errors import Malformed
from vault.core.index import words
from vault.core.primitives import EXCHANGE_KEY_BYTES, ExchangeKey, SigningKey

Role: TypeAlias = Literal["owner", "editor", "reader"]
ROLES: dict[str, Role] = {role: role for role in get_args(Role)}
MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class TeamKeys:
    """The private keys with which an account takes part in teams."""

    signing: SigningKey
    sealing: ExchangeKey

    @classmethod
    def of(cls, key: AccountKey) -> Self:
        """The keys of the account with ``key``."""
        return cls(
            SigningKey.of(key.derived("team signing")), ExchangeKey.of(key.derived("team sealing"))
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A member as the roster names them. ``signing`` and ``sealing`` are public keys."""

    account: bytes
    name: str
    role: Role
    signing: bytes
    sealing: bytes

    @classmethod
    def of(cls, key: AccountKey, name: str, role: Role) -> Self:
        """The member with the account key ``key``."""
        keys = TeamKeys.of(key)
        return cls(key.account, name, role, keys.signing.public, keys.sealing.public)

    @classmethod
    def take(cls, body: Body) -> Self:
        """Raises: Malformed."""
        account, name, role = (
            body.raw("account", ACCOUNT_BYTES),
            body.text("name"),
            body.text("role"),
        )
        if not 1 <= len(name.encode()) <= MAX_NAME_BYTES:
            raise Malformed(f"the name of a member has 1 to {MAX_NAME_BYTES} bytes")
        if role not in ROLES:
            raise Malformed("a role is owner, editor or reader")
        signing, sealing = body.public_key("signing"), body.raw("sealing", EXCHANGE_KEY_BYTES)
        body.end()
        return cls(account, name, ROLES[role], signing, sealing)

    def members(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "name": self.name,
            "role": self.role,
            "signing": self.signing,
            "sealing": self.sealing,
        }

    @property
    def can_write(self) -> bool:
        """Whether items of this member are valid."""
        return self.role != "reader"

    @property
    def keys(self) -> tuple[bytes, bytes, bytes]:
        """The account and its public keys, which the words confirm."""
        return self.account, self.signing, self.sealing

    @property
    def words(self) -> tuple[str, str, str, str]:
        """The four words by which an owner confirms the keys of a new member."""
        return words(sha256(label("team member") + b"".join(map(lp, self.keys))))
