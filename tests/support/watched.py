"""A gateway with its admin listener and its audit log, and the output of both."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateways import Answer, Running, running
from prometheus_client.parser import text_string_to_metric_families


@dataclass
class Watched:
    """``at`` is the gateway, ``admin`` the URL of its admin listener."""

    at: Running
    admin: str
    audit: Path

    async def ask(self, path: str, host: str = "", method: str = "GET") -> Answer:
        headers = {"Host": host} if host else {}
        async with self.at.http.request(method, self.admin + path, headers=headers) as response:
            return Answer(response.status, response.headers, await response.read())

    async def metrics(self) -> dict[str, float]:
        """Each sample by its name and the values of its labels: ``name{value,…}``."""
        text = (await self.ask("/metrics")).body.decode()
        return {
            sample.name + "{" + ",".join(sample.labels.values()) + "}": sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def recorded(self) -> list[str]:
        return [line["event"] for line in self.lines()]


@asynccontextmanager
async def watched(folder: Path, **options: Any) -> AsyncIterator[Watched]:
    listener = socket.create_server(("127.0.0.1", 0))
    audit = folder / "audit.jsonl"
    async with running(admin=listener, audit=audit, **options) as at:
        yield Watched(at, f"http://127.0.0.1:{listener.getsockname()[1]}", audit)
