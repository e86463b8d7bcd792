"""Scores of attribution graphs: circuit-tracer's own numbers, the definitions on dense matrices, and what is silently dropped elsewhere."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from safetycase.evidence.graphs.adjacency import Adjacency, Block
from safetycase.evidence.graphs.graph import AttributionGraph, RowSums, Target
from safetycase.evidence.graphs.scores import influence, scores, subgraph_scores
from tests.evidence.graphs.golden import golden
from tests.evidence.graphs.random_graphs import random_graph

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", ["jumprelu", "clt"])
def test_scores_are_those_of_circuit_tracer(name: str) -> None:
    """Replacement and completeness of both golden graphs to 1e-5, and nothing is said of what the file does not tell."""
    graph, told = golden(name)

    found = scores(graph)

    assert found.replacement == pytest.approx(float(told["replacement"]), abs=1e-6)
    assert found.completeness == pytest.approx(float(told["completeness"]), abs=1e-6)
    assert found.error_share == pytest.approx(1 - found.replacement)
    assert found.unattributed_share is None
    assert found.exactness is None


@given(SEEDS)
def test_influence_is_the_sum_over_paths_of_any_length(seed: int) -> None:
    """w (A + A^2 + ...) of the normalised matrix, by its inverse."""
    graph = random_graph(seed)
    normalised, start = _normalised(graph.adjacency.dense()), _start(graph)

    found = influence(graph)

    whole = np.linalg.inv(np.eye(graph.size) - normalised)
    np.testing.assert_allclose(found.nodes, start @ whole - start, atol=1e-12)
    np.testing.assert_allclose(found.row_sums, np.abs(graph.adjacency.dense().astype(np.float64)).sum(axis=1))


@given(SEEDS)
def test_completeness_is_the_weighted_share_of_inputs_that_are_no_errors(seed: int) -> None:
    """The definition over all nodes, which the shorter sum of this package has to equal."""
    graph = random_graph(seed)
    weights = influence(graph).nodes + _start(graph)
    from_errors = _normalised(graph.adjacency.dense())[:, graph.errors].sum(axis=1)

    found = scores(graph)

    assert found.completeness == pytest.approx(float(((1 - from_errors) * weights).sum() / weights.sum()))


@given(SEEDS)
def test_the_layout_of_blocks_changes_nothing(seed: int) -> None:
    """One block with rows of every depth, in which each row also has columns that cannot reach it, gives the same influence."""
    graph = random_graph(seed)
    dense = graph.adjacency.dense()
    rows, columns = np.flatnonzero(dense.any(axis=1)), np.arange(graph.size)
    one = replace(graph, adjacency=Adjacency(graph.size, (Block(rows, columns, dense[rows]),)))

    np.testing.assert_allclose(influence(one).nodes, influence(graph).nodes, atol=1e-12)


def test_an_edge_downwards_is_a_breach() -> None:
    """A graph with a cycle has no finite influence: it is not summed as if it had."""
    graph = random_graph(0)
    last = graph.n_features - 1
    back = Block(np.array([0]), np.array([last]), np.ones((1, 1), dtype=np.float32))

    with pytest.raises(AssertionError, match="downwards"):
        influence(replace(graph, adjacency=Adjacency(graph.size, (back,))))


@given(SEEDS, st.integers(0, 30))
def test_features_left_out_are_added_to_the_error_of_their_place(seed: int, n_kept: int) -> None:
    """The folded matrix, built densely, has the same scores as `subgraph_scores` finds without building it."""
    graph = random_graph(seed)
    kept = np.zeros(graph.n_features, dtype=np.bool_)
    kept[np.random.default_rng(seed).permutation(graph.n_features)[:n_kept]] = True
    folded = graph.adjacency.dense().astype(np.float64)
    for node in np.flatnonzero(~kept):
        layer, position, _ = graph.features[node]
        folded[:, graph.errors.start + layer * graph.n_positions + position] += folded[:, node]
        folded[node], folded[:, node] = 0, 0
    normalised, start = _normalised(folded), _start(graph)
    reached = start @ np.linalg.inv(np.eye(graph.size) - normalised) - start

    found = subgraph_scores(graph, kept)

    tokens, errors = reached[graph.tokens].sum(), reached[graph.errors].sum()
    assert found.replacement == pytest.approx(tokens / (tokens + errors))
    assert found.completeness == pytest.approx(1 - errors / (reached + start).sum())


def test_a_subgraph_of_all_features_scores_as_the_graph() -> None:
    """Nothing is left out, hence nothing changes."""
    graph, _ = golden("jumprelu")

    whole = subgraph_scores(graph, np.ones(graph.n_features, dtype=np.bool_))

    assert whole.replacement == pytest.approx(scores(graph).replacement)
    assert whole.completeness == pytest.approx(scores(graph).completeness)


@given(SEEDS, st.integers(0, 8))
def test_an_exact_graph_is_exact(seed: int, left_out: int) -> None:
    """Where the identity holds its residual is rounding, budget or not."""
    assert scores(random_graph(seed, left_out=left_out)).exactness == pytest.approx(0, abs=1e-12)


def test_a_row_that_misses_its_value_is_told() -> None:
    """Exactness is the residual over what was added up: here 0.5 over |3| + |-1| + |0.25| + |0.25|."""
    graph = _two_inputs(decoder_bias=0.25, zeroed=-0.25, found=1.5)

    assert scores(graph).exactness == pytest.approx(0.5 / 4.5)


def test_parts_that_cancel_are_not_absent() -> None:
    """0.25 and -0.25 are half a unit that no node carries, beside four that nodes do."""
    graph = _two_inputs(decoder_bias=0.25, zeroed=-0.25, found=2.0)

    assert scores(graph).unattributed_share == pytest.approx(0.5 / 4.5)


def test_active_features_outside_a_budget_are_unattributed() -> None:
    """What they carry together is the rest of the row's sum."""
    graph = _two_inputs(decoder_bias=0.0, zeroed=0.0, found=3.0)
    assert graph.sums is not None
    active = np.array([[0, 1, 7]])
    budgeted = replace(
        graph, active_features=active, activation_values=np.ones(1, np.float32), sums=replace(graph.sums, edges=np.array([3.0]))
    )

    assert scores(budgeted).unattributed_share == pytest.approx(1 / 5)


