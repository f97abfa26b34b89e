"""Redirects of ``certless request -L``: what follows, as curl does it."""

import io
from pathlib import Path

import pytest

from certless.client import ClientError
from gateway.cli.redirects import Call, redirected
from gateway.cli.request_body import Body

ORIGIN = "http://shop.example:8440"
FORM = Body(b"a=1", {"Content-Type": "application/x-www-form-urlencoded"})
POSTED = Call("POST", "/a/orders?x=1", {**FORM.headers, "X-Own": "1"}, FORM)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/done", "/done"),
        ("done?b=%2f#part", "/a/done?b=%2f"),
        ("../done", "/done"),
        ("?y=2", "/a/orders?y=2"),
        (f"{ORIGIN}/done", "/done"),
        (ORIGIN, "/"),
        (f"{ORIGIN}?y=2", "/?y=2"),
        ("//shop.example:8440/done", "/done"),
    ],
)
def test_a_redirect_within_the_origin(location: str, target: str) -> None:
    assert redirected(POSTED, 307, location, ORIGIN) == Call(
        "POST", target, POSTED.headers, POSTED.body
    )


@pytest.mark.parametrize(
    "location",
    [
        "http://shop.example/",
        "https://shop.example:8440/",
        "http://other.example:8440/",
        "//other.example/",
        "http://shop.example:99999/",
        "http://[::1/",
    ],
)
def test_nothing_is_sent_to_another_origin(location: str) -> None:
    assert redirected(POSTED, 303, location, ORIGIN) is None


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        *(("POST", status, "GET") for status in (301, 302, 303)),
        *(("POST", status, "POST") for status in (307, 308)),
        *(("PUT", status, "PUT") for status in (301, 302, 307, 308)),
        ("PUT", 303, "GET"),
        *(("HEAD", status, "HEAD") for status in (301, 302, 303, 307, 308)),
    ],
)
def test_the_method_after_a_redirect(method: str, status: int, then: str) -> None:
    call = redirected(Call(method, "/", POSTED.headers, FORM), status, "/done", ORIGIN)
    assert call is not None
    if then == method:
        assert (call.method, call.body, call.headers) == (then, FORM, POSTED.headers)
    else:
        assert (call.method, call.body, call.headers) == (then, Body(), {"X-Own": "1"})


def test_standard_input_is_sent_once() -> None:
    piped = Body(io.BytesIO(b"a"), {}, is_upload=True)
    with pytest.raises(ClientError, match="second time"):
        redirected(Call("PUT", "/", {}, piped), 307, "/done", ORIGIN)
    file = Body(Path("a"), {}, is_upload=True)
    assert redirected(Call("PUT", "/", {}, file), 307, "/done", ORIGIN) is not None
