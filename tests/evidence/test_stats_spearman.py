"""Spearman's correlation over clusters: scipy's point, an interval that holds the truth and always has width."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from safetycase.evidence import stats

Floats = NDArray[np.float64]


def drawn(rng: np.random.Generator, families: int, per: int, icc: float, rho: float) -> tuple[Floats, Floats, NDArray[np.int_]]:
    """Pairs of Pearson's correlation rho, alike within families; Spearman's is 6 / pi arcsin(rho / 2)."""
    family = np.repeat(np.arange(families), per)

    def one() -> Floats:
        values: Floats = np.sqrt(icc) * rng.normal(size=families)[family] + np.sqrt(1 - icc) * rng.normal(size=family.size)
        return values

    x = one()
    return x, rho * x + np.sqrt(1 - rho**2) * one(), family


def test_the_point_is_scipys_with_ties() -> None:
    """Ties share the mean of their ranks."""
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 5, 40).astype(float), rng.integers(0, 5, 40).astype(float)

    made = stats.spearman(x, x + y, np.arange(40) % 8)

    assert made.value == pytest.approx(scipy_stats.spearmanr(x, x + y).statistic)
    assert (made.n, made.clusters) == (40, 8)


@pytest.mark.parametrize(("families", "per", "icc", "rho"), [(4, 16, 0.7, 0.6), (8, 4, 0.3, 0.0), (8, 16, 0.7, 0.95), (16, 16, 0.7, 0.6)])
def test_the_interval_holds_the_truth(families: int, per: int, icc: float, rho: float) -> None:
    """In well over 90 % of samples at 95 %, however alike the rows of a family are."""
    rng = np.random.default_rng([families, per])
    truth = 6 / np.pi * np.arcsin(rho / 2)

    made = [stats.spearman(*drawn(rng, families, per, icc, rho)) for _ in range(150)]

    assert np.mean([each.low <= truth <= each.high for each in made]) >= 0.92


@given(
    x=st.lists(st.integers(-5, 5), min_size=1, max_size=30), seed=st.integers(0, 99), families=st.integers(1, 6), copies=st.booleans()
)  # fmt: skip
def test_there_is_width_or_a_reason(x: list[int], seed: int, families: int, copies: bool) -> None:
    """Whatever the rows: an interval inside -1 and 1 that holds its value and has width, or Undefined, never an error."""
    rng = np.random.default_rng(seed)
    one = np.array(x, dtype=float)
    other = one.copy() if copies else rng.integers(-5, 6, one.size).astype(float)

    try:
        made = stats.spearman(one, other, np.arange(one.size) % families)
    except stats.Undefined:
        return

    assert -1 <= made.low <= made.value <= made.high <= 1
    assert made.high > made.low


def test_perfect_agreement_leaves_open_what_a_family_might_do() -> None:
    """Eight families that agree say little of a ninth."""
    x = np.arange(16.0)

    made = stats.spearman(x, 2 * x, np.arange(16) % 8)

    assert (made.value, made.high) == (1.0, 1.0)
    assert made.low == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 8)))


def test_copies_within_families_widen_it() -> None:
    """A family whose rows are copies tells as much as one of them."""
    x, y = np.random.default_rng(6).normal(size=(2, 12))
    x, y, families = np.repeat(x, 8), np.repeat(x + y, 8), np.repeat(np.arange(12), 8)

    together, apart = (stats.spearman(x, y, each) for each in (families, np.arange(96)))

    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_order_and_names_do_not_matter() -> None:
    """The same to the last bit."""
    x, y, families = drawn(np.random.default_rng(9), 6, 5, 0.3, 0.5)
    order = np.random.default_rng(0).permutation(x.size)

    assert stats.spearman(x[order], y[order], families[order]) == stats.spearman(x, y, families)


@pytest.mark.parametrize(
    ("x", "families", "reason"),
    [
        pytest.param([1.0, 2.0, 3.0], 3, "3 rows are too few", id="few rows"),
        pytest.param([1.0, 2.0, 3.0, 4.0], 2, "of 2 families", id="few families"),
        pytest.param([1.0] * 9, 3, "the first quantity does not vary", id="flat"),
        pytest.param([0.0, 0.0, 5.0, 0.0, 0.0, 6.0, 0.0, 0.0, 7.0], 3, "within one family alone", id="varies in one family"),
    ],
)
def test_what_cannot_be_ranked_says_why(x: list[float], families: int, reason: str) -> None:
    """Never zero by default."""
    with pytest.raises(stats.Undefined, match=reason):
        stats.spearman(x, np.arange(float(len(x))), np.arange(len(x)) % families)
