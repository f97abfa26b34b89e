"""Passwords of users: Argon2id, computed outside of the event loop, one at a time.

The hash is a PHC string. Its parameters have bounds, so that a line in a users file cannot use up
the memory or the time of a gateway.
"""

import asyncio
import re
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

# The second recommendation of RFC 9106 §4: 64 MiB, 3 passes, 4 lanes.
_MEMORY_KIB, _PASSES, _LANES = 65536, 3, 4
_LEAST_KIB, _MOST_KIB, _MOST_PASSES, _MOST_LANES = 19456, 256 * 1024, 10, 16
_SALT_BYTES, _HASH_BYTES = 16, 32
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})"
    r"\$[A-Za-z0-9+/]{22,86}\$[A-Za-z0-9+/]{22,86}"
)


def hash_password(password: str) -> str:
    """A new hash of ``password``, as a PHC string."""
    kdf = Argon2id(
        salt=secrets.token_bytes(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
    return kdf.derive_phc_encoded(_bytes(password))


def check_hash(text: str) -> None:
    """Check the form of a hash and its parameters. Raises: ValueError."""
    found = _PHC.fullmatch(text)
    if found is None:
        raise ValueError("not a hash of Argon2id")
    memory_kib, passes, lanes = map(int, found.groups())
    if not _LEAST_KIB <= memory_kib <= _MOST_KIB:
        raise ValueError(f"its memory must be {_LEAST_KIB} to {_MOST_KIB} KiB")
    if not (1 <= passes <= _MOST_PASSES and 1 <= lanes <= _MOST_LANES):
        raise ValueError(f"it must have at most {_MOST_PASSES} passes and {_MOST_LANES} lanes")


class Passwords:
    """Compares passwords with hashes, one at a time in each process."""

    def __init__(self) -> None:
        # One thread bounds the memory. cryptography releases the GIL during the computation.
        self._thread = ThreadPoolExecutor(1, "certless-password")

    async def is_right(self, password: str, expected: str | None) -> bool:
        """Whether ``password`` has the hash ``expected``. Without a hash it takes as long."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _is_right, password, expected)


def _is_right(password: str, expected: str | None) -> bool:
    try:
        Argon2id.verify_phc_encoded(_bytes(password), expected or _no_hash())
    except InvalidKey:
        return False
    return expected is not None


@cache
def _no_hash() -> str:
    return hash_password(secrets.token_hex(16))


def _bytes(password: str) -> bytes:
    # Keyboards differ in how they write one letter.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
