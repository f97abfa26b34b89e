"""The private profile in each adapter: no line and no event tells about a sealed message."""

import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from frameworks import Seen, application, serving
from gateways import CaughtMails, running
from watched import watched

import certless
from gateway.events import Event, LimitHit, StoreAsked
from gateway.private_profile import hides

HIDDEN = "a sealed message failed; private_profile hides how"
PRIVATE: dict[str, Any] = {"private_profile": True, "messages_per_session": "3 per minute"}


def fails(_: Seen) -> Any:
    raise OSError("it is broken")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("certless")]


@pytest.mark.usefixtures("framework")
async def test_messages_leave_no_event_and_no_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = application({"/fails": fails, "/works": lambda _: "done"})
    async with (
        watched(tmp_path, app=app, **PRIVATE) as there,
        there.at.client() as client,
    ):
        await client.login("ann@example.org", code=there.at.mails.code)
        assert (await client.get("/fails")).status == 500
        assert (await client.get("/works")).status == 200
        assert [(await client.get("/works")).status for _ in range(3)][-1] == 429
        await client.logout()
        classic = await there.at.raw_login("bob@example.org")
        assert (await classic.call("POST", "/fails")).status == 500
        assert (await there.at.post("/.gateway/message", b"{")).status == 400
        metrics = await there.metrics()
    assert there.recorded() == [
        *("login_asked", "code_sent", "session_opened", "session_ended"),
        *("login_asked", "code_sent", "session_opened"),
    ]
    assert lines(caplog).count(HIDDEN) == 2
    assert not any("OSError" in line or "message:" in line for line in lines(caplog))
    assert not any("test_hidden_messages" in record.pathname for record in caplog.records)
    counted = {name for name, value in metrics.items() if value and "_created" not in name}
    assert not any(
        name.startswith(("certless_messages", "certless_store", "certless_limits", "certless_mess"))
        for name in counted
    )


async def test_the_upstream_and_the_size_of_its_response_are_not_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    upstream, mails = web.Application(), CaughtMails()

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(200_000))

    upstream.router.add_get("/large", large)
    async with serving(upstream) as behind:
        proxy = certless.reverse_proxy(
            behind,
            users=certless.AnyAddress(),
            mail=mails,
            max_body_bytes=100_000,
            private_profile=True,
        )
        async with serving(proxy) as url, certless.Client(url) as client:
            await client.login("ann@example.org", code=mails.code)
            answer = await client.get("/large", headers={"Connection": "close"})
            assert answer.status in (200, 502)
            await client.logout()
    assert not any("upstream" in line for line in lines(caplog))


async def test_without_the_profile_the_log_names_the_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(application({"/fails": fails})) as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        assert (await client.get("/fails")).status == 500
    assert any("handler failed: OSError at" in line for line in lines(caplog))


@pytest.mark.parametrize(
    "event",
    [
        StoreAsked("claim_message", 0.1, failed=True),
        LimitHit("logins", "127.0.0.1"),
        LimitHit("messages_ahead", "127.0.0.1"),
    ],
)
def test_what_an_operator_must_see_stays(event: Event) -> None:
    assert not hides(event)
