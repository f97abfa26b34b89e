"""What each route takes: few bytes where it needs few, and few values anywhere (decision 60).

Each of the large inputs held everybody up for half a second to seconds.
"""

import json
from collections.abc import Callable

import pytest
from gateways import Answer, Users, running
from hardened_gateways import Device

from gateway import Account
from protocol.common.codec import MAX_JSON_MARKS
from protocol.common.envelopes import MAX_LOGIN_BYTES
from protocol.common.messages import MAX_HEADER_CHARS

pytestmark = pytest.mark.usefixtures("framework")

MIB = 1024 * 1024
LOGIN_ROUTES = (
    *("/session", "/session/authenticate", "/session/logout"),
    *("/session/hello", "/session/share", "/session/confirm"),
    *("/session/resume", "/session/resume/confirm"),
)
PASSWORD = "/.gateway/session/authenticate"


def values(count: int) -> str:
    """A list with as many commas and opening brackets."""
    return "[" + "0," * (count - 1) + "0]"


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_a_message_of_a_login_is_small(form: str) -> None:
    async with running() as at:
        headers = {"Content-Type": f"application/{form}"}
        for path in LOGIN_ROUTES:
            most = b" " * MAX_LOGIN_BYTES
            assert (await at.post("/.gateway" + path, most, headers=headers)).status == 400, path
            refused = await at.post("/.gateway" + path, most + b" ", headers=headers)
            assert (refused.status, b"65536 bytes" in refused.body) == (413, True), path


@pytest.mark.parametrize("path", ["/.gateway/message", "/echo"])
async def test_brackets_before_quotes_are_refused(path: str) -> None:
    async with running() as at:
        body = b"[" * 4000 + b'"' * (8 * MIB - 4000)
        assert (await at.post(path, body)).status in (400, 401)
        assert (await at.post(path, b"[" * 4097)).status in (400, 401)
        assert at.ran == []


IN_PLACE: tuple[str, Callable[[str], str]] = ("/echo", lambda value: f'"a":{value}')
WHOLE: tuple[str, Callable[[str], str]] = (
    "/.gateway/message",
    lambda value: f'"request":{{"method":"POST","path":"/echo","body":{value}}}',
)


@pytest.mark.parametrize(("path", "members"), [IN_PLACE, WHOLE], ids=["in place", "whole"])
async def test_json_inside_a_classic_seal_has_few_values(
    path: str, members: Callable[[str], str]
) -> None:
    async with running() as at:
        raw = await at.raw_login()

        async def send(value: str) -> Answer:
            fresh = f'"timestamp":{at.clock()},"nonce":"{len(value)}-{len(at.ran)}"'
            plaintext = f"{{{fresh},{members(value)}}}"
            return await at.post(path, raw.seal_plaintext(plaintext.encode()))

        around = sum(map(f'{{"t":0,"n":0,{members("")}}}'.count, ",[{"))
        assert (await send(values(MAX_JSON_MARKS - around))).status == 200
        assert len(at.ran) == 1
        # Commas inside of a text do not count.
        assert (await send(json.dumps(',[{"' * MIB))).status == 200
        assert len(at.ran) == 2
        for too_many in (values(MAX_JSON_MARKS - around + 1), "[" + "[]," * MIB + "[]]"):
            refused = await send(too_many)
            assert (refused.status, refused.json["error"]) == (403, "rejected")
        assert len(at.ran) == 2
        # The limit is named in every rejection of a body that is long enough to reach it.
        assert f"at most {MAX_JSON_MARKS} commas" in refused.json["message"]
        message = raw.seal_plaintext(b" " * MIB)
        assert (await at.post(path, message)).json == refused.json
        small = await at.post(path, raw.seal_plaintext(b"[]"))
        assert (small.status, "commas" in small.json["message"]) == (403, False)


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_what_a_second_check_is_sent_is_small(suite: str) -> None:
    users = Users(Account("ann", ("ann@example.org",)), passwords={"ann": "right"})
    async with running(users=users) as at:
        online = await Device(at, suite).login("ann")
        refused = await online.call("POST", PASSWORD, b"[]".ljust(MAX_LOGIN_BYTES + 1))
        assert (refused.status, json.loads(refused.body)["error"]) == (413, "too_large")
        dense = b'{"password":"right","x":[' + b"[]," * 5000 + b"[]]}"
        refused = await online.call("POST", PASSWORD, dense)
        assert (refused.status, json.loads(refused.body)["error"]) == (400, "malformed")
        # Neither counts as an attempt.
        right = b'{"password":"right"}'.ljust(MAX_LOGIN_BYTES)
        assert (await online.call("POST", PASSWORD, right)).status == 200


async def test_headers_inside_are_not_too_long() -> None:
    names = ",".join("a" for _ in range(MAX_HEADER_CHARS // 2 - 5))
    async with running() as at:
        online = await Device(at).login()
        headers = (("Connection", names),)
        assert (await online.call("GET", "/echo", headers=headers)).status == 200
        assert len(at.ran) == 1
        refused = await online.call("GET", "/echo", headers=(("Connection", names + "," * 9),))
        assert refused.status == 400
        assert b"65536 characters" in refused.body
        assert len(at.ran) == 1
