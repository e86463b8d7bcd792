"""Random subgraphs of equal size: what a score is worth that a chosen subgraph reaches."""

from dataclasses import dataclass

import numpy as np

from safetycase.evidence.graphs.adjacency import Mask, Weights
from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.evidence.graphs.scores import Subgraphs, SubgraphScores


@dataclass(frozen=True)
class RandomSubgraphs:
    """Scores of a chosen subgraph and of random ones of its size."""

    chosen: SubgraphScores
    replacement: Weights
    """[draw]"""
    completeness: Weights
    """[draw]"""

    @property
    def n(self) -> int:
        """How many were drawn."""
        return len(self.replacement)

    @property
    def p_replacement(self) -> float:
        """(1 + draws that score at least as high) / (1 + draws)."""
        return _p(self.chosen.replacement, self.replacement)

    @property
    def p_completeness(self) -> float:
        """(1 + draws that score at least as high) / (1 + draws)."""
        return _p(self.chosen.completeness, self.completeness)


def random_subgraph_scores(graph: AttributionGraph, kept: Mask, n: int, seed: int) -> RandomSubgraphs:
    """Scores of the features of `kept`, [feature node], and of `n` random sets with as many features at each layer.

    Draws are without replacement from the graph's feature nodes, those of `kept` among them; each draw has a generator of its own.
    """
    subgraphs = Subgraphs(graph)
    layers = graph.features[:, 0]
    drawn = [subgraphs.scores(_drawn(layers, kept, np.random.default_rng([seed, draw]))) for draw in range(n)]
    return RandomSubgraphs(
        chosen=subgraphs.scores(kept),
        replacement=np.array([each.replacement for each in drawn], dtype=np.float64),
        completeness=np.array([each.completeness for each in drawn], dtype=np.float64),
    )


def _drawn(layers: np.ndarray[tuple[int], np.dtype[np.int64]], kept: Mask, generator: np.random.Generator) -> Mask:
    mask = np.zeros(len(layers), dtype=np.bool_)
    for layer in np.unique(layers[kept]).tolist():
        among = np.flatnonzero(layers == layer)
        mask[generator.choice(among, size=int(kept[among].sum()), replace=False)] = True
    return mask


def _p(score: float, draws: Weights) -> float:
    return (1 + int((draws >= score).sum())) / (1 + len(draws))
