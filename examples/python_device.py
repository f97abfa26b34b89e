"""A device: ``python examples/python_device.py http://127.0.0.1:8440 fan-7 [REALM]``."""

import asyncio
import sys

from certless.client import Client, ClientError, NotLoggedIn, TicketNotAccepted


async def main(url: str, name: str, realm: str = "certless") -> None:
    async with Client(url, realm=realm, tickets=f"{name}.ticket") as client:
        try:
            await client.resume()
        except (NotLoggedIn, TicketNotAccepted):
            await client.login(name, code=lambda: input("Code from the operator: "))
        response = await client.post("/orders", json={"item": "filter"})
        print(response.status)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except ClientError as error:
        sys.exit(str(error))
