"""Activation patching as a heat map: which state, by layer and role, carries a difference from one prompt to another."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.axis import round_step
from safetycase.dossier.figures.svg import GRID, INK, MUTE, ON_DARK, ON_LIGHT, RUST, Drawing, clipped

_MOST_WIDTH, _LEFT, _RIGHT, _TOP = 600.0, 92.0, 8.0, 10.0
_TALL, _LOW, _LABELLED_CELL = 24.0, 11.0, 30.0
_FEW, _ROOM = 12, 640.0
_PALE, _DEEP, _RUST = (0xF6, 0xF8, 0xFB), (0x0B, 0x53, 0x95), (0xC2, 0x41, 0x0C)
_DARK_FROM = 0.5
"""Share of the scale from which white text contrasts better with the cell than dark text does."""
MOST_ROLES = 58


@dataclass(frozen=True)
class State:
    """The residual stream at the input of a block, at a role."""

    layer: int
    role: str
    value: float
    """Share of the difference between the two runs that it carries: 0 nothing, 1 all of it; below 0 against it."""


def patching_map(states: Sequence[State], roles: Sequence[str], n_layers: int, framed: tuple[int, str] | None, *, alt: str) -> Markup:
    """Roles downwards, layers across. Blue carries the difference, rust works against it and bears a minus sign, also without colour.

    `framed` is the (layer, role) whose estimates stand in the text. Values beyond 1 are as deep as 1.
    """
    width = min(58.0, (_MOST_WIDTH - _LEFT - _RIGHT) / n_layers)
    height = _TALL if len(roles) <= _FEW else max(_LOW, min(18.0, _ROOM / len(roles)))
    row = {role: index for index, role in enumerate(roles)}
    bottom = _TOP + height * len(roles)
    drawing = Drawing(max(_LEFT + width * n_layers + _RIGHT, 360.0), bottom + 64)
    size = min(10.0, height - 1.5)
    for role, index in row.items():
        drawing.text(_LEFT - 8, _TOP + height * (index + 0.5) + size * 0.36, clipped(role, _LEFT - 12, size=size), anchor="end", size=size)
    for each in states:
        if each.role in row:
            _cell(drawing, each, _LEFT + width * each.layer, _TOP + height * row[each.role], width, height)
    if framed is not None and framed[1] in row:
        drawing.box(_LEFT + width * framed[0], _TOP + height * row[framed[1]], width, height, stroke=RUST, line=2.2)
    _layers(drawing, n_layers, width, bottom)
    _scale(drawing, bottom + 42)
    return drawing.finish(alt)


def _cell(drawing: Drawing, state: State, x: float, y: float, width: float, height: float) -> None:
    share = min(1.0, abs(state.value))
    drawing.box(x, y, width, height, fill=_colour(state.value))
    ink = ON_DARK if share >= _DARK_FROM else ON_LIGHT
    if width >= _LABELLED_CELL and height >= 13:
        drawing.text(
            x + width / 2, y + height / 2 + 3.6, numbers.plain(state.value, 2), anchor="middle", fill=ink, size=min(10.0, height - 4)
        )
    elif round(state.value, 2) <= -0.05:
        side = min(6.0, width * 0.5)
        drawing.line(x + (width - side) / 2, y + height / 2, x + (width + side) / 2, y + height / 2, stroke=ink, width=1.2)


def _layers(drawing: Drawing, n_layers: int, width: float, bottom: float) -> None:
    every = max(1, round(round_step(max(1.0, 26 / width))))
    for layer in range(0, n_layers, every):
        drawing.text(_LEFT + width * (layer + 0.5), bottom + 15, str(layer), anchor="middle", fill=MUTE)
    drawing.text(_LEFT - 8, bottom + 15, "layer", anchor="end", fill=MUTE)
    drawing.text(_LEFT - 8, bottom + 27, "(input of)", anchor="end", fill=MUTE, size=9)


def _scale(drawing: Drawing, y: float) -> None:
    steps, step = 32, 5.0
    for index in range(steps):
        drawing.box(_LEFT + index * step, y, step + 0.3, 8, fill=_colour(2 * index / (steps - 1) - 1))
    drawing.box(_LEFT, y, steps * step, 8, stroke=GRID, line=0.6)
    for place, text in ((0.0, "−1"), (0.5, "0"), (1.0, "1")):
        drawing.text(_LEFT + place * steps * step, y + 19, text, fill=INK, size=10, anchor="middle")
    drawing.text(_LEFT + steps * step + 10, y + 8, "share of the difference", fill=MUTE, size=10)


def _colour(value: float) -> str:
    share, deep = min(1.0, abs(value)), _DEEP if value >= 0 else _RUST
    return "#" + "".join(f"{round(pale + (end - pale) * share):02x}" for pale, end in zip(_PALE, deep, strict=True))
