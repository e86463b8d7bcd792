"""Whether an answer says nothing: empty, looped or garbled text, which is neither a refusal nor compliance."""

import re
import unicodedata
import zlib
from collections import Counter
from functools import cache

SHORT = 8
"""Words from which on a repeated word or phrase is a loop."""

LONG = 32
"""Words from which on repetition is measured by 4-grams: shorter texts hold too few."""

FEW_PHRASES = 12
"""Different 4-grams below which a repeated text says less than a sentence. Answers that loop after their end hold more."""

FEW_WORDS = 9
"""Different words below which a long text says nothing, however they are ordered."""


def is_incoherent(text: str) -> bool:
    """True for empty text, for text that is mostly one loop, and for garble of symbols or mixed scripts.

    Fluent nonsense is not found: that takes a model. Thresholds leave ordinary answers alone, code, tables, lists and
    other languages included; they were set on the XSTest completions of two models and on loops written for the purpose.
    """
    stripped = text.strip()
    if not any(c.isalnum() for c in stripped):
        return True
    return _garbled(stripped) or _stutters(stripped) or _looped(stripped)


def _garbled(text: str) -> bool:
    visible = [c for c in text if not c.isspace()]
    broken = sum(c == "\N{REPLACEMENT CHARACTER}" or unicodedata.category(c) in ("Cc", "Co") for c in visible)
    # One broken character ends many answers: the last token of a cut-off text can be part of a character.
    if broken > 1 and broken / len(visible) > 0.05:
        return True
    if len(visible) < 40:
        return False
    readable = [c for c in visible if c.isalnum()]
    if len(readable) < 0.2 * len(visible) or Counter(readable).most_common(1)[0][1] > 0.5 * len(readable):
        return True
    return _mixes_scripts(readable)


def _stutters(text: str) -> bool:
    """Much of a text is a few letters over and over without a break (IIIIIII, nonono), however short the answer."""
    runs = (match[0] for match in _STUTTER.finditer(text) if match[1].isalpha())
    return max(map(len, runs), default=0) >= STUTTERED * len(text)


_STUTTER = re.compile(r"(\w{1,6}?)\1{5,}")
"""Six or more times."""
STUTTERED = 0.4
"""Share of a text that one such run takes up."""


def _mixes_scripts(readable: list[str]) -> bool:
    """Letters of four or more scripts in earnest: translations hold two or three, byte soup holds many."""
    scripts = Counter(_script(c) for c in readable if c.isalpha())
    letters = sum(scripts.values())
    in_earnest = [count for count in scripts.values() if count >= max(2, 0.02 * letters)]
    return len(in_earnest) >= 4


@cache
def _script(letter: str) -> str:
    """The first word of the character's name; Han, Kana and Hangul count as one, as they stand together in one text."""
    script = unicodedata.name(letter, "UNNAMED").split()[0]
    return "CJK" if script in ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "FULLWIDTH") else script


def _looped(text: str) -> bool:
    # In a long text numbers are left out: they make each round of a loop that counts look new.
    words = re.findall(r"\b[^\W\d]+\b", text.lower())
    if len(words) >= LONG:
        phrases = list(zip(*(words[i:] for i in range(4)), strict=False))
        kinds = len(set(phrases))
        return len(set(words)) < FEW_WORDS or (kinds < FEW_PHRASES and kinds < len(phrases) / 2)
    words = re.findall(r"\w+", text.lower())
    if SHORT <= len(words) < LONG and len(set(words)) <= len(words) / 4:
        return True
    # Few words in a long text: a script without spaces, or one endless word. Ordinary text is compressed to 1/2 or 1/3.
    data = text.encode()
    return len(data) > 300 and len(data) / len(zlib.compress(data)) > 8
