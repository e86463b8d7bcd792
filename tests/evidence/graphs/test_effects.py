"""Total effects are sums over all paths of a graph, and what a removal changes counts no path twice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.evidence.graphs.adjacency import Adjacency, Block
from safetycase.evidence.graphs.effects import changes_by_removal, onto_targets, total_effects
from safetycase.evidence.graphs.graph import AttributionGraph
from tests.evidence.graphs.random_graphs import random_graph

N_ACTIVE = 9
FEATURES = st.sets(st.integers(0, N_ACTIVE - 1))
graphs = st.builds(random_graph, st.integers(0, 2**32 - 1), n_active=st.just(N_ACTIVE), n_targets=st.just(2), density=st.just(0.8))


class Paths:
    """Walks every path of a graph upwards, one after another."""

    def __init__(self, graph: AttributionGraph, removed: set[int]) -> None:
        self.edges = graph.adjacency.dense().astype(np.float64)
        self.activations = graph.activation_values[graph.selected_features].astype(np.float64)
        self.removed = removed

    def onto(self, source: int, read: int) -> float:
        """Of a node's value, what reaches what another reads: an edge, or an edge to a feature that is not removed and on from there."""
        total = 0.0
        for reached in np.flatnonzero(self.edges[:, source]).tolist():
            if reached == read:
                total += self.edges[reached, source]
            elif reached < len(self.activations) and reached not in self.removed:
                total += self.edges[reached, source] / self.activations[reached] * self.onto(reached, read)
        return total


@settings(max_examples=15)
@given(graph=graphs, removed=FEATURES, weights=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_effects_are_sums_over_paths(graph: AttributionGraph, removed: set[int], weights: tuple[float, float]) -> None:
    """Of features, errors and tokens onto a target and a feature at once, past removed features."""
    read = {graph.target_nodes.start: weights[0], N_ACTIVE - 1: weights[1]}
    paths = Paths(graph, removed)

    found = total_effects(graph, read, removed)

    expected = [sum(weight * paths.onto(source, node) for node, weight in read.items()) for source in range(graph.size)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@settings(max_examples=15)
@given(graph=graphs, removed=FEATURES)
def test_a_removal_counts_no_path_twice(graph: AttributionGraph, removed: set[int]) -> None:
    """Every target changes by minus the paths from removed features that pass no other removed one, each once."""
    paths = Paths(graph, removed)

    found = changes_by_removal(graph, removed)

    expected = [-sum(paths.onto(source, node) for source in removed) for node in range(graph.size)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_both_ends_of_the_paths_agree() -> None:
    """On a graph with too many paths to walk: effects of what is removed, and changes of what is read."""
    graph, removed = random_graph(3, n_layers=6, n_positions=6, n_active=200), range(0, 200, 3)

    changes = changes_by_removal(graph, removed)

    targets = onto_targets(graph)
    effects = total_effects(graph, targets, removed)
    assert sum(weight * changes[node] for node, weight in targets.items()) == pytest.approx(-effects[list(removed)].sum(), rel=1e-9)
    assert abs(changes[graph.target_nodes]).min() > 1e-3


def test_how_edges_are_divided_into_blocks_bears_on_nothing() -> None:
    """One block of all layers gives what a block per layer does."""
    graph = random_graph(4)
    rows, columns = np.flatnonzero(graph.adjacency.row_sums()), np.arange(graph.target_nodes.start)
    whole = replace(graph, adjacency=Adjacency(graph.size, (Block(rows, columns, graph.adjacency.part(rows, columns)),)))
    targets = onto_targets(graph)

    np.testing.assert_allclose(total_effects(whole, targets, [2]), total_effects(graph, targets, [2]), rtol=1e-9)
    np.testing.assert_allclose(changes_by_removal(whole, [2, 5]), changes_by_removal(graph, [2, 5]), rtol=1e-9)


def test_removing_nothing_changes_nothing() -> None:
    """Of no feature."""
    assert not changes_by_removal(random_graph(1), ()).any()
