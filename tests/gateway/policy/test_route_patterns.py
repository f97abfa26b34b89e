"""Public routes: what a pattern matches, and the paths that never match any."""

import pytest

from gateway.errors import ConfigError
from gateway.policy.routes import RoutePatterns


def test_without_patterns_nothing_is_public() -> None:
    routes = RoutePatterns([])
    for path in ("/", "", "/static/a.css", "*"):
        assert not routes.match(path)


@pytest.mark.parametrize(
    ("pattern", "public", "protected"),
    [
        ("/", ["/"], ["", "/a", "/index.html", "*"]),
        ("/about", ["/about"], ["/about/", "/about/us", "/abou", "/aboutx", "/About", "about"]),
        ("/about/", ["/about/"], ["/about", "/about/x"]),
        (
            "/articles/{id}",
            ["/articles/1", "/articles/a-b_c~d", "/articles/%C3%A9", "/articles/x:y@z,1"],
            ["/articles", "/articles/", "/articles/1/", "/articles/1/edit", "/articles/1/2"],
        ),
        (
            "/{kind}/{id}/view",
            ["/a/b/view", "/articles/1/view"],
            ["/a/view", "/a/b/c/view", "/a/b/View", "/a/b/view/", "/a//view"],
        ),
        ("/files/{name}.txt", ["/files/a.txt", "/files/a.b.txt"], ["/files/.txt", "/files/a.txtx"]),
        (
            "/static/*",
            [
                "/static/",
                "/static/a.css",
                "/static/a/b/c.js",
                "/static/.well-known",
                "/static/a..b",
            ],
            ["/static", "/statics/a", "/Static/a", "/x/static/a"],
        ),
        ("/u/{name}/*", ["/u/ann/", "/u/ann/a/b"], ["/u/ann", "/u/", "/u//x"]),
        ("/*", ["/", "/a", "/a/b/"], ["", "*", "a", "http://x/"]),
        ("/a.b", ["/a.b"], ["/axb", "/a%b", "/a.bc"]),
        ("/a+(b)[c]?$^|", ["/a+(b)[c]?$^|"], ["/aa", "/ab", "/a+b"]),
        ("/caf%C3%A9", ["/caf%C3%A9"], ["/café", "/caf%c3%a9"]),
    ],
)
def test_patterns(pattern: str, public: list[str], protected: list[str]) -> None:
    routes = RoutePatterns([pattern])
    for path in public:
        assert routes.match(path), path
    for path in protected:
        assert not routes.match(path), path


def test_one_pattern_of_many_is_enough() -> None:
    routes = RoutePatterns(iter(["/", "/static/*", "/login"]))
    assert all(map(routes.match, ["/", "/static/x", "/login"]))
    assert not any(map(routes.match, ["/admin", "/static", "/login/x"]))


# Paths below a public one that some programs could read as another path.
TWO_READINGS = [
    # dot segments
    "/static/..",
    "/static/../admin",
    "/static/./../admin",
    "/static/.",
    "/static/./x",
    "/static/a/../../admin",
    "/static/a/..",
    # endings that some programs cut off
    "/static/..%20/admin",
    "/static/.%20/x",
    "/static/..%23",
    "/static/..:x",
    "/static../admin",
    # encoded dots
    "/static/%2e%2e/admin",
    "/static/%2E%2E/admin",
    "/static/.%2e/admin",
    "/static/%2e./admin",
    "/static/%2e",
    "/static/a%2eb",
    # doubled and encoded slashes
    "//static/x",
    "/static//x",
    "/static//",
    "/static/..%2fadmin",
    "/static/..%2Fadmin",
    "/static/a%2fb",
    "/static%2f../admin",
    # backslashes
    "/static\\..\\admin",
    "/static/..\\admin",
    "/static/a\\b",
    "/static/..%5cadmin",
    "/static/%5C..%5Cadmin",
    # encoded twice
    "/static/%252e%252e/admin",
    "/static/%252fadmin",
    "/static/%25",
    "/static/..%255cadmin",
    # parameters
    "/static/..;/admin",
    "/static/;/admin",
    "/static/a;jsessionid=1",
    "/static/a%3bx",
    "/static/a%3Bx",
    # control characters, raw and encoded
    "/static/a\x00",
    "/static/a b",
    "/static/a\tb",
    "/static/a\nb",
    "/static/a\r\nb",
    "/static/a\x7f",
    "/static/a%00.css",
    "/static/a%0ab",
    "/static/a%0d%0ab",
    "/static/a%09",
    "/static/a%1F",
    "/static/a%7F",
    "/static/a\n",
]

