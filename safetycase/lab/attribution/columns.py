"""Which columns a block of rows has: the nodes that can reach a target of some layer at or before some position."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safetycase.lab.attribution.active_features import ActiveFeatures


@dataclass(frozen=True)
class Columns:
    """Features and errors of the first `n_layers` layers and tokens, all at the first `n_positions` positions, in the order of nodes."""

    features: tuple[int, ...]
    """By layer: the column of its first feature."""
    errors: tuple[slice, ...]
    """By layer."""
    tokens: slice
    n_positions: int
    nodes: NDArray[np.int64]
    """Node of every column, features numbered among all active ones."""

    def __len__(self) -> int:
        return int(self.tokens.stop)


def columns_for(features: ActiveFeatures, n_layers: int, n_positions: int, all_layers: int, all_positions: int) -> Columns:
    """The layout for targets that only these layers' MLPs write to."""
    firsts, nodes, total = [], [], 0
    for layer in range(n_layers):
        start, stop = features.starts[layer][0], features.starts[layer][n_positions]
        firsts.append(total)
        nodes.append(np.arange(start, stop))
        total += stop - start
    offset = len(features)
    errors = []
    for layer in range(n_layers):
        errors.append(slice(total, total + n_positions))
        nodes.append(np.arange(n_positions) + offset + layer * all_positions)
        total += n_positions
    nodes.append(np.arange(n_positions) + offset + all_layers * all_positions)
    return Columns(tuple(firsts), tuple(errors), slice(total, total + n_positions), n_positions, np.concatenate(nodes).astype(np.int64))
