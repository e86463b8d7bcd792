"""Which nodes and edges of an attribution graph a picture draws, so that what it draws can be read."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from safetycase.dossier import numbers
from safetycase.dossier.figures.graph_picture import GraphPicture, PictureEdge, PictureNode

MOST_NODES, MOST_COLUMNS, MOST_TARGETS = 44, 9, 10
"""Beyond these, nothing on a page of A4 is legible."""
_EDGES_PER_NODE, _MOST_EDGES = 2.0, 84


@dataclass(frozen=True)
class Selection:
    """What is drawn of a picture."""

    nodes: tuple[PictureNode, ...]
    edges: tuple[PictureEdge, ...]
    """The strongest last: it is drawn on top."""

    def is_whole(self, picture: GraphPicture) -> bool:
        """Whether nothing is left out."""
        return (len(self.nodes), len(self.edges)) == (len(picture.nodes), len(picture.edges))


def selected(picture: GraphPicture, most: int = MOST_NODES) -> Selection:
    """The targets and the strongest nodes of the strongest columns, at most so many; of their edges the strongest."""
    columns = _columns(picture)
    targets = [node for node in picture.ranked if node.kind == "target"][:MOST_TARGETS]
    others = [node for node in picture.ranked if node.kind != "target" and node.position in columns]
    kept = {node.id for node in (*targets, *others[: max(1, most - len(targets))])}
    nodes = tuple(node for node in picture.nodes if node.id in kept)
    return Selection(nodes, _strongest(picture, kept, min(_MOST_EDGES, max(12, round(_EDGES_PER_NODE * len(nodes))))))


def everything(picture: GraphPicture, most_edges: int) -> Selection:
    """All nodes; of the edges the strongest."""
    return Selection(picture.nodes, _strongest(picture, {node.id for node in picture.nodes}, most_edges))


def said(picture: GraphPicture, drawn: Selection) -> str:
    """How much of the graph is drawn, in one or two sentences; empty where all of it is."""
    parts = []
    if not drawn.is_whole(picture):
        nodes, edges = (
            f"{numbers.count(shown)} of {numbers.count(whole)} {name}"
            for shown, whole, name in (
                (len(drawn.nodes), len(picture.nodes), "nodes"),
                (len(drawn.edges), len(picture.edges), "edges"),
            )
        )
        used, held = ({node.position for node in each if node.kind != "target"} for each in (drawn.nodes, picture.nodes))
        where = f", at {len(used)} of {len(held)} {picture.columns_are}s" if len(used) < len(held) else ""
        parts.append(f"Drawn: {nodes}, the most influential{where}; {edges}, the strongest and of each node its strongest output.")
    cut = [
        f"{numbers.count(shown)} of {numbers.count(whole)} {name}"
        for shown, whole, name in (
            (len(picture.nodes), picture.of_nodes, "nodes"),
            (len(picture.edges), picture.of_edges, "edges"),
        )
        if whole is not None and whole > shown
    ]
    if cut:
        parts.append(f"The pruned graph holds {' and '.join(cut)} of the whole.")
    return " ".join(parts)


def _columns(picture: GraphPicture) -> Collection[int]:
    """The positions whose nodes have most influence together."""
    share: dict[int, float] = defaultdict(float)
    for node in picture.nodes:
        if node.kind != "target":
            share[node.position] += abs(node.influence)
    return frozenset(sorted(share, key=lambda position: (-share[position], position))[:MOST_COLUMNS])


def _strongest(picture: GraphPicture, kept: Collection[str], most: int) -> tuple[PictureEdge, ...]:
    """Of every node its strongest output, so that none hangs in the air; then the strongest, weakest first."""
    among = [index for index, edge in enumerate(picture.edges) if edge.source in kept and edge.target in kept]
    among.sort(key=lambda index: (-picture.scores[index], -abs(picture.edges[index].weight), index))
    first: dict[str, int] = {}
    for index in among:
        first.setdefault(picture.edges[index].source, index)
    rest = [index for index in among if index not in set(first.values())]
    chosen = [*first.values(), *rest[: max(0, most - len(first))]]
    chosen.sort(key=lambda index: (picture.scores[index], index))
    return tuple(picture.edges[index] for index in chosen)
