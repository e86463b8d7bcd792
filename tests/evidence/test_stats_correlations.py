"""Partial and rank correlations: closed forms, what is taken out, nulls that know of clusters."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from safetycase.evidence import stats
from safetycase.evidence.stats.correlations import _flipped

Floats = NDArray[np.float64]


def pair(rho: float, families: int, per: int, icc: float, seed: int) -> tuple[Floats, Floats, list[str], Floats, NDArray[np.int_]]:
    """x and y of correlation rho once category and length are out; of one family they are alike."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(families), per)

    def draw() -> Floats:
        scores: Floats = np.sqrt(icc) * rng.normal(size=families)[family] + np.sqrt(1 - icc) * rng.normal(size=families * per)
        return scores

    u = draw()
    v = rho * u + np.sqrt(1 - rho**2) * draw()
    category, length = family % 2, rng.integers(10, 20, families * per)
    return u + 6 * category + length, v - 6 * category + length, [str(each) for each in category], length.astype(float), family


def test_without_categories_or_length_it_is_pearsons() -> None:
    """One category and one length leave nothing to take out."""
    x, y = np.random.default_rng(2).normal(size=(2, 40))

    made = stats.partial_correlation(x, x + y, ["one"] * 40, np.ones(40), np.arange(40))

    assert made.correlation.value == pytest.approx(scipy_stats.pearsonr(x, x + y).statistic)


def test_category_and_length_are_taken_out() -> None:
    """Raw correlations of opposite sign by category and of length leave the one within."""
    x, y, categories, lengths, families = pair(0.7, 40, 5, 0.0, 4)

    made = stats.partial_correlation(x, y, categories, lengths, families).correlation

    assert made.low < 0.7 < made.high
    assert made.high - made.low < 0.25
    assert np.corrcoef(x, y)[0, 1] < made.low


@pytest.mark.parametrize(("families", "icc"), [(6, 0.0), (8, 0.3), (12, 0.3), (12, 0.6)])
def test_nothing_is_found_as_often_as_declared(families: int, icc: float) -> None:
    """With correlated families too, the test says yes to nothing as often as declared, and the interval holds zero."""
    runs = 150
    made = [stats.partial_correlation(*pair(0.0, families, 8, icc, seed), flips=99) for seed in range(runs)]

    error = 3 * np.sqrt(0.05 * 0.95 / runs)
    assert np.mean([each.flipped.p <= 0.05 for each in made]) <= 0.05 + error
    assert np.mean([each.correlation.low <= 0 <= each.correlation.high for each in made]) >= 0.95 - error


@pytest.mark.parametrize("families", [3, 4])
def test_few_families_give_no_p_below_the_signs_that_repeat_what_was_seen(families: int) -> None:
    """Of 2^families signs two repeat the observed sum up to its sign: p comes near their share at the least, and as often as that."""
    runs, scores = 300, np.random.default_rng(4).normal(size=(300, families)) * [1e-9, 1.0, *np.ones(families - 2)]
    least = 2 / 2**families

    p = np.array([stats.null_test(abs(each.sum()), _flipped(each, seed, 400), "greater").p for seed, each in enumerate(scores)])

    assert p.min() >= least - 4 * np.sqrt(least * (1 - least) / 400)
    assert np.mean(p <= 1.5 * least) <= 1.5 * least + 3 * np.sqrt(least / runs)


def test_a_clear_association_is_beyond_its_null() -> None:
    """p is as small as so many draws allow."""
    made = stats.partial_correlation(*pair(0.9, 20, 5, 0.1, 1), flips=199)

    assert made.flipped.p == 1 / 200


def test_families_that_agree_widen_the_interval() -> None:
    """A family whose prompts are copies of one another tells as much as one of them."""
    x, y = np.random.default_rng(6).normal(size=(2, 12))
    x, y, families = np.repeat(x, 8), np.repeat(x + y, 8), np.repeat(np.arange(12), 8)

    together, apart = (stats.partial_correlation(x, y, ["one"] * 96, np.ones(96), each).correlation for each in (families, np.arange(96)))

    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_order_of_prompts_does_not_matter() -> None:
    """Nulls too are the same to the last bit."""
    x, y, categories, lengths, families = pair(0.3, 8, 4, 0.2, 9)
    order = np.random.default_rng(0).permutation(x.size)
    again = stats.partial_correlation(x[order], y[order], [categories[i] for i in order], lengths[order], families[order])

    assert again == stats.partial_correlation(x, y, categories, lengths, families)


@pytest.mark.parametrize(
    ("n", "families", "flat", "reason"),
    [
        pytest.param(5, 5, False, "too few", id="few prompts"),
        pytest.param(20, 5, False, "of 5 families", id="few families"),
        pytest.param(20, 10, True, "the first quantity does not vary", id="never fires"),
    ],
)
def test_a_correlation_that_cannot_be_had_says_why(n: int, families: int, flat: bool, reason: str) -> None:
    """Never zero by default."""
    x, y = np.random.default_rng(2).normal(size=(2, n))
    with pytest.raises(stats.Undefined, match=reason):
        stats.partial_correlation(x * (not flat), y, ["one"] * n, np.ones(n), np.arange(n) % families)


def test_a_correlation_that_rests_on_one_family_has_no_interval() -> None:
    """Without that family there is nothing left to correlate."""
    x, y = np.zeros(24), np.random.default_rng(2).normal(size=24)
    x[:3] = (1.0, 2.0, 4.0)

    with pytest.raises(stats.Undefined, match="one family holds all the variation"):
        stats.partial_correlation(x, y, ["one"] * 24, np.ones(24), np.arange(24) // 3)


def test_a_rising_dose_response_is_one_and_has_width() -> None:
    """All bootstrap samples agree; what is left open is the share of families that differs."""
    doses = (0.1, 0.2, 0.5, 1.0, 2.0)
    changes = np.outer(np.ones(20), doses) + 0.001 * np.random.default_rng(1).normal(size=(20, 5))

    made = stats.rank_correlation(doses, changes, np.arange(20) % 10)

    assert made.value == pytest.approx(1.0)
    assert made.low == pytest.approx(1 - 2 * (1 - 0.025**0.1))
    assert (made.n, made.clusters) == (20, 10)


def test_the_point_is_spearmans_of_the_mean_curve() -> None:
    """As scipy has it, and noise leaves a wide interval."""
    doses = (0.1, 0.2, 0.5, 1.0, 2.0)
    changes = np.random.default_rng(3).normal(size=(12, 5))

    made = stats.rank_correlation(doses, changes, np.arange(12))

    assert made.value == pytest.approx(scipy_stats.spearmanr(doses, changes.mean(0)).statistic)
    assert made.low < 0 < made.high


def test_flat_curves_and_single_families_have_no_dose_response() -> None:
    """Nothing to rank, or nothing to vary."""
    with pytest.raises(stats.Undefined, match="nothing to rank"):
        stats.rank_correlation((1.0, 2.0, 3.0), np.zeros((6, 3)), np.arange(6))
    with pytest.raises(stats.Undefined, match="of one family"):
        stats.rank_correlation((1.0, 2.0, 3.0), np.random.default_rng(0).normal(size=(6, 3)), np.zeros(6))
    with pytest.raises(stats.Undefined, match="at least 3 doses"):
        stats.rank_correlation((1.0, 2.0), np.zeros((6, 2)), np.arange(6))
