"""Differences between two measurements of one quantity: by prompt where they share prompts, else from their two intervals."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.stats.interval import Clusters, Interval, t_quantile
from safetycase.evidence.stats.means import paired_difference
from safetycase.evidence.stats.rates import rate_difference


@dataclass(frozen=True, slots=True)
class Margins:
    """A value and its interval at some level, with the number of clusters behind it."""

    value: float
    low: float
    high: float
    level: float
    clusters: int


def paired_change(
    now: NDArray[np.float64], was: NDArray[np.float64], clusters: Clusters, level: float, *, share: bool, bounds: tuple[float, float] | None
) -> Interval:
    """The mean change over prompts that both measured, clustered by family: Tango's score interval for shares, else as `stats.mean`.

    `share` says that the values are zeros and ones; `bounds` are those of a change of any other quantity, None for unbounded ones.
    Raises Undefined for a single family, or equal changes of an unbounded quantity.
    """
    if not share:
        return paired_difference(now, was, clusters, level, bounds=bounds)
    return rate_difference(now == 1.0, was == 1.0, clusters, level)


def independent_change(now: Margins, was: Margins, level: float) -> tuple[float, float]:
    """Both limits of `now - was` from two intervals alone, as if the measurements were independent (MOVER, Zou and Donner 2008, eq. 2).

    On the same prompts, where measurements go together, it is too wide. Intervals of another level are brought to `level` first.
    """
    low_now, high_now = _limits(now, level)
    low_was, high_was = _limits(was, level)
    difference = now.value - was.value
    return difference - math.hypot(now.value - low_now, high_was - was.value), difference + math.hypot(
        high_now - now.value, was.value - low_was
    )


def _limits(margins: Margins, level: float) -> tuple[float, float]:
    """The interval at another level: each side grows with the quantile of Student's t.

    Where a limit is the value itself (0 of n, n of n) the other side is an exact limit, whose length grows with the logarithm of the tail.
    """
    if margins.level == level:
        return margins.low, margins.high
    df = max(margins.clusters - 1, 1)
    factor = t_quantile(level, df) / t_quantile(margins.level, df)
    if margins.value in (margins.low, margins.high):
        factor = max(factor, math.log((1 - level) / 2) / math.log((1 - margins.level) / 2)) if level > margins.level else factor
    return margins.value - factor * (margins.value - margins.low), margins.value + factor * (margins.high - margins.value)
