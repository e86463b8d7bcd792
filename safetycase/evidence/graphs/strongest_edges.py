"""The edges that hold most of all edge scores, found in two passes over the blocks without sorting all of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.graphs.adjacency import Adjacency, Mask, Nodes, Values, Weights
from safetycase.evidence.graphs.scores import LEAST_SUM

BIN_SHIFT = 44
"""Bits of a float64 that are dropped to name its bin, which leaves the exponent and 8 bits of the fraction: bins are 0.4 % wide."""


@dataclass(frozen=True)
class Edges:
    """Some edges, by target, then by source, both ascending."""

    target: NDArray[np.int32]
    source: NDArray[np.int32]
    weight: NDArray[np.float32]
    """Signed, as in the adjacency."""

    def __len__(self) -> int:
        return len(self.weight)

    def where(self, chosen: Mask | Nodes) -> "Edges":
        """Some of them, by a mask or by place."""
        return Edges(self.target[chosen], self.source[chosen], self.weight[chosen])


def strongest_edges(adjacency: Adjacency, influence: Weights, row_sums: Weights, threshold: float) -> Edges:
    """The fewest edges that hold the share `threshold` of all scores, with all that score like the last of them.

    An edge's score is its share of the absolute inputs of its target, whose sums are `row_sums`, [node], times the target's influence,
    [node], its own weight included. The first pass adds up scores by bins and finds the one in which the threshold falls; the second
    gathers the edges in that bin and above, so that only the edges of one bin are sorted.
    """
    factors = influence / np.maximum(row_sums, LEAST_SUM)
    held = np.zeros(1 << (63 - BIN_SHIFT))
    for part in _scored(adjacency, factors):
        held += np.bincount(_bins(part.scores).ravel(), weights=part.scores.ravel(), minlength=len(held))
    from_top = np.cumsum(held[::-1])
    if threshold >= 1 or not from_top[-1] > 0:
        return _gathered(adjacency, factors, 0)[0]
    wanted = max(threshold * from_top[-1], np.finfo(np.float64).tiny)  # at 0 the strongest edge alone
    place = int(np.searchsorted(from_top, wanted))
    last = len(held) - 1 - place
    edges, scores = _gathered(adjacency, factors, last)
    inside = np.sort(scores[_bins(scores) == last])[::-1]
    above = from_top[place - 1] if place else 0.0
    least = int(np.searchsorted(above + np.cumsum(inside), wanted))
    return edges.where(scores >= inside[min(least, len(inside) - 1)])


class _Scored(NamedTuple):
    """Some rows of a block: scores and edges, [row, column], and the nodes that they join."""

    scores: Weights
    signed: Values
    rows: Nodes
    columns: Nodes


def _scored(adjacency: Adjacency, factors: Weights) -> Iterator[_Scored]:
    for part in adjacency.strengths(np.zeros(adjacency.size, dtype=np.int64)):
        yield _Scored(part.values * factors[part.rows, None], part.signed, part.rows, part.columns)


def _bins(scores: Weights) -> Nodes:
    """Floats that are not negative are ordered as their bits are."""
    return scores.view(np.int64) >> BIN_SHIFT


def _gathered(adjacency: Adjacency, factors: Weights, least: int) -> tuple[Edges, Weights]:
    """The edges with a score above 0 in a bin or above it, with their scores."""
    floor = float(np.int64(least << BIN_SHIFT).view(np.float64))
    found: list[tuple[NDArray[np.int32], NDArray[np.int32], Values, Weights]] = []
    for part in _scored(adjacency, factors):
        strong = (part.scores >= floor) & (part.scores > 0)
        targets = np.repeat(part.rows.astype(np.int32), np.count_nonzero(strong, axis=1))
        sources = np.broadcast_to(part.columns.astype(np.int32), strong.shape)[strong]
        found.append((targets, sources, part.signed[strong], part.scores[strong]))
    if not found:
        return Edges(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)), np.zeros(0)
    target, source, weight, scores = (np.concatenate(each) for each in zip(*found, strict=True))
    edges = Edges(target, source, weight)
    place = target.astype(np.int64) * adjacency.size + source
    if (np.diff(place) < 0).any():
        order = np.argsort(place, kind="stable")
        return edges.where(order), scores[order]
    return edges, scores
