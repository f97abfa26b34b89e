"""``python -m peers NAME ...``: runs peers for the tests in JavaScript.

It prints their addresses in one line of JSON, and ends with its standard input.
"""

import asyncio
import json
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from .servers import PEERS


async def _run(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="certless-peers-") as folder:
        async with AsyncExitStack() as stack:
            entering = [
                stack.enter_async_context(PEERS[name](Path(folder) / name)) for name in names
            ]
            urls = await asyncio.gather(*entering)
            print(json.dumps(dict(zip(names, urls, strict=True))), flush=True)
            await asyncio.to_thread(sys.stdin.read)


asyncio.run(_run(sys.argv[1:]))
