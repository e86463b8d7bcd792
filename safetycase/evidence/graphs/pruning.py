"""Which nodes and edges of an attribution graph matter: the fewest that carry most of the influence."""

from dataclasses import dataclass

import numpy as np

from safetycase.evidence.graphs.adjacency import Mask, Weights
from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.evidence.graphs.scores import Influence, influence, propagated, starting_weights
from safetycase.evidence.graphs.strongest_edges import Edges, strongest_edges

NODE_THRESHOLD = 0.8
EDGE_THRESHOLD = 0.98
"""Circuit-tracer's defaults."""


@dataclass(frozen=True)
class Pruned:
    """What is left of a graph, and how much influence is gathered by the time a node is reached."""

    node_mask: Mask
    """[node]; tokens and targets are always kept."""
    edges: Edges
    cumulative: Weights
    """[node]: share of all influence that is held by it and every node of more influence; a node is kept while this is small."""
    node_threshold: float
    edge_threshold: float


def prune(
    graph: AttributionGraph,
    node_threshold: float = NODE_THRESHOLD,
    edge_threshold: float = EDGE_THRESHOLD,
    found: Influence | None = None,
) -> Pruned:
    """The nodes that hold `node_threshold` of the influence, and of the edges among them those that hold `edge_threshold` of theirs.

    As circuit-tracer has it: tokens and targets stay; edges are scored by their share of their target's inputs times the target's
    influence in the graph of kept nodes; then features without inputs or outputs and errors without outputs go, until none is left.
    Neither nodes without influence nor edges of weight 0 are ever kept, whatever the thresholds.
    """
    assert 0 <= node_threshold <= 1, node_threshold
    assert 0 <= edge_threshold <= 1, edge_threshold
    nodes = (influence(graph) if found is None else found).nodes
    kept = (nodes > 0) & (nodes >= _least_kept(np.sort(nodes)[::-1], node_threshold))
    kept[graph.tokens.start :] = True
    start = starting_weights(graph)
    restricted = graph.adjacency.restricted(kept)
    reached = propagated(restricted, graph.depths, start)
    edges = strongest_edges(restricted, reached.nodes + start, reached.row_sums, edge_threshold)
    kept, edges = _without_loose_ends(graph, kept, edges)
    return Pruned(kept, edges, _cumulative(nodes), node_threshold, edge_threshold)


def _least_kept(descending: Weights, threshold: float) -> float:
    """The score down to which scores have to be taken until they hold the share `threshold` of their sum."""
    if threshold >= 1 or not len(descending):
        return 0.0
    held = np.cumsum(descending)
    return float(descending[int(np.searchsorted(held, threshold * held[-1]))])


def _without_loose_ends(graph: AttributionGraph, kept: Mask, edges: Edges) -> tuple[Mask, Edges]:
    """Without features and errors that lead nowhere and features that nothing leads to; at most n_layers + 1 rounds."""
    while True:
        leads, led = np.zeros(graph.size, dtype=np.bool_), np.zeros(graph.size, dtype=np.bool_)
        leads[edges.source], led[edges.target] = True, True
        leads[graph.tokens.start :] = True
        led[graph.errors.start :] = True
        tied = kept & leads & led
        if np.array_equal(tied, kept):
            return kept, edges
        kept = tied
        edges = edges.where(kept[edges.target] & kept[edges.source])


def _cumulative(nodes: Weights) -> Weights:
    order = np.argsort(-nodes, kind="stable")
    held = np.cumsum(nodes[order])
    shares = np.ones_like(nodes)
    if len(held) and held[-1] > 0:
        shares[order] = held / held[-1]
    return shares
