"""Means and paired differences: closed forms, the bootstrap beside scipy's, and degenerate samples."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from safetycase.evidence import stats

Sample = tuple[NDArray[np.float64], NDArray[np.int_]]


def samples() -> st.SearchStrategy[Sample]:
    """Unequal values in two to fifty clusters, so that both the t and the bootstrap are met."""
    item = st.tuples(st.integers(-1000, 1000).map(lambda i: i / 64), st.integers(0, 50))
    items = st.lists(item, min_size=6, max_size=120)
    return items.filter(lambda s: len({c for _, c in s}) > 1 and len({v for v, _ in s}) > 1).map(_arrays)


def _arrays(items: list[tuple[float, int]]) -> Sample:
    return np.array([i[0] for i in items]), np.array([i[1] for i in items])


def test_the_mean_of_few_independent_items_has_students_interval() -> None:
    """Symmetric values leave nothing to correct: the interval is scipy's t interval."""
    values = np.array([-3.0, -1.0, -1.0, 0.0, 1.0, 1.0, 3.0])
    expected = scipy_stats.t.interval(0.95, 6, values.mean(), scipy_stats.sem(values))

    interval = stats.mean(values, None)

    assert (interval.low, interval.high) == pytest.approx(expected)
    assert interval.method.startswith("cluster-robust t with 6 df")


def test_the_mean_of_clustered_items_has_the_interval_of_cluster_means() -> None:
    """Equal clusters whose items agree are as many items as there are clusters."""
    means = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])

    repeated = stats.mean(np.repeat(means, 8), np.repeat(np.arange(5), 8))
    single = stats.mean(means, None)

    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))
    assert (repeated.n, repeated.clusters) == (40, 5)


def test_a_skewed_mean_reaches_further_on_the_side_of_its_tail() -> None:
    """Hall's correction lengthens the upper side of a right-skewed mean and shortens neither."""
    values = np.random.default_rng(1).exponential(size=15)
    half = scipy_stats.t.ppf(0.975, 14) * scipy_stats.sem(values)

    interval = stats.mean(values, None)

    assert interval.value - interval.low == pytest.approx(half)
    assert interval.high - interval.value > 1.1 * half


def test_many_clusters_are_bootstrapped_and_close_to_scipys_bca() -> None:
    """The upper limit is scipy's to 5 % of the width; the lower one, where the tail is short, is Student's."""
    values = np.random.default_rng(2).gamma(3.0, size=80)
    theirs = scipy_stats.bootstrap((values,), np.mean, n_resamples=9999, rng=np.random.default_rng(3)).confidence_interval

    interval = stats.mean(values, None, resamples=9999)

    half = scipy_stats.t.ppf(0.975, 79) * scipy_stats.sem(values)
    assert interval.high == pytest.approx(theirs.high, abs=0.05 * (theirs.high - theirs.low))
    assert interval.low == pytest.approx(values.mean() - half)
    assert interval.low < theirs.low


def test_clusters_that_balance_out_leave_no_zero_width() -> None:
    """Each of 6 families holds one 0 and one 1: no variance between them, yet the interval keeps that of the items."""
    interval = stats.mean([0.0, 1.0] * 6, np.repeat(np.arange(6), 2))

    assert interval.high - interval.low > 0.2


def test_a_dominating_cluster_widens_the_interval() -> None:
    """The same values are worth less where half of them are of one family."""
    values = np.random.default_rng(4).normal(size=60)
    equal = np.arange(60) % 15
    one_large = np.concatenate([np.zeros(30, dtype=int), 1 + np.arange(30) % 14])

    assert _width(stats.mean(values, one_large)) > _width(stats.mean(values, equal))


@settings(max_examples=40)
@given(samples())
def test_every_mean_interval_is_ordered_and_grows_with_level(sample: Sample) -> None:
    """low <= value <= high, with width, wider at a higher level."""
    interval, wider = stats.mean(*sample, level=0.9), stats.mean(*sample, level=0.99)

    assert interval.low < interval.high
    assert interval.low <= interval.value <= interval.high
    assert wider.low <= interval.low
    assert interval.high <= wider.high


@settings(max_examples=40)
@given(samples(), st.randoms(use_true_random=False))
def test_no_mean_depends_on_order_or_names(sample: Sample, shuffler: random.Random) -> None:
    """Items in another order and clusters of other names give the identical interval."""
    values, clusters = sample
    order = list(range(values.size))
    shuffler.shuffle(order)
    names = np.array([f"family {99 - c}" for c in clusters])

    assert stats.mean(values, clusters) == stats.mean(values[order], names[order])


def test_a_paired_difference_is_the_mean_of_differences() -> None:
    """Pairing removes what the prompts have in common."""
    rng = np.random.default_rng(5)
    before = rng.normal(scale=10, size=40)
    after = before - 1 + rng.normal(scale=0.1, size=40)
    families = np.arange(40) // 2

    interval = stats.paired_difference(after, before, families)

    assert interval == stats.mean(after - before, families)
    assert _width(interval) < 0.2


def test_equal_values_of_a_bounded_quantity_keep_width() -> None:
    """20 answers that all score 0 of 1 leave a mean up to the exact limit of 0 of 20 open."""
    interval = stats.mean(np.zeros(20), None, bounds=(0.0, 1.0))

    assert (interval.low, interval.high) == pytest.approx((0.0, 1 - 0.025**0.05))


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        pytest.param(np.empty(0), None, "the sample is empty", id="empty"),
        pytest.param(np.ones(1), None, "at least 2", id="one item"),
        pytest.param(np.arange(4.0), np.zeros(4), "all 4 items are of one family", id="one family"),
        pytest.param(np.ones(9), None, "all 9 values are equal", id="equal values"),
    ],
)
def test_a_mean_that_cannot_be_estimated_says_why(values: NDArray[np.float64], clusters: NDArray[np.float64] | None, reason: str) -> None:
    """Undefined carries a sentence for the dossier."""
    with pytest.raises(stats.Undefined) as caught:
        stats.mean(values, clusters)

    assert reason in caught.value.reason


def _width(interval: stats.Interval) -> float:
    return interval.high - interval.low
