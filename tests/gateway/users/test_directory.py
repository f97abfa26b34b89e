"""Who may log in: users from a TOML file, and anybody with a mailbox."""

import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from gateway.errors import ConfigError
from gateway.mail.message import CodeMail
from gateway.users.directory import Account, AnyAddress, TomlDirectory
from protocol.common.codes import normalise_username
from protocol.common.errors import RejectedMessage


def users(tmp_path: Path, content: str | bytes) -> TomlDirectory:
    path = tmp_path / "users.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return TomlDirectory.from_file(path)


def complaint(tmp_path: Path, content: str | bytes) -> str:
    """The one line that a file of users is refused with."""
    with pytest.raises(ConfigError) as caught:
        users(tmp_path, content)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


ANN_AND_BOB = """
[users."Ann"]
addresses = ["ann@example.org", "Ann.Of@Example.ORG"]

[users.bob]
addresses = ["bob@example.org"]
"""


async def find(directory: TomlDirectory | AnyAddress, typed: str) -> Account | None:
    """What a visitor who typed this gets, the way of a login."""
    account, known = await directory.named(typed), await directory.find(normalise_username(typed))
    # Later, when the account is looked up by its name alone, it is the same.
    assert (account and account.name) == (known and known.name)
    return account


# --- the file ---


@pytest.mark.parametrize(
    "typed",
    ["Ann", "ann", "ANN", "  ann ", "ann@example.org", "ANN@EXAMPLE.ORG", "ann.of@example.org"],
)
async def test_a_user_by_name_or_by_any_address(tmp_path: Path, typed: str) -> None:
    directory = users(tmp_path, ANN_AND_BOB)
    expected = Account("Ann", ("ann@example.org", "Ann.Of@Example.ORG"))
    assert await find(directory, typed) == expected


@pytest.mark.parametrize(
    "typed", ["eve", "ann@example.com", "annn", "ann\u0301", "an n", "ann@", "*", "bob, ann"]
)
async def test_nobody_else(tmp_path: Path, typed: str) -> None:
    assert await find(users(tmp_path, ANN_AND_BOB), typed) is None


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, str.casefold])
async def test_variants_of_one_name_are_one_account(
    tmp_path: Path, form: Literal["NFC", "NFD"], change: type[str]
) -> None:
    directory = users(tmp_path, '[users."Zoë Straße"]\naddresses = ["zoe@example.org"]')
    typed = unicodedata.normalize(form, str(change("zoë straße")))
    found = await find(directory, typed)
    assert found
    assert found.name == "Zoë Straße"


async def test_a_file_may_be_written_in_either_form(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "Zoë")
    directory = users(tmp_path, f'[users."{name}"]\naddresses = ["zoe@example.org"]')
    assert await find(directory, unicodedata.normalize("NFC", "zoë"))


async def test_two_letters_that_look_alike_are_two_accounts(tmp_path: Path) -> None:
    latin, cyrillic = "aaa", "ааа"
    directory = users(
        tmp_path,
        f'[users."{latin}"]\naddresses = ["a@example.org"]\n'
        f'[users."{cyrillic}"]\naddresses = ["b@example.org"]',
    )
    for name, address in ((latin, "a@example.org"), (cyrillic, "b@example.org")):
        found = await find(directory, name)
        assert found
        assert found.addresses == (address,)


async def test_an_address_written_twice_by_one_user(tmp_path: Path) -> None:
    directory = users(
        tmp_path, '[users."ann@example.org"]\naddresses = ["ann@example.org", "ANN@example.org"]'
    )
    assert await find(directory, "Ann@Example.org")


