"""The graphs of a few confirmation prompts, drawn by lot: pruned ones to be drawn, whole ones to be kept."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safetycase.evidence.graphs.graph import AttributionGraph
from safetycase.evidence.graphs.pruning import Pruned, prune
from safetycase.evidence.graphs.scores import LEAST_SUM, Influence, influence, starting_weights
from safetycase.evidence.tables import Row
from safetycase.lab.prompt_roles import roles
from safetycase.lab.prompt_samples import take
from safetycase.lab.tracing.graphs import Graphs
from safetycase.lab.tracing.study import Stage, TraceStudy
from safetycase.sources.prompts import Prompt

MOST_DRAWN_EDGES = 3000
"""Of a pruned graph the strongest so many edges are handed on to be drawn; the whole graph lies beside it."""


def examples(study: TraceStudy, made: Graphs) -> Stage[None]:
    """Yields `examples`, `example_tokens` and `graphs_whole`: harmful confirmation prompts, with the partner of the first."""
    chosen = _chosen(study)
    if not chosen:
        return
    yield from study.shards.rows("examples", "all", lambda: [_example(study, made, *each) for each in chosen])
    yield from study.shards.rows("example_tokens", "all", lambda: _tokens(made, chosen))
    for _, prompt in chosen:
        yield from study.shards.tensors("graphs_whole", prompt.id, partial(_whole, made, prompt.id))


def _chosen(study: TraceStudy) -> list[tuple[str, Prompt]]:
    """The prompts by lot; after the first its harmless partner, so that two graphs can be compared."""
    pairs = {pair.harmful.id: pair for pair in study.sampled.confirmation}
    drawn = take([pair.harmful for pair in pairs.values()], study.ask.examples, study.seed + 1).taken
    found: list[tuple[str, Prompt]] = []
    for prompt in drawn:
        found.append(("harmful", prompt))
        if len(found) == 1:
            found.append(("harmless", pairs[prompt.id].harmless))
    return found[: study.ask.examples]


def _example(study: TraceStudy, made: Graphs, population: str, prompt: Prompt) -> Row:
    graph = made.of(prompt.id)
    pruned = prune(graph, study.ask.node_threshold, study.ask.edge_threshold)
    nodes = np.flatnonzero(pruned.node_mask)
    place = {int(node): index for index, node in enumerate(nodes)}
    found = influence(graph)
    whole = float(found.nodes.sum()) or 1.0
    return {
        "item": prompt.id,
        "population": population,
        "target": study.functional.label,
        "roles": list(roles(study.model.chat, graph.n_positions)),
        "nodes": [_node(graph, int(node), float(found.nodes[node]) / whole, pruned) for node in nodes],
        "edges": [[place[source], place[target], weight] for source, target, weight in _strongest(graph, pruned, found)],
    }


def _strongest(graph: AttributionGraph, pruned: Pruned, found: Influence) -> Iterator[tuple[int, int, float]]:
    """By their share of what enters their target, times its influence: weights into two nodes are in units of their own."""
    edges = pruned.edges
    factors = (found.nodes + starting_weights(graph)) / np.maximum(found.row_sums, LEAST_SUM)
    order = np.sort(np.argsort(-np.abs(edges.weight) * factors[edges.target], kind="stable")[:MOST_DRAWN_EDGES])
    kept = pruned.node_mask
    for index in order.tolist():
        source, target = int(edges.source[index]), int(edges.target[index])
        if kept[source] and kept[target]:
            yield source, target, _rounded(float(edges.weight[index]))


def _node(graph: AttributionGraph, node: int, influence_share: float, pruned: Pruned) -> dict[str, Any]:
    """As a reader needs it; -1 is the layer of tokens, the number of layers that of targets."""
    common = {
        "influence": _rounded(influence_share),
        "cumulative": _rounded(float(pruned.cumulative[node])),
        "feature": None,
        "activation": None,
    }
    if node < graph.n_features:
        layer, position, feature = graph.features[node].tolist()
        activation = float(graph.activation_values[graph.selected_features[node]])
        return {**common, "kind": "feature", "layer": layer, "position": position, "feature": feature, "activation": _rounded(activation)}
    if node < graph.errors.stop:
        layer, position = divmod(node - graph.errors.start, graph.n_positions)
        return {**common, "kind": "error", "layer": layer, "position": position}
    if node < graph.tokens.stop:
        return {**common, "kind": "token", "layer": -1, "position": node - graph.tokens.start}
    position = graph.targets[node - graph.target_nodes.start].position
    return {**common, "kind": "target", "layer": graph.n_layers, "position": position}


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _tokens(made: Graphs, chosen: Sequence[tuple[str, Prompt]]) -> Iterator[Row]:
    for _, prompt in chosen:
        yield {"item": prompt.id, "tokens": list(made.of(prompt.id).token_texts)}


def _whole(made: Graphs, item: str) -> Mapping[str, NDArray[Any]]:
    """The unpruned graph: nodes, and the blocks of its adjacency."""
    graph = made.of(item)
    tensors: dict[str, NDArray[Any]] = {
        f"{item}.input_tokens": graph.input_tokens,
        f"{item}.active_features": graph.active_features,
        f"{item}.activation_values": graph.activation_values,
        f"{item}.selected_features": graph.selected_features,
        f"{item}.target_weights": graph.target_weights,
    }
    for number, block in enumerate(graph.adjacency.blocks):
        tensors[f"{item}.block-{number}.rows"] = block.rows.astype(np.int32)
        tensors[f"{item}.block-{number}.columns"] = block.columns.astype(np.int32)
        tensors[f"{item}.block-{number}.values"] = block.values
    return tensors
