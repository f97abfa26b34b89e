"""Options: each is declared once, and every form of it derives from that."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import parser_of
from gateway.config.arguments import add_arguments, given_options
from gateway.config.option import (
    ChannelsOption,
    DemandsOption,
    ListOption,
    NumberOption,
    Option,
    RateOption,
    SwitchOption,
    TextOption,
    flag_of,
)
from gateway.config.options import OPTIONS, PART_OPTIONS, SERVICE_OPTIONS, SETTINGS_OPTIONS
from gateway.config.settings import Settings, settings_from
from gateway.errors import ConfigError
from gateway.policy.rates import RATES
from gateway.service.options import service_options

# For each kind of option: what the command line gets, and the value.
GIVEN: dict[type[Option], tuple[list[str], Any]] = {
    TextOption: (["x"], "x"),
    RateOption: (["5 per hour"], "5 per hour"),
    NumberOption: (["30"], 30),
    ListOption: (["/a"], ["/a"]),
    DemandsOption: (["/a=ecdh-gcm"], {"/a": "ecdh-gcm"}),
    ChannelsOption: (["sms=webhook:https://x/?a=b"], {"sms": "webhook:https://x/?a=b"}),
    SwitchOption: ([], True),
}


def parse(*arguments: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return given_options(parser.parse_args(arguments))


def test_no_name_is_declared_twice() -> None:
    assert len(OPTIONS) == len(SERVICE_OPTIONS) + len(PART_OPTIONS) + len(SETTINGS_OPTIONS)
    flags = [flag_of(name, option) for name, option in OPTIONS.items()]
    assert len(flags) == len(set(flags))


def test_defaults_of_settings_are_those_of_their_options() -> None:
    for name, option in SETTINGS_OPTIONS.items():
        default = getattr(Settings(), name)
        assert (default.name if name == "dialect" else default) == option.default, name


def test_every_setting_is_an_option() -> None:
    assert [one.name for one in fields(Settings)] == [*SETTINGS_OPTIONS, "clock"]


def test_every_rate_is_an_option() -> None:
    assert [name for name, one in OPTIONS.items() if isinstance(one, RateOption)] == list(RATES)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_can_be_given_on_the_command_line(name: str) -> None:
    words, value = GIVEN[type(OPTIONS[name])]
    assert parse(flag_of(name, OPTIONS[name]), *words) == {name: value}


def test_nothing_given_is_nothing() -> None:
    assert parse() == {}


def test_lists_and_tables_on_the_command_line() -> None:
    assert parse("--suites", "ecdh-gcm, classic") == {"suites": ["ecdh-gcm", "classic"]}
    assert parse("--public", "/", "--public", "/a,b") == {"public": ["/", "/a,b"]}
    given = parse("--require", "/a=ecdh-gcm", "--require", "/b=c=classic")
    assert given == {"require": {"/a": "ecdh-gcm", "/b=c": "classic"}}
    with pytest.raises(ConfigError, match="PATTERN=SUITE"):
        parse("--require", "/a")
    with pytest.raises(ConfigError, match="KIND=webhook:URL"):
        parse("--channel", "sms")


def test_limits_from_the_command_line_come_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('logins = "1 per hour"\nlogins_per_user = "2 per hour"\nwindow_ms = 5000\n')
    arguments = ["serve", "--config", str(path), "--logins", "3 per hour", "--window-ms", "7000"]
    settings = settings_from(service_options(parser_of().parse_args(arguments)))
    assert (settings.logins, settings.logins_per_user) == ("3 per hour", "2 per hour")
    assert settings.window_ms == 7000


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_help_has_each_option_its_default_and_range(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser_of().parse_args([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "`" not in text
    for name, option in OPTIONS.items():
        assert flag_of(name, option) in text
        if isinstance(option, NumberOption):
            default = f"default {option.default}, " if option.default_text != "none" else ""
            assert f"({default}{option.least} to {option.most})" in text


@pytest.mark.parametrize("name", ["window_ms", "sessions"])
@pytest.mark.parametrize("value", ["5", 5.0, True, None, [5]])
def test_a_setting_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be a whole number"):
        settings_from({name: value})


def test_a_list_is_not_one_string() -> None:
    for name in ("public", "suites", "trusted_proxies"):
        with pytest.raises(ConfigError, match=f"{name} must be a list"):
            settings_from({name: "/"})
