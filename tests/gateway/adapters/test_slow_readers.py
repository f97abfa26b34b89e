"""Clients of public pages that read slowly, and those that wait for them."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from slow_readers import SIZE, slow_readers

import gateway.adapters.aiohttp.public_slots
import gateway.adapters.aiohttp.read_rate
import gateway.adapters.aiohttp.reverse_proxy


async def read_all(url: str, address: str) -> int:
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        async with http.get(url, headers={"X-Forwarded-For": address}) as answer:
            assert answer.status == 200
            return len(await answer.read())


async def test_one_address_cannot_have_all_places(tmp_path: Path) -> None:
    waiting = ["192.0.2.1"] * (gateway.adapters.aiohttp.reverse_proxy._PUBLIC_REQUESTS + 1)
    async with slow_readers(tmp_path, waiting) as url:
        assert await read_all(url, "192.0.2.2") == SIZE


async def test_who_reads_slowest_makes_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.adapters.aiohttp.reverse_proxy, "_PUBLIC_REQUESTS", 4)
    async with slow_readers(tmp_path, [f"192.0.2.{number}" for number in range(4)]) as url:
        assert await read_all(url, "192.0.2.9") == SIZE


async def test_an_event_stream_lives_on_while_slow_readers_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rate is far below the minimum, but no bytes wait in the buffer."""
    monkeypatch.setattr(gateway.adapters.aiohttp.reverse_proxy, "_PUBLIC_REQUESTS", 4)
    monkeypatch.setattr(gateway.adapters.aiohttp.read_rate, "_AT_LEAST_S", 1)
    monkeypatch.setattr(gateway.adapters.aiohttp.read_rate, "_WINDOW_S", 2)
    async with slow_readers(tmp_path, [f"192.0.2.{number}" for number in range(3)]) as url:
        headers = {"X-Forwarded-For": "192.0.2.8"}
        async with asyncio.timeout(90), aiohttp.ClientSession() as http:
            async with http.get(url.replace("/large", "/events"), headers=headers) as stream:
                assert await stream.content.readline() == b"data: 0\n"
                # All slots are in use, so this request waits until one is released.
                others = asyncio.create_task(read_all(url, "192.0.2.9"))
                seen = 0
                while not others.done() or seen < 50:
                    line = await stream.content.readline()
                    assert line, "the stream was cut off"
                    if line != b"\n":
                        seen += 1
                        assert line == f"data: {seen}\n".encode()
                assert await others == SIZE


async def test_who_waits_without_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.adapters.aiohttp.reverse_proxy, "_PUBLIC_SHARE", 1)
    monkeypatch.setattr(gateway.adapters.aiohttp.public_slots, "_PATIENCE_S", 0.1)
    async with slow_readers(tmp_path, ["192.0.2.1"]) as url, aiohttp.ClientSession() as http:
        async with http.get(url, headers={"X-Forwarded-For": "192.0.2.1"}) as answer:
            assert answer.status == 503
