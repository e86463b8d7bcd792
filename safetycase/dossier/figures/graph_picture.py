"""What the pictures of an attribution graph are drawn from: its nodes, edges and supernodes, ready to be shown."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from safetycase.dossier import numbers

NodeKind = Literal["feature", "error", "token", "target"]


@dataclass(frozen=True)
class PictureNode:
    """A node as a reader meets it; texts may be untrusted, tokens are best written by `tokens.alone`."""

    id: str
    """Unique within its picture."""
    kind: NodeKind
    layer: int
    """-1 for tokens, the number of layers for targets."""
    position: int
    """Its column: a place in the picture's `positions`."""
    label: str
    influence: float
    """On the targets, as a share of what all nodes of the graph have together: from 0 to 1. Of a target, its weight."""
    activation: float | None = None
    card: str | None = None
    """What documents it: the address of a card on the same page (`#feature-7`), or a sentence."""
    supernode: str | None = None
    """Id of the supernode that it belongs to."""


@dataclass(frozen=True)
class PictureEdge:
    """A direct effect: what the source adds to the target, with its sign."""

    source: str
    target: str
    weight: float


@dataclass(frozen=True)
class Supernode:
    """Nodes that are grouped, under one name."""

    id: str
    name: str


@dataclass(frozen=True)
class GraphPicture:
    """One graph, usually pruned; `of_nodes` and `of_edges` count the graph before, where that is known."""

    title: str
    n_layers: int
    positions: tuple[str, ...]
    """What stands below each column: the text of a token, or a role."""
    nodes: tuple[PictureNode, ...]
    edges: tuple[PictureEdge, ...]
    supernodes: tuple[Supernode, ...] = ()
    columns_are: Literal["position", "role"] = "position"
    unit: str = ""
    """Of the weights, such as nats; empty where targets differ in it."""
    of_nodes: int | None = None
    of_edges: int | None = None

    def __post_init__(self) -> None:
        known = {node.id for node in self.nodes}
        groups = {each.id for each in self.supernodes}
        assert self.nodes, "a picture without nodes"
        assert len(known) == len(self.nodes), "two nodes with one id"
        assert all(0 <= node.position < len(self.positions) for node in self.nodes), "a node beside all columns"
        assert all(-1 <= node.layer <= self.n_layers for node in self.nodes), "a node outside all layers"
        assert all(math.isfinite(node.influence) for node in self.nodes), "an influence that is no number"
        assert all(node.supernode is None or node.supernode in groups for node in self.nodes), "a supernode without a name"
        assert all({edge.source, edge.target} <= known for edge in self.edges), "an edge of a node that is not there"
        assert all(math.isfinite(edge.weight) for edge in self.edges), "a weight that is no number"

    @cached_property
    def by_id(self) -> Mapping[str, PictureNode]:
        """Nodes by their ids."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def ranked(self) -> tuple[PictureNode, ...]:
        """Targets first, then the strongest first; ties in the order of layers, positions and ids."""
        return tuple(sorted(self.nodes, key=lambda node: (node.kind != "target", -abs(node.influence), node.layer, node.position, node.id)))

    @cached_property
    def inputs(self) -> Mapping[str, tuple[PictureEdge, ...]]:
        """Edges into each node, the largest in magnitude first."""
        return self._ends("target")

    @cached_property
    def outputs(self) -> Mapping[str, tuple[PictureEdge, ...]]:
        """Edges out of each node, the largest in magnitude first."""
        return self._ends("source")

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Of each edge: the influence of its target times the edge's share of what enters that target here, in magnitude.

        Weights into two nodes are in the units of each node's own input and cannot be compared; these scores can
        (after Ameisen et al. 2025, who prune edges by this product).
        """
        entering: dict[str, float] = defaultdict(float)
        for edge in self.edges:
            entering[edge.target] += abs(edge.weight)
        return tuple(
            abs(self.by_id[edge.target].influence) * abs(edge.weight) / entering[edge.target] if entering[edge.target] else 0.0
            for edge in self.edges
        )

    def _ends(self, end: Literal["source", "target"]) -> Mapping[str, tuple[PictureEdge, ...]]:
        found: dict[str, list[PictureEdge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found[getattr(edge, end)].append(edge)
        return {key: tuple(sorted(edges, key=lambda edge: (-abs(edge.weight), edge.source, edge.target))) for key, edges in found.items()}


def weighed(weight: float) -> str:
    """A signed weight with three significant digits."""
    sign = "+" if weight >= 0 else numbers.MINUS
    size = abs(weight)
    return f"{sign}{size:.3g}" if 1e-4 <= size < 1e4 or not size else f"{sign}{size:.1e}"
