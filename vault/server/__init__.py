"""The server of the vault: routes of an aiohttp application behind the gateway, and its store."""
