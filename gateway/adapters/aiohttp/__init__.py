"""aiohttp: an application behind Certless, and the reverse proxy."""
