"""Signed total effects through an attribution graph: what the removal of nodes is predicted to change."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.graphs.adjacency import Nodes, Values
from safetycase.evidence.graphs.graph import AttributionGraph

Effects = NDArray[np.float64]


def total_effects(graph: AttributionGraph, onto: Mapping[int, float], removed: Collection[int] = ()) -> Effects:
    """[node]: what each node's whole value contributes to a weighted sum of what some nodes read, over all paths of the graph.

    `onto` gives the weight of each node that is read: of a target its functional, of a feature its pre-activation. An active feature
    passes on what changes in its pre-activation (ReLU, JumpReLU and TopK are the identity there), so that an edge into feature t counts
    by e[t] / activation[t]; attention patterns, norm scales and which features are active stay as they are. Features in `removed` pass
    nothing on: without them, paths through them do not count twice.
    """
    passes_on = _passes_on(graph, removed)
    read = np.zeros(graph.size)
    for node, weight in onto.items():
        read[node] = weight
    effects = np.zeros(graph.size)
    for rows, columns, values in reversed(list(_upwards(graph))):
        gain = read[rows] + passes_on[rows] * effects[rows]
        if gain.any():
            effects[columns] += gain @ values
    return effects


def changes_by_removal(graph: AttributionGraph, removed: Collection[int]) -> Effects:
    """[node]: what changes in what each node reads where the features `removed` are all set to zero, by the graph.

    The same paths from the other end: of one removal, onto every node at once. A removed feature's own inputs change too.
    """
    passes_on = _passes_on(graph, removed)
    lost = np.zeros(graph.size)
    lost[list(removed)] = -1.0
    changes = np.zeros(graph.size)
    for rows, columns, values in _upwards(graph):
        share = lost[columns] + passes_on[columns] * changes[columns]
        if share.any():
            changes[rows] = values @ share
    return changes


def onto_targets(graph: AttributionGraph) -> dict[int, float]:
    """The targets with their weights, as `onto`."""
    return dict(zip(range(graph.target_nodes.start, graph.size), graph.target_weights.tolist(), strict=True))


def _passes_on(graph: AttributionGraph, removed: Collection[int]) -> Effects:
    """[node]: by how much of its value a feature changes for a unit change of its pre-activation; 0 for all others."""
    found = np.zeros(graph.size)
    found[: graph.n_features] = 1 / graph.activation_values[graph.selected_features].astype(np.float64)
    found[list(removed)] = 0.0
    return found


def _upwards(graph: AttributionGraph) -> Iterator[tuple[Nodes, Nodes, Values]]:
    """Rows, columns and edges of every block, lower layers first; a block whose rows are of several layers comes in parts."""
    depths = graph.depths
    parts = [(level, block) for block in graph.adjacency.blocks for level in np.unique(depths[block.rows]).tolist()]
    for level, block in sorted(parts, key=lambda part: part[0]):
        within = depths[block.rows] == level
        yield (block.rows, block.columns, block.values) if within.all() else (block.rows[within], block.columns, block.values[within])
