"""Precision at natural density and balanced accuracy: Bayes by hand, limits, and what is never predicted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.evidence import stats
from safetycase.evidence.stats import Interval


def share(successes: int, n: int) -> Interval:
    return stats.rate(np.arange(n) < successes, None)


def test_precision_is_bayes_theorem() -> None:
    """Nine in ten found and one in twenty wrong, of one in a hundred: 0.009 / (0.009 + 0.0495)."""
    made = stats.precision_at(share(90, 100), share(5, 100), share(100, 10_000))

    assert made.value == pytest.approx(0.009 / (0.009 + 0.0495))
    assert made.low < made.value < made.high


def test_few_silent_windows_leave_a_rare_feature_open() -> None:
    """None of 20 silent windows predicted gives a precision of one whose interval reaches far down; at natural frequency it does not."""
    rare, common = (stats.precision_at(share(20, 20), share(0, 20), share(k, 1000)) for k in (5, 500))

    assert rare.value == common.value == 1.0
    assert rare.low < 0.2 < 0.85 < common.low


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
def test_limits_hold_the_value_within_zero_and_one(hits: int, alarms: int, fires: int) -> None:
    """Whatever was found, the interval is one of a share; where nothing is predicted there is none."""
    arguments = share(hits, 30), share(alarms, 30), share(fires, 200)
    if stats.precision(*(each.value for each in arguments)) is None:
        with pytest.raises(stats.Undefined, match="nothing is ever predicted"):
            stats.precision_at(*arguments, resamples=200)
        return
    made = stats.precision_at(*arguments, resamples=200)

    assert 0 <= made.low <= made.value <= made.high <= 1
    assert made.low < made.high


def test_balanced_accuracy_is_the_mean_of_two_rates() -> None:
    """Its margins are those of two independent rates; equal rates on equal samples give margins shorter by the root of two."""
    found = share(30, 40)
    made = stats.balanced_accuracy(found, found)

    assert made.value == pytest.approx(0.75)
    assert made.value - made.low == pytest.approx((found.value - found.low) / np.sqrt(2))
    assert made.high - made.value == pytest.approx((found.high - found.value) / np.sqrt(2))
    assert made.n == 80


def test_prevalence_rests_on_clusters_and_not_on_items() -> None:
    """Twenty events of twenty documents, ten of ten, or nearly all of one: the share is the same, what is left open is not."""
    even, half = (stats.prevalence(20, 2000, np.full(n, 20 / n), 400) for n in (20, 10))
    storm = stats.prevalence(20, 2000, [18.0, 1.0, 1.0], 400)

    widths = [made.high - made.low for made in (even, half, storm)]
    assert {made.value for made in (even, half, storm)} == {0.01}
    assert widths[0] < widths[1] < widths[2]
    assert all(made.low < 0.01 < made.high for made in (even, half, storm))


def test_prevalence_of_nothing_is_bounded_by_clusters() -> None:
    """None in 40 documents of 2,000 windows says no more than none in 40."""
    made = stats.prevalence(0, 2000, [], 40)

    assert (made.value, made.low) == (0.0, 0.0)
    assert made.high == pytest.approx(1 - 0.025 ** (1 / 40))


@pytest.mark.parametrize(("counts", "clusters"), [([5.0], 40), ([5.0], 1), ([], 1)])
def test_prevalence_of_one_cluster_is_not_known(counts: list[float], clusters: int) -> None:
    """Nothing then shows how clusters differ."""
    with pytest.raises(stats.Undefined, match="of one cluster"):
        stats.prevalence(int(sum(counts)), 100, counts, clusters)
