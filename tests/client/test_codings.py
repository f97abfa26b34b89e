"""Content codings and charsets of responses at the Python client."""

import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import brotli
import pytest
from aiohttp import FormData, web
from backports import zstd
from frameworks import serving
from gateways import CaughtMails
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway
from certless.client import BodyNotDecoded, Client, codings
from certless.client.codings import ACCEPTED, decoded, decoder_for
from certless.client.request import with_defaults

ANN = "ann@example.org"
MOST = 1 << 20
TEXT = "Räksmörgås, и чай. ".encode() * 20_000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip.compress),
    "members": ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    "padded": ("gzip", lambda data: gzip.compress(data) + b"\0" * 512),
    "deflate": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
    "br": ("br", lambda data: bytes(brotli.compress(data, quality=3))),
    "zstd": ("zstd", zstd.compress),
    "frames": ("zstd", lambda data: zstd.compress(data[:7]) + zstd.compress(data[7:])),
    "two": ("gzip, br", lambda data: bytes(brotli.compress(gzip.compress(data)))),
}
each_coding = pytest.mark.parametrize("name", PACKED)


@each_coding
@pytest.mark.parametrize("text", [b"", b"tea", TEXT])
def test_a_coding(name: str, text: bytes) -> None:
    coding, pack = PACKED[name]
    assert decoded([coding], pack(text), MOST) == text


@settings(deadline=None)
@given(st.sampled_from(sorted(PACKED)), st.data())
def test_any_cut_gives_the_same_bytes(name: str, draw: st.DataObject) -> None:
    text = TEXT[:5000]
    coding, pack = PACKED[name]
    packed = pack(text)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(packed)), max_size=8)))
    decoder = decoder_for([coding])
    assert decoder is not None
    pieces: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(packed)], strict=True):
        if start < end:
            pieces += decoder.feed(packed[start:end])
    decoder.end()
    assert b"".join(pieces) == text


@each_coding
def test_a_cut_at_every_byte(name: str) -> None:
    coding, pack = PACKED[name]
    packed = pack(b"tea and milk")
    for cut in range(1, len(packed)):
        decoder = decoder_for([coding])
        assert decoder is not None
        whole = b"".join((*decoder.feed(packed[:cut]), *decoder.feed(packed[cut:])))
        decoder.end()
        assert whole == b"tea and milk"


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw", "br", "zstd", "two"])
def test_what_is_cut_or_changed_is_an_error(name: str) -> None:
    coding, pack = PACKED[name]
    packed = pack(TEXT)
    for size in (1, len(packed) // 2, len(packed) - 1):
        with pytest.raises(BodyNotDecoded):
            decoded([coding], packed[:size], MOST)
    with pytest.raises(BodyNotDecoded):
        decoded([coding], b"\x1f not packed" * 9, MOST)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "two"])
def test_a_bomb_is_an_error_and_not_unpacked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "FREE_BYTES", MOST)
    coding, pack = PACKED[name]
    bomb = pack(bytes(20 * MOST))
    with pytest.raises(BodyNotDecoded, match="longer than"):
        decoded([coding], bomb, MOST)
    decoder = decoder_for([coding])
    assert decoder is not None

    def unpacked() -> Iterator[int]:
        for piece in decoder.feed(bomb):
            assert len(piece) <= 256 * 1024
            yield len(piece)

    sizes = unpacked()
    with pytest.raises(BodyNotDecoded, match="100 times"):
        sum(sizes)


def test_what_is_not_decoded() -> None:
    assert decoder_for([]) is None
    assert decoder_for(["identity", ""]) is None
    # As with requests: who asked for it can decode it.
    assert decoded(["sdch"], b"body", MOST) == b"body"
    with pytest.raises(BodyNotDecoded, match="more than 3"):
        decoder_for(["gzip, gzip", "gzip", "gzip"])


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "_library", lambda *names: None)
    known = codings._known_codings()
    assert [name for name, step in known.items() if step] == ["gzip", "deflate"]
    monkeypatch.setattr(codings, "_STEPS", known)
    with pytest.raises(BodyNotDecoded, match=r"pip install 'certless\[codings\]'"):
        decoder_for(["br"])


