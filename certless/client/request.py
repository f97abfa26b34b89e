"""What a request of the Python client is made from: the arguments of aiohttp's."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict
from urllib.parse import quote

from aiohttp import FormData, payload
from multidict import CIMultiDict
from yarl import URL

from protocol.common.codec import serialize_json
from protocol.common.errors import MalformedMessage
from protocol.common.messages import HttpRequest

Data: TypeAlias = bytes | str | Mapping[str, str] | FormData


class RequestOptions(TypedDict, total=False):
    """The keywords of ``Client.request``."""

    params: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    json: Any
    data: Data | None


# What may stand in a target as it is, and "%": what was escaped is not escaped again.
_AS_WRITTEN = "/?%!$&'()*+,;=:@-._~[]"


def target_of(path: str, params: Mapping[str, Any] | None = None) -> str:
    """``path`` as it was written, with ``params`` at its end.

    Only what no target may hold is encoded: spaces, what is not ASCII, and the like. A fragment is
    left out. Dots, doubled slashes and escapes are for the server to judge.
    Raises: ValueError.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError("path must start with one /: the gateway is named in Client(url)")
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
    """The request to be sealed; its Content-Type follows from ``json`` or ``data`` unless given.

    Raises: ValueError, for what the gateway would refuse.
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


@dataclasses.dataclass(frozen=True, slots=True)
class FormRequest:
    """A request whose form has files to read, perhaps, before it can be sealed."""

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
    """The same for a form, which knows its own Content-Type. Raises: ValueError."""
    written = form()
    typed: CIMultiDict[str] = CIMultiDict(headers or {})
    # Also where one is given: it cannot know the boundary.
    typed["Content-Type"] = written.content_type
    return FormRequest(http_request(method, path, params=params, headers=typed), written)
