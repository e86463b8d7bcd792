"""Of a graph too large to draw, the edges handed on are those that matter, not those in the largest units."""

import numpy as np
import pytest

from safetycase.evidence.graphs.pruning import prune
from safetycase.evidence.graphs.scores import influence, starting_weights
from safetycase.lab.tracing import examples
from safetycase.lab.tracing.graphs import Graphs
from tests.lab.attribution.cases import double, transcoders
from tests.lab.tracing.studies import PER_LAYER, SMALL, rows_of, study

pytestmark = pytest.mark.lab
MOST = 25


def test_edges_are_handed_on_by_their_share_of_their_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights into two features are in units of their own pre-activations and cannot be compared; shares times influence can."""
    monkeypatch.setattr(examples, "MOST_DRAWN_EDGES", MOST)
    traced = study(double(), transcoders(PER_LAYER), ask=SMALL.model_copy(update={"examples": 1}))
    made = Graphs(traced)

    (row,) = rows_of(list(examples.examples(traced, made)), "examples")

    graph = made.of(row["item"])
    edges, found = prune(graph, SMALL.node_threshold, SMALL.edge_threshold).edges, influence(graph)
    dense = np.abs(graph.adjacency.dense().astype(np.float64))
    reached = found.nodes + starting_weights(graph)
    scores = [reached[t] * dense[t, s] / dense[t].sum() for t, s in zip(edges.target, edges.source, strict=True)]
    best = np.sort(np.argsort(scores)[::-1][:MOST])
    assert len(edges) > 2 * MOST
    assert [weight for _, _, weight in row["edges"]] == pytest.approx(edges.weight[best].tolist(), rel=1e-4)
