"""Lint of generated text: words that would claim more than a measurement can."""

import re

_FORBIDDEN = re.compile(
    r"\b(compliant|compl(?:y|ies|ied|ying) with|conform(?:s|ed|ing)? (?:to|with)|conformant|certif(?:ied|y|ies|ying)|prov(?:e|es|ed|en|ing)|guarantee(?:s|d|ing)?"
    r"|safe(?:ly|r|st)?)\b",
    re.IGNORECASE,
)
INSTEAD = ("supports", "measured", "not assessed")
"""What to write in their place."""


def forbidden(text: str) -> tuple[str, ...]:
    """The forbidden words of a text, in order; nouns of what is denied (`conformity`, `certificate`) are free."""
    return tuple(match.group(0) for match in _FORBIDDEN.finditer(text))
