"""Correlations over clustered prompts: within a class and adjusted, and of doses with what they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safetycase.evidence.stats.interval import Clusters, Interval, Undefined, skewed_quantile, t_quantile
from safetycase.evidence.stats.nulls import NullTest, null_test

FEWEST_ITEMS = 8
FEWEST_FAMILIES = 6
"""Of a partial correlation's interval and test: the 2^5 different signs of five families could give no p below 0.05."""
FEWEST_DOSES = 3


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A partial correlation with what it would be without an association."""

    correlation: Interval
    flipped: NullTest
    """Absolute correlations after every cluster's contribution got a random sign; p is two-sided, clusters are the units."""


def partial_correlation(
    x: ArrayLike,
    y: ArrayLike,
    categories: Sequence[str],
    covariate: ArrayLike,
    clusters: Clusters,
    level: float = 0.95,
    seed: int = 0,
    flips: int = 999,
) -> Adjusted:
    """Pearson's correlation of x and y after category and a covariate are taken out of both.

    Interval: Fisher's z with the jackknife over clusters (category and covariate are taken out anew without each; never below the variance
    of independent items of a normal pair, 1 / (n - categories - 3)) and Student's t, lengthened on the side of the longer tail (Hall 1992).
    Raises Undefined for too few items or clusters, or where x or y does not vary within categories, with or without any one cluster.
    """
    x, y, labels = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), np.asarray(clusters)
    order = np.lexsort((labels, y, x))
    x, y, labels = x[order], y[order], labels[order]
    strata = np.unique(np.asarray(categories)[order], return_inverse=True)[1]
    sample = _Sample(x, y, strata, np.asarray(covariate, dtype=np.float64)[order])
    free = sample.free
    if x.size < FEWEST_ITEMS or free < 4:
        raise Undefined(f"{x.size} items in {strata.max(initial=-1) + 1} categories are too few to take category and length out")
    _, families = np.unique(labels, return_inverse=True)
    count = int(families.max()) + 1
    if count < FEWEST_FAMILIES:
        raise Undefined(f"all {x.size} items are of {count} families: an interval needs at least {FEWEST_FAMILIES}")
    u, v = sample.left_over()
    if u is None or v is None:
        raise Undefined(f"{'the first' if u is None else 'the second'} quantity does not vary within categories")
    value = float(u @ v)
    flipped = _flipped(np.asarray(np.bincount(families, weights=u * v), dtype=np.float64), seed, flips)
    return Adjusted(_fisher(value, sample, families, free, level), null_test(abs(value), flipped, "greater"))


@dataclass(frozen=True, slots=True)
class _Sample:
    """Two quantities with what is taken out of both."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    strata: NDArray[Any]
    covariate: NDArray[np.float64]

    @property
    def free(self) -> int:
        """Items less what is taken out."""
        return int(self.x.size - _design(self.strata, self.covariate).shape[1])

    def left_over(self) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        design = _design(self.strata, self.covariate)
        return _left_over(self.x, design), _left_over(self.y, design)

    def without(self, left_out: NDArray[np.bool_]) -> "_Sample":
        kept = ~left_out
        strata = np.unique(self.strata[kept], return_inverse=True)[1]
        return _Sample(self.x[kept], self.y[kept], strata, self.covariate[kept])


def _design(strata: NDArray[Any], covariate: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of category means and the covariate."""
    columns = [(strata == stratum).astype(np.float64) for stratum in range(strata.max(initial=-1) + 1)]
    inside = covariate.copy()
    for column in columns:
        inside -= column * (column @ covariate) / column.sum()
    if np.ptp(inside) > 1e-9 * max(1.0, float(np.abs(covariate).max(initial=0.0))):
        columns.append(inside)
    return np.stack([column / np.linalg.norm(column) for column in columns], axis=1) if columns else np.zeros((covariate.size, 0))


