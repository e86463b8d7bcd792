"""The area under the ROC curve with an interval that has width at 1.0 and knows of clusters."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safetycase.evidence.stats.interval import (
    Clusters,
    Grouped,
    Interval,
    Undefined,
    design_effect,
    grouped,
    need_clusters,
    t_quantile,
)


def auroc(
    scores_positive: ArrayLike,
    scores_negative: ArrayLike,
    level: float = 0.95,
    clusters_positive: Clusters | None = None,
    clusters_negative: Clusters | None = None,
) -> Interval:
    """The chance that a positive item scores above a negative one (ties count half: Mann and Whitney).

    Score interval of Newcombe (2006, method 5), with Hanley and McNeil's variance at each candidate value, so that it
    has width at 0 and 1; the variance is inflated to the clustered DeLong variance (Obuchowski 1997) or by the design
    effect of the placement values, whichever is larger.

    Raises Undefined where either class is empty, or of fewer than 2 items or clusters.
    """
    positive = np.asarray(scores_positive, dtype=np.float64)
    negative = np.asarray(scores_negative, dtype=np.float64)
    for scores, name in ((positive, "positive"), (negative, "negative")):
        assert np.isfinite(scores).all(), f"a {name} score is not finite"
        if scores.size < 2:
            raise Undefined(f"an AUROC needs at least 2 {name} items, there are {scores.size}")
    above = grouped(_placements(positive, negative), clusters_positive)
    below = grouped(1.0 - _placements(negative, positive), clusters_negative)
    need_clusters(above)
    need_clusters(below)
    value = above.mean
    inflation = _inflation(value, above, below)
    t = t_quantile(level, min(above.count, below.count) - 1)
    low, high = _score_limits(value, above.n, below.n, t * np.sqrt(inflation))
    method = f"Newcombe's score interval, Hanley-McNeil variance x {inflation:.1f} (clustered DeLong)"
    clusters = above.count + below.count
    return Interval(value, min(low, value), max(high, value), level, above.n + below.n, clusters, method)


def _placements(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each score, the share of `others` below it, ties counting half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * others.size)


def _inflation(value: float, above: Grouped, below: Grouped) -> float:
    effects = design_effect(above), design_effect(below)
    assumed = _hanley_mcneil(value, above.n, below.n)
    if assumed <= 0:
        return max(effects)
    delong = sum(group.values.var(ddof=1) / group.n * effect for group, effect in zip((above, below), effects, strict=True))
    return float(max(delong / assumed, *effects))


def _hanley_mcneil(theta: float, positive: int, negative: int) -> float:
    """Variance of the AUROC at `theta` under exponential scores, with the mean class size in both places (Newcombe)."""
    size = (positive + negative) / 2
    spread = 1 + (size - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    return theta * (1 - theta) * spread / (positive * negative)


def _score_limits(value: float, positive: int, negative: int, z: float) -> tuple[float, float]:
    def limit(outside: float) -> float:
        inside = value
        for _ in range(60):
            middle = (inside + outside) / 2
            far = (middle - value) ** 2 > z**2 * _hanley_mcneil(middle, positive, negative)
            inside, outside = (inside, middle) if far else (middle, outside)
        return outside

    return limit(0.0), limit(1.0)
