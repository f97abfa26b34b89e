"""Refuse requests with an ambiguous end that an ASGI server let through."""

from gateway.pipeline.framing import fault

from .inner import Scope, Send


def framing_fault(scope: Scope) -> tuple[int, str] | None:
    """Status and text of a refusal, or None if the end of the request is clear."""
    version = scope.get("http_version", "1.1")
    return fault(version, _values(scope, b"transfer-encoding"), _values(scope, b"content-length"))


async def refuse(status: int, text: str, send: Send) -> None:
    """Send the refusal and close the connection."""
    body = f"{status}: {text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
