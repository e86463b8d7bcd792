"""How often the features of a dictionary fire: a histogram over the logarithm of density, with the dead and the dense named."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis
from safetycase.dossier.figures.svg import BLUE, INK, MUTE, RUST, Drawing, text_width

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 600.0, 62.0, 12.0, 26.0, 132.0
_DEAD, _GAP = 46.0, 26.0
"""Width of the bar of features that never fired, and of the room beside it: their density has no logarithm."""


@dataclass(frozen=True)
class Bin:
    """So many features between two shares of tokens, as logarithms to base ten."""

    low: float
    high: float
    count: int


def density(dead: int, bins: Sequence[Bin], dense: float, n_dense: str, *, alt: str) -> Markup:
    """Features that never fired stand apart; those right of the dashed line fire on more than the share `dense` of tokens."""
    drawing = Drawing(_WIDTH, _TOP + _HEIGHT + 42)
    start = _LEFT + _DEAD + _GAP
    low, high = min((each.low for each in bins), default=-6.0), max((0.0, *(each.high for each in bins)))
    x = Axis(math.floor(low), high if high > math.floor(low) else math.floor(low) + 1.0, start, _WIDTH - _RIGHT)
    tallest = max(1, dead, *(each.count for each in bins)) if bins else max(1, dead)
    y = Axis(0.0, float(tallest), _TOP + _HEIGHT, _TOP)
    for value, places in y.ticks(4):
        if value == int(value):
            drawing.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), width=0.7)
            drawing.text(_LEFT - 8, y(value) + 4, numbers.plain(value, places), anchor="end", fill=MUTE, size=10)
    drawing.box(_LEFT + 4, y(dead), _DEAD - 8, _TOP + _HEIGHT - y(dead), fill=MUTE)
    drawing.text(
        _LEFT + _DEAD / 2, min(y(dead) - 4, _TOP + _HEIGHT - 4), numbers.count(dead), anchor="middle", fill=INK, bold=True, size=10
    )
    drawing.text(_LEFT + _DEAD / 2, _TOP + _HEIGHT + 16, "never", anchor="middle", fill=MUTE, size=10)
    for each in bins:
        if each.count:
            width = max(1.0, x(each.high) - x(each.low) - 0.8)
            drawing.box(x(each.low) + 0.4, y(each.count), width, _TOP + _HEIGHT - y(each.count), fill=BLUE)
    for power in range(math.ceil(x.low), math.floor(x.high) + 1):
        drawing.line(x(power), _TOP + _HEIGHT, x(power), _TOP + _HEIGHT + 4, stroke=MUTE)
        drawing.text(_within(x(power), _percent(power)), _TOP + _HEIGHT + 16, _percent(power), anchor="middle", fill=MUTE, size=10)
    if dense > 0 and x.low <= math.log10(dense) <= x.high:
        place = x(math.log10(dense))
        drawing.line(place, _TOP - 6, place, _TOP + _HEIGHT, stroke=RUST, width=1.2, dash="4 3")
        drawing.text(_within(place, n_dense, bold=True), _TOP - 12, n_dense, anchor="middle", fill=RUST, bold=True, size=10)
    drawing.text(start + (_WIDTH - _RIGHT - start) / 2, _TOP + _HEIGHT + 34, "share of tokens on which a feature fires", anchor="middle")
    drawing.text(14, _TOP + _HEIGHT / 2, "features", anchor="middle", turned=True)
    return drawing.finish(alt)


def _within(x: float, text: str, *, bold: bool = False) -> float:
    """As near to x as a text can be centred without leaving the drawing."""
    half = text_width(text, size=10, bold=bold) / 2 + 2
    return min(max(x, half), _WIDTH - half)


def _percent(power: int) -> str:
    return f"{10.0 ** (power + 2):.{max(0, -power - 2)}f}{numbers.THIN}%"
