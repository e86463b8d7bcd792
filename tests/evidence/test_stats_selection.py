"""Selection: the Pareto set, and the variation of selecting again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from safetycase.evidence import stats

CONDITIONAL = stats.Interval(2.0, 1.0, 4.0, 0.95, 100, 25, "cluster-robust t with 24 df")


def test_a_selection_that_never_varies_adds_nothing() -> None:
    """Equal replicates leave the conditional interval as it is, lopsided."""
    interval = stats.with_selection(CONDITIONAL, np.full(20, 2.3))

    assert (interval.value, interval.low, interval.high) == (2.0, 1.0, 4.0)


def test_the_spread_of_selections_is_squared_and_added() -> None:
    """Each side becomes the root of its square plus that of t times the standard deviation."""
    replicates = np.array([1.0, 2.0, 3.0, 2.0])
    spread = scipy_stats.t.ppf(0.975, 3) * replicates.std(ddof=1)

    interval = stats.with_selection(CONDITIONAL, replicates)

    assert (interval.low, interval.high) == pytest.approx((2 - np.hypot(1, spread), 2 + np.hypot(2, spread)))
    assert "4 re-run selections" in interval.method
    assert (interval.n, interval.clusters) == (100, 25)


def test_bounds_are_kept() -> None:
    """The difference of two rates never leaves -1 to 1."""
    rate = stats.Interval(-0.9, -0.95, -0.8, 0.95, 100, 25, "Tango")

    assert stats.with_selection(rate, [-0.1, -0.9, -0.5], bounds=(-1.0, 1.0)).low == -1.0


def test_one_replicate_shows_no_variation() -> None:
    """Undefined says how many there were."""
    with pytest.raises(stats.Undefined, match="re-run 1 times"):
        stats.with_selection(CONDITIONAL, [1.0])


def test_the_pareto_set_by_hand() -> None:
    """(1, 3), (2, 2) and its twin are undominated; (3, 3) is beaten and NaN is never chosen."""
    scores = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.0], [np.nan, 0.0]])

    assert stats.pareto(scores).tolist() == [True, True, False, True, False]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_pareto_set_dominates_everything_outside_it(points: list[tuple[int, int]]) -> None:
    """Each point outside is beaten by one inside, none inside is beaten by any."""
    scores = np.array(points)
    chosen = stats.pareto(scores)

    def beaten(point: np.ndarray[tuple[int], np.dtype[np.int_]], by: np.ndarray[tuple[int, int], np.dtype[np.int_]]) -> bool:
        return bool(((by <= point).all(1) & (by < point).any(1)).any())

    assert chosen.any()
    assert all(beaten(point, scores[chosen]) != inside for point, inside in zip(scores, chosen, strict=True))
