"""docs/options.md and docs/limits.md: every option, its argument, default and range, as it is."""

import argparse
import ast
import inspect
import json
import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from documents import NAMES, blocks, read, table, tables

import gateway
from gateway.cli.main import _parser, add_service_options
from gateway.config.file import read_config
from gateway.config.settings import Settings
from gateway.doctor import Mark, Service
from gateway.doctor.configuration import check_configuration
from gateway.errors import ConfigError
from gateway.policy.rates import RATES
from gateway.service.options import MAX_WORKERS, service_options
from gateway.stores.urls import default_key_file
from gateway.users.directory import TomlDirectory
from protocol.classic.dialects import DEFAULT_DIALECT

# Calls that take options by their names.
CALLED = ("setup", "Certless", "add_middleware")


def documented() -> dict[str, dict[str, str]]:
    """Every option by its name in gateway.toml: the other cells of its row, by their heads."""
    found: dict[str, dict[str, str]] = {}
    for page in ("docs/options.md", "docs/limits.md"):
        for head, *rows in tables(read(page)):
            if head[0] != "in gateway.toml":
                continue
            for row in rows:
                cells = dict(zip(head, row, strict=True))
                name = cells.pop("in gateway.toml")
                if name:
                    assert name not in found, f"{name} stands in two places"
                    found[name] = cells
    return found


OPTIONS = documented()
OF_A_SERVICE = [row[0] for row in table(read("docs/options.md"), "Only a service") if row[0]]


def names_in_files(tmp_path: Path) -> set[str]:
    """What gateway.toml may hold, as the error for anything else says it."""
    path = tmp_path / "gateway.toml"
    path.write_text("nonsense = 1", "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    return set(str(caught.value).rpartition("there are: ")[2].split(", "))


def arguments_of_serve() -> dict[str, argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    add_service_options(parser)
    return {
        action.option_strings[-1]: action for action in parser._actions if action.dest != "help"
    }


def test_every_option_of_the_file_is_documented(tmp_path: Path) -> None:
    assert set(OPTIONS) == names_in_files(tmp_path) - {"dialects"}
    assert "[dialects.NAME]" in read("docs/options.md")


def test_every_argument_is_documented() -> None:
    said = [row[1] for head, *rows in tables(read("docs/options.md")) for row in rows]
    said = [cell for cell in said if cell.startswith("--")]
    arguments = arguments_of_serve()
    assert sorted(cell.split()[0] for cell in said) == sorted(arguments)
    for cell in said:
        name, _, value = cell.partition(" ")
        assert value == (arguments[name].metavar or ""), name


def test_every_option_of_setup_is_documented() -> None:
    signature = inspect.signature(gateway.setup).parameters
    taken = set(signature) - {"app", "settings", "watch"}
    taken |= {field.name for field in fields(Settings)} - {"clock"}
    assert set(OPTIONS) - set(OF_A_SERVICE) == taken
    assert "takes `watch`" in read("docs/options.md")


def test_defaults() -> None:
    served = service_options(_parser().parse_args(["serve"]))
    signature = inspect.signature(gateway.setup).parameters
    defaults: dict[str, Any] = {
        **{name: one.default for name, one in signature.items()},
        **{field.name: field.default for field in fields(Settings)},
        "listen": served["listen"],
        "workers": served["workers"],
        "dialect": DEFAULT_DIALECT,
        "any_address": False,
        "upstream": inspect.Parameter.empty,
        "require": (),
        "targets": None,
    }
    for name, cells in OPTIONS.items():
        said, default = cells["default"].split(";")[0], defaults[name]
        assert default is not MISSING, name
        if name == "key_file":
            assert (said, default) == ("for SQLite PATH.key", None)
            assert str(default_key_file("sqlite:PATH")) == "PATH.key"
        elif default is inspect.Parameter.empty:
            assert said.startswith("must be set"), name
        elif name == "suites":
            assert said == ",".join(default)
        elif default in ((), None):
            assert said == ("all paths" if name == "targets" else "none"), name
        else:
            assert said == str(default).replace("False", "false"), name
    assert served["site"] == "the service at 127.0.0.1:8440"
    assert OPTIONS["site"]["default"].endswith("; in serve the service at and its address")


def ranges() -> dict[str, tuple[int, int]]:
    found = {}
    for name, cells in OPTIONS.items():
        text = cells.get("from, to", cells.get("", ""))
        if match := re.search(r"\b(\d+)(?: to |, )(\d+)$", text):
            found[name] = (int(match[1]), int(match[2]))
    return found


def test_numbers_have_the_range_that_is_said() -> None:
    said = ranges()
    assert said.pop("workers") == (1, MAX_WORKERS)
    numbers = {field.name for field in fields(Settings) if type(field.default) is int}
    assert set(said) == numbers
    for name, (least, most) in said.items():
        for value in (least, most):
            inside: dict[str, Any] = {name: value}
            assert getattr(Settings(**inside), name) == value
        for value in (least - 1, most + 1):
            outside: dict[str, Any] = {name: value}
            with pytest.raises(ConfigError):
                Settings(**outside)


def test_rates_are_where_limits_are() -> None:
    rows = table(read("docs/limits.md"), "How often")
    assert [row[0] for row in rows] == list(RATES)


@pytest.mark.parametrize("name", NAMES)
def test_options_in_python_are_options(name: str) -> None:
    known = set(inspect.signature(gateway.setup).parameters) - {"settings"}
    known |= {field.name for field in fields(Settings)}
    for code in blocks(read(name), "python"):
        tree = compile(
            code,
            name,
            "exec",
            ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        for call in ast.walk(tree):
            name_called = getattr(getattr(call, "func", None), "attr", "")
            if isinstance(call, ast.Call) and name_called in (
                "setup",
                "Certless",
                "add_middleware",
            ):
                assert {keyword.arg for keyword in call.keywords} <= known


async def test_the_gateway_toml_that_is_shown_is_sound(tmp_path: Path) -> None:
    shown = blocks(read("docs/options.md"), "toml")
    (whole,) = [text for text in shown if text.startswith("# gateway.toml")]
    (users,) = [text for text in shown if text.startswith("# users.toml")]
    (own,) = [text for text in blocks(read("docs/dialects.md"), "toml") if "[dialects." in text]
    (tmp_path / "users.toml").write_text(users, "utf-8")
    path = tmp_path / "gateway.toml"
    top, _, tables_of_dialects = own.partition("[dialects")
    path.write_text(f"{top}{whole}[dialects{tables_of_dialects}", "utf-8")
    options = service_options(_parser().parse_args(["serve", "--config", str(path)]))
    assert options["dialects"]["shop"].names.token == "sid"
    assert {"upstream", "users", "targets", "mail_limit"} <= set(options)
    found = [one async for one in check_configuration(Service(dict(options), path))]
    assert [one.text for one in found if one.mark is Mark.FIX] == []


@pytest.mark.parametrize("name", NAMES)
def test_toml_that_is_shown_is_read(name: str, tmp_path: Path) -> None:
    for text in blocks(read(name), "toml"):
        path = tmp_path / "shown.toml"
        path.write_text(text, "utf-8")
        if "users" in (content := tomllib.loads(text)) and isinstance(content["users"], dict):
            assert TomlDirectory.from_file(path).accounts
        else:
            read_config(path)


@pytest.mark.parametrize("name", NAMES)
def test_json_that_is_shown_is_read(name: str) -> None:
    for text in blocks(read(name), "json"):
        left = text.strip()
        while left:  # one JSON value, or one a line
            value, end = json.JSONDecoder().raw_decode(left)
            assert value
            left = left[end:].lstrip()
