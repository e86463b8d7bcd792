"""An instrument beside its baselines: one row each, one column per measure, every point with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis
from safetycase.dossier.figures.svg import BLUE, INK, MUTE, Drawing, clipped, text_width
from safetycase.evidence.record import Estimate

_WIDTH, _LEFT, _GAP, _RIGHT, _TOP, _ROW = 600.0, 150.0, 36.0, 14.0, 26.0, 24.0
_LOWEST = -1.0
"""Where a scale of shares is cut: what reconstructs worse than a mean by more than the whole spread says nothing by how much more."""


@dataclass(frozen=True)
class Panel:
    """A measure whose best value is 1, and what each row has of it; the first row is the instrument."""

    title: str
    values: Sequence[Estimate | None]


def beside_baselines(rows: Sequence[str], panels: Sequence[Panel], *, alt: str) -> Markup:
    """The first row in blue and bold, its baselines hollow and grey; a value left of its scale stands at the edge with a mark."""
    bottom = _TOP + _ROW * len(rows)
    drawing = Drawing(_WIDTH, bottom + 24)
    width = (_WIDTH - _LEFT - _RIGHT - _GAP * (len(panels) - 1)) / len(panels)
    for index, label in enumerate(rows):
        y = _TOP + _ROW * (index + 0.5) + 4
        drawing.text(_LEFT - 14, y, clipped(label, _LEFT - 16), anchor="end", bold=index == 0, fill=INK)
    for place, panel in enumerate(panels):
        start = _LEFT + place * (width + _GAP)
        drawing.text(start, 12, panel.title, fill=MUTE, bold=True, size=10.5)
        _panel(drawing, panel, _axis(panel, start, start + width), bottom)
    return drawing.finish(alt)


def _axis(panel: Panel, start: float, end: float) -> Axis:
    lows = [each.low for each in panel.values if each is not None]
    highs = [each.high for each in panel.values if each is not None]
    low = min(0.0, max(_LOWEST, min(lows, default=0.0)))
    return Axis(low - (0.04 if low < 0 else 0.0), max(1.0, *highs) if highs else 1.0, start, end)


def _panel(drawing: Drawing, panel: Panel, axis: Axis, bottom: float) -> None:
    for value, places in axis.ticks(5):
        drawing.line(axis(value), _TOP - 4, axis(value), bottom, width=0.7 if value else 1.3)
        drawing.text(axis(value), bottom + 16, numbers.plain(value, max(1, places)), anchor="middle", fill=MUTE, size=10)
    for index, each in enumerate(panel.values):
        y = _TOP + _ROW * (index + 0.5)
        if each is None:
            drawing.text(axis.start + 4, y + 4, "absent", fill=MUTE, size=10)
        elif each.value < axis.low:
            text = f"← {numbers.plain(each.value, 1)}"
            drawing.text(axis.start, y + 4, text, fill=BLUE if index == 0 else MUTE, size=10, bold=index == 0)
            assert text_width(text, size=10) < axis.end - axis.start, text
        else:
            colour = BLUE if index == 0 else MUTE
            drawing.line(axis(max(axis.low, each.low)), y, axis(each.high), y, stroke=colour, width=1.6)
            drawing.dot(axis(each.value), y, fill=colour, hollow=index > 0)
