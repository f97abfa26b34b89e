"""A device: ``python examples/python_device.py http://127.0.0.1:8440 fan-7 [REALM]``."""

import asyncio
import sys

from certless.client import Client, ClientError, NotLoggedIn, TicketNotAccepted


async def resume(client: Client) -> None:
    try:
        await client.resume()
    except TicketNotAccepted:  # Anybody on the network can send this response, so try once more.
        await client.resume()


async def main(url: str, name: str, realm: str = "certless") -> None:
    async with Client(url, realm=realm, tickets=f"{name}.ticket") as client:
        try:
            await resume(client)
        except (NotLoggedIn, TicketNotAccepted):
            await client.login(name, code=lambda: input("Code from the operator: "))
        response = await client.post("/orders", json={"item": "filter"})
        print(response.status)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except ClientError as error:
        sys.exit(str(error))
