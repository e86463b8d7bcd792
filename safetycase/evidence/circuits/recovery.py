"""How well scores of edges find the edges that are known to matter."""

import numpy as np
from numpy.typing import ArrayLike

from safetycase.evidence.circuits.edges import Mask
from safetycase.evidence.stats.interval import Interval
from safetycase.evidence.stats.ranks import auroc


def edge_auroc(scores: ArrayLike, true: Mask, level: float = 0.95) -> Interval:
    """Chance that a true edge has a larger |score| than another edge, ties counting half (as InterpBench, Gupta et al. 2024).

    The interval takes edges for independent, which those of one model are not: it says how much so few edges can show, and no more.
    Raises Undefined for fewer than two edges of either kind.
    """
    sizes = np.abs(np.asarray(scores, dtype=np.float64))
    assert sizes.shape == true.shape, (sizes.shape, true.shape)
    return auroc(sizes[true], sizes[~true], level)
