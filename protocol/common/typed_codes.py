"""Finds a code in the text that a user types or pastes, even a whole mail (PROTOCOL §1.6.2).

The text is converted to NFKC. Four steps then look for a code, from the form in which a mail prints
it to a form that a user may have typed. The first step that finds a code decides. If it finds two
different codes, the text is refused, because only the user knows which one is the newest.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum

from .codes import CLASSIC_CODE_CHARS, CODE_ALPHABET, HARDENED_CODE_CHARS, Code

MAX_PASTED_CHARS = 16_384
MAX_PRINTED_CHARS = 64
OWN_CODE_CHARS = range(22, 257)

_PRINTED = f"[{CODE_ALPHABET}]"
_LINE_ENDS = re.compile("[\n\r\v\f\x85\u2028\u2029]")
# The server's mails have the code between these words, however their lines were changed.
_FRAME = re.compile(f"waitsforit({_PRINTED}+?)(?=Smallletters|Itworksonce)")
# Two dashes that Unicode puts into other categories: minus, and the long vowel of Japanese.
_DASHES = str.maketrans("\u2212\u30fc", "--")
_MEANT = str.maketrans("abcdefghijklmnopqrstuvwxyzILO", "ABCDEFGH1JK1MN0PQRSTUVWXYZ110")
_ALL_PRINTED = re.compile(f"{_PRINTED}+")


class NoCode(Enum):
    """Why a text has no code."""

    ABSENT = "no_code"
    TWO = "two_codes"


def read_code(text: str) -> Code | NoCode:
    """The hardened code in ``text`` (PROTOCOL §2.4.3)."""
    return _read(text, HARDENED_CODE_CHARS, HARDENED_CODE_CHARS)


def read_classic_code(text: str) -> Code | NoCode:
    """The classic code in ``text``, byte for byte as it was printed, because its bytes are the key.

    A code in another form than that of Certless is returned unchanged.
    """
    found = _read(text, CLASSIC_CODE_CHARS, MAX_PRINTED_CHARS)
    if found is not NoCode.ABSENT or len(text) > MAX_PASTED_CHARS:
        return found
    own = _trimmed(text)
    if len(own) not in OWN_CODE_CHARS or any(unicodedata.category(char)[0] in "ZC" for char in own):
        return NoCode.ABSENT
    typed = _squeezed(_uniform(own)).translate(_MEANT)
    if len(typed) < CLASSIC_CODE_CHARS and _ALL_PRINTED.fullmatch(typed):
        return NoCode.ABSENT  # a code of Certless with a character missing
    return Code(own)


def _read(text: str, chars: int, most: int) -> Code | NoCode:
    if len(text) > MAX_PASTED_CHARS:
        return NoCode.ABSENT
    text = _uniform(text)
    lines = _LINE_ENDS.split(text)
    for step in (
        _framed(text, chars, most),
        _alone(lines, chars),
        _in_sentences(lines, chars, most),
        _typed(text, lines, chars),
    ):
        found = set(step)
        if found:
            return Code(found.pop()) if len(found) == 1 else NoCode.TWO
    return NoCode.ABSENT


def _framed(text: str, chars: int, most: int) -> Iterator[str]:
    """Codes between the words of the server's mail."""
    for found in _FRAME.findall(_squeezed(text)):
        if chars <= len(found) <= most:
            yield found


def _alone(lines: list[str], chars: int) -> Iterator[str]:
    """Codes on a line of their own, as printed."""
    for line in map(_squeezed, lines):
        if len(line) == chars and _ALL_PRINTED.fullmatch(line):
            yield line


def _in_sentences(lines: list[str], chars: int, most: int) -> Iterator[str]:
    """Codes as a word in a sentence, as printed.

    A short code must have both letters and digits: hardly any word in capitals and no date has
    both. A line without lower-case letters is not a sentence; it can be a longer code in groups.
    """
    for line in lines:
        is_sentence = any("a" <= char <= "z" for char in line)
        for word in _words(line):
            squeezed = _squeezed(word)
            if len(squeezed) == chars and _ALL_PRINTED.fullmatch(squeezed):
                if chars != HARDENED_CODE_CHARS or (is_sentence and _is_mixed(squeezed)):
                    yield squeezed
            elif chars < len(word) <= most and _ALL_PRINTED.fullmatch(word):
                yield word


def _typed(text: str, lines: list[str], chars: int) -> Iterator[str]:
    """Codes as a user may have typed them: the whole text, or in classic a word of that length."""
    candidates = [text]
    if chars != HARDENED_CODE_CHARS:
        candidates += [word for line in lines for word in _words(line)]
    for typed in (_squeezed(each).translate(_MEANT) for each in candidates):
        if len(typed) == chars and _ALL_PRINTED.fullmatch(typed):
            yield typed


def _uniform(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_DASHES)


def _counts(char: str) -> bool:
    """Whether ``char`` is a letter, a mark or a number. A code ignores everything else."""
    return unicodedata.category(char)[0] in "LMN"


def _squeezed(text: str) -> str:
    return "".join(filter(_counts, text))


def _words(line: str) -> list[str]:
    """Runs of significant characters, dashes and format characters."""
    return "".join(
        char if _counts(char) or unicodedata.category(char) in ("Pd", "Cf") else " "
        for char in line
    ).split(" ")


def _is_mixed(word: str) -> bool:
    return not word.isalpha() and not word.isdigit()


def _trimmed(text: str) -> str:
    """``text`` without spaces, line ends and control characters at its ends."""
    kept = [i for i, char in enumerate(text) if unicodedata.category(char)[0] not in "ZC"]
    return text[kept[0] : kept[-1] + 1] if kept else ""
