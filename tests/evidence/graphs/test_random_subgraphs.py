"""Random subgraphs of equal size: drawn as promised, and what a chosen one is compared with."""

import numpy as np
import pytest

from safetycase.evidence.graphs.pruning import prune
from safetycase.evidence.graphs.random_subgraphs import _drawn, random_subgraph_scores
from tests.evidence.graphs.golden import golden
from tests.evidence.graphs.random_graphs import random_graph


def test_draws_have_as_many_features_at_each_layer() -> None:
    """Equal size by layer, other features."""
    graph = random_graph(1, n_active=200)
    layers = graph.features[:, 0]
    kept = np.arange(graph.n_features) % 7 == 0

    drawn = _drawn(layers, kept, np.random.default_rng(0))

    np.testing.assert_array_equal(np.bincount(layers[drawn], minlength=3), np.bincount(layers[kept], minlength=3))
    assert (drawn != kept).any()


def test_the_pruned_graph_beats_random_ones_of_its_size() -> None:
    """On a golden graph what pruning keeps scores above every one of 50 draws, hence p = 1 / 51."""
    graph, _ = golden("jumprelu")

    found = random_subgraph_scores(graph, prune(graph).node_mask[: graph.n_features], 50, seed=3)

    assert found.n == 50
    assert found.p_replacement == pytest.approx(1 / 51)
    assert found.chosen.replacement > found.replacement.max()
    assert found.replacement.std() > 0


def test_a_random_subgraph_is_no_better_than_random() -> None:
    """p of sets that are drawn as the null is: its mean over 60 sets is near one half."""
    graph = random_graph(2, n_active=80)
    layers = graph.features[:, 0]
    like = np.arange(graph.n_features) % 4 == 0

    p = [random_subgraph_scores(graph, _drawn(layers, like, np.random.default_rng(i)), 19, seed=i).p_replacement for i in range(60)]

    assert 0.4 < float(np.mean(p)) < 0.62
    assert min(p) >= 1 / 20


def test_all_features_leave_nothing_to_draw() -> None:
    """Every draw is the same set: the score says nothing, and p is 1."""
    graph = random_graph(3)

    found = random_subgraph_scores(graph, np.ones(graph.n_features, dtype=np.bool_), 9, seed=0)

    assert found.p_replacement == 1
    assert found.p_completeness == 1


def test_the_same_seed_draws_the_same() -> None:
    """And more draws begin with the fewer."""
    graph = random_graph(4)
    kept = np.arange(graph.n_features) % 3 == 0

    few, many = (random_subgraph_scores(graph, kept, n, seed=5).replacement for n in (4, 8))

    np.testing.assert_array_equal(few, many[:4])
