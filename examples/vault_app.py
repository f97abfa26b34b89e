"""The vault in an aiohttp application behind the gateway: ``python examples/vault_app.py``."""

from aiohttp import web

import certless
import vault


async def notify(username: str, notice: vault.Notice) -> None:
    """Send the notice to all addresses of the user, and raise if that fails."""
    print(f"--- to {username}: {notice.subject}\n{notice.text}---")


app = web.Application()
vault.setup(app, database="sqlite:vault.db", notify=notify)
certless.setup(app, users=certless.AnyAddress(), mail="console:", require={"/vault/*": "ecdh-gcm"})

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8440)
