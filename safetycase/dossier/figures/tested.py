"""Effects of intervening on single features, above one another, beside what the same intervention gives on null features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, spanning
from safetycase.dossier.figures.svg import BLUE, GRID, INK, MUTE, RUST, WASH, Drawing
from safetycase.evidence.record import Estimate

_WIDTH, _LEFT, _RIGHT, _TOP = 292.0, 76.0, 10.0, 8.0
_HISTOGRAM, _ROW, _MOST_BINS = 58.0, 17.0, 28


@dataclass(frozen=True)
class Tested:
    """One tested feature; it passes a gate or not."""

    label: str
    effect: Estimate
    passes: bool


def tested_beside_nulls(tested: Sequence[Tested], nulls: Sequence[float], *, axis_label: str, alt: str) -> Markup:
    """Null features as a histogram; below, each tested one: square and rust where it passes, round and blue where not."""
    top = _TOP + (_HISTOGRAM if nulls else 0.0)
    bottom = top + _ROW * len(tested) + 6
    ends = tuple(end for each in tested for end in (each.effect.low, each.effect.high))
    axis = spanning((*nulls, *ends), _LEFT, _WIDTH - _RIGHT, include=(0.0,))
    drawing = Drawing(_WIDTH, bottom + 40)
    if nulls:
        _histogram(drawing, nulls, axis, top)
    drawing.line(axis(0.0), _TOP, axis(0.0), bottom, stroke=GRID, dash="2 2")
    for index, each in enumerate(tested):
        y = top + _ROW * (index + 0.5) + 4
        colour = RUST if each.passes else BLUE
        drawing.text(_LEFT - 8, y + 4, each.label, anchor="end", fill=INK, bold=each.passes, size=10)
        drawing.line(axis(each.effect.low), y, axis(each.effect.high), y, stroke=colour, width=1.6)
        if each.passes:
            drawing.square(axis(each.effect.value), y, fill=colour)
        else:
            drawing.dot(axis(each.effect.value), y, fill=colour)
    for value, places in axis.ticks(5):
        drawing.line(axis(value), bottom, axis(value), bottom + 4, stroke=MUTE)
        drawing.text(axis(value), bottom + 16, numbers.plain(value, places), anchor="middle", fill=MUTE, size=10)
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 32, axis_label, anchor="middle", size=10)
    return drawing.finish(alt)


def _histogram(drawing: Drawing, nulls: Sequence[float], axis: Axis, base: float) -> None:
    drawing.line(_LEFT, base, _WIDTH - _RIGHT, base, stroke=GRID, width=0.8)
    drawing.text(_LEFT - 8, base - _HISTOGRAM / 2 - 1, numbers.count(len(nulls)), anchor="end", fill=INK, size=10)
    drawing.text(_LEFT - 8, base - _HISTOGRAM / 2 + 11, "nulls", anchor="end", fill=MUTE, size=9.5)
    bins = max(1, min(_MOST_BINS, int((axis(max(nulls)) - axis(min(nulls))) / 2)))
    counts, edges = np.histogram(np.asarray(nulls), bins=bins)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            height = float(count) / float(counts.max()) * (_HISTOGRAM - 8)
            x, width = axis(float(low)), max(1.0, axis(float(high)) - axis(float(low)) - 0.4)
            drawing.box(min(x, _WIDTH - _RIGHT - width), base - height, width, height, fill=WASH)
