"""What every estimate is made of: an interval, the clusters it rests on, and the word for 'cannot be estimated'."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Clusters = NDArray[Any]
"""One label per item (a string or a number): the family of prompts that the item belongs to."""

ASSUMED_ICC = 0.3
"""Correlation within a cluster that is assumed where the sample itself holds no information on it (0 of n, n of n)."""

ASSUMED_EVENTS = 3.0
"""Weight of `ASSUMED_ICC` in samples of rare events: as many events seen weigh as much as the assumption."""


class Undefined(Exception):
    """A quantity that this sample cannot estimate; the estimate is then absent, with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided interval: `low <= value <= high`, `n` items in `clusters` clusters."""

    value: float
    low: float
    high: float
    level: float
    n: int
    clusters: int
    method: str

    def __post_init__(self) -> None:
        assert self.low <= self.value <= self.high, (self.low, self.value, self.high)
        assert 0 < self.level < 1, self.level


@dataclass(frozen=True, slots=True)
class Grouped:
    """Items summed by cluster, in an order that depends on neither the items' order nor the labels' names."""

    values: NDArray[np.float64]  # per item
    sums: NDArray[np.float64]  # per cluster
    sizes: NDArray[np.float64]  # per cluster
    within: float  # sum of squares within the clusters

    @property
    def n(self) -> int:
        return self.values.size

    @property
    def count(self) -> int:
        return self.sums.size

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def size_of_own_cluster(self) -> float:
        """Cluster size as the mean item sees it, sum(m^2) / n: what a design effect grows with."""
        return float((self.sizes**2).sum() / self.n)

    @property
    def effective_count(self) -> float:
        """How many equal clusters would weigh as these do (Kish 1965): the count where all are equal, less elsewhere."""
        return self.n / self.size_of_own_cluster


def grouped(values: ArrayLike, clusters: Clusters | None) -> Grouped:
    """Sum `values` by cluster; without clusters each item stands alone. Raises Undefined for an empty sample."""
    x = np.asarray(values, dtype=np.float64)
    assert x.ndim == 1, x.shape
    assert np.isfinite(x).all(), "a value that is not finite reached the statistics"
    if x.size == 0:
        raise Undefined("there is nothing to average: the sample is empty")
    ascending = np.argsort(x, kind="stable")  # sums then round alike in whatever order the items came
    x = x[ascending]
    if clusters is None:
        return Grouped(x, x, np.ones(x.size), 0.0)
    labels = np.asarray(clusters)
    assert labels.shape == x.shape, (labels.shape, x.shape)
    _, index = np.unique(labels[ascending], return_inverse=True)
    sizes = np.asarray(np.bincount(index), dtype=np.float64)
    sums = np.asarray(np.bincount(index, weights=x), dtype=np.float64)
    within = np.asarray(np.bincount(index, weights=(x - (sums / sizes)[index]) ** 2), dtype=np.float64)
    order = np.lexsort((within, sizes, sums))
    return Grouped(x, sums[order], sizes[order], float(within[order].sum()))


def design_effect(groups: Grouped) -> float:
    """How many times the variance of a mean exceeds that of as many independent items; never below 1.

    1 + (m - 1) * icc, with m the cluster size as the mean item sees it and the icc of the one-way analysis of variance
    (Donner 1986), drawn towards `ASSUMED_ICC` where few items differ from the commonest value: with 0 of n events
    nothing is known of how events cluster, and an estimate of zero would make the interval too short just there.
    """
    size = groups.size_of_own_cluster
    if size == 1.0:
        return 1.0
    _, counts = np.unique(groups.values, return_counts=True)
    events = groups.n - int(counts.max())
    weight = ASSUMED_EVENTS / (ASSUMED_EVENTS + events)
    icc = weight * ASSUMED_ICC + (1 - weight) * max(_icc(groups), 0.0)
    return 1.0 + (size - 1.0) * icc


def _icc(groups: Grouped) -> float:
    n, count = groups.n, groups.count
    if count < 2 or n == count:
        return 0.0
    between = float((groups.sizes * (groups.sums / groups.sizes - groups.mean) ** 2).sum()) / (count - 1)
    within = groups.within / (n - count)
    size = (n - groups.size_of_own_cluster) / (count - 1)
    total = between + (size - 1.0) * within
    return (between - within) / total if total > 0 else 0.0


def need_clusters(groups: Grouped) -> None:
    """Raise Undefined where the items come from one cluster: nothing then shows how much clusters differ."""
    if groups.count < 2 <= groups.n:
        raise Undefined(f"all {groups.n} items are of one family: an interval needs at least 2 families")


def z_quantile(level: float) -> float:
    """The two-sided normal quantile, 1.96 at 0.95."""
    return float(special.ndtri(0.5 + level / 2))


def t_quantile(level: float, df: float) -> float:
    """The two-sided quantile of Student's t."""
    return float(special.stdtrit(df, 0.5 + level / 2))


def skewed_quantile(t: float, skew: float) -> float:
    """What a quantile of t turns into under skewness (Hall 1992, J. R. Statist. Soc. B 54, 221: the cubic transformation)."""
    if abs(skew) < 1e-6:
        return t
    return float(3 / skew * (np.cbrt(1 + skew * (t - skew / 6)) - 1))