def test_what_is_asked_for() -> None:
    assert ACCEPTED == "gzip, deflate, br, zstd"
    assert with_defaults((), "x", None) == (("Host", "x"), ("Accept-Encoding", ACCEPTED))
    own = (("accept-encoding", "gzip"), ("cookie", "a=1"), ("host", "y"))
    assert with_defaults(own, "x", "b=2") == own
    part = (("Range", "bytes=0-1"),)
    assert with_defaults(part, "x", "b=2") == (
        *part, ("Host", "x"), ("Accept-Encoding", "identity"), ("Cookie", "b=2"),
    )  # fmt: skip


# --- over HTTP ---


@asynccontextmanager
async def logged_in() -> AsyncIterator[Client]:
    async def packed(request: web.Request) -> web.Response:
        coding, pack = PACKED[request.query["name"]]
        return web.Response(
            body=pack(TEXT), headers={"Content-Encoding": coding, "Content-Type": "text/plain"}
        )

    async def charset(request: web.Request) -> web.Response:
        text, name = request.query["text"], request.query["charset"]
        declared = f"text/plain; charset={name}" if name else "text/plain"
        return web.Response(body=text.encode(name or "utf-8"), headers={"Content-Type": declared})

    async def unknown(request: web.Request) -> web.Response:
        name = request.query["charset"]
        return web.Response(
            body="å".encode(), headers={"Content-Type": f'text/plain; charset="{name}"'}
        )

    async def form(request: web.Request) -> web.Response:
        return web.json_response(
            {"type": request.headers["Content-Type"], "body": (await request.read()).decode()}
        )

    app, mails = web.Application(), CaughtMails()
    app.router.add_get("/packed", packed)
    app.router.add_get("/charset", charset)
    app.router.add_get("/unknown", unknown)
    app.router.add_post("/form", form)
    gateway.setup(app, users=gateway.AnyAddress(), mail=mails)
    async with serving(app) as url, Client(url) as client:
        await client.login(ANN, code=mails.code)
        yield client


async def test_responses_are_decoded_whole_and_streamed() -> None:
    async with logged_in() as client:
        for name in PACKED:
            response = await client.get("/packed", params={"name": name})
            assert await response.read() == TEXT
            assert await response.text() == TEXT.decode()
            async with client.stream("GET", "/packed", params={"name": name}) as streamed:
                assert streamed.length is None
                assert await streamed.read() == TEXT
                assert await streamed.read() == b""
        head = await client.request("HEAD", "/packed", params={"name": "gzip"})
        assert await head.read() == b""


@pytest.mark.parametrize("streamed", [False, True])
async def test_text_is_decoded_by_its_charset(streamed: bool) -> None:
    async with logged_in() as client:

        async def asked(path: str, encoding: str | None = None, **params: str) -> str:
            if streamed:
                async with client.stream("GET", path, params=params) as response:
                    return await response.text(encoding)
            return await (await client.get(path, params=params)).text(encoding)

        for text, charset in [
            ("å", "iso-8859-1"), ("“€”", "windows-1252"), ("お茶", "shift_jis"), ("чай", ""),
            ("чай", "KOI8-R"), ("чай", "utf-16"),
        ]:  # fmt: skip
            assert await asked("/charset", text=text, charset=charset) == text
        # iso-8859-1 is what it says in Python, and not windows-1252 as in a browser.
        assert await asked("/charset", text="\x80", charset="iso-8859-1") == "\x80"
        # An explicit encoding wins.
        assert await asked("/charset", "iso-8859-1", text="å", charset="") == "Ã¥"
        for name in ("nonsense", "hex", "undefined", ""):
            assert await asked("/unknown", charset=name) == "å"


async def test_json_in_a_charset() -> None:
    async with logged_in() as client:
        for charset in ("iso-8859-1", "utf-16", ""):
            params = {"text": '{"a": "å"}', "charset": charset}
            assert await (await client.get("/charset", params=params)).json() == {"a": "å"}
            async with client.stream("GET", "/charset", params=params) as response:
                assert await response.json() == {"a": "å"}


async def test_a_form_in_a_charset() -> None:
    async with logged_in() as client:
        form = FormData({"a": "å"}, charset="iso-8859-1")
        told = await (await client.post("/form", data=form)).json()
        assert told["body"] == "a=%E5"
        assert "iso-8859-1" in told["type"]