def _left_over(values: NDArray[np.float64], design: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """What the design does not explain, of length one; None where nothing is left."""
    rest = values - design @ (design.T @ values)
    length = float(np.linalg.norm(rest))
    return None if length <= 1e-9 * max(1.0, float(np.linalg.norm(values))) else rest / length


def _fisher(value: float, sample: _Sample, families: NDArray[Any], free: int, level: float) -> Interval:
    sizes = np.bincount(families)
    z, left_out = _z(value), np.empty(sizes.size)
    for family in range(sizes.size):
        u, v = sample.without(families == family).left_over()
        if u is None or v is None:
            raise Undefined("one family holds all the variation within categories: an interval needs it to be shared")
        left_out[family] = _z(float(u @ v))
    jackknife = float(((left_out - z) ** 2).sum()) * (sizes.size - 1) / sizes.size
    error = float(np.sqrt(max(jackknife, 1 / (free - 2))))
    t = t_quantile(level, max(families.size**2 / float((sizes**2).sum()) - 1, 1.0))
    pulls = left_out.mean() - left_out
    second = float((pulls**2).sum())
    skew = float((pulls**3).sum()) / second**1.5 if second > 0 else 0.0
    low, high = z - error * max(t, skewed_quantile(t, skew)), z + error * max(t, -skewed_quantile(-t, skew))
    method = f"Fisher's z, jackknife over {sizes.size} families, category and length taken out"
    return Interval(value, min(float(np.tanh(low)), value), max(float(np.tanh(high)), value), level, families.size, sizes.size, method)


def _z(value: float) -> float:
    return float(np.arctanh(np.clip(value, -1 + 1e-9, 1 - 1e-9)))


def _flipped(scores: NDArray[np.float64], seed: int, flips: int) -> NDArray[np.float64]:
    """Absolute sums under random signs, raised by the rounding of a sum: signs that repeat the observed ones are as extreme as these."""
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(flips, scores.size))
    sums: NDArray[np.float64] = np.abs(signs @ scores) + 1e-12 * np.abs(scores).sum()
    return sums


def rank_correlation(
    doses: Sequence[float], changes: NDArray[np.float64], clusters: Clusters, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> Interval:
    """Spearman's correlation of doses with the mean change at each; `changes` is [item, dose].

    Interval: percentiles of a bootstrap over clusters; where all resamples agree, Clopper and Pearson's limit on the share of clusters that
    could differ. Raises Undefined for fewer than three doses, a single cluster, or equal changes at every dose.
    """
    assert changes.shape[1:] == (len(doses),), (changes.shape, len(doses))
    if len(doses) < FEWEST_DOSES:
        raise Undefined(f"a dose-response needs at least {FEWEST_DOSES} doses, there are {len(doses)}")
    labels = np.asarray(clusters)
    order = np.lexsort((*changes.T, labels))
    _, index = np.unique(labels[order], return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    if sizes.size < 2:
        raise Undefined(f"all {len(changes)} items are of one family: an interval needs at least 2 families")
    sums = np.stack([np.bincount(index, weights=column[order]) for column in changes.T], axis=1)
    means = sums.sum(0) / sizes.sum()
    if np.ptp(means) <= 1e-12:
        raise Undefined("every dose changes as much as any other: nothing to rank")
    dose_ranks = ranks(np.asarray(doses, dtype=np.float64))
    value = float(_pearson(dose_ranks, ranks(means)))
    picks = np.random.default_rng(seed).integers(sizes.size, size=(resamples, sizes.size))
    drawn = sums[picks].sum(1) / sizes[picks].sum(1)[:, None]
    resampled = _pearson(dose_ranks, np.stack([ranks(each) for each in drawn]))
    low, high = (float(q) for q in np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]))
    method = f"Spearman over {len(doses)} doses, percentiles of {resamples} bootstrap samples of families"
    if low == high:
        differs = 1 - ((1 - level) / 2) ** (1 / sizes.size)
        low, high = value - differs * (value + 1), value + differs * (1 - value)
        method = f"Spearman over {len(doses)} doses, Clopper-Pearson bound on the share of families that differs"
    return Interval(value, min(low, value), max(high, value), level, len(changes), sizes.size, method)


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis; 0 where y does not vary."""
    a, b = x - x.mean(), y - y.mean(-1, keepdims=True)
    length = np.sqrt((a**2).sum() * (b**2).sum(-1))
    correlation: NDArray[np.float64] = np.divide((a * b).sum(-1), length, out=np.zeros_like(length), where=length > 0)
    return correlation


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2
