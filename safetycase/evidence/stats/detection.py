"""How well a prediction detects something rare, from its errors on samples of both kinds."""

import numpy as np
from numpy.typing import ArrayLike

from safetycase.evidence.stats.agreement import beta_draws
from safetycase.evidence.stats.interval import Interval, Undefined, t_quantile, z_quantile
from safetycase.evidence.stats.rates import clopper_pearson, wilson


def precision_at(
    sensitivity: Interval, false_positives: Interval, prevalence: Interval, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> Interval:
    """The share of positive predictions that are right where the thing is as rare as it is (Bayes).

    prevalence x sensitivity / (that + (1 - prevalence) x false-positive rate), from samples that need not hold the thing as
    often as nature does. Each of the three is drawn from the Beta distribution with the effective n of its interval and
    Jeffreys' half added, as in `corrected_rate`; a draw without positive predictions counts half as 0, half as 1.

    Raises Undefined where nothing is ever predicted.
    """
    value = precision(sensitivity.value, false_positives.value, prevalence.value)
    if value is None:
        raise Undefined("nothing is ever predicted: there is no precision")
    rng = np.random.default_rng(seed)
    found, wrong, rare = (beta_draws(each, resamples, rng) for each in (sensitivity, false_positives, prevalence))
    true, false = rare * found, (1 - rare) * wrong
    draws = np.divide(true, true + false, out=np.asarray(np.arange(resamples) % 2, dtype=np.float64), where=true + false > 0)
    low, high = (float(q) for q in np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]))
    method = (
        f"sensitivity {sensitivity.value:.2f} and false-positive rate {false_positives.value:.3f} at density {prevalence.value:.2g}, "
        f"{resamples} parametric bootstrap draws"
    )
    n, clusters = sensitivity.n + false_positives.n, sensitivity.clusters + false_positives.clusters
    return Interval(value, min(low, value), max(high, value), level, n, clusters, method)


def prevalence(events: int, items: int, by_cluster: ArrayLike, clusters: int, level: float = 0.95) -> Interval:
    """The share of items in which something happens that comes in bursts: a feature that fires in some documents, often where it does.

    `by_cluster` says how often it happens in each cluster in which it does; a finer unit than items will do. Wilson's interval, with
    as many events as clusters of equal weight would show ((sum of counts)^2 / sum of squared counts, Kish 1965), and t in the place
    of z; at 0 and 1 Clopper and Pearson's over clusters. Raises Undefined for fewer than two clusters, or for one that holds all events.
    """
    counts = np.asarray(by_cluster, dtype=np.float64)
    assert 0 <= events <= items, (events, items)
    assert counts.size <= clusters, (counts.size, clusters)
    assert bool(events) == bool(counts.sum() > 0), (events, counts.sum())
    if clusters < 2 or counts.size == 1:
        raise Undefined(f"all that is known of how often it happens is of one cluster of {clusters}")
    value = events / items if items else 0.0
    if value in (0.0, 1.0):
        low, high = clopper_pearson(clusters * value, clusters, level)
        return Interval(value, low, high, level, items, clusters, f"Clopper-Pearson over {clusters} clusters")
    alike = float(counts.sum() ** 2 / (counts**2).sum())
    n = alike / value * (z_quantile(level) / t_quantile(level, max(alike - 1, 1.0))) ** 2
    low, high = wilson(value, n, level)
    method = f"Wilson, {counts.size} of {clusters} clusters with events weigh as {alike:.1f} equal ones"
    return Interval(value, min(low, value), max(high, value), level, items, clusters, method)


def balanced_accuracy(sensitivity: Interval, specificity: Interval) -> Interval:
    """The mean of two rates on different samples; margins of both are squared and added (MOVER, Zou and Donner 2008, eq. 2)."""
    assert sensitivity.level == specificity.level, (sensitivity.level, specificity.level)
    value = (sensitivity.value + specificity.value) / 2
    low = value - float(np.hypot(sensitivity.value - sensitivity.low, specificity.value - specificity.low)) / 2
    high = value + float(np.hypot(sensitivity.high - sensitivity.value, specificity.high - specificity.value)) / 2
    method = f"squared margins added (MOVER); sensitivity: {sensitivity.method}; specificity: {specificity.method}"
    n, clusters = sensitivity.n + specificity.n, sensitivity.clusters + specificity.clusters
    return Interval(value, low, high, sensitivity.level, n, clusters, method)


def precision(sensitivity: float, false_positives: float, prevalence: float) -> float | None:
    """The point that `precision_at` puts an interval around; None where nothing is predicted."""
    hits, alarms = prevalence * sensitivity, (1 - prevalence) * false_positives
    return hits / (hits + alarms) if hits + alarms > 0 else None
