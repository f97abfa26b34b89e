"""Refuse requests whose end is ambiguous.

A reverse proxy and an upstream could see the end of such a request at different places, so it
could hide a second request (RFC 9112 §11.2). The gateway refuses it and closes the connection.
"""

from collections.abc import Sequence

_VERSIONS = frozenset({"1.0", "1.1", "2", "3"})


def fault(version: str, transfer: Sequence[str], lengths: Sequence[str]) -> tuple[int, str] | None:
    """Status and text of a refusal, or None if the end of the request is clear.

    ``transfer`` and ``lengths`` are the values of Transfer-Encoding and of Content-Length.
    Source: RFC 9112 §6.1, §6.3.
    """
    if version not in _VERSIONS:
        return (400 if version < "1" else 505), "send HTTP/1.1"
    if len(lengths) > 1 or (lengths and not (lengths[0].isascii() and lengths[0].isdigit())):
        return 400, "send one Content-Length, in digits"
    if not transfer:
        return None
    if lengths:
        return 400, "send Transfer-Encoding or Content-Length, not both"
    if version != "1.1":
        return 400, f"HTTP/{version} has no Transfer-Encoding"
    coding = ",".join(transfer).strip(" \t").lower()
    if not coding:
        return 400, "the Transfer-Encoding is empty"
    if coding != "chunked":
        return 501, "the only Transfer-Encoding here is chunked"
    return None