@pytest.mark.parametrize(
    "second",
    [
        '[users."bob"]\naddresses = ["shared@example.org"]',
        '[users."bob"]\naddresses = ["SHARED@Example.ORG"]',
        '[users."ANN"]\naddresses = ["bob@example.org"]',
        '[users."shared@example.org"]\naddresses = ["bob@example.org"]',
        '[users."bob"]\naddresses = ["ann"]',
        '[users."bob"]\naddresses = ["shared@EXAMPLE。ORG"]',
    ],
)
def test_what_two_users_share(tmp_path: Path, second: str) -> None:
    first = '[users."ann"]\naddresses = ["shared@example.org"]\n'
    text = complaint(tmp_path, first + second)
    assert "two users" in text
    assert "ann" in text


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "has no users"),
        ("# nobody yet", "has no users"),
        ("users = 5", "has no users"),
        ("users = []", "has no users"),
        ('users = ["ann@example.org"]', "has no users"),
        ("[users]", "has no users"),
        ("[user.ann]\naddresses = ['a@example.org']", "has no users"),
        ("[users.ann]", "'ann' has no addresses"),
        ("[users]\nann = 'ann@example.org'", "'ann' has no addresses"),
        ("[users.ann]\naddresses = 'ann@example.org'", "'ann' has no addresses"),
        ("[users.ann]\naddresses = ['a@example.org', 5]", "'ann' has no addresses"),
        ("[users.ann]\naddress = 'ann@example.org'", "'ann' has an unknown 'address'"),
        ("[users.ann]\naddresses = ['']", "cannot be used"),
        ("[users.ann]\naddresses = ['  ']", "cannot be used"),
        ('[users.ann]\naddresses = ["a@example.org\\r\\nBcc: eve@example.org"]', "cannot be used"),
        ('[users."an\\nn"]\naddresses = ["a@example.org"]', "cannot be used"),
        ('[users."an\\u200bn"]\naddresses = ["a@example.org"]', "cannot be used"),
        ('[users.""]\naddresses = ["a@example.org"]', "cannot be used"),
        (f'[users.{"a" * 255}]\naddresses = ["a@example.org"]', "cannot be used"),
        ("[users.ann\naddresses = ['a@example.org']", "line 1"),
        ("users.ann = {", "users.toml"),
        ("[users.ann]\naddresses = ['a@example.org']\n[users.ann]\n", "line 3"),
        (b"[users.ann]\naddresses = ['\xff']", "utf-8"),
        (b"\xff\xfe[\x00u\x00", "utf-8"),
    ],
)
def test_a_file_with_a_mistake(tmp_path: Path, content: str | bytes, word: str) -> None:
    assert word in complaint(tmp_path, content)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(ConfigError) as caught:
            TomlDirectory.from_file(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


async def test_without_a_second_check_everybody_passes(tmp_path: Path) -> None:
    directory = users(tmp_path, ANN_AND_BOB)
    account = await find(directory, "ann")
    assert account
    assert await directory.check(account, {"password": "anything"})


# --- anybody ---


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org",
        "a@b.cd",
        "ann.of.green+gables@mail.example.org",
        "o'hara@example.org",
        "a_b-c@exa-mple.org",
        "1@2.34",
        "#!$%&*/^`{|}~@example.org",
        "ann@xn--mnchen-3ya.de",
        "a@" + "b" * 63 + ".org",
    ],
)
async def test_addresses_that_may_log_in(address: str) -> None:
    assert await find(AnyAddress(), address) == Account(address, (address,))


async def test_an_address_in_capitals_is_the_same_account() -> None:
    account = await find(AnyAddress(), " Ann@Example.ORG ")
    # Its mail server is asked for the mailbox that was named.
    assert account == Account("ann@example.org", ("Ann@example.org",))
    assert await AnyAddress().find(account.name) == Account(account.name, (account.name,))


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("ann@münchen.de", "xn--mnchen-3ya.de"),
        ("ann@MÜNCHEN.DE", "xn--mnchen-3ya.de"),
        ("ann@mu\u0308nchen.de", "xn--mnchen-3ya.de"),
        ("ann@XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
        ("ann@пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ("ann@例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("ann@example\uff0eorg", "example.org"),
    ],
)
async def test_a_domain_in_other_letters_is_one_account_with_its_ascii_form(
    typed: str, domain: str
) -> None:
    assert await find(AnyAddress(), typed) == Account(f"ann@{domain}", (f"ann@{domain}",))


