"""docs/commands.md lists every command, and the documents show only existing commands."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import NAMES, blocks, prose, read, table
from processes import ROOT

from gateway.cli.main import parser_of
from gateway.cli.offline_gateway import add_gateway_options


def commands(parser: argparse.ArgumentParser | None = None) -> dict[str, argparse.ArgumentParser]:
    """Every command by its words: ``serve``, ``code issue``."""
    parser = parser or parser_of()
    groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not groups:
        return {"": parser}
    return {
        f"{name} {words}".strip(): leaf
        for name, below in groups[0].choices.items()
        for words, leaf in commands(below).items()
    }


def shown_commands(name: str) -> Iterator[list[str]]:
    """The shell commands of a document, as words."""
    for text in blocks(read(name), "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def arguments_of_ours(words: list[str]) -> list[str] | None:
    """The arguments of ``certless``, if the command calls it."""
    first_words = {words.split()[0] for words in commands()}
    for place, word in enumerate(words):
        if words[place : place + 3] == ["python", "-m", "certless"]:
            return words[place + 3 :]
        if Path(word).name == "certless" and set(words[place + 1 : place + 2]) & first_words:
            return words[place + 1 :]
    return None


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_are_shown_are_commands(name: str) -> None:
    for words in shown_commands(name):
        if (ours := arguments_of_ours(words)) is not None:
            parser_of().parse_args(ours)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", read("Makefile"), re.MULTILINE), words
        for word in words:
            if word.startswith(("examples/", "deploy/")):
                assert (ROOT / word).exists(), word


def test_a_command_that_is_none_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("python -m gateway keys turn", "docker exec a /opt/bin/certless serve --loud"):
        ours = arguments_of_ours(shlex.split(line))
        with pytest.raises(SystemExit):
            parser_of().parse_args(ours)
    assert arguments_of_ours(["systemctl", "reload", "certless"]) is None


def test_every_command_is_documented() -> None:
    said = [row[0] for row in table(read("docs/commands.md"), "Commands")]
    assert [re.sub(r"( [A-Z]+)+$", "", cell) for cell in said] == list(commands())


def test_options_of_commands() -> None:
    text = read("docs/commands.md")
    ours = argparse.ArgumentParser(add_help=False)
    add_gateway_options(ours)
    beside = {action.option_strings[0] for action in ours._actions}
    assert beside == set(
        re.findall(r"--[a-z-]+", " ".join(prose(text).split()).rpartition("They take")[2])
    )
    rows = {re.sub(r"( [A-Z]+)+$", "", row[0]): row[1] for row in table(text, "Commands")}
    for name, parser in commands().items():
        options = {one.option_strings[-1] for one in parser._actions if one.option_strings}
        if name not in ("serve", "vault serve", "doctor", "request"):
            assert options - {"--help"} - beside == set(re.findall(r"--[a-z-]+", rows[name])), name


def test_options_of_request() -> None:
    said = " ".join(row[0] for row in table(read("docs/clients.md"), "The command line"))
    flags = [one.option_strings for one in commands()["request"]._actions if one.dest != "help"]
    assert set(re.findall(r"(?<!\w)--?[A-Za-z-]+", said)) == {flag for one in flags for flag in one}
