"""The browser client that this gateway serves (PROTOCOL §1.3): the built bundle and one line.

The line starts the client with the settings of this gateway. Below the prefix, ``client.js``
redirects to ``client.HASH.js``, which never changes, so a browser may cache it for a year.
"""

import gzip
import hashlib
import re
from dataclasses import asdict
from pathlib import Path

from multidict import CIMultiDict

from gateway.config.settings import Settings
from protocol.classic.dialects import DIALECTS, Dialect
from protocol.common.codec import JsonValue, serialize_json

from .outer import OuterRequest, Reply

BUNDLE = Path(__file__).parent.parent / "bundle" / "client.js"

_NAME = "client.js"
_OUTCOME = "client script"
_HASH_CHARS = 16
_HASHED_NAME = re.compile(r"client\.[0-9a-f]{16}\.js")
# After an update a page can use the former script for this long.
_REDIRECT = "public, max-age=300"
_KEEP = "public, max-age=31536000, immutable"


class ClientScript:
    """Replies for the paths of the script.

    Without the bundle, which Node.js builds, there is no script.
    """

    def __init__(self, settings: Settings, bundle: Path = BUNDLE) -> None:
        self._folder = settings.prefix + "/"
        self._script = b""
        if bundle.exists():
            self._script = (
                bundle.read_bytes() + b"certless.start(" + _start_options(settings) + b");\n"
            )
        self._gzipped = gzip.compress(self._script, mtime=0)
        self._hashed_name = f"client.{hashlib.sha256(self._script).hexdigest()[:_HASH_CHARS]}.js"

    def answer(self, request: OuterRequest) -> Reply | None:
        """302 to the name with the hash, or the script under that name. None for other paths."""
        folder, name = request.raw_path.rsplit("/", 1)
        is_read = request.method in ("GET", "HEAD")
        if not is_read or folder + "/" != self._folder:
            return None
        if not self._script:
            return _missing() if name == _NAME else None
        if name == _NAME:
            target = {"Location": self._hashed_name, "Cache-Control": _REDIRECT}
            return Reply(302, CIMultiDict(target), b"", _OUTCOME)
        if not _HASHED_NAME.fullmatch(name):
            return None
        headers = CIMultiDict(
            {
                "Content-Type": "text/javascript; charset=utf-8",
                # A page that was redirected to a former script gets this one.
                "Cache-Control": _KEEP if name == self._hashed_name else "no-cache",
                "Vary": "Accept-Encoding",
                "X-Content-Type-Options": "nosniff",
            }
        )
        if "gzip" not in request.headers.get("Accept-Encoding", "").lower():
            return Reply(200, headers, self._script, _OUTCOME)
        headers["Content-Encoding"] = "gzip"
        return Reply(200, headers, self._gzipped, _OUTCOME)


def _missing() -> Reply:
    text = "the gateway was installed without its browser client: `make bundle`, install again"
    body = serialize_json({"error": "not_found", "message": text})
    headers = CIMultiDict({"Content-Type": "application/json; charset=utf-8"})
    return Reply(404, headers, body, _OUTCOME)


def _start_options(settings: Settings) -> bytes:
    known = DIALECTS.get(settings.dialect.name) == settings.dialect
    return serialize_json(
        {
            "prefix": settings.prefix,
            "dialect": settings.dialect.name if known else _dialect_members(settings.dialect),
            "lifetimeMs": settings.session_lifetime_s * 1000,
            "suites": list(settings.suites),
            "realm": settings.realm,
        }
    )


def _dialect_members(dialect: Dialect) -> dict[str, JsonValue]:
    """A dialect of the integrator, with the member names of client_js."""
    return _camel_case(asdict(dialect))


def _camel_case(members: dict[str, JsonValue]) -> dict[str, JsonValue]:
    whole: dict[str, JsonValue] = {}
    for name, value in members.items():
        first, *rest = name.split("_")
        camel = first + "".join(word.capitalize() for word in rest)
        whole[camel] = _camel_case(value) if isinstance(value, dict) else value
    return whole
