"""The Flask example behind the gateway's reverse proxy."""

import runpy
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from processes import ROOT
from proxied import proxied
from test_scenarios import key_in
from werkzeug.serving import make_server

from session_crypto import open_sealed
from session_crypto.sealing import public_pem


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = runpy.run_path(str(ROOT / "examples" / "flask_session_keys.py"))
    server = make_server("127.0.0.1", 0, found["app"], threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {**found, "url": f"http://127.0.0.1:{server.server_port}"}
    server.shutdown()
    thread.join(10)
    server.server_close()
    found["manager"].close()


async def test_the_flask_example_behind_the_gateway(example: dict[str, Any]) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    asked = {"client_public_key": public_pem(own.public_key())}
    async with proxied(example["url"]) as (_, client):
        # The gateway takes the client's header off, and adds its own.
        headers = {"X-Certless-Session": "0123456789abcdef0123456789abcdef"}
        await client.request("GET", "/session-keys/server-key", headers=headers)
        response = await client.request("POST", "/session-keys/keys", json=asked, headers=headers)
        assert response.status == 200
        key = key_in(await response.json())
        (session_id,) = example["manager"].sessions
        assert session_id not in headers.values()
        assert b"PRIVATE KEY" in open_sealed(session_id, own, key)
        asked = {"client_public_key": public_pem(ec.generate_private_key(own.curve).public_key())}
        await client.request("GET", "/session-keys/server-key")
        response = await client.request("POST", "/session-keys/keys", json=asked)
        assert (response.status, (await response.json())["error"]) == (403, "client_key_changed")
        stats = await (await client.request("GET", "/session-stats")).json()
        assert stats["total_keys_generated"] == 1