def test_a_graph_that_nothing_enters_explains_nothing() -> None:
    """No division by zero: replacement is 0, completeness 1, for there is no input that is an error."""
    graph = _two_inputs(decoder_bias=0.0, zeroed=0.0, found=0.0)
    empty = replace(graph, adjacency=Adjacency(graph.size, ()), sums=None)

    found = scores(empty)

    assert (found.replacement, found.completeness) == (0.0, 1.0)


def _two_inputs(*, decoder_bias: float, zeroed: float, found: float) -> AttributionGraph:
    """One layer, two positions, no features; the target takes 3 from a token and -1 from an error."""
    target = Target("direction", "refusal direction", 1.0, "resid_pre.1", 1)
    row = np.array([[-1.0, 3.0]], dtype=np.float32)
    return AttributionGraph(
        prompt="a b",
        input_tokens=np.array([1, 2]),
        token_texts=("a", "b"),
        n_layers=1,
        active_features=np.zeros((0, 3), dtype=np.int64),
        activation_values=np.zeros(0, dtype=np.float32),
        selected_features=np.zeros(0, dtype=np.int64),
        targets=(target,),
        adjacency=Adjacency(5, (Block(np.array([4]), np.array([1, 3]), row),)),
        sums=RowSums(np.array([2.0]), np.array([decoder_bias]), np.array([zeroed]), np.zeros(1), np.array([found])),
        zeroed_positions=(0,),
        vocabulary=10,
    )


def _normalised(dense: NDArray[Any]) -> NDArray[np.float64]:
    absolute = np.abs(dense.astype(np.float64))
    return np.asarray(absolute / np.maximum(absolute.sum(axis=1, keepdims=True), 1e-10))


def _start(graph: AttributionGraph) -> NDArray[np.float64]:
    start = np.zeros(graph.size)
    start[graph.target_nodes] = graph.target_weights
    return start