@pytest.mark.parametrize(
    ("written", "typed"),
    [("Ann@münchen.de", "ann@xn--mnchen-3ya.de"), ("Ann@xn--mnchen-3ya.de", "ann@MÜNCHEN.de")],
)
async def test_a_user_by_either_form_of_a_domain(tmp_path: Path, written: str, typed: str) -> None:
    directory = users(tmp_path, f'[users.ann]\naddresses = ["{written}"]')
    assert await find(directory, typed) == Account("ann", (written,))


async def test_what_only_folds_to_an_address_is_none() -> None:
    # The sign of Kelvin folds to k; the mail would go to the one, the session to the other.
    assert await AnyAddress().named("mar\u212a@example.org") is None


async def test_a_name_is_no_domain(tmp_path: Path) -> None:
    directory = users(tmp_path, '[users."zoë"]\naddresses = []')
    assert await find(directory, "ZOË") == Account("zoë", ())
    assert await find(directory, "xn--zo-jja") is None


@pytest.mark.parametrize(
    "typed",
    [
        "ann",
        "ann@",
        "@example.org",
        "ann@example",
        "ann@localhost",
        "ann@@example.org",
        "ann@example..org",
        "ann@.example.org",
        "ann@example.org.",
        ".ann@example.org",
        "ann.@example.org",
        "an..n@example.org",
        "an n@example.org",
        "ann@exam ple.org",
        "ann@-example.org",
        "ann@example-.org",
        "ann@" + "b" * 64 + ".org",
        "ann@exa_mple.org",
        "ann@[127.0.0.1]",
        '"ann"@example.org',
        '"ann\\"@evil.org"@example.org',
        "ann(comment)@example.org",
        "Ann <ann@example.org>",
        "<ann@example.org>",
        "ann@example.org,eve@example.org",
        "ann@example.org;eve@example.org",
        "ann@example.org eve@example.org",
        "eve@evil.org@example.org",
        "eve%evil.org@",
        "@evil.org:ann@example.org",
        "friends:ann@example.org;",
        "zoë@example.org",
        "ann@mün_chen.de",
        "ann@münchen",
        "ann@xn--.de",
        "ann@example.org\u00a0",
        "ann\u3002@example.org",
        "ann＠example.org",
        "ann@example.org/../x",
    ],
)
async def test_what_is_no_address(typed: str) -> None:
    assert await find(AnyAddress(), typed) is None


@pytest.mark.parametrize(
    "typed",
    [
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org\nx",
        "ann@example.org\r",
        "ann\x00@example.org",
        "ann@example.org\u2028",
        "a" * 250 + "@b.cd",
        "",
        "   ",
    ],
)
def test_what_does_not_even_reach_a_directory(typed: str) -> None:
    with pytest.raises(RejectedMessage):
        normalise_username(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "#!$%&*/^`{|}~@example.org",
        "o'hara@example.org",
        "=@example.org",
        "=?=@example.org",
        "=?us-ascii?q?bob?=@example.org",
        "=?utf-8?q?b=6fb?=@example.org",
        "=?utf-8?b?ym9i?=@example.org",
        "=?us-ascii?q?bob=40example.com=2c?=@example.org",
        "=?us-ascii?q?bob=0d=0abcc=3a_eve=40example.com?=@example.org",
    ],
)
async def test_the_mail_goes_to_the_address_that_was_named(typed: str) -> None:
    # An encoded word (RFC 2047) in an address would be another mailbox: its owner's limit of
    # mails could be passed by spelling him in many ways, and the name of the account would lie.
    account = await find(AnyAddress(), typed)
    if account is None:
        return
    for address in account.addresses:
        message = CodeMail("Shop", account.name, "CODE", "127.0.0.1", 10).to_email("s@x.y", address)
        assert [to.addr_spec for to in message["To"].addresses] == [address]
        assert f"\r\nTo: {address}\r\n".encode() in message.as_bytes()


async def test_a_device_has_no_address(tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    file.write_text('[users."fan-7"]\naddresses = []\n')
    assert await TomlDirectory.from_file(file).find("fan-7") == Account("fan-7", ())
