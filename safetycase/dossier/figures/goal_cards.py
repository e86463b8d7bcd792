"""How large an element of an argument must be drawn so that all its words stand inside its shape."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from safetycase.case.goals import Node, NodeType
from safetycase.dossier import argued
from safetycase.dossier.figures.wrapping import poured, width, wrapped

Form = Literal["full", "stub", "reference"]
"""As it is; cut here and drawn in a figure of its own; drawn elsewhere already."""
Style = Literal["text", "value", "mute", "head"]
Part = tuple[str, Style]
"""A piece of text and how it is set."""
SIZE, SMALL, LEADING = 10.0, 9.0, 12.5
"""Type sizes and the distance of lines, in CSS pixels."""
RADIUS = 18.0
"""Of the circle of a solution."""
SLANT, PAD, DIAMOND = 10.0, 7.0, 15.0
_MOST_LINES = 26
_ELSEWHERE = "… in full in the list of elements"


@dataclass(frozen=True)
class Line:
    """A line of text, relative to the corner of its card."""

    x: float
    y: float
    """Of the base line."""
    text: str
    style: Style
    middle: bool = False


@dataclass(frozen=True)
class Card:
    """An element, measured for a given width."""

    node: Node
    form: Form
    width: float
    height: float
    shape_height: float
    """Without the mark of being undeveloped below it."""
    lines: tuple[Line, ...]


def card(node: Node, form: Form, most: float, note: str = "") -> Card:
    """The element no wider than `most`; `note` says where a stub or reference is continued."""
    if form == "reference":
        return _boxed(node, form, most, [(note, "mute")], PAD)
    parts = list(_parts(node, note))
    if is_round(node):
        return _round(node, form, most, parts)
    if node.type in (NodeType.ASSUMPTION, NodeType.JUSTIFICATION):
        return _oval(node, form, most, parts)
    inset = PAD + (SLANT if node.type is NodeType.STRATEGY else 0.0)
    return _boxed(node, form, most, parts, inset)


def is_round(node: Node) -> bool:
    """Whether it is drawn as a circle: what rests on evidence."""
    return node.type is NodeType.SOLUTION or node.counts_against


def _parts(node: Node, note: str) -> Iterator[Part]:
    yield node.text, "text"
    yield from ((line, "value") for line in argued.measured(node))
    standing = argued.standing(node)
    if standing:
        yield f"stands as {standing}", "mute"
    if node.reply is not None:
        yield f"Owner: {node.reply.owner}." + (f" {node.reply.reason}" if node.reply.reason else ""), "mute"
    if note:
        yield note, "mute"


def _boxed(node: Node, form: Form, most: float, parts: list[Part], inset: float) -> Card:
    head = _head(node, form, most - 2 * inset)
    lines = _stacked([*head, *_broken(parts, most - 2 * inset)], inset, PAD)
    height = 2 * PAD + LEADING * len(lines) - 2
    marked = node.undeveloped and form == "full"
    return Card(node, form, most, height + (DIAMOND if marked else 0.0), height, lines)


def _round(node: Node, form: Form, most: float, parts: list[Part]) -> Card:
    """A circle with the id inside, and the words beside it."""
    left = 2 * RADIUS + PAD
    fits = width(node.id, SMALL, bold=True) <= 2 * RADIUS - 3
    head: list[Part] = [] if fits else [(node.id, "head")]
    tags: list[Part] = [(", ".join(argued.tags(node)), "mute")] if argued.tags(node) else []
    lines = _stacked([*head, *_broken([*tags, *parts], most - left)], left, 1.0)
    inside = (Line(RADIUS, RADIUS + 3.2, node.id, "head", middle=True),) if fits else ()
    height = max(2 * RADIUS, LEADING * len(lines) + 3)
    return Card(node, form, most, height, height, (*inside, *lines))


def _oval(node: Node, form: Form, most: float, parts: list[Part]) -> Card:
    """An ellipse whose lines follow its edge; as low as the text allows."""
    text = " ".join(each for each, _ in parts)
    said: list[Part] = [(node.id, "head"), *((line, "mute") for line in wrapped(_ELSEWHERE, most * 0.6, SIZE))]
    height = LEADING * len(said) * 2
    for n in range(1, _MOST_LINES + 1):
        tall = LEADING * (n + 1) + 2 * PAD
        lines = poured(text, [_chord(index + 1, n + 1, tall, most) for index in range(n)], SIZE)
        if lines is not None:
            said, height = [(node.id, "head"), *((line, "text") for line in lines)], tall
            break
    top = (height - LEADING * len(said)) / 2
    placed = tuple(
        Line(most / 2, top + LEADING * (index + 1) - 3, line, style, middle=True) for index, (line, style) in enumerate(said) if line
    )
    return Card(node, form, most, height, height, placed)


def _chord(index: int, n: int, height: float, across: float) -> float:
    """Width of an ellipse along the line of that index out of n, at the end of the line that is farther from the middle."""
    top = (height - LEADING * n) / 2 + LEADING * index
    away = max(abs(top - height / 2), abs(top + LEADING - height / 2)) / (height / 2)
    return across * math.sqrt(max(0.0, 1 - away**2)) - PAD


def _head(node: Node, form: Form, most: float) -> list[Part]:
    """The id and its tags on one line, or on two where they do not fit."""
    tags = ", ".join(argued.tags(node)) if form == "full" else ""
    together = f"{node.id}  {tags}".rstrip()
    if width(together, SIZE, bold=True) + 8 <= most:
        return [(together, "head")]
    return [(node.id, "head"), *((line, "mute") for line in wrapped(tags, most, SIZE))]


def _broken(parts: list[Part], most: float) -> list[Part]:
    lines: list[Part] = [(line, style) for text, style in parts for line in wrapped(text, most, SIZE)]
    if len(lines) <= _MOST_LINES:
        return lines
    kept: list[Part] = [(line, "mute") for line in wrapped(_ELSEWHERE, most, SIZE)]
    return [*lines[: _MOST_LINES - len(kept)], *kept]


def _stacked(lines: list[Part], x: float, top: float) -> tuple[Line, ...]:
    return tuple(Line(x, top + LEADING * (index + 1) - 3, text, style) for index, (text, style) in enumerate(lines))
