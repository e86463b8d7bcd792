"""Random circuits match the claim, and a claim that is itself random is found out no more often than the level allows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from safetycase.evidence.circuits.edges import decoder_graph
from safetycase.evidence.circuits.random_circuits import Matching, random_circuits, standing

GRAPH = decoder_graph(2, 2)
N_NULL, N_CLAIMS = 19, 2000


@given(st.lists(st.booleans(), min_size=len(GRAPH), max_size=len(GRAPH)), st.integers(0, 2**32))
def test_circuits_are_as_large_as_the_claim_in_every_stratum(claim: list[bool], seed: int) -> None:
    """Uniform circuits have its size; those matched by layers also its edges between the same components of the same layers."""
    claimed = np.array(claim)

    uniform = random_circuits(GRAPH, claimed, 3, seed, "uniform")
    matched = random_circuits(GRAPH, claimed, 3, seed, "layers")

    assert (uniform.sum(axis=1) == claimed.sum()).all()
    for circuit in matched:
        assert (np.bincount(GRAPH.strata[circuit], minlength=50) == np.bincount(GRAPH.strata[claimed], minlength=50)).all()


def test_each_edge_is_drawn_as_often_as_any_other() -> None:
    """Of the edges of a stratum each is in the same share of circuits (chi-squared beyond 5 standard deviations would fail)."""
    claimed = np.zeros(len(GRAPH), dtype=bool)
    claimed[::3] = True
    n = 3000

    for matching, strata in (("uniform", np.zeros(len(GRAPH), dtype=int)), ("layers", GRAPH.strata)):
        counts = random_circuits(GRAPH, claimed, n, 0, matching).sum(axis=0)  # type: ignore[arg-type]  # names of a tuple are plain strings
        for stratum in np.unique(strata):
            share = claimed[strata == stratum].mean()
            off = np.abs(counts[strata == stratum] - n * share)
            assert (off <= 5 * np.sqrt(n * share * (1 - share))).all(), (matching, stratum)


def test_seeds_repeat_and_differ() -> None:
    """The same seed draws the same circuits, and the first of many are those of few."""
    claimed = np.arange(len(GRAPH)) % 4 == 0

    first, again, other = (random_circuits(GRAPH, claimed, 6, seed) for seed in (1, 1, 2))

    assert (first == again).all()
    assert (first != other).any()
    assert (random_circuits(GRAPH, claimed, 3, 1) == first[:3]).all()


def test_ties_count_against_the_claim() -> None:
    """An effect that rounding alone lifts above the others has the p of one that is as large as they are."""
    tied = standing(1.0 + 1e-13, [1.0] * 9 + [0.5])

    assert tied.test.p == pytest.approx(10 / 11)
    assert tied.percentile == pytest.approx(10)
    assert standing(0.5, [1.0] * 9 + [0.5 + 1e-13], "less").test.p == pytest.approx(2 / 11)


def test_a_claim_beyond_all_others_has_the_smallest_p() -> None:
    """p = 1 / (1 + N), percentile 100, in either direction."""
    assert standing(2.0, np.linspace(0, 1, 99)).test.p == pytest.approx(0.01)
    assert standing(-2.0, np.linspace(0, 1, 99), "less").percentile == 100


@pytest.mark.parametrize("matching", ["uniform", "layers"])
@pytest.mark.parametrize("ties", [False, True])
def test_over_random_claims_p_is_at_most_its_level(matching: Matching, ties: bool) -> None:
    """P(p <= alpha) <= alpha at each attainable alpha, whether the metric is continuous or takes a few values only.

    Claims are random circuits; the metric of a circuit is a sum over its edges with an interaction. Where there are no ties p is uniform,
    so it is also held to be not much smaller than its level.
    """
    source = np.random.default_rng(7)
    weights = source.integers(0, 2, len(GRAPH)).astype(float) if ties else source.normal(size=len(GRAPH))

    def metric(circuits: np.ndarray) -> np.ndarray:
        return np.asarray(circuits @ weights + 2.0 * (circuits[..., 3] & circuits[..., 11]))

    p = np.empty(N_CLAIMS)
    for index in range(N_CLAIMS):
        claimed = np.zeros(len(GRAPH), dtype=bool)
        claimed[source.choice(len(GRAPH), 9, replace=False)] = True
        drawn = random_circuits(GRAPH, claimed, N_NULL, index, matching)
        p[index] = standing(float(metric(claimed)), metric(drawn)).test.p

    for rank in range(1, N_NULL + 2):
        alpha = rank / (N_NULL + 1)
        at_most = int((p <= alpha + 1e-12).sum())
        assert binomtest(at_most, N_CLAIMS, min(alpha, 1.0), "greater").pvalue > 1e-4, (alpha, at_most / N_CLAIMS)
        if not ties and matching == "uniform":
            assert binomtest(at_most, N_CLAIMS, min(alpha, 1.0), "less").pvalue > 1e-4, (alpha, at_most / N_CLAIMS)
