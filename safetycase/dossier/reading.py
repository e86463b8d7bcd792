"""Reads a page as its readers do: passages of text, without markup, style or what is hidden."""

import html.parser
from dataclasses import dataclass
from functools import lru_cache

SEAM = "\N{WORD JOINER}"
"""Where an inline element begins or ends: part of one word, or the border between two that are set apart by style."""
_PHRASES = ("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "i", "ins", "kbd", "label", "mark", "q")
_INLINE = frozenset((*_PHRASES, "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tspan", "u", "var"))
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
_SILENT = frozenset(("script", "style", "template", "noscript"))
_ASIDE = frozenset(("head", "title", "details", "dialog", "desc", "defs", "symbol", "metadata", "textarea", "select"))
"""Elements whose text a reader may never see."""
_SPOKEN = frozenset(("alt", "aria-label", "aria-description", "title", "data-head", "data-foot", "data-mark"))
"""Attributes whose text is read aloud, or printed in the margins of every page."""
_UNSEEN = frozenset(("unseen", "skip"))
"""Classes of what is there for those who hear the page."""


@dataclass(frozen=True)
class Passage:
    """The text between two borders of blocks; `seen` unless a reader with eyes would miss it."""

    text: str
    relation: str
    """Of the evidence to what it stands beside: the nearest `data-relation` around it, or empty."""
    seen: bool


@lru_cache(maxsize=1)
def passages(page: str) -> tuple[Passage, ...]:
    """All passages of an HTML text, in order."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    reader.flush()
    return tuple(reader.found)


@dataclass(frozen=True)
class _Open:
    """An element that has begun."""

    tag: str
    relation: str
    seen: bool
    silent: bool


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Passage] = []
        self._open = [_Open("", "", True, False)]
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "wbr":
            return
        given = dict(attrs)
        here = _opened(tag, given, self._open[-1])
        self._border(here, self._open[-1])
        self._spoken(tag, given, here)
        if tag not in _VOID:
            self._open.append(here)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not any(each.tag == tag for each in self._open):
            return
        while len(self._open) > 1:
            self._border(self._open[-1], self._open[-2])
            if self._open.pop().tag == tag:
                return

    def handle_data(self, data: str) -> None:
        if not self._open[-1].silent:
            self._text.append(data)

    def flush(self) -> None:
        """End the passage that was being read."""
        text = "".join(self._text)
        self._text.clear()
        if text.strip(f"{SEAM} \t\n\r\f"):
            self.found.append(Passage(text, self._open[-1].relation, self._open[-1].seen))

    def _border(self, inner: _Open, outer: _Open) -> None:
        """Where one element meets the one around it: a seam in a line of text, or the end of a passage."""
        apart = (inner.relation, inner.seen, inner.silent) != (outer.relation, outer.seen, outer.silent)
        if inner.tag in _INLINE and not apart:
            self._text.append(SEAM)
        elif inner.tag == "br":
            self._text.append(" ")
        else:
            self.flush()

    def _spoken(self, tag: str, given: dict[str, str | None], here: _Open) -> None:
        said = [value for name, value in given.items() if name in _SPOKEN and value]
        if tag == "meta" and given.get("name") == "description":
            said.append(given.get("content") or "")
        self.found += [Passage(text, here.relation, seen=False) for text in said if text.strip()]


def _opened(tag: str, given: dict[str, str | None], around: _Open) -> _Open:
    hidden = "hidden" in given or "style" in given or tag in _ASIDE or not _UNSEEN.isdisjoint((given.get("class") or "").split())
    return _Open(tag, given.get("data-relation") or around.relation, around.seen and not hidden, around.silent or tag in _SILENT)
