"""An attribution graph as a table, and as data for the script that lets a reader explore it."""

import json

from markupsafe import Markup

from safetycase.dossier import numbers
from safetycase.dossier.figures.graph_picture import GraphPicture, PictureEdge, PictureNode, weighed
from safetycase.dossier.page import Cell, Table
from safetycase.dossier.visible import visible

_SHOWN = 3
"""Inputs and outputs of a node that its row names."""
_ACTING = {ord(character): f"\\u{ord(character):04x}" for character in "<>&'\u2028\u2029"}
"""What could end a script element, or a line of one."""


def table(picture: GraphPicture) -> Table:
    """Every node, the most influential first, with its strongest inputs and outputs."""
    columns = (
        Cell("Node"),
        Cell("Kind"),
        Cell("Layer", "number"),
        Cell(picture.columns_are.capitalize()),
        Cell("Influence", "number"),
        Cell("Strongest inputs"),
        Cell("Strongest outputs"),
    )
    rows = tuple(_row(picture, node) for node in picture.ranked)
    nodes, edges = (numbers.count(len(each)) for each in (picture.nodes, picture.edges))
    caption = f"{nodes} nodes and {edges} edges; of inputs and outputs the {_SHOWN} largest."
    return Table(picture.title, columns, rows, caption, widths=(20, 10, 10, 10, 10, 20, 20), dense=True, wide=True)


def data(picture: GraphPicture) -> Markup:
    """JSON that no text can leave: what acts in HTML or on its surroundings is escaped or named, and the rest is ASCII."""
    number = {node.id: index for index, node in enumerate(picture.nodes)}
    groups = {each.id: each.name for each in picture.supernodes}
    content = {
        "columns": picture.columns_are,
        "unit": visible(picture.unit),
        "positions": [visible(each) for each in picture.positions],
        "nodes": [
            {
                "kind": node.kind,
                "layer": node.layer,
                "position": node.position,
                "label": visible(node.label or node.id),
                "influence": _rounded(node.influence),
                "activation": None if node.activation is None else _rounded(node.activation),
                "card": None if node.card is None else visible(node.card),
                "group": "" if node.supernode is None else visible(groups[node.supernode]),
            }
            for node in picture.nodes
        ],
        "edges": [[number[edge.source], number[edge.target], _rounded(edge.weight)] for edge in picture.edges],
        "scores": [_rounded(score) for score in picture.scores],
    }
    return Markup(json.dumps(content, separators=(",", ":"), allow_nan=False).translate(_ACTING))


def _row(picture: GraphPicture, node: PictureNode) -> tuple[Cell, ...]:
    layer = "–" if node.kind in ("token", "target") else str(node.layer)
    where = picture.positions[node.position]
    place = f"{node.position} {where}" if picture.columns_are == "position" else where
    entering, leaving = picture.inputs[node.id], picture.outputs[node.id]
    href = node.card if node.card is not None and node.card.startswith("#") else ""
    return (
        Cell(node.label or node.id, href=href),
        Cell(node.kind),
        Cell(layer, "number"),
        Cell(place),
        Cell("–" if node.kind == "target" else f"{numbers.percent(round(abs(node.influence), 4))}", "number"),
        Cell(_ends(picture, entering, "source")),
        Cell(_ends(picture, leaving, "target")),
    )


def _ends(picture: GraphPicture, edges: tuple[PictureEdge, ...], end: str) -> str:
    """The other ends of edges, with signed weights."""
    if not edges:
        return "–"
    return "\n".join(f"{weighed(edge.weight)} {_short(picture.by_id[getattr(edge, end)])}" for edge in edges[:_SHOWN])


def _short(node: PictureNode) -> str:
    label = node.label or node.id
    cut = label if len(label) <= 40 else f"{label[:39]}…"
    return cut if node.kind in ("token", "target") else f"{cut} (layer {node.layer})"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
