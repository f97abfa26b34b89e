"""What the Python client makes of its arguments: targets as they were written, and forms."""

import pytest
from aiohttp import FormData
from gateways import running

from certless.client.request import http_request, target_of

AS_WRITTEN = [
    "/a%2Fb",
    "/a%2fb",
    "/x?",
    "/a/../b",
    "/a/./b",
    "/%2e%2e/x",
    "/a%7eb",
    "/a//b",
    "/[x]",
    "/x?a=[1]&&b=;c",
    "/x?a?b",
    "/%C3%A5%c3%a5",
    "/100%",
    "/x?a=b+c&d=%20",
]


@pytest.mark.parametrize("path", AS_WRITTEN)
def test_a_target_is_sent_as_it_is_written(path: str) -> None:
    assert http_request("GET", path).target == path


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/å b", "/%C3%A5%20b"),
        ('/"<>`{}|\\^', "/%22%3C%3E%60%7B%7D%7C%5C%5E"),
        ("/a#b?c", "/a"),
    ],
)
def test_what_no_target_holds_is_encoded_or_left_out(path: str, target: str) -> None:
    assert http_request("GET", path).target == target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/x", "/x?a=1&b=%C3%A5"),
        ("/x?", "/x?a=1&b=%C3%A5"),
        ("/x?a=0", "/x?a=0&a=1&b=%C3%A5"),
        ("/%2F?q=%2f&", "/%2F?q=%2f&a=1&b=%C3%A5"),
    ],
)
def test_parameters_are_added_at_the_end(path: str, target: str) -> None:
    assert target_of(path, {"a": 1, "b": "å"}) == target


@pytest.mark.parametrize("path", ["", "x", "//other.example/x", "http://other.example/", "?x"])
def test_a_path_begins_with_one_slash(path: str) -> None:
    with pytest.raises(ValueError, match="must start with exactly one /"):
        target_of(path)


async def test_the_url_of_a_response_is_what_was_asked_for() -> None:
    async with running() as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        answer = await client.get("/a/../echo?a=%2f")
        assert str(answer.url) == f"{at.url}/a/../echo?a=%2f"


async def test_a_form_with_a_file() -> None:
    async with running() as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        form = FormData()
        form.add_field("name", "ann å")
        form.add_field("file", b"\x00tea", filename="a.bin", content_type="application/x-tea")
        # A Content-Type of one's own knows no boundary.
        headers = {"Content-Type": "multipart/form-data", "X-Own": "1"}
        echoed = await (await client.post("/echo", data=form, headers=headers)).json()
        assert 'name="file"; filename="a.bin"' in echoed["body"]
        assert "application/x-tea\r\n" in echoed["body"]
        assert "\x00tea" in echoed["body"]

        plain = FormData({"a": "1 2", "b": "å"})
        echoed = await (await client.post("/echo", data=plain)).json()
        assert echoed["body"] == "a=1+2&b=%C3%A5"

        with pytest.raises(ValueError, match="not both"):
            client.post("/echo", json={}, data=FormData({"a": "1"}))
