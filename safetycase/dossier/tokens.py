"""Text with the activation of a feature on its tokens: few strengths, few stretches, and numbers for those who hear the page."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from safetycase.dossier import numbers
from safetycase.dossier.page import Run

STRENGTHS = 4
"""Steps of colour; 0 is none. Each step is also a step of underline or weight, so that hue carries nothing alone."""
LINE_END, SPACE = "¶", "·"
"""How a line end and a space that would not be seen are drawn; every bundled font has both."""
_MOST = 48
"""Characters of a token that are shown."""
_NAMED = frozenset((LINE_END, SPACE, "\ufffd"))
"""Characters of the text that would be mistaken for a mark of ours, and what stands for bytes that make no character."""
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACES = re.compile(r" {2,}")
_MOST_HEARD = 12
"""Stretches of a window whose activation is read out."""


def strength(activation: float, maximum: float) -> int:
    """Which step of colour an activation has: quarters of the feature's largest one on the corpus."""
    if activation <= 0 or maximum <= 0:
        return 0
    return min(STRENGTHS, int(STRENGTHS * activation / maximum) + 1)


def runs(tokens: Sequence[str], activations: Sequence[float], maximum: float) -> tuple[Run, ...]:
    """The text in stretches of one strength each; spaces between two stretches belong to the one before."""
    made: list[Run] = []
    for token, activation in zip(tokens, activations, strict=True):
        text, step = in_text(token), strength(activation, maximum)
        if not text.strip() and step:
            text = SPACE * len(text)
        if made and (made[-1].strength == step or not text.strip()):
            made[-1] = Run(made[-1].text + text, made[-1].strength)
        elif made and not made[-1].text.strip():
            made[-1] = Run(made[-1].text + text, step)
        else:
            made.append(Run(text, step))
    return tuple(run for run in made if run.text)


def heard(tokens: Sequence[str], activations: Sequence[float]) -> str:
    """The same text as one line to be read aloud: after every stretch on which the feature fires, its largest activation in brackets."""
    said: list[str] = []
    count = 0
    for text, peak in _stretches(tokens, activations):
        count += peak > 0
        said.append(f"{text} ({numbers.plain(peak, 2)})" if peak > 0 and count <= _MOST_HEARD else text)
    return " ".join(" ".join(said).split())


def in_text(token: str) -> str:
    """A token inside a text: line ends, bytes and marks that would not be seen get a sign of their own."""
    shown = "".join(map(_character, _clipped(token.replace("\r\n", "\n"))))
    shown = _BYTE.sub(r"‹0x\1›", shown.replace("\N{LOWER ONE EIGHTH BLOCK}", " ")).replace("\n", LINE_END)
    return _based(_SPACES.sub(lambda found: SPACE * len(found[0]), shown))


def alone(token: str) -> str:
    """A token by itself, in a cell: spaces at its ends are drawn too."""
    text = in_text(token)
    bare = text.strip(" ")
    start = text.index(bare) if bare else len(text)
    return SPACE * start + bare + SPACE * (len(text) - start - len(bare)) or "‹nothing›"


def _stretches(tokens: Sequence[str], activations: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Neighbouring tokens on which the feature fires, or does not, with their largest activation."""
    text, peak = "", 0.0
    for token, activation in zip(tokens, activations, strict=True):
        if text and (activation > 0) != (peak > 0):
            yield text, peak
            text, peak = "", 0.0
        text, peak = text + in_text(token), max(peak, activation)
    if text:
        yield text, peak


def _character(character: str) -> str:
    """Spaces other than the plain one are named as well: which of them it is may be what a feature fires on."""
    odd = character in _NAMED or (character.isspace() and character not in " \n")
    return _name(character) if odd else character


def _name(character: str) -> str:
    return f"‹U+{ord(character):04X}›"


def _clipped(token: str) -> str:
    return token if len(token) <= _MOST else f"{token[: _MOST - 1]}…"


def _based(text: str) -> str:
    """A mark that combines with what stands before is named where nothing does: it must not land on another token."""
    marks = len(text) - len(text.lstrip("".join({each for each in text if unicodedata.combining(each)})))
    return "".join(map(_name, text[:marks])) + text[marks:]
