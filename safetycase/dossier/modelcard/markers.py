"""Where the section stands in the body of a model card: between two markers, each on a line of its own, found as Markdown reads it."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from safetycase.errors import SourceError

START = "<!-- safetycase:start: written by safetycase attach, which replaces everything up to the end marker -->"
END = "<!-- safetycase:end -->"
HEADING = "Model Examination"
"""The place that the hub's template of a model card keeps for interpretability."""

_ANY = re.compile(r"<!--\s*safetycase:(start|end)\b")
_ALONE = re.compile(r" {0,3}<!--\s*safetycase:(start|end)\b[^<>]*-->[ \t]*")
_LINE_END = re.compile(r"\r\n?|\n")
_HIDING = re.compile(r"\s*<(?:!|\?|(?:script|pre|style|textarea)\b)", re.IGNORECASE)
"""Beginnings of HTML blocks that run on over markers and headings."""


def with_section(body: str, section: Callable[[int], str], *, newline: str, name: str, first_line: int) -> str:
    """The body with the section between its markers; where there are none, they are put into the section that is made for them, or last.

    `section` makes the text for the level of its headings; `first_line` is where the body begins in the file called `name`.
    Raises SourceError where markers are broken, and where the end of the card lies inside something that is never closed.
    """
    page = _Page(body, name, first_line)
    pair = page.pair()
    if pair is None:
        marked, at = _with_markers(page, newline)
        page = _Page(marked, name, first_line)
        pair = page.written_pair(at)
    start, end = pair
    made = section(min(page.level_above(start) + 1, 6)).strip("\n").replace("\n", newline)
    return f"{page.body[: page.starts[start + 1]]}{newline}{made}{newline}{newline}{page.body[page.starts[end] :]}"


@dataclass(frozen=True)
class _Heading:
    line: int
    level: int
    is_ours: bool


class _Page:
    """A body with the lines on which its blocks begin."""

    def __init__(self, body: str, name: str, first_line: int) -> None:
        self.body, self.name, self.first_line = body, name, first_line
        self.starts = [0, *(found.end() for found in _LINE_END.finditer(body)), len(body)]
        parser = MarkdownIt("commonmark")
        parser.core.ruler.enableOnly(["normalize", "block"])
        self.tokens: Sequence[Token] = parser.parse(body)

    def where(self, line: int) -> str:
        return f"{self.name}:{self.first_line + line}"

    def headings(self) -> Iterator[_Heading]:
        """Headings that stand in no list and no quotation."""
        for token, inside in zip(self.tokens, self.tokens[1:], strict=False):
            if token.type == "heading_open" and token.level == 0 and token.map:
                title = re.sub(r"\[optional\]", "", inside.content, flags=re.IGNORECASE).strip("*_: \t")
                yield _Heading(token.map[0], int(token.tag[1:]), title.casefold() == HEADING.casefold())

    def level_above(self, line: int) -> int:
        """Of the section made for examinations, else of the heading that stands above a line."""
        above = [each for each in self.headings() if each.line < line]
        ours = [each for each in above if each.is_ours]
        return (ours or above)[-1].level if above else 1

    def pair(self) -> tuple[int, int] | None:
        """Lines of the two markers; None where there is neither. Raises SourceError for anything but one pair in order."""
        found = list(self._markers())
        if not found:
            return None
        words = [word for word, _ in found]
        for word in ("start", "end"):
            lines = [line for each, line in found if each == word]
            if len(lines) > 1:
                first = self.first_line + lines[0]
                raise SourceError(f"{self.where(lines[1])}: a second marker safetycase:{word}, after line {first}; expected one pair")
        if len(found) == 1:
            word, other = words[0], "end" if words[0] == "start" else "start"
            raise SourceError(f"{self.where(found[0][1])}: a marker safetycase:{word} without its safetycase:{other}; expected one pair")
        if words != ["start", "end"]:
            raise SourceError(f"{self.where(found[0][1])}: the marker safetycase:end stands before safetycase:start; expected one pair")
        return found[0][1], found[1][1]

    def written_pair(self, at: int) -> tuple[int, int]:
        """Lines of the markers that were just put in at a place; raises SourceError where a block above runs on over them."""
        with suppress(SourceError):
            found = self.pair()
            if found is not None:
                return found
        line = bisect_right(self.starts, at) - 1
        above = max((token.map[0] for token in self.tokens if token.map and token.level == 0 and token.map[0] < line), default=0)
        raise SourceError(f"{self.where(above)}: what begins here is never closed, and would swallow a section below it; close it first")

    def _markers(self) -> Iterator[tuple[str, int]]:
        """Word and line of each marker that acts: one shown as code is an example."""
        if "safetycase:" not in self.body:
            return
        for token in self.tokens:
            if token.type == "html_block" and token.map:
                yield from self._in_html(token)
            elif token.type == "inline" and token.map and _ANY.search(token.content):
                shown = _inline().parseInline(token.content)[0].children or []
                if any(child.type == "html_inline" and _ANY.search(child.content) for child in shown):
                    where = self.where(token.map[0])
                    raise SourceError(f"{where}: a marker of safetycase stands among text; expected it on a line of its own")

    def _in_html(self, token: Token) -> Iterator[tuple[str, int]]:
        assert token.map is not None, token
        lines = token.content.split("\n")
        for index, line in enumerate(lines):
            if not _ANY.search(line):
                continue
            where = self.where(token.map[0] + index)
            alone = _ALONE.fullmatch(line)
            if alone is None:
                raise SourceError(f"{where}: a broken marker of safetycase; expected it whole, on a line of its own")
            if token.level or (index and _HIDING.match(lines[0])):
                raise SourceError(f"{where}: a marker of safetycase stands inside a list, a quotation, a comment or code; move it out")
            yield alone[1], token.map[0] + index


def _inline() -> MarkdownIt:
    """Only what decides whether a comment acts or is shown: links and emphasis cost time that grows with the square of a hostile text."""
    return MarkdownIt("zero", {"html": True}).enable(["backticks", "escape", "html_inline"])


def _with_markers(page: _Page, newline: str) -> tuple[str, int]:
    """The body with an empty pair at the end of the section that is made for it, else below a heading of its own at the end; and where."""
    pair = f"{START}{newline}{END}{newline}"
    headings = list(page.headings())
    ours = next((index for index, each in enumerate(headings) if each.is_ours), None)
    if ours is None:
        before, after, added = page.body, "", f"## {HEADING}{newline}{newline}{pair}"
    else:
        below = (each.line for each in headings[ours + 1 :] if each.level <= headings[ours].level)
        at = page.starts[next(below, len(page.starts) - 1)]
        before, after, added = page.body[:at], page.body[at:], pair
    before += _gap(before, newline)
    return f"{before}{added}{newline if after else ''}{after}", len(before)


def _gap(before: str, newline: str) -> str:
    """What it takes for an empty line above."""
    if not before:
        return ""
    if not before.endswith(("\n", "\r")):
        return newline * 2
    return "" if re.search(r"\n[ \t]*\n\Z", _LINE_END.sub("\n", before)) else newline
