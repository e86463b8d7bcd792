"""Score of every candidate direction by layer and token position; the selected one is framed."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import Axis, round_step
from safetycase.dossier.figures.svg import GRID, INK, MUTE, ON_DARK, ON_LIGHT, RUST, Drawing, clipped

_MOST_WIDTH, _LEFT, _RIGHT, _TOP = 600.0, 118.0, 8.0, 10.0
_CELL_HEIGHT, _LABELLED_CELL = 26.0, 33.0
_PALE, _DEEP = (0xEE, 0xF3, 0xF9), (0x0B, 0x53, 0x95)
_DARK_FROM = 0.5
"""Share of the scale from which white text contrasts better with the cell than dark text does."""


@dataclass(frozen=True)
class Cell:
    """One candidate."""

    position: int
    layer: int
    score: float
    survives: bool


def heatmap(
    cells: Sequence[Cell],
    tokens: Sequence[tuple[int, str]],
    n_layers: int,
    selected: tuple[int, int] | None,
    *,
    alt: str,
) -> Markup:
    """Positions (with their template tokens) downwards, layers across; the lower the score, the deeper the blue.

    `selected` is (position, layer). Candidates that pass every filter have a bold value, or a small mark where cells
    are too narrow for values. A scale stands below.
    """
    width = min(64.0, (_MOST_WIDTH - _LEFT - _RIGHT) / n_layers)
    height = _CELL_HEIGHT if len(tokens) <= 6 else 18.0
    row = {position: index for index, (position, _) in enumerate(tokens)}
    scores = [cell.score for cell in cells]
    depth = Axis(max(scores), min(scores) if min(scores) < max(scores) else max(scores) - 1, 0.0, 1.0)
    bottom = _TOP + height * len(tokens)
    drawing = Drawing(max(_LEFT + width * n_layers + _RIGHT, 330.0), bottom + 66)
    for index, (position, token) in enumerate(tokens):
        y = _TOP + height * (index + 0.5) + 4
        drawing.text(_LEFT - 8, y, numbers.plain(position, 0), anchor="end")
        drawing.text(_LEFT - 30, y, clipped(token, _LEFT - 34), anchor="end", fill=MUTE, size=10)
    for cell in cells:
        _draw(
            drawing,
            cell,
            _LEFT + width * cell.layer,
            _TOP + height * row[cell.position],
            width,
            height,
            depth(cell.score),
        )
    if selected is not None:
        position, layer = selected
        drawing.box(_LEFT + width * layer, _TOP + height * row[position], width, height, stroke=RUST, line=2.2)
    _layers(drawing, n_layers, width, bottom)
    _scale(drawing, depth, bottom + 44)
    return drawing.finish(alt)


def _draw(drawing: Drawing, cell: Cell, x: float, y: float, width: float, height: float, share: float) -> None:
    drawing.box(x, y, width, height, fill=_blue(share))
    ink = ON_DARK if share >= _DARK_FROM else ON_LIGHT
    if width >= _LABELLED_CELL:
        drawing.text(
            x + width / 2,
            y + height / 2 + 4,
            numbers.plain(cell.score, 1),
            anchor="middle",
            fill=ink,
            size=10.5,
            bold=cell.survives,
        )
    elif cell.survives:
        side = min(4.0, width * 0.45)
        drawing.box(x + (width - side) / 2, y + (height - side) / 2, side, side, fill=ink)


def _layers(drawing: Drawing, n_layers: int, width: float, bottom: float) -> None:
    every = max(1, round(round_step(max(1.0, 26 / width))))
    for layer in range(0, n_layers, every):
        drawing.text(_LEFT + width * (layer + 0.5), bottom + 15, str(layer), anchor="middle", fill=MUTE)
    drawing.text(_LEFT - 8, bottom + 15, "layer", anchor="end", fill=MUTE)
    drawing.text(_LEFT - 8, bottom + 28, "(input of)", anchor="end", fill=MUTE, size=9)


def _scale(drawing: Drawing, depth: Axis, y: float) -> None:
    steps, step = 24, 5.0
    for index in range(steps):
        drawing.box(_LEFT + index * step, y, step + 0.3, 8, fill=_blue(index / (steps - 1)))
    drawing.box(_LEFT, y, steps * step, 8, stroke=GRID, line=0.6)
    drawing.text(_LEFT, y + 19, numbers.plain(depth.low, 1), fill=INK, size=10, anchor="middle")
    drawing.text(_LEFT + steps * step, y + 19, numbers.plain(depth.high, 1), fill=INK, size=10, anchor="middle")
    drawing.text(_LEFT + steps * step + 10, y + 8, "refusal log-odds, nats", fill=MUTE, size=10)


def _blue(share: float) -> str:
    return "#" + "".join(f"{round(pale + (deep - pale) * share):02x}" for pale, deep in zip(_PALE, _DEEP, strict=True))
