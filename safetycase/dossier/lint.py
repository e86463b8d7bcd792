"""Two promises that no template can break unnoticed: every warning is printed, and no sentence claims more than was measured."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import takewhile

from safetycase.case.wording import forbidden
from safetycase.dossier.page import WarningText
from safetycase.dossier.reading import SEAM, Passage, passages
from safetycase.dossier.visible import visible

_CLAIMS = "shows that|demonstrates|establishes|ensures|meets|satisfies|fulfils|fulfills|complies"
_TOO_MUCH = {
    "partial": re.compile(rf"\b(?:{_CLAIMS})\b", re.IGNORECASE),
    "context": re.compile(rf"\b(?:{_CLAIMS}|supports|evidences)\b", re.IGNORECASE),
}
"""What nobody may say of evidence: that a part of what a slot asks for is the whole, that context bears on it at all."""
_DENIED = re.compile(r"\b(?:no|not(?! only)|nor|neither|never|nothing|cannot)\b(?:\W+\w+){0,3}\W+$", re.IGNORECASE)
"""A denial, and at most three words after it."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SPACES = re.compile("[\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}]")
"""What a page holds for its lines alone; text that was made visible has none of its own."""
_CUT = "…"
_SHOWN = 70
"""Characters of a sentence that an error line quotes."""


def overclaims(html: str, said: Iterable[str] = ()) -> tuple[str, ...]:
    """Words of a page that claim too much, each with the start of its sentence; in order, without repeats.

    `said` is what people and models supplied: a word that lies wholly inside one of these strings, or inside as much of
    it as was shown, is theirs.
    """
    theirs = _Theirs(said)
    return tuple(dict.fromkeys(claim for passage in passages(html) for claim in _claims(passage, theirs)))


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
    for word in dict.fromkeys(forbidden(text)):
        yield from (match.span() for match in re.finditer(rf"\b{re.escape(word)}\b", text))
    if relation in _TOO_MUCH:
        for match in _TOO_MUCH[relation].finditer(text):
            if not _DENIED.search(_SENTENCE.split(text[: match.start()])[-1]):
                yield match.span()


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
    """What people and models supplied, as a page shows it."""

    def __init__(self, said: Iterable[str]) -> None:
        self._said = said
        self._with: dict[str, tuple[str, ...]] = {}

    @cached_property
    def _folded(self) -> tuple[str, ...]:
        return tuple(_folded(_given(each)) for each in self._said)

    def holds(self, text: str, start: int, end: int) -> bool:
        """Whether that part of a text lies in an occurrence of something supplied, whole or cut off with an ellipsis."""
        folded = _folded(text)
        word = folded[start:end]
        if word not in self._with:
            self._with[word] = tuple(each for each in self._folded if word in each)
        return any(
            _occurs(each, folded, start - place.start(), end)
            for each in self._with[word]
            for place in re.finditer(re.escape(word), each)
        )


def _occurs(given: str, text: str, begin: int, end: int) -> bool:
    """Whether it stands in the text at `begin`, at least up to `end`, and goes on to its own end or to an ellipsis."""
    if begin < 0:
        return False
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(given, text[begin:], strict=False)))
    return shared == len(given) or (begin + shared >= end and text[begin + shared : begin + shared + 1] == _CUT)


def _folded(text: str) -> str:
    """In small letters, each at the place of its capital: a page may begin a supplied text with a capital."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
