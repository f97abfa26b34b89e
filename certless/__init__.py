"""Certless: encrypted, authenticated HTTP where TLS cannot go.

``certless.setup(app, users=..., mail=...)`` puts it in front of any aiohttp application. Handlers
stay as they are; they find the session under ``request[SESSION]`` and the user's name under
``request[USER]``. ``certless.asgi.Certless`` is the same for ASGI, and ``certless.Client`` is the
client.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway import events as events
    from gateway.adapters.aiohttp.inner import SESSION as SESSION
    from gateway.adapters.aiohttp.inner import USER as USER
    from gateway.adapters.aiohttp.setup import end_session as end_session
    from gateway.adapters.aiohttp.setup import reverse_proxy as reverse_proxy
    from gateway.adapters.aiohttp.setup import setup as setup
    from gateway.config.settings import Settings as Settings
    from gateway.errors import ConfigError as ConfigError
    from gateway.errors import ExporterUnavailable as ExporterUnavailable
    from gateway.errors import GatewayError as GatewayError
    from gateway.errors import MailNotSent as MailNotSent
    from gateway.events import Event as Event
    from gateway.mail.message import CodeMail as CodeMail
    from gateway.mail.transports import MailTransport as MailTransport
    from gateway.sessions.session import Session as Session
    from gateway.stores import Store as Store
    from gateway.users.directory import Account as Account
    from gateway.users.directory import AnyAddress as AnyAddress
    from gateway.users.directory import Directory as Directory

    from . import asgi as asgi
    from . import client as client
    from .client import Client as Client

# Loaded at first use, so that a program loads only what it uses.
_HOME = dict.fromkeys(
    (
        "Account",
        "AnyAddress",
        "CodeMail",
        "ConfigError",
        "Directory",
        "Event",
        "ExporterUnavailable",
        "GatewayError",
        "MailNotSent",
        "MailTransport",
        "SESSION",
        "Session",
        "Settings",
        "Store",
        "USER",
        "end_session",
        "reverse_proxy",
        "setup",
    ),
    "gateway",
)
_HOME["Client"] = "certless.client"
# Names from before 0.2.0.
_FORMER = {"Delivery": "MailTransport"}
_MODULES = {
    "asgi": "certless.asgi",
    "client": "certless.client",
    "events": "gateway.events",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _FORMER:
        new = _FORMER[name]
        warnings.warn(f"{name} is now {new}: use that", DeprecationWarning, stacklevel=2)
        name = new
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
