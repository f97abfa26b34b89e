"""What a gateway's process does for those who connect and do not ask."""

import asyncio
import contextlib
import select
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from frameworks import serving

import gateway.adapters.aiohttp.reverse_proxy
import gateway.service.listener
from gateway.service.listener import listening

OPTIONS = {"upstream": "http://127.0.0.1:1", "any_address": True, "suites": ["ecdh-gcm"]}


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: "])
async def test_a_connection_without_a_request_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """As many as a process may have files open would keep all others out."""
    monkeypatch.setattr(gateway.service.listener, "IDLE_TIMEOUT_S", 0.1)
    async with listening({**OPTIONS, "mail": f"dir:{tmp_path}"}, "127.0.0.1", 0) as service:
        reader, writer = await asyncio.open_connection(*service.addresses[0].split(":"))
        writer.write(said)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_who_does_not_read_makes_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(30_000_000))

    api = web.Application()
    api.router.add_get("/{page}", large)
    monkeypatch.setattr(gateway.service.listener, "IDLE_TIMEOUT_S", 1)
    # Visitors of public pages share so many.
    monkeypatch.setattr(gateway.adapters.aiohttp.reverse_proxy, "_PUBLIC_REQUESTS", 1)
    async with serving(api) as upstream:
        options = {**OPTIONS, "upstream": upstream, "mail": f"dir:{tmp_path}", "public": ["/*"]}
        async with listening(options, "127.0.0.1", 0) as service:
            host, port = service.addresses[0].split(":")
            loop = asyncio.get_running_loop()
            with socket.socket() as idler:
                idler.setblocking(False)
                await loop.sock_connect(idler, (host, int(port)))
                await loop.sock_sendall(idler, b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
                assert await loop.sock_recv(idler, 4) == b"HTTP"
                async with aiohttp.ClientSession() as http:
                    async with asyncio.timeout(20), http.get(f"http://{host}:{port}/second") as got:
                        assert len(await got.read()) == 30_000_000


async def test_all_devices_of_a_plant_can_connect_at_once(tmp_path: Path) -> None:
    """Before the loop accepts one of them; the kernel would drop what is too much."""
    async with listening({**OPTIONS, "mail": f"dir:{tmp_path}"}, "127.0.0.1", 0) as service:
        host, port = service.addresses[0].split(":")
        with contextlib.ExitStack() as stack:
            poll = select.poll()
            for _ in range(1000):
                device = stack.enter_context(socket.socket())
                device.setblocking(False)
                device.connect_ex((host, int(port)))
                poll.register(device, select.POLLOUT)
            assert len(poll.poll(0)) == 1000
