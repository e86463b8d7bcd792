"""Fragility: what happens as more and more directions are ablated together, beside a black-box attack."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, spanning, spread
from safetycase.dossier.figures.svg import BLUE, INK, MUTE, RUST, Drawing
from safetycase.evidence.record import Estimate

_WIDTH, _LEFT, _RIGHT, _TOP = 600.0, 62.0, 128.0, 12.0
_UPPER, _GAP, _LOWER = 178.0, 26.0, 74.0
_LABEL_GAP = 14.0

Point = tuple[int, Estimate]


@dataclass(frozen=True)
class Series:
    """One quantity against the number of directions."""

    name: str
    points: Sequence[Point]


def fragility(
    refusal: Series,
    incoherence: Series,
    cost: Series,
    baseline: tuple[str, Estimate] | None,
    *,
    ks: Sequence[int],
    alt: str,
) -> Markup:
    """Shares of harmful requests above, the cost on harmless ones below; every line is named at its end."""
    x = Axis(float(min(ks)), float(max(max(ks), min(ks) + 1)), _LEFT + 10, _WIDTH - _RIGHT)
    share = Axis(0.0, 1.0, _TOP + _UPPER, _TOP)
    drawing = Drawing(_WIDTH, _TOP + _UPPER + (_GAP + _LOWER if cost.points else 0) + 40)
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawing.line(_LEFT, share(value), _WIDTH - _RIGHT, share(value), width=0.7)
        drawing.text(_LEFT - 8, share(value) + 4, numbers.percent(value), anchor="end", fill=MUTE, size=10)
    labels: list[tuple[str, float, str]] = []
    if baseline is not None:
        name, estimate = baseline
        drawing.line(
            _LEFT, share(estimate.value), _WIDTH - _RIGHT, share(estimate.value), stroke=MUTE, width=1.3, dash="4 3"
        )
        _whisker(drawing, x(max(ks)) - 4, share, estimate, MUTE)
        labels.append((name, share(estimate.value), MUTE))
    for series, colour, edited in ((refusal, BLUE, False), (incoherence, RUST, True)):
        if series.points:
            _series(drawing, series, x, share, colour, square=edited)
            labels.append((series.name, share(series.points[-1][1].value), colour))
    places = spread([place for _, place, _ in labels], _LABEL_GAP)
    for (name, _, colour), place in zip(labels, places, strict=True):
        drawing.text(_WIDTH - _RIGHT + 10, place + 4, name, fill=colour, bold=True)
    bottom = _cost(drawing, cost, x) if cost.points else _TOP + _UPPER
    for k in ks:
        drawing.text(x(k), bottom + 16, str(k), anchor="middle", fill=MUTE, size=10)
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 33, "directions ablated together", anchor="middle")
    return drawing.finish(alt)


def _cost(drawing: Drawing, cost: Series, x: Axis) -> float:
    top = _TOP + _UPPER + _GAP
    bottom = top + _LOWER
    y = spanning(
        tuple(end for _, e in cost.points for end in (e.low, e.high)), bottom, top, margin=0.08, include=(0.0,)
    )
    for value, places in y.ticks(4):
        drawing.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), width=0.7)
        drawing.text(_LEFT - 8, y(value) + 4, numbers.plain(value, places), anchor="end", fill=MUTE, size=10)
    _series(drawing, cost, x, y, INK, square=False)
    name, _, unit = cost.name.partition(", ")
    last = y(cost.points[-1][1].value)
    drawing.text(_WIDTH - _RIGHT + 10, last + 4, name, bold=True)
    drawing.text(_WIDTH - _RIGHT + 10, last + 17, unit, fill=MUTE, size=10)
    return bottom


def _series(drawing: Drawing, series: Series, x: Axis, y: Axis, colour: str, *, square: bool) -> None:
    drawing.path([(x(k), y(estimate.value)) for k, estimate in series.points], stroke=colour)
    for k, estimate in series.points:
        _whisker(drawing, x(k), y, estimate, colour)
        if square:
            drawing.square(x(k), y(estimate.value), fill=colour)
        else:
            drawing.dot(x(k), y(estimate.value), fill=colour)


def _whisker(drawing: Drawing, x: float, y: Axis, estimate: Estimate, colour: str) -> None:
    drawing.line(x, y(estimate.low), x, y(estimate.high), stroke=colour, width=1.2)
