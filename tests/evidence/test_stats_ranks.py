"""The area under the ROC curve: Mann and Whitney's statistic, width at the boundary, clusters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from safetycase.evidence import stats

scores = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=40)


@given(scores, scores)
def test_the_area_is_mann_and_whitneys_statistic(positive: list[float], negative: list[float]) -> None:
    """Ties count half; the interval is ordered, within 0 and 1, and has width."""
    expected = scipy_stats.mannwhitneyu(positive, negative, method="asymptotic", use_continuity=False).statistic

    interval = stats.auroc(positive, negative)

    assert interval.value == pytest.approx(expected / (len(positive) * len(negative)))
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high


@given(scores, scores)
def test_swapping_the_classes_mirrors_the_interval(positive: list[float], negative: list[float]) -> None:
    """AUROC of the negatives over the positives is 1 minus it, limits included."""
    there, back = stats.auroc(positive, negative), stats.auroc(negative, positive)

    assert (there.low, there.high) == pytest.approx((1 - back.high, 1 - back.low), abs=1e-6)


def test_perfect_separation_keeps_width() -> None:
    """At 1.0 the lower limit solves (1 - a)^2 = t^2 V(a) with Hanley and McNeil's variance."""
    interval = stats.auroc(np.arange(50) + 100.0, np.arange(50))

    a = interval.low
    variance = a * (1 - a) * (1 + 49 * ((1 - a) / (2 - a) + a / (1 + a))) / 2500
    assert interval.high == 1.0
    assert (1 - a) ** 2 == pytest.approx(scipy_stats.t.ppf(0.975, 49) ** 2 * variance)


def test_clusters_widen_the_interval() -> None:
    """Scores that families share are worth less than as many independent ones."""
    rng = np.random.default_rng(0)
    positive, negative = (np.repeat(rng.normal(shift, 1, 12), 5) for shift in (1, 0))
    families = np.repeat(np.arange(12), 5)

    alone = stats.auroc(positive, negative)
    together = stats.auroc(positive, negative, 0.95, families, families)

    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert (together.n, together.clusters) == (120, 24)


def test_one_item_of_a_class_is_too_few() -> None:
    """Undefined names the class."""
    with pytest.raises(stats.Undefined, match="at least 2 positive items, there are 1"):
        stats.auroc([1.0], [0.0, 2.0])
