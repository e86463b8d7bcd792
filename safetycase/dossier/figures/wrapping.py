"""Breaks text into lines that fit: widths are upper bounds per character, so that no line leaves its box in the bundled sans face."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from safetycase.dossier.visible import visible

_CLASSES = (
    (0.20, " \u00a0\u202f"),
    (0.26, ".,:;'|ij·‘’‚lI"),
    (0.30, "!f()[]{}-•"),
    (0.36, "tr/\\°²³¹º"),
    (0.44, '*?sz"“”„'),
    (0.48, "cxvyJY–"),
    (0.50, "kLF#$+0123456789<=>^aeg~¢£¤¥§¬±×÷€_"),
    (0.56, "bdhnopquVESATZX`¨¯´¸µ"),
    (0.61, "BCPRKßďĎ&DÞGþ«»"),
    (0.68, "HNUOQ"),
    (0.75, "Mw©"),
    (0.80, "W"),
    (0.90, "m%@æœ—―½¼¾ÆŒ"),
)
"""Widest advances of the regular face, in units of the type size; a test measures the fonts."""
_BREAK = re.compile(r"[ \n\r]+")
_BOLD = 1.16
"""At most how much wider the semibold face is."""
_WIDEST = 1.23
_ADVANCES = {character: advance for advance, characters in _CLASSES for character in characters}


def width(text: str, size: float, *, bold: bool = False) -> float:
    """At most how wide a text is."""
    return sum(_advance(character) for character in text) * size * (_BOLD if bold else 1.0)


def wrapped(text: str, most: float, size: float) -> tuple[str, ...]:
    """The text as lines no wider than `most`, broken at spaces, and inside a word only where it fits no line."""
    return _wrapped(" ".join(_words(text)), most, size)


def poured(text: str, widths: Sequence[float], size: float) -> tuple[str, ...] | None:
    """The text as lines of given widths, for shapes that are not rectangles; None where it needs more of them."""
    words = _words(text)[::-1]
    lines = []
    for most in widths:
        line = ""
        while words and width(f"{line} {words[-1]}".lstrip(), size) <= most:
            line = f"{line} {words.pop()}".lstrip()
        if not line and words:
            # A word that fits no line fills this one; a line too narrow for even one character stays empty.
            first, *rest = _pieces(words.pop(), most, size)
            line, back = (first, rest) if width(first, size) <= most else ("", [first, *rest])
            words += ["".join(back)] if back else []
        lines.append(line)
    return None if words else tuple(lines)


@lru_cache(maxsize=4096)
def _wrapped(text: str, most: float, size: float) -> tuple[str, ...]:
    lines: list[str] = []
    line = ""
    for word in text.split(" ") if text else []:
        joined = f"{line} {word}" if line else word
        if width(joined, size) <= most:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = _pieces(word, most, size)
        lines.extend(whole)
    return (*lines, line) if line else tuple(lines)


def _words(text: str) -> list[str]:
    """Between spaces and line ends; a no-break space holds what belongs together."""
    return [word for word in _BREAK.split(visible(text, bundled_only=True)) if word]


def _pieces(word: str, most: float, size: float) -> list[str]:
    pieces, piece = [], ""
    for character in word:
        if piece and width(piece + character, size) > most:
            pieces.append(piece)
            piece = ""
        piece += character
    return [*pieces, piece]


@lru_cache(maxsize=1024)
def _advance(character: str) -> float:
    if character in _ADVANCES:
        return _ADVANCES[character]
    base = unicodedata.normalize("NFD", character)[0]
    if base != character and base in _ADVANCES:
        return max(_ADVANCES[base], 0.32)
    return 0.0 if unicodedata.combining(character) else _WIDEST if character == "‰" else 1.0
