"""Addresses of the site in HTML attributes and in CSS, mapped while a body passes.

``html.parser`` finds the start tags; everything else passes byte for byte. A link that is missed
cannot leak: the policy of the response holds all the same.
"""

import re
from html.parser import HTMLParser

from .origins import Origins

_ATTRIBUTES = (
    "action|background|cite|classid|code|codebase|content|data|formaction|href|icon|longdesc|"
    "manifest|ping|poster|profile|src|srcdoc|srcset|style|usemap|xlink:href"
)
_ATTRIBUTE = re.compile(
    rf"""(?<=[\s"'/])(?:{_ATTRIBUTES}|data-[\w-]+)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"']+)""",
    re.IGNORECASE,
)
# A tag or a script that does not end is not kept in memory without a limit.
_HELD_CHARS = 4 * 1024 * 1024
# Longer than any address of a site.
_TAIL_CHARS = 512


class Css:
    """Addresses anywhere in a text."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._held = ""

    def feed(self, data: bytes) -> bytes:
        """The bytes that are finished. An address can be split between two pieces."""
        text = self._origins.to_own(self._held + data.decode("latin-1"))
        self._held = text[-_TAIL_CHARS:]
        return text[:-_TAIL_CHARS].encode("latin-1")

    def end(self) -> bytes:
        held, self._held = self._held, ""
        return held.encode("latin-1")


class Html(HTMLParser):
    """Addresses in the attributes of start tags, and in ``<style>``."""

    def __init__(self, origins: Origins) -> None:
        super().__init__(convert_charrefs=True)
        self._origins = origins
        self._pending = ""
        # Line and column of the start of ``_pending``, as ``getpos`` counts.
        self._line, self._column = 1, 0
        self._done: list[str] = []
        self._is_in_style = False
        self._is_given_up = False

    def rewrite(self, data: bytes) -> bytes:
        """The bytes that are finished."""
        text = data.decode("latin-1")
        if self._is_given_up:
            return data
        self._pending += text
        self.feed(text)
        self._take(*self.getpos())
        if len(self._pending) > _HELD_CHARS:
            self._is_given_up = True
            self._done.append(self._pending)
            self._pending = ""
        return self._taken()

    def rest(self) -> bytes:
        """What is left at the end."""
        if not self._is_given_up:
            self.close()
        self._done.append(self._pending)
        self._pending = ""
        return self._taken()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._take(*self.getpos())
        tag_text = self.get_starttag_text() or ""
        self._is_in_style = tag == "style"
        if attrs and self._pending.startswith(tag_text):
            self._advance(tag_text)
            self._pending = self._pending[len(tag_text) :]
            self._done.append(
                _ATTRIBUTE.sub(lambda found: self._origins.to_own(found[0]), tag_text)
            )

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._is_in_style = False

    def handle_endtag(self, tag: str) -> None:
        if self._is_in_style:
            self._take(*self.getpos())
            self._is_in_style = False

    def _take(self, line: int, column: int) -> None:
        """Finish the text before this position. Only CSS in it changes."""
        at = 0
        for _ in range(line - self._line):
            at = self._pending.index("\n", at) + 1
        at += column if line > self._line else column - self._column
        text, self._pending = self._pending[:at], self._pending[at:]
        self._line, self._column = line, column
        self._done.append(self._origins.to_own(text) if self._is_in_style else text)

    def _advance(self, text: str) -> None:
        lines = text.count("\n")
        self._line += lines
        self._column = len(text) - text.rindex("\n") - 1 if lines else self._column + len(text)

    def _taken(self) -> bytes:
        taken = "".join(self._done).encode("latin-1")
        self._done.clear()
        return taken


class Rewriter:
    """Maps one body, if its type has addresses that we know."""

    def __init__(self, content_type: str, origins: Origins) -> None:
        kind, _, parameters = content_type.lower().partition(";")
        kind = kind.strip()
        is_ascii = "utf-16" not in parameters and "utf-32" not in parameters
        self._part: Html | Css | None = None
        if is_ascii and not origins.are_equal:
            if kind in ("text/html", "application/xhtml+xml", "image/svg+xml"):
                self._part = Html(origins)
            elif kind == "text/css":
                self._part = Css(origins)

    @property
    def changes(self) -> bool:
        """Whether the length of the body can change."""
        return self._part is not None

    def feed(self, data: bytes) -> bytes:
        match self._part:
            case Html() as html:
                return html.rewrite(data)
            case Css() as css:
                return css.feed(data)
        return data

    def end(self) -> bytes:
        match self._part:
            case Html() as html:
                return html.rest()
            case Css() as css:
                return css.end()
        return b""
