"""Codes as people bring them (PROTOCOL §1.6.2): what holds for every text, and at a terminal."""

import os
import pty
import select
import subprocess
import sys
from typing import Any

import make_code_vectors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailboxes import CODE_LINE
from vector_files import stale

from examples import examples
from gateway.mail.message import CodeMail
from protocol.common.codes import CLASSIC_CODE_CHARS, CODE_ALPHABET, HARDENED_CODE_CHARS, Code
from protocol.common.typed_codes import read_classic_code, read_code

READERS = {"hardened": read_code, "classic": read_classic_code}
CHARS = {"hardened": HARDENED_CODE_CHARS, "classic": CLASSIC_CODE_CHARS}


suites = st.sampled_from(sorted(READERS))
between = st.sampled_from(sorted(make_code_vectors.BETWEEN.values()))
around = st.sampled_from(sorted(make_code_vectors.AROUND.values()))


def printed(suite: str) -> st.SearchStrategy[str]:
    return st.text(CODE_ALPHABET, min_size=CHARS[suite], max_size=CHARS[suite])


def test_the_file_holds_what_the_generator_writes() -> None:
    written = make_code_vectors.cases()
    assert len({case.name for case in written}) == len(written) > 200
    # Today's mails are in it. A change of their text needs new vectors.
    assert stale(make_code_vectors.subjects()) == []
    assert {case.expect for case in written} == {"ok", "no_code", "two_codes"}


@examples(300)
@given(st.data(), suites)
def test_what_is_printed_is_found_to_the_byte(data: Any, suite: str) -> None:
    code = data.draw(printed(suite))
    assert READERS[suite](code) == Code(code)


@examples(300)
@given(st.data(), suites, around)
def test_however_it_is_typed(data: Any, suite: str, quotes: str) -> None:
    code = data.draw(printed(suite))
    gaps = data.draw(st.lists(between | st.just(""), min_size=len(code), max_size=len(code)))
    cases = data.draw(st.lists(st.booleans(), min_size=len(code), max_size=len(code)))
    # The groups of a code that are separated by line ends may be another one, alone on its line.
    typed = "".join(
        (char.lower() if low else char) + gap.replace("\n", " ").replace("\u2028", " ")
        for char, low, gap in zip(code, cases, gaps, strict=True)
    )
    assert READERS[suite](quotes.format(typed)) == Code(code)


@examples(200)
@given(
    st.data(),
    suites,
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=100),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=254),
    st.sampled_from(["\n", "\r\n", "", " ", "\n> "]),
)
def test_in_the_mail_of_any_site_to_any_user(
    data: Any, suite: str, site: str, user: str, line_end: str
) -> None:
    code = data.draw(printed(suite))
    mail = CodeMail(site, user, code, "2001:db8::1", 10)
    assert CODE_LINE.findall(mail.text)[-1] == code
    assert READERS[suite](mail.text.replace("\n", line_end)) == Code(code)


@examples(300)
@given(suites, st.text("7K3QWXYZoil -u\u0131\n.\uff21", max_size=60) | st.text(max_size=60))
def test_any_text_has_a_code_or_none(suite: str, text: str) -> None:
    found = READERS[suite](text)
    if isinstance(found, Code):
        # What was read is read as itself.
        assert READERS[suite](found.text) == found
        if suite == "hardened":
            assert len(found.text) == 8
            assert set(found.text) <= set(CODE_ALPHABET)


@examples(200)
@given(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=22, max_size=256))
def test_a_classic_code_of_another_form_is_not_touched(text: str) -> None:
    found = read_classic_code(text)
    if isinstance(found, Code) and len(found.text) != CLASSIC_CODE_CHARS:
        assert found.text in text


# --- at a terminal ---


SCRIPT = """
import asyncio, sys
from gateway.cli.code import ask_code
from protocol.common.typed_codes import read_code
for _ in range(int(sys.argv[1])):
    found = read_code(asyncio.run(ask_code("Code: ", read_code)))
    print(getattr(found, "text", found), flush=True)
"""
MAIL = CodeMail("the shop", "ann", "7K3QWXYZ", "192.0.2.7", 10).text


def asking(times: int, given: int) -> subprocess.Popen[str]:
    """A program that asks so often, with ``given`` as its standard input."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(times)],
        stdin=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answered(times: int, given: str, *, terminal: bool) -> list[str]:
    """What was read where ``given`` comes from a terminal, or from a file."""
    ours, theirs = pty.openpty() if terminal else os.pipe()[::-1]
    os.write(ours, given.encode())
    if not terminal:
        os.close(ours)
    with asking(times, theirs) as program:
        try:
            out, _ = program.communicate(timeout=60)
        finally:
            program.kill()
            os.close(theirs)
            if terminal:
                os.close(ours)
    return out.splitlines()


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "file"])
@pytest.mark.parametrize("mail", [MAIL, MAIL.replace("\n", "\n> ")], ids=["mail", "quoted"])
def test_a_whole_mail_in_answer_to_one_question(terminal: bool, mail: str) -> None:
    assert answered(1, mail, terminal=terminal) == ["7K3QWXYZ"]


def test_at_a_terminal_nothing_of_a_mail_is_left() -> None:
    # What is left would be a command to the shell, or the answer to the next question.
    ours, theirs = pty.openpty()
    os.write(ours, MAIL.encode())
    with asking(2, theirs) as program:
        try:
            assert program.stdout
            assert select.select([program.stdout], [], [], 60)[0]
            assert program.stdout.readline() == "7K3QWXYZ\n"
            os.write(ours, b"00ab-12cd\n")
            assert program.communicate(timeout=60)[0] == "00AB12CD\n"
        finally:
            program.kill()
            os.close(theirs)
            os.close(ours)


def test_two_mails_at_a_terminal() -> None:
    other = MAIL.replace("7K3QWXYZ", "00AB12CD")
    assert answered(1, MAIL + other, terminal=True) == ["NoCode.TWO"]


def test_a_code_that_was_mistyped_is_asked_for_again() -> None:
    given = "7K3QWXY\n\n7k3q-wxyz\n"
    assert answered(3, given, terminal=False) == ["NoCode.ABSENT", "NoCode.ABSENT", "7K3QWXYZ"]
