"""How much of a behaviour a circuit keeps as it grows, beside random circuits of the same sizes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, spanning, spread
from safetycase.dossier.figures.svg import BLUE, MUTE, WASH, Drawing

_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 600.0, 62.0, 150.0, 12.0, 200.0


@dataclass(frozen=True)
class Random:
    """Random circuits of one size."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Step:
    """A circuit of one size: its faithfulness with an interval where it has one, beside random circuits where they were drawn."""

    size: int
    value: float
    low: float | None = None
    high: float | None = None
    random: Random | None = None


def faithfulness(steps: Sequence[Step], *, of: int, things: str, band: str, alt: str, chosen: int | None = None) -> Markup:
    """The circuit as a line with intervals, random ones as a band with their median; 1 is the whole model, 0 everything ablated.

    `of` is the number of `things` (edges, heads) in all, `band` says what of the random circuits it holds, `chosen` is the
    size that the text speaks of. Sizes stand evenly: most happens among the smallest.
    """
    assert steps, "no circuit"
    steps = sorted(steps, key=lambda step: step.size)
    drawing = Drawing(_WIDTH, _TOP + _HEIGHT + 42)
    places = Axis(0.0, float(max(1, len(steps) - 1)), _LEFT + 12, _WIDTH - _RIGHT - 6)
    ends = [each for step in steps for each in (step.value, step.low, step.high) if each is not None]
    ends += [each for step in steps if step.random for each in (step.random.low, step.random.high)]
    y = spanning(tuple(ends), _TOP + _HEIGHT, _TOP, margin=0.04, include=(0.0, 1.0))
    _band(drawing, steps, places, y)
    for value, decimals in y.ticks(6):
        drawing.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), width=1.2 if value in (0, 1) else 0.7)
        drawing.text(_LEFT - 8, y(value) + 4, numbers.plain(value, decimals), anchor="end", fill=MUTE, size=10)
    medians = [(places(index), y(step.random.median)) for index, step in enumerate(steps) if step.random]
    _dashed(drawing, medians)
    drawing.path([(places(index), y(step.value)) for index, step in enumerate(steps)], stroke=BLUE)
    for index, step in enumerate(steps):
        if step.low is not None and step.high is not None:
            drawing.line(places(index), y(step.low), places(index), y(step.high), stroke=BLUE, width=1.2)
        if step.size == chosen:
            drawing.square(places(index), y(step.value), fill=BLUE, side=8)
        else:
            drawing.dot(places(index), y(step.value), fill=BLUE)
    _named(drawing, steps, y, band)
    _sizes(drawing, steps, places, f"{things} kept, of {numbers.count(of)}")
    return drawing.finish(alt)


def _band(drawing: Drawing, steps: Sequence[Step], places: Axis, y: Axis) -> None:
    drawn = [(places(index), step.random) for index, step in enumerate(steps) if step.random]
    if len(drawn) == 1:
        x, random = drawn[0]
        drawing.box(x - 5, y(random.high), 10, max(1.0, y(random.low) - y(random.high)), fill=WASH)
    elif drawn:
        upper = [(x, y(random.high)) for x, random in drawn]
        drawing.area([*upper, *((x, y(random.low)) for x, random in reversed(drawn))], fill=WASH)


def _dashed(drawing: Drawing, points: Sequence[tuple[float, float]]) -> None:
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        drawing.line(x0, y0, x1, y1, stroke=MUTE, width=1.2, dash="4 3")


def _named(drawing: Drawing, steps: Sequence[Step], y: Axis, band: str) -> None:
    """Lines are named at their ends."""
    last = steps[-1]
    ends = [(y(last.value), "the circuit", BLUE, True)]
    random = next((step.random for step in reversed(steps) if step.random), None)
    if random is not None:
        ends += [(y(random.median), "random circuits:", MUTE, True), (y(random.median) + 13, f"median, {band}", MUTE, False)]
    moved = spread([place for place, *_ in ends], 13.0)
    for (_, text, fill, bold), place in zip(ends, moved, strict=True):
        drawing.text(_WIDTH - _RIGHT + 8, min(max(place, _TOP), _TOP + _HEIGHT) + 4, text, fill=fill, bold=bold, size=10)


def _sizes(drawing: Drawing, steps: Sequence[Step], places: Axis, title: str) -> None:
    """As many sizes as do not touch; the last is always named."""
    room = -1.0
    last = places(len(steps) - 1)
    for index, step in enumerate(steps):
        x, half = places(index), 3.2 * len(numbers.count(step.size)) + 3
        if x - half >= room and (index == len(steps) - 1 or x + half <= last - 3.2 * len(numbers.count(steps[-1].size))):
            drawing.text(x, _TOP + _HEIGHT + 16, numbers.count(step.size), anchor="middle", fill=MUTE, size=10)
            room = x + half
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, _TOP + _HEIGHT + 34, title, anchor="middle")
    drawing.text(14, _TOP + _HEIGHT / 2, "faithfulness", anchor="middle", turned=True)
