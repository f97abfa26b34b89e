"""wrk sends each message once, and any other status than 200 makes a row invalid."""

import os
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.load import sealed, send
from bench.processes import Process
from bench.targets import Target


class Numbers(Target):
    path = "/numbers"

    async def corpus(self, count: int) -> Iterator[bytes]:
        return (str(number).encode() for number in range(count))


@pytest.mark.parametrize(("refused", "fault"), [(set(), ""), ({b"7", b"9"}, "2 refused")])
async def test_a_corpus_is_sent_once(refused: set[bytes], fault: str) -> None:
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.read())
        return web.Response(status=503 if seen[-1] in refused else 200)

    app = web.Application()
    app.router.add_post("/numbers", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        target = Numbers(Process(str(server.make_url("")).rstrip("/"), os.getpid()), http)
        async with sealed(target, 2000) as corpus:
            sample = await send(target, corpus, 2000)
    # wrk keeps the first body, and does not read the responses on its way when it stops.
    assert sorted(seen, key=int) == [str(number).encode() for number in range(1, 2000)]
    assert sample.fault == fault
    assert 1900 < sample.answered < 2000
