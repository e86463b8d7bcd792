"""A measured effect beside what the same procedure gives where there is nothing to find."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, spanning
from safetycase.dossier.figures.svg import GRID, INK, MUTE, RUST, WASH, Drawing, text_width
from safetycase.evidence.record import Estimate

_WIDTH, _LEFT, _RIGHT, _TOP = 292.0, 76.0, 8.0, 34.0
_HISTOGRAM, _ROW, _MOST_TICKS = 74.0, 24.0, 60
_MOST_BINS = 28


@dataclass(frozen=True)
class NullRow:
    """The effects of one family of nulls."""

    label: str
    effects: Sequence[float]


def against_nulls(estimate: Estimate, nulls: Sequence[NullRow], *, axis_label: str, alt: str) -> Markup:
    """Large families as a histogram, small ones as one tick each; the measured effect crosses them all."""
    heights = [_HISTOGRAM if len(row.effects) > _MOST_TICKS else _ROW for row in nulls]
    bottom = _TOP + sum(heights)
    values = tuple(float(effect) for row in nulls for effect in row.effects)
    axis = spanning((*values, estimate.low, estimate.high), _LEFT, _WIDTH - _RIGHT, include=(0.0,))
    drawing = Drawing(_WIDTH, bottom + 40)
    top = _TOP
    for row, height in zip(nulls, heights, strict=True):
        _row(drawing, row, axis, top, height)
        top += height
    drawing.line(axis(0.0), _TOP - 4, axis(0.0), bottom, stroke=GRID, dash="2 2")
    drawing.box(axis(estimate.low), _TOP - 4, max(1.0, axis(estimate.high) - axis(estimate.low)), 4, fill=RUST)
    drawing.line(axis(estimate.value), _TOP - 4, axis(estimate.value), bottom, stroke=RUST, width=1.8)
    _heading(drawing, estimate, axis)
    _ticks(drawing, axis, bottom, axis_label)
    return drawing.finish(alt)


def _row(drawing: Drawing, row: NullRow, axis: Axis, top: float, height: float) -> None:
    base = top + height
    drawing.line(_LEFT, base, _WIDTH - _RIGHT, base, stroke=GRID, width=0.8)
    count, _, what = row.label.partition(" ")
    drawing.text(_LEFT - 8, base - height / 2 - 1, count, anchor="end", fill=INK, size=10)
    drawing.text(_LEFT - 8, base - height / 2 + 10, what, anchor="end", fill=MUTE, size=9.5)
    if len(row.effects) <= _MOST_TICKS:
        for effect in row.effects:
            drawing.line(axis(effect), base - 14, axis(effect), base - 3, stroke=MUTE, width=1.3)
        return
    bins = np.histogram(np.asarray(row.effects), bins=_bins(row.effects, axis))
    tallest = max(1, int(bins[0].max()))
    for share, low, high in zip(bins[0] / tallest, bins[1][:-1], bins[1][1:], strict=True):
        if share:
            drawing.box(
                axis(low),
                base - share * (height - 8),
                max(1.0, axis(high) - axis(low) - 0.4),
                share * (height - 8),
                fill=WASH,
            )


def _bins(effects: Sequence[float], axis: Axis) -> int:
    """So many bins that none is narrower than two pixels."""
    pixels = axis(max(effects)) - axis(min(effects))
    return max(1, min(_MOST_BINS, int(pixels / 2)))


def _heading(drawing: Drawing, estimate: Estimate, axis: Axis) -> None:
    text = f"measured {numbers.measured(estimate)}"
    half = text_width(text, size=10, bold=True) / 2
    x = min(max(axis(estimate.value), half + 2), _WIDTH - half - 2)
    drawing.text(x, _TOP - 14, text, anchor="middle", fill=RUST, bold=True, size=10)


def _ticks(drawing: Drawing, axis: Axis, bottom: float, label: str) -> None:
    for value, places in axis.ticks(5):
        drawing.line(axis(value), bottom, axis(value), bottom + 4, stroke=MUTE)
        drawing.text(axis(value), bottom + 16, numbers.plain(value, places), anchor="middle", fill=MUTE, size=10)
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 32, label, anchor="middle", size=10)
