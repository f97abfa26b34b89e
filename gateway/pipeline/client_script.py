"""The scripts for browsers that this gateway serves (PROTOCOL §1.3): client, vault, certificates.

A last line starts the client with the settings of this gateway. Below the prefix, ``client.js``
redirects to ``client.HASH.js``, which never changes, so a browser may cache it for a year. So do
``vault.js`` and ``issuing.js``.
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

_OUTCOME = "client script"
_HASH_CHARS = 16
# After an update a page can use the former script for this long.
_REDIRECT = "public, max-age=300"
_KEEP = "public, max-age=31536000, immutable"


class ClientScript:
    """Replies for the paths of the scripts.

    ``bundle`` is the client, with ``vault.js`` and ``issuing.js`` beside it. Without these files,
    which Node.js builds, there are no scripts.
    """

    def __init__(self, settings: Settings, bundle: Path = BUNDLE) -> None:
        self._folder = settings.prefix + "/"
        start = b"certless.start(" + _start_options(settings) + b");\n"
        self._scripts = (
            _Script("client", bundle, start),
            _Script("vault", bundle.with_name("vault.js"), b""),
            _Script("issuing", bundle.with_name("issuing.js"), b""),
        )

    def answer(self, request: OuterRequest) -> Reply | None:
        """302 to the name with the hash, or the script under that name. None for other paths."""
        folder, name = request.raw_path.rsplit("/", 1)
        if request.method not in ("GET", "HEAD") or folder + "/" != self._folder:
            return None
        is_gzipped = "gzip" in request.headers.get("Accept-Encoding", "").lower()
        for script in self._scripts:
            if reply := script.answer(name, is_gzipped=is_gzipped):
                return reply
        return None


class _Script:
    """One script, and the names that lead to it."""

    def __init__(self, name: str, bundle: Path, last_line: bytes) -> None:
        self._name = f"{name}.js"
        self._content = bundle.read_bytes() + last_line if bundle.exists() else b""
        self._gzipped = gzip.compress(self._content, mtime=0)
        digest = hashlib.sha256(self._content).hexdigest()
        self._hashed_name = f"{name}.{digest[:_HASH_CHARS]}.js"
        self._hashed_names = re.compile(rf"{name}\.[0-9a-f]{{16}}\.js")

    def answer(self, name: str, *, is_gzipped: bool) -> Reply | None:
        """The reply for the path ``name``, or None for other names."""
        if not self._content:
            return _missing() if name == self._name else None
        if name == self._name:
            target = {"Location": self._hashed_name, "Cache-Control": _REDIRECT}
            return Reply(302, CIMultiDict(target), b"", _OUTCOME)
        if not self._hashed_names.fullmatch(name):
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
        if not is_gzipped:
            return Reply(200, headers, self._content, _OUTCOME)
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
