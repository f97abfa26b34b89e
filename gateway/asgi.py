"""The former name of ``certless.asgi``."""

import warnings

from certless.asgi import SESSION, USER, Certless, session, user

__all__ = [
    "SESSION",
    "USER",
    "Certless",
    "session",
    "user",
]

warnings.warn("gateway.asgi is now certless.asgi: import that", DeprecationWarning, stacklevel=2)
