"""The keywords of ``certless.setup``: the declared options, as type checkers see them."""

import textwrap
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from aiohttp import web
from mypy import api
from processes import ROOT

import certless
from gateway.config.option import (
    DemandsOption,
    ListOption,
    NumberOption,
    Option,
    RateOption,
    SwitchOption,
    TextOption,
)
from gateway.config.options import SETTINGS_OPTIONS, SETUP_OPTIONS
from gateway.config.settings import Settings
from gateway.options import SetupOptions

# What a program gives, for each kind of setting.
TYPES: dict[type[Option], str] = {
    TextOption: "str",
    RateOption: "str",
    NumberOption: "int",
    SwitchOption: "bool",
    ListOption: "Iterable[str]",
    DemandsOption: "Mapping[str, str]",
}
PROGRAM = """
    import certless
    from aiohttp import web
    from starlette.applications import Starlette

    app = web.Application()
    certless.setup(app, users="users.toml", mail="console:", session_lifetime_s=60)
    certless.setup(app, users="users.toml", mail="console:", session_lifetimes=60)  # wrong
    certless.setup(app, users="users.toml", mail="console:", session_lifetime_s="60")  # wrong
    certless.setup(app, mail="console:")  # wrong
    certless.reverse_proxy("http://a", users="users.toml", mail="console:", targets=["/"])
    certless.reverse_proxy("http://a", users="users.toml", mail="console:", target=["/"])  # wrong
    client = certless.Client("http://a")
    client.post("/orders", json={"item": "tea"}, params={"dry": "1"})
    client.post("/orders", jsn={"item": "tea"})  # wrong
    starlette = Starlette()
    certless.asgi.Certless(starlette, users=certless.AnyAddress(), mail="console:")
    certless.asgi.Certless(starlette, users=certless.AnyAddress(), mails="console:")  # wrong
    starlette.add_middleware(certless.asgi.Certless, users="users.toml", mail="console:")
"""


def test_keywords_are_the_declared_options() -> None:
    assert set(SetupOptions.__annotations__) == {*SETUP_OPTIONS, "watch", "clock"}
    assert SetupOptions.__required_keys__ == {"users", "mail"}


def test_types_are_those_of_the_declarations() -> None:
    types = get_type_hints(SetupOptions)
    settings = get_type_hints(Settings)
    for name, option in SETTINGS_OPTIONS.items():
        if name == "dialect":  # by its name, or the dialect itself
            assert set(get_args(types[name])) == {str, settings[name]}
            continue
        shown = types[name].__name__ if get_origin(types[name]) is None else str(types[name])
        assert shown.removeprefix("collections.abc.") == TYPES[type(option)], name


def test_mypy_knows_the_options(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM), "utf-8")
    cache, config = f"--cache-dir={ROOT / '.mypy_cache'}", f"--config-file={ROOT / 'setup.cfg'}"
    output, errors, _ = api.run([cache, config, str(program)])
    assert errors == ""
    wrong = {
        number
        for number, line in enumerate(program.read_text("utf-8").splitlines(), 1)
        if line.endswith("# wrong")
    }
    reported = {int(line.split(":")[1]) for line in output.splitlines() if "error:" in line}
    assert reported == wrong, output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"users": "u.toml", "mail": "console:", "sesions": 5}, "did you mean 'sessions'?"),
        ({"users": "u.toml", "mail": "console:", "xyzzy": 5}, "no option 'xyzzy'"),
        ({"mail": "console:"}, "the option users is missing"),
        ({"users": "u.toml"}, "the option mail is missing"),
    ],
)
def test_wrong_keywords_are_one_line(options: dict[str, Any], text: str) -> None:
    with pytest.raises(certless.ConfigError) as caught:
        certless.setup(web.Application(), **options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
