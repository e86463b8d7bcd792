"""How much of a computation an attribution graph explains: influence, replacement, completeness, and what no node accounts for.

Influence as Ameisen et al. 2025 ("Circuit tracing", appendix on graph pruning) and circuit-tracer define it: edges into a node are
taken without their signs and divided by their sum, and a node's influence is what reaches it from the targets over paths of any
length, w (A + A^2 + ...), w being the targets' weights. Edges lead upwards only, hence the sum is finite; it is taken in one
pass from the targets down, in float64.
"""

from typing import NamedTuple

import numpy as np

from safetycase.evidence.graphs.adjacency import Adjacency, Mask, Nodes, Weights
from safetycase.evidence.graphs.graph import AttributionGraph, RowSums

LEAST_SUM = 1e-10
"""Rows whose absolute sum is below are divided by this instead, as in circuit-tracer: what all but vanishes weighs nothing."""


class Influence(NamedTuple):
    """What reaches each node from the targets."""

    nodes: Weights
    """[node]; targets have none of their own: nothing lies above them."""
    row_sums: Weights
    """[node]: sums of the absolute edges into it."""


class Scores(NamedTuple):
    """Shares in 0..1 of a graph that is not pruned; `exactness` is relative."""

    replacement: float
    """Of the influence that enters through tokens or errors, the share of tokens: paths that run through features from end to end."""
    completeness: float
    """Of the inputs of all nodes, weighted by influence, the share that is not an error."""
    error_share: float
    """Of the influence that enters through tokens or errors, the share of errors: 1 - replacement."""
    unattributed_share: float | None
    """Of the inputs of features and targets, weighted by influence, the share that no node carries (`unattributed_share`)."""
    exactness: float | None
    """The largest residual of the edge-sum identity (`exactness`)."""


class SubgraphScores(NamedTuple):
    """Scores of a graph in which some features count as error."""

    replacement: float
    completeness: float


def influence(graph: AttributionGraph) -> Influence:
    """Influence of every node on the targets."""
    return propagated(graph.adjacency, graph.depths, starting_weights(graph))


def propagated(adjacency: Adjacency, depths: Nodes, start: Weights) -> Influence:
    """What reaches each node, [node], from where `start`, [node], lies; every edge leads from a smaller depth, [node], to a larger one."""
    reached, sums = np.zeros(adjacency.size), np.zeros(adjacency.size)
    for part in adjacency.strengths(depths):
        below = depths[part.columns] < depths[part.rows[0]]
        assert below.all() or not part.values[:, ~below].any(), "an edge leads downwards"
        sums[part.rows] = part.values.sum(axis=1)
        carried = (reached[part.rows] + start[part.rows]) / np.maximum(sums[part.rows], LEAST_SUM)
        if carried.any():
            reached[part.columns] += carried @ part.values
    return Influence(reached, sums)


def scores(graph: AttributionGraph, found: Influence | None = None) -> Scores:
    """Scores of a graph; where nothing reaches tokens or errors, nothing is explained: replacement is 0.

    Completeness needs no second pass: sum over nodes t of A[t, errors] (influence_t + w_t) is the influence of the errors itself.
    """
    found = influence(graph) if found is None else found
    start = starting_weights(graph)
    errors, tokens = float(found.nodes[graph.errors].sum()), float(found.nodes[graph.tokens].sum())
    replacement = _share(tokens, errors)
    return Scores(
        replacement=replacement,
        completeness=1 - errors / float((found.nodes + start).sum()),
        error_share=1 - replacement,
        unattributed_share=None if graph.sums is None else unattributed_share(graph, graph.sums, found),
        exactness=None if graph.sums is None else exactness(graph, graph.sums, found),
    )


def unattributed_share(graph: AttributionGraph, sums: RowSums, found: Influence) -> float:
    """Sum over rows t of c_t u_t / (e_t + u_t), divided by the sum of c_t: how much of what drives the graph no node carries.

    Rows are features and targets; c_t is influence_t plus the target's weight, e_t the sum of the row's absolute edges, u_t the sum
    of the absolute values of what has no node: the decoders' bias, MLP outputs at zeroed positions, biases of the model, and, where
    a budget left active features out, what these carry together. Absolute, so that parts that cancel are not taken for absent.
    """
    rows = _row_nodes(graph)
    missing = np.abs(sums.decoder_bias) + np.abs(sums.zeroed) + np.abs(sums.model_bias) + np.abs(_left_out(graph, sums))
    whole = found.row_sums[rows] + missing
    weights = (found.nodes + starting_weights(graph))[rows]
    local = np.divide(missing, whole, out=np.zeros_like(missing), where=whole > 0)
    total = float(weights.sum())
    return float(weights @ local) / total if total else 0.0


