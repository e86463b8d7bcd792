"""Lint of generated text: words that would claim more than a measurement can."""

import re
from collections.abc import Iterator

_FORBIDDEN = re.compile(
    r"\b(compliant|compl(?:y|ies|ied|ying) with|conform(?:s|ed|ing)? (?:to|with)|conformant|certif(?:ied|y|ies|ying)"
    r"|prov(?:e|es|ed|en|ing)|guarantee(?:s|d|ing)?|safe(?:ly|r|st)?)\b",
    re.IGNORECASE,
)
_LAW = r"(?:Art(?:icles?|\.)|Annex(?:es)?|AI Act|provisions?|requirements?|dut(?:y|ies)|Measures?|Commitments?|regulations?)"
_DONE = r"(?:meets?|satisf(?:y|ies|ied)|fulfil(?:s|led)?|fulfill(?:s|ed)?|discharge[sd]?|in conformity|conformity statement)"
_DISCHARGED = re.compile(rf"\b{_DONE}\b(?=[^.!?;]{{0,60}}\b{_LAW}\b)|\b{_LAW}\b[^.!?;]{{0,60}}?\b{_DONE}\b", re.IGNORECASE)
"""A duty that is said to be discharged, in either order; only people can say so, and they answer for it."""
_DENIED = re.compile(r"\b(?:no|not(?! only)|nor|neither|never|nothing|cannot)\b(?:\W+\w+){0,4}\W+$", re.IGNORECASE)
"""A denial, and at most four words after it."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_ALIKE = str.maketrans("аеорсухіАЕОРСУХІ", "aeopcyxiAEOPCYXI")
"""Cyrillic letters that look like Latin ones."""
INSTEAD = ("supports", "measured", "not assessed")
"""What to write in their place."""


def forbidden(text: str) -> tuple[str, ...]:
    """The forbidden words of a text, in order; nouns of what is denied (`conformity`, `certificate`) are free."""
    return tuple(text[start:end] for start, end in places(text))


def places(text: str) -> Iterator[tuple[int, int]]:
    """Where a text says forbidden words, or that a duty is discharged."""
    read = text.translate(_ALIKE)
    yield from (match.span() for match in _FORBIDDEN.finditer(read))
    yield from (match.span() for match in _DISCHARGED.finditer(read) if not denied(read, match.start()))


def denied(text: str, start: int) -> bool:
    """Whether a denial stands before a place, in its sentence."""
    return bool(_DENIED.search(_SENTENCE.split(text[:start])[-1]))
