"""Signed total effects through an attribution graph: what the removal of nodes is predicted to change."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.graphs.graph import AttributionGraph

Effects = NDArray[np.float64]


def total_effects(graph: AttributionGraph, onto: Mapping[int, float], removed: Collection[int] = ()) -> Effects:
    """[node]: what each node's whole value contributes to a weighted sum of what some nodes read, over all paths of the graph.

    `onto` gives the weight of each node that is read: of a target its functional, of a feature its pre-activation. An active feature
    passes on what changes in its pre-activation (ReLU, JumpReLU and TopK are the identity there), so that an edge into feature t counts
    by e[t] / activation[t]; attention patterns, norm scales and which features are active stay as they are. Features in `removed` pass
    nothing on: without them, paths through them do not count twice.
    """
    activations = np.ones(graph.size)
    activations[: graph.n_features] = graph.activation_values[graph.selected_features]
    passes_on = np.zeros(graph.size)
    passes_on[: graph.n_features] = 1.0
    passes_on[list(removed)] = 0.0
    read = np.zeros(graph.size)
    for node, weight in onto.items():
        read[node] = weight
    effects = np.zeros(graph.size)
    for block in sorted(graph.adjacency.blocks, key=lambda block: _layer(graph, int(block.rows[0])), reverse=True):
        gain = read[block.rows] + passes_on[block.rows] * effects[block.rows] / activations[block.rows]
        if gain.any():
            effects[block.columns] += gain @ block.values
    return effects


def change_by_removal(graph: AttributionGraph, removed: Collection[int], onto: Mapping[int, float]) -> float:
    """What the weighted sum changes by where the features `removed` are all set to zero, by the graph: minus what they contribute."""
    if not removed:
        return 0.0
    return -float(total_effects(graph, onto, removed)[list(removed)].sum())


def onto_targets(graph: AttributionGraph) -> dict[int, float]:
    """The targets with their weights, as `onto`."""
    return dict(zip(range(graph.target_nodes.start, graph.size), graph.target_weights.tolist(), strict=True))


def _layer(graph: AttributionGraph, node: int) -> int:
    """Of a target or a feature: sources lie in lower layers, so that rows are done from the top."""
    return graph.n_layers if node >= graph.target_nodes.start else int(graph.features[node, 0])
