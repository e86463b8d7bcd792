"""Intervals of the difference between two measurements, paired by prompt or from two intervals alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from safetycase.evidence import stats
from safetycase.evidence.stats.differences import Margins, independent_change, paired_change

margins = st.builds(
    lambda value, below, above, level: Margins(value, value - below, value + above, level, 12),
    st.floats(-5, 5), st.floats(0.01, 3), st.floats(0.01, 3), st.sampled_from([0.9, 0.95, 0.99]),
)  # fmt: skip


@given(now=margins, was=margins, level=st.sampled_from([0.95, 0.999]))
def test_an_independent_difference_turns_with_the_versions(now: Margins, was: Margins, level: float) -> None:
    """Its interval holds the difference, is longer than either version's at the same level, and turns its sign with the order."""
    low, high = independent_change(now, was, level)
    back = independent_change(was, now, level)

    assert low <= now.value - was.value <= high
    assert (-high, -low) == pytest.approx(back)
    if was.level == level:
        assert high - low >= was.high - was.low


def test_independent_differences_of_normal_means_are_the_textbook_ones() -> None:
    """From two symmetric intervals MOVER is the root of the sum of squares, at whatever level they came."""
    wide, narrow = Margins(3.0, 3 - 1.96, 3 + 1.96, 0.95, 10**9), Margins(1.0, 1 - 2.576, 1 + 2.576, 0.99, 10**9)

    low, high = independent_change(wide, narrow, 0.95)

    assert (low, high) == pytest.approx((2 - 1.96 * 2**0.5, 2 + 1.96 * 2**0.5), abs=2e-3)


@pytest.mark.parametrize("share", [False, True], ids=["means", "rates"])
def test_pairing_is_narrower_and_holds_the_truth(share: bool) -> None:
    """On prompts that keep their difficulty the paired interval is the shorter one, and holds the truth in about 95 of 100 samples."""
    rng = np.random.default_rng(20)
    runs, families, size, shift = 300, 20, 4, 0.4
    clusters = np.repeat([f"f{i}" for i in range(families)], size)
    held, narrower = 0, 0
    for _ in range(runs):
        difficulty = np.repeat(rng.normal(0, 1, families), size) + rng.normal(0, 0.7, families * size)
        was = difficulty + rng.normal(0, 0.3, difficulty.size)
        now = difficulty + shift + rng.normal(0, 0.3, difficulty.size)
        truth = shift
        if share:
            was, now = (was > 0).astype(float), (now > 0).astype(float)
            truth = _share_above(shift) - _share_above(0)
        paired = paired_change(now, was, clusters, 0.95, share=share, bounds=None)
        low, high = independent_change(_margins_of(now, clusters, share=share), _margins_of(was, clusters, share=share), 0.95)
        held += paired.low <= truth <= paired.high
        narrower += paired.high - paired.low < high - low

    # 300 samples: 0.95 has a standard error of 0.013.
    assert 0.92 <= held / runs <= 0.99
    assert narrower == runs


def _share_above(shift: float) -> float:
    return float(special.ndtr(shift / (1 + 0.7**2 + 0.3**2) ** 0.5))


def _margins_of(values: NDArray[np.float64], clusters: NDArray[Any], *, share: bool) -> Margins:
    made = stats.rate(values == 1, clusters) if share else stats.mean(values, clusters)
    return Margins(made.value, made.low, made.high, made.level, made.clusters)
