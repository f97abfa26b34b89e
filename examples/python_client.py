"""A Python client: ``python examples/python_client.py http://127.0.0.1:8440 ann@example.org``."""

import asyncio
import sys

from certless.client import Client


async def main(url: str, username: str) -> None:
    async with Client(url) as client:
        await client.login(username, code=lambda: input("Code from the mail: "))
        response = await client.post("/orders", json={"item": "tea", "quantity": 2})
        print(response.status, await response.json())
        await client.logout()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
