"""The parts of an account that a client makes, and checks before it commits them (VAULT §8, §9)."""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from vault.core.account import KEY_BYTES, AccountKey, Owner
from vault.core.errors import WrongSecret
from vault.core.messages import PasswordPart, SecretPart, StageChange
from vault.core.password import SALT_BYTES, STRONGEST_KDF, PasswordSecrets
from vault.core.unlock_secrets import SECRET_BYTES, UnlockSecret, code_of, read_code
from vault.core.wraps import IV_BYTES, unwrap, wrap

# Shows a new recovery code, and returns what the user typed when they were asked to type it back.
TypeBack: TypeAlias = Callable[[str], Awaitable[str]]


def new_iv() -> bytes:
    """12 random bytes."""
    return secrets.token_bytes(IV_BYTES)


def new_key(account: bytes) -> AccountKey:
    """A new account key N."""
    return AccountKey(account, secrets.token_bytes(KEY_BYTES))


async def password_secrets(password: str, salt: bytes, kdf: int, owner: Owner) -> PasswordSecrets:
    """What the password gives. Raises: Malformed, WeakKdf."""
    # Argon2id takes a third of a second, and releases the GIL.
    return await asyncio.to_thread(PasswordSecrets.derive, password, salt, kdf, owner)


async def password_part(password: str, owner: Owner, key: AccountKey) -> PasswordPart:
    """The password with a new salt, and the wrap of ``key`` under it. Raises: Malformed."""
    salt = secrets.token_bytes(SALT_BYTES)
    found = await password_secrets(password, salt, STRONGEST_KDF, owner)
    wrapped = wrap(found.kek, new_iv(), key, "password")
    return PasswordPart(STRONGEST_KDF, salt, *found.verifier, wrapped)


async def recovery_part(key: AccountKey, type_back: TypeBack) -> tuple[SecretPart, UnlockSecret]:
    """A new recovery code, once the user has typed it back. Raises: Malformed, WrongSecret."""
    drawn = secrets.token_bytes(SECRET_BYTES["recovery"])
    typed = read_code("recovery", await type_back(code_of("recovery", drawn)))
    if not hmac.compare_digest(typed, drawn):
        raise WrongSecret("this is another recovery code: type the one that was shown")
    secret = UnlockSecret(key.account, "recovery", typed)
    return secret_part(secret, key), secret


async def check_password(staged: StageChange, password: str, owner: Owner, key: AccountKey) -> None:
    """Open the staged wrap by the password. Raises: WrongSecret, Tampered."""
    part = staged.password
    assert part is not None  # noqa: S101  # the bytes are those that were sent
    found = await password_secrets(password, part.salt, part.kdf, owner)
    unwrap(found.kek, part.wrap, key.account, "password").check_head(key.head.public)


def secret_part(secret: UnlockSecret, key: AccountKey, subject: bytes = b"") -> SecretPart:
    """The proof key of ``secret``, and the wrap of ``key`` under it, with ``subject``."""
    wrapped = wrap(secret.kek, new_iv(), key, secret.kind, subject)
    return SecretPart(secret.proof_key.public, wrapped)


def check_recovery(staged: StageChange, secret: UnlockSecret, key: AccountKey) -> None:
    """Open the staged wrap by the recovery code. Raises: WrongSecret, Tampered."""
    part = staged.recovery
    assert part is not None  # noqa: S101  # the bytes are those that were sent
    unwrap(secret.kek, part.wrap, key.account, "recovery").check_head(key.head.public)
