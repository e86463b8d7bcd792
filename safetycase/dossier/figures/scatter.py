"""Predicted against measured: one point per intervention, beside the line on which both agree."""

from collections.abc import Sequence

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, spanning
from safetycase.dossier.figures.svg import BLUE, GRID, INK, MUTE, Drawing

_WIDTH, _HEIGHT = 292.0, 276.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 12.0, 44.0
_RADIUS, _SMALL, _MANY = 2.6, 1.7, 200
MOST_POINTS = 1200
"""More than these cover each other; every n-th is drawn then."""

Point = tuple[float, float]


def scatter(points: Sequence[Point], *, x_label: str, y_label: str, alt: str) -> Markup:
    """Both axes on one scale each; the dashed line is where measured equals predicted."""
    shown = drawn(points)
    x = spanning(tuple(point[0] for point in shown), _LEFT, _WIDTH - _RIGHT, include=(0.0,))
    y = spanning(tuple(point[1] for point in shown), _HEIGHT - _BOTTOM, _TOP, include=(0.0,))
    drawing = Drawing(_WIDTH, _HEIGHT)
    _axes(drawing, x, y, x_label, y_label)
    low, high = max(x.low, y.low), min(x.high, y.high)
    drawing.line(x(low), y(low), x(high), y(high), stroke=MUTE, width=1.1, dash="4 3")
    radius = _SMALL if len(shown) > _MANY else _RADIUS
    for predicted, measured in shown:
        drawing.dot(x(predicted), y(measured), fill=BLUE, radius=radius)
    return drawing.finish(alt)


def drawn(points: Sequence[Point]) -> Sequence[Point]:
    """All points, or every n-th in their order where there are too many."""
    step = -(-len(points) // MOST_POINTS)
    return points[:: max(1, step)]


def _axes(drawing: Drawing, x: Axis, y: Axis, x_label: str, y_label: str) -> None:
    bottom = _HEIGHT - _BOTTOM
    for value, places in y.ticks(5):
        drawing.line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), width=0.7)
        drawing.text(_LEFT - 6, y(value) + 4, numbers.plain(value, places), anchor="end", fill=MUTE, size=10)
    for value, places in x.ticks(5):
        drawing.line(x(value), bottom, x(value), bottom + 4, stroke=MUTE)
        drawing.text(x(value), bottom + 16, numbers.plain(value, places), anchor="middle", fill=MUTE, size=10)
    drawing.line(x(0.0), _TOP, x(0.0), bottom, stroke=GRID, dash="2 2")
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 33, x_label, anchor="middle", fill=INK, size=10)
    drawing.text(12, (_TOP + bottom) / 2, y_label, anchor="middle", fill=INK, size=10, turned=True)