# Old decoders of UTF-8 accept overlong forms (CVE-2008-2938), others accept ``%u002e``, and
# programs read invalid escapes in different ways.
BROKEN_ESCAPES = [
    "/static/..%c0%afadmin",
    "/static/%c0%ae%c0%ae/admin",
    "/static/%C0%AE%C0%AE%C0%AFadmin",
    "/static/..%c1%9cadmin",
    "/static/..%e0%80%afadmin",
    "/static/..%f0%80%80%afadmin",
    "/static/%u002e%u002e/admin",
    "/static/..%u2215admin",
    "/static/%",
    "/static/%2",
    "/static/a%zzb",
    "/static/a%2",
    "/static/%%32%65%%32%65/admin",
    # wide forms, which old code pages read as ASCII
    "/static/%EF%BC%8E%EF%BC%8E/admin",
    "/static/..%ef%bc%8fadmin",
    "/static/..%ef%bc%bcadmin",
    "/static/%E2%80%A5/admin",
    "/static/..%e2%88%95admin",
    "/static/..%ef%bc%9b/admin",
    "/static/%ef%bc%85%32e",
]


PATTERNS = ("/*", "/static/*", "/static/{x}", "/static/{x}/{y}", "/{a}/{b}/*")


@pytest.mark.parametrize("path", TWO_READINGS)
def test_a_path_with_two_readings_is_never_public(path: str) -> None:
    for pattern in PATTERNS:
        assert not RoutePatterns([pattern]).match(path), pattern


@pytest.mark.parametrize("path", BROKEN_ESCAPES)
def test_a_path_with_a_broken_escape_is_never_public(path: str) -> None:
    for pattern in PATTERNS:
        assert not RoutePatterns([pattern]).match(path), pattern


@pytest.mark.parametrize("path", ["/a//b", "/a/../b", "/a/./b", "/a;b", "/a\\b", "/a%2fb", "/a b"])
def test_not_even_where_the_pattern_says_so(path: str) -> None:
    assert not RoutePatterns([path]).match(path)


@pytest.mark.parametrize(
    "path",
    [
        "/static/a.b.c",
        "/static/...",
        "/static/a..",
        "/static/..a",
        "/static/.a",
        "/static/.%C3%A9",
        "/static/..-/.~",
        "/static/a%20b",
        "/static/%C3%A9%E2%82%AC%F0%9F%8E%89",
        "/static/a~b-c_d!e'(f)*g,h:i@j&k=l+m$n",
        "/static/a/b/c/",
    ],
)
def test_what_has_one_reading_only(path: str) -> None:
    assert RoutePatterns(["/static/*"]).match(path)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "static/*",
        "*",
        "/static*",
        "/static/**",
        "/static/*/",
        "/static/*/x",
        "/*/x",
        "/*.css",
        "/{}",
        "/{1}",
        "/{a b}",
        "/{a-b}",
        "/{a",
        "/a}",
        "/{{a}}",
        "/{a:\\d+}",
        "/{é}",
        "http://127.0.0.1/static/*",
        " /static/*",
    ],
)
def test_a_pattern_with_a_mistake(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RoutePatterns(["/", pattern])
    assert repr(pattern) in str(caught.value)
    assert "\n" not in str(caught.value)
