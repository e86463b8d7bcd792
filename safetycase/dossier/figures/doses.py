"""What steering along a feature does at each dose: the change of log-odds, with what it costs written below."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, spanning
from safetycase.dossier.figures.svg import BLUE, MUTE, RUST, WASH, Drawing

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 292.0, 58.0, 10.0, 14.0, 108.0


@dataclass(frozen=True)
class Point:
    """One dose; `cost` and `broken` are written below it."""

    dose: float
    change: float
    low: float
    high: float
    cost: str
    broken: str


def doses(points: Sequence[Point], chosen: float | None, nulls: tuple[float, float] | None, *, alt: str) -> Markup:
    """The chosen dose is square and rust; the band is where nine of ten null features lie, each at its own chosen dose."""
    assert points, "no dose"
    drawing = Drawing(_WIDTH, _TOP + _HEIGHT + 62)
    step = (_WIDTH - _RIGHT - _LEFT) / len(points)
    places = [_LEFT + step * (index + 0.5) for index in range(len(points))]
    ends = tuple(end for each in points for end in (each.low, each.high)) + (nulls or ())
    y = spanning(ends, _TOP + _HEIGHT, _TOP, include=(0.0,))
    if nulls is not None:
        drawing.box(_LEFT, y(nulls[1]), _WIDTH - _RIGHT - _LEFT, max(1.0, y(nulls[0]) - y(nulls[1])), fill=WASH)
    for value, decimals in y.ticks(5):
        drawing.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), width=0.7 if value else 1.3)
        drawing.text(_LEFT - 8, y(value) + 4, numbers.plain(value, decimals), anchor="end", fill=MUTE, size=10)
    drawing.path([(x, y(each.change)) for x, each in zip(places, points, strict=True)], stroke=BLUE)
    for x, each in zip(places, points, strict=True):
        _point(drawing, x, y, each, chosen=each.dose == chosen)
    for offset, name in ((16, "dose"), (32, "KL"), (48, "broken")):
        drawing.text(4, _TOP + _HEIGHT + offset, name, fill=MUTE, size=10)
    return drawing.finish(alt)


def _point(drawing: Drawing, x: float, y: Axis, each: Point, *, chosen: bool) -> None:
    colour = RUST if chosen else BLUE
    drawing.line(x, y(each.low), x, y(each.high), stroke=colour, width=1.4)
    if chosen:
        drawing.square(x, y(each.change), fill=colour)
    else:
        drawing.dot(x, y(each.change), fill=colour)
    bottom = _TOP + _HEIGHT
    drawing.text(x, bottom + 16, f"{each.dose:g}", anchor="middle", size=10, bold=chosen, fill=colour if chosen else MUTE)
    drawing.text(x, bottom + 32, each.cost, anchor="middle", size=10, fill=MUTE)
    drawing.text(x, bottom + 48, each.broken, anchor="middle", size=10, fill=MUTE)
