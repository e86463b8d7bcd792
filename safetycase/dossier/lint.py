"""Two promises that no template can break unnoticed: every warning is printed, and no sentence claims more than was measured."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from safetycase.case.wording import denied, forbidden, places
from safetycase.dossier.page import WarningText
from safetycase.dossier.reading import SEAM, Passage, passages
from safetycase.dossier.visible import visible

_CLAIMS = "shows that|demonstrates|establishes|ensures|meets|satisfies|fulfils|fulfills|complies"
_TOO_MUCH = {
    "partial": re.compile(rf"\b(?:{_CLAIMS})\b", re.IGNORECASE),
    "context": re.compile(rf"\b(?:{_CLAIMS}|supports|evidences)\b", re.IGNORECASE),
}
"""What nobody may say of evidence: that a part of what a slot asks for is the whole, that context bears on it at all."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SPACES = re.compile("[\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}]")
"""What a page holds for its lines alone; text that was made visible has none of its own."""
_CUT = "…"
_LEAST = 12
"""Characters by which the beginning of a supplied string is looked for."""
_SHOWN = 70
"""Characters of a sentence that an error line quotes."""


def overclaims(html: str, said: Iterable[str] = ()) -> tuple[str, ...]:
    """Words of a page that claim too much, each with the start of its sentence; in order, without repeats.

    `said` is what people and models supplied: a word that lies wholly inside one of these strings, or inside as much of
    it as was shown, is theirs.
    """
    theirs = _Theirs(said)
    return tuple(dict.fromkeys(claim for passage in passages(html) for claim in _claims(passage, theirs)))


def worded(text: str, said: Iterable[str] = ()) -> tuple[str, ...]:
    """The same of a text without markup, line by line."""
    theirs = _Theirs(said)
    lines = (Passage(line, "", seen=True) for line in text.splitlines() if line.strip())
    return tuple(dict.fromkeys(claim for line in lines for claim in _claims(line, theirs)))


def unprinted(html: str, warnings: Iterable[WarningText]) -> tuple[str, ...]:
    """Ids of the warnings whose id or text cannot be read on the page."""
    page = [text for passage in passages(html) if passage.seen for text in _readings(passage)]
    names = {word for text in page for word in text.split()}
    whole = "\n".join(page)
    return tuple(
        each.id for each in warnings if _given(each.text) not in whole or names.isdisjoint((_given(each.id), f"{_given(each.id)}:"))
    )


def _claims(passage: Passage, theirs: "_Theirs") -> Iterator[str]:
    for text in _readings(passage):
        for start, end in sorted(_found(text, passage.relation)):
            if not theirs.holds(text, start, end):
                yield f"{text[start:end]!r} in “{_sentence(text, start)}”"


def _found(text: str, relation: str) -> Iterator[tuple[int, int]]:
    """Where the text claims too much."""
    yield from places(text)
    if relation in _TOO_MUCH:
        yield from (match.span() for match in _TOO_MUCH[relation].finditer(text) if not denied(text, match.start()))


def _readings(passage: Passage) -> tuple[str, ...]:
    """The text with its inline elements joined, as markup has them, and apart, as style may set them."""
    return tuple(dict.fromkeys(_line(passage.text.replace(SEAM, gap)) for gap in ("", " ")))


def _sentence(text: str, start: int) -> str:
    begin = start - len(_SENTENCE.split(text[:start])[-1])
    sentence = _SENTENCE.split(text[begin:])[0]
    if start - begin > _SHOWN - 20:
        begin, sentence = start, text[start:]
    return sentence if len(sentence) <= _SHOWN else f"{sentence[:_SHOWN].rstrip()}{_CUT}"


def _line(text: str) -> str:
    """What a reader sees of a text of the page, as one line."""
    return " ".join(visible(_SPACES.sub("", text), bundled_only=True).split())


def _given(text: str) -> str:
    """The same line for a string that the page was made from: spaces without width are named there, not set."""
    return _line(visible(text))


class _Theirs:
    """What people and models supplied, as a page shows it: those of their strings that say such a word, and where they stand in a text."""

    def __init__(self, said: Iterable[str]) -> None:
        self._said = said
        self._last: tuple[str, list[tuple[int, int]]] = ("", [])

    @cached_property
    def _strings(self) -> tuple[str, ...]:
        read = {_folded(_given(each)) for each in self._said}
        # A string that is nothing but such a word would free it everywhere; it is theirs only where it stands alone.
        return tuple(sorted((each for each in read if forbidden(each) or _verbs(each)), key=len, reverse=True))

    def holds(self, text: str, start: int, end: int) -> bool:
        """Whether that part of a text lies in an occurrence of something supplied, whole or cut off with an ellipsis."""
        if self._last[0] != text:
            self._last = (text, list(self._spans(_folded(text))))
        return any(begin <= start and end <= stop for begin, stop in self._last[1])

    @cached_property
    def _whole(self) -> frozenset[str]:
        return frozenset(self._strings)

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        # Most quotations stand alone: thousands of windows of a corpus need not be looked for in each other.
        if text in self._whole:
            yield 0, len(text)
            return
        for each in self._strings:
            if len(each.split()) == 1 and text != each:
                continue
            place = text.find(each)
            while place >= 0:
                yield place, place + len(each)
                place = text.find(each, place + len(each))
            yield from _cut_off(each, text)


def _cut_off(each: str, text: str) -> Iterator[tuple[int, int]]:
    """As much of a supplied string as stands before an ellipsis."""
    for found in re.finditer(_CUT, text):
        start = text.find(each[:_LEAST], max(0, found.start() - len(each)), found.start())
        if start >= 0 and each.startswith(text[start : found.start()]):
            yield start, found.start()


def _verbs(text: str) -> bool:
    return any(each.search(text) for each in _TOO_MUCH.values())


def _folded(text: str) -> str:
    """In small letters, each at the place of its capital: a page may begin a supplied text with a capital."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