def exactness(graph: AttributionGraph, sums: RowSums, found: Influence) -> float:
    """The largest |edges + decoder bias + zeroed + model bias - found| of a row, over the sum of the absolute values of what is added.

    The edge-sum identity: with patterns and scales frozen a pre-activation is linear in what the nodes and the biases write.
    """
    rows = _row_nodes(graph)
    parts = (sums.decoder_bias, sums.zeroed, sums.model_bias)
    residual = np.abs(sums.edges + sum(parts) - sums.found)
    scale = found.row_sums[rows] + np.abs(_left_out(graph, sums)) + sum(np.abs(part) for part in parts)
    scale = np.maximum(scale, np.abs(sums.found))
    relative = np.divide(residual, scale, out=np.zeros_like(residual), where=scale > 0)
    return float(relative.max(initial=0.0))


def subgraph_scores(graph: AttributionGraph, kept: Mask) -> SubgraphScores:
    """Scores when only the features of `kept`, [feature node], count as explained.

    The edges of a feature left out are added, with their signs, to those of the error node of its layer and position, and nothing is
    traced on through it: what a dictionary without that feature would have left as error (circuit-tracer's pull request 42; of a
    cross-layer feature the whole effect is booked on the layer that it reads).
    """
    return Subgraphs(graph).scores(kept)


class Subgraphs:
    """Scores of many subgraphs of one graph: what all of them share is added up once."""

    def __init__(self, graph: AttributionGraph) -> None:
        self.graph = graph
        self.depths = graph.depths
        layer, position, _ = graph.features.T
        self.error_of = layer * graph.n_positions + position
        """[feature node]: place of its error node among the errors; ascending, as features are."""
        self.weights = graph.target_weights
        features = np.arange(graph.n_features)
        self.row_of = np.full(graph.size, -1)
        rows = _row_nodes(graph)
        self.row_of[rows] = np.arange(len(rows))
        self.folded = graph.adjacency.part(rows, np.arange(graph.errors.start, graph.errors.stop)).astype(np.float64)
        """[row, error]: what comes from an error node if all features counted as error."""
        for part in graph.adjacency.strengths(self.depths):
            held = part.columns < graph.n_features
            sources = features[part.columns[held]]
            if len(sources):
                starts = np.flatnonzero(np.diff(self.error_of[sources], prepend=-1))
                sums = np.add.reduceat(part.signed[:, held].astype(np.float64), starts, axis=1)
                self.folded[np.ix_(self.row_of[part.rows], self.error_of[sources[starts]])] += sums

    def scores(self, kept: Mask) -> SubgraphScores:
        """Of the subgraph whose features are a mask, [feature node]."""
        graph = self.graph
        assert kept.shape == (graph.n_features,), (kept.shape, graph.n_features)
        features = np.flatnonzero(kept)
        targets = np.arange(graph.target_nodes.start, graph.size)
        # Targets first, then features from the top layer down: what reaches a feature is whole when its own inputs are looked at.
        reached = np.zeros(len(features))
        error, token = self._pass_on(targets, self.weights, features, reached)
        for depth in np.unique(self.depths[features])[::-1].tolist():
            first, last = np.searchsorted(self.depths[features], [depth, depth + 1])
            entered = self._pass_on(features[first:last], reached[first:last], features[:first], reached[:first])
            error, token = error + entered[0], token + entered[1]
        return SubgraphScores(_share(token, error), 1 - error / (float(self.weights.sum() + reached.sum()) + error + token))

    def _pass_on(self, rows: Nodes, carried: Weights, features: Nodes, reached: Weights) -> tuple[float, float]:
        """Add to `reached` what some nodes pass on to kept features below them; what they pass on to errors and to tokens."""
        inputs = np.concatenate([features, np.arange(self.graph.tokens.start, self.graph.tokens.stop)])
        known = self.graph.adjacency.part(rows, inputs).astype(np.float64)
        errors = self.folded[self.row_of[rows]]
        if len(features):
            starts = np.flatnonzero(np.diff(self.error_of[features], prepend=-1))
            errors[:, self.error_of[features[starts]]] -= np.add.reduceat(known[:, : len(features)], starts, axis=1)
        np.abs(known, out=known)
        np.abs(errors, out=errors)
        weights = carried / np.maximum(known.sum(axis=1) + errors.sum(axis=1), LEAST_SUM)
        passed = weights @ known
        reached += passed[: len(features)]
        return float((weights @ errors).sum()), float(passed[len(features) :].sum())


def starting_weights(graph: AttributionGraph) -> Weights:
    """[node]: the weights of the targets, 0 elsewhere."""
    start = np.zeros(graph.size)
    start[graph.target_nodes] = graph.target_weights
    return start


def _row_nodes(graph: AttributionGraph) -> Nodes:
    """The nodes that have inputs, in the order of `RowSums`: features, then targets."""
    return np.concatenate([np.arange(graph.n_features), np.arange(graph.target_nodes.start, graph.size)])


def _left_out(graph: AttributionGraph, sums: RowSums) -> Weights:
    """[row]: what active features outside a budget carry; exactly 0 where there is no budget."""
    if graph.n_features == len(graph.active_features):
        return np.zeros_like(sums.edges)
    signed = np.zeros(graph.size)
    for block in graph.adjacency.blocks:
        signed[block.rows] = block.values.sum(axis=1, dtype=np.float64)
    return sums.edges - signed[_row_nodes(graph)]


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part + rest else 0.0
