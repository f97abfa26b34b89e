"""ASGI: Starlette, FastAPI and others behind Certless."""
