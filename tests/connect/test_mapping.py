"""The pure parts of ``connect``: addresses, header fields, policies, markup, cookies, the door."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from certless.connect.cookies import Cookies
from certless.connect.door import Door, Verdict
from certless.connect.errors import NotForwarded
from certless.connect.headers import to_browser, to_site
from certless.connect.markup import Rewriter
from certless.connect.origins import Origins
from certless.connect.policy import mapped_policy

SITE, OWN = "http://shop.example", "http://shop-abc.localhost:8480"
ORIGINS = Origins(URL(SITE), OWN)


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        (f"{SITE}/a", f"{OWN}/a"),
        (SITE, OWN),
        (f"{SITE}:80/a", f"{OWN}/a"),
        ("HTTP://Shop.Example/a", f"{OWN}/a"),
        ("//shop.example/a", f"{OWN}/a"),
        (f"{SITE}:8080/a", f"{SITE}:8080/a"),
        (f"{SITE}.evil.example/", f"{SITE}.evil.example/"),
        ("http://my-shop.example/", "http://my-shop.example/"),
        ("https://shop.example/", "https://shop.example/"),
        ("xhttp://shop.example/", "xhttp://shop.example/"),
    ],
)
def test_only_addresses_of_the_site_are_mapped(text: str, mapped: str) -> None:
    assert ORIGINS.to_own(text) == mapped
    assert ORIGINS.url_to_own(text) == mapped


def test_a_port_of_its_own_belongs_to_the_site() -> None:
    origins = Origins(URL("http://nas.lan:5000"), OWN)
    assert origins.url_to_own("http://nas.lan:5000/a") == f"{OWN}/a"
    for other in ("http://nas.lan/a", "http://nas.lan:50001/a"):
        assert origins.url_to_own(other) == other


@pytest.mark.parametrize(
    ("url", "mapped"),
    [(f"{OWN}/a", f"{SITE}/a"), (OWN, SITE), (f"{OWN}0/a", f"{OWN}0/a"), ("null", "null")],
)
def test_addresses_go_back(url: str, mapped: str) -> None:
    assert ORIGINS.url_to_site(url) == mapped


def test_requests_lose_what_is_ours() -> None:
    fields = to_site(
        [
            ("Host", "shop-abc.localhost:8480"),
            ("Connection", "close, X-Private"),
            ("X-Private", "1"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "websocket"),
            ("Proxy-Authorization", "secret"),
            ("Cookie", "certless-door-8480=x"),
            ("Upgrade-Insecure-Requests", "1"),
            ("Accept-Language", "de"),
        ],
        ORIGINS,
        None,
    )
    assert list(fields.items()) == [
        ("Host", "shop.example"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "de"),
    ]


def test_responses_lose_what_frames_them() -> None:
    fields = to_browser(
        [
            ("Connection", "close, X-Private"),
            ("X-Private", "1"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("Keep-Alive", "timeout=5"),
            ("Trailer", "X-Last"),
            ("Proxy-Authenticate", "Basic"),
            ("X-Any", "a"),
        ],
        Origins(URL(SITE)),
        [],
        "default-src 'self'",
    )
    assert list(fields) == ["X-Any", "Content-Security-Policy", "Server"]


@pytest.mark.parametrize(
    "field",
    [
        ("Location", f"{SITE}/\r\nSet-Cookie: x=1"),
        ("X-Any", "a\nb"),
        ("X-Any", "a\x00b"),
        ("Link", f"<{SITE}>\r\n\r\n<script>"),
        ("X Any", "a"),
        ("X-Any\r\nX", "a"),
        ("", "a"),
    ],
)
def test_line_ends_in_a_header_are_refused(field: tuple[str, str]) -> None:
    with pytest.raises(NotForwarded):
        to_browser([field], ORIGINS, [], "default-src 'self'")
    with pytest.raises(NotForwarded):
        to_browser([], ORIGINS, [f"a=b{field[0]}\r\nX: y"], "")


def test_latin_1_in_a_header_can_be_written() -> None:
    # As aiohttp reads the bytes of an old site.
    fields = to_browser([("X-Name", "caf\udce9"), ("X-Own", "caf\xe9")], ORIGINS, [], "")
    assert (fields["X-Name"], fields["X-Own"]) == ("caf\xe9", "caf\xe9")


def test_policies_lose_reports_and_tls() -> None:
    policy = (
        "default-src 'self' shop.example ws://shop.example https://cdn.example; "
        "upgrade-insecure-requests; report-uri http://r.example, script-src 'none'"
    )
    assert mapped_policy(policy, ORIGINS) == (
        f"default-src 'self' {OWN} ws://shop-abc.localhost:8480 https://cdn.example, "
        "script-src 'none'"
    )


@pytest.mark.parametrize(
    "name",
    ["Alt-Svc", "Expect-CT", "NEL", "Report-To", "Reporting-Endpoints", "Speculation-Rules"],
)
def test_fields_that_make_a_browser_load_or_send_are_dropped(name: str) -> None:
    for origins in (ORIGINS, Origins(URL(SITE))):
        assert name not in to_browser([(name, '"http://evil.example/"')], origins, [], "")


def test_forms_in_proxy_mode_name_their_origin() -> None:
    field = ("Referrer-Policy", "no-referrer, strict-origin")
    in_proxy = to_browser([field], Origins(URL(SITE)), [], "")
    assert in_proxy["Referrer-Policy"] == "same-origin, strict-origin"
    assert to_browser([field], ORIGINS, [], "")["Referrer-Policy"] == "same-origin"


HTML = (
    f"<!doctype html>\n<html>\n<!-- {SITE}/comment --><a\n href='{SITE}/a'>{SITE}</a>"
    f'<img srcset="{SITE}/1.png 1x,{SITE}/2.png 2x"><style>\n a {{ b: url({SITE}/x) }}</style>'
    f"<script>var a = '<b>{SITE}</b>'</script><p style=\"c: url('{SITE}/y')\">&amp;&#x; caf\xe9</p>"
    f"<a href={SITE}/z>z</a><br/><form action='{SITE}/f' method=post>"
).encode("latin-1")
MAPPED = (
    f"<!doctype html>\n<html>\n<!-- {SITE}/comment --><a\n href='{OWN}/a'>{SITE}</a>"
    f'<img srcset="{OWN}/1.png 1x,{OWN}/2.png 2x"><style>\n a {{ b: url({OWN}/x) }}</style>'
    f"<script>var a = '<b>{SITE}</b>'</script><p style=\"c: url('{OWN}/y')\">&amp;&#x; caf\xe9</p>"
    f"<a href={OWN}/z>z</a><br/><form action='{OWN}/f' method=post>"
).encode("latin-1")


def rewritten(kind: str, pieces: list[bytes]) -> bytes:
    rewriter = Rewriter(kind, ORIGINS)
    return b"".join([*map(rewriter.feed, pieces), rewriter.end()])


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_attributes_and_styles_are_mapped_and_nothing_else(size: int) -> None:
    pieces = [HTML[at : at + size] for at in range(0, len(HTML), size)]
    assert rewritten("text/html; charset=iso-8859-1", pieces) == MAPPED


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_css_is_mapped_across_pieces(size: int) -> None:
    css = f"@import '{SITE}/a.css'; a {{ b: url({SITE}/c) }}".encode() * 50
    pieces = [css[at : at + size] for at in range(0, len(css), size)]
    assert rewritten("text/css", pieces) == css.replace(SITE.encode(), OWN.encode())


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_what_names_no_site_passes_unchanged(pieces: list[bytes]) -> None:
    for kind in ("text/html", "text/css", "image/png", "text/html; charset=utf-16le"):
        assert rewritten(kind, pieces) == b"".join(pieces)


@given(st.lists(st.sampled_from(["<", ">", "a", " ", "\n", '"', "'", "=", "!--", "/", "style"])))
def test_broken_markup_passes_unchanged(parts: list[str]) -> None:
    data = "".join(parts).encode()
    assert rewritten("text/html", [data[at : at + 3] for at in range(0, len(data), 3)]) == data


def test_a_script_without_an_end_takes_limited_memory() -> None:
    rewriter = Rewriter("text/html", ORIGINS)
    piece = bytes(1024 * 1024)
    out = rewriter.feed(b"<script>") + b"".join(rewriter.feed(piece) for _ in range(6))
    assert len(out) > 4 * len(piece)
    assert len(out) + len(rewriter.end()) == 8 + 6 * len(piece)


# --- cookies ---


async def test_hidden_cookies_win_over_those_of_another_port() -> None:
    cookies = Cookies(URL(SITE), "door")
    assert cookies.received(["sid=ours; HttpOnly; Path=/; Secure"], "/") == []
    assert cookies.sent(["sid=evil; theme=dark; door=x"], "/a") == "sid=ours; theme=dark"


async def test_paths_and_ends_of_hidden_cookies_hold() -> None:
    cookies = Cookies(URL(SITE), "door")
    cookies.received(["a=1; HttpOnly; Path=/admin", "b=2; HttpOnly", "__Host-c=3; Secure"], "/x/y")
    # The default path of the others is the folder of the page, /x.
    assert cookies.sent([], "/admin/x") == "a=1"
    assert cookies.sent([], "/adminx") is None
    assert cookies.sent([], "/x/z") == "b=2; __Host-c=3"
    cookies.received(["a=; Max-Age=0; HttpOnly; Path=/admin"], "/")
    assert cookies.sent([], "/admin/x") is None


async def test_a_cookie_for_scripts_replaces_a_hidden_one() -> None:
    cookies = Cookies(URL(SITE), "door")
    cookies.received(["sid=hidden; HttpOnly; Path=/"], "/")
    [line] = cookies.received(["sid=open; Path=/"], "/")
    assert line == "sid=open; path=/; samesite=Lax"
    assert cookies.sent(["sid=open"], "/") == "sid=open"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=b; Domain=shop.example; Secure; SameSite=None", "a=b; samesite=Lax"),
        ("a=b; SameSite=strict; Max-Age=5", "a=b; max-age=5; samesite=Strict"),
        ("a=b; Expires=Wed, 09 Jun 2100 10:18:14 GMT", None),
        ('a="quoted value"; Path=/x', 'a="quoted value"; path=/x; samesite=Lax'),
    ],
)
async def test_lines_for_the_browser(line: str, expected: str | None) -> None:
    [mapped] = Cookies(URL(SITE), "door").received([line], "/")
    assert mapped == (expected or "a=b; expires=Wed, 09 Jun 2100 10:18:14 GMT; samesite=Lax")


async def test_the_site_cannot_set_the_cookie_of_the_door() -> None:
    assert Cookies(URL(SITE), "door").received(["door=x", "door=y; HttpOnly"], "/") == []


# --- the door ---

HOST = OWN.removeprefix("http://")


def entered() -> tuple[Door, dict[str, Any]]:
    door = Door(OWN)
    target = door.url.removeprefix(OWN)
    assert door.judge("GET", target, {"Host": HOST}) is Verdict.ENTERED
    return door, {"Host": HOST, "Cookie": door.set_cookie.partition(";")[0]}


def test_the_printed_address_works_once() -> None:
    door, _ = entered()
    assert "door=None" in door.url
    for target in ("/?door=", "/?door=None", "/"):
        assert door.judge("GET", target, {"Host": HOST}) is Verdict.STRANGER


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1:8480", "localhost:8480", "", HOST + "0"]
)
def test_another_host_is_refused(host: str) -> None:
    door, headers = entered()
    assert door.judge("GET", "/", {**headers, "Host": host}) is Verdict.WRONG_HOST
    assert door.judge("GET", "/", {"Cookie": headers["Cookie"]}) is Verdict.WRONG_HOST


@pytest.mark.parametrize(
    ("origin", "site", "verdict"),
    [
        (OWN, "same-origin", Verdict.ADMITTED),
        (OWN, None, Verdict.ADMITTED),
        ("null", "same-origin", Verdict.ADMITTED),
        ("null", None, Verdict.CROSS_SITE),
        (None, None, Verdict.CROSS_SITE),
        (None, "same-origin", Verdict.CROSS_SITE),
        ("http://evil.example", "cross-site", Verdict.CROSS_SITE),
        (OWN + "0", "same-site", Verdict.CROSS_SITE),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "ANY"])
def test_unsafe_methods_need_our_own_origin(
    method: str, origin: str | None, site: str | None, verdict: Verdict
) -> None:
    door, headers = entered()
    if origin is not None:
        headers["Origin"] = origin
    if site is not None:
        headers["Sec-Fetch-Site"] = site
    assert door.judge(method, "/", headers) is verdict


@pytest.mark.parametrize("site", ["cross-site", "same-site", "odd"])
def test_links_of_other_sites_are_asked_about(site: str) -> None:
    door, headers = entered()
    navigation = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    assert door.judge("GET", "/x", {**headers, **navigation}) is Verdict.ASK_FIRST
    framed = {**navigation, "Sec-Fetch-Dest": "iframe"}
    assert door.judge("GET", "/x", {**headers, **framed}) is Verdict.CROSS_SITE
    image = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    assert door.judge("GET", "/x", {**headers, **image}) is Verdict.CROSS_SITE


def test_each_start_has_another_cookie() -> None:
    (first, headers), (second, _) = entered(), entered()
    assert first.judge("GET", "/", headers) is Verdict.ADMITTED
    assert second.judge("GET", "/", headers) is Verdict.STRANGER
