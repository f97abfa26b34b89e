"""The request of a webhook: its URL, headers and body, from a file.

::

    # sms.toml
    url = "https://sms.example/v1/messages"
    format = "json"                               # or "form"

    [headers]
    Authorization = "Bearer ${SMS_TOKEN}"         # from the environment

    [body]
    to = "{address}"
    message = "{short}"

Values are replaced inside of strings, before these are encoded, so a name cannot change the
structure of a body.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gateway.config.settings import http_url
from gateway.errors import ConfigError

from .message import CodeMail

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_NAMES = ("address", "code", "minutes", "short", "site", "subject", "text", "user")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEYS = frozenset({"url", "format", "headers", "body"})


def _default_body() -> dict[str, Any]:
    return {"to": "{address}", "subject": "{subject}", "text": "{text}"}


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A POST to ``url``. The URL and the headers can contain secrets."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=_default_body)
    format: Literal["json", "form"] = "json"

    def content(self, address: str, mail: CodeMail) -> dict[str, Any]:
        """The body for one code."""
        values = {
            "address": address,
            "code": mail.code,
            "minutes": str(mail.minutes),
            "short": mail.short,
            "site": mail.site,
            "subject": mail.subject,
            "text": mail.text,
            "user": mail.user,
        }
        return {
            name: _map(value, lambda text: _PLACEHOLDER.sub(lambda found: values[found[1]], text))
            for name, value in self.body.items()
        }


def webhook_file(path: Path, about: str) -> WebhookRequest:
    """The request that the file describes. Raises: ConfigError, without secrets."""
    where = f"{about}: {path}"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {error}") from None
    if unknown := sorted(set(content) - _KEYS):
        raise ConfigError(f"{where}: unknown {unknown[0]!r}; it takes url, format, headers, body")
    url, form = content.get("url"), content.get("format", "json")
    headers, body = content.get("headers", {}), content.get("body", _default_body())
    if form not in ("json", "form"):
        raise ConfigError(f'{where}: format must be "json" or "form"')
    if not (isinstance(headers, dict) and isinstance(body, dict) and isinstance(url, str)):
        raise ConfigError(f"{where}: it needs a url, and headers and body are tables")
    if form == "form" and not all(isinstance(value, str) for value in body.values()):
        raise ConfigError(f"{where}: in a form every value of body is a string")
    url = _from_environment(url, where)
    if http_url(url) is None:
        raise ConfigError(f"{where}: url must be https://HOST/…")
    _map(body, lambda text: _checked(text, where))
    return WebhookRequest(url, _headers(headers, where), body, form)


def _headers(headers: Mapping[str, Any], where: str) -> dict[str, str]:
    found = {}
    for name, value in headers.items():
        if not _FIELD_NAME.fullmatch(name) or not isinstance(value, str):
            raise ConfigError(f"{where}: header {name!r} must have a name and a string")
        found[name] = _from_environment(value, where)
        if not found[name].isprintable() or not found[name].isascii():
            raise ConfigError(f"{where}: header {name!r} must be printable ASCII")
    return found


def _from_environment(text: str, where: str) -> str:
    def value(found: re.Match[str]) -> str:
        if not (value := os.environ.get(found[1])):
            raise ConfigError(f"{where}: the environment has no {found[1]}")
        return value

    return _VARIABLE.sub(value, text)


def _checked(text: str, where: str) -> str:
    for name in _PLACEHOLDER.findall(text):
        if name not in _NAMES:
            raise ConfigError(f"{where}: there is no {{{name}}}; there are {', '.join(_NAMES)}")
    return text


def _map(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with every string inside of it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _map(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_map(item, change) for item in value]
    return value
