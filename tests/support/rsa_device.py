"""A process that holds an RSA key and only unwraps with it; and its client, for tests.

As a program, this module is the device: it generates the key and never sends it. Each input line is
``MANNER HEX``. The device answers each one with one line, except in the manner ``hangs``.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from processes import program

_ANSWER_S = 30


def device() -> None:
    """The device's end of the pipe."""
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    print(public.hex(), flush=True)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    for line in sys.stdin:
        manner, wrapped = line.split()
        if manner == "hangs":
            continue
        secret = key.decrypt(bytes.fromhex(wrapped), oaep)
        said = {"short": secret[:31], "long": secret + b"\0", "other": bytes(32), "empty": b""}
        print("no" if manner == "fails" else said.get(manner, secret).hex(), flush=True)


class DeviceFailed(Exception):
    """The error of a driver of such a device."""


class Device:
    """An ``RsaDecrypter`` with its key in ``process``. ``manner`` controls the answers."""

    def __init__(self, process: asyncio.subprocess.Process, public_key: bytes) -> None:
        self.public_key: bytes | str = public_key
        self.manner = "honest"
        self.asked = 0
        self.secrets: list[bytes] = []
        self._process = process
        self._one = asyncio.Lock()

    async def decrypt(self, wrapped: bytes) -> bytes:
        assert self._process.stdin
        assert self._process.stdout
        async with self._one:
            self.asked += 1
            self._process.stdin.write(f"{self.manner} {wrapped.hex()}\n".encode())
            line = (await self._process.stdout.readline()).decode().strip()
        if line == "no":
            raise DeviceFailed("the card was taken out")
        self.secrets.append(bytes.fromhex(line))
        return self.secrets[-1]


@asynccontextmanager
async def rsa_device() -> AsyncIterator[Device]:
    pipe = asyncio.subprocess.PIPE
    async with program(sys.executable, str(Path(__file__)), stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        async with asyncio.timeout(_ANSWER_S):
            public_key = bytes.fromhex((await process.stdout.readline()).decode())
        yield Device(process, public_key)


if __name__ == "__main__":
    device()
