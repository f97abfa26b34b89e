"""Pages of other origins: named ones can use the gateway's own routes, and nothing else."""

from typing import Any

import pytest
from gateways import CaughtMails, running

import gateway

SHOP = "http://shop.example:8080"
ROUTES = ["message", "stream", f"stream/{'0' * 32}", "session/hello", "session/share", "session"]
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}


def allowed(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("Access-Control-")}


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("route", ROUTES)
async def test_a_named_origin(route: str) -> None:
    async with running(cors=[SHOP, "https://tea.example"]) as at:
        url = f"{at.url}/.gateway/{route}"
        async with at.http.options(url, headers={"Origin": SHOP, **ASKED}) as asked:
            assert (asked.status, await asked.read()) == (204, b"")
            assert asked.headers["Vary"] == "Origin"
            assert allowed(asked.headers) == {
                "Access-Control-Allow-Origin": SHOP,
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": "Content-Type",
                "Access-Control-Max-Age": "600",
                "Access-Control-Expose-Headers": "Retry-After",
            }
        # Also a refusal can be read.
        sent = await at.post(f"/.gateway/{route}", {}, headers={"Origin": SHOP})
        assert 400 <= sent.status < 500
        assert allowed(sent.headers) == {
            "Access-Control-Allow-Origin": SHOP,
            "Access-Control-Expose-Headers": "Retry-After",
        }


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize(
    "origin",
    ["http://shop.example", "https://shop.example:8080", "http://evil.example", "null", "*"],
)
async def test_other_origins(origin: str) -> None:
    async with running(cors=[SHOP]) as at:
        url = f"{at.url}/.gateway/message"
        async with at.http.options(url, headers={"Origin": origin, **ASKED}) as asked:
            assert (asked.status, allowed(asked.headers)) == (405, {})
            assert asked.headers["Vary"] == "Origin"
        sent = await at.post("/.gateway/message", {}, headers={"Origin": origin})
        assert allowed(sent.headers) == {}


@pytest.mark.usefixtures("framework")
async def test_routes_of_the_application_and_gateways_without_the_option() -> None:
    async with running(cors=[SHOP]) as at:
        async with at.http.options(f"{at.url}/echo", headers={"Origin": SHOP, **ASKED}) as asked:
            assert (asked.status, allowed(asked.headers)) == (401, {})
    async with running() as at:
        url = f"{at.url}/.gateway/message"
        async with at.http.options(url, headers={"Origin": SHOP, **ASKED}) as asked:
            assert (asked.status, allowed(asked.headers)) == (405, {})
            assert "Vary" not in asked.headers


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "shop.example",
        "http://",
        "http://shop.example/",
        "http://SHOP.example",
        "ws://x",
    ],
)
def test_an_origin_that_is_none(origin: str) -> None:
    with pytest.raises(gateway.ConfigError, match="must be an origin"):
        gateway.reverse_proxy(
            "http://127.0.0.1:9000", users=gateway.AnyAddress(), mail=CaughtMails(), cors=[origin]
        )
