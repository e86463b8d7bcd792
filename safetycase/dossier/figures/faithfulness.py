"""The faithfulness curve: what circuits of more and more edges keep of an effect, beside random circuits of as many edges."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, spanning, spread
from safetycase.dossier.figures.shapes import Diagram
from safetycase.dossier.figures.svg import BLUE, INK, MUTE, RUST, WASH, Drawing

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 600.0, 56.0, 132.0, 12.0, 210.0
LOWEST, HIGHEST = -1.0, 2.0
"""Beyond these nothing is told by how far: ratios whose denominator is small run away."""
_LABEL_GAP = 14.0
_LEAST_GAP = 34.0
"""Pixels between two labelled shares."""


@dataclass(frozen=True)
class Ends:
    """An interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Stage:
    """What circuits of one share of edges keep."""

    share: float
    faithfulness: float
    interval: Ends | None
    complement: float
    """What all edges but these keep."""
    random: tuple[float, float, float]
    """Quantiles .05, .5 and .95 of random circuits."""


def faithfulness_curve(stages: Sequence[Stage], *, alt: str) -> Markup:
    """Shares of edges to the right on a logarithmic scale, what is kept upwards; lines are named at their ends."""
    x = _shares(stages)
    ends = [end for each in stages for end in (each.faithfulness, each.complement, *each.random)]
    ends += [end for each in stages if each.interval for end in (each.interval.low, each.interval.high)]
    y = spanning(tuple(map(_held, ends)), _TOP + _HEIGHT, _TOP, include=(0.0, 1.0))
    drawing = Diagram(_WIDTH, _TOP + _HEIGHT + 42)
    for value, places in y.ticks(6):
        drawing.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), width=0.7)
        drawing.text(_LEFT - 8, y(value) + 4, numbers.plain(value, places), anchor="end", fill=MUTE, size=10)
    places_of = [(x(math.log10(each.share)), each) for each in stages]
    upper, lower = ([(place, y(_held(each.random[side]))) for place, each in places_of] for side in (2, 0))
    if len(stages) > 1:
        drawing.polygon([*upper, *reversed(lower)], stroke=WASH, fill=WASH, line=0.5)
    drawing.path([(place, y(_held(each.random[1]))) for place, each in places_of], stroke=MUTE, width=1.0)
    drawing.path([(place, y(_held(each.complement))) for place, each in places_of], stroke=RUST)
    drawing.path([(place, y(_held(each.faithfulness))) for place, each in places_of], stroke=BLUE)
    for place, each in places_of:
        _stage(drawing, place, each, y)
    _names(drawing, stages[-1], y)
    _ticks(drawing, places_of)
    return drawing.finish(alt)


def _shares(stages: Sequence[Stage]) -> Axis:
    logs = [math.log10(each.share) for each in stages]
    low, high = min(logs), max(logs)
    return Axis(low, high if high > low else low + 1, _LEFT + 12, _WIDTH - _RIGHT - 8)


def _stage(drawing: Drawing, x: float, stage: Stage, y: Axis) -> None:
    if stage.interval is not None:
        drawing.line(x, y(_held(stage.interval.low)), x, y(_held(stage.interval.high)), stroke=BLUE, width=1.2)
    drawing.square(x, y(_held(stage.complement)), fill=RUST, side=5)
    drawing.dot(x, y(_held(stage.faithfulness)), fill=BLUE)


def _names(drawing: Drawing, last: Stage, y: Axis) -> None:
    named = (
        ("strongest edges", last.faithfulness, BLUE),
        ("all but these", last.complement, RUST),
        ("random circuits", last.random[1], MUTE),
    )
    for (name, _, colour), place in zip(named, spread([y(_held(value)) for _, value, _ in named], _LABEL_GAP), strict=True):
        drawing.text(_WIDTH - _RIGHT + 8, place + 4, name, fill=colour, bold=True, size=10.5)


def _ticks(drawing: Drawing, places_of: Sequence[tuple[float, Stage]]) -> None:
    bottom = _TOP + _HEIGHT
    before = -_LEAST_GAP
    for place, stage in places_of:
        drawing.line(place, bottom, place, bottom + 4, stroke=MUTE)
        if place - before >= _LEAST_GAP:
            drawing.text(place, bottom + 16, numbers.percent(stage.share), anchor="middle", fill=MUTE, size=10)
            before = place
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 33, "share of all edges that are kept", anchor="middle", fill=INK)


def _held(value: float) -> float:
    return min(HIGHEST, max(LOWEST, value))
