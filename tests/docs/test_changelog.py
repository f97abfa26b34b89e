"""CHANGELOG.md has the form of Keep a Changelog, and all files name the same version."""

import json
import re
from datetime import date

import documents
from processes import ROOT

import certless
import gateway
import gateway.events

TEXT = documents.read("CHANGELOG.md")
CATEGORIES = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
FORMER_MODULES = {"asgi", "client", "metrics"}


def sections(text: str, level: str) -> dict[str, str]:
    """The text below each heading of one level. No heading occurs twice."""
    parts = re.split(rf"^{level} (.+)\n", text, flags=re.MULTILINE)[1:]
    headings, bodies = parts[::2], parts[1::2]
    assert len(set(headings)) == len(headings)
    return dict(zip(headings, bodies, strict=True))


def bullets(text: str) -> list[str]:
    return re.findall(r"^\* (.+)$", text, re.MULTILINE)


def releases() -> dict[str, str]:
    unreleased, *dated = sections(TEXT, "##").items()
    assert unreleased[0] == "[Unreleased]"
    return dict(dated)


def test_each_release_has_a_version_and_a_date_and_the_newest_is_first() -> None:
    found = []
    for heading in releases():
        version, day = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading).groups()  # type: ignore[union-attr]
        found.append(([int(part) for part in version.split(".")], date.fromisoformat(day)))
    assert found == sorted(found, reverse=True)
    assert len(found) >= 2


def test_changes_are_sorted_into_the_known_categories() -> None:
    for heading, body in sections(TEXT, "##").items():
        found = sections(body, "###")
        assert list(found) == [name for name in CATEGORIES if name in found], heading
        before_the_first, *_ = body.split("###")
        assert before_the_first.strip() == "", heading
        assert all(text.strip() for text in found.values()), heading


def test_breaking_changes_are_first_in_their_list() -> None:
    for body in releases().values():
        for name, text in sections(body, "###").items():
            marks = [line.startswith("**Breaking** ") for line in bullets(text)]
            assert marks == sorted(marks, reverse=True)
            assert name == "Changed" or not any(marks)


def test_every_change_is_listed_once() -> None:
    found = bullets(TEXT)
    assert len(set(found)) == len(found)


def test_every_old_spelling_is_listed_as_deprecated() -> None:
    old = {*gateway._FORMER, *gateway.events._FORMER, *certless._FORMER, *FORMER_MODULES}
    listed = "".join(sections(body, "###").get("Deprecated", "") for body in releases().values())
    cells = re.findall(r"^\| `([\w.]+)` \|", listed, re.MULTILINE)
    assert old <= {cell.rpartition(".")[2] for cell in cells}


def test_all_files_name_the_version_of_the_newest_release() -> None:
    newest = re.findall(r"\d+\.\d+\.\d+", next(iter(releases())))[0]
    package = json.loads((ROOT / "client_js/package.json").read_text())
    lock = json.loads((ROOT / "client_js/package-lock.json").read_text())
    archives = [
        found
        for name in documents.NAMES
        for found in re.findall(r"certless-(\d+\.\d+\.\d+)\.tgz", documents.read(name))
    ]
    assert archives
    versions = {
        gateway.__version__,
        package["version"],
        lock["version"],
        lock["packages"][""]["version"],
        *archives,
    }
    assert versions == {newest}
