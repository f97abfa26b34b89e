"""The gateway: the server side of Certless.

Programs import the public names from ``certless``. The same names are here, as before 0.2.0.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.adapters.aiohttp.inner import SESSION as SESSION
    from gateway.adapters.aiohttp.inner import USER as USER
    from gateway.adapters.aiohttp.setup import end_session as end_session
    from gateway.adapters.aiohttp.setup import reverse_proxy as reverse_proxy
    from gateway.adapters.aiohttp.setup import setup as setup
    from gateway.config.settings import Settings as Settings
    from gateway.mail.message import CodeMail as CodeMail
    from gateway.mail.transports import MailTransport as MailTransport
    from gateway.sessions.session import Session as Session
    from gateway.users.directory import Account as Account
    from gateway.users.directory import AnyAddress as AnyAddress
    from gateway.users.directory import Directory as Directory

    from .errors import ConfigError as ConfigError
    from .errors import ExporterUnavailable as ExporterUnavailable
    from .errors import GatewayError as GatewayError
    from .errors import MailNotSent as MailNotSent
    from .events import Event as Event
    from .stores import Store as Store

__version__ = "0.2.0"

# Loaded at first use, so that a program loads only what it uses.
_HOME = {
    "Account": "gateway.users.directory",
    "AnyAddress": "gateway.users.directory",
    "CodeMail": "gateway.mail.message",
    "ConfigError": "gateway.errors",
    "Directory": "gateway.users.directory",
    "Event": "gateway.events",
    "ExporterUnavailable": "gateway.errors",
    "GatewayError": "gateway.errors",
    "MailNotSent": "gateway.errors",
    "MailTransport": "gateway.mail.transports",
    "SESSION": "gateway.adapters.aiohttp.inner",
    "Session": "gateway.sessions.session",
    "Settings": "gateway.config.settings",
    "Store": "gateway.stores",
    "USER": "gateway.adapters.aiohttp.inner",
    "end_session": "gateway.adapters.aiohttp.setup",
    "reverse_proxy": "gateway.adapters.aiohttp.setup",
    "setup": "gateway.adapters.aiohttp.setup",
}
# Names from before 0.2.0.
_FORMER = {"Delivery": "MailTransport"}


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        new = _FORMER[name]
        warnings.warn(f"{name} is now {new}: use that", DeprecationWarning, stacklevel=2)
        name = new
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
