"""Which nodes and edges of an attribution graph a picture draws, so that what it draws can be read."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from safetycase.dossier import numbers
from safetycase.dossier.figures.graph_picture import GraphPicture, PictureEdge, PictureNode

MOST_TARGETS = 10
_EDGES_PER_NODE, _MOST_EDGES = 1.6, 64
"""Beyond these, nothing on a page of A4 is legible."""


@dataclass(frozen=True)
class Limits:
    """How much is drawn at most."""

    nodes: int = 44
    columns: int = 8
    layers: int = 14


@dataclass(frozen=True)
class Selection:
    """What is drawn of a picture."""

    nodes: tuple[PictureNode, ...]
    edges: tuple[PictureEdge, ...]
    """The strongest last: it is drawn on top."""

    def is_whole(self, picture: GraphPicture) -> bool:
        """Whether nothing is left out."""
        return (len(self.nodes), len(self.edges)) == (len(picture.nodes), len(picture.edges))


def selected(picture: GraphPicture, limits: Limits) -> Selection:
    """The targets and the strongest nodes of the strongest columns and layers; of their edges the strongest."""
    targets = [node for node in picture.ranked if node.kind == "target"][:MOST_TARGETS]
    others = [node for node in picture.ranked if node.kind != "target"]
    others = _leading(others, lambda node: node.position, limits.columns)
    others = _leading(others, lambda node: node.layer, limits.layers)
    kept = {node.id for node in (*targets, *others[: max(1, limits.nodes - len(targets))])}
    nodes = tuple(node for node in picture.nodes if node.id in kept)
    return Selection(nodes, _strongest(picture, kept, min(_MOST_EDGES, max(12, round(_EDGES_PER_NODE * len(nodes))))))


def everything(picture: GraphPicture, most_edges: int) -> Selection:
    """All nodes; of the edges the strongest."""
    return Selection(picture.nodes, _strongest(picture, {node.id for node in picture.nodes}, most_edges))


def said(picture: GraphPicture, drawn: Selection) -> str:
    """How much of the graph is drawn, in one or two sentences; empty where all of it is."""
    parts = []
    if len(drawn.nodes) < len(picture.nodes):
        places = [
            f"{len(used)} of {len(held)} {name}"
            for name, used, held in (
                (f"{picture.columns_are}s", *_distinct(picture, drawn, lambda node: node.position)),
                ("rows", *_distinct(picture, drawn, lambda node: node.layer)),
            )
            if len(used) < len(held)
        ]
        where = f" in {' and '.join(places)}" if places else ""
        parts.append(f"{_of(len(drawn.nodes), len(picture.nodes), 'nodes')}, the most influential{where}")
    if len(drawn.edges) < len(picture.edges):
        parts.append(f"{_of(len(drawn.edges), len(picture.edges), 'edges')}, the strongest and of each node its strongest output")
    sentences = [f"Drawn: {'; '.join(parts)}."] if parts else []
    cut = [
        _of(shown, whole, name)
        for shown, whole, name in (
            (len(picture.nodes), picture.of_nodes, "nodes"),
            (len(picture.edges), picture.of_edges, "edges"),
        )
        if whole is not None and whole > shown
    ]
    if cut:
        sentences.append(f"The pruned graph holds {' and '.join(cut)} of the whole.")
    return " ".join(sentences)


def _of(shown: int, whole: int, name: str) -> str:
    return f"{numbers.count(shown)} of {numbers.count(whole)} {name}"


def _distinct(picture: GraphPicture, drawn: Selection, place: Callable[[PictureNode], int]) -> tuple[set[int], set[int]]:
    """Rows or columns of what is drawn, and of all; targets have a row of their own."""
    used, held = ({place(node) for node in each if node.kind != "target"} for each in (drawn.nodes, picture.nodes))
    return used, held


def _leading(nodes: list[PictureNode], place: Callable[[PictureNode], int], most: int) -> list[PictureNode]:
    """Those in the rows or columns whose nodes have most influence together."""
    share: dict[int, float] = defaultdict(float)
    for node in nodes:
        share[place(node)] += abs(node.influence)
    leading = set(sorted(share, key=lambda key: (-share[key], key))[:most])
    return [node for node in nodes if place(node) in leading]


def _strongest(picture: GraphPicture, kept: Collection[str], most: int) -> tuple[PictureEdge, ...]:
    """Of every node its strongest output, so that none hangs in the air; then the strongest, weakest first."""
    among = [index for index, edge in enumerate(picture.edges) if edge.source in kept and edge.target in kept]
    among.sort(key=lambda index: (-picture.scores[index], -abs(picture.edges[index].weight), index))
    first: dict[str, int] = {}
    for index in among:
        first.setdefault(picture.edges[index].source, index)
    taken = set(first.values())
    rest = [index for index in among if index not in taken]
    chosen = [*first.values(), *rest[: max(0, most - len(first))]]
    chosen.sort(key=lambda index: (picture.scores[index], index))
    return tuple(picture.edges[index] for index in chosen)
