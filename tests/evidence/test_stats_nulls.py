"""Effects against nulls and families of tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.evidence import stats

effects = st.lists(st.floats(-10, 10), min_size=1, max_size=50)


def test_the_p_value_counts_ties_against_the_effect() -> None:
    """2 of 4 null effects are at least 3: p = 3/5."""
    test = stats.null_test(3.0, [1.0, 2.0, 3.0, 4.0], "greater")

    assert (test.p, test.n, test.exceed, test.largest) == (0.6, 4, 2, 4.0)
    assert test.quantiles == pytest.approx({"0.05": 1.15, "0.5": 2.5, "0.95": 3.85})


def test_an_effect_downwards_is_compared_downwards() -> None:
    """With "less" the extreme null effect is the smallest."""
    test = stats.null_test(-5.0, [-1.0, 0.0, -4.0], "less")

    assert (test.p, test.exceed, test.largest) == (0.25, 0, -4.0)


@given(st.floats(-10, 10), effects)
def test_p_is_never_zero_and_both_directions_mirror(observed: float, null: list[float]) -> None:
    """smallest_p <= p <= 1, and negating everything swaps the direction."""
    greater = stats.null_test(observed, null, "greater")
    mirrored = stats.null_test(-observed, -np.array(null), "less")

    assert stats.smallest_p(len(null)) <= greater.p <= 1
    assert greater.p == mirrored.p


def test_holms_adjustment_by_hand() -> None:
    """3 x 0.01, then 2 x 0.03, then no less than that; the order of names is kept."""
    adjusted = stats.holm({"b": 0.04, "a": 0.01, "c": 0.03})

    assert list(adjusted) == ["b", "a", "c"]
    assert adjusted == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


@given(st.dictionaries(st.text(max_size=3), st.floats(0.001, 1), max_size=8))
def test_adjusted_p_values_keep_their_order_and_lie_between_raw_and_bonferroni(p: dict[str, float]) -> None:
    """raw <= Holm <= m x raw, at most 1."""
    adjusted = stats.holm(p)

    for name, raw in p.items():
        assert raw <= adjusted[name] <= 1
        assert adjusted[name] <= max(len(p) * other for other in p.values() if other <= raw) + 1e-12
    assert sorted(p, key=lambda n: p[n]) == sorted(p, key=lambda n: (adjusted[n], p[n]))


def test_five_criteria_at_95_percent_need_99_percent_each() -> None:
    """Bonferroni."""
    assert stats.simultaneous_level(0.95, 5) == pytest.approx(0.99)
    assert stats.simultaneous_level(0.95, 1) == pytest.approx(0.95)
