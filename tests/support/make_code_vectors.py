"""Generates pasted texts, and the code in each (PROTOCOL §1.6.2).

``python tests/support/make_vectors.py`` writes them. The mails are
the present mails of the gateway.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from vector_files import Case, Subject

from gateway.mail.message import CodeMail

SHORT, LONG = "7K3QWXYZ", "0123456789ABCDEFGHJKMNPQRS"
OTHER_SHORT, OTHER_LONG = "00AB12CD", "SRQPNMKJHGFEDCBA9876543210"
CODES = {"hardened": (SHORT, OTHER_SHORT), "classic": (LONG, OTHER_LONG)}
NO_CODE, TWO_CODES = "no_code", "two_codes"

Row: TypeAlias = tuple[str, str, str]


def mail(code: str, site: str = "the tea shop", user: str = "ann@example.org") -> str:
    return CodeMail(site, user, code, "192.0.2.7", 10).text


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def grouped(code: str, between: str, size: int = 4) -> str:
    return between.join(code[at : at + size] for at in range(0, len(code), size))


# What can be between the characters of a code, by name.
BETWEEN = {
    "space": " ",
    "tab": "\t",
    "no-break-space": "\u00a0",
    "narrow-no-break-space": "\u202f",
    "thin-space": "\u2009",
    "ideographic-space": "\u3000",
    "ogham-space": "\u1680",
    "hyphen": "-",
    "hyphen-of-unicode": "\u2010",
    "no-break-hyphen": "\u2011",
    "figure-dash": "\u2012",
    "en-dash": "\u2013",
    "em-dash": "\u2014",
    "minus": "\u2212",
    "full-width-hyphen": "\uff0d",
    "long-vowel": "\u30fc",
    "half-width-long-vowel": "\uff70",
    "soft-hyphen": "\u00ad",
    "zero-width-space": "\u200b",
    "zero-width-joiner": "\u200d",
    "zero-width-non-joiner": "\u200c",
    "word-joiner": "\u2060",
    "byte-order-mark": "\ufeff",
    "left-to-right-mark": "\u200e",
    "right-to-left-isolate": "\u2067",
    "full-stop": ".",
    "ideographic-full-stop": "\u3002",
    "middle-dot": "\u00b7",
    "underscore": "_",
    "line-feed": "\n",
    "line-separator": "\u2028",
}
AROUND = {
    "quotes": '"{}"',
    "single-quotes": "'{}'",
    "curly-quotes": "\u201c{}\u201d",
    "low-quotes": "\u201e{}\u201c",
    "guillemets": "\u00ab {} \u00bb",
    "corner-brackets": "\u300c{}\u300d",
    "backticks": "`{}`",
    "brackets": "({})",
    "stars": "**{}**",
    "full-stop": "{}.",
    "ellipsis": "{}\u2026",
    "ideographic-full-stop": "{}\u3002",
    "spaces": "  {} \r\n",
    "byte-order-mark": "\ufeff{}",
    "isolate": "\u2068{}\u2069",
    "mail-quote": "> {}",
}


def of_both(code: str, other: str) -> Iterator[Row]:
    """Cases for codes of both lengths: name, text, and the code or the reason for none."""
    yield "as-printed", code, code
    yield "lower-case", code.lower(), code
    yield "full-width", full_width(code), code
    yield "full-width-lower-case", full_width(code.lower()), code
    yield (
        "mathematical",
        "".join(
            chr(0x1D400 + ord(char) - 65) if char >= "A" else chr(0x1D7CE + int(char))
            for char in code
        ),
        code,
    )
    yield "circled", "".join(chr(0x24B6 + ord(c) - 65) if c >= "A" else c for c in code), code
    for name, between in BETWEEN.items():
        yield f"{name}-between", grouped(code.lower(), between), code
    for name, around in AROUND.items():
        yield f"{name}-around", around.format(code), code
    wide = full_width(grouped(code.lower(), "-"))
    yield "everything-at-once", f"\u201c{wide}\u201d.\u00a0\n", code
    text = mail(code)
    lines = text.splitlines()
    yield "mail", text, code
    yield "mail-with-cr-lf", text.replace("\n", "\r\n"), code
    yield "mail-quoted", "\n".join(f"> {line}" for line in lines), code
    yield "mail-quoted-twice", "\n".join(f"> > {line}" for line in lines), code
    yield "mail-in-one-line", " ".join(lines), code
    yield "mail-without-line-ends", "".join(lines), code
    yield "mail-with-no-break-spaces", text.replace(" ", "\u00a0"), code
    yield "mail-wrapped-at-40", "\n".join(wrapped(text, 40)), code
    yield "mail-with-stars", text.replace(code, f"*{code}*"), code
    yield "mail-with-isolates", text.replace(code, f"\u2068{code}\u2069"), code
    yield (
        "mail-source",
        (
            "From: codes@shop.example\nTo: ann@example.org\nSubject: Your code for the tea shop\n"
            "Date: Mon, 30 Nov 2026 07:32:02 +0000\nMessage-ID: <1796.ABCD1234@shop.example>\n"
            f"Auto-Submitted: auto-generated\n\n{text}"
        ),
        code,
    )
    yield (
        "mail-with-an-answer",
        (f"What is this?\n\nOn Mon, 30 Nov 2026 at 08:00, Shop wrote:\n{text}\n-- \nANN01234\n"),
        code,
    )
    for site in ("SERVER12", "Лавка", "DEADBEEF", "A" * 26, "waits for it: 00000000"):
        yield f"mail-of-{ascii(site)[1:-1].strip(chr(92))[:16]}", mail(code, site), code
    yield "mail-twice", f"{text}\n> {text}", code
    yield "two-mails", f"{text}\n{mail(other)}", TWO_CODES
    yield "two-mails-without-line-ends", "".join(f"{text}\n{mail(other)}".splitlines()), TWO_CODES
    yield "two-lines", f"{code}\n{other}", TWO_CODES
    yield "two-in-a-sentence", f"Not {code} but {other}, please.", TWO_CODES
    yield "same-code-twice", f"{code}\n\n{code}\n", code
    yield "from-an-operator", f"Your code is {code}. It lives ten minutes.", code
    yield "from-an-operator-in-a-line", f"Your code:\n{grouped(code, '-')}\nTen minutes.", code
    yield "behind-a-colon", f"the code:{code}", code

    yield "empty", "", NO_CODE
    yield "only-space", " \u200b\n", NO_CODE
    yield "a-character-missing", code[:-1], NO_CODE
    yield "with-u", f"{code[:-1]}U", NO_CODE if len(code) == len(SHORT) else f"{code[:-1]}U"
    yield "a-mail-without-a-code", text.replace(code, ""), NO_CODE
    yield "a-sentence", "Somebody asked to log in to the tea shop as ann@example.org.", NO_CODE
    yield "too-long", f"{' ' * 20_000}{code}", NO_CODE


def wrapped(text: str, width: int) -> Iterator[str]:
    for line in text.splitlines():
        while len(line) > width and " " in line[:width]:
            head, _, _ = line[:width].rpartition(" ")
            yield head
            line = line[len(head) + 1 :]  # noqa: PLW2901
        yield line


def of_hardened() -> Iterator[Row]:
    yield "look-alikes", "oil0-OIL0", "01100110"
    yield "full-width-look-alikes", full_width("oil0OIL0"), "01100110"
    yield "a-character-more", f"{SHORT}0", NO_CODE
    yield "classic-code", LONG, NO_CODE
    yield "classic-code-in-groups-of-8", grouped(LONG, "-", 8), NO_CODE
    yield "classic-code-in-groups-with-spaces", grouped(LONG, " ", 8), NO_CODE
    yield "classic-code-in-small-groups", grouped(LONG.lower(), " ", 8), NO_CODE
    yield "classic-mail", mail(LONG), NO_CODE
    yield "word-of-eight", "Somebody asked.", NO_CODE
    yield "word-in-capitals", "Read all MESSAGES first.", NO_CODE
    yield "date", "Sent on 20261130.", NO_CODE
    yield "host", "It runs on server42 now.", NO_CODE
    yield "dotless-i", "7K3QWXY\u0131", NO_CODE
    yield "long-s", "7K3QWXY\u017f", "7K3QWXYS"  # NFKC makes it an s
    yield "kelvin", "7\u212a3QWXYZ", SHORT
    yield "cyrillic", "7\u041a3QWXYZ", NO_CODE
    yield "umlaut", "7K3QWXY\u00c4", NO_CODE
    yield "mark", "7K3QWXYZ\u0301", NO_CODE
    yield "arabic-digits", "\u0667K3QWXYZ", NO_CODE
    yield "half-a-surrogate-pair", "7K3Q\ud83dWXYZ", SHORT
    yield "emoji", "\U0001f511 7K3Q WXYZ", SHORT
    yield "letters-only", "ABCDEFGH", "ABCDEFGH"
    yield "digits-only", "0123 4567", "01234567"
    yield "site-that-looks-like-a-code", "Your code for SERVER12 is 7K3QWXYZ.", TWO_CODES


def of_classic() -> Iterator[Row]:
    yield "look-alikes", "oil" + LONG[3:].lower(), "011" + LONG[3:]
    yield "lower-case-behind-a-word", f"code: {LONG.lower()}", LONG
    yield "hardened-code", SHORT, NO_CODE
    yield "hardened-mail", mail(SHORT), NO_CODE
    forty = LONG + "TVWXYZ01234567"
    yield "longer", forty, forty
    yield "longer-mail", mail(forty), forty
    yield "longer-mail-without-line-ends", "".join(mail(forty).splitlines()), forty
    # Codes of other servers: their bytes are the key, so they are not changed.
    for name, own in (
        ("hex", "9f86d081884c7d659a2feaa0c55ad015"),
        ("hex-in-capitals", "9F86D081884C7D659A2FEAA0C55AD015"),
        ("guid", "0e984725-c51c-4bf4-9960-e1c80e27aba0"),
        ("guid-in-capitals", "0E984725-C51C-4BF4-9960-E1C80E27ABA0"),
        ("base64", "q83vEiM0RVZneJq83u8BIw=="),
        ("base64-of-22", "q83vEiM0RVZneJq83u8BIw"),
        ("base64url", "-_3vEiM0RVZneJq83u8BIw"),
        ("umlauts", "sch\u00f6ne-gr\u00fc\u00dfe-aus-m\u00fcnchen"),
        ("not-nfc", "scho\u0308ne-gruesse-aus-muenchen"),
        ("full-width", full_width("q83vEiM0RVZneJq83u8BIw")),
        ("punctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ("256-characters", "u" * 256),
    ):
        yield f"own-{name}", own, own
        yield f"own-{name}-with-spaces-around", f" \ufeff{own}\r\n", own
    yield "own-with-a-space-inside", "correct horse battery staple", NO_CODE
    yield "own-too-short", "uvwxyz-uvwxyz-uvwxyz-", NO_CODE
    yield "own-too-long", "u" * 257, NO_CODE


def cases() -> list[Case]:
    rows = [(suite, *row) for suite, codes in CODES.items() for row in of_both(*codes)]
    rows += [("hardened", *row) for row in of_hardened()]
    rows += [("classic", *row) for row in of_classic()]
    written = []
    for suite, name, text, result in rows:
        case = Case(f"{suite}-{name}", "read_code", {"suite": suite, "text": text}, suite=suite)
        if result in (NO_CODE, TWO_CODES):
            written.append(replace(case, expect=result))
        else:
            written.append(replace(case, output={"code": result}))
    return written


def subjects() -> dict[str, Subject]:
    return {"typed_codes": Subject("Texts that people paste, and the code in each.", cases())}
