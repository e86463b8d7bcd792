"""What activation patching restores at each layer and role of a position: a grid with a scale that diverges from zero."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.svg import GRID, INK, MUTE, ON_LIGHT, PAPER, Drawing
from safetycase.dossier.figures.wrapping import width as text_width
from safetycase.dossier.figures.wrapping import wrapped

_WIDTH, _LEFT, _RIGHT, _TOP = 600.0, 50.0, 8.0, 8.0
_TALLEST = 660.0
_WIDEST, _HIGHEST, _LOWEST = 84.0, 24.0, 10.5
_NUMBERED = 31.0
"""Width from which a cell holds its number, if it is as high as its type."""
_SMALL = 9.0
_PALE = (0xF6, 0xF7, 0xF9)
_BLUE, _RUST = (0x5B, 0x97, 0xD1), (0xE2, 0x80, 0x4A)
"""The ends of the scale: no deeper than dark text can be read on."""
_SCALE = 205.0
_TURNED = 90.0
"""Room for names of roles that read upwards."""


@dataclass(frozen=True)
class Patched:
    """One cell; `marked` where its interval excludes zero, or whatever the caption says."""

    layer: int
    role: int
    effect: float
    marked: bool = False


def patching(cells: Sequence[Patched], roles: Sequence[str], n_layers: int, *, unit: str, alt: str) -> Markup:
    """Layers upwards, roles across; blue restores, rust takes away, pale is nothing, and every number wears its sign.

    Where cells are too small for numbers, a bar across a cell marks a negative one from a tenth of the scale on.
    Marked cells have bold numbers, or a frame. Raises nothing: cells outside the grid are a breach of our own and assert.
    """
    assert all(0 <= cell.layer < n_layers and 0 <= cell.role < len(roles) for cell in cells), "a cell outside the grid"
    width = min(_WIDEST, (_WIDTH - _LEFT - _RIGHT) / len(roles))
    height = min(_HIGHEST, _TALLEST / n_layers)
    numbered = width >= _NUMBERED and height >= _LOWEST
    largest = max((abs(cell.effect) for cell in cells), default=0.0) or 1.0
    bottom = _TOP + height * n_layers
    names = [_lines(role, width - 3) for role in roles] if width >= _NUMBERED else [()] * len(roles)
    turned = [] if any(names) else [_cut(role, _TURNED) for role in roles]
    foot = bottom + 10 + max([11.0 * len(each) for each in names] + [text_width(each, _SMALL) for each in turned])
    drawing = Drawing(max(_LEFT + width * len(roles), _LEFT + _SCALE + 14 + text_width(unit, 10)) + _RIGHT, foot + 40)
    for layer in range(0, n_layers, max(1, round(14 / height + 0.49))):
        y = bottom - height * (layer + 0.5) + 3.5
        drawing.text(_LEFT - 6, y, f"layer {layer}" if layer == 0 else str(layer), anchor="end", fill=MUTE, size=10)
    for cell in cells:
        _draw(drawing, cell, _LEFT + width * cell.role, bottom - height * (cell.layer + 1), width, height, cell.effect / largest, numbered)
    for cell in cells:
        if cell.marked and not numbered:
            x, y = _LEFT + width * cell.role + 1, bottom - height * (cell.layer + 1) + 1
            drawing.box(x, y, width - 2, height - 2, stroke=INK, line=1.2)
    for index, lines in enumerate(names):
        x = _LEFT + width * (index + 0.5)
        for place, line in enumerate(lines):
            drawing.text(x, bottom + 13 + 11 * place, line, anchor="middle", size=_SMALL)
        if not lines:
            drawing.text(x + 3, bottom + 6, turned[index], anchor="end", size=_SMALL, turned=True)
    _scale(drawing, largest, unit, foot + 8)
    return drawing.finish(alt)


def _draw(drawing: Drawing, cell: Patched, x: float, y: float, width: float, height: float, share: float, numbered: bool) -> None:
    drawing.box(x, y, width, height, fill=_colour(share), stroke=PAPER, line=0.7)
    if numbered:
        size = min(10.0, max(_SMALL, height - 3))
        drawing.text(
            x + width / 2, y + height / 2 + size * 0.34, _effect(cell.effect), anchor="middle", fill=ON_LIGHT, size=size, bold=cell.marked
        )
    elif share <= -0.1:
        drawing.line(x + width * 0.25, y + height / 2, x + width * 0.75, y + height / 2, stroke=ON_LIGHT, width=1.4)


def _scale(drawing: Drawing, largest: float, unit: str, y: float) -> None:
    """From the most negative to the most positive colour, with its ends and its middle named."""
    steps = 41
    step = _SCALE / steps
    for index in range(steps):
        drawing.box(_LEFT + index * step, y, step + 0.3, 8, fill=_colour(2 * index / (steps - 1) - 1))
    drawing.box(_LEFT, y, _SCALE, 8, stroke=GRID, line=0.6)
    for share, value in ((0.0, -largest), (0.5, 0.0), (1.0, largest)):
        text = _effect(value) if value else "0"
        drawing.text(_LEFT + share * _SCALE, y + 19, text, anchor="middle", size=10)
    drawing.text(_LEFT + _SCALE + 14, y + 8, unit, fill=MUTE, size=10)


def _effect(value: float) -> str:
    """Signed, with two decimals below ten."""
    text = numbers.plain(abs(value), 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0)
    return text if not float(text.replace(numbers.MINUS, "-").replace(numbers.THIN, "")) else f"{numbers.MINUS if value < 0 else '+'}{text}"


def _lines(role: str, room: float) -> tuple[str, ...]:
    lines = wrapped(role, room, _SMALL)
    return lines if len(lines) <= 4 else (*lines[:3], _cut(lines[3] + "…", room))


def _cut(text: str, room: float) -> str:
    shown = text
    while len(shown) > 1 and text_width(shown, _SMALL) > room:
        shown = f"{shown.rstrip('…')[:-1]}…"
    return shown


def _colour(share: float) -> str:
    end = _BLUE if share >= 0 else _RUST
    return "#" + "".join(f"{round(pale + (deep - pale) * min(1.0, abs(share))):02x}" for pale, deep in zip(_PALE, end, strict=True))
