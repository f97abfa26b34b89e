"""The browser client below the prefix: what is served, under which name, for how long."""

import gzip
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateways import running
from multidict import CIMultiDict
from yarl import URL

from gateway.config.settings import Settings
from gateway.pipeline.client_script import BUNDLE, ClientScript
from gateway.pipeline.inner_application import InnerApplication
from gateway.pipeline.outer import OuterRequest
from protocol.classic.dialects import DIALECTS, derive

pytestmark = pytest.mark.usefixtures("framework")


class Get(OuterRequest):
    """A request for ``path``."""

    def __init__(self, path: str) -> None:
        self.method, self.raw_path, self.headers = "GET", path, CIMultiDict()

    raw_target = host = property(lambda _: "")
    is_handshake = property(lambda _: False)

    async def read(self, max_bytes: int) -> bytes:
        return b""

    async def next_chunk(self) -> bytes:
        return b""

    @property
    def application(self) -> InnerApplication:
        raise AssertionError("nothing is sealed here")


def started_with(script: bytes) -> Any:
    """The settings that the last line of ``script`` starts the client with."""
    line = script.decode().splitlines()[-1]
    assert line.startswith("certless.start(")
    assert line.endswith(");")
    return json.loads(line.removeprefix("certless.start(").removesuffix(");"))


async def test_it_leads_to_a_name_that_may_be_kept() -> None:
    async with running() as at:
        first = await at.get("/.gateway/client.js")
        assert first.status == 302
        assert first.headers["Cache-Control"] == "public, max-age=300"
        name = first.headers["Location"]
        script = await at.get(f"/.gateway/{name}")
        assert script.status == 200
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert script.body.startswith(BUNDLE.read_bytes())
        assert started_with(script.body) == {
            "prefix": "/.gateway",
            "dialect": "sfet-4-gcm",
            "lifetimeMs": 3_600_000,
            "suites": ["ecdh-gcm", "rsa-gcm", "classic"],
            "realm": "certless",
        }


async def test_gzipped_for_who_takes_it() -> None:
    async with running() as at:
        name = (await at.get("/.gateway/client.js")).headers["Location"]
        answers = {}
        for coding in ("gzip, br", "identity"):
            url = f"{at.url}/.gateway/{name}"
            async with at.http.get(url, headers={"Accept-Encoding": coding}) as answer:
                answers[coding] = answer.headers.get("Content-Encoding"), await answer.read()
                assert answer.headers["Vary"] == "Accept-Encoding"
        assert answers["gzip, br"] == ("gzip", answers["identity"][1])
        assert answers["identity"][0] is None
        assert len(gzip.compress(answers["identity"][1])) <= 69 * 1024


async def test_the_vault_is_served_in_the_same_way() -> None:
    async with running() as at:
        name = (await at.get("/.gateway/vault.js")).headers["Location"]
        script = await at.get(f"/.gateway/{name}")
        assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert script.body == BUNDLE.with_name("vault.js").read_bytes()
        assert len(gzip.compress(script.body)) <= 90 * 1024
        assert (await at.get("/.gateway/client.js")).headers["Location"] != name


async def test_who_was_sent_to_a_former_script_gets_this_one() -> None:
    async with running() as at:
        name = (await at.get("/.gateway/client.js")).headers["Location"]
        former = await at.get("/.gateway/client.0123456789abcdef.js")
        assert former.headers["Cache-Control"] == "no-cache"
        assert former.body == (await at.get(f"/.gateway/{name}")).body


async def test_other_methods_and_names() -> None:
    async with running() as at:
        async with at.http.head(f"{at.url}/.gateway/client.js") as answer:
            assert answer.status == 302
        assert (await at.post("/.gateway/client.js", {})).status == 404
        for path in ("client.mjs", "client.0123.js", "client.0123456789ABCDEF.js", "a/client.js"):
            assert (await at.get(f"/.gateway/{path}")).status == 404
        for path in ("/client.js", "/.gateway2/client.js", "/.gateway%2fclient.js"):
            async with at.http.get(URL(at.url + path, encoded=True)) as answer:
                assert answer.status == 401


async def test_it_knows_prefix_and_lifetime() -> None:
    options: dict[str, Any] = {"suites": ["ecdh-gcm"], "realm": "the shop"}
    async with running(prefix="/a/b", session_lifetime_s=60, dialect="sfet-2", **options) as at:
        name = (await at.get("/a/b/client.js")).headers["Location"]
        given = started_with((await at.get(f"/a/b/{name}")).body)
        expected = {"prefix": "/a/b", "dialect": "sfet-2", "lifetimeMs": 60_000, **options}
        assert given == expected


@pytest.mark.parametrize("name", ["own", "sfet-4-gcm"])
def test_a_dialect_of_ones_own_goes_along_and_the_client_takes_it(name: str) -> None:
    changes = {"encoding": "hex", "names": {"public_key": "pub"}, "paths": {"message": "/m"}}
    dialect = derive(name, DIALECTS["sfet-4-gcm"], changes)
    request = Get("/.gateway/client.0123456789abcdef.js")
    answer = ClientScript(replace(Settings(), dialect=dialect)).answer(request)
    assert answer
    given = started_with(answer.body)["dialect"]
    assert given["names"]["publicKey"] == "pub"
    program = (
        "import {derive, DIALECTS} from 'certless';"
        "const [given, changes] = process.argv.slice(1).map(JSON.parse);"
        "const taken = derive(given.name, given, {});"
        "const own = derive(given.name, 'sfet-4-gcm', changes);"
        "process.stdout.write(JSON.stringify([taken, own]));"
    )
    in_js = {"encoding": "hex", "names": {"publicKey": "pub"}, "paths": {"message": "/m"}}
    told = subprocess.run(
        ["node", "--input-type=module", "-e", program, json.dumps(given), json.dumps(in_js)],
        cwd=BUNDLE.parent.parent.parent / "client_js",
        capture_output=True,
        check=True,
        timeout=30,
    )
    taken, own = json.loads(told.stdout)
    assert taken == own == given


def test_without_a_bundle_it_says_what_to_do(tmp_path: Path) -> None:
    script = ClientScript(Settings(), tmp_path / "client.js")
    answer = script.answer(Get("/.gateway/client.js"))
    assert answer
    assert answer.status == 404
    assert "make bundle" in answer.body.decode()
    assert script.answer(Get("/.gateway/client.0123456789abcdef.js")) is None
