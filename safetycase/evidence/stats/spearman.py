"""Spearman's correlation of predictions with measurements that come in clusters, with an interval that has width at 1."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safetycase.evidence.stats.correlations import ranks
from safetycase.evidence.stats.interval import Clusters, Interval, Undefined, skewed_quantile, t_quantile

FEWEST_ROWS = 4
FEWEST_CLUSTERS = 3
ROUNDING = 1e-12
"""One exchange of neighbours among n rows takes 6 / (n^3 - n) from a correlation of 1."""
BONETT_WRIGHT = 0.5
"""Variance of the z of Spearman's correlation r: (1 + r^2 / 2) / (n - 3) (Bonett and Wright 2000, eq. 4)."""


def spearman(x: ArrayLike, y: ArrayLike, clusters: Clusters, level: float = 0.95) -> Interval:
    """Spearman's rank correlation of two quantities over rows of clusters; ties share the mean of their ranks.

    Interval: Fisher's z with the jackknife over clusters (never below Bonett and Wright's variance of independent rows) and Student's
    t, lengthened on the side of the longer tail (Hall 1992); at 1 and -1 Clopper and Pearson's limit on the share of clusters that could
    differ, by as much as a correlation can.

    Raises Undefined for fewer than 4 rows or 3 clusters, and where either quantity does not vary, with or without any one cluster.
    """
    sample = _sample(x, y, clusters)
    n, count = sample.x.size, int(sample.clusters.max(initial=-1)) + 1
    if n < FEWEST_ROWS:
        raise Undefined(f"{n} rows are too few for a rank correlation: at least {FEWEST_ROWS} are needed")
    if count < FEWEST_CLUSTERS:
        raise Undefined(f"all {n} rows are of {count} families: an interval of a rank correlation needs at least {FEWEST_CLUSTERS}")
    value = sample.correlation()
    left_out = np.array([_z(sample.without(cluster).correlation()) for cluster in range(count)])
    if 1 - abs(value) <= ROUNDING:
        differs = 1 - ((1 - level) / 2) ** (1 / count)
        low, high = value - differs * (1 + value), value + differs * (1 - value)
        method = f"Spearman, Clopper-Pearson bound on the share of {count} families that differs"
    else:
        low, high = _fisher(value, left_out, sample, level)
        method = f"Spearman; Fisher's z, jackknife over {count} families"
    return Interval(value, max(min(low, value), -1.0), min(max(high, value), 1.0), level, n, count, method)


@dataclass(frozen=True, slots=True)
class _Sample:
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    clusters: NDArray[Any]
    """Numbers from 0."""

    def without(self, cluster: int) -> "_Sample":
        kept = self.clusters != cluster
        return _Sample(self.x[kept], self.y[kept], self.clusters[kept])

    def correlation(self) -> float:
        x, y = (each - each.mean() for each in (ranks(self.x), ranks(self.y)))
        spread = float(np.sqrt((x @ x) * (y @ y)))
        if spread == 0:
            which = "first" if not x.any() else "second"
            raise Undefined(f"the {which} quantity does not vary, or varies within one family alone: there is nothing to rank")
        return float(np.clip(x @ y / spread, -1.0, 1.0))


def _sample(x: ArrayLike, y: ArrayLike, clusters: Clusters) -> _Sample:
    """In an order that depends on neither the rows' order nor the clusters' names, so that sums round alike."""
    one, other, labels = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), np.asarray(clusters)
    assert one.ndim == 1, one.shape
    assert one.shape == other.shape == labels.shape, (one.shape, other.shape, labels.shape)
    assert np.isfinite(one + other).all(), "a value that is not finite reached the statistics"
    order = np.lexsort((labels, other, one))
    return _Sample(one[order], other[order], np.unique(labels[order], return_inverse=True)[1])


def _fisher(value: float, left_out: NDArray[np.float64], sample: _Sample, level: float) -> tuple[float, float]:
    sizes = np.bincount(sample.clusters)
    jackknife = float(((left_out - _z(value)) ** 2).sum()) * (sizes.size - 1) / sizes.size
    independent = (1 + BONETT_WRIGHT * value**2) / max(sample.x.size - 3, 1)
    error = float(np.sqrt(max(jackknife, independent)))
    t = t_quantile(level, max(sample.x.size**2 / float((sizes**2).sum()) - 1, 1.0))
    pulls = np.sort(left_out.mean() - left_out)
    second = float((pulls**2).sum())
    skew = float((pulls**3).sum()) / second**1.5 if second > 0 else 0.0
    z = _z(value)
    return float(np.tanh(z - error * max(t, skewed_quantile(t, skew)))), float(np.tanh(z + error * max(t, -skewed_quantile(-t, skew))))


def _z(value: float) -> float:
    return float(np.arctanh(np.clip(value, -1 + 1e-9, 1 - 1e-9)))
