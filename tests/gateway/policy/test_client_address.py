"""Client addresses: which sources are trusted, and which addresses count as one."""

import tracemalloc

import pytest

from gateway.errors import ConfigError
from gateway.policy.client_address import UNKNOWN, ClientAddresses, block_of

PROXY, INNER, VISITOR = "10.0.0.1", "10.0.0.2", "192.0.2.7"
BEHIND = ClientAddresses(["10.0.0.0/8", "2001:db8:ffff::/48"])


def test_without_trusted_proxies_only_the_peer_counts() -> None:
    assert ClientAddresses().address(PROXY, [VISITOR]) == PROXY


def test_a_peer_that_is_not_trusted_says_nothing() -> None:
    assert BEHIND.address("198.51.100.1", [VISITOR]) == "198.51.100.1"


@pytest.mark.parametrize(
    "lines",
    [
        [VISITOR],
        [f"  {VISITOR}  "],
        [f"{VISITOR}, {INNER}"],
        [VISITOR, INNER],
        [f"203.0.113.9, {VISITOR}, {INNER}"],
        [f"not an address, {VISITOR}"],
        ["203.0.113.9", f"{VISITOR},{INNER}"],
        [f"{VISITOR}, 2001:db8:ffff::1"],
    ],
)
def test_the_first_from_the_right_that_is_not_trusted(lines: list[str]) -> None:
    """What a client itself adds is further left and is not read."""
    assert BEHIND.address(PROXY, lines) == VISITOR


def test_where_all_are_trusted_the_first_of_them() -> None:
    assert BEHIND.address(PROXY, [f"{INNER}, 10.0.0.3"]) == INNER


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        [VISITOR, ""],
        [f"{VISITOR}, unknown"],
        [f'for="{VISITOR}"'],
        ["192.0.2.007"],
        ["192.0.2.7, 10.0.0"],
        ["," * 4000],
    ],
)
def test_what_cannot_be_read_leaves_the_peer(lines: list[str]) -> None:
    assert BEHIND.address(PROXY, lines) == PROXY


def test_an_address_of_ipv4_has_one_spelling() -> None:
    assert ClientAddresses().address("::ffff:192.0.2.7", []) == VISITOR
    assert BEHIND.address("::ffff:10.0.0.1", ["::ffff:c000:207"]) == VISITOR


def test_an_address_of_ipv6_has_one_spelling_and_no_zone() -> None:
    spelled = "2001:0DB8:0:0:0:0:0:1"
    assert BEHIND.address(PROXY, [spelled]) == "2001:db8::1"
    assert ClientAddresses().address("fe80::1%eth0", []) == "fe80::1"


@pytest.mark.parametrize(
    "spelled", ["192.0.2.7:5100", "2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:5100"]
)
def test_a_port_is_passed_over(spelled: str) -> None:
    visitor = "2001:db8::7" if "db8" in spelled else VISITOR
    assert BEHIND.address(PROXY, [f"198.51.100.9, {spelled}, {PROXY}:80"]) == visitor


@pytest.mark.parametrize("spelled", ["192.0.2.7:", "192.0.2.7:x", "[192.0.2.7", "[2001:db8::7]x"])
def test_what_is_no_port_is_not(spelled: str) -> None:
    assert BEHIND.address(PROXY, [spelled]) == PROXY


@pytest.mark.parametrize("peer", [None, ""])
def test_a_unix_socket(peer: str | None) -> None:
    assert ClientAddresses().address(peer, [VISITOR]) == UNKNOWN
    assert BEHIND.address(peer, [VISITOR]) == UNKNOWN
    assert ClientAddresses(["unix"]).address(peer, [VISITOR]) == VISITOR
    assert ClientAddresses(["unix"]).address(peer, ["broken"]) == UNKNOWN
    assert ClientAddresses(["unix"]).address(PROXY, [VISITOR]) == PROXY


@pytest.mark.parametrize("peer", ["see http://evil.example", "\x1b[2J", "10.0.0.1x", "x" * 9000])
def test_a_peer_that_is_no_address_is_nobody(peer: str) -> None:
    assert (
        ClientAddresses().address(peer, []) == ClientAddresses().address(peer, [VISITOR]) == UNKNOWN
    )
    assert BEHIND.address(peer, [VISITOR]) == UNKNOWN


def test_what_is_too_long_for_an_address_is_not_remembered() -> None:
    tracemalloc.start()
    try:
        for number in range(100):
            BEHIND.address(PROXY, [f"{number:0100000}"])
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("trusted", [["the proxy"], ["10.0.0.0/33"], [""], "10.0.0.1"])
def test_a_network_that_is_none_is_a_config_error(trusted: list[str]) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        ClientAddresses(trusted)


def test_blocks() -> None:
    assert block_of(VISITOR) == VISITOR
    assert block_of("192.0.2.8") != block_of(VISITOR)
    assert block_of("2001:db8:1:2:3:4:5:6") == block_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert block_of("2001:db8:1:3::1") != block_of("2001:db8:1:2::1")
    assert block_of("::ffff:192.0.2.7") == VISITOR
    # Behind a translator: else one client could use up the limit of all of IPv4.
    assert block_of("64:ff9b::c000:207") == VISITOR
    assert block_of("64:ff9b:1::1") == "64:ff9b:1::/64"
    assert block_of(UNKNOWN) == UNKNOWN


def test_a_proxy_that_nobody_named_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    client_addresses = ClientAddresses()
    client_addresses.address(PROXY, [])
    assert not caplog.messages
    for _ in range(3):
        client_addresses.address(PROXY, [VISITOR])
    BEHIND.address("198.51.100.1", [VISITOR])
    assert [PROXY in message for message in caplog.messages] == [True]
