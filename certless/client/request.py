"""Requests of the Python client, made from the same arguments as aiohttp's."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict
from urllib.parse import quote

from aiohttp import FormData, payload
from multidict import CIMultiDict
from yarl import URL

from protocol.common.codec import serialize_json
from protocol.common.errors import MalformedMessage
from protocol.common.messages import HttpRequest
from protocol.streams.opening import SocketRequest, StreamRequest

from .codings import ACCEPTED
from .event_stream import EVENTS_TYPE
from .streams import RECORD_BYTES

FieldLines: TypeAlias = tuple[tuple[str, str], ...]
Data: TypeAlias = bytes | str | Mapping[str, str] | FormData


class RequestOptions(TypedDict, total=False):
    """The keywords of ``Client.request``."""

    params: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    json: Any
    data: Data | None


# No header value can hold them.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
# Characters that a target can contain, and "%": escaped text is not escaped again.
_AS_WRITTEN = "/?%!$&'()*+,;=:@-._~[]"


def target_of(path: str, params: Mapping[str, Any] | None = None) -> str:
    """``path`` with ``params`` at its end.

    Only characters that a target cannot contain are encoded, for instance spaces and non-ASCII.
    The fragment is removed. Dot segments, double slashes and escapes are sent unchanged.
    Raises: ValueError.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError("path must start with exactly one /; the host belongs in Client(url)")
    target = quote(path.partition("#")[0], safe=_AS_WRITTEN)
    if not params:
        return target
    query = URL.build(query=params).raw_query_string
    joint = "?" if "?" not in target else "" if target.endswith(("?", "&")) else "&"
    return target + joint + query


def http_request(
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    data: bytes | str | Mapping[str, str] | None = None,
) -> HttpRequest:
    """The request to seal. Without a Content-Type, it gets the one of ``json`` or ``data``.

    Raises: ValueError, for a request that the gateway would refuse.
    """
    if json is not None and data is not None:
        raise ValueError("give json or data, not both")
    target = target_of(path, params)
    sent: CIMultiDict[str] = CIMultiDict(headers or {})
    body = b""
    if json is not None:
        body = serialize_json(json)
        sent.setdefault("Content-Type", "application/json")
    elif isinstance(data, str):
        body = data.encode()
        sent.setdefault("Content-Type", "text/plain; charset=utf-8")
    elif isinstance(data, Mapping):
        body = URL.build(query=data).raw_query_string.encode()
        sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
    elif data is not None:
        body = data
        sent.setdefault("Content-Type", "application/octet-stream")
    try:
        checked = HttpRequest(method.upper(), target, tuple(sent.items()), body)
        return HttpRequest.parse_array(checked.to_array())
    except MalformedMessage as error:
        raise ValueError(str(error)) from None


def stream_request(
    method: str,
    path: str,
    params: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
) -> StreamRequest:
    """The request whose body follows; its length is not known yet. Raises: ValueError."""
    sent = _field_bytes(headers)
    request = StreamRequest(method.upper(), target_of(path, params), sent, None, RECORD_BYTES)
    try:
        return StreamRequest.parse(request.serialize())
    except MalformedMessage as error:
        raise ValueError(str(error)) from None


def _has(headers: FieldLines, wanted: str) -> bool:
    return any(name.lower() == wanted for name, _ in headers)


def with_defaults(headers: FieldLines, host: str, cookie: str | None) -> FieldLines:
    """``headers``, and what they do not have: Host, codings that the client decodes, and cookies.

    An attacker can change the Host outside of the seal. A part of an encoded body cannot be
    decoded, so no coding is asked for with Range.
    """
    added = []
    if not _has(headers, "host"):
        added.append(("Host", host))
    if not _has(headers, "accept-encoding"):
        added.append(("Accept-Encoding", "identity" if _has(headers, "range") else ACCEPTED))
    if cookie is not None and not _has(headers, "cookie"):
        added.append(("Cookie", cookie))
    return (*headers, *added)


def as_bytes(value: str) -> str:
    """A header value in a stream: one character for each byte."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def from_bytes(value: str) -> str:
    """A header value of one character for each byte, as aiohttp decodes the bytes.

    A gateway without streams ignores that values are bytes, and sends text.
    """
    try:
        return value.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value


def as_text(value: str) -> str:
    """A header value in a message of the classic suite, which is text: UTF-8, else Latin-1."""
    data = value.encode("utf-8", "surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def with_values(headers: FieldLines, written: Callable[[str], str]) -> FieldLines:
    """``headers`` with each value as ``written`` gives it."""
    return tuple((name, written(value)) for name, value in headers)


def event_headers(headers: Mapping[str, str] | None, last_event_id: str) -> CIMultiDict[str]:
    """The headers of a request for Server-Sent Events."""
    sent: CIMultiDict[str] = CIMultiDict(headers or {})
    sent.setdefault("Accept", EVENTS_TYPE)
    sent.setdefault("Cache-Control", "no-store")
    # A compressor can hold an event back until the next one comes.
    sent.setdefault("Accept-Encoding", "identity")
    if last_event_id and not _CONTROLS.search(last_event_id):
        sent["Last-Event-ID"] = last_event_id
    return sent


def socket_request(
    path: str,
    params: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    protocols: Sequence[str],
) -> SocketRequest:
    """The request for a WebSocket. Raises: ValueError."""
    if isinstance(protocols, str):
        raise ValueError("protocols is a list of names")
    target, sent = target_of(path, params), _field_bytes(headers)
    request = SocketRequest(target, sent, tuple(protocols), RECORD_BYTES)
    try:
        return SocketRequest.parse(request.serialize())
    except MalformedMessage as error:
        raise ValueError(str(error)) from None


def _field_bytes(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Header values as text of one character for each byte."""
    return with_values(tuple(CIMultiDict(headers or {}).items()), as_bytes)


@dataclasses.dataclass(frozen=True, slots=True)
class FormRequest:
    """A request with a form, whose files must be read before it can be sealed."""

    head: HttpRequest
    form: payload.Payload

    async def whole(self) -> HttpRequest:
        body = await self.form.as_bytes()
        return dataclasses.replace(self.head, body=body)


def form_request(
    method: str,
    path: str,
    form: FormData,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> FormRequest:
    """The same for a form, which has its own Content-Type. Raises: ValueError."""
    encoded = form()
    typed: CIMultiDict[str] = CIMultiDict(headers or {})
    # Overrides the caller's Content-Type, which cannot contain the boundary.
    typed["Content-Type"] = encoded.content_type
    return FormRequest(http_request(method, path, params=params, headers=typed), encoded)
