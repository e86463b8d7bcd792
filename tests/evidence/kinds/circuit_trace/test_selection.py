"""Members of a circuit: chance alone makes none more often than it may, and a planted feature is found."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetycase.evidence.kinds.circuit_trace.selection import Matched, Node, clusters_of, recurring, selected

N_NODES = 15
NODES: tuple[Node, ...] = tuple((layer, feature, "end-1") for layer in range(3) for feature in range(N_NODES // 3))


def by_chance(generator: np.random.Generator, families: int = 8, per_family: int = 3) -> Matched:
    """Graphs whose labels mean nothing: prompts of a family are alike, and which side is harmful is tossed family by family."""
    sides = (generator.random((2, families, N_NODES)) < generator.random(N_NODES)).astype(float)
    tossed = generator.random(families) < 0.5
    sides[:, tossed] = sides[::-1, tossed]
    harmful, harmless = np.repeat(sides, per_family, axis=1)
    return Matched(NODES, harmful, harmless, tuple(np.repeat([f"family-{i}" for i in range(families)], per_family)))


def test_chance_makes_members_no_more_often_than_it_may() -> None:
    """P(smallest p of any candidate <= alpha) <= alpha under labels without meaning, though families are alike within."""
    runs = 400
    smallest = np.array(
        [min((each.p for each in recurring(by_chance(np.random.default_rng(run)), 0.3, 99, run)), default=1.0) for run in range(runs)]
    )

    for alpha in (0.05, 0.1, 0.2, 0.5):
        assert (smallest <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)
    assert (smallest <= 0.5).mean() > 0.2, "p values this large would find nothing"


def test_a_planted_feature_is_found() -> None:
    """In every harmful graph and no harmless one, among features by chance: the first member, and the only one that must be."""
    graphs = by_chance(np.random.default_rng(0), families=10)
    graphs.harmful[:, 4], graphs.harmless[:, 4] = 1.0, 0.0

    found = recurring(graphs, 0.3, 999, seed=0)

    assert (found[0].node, found[0].harmful, found[0].harmless, found[0].difference) == (NODES[4], 1.0, 0.0, 1.0)
    assert found[0].p <= 0.01
    assert [each.node for each in selected(found, 0.05, most=1)] == [NODES[4]]
    assert all(each.p > 0.05 for each in found if each not in selected(found, 0.05, most=99))


def test_p_counts_swaps_that_reach_as_much_and_the_observation_itself() -> None:
    """With two families, half of all swaps leave or mirror what was found: exact shares, and never 0."""
    graphs = Matched(NODES[:1], np.ones((2, 1)), np.zeros((2, 1)), ("one", "other"))

    found = recurring(graphs, 0.5, 2000, seed=1)[0]

    assert found.p == pytest.approx(0.25, abs=0.03)
    single = recurring(Matched(NODES[:1], np.ones((40, 1)), np.zeros((40, 1)), tuple(map(str, range(40)))), 0.5, 99, seed=1)[0]
    assert single.p == 0.01


def test_what_only_swapped_labels_make_a_candidate_counts_too() -> None:
    """A feature of harmless graphs alone is no candidate, but with all labels swapped it differs most: 3 of 4 swaps reach 0.5, not 2."""
    graphs = Matched(NODES[:2], np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]), ("one", "other"))

    (found,) = recurring(graphs, 0.5, 2000, seed=1)

    assert (found.node, found.difference) == (NODES[0], 0.5)
    assert found.p == pytest.approx(0.75, abs=0.03)


def test_candidates_are_those_that_recur_on_harmful_prompts() -> None:
    """The share itself counts; what stands in harmless graphs alone is none, and ties follow the order of nodes."""
    harmful = np.array([[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=float)
    graphs = Matched(NODES[:4], harmful, np.array([[0, 1, 0, 0]] * 4, dtype=float), ("a", "b", "c", "d"))

    assert [each.node for each in recurring(graphs, 0.25, 99, 0)] == [NODES[2], NODES[3], NODES[0]]
    assert [each.node for each in recurring(graphs, 0.26, 99, 0)] == [NODES[2], NODES[3]]
    assert recurring(Matched.of({}, ()), 0.25, 99, 0) == []


@given(st.permutations(range(12)), st.permutations(range(N_NODES)))
def test_the_order_of_pairs_and_nodes_bears_on_nothing(pairs: list[int], order: list[int]) -> None:
    """Built from what graphs keep, in any order, the same candidates with the same p values are found."""
    graphs = by_chance(np.random.default_rng(5), families=4)
    kept = {
        f"{side}-{row}": [NODES[node] for node in order if present[row, node]]
        for side, present in (("harmful", graphs.harmful), ("harmless", graphs.harmless))
        for row in range(12)
    }

    found, shuffled = (
        recurring(Matched.of(kept, [(f"harmful-{row}", f"harmless-{row}", graphs.families[row]) for row in rows]), 0.3, 99, 7)
        for rows in (range(12), pairs)
    )

    assert found == shuffled
    assert len(found) > 3


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=10))
def test_clusters_are_what_chains_of_families_join(families: list[tuple[str, str]]) -> None:
    """Two pairs share a cluster where, and only where, a chain of pairs leads from one to the other by shared families."""
    found = clusters_of(families)

    joined = [set(pair) for pair in families]
    for _ in families:
        for one in joined:
            for other in joined:
                if one & other:
                    one |= other
    assert found == tuple(min(each) for each in joined)


def test_long_chains_are_one_cluster() -> None:
    """Pair by pair from one family to the next, in an order that joins late."""
    names = [f"f{i:03d}" for i in range(200)]
    assert set(clusters_of(sorted(pairwise(names), reverse=True))) == {"f000"}
