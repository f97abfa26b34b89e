"""Certless in front of Starlette, FastAPI and other ASGI applications."""

from gateway.adapters.asgi.app import SESSION, USER, Certless, session, user

__all__ = ["SESSION", "USER", "Certless", "session", "user"]
