"""What a gateway's process does for those who connect and do not ask."""

import asyncio
from pathlib import Path

import pytest

import gateway.listening
from gateway.listening import listening

OPTIONS = {"upstream": "http://127.0.0.1:1", "any_address": True, "suites": ["ecdh-gcm"]}


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: "])
async def test_a_connection_without_a_request_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """As many as a process may have files open would keep all others out."""
    monkeypatch.setattr(gateway.listening, "KEPT_S", 0.1)
    async with listening({**OPTIONS, "mail": f"dir:{tmp_path}"}, "127.0.0.1", 0) as service:
        reader, writer = await asyncio.open_connection(*service.addresses[0].split(":"))
        writer.write(said)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
