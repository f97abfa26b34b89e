"""The header Forwarded: what is read from it, and what is not."""

import pytest

from gateway.errors import ConfigError
from gateway.pipeline.request_headers import is_host
from gateway.policy.client_address import ClientAddresses
from gateway.policy.forwarded import Asked, ForwardedHeaders
from gateway.policy.forwarded_elements import elements_of

PROXY, INNER, CLIENT = "10.0.0.1", "10.0.0.2", "192.0.2.7"
BEHIND = ForwardedHeaders(["Forwarded"], ClientAddresses(["10.0.0.0/8"]))


def asked(*lines: str, peer: str = PROXY, **other: str) -> Asked:
    values = {"Forwarded": list(lines), **{name: [value] for name, value in other.items()}}
    return BEHIND.asked(peer, lambda name: values.get(name, []), is_host)


@pytest.mark.parametrize(
    "line",
    [
        f"for={CLIENT};host=shop.example;proto=https",
        f'For="{CLIENT}:5100";Host="shop.example";PROTO="HTTPS"',
        f"for={CLIENT} ; host=shop.example ; proto=https ; by=_us",
        # What the client itself wrote is further left.
        f"for=203.0.113.9;host=evil.example;proto=http, for={CLIENT};host=shop.example;proto=https",
        # Two proxies: the outer one knows what the client asked for.
        f"for={CLIENT};host=shop.example;proto=https, for={INNER};host=inner.example;proto=http",
        f'for={CLIENT};host="shop\\.example";proto=https;secret="a,b;c=\\"d"',
    ],
)
def test_what_a_proxy_says(line: str) -> None:
    assert asked(line) == Asked(CLIENT, "https", "shop.example")


def test_several_lines() -> None:
    said = asked("for=203.0.113.9;proto=http", f"for={CLIENT}", f"for={INNER};proto=https")
    # The outer proxy does not name the scheme, and the inner one cannot know it.
    assert said == Asked(CLIENT)


@pytest.mark.parametrize("node", ['"[2001:db8::7]"', '"[2001:DB8::7]:5100"'])
def test_ipv6(node: str) -> None:
    assert asked(f"for={node}").address == "2001:db8::7"


@pytest.mark.parametrize("node", ["unknown", "_hidden", '""', "192.0.2", '"192.0.2.7:_port"'])
def test_a_client_without_an_address_counts_as_the_proxy(node: str) -> None:
    assert asked(f"for={node};proto=https") == Asked(PROXY, "https")
    assert asked("proto=https") == Asked(PROXY, "https")


@pytest.mark.parametrize(
    ("line", "host", "scheme"),
    [
        ('for=192.0.2.7;host="evil.example/";proto=https', None, "https"),
        ('for=192.0.2.7;host="a,b";proto=https', None, "https"),
        ("for=192.0.2.7;host=shop.example;proto=javascript", "shop.example", None),
    ],
)
def test_values_that_are_none(line: str, host: str | None, scheme: str | None) -> None:
    said = asked(line)
    assert (said.host, said.scheme) == (host, scheme)


@pytest.mark.parametrize(
    "line",
    [
        "",
        ",",
        ";",
        "for",
        "for=",
        "for=a,",
        "for=a;",
        ",for=a",
        "for = a",
        "for=a for=b",
        "for=a;for=b",
        "for=a;FOR=b",
        'for="a',
        'for="a"b',
        'for="a\\"',
        "for=[2001:db8::7]",
        "for=192.0.2.7:80",
        # A quote that the client left open.
        f'for="x, for={CLIENT};proto=https',
        'for="x, for="[2001:db8::7]";host="shop.example";proto=https',
    ],
)
def test_a_header_that_cannot_be_read_says_nothing(line: str) -> None:
    assert elements_of([line]) is None
    assert asked(line) == Asked(PROXY)
    assert asked(f"for={CLIENT};proto=https", line) == Asked(PROXY)


def test_a_stranger_says_nothing() -> None:
    assert asked(f"for={CLIENT};proto=https", peer="198.51.100.1") == Asked("198.51.100.1")


def test_no_other_header_counts() -> None:
    others = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    assert asked(f"for={CLIENT};proto=https", **others) == Asked(CLIENT, "https")
    assert asked(**others) == Asked(PROXY)


def test_a_long_value_is_read_in_linear_time() -> None:
    line = ", ".join(["for=10.0.0.9"] * 20000)
    assert len(elements_of([line]) or ()) == 20000
    assert elements_of([line + ', for="' + "a\\" * 20000]) is None


def test_it_is_named_alone() -> None:
    for others in (["X-Forwarded-Host"], ["x-forwarded-proto"]):
        with pytest.raises(ConfigError, match="Forwarded replaces the other headers"):
            ForwardedHeaders(["Forwarded", *others], ClientAddresses([PROXY]))
