"""Rates and their differences: closed forms, boundaries, and what holds for every sample."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize
from scipy import stats as scipy_stats

from safetycase.evidence import stats

Sample = tuple[NDArray[np.bool_], NDArray[np.int_]]


def samples(least: int = 4) -> st.SearchStrategy[Sample]:
    """Successes and the cluster of each, from at least two clusters."""
    item = st.tuples(st.booleans(), st.integers(0, 5))
    return st.lists(item, min_size=least, max_size=60).filter(lambda s: len({c for _, c in s}) > 1).map(_arrays)


def _arrays(items: list[tuple[bool, int]]) -> Sample:
    return np.array([i[0] for i in items]), np.array([i[1] for i in items])


def some(successes: int, n: int) -> NDArray[np.bool_]:
    return np.arange(n) < successes


@pytest.mark.parametrize(
    ("successes", "n"), [pytest.param(9, 100, id="gemma-2b"), pytest.param(0, 20, id="none"), pytest.param(20, 20, id="all")]
)
def test_wilson_and_clopper_pearson_are_those_of_scipy(successes: int, n: int) -> None:
    """Both closed forms agree with scipy's to rounding."""
    test = scipy_stats.binomtest(successes, n)

    assert stats.wilson(successes / n, n, 0.95) == pytest.approx(tuple(test.proportion_ci(0.95, "wilson")))
    assert stats.clopper_pearson(successes, n, 0.95) == pytest.approx(tuple(test.proportion_ci(0.95, "exact")))


def test_zero_of_independent_items_has_the_exact_limit() -> None:
    """0 of 100 without clusters leaves rates up to 3.6 % open, by Clopper and Pearson."""
    interval = stats.rate(some(0, 100), None)

    assert (interval.value, interval.low) == (0.0, 0.0)
    assert interval.high == pytest.approx(1 - 0.025**0.01)
    assert interval.method == "Clopper-Pearson on design-effect n 100.0 (deff 1.0)"


def test_zero_of_clustered_items_assumes_a_correlation() -> None:
    """0 of 40 in families of 4 rests on a design effect of 1 + 3 x 0.3, which the method says is assumed."""
    interval = stats.rate(some(0, 40), np.arange(40) // 4)

    assert interval.high == pytest.approx(1 - 0.025 ** (1.9 / 40))
    assert "deff 1.9, assumed" in interval.method


def test_a_rate_of_identical_twins_counts_families() -> None:
    """Families of 4 that always agree (icc 1), 2 of 5 positive: deff 1 + 3 (3/11 x 0.3 + 8/11), t with 4 df."""
    deff = 1 + 3 * (3 / 11 * 0.3 + 8 / 11)
    n = 20 / deff * (scipy_stats.norm.ppf(0.975) / scipy_stats.t.ppf(0.975, 4)) ** 2

    interval = stats.rate(some(8, 20), np.arange(20) // 4)

    assert (interval.low, interval.high) == pytest.approx(stats.wilson(0.4, n, 0.95))
    assert (interval.n, interval.clusters) == (20, 5)


@given(samples(), st.sampled_from([0.8, 0.95, 0.99]))
def test_every_rate_interval_is_ordered_bounded_and_has_width(sample: Sample, level: float) -> None:
    """0 <= low <= value <= high <= 1, low < high, and a higher level is wider."""
    interval = stats.rate(*sample, level=level)
    wider = stats.rate(*sample, level=0.999)

    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high
    assert wider.low <= interval.low
    assert interval.high <= wider.high


@given(samples(), st.randoms(use_true_random=False))
def test_no_rate_depends_on_order_or_names(sample: Sample, shuffler: random.Random) -> None:
    """Items in another order and clusters of other names give the identical interval."""
    successes, clusters = sample
    order = list(range(successes.size))
    shuffler.shuffle(order)
    names = np.array([f"family {9 - c}" for c in clusters])

    assert stats.rate(successes, clusters) == stats.rate(successes[order], names[order])


@given(samples(), st.lists(st.booleans(), min_size=60, max_size=60))
def test_every_rate_difference_is_ordered_bounded_and_antisymmetric(sample: Sample, other: list[bool]) -> None:
    """-1 <= low <= value <= high <= 1 with width, and before - after is the mirror image."""
    after, clusters = sample
    before = np.array(other[: after.size])

    forth = stats.rate_difference(after, before, clusters)
    back = stats.rate_difference(before, after, clusters)

    assert -1 <= forth.low <= forth.value <= forth.high <= 1
    assert forth.low < forth.high
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-9)


def test_refusal_from_all_to_none_keeps_width() -> None:
    """All 100 prompts flip: those that did not flip in the population may have flipped the other way, so the limit counts twice."""
    interval = stats.rate_difference(some(0, 100), some(100, 100), None)

    assert (interval.value, interval.low) == (-1.0, -1.0)
    assert interval.high == pytest.approx(-(2 * 0.025**0.01 - 1))


def test_no_change_at_all_keeps_width() -> None:
    """Without a discordant pair Tango's limits are +- z^2 / (n + z^2)."""
    same = some(30, 60)
    z2 = scipy_stats.t.ppf(0.975, 59) ** 2

    interval = stats.rate_difference(same, same, None)

    assert (interval.low, interval.high) == pytest.approx((-z2 / (60 + z2), z2 / (60 + z2)))


def test_limits_of_a_rate_difference_lie_where_the_score_test_rejects() -> None:
    """At each limit the score statistic under the constrained likelihood, maximised by number, equals t."""
    gained, lost, n = 3, 14, 50
    change = np.repeat([1, -1, 0], [gained, lost, n - gained - lost])

    interval = stats.rate_difference(change > 0, change < 0, None)

    for delta in (interval.low, interval.high):

        def misfit(q: float, delta: float = delta) -> float:
            return -float(lost * np.log(q) + gained * np.log(q + delta) + (n - gained - lost) * np.log(1 - 2 * q - delta))

        q = optimize.minimize_scalar(misfit, bounds=(max(0, -delta) + 1e-9, (1 - delta) / 2 - 1e-9), method="bounded").x
        score = ((gained - lost) / n - delta) / np.sqrt((2 * q + delta - delta**2) / n)
        assert abs(score) == pytest.approx(scipy_stats.t.ppf(0.975, n - 1), rel=1e-3)


@pytest.mark.parametrize(
    ("n", "clusters", "reason"),
    [
        pytest.param(0, None, "the sample is empty", id="empty"),
        pytest.param(5, np.zeros(5), "all 5 items are of one family", id="one family"),
    ],
)
def test_a_rate_that_cannot_be_estimated_says_why(n: int, clusters: NDArray[np.float64] | None, reason: str) -> None:
    """Undefined carries a sentence for the dossier."""
    with pytest.raises(stats.Undefined) as caught:
        stats.rate(some(n, n), clusters)

    assert reason in caught.value.reason
