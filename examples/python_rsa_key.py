"""An RSA key held by openssl: ``python examples/python_rsa_key.py URL NAME PUBLIC PRIVATE``."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from certless.client import Client

OAEP = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"


class OpensslKey:
    def __init__(self, public_key: str, private_key: str) -> None:
        self.public_key = public_key
        self._command = ["openssl", "pkeyutl", "-decrypt", "-inkey", private_key, *OAEP.split()]

    async def decrypt(self, wrapped: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            secret, said = await process.communicate(wrapped)
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise OSError(said.decode())
        return secret


async def main(url: str, username: str, public: str, private: str) -> None:
    key = OpensslKey(Path(public).read_text("ascii"), private)  # noqa: ASYNC240
    async with Client(url, suite="rsa-gcm", rsa_key=key) as client:
        await client.login(username, code=lambda: input("Code from the mail: "))
        response = await client.post("/orders", json={"item": "tea"})
        print(response.status, await response.json())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
