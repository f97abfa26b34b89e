"""Every section of PROTOCOL.md and STORAGE.md that a file cites exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import documents
import pytest
from processes import ROOT

SOURCES = [
    *("protocol/**/*.py", "gateway/**/*.py", "gateway/**/*.js", "gateway/**/*.html"),
    *(
        "certless/**/*.py",
        "vault/**/*.py",
        "client_js/src/**/*.js",
        "client_js/test/**/*.js",
        "client_js/*.md",
    ),
    *("client_c/*/*.c", "client_c/*/*.h", "client_c/*.md", "tests/client_c/*.c"),
    *("tests/**/*.py", "tests/**/*.mjs", "bench/**/*.py", "examples/**/*.py"),
    *("*.md", "docs/*.md", "spec/*.md", "spec/decisions/*.md", "spec/vectors/*.md"),
]
FILES = sorted({path for pattern in SOURCES for path in ROOT.glob(pattern)} - {Path(__file__)})
BUILT = ROOT / "gateway" / "bundle"

OURS = ("PROTOCOL", "STORAGE", "VAULT", "TEAMS")
_CITATION = re.compile(
    r"(?:(PROTOCOL|STORAGE|VAULT|TEAMS|RFC \d+|FIPS [\d-]+|SEC \d|PNG)[\s*#/]+)?"
    r"§([A-Z]?\d*(?:\.[A-Z]?\d+)*)"
)
# The text between two citations of the same document.
_SAME_DOCUMENT = re.compile(r"(?:[\s*#/,;]|and|to|or)*")
# Between a document and its citation in Markdown: the rest of a link.
_LINK = re.compile(r"\]\([^)]*\)")


def citations(text: str) -> Iterator[tuple[str, str]]:
    """Each document and section that ``text`` cites; PROTOCOL by default."""
    document, end = "PROTOCOL", 0
    for match in _CITATION.finditer(text):
        between = _LINK.sub("", text[end : match.start()]).replace("[", "")
        if match[1] or not _SAME_DOCUMENT.fullmatch(between):
            document = match[1] or "PROTOCOL"
        end = match.end()
        if match[2]:
            yield document, match[2]


def sections(name: str) -> set[str]:
    text = documents.prose(documents.read(f"spec/{name}.md"))
    return set(re.findall(r"^#+ (\d+(?:\.\d+)*)\.? ", text, re.MULTILINE))


def test_citations_are_read() -> None:
    text = """(PROTOCOL §2.6.5, §2.7), [PROTOCOL §4](x.md#4) and [§4.1](x.md#41); RFC 9110 §7.6.1
    # and §9.2.2, then (§3.4), (STORAGE
    # §3), RFC 8017 §A.1.1"""
    assert list(citations(text)) == [
        *(("PROTOCOL", "2.6.5"), ("PROTOCOL", "2.7"), ("PROTOCOL", "4"), ("PROTOCOL", "4.1")),
        *(("RFC 9110", "7.6.1"), ("RFC 9110", "9.2.2"), ("PROTOCOL", "3.4"), ("STORAGE", "3")),
        ("RFC 8017", "A.1.1"),
    ]


def test_sections_that_files_cite_exist() -> None:
    known = {name: sections(name) for name in OURS}
    cited, missing = 0, []
    for path in FILES:
        if path.is_relative_to(BUILT):
            continue
        for document, section in citations(path.read_text("utf-8")):
            if document in known:
                cited += 1
                if section not in known[document]:
                    missing.append(f"{path.relative_to(ROOT)}: {document} §{section}")
    assert missing == []
    assert cited > 250


@pytest.mark.parametrize("name", OURS)
def test_sections_that_the_specification_cites_exist(name: str) -> None:
    """The documents cite their own sections by number only."""
    text = documents.prose(documents.read(f"spec/{name}.md")).partition("\n## 6. References")[0]
    own = set(re.findall(r"(?<![-/§\w.])([1-5]\.\d+(?:\.\d+)?)(?![\w%]|\.\d)", text))
    assert own <= sections(name)
