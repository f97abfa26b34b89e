"""Every link between the documents works, and every page is linked."""

from pathlib import Path

import pytest
from documents import DOCUMENTS, NAMES, anchors, lead_nowhere, links, read
from processes import ROOT

PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")


def test_all_documents_are_looked_at() -> None:
    assert {"README.md", "docs/README.md", "docs/limits.md", "spec/PROTOCOL.md"} <= set(NAMES)
    assert {
        "client_js/README.md",
        "client_c/README.md",
        "bench/README.md",
        "deploy/README.md",
    } <= set(NAMES)
    assert "spec/decisions/0001-cryptography-for-the-hot-path.md" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    assert lead_nowhere(ROOT / name, read(name)) == []


def test_what_leads_nowhere_is_seen() -> None:
    text = """# A heading, of `two` [words](README.md)
## Again
## Again
[here](#a-heading-of-two-words) [twice](#again-1) [there](../README.md#install) [folder](../spec)
[far](https://example.org/nowhere) [code](../gateway/cli/main.py)
[gone](gone.md) [no heading](#gone) [not there](../README.md#gone) [thrice](#again-2)
![no picture](pictures/gone.png) <img src="pictures/lost.png"> [outside](../../outside.md)
[a line of code](../gateway/cli/main.py#L1)
`code[here](gone.md)`
```sh
# a comment
[in code](gone.md)
```
[no heading either](#a-comment)
"""
    lost = ["gone.md", "#gone", "../README.md#gone", "#again-2", "pictures/gone.png"]
    lost += ["pictures/lost.png", "../../outside.md", "../gateway/cli/main.py#L1", "#a-comment"]
    assert lead_nowhere(ROOT / "docs" / "limits.md", text) == lost


def test_headings_are_named_as_on_github() -> None:
    assert "3-a-store-that-may-forget" in anchors(read("spec/STORAGE.md"))
    assert anchors("# /session-stats\n# What it is, `a`_b: (c)\n# Écrit") == {
        "session-stats",
        "what-it-is-a_b-c",
        "écrit",
    }


def test_every_page_is_in_the_index_and_the_index_in_readme() -> None:
    assert set(PAGES) <= set(links(read("docs/README.md")))
    assert "docs/README.md" in links(read("README.md"))


def test_every_picture_is_shown() -> None:
    shown = {
        (path.parent / target).resolve() for path in DOCUMENTS for target in links(path.read_text())
    }
    assert set(Path(ROOT / "docs" / "pictures").resolve().iterdir()) <= shown
