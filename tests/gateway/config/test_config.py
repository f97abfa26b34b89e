"""Settings and their limits."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from gateway.clock import system_clock
from gateway.config.options import MAX_WINDOW_MS
from gateway.config.settings import Settings, find_dialect
from gateway.errors import ConfigError
from gateway.policy.rates import RATES
from protocol.classic.dialects import DEFAULT_DIALECT, DEFAULT_PREFIX, DIALECTS
from protocol.common.codes import CLASSIC_CODE_CHARS

LIMITS = {
    "max_body_bytes": (1024, 2**30),
    "session_lifetime_s": (1, 30 * 86400),
    "sweep_interval_s": (1, 86400),
    "window_ms": (1000, MAX_WINDOW_MS),
    "code_chars": (CLASSIC_CODE_CHARS, 64),
    "key_pool_size": (1, 1024),
    "ticket_lifetime_s": (0, 10 * 366 * 86400),
    "sessions": (0, 10**9),
    "sessions_per_user": (0, 10**9),
    "key_queue_size": (0, 10**6),
}


def complaint(**options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        Settings(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_are_those_of_the_protocol() -> None:
    settings = Settings()
    assert settings.dialect is DIALECTS[DEFAULT_DIALECT]
    assert settings.prefix == DEFAULT_PREFIX == "/.gateway"
    assert settings.max_body_bytes == 8 * 1024 * 1024
    assert settings.session_lifetime_s == 3600
    assert settings.sweep_interval_s == 300
    assert settings.window_ms == 60_000
    assert settings.code_chars == 26
    assert settings.public == ()


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().site = "another"  # type: ignore[misc] # that is what is tested


@pytest.mark.parametrize("name", LIMITS)
def test_the_edges_are_inside(name: str) -> None:
    for value in LIMITS[name]:
        options: dict[str, Any] = {name: value}
        assert getattr(Settings(**options), name) == value


@pytest.mark.parametrize("name", LIMITS)
def test_one_beyond_the_edges_is_refused(name: str) -> None:
    least, most = LIMITS[name]
    for value in {least - 1, most + 1, -1}:
        assert name in complaint(**{name: value}) or name == "code_chars"


@pytest.mark.parametrize("chars", [-26, 0, 1, 6, 20, 25])
def test_codes_that_can_be_guessed_are_refused(chars: int) -> None:
    text = complaint(code_chars=chars)
    assert "guessed" in text
    assert "26" in text


@pytest.mark.parametrize("prefix", ["/.gateway", "/a", "/a/b", "/~x/y-z_1.2", "/a.b"])
def test_prefixes(prefix: str) -> None:
    assert Settings(prefix=prefix).prefix == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "/",
        "gateway",
        "/gateway/",
        "//gateway",
        "/a//b",
        "/..",
        "/a/..",
        "/../a",
        "/a/../b",
        "/.",
        "/a/.",
        "/a/./b",
        "/a b",
        "/a\n",
        "/a?b",
        "/a#b",
        "/a%2fb",
        "/a;b",
        "/é",
        "http://127.0.0.1/a",
    ],
)
def test_prefixes_that_no_client_could_ask_for(prefix: str) -> None:
    # Clients put dot segments in order before they ask, so such a prefix would never be met.
    assert "prefix" in complaint(prefix=prefix)


@pytest.mark.parametrize("site", ["x", "Ann's shop", "Лавка", "店", "x" * 100])
def test_names_of_sites(site: str) -> None:
    assert Settings(site=site).site == site


@pytest.mark.parametrize(
    "site", ["", "a\nb", "a\r\nBcc: x@example.org", "\x00", "a\u2028b", "a\u200bb", "x" * 101]
)
def test_names_that_would_break_a_mail(site: str) -> None:
    assert "site" in complaint(site=site)


def test_a_setting_is_checked_again_when_replaced() -> None:
    with pytest.raises(ConfigError):
        replace(Settings(), window_ms=0)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_published_dialect_is_found(name: str) -> None:
    assert find_dialect(name) is DIALECTS[name]


@pytest.mark.parametrize("name", ["", "sfet", "SFET-3", "article-2016 ", "shop"])
def test_a_dialect_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_dialect(name)
    text = str(caught.value)
    assert repr(name) in text
    assert all(known in text for known in DIALECTS)
    assert "\n" not in text


def test_own_dialects_come_first() -> None:
    own = {
        "shop": replace(DIALECTS["sfet-3"], name="shop"),
        "sfet-2": replace(DIALECTS["sfet-3"], name="sfet-2"),
    }
    assert find_dialect("shop", own) is own["shop"]
    assert find_dialect("sfet-2", own) is own["sfet-2"]
    assert find_dialect("sfet-3", own) is DIALECTS["sfet-3"]
    with pytest.raises(ConfigError, match="shop"):
        find_dialect("another", own)


def test_the_clock_counts_milliseconds_since_1970() -> None:
    first = system_clock()
    assert isinstance(first, int)
    # 2020 and 2100, in milliseconds: off by a unit would be off by a thousand.
    assert 1_577_836_800_000 < first <= system_clock() < 4_102_444_800_000


@pytest.mark.parametrize(
    "suites", [(), ("classic", "classic"), ("hybrid-gcm",), ("ecdh-gcm", ""), ("ecdh",)]
)
def test_suites_are_chosen_from_those_that_there_are(suites: tuple[str, ...]) -> None:
    assert "ecdh-gcm, rsa-gcm, classic" in complaint(suites=suites)


def test_all_suites_are_spoken_unless_set() -> None:
    assert Settings().suites == ("ecdh-gcm", "rsa-gcm", "classic")
    assert Settings(suites=("classic",)).suites == ("classic",)


@pytest.mark.parametrize("realm", ["", "a\nb", "x" * 101])
def test_a_realm_is_a_name(realm: str) -> None:
    assert "realm" in complaint(realm=realm)


@pytest.mark.parametrize("require", [{"/a": "strong"}, {"a": "ecdh-gcm"}, {"/a*b": "ecdh-gcm"}])
def test_a_demand_is_a_pattern_and_a_suite(require: dict[str, str]) -> None:
    complaint(require=require)


@pytest.mark.parametrize("name", RATES)
def test_a_rate_has_one_notation(name: str) -> None:
    good = ("10 per 15 minutes", "10/15minutes", "1 per second", "5 per 31 days", "none")
    for text in good:
        options: dict[str, Any] = {name: text}
        assert getattr(Settings(**options), name) == text
    bad = ("", "often", "0 per minute", "0", "10", "-1 per minute", "1.5 per minute", "NONE")
    for text in (*bad, "1 per minute; 10 per hour", "10 per minutes x", "1 per year"):
        assert name in complaint(**{name: text})
    for other in (10, None, ["1 per minute"]):
        assert name in complaint(**{name: other})


def test_whom_to_trust_is_a_list_of_networks() -> None:
    assert Settings(trusted_proxies=("10.0.0.0/8", "::1", "unix")).trusted_proxies
    for trusted in (("the proxy",), "10.0.0.1"):
        assert "trusted_proxies" in complaint(trusted_proxies=trusted)
