"""What a request of the Python client is made from: the arguments of aiohttp's."""

from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict
from yarl import URL

from protocol.codec import serialize_json
from protocol.errors import MalformedMessage
from protocol.messages import HttpRequest


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
    url = URL(path)
    if url.is_absolute() or not path.startswith("/"):
        raise ValueError("path must start with /: the gateway is named in Client(url)")
    if params:
        url = url.update_query(params)
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
        checked = HttpRequest(method.upper(), url.raw_path_qs, tuple(sent.items()), body)
        return HttpRequest.parse_array(checked.to_array())
    except MalformedMessage as error:
        raise ValueError(str(error)) from None
