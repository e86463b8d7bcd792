"""Which features a graph with a budget holds: those with the most influence on its targets, ranked anew as it grows."""

import numpy as np
from numpy.typing import NDArray

from safetycase.lab.attribution.edge_rows import EdgeRows

LEAST_ROW_SUM = 1e-8
"""circuit-tracer's floor of what a row is divided by."""


def chosen_features(rows: EdgeRows, weights: NDArray[np.float64], most: int, at_once: int) -> NDArray[np.int64]:
    """Adds the rows of `most` active features, `at_once` between rankings; returns them ascending.

    `weights` are the targets'. Equal influences are taken by index.
    """
    active = len(rows.pass_.features)
    visited = np.zeros(active, dtype=bool)
    while (left := most - int(visited.sum())) > 0:
        influence = partial_influence(rows, weights)[:active]
        ranked = np.argsort(-influence, kind="stable")
        pending = ranked[~visited[ranked]][: min(at_once, left)]
        rows.add_features(pending)
        visited[pending] = True
    return np.flatnonzero(visited)


def partial_influence(rows: EdgeRows, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Influence of every active feature, error and token in the graph so far (Ameisen et al. 2025, "Pruning"), in float64.

    The sum over all powers of the matrix of absolute edges, rows scaled to 1: layers are visited from the top, so that a
    feature's influence is complete before its own row passes it on.
    """
    active = len(rows.pass_.features)
    others = (rows.pass_.n_layers + 1) * rows.pass_.n_positions
    influence = np.zeros(active + others)
    for block in sorted(rows.blocks, key=lambda block: -int(block.targets[0])):
        is_target = block.targets[0] >= active
        passed = weights[block.targets - active] if is_target else influence[block.targets]
        size = np.abs(block.values)
        scale = passed / np.maximum(size.sum(axis=1, dtype=np.float64), LEAST_ROW_SUM)
        influence[block.nodes] += scale.astype(np.float32) @ size
    return influence
