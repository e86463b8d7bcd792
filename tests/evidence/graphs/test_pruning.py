"""Pruned graphs: circuit-tracer's own sets, the rule on dense matrices, and the ends of the thresholds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.evidence.graphs.pruning import Pruned, prune
from safetycase.evidence.graphs.scores import influence
from tests.evidence.graphs.golden import golden
from tests.evidence.graphs.random_graphs import random_graph

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", ["jumprelu", "clt"])
def test_nodes_and_edges_are_those_of_circuit_tracer(name: str) -> None:
    """Both masks of both golden graphs at 0.8 and 0.98 are equal, edge for edge; so are weights and cumulative influence."""
    graph, told = golden(name)

    pruned = prune(graph, 0.8, 0.98)

    np.testing.assert_array_equal(pruned.node_mask, told["node_mask"])
    np.testing.assert_array_equal(_edge_mask(graph, pruned), told["edge_mask"])
    np.testing.assert_array_equal(pruned.edges.weight, told["adjacency"][told["edge_mask"]])
    np.testing.assert_allclose(pruned.cumulative, told["cumulative"], atol=1e-6)


@given(SEEDS, st.floats(0.05, 0.99), st.floats(0.05, 0.99))
def test_the_rule_holds_at_any_threshold(seed: int, node_threshold: float, edge_threshold: float) -> None:
    """The same nodes and edges as on dense matrices that are sorted whole."""
    graph = random_graph(seed)

    pruned = prune(graph, node_threshold, edge_threshold)

    nodes, edges = _densely_pruned(graph, node_threshold, edge_threshold)
    np.testing.assert_array_equal(pruned.node_mask, nodes)
    np.testing.assert_array_equal(_edge_mask(graph, pruned), edges)


@given(SEEDS)
def test_edges_are_in_order(seed: int) -> None:
    """By target, then by source, once each."""
    pruned = prune(random_graph(seed, n_active=60))

    place = pruned.edges.target.astype(np.int64) * len(pruned.node_mask) + pruned.edges.source
    assert (np.diff(place) > 0).all()


def test_the_whole_of_influence_keeps_all_that_has_any() -> None:
    """At 1 every node with influence and every edge between such nodes stays; edges of weight 0 are none."""
    graph = random_graph(4)
    reached = influence(graph).nodes > 0
    reached[graph.tokens.start :] = True

    pruned = prune(graph, 1.0, 1.0)

    dense = graph.adjacency.dense()
    influential = (dense != 0) & reached[:, None] & reached[None]
    fed = np.ones(graph.size, dtype=np.bool_)
    fed[: graph.n_features] = influential[: graph.n_features].any(axis=1)
    assert (pruned.node_mask <= reached).all()
    np.testing.assert_array_equal(_edge_mask(graph, pruned), influential & fed[:, None] & fed[None] & _reaching(graph, influential))


def test_nothing_but_ends_is_left_at_zero() -> None:
    """Tokens and targets are kept whatever the thresholds."""
    graph = random_graph(5)

    pruned = prune(graph, 0.0, 0.0)

    assert pruned.node_mask[graph.tokens.start :].all()
    assert pruned.node_mask.sum() <= graph.n_positions + len(graph.targets) + 1


def test_a_graph_without_edges_keeps_its_ends_alone() -> None:
    """No division by zero where nothing reaches anything."""
    graph = random_graph(6, density=0.0)

    pruned = prune(graph)

    assert len(pruned.edges) == 0
    assert pruned.node_mask.sum() == graph.n_positions + len(graph.targets)
    assert (pruned.cumulative == 1).all()


def _edge_mask(graph: AttributionGraph, pruned: Pruned) -> NDArray[np.bool_]:
    mask = np.zeros((graph.size, graph.size), dtype=np.bool_)
    mask[pruned.edges.target, pruned.edges.source] = True
    return mask


def _densely_pruned(graph: AttributionGraph, node_threshold: float, edge_threshold: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rule of `mechinterp` section 3.2.6, step by step on whole matrices."""
    n, ends = graph.n_features, graph.tokens.start
    start = np.zeros(graph.size)
    start[graph.target_nodes] = graph.target_weights
    matrix = np.abs(graph.adjacency.dense().astype(np.float64))
    reached = _reached(matrix, start)
    nodes = reached >= _threshold(reached, node_threshold)
    nodes[ends:] = True
    matrix[~nodes] = 0
    matrix[:, ~nodes] = 0
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-10) * (_reached(matrix, start) + start)[:, None]
    edges = (shares >= _threshold(shares.ravel(), edge_threshold)) & (shares > 0)
    for _ in range(graph.n_layers + 2):
        edges[~nodes] = False
        edges[:, ~nodes] = False
        nodes[:ends] &= edges.any(axis=0)[:ends]
        nodes[:n] &= edges.any(axis=1)[:n]
    edges[~nodes] = False
    edges[:, ~nodes] = False
    return nodes, edges


def _reached(matrix: NDArray[Any], start: NDArray[Any]) -> NDArray[np.float64]:
    normalised = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-10)
    return np.asarray(start @ np.linalg.inv(np.eye(len(start)) - normalised) - start)


def _threshold(values: NDArray[Any], share: float) -> float:
    descending = np.sort(values)[::-1]
    return float(descending[np.searchsorted(np.cumsum(descending) / descending.sum(), share)])


def _reaching(graph: AttributionGraph, edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[1, source]: whether something leads on from it, directly or not, to a target."""
    leads = np.zeros(graph.size, dtype=np.bool_)
    leads[graph.target_nodes] = True
    for _ in range(graph.n_layers + 2):
        leads |= edges[leads].any(axis=0)
    return leads[None]
