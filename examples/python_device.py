"""A device without a mailbox: ``python examples/python_device.py http://127.0.0.1:8440 fan-7``."""

import asyncio
import sys

from gateway.client import Client, NotLoggedIn, TicketNotAccepted


async def main(url: str, name: str) -> None:
    async with Client(url, tickets=f"{name}.ticket") as client:
        try:
            await client.resume()
        except (NotLoggedIn, TicketNotAccepted):
            await client.login(name, code=lambda: input("Code from the operator: "))
        response = await client.post("/orders", json={"item": "filter"})
        print(response.status)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
