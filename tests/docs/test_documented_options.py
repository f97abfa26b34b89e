"""docs/options.md and docs/limits.md: the tables match the declarations, and the examples work."""

import ast
import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest
from documents import NAMES, blocks, lead_nowhere, read
from make_option_tables import with_tables
from processes import ROOT

import issuing
import vault
from gateway.cli.main import parser_of
from gateway.config.file import read_config
from gateway.config.option import Section
from gateway.config.options import OPTIONS
from gateway.doctor import Mark, Service
from gateway.doctor.configuration import check_configuration
from gateway.mail.webhook_request import webhook_file
from gateway.options import SetupOptions
from gateway.service.options import service_options
from gateway.stores.urls import default_key_file
from gateway.users.directory import TomlDirectory
from vault.server.store.tables import METADATA

# Calls with options as keyword arguments.
CALLED = ("setup", "Certless", "add_middleware")


@pytest.mark.parametrize("page", sorted({section.page for section in Section}))
def test_the_tables_are_those_of_the_declarations(page: str) -> None:
    text = read(f"docs/{page}")
    assert with_tables(page, text) == text, "run: make docs-options"


@pytest.mark.parametrize("page", sorted({section.page for section in Section}))
def test_another_table_is_noticed(page: str) -> None:
    text = read(f"docs/{page}")
    assert with_tables(page, text.replace(" to ", " and ")) != text.replace(" to ", " and ")


def test_a_page_without_the_heading_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a heading 'Storage'"):
        with_tables("options.md", read("docs/options.md").replace("## Storage", "## Stores"))


def test_links_of_the_tables_lead_somewhere() -> None:
    for option in OPTIONS.values():
        path = ROOT / "docs" / option.section.page
        assert lead_nowhere(path, f"{path.read_text('utf-8')}\n{option.more}") == []


def test_other_options_that_the_page_names() -> None:
    assert "[dialects.NAME]" in read("docs/options.md")
    assert "takes `watch`" in read("docs/options.md")
    assert str(default_key_file("sqlite:PATH")) == "PATH.key"
    assert OPTIONS["key_file"].default_text == "for SQLite `PATH.key`"
    served = service_options(parser_of().parse_args(["serve"]))
    assert served["site"] == "the service at 127.0.0.1:8440"
    assert OPTIONS["site"].default_text == "`this site`; for `serve` `the service at HOST:PORT`"


@pytest.mark.parametrize("name", NAMES)
def test_options_in_python_are_options(name: str) -> None:
    known = set(SetupOptions.__annotations__) | {"app"}
    others = {
        f"{one.__name__}.setup": set(inspect.signature(one.setup).parameters)
        for one in (issuing, vault)
    }
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
            if isinstance(call, ast.Call) and name_called in CALLED:
                given = {keyword.arg for keyword in call.keywords}
                assert given <= others.get(ast.unparse(call.func), known)


def test_the_page_of_the_vault_lists_its_arguments() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", read("docs/vault.md"), re.MULTILINE)
    listed = [row for row in rows if not row.startswith("vault_")]
    assert sorted(listed) == sorted(set(inspect.signature(vault.setup).parameters) - {"app"})


def test_the_page_of_the_vault_lists_its_tables() -> None:
    rows = re.findall(r"^\| `(vault_\w+)` \|", read("docs/vault.md"), re.MULTILINE)
    assert sorted(rows) == sorted(METADATA.tables)


async def test_the_gateway_toml_that_is_shown_is_sound(tmp_path: Path) -> None:
    shown = blocks(read("docs/options.md"), "toml")
    (whole,) = [text for text in shown if text.startswith("# gateway.toml")]
    (users,) = [text for text in shown if text.startswith("# users.toml")]
    (own,) = [text for text in blocks(read("docs/dialects.md"), "toml") if "[dialects." in text]
    (tmp_path / "users.toml").write_text(users, "utf-8")
    path = tmp_path / "gateway.toml"
    top, _, tables_of_dialects = own.partition("[dialects")
    path.write_text(f"{top}{whole}[dialects{tables_of_dialects}", "utf-8")
    options = service_options(parser_of().parse_args(["serve", "--config", str(path)]))
    assert options["dialects"]["shop"].names.token == "sid"
    assert {"upstream", "users", "targets", "mail_limit"} <= set(options)
    found = [one async for one in check_configuration(Service(dict(options), path))]
    assert [one.text for one in found if one.mark is Mark.FIX] == []


@pytest.mark.parametrize("name", NAMES)
def test_toml_that_is_shown_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMS_TOKEN", "of the example")
    for text in blocks(read(name), "toml"):
        path = tmp_path / "shown.toml"
        path.write_text(text, "utf-8")
        if "users" in (content := tomllib.loads(text)) and isinstance(content["users"], dict):
            assert TomlDirectory.from_file(path).accounts
        elif text.startswith("# sms.toml"):
            assert webhook_file(path, "channel sms").headers
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
