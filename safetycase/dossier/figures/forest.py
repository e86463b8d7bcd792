"""Shares with their intervals by category, before and after an edit."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis
from safetycase.dossier.figures.svg import BLUE, INK, MUTE, RUST, Drawing, clipped, text_width
from safetycase.evidence.record import Estimate

_WIDTH, _RIGHT, _TOP = 600.0, 24.0, 26.0
_LEFT_LEAST, _LEFT_MOST = 84.0, 190.0
_ROOMY, _TIGHT, _ROOMY_UP_TO = 24.0, 16.0, 16


@dataclass(frozen=True)
class ForestRow:
    """One category; an arm that has no estimate is left empty."""

    label: str
    before: Estimate | None
    after: Estimate | None
    bold: bool = False


def forest(rows: Sequence[ForestRow], *, before: str, after: str, alt: str) -> Markup:
    """The model as it is in blue and round, the edited one in rust and square; both named where they stand."""
    height = _ROOMY if len(rows) <= _ROOMY_UP_TO else _TIGHT
    left = min(_LEFT_MOST, max(_LEFT_LEAST, max(text_width(row.label) for row in rows) + 16))
    axis = Axis(0.0, 1.0, left, _WIDTH - _RIGHT)
    bottom = _TOP + height * len(rows)
    drawing = Drawing(_WIDTH, bottom + 24)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawing.line(axis(share), _TOP - 4, axis(share), bottom, width=0.7)
        drawing.text(axis(share), bottom + 16, numbers.percent(share), anchor="middle", fill=MUTE, size=10)
    for index, row in enumerate(rows):
        middle = _TOP + height * (index + 0.5)
        drawing.text(left - 12, middle + 4, clipped(row.label, left - 14), anchor="end", bold=row.bold, fill=INK)
        _interval(drawing, axis, row.before, middle - height * 0.16, edited=False)
        _interval(drawing, axis, row.after, middle + height * 0.16, edited=True)
    _names(drawing, axis, rows, before, after)
    return drawing.finish(alt)


def _interval(drawing: Drawing, axis: Axis, estimate: Estimate | None, y: float, *, edited: bool) -> None:
    if estimate is None:
        return
    colour = RUST if edited else BLUE
    drawing.line(axis(estimate.low), y, axis(estimate.high), y, stroke=colour, width=1.6)
    if edited:
        drawing.square(axis(estimate.value), y, fill=colour)
    else:
        drawing.dot(axis(estimate.value), y, fill=colour)


def _names(drawing: Drawing, axis: Axis, rows: Sequence[ForestRow], before: str, after: str) -> None:
    """Each arm's name above its first mark; moved apart where both would meet."""
    places = {}
    for name, arm, colour in ((before, [row.before for row in rows], BLUE), (after, [row.after for row in rows], RUST)):
        first = next((estimate for estimate in arm if estimate is not None), None)
        if first is not None:
            places[name, colour] = axis(first.value)
    gap = sum(text_width(name, bold=True) for name, _ in places) / 2 + 16
    if len(places) == 2 and max(places.values()) - min(places.values()) < gap:
        middle = sum(places.values()) / 2
        for index, key in enumerate(sorted(places, key=places.__getitem__)):
            places[key] = middle + gap * (index - 0.5)
        out = max(0.0, max(x + text_width(name, bold=True) / 2 for (name, _), x in places.items()) - _WIDTH)
        places = {key: x - out for key, x in places.items()}
    for (name, colour), x in places.items():
        half = text_width(name, bold=True) / 2
        drawing.text(min(max(x, axis.start + half), _WIDTH - half), 12, name, anchor="middle", fill=colour, bold=True)
