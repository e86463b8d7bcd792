"""An attribution graph as a picture in layers, legible on paper, with all that a page needs to let it be explored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.graph_explored import data, table
from safetycase.dossier.figures.graph_layout import LEFT, MOST_LINES, NARROW, TEXT, Placed, clipped_lines, placed
from safetycase.dossier.figures.graph_marks import NAME, GraphDrawing
from safetycase.dossier.figures.graph_picture import GraphPicture, NodeKind, PictureNode, weighed
from safetycase.dossier.figures.graph_routes import routes
from safetycase.dossier.figures.graph_selection import Limits, Selection, everything, said, selected
from safetycase.dossier.figures.svg import MUTE
from safetycase.dossier.figures.wrapping import width as text_width
from safetycase.dossier.figures.wrapping import wrapped
from safetycase.dossier.page import Explorer, Figure

WIDTH, TALLEST = 600.0, 800.0
"""Of a drawing on paper."""
_MOST_EDGES_ON_SCREEN = 500
_ROWS = (14, 12, 10, 8, 6)
"""Layers that are drawn at most: fewer rows hold more nodes each."""
_LEGEND = 66.0
"""Two lines of signs and two of words below the names of columns."""
_FOOT = 40.0
"""Below the lowest row: names of columns."""
_THINNEST, _THICKEST = 0.7, 3.2
_KINDS: Mapping[NodeKind, tuple[str, str]] = {
    "target": ("target", "targets"),
    "feature": ("feature", "features"),
    "error": ("error, what the dictionary leaves unexplained", "errors"),
    "token": ("token", "tokens"),
}


def attribution_graph_figure(picture: GraphPicture, caption: str = "") -> Figure:
    """The picture, how to read it, its table, and what a script needs to explore it.

    What fits no page of A4 legibly is left to the screen and the table; the drawing says how much it shows.
    """
    drawn, layout = _fitted(picture)
    drawing = _drawing(picture, drawn, layout, said(picture, drawn))
    whole = Markup("")
    if len(drawn.nodes) < len(picture.nodes):
        full = everything(picture, _MOST_EDGES_ON_SCREEN)
        whole = _drawing(picture, full, placed(picture, full.nodes, None), said(picture, full)).finish(_alt(picture, full))
    listed = table(picture)
    texts = (*(cell.text for row in listed.rows for cell in row), *drawing.labels, *picture.positions)
    return Figure(
        picture.title,
        drawing.finish(_alt(picture, drawn)),
        " ".join(filter(None, (_how_to_read(picture), caption))),
        explorer=Explorer(data(picture), whole, listed),
        quoted=tuple(dict.fromkeys(text for text in texts if text)),
    )


def _fitted(picture: GraphPicture) -> tuple[Selection, Placed]:
    """Of what a page holds with labels that can be read, what has most influence; then the most nodes, then the longer labels."""
    found = [_fitted_with(picture, lines, rows) for lines in MOST_LINES for rows in _ROWS]
    return max(found, key=lambda each: (round(sum(abs(node.influence) for node in each[0].nodes), 3), len(each[0].nodes)))


def _fitted_with(picture: GraphPicture, lines: int, rows: int) -> tuple[Selection, Placed]:
    limits = Limits(layers=rows)
    while limits.columns > 1 and _laid(picture, limits, lines)[1].chip < NARROW:
        limits = replace(limits, columns=limits.columns - 1)
    low, high = 1, limits.nodes
    while low < high:
        middle = (low + high + 1) // 2
        bottom = _laid(picture, replace(limits, nodes=middle), lines)[1].bottom
        low, high = (middle, high) if bottom + _FOOT + _LEGEND <= TALLEST else (low, middle - 1)
    return _laid(picture, replace(limits, nodes=low), lines)


def _laid(picture: GraphPicture, limits: Limits, lines: int) -> tuple[Selection, Placed]:
    drawn = selected(picture, limits)
    return drawn, placed(picture, drawn.nodes, WIDTH, lines)


def _drawing(picture: GraphPicture, drawn: Selection, layout: Placed, statement: str) -> GraphDrawing:
    """Boxes of supernodes, then edges, then nodes on top of both."""
    lines = [line for part in (statement,) if part for line in wrapped(part, min(layout.width, WIDTH) - LEFT - 10, TEXT)]
    legend = _legend(picture, drawn)
    foot = layout.bottom + _FOOT
    drawing = GraphDrawing(layout.width, foot + 6 + 15 * len(legend) + 13 * len(lines) + 4)
    number = {node.id: index for index, node in enumerate(picture.nodes)}
    for group in layout.groups:
        drawing.open_group(sorted(number[member] for member in group.members))
        drawing.group(group)
        drawing.close()
    _edges(drawing, picture, drawn, layout)
    most = _largest(drawn.nodes)
    for chip in layout.chips:
        drawing.open("node", number[chip.node.id])
        drawing.chip(chip, most)
        drawing.close()
    for group in layout.groups:
        drawing.open_group(sorted(number[member] for member in group.members))
        drawing.name(group, clipped_lines(group.name, group.width / 1.16 - 4, NAME, 1)[0])
        drawing.close()
    _axes(drawing, picture, layout)
    for index, items in enumerate(legend):
        _key(drawing, items, foot + 12 + 15 * index)
    for index, line in enumerate(lines):
        drawing.text(LEFT, foot + 12 + 15 * len(legend) + 13 * index, line, size=TEXT)
    return drawing


def _edges(drawing: GraphDrawing, picture: GraphPicture, drawn: Selection, layout: Placed) -> None:
    number = {id(edge): index for index, edge in enumerate(picture.edges)}
    largest = max((abs(edge.weight) for edge in drawn.edges), default=0.0) or 1.0
    for route in routes(layout, drawn.edges):
        thick = _THINNEST + (_THICKEST - _THINNEST) * abs(route.edge.weight) / largest
        drawing.open("edge", number[id(route.edge)])
        drawing.edge(route.points, positive=route.edge.weight >= 0, width=thick)
        drawing.close()


def _axes(drawing: GraphDrawing, picture: GraphPicture, layout: Placed) -> None:
    """Names of layers at the left, of positions below."""
    for layer, y in layout.rows:
        name = "targets" if layer >= picture.n_layers else "tokens" if layer < 0 else f"layer {layer}"
        drawing.text(LEFT - 6, y + 3.5, name, anchor="end", fill=MUTE, size=10)
    tokens = {(chip.node.position, chip.node.label) for chip in layout.chips if chip.node.kind == "token"}
    for position, start, end in layout.columns:
        drawing.column(start, end, layout.bottom + 7)
        text = picture.positions[position]
        room = end - start + 8
        said_already = (position, text) in tokens
        lines = () if said_already else clipped_lines(text, room, NAME, 2)
        if picture.columns_are == "position":
            lines = (str(position), *lines[:1])
        drawing.labels += lines
        for index, line in enumerate(lines):
            drawing.text((start + end) / 2, layout.bottom + 20 + 11 * index, line, anchor="middle", size=NAME, fill=MUTE)
    drawing.text(LEFT - 6, layout.bottom + 20, picture.columns_are, anchor="end", fill=MUTE, size=10)


Sign = NodeKind | Literal["group", "bar", "plus", "minus", "thick"]
Key = tuple[Sign, str]
"""What a sign of the legend is, and what it means."""


def _legend(picture: GraphPicture, drawn: Selection) -> list[list[Key]]:
    """Signs that occur in the drawing, or that selecting a node on the screen may bring, in lines that fit."""
    kinds = {node.kind for node in drawn.nodes}
    keys: list[Key] = [(kind, words) for kind, (words, _) in _KINDS.items() if kind in kinds]
    if any(node.supernode for node in drawn.nodes):
        keys.append(("group", "supernode"))
    keys.append(("bar", "share of influence"))
    if any(edge.weight >= 0 for edge in picture.edges):
        keys.append(("plus", "adds"))
    if any(edge.weight < 0 for edge in picture.edges):
        keys.append(("minus", "takes away"))
    largest = max((abs(edge.weight) for edge in drawn.edges), default=0.0)
    if largest:
        keys.append(("thick", f"thickest: {weighed(largest)[1:]}{f' {picture.unit}' if picture.unit else ''}"))
    lines: list[list[Key]] = [[]]
    for key in keys:
        if lines[-1] and sum(map(_key_width, (*lines[-1], key))) > WIDTH - LEFT - 8:
            lines.append([])
        lines[-1].append(key)
    return lines


def _key_width(key: Key) -> float:
    return 24 + text_width(key[1], TEXT) + 14


def _key(drawing: GraphDrawing, keys: Sequence[Key], y: float) -> None:
    x = LEFT
    for key in keys:
        sign, words = key
        match sign:
            case "feature" | "error" | "token" | "target":
                drawing.shape(sign, x, y - 9, 18, 10)
            case "group":
                drawing.rectangle(x, y - 9, 18, 10, stroke=MUTE, corner=3)
            case "bar":
                drawing.bar(x, y - 4, 18, 0.6)
            case "plus" | "minus":
                drawing.edge([(x + 9, y + 3), (x + 9, y - 10)], positive=sign == "plus", width=1.4)
            case "thick":
                drawing.line(x, y - 3, x + 18, y - 3, stroke=MUTE, width=_THICKEST)
        drawing.text(x + 23, y, words, size=TEXT, fill=MUTE)
        x += _key_width(key)


def _how_to_read(picture: GraphPicture) -> str:
    columns = "a position of the prompt" if picture.columns_are == "position" else "a role that positions of several prompts share"
    groups = " Boxes hold nodes grouped as one supernode, per column." if any(node.supernode for node in picture.nodes) else ""
    below = "Tokens below, targets on top" if any(node.kind == "token" for node in picture.nodes) else "Targets on top"
    return (
        f"{below}; each row is a layer, each column {columns}. Lines are direct effects with attention patterns and "
        f"normalisation as they were, as wide as they are large.{groups}"
    )


def _alt(picture: GraphPicture, drawn: Selection) -> str:
    """What is drawn, in words; tokens and labels stay out of it, they stand in the table."""
    counts = Counter(node.kind for node in drawn.nodes)
    kinds = ", ".join(f"{counts[kind]} {words[counts[kind] != 1].split(',')[0]}" for kind, words in _KINDS.items() if counts[kind])
    shown = {node.id for node in drawn.nodes}
    others = [node for node in picture.ranked if node.kind != "target" and node.id in shown][:6]
    strongest = "; ".join(f"{_named(picture, node)} {numbers.percent(round(abs(node.influence), 3))}" for node in others)
    edges = list(reversed(drawn.edges))[:6]
    effects = "; ".join(
        f"{_named(picture, picture.by_id[edge.source])} to {_named(picture, picture.by_id[edge.target])} {weighed(edge.weight)}"
        for edge in edges
    )
    parts = [f"Attribution graph with {kinds}, and {len(drawn.edges)} edges"]
    parts += [f"Most influence: {strongest}"] if strongest else []
    parts += [f"Strongest edges: {effects}"] if effects else []
    return ". ".join(parts) + "."


def _named(picture: GraphPicture, node: PictureNode) -> str:
    place = "" if node.kind in ("target", "token") else f" of layer {node.layer}"
    return f"{node.kind}{place} at {picture.columns_are} {node.position}"


def _largest(nodes: Sequence[PictureNode]) -> float:
    return max((abs(node.influence) for node in nodes if node.kind != "target"), default=0.0)
