"""Makes untrusted text visible: what would reorder, hide or break a page is shown as its code point."""

import re
import unicodedata
from functools import lru_cache

BUNDLED = (
    (0x0020, 0x007E), (0x00A0, 0x017F), (0x0218, 0x021B), (0x02C6, 0x02C7), (0x02D8, 0x02DD),
    (0x0300, 0x0304), (0x0306, 0x030C), (0x0323, 0x0323), (0x0384, 0x038A), (0x038C, 0x038C),
    (0x038E, 0x03A1), (0x03A3, 0x03CE), (0x0400, 0x045F), (0x0490, 0x0491), (0x1E9E, 0x1E9E),
    (0x1EA0, 0x1EF9), (0x2009, 0x200A), (0x2010, 0x2015), (0x2018, 0x201E), (0x2020, 0x2022),
    (0x2026, 0x2026), (0x202F, 0x2030), (0x2032, 0x2033), (0x2039, 0x203A), (0x2044, 0x2044),
    (0x2070, 0x2071), (0x2074, 0x208E), (0x20AC, 0x20AC), (0x2116, 0x2116), (0x2122, 0x2122),
    (0x2190, 0x2193), (0x2202, 0x2202), (0x2206, 0x2206), (0x2211, 0x2212), (0x221A, 0x221A),
    (0x221E, 0x221E), (0x2248, 0x2248), (0x2260, 0x2260), (0x2264, 0x2265), (0x2581, 0x2581),
    (0x25A0, 0x25A1), (0x25B2, 0x25B3), (0x25C6, 0x25C6), (0x25CB, 0x25CB), (0x25CF, 0x25CF),
    (0x2713, 0x2713), (0x27E8, 0x27E9),
)  # fmt: skip
"""Code points that at least one of the bundled fonts draws."""

_ISOLATE, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories without a shape: controls, bidi overrides, surrogates, private use, unassigned, odd line ends."""
_SELECTORS = (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_BLANK = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *_SELECTORS))
"""Code points that count as letters, marks or symbols and yet draw nothing: fillers, joiners and variation selectors."""
_MOST_MARKS = 2
_PLAIN = re.compile(r"[\n -~]*")
"""Most text: nothing in it acts on anything, and every bundled font draws it."""


def visible(text: str, *, bundled_only: bool = False) -> str:
    """The same text without anything that acts on its surroundings; line ends stay.

    `bundled_only` also names each character that the bundled fonts lack, which a PDF must not draw with a font from
    elsewhere. Right-to-left words are isolated, so that they cannot reorder what stands beside them. A text of spaces alone
    is named too: a token that is a space must not look like one that is not there.
    """
    if text and not text.strip():
        return "".join(map(_named, text))
    if _PLAIN.fullmatch(text):
        return text
    shown = []
    marks = 0
    for character in text.replace("\r\n", "\n"):
        marks = marks + 1 if unicodedata.combining(character) else 0
        shown.append(_shown(character, marks, bundled_only))
    result = "".join(shown)
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in result):
        return f"{_ISOLATE}{result}{_POP}"
    return result


@lru_cache(maxsize=4096)
def is_bundled(character: str) -> bool:
    """Whether a bundled font draws the character."""
    return any(first <= ord(character) <= last for first, last in BUNDLED)


def _shown(character: str, marks: int, bundled_only: bool) -> str:
    if character == "\n":
        return character
    if character == "\t":
        return " "
    # A soft hyphen is drawn or not at the renderer's pleasure, and stacks of marks cover the lines around them.
    if _is_hidden(character) or marks > _MOST_MARKS or (bundled_only and not is_bundled(character)):
        return _named(character)
    return character


@lru_cache(maxsize=4096)
def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN or ord(character) in _BLANK


def _named(character: str) -> str:
    return f"‹U+{ord(character):04X}›"
