"""What the Content-Type of a response says about its body."""

import json as json_module
from collections.abc import Mapping
from email.message import Message
from typing import Any

_DEFAULT_TYPE = "application/octet-stream"
_DEFAULT_CHARSET = "utf-8"


def content_type_of(headers: Mapping[str, str]) -> str:
    """The media type without parameters."""
    return headers.get("Content-Type", _DEFAULT_TYPE).split(";")[0].strip()


def charset_of(headers: Mapping[str, str]) -> str:
    """The charset of Content-Type; utf-8 if there is none, or if Python does not know it."""
    parsed = Message()
    parsed["Content-Type"] = headers.get("Content-Type", "").encode("ascii", "ignore").decode()
    charset = parsed.get_content_charset(_DEFAULT_CHARSET)
    try:
        # Also refuses codecs that are not of text, for instance hex.
        " ".encode(charset)
    except (LookupError, ValueError):
        return _DEFAULT_CHARSET
    return charset


def text_of(body: bytes, headers: Mapping[str, str], encoding: str | None, errors: str) -> str:
    """Raises: UnicodeDecodeError, and LookupError for an unknown ``encoding``."""
    return body.decode(encoding or charset_of(headers), errors)


def json_of(body: bytes, headers: Mapping[str, str], encoding: str | None) -> Any:
    """Raises: ValueError."""
    charset = encoding or charset_of(headers)
    # JSON in bytes can be UTF-8, UTF-16 or UTF-32; Python finds out which.
    is_default = charset.lower() == _DEFAULT_CHARSET
    return json_module.loads(body if is_default else body.decode(charset))
