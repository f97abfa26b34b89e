"""gateway.toml: every option is checked by type, and paths are those of the file."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.config.file import read_config
from gateway.config.option import (
    ChannelsOption,
    DemandsOption,
    ListOption,
    NumberOption,
    Option,
    RateOption,
    SwitchOption,
    TextOption,
)
from gateway.config.options import OPTIONS
from gateway.errors import ConfigError
from protocol.classic.dialects import DIALECTS, derive

# Values of another type, for each kind of option.
OTHER_TYPES: dict[type[Option], list[str]] = {
    TextOption: ["5", "true", "['x']", "{a = 'x'}", "1.5", "1979-05-27"],
    RateOption: ["5", "true", "['x']", "{a = 'x'}", "1.5", "1979-05-27"],
    NumberOption: ["'5'", "true", "false", "[5]", "5.0", "nan", "{a = 5}"],
    ListOption: ["'/'", "5", "true", "['/', 5]", "[['/']]", "{a = '/'}"],
    DemandsOption: ["'/'", "5", "['/']", "{'/' = 5}", "{'/' = ['ecdh-gcm']}"],
    ChannelsOption: ["'sms'", "5", "['sms']", "{sms = 5}", "{sms = ['webhook:https://x/']}"],
    SwitchOption: ["'true'", "1", "0", "[true]", "'yes'"],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.toml"


def read(path: Path, content: str) -> dict[str, Any]:
    path.write_text(content, "utf-8")
    return read_config(path)


def complaint(path: Path, content: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, content)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_whole_file(path: Path) -> None:
    options = read(
        path,
        """
        listen = "127.0.0.1:8440"
        upstream = "http://127.0.0.1:9000"
        any_address = true
        mail = "smtp://127.0.0.1:2525"
        mail_from = "codes@example.org"
        store = "memory:"
        dialect = "sfet-3"
        public = ["/", "/static/*"]
        targets = ["/*"]
        prefix = "/.gateway"
        site = "Лавка"
        max_body_bytes = 4096
        session_lifetime_s = 60
        sweep_interval_s = 5
        window_ms = 30_000
        code_chars = 30
        key_pool_size = 2
        suites = ["ecdh-gcm", "classic"]
        realm = "the shop"
        ticket_lifetime_s = 0
        require = { "/admin/*" = "ecdh-gcm" }
        """,
    )
    assert options == {
        "listen": "127.0.0.1:8440",
        "upstream": "http://127.0.0.1:9000",
        "any_address": True,
        "mail": "smtp://127.0.0.1:2525",
        "mail_from": "codes@example.org",
        "store": "memory:",
        "dialect": "sfet-3",
        "public": ["/", "/static/*"],
        "targets": ["/*"],
        "prefix": "/.gateway",
        "site": "Лавка",
        "max_body_bytes": 4096,
        "session_lifetime_s": 60,
        "sweep_interval_s": 5,
        "window_ms": 30_000,
        "code_chars": 30,
        "key_pool_size": 2,
        "suites": ["ecdh-gcm", "classic"],
        "realm": "the shop",
        "ticket_lifetime_s": 0,
        "require": {"/admin/*": "ecdh-gcm"},
        "dialects": {},
    }


def test_an_empty_file(path: Path) -> None:
    assert read(path, "") == {"dialects": {}}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, option in OPTIONS.items() for value in OTHER_TYPES[type(option)]],
)
def test_an_option_of_another_type(path: Path, name: str, value: str) -> None:
    text = complaint(path, f"{name} = {value}")
    assert f"{name} must be " in text
    assert str(path) in text


@pytest.mark.parametrize("name", ["port", "Listen", "clock", "public_routes", "dialects2", "'a b'"])
def test_an_option_that_is_not_there(path: Path, name: str) -> None:
    text = complaint(path, f"{name} = 5")
    assert name.strip("'") in text
    # The rest of the line is the list to choose from.
    assert all(known in text for known in (*OPTIONS, "dialects"))


def test_a_table_that_is_no_option(path: Path) -> None:
    assert "'server'" in complaint(path, "[server]\nlisten = '127.0.0.1:8440'")


@pytest.mark.parametrize("content", ["listen = ", "= 5", "[dialects", "a = 1\na = 2", "listen = x"])
def test_what_is_no_toml(path: Path, content: str) -> None:
    assert str(path) in complaint(path, content)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing.toml", tmp_path, binary):
        with pytest.raises(ConfigError) as caught:
            read_config(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


# --- paths ---


def test_paths_are_relative_to_the_file(path: Path) -> None:
    folder = path.parent
    options = read(
        path,
        'users = "users.toml"\nkey_file = "keys/a.key"\nstore = "sqlite:data/a.db"\n'
        'mail = "dir:mails"\naudit = "audit.jsonl"\nticket_store = "sqlite:t.db"',
    )
    assert options["ticket_store"] == f"sqlite:{folder / 't.db'}"
    assert Path(options["audit"]) == folder / "audit.jsonl"
    assert Path(options["users"]) == folder / "users.toml"
    assert Path(options["key_file"]) == folder / "keys" / "a.key"
    assert options["store"] == f"sqlite:{folder / 'data' / 'a.db'}"
    assert options["mail"] == f"dir:{folder / 'mails'}"


def test_a_certificate_is_relative_to_the_file(path: Path) -> None:
    options = read(path, 'mail = "smtps://mail.example?ca=a%20b.pem"')
    assert options["mail"] == f"smtps://mail.example?ca={quote(str(path.parent / 'a b.pem'))}"
    hook = "webhook:http://127.0.0.1/?ca=b.pem"
    assert read(path, f'mail = "{hook}"')["mail"] == hook


def test_the_file_of_a_webhook_is_relative_to_the_file(path: Path) -> None:
    options = read(path, 'mail = "webhook:@mail.toml"\nchannels = { sms = "webhook:@sms.toml" }')
    assert options["mail"] == f"webhook:@{path.parent / 'mail.toml'}"
    assert options["channels"] == {"sms": f"webhook:@{path.parent / 'sms.toml'}"}
    hook = "webhook:http://ann@127.0.0.1/"
    assert read(path, f'channels = {{ sms = "{hook}" }}')["channels"] == {"sms": hook}


def test_a_relative_file_in_another_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text('users = "users.toml"')
    (path.parent / "elsewhere").mkdir()
    monkeypatch.chdir(path.parent / "elsewhere")
    options = read_config(Path("..") / path.name)
    assert Path(options["users"]).resolve() == path.parent / "users.toml"


def test_absolute_paths_stay(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    options = read(path, f'users = "{elsewhere}"\nstore = "sqlite:{elsewhere}"')
    assert options["users"] == str(elsewhere)
    assert options["store"] == f"sqlite:{elsewhere}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mail", "smtp://127.0.0.1:25"),
        ("mail", "console:"),
        ("mail", "webhook:http://127.0.0.1/dir:x"),
        ("store", "memory:"),
        ("upstream", "http://127.0.0.1:9000"),
        ("site", "dir:x"),
    ],
)
def test_what_is_no_path_stays(path: Path, name: str, value: str) -> None:
    assert read(path, f'{name} = "{value}"')[name] == value


# --- dialects of one's own ---


def test_a_dialect_derived_from_a_published_one(path: Path) -> None:
    options = read(
        path,
        """
        dialect = "shop"

        [dialects.shop]
        base = "sfet-3"
        timestamp = "iso8601"
        encoding = "hex"
        names = { token = "sid", public_key = "key_pem" }
        paths = { session = "/begin" }
        """,
    )
    shop = options["dialects"]["shop"]
    assert shop == derive(
        "shop",
        DIALECTS["sfet-3"],
        {
            "timestamp": "iso8601",
            "encoding": "hex",
            "names": {"token": "sid", "public_key": "key_pem"},
            "paths": {"session": "/begin"},
        },
    )
    assert (shop.name, shop.aes, shop.timestamp) == ("shop", "cbc", "iso8601")
    assert (shop.names.token, shop.names.key) == ("sid", "key")
    assert (shop.paths.session, shop.paths.message) == ("/begin", "/message")


def test_a_dialect_derived_from_another_of_the_file(path: Path) -> None:
    options = read(
        path,
        '[dialects.shop]\nbase = "sfet-3"\nnames = { token = "sid" }\n'
        '[dialects.till]\nbase = "shop"\ntimestamp = "s"',
    )
    till = options["dialects"]["till"]
    assert (till.name, till.names.token, till.timestamp) == ("till", "sid", "s")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("dialects = 5", "[dialects.NAME]"),
        ("dialects = []", "[dialects.NAME]"),
        ("[dialects]\nshop = 'sfet-3'", "base"),
        ("[dialects.shop]", "base"),
        ("[dialects.shop]\nbase = 5", "base"),
        ("[dialects.shop]\nbase = 'sfet-9'", "'sfet-9'"),
        ("[dialects.shop]\nbase = 'shop'", "'shop'"),
        ("[dialects.shop]\nbase = 'sfet-3'\nname = 'x'", "'name'"),
        ("[dialects.shop]\nbase = 'sfet-3'\ncipher = 'x'", "'cipher'"),
        ("[dialects.shop]\nbase = 'sfet-3'\naes = 'ecb'", "aes must be one of"),
        ("[dialects.shop]\nbase = 'sfet-3'\naes = 5", "aes must be one of"),
        ("[dialects.shop]\nbase = 'sfet-3'\naes = ['ctr']", "aes must be one of"),
        ("[dialects.shop]\nbase = 'sfet-3'\ntimestamp = 'us'", "timestamp must be one of"),
        ("[dialects.shop]\nbase = 'sfet-3'\nencoding = 'base32'", "encoding must be one of"),
        ("[dialects.shop]\nbase = 'article-2016'\naes = 'gcm'", "gcm"),
        ("[dialects.shop]\nbase = 'sfet-3'\nkey_derivation = 'raw'", "raw"),
        ("[dialects.shop]\nbase = 'sfet-3'\nnames = 'x'", "names is a table"),
        ("[dialects.shop]\nbase = 'sfet-3'\nnames = { sid = 'x' }", "names is a table"),
        ("[dialects.shop]\nbase = 'sfet-3'\nnames = { token = 5 }", "must be a string"),
        ("[dialects.shop]\nbase = 'sfet-3'\nnames = { token = '' }", "must not be empty"),
        ("[dialects.shop]\nbase = 'sfet-3'\nnames = { token = 'key' }", "must differ"),
        ("[dialects.shop]\nbase = 'sfet-3'\npaths = { session = '/message' }", "must differ"),
        ("[dialects.shop]\nbase = 'sfet-3'\npaths = { session = 'begin' }", "start with /"),
        ("[dialects.shop]\nbase = 'sfet-3'\npaths = { begin = '/x' }", "paths is a table"),
    ],
)
def test_a_dialect_with_a_mistake(path: Path, content: str, word: str) -> None:
    assert word in complaint(path, content)
